"""The number of threads, and calls from many threads and forked children at once."""

from __future__ import annotations

import ctypes
import os
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import resample
import resample.functional as F
from resample import team
from resample.kernels import board

LARGE = np.random.default_rng(0).integers(0, 256, (1, 3, 400, 500), np.uint8)


def in_new_process(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_default_is_the_cpus_that_this_process_may_use() -> None:
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))});"
    if hasattr(os, "sched_setaffinity"):
        assert in_new_process(code + "import resample; print(resample.get_num_threads())") == "1"
    expected = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    environment = {"RESAMPLE_NUM_THREADS": ""}
    assert in_new_process("import resample; print(resample.get_num_threads())", **environment) == str(expected)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="threads cannot be kept on a processor here")
def test_default_is_of_the_moment_and_the_thread() -> None:
    """A process may be given other processors later, and a thread of its own may ask first."""
    usable = os.sched_getaffinity(0)

    def confined() -> int:
        os.sched_setaffinity(0, {min(usable)})
        return resample.get_num_threads()

    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RESAMPLE_NUM_THREADS", raising=False)
        patch.setattr("resample.threads._count", None)
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(confined).result() == 1
        assert resample.get_num_threads() == len(usable)


def test_environment_variable() -> None:
    code = "import resample; print(resample.get_num_threads())"
    assert in_new_process(code, RESAMPLE_NUM_THREADS="5") == "5"
    code = """
import resample
try:
    resample.get_num_threads()
except ValueError as error:
    print(error)
"""
    assert "RESAMPLE_NUM_THREADS" in in_new_process(code, RESAMPLE_NUM_THREADS="none")
    assert "'0'" in in_new_process(code, RESAMPLE_NUM_THREADS="0")


@pytest.mark.parametrize("count", [0, -1])
def test_bad_count(count: int) -> None:
    with pytest.raises(ValueError, match=f"count must be at least 1, got {count}"):
        resample.set_num_threads(count)


@pytest.mark.parametrize("count", [1.0, "2", None, True])
def test_bad_type_of_count(count: object) -> None:
    with pytest.raises(TypeError, match="count must be an int"):
        resample.set_num_threads(count)  # type: ignore[arg-type]


class Recording:
    """A kernel that calls a function of Python's with low and high."""

    def __init__(self, work: Callable[[int, int], None]) -> None:
        def function(block: Any) -> int:
            work(block[0], block[1])
            return 0

        self.function = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.POINTER(ctypes.c_int64))(function)
        self.address = ctypes.cast(self.function, ctypes.c_void_p).value
        self.work = work

    def check(self, size: int) -> None:
        assert size == 16

    def call(self, place: int) -> None:
        self.work(*struct.unpack("=2q", ctypes.string_at(place, 16)))


def run(work: Callable[[int, int], None], length: int = 100, cost: int = 1 << 60) -> None:
    team.in_bands(Recording(work), [], b"", length, cost)  # type: ignore[arg-type]


def until_all_sleep() -> None:
    words = team._team.words  # type: ignore[union-attr]
    helpers = words[board.FIRST_HELPER + board.STATE :: board.LINE][: words[board.COUNT]]
    while not (helpers == board.ASLEEP).all():
        time.sleep(0.001)


