"""`interpolate` against live torch, over the product of modes, flags, dtypes, layouts and sizes."""

from __future__ import annotations

import itertools

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
import torch.nn.functional as reference
from hypothesis import given, settings

import resample.functional as F

SPATIAL = {1: ["linear"], 2: ["bilinear", "bicubic"], 3: ["trilinear"]}
CHOOSING = ["nearest", "nearest-exact"]
ANTIALIASED = ["bilinear", "bicubic", "lanczos"]
FLOATS = ["float16", "float32", "float64"]

# (input size, output size): odd sizes, one-pixel axes, enlarging, shrinking, equal; in 2-D torch takes other kernels
# where the output sides add up to at most 128
SIZES_2D = [
    ((7, 5), (13, 11)),
    ((13, 11), (7, 5)),
    ((1, 9), (6, 4)),
    ((9, 1), (4, 6)),
    ((6, 8), (6, 8)),
    ((6, 8), (6, 21)),
    ((6, 8), (15, 8)),
    ((1, 1), (5, 3)),
    ((50, 41), (1, 7)),
    ((2, 3), (82, 41)),
    ((33, 47), (101, 150)),
    ((120, 99), (70, 61)),
    ((97, 301), (31, 101)),
    ((64, 80), (128, 160)),
]
LAYOUTS = ["contiguous", "channels last", "strided", "reversed", "fortran"]


def random_array(shape: tuple[int, ...], dtype: str, layout: str = "contiguous", seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    wide = tuple(2 * n for n in shape) if layout == "strided" else shape
    values = rng.integers(0, 256, wide) if dtype == "uint8" else rng.standard_normal(wide)
    array = values.astype(dtype)
    if layout == "strided":
        array = array[tuple(slice(None, None, 2) for _ in shape)]
    elif layout == "channels last":
        array = np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 1, -1)), -1, 1)
    elif layout == "reversed":
        array = array[..., ::-1, ::-1]
    elif layout == "fortran":
        array = np.asfortranarray(array)
    return array


def compare(array: np.ndarray, **options: object) -> None:
    """Assert that ours equals torch's: to the byte for uint8 and chosen samples, within rounding for sums."""
    # torch takes no negative strides; its own result is the same for a copy of the same layout
    tensor = torch.from_numpy(array if min(array.strides) > 0 else array.copy())
    expected = reference.interpolate(tensor, **options).numpy()
    actual = F.interpolate(array, **options)
    assert actual.shape == expected.shape
    assert actual.dtype == expected.dtype
    if array.dtype == np.uint8 or options["mode"] in CHOOSING:
        np.testing.assert_array_equal(actual, expected)
    else:
        np.testing.assert_allclose(actual, expected, rtol=0, atol=bound(array, expected))


def bound(array: np.ndarray, expected: np.ndarray) -> float:
    """Return the rounding that the order of a sum may cost.

    Ours and torch's coordinates and weights are the same, so the coordinate error of either against the exact result,
    which grows with the axis, is not in it.
    """
    largest = float(np.abs(array).max(initial=0))
    sums = 8 * np.finfo(np.float64 if array.dtype == np.float64 else np.float32).eps * largest
    return sums + (1.5 * float(np.spacing(np.float16(2 * largest))) if array.dtype == np.float16 else 0)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("channels", [1, 3, 4, 5])
@pytest.mark.parametrize("dtype", [*FLOATS, "uint8"])
def test_two_axes(dtype: str, channels: int, layout: str) -> None:
    for (n_in, n_out), mode in itertools.product(SIZES_2D, SPATIAL[2]):
        array = random_array((2, channels, *n_in), dtype, layout)
        for align_corners in (False, True):
            compare(array, size=n_out, mode=mode, align_corners=align_corners)
    for (n_in, n_out), mode in itertools.product(SIZES_2D, CHOOSING):
        compare(random_array((2, channels, *n_in), dtype, layout), size=n_out, mode=mode)


