"""What `gpu.py` checks and times, and how results are compared: nothing here needs a GPU, or torch."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

import resample.functional as F

Shape = tuple[int, ...]
Options = dict[str, Any]

OURS, TORCH, TF32, COMPILED, CUPY, JAX = "resample", "torch", "torch, TF32", "torch.compile", "cupyx zoom", "jax"
PEERS = (TORCH, TF32, COMPILED, CUPY, JAX)


class Case(NamedTuple):
    """One piece of work that is timed."""

    name: str
    """Its number in the plan; some are several pieces of work."""
    call: str
    """The function, of `resample.functional` and of `torch.nn.functional`."""
    shapes: tuple[Shape, ...]
    out: Shape
    options: Options
    dtype: str = "float32"
    peers: tuple[str, ...] = (TORCH,)
    last: bool = False
    """Whether channels come last in memory."""
    small: bool = False
    """Whether a launch costs as much as the work, so that wall time and replays of a CUDA graph tell more."""

    @property
    def title(self) -> str:
        options = {name: value for name, value in self.options.items() if name not in ("size", "mode")}
        flags = [name if value is True else f"{name}={value}" for name, value in options.items() if value is not False]
        words = [self.options.get("mode", self.call), *flags, self.dtype, *["channels last"] * self.last]
        return f"{' '.join(words)}, {text(self.shapes[0])} to {text(self.out)}"

    @property
    def dtypes(self) -> tuple[str, ...]:
        return tuple(
            "int64" if self.call.startswith("max_unpool") and k else self.dtype for k in range(len(self.shapes))
        )

    @property
    def moved(self) -> int:
        """The least bytes that must move: each input's read once, the result's written once."""
        arrays = [*zip(self.shapes, self.dtypes, strict=True), (self.out, self.dtype)]
        return sum(math.prod(shape) * np.dtype(dtype).itemsize for shape, dtype in arrays)


def text(shape: Shape) -> str:
    return " x ".join(map(str, shape))


def resize(name: str, shape: Shape, size: Shape, mode: str, *peers: str, **flags: Any) -> Case:
    kept = {key: flags.pop(key) for key in ("dtype", "last", "small") if key in flags}
    options = {"size": size, "mode": mode, **flags}
    return Case(name, "interpolate", (shape,), (*shape[:2], *size), options, peers=(TORCH, *peers), **kept)


def pictures() -> Iterator[Case]:
    """Yield case 8b: one RGB picture, bytes as pictures have them and floats as networks do, in every mode."""
    modes: list[tuple[str, Options]] = [(mode, {}) for mode in ("nearest", "nearest-exact", "bilinear", "bicubic")]
    modes += [("area", {}), *((mode, {"antialias": True}) for mode in ("bilinear", "bicubic", "lanczos"))]
    sizes = (1080, 1920), (2160, 3840)
    for dtype, (before, after), (mode, flags) in itertools.product(("uint8", "float32"), (sizes, sizes[::-1]), modes):
        if (mode, dtype) == ("area", "uint8") or (before < after and mode in ("bilinear", "bicubic") and flags):
            continue
        peers = (CUPY,) if mode in ORDERS and not flags else ()
        yield resize(
            "8b", (1, 3, *before), after, mode, *peers, dtype=dtype, last=dtype == "uint8", small=True, **flags
        )


# orders of splines in cupyx.scipy.ndimage.zoom; of them 3 is another function than bicubic
ORDERS = {"nearest": 0, "bilinear": 1, "bicubic": 3}
METHODS = {"nearest": "nearest", "bilinear": "linear", "bicubic": "cubic"}  # of jax.image.resize


def cases() -> list[Case]:
    features, upsampled = (16, 64, 256, 256), (512, 512)
    latency = [resize("17", (1, 3, 32, 32), (64, 64), mode, small=True) for mode in MODES_OF_PLANES]
    latency += [resize("17", (1, 3, 32, 32), (64, 64), m, small=True, antialias=True) for m in ANTIALIASED]
    convolution = partial(Case, call="conv_transpose2d", options={"stride": 2, "padding": 1}, peers=(TORCH, TF32))
    return [
        resize("1", features, upsampled, "nearest", COMPILED, CUPY),
        resize("2", features, upsampled, "bilinear", COMPILED, JAX),
        resize("2", features, upsampled, "bilinear", COMPILED, align_corners=True),
        resize("3", features, upsampled, "bilinear", dtype="float16", last=True),
        resize("4", features, upsampled, "bicubic", JAX),
        resize("5", (64, 3, 540, 960), (1080, 1920), "bilinear", COMPILED),
        resize("6", (64, 3, 1080, 1920), (2160, 3840), "nearest", dtype="uint8"),
        resize("7", (8, 3, 2160, 3840), (1080, 1920), "bicubic", JAX, antialias=True),
        resize("8", (64, 3, 1080, 1920), (224, 224), "bilinear", dtype="uint8", last=True, antialias=True),
        resize("9", (1, 3, 941, 941), (10, 10), "bicubic", small=True, antialias=True),
        resize("10", (1, 1152, 64, 64), (16, 16), "bicubic", small=True),
        resize("11", (64, 512, 7, 7), (14, 14), "bilinear", small=True),
        resize("12", (2, 16, 64, 128, 128), (128, 256, 256), "trilinear"),
        Case("13", "pixel_shuffle", ((16, 256, 256, 256),), (16, 64, 512, 512), {"upscale_factor": 2}),
        Case("14", "max_unpool2d", (features, features), (16, 64, *upsampled), {"kernel_size": 2}),
        convolution("15", shapes=((16, 3, 512, 512), (3, 3, 4, 4)), out=(16, 3, 1024, 1024)),
        convolution("16", shapes=((16, 64, 128, 128), (64, 32, 4, 4)), out=(16, 32, 256, 256)),
        *latency,
        resize("18", (1, 1, 8192, 8192), (16384, 16384), "bilinear", CUPY),
        *pictures(),
    ]


MODES_OF_PLANES = ("nearest", "nearest-exact", "bilinear", "bicubic", "area")
ANTIALIASED = ("bilinear", "bicubic", "lanczos")
FLOATS = ("float16", "float32", "float64")


class Laid(NamedTuple):
    """An array by the memory that it lies in, so that it can lie so on a device too."""

    memory: np.ndarray
    """One axis."""
    offset: int
    """Of the first value in it."""
    shape: Shape
    steps: Shape
    """Strides, in values."""

    @property
    def view(self) -> np.ndarray:
        strides = [step * self.memory.itemsize for step in self.steps]
        return np.lib.stride_tricks.as_strided(self.memory[self.offset :], self.shape, strides)


# channels last; height and width exchanged; every second value; the second value of some memory, where vectors of
# values do not begin
LAYOUTS = ("first", "last", "transposed", "gaps", "offset")


def laid(values: np.ndarray, layout: str = "first") -> Laid:
    """Return a copy of (N, C, ...) in one of LAYOUTS; what lies between values is NaN, or 255."""
    axes = list(range(values.ndim))
    order = {"last": [0, *axes[2:], 1], "transposed": [0, 1, *axes[:1:-1]]}.get(layout, axes)
    offset, step = int(layout == "offset"), 2 if layout == "gaps" else 1
    memory = np.full((offset + values.size * step) * values.itemsize, 0xFF, np.uint8).view(values.dtype)
    steps = [0] * values.ndim
    for axis in reversed(order):
        steps[axis] = step
        step *= values.shape[axis]
    found = Laid(memory, offset, values.shape, tuple(steps))
    found.view[...] = values
    return found


def noise(rng: np.random.Generator, shape: Shape, dtype: str) -> np.ndarray:
    if dtype == "uint8":
        return rng.integers(0, 256, shape, np.uint8)
    if np.dtype(dtype).kind == "c":
        return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(dtype)
    if np.dtype(dtype).kind in "ib":
        return rng.integers(*((0, 2) if dtype == "bool" else (-100, 100)), shape).astype(dtype)
    return rng.standard_normal(shape, np.float32).astype(dtype)


class Check(NamedTuple):
    """One call whose result must be the CPU's."""

    call: str
    options: Options
    make: Callable[[np.random.Generator], list[Laid]]
    dtype: str
    title: str
    tolerance: float
    """Units in the last place of the largest magnitude; 0 asks for the same bits."""
    torch: bool = True
    """Whether torch may be asked too."""

    @property
    def kind(self) -> str:
        """What it is counted under."""
        flags = [self.options["mode"]] if "mode" in self.options else []
        flags += ["antialias"] if self.options.get("antialias") else []
        return " ".join([self.call, *flags, self.dtype])


