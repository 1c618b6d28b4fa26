"""torch's transposed convolutions on NumPy and CUDA arrays: check the arguments, plan the phases, correlate.

Every output is the sum of what it receives, computed by one owner (`kernels/convolution.py`), in one of two ways:

- by phases: outputs that receive the same taps are a small convolution of stride 1, summed in registers;
- by products: one matrix multiplication by NumPy's BLAS forms all products of samples and weights, summed over the
  input channels, and each output gathers its own. BLAS and our threads take turns.

On a GPU likewise (`kernels/cuda/convolution.py`): the matrix multiplication is that of the library of the arrays.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np

from resample import threads
from resample.arguments import Ints, check_addressable, integer, per_axis
from resample.arrays import Array
from resample.devices import DeviceArray, borrowed, rearranged
from resample.kernels import entry
from resample.kernels.cuda import driver, passes
from resample.kernels.sizes import VECTOR

Triple = tuple[int, int, int]
DType = np.dtype[Any]

DTYPES = ("float16", "float32", "float64", "int64")


def conv_transpose1d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Any:
    """Return the transposed convolution over one spatial axis; see `conv_transpose2d`."""
    return _conv_transpose(1, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Any:
    """Return the transposed convolution of `input`: `torch.nn.functional.conv_transpose2d` on NumPy arrays.

    Sample i of an axis is added, times weight k, to output `i * stride + k * dilation - padding`; outputs outside
    `conv_transpose_output_size` are dropped. That is the gradient of a convolution with the same arguments.

    int64 results equal torch's, overflow included; float results agree within rounding. float16 is computed in float32
    and rounded once. Results do not depend on the number of threads. The result is a new C-contiguous array of the
    kind of `input`.

    Arrays may be on a GPU, as those of `interpolate`: all on the same one, and given in the order of the stream of
    `input`. Many channels of torch and CuPy arrays are multiplied by their own libraries, as exactly as these are set
    to (`torch.backends.cuda.matmul.allow_tf32`).

    Args:
        input: (N, C_in, *size), or (C_in, *size) for a result without N; float16, float32, float64 or int64; any
            strides. N may be 0.
        weight: (C_in, C_out / groups, *kernel_size) of the same dtype.
        bias: (C_out,), of a dtype that converts to that of `input`.
        stride: distance between the first outputs of neighbouring samples, an int or one for each axis.
        padding: how many outputs are cut off at either end of an axis.
        output_padding: how many outputs fewer are cut off at the high end; less than stride or less than dilation.
        groups: input and output channels are split into so many groups that do not mix.
        dilation: distance between the outputs of neighbouring weights.

    Raises:
        TypeError: an argument of a type that is not listed.
        ValueError: arrays on different devices, or too large for a GPU.
        RuntimeError: shapes, dtypes or numbers that do not fit each other or are out of range.
        NotImplementedError: a dtype of `input` that is not listed.
    """
    return _conv_transpose(2, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Any:
    """Return the transposed convolution over three spatial axes; see `conv_transpose2d`."""
    return _conv_transpose(3, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose_output_size(
    size: Ints,
    kernel_size: Ints,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    dilation: Ints = 1,
) -> tuple[int, ...]:
    """Return the spatial size of a transposed convolution's result.

    For each axis `(size - 1) * stride - 2 * padding + dilation * (kernel_size - 1) + output_padding + 1`, the formula
    under "Shape" in torch's documentation of `ConvTranspose2d`. It solves the size of a convolution's result,
    `size = (out + 2 * padding - dilation * (kernel_size - 1) - 1) // stride + 1`, for `out`; the division leaves
    `stride` solutions, among which output_padding chooses.

    Args:
        size: the input's spatial size; its length is the number of axes, an int stands for one.
        kernel_size: an int or one for each axis, as all that follow.
        stride, padding, output_padding, dilation: as in `conv_transpose2d`.

    Raises:
        TypeError: an argument is not an int or a sequence of ints.
        RuntimeError: a number out of range, or a result of less than 1.
    """
    sizes = per_axis("size", size, len(size) if isinstance(size, (list, tuple)) else 1)
    kernel = per_axis("kernel_size", kernel_size, len(sizes))
    _check_least("size", sizes, 0)
    _check_least("kernel_size", kernel, 1)
    return _output_size(sizes, kernel, _steps(len(sizes), stride, padding, output_padding, dilation))


class Steps(NamedTuple):
    """The arguments that are one number for each spatial axis."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    output_padding: tuple[int, ...]
    dilation: tuple[int, ...]


