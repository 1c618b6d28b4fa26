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
def end_of_piece(dst, to, column, length, least):
    """Return where the piece ends that begins at a column of a row, at `dst[to]`: at a whole line, or with the row.

    None has less than `least` values. Pieces behind the first one of a row begin at a line then, so that no vector lies
    across two lines of the staging buffer: it could be read back only when all stores before it are done.
    """
    end = column + PIECE * lanes(dst) // VECTOR - place_in_line(dst, to)
    return end if end + least <= length else length


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
