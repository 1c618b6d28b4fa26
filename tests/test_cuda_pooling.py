"""`max_pool1d/2d/3d` and `max_unpool1d/2d/3d` on a simulated CUDA device: the CPU's results to the last bit."""

from __future__ import annotations

import ctypes
import itertools
import re
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import simulated_cuda
from simulated_cuda import Array, Driver, fetched

import resample.functional as F
from resample import devices, nn, pooling_gpu
from resample.kernels.cuda import driver, passes
from resample.kernels.cuda import pooling as kernels
from resample.pooling import DTYPES, FLOATS

POOLS: dict[int, Any] = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
UNPOOLS: dict[int, Any] = {1: F.max_unpool1d, 2: F.max_unpool2d, 3: F.max_unpool3d}
SIZES = {1: [(13,), (12,)], 2: [(9, 10), (7, 5)], 3: [(5, 4, 8), (8, 9, 8)]}

# kernel_size, stride, padding, dilation
NUMBERS = [(2, None, 0, 1), (3, 2, 1, 1), (3, 1, 1, 2), (5, 1, 2, 1), (7, 3, 3, 1), (1, 2, 0, 1), (2, 1, 1, 9)]


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[Driver]:
    with simulated_cuda.simulated(monkeypatch) as found:
        clear()
        yield found
        clear()


def clear() -> None:
    """Forget tables on devices that are no more."""
    pooling_gpu._pooling.cache_clear()
    pooling_gpu._placing.cache_clear()


def random_array(shape: tuple[int, ...], dtype: str, seed: int = 0) -> np.ndarray:
    """Return few values, so that there are many ties; for floats both zeros, infinities and NaNs of two kinds."""
    rng = np.random.default_rng(seed)
    if dtype not in FLOATS:
        return rng.choice(np.array([np.iinfo(dtype).min, 0, 1, np.iinfo(dtype).max], dtype), shape)
    values = np.array([-3.0, -0.0, 0.0, 1.0, 2.5, -np.inf, -np.inf, np.inf, np.nan, -np.nan], dtype)
    return rng.choice(values, shape)


def layouts(values: np.ndarray) -> list[np.ndarray]:
    """Return the array with channels first, last, and with gaps."""
    last = np.moveaxis(np.ascontiguousarray(np.moveaxis(values, 1, -1)), -1, 1)
    gaps = np.zeros((*values.shape[:-1], 2 * values.shape[-1]), values.dtype)[..., ::2]
    gaps[...] = values
    return [values, last, gaps]


def assert_same(result: Any, expected: np.ndarray) -> None:
    """Assert that a result on the device is the array: values to the last bit, and how they lie in memory."""
    assert result.dtype == expected.dtype
    assert result.shape == expected.shape
    assert fetched(result).tobytes() == expected.tobytes(), (fetched(result), expected)
    strides = [(step, n) for step, n in zip(expected.strides, expected.shape, strict=True) if n > 1]
    assert [(step, n) for step, n in zip(result.strides, result.shape, strict=True) if n > 1] == strides


def compare_pool(axes: int, array: np.ndarray, *arguments: Any, **options: Any) -> None:
    expected = POOLS[axes](array, *arguments, **options, return_indices=True)
    on_device = Array(array)
    for result, wanted in zip(
        POOLS[axes](on_device, *arguments, **options, return_indices=True), expected, strict=True
    ):
        assert_same(result, wanted)
    assert_same(POOLS[axes](on_device, *arguments, **options), expected[0])


@pytest.mark.parametrize("numbers", NUMBERS)
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_pool_is_the_cpus(axes: int, numbers: tuple[Any, ...], cuda: Driver) -> None:
    for size, channels, ceil_mode in itertools.product(SIZES[axes], (1, 4, 5, 6), (False, True)):
        kernel_size, _, padding, dilation = numbers
        if min(size) + 2 * padding <= dilation * (kernel_size - 1):
            continue  # no window
        array = random_array((2, channels, *size), "float32", channels)
        for view in layouts(array):
            compare_pool(axes, view, *numbers, ceil_mode)
            compare_pool(axes, view[1], *numbers, ceil_mode)
    assert cuda.synchronized == 0


