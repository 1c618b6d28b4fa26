"""`pixel_shuffle` and `pixel_unshuffle` against live torch: a permutation, so equal to the last bit."""

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
from resample import team
from resample.shuffle import DTYPES, pixel_shuffle, pixel_unshuffle

PAIRS = [(pixel_shuffle, reference.pixel_shuffle), (pixel_unshuffle, reference.pixel_unshuffle)]
LAYOUTS = ["contiguous", "channels last", "strided", "reversed", "fortran", "sliced channels"]
LEADS = [(), (1,), (2,), (0,), (2, 3), (1, 2, 1)]


def random_array(shape: tuple[int, ...], dtype: str, layout: str = "contiguous") -> np.ndarray:
    """Return random bytes, so that NaNs of all kinds are among the values."""
    rng = np.random.default_rng(0)
    wide = tuple(2 * n for n in shape) if layout == "strided" else shape
    if layout == "sliced channels":
        wide = (*shape[:-3], 2 * shape[-3], *shape[-2:])
    size = np.dtype(dtype).itemsize
    array = rng.integers(0, 2 if dtype == "bool" else 256, (*wide[:-1], wide[-1] * size), np.uint8).view(dtype)
    if layout == "strided":
        array = array[tuple(slice(None, None, 2) for _ in shape)]
    elif layout == "channels last":
        array = np.moveaxis(np.ascontiguousarray(np.moveaxis(array, -3, -1)), -1, -3)
    elif layout == "reversed":
        array = array[..., ::-1, ::-1]
    elif layout == "fortran":
        array = np.asfortranarray(array)
    elif layout == "sliced channels":
        array = np.moveaxis(np.ascontiguousarray(np.moveaxis(array, -3, -1)), -1, -3)[..., ::2, :, :]
    return array


def assert_same_bytes(actual: np.ndarray, expected: np.ndarray) -> None:
    assert actual.shape == expected.shape
    assert actual.dtype == expected.dtype
    assert actual.tobytes() == expected.tobytes()


def compare(ours: Callable[..., Any], torchs: Callable[..., Any], array: np.ndarray, r: int) -> np.ndarray:
    # torch takes no negative strides
    expected = torchs(torch.from_numpy(array if min(array.strides) > 0 else array.copy()), r).numpy()
    actual = ours(array, r)
    assert_same_bytes(actual, expected)
    assert not np.shares_memory(actual, array)
    return actual


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_layout_and_factor(dtype: str, layout: str) -> None:
    for lead, r, (c, height, width) in itertools.product(LEADS, [1, 2, 3, 4, 5], [(2, 3, 4), (1, 1, 9), (3, 2, 1)]):
        shuffled = random_array((*lead, c * r * r, height, width), dtype, layout)
        blocks = compare(pixel_shuffle, reference.pixel_shuffle, shuffled, r)
        assert_same_bytes(pixel_unshuffle(blocks, r), shuffled)
        if 0 not in lead:
            array = random_array((*lead, c, height * r, width * r), dtype, layout)
            compare(pixel_unshuffle, reference.pixel_unshuffle, array, r)


@pytest.mark.parametrize("dtype", ["uint8", "float32", "complex128"])
@pytest.mark.parametrize("layout", ["contiguous", "channels last", "sliced channels"])
def test_memory_format_is_torchs(layout: str, dtype: str) -> None:
    for r in (1, 2, 3):
        array = torch.from_numpy(random_array((2, 2 * r * r, 3 * r, 4 * r), dtype, layout))
        for ours, torchs in PAIRS:
            assert ours(array, r).stride() == torchs(array, r).stride()


def test_threads_do_not_change_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(team, "GRAIN", 1)
    before = resample.get_num_threads()
    try:
        for layout, r in itertools.product(["contiguous", "channels last"], [2, 3, 5]):
            array = random_array((2, 2 * r * r, 30 * r, 33 * r), "float32", layout)
            for ours, torchs in PAIRS:
                for count in (1, 2, 3, 8):
                    resample.set_num_threads(count)
                    compare(ours, torchs, array, r)
    finally:
        resample.set_num_threads(before)


def test_kernel_stays_inside_its_buffers(guarded: Guarded) -> None:
    for dtype, layout, r in itertools.product(["uint8", "float32"], ["contiguous", "channels last"], [2, 3, 4, 5]):
        array = random_array((2, r * r, 3 * r, 5 * r), dtype, layout)
        for ours, _ in PAIRS:
            expected = ours(array, r)
            for at_end in (True, False):
                with guarded(at_end):
                    assert_same_bytes(ours(array, r), expected)


def test_empty() -> None:
    for shape in [(0, 4, 2, 3), (2, 0, 2, 3), (4, 0, 3), (4, 2, 0), (0, 0, 0)]:
        compare(pixel_shuffle, reference.pixel_shuffle, np.zeros(shape, np.float32), 2)
        compare(pixel_unshuffle, reference.pixel_unshuffle, np.zeros(shape, np.float32), 1)


