"""How threads share a call, without Python between two bands: source text that Numba compiles, as `loops`.

A caller puts what there is to do, a job, on a board that all threads see, and takes its own bands of it, then those
that others have not begun, as do the helpers that find it there, until none is left. None of that needs the
interpreter: no thread waits for the GIL, and no signal is handled between two steps. Whoever waits looks at the board
for some turns and then sleeps in a lock of Python's, which needs no GIL either.
"""

from __future__ import annotations

from numba.extending import register_jitable

from resample.kernels.board import (
    ARGUMENTS,
    ASLEEP,
    AWAKE,
    BUSY,
    COUNT,
    FIRST_HELPER,
    FUNCTION,
    INSIDE,
    JOB,
    JOBS,
    LENGTH,
    LINE,
    LOCK,
    NEXT_THREAD,
    OFFERED,
    OFFERS,
    OWN,
    OWN_END,
    PITCH,
    PLACE,
    SHARE,
    STATE,
    TAKEN,
    THREADS,
    TURNS,
    UNLOCK,
    WORDS,
)
from resample.kernels.simd import add, after, call, change, hidden, numbers, pause, seen, show


def share(board, turns, woken, function, arguments, words, pitch, own, own_end, threads, length):
    """Call `function` on bands of `range(length)` in up to `threads` threads, and return when all have ended.

    Whoever waits looks for `turns` turns before it sleeps. Helpers that sleep are woken if it takes them to be `woken`
    threads, the caller among them; more than these share the call only if they look already. At `arguments` are those
    of the caller, `words` int64 of which the last two are to be low and high, and room for another; those of another
    thread are to be `pitch` int64 behind. As far behind is what that has at the addresses `own` to `own_end`, which
    are 0 for none.
    """
    looking = _looking(board, threads - 1, False)
    threads = max(woken, 1 + looking)
    job = after(board, LINE)
    k = 0 if threads > 1 else JOBS
    while k < JOBS and not change(job, TAKEN, 0, 1):
        job = after(job, JOB)
        k += 1
    if k == JOBS:
        alone = numbers(arguments)
        alone[words - 2], alone[words - 1] = 0, length
        call(function, arguments, 0)
        return
    job[FUNCTION], job[ARGUMENTS], job[WORDS], job[PITCH] = function, arguments, words, pitch
    job[THREADS], job[LENGTH], job[OWN], job[OWN_END], job[NEXT_THREAD] = threads, length, own, own_end, 1
    k = 0
    while k < threads:
        numbers(arguments + 8 * k * pitch)[words] = 0  # how many bands of this thread have been taken
        k = hidden(k + 1)
    show(board, TURNS, turns)
    show(job, OFFERED, 1)
    add(board, OFFERS, 1)
    if looking < woken - 1:
        _looking(board, woken - 1, True)
    _take_bands(job, 0)
    show(job, OFFERED, 0)
    turn, inside = 0, seen(job, INSIDE)
    while inside > 0:
        if turn < turns:
            turn += 1
            pause()
        else:
            _sleep(board, job, job, INSIDE, inside)
        inside = seen(job, INSIDE)
    show(job, TAKEN, 0)


def serve(board, number):
    """Help with jobs, as helper `number`, as long as there are more helpers than that."""
    helper = after(board, FIRST_HELPER + number * LINE)
    show(helper, STATE, AWAKE)
    known, turn = -1, 0
    while number < seen(board, COUNT):
        offers = seen(board, OFFERS)
        if offers != known:
            known, turn = offers, 0
            for k in range(JOBS):
                job = after(board, LINE + k * JOB)
                if seen(job, OFFERED):
                    show(helper, STATE, BUSY)
                    _help(board, job)
                    show(helper, STATE, AWAKE)
        elif turn < seen(board, TURNS):
            turn += 1
            pause()
        else:
            _sleep(board, helper, board, OFFERS, known)
            turn = 0


@register_jitable
def _help(board, job):
    # the caller, once it no longer offers the job, waits for all who are inside: whoever then still finds it offered
    # is waited for
    add(job, INSIDE, 1)
    if seen(job, OFFERED):
        _take_bands(job, add(job, NEXT_THREAD, 1))
    if add(job, INSIDE, -1) == 1:
        _wake(board, job)


@register_jitable
def _take_bands(job, thread):
    """Do the bands of one thread, then those that others have not begun.

    In calls that follow each other a thread has the same part of the work, which its own caches still hold.
    """
    threads, length, words = job[THREADS], job[LENGTH], job[WORDS]
    if thread >= threads:
        return
    behind = 8 * thread * job[PITCH]
    own = job[ARGUMENTS] + behind
    arguments = numbers(own)
    callers = numbers(job[ARGUMENTS])
    k = 0 if thread > 0 else words
    while k < words - 2:
        is_own = job[OWN] <= k < job[OWN_END] and callers[k] != 0
        arguments[k] = callers[k] + behind if is_own else callers[k]
        k = hidden(k + 1)  # or LLVM takes a quarter of a second to unroll this
    step, bands = 0, threads * SHARE
    while step < threads:
        owner = thread + step if thread + step < threads else thread + step - threads
        taken = numbers(job[ARGUMENTS] + 8 * owner * job[PITCH])
        band = add(taken, words, 1)
        while band < SHARE:
            low = length * (owner * SHARE + band) // bands
            high = length * (owner * SHARE + band + 1) // bands
            if low < high:
                arguments[words - 2], arguments[words - 1] = low, high
                call(job[FUNCTION], own, 0)
            band = add(taken, words, 1)
        step += 1


@register_jitable
def _sleep(board, sleeper, place, index, value):
    """Sleep until woken, but not if `place[index]` is no longer `value`; who changes it then wakes."""
    show(sleeper, STATE, ASLEEP)
    if seen(place, index) == value or not change(sleeper, STATE, ASLEEP, AWAKE):
        call(board[LOCK], sleeper[PLACE], 1)


@register_jitable
def _wake(board, sleeper):
    if seen(sleeper, STATE) == ASLEEP and change(sleeper, STATE, ASLEEP, AWAKE):
        call(board[UNLOCK], sleeper[PLACE], 0)
        return True
    return False


@register_jitable
def _looking(board, wanted, wake):
    """Return how many helpers look, up to `wanted`, or have been woken to do so."""
    found = 0
    for k in range(seen(board, COUNT)):
        helper = after(board, FIRST_HELPER + k * LINE)
        if found < wanted and (seen(helper, STATE) == AWAKE or (wake and _wake(board, helper))):
            found += 1
    return found