def has_torch_bug(n_in: tuple[int, ...], n_out: tuple[int, ...], channels: int, dtype: str) -> bool:
    """Return whether torch repeats its first row here: output width 1, height resized, in its slower kernels."""
    return n_out[-1] == 1 and n_out[-2] != n_in[-2] and (dtype != "uint8" or channels > 4)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("channels", [1, 3, 4, 5])
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
def test_antialias(dtype: str, channels: int, layout: str) -> None:
    for (n_in, n_out), mode in itertools.product(SIZES_2D, ANTIALIASED):
        if has_torch_bug(n_in, n_out, channels, dtype):
            continue
        array = random_array((2, channels, *n_in), dtype, layout)
        for align_corners in (False, True) if mode != "lanczos" else (None,):
            compare(array, size=n_out, mode=mode, align_corners=align_corners, antialias=True)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mode", ANTIALIASED)
def test_antialias_to_one_column_is_right_where_torch_is_not(mode: str, dtype: str) -> None:
    """torch 2.13 repeats the first row; the same column doubled gives the right answer in both."""
    column = random_array((1, 1, 9, 1), dtype)
    doubled = np.repeat(column, 2, axis=3)
    expected = reference.interpolate(torch.from_numpy(doubled), size=(4, 2), mode=mode, antialias=True).numpy()
    actual = F.interpolate(column, size=(4, 1), mode=mode, antialias=True)
    np.testing.assert_allclose(actual, expected[..., :1], rtol=0, atol=bound(column, expected))
    broken = reference.interpolate(torch.from_numpy(column), size=(4, 1), mode=mode, antialias=True).numpy()
    assert np.ptp(broken) == 0  # when this fails torch is mended: drop `has_torch_bug`


@pytest.mark.parametrize("dtype", [*FLOATS, "uint8"])
@pytest.mark.parametrize("recompute", [None, False, True])
@pytest.mark.parametrize("factor", [2, 1.3, 2.3, 0.7, 0.29, (1.99, 0.51), (1, 1.5), np.float32(1.7)])
def test_factors(factor: object, recompute: bool | None, dtype: str) -> None:
    for shape, mode in itertools.product([(1, 3, 11, 10), (2, 1, 100, 49), (1, 4, 70, 83)], [*SPATIAL[2], *CHOOSING]):
        for align_corners in (None, True) if mode in SPATIAL[2] else (None,):
            options = {"scale_factor": factor, "recompute_scale_factor": recompute, "align_corners": align_corners}
            compare(random_array(shape, dtype), mode=mode, **options)
    if dtype != "float16":
        for mode in ANTIALIASED:
            options = {"scale_factor": factor, "recompute_scale_factor": recompute}
            compare(random_array((1, 3, 40, 49), dtype), mode=mode, antialias=True, **options)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("ndim", [1, 3])
def test_one_and_three_axes(ndim: int, dtype: str) -> None:
    sizes = [(5, 9, 7), (12, 3, 4), (1, 6, 2), (6, 6, 6)]
    for n_in, n_out in itertools.product(sizes, sizes):
        for layout in LAYOUTS:
            array = random_array((2, 3, *n_in[:ndim]), dtype, layout)
            for align_corners in (False, True):
                compare(array, size=n_out[:ndim], mode=SPATIAL[ndim][0], align_corners=align_corners)
            for mode in CHOOSING:
                compare(array, size=n_out[:ndim], mode=mode)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_area(ndim: int, dtype: str) -> None:
    for n_in, n_out in itertools.product([(5, 9, 7), (12, 3, 4), (1, 6, 2)], [(5, 4, 3), (1, 1, 1), (13, 2, 9)]):
        array = random_array((2, 3, *n_in[:ndim]), dtype)
        if ndim == 3 and dtype == "float16":
            # torch sums half values in half precision here; ours must be nearer to the mean of the same values
            exact = reference.interpolate(torch.from_numpy(array).double(), size=n_out, mode="area").numpy()
            np.testing.assert_allclose(F.interpolate(array, size=n_out, mode="area"), exact, rtol=0, atol=2e-3)
        else:
            compare(array, size=n_out[:ndim], mode="area")
            compare(array, scale_factor=2.5, mode="area")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mode", CHOOSING)
def test_every_small_index(mode: str, dtype: str) -> None:
    """Indices are rounded in float32, and at some sizes integer arithmetic would pick another sample."""
    for n_in in range(1, 40):
        array = np.arange(n_in, dtype=dtype)
        for n_out in range(1, 100):
            compare(array.reshape(1, 1, 1, -1), size=(1, n_out), mode=mode)
            compare(np.broadcast_to(array, (1, 1, n_in)), size=n_out, mode=mode)
            compare(np.broadcast_to(array, (1, 1, 2, n_in)), size=(128, n_out), mode=mode)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("antialias", [False, True])
