"""Results written past the caches, which is faster where they would not stay there anyway."""

from __future__ import annotations

from numba.extending import register_jitable

from resample.kernels.simd import lanes, move_line, place_of, store_fence
from resample.kernels.sizes import PIECE, VECTOR


@register_jitable
def place_in_line(dst, to):
    """Return how many values lie before `dst[to]` in its line of the cache."""
    return place_of(dst, to) % VECTOR * lanes(dst) // VECTOR


@register_jitable
def piece(dst, to, staging, column, length, least):
    """Return where a piece of a row is made: an array and a place in it; and the column at which it ends.

    It begins at a column of the row, at `dst[to]`. Where there is no buffer `staging`, that is also where it is made,
    and all the rest is one piece. Else it ends at a whole line, or with the row, and none has less than `least` values.
    Pieces behind the first one of a row begin at a line then, so that no vector lies across two lines of the buffer: it
    could be read back only when all stores before it are done.
    """
    if place_of(staging, 0) == 0:
        return dst, to, length
    before = place_in_line(dst, to)
    end = column + PIECE * lanes(dst) // VECTOR - before
    return staging, before, end if end + least <= length else length


@register_jitable
def write_past(dst, to, staging, end, is_first, is_last):
    """Write to `dst[to:]` what the staging buffer has, up to `end`, whole lines past the caches.

    A line of which only a part is written would hold up all others. So the buffer begins where a line of `dst` does,
    with values that belong before `dst[to]`, and what is left behind the last whole one stays at its front for the next
    call. Of the first and the last line of what a thread writes another one may write the rest: of these only the part
    that is ours is written, as any other values are. The first call has at least as much as a line.
    """
    before = place_in_line(dst, to)
    to -= before
    i = 0
    if is_first and before > 0:
        i = lanes(dst)
        for k in range(before, i):
            dst[to + k] = staging[k]
    while i + lanes(dst) <= end:
        move_line(dst, to + i, staging, i, True)
        i += lanes(dst)
    if is_last:
        for k in range(i, end):
            dst[to + k] = staging[k]
        store_fence()
    else:
        move_line(staging, 0, staging, i, False)