def check(
    call: str, options: Options, dtype: str, shape: Shape, layout: str = "first", more: tuple[Shape, ...] = (),
    tolerance: float = 0, torch: bool = True,
) -> Check:  # fmt: skip
    """Return the check of a call on noise; `more` are the shapes of weight and bias."""

    def make(rng: np.random.Generator) -> list[Laid]:
        return [laid(noise(rng, shape, dtype), layout), *(laid(noise(rng, other, dtype)) for other in more)]

    title = f"{call}({', '.join(f'{k}={v}' for k, v in options.items())}) of {dtype} {text(shape)} {layout}"
    return Check(call, options, make, dtype, title, tolerance, torch)


# numbers of axes, modes and flags
MODES: list[tuple[int, str, Options]] = [
    *((n, mode, {}) for n, mode in itertools.product((1, 2, 3), ("nearest", "nearest-exact", "area"))),
    *((1, "linear", {"align_corners": aligned}) for aligned in (False, True)),
    *((2, mode, {"align_corners": aligned}) for mode in ("bilinear", "bicubic") for aligned in (False, True)),
    *((3, "trilinear", {"align_corners": aligned}) for aligned in (False, True)),
    *((2, mode, {"antialias": True}) for mode in ANTIALIASED),
]

# by number of axes: sizes before, what is wanted, numbers of channels
SIZES: dict[int, list[tuple[Shape, Options, Shape]]] = {
    1: [
        ((7,), {"size": (19,)}, (1, 3, 17)),
        ((40,), {"size": (9,)}, (4, 16)),
        ((1031,), {"scale_factor": 2.3}, (3, 32)),
        ((70001,), {"size": (33333,)}, (5,)),
    ],
    2: [
        ((9, 7), {"size": (18, 12)}, (1, 3, 4, 17)),
        ((20, 33), {"size": (7, 5)}, (1, 3, 4, 16)),
        ((5, 6), {"size": (5, 14)}, (3, 8)),
        ((6, 8), {"size": (14, 8)}, (4, 6)),
        ((1, 1), {"size": (3, 2)}, (2,)),
        ((131, 257), {"size": (262, 512)}, (3, 16)),
        ((301, 203), {"scale_factor": (0.27, 1.6)}, (3, 20)),
    ],
    3: [
        ((3, 5, 4), {"size": (6, 7, 8)}, (1, 3, 17)),
        ((6, 9, 8), {"size": (2, 9, 5)}, (1, 4, 16)),
        ((9, 33, 31), {"scale_factor": 1.9}, (3, 16)),
    ],
}