@pytest.mark.parametrize("dtype", [dtype for dtype in DTYPES if dtype != "float32"])
def test_dtypes(dtype: str, cuda: Driver) -> None:
    least = -np.inf if dtype in FLOATS else np.iinfo(dtype).min
    for array in (random_array((2, 3, 8, 12), dtype), np.full((1, 1, 6, 8), least, dtype)):
        results = F.max_pool2d(Array(array), 2, return_indices=True)
        for result, wanted in zip(results, F.max_pool2d(array, 2, return_indices=True), strict=True):
            assert_same(result, wanted)
    if dtype in ("float16", "float64", "uint8"):
        last = layouts(random_array((2, 4, 6, 8), dtype))[1]
        assert_same(F.max_pool2d(Array(last), 2), F.max_pool2d(last, 2))
    stepped_over = random_array((2, 3, 8), dtype)
    assert_same(F.max_pool1d(Array(stepped_over), 2, 1, 1, 9), F.max_pool1d(stepped_over, 2, 1, 1, 9))


def test_one_number_for_each_axis(cuda: Driver) -> None:
    for numbers in (((2, 3, 1), (1, 4, 2), (0, 1, 0), (1, 2, 3)), ((1, 2, 3), None, 0, (2, 1, 1)), ((4, 2, 2), 1, 1)):
        for view in layouts(random_array((2, 4, 7, 9, 8), "float32")):
            compare_pool(3, view, *numbers)


def test_very_long_windows_cost_nothing(cuda: Driver) -> None:
    array = random_array((1, 2, 3), "float32")
    compare_pool(1, array, 2**30, 1, 2**29 - 1)
    compare_pool(2, array[..., None], 2**30, 2**30, 2**29)
    compare_pool(1, array, 1, 2**31 - 1, ceil_mode=True)


def test_every_pooling_kernel_runs(cuda: Driver) -> None:
    for (kernel, width), channels in itertools.product(
        [(2, 6), (2, 4), (2, 8), (3, 9), (3, 6), (5, 15), (6, 6)], (1, 2, 3, 4)
    ):
        array = np.arange(channels * 6 * width, dtype=np.float32).reshape(1, channels, 6, width)
        compare_pool(2, layouts(array)[1], min(kernel, 6), (6, kernel))
        compare_pool(2, array, min(kernel, 6), (6, kernel))
    wanted = {name for name in vars(kernels) if re.fullmatch(r"(pool|packed)_(\d_\d|any)(_indexed)?", name)}
    assert {name for name, *_ in cuda.launches} == wanted


def test_indices_that_are_not_asked_for_are_not_made(cuda: Driver) -> None:
    F.max_pool2d(Array(random_array((1, 2, 8, 8), "float32")), 2)
    F.max_pool2d(Array(random_array((1, 2, 8, 8), "float32")), 2, return_indices=True)
    assert [name for name, *_ in cuda.launches] == ["pool_2_4", "pool_2_2_indexed"]


