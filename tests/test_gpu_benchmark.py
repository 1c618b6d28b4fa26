"""benchmarks/gpu.py without a GPU: its cases, its checks on a simulated device, and what it says of what is missing."""

from __future__ import annotations

import importlib
import json
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simulated_cuda
from simulated_cuda import Array, fetched

from resample.kernels.cuda import driver

FOLDER = Path(__file__).parent.parent / "benchmarks"

# the plan's megabytes, each input's read once and the result's written once
MEGABYTES = {
    "1": 1342, "2": 1342, "3": 671, "4": 1342, "5": 1991, "6": 1991, "7": 995, "8": 408, "10": 20, "11": 32,
    "12": 1208, "13": 2147, "14": 1879, "15": 252, "16": 201, "18": 1342,
}  # fmt: skip


@pytest.fixture(scope="module")
def gpu() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        yield importlib.import_module("gpu")


def upload(laid: Any) -> Array:
    """Return an array on the simulated device that lies in memory as `laid` does."""
    array, size = Array(laid.memory), laid.memory.itemsize
    place = {"shape": laid.shape, "strides": tuple(step * size for step in laid.steps)}
    address = array.memory.address + laid.offset * size
    array.__cuda_array_interface__ = {**array.__cuda_array_interface__, **place, "data": (address, False)}
    return array