def test_no_further_from_exact_than_torch(mode: str, antialias: bool) -> None:
    """Against torch's float64 evaluation our error is at most torch's, give or take the last bit of the largest."""
    for n_in, n_out in [((97, 301), (210, 101)), ((300, 200), (1201, 733)), ((640, 427), (201, 350))]:
        array = random_array((1, 3, *n_in), "float32")
        options = {"size": n_out, "mode": mode, "antialias": antialias}
        tensor = torch.from_numpy(array)
        exact = reference.interpolate(tensor.double(), **options).numpy()
        torch_error = np.abs(reference.interpolate(tensor, **options).numpy() - exact)
        our_error = np.abs(F.interpolate(array, **options) - exact)
        assert our_error.max() <= torch_error.max() + np.finfo(np.float32).eps * np.abs(array).max()
        assert our_error.mean() <= torch_error.mean() * 1.01


def test_bilinear_and_bicubic_float_results_are_torch_bits() -> None:
    """Beyond the promise: away from torch's small-output kernel and from folded edges even the last bits agree."""
    for dtype, mode, align_corners in itertools.product(FLOATS, SPATIAL[2], (False, True)):
        array = random_array((1, 4, 60, 70), dtype)
        options = {"size": (133, 151), "mode": mode, "align_corners": align_corners}
        expected = reference.interpolate(torch.from_numpy(array), **options).numpy()
        inner = np.s_[..., 8:-8, 8:-8]
        np.testing.assert_array_equal(F.interpolate(array, **options)[inner], expected[inner])


@pytest.mark.parametrize("dtype", [*FLOATS, "uint8"])
def test_empty_batch(dtype: str) -> None:
    compare(np.empty((0, 3, 5, 6), dtype), size=(7, 8), mode="bilinear")
    compare(np.empty((0, 3, 5, 6), dtype), scale_factor=2, mode="nearest")


def test_result_is_new_and_keeps_channels_last() -> None:
    array = random_array((1, 4, 6, 7), "float32", "channels last")
    same = F.interpolate(array, size=(6, 7), mode="bilinear")
    assert not np.shares_memory(same, array)
    np.testing.assert_array_equal(same, array)
    larger = F.interpolate(array, size=(9, 9), mode="bilinear")
    assert larger.transpose(0, 2, 3, 1).flags.c_contiguous
    assert F.interpolate(array[..., ::-1], size=(9, 9), mode="bilinear").flags.c_contiguous


def test_input_is_not_touched_and_may_be_read_only() -> None:
    array = random_array((1, 3, 6, 7), "float32")
    before = array.copy()
    array.flags.writeable = False
    F.interpolate(array, size=(9, 9), mode="bicubic")
    np.testing.assert_array_equal(array, before)


def test_foreign_byte_order() -> None:
    array = random_array((1, 3, 6, 7), "float32")
    swapped = array.astype(array.dtype.newbyteorder())
    expected = F.interpolate(array, size=(9, 9), mode="bicubic")
    np.testing.assert_array_equal(F.interpolate(swapped, size=(9, 9), mode="bicubic"), expected)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_non_finite_samples_stay_where_torch_has_them(mode: str) -> None:
    """A NaN or an infinity reaches the outputs whose taps touch it, and no others."""
    for value, antialias in itertools.product([np.nan, np.inf], [False, True]):
        array = random_array((1, 1, 30, 40), "float32")
        array[0, 0, 0, 0] = array[0, 0, 13, 17] = array[0, 0, -1, -1] = value
        options = {"size": (77, 131), "mode": mode, "antialias": antialias}
        expected = reference.interpolate(torch.from_numpy(array), **options).numpy()
        actual = F.interpolate(array, **options)
        inner = np.s_[..., 8:-8, 8:-8]  # at an edge torch multiplies the edge sample by a zero weight once more
        np.testing.assert_array_equal(np.isfinite(actual[inner]), np.isfinite(expected[inner]))
        assert (np.isfinite(actual) >= np.isfinite(expected)).all()


