"""How many threads share a call, and the pool that they live in.

Kernels release the GIL, and a thread's work is a band of output rows or table rows, so results never depend on the
number. The pool is made at the first call that is worth splitting, and anew in a forked child.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING

from resample.arguments import integer

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

GRAIN = 1 << 17

_lock = threading.Lock()
_count: int | None = None
_pool: ThreadPoolExecutor | None = None


def get_num_threads() -> int:
    """Return how many threads one call may use.

    Until `set_num_threads` is called: the environment variable RESAMPLE_NUM_THREADS, else the number of CPUs that
    this process may use.

    Raises:
        ValueError: RESAMPLE_NUM_THREADS is not a positive integer.
    """
    if _count is not None:
        return _count
    return _from_environment() or _usable_cpus()


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
        # the old pool finishes what it was given and its idle threads end with it
        _count, _pool = count, None


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
    """Bands that the caller and threads of the pool take, one after the other, until none is left."""

    def __init__(self, work: Callable[[int, int], None], bands: list[tuple[int, int]], owners: object) -> None:
        self.work = work
        self.bands = bands
        self.owners = owners
        self.helping = 0
        self.error: BaseException | None = None
        self.changed = threading.Condition()

    def do_bands(self) -> None:
        while True:
            with self.changed:
                if not self.bands:
                    return
                band = self.bands.pop()
            self.work(*band)

    def help(self) -> None:
        """Do bands in a thread of the pool."""
        with self.changed:
            self.helping += 1
        try:
            self.do_bands()
        except BaseException as error:
            self.error = error
        finally:
            with self.changed:
                self.helping -= 1
                self.changed.notify_all()

    def end(self) -> None:
        """Wait until no thread is at work, and raise what a band or a signal meanwhile raised."""
        interruption = None
        while True:
            try:
                with self.changed:
                    self.bands.clear()
                    while self.helping:
                        self.changed.wait()
                break
            except KeyboardInterrupt as error:
                interruption = error
        if interruption or self.error:
            raise interruption or self.error  # type: ignore[misc]


def _ask_for_help(job: _Job, threads: int) -> None:
    try:
        pool = _shared_pool()
        for _ in range(threads):
            pool.submit(job.help)
    except RuntimeError:
        pass  # the interpreter is about to end and starts no threads: the caller does all bands


def _shared_pool() -> ThreadPoolExecutor:
    global _pool
    with _lock:
        if _pool is None:
            from concurrent.futures import ThreadPoolExecutor

            _pool = ThreadPoolExecutor(get_num_threads(), thread_name_prefix="resample")
        return _pool


def _from_environment() -> int | None:
    text = os.environ.get("RESAMPLE_NUM_THREADS", "").strip()
    if not text:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"RESAMPLE_NUM_THREADS must be a positive integer, got {text!r}")
    return int(text)


def _usable_cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _forget_pool() -> None:
    """Drop, in a forked child, the pool whose threads stayed with the parent."""
    global _lock, _pool
    _lock, _pool = threading.Lock(), None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)
