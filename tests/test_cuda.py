"""The CUDA backend on a simulated device: kernels as they are compiled for a GPU, run by the CPU."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simulated_cuda
import torch
from PIL import Image
from resample_cli.main import main
from simulated_cuda import Array, Driver, fetched

import resample
import resample.functional as F
from resample import devices, nn
from resample.kernels import store
from resample.kernels.cuda import byte_shrinking, byte_sums, driver, passes
from resample.kernels.cuda.constants import LIVE_OF_FOUR

# numbers of axes, modes and flags
MODES = [
    *((n, mode, {}) for n, mode in itertools.product((1, 2, 3), ("nearest", "nearest-exact", "area"))),
    *((1, "linear", {"align_corners": aligned}) for aligned in (False, True)),
    *((2, mode, {"align_corners": aligned}) for mode in ("bilinear", "bicubic") for aligned in (False, True)),
    *((3, "trilinear", {"align_corners": aligned}) for aligned in (False, True)),
    *((2, mode, {"antialias": True}) for mode in ("bilinear", "bicubic", "lanczos")),
]
SIZES = {1: [(7, 19), (40, 9)], 2: [((9, 7), (18, 12)), ((20, 33), (7, 5)), ((5, 6), (5, 14)), ((1, 1), (3, 2))]}
SIZES[2] += [((70, 31), (33, 40)), ((60, 9), (1, 3))]
SIZES[3] = [((3, 5, 4), (6, 7, 8)), ((6, 9, 8), (2, 9, 5))]


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[Driver]:
    with simulated_cuda.simulated(monkeypatch) as found:
        yield found


def layouts(values: np.ndarray) -> list[np.ndarray]:
    """Return the array with channels first, last, with gaps, and backwards."""
    last = np.moveaxis(np.ascontiguousarray(np.moveaxis(values, 1, -1)), -1, 1)
    gaps = np.zeros((*values.shape[:-1], 2 * values.shape[-1]), values.dtype)[..., ::2]
    gaps[...] = values
    return [values, last, gaps, np.ascontiguousarray(values[..., ::-1])[..., ::-1]]


def sample(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    rng = np.random.default_rng(1)
    if dtype == "uint8":
        return rng.integers(0, 256, shape, np.uint8)
    return rng.standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32", "float64"])
@pytest.mark.parametrize(("axes", "mode", "flags"), MODES)
def test_interpolate_is_the_cpus(axes: int, mode: str, flags: dict[str, bool], dtype: str, cuda: Driver) -> None:
    row = resample.interpolate.MODES[mode]
    if dtype not in row.dtypes or (dtype == "float16" and flags.get("antialias")):
        pytest.skip("torch has no such kernel")
    for (size, out), channels in itertools.product(SIZES[axes], (1, 3, 4, 17)):
        size = size if isinstance(size, tuple) else (size,)
        for view in layouts(sample((2, channels, *size), dtype)):
            options = {"size": out, "mode": mode, **flags}
            expected = F.interpolate(view, **options)
            result = F.interpolate(Array(view), **options)
            values = fetched(result)
            if row.copies or dtype == "uint8":
                np.testing.assert_array_equal(values, expected)
            else:
                eps = np.finfo(dtype).eps
                np.testing.assert_allclose(values, expected, rtol=2 * eps, atol=4 * eps)
            strides = [step for step, n in zip(expected.strides, expected.shape, strict=True) if n > 1]
            assert [s for s, n in zip(result.strides, result.shape, strict=True) if n > 1] == strides
    assert cuda.synchronized == 0


def test_every_kernel_for_sums_runs(cuda: Driver) -> None:
    for width, channels, mode in itertools.product((5, 6, 8), (1, 16, 17, 18), ("bilinear", "bicubic")):
        view = sample((1, channels, 4, 7), "float32").transpose(0, 2, 3, 1).copy().transpose(0, 3, 1, 2)
        F.interpolate(Array(view), size=(6, width), mode=mode)
        F.interpolate(Array(view), size=(4, width), mode=mode, antialias=True)
        F.interpolate(Array(view), size=(9, 3), mode=mode, antialias=True)
    wanted = {f"contract_planes_{taps}_{lanes}" for taps in (2, 4) for lanes in (1, 2, 4)}
    wanted |= {"contract_beside_2_4", "contract_beside_4_4"}
    wanted |= {f"contract_rows_{lanes}" for lanes in (1, 2, 4)} | {"contract_columns"}
    for mode, planes in itertools.product(("bilinear", "bicubic", "lanczos"), (3, 6)):
        F.interpolate(Array(sample((1, planes, 20, 9), "float32")), size=(7, 4), mode=mode, antialias=True)
    wanted |= {f"contract_down_{live}_{images}" for live in (3, 5, 7) for images in (1, 4)}
    assert {name for name, *_ in cuda.launches} == wanted


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_every_way_to_read_samples(dtype: str, cuda: Driver) -> None:
    """Side by side, in windows at both ends of rows of any alignment, and too far apart for one."""
    widths = (3, 8), (4, 12), (7, 16), (9, 20), (10, 15), (40, 16)
    modes = "bilinear", "bicubic"
    for (width, out), channels, mode, aligned in itertools.product(widths, (1, 2, 3, 4, 8), modes, (False, True)):
        for view in layouts(sample((2, channels, 5, width), dtype))[:2]:
            options = {"size": (11, out), "mode": mode, "align_corners": aligned}
            result, eps = fetched(F.interpolate(Array(view), **options)), np.finfo(dtype).eps
            np.testing.assert_allclose(result, F.interpolate(view, **options), rtol=2 * eps, atol=4 * eps)
    wanted = {f"contract_{way}_{taps}_2" for way in ("planes", "beside") for taps in (2, 4)}
    if dtype == "float16":
        wanted = {f"contract_{way}_{taps}_{n}" for way in ("beside", "halves") for taps in (2, 4) for n in (4, 8)}
        wanted |= {"contract_planes_2_8"}
    names = {name for name, *_ in cuda.launches}
    assert names >= wanted, wanted - names


def test_every_kernel_for_bytes_runs(cuda: Driver) -> None:
    """Windows at both ends of rows, for rows of any alignment, and samples that lie too far apart for one."""
    widths = (8, 20), (9, 16), (11, 24), (20, 32), (24, 16), (20, 12), (90, 12)
    modes = "bilinear", "bicubic"
    for (width, out), channels, height, mode in itertools.product(widths, (1, 2, 3, 4), (3, 17), modes):
        for view in layouts(sample((2, channels, 9, width), "uint8"))[:2]:
            for aligned in (False, True):
                options = {"size": (height, out), "mode": mode, "align_corners": aligned}
                result = fetched(F.interpolate(Array(view), **options))
                np.testing.assert_array_equal(result, F.interpolate(view, **options))
    wanted = {f"contract_bytes_{n}_{g}_{w}" for n in (2, 4) for g, w in byte_sums.GROUPS_AND_WORDS}
    assert {name for name, *_ in cuda.launches} == wanted | {f"contract_planes_{n}_4" for n in (2, 4)}


def test_every_kernel_that_shrinks_bytes_runs(cuda: Driver) -> None:
    """Rows of any alignment, heights that are no multiple of four, one output and many, and rows too short for four."""
    sizes = ((21, 31), (10, 12)), ((40, 50), (20, 20)), ((27, 45), (26, 15)), ((90, 9), (1, 3)), ((31, 60), (30, 4))
    modes = "bilinear", "bicubic", "lanczos"
    for (size, out), channels, mode in itertools.product((*sizes, ((9, 3), (4, 2))), (1, 2, 3, 4), modes):
        for view in layouts(sample((2, channels, *size), "uint8"))[:2]:
            options = {"size": out, "mode": mode, "antialias": True}
            np.testing.assert_array_equal(
                fetched(F.interpolate(Array(view), **options)), F.interpolate(view, **options)
            )
    shapes = itertools.product(byte_shrinking.CHANNELS_AND_PIXELS, LIVE_OF_FOUR)
    wanted = {f"shrink_bytes_{c}_{p}_{n}" for (c, p), n in shapes}
    names = {name for name, *_ in cuda.launches}
    assert names >= wanted, wanted - names


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_segments_of_rows(dtype: str, cuda: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that two segments share, and the last ones, which end together at the edge."""
    monkeypatch.setattr(passes, "BLOCKS", 1)  # segments of 64, 32 or 16 rows
    for (height, out), mode in itertools.product(((200, 131), (150, 70), (400, 33), (90, 89)), ("bilinear", "lanczos")):
        view = sample((1, 2, height, 40), dtype)
        options = {"size": (out, 17 if mode == "bilinear" else 20), "mode": mode, "antialias": True}
        expected = F.interpolate(view, **options)
        cuda.launches.clear()
        result = fetched(F.interpolate(Array(view), **options))
        if dtype == "uint8":
            np.testing.assert_array_equal(result, expected)
        else:
            np.testing.assert_allclose(result, expected, rtol=1e-6, atol=2e-6)
        way = "shrink_bytes" if dtype == "uint8" else "contract_down"
        assert [name.startswith(way) for name, *_ in cuda.launches] == [True]


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_a_thread_walks_down_rows(dtype: str, cuda: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of samples that outputs share are resampled along the width once, in segments of any length."""
    for blocks, (height, out), mode, aligned in itertools.product(
        (0, 1, 64), ((9, 40), (40, 41), (70, 33), (5, 200)), ("bilinear", "bicubic"), (False, True)
    ):
        monkeypatch.setattr(passes, "BLOCKS", blocks)
        passes.planned.cache_clear()
        view = sample((1, 2, height, 9), dtype)
        options = {"size": (out, 12), "mode": mode, "align_corners": aligned}
        expected, result = F.interpolate(view, **options), fetched(F.interpolate(Array(view), **options))
        if dtype == "uint8":
            np.testing.assert_array_equal(result, expected)
        else:
            np.testing.assert_allclose(result, expected, rtol=4 * np.finfo(dtype).eps, atol=8 * np.finfo(dtype).eps)
    kinds = {"contract_bytes_2_1_2", "contract_bytes_4_1_2"} if dtype == "uint8" else set()
    kinds |= {f"contract_planes_{t}_{n}" for t in (2, 4) for n in (2, 4)}
    assert {name for name, *_ in cuda.launches} <= kinds


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_infinities_stay_where_they_are(dtype: str, cuda: Driver) -> None:
    """Rows at the edge have fewer taps: what fills them up must not make NaN of an infinite neighbour."""
    array = np.ones((1, 1, 6, 6), dtype)
    array[0, 0, 0, 0], array[0, 0, -1, -1], array[0, 0, 3, 3] = np.inf, -np.inf, np.nan
    for mode, size in itertools.product(("bilinear", "bicubic", "area"), ((12, 12), (3, 3), (7, 6))):
        expected = F.interpolate(array, size=size, mode=mode)
        result = fetched(F.interpolate(Array(array), size=size, mode=mode))
        np.testing.assert_allclose(result, expected, rtol=8 * np.finfo(dtype).eps)


def test_a_row_of_minus_zero_stays_so(cuda: Driver) -> None:
    array = np.full((1, 1, 5, 5), -0.0, np.float32)
    assert np.signbit(fetched(F.interpolate(Array(array), size=(9, 9), mode="bilinear"))).all()


def test_more_planes_than_a_grid_has(cuda: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads loop over the rows and planes that grids leave over."""
    monkeypatch.setattr(passes, "BLOCKS", 3)
    monkeypatch.setattr(passes, "MOST_BLOCKS", 2)
    view = sample((5, 40, 9, 7), "float32")
    for options in (
        {"size": (23, 8), "mode": "bilinear"},
        {"size": (4, 3), "mode": "bicubic", "antialias": True},
        {"size": (23, 8), "mode": "nearest"},
        {"size": (4, 3), "mode": "area"},
    ):
        for array in layouts(view):
            np.testing.assert_allclose(
                fetched(F.interpolate(Array(array), **options)), F.interpolate(array, **options), rtol=1e-5, atol=1e-6
            )


@pytest.mark.parametrize(
    "dtype", ["float16", "float32", "float64", "uint8", "int16", "bool", "complex64", "complex128"]
)
def test_pixel_shuffle_is_the_cpus(dtype: str, cuda: Driver) -> None:
    for shape, r in (((2, 12, 5, 6), 2), ((9, 4, 6), 3), ((2, 2, 8, 3, 5), 2), ((1, 4, 1, 1), 2), ((3, 36, 7, 33), 6)):
        array = (np.random.default_rng(2).random(shape) * 200).astype(dtype)
        for view in (array, np.moveaxis(np.ascontiguousarray(np.moveaxis(array, -3, -1)), -1, -3)):
            shuffled = F.pixel_shuffle(view, r)
            result = F.pixel_shuffle(Array(view), r)
            np.testing.assert_array_equal(fetched(result), shuffled)
            np.testing.assert_array_equal(fetched(F.pixel_unshuffle(result, r)), view)
            np.testing.assert_array_equal(fetched(F.pixel_unshuffle(Array(shuffled), r)), view)
    assert cuda.synchronized == 0


def test_results_are_new(cuda: Driver) -> None:
    array = Array(sample((1, 2, 4, 5), "float32"))
    for result in (
        F.interpolate(array, size=(4, 5), mode="bilinear"),
        F.interpolate(array, size=(4, 5)),
        F.pixel_shuffle(array, 1),
    ):
        assert result.__cuda_array_interface__["data"][0] != array.memory.address
        np.testing.assert_array_equal(fetched(result), sample((1, 2, 4, 5), "float32"))


def test_empty_batch(cuda: Driver) -> None:
    result = F.interpolate(Array(np.empty((0, 3, 4, 5), np.float32)), size=(2, 2), mode="bilinear")
    assert result.shape == (0, 3, 2, 2)
    assert not cuda.launches


def test_the_callers_stream(cuda: Driver) -> None:
    F.interpolate(Array(sample((1, 1, 4, 4), "float32"), stream=1234), scale_factor=2.0, mode="bilinear")
    F.interpolate(Array(sample((1, 1, 4, 4), "float32")), scale_factor=2.0, mode="bilinear")
    assert [launch[-1] for launch in cuda.launches] == [1234, 1]
    assert not cuda.synchronized
    # a library that does not tell of its stream could give its memory back too early, or read ours
    F.interpolate(Array(sample((1, 1, 4, 4), "float32"), stream=None), scale_factor=2.0, mode="bilinear")
    assert cuda.synchronized == 1


def test_a_second_call_waits_for_nothing(cuda: Driver) -> None:
    array = Array(sample((1, 3, 9, 9), "float32"))
    F.interpolate(array, size=(4, 4), mode="bicubic", antialias=True)
    uploads, copies, launches = cuda.uploads, cuda.copies, len(cuda.launches)
    assert uploads
    F.interpolate(array, size=(4, 4), mode="bicubic", antialias=True)
    assert (cuda.uploads, cuda.copies, cuda.synchronized) == (uploads, copies, 0)
    assert len(cuda.launches) == 2 * launches


def test_memory_that_vectors_cannot_be_read_from(cuda: Driver) -> None:
    """A view may lie in order and yet begin between the places of vectors."""
    memory = Array(sample((1 + 2 * 16 * 5 * 4,), "float32"))
    whole = fetched(devices.borrowed("input", memory)[0])
    for offset in (0, 1):
        view = Array.__new__(Array)
        view.__cuda_array_interface__ = {
            **memory.__cuda_array_interface__, "shape": (2, 5, 4, 16), "strides": None,
            "data": (memory.memory.address + 4 * offset, False),
        }  # fmt: skip
        values = whole[offset : offset + 640].reshape(2, 5, 4, 16)
        for options in ({"size": (9, 16), "mode": "bicubic", "antialias": True}, {"size": (3, 16), "mode": "bilinear"}):
            result = fetched(F.interpolate(view, **options))
            np.testing.assert_allclose(result, F.interpolate(values, **options), rtol=1e-5, atol=1e-6)
    view.__cuda_array_interface__["data"] = (memory.memory.address + 2, False)
    with pytest.raises(ValueError, match="input must lie at multiples of the 4 bytes of float32"):
        F.interpolate(view, size=(3, 3))
    view.__cuda_array_interface__.update(data=(memory.memory.address, False), typestr=">f4")
    with pytest.raises(TypeError, match="input must be of native byte order on a GPU, got >f4"):
        F.interpolate(view, size=(3, 3))


def test_memory_is_given_back(cuda: Driver) -> None:
    for _ in range(3):
        F.interpolate(Array(sample((1, 3, 9, 9), "float32")), size=(4, 4), mode="bicubic", antialias=True)
    tables = len(cuda.blocks)
    F.interpolate(Array(sample((1, 3, 9, 9), "float32")), size=(4, 4), mode="bicubic", antialias=True)
    assert len(cuda.blocks) == tables


def test_tables_that_a_graph_reads_are_kept(cuda: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_captured", [])
    array = Array(sample((1, 1, 4, 4), "float32"))
    F.interpolate(array, size=(8, 8), mode="bilinear")
    assert not devices._captured
    cuda.capturing = True
    F.interpolate(array, size=(8, 8), mode="bilinear")
    assert devices._captured


def tensor_library() -> tuple[types.ModuleType, type]:
    """Return a module `torch` with as much of CUDA tensors as is asked of them, whose memory is simulated."""
    library = types.ModuleType("torch")

    class Tensor:
        __module__ = "torch"

        def __init__(self, memory: Any, shape: tuple[int, ...], steps: tuple[int, ...], dtype: str) -> None:
            self.memory, self.shape, self.steps, self.dtype = memory, shape, steps, f"torch.{dtype}"
            self.requires_grad = self.conjugated = False
            self.device = types.SimpleNamespace(index=0)

        def __dlpack_device__(self) -> tuple[int, int]:
            return 2, 0

        def data_ptr(self) -> int:
            return self.memory.address

        def stride(self) -> tuple[int, ...]:
            return self.steps

        def is_conj(self) -> bool:
            return self.conjugated

        def is_neg(self) -> bool:
            return False

        def view(self, dtype: str) -> Tensor:
            return Tensor(self.memory, self.shape, self.steps, dtype)

        def as_strided(self, shape: tuple[int, ...], steps: list[int]) -> Tensor:
            return Tensor(self.memory, shape, tuple(steps), self.dtype.removeprefix("torch."))

    def empty(nbytes: int, dtype: str, device: Any) -> Tensor:
        return Tensor(driver.Memory(nbytes, 0), (nbytes,), (1,), dtype)

    for name in ("uint8", "float32"):
        setattr(library, name, name)
    library.empty = empty
    library.cuda = types.SimpleNamespace(current_stream=lambda device: types.SimpleNamespace(cuda_stream=99))
    return library, Tensor


def test_torch_tensors(cuda: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    library, tensor_type = tensor_library()
    monkeypatch.setitem(sys.modules, "torch", library)
    values = sample((1, 2, 4, 5), "float32")
    array = Array(values)
    tensor = tensor_type(array.memory, (1, 2, 4, 5), (40, 20, 5, 1), "float32")
    result = F.interpolate(tensor, scale_factor=2.0, mode="bilinear")
    assert isinstance(result, tensor_type)
    assert (result.shape, result.steps, result.dtype) == ((1, 2, 8, 10), (160, 80, 10, 1), "torch.float32")
    assert cuda.launches[-1][-1] == 99
    view = devices.DeviceArray(
        result.data_ptr(), result.shape, tuple(4 * s for s in result.steps), values.dtype, devices._origin(0, 1), result
    )
    np.testing.assert_allclose(
        fetched(view), F.interpolate(values, scale_factor=2.0, mode="bilinear"), rtol=1e-6, atol=1e-6
    )
    tensor.requires_grad = True
    with pytest.raises(ValueError, match="input must not require a gradient"):
        F.interpolate(tensor, scale_factor=2.0)
    tensor.requires_grad, tensor.conjugated = False, True
    with pytest.raises(ValueError, match="input must be resolved"):
        F.interpolate(tensor, scale_factor=2.0)
    tensor.conjugated, tensor.dtype = False, "torch.bfloat16"
    with pytest.raises(TypeError, match=r"input must have a dtype that NumPy has, got torch\.bfloat16"):
        F.interpolate(tensor, scale_factor=2.0)


def test_dlpack(cuda: Driver) -> None:
    """What speaks DLPack alone: here the capsule of a CPU tensor that is said to lie on a device."""
    values = torch.from_numpy(sample((1, 2, 4, 5), "float32")).transpose(2, 3)

    class Exporter:
        def __dlpack_device__(self) -> tuple[int, int]:
            return 2, 0

        def __dlpack__(self, stream: int) -> Any:
            assert stream == 1
            return values.__dlpack__()

    view, _ = devices.borrowed("input", Exporter())
    assert (view.shape, view.strides, view.dtype) == ((1, 2, 5, 4), (160, 80, 4, 20), np.float32)
    assert view.address == values.data_ptr()


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic", "lanczos", "area"])
@pytest.mark.parametrize("form", ["L", "RGB", "RGBA", "LA", "P", "1", "I;16", "F", "CMYK"])
def test_resize_of_pictures_has_the_cpus_bytes(form: str, mode: str, cuda: Driver) -> None:
    rng = np.random.default_rng(3)
    channels = {"RGB": 3, "RGBA": 4, "LA": 2, "CMYK": 4}.get(form, 0)
    if form in ("I;16", "F"):
        values = rng.integers(0, 60000, (11, 13)).astype(np.uint16 if form == "I;16" else np.float32)
        image = Image.fromarray(values)
    else:
        values = rng.integers(0, 256, (11, 13, channels) if channels else (11, 13), np.uint8)
        image = Image.fromarray(values, form if channels else None).convert(form)
    for size in ((22, 26), (5, 9)):
        expected = np.asarray(resample.resize(image, size, mode=mode))
        result = resample.resize(image, size, mode=mode, device="cuda")
        if form == "F" and mode != "nearest":
            np.testing.assert_allclose(np.asarray(result), expected, rtol=1e-6)
        else:
            # halves that are rounded from floats may fall to either side
            off = int(form in ("I;16", "RGBA", "LA") or mode == "area")
            assert np.abs(np.asarray(result).astype(int) - expected.astype(int)).max() <= off
            assert (np.asarray(result) == expected).mean() > 0.98
        assert result.mode == resample.resize(image, size, mode=mode).mode
    assert cuda.launches


@pytest.mark.parametrize("form", ["L", "RGB", "RGBA", "LA", "I;16"])
def test_resize_in_linear_light(form: str, cuda: Driver) -> None:
    rng = np.random.default_rng(3)
    if form == "I;16":
        image = Image.fromarray(rng.integers(0, 60000, (11, 13)).astype(np.uint16))
    else:
        image = Image.fromarray(rng.integers(0, 256, (11, 13, 4), np.uint8)).convert(form)
    for size in ((22, 26), (5, 9)):
        expected = np.asarray(resample.resize(image, size, linear=True))
        result = np.asarray(resample.resize(image, size, linear=True, device="cuda"))
        assert np.abs(result.astype(int) - expected.astype(int)).max() <= 1
        assert (result == expected).mean() > 0.98
    assert cuda.launches


def test_resize_of_arrays(cuda: Driver) -> None:
    array = sample((9, 7, 3), "uint8")
    expected = resample.resize(array, scale=2)
    np.testing.assert_array_equal(resample.resize(array, scale=2, device="cuda:0"), expected)
    np.testing.assert_array_equal(fetched(resample.resize(Array(array), scale=2)), expected)
    np.testing.assert_array_equal(
        fetched(resample.resize(Array(array[..., 0]), scale=2, device="cuda")), expected[..., 0]
    )
    out = np.empty_like(expected)
    assert resample.resize(array, scale=2, device="cuda", out=out) is out
    np.testing.assert_array_equal(out, expected)
    big = array.astype(">f4")
    np.testing.assert_allclose(resample.resize(big, scale=2, device="cuda"), resample.resize(big, scale=2), rtol=1e-6)


def test_wrong_devices(cuda: Driver) -> None:
    array = sample((9, 7, 3), "uint8")
    for device in ("gpu", "cuda:", "cuda:x", "cuda1", "cuda:-1"):
        with pytest.raises(ValueError, match=f"device must be 'cpu', 'cuda' or 'cuda:' and a number, got '{device}'"):
            resample.resize(array, scale=2, device=device)
    with pytest.raises(RuntimeError, match="device must be less than the number of CUDA devices, 1, got 3"):
        resample.resize(array, scale=2, device="cuda:3")
    with pytest.raises(ValueError, match="device must be None or the array's own, 'cuda:0', got 'cpu'"):
        resample.resize(Array(array), scale=2, device="cpu")
    with pytest.raises(ValueError, match="linear must be False for an array of a GPU, got True"):
        resample.resize(Array(array), scale=2, linear=True)
    with pytest.raises(TypeError, match="out must be None for an array of a GPU"):
        resample.resize(Array(array), scale=2, out=np.empty((18, 14, 3), np.uint8))
    with pytest.raises(TypeError, match=r"image must be .*uint8 on a GPU for mode 'bilinear', got int16"):
        resample.resize(Array(array.astype(np.int16)), scale=2)


def test_no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    driver.library.cache_clear()
    monkeypatch.setattr(driver.ctypes, "CDLL", absent)
    with pytest.raises(RuntimeError, match="CUDA needs a machine with an NVIDIA GPU and its driver, whose library"):
        resample.resize(np.zeros((4, 4), np.uint8), scale=2, device="cuda")


def test_a_card_that_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        simulated_cuda.simulated(monkeypatch, capability=(7, 0)),
        pytest.raises(RuntimeError, match=r"compute capability 7\.5 or more is needed, device 0 has 7\.0"),
    ):
        resample.resize(np.zeros((4, 4), np.uint8), scale=2, device="cuda")


def test_no_memory(cuda: Driver) -> None:
    with pytest.raises(MemoryError, match="cuMemAllocAsync"):
        F.interpolate(Array(np.zeros((1, 1, 2, 2), np.float32)), size=(40000, 40000))


def test_code_is_kept(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store keeps PTX as it keeps object code, and a second process need not compile."""
    monkeypatch.setenv(store.FOLDER_VARIABLE, str(tmp_path))
    kernel = ("resample.kernels.cuda.copies", "copy_4", passes.copy_types(4))
    code = driver._code(*kernel)
    assert code.endswith(b"\0")
    assert b".entry kernel(" in code
    monkeypatch.setattr(driver, "_compiled", lambda *_: pytest.fail("compiled again"))
    assert driver._code(*kernel) == code


def test_the_command(cuda: Driver, tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    values = sample((40, 30, 3), "uint8")
    Image.fromarray(values).save(tmp_path / "a.png")
    assert main([str(tmp_path / "a.png"), "--scale", "2", "--device", "cuda", "-o", str(tmp_path / "b.png")]) == 0
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "b.png")), resample.resize(values, scale=2))
    assert cuda.launches
    assert main([str(tmp_path / "a.png"), "--scale", "2", "--device", "cuda:7", "-o", str(tmp_path / "c.png")]) == 1
    assert "device must be less than the number of CUDA devices, 1, got 7" in capsys.readouterr().err
    assert not (tmp_path / "c.png").exists()
    for number in range(5):
        Image.fromarray(values).save(tmp_path / f"in{number}.png")
    names = [str(tmp_path / f"in{number}.png") for number in range(5)]
    assert main([*names, "--scale", "2", "--device", "cuda", "-j", "3", "-o", f"{tmp_path}/out/"]) == 0
    for path in (tmp_path / "out").iterdir():
        np.testing.assert_array_equal(np.asarray(Image.open(path)), resample.resize(values, scale=2))


def test_operators_that_take_no_arrays_of_a_gpu(cuda: Driver) -> None:
    array = Array(sample((4, 4, 3), "uint8"))
    for call in (
        lambda: resample.phases(array, 2),
        lambda: resample.conv_transpose(array, np.ones((1, 1, 2, 2))),
        lambda: resample.from_phases([array] * 4),
    ):
        with pytest.raises(TypeError, match="image must be a PIL image or an array on the CPU"):
            call()


def test_layers(cuda: Driver) -> None:
    values = sample((1, 4, 5, 6), "float32")
    assert fetched(nn.Upsample(scale_factor=2, mode="bilinear")(Array(values))).shape == (1, 4, 10, 12)
    assert fetched(nn.PixelShuffle(2)(Array(values))).shape == (1, 1, 10, 12)
    layer = nn.ConvTranspose2d(4, 3, 4, stride=2, padding=1, seed=1)
    expected = layer(values)
    weight = layer.weight
    assert layer.to("cuda") is layer
    np.testing.assert_allclose(fetched(layer(Array(values))), expected, rtol=1e-5, atol=1e-6)
    assert layer(Array(values), output_size=(11, 13)).shape == (1, 3, 11, 13)
    np.testing.assert_array_equal(layer.state_dict()["weight"], weight)
    layer.load_state_dict({name: 2 * array for name, array in layer.state_dict().items()})
    np.testing.assert_allclose(fetched(layer(Array(values))), 2 * expected, rtol=1e-5, atol=1e-6)
    layer.to("cpu")
    np.testing.assert_allclose(layer(values), 2 * expected, rtol=1e-5, atol=1e-6)
    on_gpu = nn.ConvTranspose2d(4, 3, 4, stride=2, padding=1, device="cuda:0", bias=False)
    assert on_gpu(Array(values)).shape == (1, 3, 10, 12)
    with pytest.raises(ValueError, match="device must be 'cpu', 'cuda' or 'cuda:' and a number, got 'gpu'"):
        layer.to("gpu")


def test_each_thread_has_its_own_way(cuda: Driver) -> None:
    """A stream and pinned memory, which the next thread takes over."""
    array = sample((9, 7, 3), "uint8")
    expected = resample.resize(array, scale=2)
    streams = []

    def work() -> None:
        for _ in range(3):
            np.testing.assert_array_equal(resample.resize(array, scale=2, device="cuda"), expected)
        streams.append(devices._way(0).stream)

    for _ in range(2):
        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
            thread.join()
    assert len(streams) == 4
    assert len(cuda.pinned) <= 2


def test_empty_results(cuda: Driver) -> None:
    array = sample((1, 2, 4, 5), "float32")
    for size in ((0, 0), (0, 3), (3, 0)):
        expected = F.interpolate(array, size=size, mode="area")
        assert F.interpolate(Array(array), size=size, mode="area").shape == expected.shape


def test_without_pools_of_memory(cuda: Driver) -> None:
    cuda.has_pools = False
    values = sample((1, 2, 4, 5), "float32")
    result = F.interpolate(Array(values), scale_factor=2.0, mode="bilinear")
    np.testing.assert_allclose(
        fetched(result), F.interpolate(values, scale_factor=2.0, mode="bilinear"), rtol=1e-6, atol=1e-6
    )


def test_more_rows_than_a_grid_has(cuda: Driver) -> None:
    """Then the axes go one after the other."""
    view = sample((1, 1, 400000, 2), "uint8")
    options = {"size": (66000, 1), "mode": "bilinear", "antialias": True}
    np.testing.assert_array_equal(fetched(F.interpolate(Array(view), **options)), F.interpolate(view, **options))
    assert "contract_columns" in {name for name, *_ in cuda.launches}


def test_hostile_interfaces(cuda: Driver) -> None:
    array = Array(sample((1, 2, 4, 5), "float32"))
    whole = dict(array.__cuda_array_interface__)
    for wrong in ({"data": (0, False)}, {"data": (None, False)}, {"strides": (4,)}):
        array.__cuda_array_interface__ = {**whole, **wrong}
        with pytest.raises(ValueError, match="input must have memory and a stride for each axis"):
            F.interpolate(array, size=(3, 3))
    array.__cuda_array_interface__ = {**whole, "mask": array}
    with pytest.raises(ValueError, match="input must not have a mask"):
        F.interpolate(array, size=(3, 3))
    for device in (0, True, b"cuda"):
        with pytest.raises(TypeError, match="device must be a str or None"):
            resample.resize(np.zeros((4, 4), np.uint8), scale=2, device=device)  # type: ignore[arg-type]


def test_the_end_of_a_process_is_quiet(tmp_path: Any) -> None:
    code = """
import pytest, numpy as np, resample, simulated_cuda
with simulated_cuda.simulated(pytest.MonkeyPatch()):
    resample.resize(np.zeros((4, 4), np.uint8), scale=2, device="cuda")
    import sys
    sys.exit()
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parent, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
