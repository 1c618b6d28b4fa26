"""`max_pool1d/2d/3d` and `max_unpool1d/2d/3d` against live torch: values are copied, so equal to the last bit."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
import torch.nn.functional as reference
from guards import Guarded
from hypothesis import given, settings

import resample
from resample import pooling
from resample.pooling import DTYPES, FLOATS

LAYOUTS = ["contiguous", "channels last", "strided", "reversed", "fortran"]
POOLS: dict[int, tuple[Callable[..., Any], Callable[..., Any]]] = {
    1: (pooling.max_pool1d, reference.max_pool1d),
    2: (pooling.max_pool2d, reference.max_pool2d),
    3: (pooling.max_pool3d, reference.max_pool3d),
}
UNPOOLS: dict[int, tuple[Callable[..., Any], Callable[..., Any]]] = {
    1: (pooling.max_unpool1d, reference.max_unpool1d),
    2: (pooling.max_unpool2d, reference.max_unpool2d),
    3: (pooling.max_unpool3d, reference.max_unpool3d),
}


def random_array(shape: tuple[int, ...], dtype: str, layout: str = "contiguous", seed: int = 0) -> np.ndarray:
    """Return few values, so that there are many ties; for floats both zeros, infinities and NaNs among them."""
    rng = np.random.default_rng(seed)
    if dtype in FLOATS:
        values = [-3.0, -0.0, 0.0, 1.0, 2.5, -np.inf, -np.inf, np.inf, np.nan]
    else:
        values = [np.iinfo(dtype).min, 0, 1, np.iinfo(dtype).max]
    return laid(rng.choice(np.array(values, dtype), shape), layout)


def laid(array: np.ndarray, layout: str) -> np.ndarray:
    """Return an equal array that lies otherwise in memory."""
    if layout == "strided":
        wide = np.empty([2 * n for n in array.shape], array.dtype)[tuple(slice(None, None, 2) for _ in array.shape)]
        wide[...] = array
        return wide
    if layout == "channels last":
        return np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 1, -1)), -1, 1)
    if layout == "reversed":
        return np.ascontiguousarray(array[..., ::-1, ::-1])[..., ::-1, ::-1]
    return np.asfortranarray(array) if layout == "fortran" else array


def assert_same_bytes(actual: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_array_equal(actual, expected)
    assert actual.dtype == expected.dtype
    assert actual.tobytes() == expected.tobytes()


def outcome(call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Return what a call returns, or the type of what it raises."""
    try:
        return call(*arguments, **options)
    except Exception as error:
        return type(error)


def compare_pool(axes: int, array: np.ndarray, *arguments: Any, **options: Any) -> None:
    """Assert that ours gives torch's maxima and indices, or raises what torch raises."""
    ours, torchs = POOLS[axes]
    # a plain copy: torch takes no negative strides, and its kernel for channels-last volumes has a bug, see below
    tensor = torch.from_numpy(np.array(array, order="C"))
    expected = outcome(torchs, tensor, *arguments, **options, return_indices=True)
    actual = outcome(ours, array, *arguments, **options, return_indices=True)
    if isinstance(expected, type) or isinstance(actual, type):
        assert actual is expected
    else:
        for result, wanted in zip(actual, expected, strict=True):
            assert_same_bytes(result, wanted.numpy())
        assert_same_bytes(ours(array, *arguments, **options), expected[0].numpy())


@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_product_of_parameters(axes: int, dtype: str, ceil_mode: bool) -> None:
    """Windows that do not fit and padding that is too wide are among them: then torch's exception is wanted."""
    sizes = {1: [(1,), (2,), (7,), (12,)], 2: [(1, 2), (7, 5), (4, 9)], 3: [(3, 2, 5), (4, 5, 3)]}[axes]
    numbers = itertools.product(sizes, [1, 2, 3], [None, 1, 2, 4], [0, 1, 2], [1, 2, 3])
    for seed, (size, kernel_size, stride, padding, dilation) in enumerate(numbers):
        array = random_array((2, 3, *size), dtype, seed=seed)
        compare_pool(axes, array, kernel_size, stride, padding, dilation, ceil_mode)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_layouts(axes: int, dtype: str, layout: str) -> None:
    for channels, batch in itertools.product([1, 5, 18], [0, 1, 2]):
        array = random_array((batch, channels, *(5, 7, 6)[:axes]), dtype, layout)
        for kernel_size, stride, padding, dilation in [(2, None, 0, 1), (3, 2, 1, 1), (3, 1, 1, 2), (2, 3, 1, 3)]:
            compare_pool(axes, array, kernel_size, stride, padding, dilation)
            if batch:
                compare_pool(axes, array[0], kernel_size, stride, padding, dilation, True)