def interpolations() -> Iterator[Check]:
    turn = itertools.cycle(LAYOUTS[1:])  # two of these each time, which halves the time
    for (axes, mode, flags), dtype in itertools.product(MODES, (*FLOATS, "uint8")):
        bytes_too = mode.startswith("nearest") or (axes == 2 and mode != "area")
        if (dtype == "uint8" and not bytes_too) or (dtype == "float16" and "antialias" in flags):
            continue
        # rows at an edge are summed in another order than the CPU's, and products of bicubic are larger than their sum
        tolerance = {"uint8": 0, "float16": 1}.get(dtype, 4 if mode == "bicubic" else 2)
        tolerance *= not mode.startswith("nearest")
        for size, wanted, channels in SIZES[axes]:
            options = {**wanted, "mode": mode, **flags}
            for c, layout in itertools.product(channels, ("first", next(turn), next(turn))):
                yield check("interpolate", options, dtype, (2, c, *size), layout, tolerance=tolerance)
    for mode in ("bilinear", "bicubic"):  # what is too large for torch on CUDA
        options = {"size": (10, 10), "mode": mode, "antialias": True}
        yield check("interpolate", options, "float32", (1, 3, 941, 941), tolerance=2)


def shuffles() -> Iterator[Check]:
    for dtype in (*FLOATS, "uint8", "bool", "complex64", "complex128"):
        for (shape, r), layout in itertools.product(
            [((2, 12, 5, 6), 2), ((3, 9, 4, 7), 3), ((3, 36, 7, 33), 6), ((1, 4, 1, 1), 2), ((2, 64, 129, 65), 2)],
            LAYOUTS,
        ):
            yield check("pixel_shuffle", {"upscale_factor": r}, dtype, shape, layout)
            n, c, h, w = shape
            yield check("pixel_unshuffle", {"downscale_factor": r}, dtype, (n, c, h * r, w * r), layout)
    for shape in ((9, 4, 6), (2, 2, 9, 3, 5)):
        yield check("pixel_shuffle", {"upscale_factor": 3}, "float32", shape)