def _conv_transpose(
    axes: int,
    input: Any,
    weight: Any,
    bias: Any,
    stride: Ints,
    padding: Ints,
    output_padding: Ints,
    groups: int,
    dilation: Ints,
) -> Any:
    array, give_back = borrowed("input", input)
    kernel, _ = borrowed("weight", weight)
    biases = None if bias is None else borrowed("bias", bias)[0]
    _check_devices(array, kernel, biases)
    steps = _steps(axes, stride, padding, output_padding, dilation)
    groups = integer("groups", groups)
    _check_shapes(axes, array, kernel, biases, groups)
    sizes = _output_size(array.shape[-axes:], kernel.shape[2:], steps)
    _check_dtypes(array.dtype, kernel.dtype, None if biases is None else biases.dtype)
    check_addressable((*array.shape[:-axes], *sizes), array.dtype)
    batch = array if array.ndim == axes + 2 else array[np.newaxis]
    way = _on_device if isinstance(array, DeviceArray) else convolved
    result = way(batch, kernel, biases, steps, groups, sizes)
    return give_back(result if array.ndim == axes + 2 else result[0])


def _steps(axes: int, stride: Ints, padding: Ints, output_padding: Ints, dilation: Ints) -> Steps:
    steps = Steps(
        per_axis("stride", stride, axes),
        per_axis("padding", padding, axes),
        per_axis("output_padding", output_padding, axes),
        per_axis("dilation", dilation, axes),
    )
    for name, values in steps._asdict().items():
        _check_least(name, values, 1 if name in ("stride", "dilation") else 0)
    for s, extra, d in zip(steps.stride, steps.output_padding, steps.dilation, strict=True):
        if extra >= max(s, d):
            raise RuntimeError(
                f"output_padding must be less than stride or less than dilation on each axis, got output_padding "
                f"{steps.output_padding}, stride {steps.stride} and dilation {steps.dilation}"
            )
    return steps


def _check_devices(input: Any, weight: Any, bias: Any) -> None:
    wanted = _place(input)
    for name, array in (("weight", weight), ("bias", bias)):
        if array is not None and _place(array) != wanted:
            raise ValueError(f"{name} must be on the device of input, {wanted}, got one on {_place(array)}")


def _place(array: Any) -> str:
    return f"cuda:{array.origin.device}" if isinstance(array, DeviceArray) else "cpu"


def _check_least(name: str, values: tuple[int, ...], least: int) -> None:
    if not all(least <= value < 1 << 31 for value in values):
        raise RuntimeError(f"{name} must be from {least} to 2**31 - 1, got {values}")


def _check_shapes(axes: int, input: Array, weight: Array, bias: Array | None, groups: int) -> None:
    if groups < 1:
        raise RuntimeError(f"groups must be at least 1, got {groups}")
    if weight.ndim != axes + 2:
        raise RuntimeError(f"weight must have {axes + 2} dimensions (C_in, C_out / groups, ...), got {weight.shape}")
    if input.ndim not in (axes + 1, axes + 2):
        raise RuntimeError(
            f"input must have {axes + 2} dimensions (N, C_in, ...), or {axes + 1} without N, got shape {input.shape}"
        )
    in_channels, out_channels = weight.shape[0], weight.shape[1] * groups
    if in_channels < groups or in_channels % groups:
        raise RuntimeError(f"weight must have a multiple of groups = {groups} input channels, got shape {weight.shape}")
    if min(weight.shape) < 1:
        raise RuntimeError(f"weight must have no empty axis, got shape {weight.shape}")
    if input.shape[-axes - 1] != in_channels:
        raise RuntimeError(
            f"input must have {in_channels} channels as weight of shape {weight.shape} has, got shape {input.shape}"
        )
    if bias is not None and bias.shape != (out_channels,):
        raise RuntimeError(f"bias must have shape ({out_channels},), got {bias.shape}")
    if min(input.shape[-axes:]) < 1 and (input.ndim == axes + 1 or input.shape[0]):
        raise RuntimeError(f"input must have no empty axis but that of the batch, got shape {input.shape}")


@lru_cache(maxsize=256)
def _check_dtypes(input: DType, weight: DType, bias: DType | None) -> None:
    if input.name not in DTYPES:
        raise NotImplementedError(f"input must be {', '.join(DTYPES)}, got {input}")
    if weight.name != input.name:
        raise RuntimeError(f"weight must be of the dtype of input, {input}, got {weight}")
    if bias is not None and bias.kind not in ("biuf" if input.kind == "f" else "biu"):
        raise RuntimeError(f"bias must be of a dtype that converts to {input}, got {bias}")