def test_unshuffle_of_empty_is_right_where_torch_is_not() -> None:
    """torch 2.13 returns the shape of the input; the shape must be what shuffle takes back."""
    for shape in [(0, 2, 6, 8), (3, 0, 6, 8), (2, 0, 8), (2, 6, 0), (0, 0, 0)]:
        array = np.zeros(shape, np.float32)
        unshuffled = pixel_unshuffle(array, 2)
        assert unshuffled.shape == (*shape[:-3], 4 * shape[-3], shape[-2] // 2, shape[-1] // 2)
        assert pixel_shuffle(unshuffled, 2).shape == shape
    broken = reference.pixel_unshuffle(torch.zeros(0, 2, 6, 8), 2)
    assert broken.shape == (0, 2, 6, 8)  # when this fails torch is mended: compare with it


def test_torch_tensors_come_back_as_torch_tensors() -> None:
    array = torch.arange(2 * 8 * 6 * 4, dtype=torch.int32).reshape(2, 8, 6, 4)
    for ours, torchs in PAIRS:
        result = ours(array, 2)
        assert isinstance(result, torch.Tensor)
        assert torch.equal(result, torchs(array, 2))


@pytest.mark.parametrize(("ours", "torchs"), PAIRS)
def test_any_memory(ours: Callable[..., Any], torchs: Callable[..., Any]) -> None:
    array = random_array((4, 6, 8), "float32")
    expected = torchs(torch.from_numpy(array), 2).numpy()
    frozen = array.copy()
    frozen.flags.writeable = False
    unaligned = np.zeros(array.nbytes + 1, np.uint8)[1:].view(np.float32).reshape(array.shape)
    unaligned[...] = array
    packed = np.zeros(array.shape, np.dtype([("tag", "u1"), ("value", "f4")]))["value"]
    packed[...] = array
    for same in (frozen, unaligned, packed, memoryview(array)):
        assert_same_bytes(ours(same, 2), expected)
    other_name = random_array((4, 6, 8), "int64").view(np.longlong)
    assert_same_bytes(ours(other_name, 2).view(np.int64), ours(other_name.view(np.int64), 2))
    swapped = array.astype(array.dtype.newbyteorder())
    np.testing.assert_array_equal(ours(swapped, 2), ours(array, 2))
    repeated = np.broadcast_to(array[:1, :1], array.shape)
    assert_same_bytes(ours(repeated, 2), ours(repeated.copy(), 2))


def test_integers_of_any_kind_are_factors() -> None:
    array = random_array((4, 2, 2), "int16")
    for r in (np.int64(2), np.uint8(2), torch.tensor(2)):
        for ours, _ in PAIRS:
            assert_same_bytes(ours(array, r), ours(array, 2))


IMAGE = np.zeros((4, 6, 8), np.float32)
BAD_CALLS = [
    (IMAGE[0], 2, "input"),
    (IMAGE[0, 0], 1, "input"),
    (IMAGE, 0, "factor"),
    (IMAGE, -2, "factor"),
    (IMAGE, 5, "factor"),
    (IMAGE[:, :, :5], 4, "factor"),
    (IMAGE[:, :5], 4, "factor"),
    (IMAGE, 2.0, "factor"),
    (IMAGE, True, "factor"),
    (IMAGE, np.bool_(True), "factor"),
    (IMAGE, "2", "factor"),
    (IMAGE, None, "factor"),
    (IMAGE, (2, 2), "factor"),
    (IMAGE, 2**33, "factor"),
    (IMAGE.astype(np.uint16), 2, "input"),
    (IMAGE.astype(np.uint32), 1, "input"),
    (IMAGE.astype(np.uint64), 2, "input"),
]


@pytest.mark.parametrize(("ours", "torchs"), PAIRS)
@pytest.mark.parametrize(("array", "factor", "named"), BAD_CALLS)
def test_errors_are_torchs(
    ours: Callable[..., Any], torchs: Callable[..., Any], array: np.ndarray, factor: Any, named: str
) -> None:
    with pytest.raises(Exception) as expected:  # noqa: PT011 whatever torch raises
        torchs(torch.from_numpy(array), factor)
    with pytest.raises(expected.type, match=named) as actual:
        ours(array, factor)
    assert actual.type is expected.type


@pytest.mark.parametrize(("ours", "torchs"), PAIRS)
def test_lists_are_no_arrays(ours: Callable[..., Any], torchs: Callable[..., Any]) -> None:
    for call in (ours, torchs):
        with pytest.raises(TypeError, match="input"):
            call([[[1.0]]], 1)


@st.composite
def calls(draw: st.DrawFn) -> tuple[np.ndarray, int]:
    r = draw(st.integers(1, 6))
    lead = draw(st.lists(st.integers(1, 3), max_size=3))
    c, height, width = (draw(st.integers(1, longest)) for longest in (4, 12, 40))
    array = random_array((*lead, c * r * r, height, width), draw(st.sampled_from(DTYPES)))
    axes = draw(st.permutations(range(array.ndim)))
    signs = [draw(st.sampled_from([1, -1])) for _ in axes]
    memory = np.ascontiguousarray(array.transpose(axes)).transpose(np.argsort(axes))
    return memory[tuple(slice(None, None, sign) for sign in signs)], r


@settings(max_examples=300, deadline=None)
@given(calls())
def test_any_call(call: tuple[np.ndarray, int]) -> None:
    array, r = call
    blocks = compare(pixel_shuffle, reference.pixel_shuffle, array, r)
    back = compare(pixel_unshuffle, reference.pixel_unshuffle, blocks, r)
    assert_same_bytes(back, array)
