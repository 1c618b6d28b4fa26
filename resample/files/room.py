"""How much memory pictures may take that are worked on side by side."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator

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
        self.shares: dict[Share, int] = {}
        self.turn = threading.Lock()
        self.given_back = threading.Condition()

    @property
    def taken(self) -> int:
        """How many bytes threads have."""
        return sum(self.shares.values())

    @contextlib.contextmanager
    def share(self) -> Iterator[Share]:
        """Give a part of this room, of no bytes yet. What was taken is given back at the end."""
        share = Share(self)
        try:
            yield share
        finally:
            share.give_back()

    @contextlib.contextmanager
    def alone(self) -> Iterator[Share]:
        """Wait until nobody has any of this room, and give a part of one without end, while others wait."""
        with self.turn, self.share() as everything:
            everything.take(self.nbytes)
            yield Share(Room(sys.maxsize))  # who is alone need not ask how much there is


class Share:
    """The part of a room that one thread has, of which it takes bytes once."""

    def __init__(self, room: Room) -> None:
        self.room = room

    def takes(self, nbytes: int) -> bool:
        """Take so many bytes if so many are free, or all if there are fewer, and return whether that was so."""
        nbytes = min(nbytes, self.room.nbytes)
        with self.room.given_back:
            if self.room.taken + nbytes > self.room.nbytes:
                return False
            self.room.shares[self] = nbytes
        return True

    def take(self, nbytes: int) -> None:
        """Take so many bytes, or all if there are fewer, when others have given them back."""
        with self.room.given_back:
            self.room.given_back.wait_for(lambda: self.takes(nbytes))

    def give_back(self) -> None:
        """Give back all of it."""
        with self.room.given_back:
            self.room.shares.pop(self, None)
            self.room.given_back.notify_all()


_lock = threading.Lock()
_room: Room | None = None


def usual() -> Room:
    """Return the room of this process: half of the memory that it may have."""
    global _room
    with _lock:  # or threads that ask at once would have one each
        if _room is None:
            _room = Room(min(_limits()) // 2)
        return _room


def _forget() -> None:
    """Begin anew in a forked child, where threads that have a share, or the lock, are not."""
    global _lock, _room
    _lock, _room = threading.Lock(), None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


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
