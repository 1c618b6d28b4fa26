"""`conv_transpose1d`, `2d` and `3d` on a simulated device against live torch, in both ways."""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import re
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import machine_code
import numpy as np
import pytest
import simulated_cuda
import torch
from hypothesis import given, settings
from simulated_cuda import Array, Driver, fetched
from test_conv_transpose import DTYPES, OURS, ROUNDING, SIZE, TORCHS, calls, cases, exact, random_array

from resample import convolution, convolution_gpu, devices
from resample.devices import DeviceArray
from resample.kernels.cuda import driver, passes, ptx


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[Driver]:
    with simulated_cuda.simulated(monkeypatch) as found:
        convolution_gpu._plan.cache_clear()
        yield found
        assert found.synchronized == 0
        convolution_gpu._plan.cache_clear()  # of a device that is no more


def values_of(view: DeviceArray) -> np.ndarray:
    """Return the memory of a view as an array, to be written, too."""
    extent = view.dtype.itemsize + sum((n - 1) * step for n, step in zip(view.shape, view.strides, strict=True))
    raw = np.ctypeslib.as_array((ctypes.c_uint8 * extent).from_address(view.address))
    return np.lib.stride_tricks.as_strided(raw[: view.dtype.itemsize].view(view.dtype), view.shape, view.strides)


class Multiplier:
    """The matrix product of a library that arrays of the simulated device come from."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shapes: list[tuple[tuple[int, ...], ...]] = []
        origin = devices._origin
        monkeypatch.setattr(
            devices, "_origin", lambda *arguments, **more: origin(*arguments, **more)._replace(matmul=self)
        )

    def __call__(self, *views: DeviceArray) -> None:
        assert views[2].is_dense()
        left, right, result = map(values_of, views)
        self.shapes.append((left.shape, right.shape))
        with np.errstate(over="ignore", invalid="ignore"):
            np.matmul(left, right, out=result)


@pytest.fixture
def multiplier(cuda: Driver, monkeypatch: pytest.MonkeyPatch) -> Multiplier:
    """Have all sums of floats taken by products."""
    monkeypatch.setattr(convolution_gpu, "_products_are_quicker", lambda shape: True)
    return Multiplier(monkeypatch)


def checked(axes: int, arrays: list[np.ndarray], options: dict[str, Any]) -> Callable[[], None]:
    """Return what asserts that our result is torch's for integers, and within rounding of the exact one for floats."""
    dtype = arrays[0].dtype
    if dtype == np.int64:
        expected, allowed = TORCHS[axes](*map(torch.from_numpy, arrays), **options).numpy(), np.int64(0)
    else:
        expected, sizes = exact(axes, arrays, options, bias=len(arrays) == 3)
        allowed = ROUNDING[dtype.name] * sizes
    if dtype == np.float16:
        allowed += np.spacing(np.abs(expected).astype(np.float16)) * 0.501

    def check() -> None:
        result = OURS[axes](*map(Array, arrays), **options)
        assert result.is_dense()
        actual = fetched(result)
        assert (actual.dtype, actual.shape) == (dtype, expected.shape)
        assert (actual == expected).all() if dtype == np.int64 else (np.abs(actual - expected) <= allowed).all()

    return check


def compare(axes: int, arrays: list[np.ndarray], options: dict[str, Any]) -> None:
    checked(axes, arrays, options)()


