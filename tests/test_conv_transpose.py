"""`conv_transpose1d`, `2d` and `3d` against live torch, over the product of their arguments, in both ways."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
import torch.nn.functional as reference
from guards import Guarded
from hypothesis import given, settings

from resample import convolution, team, threads
from resample.convolution import (
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
    conv_transpose_output_size,
)
from resample.kernels import processor

OURS = {1: conv_transpose1d, 2: conv_transpose2d, 3: conv_transpose3d}
TORCHS = {1: reference.conv_transpose1d, 2: reference.conv_transpose2d, 3: reference.conv_transpose3d}
SIZE = {1: (9,), 2: (5, 7), 3: (3, 4, 5)}
DTYPES = ["float16", "float32", "float64", "int64"]
WAYS = [True, False]

# how far a float result may be from the exact one, in units of the sum of the sizes of its terms: torch's own results
# reach 3.7e-7 for float32 with these random values, so the 1.6e-7 of a smaller sample is no bound
ROUNDING = {"float16": 4.8e-7, "float32": 4.8e-7, "float64": 9e-16}


@pytest.fixture(params=[(True, 64), (True, 32), (False, 64)], ids=["phases", "phases in few registers", "products"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Force one way, and prove that it is the one that runs."""
    by_phases, register = request.param
    monkeypatch.setattr(convolution, "_phases_are_quicker", lambda shape, images: by_phases)
    monkeypatch.setattr(convolution, "_gather" if by_phases else "_correlate", None)
    monkeypatch.setattr(processor, "register_bytes", lambda: register)
    return bool(by_phases)


