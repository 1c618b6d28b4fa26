"""torch's transposed convolutions on NumPy and CUDA arrays: check the arguments, plan the phases, correlate.

Every output is the sum of what it receives, computed by one owner (`kernels/convolution.py`), in one of two ways:

- by phases: outputs that receive the same taps are a small convolution of stride 1, summed in registers;
- by products: one matrix multiplication by NumPy's BLAS forms all products of samples and weights, summed over the
  input channels, and each output gathers its own. BLAS and our threads take turns.

On a GPU likewise: see `convolution_gpu`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from resample import convolution_gpu
from resample.arguments import Ints, check_addressable, integer, per_axis
from resample.arrays import Array
from resample.blocks import new_array
from resample.convolution_shape import DType, Shape, Steps, Triple, precise_type, shape_of
from resample.devices import DeviceArray, borrowed
from resample.kernels import entry, processor
from resample.kernels.sizes import BLOCKS, RUN, VECTOR, whole_vectors
from resample.team import in_bands

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
    return _output_size(sizes, kernel, checked_steps(len(sizes), stride, padding, output_padding, dilation))


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
    steps = checked_steps(axes, stride, padding, output_padding, dilation)
    groups = integer("groups", groups)
    _check_shapes(axes, array, kernel, biases, groups)
    sizes = _output_size(array.shape[-axes:], kernel.shape[2:], steps)
    _check_dtypes(array.dtype, kernel.dtype, None if biases is None else biases.dtype)
    check_addressable((*array.shape[:-axes], *sizes), array.dtype)
    batch = array if array.ndim == axes + 2 else array[np.newaxis]
    way = convolution_gpu.convolved if isinstance(array, DeviceArray) else convolved
    result = way(batch, kernel, biases, steps, groups, sizes)
    return give_back(result if array.ndim == axes + 2 else result[0])


def checked_steps(axes: int, stride: Ints, padding: Ints, output_padding: Ints, dilation: Ints) -> Steps:
    """Return the arguments of a transposed convolution, one number for each of `axes`.

    Raises:
        TypeError, RuntimeError: as `conv_transpose2d` does for them.
    """
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
    precise = precise_type(dtype)
    shape = shape_of(input.shape, weight.shape, steps, groups, sizes)
    # d, h and w of a channel lie side by side over all images
    samples = input.reshape(len(input), groups, shape.in_channels, *shape.size).transpose(1, 2, 3, 0, 4, 5)
    weights = np.ascontiguousarray(weight, precise).reshape(groups, shape.in_channels, shape.out_channels, -1)
    biases = np.zeros(groups * shape.out_channels, precise)
    if bias is not None:
        biases[:] = bias
    result = new_array((len(input), groups, shape.out_channels, *shape.out), precise)
    if result.size:
        way = _correlate if _phases_are_quicker(shape, len(input)) and _is_finite(weights) else _gather
        way(result, samples, weights, biases, shape)
    return result.astype(dtype, copy=False).reshape(len(input), groups * shape.out_channels, *sizes)


def _phases_are_quicker(shape: Shape, images: int) -> bool:
    """Return whether sums by phases take less time than products do.

    Phases compute outputs between the rows of small images too, and copy the weights before they read them. A product
    of the other way takes the time of 1.4 multiply-adds for each input channel and 100 for what comes after: a mean of
    processors with AVX-512, of which those that do it in two halves and Intel's take 1.1 and the others 2.4.
    """
    if math.prod(shape.kernel) < math.prod(shape.stride):
        return False  # most phases are empty
    q = [-(-out // s) for out, s in zip(shape.out, shape.stride, strict=True)]
    positions = images * math.prod(shape.size)
    return (images * math.prod(q) + 64) * shape.in_channels < positions * (1.4 * shape.in_channels + 100)


def _is_finite(weights: Array) -> bool:
    """Return whether no weight is NaN or infinite, which must not meet the zeros around the input.

    Their sum tells; that of huge weights may be a false alarm.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(np.add.reduce(weights, axis=None)))


# bytes of the weights whose terms are summed at a time, which stay in the first level
WEIGHTS = 1 << 15
# sums of a phase and channel that are kept until they are written out, and bytes of those of all phases and channels of
# a block, which stay in the second level: few; more where not all terms are summed at once, as all weights are then
# copied anew for each chunk
CHUNK, LONG_CHUNK = (512, 1 << 17), (2048, 1 << 19)


class Phases(NamedTuple):
    """Where samples go, and the tables of `kernels.convolution.correlate_*`, whose words these are."""

    before: Triple
    """How many zeros stand before each axis."""
    channels: int
    """How many a block has."""
    vectors: int
    """Of each of its channels."""
    length: Triple
    tail: int
    """How many zeros are read after the last plane."""
    steps: Array
    first: Array
    taps: Array
    offset: Array
    place: Array
    together: int