POOLED: dict[int, list[Shape]] = {
    1: [(2, 3, 29), (1, 16, 4099)],
    2: [(2, 3, 9, 14), (2, 16, 33, 21), (1, 5, 257, 131)],
    3: [(1, 3, 7, 9, 6), (2, 4, 12, 17, 33)],
}
WINDOWS: list[Options] = [
    {"kernel_size": 2},
    {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True},
    {"kernel_size": 3, "stride": 1, "dilation": 2},
]


def pools() -> Iterator[Check]:
    for axes, dtype in itertools.product((1, 2, 3), (*FLOATS, "uint8", "int32")):
        for shape, window, layout in itertools.product(POOLED[axes], WINDOWS, LAYOUTS):
            options = {**window, "return_indices": layout != "gaps"}
            base = check(f"max_pool{axes}d", options, dtype, shape, layout)
            yield base._replace(make=partial(with_ties, base.make))
    for axes, dtype, kernel in itertools.product((1, 2, 3), FLOATS, (2, 3)):
        for shape, layout in itertools.product(POOLED[axes], LAYOUTS):
            options = {"kernel_size": kernel, "stride": 2, "output_size": shape[2:]}
            title = f"max_unpool{axes}d({options}) of {dtype} to {text(shape)} {layout}"
            make = partial(pooled, axes=axes, shape=shape, dtype=dtype, kernel=kernel, layout=layout)
            # of places that come twice torch on CUDA keeps any
            yield Check(f"max_unpool{axes}d", options, make, dtype, title, 0, torch=kernel == 2)


def with_ties(make: Callable[[np.random.Generator], list[Laid]], rng: np.random.Generator) -> list[Laid]:
    """Return what `make` does, with equal values beside each other, and some NaN."""
    (array,) = make(rng)
    view = array.view
    if view.dtype.kind == "f":
        view[...] = np.where(rng.random(view.shape) < 0.01, np.nan, np.round(view))
    return [array]


def pooled(rng: np.random.Generator, axes: int, shape: Shape, dtype: str, kernel: int, layout: str) -> list[Laid]:
    """Return new values for the maxima of some noise, and their places."""
    pool = getattr(F, f"max_pool{axes}d")
    _, indices = pool(noise(rng, shape, "float32"), kernel, 2, return_indices=True)
    return [laid(noise(rng, indices.shape, dtype), layout), laid(indices, layout)]


# channels in and out, kernel, and options
CONVOLUTIONS: list[tuple[int, int, int, Options]] = [
    (3, 3, 4, {"stride": 2, "padding": 1}),
    (5, 7, 3, {"stride": 2, "padding": 1, "output_padding": 1}),
    (16, 8, 2, {"stride": 2}),
    (6, 4, 3, {"dilation": 2, "groups": 2}),
    (56, 1, 9, {"stride": 3, "padding": 4, "output_padding": 2}),
    (64, 32, 4, {"stride": 2, "padding": 1}),
]


