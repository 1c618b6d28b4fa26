"""Transposed convolutions on a GPU: which kernels serve a shape, their tables and launches.

As on the CPU every output has one owner, and there are two ways: by phases in registers (`correlate_*`), or by
products, whose matrix multiplication is that of the library of the arrays (`gather_*`).
"""

from __future__ import annotations

import itertools
import math
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np

from resample.arrays import Array
from resample.convolution_shape import DType, Shape, Steps, precise_type, shape_of
from resample.devices import DeviceArray, rearranged
from resample.kernels.cuda import driver, passes


class _Block(NamedTuple):
    """The outputs that a thread of `kernels.cuda.convolution` sums, and so which of the kernels it is."""

    channels: int
    rows: int
    lanes: int
    """Weights that are loaded at once; those of a tap are filled up to a multiple."""
    together: int
    """Taps along the height that are taken at once."""
    cost: float
    """Instructions of the inner loop a tap, in machine code of compute capability 9.0, where float64 counts twice."""

    @property
    def name(self) -> str:
        return f"correlate_{self.channels}_{self.rows}_{self.lanes}_{self.together}"

    @property
    def padded(self) -> int:
        return -(-self.channels // self.lanes) * self.lanes


# by the bytes of a weight, so that vectors have up to 16
BLOCKS = {
    4: (
        *(_Block(1, 8, 1, 1, 32), _Block(3, 8, 4, 1, 48), _Block(4, 4, 4, 1, 32), _Block(8, 4, 4, 1, 49)),
        *(_Block(1, 8, 1, 2, 23), _Block(3, 8, 4, 2, 41.5), _Block(4, 4, 4, 2, 27.5)),
    ),
    8: (_Block(1, 8, 1, 1, 40), _Block(4, 4, 2, 1, 49)),
}
GATHERING = _Block(1, 4, 1, 1, 0)  # of the sums of products

WARP = 32  # threads that load and store at once

# offsets within a channel are uint32, and rows beyond its edges must not look like others; places of weights likewise
MOST_OF_A_CHANNEL, MOST_WEIGHTS = 1 << 31, 1 << 32

# bytes of products at a time, which stay in the L2 of large GPUs; at least one image and output channel
PRODUCTS = 1 << 25

_SOURCE = "resample.kernels.cuda.convolution"
_NUMBER = ("uint32",)


def pack_types(value: str, weight: str) -> tuple[str, ...]:
    """Return the types of `pack`'s arguments, given those of a weight before and after."""
    return (f"{weight}*", f"{value}*", *_NUMBER * 7)


def correlate_types(value: str, weight: str, bias: str) -> tuple[str, ...]:
    """Return the same of `correlate_*`."""
    return (*(f"{value}*",) * 2, f"{weight}*", f"{bias}*", *("uint32*",) * 3, *_NUMBER * 25)


def gather_types(value: str, product: str, bias: str) -> tuple[str, ...]:
    """Return the same of `gather_*`."""
    return (f"{value}*", f"{product}*", f"{bias}*", *("uint32*",) * 2, *_NUMBER * 23)


def convert_types(target: str, source: str) -> tuple[str, ...]:
    """Return the same of `convert` and `convert_half`."""
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


def convolved(
    input: DeviceArray,
    weight: DeviceArray,
    bias: DeviceArray | None,
    steps: Steps,
    groups: int,
    sizes: tuple[int, ...],
) -> DeviceArray:
    """Return what `convolution.convolved` does, on the device where the arrays are."""
    result = (input.shape[0], groups * weight.shape[1], *sizes)
    if not input.shape[0]:
        return input.new(result, input.dtype)
    kinds = input.dtype, None if bias is None else bias.dtype
    multiplies = input.origin.matmul is not None
    plan = _plan(input.shape, weight.shape, steps, groups, sizes, *kinds, multiplies, input.origin.device)
    biases = None if bias is None else _dense(bias.beside(input))
    arrays = _Arrays(_dense(input), _dense(weight.beside(input)), biases)
    way = _gather if plan.by_products else _correlate
    return input.run([passes.Pass(result, input.dtype, partial(way, plan, arrays), plan.tables)])


@lru_cache(maxsize=64)
def _plan(
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
    shape = shape_of(input, weight, steps, groups, sizes)
    for values in (math.prod(shape.size), math.prod(shape.out)):
        if values >= MOST_OF_A_CHANNEL:
            raise ValueError(f"each channel must have fewer than {MOST_OF_A_CHANNEL} values on a GPU, got {values}")
    shape = _upright(shape)
    by_products = dtype.kind == "f" and multiplies and _products_are_quicker(shape)
    block = GATHERING if by_products else _cheapest_block(shape, dtype)
    precise = precise_type(dtype)
    tables = _tables(shape, groups, block, precise, device)
    if tables.owners * _weights_of_a_block(shape, block) >= MOST_WEIGHTS:
        raise ValueError(f"weight must have fewer than {MOST_WEIGHTS} values on a GPU, got shape {weight}")
    value, kind = passes.name_of(dtype), passes.name_of(precise if bias is None or bias != dtype else dtype)
    name, types, pack = f"gather_{block.rows}", gather_types(value, precise.name, kind), None
    if not by_products:
        name, types = block.name, correlate_types(value, precise.name, kind)
        pack = driver.kernel(_SOURCE, "pack", pack_types(value, precise.name), device)
    launch = driver.kernel(_SOURCE, name, types, device)
    converts_bias = bias is not None and bias not in (dtype, precise)  # NumPy takes None for float64
    return _Plan(input[0], shape, groups, precise, by_products, block, tables, launch, pack, converts_bias)


def _weights_of_a_block(shape: Shape, block: _Block) -> int:
    return math.prod(shape.kernel) * shape.in_channels * block.padded


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
    tap_step, sample_step = _steps(shape, 1)

    def cost(block: _Block) -> float:
        return -(-shape.out_channels // block.channels) * -(-rows // block.rows) * block.cost

    def serves(block: _Block) -> bool:
        """Return whether an output has as many taps, and the samples of one are the next output's of another."""
        return block.together == 1 or (shape.kernel[1] > tap_step and sample_step == _spread(shape, block))

    return min(filter(serves, BLOCKS[precise_type(dtype).itemsize]), key=cost)


def _spread(shape: Shape, block: _Block) -> int:
    """Return how many rows of samples are from one row of a tile to the next of its phase.

    They lie side by side if lanes are columns, else so that lanes are neighbouring rows.
    """
    _, height, width = shape.out
    return 1 if width >= WARP else max(1, -(-height // (shape.stride[1] * block.rows)))


def _tables(shape: Shape, groups: int, block: _Block, precise: DType, device: int) -> _Tables:
    depth, height, width = shape.out
    spread = _spread(shape, block)
    reach = spread * shape.stride[1]
    row = np.arange(height)
    row = row // reach * (reach * block.rows) + row % reach
    row = row[row < height]

    columns = np.zeros((width, 4), np.int64)
    columns[:, 1:] = _taps(shape, 2, np.arange(width), 0)
    tiles = np.empty((depth, len(row), 8), np.int64)
    tiles[..., 0] = np.add.outer(np.arange(depth) * height, row)
    tiles[..., 1] = np.minimum(block.rows, -((row - height) // reach))
    tiles[..., 2:5] = _taps(shape, 0, np.arange(depth), 0)[:, None]
    tiles[..., 5:] = _taps(shape, 1, row, (block.rows - 1) * spread)
    tiles[tiles[..., 4] == 0, 7] = 0  # instead of none along the depth, which kernels need not ask
    tiles[..., 4] = np.maximum(tiles[..., 4], 1)
    group, first = np.arange(groups)[:, None], np.arange(0, shape.out_channels, block.channels)
    owners = np.zeros((groups, len(first), 4), np.int64)
    owners[..., 0] = group * shape.in_channels
    owners[..., 1] = group * shape.out_channels + first
    owners[..., 2] = np.minimum(block.channels, shape.out_channels - first)

    tables = [np.ascontiguousarray(table, np.uint32) for table in (columns, tiles, owners)]
    constants = driver.Constants([*tables, np.zeros(1, precise)], device)
    steps = [_steps(shape, axis) for axis in range(3)]
    numbers = (*shape.kernel[1:], *(tap for tap, _ in steps), *(sample for _, sample in steps))
    numbers += (*shape.size[1:], math.prod(shape.size), width, math.prod(shape.out), depth * len(row), spread, reach)
    return _Tables(constants, width, depth * len(row), groups * len(first), numbers)


def _steps(shape: Shape, axis: int) -> tuple[int, int]:
    """Return how many taps, and how many samples backwards, are from one tap of an output to its next."""
    stride, dilation = shape.stride[axis], shape.dilation[axis]
    common = math.gcd(stride, dilation)
    return stride // common, dilation // common


def _taps(shape: Shape, axis: int, outputs: Array, reach: int) -> Array:
    """Return the first tap of each of some outputs, its sample, and how many taps, in three columns.

    Each output stands for others as well, up to the one whose samples are `reach` on: they have all the taps that any
    of them has a sample for. Output o and tap k meet where `o + padding - dilation * k` is a multiple of the stride.
    """
    stride, dilation = shape.stride[axis], shape.dilation[axis]
    common = math.gcd(stride, dilation)
    tap_step, sample_step = _steps(shape, axis)
    at = outputs + shape.padding[axis]
    phase = at % stride
    tap = phase // common * pow(sample_step, -1, tap_step) % tap_step
    sample = (at - dilation * tap) // stride
    skipped = np.maximum(0, -((shape.size[axis] - 1 - sample) // sample_step))
    taps = np.minimum(-((tap - shape.kernel[axis]) // tap_step), (sample + reach) // sample_step + 1)
    count = np.where(phase % common == 0, np.maximum(taps - skipped, 0), 0)
    return np.stack([tap + skipped * tap_step, sample - skipped * sample_step, count], axis=-1)


def _correlate(plan: _Plan, arrays: _Arrays, dst: int, _: int, stream: int) -> None:
    shape, block, tables = plan.shape, plan.block, plan.tables
    of_a_block = _weights_of_a_block(shape, block)
    total = tables.owners * of_a_block
    packed = arrays.input.new((total,), plan.precise)
    sizes = (shape.in_channels, shape.out_channels, math.prod(shape.kernel), shape.kernel[2])
    assert plan.pack
    pointers: tuple[int, ...] = (packed.address, arrays.weight.address)
    plan.pack(*passes.grid_of(total, 1, 1), stream, *pointers, *sizes, block.channels, block.padded, total)
    bias, step, _owner = _bias(plan, arrays, stream)
    planes = plan.images * tables.owners
    pointers = (dst, arrays.input.address, packed.address, bias, *tables.constants.addresses[:3])
    all_channels = (shape.in_channels, plan.groups * shape.in_channels, plan.groups * shape.out_channels)
    numbers = (*tables.numbers, *all_channels, tables.owners, planes, of_a_block, step)
    _launch(plan, planes, stream, *pointers, *numbers)


def _gather(plan: _Plan, arrays: _Arrays, dst: int, _: int, stream: int) -> None:
    shape, tables, matmul = plan.shape, plan.tables, arrays.input.origin.matmul
    assert matmul
    samples, weights = (_converted(array, plan.precise, stream) for array in (arrays.input, arrays.weight))
    bias, step, owner = _bias(plan, arrays, stream)
    size, step_size = arrays.input.dtype.itemsize, 0 if owner is None else owner.dtype.itemsize
    all_in, all_out = plan.groups * shape.in_channels, plan.groups * shape.out_channels
    volume, positions, of_a_result = (math.prod(triple) for triple in (shape.kernel, shape.size, shape.out))

    most = max(1, PRODUCTS // (volume * positions * plan.precise.itemsize))
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


def _bias(plan: _Plan, arrays: _Arrays, stream: int) -> tuple[int, int, DeviceArray | None]:
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
    source = "uint8" if array.dtype == np.bool_ else passes.name_of(array.dtype)
    name = "convert_half" if array.dtype == np.float16 else "convert"
    launch = driver.kernel(_SOURCE, name, convert_types(dtype.name, source), array.origin.device)
    launch(*passes.grid_of(row, rows, 1), stream, result.address, array.address, row, rows)
    return result


def _launch(plan: _Plan, planes: int, stream: int, *values: float) -> None:
    """Launch a kernel over all columns, tiles and planes, once more where there are more than a grid has."""
    tiles = plan.tables.tiles
    (x, _, _), block = passes.grid_of(plan.tables.columns, tiles, planes)
    for tile in range(0, tiles, passes.MOST_BLOCKS * block[1]):
        for plane in range(0, planes, passes.MOST_BLOCKS * block[2]):
            y, z = (-(-n // side) for n, side in ((tiles - tile, block[1]), (planes - plane, block[2])))
            grid = (x, min(y, passes.MOST_BLOCKS), min(z, passes.MOST_BLOCKS))
            plan.launch(grid, block, stream, *values, tile, plane)