@lru_cache(maxsize=32)
def plan(shape: Shape, images: int, itemsize: int, register: int) -> Phases:
    """Return the tables of all phases, for registers of so many bytes; terms are sorted by phase, channel and tap."""
    before, after, steps, taps = zip(*map(_axis_phases, *shape[:6]), strict=True)
    # the zeros after a row are those before the next, and after an image likewise
    _, h, w = (max(n + max(b, a), q) for n, b, a, q in zip(shape.size, before, after, steps, strict=True))
    d = before[0] + shape.size[0] + after[0]
    places, offsets = [], []
    for phase in itertools.product(*taps):
        place = offset = np.int64(0)
        for (tap, shift), length, pitch in zip(phase, shape.kernel, (images * h * w, w, 1), strict=True):
            place = np.add.outer(place * length, tap).ravel()
            offset = np.add.outer(offset, shift * pitch).ravel()
        places.append(place)
        offsets.append(offset)
    count = np.array([*map(len, offsets)], np.int64)
    channels = _channels_of_a_block(shape.out_channels, register)
    block = channels * math.prod(shape.kernel)
    # the same for all processors, as the order of sums depends on it: as where most registers are
    largest = _channels_of_a_block(shape.out_channels, max(BLOCKS)) * math.prod(shape.kernel)
    together = max(1, min(shape.in_channels, RUN // int(count.max()), WEIGHTS // (largest * itemsize)))
    channel = np.arange(shape.in_channels, dtype=np.int64)
    offset = np.concatenate([np.add.outer(channel * d * images * h * w, some).ravel() for some in offsets])
    place = np.concatenate([np.add.outer(channel % together * block, some).ravel() for some in places])
    first = np.cumsum([0, *count[:-1] * shape.in_channels], dtype=np.int64)
    tail = after[1] * w + after[2]
    tables = (np.array(steps, np.int64), first, count, offset, place)
    return Phases(before, channels, BLOCKS[register][channels], (d, h, w), tail, *tables, together)


def _channels_of_a_block(out_channels: int, register: int) -> int:
    """Return how many take the fewest multiply-adds and loads; the last block is computed whole."""
    return min(BLOCKS[register], key=lambda some: -(-out_channels // some) * (some + 1))


def _axis_phases(
    n_in: int, n_taps: int, n_out: int, stride: int, padding: int, dilation: int
) -> tuple[int, int, int, list[tuple[Array, Array]]]:
    """Return how many zeros stand before and after an axis, its steps q, and the taps of each phase.

    Output `o = stride * q + phase` receives the taps k for which `o + padding - dilation * k` is a multiple of the
    stride, from the input that it is a multiple by. With each tap comes what to add to q to find that input, zeros
    included.
    """
    tap = np.arange(n_taps)
    shift, rest = np.divmod(np.arange(stride)[:, None] + padding - dilation * tap, stride)
    steps = -(-n_out // stride)
    used = shift[rest == 0]
    before, after = max(0, -int(used.min())), max(0, steps - 1 + int(used.max()) - (n_in - 1))
    phases = [(tap[r == 0], s[r == 0] + before) for r, s in zip(rest, shift, strict=True)]
    return before, after, steps, phases


def _correlate(result: Array, samples: Array, weights: Array, bias: Array, shape: Shape) -> None:
    images, groups = result.shape[:2]
    phases = plan(shape, images, result.itemsize, processor.register_bytes())
    channels = phases.channels
    tile = phases.vectors * VECTOR // result.itemsize
    d, h, w = phases.length
    count = groups * shape.in_channels * d * images * h * w
    padded = np.empty(count + phases.tail + tile, result.dtype)
    # zeros around the samples alone: with all of it zeros first, most would be written twice
    padded[count:] = 0
    inner = padded[:count].reshape(groups, shape.in_channels, d, images, h, w)
    for axis, before, n in zip((2, 4, 5), phases.before, shape.size, strict=True):
        along = inner.swapaxes(axis, 0)
        along[:before] = along[before + n :] = 0
        inner = along[before : before + n].swapaxes(axis, 0)
    inner[...] = samples

    planes, height, width = (int(steps) for steps in phases.steps)
    tall = (images - 1) * h + height
    most, nbytes = CHUNK if phases.together == shape.in_channels else LONG_CHUNK
    most = max(1, min(most, nbytes // (math.prod(shape.stride) * channels * result.itemsize)))
    rows = _even(tall, max(1, most // w))
    columns = min(width, -(-_even(width, most) // tile) * tile)
    pitch = -(-((rows - 1) * w + columns) // tile) * tile
    blocks = groups * -(-shape.out_channels // channels)
    items = blocks * planes * -(-tall // rows) * -(-width // columns)

    value = result.dtype.name
    kernel = entry.kernel(
        "convolution", f"correlate_{channels}_{phases.vectors}", (f"{value}*",) * 6 + ("int64*",) * 8 + ("int64",) * 11
    )
    length, out, stride = _tables(phases.length, shape.out, shape.stride)
    tables = (phases.first, phases.taps, phases.offset, phases.place, phases.steps, length, out, stride)
    counts = (images, groups, shape.in_channels, shape.out_channels, weights.shape[-1], phases.together)
    numbers = (*counts, rows, columns, pitch)

    places = [*map(entry.address, (result, padded, weights, bias))]
    fixed = entry.packed(*map(entry.address, tables), *numbers)
    scratch = (
        whole_vectors((2 + phases.together * weights.shape[-1]) * channels * result.itemsize),
        whole_vectors(math.prod(shape.stride) * channels * pitch * result.itemsize),
    )
    cost = result.size * max(1, phases.place.size // math.prod(shape.stride) // 16)
    in_bands(kernel, places, fixed, items, cost, scratch)


def _even(count: int, most: int) -> int:
    """Return the size of chunks of at most `most` that `count` is cut into, as few and as even as can be."""
    return -(-count // -(-count // most))


PRODUCTS = 1 << 20  # bytes of products at a time, which stay in L2; at least one image and output channel


def _gather(result: Array, samples: Array, weights: Array, bias: Array, shape: Shape) -> None:
    images, groups, out_channels = result.shape[:3]
    samples = np.ascontiguousarray(samples.transpose(0, 1, 3, 2, 4, 5), result.dtype)
    samples = samples.reshape(groups, shape.in_channels, images, -1)
    size = weights.shape[-1] * samples.shape[-1]  # products of an image and output channel
    together = max(1, min(images, PRODUCTS // (size * result.itemsize)))
    block = max(1, min(out_channels, PRODUCTS // (size * result.itemsize * together)))
    scratch = np.empty(together * block * size, result.dtype)
    tables = _product_tables(shape)
    value = result.dtype.name
    kernel = entry.kernel("convolution", "gather", (f"{value}*",) * 3 + ("int64*",) * 8 + ("int64",) * 6)

    starts = (range(0, images, together), range(groups), range(0, out_channels, block))
    for n, group, channel in itertools.product(*starts):
        some = samples[group, :, n : n + together]
        factor = weights[group, :, channel : channel + block]
        target = result[n : n + together, group, channel : channel + block]
        products = scratch[: target.shape[0] * target.shape[1] * size].reshape(-1, some.shape[1] * some.shape[2])
        with np.errstate(over="ignore", invalid="ignore"):  # torch does not warn either
            np.matmul(factor.reshape(shape.in_channels, -1).T, some.reshape(shape.in_channels, -1), out=products)
        arrays = (target, products, bias[group * out_channels + channel :], *tables)
        arguments = [
            *map(entry.address, arrays),
            shape.stride[2],
            *target.shape[:2],
            result.strides[0] // result.itemsize,
        ]
        in_bands(kernel, arguments, b"", math.prod(target.shape[:4]), target.size * weights.shape[-1])


@lru_cache(maxsize=32)
def _product_tables(shape: Shape) -> tuple[Array, ...]:
    """Return the tables of the kernel `gather`, in its order."""
    left = np.arange(shape.kernel[2], dtype=np.int64) * shape.dilation[2] - shape.padding[2]
    opens = np.maximum(-(left // shape.stride[2]), 0)
    closes = np.minimum(-((left - shape.out[2]) // shape.stride[2]), shape.size[2])
    sizes = _tables(shape.kernel, shape.size, shape.out)
    return left, opens, closes, _inputs(shape, 0), _inputs(shape, 1), *sizes


def _inputs(shape: Shape, axis: int) -> Array:
    """Return (out, kernel): which input of an axis an output receives by a tap, or -1."""
    tap, output = np.arange(shape.kernel[axis], dtype=np.int64), np.arange(shape.out[axis], dtype=np.int64)[:, None]
    place, rest = np.divmod(output + shape.padding[axis] - tap * shape.dilation[axis], shape.stride[axis])
    return np.where((rest == 0) & (place >= 0) & (place < shape.size[axis]), place, -1)


def _tables(*triples: Triple) -> tuple[Array, ...]:
    return tuple(np.array(triple, np.int64) for triple in triples)