def _output_size(size: Sequence[int], kernel_size: Sequence[int], steps: Steps) -> tuple[int, ...]:
    out = tuple(
        (n - 1) * s - 2 * p + d * (k - 1) + extra + 1
        for n, k, s, p, extra, d in zip(size, kernel_size, *steps, strict=True)
    )
    if min(out, default=1) < 1:
        raise RuntimeError(
            f"output size must be at least 1, got {out} from input size {tuple(size)}, kernel size "
            f"{tuple(kernel_size)}, {', '.join(f'{name} {values}' for name, values in steps._asdict().items())}"
        )
    return out


class Shape(NamedTuple):
    """All numbers but batch and groups; an axis that is missing has one sample and a kernel of one."""

    size: Triple
    kernel: Triple
    out: Triple
    stride: Triple
    padding: Triple
    dilation: Triple
    in_channels: int
    """Of a group, as out_channels."""
    out_channels: int


def convolved(
    input: Array,
    weight: Array,
    bias: Array | None,
    steps: Steps,
    groups: int,
    sizes: tuple[int, ...],
) -> Array:
    """Return the result, of size `sizes`, for an `input` of shape (N, C_in, *size); arguments are taken as checked."""
    dtype = input.dtype.newbyteorder("=")
    precise = _precise(dtype)
    shape = _shape(input.shape, weight.shape, steps, groups, sizes)
    # d, h and w of a channel lie side by side over all images
    samples = input.reshape(len(input), groups, shape.in_channels, *shape.size).transpose(1, 2, 3, 0, 4, 5)
    weights = np.ascontiguousarray(weight, precise).reshape(groups, shape.in_channels, shape.out_channels, -1)
    biases = np.zeros(groups * shape.out_channels, precise)
    if bias is not None:
        biases[:] = bias
    result = np.empty((len(input), groups, shape.out_channels, *shape.out), precise)
    if result.size:
        way = _correlate if _phases_are_quicker(shape, len(input)) and _is_finite(weights) else _gather
        way(result, samples, weights, biases, shape)
    return result.astype(dtype, copy=False).reshape(len(input), groups * shape.out_channels, *sizes)


def _precise(dtype: DType) -> DType:
    """Return the type that values are summed in."""
    return np.dtype(np.float32) if dtype == np.float16 else dtype


def _shape(input: tuple[int, ...], weight: tuple[int, ...], steps: Steps, groups: int, sizes: tuple[int, ...]) -> Shape:
    return Shape(
        _triple(input[2:], 1),
        _triple(weight[2:], 1),
        _triple(sizes, 1),
        _triple(steps.stride, 1),
        _triple(steps.padding, 0),
        _triple(steps.dilation, 1),
        weight[0] // groups,
        weight[1],
    )


def _triple(numbers: tuple[int, ...], default: int) -> Triple:
    d, h, w = (default,) * (3 - len(numbers)) + numbers
    return d, h, w