@pytest.fixture
def device(gpu: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with simulated_cuda.simulated(monkeypatch):  # which fills what it gives with 0xA5
        yield gpu.Device(upload, fetched, lambda nbytes, byte: None)


def test_bytes_are_the_plans(gpu: Any) -> None:
    found = gpu.cases()
    assert {case.name for case in found} == {*map(str, range(1, 19)), "8b"}
    for case in found:
        if case.name in MEGABYTES:
            assert abs(case.moved / 1e6 - MEGABYTES[case.name]) < 1, case.title
    pictures = [case.moved / 1e6 for case in found if case.name == "8b"]
    assert min(pictures) == pytest.approx(31, abs=0.2)
    assert max(pictures) == pytest.approx(124, abs=0.5)
    assert len({(case.name, case.title) for case in found}) == len(found)


def test_shapes_of_results(gpu: Any) -> None:
    """What cases say of their results is what the library does, here with few channels and small planes."""
    torch = pytest.importorskip("torch")
    for case in gpu.cases():
        if case.call == "interpolate":
            assert case.out == (*case.shapes[0][:2], *case.options["size"])
            continue
        tensors = [torch.empty(shape, dtype=getattr(torch, dtype), device="meta")
                   for shape, dtype in zip(case.shapes, case.dtypes, strict=True)]  # fmt: skip
        if case.call != "max_unpool2d":
            assert tuple(gpu.torchs(torch, case)(*tensors).shape) == case.out


def test_checks_pass_on_a_simulated_device(gpu: Any, device: Any) -> None:
    assert {item.call for item in gpu.checks(some=True)} == {item.call for item in gpu.checks()}
    of_each: dict[tuple[Any, ...], tuple[int, Any]] = {}
    for index, item in enumerate(gpu.checks()):
        kernels_of = "uint8" if "max_pool" in item.call else "float32"
        if item.dtype == kernels_of and item.call[-2:] not in ("1d", "3d"):
            key = item.call, item.options.get("mode"), item.options.get("antialias")
            of_each.setdefault(key, (index, item))
    tally = gpu.Tally()
    for index, item in of_each.values():
        tally.add(index, item.title, gpu.attempt(item, index, device))
    assert not tally.failures
    assert len(of_each) > 10
    assert gpu.checks_table(tally)[2] == f"{len(of_each)} checks: all right."


def test_what_is_wrong_is_found(gpu: Any, device: Any, capsys: pytest.CaptureFixture[str]) -> None:
    item = next(item for item in gpu.checks() if "bilinear, align_corners=False) of float32" in item.title)
    assert gpu.attempt(item, 1, device).problem == ""

    def spoiled(result: Any) -> np.ndarray:
        values = fetched(result)
        values.flat[3] = np.nan
        return values

    tally = gpu.Tally()
    tally.add(7, item.title, gpu.attempt(item, 1, device._replace(fetch=spoiled)))
    assert tally.failures[0].endswith("differs by inf ulp")
    assert "WRONG check 7: interpolate(" in capsys.readouterr().out
    tally.add(8, item.title, gpu.attempt(item, 1, device._replace(upload=lambda laid: "text")))
    assert "TypeError: input must be" in tally.failures[1]
    numbers = tally.numbers()
    assert numbers["kinds"]["interpolate bilinear float32"]["checks"] == 2
    assert numbers["kinds"]["interpolate bilinear float32"]["ulps"] == np.inf
    json.dumps(numbers)

    def absent(*_: Any) -> None:
        raise RuntimeError("not implemented for 'Byte'")

    asked = gpu.attempt(item, 1, device._replace(reference=absent))
    assert (asked.problem, asked.from_torch) == ("", None)


def test_difference(gpu: Any) -> None:
    one = np.float32([1, np.nan, np.inf, -0.0])
    assert gpu.difference(one, one.copy()) == 0
    assert gpu.difference(np.float32([1, 3.5]), np.nextafter(np.float32([1, 3.5]), np.float32(9))) == 1
    assert gpu.difference(np.float16([2, 0]), np.float16([2, 2**-9])) == 1
    assert gpu.difference(np.float32([1, 2]), np.float32([np.nan, 2])) == np.inf
    assert gpu.difference(np.float32([np.inf]), np.float32([-np.inf])) == np.inf
    assert gpu.difference(np.uint8([1, 255]), np.uint8([0, 250])) == 5
    assert gpu.difference(np.uint8([1]), np.int8([1])) == np.inf


def test_layouts(gpu: Any) -> None:
    cases = sys.modules["gpu_cases"]
    values = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    wanted = {
        "first": (60, 20, 5, 1), "last": (60, 1, 15, 3), "transposed": (60, 20, 1, 4), "gaps": (120, 40, 10, 2),
        "offset": (60, 20, 5, 1),
    }  # fmt: skip
    for layout in cases.LAYOUTS:
        laid = cases.laid(values, layout)
        np.testing.assert_array_equal(laid.view, values)
        assert laid.steps == wanted[layout]
        assert np.isnan(laid.memory).sum() == laid.memory.size - values.size


def test_a_missing_peer_is_a_dash(gpu: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stopwatch:
        """As much of torch.cuda as times a case; all takes a millisecond."""

        def __init__(self, enable_timing: bool) -> None:
            pass

        def record(self) -> None:
            pass

        synchronize = record

        def elapsed_time(self, end: Any) -> float:
            return 1.0

    about = types.SimpleNamespace(L2_cache_size=1)
    torch = pytest.importorskip("torch")
    cuda = types.SimpleNamespace(Event=Stopwatch, get_device_properties=lambda k: about, empty_cache=lambda: None)
    library = types.SimpleNamespace(cuda=cuda, nn=torch.nn, uint8=torch.uint8)
    monkeypatch.setattr(gpu, "inputs", lambda _, case, sets: [[torch.rand(case.shapes[0])]] * sets)
    monkeypatch.setattr(gpu, "BEGAN", gpu.time.monotonic())
    for name in ("cupy", "jax"):
        monkeypatch.setitem(sys.modules, name, None)
    case = sys.modules["gpu_cases"].resize("1", (1, 2, 4, 5), (8, 10), "nearest", gpu.CUPY, gpu.JAX)
    row = gpu.timed(library, case, copied=1e12)
    assert set(row["seconds"]) == {gpu.OURS, gpu.TORCH}
    assert row["ulps"] == 0
    assert row["missing"][gpu.CUPY].startswith("ModuleNotFoundError")
    told = {"date": "today", "device": "a card", "versions": "versions", "bandwidth": 4e12}
    page = gpu.page(told, gpu.Tally(), [row])
    assert "Measured today on a card; versions. A copy moves 4.00 TB/s." in page
    line = next(line for line in page.splitlines() if line.startswith("| 1 |"))
    assert line.startswith("| 1 | nearest float32, 1 x 2 x 4 x 5 to 1 x 2 x 8 x 10 | 0 |")
    assert line.count("- [") == 2
    assert "[1] ModuleNotFoundError: import of cupy halted" in page
    json.dumps(row)
    monkeypatch.setattr(gpu, "BEGAN", -1e9)
    late = gpu.timed(library, case, copied=1e12)
    assert late["missing"][gpu.OURS] == "time was up"
    assert "| - [1] | - | - [1]" in gpu.page(told, gpu.Tally(), [late])


def test_checks_go_on_behind_a_fault(gpu: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three checks: the first ends in a fault that is told of, the second kills its process, the third is fine."""
    worker = tmp_path / "worker.py"
    worker.write_text(
        "import json, os, sys\n"
        "begin = int(sys.argv[2])\n"
        "print('a warning')\n"
        "if begin == 0:\n"
        "    print(json.dumps([0, 'first', 'kind', 'went wrong', None, None]))\n"
        "    sys.exit(3)\n"
        "if begin == 1:\n"
        "    os._exit(9)\n"
        "print(json.dumps([2, 'third', 'kind', '', 1.0, None]))\n"
    )
    items = [types.SimpleNamespace(title=title) for title in ("first", "second", "third")]
    monkeypatch.setattr(gpu, "checks", lambda some: items)
    monkeypatch.setattr(gpu, "BEGAN", gpu.time.monotonic())
    tally = gpu.Tally()
    gpu.follow_checks(tally, types.SimpleNamespace(quick=False, seed=1), [sys.executable, str(worker)])
    assert tally.failures == [
        "check 0: first went wrong", "check 1: second ended its process with status 9",
    ]  # fmt: skip
    assert tally.summary() == "3 checks: 2 WRONG"


def test_without_a_driver(gpu: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def absent() -> None:
        raise RuntimeError("CUDA needs a machine with an NVIDIA GPU")

    monkeypatch.setattr(driver, "library", absent)
    assert gpu.main([]) == 2
    told = capsys.readouterr()
    assert told.err == "no GPU to measure: CUDA needs a machine with an NVIDIA GPU\n"
    assert not told.out