def test_one_number_for_each_axis() -> None:
    for axes, size in [(2, (9, 12)), (3, (5, 9, 12))]:
        array = random_array((2, 3, *size), "float32")
        for kernel_size, stride in itertools.product([(2, 3, 1), [1, 4, 2], (5,)], [None, (1, 3, 2), [2, 1, 1], (2,)]):
            for padding, dilation in itertools.product([(0, 1, 0), (0,)], [(1, 2, 3), [2]]):
                numbers = [value[-axes:] if value else None for value in (kernel_size, stride, padding, dilation)]
                compare_pool(axes, array, *numbers)


def test_memory_format_is_torchs() -> None:
    for axes in (2, 3):
        array = np.arange(2 * 4 * 5**axes, dtype=np.float32).reshape(2, 4, *[5] * axes)
        for layout in (array, np.ascontiguousarray(np.moveaxis(array, 1, -1)), array[:, :, ::2]):
            tensor = torch.from_numpy(layout if layout.shape[1] != 5 else np.moveaxis(layout, -1, 1))
            expected = POOLS[axes][1](tensor, 2, 1, return_indices=True)
            actual = POOLS[axes][0](tensor, 2, 1, return_indices=True)
            for result, wanted in zip(actual, expected, strict=True):
                assert isinstance(result, torch.Tensor)
                assert torch.equal(result, wanted)
                assert result.stride() == wanted.stride()


def test_index_of_minus_infinity_is_right_where_torch_is_not() -> None:
    """torch 2.13 drops the depth of the index in channels-last volumes whose windows hold nothing but -inf."""
    array = np.full((1, 2, 4, 2, 2), -np.inf, np.float32)
    last = np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 1, -1)), -1, 1)
    _, expected = reference.max_pool3d(torch.from_numpy(array), 2, return_indices=True)
    assert_same_bytes(pooling.max_pool3d(last, 2, return_indices=True)[1], expected.numpy())
    _, broken = reference.max_pool3d(torch.from_numpy(last), 2, return_indices=True)
    assert not torch.equal(broken, expected)  # when this fails torch is mended: compare all layouts


def test_one_axis_takes_integers_without_indices() -> None:
    """torch 2.13 takes them only with return_indices."""
    for dtype in DTYPES[3:]:
        array = random_array((2, 3, 9), dtype)
        expected, _ = reference.max_pool1d(torch.from_numpy(array), 3, 2, 1, return_indices=True)
        assert_same_bytes(pooling.max_pool1d(array, 3, 2, 1), expected.numpy())
        with pytest.raises(NotImplementedError):
            reference.max_pool1d(torch.from_numpy(array), 3, 2, 1)


def test_more_samples_than_bytes_count() -> None:
    """With indices, torch refuses channels-last planes of 8 bits that have more samples than their type has values."""
    array = random_array((1, 3, 40, 40), "int8", "channels last")
    with pytest.raises(RuntimeError, match="numeric_limits"):
        reference.max_pool2d(torch.from_numpy(array), 20, return_indices=True)
    maxima, indices = pooling.max_pool2d(array, 20, return_indices=True)
    expected = reference.max_pool2d(torch.from_numpy(np.ascontiguousarray(array)), 20, return_indices=True)
    np.testing.assert_array_equal(maxima, expected[0].numpy())
    np.testing.assert_array_equal(indices, expected[1].numpy())


def test_very_long_windows_cost_nothing() -> None:
    """Only the samples of a window are looked at, not the padding."""
    array = random_array((1, 2, 3), "float32")
    compare_pool(1, array, 2**30, 1, 2**29 - 1)
    compare_pool(2, array[..., None], 2**30, 2**30, 2**29)
    compare_pool(1, array, 1, 2**31 - 1, ceil_mode=True)


