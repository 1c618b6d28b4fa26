"""The fast kernels to half the size: rows are added up in registers as soon as they are there.

Twins of plain kernels, as those of `byte_sums` and `float_sums`, of which they have the tables and the parts.
"""

from __future__ import annotations

from numba import types
from numba.extending import register_jitable

from resample.kernels.byte_sums import clamped, in_words, narrow_sums, of_groups
from resample.kernels.float_sums import any_rows
from resample.kernels.pages import clear_onward
from resample.kernels.past import piece, place_in_line, write_past
from resample.kernels.simd import (
    add_pairs,
    add_products,
    after,
    bits_as,
    bytes_of,
    choose_floats,
    hidden,
    load,
    packed,
    paired,
    place_of,
    prefetch,
    shifted,
    spread,
    store,
    where_used,
)
from resample.kernels.sizes import ABREAST, BLOCK, PIECE, VECTOR


def _halve(window, in_order=False):
    """Return the kernel for bytes whose height becomes half, of up to four taps, with narrow sums.

    An output row takes two pairs of rows, of which the second is the first one of the next output row. So they are
    added up as soon as they are there, in registers, and only the pair before is kept in the ring, as bytes by turns.

    `in_order`: for tables where the pairs of all groups are in order already, and need no shuffle.
    """
    abreast = ABREAST if window == 32 and not in_order else 1
    pairs_of_window = window // 2
    most = pairs_of_window // abreast
    sums = narrow_sums(window)
    kind, add, shift = sums.type, sums.add, sums.shift
    words_of = in_words(window)
    get, put, sum_units = of_groups(abreast, window, sums, in_order)

    def groups_of(same):
        """Return what does groups of one unit or two: the `same` but for their places, or not."""

        @register_jitable
        def sum_groups(
            dst, to, ring, before, now, src, source, next, ahead, at, base, index, weight, units, first, end,
            rows_before, rows_now, precision, height_precision, length, spare,
        ):  # fmt: skip
            # one index for all rows: LLVM would keep a pointer for each, which are more than there are registers
            row, row_next, later, later_next = (
                after(src, source), after(src, next), after(src, source + ahead), after(src, next + ahead),
            )  # fmt: skip
            old, new, out = after(ring, before), after(ring, now), after(dst, to)
            u, v = first * units, first * units + units - 1
            lanes, weights = load(index, u * window, window), load(weight, u * window, window)
            lanes_2, weights_2 = load(index, v * window, window), load(weight, v * window, window)
            column, place = at[first * abreast], base[u * abreast]
            # the other groups of registers, and the second units of both
            beside, apart = at[first * abreast + abreast - 1] - column, base[u * abreast + abreast - 1] - place
            away, away_apart = base[v * abreast] - place, base[v * abreast + abreast - 1] - place
            step = at[(first + 1) * abreast] - column if same else 0
            advance = base[(u + units) * abreast] - place if same else 0
            for g in range(first, end):
                if not same:
                    u, v = g * units, g * units + units - 1
                    lanes, weights = load(index, u * window, window), load(weight, u * window, window)
                    lanes_2, weights_2 = load(index, v * window, window), load(weight, v * window, window)
                    column, place = at[g * abreast], base[u * abreast]
                    beside, apart = at[g * abreast + abreast - 1] - column, base[u * abreast + abreast - 1] - place
                    away, away_apart = base[v * abreast] - place, base[v * abreast + abreast - 1] - place
                prefetch(later, place)
                prefetch(later_next, place)
                total = sum_units(row, place, apart, away, away_apart, units, lanes, weights, lanes_2, weights_2)
                total_next = sum_units(
                    row_next, place, apart, away, away_apart, units, lanes, weights, lanes_2, weights_2
                )
                pairs = paired(shift(total, precision), shift(total_next, precision), window)
                total = get(old, after(old, 2 * beside), 2 * column)
                total = add(total, rows_before, spread(kind(0), pairs_of_window))
                put(new, after(new, 2 * beside), 2 * column, pairs)
                result = bytes_of(shift(add(pairs, rows_now, total), height_precision))
                if same or column + max(0, beside) + most <= length:
                    put(out, after(out, beside), column, result)
                else:
                    store(spare, 0, result)
                    for k in range(abreast):
                        for i in range(min(most, length - column - k * beside)):
                            out[column + k * beside + i] = spare[k * most + i]
                column, place = hidden(column + step), hidden(place + advance)

        return sum_groups

    groups_alike, other_groups = groups_of(True), groups_of(False)

    @register_jitable
    def sum_pair(
        dst, to, ring, before, now, src, source, next, ahead, at, base, index, weight, ends,
        groups, units, alike_from, alike_to, pair_before, pair_now, precision, height_precision, length, spare,
    ):  # fmt: skip
        places = dst, to, ring, before, now, src, source, next, ahead, at, base, index, weight, units
        rows_before = bits_as(spread(pair_before, pairs_of_window), types.int8)
        rows_now = bits_as(spread(pair_now, pairs_of_window), types.int8)
        rest = rows_before, rows_now, precision, height_precision, length, spare
        if alike_from > 0:
            other_groups(*places, 0, alike_from, *rest)
        groups_alike(*places, alike_from, alike_to, *rest)
        if alike_to < groups:
            other_groups(*places, alike_to, groups, *rest)
        for e in range(3, 3 + ends[0] * ends[2], ends[2]):
            total = total_next = 1 << ends[1] >> 1
            k = e + 1
            while ends[k] >= 0:
                total += src[source + ends[k]] * ends[k + 1]
                total_next += src[next + ends[k]] * ends[k + 1]
                k += 2
            was, new = before + 2 * ends[e], now + 2 * ends[e]
            ring[new], ring[new + 1] = clamped(total >> ends[1]), clamped(total_next >> ends[1])
            # the lower of the two int8 of an int16, and the upper
            total = ring[was] * ((pair_before & 255 ^ 128) - 128) + ring[was + 1] * (pair_before >> 8)
            total += ring[new] * ((pair_now & 255 ^ 128) - 128) + ring[new + 1] * (pair_now >> 8)
            dst[to + ends[e]] = clamped(total + (1 << height_precision >> 1) >> height_precision)

    @register_jitable
    def sum_edge(dst, to, old, new, edges, edge, first, length):
        """Do an output row that `tables.edges` lists from number `edge` on, of the rows from the `first` on.

        Its weights have 16 bits; `old` and `new` are where the ring has two of the rows each.
        """
        rows_before = rows_now = 0
        k = edge + 1
        while edges[k] >= 0:
            row, weight = edges[k] - first, edges[k + 1] & 0xFFFF
            weight <<= row % 2 * 16
            rows_before |= weight if row < 2 else 0
            rows_now |= 0 if row < 2 else weight
            k += 2
        weights_before = bits_as(spread(types.int32(rows_before), pairs_of_window), types.int16)
        weights_now = bits_as(spread(types.int32(rows_now), pairs_of_window), types.int16)
        for column in range(0, length, pairs_of_window):
            i = min(column, length - pairs_of_window)
            total = spread(types.int32(0), pairs_of_window)
            total = add_pairs(words_of(load(old, 2 * i, window)), weights_before, total)
            total = add_pairs(words_of(load(new, 2 * i, window)), weights_now, total)
            store(dst, to + i, bytes_of(packed(shifted(total, edges[1]), window)))

    def halve(
        dst, src, ring, at, base, index, weight, ends, groups, units, alike_from, alike_to, precision,
        weights, edges, lead, height_precision, n_in, n_out, row_in, row_out, pitch, low, high,
    ):  # fmt: skip
        """Resample the output rows `low:high` of all planes; the taps of row o are in the four from 2 * o + lead on.

        Of these, such as are not in the plane have no weight. `ring`, this band's own, holds twice two rows of `pitch`
        and two vectors.
        """
        o, source = low % n_out, low // n_out * n_in * row_in
        # groups that are alike begin at whole lines of the ring
        before = -2 * at[alike_from * abreast] % VECTOR
        now = before + 2 * pitch
        for q in range(low, high):
            clear_onward(dst, q * row_out, row_out, high * row_out)
            # at the beginning the pair before is summed, too: what it writes to the row, from an empty ring, is written
            # again with the second pair
            for part in range(0 if q == low or o == 0 else 1, 2):
                first = 2 * (o + part) + lead
                row, next = min(max(first, 0), n_in - 1), min(max(first + 1, 0), n_in - 1)
                sum_pair(
                    dst, q * row_out, ring, before, now, src, source + row * row_in, source + next * row_in, 2 * row_in,
                    at, base, index, weight, ends, groups, units, alike_from, alike_to,
                    weights[2 * o], weights[2 * o + 1], precision, height_precision, row_out,
                    after(ring, 4 * pitch + VECTOR),
                )  # fmt: skip
                before, now = now, before
            for e in range(3, 3 + edges[0] * edges[2], edges[2]):
                if edges[e] == o:
                    # `before` is the newer pair, as they have just been exchanged
                    old, new = after(ring, now), after(ring, before)
                    sum_edge(dst, q * row_out, old, new, edges, e, 2 * o + lead, row_out)
            o += 1
            if o == n_out:
                o = 0
                source += n_in * row_in

    return halve