def pooled(axes: int, array: np.ndarray, *numbers: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return other values than the maxima, so that it shows which one of equal indices was taken, and the indices."""
    _, indices = POOLS[axes](array, *numbers, return_indices=True)
    values = np.random.default_rng(3).standard_normal(indices.shape).astype(array.dtype)
    return layouts(values)[1] if indices.strides[1] == indices.itemsize else values, indices


def compare_unpool(axes: int, values: np.ndarray, indices: np.ndarray, *arguments: Any) -> None:
    assert_same(UNPOOLS[axes](Array(values), Array(indices), *arguments), UNPOOLS[axes](values, indices, *arguments))


def first_kernels(cuda: Driver) -> set[str]:
    return {name for name, *_ in cuda.launches if name.startswith("place")}


@pytest.mark.parametrize("dtype", FLOATS)
def test_unpool_of_pool_looks_only_into_windows(dtype: str, cuda: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first kernel is enough, and marks no plane: those that do planes again are left out here."""
    launch = cuda.cuLaunchKernel

    def first_only(function: Any, *rest: Any) -> int:
        name = cuda.modules[function.value - 1][1]
        if name.startswith("place"):
            return launch(function, *rest)
        if name == "clear":
            _, suspect, planes, _ = struct.unpack("@QQII", ctypes.string_at(rest[-1][1], 24))
            assert not any(ctypes.string_at(suspect, 4 * planes))
        return 0

    monkeypatch.setattr(cuda, "cuLaunchKernel", first_only)
    windows = [(2, None, 0), (2, 2, 1), (3, 2, 1), (2, 1, 0), (1, 3, 0), (3, 3, 0)]
    for axes, numbers, channels in itertools.product((1, 2, 3), windows if dtype == "float32" else windows[:1], (1, 4)):
        for size in ((8, 6, 16)[:axes], (7, 9, 5)[:axes], (6, 8, 12)[-axes:]):
            for view in layouts(random_array((2, channels, *size), dtype))[:2]:
                values, indices = pooled(axes, view, *numbers)
                compare_unpool(axes, values, indices, *numbers, size)
                compare_unpool(axes, values[1], indices[1], *numbers, size)
    assert cuda.synchronized == 0
    pairs = {"float16": {1, 2, 4}, "float32": {1, 2}, "float64": {1}}[dtype]
    overlapping = {"place_2"} if dtype == "float32" else set()
    assert first_kernels(cuda) == {"place_1", *overlapping, *(f"place_pairs_{lanes}" for lanes in pairs)}


@pytest.mark.parametrize("dtype", FLOATS)
def test_indices_may_be_anywhere(dtype: str, cuda: Driver) -> None:
    """Of equal indices the last one counts, for all kernels that may come first, and for none."""
    rng = np.random.default_rng(1)
    windows = [(2, 2), (4, 1), (2, 0), (3, 3), (2, 3), (3, 2)]
    for axes, (kernel, stride), channels in itertools.product(
        (1, 2, 3), windows if dtype == "float32" else windows[:3], (1, 3)
    ):
        if axes == 3 and stride == 0:
            continue  # as torch
        shape = (2, channels, *(3, 4, 2)[:axes])
        for view in layouts(rng.standard_normal(shape).astype(dtype)):
            places = int(np.prod([(n - 1) * stride + kernel for n in shape[2:]]))
            indices = rng.integers(0, min(places, 9), shape)
            compare_unpool(axes, view, indices, kernel, stride)
            indices = rng.integers(0, places, shape)
            for other in layouts(indices):
                compare_unpool(axes, view, other, kernel, stride)
    assert cuda.synchronized == 0


def test_only_suspect_planes_are_done_again(cuda: Driver) -> None:
    values, indices = pooled(2, random_array((3, 5, 8, 8), "float32"), 2)
    indices[1, 2, 3, 3], indices[2, 0, 0, 0] = 0, 63
    for view, other in zip(layouts(values), layouts(indices), strict=True):
        compare_unpool(2, view, other, 2)


def test_windows_out_of_the_result(cuda: Driver) -> None:
    """Padding and output_size can cut windows off, wholly even; what is left over belongs to the inputs at the ends."""
    rng = np.random.default_rng(4)
    for kernel, stride, padding, size in (
        (1, 4, 0, 6), (1, 4, 0, 12), (2, 3, 1, 4), (4, 4, -2, 18), (2, 2, 2, 2), (9, 1, 4, 3), (5, 5, 2, 13)
    ):  # fmt: skip
        values = rng.standard_normal((2, 3, 3)).astype(np.float32)
        indices = rng.integers(0, size, values.shape)
        compare_unpool(1, values, indices, kernel, stride, padding, (size,))
    compare_unpool(1, values, np.array([2, 7, 13])[[[0, 1, 2]] * 3][None].repeat(2, 0), 4, 4, -2, (18,))
    compare_unpool(1, values[..., :1], np.ones((2, 3, 1), np.int64), 2, 2**70)
    compare_unpool(1, values[..., :1], np.ones((2, 3, 1), np.int64), 2**70 + 2, 1, 2**69)


def test_invalid_indices_are_skipped(cuda: Driver) -> None:
    values, indices = pooled(2, random_array((1, 2, 8, 8), "float32"), 2)
    expected = F.max_unpool2d(values, indices, 2)
    for wrong, stray in itertools.product((64, -1, 2**62, -(2**63), 2**32, 2**32 + 5), (False, True)):
        broken, skipped = indices.copy(), expected.copy()
        skipped[0, 1].flat[indices[0, 1, 1, 2]] = 0
        broken[0, 1, 1, 2] = wrong
        if stray:
            skipped[0, 1].flat[[indices[0, 1, 0, 0], 63]] = 0, skipped[0, 1].flat[63]
            broken[0, 1, 0, 0] = 62
            skipped[0, 1].flat[62] = values[0, 1, 3, 3] if indices[0, 1, 3, 3] == 62 else values[0, 1, 0, 0]
        for view, other in zip(layouts(values), layouts(broken), strict=True):
            assert fetched(F.max_unpool2d(Array(view), Array(other), 2)).tobytes() == skipped.tobytes()


def test_more_planes_than_a_grid_has(cuda: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads loop over the rows, planes and values that grids leave over."""
    monkeypatch.setattr(passes, "BLOCKS", 3)
    monkeypatch.setattr(passes, "MOST_BLOCKS", 2)
    monkeypatch.setattr(passes, "THREADS", 16)
    for view in layouts(random_array((5, 9, 24, 16), "float32")):
        compare_pool(2, view, 2)
        compare_pool(2, view, 7, 3, 3)
        values, indices = pooled(2, view, 2)
        compare_unpool(2, values, indices, 2)
        compare_unpool(2, values, np.random.default_rng(5).permuted(indices, axis=-1), 2)


def test_empty_batch(cuda: Driver) -> None:
    maxima, indices = F.max_pool2d(Array(np.empty((0, 3, 4, 6), np.float32)), 2, return_indices=True)
    assert maxima.shape == indices.shape == (0, 3, 2, 3)
    assert indices.dtype == np.int64
    assert F.max_unpool2d(maxima, indices, 2).shape == (0, 3, 4, 6)
    nothing = F.max_unpool2d(Array(np.ones((1, 1, 2, 2), np.float32)), Array(np.zeros((1, 1, 2, 2), np.int64)), 0)
    assert nothing.shape == (1, 1, 0, 0)
    assert not cuda.launches


def test_the_callers_stream(cuda: Driver) -> None:
    array = random_array((1, 1, 4, 4), "float32")
    maxima, indices = F.max_pool2d(Array(array, stream=1234), 2, return_indices=True)
    F.max_unpool2d(maxima, indices, 2)
    assert [launch[-1] for launch in cuda.launches] == [1234] * 5
    F.max_pool2d(Array(array), 2)
    assert cuda.launches[-1][-1] == 1
    assert cuda.synchronized == 0


def test_layers(cuda: Driver) -> None:
    array = random_array((1, 2, 6, 8), "float32")
    maxima, indices = nn.MaxPool2d(2, return_indices=True)(Array(array))
    expected = nn.MaxPool2d(2, return_indices=True)(array)
    assert_same(nn.MaxUnpool2d(2)(maxima, indices), nn.MaxUnpool2d(2)(*expected))


def test_memory_is_given_back(cuda: Driver) -> None:
    array = random_array((2, 3, 9, 9), "float16")
    for _ in range(2):
        before = len(cuda.blocks)
        F.max_unpool2d(*F.max_pool2d(Array(array), 3, return_indices=True), 3)
    assert len(cuda.blocks) == before


def test_a_graph_keeps_tables_but_no_arrays(cuda: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_captured", [])
    array = Array(random_array((2, 3, 9, 9), "float16"))
    F.max_unpool2d(*F.max_pool2d(array, 3, return_indices=True), 3)
    before = len(cuda.blocks)
    assert not devices._captured
    cuda.capturing = True
    F.max_unpool2d(*F.max_pool2d(array, 3, return_indices=True), 3)
    assert len(devices._captured) == 2
    assert len(cuda.blocks) == before


def test_unaligned_memory(cuda: Driver) -> None:
    """Views into larger arrays begin where vectors cannot be read."""
    whole = random_array((9, 2, 6, 3), "float32").reshape(-1)
    memory = Array(whole)
    for shape, order in (((2, 6, 3, 4), (0, 3, 1, 2)), ((2, 4, 6, 3), (0, 1, 2, 3))):
        expected = whole[1 : 1 + 144].reshape(shape).transpose(order)
        part = Array(np.zeros(shape, np.float32).transpose(order))
        part.__cuda_array_interface__ |= {"data": (memory.memory.address + 4, False)}
        for kernel in (2, 3):
            assert_same(F.max_pool2d(part, kernel), F.max_pool2d(expected, kernel))


def test_input_and_indices_must_be_together(monkeypatch: pytest.MonkeyPatch) -> None:
    values, indices = np.ones((1, 2, 2), np.float32), np.zeros((1, 2, 2), np.int64)
    with simulated_cuda.simulated(monkeypatch, devices=2):
        with pytest.raises(ValueError, match=r"indices must be on the device of input, CUDA device 0, .* on the CPU"):
            F.max_unpool2d(Array(values), indices, 2)
        with pytest.raises(ValueError, match=r"indices must be on the device of input, the CPU, .* on CUDA device 0"):
            F.max_unpool2d(values, Array(indices), 2)
        with pytest.raises(ValueError, match=r"CUDA device 0, got indices on CUDA device 1"):
            F.max_unpool2d(Array(values), devices.uploaded(indices, 1), 2)
        assert_same(
            F.max_unpool2d(devices.uploaded(values, 1), devices.uploaded(indices, 1), 2),
            F.max_unpool2d(values, indices, 2),
        )
    clear()


def test_errors_are_the_cpus(cuda: Driver) -> None:
    image, places = np.zeros((1, 4, 6), np.float32), np.zeros((1, 4, 6), np.int64)
    for options in ({"kernel_size": 0}, {"kernel_size": 7}, {"kernel_size": 2, "padding": 2}, {"kernel_size": 2.0}):
        with pytest.raises((RuntimeError, TypeError)) as expected:
            F.max_pool2d(image, **options)
        with pytest.raises(expected.type, match=re.escape(str(expected.value))):
            F.max_pool2d(Array(image), **options)
    for dtype in ("bool", "uint16", "complex64"):
        with pytest.raises(NotImplementedError, match=f"input must be one of .* got {dtype}"):
            F.max_pool2d(Array(image.astype(dtype)), 2)
    with pytest.raises(NotImplementedError, match=r"input must be one of .* got int32"):
        F.max_unpool2d(Array(image.astype(np.int32)), Array(places), 2)
    with pytest.raises(RuntimeError, match="indices must be int64, got int32"):
        F.max_unpool2d(Array(image), Array(places.astype(np.int32)), 2)
    with pytest.raises(RuntimeError, match="indices must have the shape of input"):
        F.max_unpool2d(Array(image), Array(places[:, :2]), 2)
    with pytest.raises(ValueError, match="output_size must be less than stride"):
        F.max_unpool2d(Array(image), Array(places), 2, output_size=(20, 20))
    assert not cuda.launches


def test_planes_have_less_than_2_to_the_32_values(cuda: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes, "MOST_OF_A_PLANE", 40)
    values, indices = random_array((2, 1, 4, 10), "float32"), np.zeros((2, 1, 4, 10), np.int64)
    for view in (values, values.reshape(2, 2, 4, 5)[:, :, ::2]):
        with pytest.raises(ValueError, match=r"less than 2\*\*32 values"):
            F.max_pool2d(Array(view if view is values else layouts(np.concatenate([view, view], 1))[1]), 1)
    with pytest.raises(ValueError, match=r"less than 2\*\*32 values"):
        F.max_unpool2d(Array(values), Array(indices), 1)
    assert driver.count() == 1