@pytest.mark.parametrize(("threads", "length"), [(2, 100), (4, 97), (4, 3), (300, 1000)])
def test_large_calls_are_split_and_small_are_not(threads: int, length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from resample import threads as counts

    bands: list[tuple[int, int]] = []
    monkeypatch.setattr(counts, "_count", threads)
    run(lambda low, high: bands.append((low, high)), length)
    assert len(bands) > 1
    assert len({low for low, _ in bands}) == min(length, board.SHARE * min(threads, board.HELPERS + 1))
    assert [place for low, high in sorted(bands) for place in range(low, high)] == list(range(length))
    bands.clear()
    run(lambda low, high: bands.append((low, high)), length, 2 * team.GRAIN - 1)
    assert bands == [(0, length)]


@pytest.mark.parametrize("threads", [2, 8])
def test_threads_work_side_by_side(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Again when they had gone to sleep, which they do, and with fewer processors than threads."""
    from resample import threads as counts

    monkeypatch.setattr(counts, "_count", threads)
    for _ in range(5):
        inside: set[int] = set()

        def work(low: int, high: int, there: set[int] = inside) -> None:
            there.add(threading.get_ident())
            while len(there) < threads:
                time.sleep(0.001)

        run(work)
        until_all_sleep()


def test_a_call_ends_when_all_its_bands_have(monkeypatch: pytest.MonkeyPatch) -> None:
    """They write into arrays that the caller then has back, or that are gone."""
    from resample import threads as counts

    caller, other_began = threading.current_thread(), threading.Event()
    ended: list[int] = []

    def work(low: int, high: int) -> None:
        if threading.current_thread() is caller:
            assert other_began.wait(60)
        else:
            other_began.set()
            time.sleep(0.3)
        ended.append(high - low)

    monkeypatch.setattr(counts, "_count", 2)
    run(work)
    assert sum(ended) == 100


def test_more_callers_than_the_board_has_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    from resample import threads as counts

    callers = board.JOBS + 4
    arrived: set[int] = set()

    def call(number: int) -> int:
        done: list[int] = []

        def work(low: int, high: int) -> None:
            arrived.add(number)
            while len(arrived) < callers:
                time.sleep(0.001)
            done.append(high - low)

        run(work)
        return sum(done)

    monkeypatch.setattr(counts, "_count", 2)
    with ThreadPoolExecutor(callers) as pool:
        assert list(pool.map(call, range(callers))) == [100] * callers


def test_small_calls_leave_sleepers_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from resample import threads as counts

    def work(low: int, high: int) -> None:
        bands.append((low, high))

    monkeypatch.setattr(counts, "_count", 2)
    monkeypatch.setattr(team, "SOON", 0)
    bands: list[tuple[int, int]] = []
    run(work)
    assert len(bands) > 1
    until_all_sleep()
    bands.clear()
    run(work, cost=2 * team.WAKING_GRAIN - 1)
    assert bands == [(0, 100)]
    monkeypatch.setattr(team, "SOON", 3600)
    run(work, cost=2 * team.WAKING_GRAIN - 1)
    assert len(bands) > 2


@pytest.mark.skipif(team._getcpu is None, reason="threads cannot be kept off a processor here")
def test_helpers_are_kept_off_the_processor_of_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or else the system may let them wait behind it, and nothing is done side by side."""
    from resample import threads as counts

    processors = os.sched_getaffinity(0)
    if len(processors) == 1:
        pytest.skip("needs two processors")
    monkeypatch.setattr(counts, "_count", 2)
    monkeypatch.setattr(team, "_team", None)
    for here in processors:
        monkeypatch.setattr(team, "_getcpu", lambda here=here: here)
        run(lambda low, high: time.sleep(0.01))
        until_all_sleep()
        run(lambda low, high: None)
        (helper,) = team._team.threads  # type: ignore[attr-defined]
        assert os.sched_getaffinity(helper) == processors - {here}
    assert os.sched_getaffinity(0) == processors


@pytest.mark.skipif(team._getcpu is None, reason="threads cannot be kept off a processor here")
def test_helpers_may_go_where_the_caller_may(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though another caller, on the same processor, may not go there, and though there are many of them by now."""
    from resample import threads as counts

    processors = os.sched_getaffinity(0)
    if len(processors) == 1:
        pytest.skip("needs two processors")
    here = min(processors)
    monkeypatch.setattr(team, "_getcpu", lambda: here)
    monkeypatch.setattr(team, "_team", None)
    monkeypatch.setattr(counts, "_count", 2)

    def twice() -> list[set[int]]:
        for _ in range(2):
            run(lambda low, high: time.sleep(0.01))
            until_all_sleep()
        return [os.sched_getaffinity(thread) for thread in team._team.threads]  # type: ignore[union-attr]

    def confined() -> list[set[int]]:
        os.sched_setaffinity(0, {here})
        return twice()

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(confined).result() == [{here}]
    assert twice() == [processors - {here}]
    monkeypatch.setattr(counts, "_count", team.FEW_HELPERS + 2)
    assert twice() == [processors] * (team.FEW_HELPERS + 1)


def test_too_little_memory_for_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    from resample import threads as counts

    monkeypatch.setattr(counts, "_count", 2)
    kernel: Any = Recording(lambda low, high: None)
    with pytest.raises(MemoryError):
        team.in_bands(kernel, [], b"", 100, 1 << 60, [1 << 50])


def test_the_same_call_again_finds_its_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    """But for where the arrays are; any other lays them out anew, also one that is shared by more or less threads."""
    from resample import threads as counts
    from resample.kernels import cpu

    if cpu.window() == 0:
        pytest.skip("plain kernels take one axis after the other: two calls, each laid out anew after the other")
    laid_out, calls = team._laid_out, []
    monkeypatch.setattr(team, "_laid_out", lambda *given: calls.append(given) or laid_out(*given))
    monkeypatch.setattr(team, "_spare", [])
    monkeypatch.setattr(team, "GRAIN", 1)
    rng = np.random.default_rng(3)
    pictures = [rng.integers(0, 256, (90, 70, 3), np.uint8) for _ in range(3)]
    sizes = [(40, 99), (45, 35)]
    monkeypatch.setattr(counts, "_count", 1)
    expected = {size: [resample.resize(picture, size).copy() for picture in pictures] for size in sizes}
    before = len(calls)
    for count in (1, 2, 1, 3, 2):
        monkeypatch.setattr(counts, "_count", count)
        for size in sizes:
            for picture, right in zip(pictures, expected[size], strict=True):
                np.testing.assert_array_equal(resample.resize(picture, size), right)
    assert (before, len(calls)) == (2, 2 + 10)


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_interruptions_at_any_moment() -> None:
    """After one the caller may use `out`: nobody writes there any more."""
    code = """
import signal, threading, time, numpy as np, resample
resample.set_num_threads(3)
image, out = np.full((700, 700, 3), 200, np.uint8), np.zeros((1400, 1400, 3), np.uint8)
resample.resize(image, (1400, 1400), mode="bicubic", out=out)
for k in range(40):
    signal.setitimer(signal.ITIMER_REAL, 0.0002 + 0.0002 * k)
    try:
        while True:
            resample.resize(image, (1400, 1400), mode="bicubic", out=out)
    except KeyboardInterrupt:
        out[:] = 0
        time.sleep(0.005)
        assert not out.any()
from resample import team
from resample.kernels import board
print(team._team.words[board.LINE + board.TAKEN :: board.JOB][: board.JOBS].any())
"""
    handler = "import signal\nsignal.signal(signal.SIGALRM, signal.default_int_handler)\n"
    assert in_new_process(handler + code) == "False"


@pytest.mark.parametrize("warm", [True, False])
def test_when_the_interpreter_ends(warm: bool) -> None:
    """Threads cannot be started any more then, so the caller works alone."""
    code = """
import atexit, numpy as np, resample
resample.set_num_threads(2)
image = np.zeros((700, 700, 3), np.uint8)
atexit.register(lambda: print(resample.resize(image, (1400, 1400)).shape))
"""
    work = "resample.resize(image, (1400, 1400))\n" if warm else ""
    assert in_new_process(code + work) == "(1400, 1400, 3)"


def test_many_python_threads_at_once() -> None:
    expected = F.interpolate(LARGE, scale_factor=1.5, mode="bicubic").tobytes()

    def call(k: int) -> bytes:
        if k % 5 == 0:
            resample.set_num_threads(1 + k % 4)  # the number may be changed under a running call
        return F.interpolate(LARGE, scale_factor=1.5, mode="bicubic").tobytes()

    before = resample.get_num_threads()
    try:
        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(call, range(40))) == {expected}
    finally:
        resample.set_num_threads(before)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_after_fork() -> None:
    """A child forked after a split call, from a process with a running team, makes its own."""
    code = """
import os, threading, numpy as np, resample, resample.functional as F
resample.set_num_threads(4)
image = np.random.default_rng(0).integers(0, 256, (1, 3, 400, 500), np.uint8)
expected = F.interpolate(image, scale_factor=2, mode="bilinear").tobytes()
busy = threading.Thread(target=lambda: [F.interpolate(image, scale_factor=2, mode="bicubic") for _ in range(20)])
busy.start()
for _ in range(5):
    child = os.fork()
    if child == 0:
        right = F.interpolate(image, scale_factor=2, mode="bilinear").tobytes() == expected
        os._exit(0 if right else 1)
    assert os.waitpid(child, 0)[1] == 0
busy.join()
print("done")
"""
    warnings = {"PYTHONWARNINGS": "ignore::DeprecationWarning"}  # Python 3.12 warns of fork with threads
    assert in_new_process(code, **warnings) == "done"