@st.composite
def calls(draw: st.DrawFn) -> tuple[np.ndarray, dict[str, object]]:
    ndim = draw(st.sampled_from([2, 2, 2, 1, 3]))
    longest = {1: 300, 2: 90, 3: 14}[ndim]
    shape = [draw(st.integers(1, 2)), draw(st.integers(1, 6)), *(draw(st.integers(1, longest)) for _ in range(ndim))]
    mode = draw(st.sampled_from([*SPATIAL[ndim], *CHOOSING, *(["lanczos"] if ndim == 2 else [])]))
    antialias = mode == "lanczos" or (mode in ANTIALIASED and draw(st.booleans()))
    dtypes = ["float32", "float64"] if antialias else list(FLOATS)
    if ndim == 2 or mode in CHOOSING:
        dtypes.append("uint8")
    options: dict[str, object] = {"mode": mode, "antialias": antialias}
    if mode not in [*CHOOSING, "lanczos"]:
        options["align_corners"] = draw(st.sampled_from([None, False, True]))
    if draw(st.booleans()):
        options["size"] = tuple(draw(st.integers(1, longest)) for _ in range(ndim))
    else:
        least = [1 / n for n in shape[2:]]
        options["scale_factor"] = tuple(draw(st.floats(low * 1.001, max(3.0, low * 2))) for low in least)
        options["recompute_scale_factor"] = draw(st.sampled_from([None, False, True]))
    layout = draw(st.sampled_from(LAYOUTS))
    return random_array(tuple(shape), draw(st.sampled_from(dtypes)), layout, draw(st.integers(0, 99))), options


@settings(max_examples=500, deadline=None)
@given(calls())
def test_any_call(call: tuple[np.ndarray, dict[str, object]]) -> None:
    array, options = call
    sizes = F.interpolate(array, **options).shape[2:]
    weighs_bytes = array.dtype == np.uint8 and options["mode"] not in CHOOSING
    same_kernels = options["antialias"] or weighs_bytes
    if same_kernels and has_torch_bug(array.shape[2:], sizes, array.shape[1], array.dtype.name):
        return
    if weighs_bytes and array.shape[-1] == 1:
        # where its strides are others, torch reads what is not there: see `test_strides_of_an_image_of_width_one...`
        dense = np.ascontiguousarray(array)
        np.testing.assert_array_equal(F.interpolate(array, **options), F.interpolate(dense, **options))
        array = dense
    compare(array, **options)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_width_of_one_is_right_where_torch_repeats_a_row(mode: str) -> None:
    """Of more than 4 channels of bytes, also without antialias; each channel by itself torch has right."""
    array = np.random.default_rng(0).integers(0, 256, (1, 8, 300, 5), np.uint8)
    theirs = reference.interpolate(torch.from_numpy(array), (5, 1), mode=mode)
    assert bool((theirs == theirs[:, :, :1]).all())
    channels = [
        reference.interpolate(torch.from_numpy(array[:, k : k + 1].copy()), (5, 1), mode=mode) for k in range(8)
    ]
    np.testing.assert_array_equal(F.interpolate(array, (5, 1), mode=mode), torch.cat(channels, 1).numpy())


def test_strides_of_an_image_of_width_one_change_nothing() -> None:
    """In torch they do."""
    array = np.asfortranarray(np.random.default_rng(0).integers(0, 256, (1, 2, 33, 1), np.uint8))
    options = {"size": (8, 8), "mode": "bilinear", "antialias": True}
    dense = reference.interpolate(torch.from_numpy(np.ascontiguousarray(array)), **options).numpy()
    assert (reference.interpolate(torch.from_numpy(array), **options).numpy() != dense).any()
    np.testing.assert_array_equal(F.interpolate(array, **options), dense)


def test_one_pixel_of_three_channels_of_bytes() -> None:
    """An internal error of torch, but for channels-last data."""
    tensor = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (1, 3, 9, 7), np.uint8))
    with pytest.raises(RuntimeError, match="INTERNAL ASSERT"):
        reference.interpolate(tensor, (1, 1), mode="bilinear")
    last = reference.interpolate(tensor.to(memory_format=torch.channels_last), (1, 1), mode="bilinear")
    np.testing.assert_array_equal(F.interpolate(tensor.numpy(), (1, 1), mode="bilinear"), last.numpy())