def random_array(shape: tuple[int, ...], dtype: str, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if dtype == "int64":
        return rng.integers(-(2**63), 2**63 - 1, shape)  # products and sums overflow
    return rng.standard_normal(shape).astype(dtype)


def exact(axes: int, arrays: list[np.ndarray], options: dict[str, Any], bias: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return torch's float64 result and the sum of the sizes of its terms."""
    tensors = [torch.from_numpy(array).double() for array in arrays]
    sizes = [tensor.abs() for tensor in tensors]
    if not bias:
        tensors, sizes = tensors[:2], sizes[:2]
    return TORCHS[axes](*tensors, **options).numpy(), TORCHS[axes](*sizes, **options).numpy()


def compare(axes: int, arrays: list[np.ndarray], options: dict[str, Any], bias: bool = True) -> None:
    """Assert that our result is torch's for integers, and within rounding of the exact one for floats."""
    actual = OURS[axes](*arrays[: 2 + bias], **options)
    assert actual.dtype == arrays[0].dtype
    assert actual.flags.c_contiguous
    if actual.dtype == np.int64:
        expected = TORCHS[axes](*(torch.from_numpy(array) for array in arrays[: 2 + bias]), **options).numpy()
        np.testing.assert_array_equal(actual, expected, strict=True)
        return
    expected, sizes = exact(axes, arrays, options, bias)
    assert actual.shape == expected.shape
    allowed = ROUNDING[actual.dtype.name] * sizes
    if actual.dtype == np.float16:
        allowed += np.spacing(np.abs(expected).astype(np.float16)) * 0.501
    assert (np.abs(actual - expected) <= allowed).all()


def cases(axes: int) -> Iterator[tuple[tuple[int, int, int], int, dict[str, Any]]]:
    """Yield (groups, input and output channels of a group), kernel size and options."""
    channels = [(1, 2, 3), (2, 1, 1), (2, 3, 2), (1, 2, 9), (3, 1, 4)]
    numbers = itertools.product((1, 2, 3, 4), (1, 2, 3), (0, 1, 3), (1, 2, 3))
    for number, (kernel, stride, padding, dilation) in enumerate(numbers):
        for extra in range(max(stride, dilation)):
            options = {"stride": stride, "padding": padding, "output_padding": extra, "dilation": dilation}
            size = [(n - 1) * stride - 2 * padding + dilation * (kernel - 1) + extra + 1 for n in SIZE[axes]]
            if min(size) > 0:
                yield channels[(number + extra) % len(channels)], kernel, options


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_product_of_arguments(axes: int, dtype: str, way: bool) -> None:
    for number, ((groups, in_channels, out_channels), kernel, options) in enumerate(cases(axes)):
        images = number % 3
        arrays = [
            random_array((images, groups * in_channels, *SIZE[axes]), dtype, 1),
            random_array((groups * in_channels, out_channels, *(kernel,) * axes), dtype, 2),
            random_array((groups * out_channels,), dtype, 3),
        ]
        compare(axes, arrays, {**options, "groups": groups}, bias=number % 2 == 0)


@st.composite
def calls(draw: st.DrawFn) -> tuple[int, list[np.ndarray], dict[str, Any], bool]:
    axes = draw(st.sampled_from([1, 2, 2, 3]))
    dtype = draw(st.sampled_from(DTYPES))
    groups, in_channels, out_channels = (draw(st.integers(1, most)) for most in (3, 20, 12))
    each = st.integers(1, {1: 60, 2: 12, 3: 5}[axes])
    size, kernel = (draw(st.tuples(*[each] * axes)) for _ in range(2))
    kernel = tuple(min(k, {1: 60, 2: 9, 3: 3}[axes]) for k in kernel)
    stride, dilation = (draw(st.tuples(*[st.integers(1, 5)] * axes)) for _ in range(2))
    padding = [
        draw(st.integers(0, ((n - 1) * s + d * (k - 1)) // 2))
        for n, k, s, d in zip(size, kernel, stride, dilation, strict=True)
    ]
    extra = [draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True)]
    batch = draw(st.sampled_from([(), (1,), (3,)]))
    seed = draw(st.integers(0, 99))
    arrays = [
        random_array((*batch, groups * in_channels, *size), dtype, seed),
        random_array((groups * in_channels, out_channels, *kernel), dtype, seed + 1),
        random_array((groups * out_channels,), dtype, seed + 2),
    ]
    options = {"stride": stride, "padding": padding, "output_padding": extra, "groups": groups, "dilation": dilation}
    return axes, arrays, options, draw(st.booleans())


@settings(max_examples=300, deadline=None)
@given(calls())
def test_any_call(call: tuple[int, list[np.ndarray], dict[str, Any], bool]) -> None:
    axes, arrays, options, bias = call
    compare(axes, arrays, options, bias)
    size, kernel = arrays[0].shape[-axes:], arrays[1].shape[2:]
    numbers = {name: value for name, value in options.items() if name != "groups"}
    assert conv_transpose_output_size(size, kernel, **numbers) == OURS[axes](*arrays[:2], **options).shape[-axes:]


@settings(max_examples=200, deadline=None)
@given(calls())
def test_both_ways_agree(call: tuple[int, list[np.ndarray], dict[str, Any], bool]) -> None:
    axes, arrays, options, bias = call
    results = []
    for by_phases in WAYS:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(convolution, "_phases_are_quicker", lambda shape, images, way=by_phases: way)
            results.append(OURS[axes](*arrays[: 2 + bias], **options))
    if arrays[0].dtype == np.int64:
        np.testing.assert_array_equal(*results)
    elif arrays[0].dtype != np.float16:
        _, sizes = exact(axes, arrays, options, bias)
        assert (np.abs(results[0] - results[1]) <= 2 * ROUNDING[arrays[0].dtype.name] * sizes).all()


@settings(max_examples=100, deadline=None)
@given(calls())
def test_registers_do_not_change_bits(call: tuple[int, list[np.ndarray], dict[str, Any], bool]) -> None:
    axes, arrays, options, bias = call
    results = []
    for register in (64, 32):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(convolution, "_phases_are_quicker", lambda shape, images: True)
            patch.setattr(processor, "register_bytes", lambda register=register: register)
            results.append(OURS[axes](*arrays[: 2 + bias], **options).tobytes())
    assert results[0] == results[1]


def by_zero_insertion(
    samples: np.ndarray, weight: np.ndarray, stride: int, padding: int, extra: int, dilation: int
) -> np.ndarray:
    """Return the transposed convolution of an image (C_in, H, W) by its other definition, in plain NumPy."""
    kernel = weight.shape[-1]
    spread = np.zeros((len(samples), *((n - 1) * stride + 1 for n in samples.shape[1:])))
    spread[:, ::stride, ::stride] = samples
    low = dilation * (kernel - 1) - padding
    high = low + extra
    grown = np.pad(spread, [(0, 0), *[(max(low, 0), max(high, 0))] * 2])
    cut = slice(max(-low, 0), -max(-high, 0) or None)
    grown = grown[:, cut, cut]
    flipped = weight[:, :, ::-1, ::-1]
    reach = dilation * (kernel - 1)
    height, width = grown.shape[1] - reach, grown.shape[2] - reach
    result = np.zeros((weight.shape[1], height, width))
    for y, x in np.ndindex(kernel, kernel):
        window = grown[:, y * dilation : y * dilation + height, x * dilation : x * dilation + width]
        result += np.einsum("ihw,io->ohw", window, flipped[:, :, y, x])
    return result


def test_equals_zero_insertion_and_correlation_with_the_flipped_kernel(way: bool) -> None:
    samples, small = random_array((2, 5, 7), "float64"), ((2, 3), (3, 1))
    for (in_, out), (_, kernel, options) in itertools.product(small[:1], cases(2)):
        weight = random_array((in_, out, kernel, kernel), "float64", 1)
        numbers = (options[name] for name in ("stride", "padding", "output_padding", "dilation"))
        expected = by_zero_insertion(samples, weight, *numbers)
        np.testing.assert_allclose(conv_transpose2d(samples, weight, **options), expected, rtol=0, atol=1e-13)


def test_adjoint_of_the_convolution() -> None:
    """<conv(y), x> == <y, conv_transpose(x)>: a convolution and its transpose, which is what the name says."""
    weight = random_array((4, 3, 3, 5), "float64")
    x, y = random_array((2, 4, 6, 7), "float64", 1), random_array((2, 3, 13, 17), "float64", 2)
    down = reference.conv2d(torch.from_numpy(y), torch.from_numpy(weight), stride=2, padding=1).numpy()
    assert down.shape[2:] == (7, 8)
    x = random_array(down.shape, "float64", 1)
    up = conv_transpose2d(x, weight, stride=2, padding=1)
    assert math.isclose(np.vdot(down, x), np.vdot(y, up), rel_tol=1e-12)


@pytest.mark.parametrize("channels", [6, 140])  # of one run, and of several
@pytest.mark.parametrize("images", [1, 3])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_chunks_do_not_change_results(
    axes: int, images: int, channels: int, way: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for dtype in ("float32", "int64"):
        arrays = [
            random_array((images, channels, *SIZE[axes]), dtype, 1),
            random_array((channels, 10, *(3,) * axes), dtype, 2),
            random_array((20,), dtype, 3),
        ]
        options = {"stride": 2, "padding": 1, "groups": 2}
        expected = OURS[axes](*arrays, **options)
        for chunk in (1, 5, 30):
            monkeypatch.setattr(convolution, "CHUNK", (chunk, 1 << 20))
            monkeypatch.setattr(convolution, "LONG_CHUNK", (chunk, 1 << 20))
            monkeypatch.setattr(convolution, "PRODUCTS", chunk * 1000)
            np.testing.assert_array_equal(OURS[axes](*arrays, **options), expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_threads_do_not_change_bits(dtype: str, way: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(team, "GRAIN", 1)
    monkeypatch.setattr(convolution, "CHUNK", (64, 1 << 20))
    arrays = [random_array((2, 8, 20, 21), dtype, 1), random_array((8, 5, 4, 4), dtype, 2)]
    monkeypatch.setattr(threads, "_count", 1)
    expected = conv_transpose2d(*arrays, stride=2, padding=1)
    for count in (2, 3, 7):
        threads.set_num_threads(count)
        np.testing.assert_array_equal(conv_transpose2d(*arrays, stride=2, padding=1), expected)


@pytest.mark.parametrize("shape", [(1, 3, 30, 1500), (1, 300, 5, 4), (2, 70, 9, 40)])
def test_long_rows_and_long_sums(shape: tuple[int, ...], way: bool) -> None:
    for dtype in ("float32", "float64", "int64"):
        arrays = [random_array(shape, dtype, 1), random_array((shape[1], 3, 2, 5), dtype, 2), np.ones(3, dtype)]
        compare(2, arrays, {"stride": (1, 3), "padding": (0, 2)})


def test_kernels_of_more_taps_than_are_summed_at_a_time(way: bool) -> None:
    for dtype in ("float32", "int64"):
        arrays = [random_array((2, 3, 14, 15), dtype, 1), random_array((3, 5, 13, 24), dtype, 2)]
        compare(2, arrays, {"stride": (1, 2), "padding": (3, 4)})


def test_long_sums_are_nearer_to_exact_than_torchs() -> None:
    arrays = [np.abs(random_array(shape, "float32")) for shape in ((1, 600, 8, 8), (600, 8, 3, 3), (8,))]
    options = {"stride": 2}
    expected, _ = exact(2, arrays, options, True)
    torchs = TORCHS[2](*map(torch.from_numpy, arrays), **options).numpy()
    ours = conv_transpose2d(*arrays, **options)
    assert np.abs(ours - expected).mean() <= np.abs(torchs - expected).mean()


def test_float16_is_rounded_once(way: bool) -> None:
    arrays = [random_array((2, 40, 6, 6), "float16", 1), random_array((40, 3, 3, 3), "float16", 2)]
    expected = conv_transpose2d(*(array.astype(np.float32) for array in arrays), stride=2)
    np.testing.assert_array_equal(conv_transpose2d(*arrays, stride=2), expected.astype(np.float16))


LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "fortran": np.asfortranarray,
    "channels last": lambda array: np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 1, -1)), -1, 1),
    "strided": lambda array: np.repeat(np.repeat(array, 2, -1), 3, 1)[:, ::3, :, ::2],
    "reversed": lambda array: np.ascontiguousarray(array[:, ::-1, :, ::-1])[:, ::-1, :, ::-1],
    "broadcast": lambda array: np.broadcast_to(array[:, :, :1], array.shape),
    "foreign byte order": lambda array: array.astype(array.dtype.newbyteorder()),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_layouts(dtype: str, layout: str, way: bool) -> None:
    source, weight = random_array((2, 4, 5, 6), dtype, 1), random_array((4, 3, 3, 2), dtype, 2)
    bias = random_array((6,), dtype, 3)
    source, weight = LAYOUTS[layout](source), LAYOUTS[layout](weight)
    dense = [np.array(array, dtype, order="C") for array in (source, weight, bias[::2])]
    for array in (source, weight, bias):
        array.flags.writeable = False
    actual = conv_transpose2d(source, weight, bias[::2], stride=2)
    np.testing.assert_array_equal(actual, conv_transpose2d(*dense, stride=2))
    assert actual.dtype == np.dtype(dtype)
    assert actual.flags.writeable
    np.testing.assert_array_equal(source, dense[0])


def test_torch_tensors() -> None:
    tensors = [torch.randn(2, 4, 5, 6), torch.randn(4, 3, 3, 3), torch.randn(3)]
    result = conv_transpose2d(*tensors, stride=2)
    assert isinstance(result, torch.Tensor)
    torch.testing.assert_close(result, reference.conv_transpose2d(*tensors, stride=2))
    mixed = conv_transpose2d(tensors[0].numpy(), tensors[1].permute(0, 1, 3, 2), tensors[2].numpy())
    assert isinstance(mixed, np.ndarray)
    channels_last = tensors[0].to(memory_format=torch.channels_last)
    assert torch.equal(conv_transpose2d(channels_last, *tensors[1:], stride=2), result)


@pytest.mark.parametrize("dtype", ["float64", "float16", "int64", "uint8", "bool"])
def test_bias_of_another_dtype(dtype: str) -> None:
    arrays = [random_array((1, 2, 3, 3), "float32"), random_array((2, 3, 2, 2), "float32")]
    bias = np.array([1.5, 0, 2]).astype(dtype)
    expected = TORCHS[2](*map(torch.from_numpy, [*arrays, bias])).numpy()
    np.testing.assert_allclose(conv_transpose2d(*arrays, bias), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite_values_reach_only_the_outputs_that_receive_them(bad: float) -> None:
    """Outputs at an edge receive nothing from beyond it, not even a zero times an infinite weight."""
    for in_weight, dtype in itertools.product((False, True), ("float32", "float64")):
        arrays = [random_array((2, 3, 5, 6), dtype, 1), random_array((3, 2, 3, 4), dtype, 2)]
        arrays[in_weight][1, 1, 0, 2] = bad
        for options in ({}, {"stride": 2, "padding": 1}, {"dilation": 2, "padding": 2}):
            expected = TORCHS[2](*(torch.from_numpy(array) for array in arrays), **options).numpy()
            np.testing.assert_allclose(conv_transpose2d(*arrays, **options), expected, rtol=1e-4, atol=1e-5)


def test_huge_weights_raise_no_warning() -> None:
    result = conv_transpose1d(np.ones((1, 2, 3), np.float32), np.full((2, 1, 4), 3e38, np.float32))
    assert np.isinf(result).any()


def test_the_quicker_way_is_chosen() -> None:
    def chosen(images: int, in_channels: int, out_channels: int, kernel: int, stride: int, size: int) -> bool:
        shape = convolution.Shape(
            (1, size, size), (1, kernel, kernel), (1, *[(size - 1) * stride + kernel] * 2), (1, stride, stride),
            (0, 0, 0), (1, 1, 1), in_channels, out_channels,
        )  # fmt: skip
        return convolution._phases_are_quicker(shape, images)

    assert all(chosen(1, *case) for case in [(3, 3, 4, 2, 464), (64, 32, 4, 2, 64), (256, 128, 4, 2, 32)])
    assert not chosen(1, 512, 512, 4, 2, 8)  # so many weights for so few pixels are read but once by a product
    assert not chosen(1, 100, 512, 4, 1, 1)  # one pixel: phases would compute 16 times as much as there is
    assert not chosen(1, 8, 8, 2, 8, 40)  # fewer taps than phases


def test_kernels_stay_inside_their_buffers(way: bool, guarded: Guarded) -> None:
    shapes = [(1, 1, 1, 4), (2, 3, 3, 3), (1, 9, 2, 2), (3, 5, 1, 1)]
    numbers = list(itertools.product((1, 2, 3), (0, 1), (1, 2), shapes))
    for stride, padding, dilation, (images, out_channels, kernel, width) in numbers:
        arrays = [
            random_array((images, 2, 5, width + 60), "float32", 1),
            random_array((2, out_channels, kernel, width), "float32", 2),
        ]
        options = {"stride": stride, "padding": padding, "dilation": dilation}
        expected = conv_transpose2d(*arrays, **options)
        for at_end in (True, False):
            with guarded(at_end):
                np.testing.assert_array_equal(conv_transpose2d(*arrays, **options), expected)


X, W = np.zeros((1, 4, 5, 5), np.float32), np.zeros((4, 3, 3, 3), np.float32)


def of(shape: tuple[int, ...], dtype: str = "float32") -> np.ndarray:
    return np.zeros(shape, dtype)


# axes, arrays, options, the argument that our message names
BAD_CALLS: list[tuple[int, list[Any], dict[str, Any], str]] = [
    (2, [of((5, 5)), W], {}, "input"),
    (2, [of((1, 1, 4, 5, 5)), W], {}, "input"),
    (1, [of((1, 1, 4, 5)), of((4, 3, 3))], {}, "input"),
    *((2, [X, W], {name: (1, 1, 1)}, name) for name in ("stride", "padding", "output_padding", "dilation")),
    (2, [X, W], {"stride": ()}, "stride"),
    (1, [of((1, 4, 5)), of((4, 3, 3))], {"stride": (1, 1)}, "stride"),
    (2, [X, of((4, 3, 3))], {}, "weight"),
    (2, [X, of((4, 3, 3, 3, 3))], {}, "weight"),
    (2, [X, of((4,))], {}, "weight"),
    (2, [X, W], {"padding": -1}, "padding"),
    (2, [X, W], {"output_padding": -1}, "output_padding"),
    (2, [X, W], {"stride": 0}, "stride"),
    (2, [X, W], {"stride": (1, -1)}, "stride"),
    (2, [X, W], {"groups": 0}, "groups"),
    (2, [X, W], {"groups": -1}, "groups"),
    (2, [X, W], {"dilation": 0}, "dilation"),
    (2, [X, W], {"dilation": (-1, 1)}, "dilation"),
    (2, [X, W], {"output_padding": 1}, "output_padding"),
    (2, [X, W], {"output_padding": 2, "stride": 2}, "output_padding"),
    (2, [X, W], {"output_padding": (1, 1), "stride": (1, 2)}, "output_padding"),
    (1, [of((1, 4, 5)), of((4, 3, 3))], {"output_padding": 1}, "output_padding"),
    (2, [X, W], {"groups": 3}, "groups"),
    (2, [X, W], {"groups": 5}, "groups"),
    (2, [of((1, 0, 5, 5)), of((0, 3, 3, 3))], {}, "weight"),
    (2, [of((1, 5, 5, 5)), W], {}, "input"),
    (2, [X, W, of((4,))], {}, "bias"),
    (2, [X, W, of((3, 1))], {}, "bias"),
    (2, [X, W, of(())], {}, "bias"),
    (2, [X, W, of((3,))], {"groups": 2}, "bias"),
    (2, [X, W, of((3,), "complex64")], {}, "bias"),
    (2, [X.astype(np.int64), W.astype(np.int64), of((3,))], {}, "bias"),
    (2, [X, W], {"padding": 4}, "padding"),
    (2, [of((0, 4, 1, 1)), of((4, 3, 1, 1))], {"padding": 1}, "padding"),
    (2, [of((1, 4, 0, 5)), W], {}, "input"),
    (2, [of((4, 0, 5)), W], {}, "input"),
    (2, [X, of((4, 0, 3, 3))], {}, "weight"),
    (2, [X, of((4, 3, 0, 3))], {}, "weight"),
    (2, [X, W.astype(np.float64)], {}, "weight"),
    (2, [X.astype(np.float16), W], {}, "weight"),
    (2, [X, W], {"stride": 1.0}, "stride"),
    (2, [X, W], {"stride": "2"}, "stride"),
    (2, [X, W], {"padding": "same"}, "padding"),
    (2, [X, W], {"padding": 1.5}, "padding"),
    (2, [X, W], {"stride": True}, "stride"),
    (2, [X, W], {"stride": (1, 2.0)}, "stride"),
    (2, [X, W], {"stride": None}, "stride"),
    (2, [X, W], {"groups": True}, "groups"),
    (2, [X, W], {"groups": (1,)}, "groups"),
    (2, [X, W], {"dilation": "1"}, "dilation"),
    *((2, [X.astype(name), W.astype(name)], {}, "input") for name in ("bool", "uint8", "int8", "int16", "int32")),
    (1, [of((4, 5), "int32"), of((4, 3, 3), "int32")], {}, "input"),
    (3, [of((4, 5, 5, 5), "uint8"), of((4, 3, 3, 3, 3), "uint8")], {}, "input"),
    (2, [X.astype(np.int32), W], {}, "input"),
    (2, [X.astype(np.int32), W.astype(np.int32)], {"padding": -1}, "padding"),
    (2, [[[1.0]], W], {}, "input"),
    (2, [X, None], {}, "weight"),
    (2, [X, W, [1.0, 2.0, 3.0]], {}, "bias"),
]


@pytest.mark.parametrize("case", BAD_CALLS, ids=lambda case: f"{case[3]} {[np.shape(a) for a in case[1]]} {case[2]}")
def test_errors_are_of_torchs_types(case: tuple[int, list[Any], dict[str, Any], str]) -> None:
    axes, arrays, options, named = case
    tensors = [torch.from_numpy(array) if isinstance(array, np.ndarray) else array for array in arrays]
    torchs, ours = error_of(TORCHS[axes], tensors, options), error_of(OURS[axes], arrays, options)
    assert type(ours) is type(torchs)
    assert re.search(rf"\b{named}\b", str(ours))


def error_of(function: Callable[..., object], arrays: list[Any], options: dict[str, Any]) -> Exception | None:
    try:
        function(*arrays, **options)
    except Exception as error:
        return error
    return None


def test_groups_come_before_dilation() -> None:
    arrays = [random_array((1, 4, 5, 5), "float64"), random_array((4, 3, 3, 3), "float64")]
    expected = TORCHS[2](*map(torch.from_numpy, arrays), None, 2, 1, 1, 2, 3).numpy()
    np.testing.assert_allclose(conv_transpose2d(*arrays, None, 2, 1, 1, 2, 3), expected, atol=1e-12)


def test_empty_batch_with_empty_images() -> None:
    arrays = [np.zeros((0, 4, 0, 5), np.float32), W]
    assert conv_transpose2d(*arrays).shape == tuple(TORCHS[2](*map(torch.from_numpy, arrays)).shape)


def test_output_size() -> None:
    assert conv_transpose_output_size(5, 3, stride=2, padding=1) == (9,)
    assert conv_transpose_output_size((464, 700), 2) == (465, 701)
    assert conv_transpose_output_size([4, 4], (3, 5), (2, 1), (4, 2)) == (1, 4)
    assert conv_transpose_output_size((4, 4), (3, 5), (2, 1), (4, 2), dilation=(3, 1)) == (5, 4)
    assert conv_transpose_output_size((3, 4, 5), 3, 2, 1, 1) == (6, 8, 10)
    with pytest.raises(RuntimeError, match="output size must be at least 1"):
        conv_transpose_output_size(1, 1, padding=1)
    with pytest.raises(RuntimeError, match="kernel_size"):
        conv_transpose_output_size((4, 4), (3, 3, 3))
    with pytest.raises(TypeError, match="size"):
        conv_transpose_output_size(4.0, 3)
    with pytest.raises(RuntimeError, match="kernel_size must be from 1 to"):
        conv_transpose_output_size(4, 0)
    with pytest.raises(RuntimeError, match="size must be from 0 to"):
        conv_transpose_output_size(-1, 3)
