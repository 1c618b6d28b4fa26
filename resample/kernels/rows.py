"""The fast kernels: whole rows of bytes or float32 by shuffles, width and height in one pass; and copies of rows.

Each is the twin of a plain kernel in `loops`, with the same table and the same bytes. Source rows are resampled along
the width once, two at a time because they share the tables, into a ring of rows that stays in cache, and ring rows are
combined straight into an output row.

Along the width, outputs are taken in groups. `tables.widths` has laid down, for each group, which bytes of a window of
the source row a shuffle puts side by side as (tap, next tap) pairs, and the pair's weights: one load, one shuffle and
one multiplication serve `window / 2` pairs, however the channels lie. Where outputs lie far apart, a window is loaded
in pieces; with AVX2, two groups' windows of 16 bytes lie abreast in a register. Floats take one tap a shuffle, in the
order of the plain kernel, so that their sums have its bits; where outputs lie far apart, without one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from numba import types
from numba.extending import register_jitable

from resample.kernels.pages import clear_onward
from resample.kernels.past import piece, place_in_line, write_past
from resample.kernels.simd import (
    add_byte_pairs,
    add_pairs,
    add_products,
    after,
    bits_as,
    by_turns,
    bytes_apart,
    bytes_of,
    choose_floats,
    choose_near,
    first_lanes,
    halves_added,
    hidden,
    interleave,
    load,
    load_halves,
    load_pieces,
    packed,
    place_of,
    prefetch,
    second_first,
    shifted,
    shifted_words,
    shuffle_bytes,
    shuffle_fours,
    shuffle_words,
    spread,
    store,
    store_halves,
    where_used,
)
from resample.kernels.sizes import ABREAST, BLOCK, PIECE, VECTOR

# Rows are asked for before they are needed, a line for each group of bytes, one or two for each of floats, and one for
# every second piece of a window. For whole windows that is doubled where those of a group begin further behind those of
# the one before it, so that lines between would be missed; and where they begin half as far behind, if the row is so
# many bytes away: then some are not granted.
FAR = 1 << 14

# A row of fewer groups is done before the one behind it is there: so a copy asks for one that is as many groups later.
AHEAD = 32


@register_jitable
def _advance(base, groups, units):
    """Return by how many values the windows of a group are behind those of the one before, in the middle of a row."""
    middle = groups // 2 * units
    return base[middle] - base[middle - units] if groups > 1 else 0


@register_jitable
def _copy_row(dst, to, src, source, length):
    for column in range(0, length, BLOCK):
        i = min(column, length - BLOCK)
        store(dst, to + i, load(src, source + i, BLOCK))


def _contract(along_width, along_height, lanes=0, pieces=1):
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
                    _copy_row(out, at_out, rows, source_row + column, end - column)
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


class _Sums(NamedTuple):
    """How products of bytes and weights are added up."""

    type: Any
    """Of the sums."""
    choose: Any
    """(bytes, index) to the pairs of bytes that the index chooses, as `add` takes them."""
    add: Any
    """(pairs, pairs of weights, totals) to totals."""
    shift: Any
    """(totals, precision) to levels that are not yet clamped to a byte."""
    level: Any
    """The same, in the order of the pairs."""
    add_rows: Any
    """(bytes of a row, bytes of the next row, the pair of weights of these, totals) to totals."""
    pack: Any
    """Finished totals of rows to bytes, in their order."""
    edges: Any
    """What (shift, add_rows, pack) are for rows at the edges, whose weights have 16 bits."""


def in_words(window):
    """Return what makes words of so many bytes, in the order of `simd.interleave`."""

    @register_jitable
    def words_of(pairs):
        return bits_as(interleave(pairs, spread(types.uint8(0), window)), types.int16)

    return words_of


def _wide_sums(window):
    """Return sums in 32 bits of weights of 16; with AVX2, 32, the index chooses words at once, from 16 bytes."""
    words_of, in_order = in_words(window), 16 if window == 32 else window

    @register_jitable
    def choose(values, index):
        return shuffle_words(values, index) if window == 32 else words_of(shuffle_bytes(values, index))

    @register_jitable
    def level(total, precision):
        return packed(shifted(total, precision), in_order)

    @register_jitable
    def add_rows(row, next, weights, total):
        # two neighbours of each row at once, of which a mask and a shift make words: bytes interleaved with each other
        # and then with zeros LLVM makes one permutation of two registers, which takes twice as long
        pairs = bytes_apart(interleave(bits_as(row, types.int16), bits_as(next, types.int16)))
        return add_pairs(pairs, bits_as(spread(weights, BLOCK), types.int16), total)

    @register_jitable
    def pack(levels):
        # sums of even bytes come before those of odd ones, in each 8 as in all
        return by_turns(packed(packed(levels, window), window))

    return _Sums(types.int32, choose, add_pairs, shifted, level, add_rows, pack, (shifted, add_rows, pack))


def narrow_sums(window):
    """Return sums in 16 bits of weights of 8, with half the work: see `tables.narrowed`."""

    @register_jitable
    def add(pairs, weights, total):
        return add_byte_pairs(pairs, weights, total, window)

    @register_jitable
    def shift(total, precision):
        return shifted_words(total, precision, window)

    @register_jitable
    def add_rows(row, next, weights, total):
        return add_byte_pairs(interleave(row, next), bits_as(spread(weights, BLOCK), types.int8), total, window)

    @register_jitable
    def pack(levels):
        return packed(levels, window)

    return _Sums(types.int16, shuffle_bytes, add, shift, shift, add_rows, pack, _wide_sums(window).edges)


# The few outputs at the ends of rows: with `while`, as LLVM would make vectors of a loop whose end it knows, and
# without the words of the plain kernels, each of which Numba compiles: that took a third of the time for a kernel.


@register_jitable
def clamped(total):
    return 0 if total < 0 else (255 if total > 255 else total)


@register_jitable
def _sum_ends(dst, to, src, source, ends):
    """Do the outputs of a row that `tables.edges` lists."""
    for e in range(3, 3 + ends[0] * ends[2], ends[2]):
        total = 1 << ends[1] >> 1
        k = e + 1
        while ends[k] >= 0:
            total += src[source + ends[k]] * ends[k + 1]
            k += 2
        dst[to + ends[e]] = clamped(total >> ends[1])


def of_groups(abreast, window):
    """Return what loads and stores the vectors of groups that lie so many `abreast`, at one place or at two."""

    @register_jitable
    def get(first, second, index):
        return load(first, index, window) if abreast == 1 else load_halves(first, second, index, window)

    @register_jitable
    def put(first, second, index, values):
        if abreast == 1:
            store(first, index, values)
        else:
            store_halves(first, second, index, values)

    return get, put


def _window_of(window, pieces):
    """Return what loads the window of a unit, and what asks for one that is needed later, `ahead` of its place."""

    @register_jitable
    def whole(src, source, base, unit):
        return load(src, source + base[unit], window)

    @register_jitable
    def ask_for_whole(src, source, base, unit, ahead):
        prefetch(src, source + base[unit] + ahead)

    @register_jitable
    def in_pieces(src, source, base, unit):
        return load_pieces(src, source, base, unit * pieces, pieces, window)

    @register_jitable
    def ask_for_pieces(src, source, base, unit, ahead):
        # a line for every second piece is enough, and less than one for each; those of two groups may lie far apart
        for k in range(unit * pieces, (unit + 1) * pieces, 2 if pieces > 2 else 1):
            prefetch(src, source + base[k] + ahead)

    return (whole, ask_for_whole) if pieces == 1 else (in_pieces, ask_for_pieces)


def _bytes_along_height(sums):
    """Return what adds up rows of bytes to a row of the result."""
    kind, shift, add_rows, pack = sums.type, sums.shift, sums.add_rows, sums.pack
    shift_wide, add_wide_rows, pack_wide = sums.edges
    narrow = kind is types.int16  # see `tables.narrowed`

    def columns_of(count):
        """Return what adds up `count` pairs of rows, as a loop of one or two costs as much as they do; or any, if 0."""

        @register_jitable
        def sum_columns(dst, to, rows, place, weights, weight, pairs, length, precision):
            # a store across two lines costs more than loads do: of long rows the first block is done in part twice
            lead = place_of(dst, to) % VECTOR if length >= PIECE - VECTOR else 0
            for column in range(-lead, length, BLOCK):
                i = max(0, min(column, length - BLOCK))
                total = spread(kind(0), BLOCK)
                for k in range(count or pairs):
                    row, next = load(rows, place[2 * k] + i, BLOCK), load(rows, place[2 * k + 1] + i, BLOCK)
                    total = add_rows(row, next, weights[weight + k], total)
                store(dst, to + i, pack(shift(total, precision)))

        return sum_columns

    one_pair, two_pairs, any_pairs = columns_of(1), columns_of(2), columns_of(0)

    @register_jitable
    def sum_edge(dst, to, rows, place, edges, edge, length):
        """Do an output row that `tables.edges` lists from number `edge` on."""
        for column in range(0, length, BLOCK):
            i = min(column, length - BLOCK)
            total = spread(types.int32(0), BLOCK)
            k = edge + 1
            while edges[k] >= 0:
                weight, tap = edges[k + 1] & 0xFFFF, (k - edge) // 2
                k += 2
                if edges[k] >= 0:
                    weight |= edges[k + 1] << 16
                    k += 2
                row, next = load(rows, place[tap] + i, BLOCK), load(rows, place[tap + 1] + i, BLOCK)
                total = add_wide_rows(row, next, types.int32(weight), total)
            store(dst, to + i, pack_wide(shift_wide(total, edges[1])))

    @register_jitable
    def along_height(dst, to, rows, place, o, taps, weights, weight, edges, length, precision):
        if narrow:
            for e in range(edges[0]):
                if edges[3 + e * edges[2]] == o:
                    sum_edge(dst, to, rows, place, edges, 3 + e * edges[2], length)
                    return
        pairs = (taps + 1) // 2
        if pairs == 1:
            one_pair(dst, to, rows, place, weights, weight, pairs, length, precision)
        elif pairs == 2:
            two_pairs(dst, to, rows, place, weights, weight, pairs, length, precision)
        else:
            any_pairs(dst, to, rows, place, weights, weight, pairs, length, precision)

    return along_height


def _contract_bytes(window, sums, in_order=False, pieces=1):
    """Return the kernel that sums bytes by shuffles that choose from `window` of them, in so many `pieces` of a row.

    `in_order`: for tables where the pairs of all groups are in order already, so that those alike need no shuffle.
    """
    kind, choose, add, shift, level = sums[:5]
    narrow = kind is types.int16  # see `tables.narrowed`
    abreast = ABREAST if window == 32 and narrow and not in_order else 1
    pieces = max(pieces, abreast)
    # AVX2 makes 32 bytes of 16: as many indices a unit
    register, window = window, 16 if window == 32 and not narrow else window
    pairs_of_window = window // 2  # Numba takes the name, not the division, as a constant
    most = pairs_of_window // abreast
    get, put = of_groups(abreast, window)
    window_of, ask_for = _window_of(window, pieces)

    @register_jitable
    def pairs_at(first, second, place, lanes):
        pairs = get(first, second, place)
        return pairs if in_order else choose(pairs, lanes)

    @register_jitable
    def finish(first, second, to, total, outputs, precision):
        if outputs == most:
            put(first, second, to, bytes_of(level(total, precision)))
        else:
            half = halves_added(total, abreast)
            if outputs == most // 2:
                put(first, second, to, bytes_of(shift(half, precision)))
            else:
                quarter = halves_added(half, abreast)
                if outputs == most // 4:
                    put(first, second, to, bytes_of(shift(quarter, precision)))
                else:
                    put(first, second, to, bytes_of(shift(halves_added(quarter, abreast), precision)))

    def groups_of(count):
        """Return what sums groups of `count` units, as a loop of one or two costs as much as they; or of any, if 0."""

        @register_jitable
        def sum_groups(
            dst, to, to_next, src, source, next, ahead, more,
            at, base, index, weight, groups, units, outputs, precision,
        ):  # fmt: skip
            units = count or units
            for g in range(groups):
                ask_for(src, source, base, g * units, ahead)
                ask_for(src, next, base, g * units, ahead)
                if more:
                    ask_for(src, source, base, g * units, VECTOR + ahead)
                    ask_for(src, next, base, g * units, VECTOR + ahead)
                total = spread(kind(0), pairs_of_window)
                total_next = total
                for u in range(g * units, (g + 1) * units):
                    pairs, pairs_next = window_of(src, source, base, u), window_of(src, next, base, u)
                    lanes = load(index, u * register, register)
                    pairs, pairs_next = choose(pairs, lanes), choose(pairs_next, lanes)
                    weights = load(weight, u * window, window)
                    total = add(pairs, weights, total)
                    total_next = add(pairs_next, weights, total_next)
                first, second = after(dst, at[g * abreast]), after(dst, at[g * abreast + abreast - 1])
                finish(first, second, to, total, outputs, precision)
                finish(first, second, to_next, total_next, outputs, precision)

        return sum_groups

    one_unit, two_units, any_units = groups_of(1), groups_of(2), groups_of(0)

    @register_jitable
    def groups_alike(
        dst, to, to_next, src, source, next, ahead, more, at, base, index, weight, first, end, units, precision
    ):  # fmt: skip
        """Do groups of one or two units that differ in their places alone: their tables stay in registers."""
        u, v = first * units, first * units + units - 1
        lanes, weights = load(index, u * window, window), load(weight, u * window, window)
        lanes_2, weights_2 = load(index, v * window, window), load(weight, v * window, window)
        column, place = at[first * abreast], base[u * abreast]
        step, advance = at[(first + 1) * abreast] - column, base[(u + units) * abreast] - place
        # one index for all rows: LLVM would keep a pointer for each, which are more than there are registers
        out, out_next, row, row_next = after(dst, to), after(dst, to_next), after(src, source), after(src, next)
        later, later_next = after(row, ahead), after(row_next, ahead)
        # the other groups of registers, and the second units of both
        beside, apart = at[first * abreast + abreast - 1] - column, base[u * abreast + abreast - 1] - place
        away, away_apart = base[v * abreast] - place, base[v * abreast + abreast - 1] - place
        for _ in range(first, end):
            prefetch(later, place)
            prefetch(later_next, place)
            if more:
                prefetch(later, place + VECTOR)
                prefetch(later_next, place + VECTOR)
            pairs = pairs_at(row, after(row, apart), place, lanes)
            pairs_next = pairs_at(row_next, after(row_next, apart), place, lanes)
            total = add(pairs, weights, spread(kind(0), pairs_of_window))
            total_next = add(pairs_next, weights, spread(kind(0), pairs_of_window))
            if units == 2:
                pairs = pairs_at(after(row, away), after(row, away_apart), place, lanes_2)
                pairs_next = pairs_at(after(row_next, away), after(row_next, away_apart), place, lanes_2)
                total = add(pairs, weights_2, total)
                total_next = add(pairs_next, weights_2, total_next)
            finish(out, after(out, beside), column, total, most, precision)
            finish(out_next, after(out_next, beside), column, total_next, most, precision)
            column, place = hidden(column + step), hidden(place + advance)

    @register_jitable
    def along_width(
        dst, to, to_next, src, source, next, ahead, at, base, index, weight, ends,
        groups, units, taps, outputs, alike_from, alike_to, precision,
    ):  # fmt: skip
        advance = _advance(base, groups, units * abreast) // abreast if pieces == abreast else 0
        places, tables = (dst, to, to_next, src, source, next, ahead), (at, base, index, weight, groups)
        more = advance > VECTOR // 2 and ahead > FAR
        if units == 1 and outputs == most:
            one_unit(*places, more, *tables, 1, most, precision)
        elif units == 2 and outputs == most:
            # two take so long that it does not pay to ask twice
            two_units(*places, False, *tables, 2, most, precision)
        else:
            any_units(*places, advance > VECTOR, *tables, units, outputs, precision)

    @register_jitable
    def narrow_along_width(
        dst, to, to_next, src, source, next, ahead, at, base, index, weight, ends,
        groups, units, taps, outputs, alike_from, alike_to, precision,
    ):  # fmt: skip
        advance = _advance(base, groups, units * abreast) // abreast
        more = units == 1 and advance > VECTOR // 2 and ahead > FAR
        places, tables = (dst, to, to_next, src, source, next, ahead), (at, base, index, weight)
        any_units(*places, more, *tables, alike_from, units, outputs, precision)
        if alike_from < alike_to:
            groups_alike(*places, more, *tables, alike_from, alike_to, units, precision)
        u = alike_to * units
        places_behind = after(at, alike_to * abreast), after(base, u * abreast)
        tables_behind = after(index, u * window), after(weight, u * window)
        any_units(
            *places, more, *places_behind, *tables_behind, groups - alike_to, units, outputs, precision
        )  # fmt: skip
        _sum_ends(dst, to, src, source, ends)
        _sum_ends(dst, to_next, src, next, ends)

    return _contract(narrow_along_width if narrow else along_width, _bytes_along_height(sums))


contract_wide_64, contract_wide_32, contract_wide_16 = (
    _contract_bytes(window, _wide_sums(window)) for window in (64, 32, 16)
)
contract_narrow_64, contract_narrow_32, contract_narrow_16 = (
    _contract_bytes(window, narrow_sums(window)) for window in (64, 32, 16)
)
contract_by_4_64, contract_by_8_64 = (_contract_bytes(64, _wide_sums(64), pieces=pieces) for pieces in (4, 8))
contract_ordered_64, contract_ordered_32, contract_ordered_16 = (
    _contract_bytes(window, narrow_sums(window), True) for window in (64, 32, 16)
)


def _columns_of_floats(count):
    """Return what adds up `count` rows, as a loop of so few costs as much as they do; or any number, if 0."""

    @register_jitable
    def sum_columns(dst, to, rows, place, weights, weight, taps, length):
        taps = count or taps
        # a store across two lines costs more than loads do: of long rows the first block is done in part twice
        lead = place_of(dst, to) % VECTOR // 4 if 4 * length >= PIECE - VECTOR else 0
        for column in range(-lead, length, BLOCK):
            i = max(0, min(column, length - BLOCK))
            total = spread(types.float32(-0.0), BLOCK)
            for k in range(taps):
                t = second_first(k, taps)
                total = add_products(load(rows, place[t] + i, BLOCK), spread(weights[weight + t], BLOCK), total)
            store(dst, to + i, total)

    return sum_columns


_two_rows, _four_rows, any_rows = (_columns_of_floats(count) for count in (2, 4, 0))


@register_jitable
def _floats_along_height(dst, to, rows, place, o, taps, weights, weight, edges, length, precision):
    if taps == 2:
        _two_rows(dst, to, rows, place, weights, weight, taps, length)
    elif taps == 4:
        _four_rows(dst, to, rows, place, weights, weight, taps, length)
    else:
        any_rows(dst, to, rows, place, weights, weight, taps, length)


def _window_of_floats(lanes, kind):
    """Return what loads the window of a unit, what chooses from it, and what asks for one that is needed later.

    A window has twice as many values as there are lanes; if it is "near" as many, if "far" that many pieces of one.
    """
    lines = lanes // 8

    @register_jitable
    def two_vectors(src, source, base, unit):
        place = source + base[unit]
        return load(src, place, lanes), load(src, place + lanes, lanes)

    @register_jitable
    def one_vector(src, source, base, unit):
        return load(src, source + base[unit], lanes)

    @register_jitable
    def in_pieces(src, source, base, unit):
        return load_pieces(src, source, base, unit * lanes, lanes, lanes)

    @register_jitable
    def choose_of_two(values, places):
        return choose_floats(values[0], values[1], places)

    @register_jitable
    def as_they_are(values, places):
        return values

    @register_jitable
    def ask_for_lines(src, source, base, unit, ahead, more):
        for line in range(lines):
            prefetch(src, source + base[unit] + 16 * line + ahead)
        if more:
            for line in range(lines, 2 * lines):
                prefetch(src, source + base[unit] + 16 * line + ahead)

    @register_jitable
    def ask_for_pieces(src, source, base, unit, ahead, more):
        # the pieces of other taps lie beside these
        for k in range(unit * lanes, (unit + 1) * lanes, 2):
            prefetch(src, source + base[k] + ahead)

    if kind == "far":
        return in_pieces, as_they_are, ask_for_pieces
    return (one_vector, choose_near, ask_for_lines) if kind == "near" else (two_vectors, choose_of_two, ask_for_lines)


def _contract_floats(lanes, kind=""):
    """Return the kernel that sums float32, so many outputs at a time, by a kind of window."""
    window_of, choose, ask_for = _window_of_floats(lanes, kind)
    pieces = lanes if kind == "far" else 1
    asked_for = lanes // 8 * VECTOR

    @register_jitable
    def sum_groups(
        units, taps, dst, to, to_next, src, source, next, ahead, at, base, index, weight, groups
    ):  # fmt: skip
        advance = 4 * _advance(base, groups, units * pieces)
        more = advance > asked_for or (advance > asked_for // 2 and 4 * ahead > FAR)
        for g in range(groups):
            ask_for(src, source, base, g * units, ahead, more)
            ask_for(src, next, base, g * units, ahead, more)
            total = spread(types.float32(-0.0), lanes)
            total_next = total
            for u in range(g * units, (g + 1) * units):
                values, values_next = window_of(src, source, base, u), window_of(src, next, base, u)
                for tap in range(taps):
                    k = lanes * (u * taps + tap)
                    places, weights = load(index, k, lanes), load(weight, k, lanes)
                    sums = add_products(choose(values, places), weights, total)
                    sums_next = add_products(choose(values_next, places), weights, total_next)
                    total, total_next = where_used(places, sums, total), where_used(places, sums_next, total_next)
            store(dst, to + at[g], total)
            store(dst, to_next + at[g], total_next)

    @register_jitable
    def along_width(
        dst, to, to_next, src, source, next, ahead, at, base, index, weight, ends,
        groups, units, taps, outputs, alike_from, alike_to, precision,
    ):  # fmt: skip
        # literals for few taps, as a loop of one or two costs as much as they; windows of 16 lanes mostly hold them all
        rows, tables = (dst, to, to_next, src, source, next, ahead), (at, base, index, weight, groups)
        if units == 1 and taps == 2:
            sum_groups(1, 2, *rows, *tables)
        elif units == 1 and taps == 4:
            sum_groups(1, 4, *rows, *tables)
        elif lanes == 8 and units == 2 and taps == 1:
            sum_groups(2, 1, *rows, *tables)
        elif lanes == 8 and units == 2 and taps == 2:
            sum_groups(2, 2, *rows, *tables)
        elif lanes == 8 and units == 4 and taps == 1:
            sum_groups(4, 1, *rows, *tables)
        else:
            sum_groups(units, taps, *rows, *tables)

    return _contract(along_width, _floats_along_height, lanes, pieces)


contract_floats_16, contract_floats_8 = _contract_floats(16), _contract_floats(8)
contract_near_floats_8, contract_far_floats_8 = _contract_floats(8, "near"), _contract_floats(8, "far")


def _select(window):
    """Return the kernel that copies samples of any type, as bytes, by shuffles that choose from `window` of them.

    From 32 it chooses 4 neighbours at a time.
    """
    shuffle = shuffle_fours if window == 32 else shuffle_bytes

    def groups_of(outputs):
        """Return what copies groups of so many bytes: to ask in each group how many takes as long as to copy them."""

        @register_jitable
        def copy_groups(dst, to, src, source, ahead, at, base, index, in_order, groups):
            for g in range(groups):
                prefetch(src, source + base[g] + ahead)
                values = load(src, source + base[g], window)
                if outputs == window and in_order[g]:
                    store(dst, to + at[g], values)
                else:
                    chosen = shuffle(values, load(index, g * window, window))
                    store(dst, to + at[g], first_lanes(chosen, outputs))

        return copy_groups

    whole, half, quarter, eighth = (groups_of(window // parts) for parts in (1, 2, 4, 8))

    @register_jitable
    def along_width(dst, to, src, source, ahead, at, base, index, in_order, groups, outputs):
        if outputs == window:
            whole(dst, to, src, source, ahead, at, base, index, in_order, groups)
        elif outputs == window // 2:
            half(dst, to, src, source, ahead, at, base, index, in_order, groups)
        elif outputs == window // 4:
            quarter(dst, to, src, source, ahead, at, base, index, in_order, groups)
        else:
            eighth(dst, to, src, source, ahead, at, base, index, in_order, groups)

    @register_jitable
    def row_past(
        dst, to, staging, src, source, ahead, at, base, index, in_order, groups, outputs, row_out, is_first, is_last
    ):  # fmt: skip
        """Copy the groups of a row piece by piece to the buffer, and from there past the caches."""
        g = 0
        while g < groups:
            until, to_piece = min(groups, g + PIECE // outputs), to + at[g]
            at_out = place_in_line(dst, to_piece)
            # their places count from that of the first of them
            along_width(
                staging, at_out - at[g], src, source, ahead, after(at, g), after(base, g), after(index, g * window),
                after(in_order, g), until - g, outputs,
            )  # fmt: skip
            end = at[until] if until < groups else row_out
            write_past(dst, to_piece, staging, at_out + end - at[g], is_first and g == 0, is_last and until == groups)
            g = until

    def select(
        dst, src, staging, at, base, index, in_order, groups, outputs, start, n_in, n_out, row_in, row_out, low, high
    ):  # fmt: skip
        """Copy the output rows `low:high` of all planes; a row like the one before it is copied from there.

        Where there is a buffer `staging`, the result is made there and written past the caches.
        """
        past = place_of(staging, 0) != 0
        reach = 1 + AHEAD // groups
        # counted along, as a division takes as long as a hundred values of a row
        o, plane = low % n_out, low // n_out * n_in * row_in
        for q in range(low, high):
            clear_onward(dst, q * row_out, row_out, high * row_out)
            source, later = plane + start[o] * row_in, 0
            if o + 1 < n_out and start[o + 1] > start[o]:
                later = (start[min(o + reach, n_out - 1)] - start[o]) * row_in
            if past:
                row_past(
                    dst, q * row_out, staging, src, source, later, at, base, index, in_order, groups, outputs,
                    row_out, q == low, q + 1 == high,
                )  # fmt: skip
            elif q > low and o > 0 and start[o] == start[o - 1]:
                _copy_row(dst, q * row_out, dst, (q - 1) * row_out, row_out)
            else:
                along_width(dst, q * row_out, src, source, later, at, base, index, in_order, groups, outputs)
            o += 1
            if o == n_out:
                o = 0
                plane += n_in * row_in

    return select


select_64, select_32, select_16 = (_select(window) for window in (64, 32, 16))
