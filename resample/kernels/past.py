"""Results written past the caches, which is faster where they would not stay there anyway."""

from __future__ import annotations

from numba.extending import register_jitable

from resample.kernels.simd import in_order, lanes, move_line, place_of
from resample.kernels.sizes import PIECE, VECTOR


@register_jitable
def place_in_line(dst, to):
    """Return how many values lie before `dst[to]` in its line of the cache."""
    return place_of(dst, to) % VECTOR * lanes(dst) // VECTOR


@register_jitable
def end_of_piece(dst, to, column, length, least):
    """Return where the piece ends that begins at a column of a row, at `dst[to]`: at a whole line, or with the row.

    None has less than `least` values. What is written to a line and read from there within one piece is in the same
    vectors then, and need not wait for what was written before.
    """
    end = column + PIECE * lanes(dst) // VECTOR - place_in_line(dst, to)
    return end if end + least <= length else length


@register_jitable
def write_past(dst, to, line, end, is_first, is_last):
    """Write to `dst[to:]` what `line` has, up to `end`, whole lines past the caches: at least as much as a line has.

    A line of which only a part is written would hold up all others. So `line` begins where a line of `dst` does, with
    values that belong before `dst[to]`, and what is left behind the last whole one stays at its front for the next
    call. Of the first and the last line of what a thread writes another one may write the rest: of these only the part
    that is ours is written, as any other values are.
    """
    before = place_in_line(dst, to)
    to -= before
    i = 0
    if is_first and before > 0:
        i = lanes(dst)
        for k in range(before, i):
            dst[to + k] = line[k]
    while i + lanes(dst) <= end:
        move_line(dst, to + i, line, i, True)
        i += lanes(dst)
    if is_last:
        for k in range(i, end):
            dst[to + k] = line[k]
        in_order()
    else:
        move_line(line, 0, line, i, False)