def check_both_ways(checks: list[Callable[[], None]], cuda: Driver) -> None:
    for check in checks:
        check()
    assert {name.partition("_")[0] for name, *_ in cuda.launches} <= {"pack", "correlate", "convert"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(convolution_gpu, "_products_are_quicker", lambda shape: True)
        Multiplier(patch)
        cuda.launches.clear()
        convolution_gpu._plan.cache_clear()
        for check in checks:
            check()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_product_of_arguments(axes: int, dtype: str, cuda: Driver) -> None:
    checks = []
    # one dtype takes all cases, as the tables are the same for others
    some = itertools.islice(cases(axes), 0, None, 1 if dtype == "float32" else 7)
    for number, ((groups, in_channels, out_channels), kernel, options) in enumerate(some):
        arrays = [
            random_array((number % 3, groups * in_channels, *SIZE[axes]), dtype, 1),
            random_array((groups * in_channels, out_channels, *(kernel,) * axes), dtype, 2),
            random_array((groups * out_channels,), dtype, 3),
        ]
        checks.append(checked(axes, arrays[: 2 + number % 2], {**options, "groups": groups}))
    check_both_ways(checks, cuda)
    names = {"float16": {"gather_4", "convert_half"}, "int64": {"pack", "correlate_4_4_2_1"}}
    assert {name for name, *_ in cuda.launches} - {"correlate_1_8_1_1", "correlate_1_8_1_2"} == names.get(
        dtype, {"gather_4"}
    )


@settings(max_examples=40, deadline=None)
@given(calls())
def test_any_call(call: tuple[int, list[np.ndarray], dict[str, Any], bool]) -> None:
    axes, arrays, options, bias = call
    with pytest.MonkeyPatch.context() as patch, simulated_cuda.simulated(patch) as cuda:
        convolution_gpu._plan.cache_clear()
        check_both_ways([checked(axes, arrays[: 2 + bias], options)], cuda)
        convolution_gpu._plan.cache_clear()


def test_every_block_serves(cuda: Driver) -> None:
    """Each block sums outputs of all its channels and rows, and of fewer."""
    for dtype, blocks in (("float32", convolution_gpu.BLOCKS[4]), ("int64", convolution_gpu.BLOCKS[8])):
        for block in blocks:
            cuda.launches.clear()
            taps = 2 * block.together  # of which an output has half
            for channels, height in itertools.product({block.channels, max(1, block.channels - 1)}, (40, 9)):
                arrays = [random_array((2, 3, height, 40), dtype, 1), random_array((3, channels, taps, 4), dtype, 2)]
                compare(2, arrays, {"stride": 2, "padding": 1})
            assert block.name in {name for name, *_ in cuda.launches}


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_weights_that_are_not_finite_stay_inside(value: float, cuda: Driver) -> None:
    """Weights meet no zeros around the input."""
    samples, weight = random_array((1, 2, 5, 6), "float32"), random_array((2, 3, 3, 3), "float32")
    weight[0, 0, 0, 0], weight[1, 2, 2, 1] = value, -value
    for stride, padding, dilation in itertools.product((1, 2, 3), (0, 1), (1, 2)):
        options = {"stride": stride, "padding": padding, "dilation": dilation}
        expected = torch.conv_transpose2d(torch.from_numpy(samples), torch.from_numpy(weight), **options).numpy()
        actual = fetched(convolution.conv_transpose2d(Array(samples), Array(weight), **options))
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


def test_samples_that_are_not_finite_reach_what_they_should(cuda: Driver) -> None:
    samples, weight = np.ones((1, 2, 5, 6), np.float32), np.ones((2, 4, 4, 4), np.float32)
    samples[0, 0, 0, 0], samples[0, 1, 4, 5] = np.inf, np.nan
    expected = torch.conv_transpose2d(torch.from_numpy(samples), torch.from_numpy(weight), stride=2, padding=1)
    actual = fetched(convolution.conv_transpose2d(Array(samples), Array(weight), stride=2, padding=1))
    np.testing.assert_array_equal(actual, expected.numpy())


@pytest.mark.parametrize("by_products", [False, True])
def test_arrays_of_any_strides(by_products: bool, cuda: Driver, request: pytest.FixtureRequest) -> None:
    if by_products:
        request.getfixturevalue("multiplier")
    samples = random_array((2, 6, 4, 5), "float32", 1).transpose(0, 1, 3, 2)
    weight = random_array((3, 6, 3, 2), "float32", 2).transpose(1, 0, 2, 3)
    bias = np.repeat(random_array((6,), "float32", 3), 2)[::2]
    compare(2, [samples, weight, bias], {"stride": 2, "groups": 2})


@pytest.mark.parametrize("by_products", [False, True])
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "uint16", "float16", "float32", "float64"])
def test_biases_of_other_dtypes(dtype: str, by_products: bool, cuda: Driver, request: pytest.FixtureRequest) -> None:
    if by_products:
        request.getfixturevalue("multiplier")
    bias = np.array([0, 1, 201, 40000]).astype(dtype)
    for kind in ("float16", "float32"):
        samples, weight = random_array((1, 1, 3, 3), kind), random_array((1, 4, 2, 2), kind)
        expected = convolution.conv_transpose2d(samples, weight, bias, stride=2)
        actual = fetched(convolution.conv_transpose2d(Array(samples), Array(weight), Array(bias), stride=2))
        np.testing.assert_allclose(actual, expected, rtol=1e-3 if kind == "float16" else 1e-6)


