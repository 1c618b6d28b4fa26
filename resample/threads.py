"""How many threads share a call, and the pool that they live in.

Kernels release the GIL, and a thread's work is a band of output rows or table rows, so results never depend on the
number. The pool is made at the first call that is worth splitting, and anew in a forked child.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from itertools import pairwise
from queue import SimpleQueue

from resample.arguments import integer

GRAIN = 1 << 17

NUM_THREADS_VARIABLE = "RESAMPLE_NUM_THREADS"

_lock = threading.Lock()
_own = threading.local()
_count: int | None = None
_pool: _Pool | None = None


def get_num_threads() -> int:
    """Return how many threads one call may use.

    Until `set_num_threads` is called: the environment variable RESAMPLE_NUM_THREADS, else the number of CPUs that
    this process may use.

    Raises:
        ValueError: RESAMPLE_NUM_THREADS is not a positive integer.
    """
    if (own := getattr(_own, "count", None)) is not None:
        return int(own)
    if _count is not None:
        return _count
    return _from_environment() or usable_cpus()


def set_num_threads(count: int) -> None:
    """Set how many threads one call may use; results do not depend on it.

    Raises:
        TypeError: `count` is not an int.
        ValueError: `count` is less than 1.
    """
    global _count, _pool
    count = integer("count", count)
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    with _lock:
        pool, _count, _pool = _pool, count, None
    if pool:
        pool.close()


@contextlib.contextmanager
def limited(count: int | None) -> Iterator[None]:
    """Within this, the calls of this thread use so many threads, or as many as before for None."""
    before = getattr(_own, "count", None)
    _own.count = before if count is None else count
    try:
        yield
    finally:
        _own.count = before


def in_bands(work: Callable[[int, int], None], length: int, cost: int, owners: object) -> None:
    """Call `work(low, high)` on bands that cover `range(length)`, side by side where `cost` justifies it.

    `cost` is the number of values that the whole call computes; below GRAIN a thread, waking it costs more than it
    does. `owners` are the arrays whose addresses `work` holds: they live until it has ended, come what may.
    """
    bands = max(1, min(get_num_threads(), length, cost // GRAIN))
    if bands == 1:
        work(0, length)
        return
    edges = [length * band // bands for band in range(bands + 1)]
    job = _Job(work, list(pairwise(edges)), owners)
    try:
        _ask_for_help(job, bands - 1)
        job.do_bands()
    finally:
        # after an interruption too the others must not go on to write what the caller has back
        job.end()


class _Job:
    """Bands that the caller and threads of the pool take, one after the other, until none is left.

    Without locks: a signal may raise between any two steps of the main thread, and a lock that it then never gives back
    would keep the others for good. Of deques and queues, each step is whole.
    """

    def __init__(self, work: Callable[[int, int], None], bands: list[tuple[int, int]], owners: object) -> None:
        self.work = work
        self.bands = deque(bands)
        self.owners = owners
        self.begun: deque[None] = deque()
        self.finished: deque[None] = deque()
        self.changed: SimpleQueue[None] = SimpleQueue()
        self.ended = False
        self.error: BaseException | None = None

    def do_bands(self) -> None:
        while True:
            try:
                band = self.bands.pop()
            except IndexError:
                return
            self.work(*band)

    def help(self) -> None:
        """Do bands in a thread of the pool."""
        # first, so that the caller waits for whoever does not see that all is over
        self.begun.append(None)
        try:
            if not self.ended:
                self.do_bands()
        except BaseException as error:
            self.error = error
        finally:
            self.finished.append(None)
            self.changed.put(None)

    def end(self) -> None:
        """Wait until no thread is at work, and raise what a band or a signal meanwhile raised."""
        interruption = None
        while True:
            try:
                self.ended = True
                self.bands.clear()
                while len(self.finished) < len(self.begun):
                    self.changed.get()
                break
            except KeyboardInterrupt as error:
                interruption = error
        if interruption or self.error:
            raise interruption or self.error  # type: ignore[misc]


class _Pool:
    """Threads that help with jobs, and end with the process."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.jobs: SimpleQueue[_Job | None] = SimpleQueue()
        for _ in range(count):
            # not threading.Thread, whose start waits in Python's own locks
            _thread.start_new_thread(self._work, ())

    def _work(self) -> None:
        while job := self.jobs.get():
            job.help()
            del job

    def ask(self, job: _Job, threads: int) -> None:
        for _ in range(threads):
            self.jobs.put(job)

    def close(self) -> None:
        for _ in range(self.count):
            self.jobs.put(None)


def _ask_for_help(job: _Job, threads: int) -> None:
    global _pool
    try:
        with _lock:
            if _pool is None:
                _pool = _Pool(get_num_threads())
        _pool.ask(job, threads)
    except RuntimeError:
        pass  # the interpreter is about to end and starts no threads: the caller does all bands


def _from_environment() -> int | None:
    text = os.environ.get(NUM_THREADS_VARIABLE, "").strip()
    if not text:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"RESAMPLE_NUM_THREADS must be a positive integer, got {text!r}")
    return int(text)


def usable_cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _forget_pool() -> None:
    """Drop, in a forked child, the pool whose threads stayed with the parent."""
    global _lock, _pool
    _lock, _pool = threading.Lock(), None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)
