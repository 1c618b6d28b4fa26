"""Threads that share the bands of a call: they are started when first needed, and end with the process.

Results never depend on them: a band is of outputs that nobody else writes. `kernels/bands.py` has what they do. They
sleep when there was nothing to do for 200 microseconds at most, and at once where threads outnumber processors.
"""

from __future__ import annotations

import _thread
import contextlib
import ctypes
import os
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from resample.blocks import from_a_line
from resample.kernels import board, entry
from resample.kernels.entry import packed
from resample.kernels.sizes import whole_vectors
from resample.threads import get_num_threads, usable_cpus

if TYPE_CHECKING:
    from resample.kernels.store import Kernel

# values a thread, below which it costs more to share them with one that looks for work, or with one that sleeps
GRAIN, WAKING_GRAIN = 1 << 15, 1 << 16
SOON = 1e-4  # seconds after a call: one that follows within them is taken for one of many, for which waking pays
FEW_HELPERS = 8  # whose processors are chosen: for each a system call of a microsecond when the caller has moved
TURNS = 4096  # of looking for work before sleeping, which take 40 to 200 microseconds
OFTEN = 1e-3  # seconds after which it is asked again where the caller is
MOST_SPARE = 1 << 20  # bytes of the largest memory that is left to the next call

# what the layout of a call's memory depends on: kernel, fixed arguments, length, scratch, threads
_Call = tuple["Kernel", bytes, int, Sequence[int], int]

_lock = threading.Lock()
_team: _Team | None = None