def _phases_are_quicker(shape: Shape, images: int) -> bool:
    """Return whether sums by phases take less time than products do.

    Phases compute outputs beyond the edges of small images too, and read the weights twice. A product of the other way
    takes the time of 1.4 multiply-adds for each input channel and 100 for what comes after: a mean of processors with
    AVX-512, of which those that do it in two halves take 1.1 and the others 2.4.
    """
    if math.prod(shape.kernel) < math.prod(shape.stride):
        return False  # most phases are empty
    q = [(out - 1 + p) // s - p // s + 1 for out, s, p in zip(shape.out, shape.stride, shape.padding, strict=True)]
    positions = images * math.prod(shape.size)
    return (images * math.prod(q) + 64) * shape.in_channels < positions * (1.4 * shape.in_channels + 100)


def _is_finite(weights: Array) -> bool:
    """Return whether no weight is NaN or infinite, which must not meet the zeros around the input.

    Their sum tells; that of huge weights may be a false alarm.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(np.add.reduce(weights, axis=None)))


# channels in a block of sums -> vectors a channel, so that a block fits 32 registers
VECTORS = {1: 8, 2: 8, 3: 8, 4: 6, 8: 3}
CHUNK = 1024  # sums of a phase and channel that are kept until they are written out


class Phases(NamedTuple):
    """Where samples go, and the tables of `kernels.convolution.correlate_*`, whose words these are."""

    before: Triple
    """How many zeros stand before each axis."""
    length: Triple
    tail: int
    """How many zeros are read after the last plane."""
    steps: Array
    start: Array
    first: Array
    offset: Array
    place: Array


@lru_cache(maxsize=32)
def plan(shape: Shape, images: int) -> Phases:
    """Return the tables of all phases; terms are sorted by phase, input channel and tap."""
    before, after, steps, start, taps = zip(*map(_axis_phases, *shape[:6]), strict=True)
    # the zeros after a row are those before the next, and after an image likewise
    _, h, w = (max(n + max(b, a), q) for n, b, a, q in zip(shape.size, before, after, steps, strict=True))
    d = before[0] + shape.size[0] + after[0]
    pitches = (images * h * w, w, 1)
    channel = np.arange(shape.in_channels)
    offsets, weights = [], []
    for phase in np.ndindex(*shape.stride):
        offset, weight = channel * d * images * h * w, channel
        for axis in range(3):
            tap, shift = taps[axis][phase[axis]]
            offset = np.add.outer(offset, shift * pitches[axis]).ravel()
            weight = np.add.outer(weight * shape.kernel[axis], tap).ravel()
        offsets.append(offset)
        weights.append(weight)
    first = np.cumsum([0, *map(len, offsets)])
    place = np.argsort(np.concatenate(weights))
    tables = (np.array(steps), np.array(start), first, np.concatenate(offsets), place)
    return Phases(before, (d, h, w), after[1] * w + after[2], *(table.astype(np.int64) for table in tables))


def _axis_phases(
    n_in: int, n_taps: int, n_out: int, stride: int, padding: int, dilation: int
) -> tuple[int, int, int, int, list[tuple[Array, Array]]]:
    """Return how many zeros stand before and after an axis, its steps q, its first output, and the taps of each phase.

    Output `o = stride * q + phase - padding` receives the taps k whose `dilation * k` leaves the rest `phase`, from the
    inputs `q + (phase - dilation * k) / stride`; the first q may begin before output 0. With each tap comes what to
    add to the number of a step to find its sample.
    """
    tap = np.arange(n_taps)
    rest, shift = dilation * tap % stride, -(dilation * tap // stride)
    first, last = padding // stride, (n_out - 1 + padding) // stride
    before = max(0, -(first + int(shift.min())))
    after = max(0, last + int(shift.max()) - (n_in - 1))
    phases = [(tap[rest == phase], shift[rest == phase] + first + before) for phase in range(stride)]
    return before, after, last - first + 1, stride * first - padding, phases


def _correlate(result: Array, samples: Array, weights: Array, bias: Array, shape: Shape) -> None:
    images, groups = result.shape[:2]
    phases = plan(shape, images)
    # by multiply-adds and loads; the last block is computed whole
    channels = min(VECTORS, key=lambda count: -(-shape.out_channels // count) * (count + 1))
    tile = VECTORS[channels] * VECTOR // result.itemsize
    d, h, w = phases.length
    count = groups * shape.in_channels * d * images * h * w
    padded = np.zeros(count + phases.tail + tile, result.dtype)
    top, left, front = (slice(b, b + n) for b, n in zip(phases.before, shape.size, strict=True))
    padded[:count].reshape(groups, shape.in_channels, d, images, h, w)[:, :, top, :, left, front] = samples

    planes, height, columns = (int(steps) for steps in phases.steps)
    tall = (images - 1) * h + height
    rows = max(1, min(tall, CHUNK // w))
    columns = min(columns, CHUNK)
    pitch = -(-((rows - 1) * w + columns) // tile) * tile
    blocks = groups * -(-shape.out_channels // channels)
    items = blocks * planes * -(-tall // rows) * -(-int(phases.steps[2]) // columns)

    value = result.dtype.name
    kernel = entry.kernel(
        "convolution", f"correlate_{channels}", (f"{value}*",) * 6 + ("int64*",) * 8 + ("int64",) * 10
    )
    length, out, stride = _tables(phases.length, shape.out, shape.stride)
    tables = (phases.first, phases.offset, phases.place, phases.steps, length, out, phases.start, stride)
    numbers = (images, groups, shape.in_channels, shape.out_channels, weights.shape[-1], rows, columns, pitch)

    def work(low: int, high: int) -> None:
        scratch = np.empty((phases.place.size + 2) * channels, value)
        totals = np.empty(math.prod(shape.stride) * channels * pitch, value)
        arrays = (result, padded, weights, bias, scratch, totals, *tables)
        kernel(*map(entry.address, arrays), *numbers, low, high)

    cost = result.size * max(1, phases.place.size // math.prod(shape.stride) // 16)
    threads.in_bands(work, items, cost, (result, padded, weights, bias, tables))


PRODUCTS = 1 << 20  # bytes of products at a time, which stay in L2; at least one image and output channel


def _gather(result: Array, samples: Array, weights: Array, bias: Array, shape: Shape) -> None:
    images, groups, out_channels = result.shape[:3]
    samples = np.ascontiguousarray(samples.transpose(0, 1, 3, 2, 4, 5), result.dtype)
    samples = samples.reshape(groups, shape.in_channels, images, -1)
    size = weights.shape[-1] * samples.shape[-1]  # products of an image and output channel
    together = max(1, min(images, PRODUCTS // (size * result.itemsize)))
    block = max(1, min(out_channels, PRODUCTS // (size * result.itemsize * together)))
    scratch = np.empty(together * block * size, result.dtype)
    tables = _tables(shape.kernel, shape.size, shape.out, shape.stride, shape.padding, shape.dilation)
    value = result.dtype.name
    kernel = entry.kernel("convolution", "gather", (f"{value}*",) * 3 + ("int64*",) * 6 + ("int64",) * 5)

    starts = (range(0, images, together), range(groups), range(0, out_channels, block))
    for n, group, channel in itertools.product(*starts):
        some = samples[group, :, n : n + together]
        factor = weights[group, :, channel : channel + block]
        target = result[n : n + together, group, channel : channel + block]
        products = scratch[: target.shape[0] * target.shape[1] * size].reshape(-1, some.shape[1] * some.shape[2])
        with np.errstate(over="ignore", invalid="ignore"):  # torch does not warn either
            np.matmul(factor.reshape(shape.in_channels, -1).T, some.reshape(shape.in_channels, -1), out=products)
        arrays = (target, products, bias[group * out_channels + channel :], *tables)
        work = partial(kernel, *map(entry.address, arrays), *target.shape[:2], result.strides[0] // result.itemsize)
        threads.in_bands(work, math.prod(target.shape[:4]), target.size * weights.shape[-1], arrays)


def _tables(*triples: Triple) -> tuple[Array, ...]:
    return tuple(np.array(triple, np.int64) for triple in triples)


class _Block(NamedTuple):
    """The outputs that a thread of `kernels.cuda.convolution` sums, and so which of the kernels it is."""

    channels: int
    rows: int
    lanes: int
    """Weights that are loaded at once; those of a tap are filled up to a multiple."""
    cost: int
    """Instructions of the inner loop, counted in machine code of compute capability 9.0, where float64 counts twice."""

    @property
    def padded(self) -> int:
        return -(-self.channels // self.lanes) * self.lanes


# by the bytes of a weight, so that vectors have up to 16
BLOCKS = {
    4: (_Block(1, 8, 1, 54), _Block(3, 8, 4, 74), _Block(4, 4, 4, 40), _Block(8, 4, 4, 57)),
    8: (_Block(1, 8, 1, 94), _Block(4, 4, 2, 57)),
}
GATHERING = _Block(1, 4, 1, 0)  # of the sums of products

WARP = 32  # threads that load and store at once

# offsets within a channel are uint32, and rows beyond its edges must not look like others; places of weights likewise
MOST_OF_A_CHANNEL, MOST_WEIGHTS = 1 << 31, 1 << 32

# bytes of products at a time, which stay in the L2 of large GPUs; at least one image and output channel
DEVICE_PRODUCTS = 1 << 25

_SOURCE = "resample.kernels.cuda.convolution"
_NUMBER = ("uint32",)


def pack_types(value: str, weight: str) -> tuple[str, ...]:
    """Return the types of `pack`'s arguments, given those of a weight before and after."""
    return (f"{weight}*", f"{value}*", *_NUMBER * 7)


def correlate_types(value: str, weight: str, bias: str) -> tuple[str, ...]:
    return (*(f"{value}*",) * 2, f"{weight}*", f"{bias}*", *("uint32*",) * 3, *_NUMBER * 25)


def gather_types(value: str, product: str, bias: str) -> tuple[str, ...]:
    return (f"{value}*", f"{product}*", f"{bias}*", *("uint32*",) * 2, *_NUMBER * 23)


def convert_types(target: str, source: str) -> tuple[str, ...]:
    return (f"{target}*", f"{source}*", *_NUMBER * 2)


class _Tables(NamedTuple):
    """The tables of `kernels.cuda.convolution` on a device, and what else kernels must know of a shape."""

    constants: driver.Constants
    """For columns, tiles and owners; and a bias of 0."""
    columns: int
    tiles: int
    owners: int
    numbers: tuple[int, ...]
    """From `kernel_h` to `reach`."""


class _Plan(NamedTuple):
    """What calls that are alike have in common."""

    images: int
    shape: Shape
    groups: int
    precise: DType
    """Of weights and sums."""
    by_products: bool
    block: _Block
    tables: _Tables
    launch: driver.Launch
    pack: driver.Launch | None
    converts_bias: bool


class _Arrays(NamedTuple):
    """What a call has of its own; dense."""

    input: DeviceArray
    weight: DeviceArray
    bias: DeviceArray | None


def _on_device(
    input: DeviceArray,
    weight: DeviceArray,
    bias: DeviceArray | None,
    steps: Steps,
    groups: int,
    sizes: tuple[int, ...],
) -> DeviceArray:
    """Return what `convolved` does, on the device where the arrays are."""
    result = (input.shape[0], groups * weight.shape[1], *sizes)
    if not input.shape[0]:
        return input.new(result, input.dtype)
    kinds = input.dtype, None if bias is None else bias.dtype
    multiplies = input.origin.matmul is not None
    plan = _device_plan(input.shape, weight.shape, steps, groups, sizes, *kinds, multiplies, input.origin.device)
    biases = None if bias is None else _dense(_beside(bias, input))
    arrays = _Arrays(_dense(input), _dense(_beside(weight, input)), biases)
    way = _gather_on_device if plan.by_products else _correlate_on_device
    return input.run([passes.Pass(result, input.dtype, partial(way, plan, arrays))])


@lru_cache(maxsize=64)
def _device_plan(
    input: tuple[int, ...],
    weight: tuple[int, ...],
    steps: Steps,
    groups: int,
    sizes: tuple[int, ...],
    dtype: DType,
    bias: DType | None,
    multiplies: bool,
    device: int,
) -> _Plan:
    """Return the plan of calls with arrays of these shapes and dtypes, whose library multiplies matrices or not."""
    shape = _shape(input, weight, steps, groups, sizes)
    for values in (math.prod(shape.size), math.prod(shape.out)):
        if values >= MOST_OF_A_CHANNEL:
            raise ValueError(f"each channel must have fewer than {MOST_OF_A_CHANNEL} values on a GPU, got {values}")
    shape = _upright(shape)
    by_products = dtype.kind == "f" and multiplies and _products_are_quicker(shape)
    block = GATHERING if by_products else _cheapest_block(shape, dtype)
    precise = _precise(dtype)
    tables = _device_tables(shape, groups, block, precise, device)
    if tables.owners * _weights_of_a_block(shape, block) >= MOST_WEIGHTS:
        raise ValueError(f"weight must have fewer than {MOST_WEIGHTS} values on a GPU, got shape {weight}")
    value, kind = passes._name(dtype), passes._name(precise if bias is None or bias != dtype else dtype)
    name, types, pack = f"gather_{block.rows}", gather_types(value, precise.name, kind), None
    if not by_products:
        name, types = (
            f"correlate_{block.channels}_{block.rows}_{block.lanes}",
            correlate_types(value, precise.name, kind),
        )
        pack = driver.kernel(_SOURCE, "pack", pack_types(value, precise.name), device)
    launch = driver.kernel(_SOURCE, name, types, device)
    converts_bias = bias is not None and bias not in (dtype, precise)  # NumPy takes None for float64
    return _Plan(input[0], shape, groups, precise, by_products, block, tables, launch, pack, converts_bias)


def _weights_of_a_block(shape: Shape, block: _Block) -> int:
    return math.prod(shape.kernel) * shape.in_channels * block.padded


def _beside(array: DeviceArray, input: DeviceArray) -> DeviceArray:
    """Return the view of an array whose copies are made as those of `input` are, and so on its stream."""
    return DeviceArray(array.address, array.shape, array.strides, array.dtype, input.origin, array.owner)


def _dense(array: DeviceArray) -> DeviceArray:
    """Return an array whose values lie in order; kernels read them one by one, so that they may lie anywhere."""
    return array if array.is_dense() else rearranged(array)


def _upright(shape: Shape) -> Shape:
    """Return the shape with the one axis of a signal as the height, along which a thread has several outputs."""
    if not shape.size[1] == shape.kernel[1] == shape.out[1] == 1:
        return shape
    size, kernel, out, stride, padding, dilation = ((d, w, h) for d, h, w in shape[:6])
    return Shape(size, kernel, out, stride, padding, dilation, *shape[6:])


def _products_are_quicker(shape: Shape) -> bool:
    """Return whether a matrix multiplication takes less time than sums by phases on a GPU: an estimate, not measured.

    Up to 40 terms an output, memory is what takes the time, and products are yet more to move: each is written and
    read again. At the 4.3 TB/s of an H200 that takes the time of 24 of our multiply-adds, which reach 40 % of its
    67 TFLOP/s; those of a matrix multiplication reach 80 %, and so make up for it from 48 input channels on.
    """
    terms = shape.in_channels * math.prod(shape.kernel) / math.prod(shape.stride)
    return terms > 40 and shape.in_channels >= 48


def _cheapest_block(shape: Shape, dtype: DType) -> _Block:
    """Return the block that takes the fewest instructions an output, those that are not there included."""
    rows = -(-shape.out[1] // shape.stride[1])  # of a phase

    def cost(block: _Block) -> float:
        return -(-shape.out_channels // block.channels) * -(-rows // block.rows) * block.cost

    return min(BLOCKS[_precise(dtype).itemsize], key=cost)


def _device_tables(shape: Shape, groups: int, block: _Block, precise: DType, device: int) -> _Tables:
    depth, height, width = shape.out
    # rows of a tile lie side by side if lanes are columns, else so that lanes are neighbouring rows
    spread = 1 if width >= WARP else max(1, -(-height // (shape.stride[1] * block.rows)))
    reach = spread * shape.stride[1]
    row = np.arange(height)
    row = row // reach * (reach * block.rows) + row % reach
    row = row[row < height]

    columns = np.zeros((width, 4), np.int64)
    columns[:, 1:] = _device_taps(shape, 2, np.arange(width), 0)
    tiles = np.empty((depth, len(row), 8), np.int64)
    tiles[..., 0] = np.add.outer(np.arange(depth) * height, row)
    tiles[..., 1] = np.minimum(block.rows, -((row - height) // reach))
    tiles[..., 2:5] = _device_taps(shape, 0, np.arange(depth), 0)[:, None]
    tiles[..., 5:] = _device_taps(shape, 1, row, (block.rows - 1) * spread)
    group, first = np.arange(groups)[:, None], np.arange(0, shape.out_channels, block.channels)
    owners = np.zeros((groups, len(first), 4), np.int64)
    owners[..., 0] = group * shape.in_channels
    owners[..., 1] = group * shape.out_channels + first
    owners[..., 2] = np.minimum(block.channels, shape.out_channels - first)

    tables = [np.ascontiguousarray(table, np.uint32) for table in (columns, tiles, owners)]
    constants = driver.Constants([*tables, np.zeros(1, precise)], device)
    steps = [_device_steps(shape, axis) for axis in range(3)]
    numbers = (*shape.kernel[1:], *(tap for tap, _ in steps), *(sample for _, sample in steps))
    numbers += (*shape.size[1:], math.prod(shape.size), width, math.prod(shape.out), depth * len(row), spread, reach)
    return _Tables(constants, width, depth * len(row), groups * len(first), numbers)


def _device_steps(shape: Shape, axis: int) -> tuple[int, int]:
    """Return how many taps, and how many samples backwards, are from one tap of an output to its next."""
    stride, dilation = shape.stride[axis], shape.dilation[axis]
    common = math.gcd(stride, dilation)
    return stride // common, dilation // common


def _device_taps(shape: Shape, axis: int, outputs: Array, reach: int) -> Array:
    """Return the first tap of each of some outputs, its sample, and how many taps, in three columns.

    Each output stands for others as well, up to the one whose samples are `reach` on: they have all the taps that any
    of them has a sample for. Output o and tap k meet where `o + padding - dilation * k` is a multiple of the stride.
    """
    stride, dilation = shape.stride[axis], shape.dilation[axis]
    common = math.gcd(stride, dilation)
    tap_step, sample_step = _device_steps(shape, axis)
    at = outputs + shape.padding[axis]
    phase = at % stride
    tap = phase // common * pow(sample_step, -1, tap_step) % tap_step
    sample = (at - dilation * tap) // stride
    skipped = np.maximum(0, -((shape.size[axis] - 1 - sample) // sample_step))
    taps = np.minimum(-((tap - shape.kernel[axis]) // tap_step), (sample + reach) // sample_step + 1)
    count = np.where(phase % common == 0, np.maximum(taps - skipped, 0), 0)
    return np.stack([tap + skipped * tap_step, sample - skipped * sample_step, count], axis=-1)


def _correlate_on_device(plan: _Plan, arrays: _Arrays, dst: int, _: int, stream: int) -> None:
    shape, block, tables = plan.shape, plan.block, plan.tables
    of_a_block = _weights_of_a_block(shape, block)
    total = tables.owners * of_a_block
    packed = arrays.input.new((total,), plan.precise)
    sizes = (shape.in_channels, shape.out_channels, math.prod(shape.kernel), shape.kernel[2])
    assert plan.pack
    pointers: tuple[int, ...] = (packed.address, arrays.weight.address)
    plan.pack(*passes._grid(total, 1, 1), stream, *pointers, *sizes, block.channels, block.padded, total)
    bias, step, _owner = _device_bias(plan, arrays, stream)
    planes = plan.images * tables.owners
    pointers = (dst, arrays.input.address, packed.address, bias, *tables.constants.addresses[:3])
    all_channels = (shape.in_channels, plan.groups * shape.in_channels, plan.groups * shape.out_channels)
    numbers = (*tables.numbers, *all_channels, tables.owners, planes, of_a_block, step)
    _launch(plan, planes, stream, *pointers, *numbers)


def _gather_on_device(plan: _Plan, arrays: _Arrays, dst: int, _: int, stream: int) -> None:
    shape, tables, matmul = plan.shape, plan.tables, arrays.input.origin.matmul
    assert matmul
    samples, weights = (_converted(array, plan.precise, stream) for array in (arrays.input, arrays.weight))
    bias, step, owner = _device_bias(plan, arrays, stream)
    size, step_size = arrays.input.dtype.itemsize, 0 if owner is None else owner.dtype.itemsize
    all_in, all_out = plan.groups * shape.in_channels, plan.groups * shape.out_channels
    volume, positions, of_a_result = (math.prod(triple) for triple in (shape.kernel, shape.size, shape.out))

    most = max(1, DEVICE_PRODUCTS // (volume * positions * plan.precise.itemsize))
    channels = min(shape.out_channels, most)
    images = min(plan.images, max(1, most // channels))
    scratch = arrays.input.new((images, channels * volume, positions), plan.precise)
    starts = range(0, plan.images, images), range(plan.groups), range(0, shape.out_channels, channels)
    for image, group, channel in itertools.product(*starts):
        n, c = min(images, plan.images - image), min(channels, shape.out_channels - channel)
        first_in, first_out = group * shape.in_channels, group * shape.out_channels + channel
        place = (first_in * shape.out_channels + channel) * volume
        matrix = _part(weights, place, (c * volume, shape.in_channels), (1, shape.out_channels * volume))
        place = (image * all_in + first_in) * positions
        some = _part(samples, place, (n, shape.in_channels, positions), (all_in * positions, positions, 1))
        products = _part(scratch, 0, (n, c * volume, positions), (c * volume * positions, positions, 1))
        matmul(matrix, some, products)
        target = dst + (image * all_out + first_out) * of_a_result * size
        pointers = (target, products.address, bias + first_out * step_size, *tables.constants.addresses[:2])
        _launch(plan, n * c, stream, *pointers, *tables.numbers, volume, c, all_out, n * c, step)


def _part(array: DeviceArray, place: int, shape: tuple[int, ...], steps: tuple[int, ...]) -> DeviceArray:
    """Return a view of a dense array: of some shape, from some value on; steps are counted in values."""
    size = array.dtype.itemsize
    strides = tuple(step * size for step in steps)
    return DeviceArray(array.address + place * size, shape, strides, array.dtype, array.origin, array.owner)


def _device_bias(plan: _Plan, arrays: _Arrays, stream: int) -> tuple[int, int, DeviceArray | None]:
    """Return where the bias is, values from one to the next, and what owns it."""
    if arrays.bias is None:
        return plan.tables.constants.addresses[3], 0, None
    bias = _converted(arrays.bias, plan.precise, stream) if plan.converts_bias else arrays.bias
    return bias.address, 1, bias


def _converted(array: DeviceArray, dtype: DType, stream: int) -> DeviceArray:
    """Return a dense array as another type."""
    if array.dtype == dtype:
        return array
    result = array.new(array.shape, dtype)
    rows = math.prod(array.shape[:2]) if array.ndim > 2 else 1
    row = array.size // rows
    source = "uint8" if array.dtype == np.bool_ else passes._name(array.dtype)
    name = "convert_half" if array.dtype == np.float16 else "convert"
    launch = driver.kernel(_SOURCE, name, convert_types(dtype.name, source), array.origin.device)
    launch(*passes._grid(row, rows, 1), stream, result.address, array.address, row, rows)
    return result


def _launch(plan: _Plan, planes: int, stream: int, *values: float) -> None:
    """Launch a kernel over all columns, tiles and planes, once more where there are more than a grid has."""
    tiles = plan.tables.tiles
    (x, _, _), block = passes._grid(plan.tables.columns, tiles, planes)
    for tile in range(0, tiles, passes.MOST_BLOCKS * block[1]):
        for plane in range(0, planes, passes.MOST_BLOCKS * block[2]):
            y, z = (-(-n // side) for n, side in ((tiles - tile, block[1]), (planes - plane, block[2])))
            grid = (x, min(y, passes.MOST_BLOCKS), min(z, passes.MOST_BLOCKS))
            plan.launch(grid, block, stream, *values, tile, plane)
