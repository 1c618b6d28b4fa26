"""The memory of large results is kept for the next: see `resample/blocks.py`."""

from __future__ import annotations

import gc
import mmap
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import resample
from resample import blocks, memory
from resample.functional import interpolate, max_pool2d, pixel_shuffle, pixel_unshuffle
from resample.kernels import cpu
from resample.kernels.entry import address
from resample.kernels.sizes import HUGE_PAGE, VECTOR

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="done on Linux alone")

BYTES = np.dtype(np.uint8)


@pytest.fixture(autouse=True)
def kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Have results of 1 MB in blocks, at the beginning none of them kept."""
    monkeypatch.setattr(blocks, "LARGE", 1 << 20)
    monkeypatch.setattr(blocks, "_kept", [])
    yield blocks._kept
    gc.collect()


def test_the_next_result_has_the_memory_of_one_that_is_gone(kept: list[Any]) -> None:
    first = blocks.new_array((1 << 20, 2), np.dtype(np.float32))
    assert first.shape == (1 << 20, 2)
    assert first.dtype == np.float32
    assert first.flags.c_contiguous
    assert first.flags.writeable
    place = address(first)
    assert place % HUGE_PAGE == 0
    second = blocks.new_array((1 << 20, 2), np.dtype(np.float32))
    assert abs(address(second) - place) >= first.nbytes
    del first
    assert len(kept) == 1
    assert address(blocks.new_array((1 << 20, 2), np.dtype(np.float32))) == place


def test_not_as_long_as_there_is_a_view(kept: list[Any]) -> None:
    whole = blocks.new_array((1 << 21,), BYTES)
    view = whole.reshape(2, -1)[:, 5:].view(np.int8).T
    del whole
    gc.collect()
    assert not kept
    del view
    assert len(kept) == 1


def test_which_block(kept: list[Any]) -> None:
    """The smallest that is large enough, but none that is twice as large."""
    held = [blocks.new_array((count * HUGE_PAGE,), BYTES) for count in (5, 3, 4)]
    places = [address(array) for array in held]
    held.clear()
    assert len(kept) == 3
    small = blocks.new_array((HUGE_PAGE,), BYTES)
    assert address(small) not in places
    third = blocks.new_array((3 * HUGE_PAGE - 7,), BYTES)
    assert address(third) == places[1]
    fifth, fourth = blocks.new_array((5 * HUGE_PAGE,), BYTES), blocks.new_array((3 * HUGE_PAGE,), BYTES)
    assert [address(fifth), address(fourth)] == [places[0], places[2]]


def test_how_many_are_kept(kept: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The last ones, up to so many bytes in all; what is larger is freed at once."""
    monkeypatch.setattr(blocks, "MOST", 3 * HUGE_PAGE)
    held = [blocks.new_array((HUGE_PAGE,), BYTES) for _ in range(5)]
    places = [address(array) for array in held]
    while held:
        del held[0]
    assert [block.address for block in kept] == places[2:]
    blocks.new_array((4 * HUGE_PAGE,), BYTES)
    assert [block.address for block in kept] == places[2:]


def owner(array: Any) -> Any:
    """Return what an array is a view of, None if it owns its memory."""
    while isinstance(array, np.ndarray):
        array = array.base
    return array


def test_results_that_begin_at_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "LARGE", 1 << 30)
    kind = np.dtype(">f4")
    held = [blocks.new_array((1 << 20, 3), kind, True) for _ in range(5)]
    assert all(address(array) % VECTOR == 0 and array.flags.c_contiguous and array.flags.writeable for array in held)
    assert {(array.shape, array.dtype, owner(array)) for array in held} == {((1 << 20, 3), kind, None)}
    assert blocks.new_array((1 << 20, 3), kind).flags.owndata
    assert blocks.new_array((1 << 10, 3), kind, True).flags.owndata
    if cpu.fast_sums(np.dtype(np.float32)):
        rows = np.zeros((1, 16, 9000), np.float32)
        assert address(interpolate(rows, size=17000, mode="linear")) % VECTOR == 0


def test_small_results_have_none(kept: list[Any]) -> None:
    array = blocks.new_array((1023, 1024), BYTES)
    assert array.flags.owndata
    del array
    assert blocks.new_array((0, 1 << 30), BYTES).shape == (0, 1 << 30)
    assert not kept