def test_integers_take_biases_of_integers(cuda: Driver) -> None:
    samples, weight = random_array((1, 1, 3, 3), "int64"), random_array((1, 2, 2, 2), "int64")
    for bias in (np.array([True, False]), np.array([-3, 7], np.int8), np.array([2**64 - 1, 5], np.uint64)):
        expected = convolution.conv_transpose2d(samples, weight, bias)
        actual = convolution.conv_transpose2d(Array(samples), Array(weight), Array(bias))
        np.testing.assert_array_equal(fetched(actual), expected)


def test_no_batch_and_no_images(cuda: Driver) -> None:
    weight = random_array((2, 3, 3, 3), "float32")
    compare(2, [random_array((2, 4, 5), "float32"), weight], {"stride": 2})
    cuda.launches.clear()
    empty = convolution.conv_transpose2d(Array(np.empty((0, 2, 4, 5), np.float32)), Array(weight), stride=2)
    assert empty.shape == (0, 3, 9, 11)
    assert not cuda.launches


@pytest.mark.parametrize("by_products", [False, True])
def test_work_goes_to_the_stream_of_input(by_products: bool, cuda: Driver, request: pytest.FixtureRequest) -> None:
    if by_products:
        request.getfixturevalue("multiplier")
    samples, bias = random_array((1, 2, 4, 5), "float16"), random_array((3,), "int64")
    weight = random_array((2, 3, 3, 2), "float16").transpose(0, 1, 3, 2)  # is copied
    arrays = [Array(samples, stream=42), Array(weight, stream=7), Array(bias, stream=8)]
    result = convolution.conv_transpose2d(*arrays, stride=2)
    assert {stream for *_, stream in cuda.launches} == {42}
    assert result.__cuda_array_interface__["stream"] == 42


def test_arrays_must_be_on_one_device(monkeypatch: pytest.MonkeyPatch) -> None:
    samples, weight = np.ones((1, 1, 2, 2), np.float32), np.ones((1, 1, 2, 2), np.float32)
    with simulated_cuda.simulated(monkeypatch, devices=2) as cuda:
        here = Array(samples)
        with driver.on(1):
            there = driver.Memory(16, 1)
        elsewhere = Array(weight)
        elsewhere.__cuda_array_interface__["data"] = (there.address, False)
        for wrong, arrays in (
            ("weight must be on the device of input, cuda:0, got one on cuda:1", (here, elsewhere)),
            ("weight must be on the device of input, cuda:0, got one on cpu", (here, weight)),
            ("weight must be on the device of input, cpu, got one on cuda:0", (samples, here)),
            ("bias must be on the device of input, cuda:0, got one on cpu", (here, here, np.ones(1))),
        ):
            with pytest.raises(ValueError, match=re.escape(wrong)):
                convolution.conv_transpose2d(*arrays)
        assert not cuda.launches