def convolutions() -> Iterator[Check]:
    sizes = {1: [(13,), (1025,)], 2: [(7, 9), (33, 41)], 3: [(4, 5, 3)]}
    for axes, dtype in itertools.product((1, 2, 3), (*FLOATS, "int64")):
        for size, (c_in, c_out, k, options) in itertools.product(sizes[axes], CONVOLUTIONS):
            if axes == 3 and k == 9:
                continue
            weight = (c_in, c_out // options.get("groups", 1), *(k,) * axes)
            terms = math.prod(weight) // weight[1] / options.get("stride", 1) ** axes
            # whose sums may have another order than the CPU's
            tolerance = {"float16": 1, "int64": 0}.get(dtype, max(2, math.sqrt(terms)))
            for layout, more in zip(LAYOUTS, itertools.cycle(((weight, (c_out,)), (weight,))), strict=False):
                yield check(f"conv_transpose{axes}d", options, dtype, (2, c_in, *size), layout, more, tolerance)


def large() -> Iterator[Check]:
    """Yield what has more than 2**31 values, most of it bytes; torch is not asked, as it is wrong or fails there."""
    whole, half = 8192, 4096
    up = {"size": (whole, whole)}
    for dtype, mode, layout in (
        ("uint8", "nearest", "first"), ("uint8", "nearest", "last"), ("uint8", "bilinear", "first"),
        ("float16", "bilinear", "first"),
    ):  # fmt: skip
        tolerance = int(dtype == "float16")
        shape = (1, 33, half, half) if layout == "last" else (33, 1, half, half)
        yield check("interpolate", {**up, "mode": mode}, dtype, shape, layout, (), tolerance, torch=False)
    plane = {"size": (50000, 50000), "mode": "nearest"}
    down = {"size": (1000, 1000), "mode": "bilinear", "antialias": True}
    yield check("interpolate", plane, "uint8", (1, 1, 25000, 25000), torch=False)
    yield check("interpolate", down, "uint8", (33, 1, whole, whole), torch=False)
    yield check("pixel_shuffle", {"upscale_factor": 2}, "uint8", (33, 4, half, half), torch=False)
    yield check("max_pool2d", {"kernel_size": 2}, "uint8", (33, 1, whole, whole), torch=False)


def checks(some: bool = False) -> list[Check]:
    """Return all checks, or one of each dozen of those that are small."""
    small = [*interpolations(), *shuffles(), *pools(), *convolutions()]
    if not some:
        return [*small, *large()]
    # a step that divides none of the numbers of layouts and sizes, so that all of them come
    return [item for item in small if "output_size" not in item.options or item.dtype != "float64"][::13]


class Device(NamedTuple):
    """How the checks reach a device, which in tests is a simulated one."""

    upload: Callable[[Laid], Any]
    fetch: Callable[[Any], np.ndarray]
    poison: Callable[[int, int], None]
    """Fills the memory that results of so many bytes will come from with a byte."""
    reference: Callable[[str, list[Any], Options], Any] | None = None
    """Calls torch's function of this name, and raises if it has none for such arrays."""


class Outcome(NamedTuple):
    """What came of a check."""

    kind: str
    problem: str
    """Empty if all is well."""
    ulps: float | None
    """The largest difference from the CPU, in units in the last place of the largest magnitude; None if not known."""
    from_torch: float | None
    """The same from torch on the device."""


def outcome(item: Check, seed: int, device: Device) -> Outcome:
    """Compare a device's result with the CPU's, and with torch's where it has one; `seed` gives the data."""
    arrays = item.make(np.random.default_rng(seed))
    function = getattr(F, item.call)
    expected = _several(function(*(array.view for array in arrays), **item.options))
    on_device = [device.upload(array) for array in arrays]
    device.poison(max(array.nbytes for array in expected), 0xFF if item.dtype in FLOATS else 0xA5)
    results = _several(function(*on_device, **item.options))
    found = [device.fetch(result) for result in results]
    problems, ulps = [], 0.0
    for result, values, wanted in zip(results, found, expected, strict=True):
        far = difference(values, wanted)
        same = far <= item.tolerance if item.tolerance and wanted.dtype.kind == "f" else same_bits(values, wanted)
        ulps = max(ulps, far)
        if values.shape != wanted.shape or values.dtype != wanted.dtype:
            problems.append(f"is {values.dtype} {values.shape} and not {wanted.dtype} {wanted.shape}")
        elif not same:
            problems.append(f"differs by {far:.3g} ulp")
        elif steps(result) != _steps(wanted.shape, wanted.strides):
            problems.append(f"has strides {steps(result)} and not {_steps(wanted.shape, wanted.strides)}")
    from_torch = None
    if device.reference is not None and item.torch and not problems:
        try:
            theirs = [device.fetch(array) for array in _several(device.reference(item.call, on_device, item.options))]
            from_torch = max(map(difference, found, theirs))
        except (RuntimeError, NotImplementedError, TypeError, ValueError):
            pass  # torch has no such function for these arrays
    return Outcome(item.kind, "; ".join(problems), ulps, from_torch)


def _several(result: Any) -> tuple[Any, ...]:
    return result if isinstance(result, tuple) else (result,)


def steps(result: Any) -> Shape | None:
    """Return the strides in bytes of a result's axes of more than one value."""
    interface = result.__cuda_array_interface__
    shape, strides = interface["shape"], interface.get("strides")
    if strides is None:
        return _steps(shape, np.empty((0, *shape), np.dtype(interface["typestr"])).strides[1:])
    return _steps(shape, strides)


def _steps(shape: Shape, strides: Shape) -> Shape:
    return tuple(step for step, length in zip(strides, shape, strict=True) if length > 1)


_PART = 1 << 24  # values that are compared at once


def _parts(*arrays: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    """Yield pieces of arrays of one shape, all in the order in which the last of them lies in memory."""
    order = sorted(range(arrays[-1].ndim), key=lambda axis: -arrays[-1].strides[axis])
    flat = [np.ascontiguousarray(array.transpose(order)).reshape(-1) for array in arrays]
    for begin in range(0, flat[0].size, _PART):
        yield tuple(array[begin : begin + _PART] for array in flat)


def same_bits(found: np.ndarray, expected: np.ndarray) -> bool:
    if found.shape != expected.shape or found.dtype != expected.dtype:
        return False
    return all(np.array_equal(a.view(np.uint8), b.view(np.uint8)) for a, b in _parts(found, expected))


def difference(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference in units in the last place of the largest magnitude, 1 for integers.

    It is infinite where shapes, types, NaN or infinities differ.
    """
    if found.shape != expected.shape or found.dtype != expected.dtype:
        return math.inf
    if expected.dtype.kind not in "fiu":
        return 0.0 if same_bits(found, expected) else math.inf
    farthest = 0.0
    for a, b in _parts(found, expected):
        if np.array_equal(a.view(np.uint8), b.view(np.uint8)):
            continue
        a, b = a.astype(np.float64), b.astype(np.float64)
        differs = (a != b) & ~(np.isnan(a) & np.isnan(b))
        with np.errstate(invalid="ignore"):
            apart = np.abs(a[differs] - b[differs])
        farthest = max(farthest, float(apart.max(initial=0)) if np.isfinite(apart).all() else math.inf)
    if not farthest or expected.dtype.kind != "f":
        return farthest
    wide = np.result_type(expected.dtype, np.float32)  # NumPy is slow in float16
    sizes = (np.abs(part.astype(wide, copy=False)) for (part,) in _parts(expected))
    magnitude = max(float(size.max(where=np.isfinite(size), initial=0)) for size in sizes)
    return farthest / float(np.spacing(expected.dtype.type(magnitude)))