def test_where_the_system_cannot_be_told(kept: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    array = blocks.new_array((1 << 21,), BYTES)
    monkeypatch.setattr(mmap, "MADV_FREE", 9999)
    del array
    assert not kept
    monkeypatch.delattr(mmap, "MADV_FREE")
    assert owner(blocks.new_array((1 << 21,), BYTES)) is None


def test_no_room(kept: list[Any]) -> None:
    """The kept ones go first, and then it is NumPy that says so."""
    blocks.new_array((HUGE_PAGE,), BYTES)
    assert kept
    with pytest.raises(MemoryError, match="allocate"):
        blocks.new_array((1 << 60,), BYTES)
    assert not kept


@pytest.mark.parametrize(
    "dtype",
    [
        np.dtype([("a", "f4"), ("b", "u1", (4,))]),
        np.dtype("f4", metadata={"unit": "lux"}),
        np.dtype("M8[s]"),
        np.dtype("U3"),
        np.dtype("V5"),
        np.dtype(bool),
        np.dtype(complex),
    ],
)
def test_dtypes(dtype: np.dtype[Any]) -> None:
    pixels = np.zeros((400, 300), dtype)
    for size in ((40, 30), (1200, 1200)):
        result = resample.resize(pixels, size, mode="nearest")
        assert result.dtype == dtype
        assert result.dtype.metadata == dtype.metadata
        assert result.shape == size
    assert isinstance(owner(result), blocks._Owner)
    assert blocks.new_array((1 << 20,), np.dtype(object)).flags.owndata


def test_limits() -> None:
    """Where address space is limited nothing is kept that others lack then."""
    code = """
import resource
import numpy as np
from resample import blocks
def make():
    return [blocks.new_array((66 << 20,), np.dtype("u1")) for _ in range(3)]
make()
assert len(blocks._kept) == 3
taken = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + (100 << 20),) * 2)
make()
assert not blocks._kept
np.ones(250 << 20, np.uint8)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_overcommit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mode = tmp_path / "mode"
    monkeypatch.setattr(memory, "OVERCOMMIT", str(mode))
    for text, expected in (("", False), ("0\n", False), ("2\n", True)):
        if text:
            mode.write_text(text)
        memory._is_promised.cache_clear()
        assert memory._is_promised() == expected
    assert memory.address_space_counts()
    memory._is_promised.cache_clear()


def test_interruptions_are_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python drops what is raised where an object is deleted."""

    def interrupted(block: Any) -> None:
        raise KeyboardInterrupt

    def drop_and_wait() -> None:
        blocks.new_array((HUGE_PAGE,), BYTES)
        for _ in range(1000):
            time.sleep(0.01)

    monkeypatch.setattr(blocks, "_keep", interrupted)
    with pytest.raises(KeyboardInterrupt):
        drop_and_wait()


def test_the_end_of_the_interpreter() -> None:
    """Results that outlive the modules of this library say nothing."""
    code = """
import numpy as np
import resample.blocks
np.held = resample.blocks.new_array((66 << 20,), np.dtype("u1"))
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert not done.stderr


def test_the_system_takes_the_pages(kept: list[Any]) -> None:
    """What it may do at any time while nobody has them: the next result does not depend on what was there."""
    pixels = np.random.default_rng(0).integers(0, 256, (700, 900, 3), np.uint8)
    expected = resample.resize(pixels, (1100, 1300)).copy()
    assert len(kept) == 1
    kept[0].memory.madvise(mmap.MADV_DONTNEED)
    np.testing.assert_array_equal(resample.resize(pixels, (1100, 1300)), expected)


def test_operators(kept: list[Any]) -> None:
    """Large results of all of them have blocks, and none is given out twice."""
    rng = np.random.default_rng(0)
    array = rng.random((1, 16, 200, 160), np.float32)
    calls = [
        lambda: interpolate(array, scale_factor=2, mode="bilinear"),
        lambda: pixel_shuffle(array, 2),
        lambda: pixel_unshuffle(array, 2),
        lambda: max_pool2d(np.tile(array, (1, 4, 1, 1)), 2),
        lambda: resample.resize(array[0].transpose(1, 2, 0), (400, 320), mode="nearest"),
    ]
    expected = [np.array(call()) for call in calls]
    assert kept
    for _ in range(2):
        results = [call() for call in calls]
        assert all(isinstance(owner(result), blocks._Owner) for result in results)
        for result, before in zip(results, expected, strict=True):
            np.testing.assert_array_equal(result, before)
        del results


def test_threads_do_not_share(kept: list[Any]) -> None:
    wrong: list[int] = []

    def write(value: int) -> None:
        for _ in range(200):
            array = blocks.new_array((HUGE_PAGE,), BYTES)
            array[::4096] = value
            if (array[::4096] != value).any():
                wrong.append(value)

    threads = [threading.Thread(target=write, args=(value,)) for value in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert kept
    assert len({block.address for block in kept}) == len(kept)