def in_bands(
    kernel: Kernel, places: Sequence[int], fixed: bytes, length: int, cost: int, scratch: Sequence[int] = ()
) -> None:
    """Call a kernel on bands that cover `range(length)`, side by side where it is worth it.

    Its arguments are `places`, then addresses of memory that a thread has for its own, as many bytes as `scratch` says,
    multiples of VECTOR, and no address where that is 0, then `fixed`, as `entry.packed` makes it, then the ends of the
    band, low and high. `cost` is the number of values that the whole call computes. At most 256 threads share a call.
    """
    threads = 1
    if cost >= 2 * GRAIN:  # to ask takes as long as a tenth of a small call
        threads = max(1, min(board.HELPERS + 1, length, cost // GRAIN, get_num_threads()))
    call = kernel, fixed, length, scratch, threads
    try:
        memory = _spare.pop()
    except IndexError:
        memory = None
    if memory is None or memory.call != call:
        memory = _laid_out(memory, len(places), call)
    numbers = memory.numbers
    for k, place in enumerate(places):
        numbers[k] = place
    if threads == 1:
        kernel.call(memory.address)
    else:
        _share(memory.job, threads, cost)
    if memory.nbytes <= MOST_SPARE:
        _spare.append(memory)


def _laid_out(spare: _Memory | None, places: int, call: _Call) -> _Memory:
    """Return memory with the arguments of a call but its places: `spare` if that is large enough."""
    kernel, fixed, length, scratch, threads = call
    own_end = places + len(scratch)
    size = 8 * own_end + len(fixed) + 16
    # memory of two threads shares no line of a cache; behind the arguments `share` counts bands
    block = whole_vectors(size + 8)
    pitch = block + sum(scratch)
    nbytes = threads * pitch
    if spare and spare.nbytes < nbytes:
        if nbytes > MOST_SPARE:
            _spare.append(spare)
        spare = None
    memory = spare or _Memory(nbytes)
    memory.call = None
    kernel.check(size)
    numbers, free = memory.numbers, memory.address + block
    for k, count in enumerate(scratch, places):
        numbers[k] = free if count else 0
        free += count
    memory.bytes[8 * own_end : size - 16] = fixed
    words = size // 8
    numbers[words - 2], numbers[words - 1] = 0, length
    memory.job = kernel.address, memory.address, words, pitch // 8, places, own_end, threads, length
    memory.call = call
    return memory


def _share(job: Sequence[int], threads: int, cost: int) -> None:
    """Have `kernels.bands.share` do a job, what it takes from `function` on, with helpers for so many threads."""
    now = time.perf_counter()
    soon = _team is not None and now < _team.ended + SOON
    woken = threads if soon else max(1, min(threads, cost // WAKING_GRAIN))
    team = _with_helpers(woken - 1)
    # whoever looks for work on a processor that others need keeps them from theirs
    turns = TURNS if threads <= team.stand_apart(now) else 0
    team.share(packed(team.board, turns, woken, *job))
    team.ended = time.perf_counter()


class _Memory:
    """Memory of one call, from the beginning of a line of the caches on."""

    def __init__(self, nbytes: int) -> None:
        self.nbytes = nbytes
        memory = from_a_line(nbytes)
        self.address = memory.ctypes.data
        self.bytes = memory.data
        """A view, which keeps the memory."""
        self.numbers = self.bytes.cast("q")
        self.call: _Call | None = None
        """What it has the arguments of: one that is made again and again finds them there."""
        self.job: Sequence[int] = ()


# memory of calls that have ended: the next one finds it in the caches
_spare: list[_Memory] = []


class _Team:
    """A board and the helpers that look at it."""

    def __init__(self) -> None:
        self.share = entry.kernel("bands", "share", ("int64*", *("int64",) * 10))
        self.serve = entry.kernel("bands", "serve", ("int64*", "int64"))
        memory = np.zeros(board.SIZE + board.LINE, np.int64)
        self.words = memory[-entry.address(memory) // 8 % board.LINE :]
        self.board = entry.address(self.words)
        self.words[board.LOCK], self.words[board.UNLOCK] = _python("acquire_lock"), _python("release_lock")
        for job in range(board.JOBS):
            self.words[board.LINE + job * board.JOB + board.PLACE] = _locked()
        self.ended = 0.0
        self.threads: list[int] = []
        self.caller: tuple[int | None, set[int]] | None = None
        self.looked, self.usable = 0.0, 1

    def stand_apart(self, now: float) -> int:
        """Keep helpers off the processor that the caller is on, and return how many processors it may use.

        Linux wakes a thread where it slept, or beside who wakes it, and moves it to an idle processor only milliseconds
        later. Where there are many processors it finds an idle one, and to ask for that would take as long. `now` is
        the time: what was true a moment ago is taken to be so.
        """
        if self.caller and now < self.looked + OFTEN:
            return self.usable
        self.looked = now
        if not _getcpu:
            return usable_cpus()
        # where they have become many, each may be anywhere again; of callers, one may be allowed less than another
        here, allowed = _getcpu() if len(self.threads) <= FEW_HELPERS else None, os.sched_getaffinity(0)
        if (here, allowed) != self.caller:
            self.caller = here, allowed
            if others := allowed - {here}:
                for thread in self.threads:
                    with contextlib.suppress(OSError):  # of a process that may not
                        os.sched_setaffinity(thread, others)
        self.usable = len(allowed)
        return self.usable

    def start(self, count: int) -> None:
        """Start helpers until there are `count`."""
        while (number := int(self.words[board.COUNT])) < count:
            helper = board.FIRST_HELPER + number * board.LINE
            self.words[helper + board.STATE], self.words[helper + board.PLACE] = board.BUSY, _locked()
            self.words[board.COUNT] = number + 1
            try:
                # not threading.Thread, whose start waits in Python's own locks
                _thread.start_new_thread(self._serve, (number,))
            except RuntimeError:  # the interpreter is about to end, or the system has no more threads
                self.words[board.COUNT] = number
                return

    def _serve(self, number: int) -> None:
        self.threads.append(threading.get_native_id())
        self.caller = None
        # this frame keeps the board and the code, even when the interpreter is taken apart
        self.serve(packed(self.board, number))


def _with_helpers(count: int) -> _Team:
    global _team
    team = _team
    if team is None or team.words[board.COUNT] < count:
        with _lock:
            team = _team = _team or _Team()
            team.start(count)
    return team


# of the C library of Linux and others; where there is none, helpers are where the system puts them
_getcpu = getattr(ctypes.PyDLL(None), "sched_getcpu", None) if hasattr(os, "sched_setaffinity") else None


def _python(name: str) -> int:
    """Return the address of a function on locks of Python's, none of which needs the GIL."""
    return ctypes.cast(getattr(ctypes.pythonapi, f"PyThread_{name}"), ctypes.c_void_p).value or 0


def _locked() -> int:
    """Return the address of a new lock, which is never freed, and which has been locked."""
    lock = ctypes.CFUNCTYPE(ctypes.c_void_p)(_python("allocate_lock"))()
    ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int)(_python("acquire_lock"))(lock, 1)
    return int(lock)


def _forget_team() -> None:
    """Drop, in a forked child, the team whose threads stayed with the parent."""
    global _lock, _team
    _lock, _team = threading.Lock(), None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_team)
