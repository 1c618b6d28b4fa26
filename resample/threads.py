"""How many threads may share a call; `team` has the threads."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextvars import ContextVar

from resample.arguments import integer

NUM_THREADS_VARIABLE = "RESAMPLE_NUM_THREADS"

_own: ContextVar[int | None] = ContextVar("threads of one call", default=None)
_count: int | None = None


def get_num_threads() -> int:
    """Return how many threads one call may use.

    Until `set_num_threads` is called: the environment variable RESAMPLE_NUM_THREADS, else the number of CPUs that
    this thread may use.

    Raises:
        ValueError: RESAMPLE_NUM_THREADS is not a positive integer.
    """
    return _own.get() or _count or _from_environment() or usable_cpus()


def set_num_threads(count: int) -> None:
    """Set how many threads one call may use; results do not depend on it.

    Raises:
        TypeError: `count` is not an int.
        ValueError: `count` is less than 1.
    """
    global _count
    count = integer("count", count)
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    _count = count


@contextlib.contextmanager
def limited(count: int | None) -> Iterator[None]:
    """Within this, the calls of this thread use so many threads, or as many as before for None."""
    before = _own.set(_own.get() if count is None else count)
    try:
        yield
    finally:
        _own.reset(before)


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
