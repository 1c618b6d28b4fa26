"""The fast kernels: whole rows of bytes by shuffles and pairwise multiplication, width and height in one pass.

Each is the twin of a plain kernel in `loops`, with the same table and the same bytes. A source row is resampled along
the width once, into a ring of rows that stays in cache, and ring rows are combined straight into an output row.

Along the width, outputs are taken in groups. `tables.widths` has laid down, for each group, which bytes of a window of
the source row a shuffle puts side by side as (tap, next tap) pairs, and the pair's weights: one load, one shuffle and
one multiplication serve `window / 2` pairs, however the channels lie.
"""

from __future__ import annotations

from numba import types
from numba.extending import register_jitable

from resample.kernels.simd import (
    add_pairs,
    as_words,
    bytes_of,
    halves_added,
    interleave,
    load,
    lower_half,
    shuffle_bytes,
    spread,
    store,
    words,
)


def _contract(window, block):
    """Return the kernel whose shuffles choose from `window` bytes and whose columns are `block` bytes wide."""
    pairs_of_window = window // 2  # Numba takes the name, not the division, as a constant

    @register_jitable
    def along_width(dst, to, src, source, at, base, index, weight, groups, units, outputs, precision):
        for g in range(groups):
            total = spread(types.int32(0), pairs_of_window)
            for u in range(g * units, g * units + units):
                pairs = shuffle_bytes(load(src, source + base[u], window), load(index, u * window, window))
                total = add_pairs(words(pairs), load(weight, u * window, window), total)
            o = to + at[g]
            if outputs == pairs_of_window:
                store(dst, o, bytes_of(total, precision))
            else:
                quarter = halves_added(total)
                if outputs == window // 4:
                    store(dst, o, bytes_of(quarter, precision))
                else:
                    eighth = halves_added(quarter)
                    if outputs == window // 8:
                        store(dst, o, bytes_of(eighth, precision))
                    else:
                        store(dst, o, bytes_of(halves_added(eighth), precision))

    @register_jitable
    def along_height(dst, to, rows, place, pairs, pair, weight, length, precision):
        for column in range(0, length, block):
            i = column if column + block <= length else length - block
            total = spread(types.int32(0), block)
            for k in range(pairs):
                both = interleave(
                    load(rows, place[2 * k] + i, block),
                    load(rows, place[2 * k + 1] + i, block),
                )
                total = add_pairs(words(both), as_words(spread(weight[pair + k], block)), total)
            store(dst, to + i, bytes_of(total, precision))

    def contract(
        dst, src, ring, place,
        at, base, index, weight, groups, units, outputs, precision,
        start, length, pair_weight, n_pairs, pair_precision,
        n_in, n_out, row_in, row_out, pitch, depth, low, high,
    ):  # fmt: skip
        """Resample the output rows `low:high` of all planes; `n_out` rows are a plane.

        No groups: rows keep their width, and are read where they are. No pairs: rows keep their height. `ring` holds
        `depth` rows of `pitch` bytes, `place` as many numbers; both are this band's own.
        """
        done = 0
        for q in range(low, high):
            plane = q // n_out
            o = q - plane * n_out
            source = plane * n_in * row_in
            if n_pairs == 0:
                along_width(
                    dst,
                    q * row_out,
                    src,
                    source + o * row_in,
                    at,
                    base,
                    index,
                    weight,
                    groups,
                    units,
                    outputs,
                    precision,
                )
                continue
            first = start[o]
            last = first + length[o] - 1
            if groups > 0:
                if q == low or o == 0 or done < first:
                    done = first
                while done <= last:
                    along_width(
                        ring, done % depth * pitch, src, source + done * row_in,
                        at, base, index, weight, groups, units, outputs, precision,
                    )  # fmt: skip
                    done += 1
            used = (length[o] + 1) // 2
            for k in range(2 * used):
                # the partner of an odd last tap has weight 0, and must only be some row
                row = first + k if first + k <= last else last
                place[k] = row % depth * pitch if groups > 0 else source + row * row_in
            if groups > 0:
                along_height(dst, q * row_out, ring, place, used, o * n_pairs, pair_weight, row_out, pair_precision)
            else:
                along_height(dst, q * row_out, src, place, used, o * n_pairs, pair_weight, row_out, pair_precision)

    return contract


contract_64 = _contract(64, 64)
contract_16 = _contract(16, 32)


def _select(window):
    """Return the kernel that copies samples of any type, as bytes, by shuffles that choose from `window` of them."""

    @register_jitable
    def along_width(dst, to, src, source, at, base, index, groups, outputs):
        for g in range(groups):
            chosen = shuffle_bytes(load(src, source + base[g], window), load(index, g * window, window))
            o = to + at[g]
            if outputs == window:
                store(dst, o, chosen)
            else:
                half = lower_half(chosen)
                if outputs == window // 2:
                    store(dst, o, half)
                else:
                    store(dst, o, lower_half(half))

    @register_jitable
    def repeat(dst, to, source, length):
        for column in range(0, length, 64):
            i = column if column + 64 <= length else length - 64
            store(dst, to + i, load(dst, source + i, 64))

    def select(dst, src, at, base, index, groups, outputs, start, n_in, n_out, row_in, row_out, low, high):
        """Copy the output rows `low:high` of all planes; a row like the one before it is copied from there."""
        for q in range(low, high):
            plane = q // n_out
            o = q - plane * n_out
            if q > low and o > 0 and start[o] == start[o - 1]:
                repeat(dst, q * row_out, (q - 1) * row_out, row_out)
            else:
                source = (plane * n_in + start[o]) * row_in
                along_width(dst, q * row_out, src, source, at, base, index, groups, outputs)

    return select


select_64 = _select(64)
select_16 = _select(16)