def test_wrong_arguments_raise_as_on_the_cpu(cuda: Driver) -> None:
    samples, weight = np.ones((1, 2, 2, 2), np.float32), np.ones((2, 1, 2, 2), np.float32)
    for arrays, options in (
        ((samples, weight[:1]), {}),
        ((samples, weight.astype(np.float64)), {}),
        ((samples, weight), {"output_padding": 1}),
        ((samples, weight, np.ones(2, np.float32)), {}),
        ((samples.astype(np.int32), weight.astype(np.int32)), {}),
    ):
        with pytest.raises((RuntimeError, NotImplementedError)) as expected:
            convolution.conv_transpose2d(*arrays, **options)
        with pytest.raises(expected.type, match=re.escape(str(expected.value))):
            convolution.conv_transpose2d(*map(Array, arrays), **options)


def test_many_channels_are_multiplied_by_the_callers_library(cuda: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    multiplier = Multiplier(monkeypatch)
    for dtype, channels, stride, many in (
        ("float32", 3, 2, False),
        ("float32", 47, 2, False),
        ("float32", 48, 2, True),
        ("float64", 64, 2, True),
        ("float32", 64, 4, True),
        ("float32", 150, 8, False),
        ("int64", 64, 2, False),
    ):
        multiplier.shapes.clear()
        arrays = [random_array((1, channels, 2, 3), dtype), random_array((channels, 2, 4, 4), dtype)]
        compare(2, arrays, {"stride": stride})
        assert multiplier.shapes == ([((32, channels), (1, channels, 6))] if many else [])


def test_products_are_made_in_parts(cuda: Driver, multiplier: Multiplier, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = [random_array((5, 6, 3, 4), "float32", 1), random_array((6, 4, 2, 3), "float32", 2)]
    arrays.append(random_array((8,), "float32", 3))
    of_a_channel = 2 * 3 * 3 * 4 * 4
    for most, parts in ((1, 2 * 5 * 4), (3 * of_a_channel, 2 * 5 * 2), (9 * of_a_channel, 2 * 3), (1 << 25, 2)):
        monkeypatch.setattr(convolution_gpu, "PRODUCTS", most)
        multiplier.shapes.clear()
        compare(2, arrays, {"stride": 2, "groups": 2})
        assert len(multiplier.shapes) == parts


@pytest.mark.parametrize("by_products", [False, True])
def test_more_tiles_and_planes_than_a_grid_has(
    by_products: bool, cuda: Driver, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if by_products:
        request.getfixturevalue("multiplier")
    monkeypatch.setattr(passes, "MOST_BLOCKS", 2)
    arrays = [random_array((7, 2, 19, 70), "float32", 1), random_array((2, 9, 3, 3), "float32", 2)]
    compare(2, arrays, {"stride": 2})
    assert max(max(grid[1:]) for _, grid, *_ in cuda.launches) == 2
    compare(1, [random_array((1, 1, 3000), "float32", 1), random_array((1, 1, 3), "float32", 2)], {})


def test_what_is_too_large_raises(cuda: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    samples, weight = Array(np.ones((1, 1, 4, 4), np.float32)), Array(np.ones((1, 2, 2, 2), np.float32))
    for name, wrong in (
        ("MOST_OF_A_CHANNEL", "each channel must have fewer than 16 values on a GPU, got 16"),
        ("MOST_WEIGHTS", "weight must have fewer than"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(convolution_gpu, name, 16)
            with pytest.raises(ValueError, match=wrong):
                convolution.conv_transpose2d(samples, weight)


def test_tables_are_kept_for_a_graph(cuda: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A CUDA graph reads tables whenever it is replayed, also when they are no longer those of the last calls."""
    monkeypatch.setattr(devices, "_captured", [])
    arrays = [Array(random_array(shape, "float32")) for shape in ((1, 1, 4, 4), (1, 1, 2, 2))]
    cuda.capturing = True
    convolution.conv_transpose2d(*arrays)
    convolution_gpu._plan.cache_clear()
    (tables,) = devices._captured
    assert tables.constants.addresses[0] in cuda.blocks


def test_tables_are_made_once(cuda: Driver) -> None:
    samples, weight = Array(np.ones((1, 1, 4, 4), np.float32)), Array(np.ones((1, 2, 2, 2), np.float32))
    convolution.conv_transpose2d(samples, weight)
    before = cuda.copies
    convolution.conv_transpose2d(samples, weight)
    assert cuda.copies == before


def test_matrix_product_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the CPU, where torch takes no CUDA arrays: what is asked of it is what is tested."""
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: types.SimpleNamespace(cuda_stream=5))
    monkeypatch.setattr(torch, "as_tensor", lambda view, device: torch.from_numpy(values_of(view)))
    check_matmul(devices._view_of_tensor("input", torch.ones(60)))


def test_matrix_product_of_cupy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what stands for CuPy: NumPy."""

    def ndarray(shape: Any, dtype: Any, pointer: Any, strides: Any) -> np.ndarray:
        return values_of(DeviceArray(pointer[0][0], shape, strides, dtype, view.origin, None))

    cuda = types.SimpleNamespace(
        Device=lambda device: contextlib.nullcontext(),
        get_current_stream=lambda: types.SimpleNamespace(ptr=5),
        UnownedMemory=lambda *memory: memory,
        MemoryPointer=lambda *pointer: pointer,
    )
    monkeypatch.setitem(sys.modules, "cupy", types.SimpleNamespace(cuda=cuda, ndarray=ndarray, matmul=np.matmul))
    memory = np.ones(60, np.float32)
    data = types.SimpleNamespace(ptr=memory.ctypes.data)
    fields = {"device": types.SimpleNamespace(id=0), "data": data, "strides": (4,), "memory": memory}
    view = devices._view_of_cupy(types.SimpleNamespace(shape=(60,), dtype=memory.dtype, **fields))
    check_matmul(view)


def check_matmul(view: DeviceArray) -> None:
    """Multiply matrices in the first half of the memory of a view, with the result in the other."""
    assert view.origin.stream == 5
    matrix = convolution_gpu._part(view, 0, (3, 2), (1, 3))
    matrices = convolution_gpu._part(view, 6, (2, 2, 4), (12, 4, 1))
    result = convolution_gpu._part(view, 34, (2, 3, 4), (12, 4, 1))
    values_of(view)[:34] = np.arange(34)
    assert view.origin.matmul
    view.origin.matmul(matrix, matrices, result)
    np.testing.assert_array_equal(values_of(result), np.matmul(values_of(matrix), values_of(matrices)))
    assert (values_of(view)[58:] == 1).all()


def kernels() -> list[tuple[str, tuple[str, ...]]]:
    """Return the kernels of the usual dtypes."""
    blocks = [block.name for block in convolution_gpu.BLOCKS[4]]
    found = [(name, convolution_gpu.correlate_types("float32", "float32", "float32")) for name in blocks]
    found += [(blocks[-1], convolution_gpu.correlate_types("uint16", "float32", "uint16"))]
    found += [("gather_4", convolution_gpu.gather_types("float32", "float32", "float32"))]
    return [*found, ("pack", convolution_gpu.pack_types("uint16", "float32"))]


@pytest.mark.parametrize(("name", "kinds"), kernels(), ids=lambda value: value if isinstance(value, str) else value[1])
def test_machine_code(name: str, kinds: tuple[str, ...], tmp_path: Path) -> None:
    text = ptx.compiled("resample.kernels.cuda.convolution", name, kinds)
    assert b".local" not in text
    assert b".f64" not in text or "float64*" in kinds
    found = machine_code.read(text, (9, 0), tmp_path, disassembled=False)
    assert found.stack == 0
    assert found.registers <= 128
