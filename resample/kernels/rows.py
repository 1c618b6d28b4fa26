"""The frame of the fast kernels of sums: rows resampled along the width into a ring, and combined along the height.

Each kernel is the twin of a plain one in `loops`, with the same table and the same bytes. Source rows are resampled
along the width once, two at a time because they share the tables, into a ring of rows that stays in cache, and ring
rows are combined straight into an output row. What does either is in `byte_sums` and `float_sums`.

Along the width, outputs are taken in groups. `tables.widths` has laid down, for each group, which values of a window of
the source row a shuffle chooses, and their weights, so that a few instructions serve a whole vector of outputs, however
the channels lie.
"""

from __future__ import annotations

from numba.extending import register_jitable

from resample.kernels.pages import clear_onward
from resample.kernels.past import piece, write_past
from resample.kernels.simd import after, load, place_of, store
from resample.kernels.sizes import BLOCK

# The parts ask for rows before they are needed: a line for each group of bytes, one or two for each of floats, and one
# for every second piece of a window. For whole windows that is doubled where those of a group begin further behind
# those of the one before it, so that lines between would be missed; and where they begin half as far behind, if the row
# is so many bytes away: then some are not granted.
FAR = 1 << 14


@register_jitable
def advance_of(base, groups, units):
    """Return by how many values the windows of a group are behind those of the one before, in the middle of a row."""
    middle = groups // 2 * units
    return base[middle] - base[middle - units] if groups > 1 else 0


@register_jitable
def copy_row(dst, to, src, source, length):
    """Copy so many values, at least a BLOCK."""
    for column in range(0, length, BLOCK):
        i = min(column, length - BLOCK)
        store(dst, to + i, load(src, source + i, BLOCK))


def contraction(along_width, along_height, lanes=0, pieces=1):
    """Return the kernel that resamples rows by these two; `lanes` and `pieces` are those of floats."""

    def contract(
        dst, src, ring, place, staging,
        at, base, index, weight, ends, groups, units, taps, outputs, alike_from, alike_to, precision,
        start, length, weights, edges, n_weights, height_precision,
        n_in, n_out, row_in, row_out, pitch, depth, direct, low, high,
    ):  # fmt: skip
        """Resample the output rows `low:high` of all planes; `n_out` rows are a plane.

        No groups: rows keep their width, and are read where they are. No weights: rows keep their height, and the first
        `direct` groups of floats may go straight to the result, as they write nothing beyond the row. `ring` holds
        `depth` rows of `pitch` values, BLOCK more than a row has because groups may write beyond its end; `place` holds
        as many numbers; where there is a buffer `staging`, the result is made there and written past the caches. All
        are this band's own.
        """
        past = place_of(staging, 0) != 0
        direct = 0 if past else direct
        # counted along, as a division takes as long as a hundred values of a row
        o, source, size = low % n_out, low // n_out * n_in * row_in, depth * pitch
        done = to = 0
        for q in range(low, high):
            clear_onward(dst, q * row_out, row_out, high * row_out)
            rows, source_row = ring, (q - low) % 2 * pitch
            if n_weights == 0:
                if (q - low) % 2 == 0:
                    # two rows share the tables; a last single one is done twice
                    next = source + (o + 1) * row_in if q + 1 < high else source + o * row_in
                    if lanes > 0 and direct > 0:
                        along_width(
                            dst, q * row_out, min(q + 1, high - 1) * row_out, src,
                            source + o * row_in, next, 2 * row_in, at, base, index, weight, ends,
                            direct, units, taps, outputs, alike_from, alike_to, precision,
                        )  # fmt: skip
                    u = direct * units
                    along_width(
                        ring, 0, pitch, src, source + o * row_in, next, 2 * row_in,
                        after(at, direct), after(base, u * pieces), after(index, u * taps * lanes),
                        after(weight, u * taps * lanes), ends,
                        groups - direct, units, taps, outputs, alike_from, alike_to, precision,
                    )  # fmt: skip
            else:
                first = start[o]
                last = first + length[o] - 1
                row, step = source + first * row_in, row_in
                if groups > 0:
                    if q == low or o == 0 or done < first:
                        done, to = first, 0
                    # where the first row is in the ring
                    row, step = to - (done - first) * pitch, pitch
                    if row < 0:
                        row += size
                    while done <= last:
                        single = done + 1 == n_in
                        next = done if single else done + 1
                        to_next = to if single else to + pitch
                        if to_next == size:
                            to_next = 0
                        # the processor's own prefetching begins anew every 4096 bytes, too late for long rows
                        later = done + 2 if done + 2 <= last or o + 1 == n_out else max(done + 2, start[o + 1])
                        along_width(
                            ring, to, to_next, src,
                            source + done * row_in, source + next * row_in, (later - done) * row_in,
                            at, base, index, weight, ends,
                            groups, units, taps, outputs, alike_from, alike_to, precision,
                        )  # fmt: skip
                        done = next + 1
                        to = to_next + pitch
                        if to == size:
                            to = 0
                for k in range(length[o] + 1):
                    place[k] = row
                    # one row more than there are taps: the partner of an odd last one, of weight 0, must be some row
                    if first + k < last:
                        row += step
                        if groups > 0 and row == size:
                            row = 0
                if groups == 0:
                    rows = src
            column = at[direct] if direct > 0 else 0
            while column < row_out:
                to_piece = q * row_out + column
                out, at_out, end = piece(dst, to_piece, staging, column, row_out, BLOCK)
                if n_weights == 0:
                    copy_row(out, at_out, rows, source_row + column, end - column)
                else:
                    along_height(
                        out, at_out, after(rows, column), place, o, length[o], weights, o * n_weights, edges,
                        end - column, height_precision,
                    )  # fmt: skip
                if past:
                    is_first, is_last = q == low and column == 0, q + 1 == high and end == row_out
                    write_past(dst, to_piece, staging, at_out + end - column, is_first, is_last)
                column = end
            o += 1
            if o == n_out:
                o = 0
                source += n_in * row_in

    return contract