halve_64, halve_32, halve_16 = (_halve(window) for window in (64, 32, 16))
halve_ordered_64, halve_ordered_32, halve_ordered_16 = (_halve(window, True) for window in (64, 32, 16))


def _halve_floats(pairs, lanes):
    """Return the kernel for float32 whose height and width become half, of so many `pairs` of taps along each.

    An output row takes its own pair of rows and, where there are two, the one before it, which the ring has.
    """
    taps = 2 * pairs

    # of two taps, the third and the fourth are these again, and not used

    @register_jitable
    def taps_at(table, group):
        k = lanes * taps * group
        return (
            load(table, k, lanes),
            load(table, k + lanes, lanes),
            load(table, k + lanes * (taps - 2), lanes),
            load(table, k + lanes * (taps - 1), lanes),
        )

    def groups_of(same):
        """Return what sums groups of both rows: the `same` but for their places, with all taps in all lanes, or not."""

        @register_jitable
        def add(low, high, places, weights, total):
            sums = add_products(choose_floats(low, high, places), weights, total)
            return sums if same else where_used(places, sums, total)

        @register_jitable
        def sum_row(src, place, second, index, weights):
            low, high = load(src, place, lanes), load(src, place + lanes, lanes)
            total = add(low, high, index[0], weights[0], spread(types.float32(-0.0), lanes))
            total = add(low, high, index[1], weights[1], total)
            if pairs == 2:
                low, high = load(src, second, lanes), load(src, second + lanes, lanes)
                total = add(low, high, index[2], weights[2], total)
                total = add(low, high, index[3], weights[3], total)
            return total

        @register_jitable
        def sum_groups(
            dst, to, ring, before, now, pitch, src, source, next, ahead, at, base, index, weight, of_rows, first, end
        ):  # fmt: skip
            places, weights = taps_at(index, first), taps_at(weight, first)
            for g in range(first, end):
                if not same:
                    places, weights = taps_at(index, g), taps_at(weight, g)
                place, second = base[g * pairs], base[g * pairs + pairs - 1]
                for line in range(lanes // 8):
                    prefetch(src, source + place + 16 * line + ahead)
                    prefetch(src, next + place + 16 * line + ahead)
                total = sum_row(src, source + place, source + second, places, weights)
                total_next = sum_row(src, next + place, next + second, places, weights)
                column, sums = at[g], spread(types.float32(-0.0), lanes)
                # in the order of `simd.second_first`
                if pairs == 1:
                    sums = add_products(total_next, of_rows[1], sums)
                    sums = add_products(total, of_rows[0], sums)
                else:
                    sums = add_products(load(ring, before + pitch + column, lanes), of_rows[1], sums)
                    sums = add_products(load(ring, before + column, lanes), of_rows[0], sums)
                    sums = add_products(total, of_rows[2], sums)
                    sums = add_products(total_next, of_rows[3], sums)
                    store(ring, now + column, total)
                    store(ring, now + pitch + column, total_next)
                store(dst, to + column, sums)

        return sum_groups

    groups_alike, other_groups = groups_of(True), groups_of(False)

    @register_jitable
    def sum_pair(
        dst, to, ring, before, now, pitch, src, source, next, ahead, at, base, index, weight, of_rows,
        first, end, alike_from, alike_to,
    ):  # fmt: skip
        rows, tables = (ring, before, now, pitch, src, source, next, ahead), (at, base, index, weight, of_rows)
        alike_from, alike_to = min(max(first, alike_from), end), min(max(first, alike_to), end)
        if first < alike_from:
            other_groups(dst, to, *rows, *tables, first, alike_from)
        if alike_from < alike_to:
            groups_alike(dst, to, *rows, *tables, alike_from, alike_to)
        if alike_to < end:
            other_groups(dst, to, *rows, *tables, alike_to, end)

    def halve_floats(
        dst, src, ring, place, staging, at, base, index, weight, groups, alike_from, alike_to,
        start, length, weights, lead, n_in, n_out, row_in, row_out, pitch, low, high,
    ):  # fmt: skip
        """Resample the output rows `low:high` of all planes; the taps of row o are among those from 2 * o + lead on.

        `ring`, `place` and `staging` are as in `rows`; the ring has five rows.
        """
        past = place_of(staging, 0) != 0
        o, source = low % n_out, low // n_out * n_in * row_in
        before, now = 0, 2 * pitch
        for q in range(low, high):
            clear_onward(dst, q * row_out, row_out, high * row_out)
            is_whole = length[o] == taps and start[o] == 2 * o + lead
            w = o * taps
            of_rows = (
                spread(weights[w], lanes), spread(weights[w + 1], lanes),
                spread(weights[w + taps - 2], lanes), spread(weights[w + taps - 1], lanes),
            )  # fmt: skip
            for part in range(0 if q == low or o == 0 else pairs - 1, pairs):
                first = 2 * (o + part) + lead
                row, next = min(max(first, 0), n_in - 1), min(max(first + 1, 0), n_in - 1)
                # what is no output row is written to the ring's last
                aside = part < pairs - 1 or not is_whole
                # what the last group writes beyond a row is written again with the next one; the band's last has none
                ends = q + 1 == high and not aside and not past
                g = 0
                while g < groups:
                    until, to_piece = groups, q * row_out + at[g]
                    out, at_out = dst, to_piece
                    if aside:
                        out, at_out = ring, 4 * pitch + at[g]
                    elif past:
                        until = min(groups, g + PIECE // (4 * lanes))
                        out, at_out = staging, place_in_line(dst, to_piece)
                    elif ends and g + 1 < groups:
                        until = groups - 1
                    elif ends:
                        out, at_out = ring, 4 * pitch + at[g]
                    sum_pair(
                        out, at_out - at[g], ring, before, now, pitch,
                        src, source + row * row_in, source + next * row_in, 2 * row_in,
                        at, base, index, weight, of_rows, g, until, alike_from, alike_to,
                    )  # fmt: skip
                    if past and not aside:
                        end = at[until] if until < groups else row_out
                        is_first, is_last = q == low and g == 0, q + 1 == high and until == groups
                        write_past(dst, to_piece, staging, at_out + end - at[g], is_first, is_last)
                    elif ends and until == groups:
                        for i in range(row_out - at[g]):
                            dst[to_piece + i] = ring[at_out + i]
                    g = until
                before, now = now, before
            if not is_whole:
                for k in range(length[o]):
                    # `before` is the newer pair, as they have just been exchanged
                    slot = start[o] + k - 2 * o - lead
                    place[k] = (now if slot < taps - 2 else before) + slot % 2 * pitch
                column = 0
                while column < row_out:
                    to_piece = q * row_out + column
                    out, at_out, end = piece(dst, to_piece, staging, column, row_out, BLOCK)
                    any_rows(out, at_out, after(ring, column), place, weights, w, length[o], end - column)
                    if past:
                        is_first, is_last = q == low and column == 0, q + 1 == high and end == row_out
                        write_past(dst, to_piece, staging, at_out + end - column, is_first, is_last)
                    column = end
            o += 1
            if o == n_out:
                o = 0
                source += n_in * row_in

    return halve_floats


halve_floats_1_16, halve_floats_2_16, halve_floats_1_8, halve_floats_2_8 = (
    _halve_floats(pairs, lanes) for lanes in (16, 8) for pairs in (1, 2)
)