def naive_unpool(input: np.ndarray, indices: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Return planes of `size` with each value written to its index, one after the other."""
    lead = input.shape[: -len(size)]
    result = np.zeros((*lead, *size), input.dtype)
    for place in np.ndindex(lead):
        plane = result[place].reshape(-1)
        for index, value in zip(indices[place].ravel(), input[place].ravel(), strict=True):
            plane[index] = value
    return result


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_unpool_of_pool(axes: int, dtype: str, layout: str) -> None:
    ours, torchs = UNPOOLS[axes]
    size = (6, 7, 9)[:axes]
    for kernel_size, stride, padding, batch in itertools.product([2, 3], [None, 1, 2, 3], [0, 1], [0, 1, 2]):
        array = np.random.default_rng(0).permutation(5 * batch * 6**axes * 9).astype(dtype)
        array = np.resize(array, (batch, 5, *size))
        tensors = POOLS[axes][1](torch.from_numpy(array), kernel_size, stride, padding, return_indices=True)
        maxima, indices = (laid(tensor.numpy(), layout) for tensor in tensors)
        step = stride or kernel_size
        usual = tuple((n - 1) * step + kernel_size - 2 * padding for n in maxima.shape[2:])
        sizes: list[Any] = [None, size, list(usual), (7, 7, *usual), tuple(n + step - 1 for n in usual)]
        for output_size in [*sizes, tuple(n - step + 1 for n in usual), tuple(n + step for n in usual)]:
            options = (kernel_size, stride, padding, output_size)
            expected = outcome(torchs, *tensors, *options)
            actual = outcome(ours, maxima, indices, *options)
            if isinstance(expected, type) or isinstance(actual, type):
                assert actual is expected
            else:
                assert_same_bytes(actual, expected.numpy())
            if batch and not isinstance(actual, type):
                assert_same_bytes(ours(maxima[0], indices[0], *options), actual[0])


@pytest.mark.parametrize("layout", ["contiguous", "channels last"])
def test_the_last_of_equal_indices_wins_for_any_number_of_threads(layout: str) -> None:
    rng = np.random.default_rng(1)
    input = laid(rng.standard_normal((2, 6, 100, 110)).astype(np.float32), layout)
    indices = laid(rng.integers(0, 50 * 60, input.shape), layout)
    expected = naive_unpool(input, indices, (101, 111))
    before = resample.get_num_threads()
    try:
        for count in (1, 2, 3, 8):
            resample.set_num_threads(count)
            actual = pooling.max_unpool2d(input, indices, 2, 1)
            assert_same_bytes(actual, expected)
    finally:
        resample.set_num_threads(before)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_indices_may_be_repeated_and_of_any_layout(axes: int) -> None:
    rng = np.random.default_rng(2)
    for layout, other, dtype in itertools.product(LAYOUTS, LAYOUTS, FLOATS):
        input = random_array((2, 3, *(3, 4, 2)[:axes]), dtype, layout)
        indices = laid(rng.integers(0, 2**axes, input.shape), other)
        size = tuple(2 * n for n in input.shape[2:])
        assert_same_bytes(UNPOOLS[axes][0](input, indices, 2), naive_unpool(input, indices, size))


def test_unpool_memory_format() -> None:
    """Channels last as torch in 2-D, and, where torch does not, in 3-D too."""
    tensor = torch.arange(2 * 4 * 3 * 3, dtype=torch.float64).reshape(2, 4, 3, 3)
    indices = torch.arange(9).reshape(1, 1, 3, 3).repeat(2, 4, 1, 1)
    for layout in (torch.contiguous_format, torch.channels_last):
        expected = reference.max_unpool2d(tensor.to(memory_format=layout), indices, 2)
        actual = pooling.max_unpool2d(tensor.to(memory_format=layout), indices, 2)
        assert isinstance(actual, torch.Tensor)
        assert torch.equal(actual, expected)
        assert actual.stride() == expected.stride()


def test_an_invalid_index_is_named() -> None:
    input, indices = np.zeros((2, 3, 4, 5), np.float32), np.zeros((2, 3, 4, 5), np.int64)
    for wrong, layout in itertools.product([80, -1, 2**62, -(2**63)], ["contiguous", "channels last"]):
        indices[1, 1, 2, 3] = wrong
        with pytest.raises(RuntimeError, match=rf"indices .* range\(80\).* 8x10.* {wrong}$"):
            pooling.max_unpool2d(laid(input, layout), indices, 2)
    # as torch, which does not look at indices where there is nothing to write to
    assert pooling.max_unpool2d(input, indices, 0).shape == (2, 3, 0, 0)


@pytest.mark.parametrize("at_end", [True, False])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_kernels_stay_inside_their_buffers(axes: int, at_end: bool, guarded: Guarded) -> None:
    (pool, _), (unpool, _) = POOLS[axes], UNPOOLS[axes]
    for layout in ("contiguous", "channels last"):
        array = random_array((2, 3, 6, 8, 10)[: axes + 2], "float32", layout)
        for stride, padding, dilation in itertools.product((1, 2, 3), (0, 1), (1, 2)):
            expected = pool(array, 3, stride, padding, dilation, True, True)
            with guarded(at_end):
                actual = pool(array, 3, stride, padding, dilation, True, True)
            for result, wanted in zip(actual, expected, strict=True):
                assert_same_bytes(result, wanted)
        maxima, indices = pool(array, 2, return_indices=True)
        expected = unpool(maxima, indices, 2)
        with guarded(at_end):
            assert_same_bytes(unpool(maxima, indices, 2), expected)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_threads_do_not_change_bits(axes: int) -> None:
    before = resample.get_num_threads()
    shape = {1: (3, 40, 2000), 2: (2, 7, 130, 131), 3: (1, 5, 20, 33, 61)}[axes]
    try:
        for layout in ("contiguous", "channels last"):
            array = random_array(shape, "float32", layout)
            for count in (1, 2, 3, 8):
                resample.set_num_threads(count)
                compare_pool(axes, array, 3, 2, 1)
    finally:
        resample.set_num_threads(before)


def test_any_memory() -> None:
    array = random_array((2, 3, 8, 9), "float32")
    indices = np.random.default_rng(3).permutation(8 * 9 * 4)[: 8 * 9].reshape(1, 1, 8, 9).repeat(3, 1).repeat(2, 0)
    expected = pooling.max_pool2d(array, 3, return_indices=True)
    unpooled = pooling.max_unpool2d(array, indices, 2)
    frozen, places = array.copy(), indices.copy()
    frozen.flags.writeable = places.flags.writeable = False
    unaligned = np.zeros(array.nbytes + 1, np.uint8)[1:].view(np.float32).reshape(array.shape)
    unaligned[...] = array
    swapped = array.astype(array.dtype.newbyteorder())
    for same in (frozen, unaligned, swapped, memoryview(array)):
        for actual, wanted in zip(pooling.max_pool2d(same, 3, return_indices=True), expected, strict=True):
            assert_same_bytes(actual, wanted)
        foreign = places.astype(places.dtype.newbyteorder()) if same is swapped else places
        assert_same_bytes(pooling.max_unpool2d(same, foreign, 2), unpooled)
    assert_same_bytes(frozen, array)
    assert not np.shares_memory(pooling.max_pool2d(array, 1), array)
    assert not np.shares_memory(pooling.max_unpool2d(array, indices % 72, 1), array)


IMAGE = np.zeros((1, 4, 6), np.float32)
BATCH = np.zeros((2, 1, 4, 6), np.float32)
VOLUME = np.zeros((1, 4, 6, 5), np.float32)
LINE = np.zeros((1, 6), np.float32)

# axes, input, arguments, the argument that our message names
BAD_POOLS: list[tuple[int, np.ndarray, dict[str, Any], str]] = [
    *((axes, array, {"kernel_size": 0}, "kernel_size") for axes, array in [(1, LINE), (2, IMAGE), (3, VOLUME)]),
    *((axes, array, {"kernel_size": -1}, "kernel_size") for axes, array in [(1, LINE), (2, BATCH), (3, VOLUME)]),
    *((axes, array, {"kernel_size": 7}, "windows") for axes, array in [(1, LINE), (2, IMAGE), (3, VOLUME)]),
    *((axes, array, {"kernel_size": 2, "stride": 0}, "stride") for axes, array in [(1, LINE), (2, IMAGE), (3, VOLUME)]),
    *((axes, array, {"kernel_size": 2, "stride": -1}, "stride") for axes, array in [(1, LINE), (2, IMAGE)]),
    *((axes, array, {"kernel_size": 2, "dilation": 0}, "dilation") for axes, array in [(1, LINE), (2, IMAGE)]),
    *((axes, array, {"kernel_size": 2, "padding": -1}, "padding") for axes, array in [(1, LINE), (2, IMAGE)]),
    *((axes, array, {"kernel_size": 2, "padding": 2}, "padding") for axes, array in [(1, LINE), (2, IMAGE)]),
    (3, VOLUME, {"kernel_size": 3, "padding": 2}, "padding"),
    (2, IMAGE, {"kernel_size": 3, "padding": 2, "dilation": 2}, "padding"),
    (2, IMAGE, {"kernel_size": (2, 2, 2)}, "kernel_size"),
    (2, IMAGE, {"kernel_size": ()}, "kernel_size"),
    (1, LINE, {"kernel_size": (2, 2)}, "kernel_size"),
    (3, VOLUME, {"kernel_size": (2, 2)}, "kernel_size"),
    (2, IMAGE, {"kernel_size": 2, "stride": (1, 1, 1)}, "stride"),
    (2, IMAGE, {"kernel_size": 2, "padding": (1, 1, 1)}, "padding"),
    (2, IMAGE, {"kernel_size": 2, "dilation": (1, 1, 1)}, "dilation"),
    (2, IMAGE, {"kernel_size": 2.0}, "kernel_size"),
    (2, IMAGE, {"kernel_size": (2, 2.0)}, "kernel_size"),
    (2, IMAGE, {"kernel_size": True}, "kernel_size"),
    (2, IMAGE, {"kernel_size": None}, "kernel_size"),
    (2, IMAGE, {"kernel_size": "2"}, "kernel_size"),
    (2, IMAGE, {"kernel_size": np.array([2, 2])}, "kernel_size"),
    (2, IMAGE, {"kernel_size": 2, "stride": 1.5}, "stride"),
    (2, IMAGE, {"kernel_size": 2, "padding": None}, "padding"),
    (2, IMAGE, {"kernel_size": 2, "dilation": 1.0}, "dilation"),
    (2, IMAGE, {"kernel_size": 2, "ceil_mode": 1}, "ceil_mode"),
    (2, IMAGE, {"kernel_size": 2, "ceil_mode": None}, "ceil_mode"),
    (2, IMAGE, {"kernel_size": 2**31}, "kernel_size"),
    (2, IMAGE, {"kernel_size": 2, "stride": 2**40}, "stride"),
    (1, LINE[0], {"kernel_size": 2}, "input"),
    (1, BATCH, {"kernel_size": 2}, "input"),
    (2, LINE, {"kernel_size": 2}, "input"),
    (2, BATCH[None], {"kernel_size": 2}, "input"),
    (3, IMAGE, {"kernel_size": 2}, "input"),
    (3, BATCH[None, None], {"kernel_size": 2}, "input"),
    (1, LINE[:0], {"kernel_size": 2}, "input"),
    (1, LINE[:, :0], {"kernel_size": 2}, "input"),
    (2, IMAGE[:0], {"kernel_size": 2}, "input"),
    (2, BATCH[:, :0], {"kernel_size": 2}, "input"),
    (2, BATCH[:, :, :0], {"kernel_size": 2}, "input"),
    (2, BATCH[:0, :, :, :0], {"kernel_size": 2}, "input"),
    (3, VOLUME[:0], {"kernel_size": 2}, "input"),
    (3, VOLUME[None, ..., :0], {"kernel_size": 2}, "input"),
    *(
        (axes, array.astype(dtype), {"kernel_size": 2}, "input")
        for dtype in ("bool", "uint16", "uint32", "uint64", "complex64", "complex128")
        for axes, array in [(1, LINE), (2, IMAGE), (3, VOLUME)]
    ),
]


@pytest.mark.parametrize("return_indices", [False, True])
@pytest.mark.parametrize(("axes", "array", "options", "named"), BAD_POOLS)
def test_pool_errors_are_torchs(
    axes: int, array: np.ndarray, options: dict[str, Any], named: str, return_indices: bool
) -> None:
    ours, torchs = POOLS[axes]
    with pytest.raises(Exception) as expected:  # noqa: PT011 whatever torch raises
        torchs(torch.from_numpy(array), **options, return_indices=return_indices)
    with pytest.raises(expected.type, match=named) as actual:
        ours(array, **options, return_indices=return_indices)
    assert actual.type is expected.type


def unpool_call(axes: int, shape: tuple[int, ...], dtype: str = "float32", index: int = 0, **options: Any) -> Any:
    indices = np.full(options.pop("other_shape", shape), index, options.pop("kind", "int64"))
    return axes, np.zeros(shape, dtype), indices, {"kernel_size": 2, **options}


BAD_UNPOOLS = [
    (unpool_call(2, (1, 2, 2), index=16), "indices"),
    (unpool_call(2, (1, 2, 2), index=-1), "indices"),
    (unpool_call(1, (1, 2), index=4), "indices"),
    (unpool_call(3, (1, 2, 2, 2), index=64), "indices"),
    (unpool_call(3, (2, 1, 2, 2, 2), index=-1), "indices"),
    (unpool_call(2, (1, 2, 2), output_size=4), "output_size"),
    (unpool_call(1, (1, 2), output_size=4), "output_size"),
    (unpool_call(3, (1, 2, 2, 2), output_size=4), "output_size"),
    (unpool_call(2, (1, 2, 2), output_size=()), "output_size"),
    (unpool_call(2, (1, 2, 2), output_size=(4,)), "output_size"),
    (unpool_call(2, (1, 2, 2), output_size=(1, 4, 4)), "output_size"),
    (unpool_call(2, (1, 2, 2), output_size=(1, 1, 1, 4, 4)), "output_size"),
    (unpool_call(1, (1, 2), output_size=(1, 4)), "output_size"),
    (unpool_call(3, (1, 2, 2, 2), output_size=(1, 4, 4, 4)), "output_size"),
    (unpool_call(2, (1, 2, 2), output_size=(6, 4)), "output_size"),
    (unpool_call(2, (1, 2, 2), output_size=(4, 2)), "output_size"),
    (unpool_call(2, (1, 2, 2), output_size=(4.0, 4)), "output_size"),
    (unpool_call(2, (1, 2, 2), output_size=("4", 4)), "output_size"),
    (unpool_call(2, (1, 2, 2), output_size="44"), "output_size"),
    (unpool_call(2, (1, 2, 2), output_size=(-1, 4), stride=20, padding=10), "size"),
    (unpool_call(2, (1, 2, 2), padding=3), "size"),
    (unpool_call(3, (1, 2, 2, 2), padding=3), "size"),
    (unpool_call(2, (1, 2, 2), kernel_size=-1), "size"),
    (unpool_call(1, (2,)), "input"),
    (unpool_call(1, (1, 1, 2, 2)), "input"),
    (unpool_call(2, (2, 2)), "input"),
    (unpool_call(2, (1, 1, 1, 2, 2)), "input"),
    (unpool_call(3, (2, 2, 2)), "input"),
    (unpool_call(3, (1, 1, 1, 2, 2, 2)), "input"),
    (unpool_call(2, (1, 0, 2, 2)), "input"),
    (unpool_call(2, (1, 2, 0)), "input"),
    (unpool_call(1, (1, 0)), "input"),
    (unpool_call(3, (0, 1, 2, 0, 2)), "input"),
    (unpool_call(2, (1, 2, 2), kind="int32"), "indices"),
    (unpool_call(2, (1, 2, 2), kind="float32"), "indices"),
    (unpool_call(3, (1, 2, 2, 2), kind="int32"), "indices"),
    (unpool_call(1, (1, 2), kind="uint8"), "indices"),
    (unpool_call(2, (1, 2, 2), other_shape=(1, 1, 2)), "indices"),
    (unpool_call(2, (1, 2, 2), other_shape=(1, 1, 2, 2)), "indices"),
    (unpool_call(1, (1, 2), other_shape=(1, 3)), "indices"),
    (unpool_call(3, (1, 2, 2, 2), other_shape=(1, 2, 2, 1)), "indices"),
    (unpool_call(3, (1, 2, 2, 2), stride=0), "stride"),
    (unpool_call(3, (1, 2, 2, 2), stride=(1, -1, 1), kernel_size=4), "stride"),
    (unpool_call(2, (1, 2, 2), kernel_size=2.0), "kernel_size"),
    (unpool_call(2, (1, 2, 2), kernel_size=None), "kernel_size"),
    (unpool_call(2, (1, 2, 2), kernel_size="a"), "kernel_size"),
    (unpool_call(2, (1, 2, 2), stride=2.0), "stride"),
    (unpool_call(2, (1, 2, 2), padding=0.5), "padding"),
    (unpool_call(2, (1, 2, 2), kernel_size=()), "kernel_size"),
    *(
        (unpool_call(axes, (1, 2, 2, 2)[: axes + 1], dtype), "input")
        for axes in (1, 2, 3)
        for dtype in ("bool", "uint8", "int16", "int64", "complex64")
    ),
]


@pytest.mark.parametrize(("call", "named"), BAD_UNPOOLS)
def test_unpool_errors_are_torchs(call: tuple[int, np.ndarray, np.ndarray, dict[str, Any]], named: str) -> None:
    axes, array, indices, options = call
    ours, torchs = UNPOOLS[axes]
    with pytest.raises(Exception) as expected:  # noqa: PT011 whatever torch raises
        torchs(torch.from_numpy(array), torch.from_numpy(indices), **options)
    with pytest.raises(expected.type, match=named) as actual:
        ours(array, indices, **options)
    assert actual.type is expected.type


@st.composite
def pool_calls(draw: st.DrawFn) -> tuple[int, np.ndarray, dict[str, Any]]:
    axes = draw(st.sampled_from([1, 2, 3]))
    size = [draw(st.integers(1, {1: 60, 2: 20, 3: 8}[axes])) for _ in range(axes)]
    lead = [draw(st.integers(1, 3)) for _ in range(draw(st.sampled_from([1, 2])))]
    layout = draw(st.sampled_from(LAYOUTS))
    array = random_array((*lead, *size), draw(st.sampled_from(DTYPES)), layout, draw(st.integers(0, 99)))
    kernel = [draw(st.integers(1, min(n + 1, 6))) for n in size]
    options = {
        "kernel_size": tuple(kernel),
        "stride": draw(st.none() | st.tuples(*[st.integers(1, 5)] * axes)),
        "padding": tuple(draw(st.integers(0, k // 2)) for k in kernel),
        "dilation": draw(st.tuples(*[st.integers(1, 3)] * axes)),
        "ceil_mode": draw(st.booleans()),
    }
    return axes, array, options


@settings(max_examples=500, deadline=None)
@given(pool_calls())
def test_any_pool(call: tuple[int, np.ndarray, dict[str, Any]]) -> None:
    axes, array, options = call
    compare_pool(axes, array, **options)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_unpool(data: st.DataObject) -> None:
    axes = data.draw(st.sampled_from([1, 2, 3]))
    shape = tuple(data.draw(st.lists(st.integers(1, 5), min_size=axes + 1, max_size=axes + 2)))
    input = random_array(shape, data.draw(st.sampled_from(FLOATS)), data.draw(st.sampled_from(LAYOUTS)))
    kernel, stride = (data.draw(st.tuples(*[st.integers(1, 4)] * axes)) for _ in range(2))
    size = tuple((n - 1) * s + k for n, k, s in zip(shape[-axes:], kernel, stride, strict=True))
    indices = np.random.default_rng(data.draw(st.integers(0, 99))).integers(0, np.prod(size), shape)
    actual = UNPOOLS[axes][0](input, indices, kernel, stride)
    assert_same_bytes(actual, naive_unpool(input, indices, size))
