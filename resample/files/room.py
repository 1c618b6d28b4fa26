"""How much memory pictures may take that are worked on side by side."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from functools import lru_cache

# Bytes a pixel, of a picture that is read and of its output: in Pillow, as an array, and as floats between.
READ, WRITTEN = 8, 24

# Bytes of addresses that a thread takes before it does anything: its stack, and the heap that glibc reserves for it.
THREAD = (8 + 64) << 20


class Room:
    """So many bytes, of which threads take what they need: they wait while others have it.

    Who needs more than there is has it alone. `turn` is held while one is asking.
    """

    def __init__(self, nbytes: int) -> None:
        self.nbytes = nbytes
        self.taken = 0
        self.turn = threading.Lock()
        self.given_back = threading.Condition()

    def has(self, nbytes: int) -> bool:
        """Return whether nobody would wait who takes so many bytes."""
        return self.taken + min(nbytes, self.nbytes) <= self.nbytes

    @contextlib.contextmanager
    def taking(self, nbytes: int) -> Iterator[None]:
        """Within this, so many bytes are this thread's."""
        nbytes = min(nbytes, self.nbytes)
        with self.given_back:
            self.given_back.wait_for(lambda: self.has(nbytes))
            self.taken += nbytes
        try:
            yield
        finally:
            with self.given_back:
                self.taken -= nbytes
                self.given_back.notify_all()


@lru_cache(maxsize=1)
def usual() -> Room:
    """Return the room of this process: half of the memory that it may have."""
    return Room(min(_limits()) // 2)


def fitting(threads: int) -> int:
    """Return how many of so many threads fit into a quarter of the addresses that this process may have."""
    return max(1, min(threads, _addresses() // 4 // THREAD))


def _limits() -> Iterator[int]:
    # code and the threads are in it
    yield _addresses() // 2
    with contextlib.suppress(AttributeError, OSError, ValueError):
        yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    # control groups, of version 2 and 1
    for name in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError), open(name) as file:
            yield int(file.read())


def _addresses() -> int:
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit != resource.RLIM_INFINITY:
            return limit
    return 1 << 41  # where nothing is known
