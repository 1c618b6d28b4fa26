"""The fast kernels of sums of bytes: see `rows`.

A shuffle puts bytes of a window side by side as (tap, next tap) pairs: one load, one shuffle and one multiplication
serve `window / 2` pairs. Where outputs lie far apart, a window is loaded in pieces; with AVX2, two groups' windows of
16 bytes lie abreast in a register.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from numba import types
from numba.extending import register_jitable

from resample.kernels.rows import FAR, advance_of, contraction
from resample.kernels.simd import (
    add_byte_pairs,
    add_pairs,
    after,
    bits_as,
    by_turns,
    bytes_apart,
    bytes_of,
    halves_added,
    hidden,
    interleave,
    load,
    load_halves,
    load_pieces,
    packed,
    place_of,
    prefetch,
    shifted,
    shifted_words,
    shuffle_bytes,
    shuffle_words,
    spread,
    store,
    store_halves,
)
from resample.kernels.sizes import ABREAST, BLOCK, PIECE, VECTOR


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
    words_of, packed_by = in_words(window), 16 if window == 32 else window

    @register_jitable
    def choose(values, index):
        return shuffle_words(values, index) if window == 32 else words_of(shuffle_bytes(values, index))

    @register_jitable
    def level(total, precision):
        return packed(shifted(total, precision), packed_by)

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


def of_groups(abreast, window, sums, in_order):
    """Return what loads, stores and sums the vectors of groups that lie so many `abreast`, at one place or at two.

    `in_order`: the pairs of a window are taken as they are.
    """
    kind, choose, add = sums[:3]
    pairs_of_window = window // 2

    @register_jitable
    def get(first, second, index):
        return load(first, index, window) if abreast == 1 else load_halves(first, second, index, window)

    @register_jitable
    def put(first, second, index, values):
        if abreast == 1:
            store(first, index, values)
        else:
            store_halves(first, second, index, values)

    @register_jitable
    def pairs_at(first, second, place, lanes):
        pairs = get(first, second, place)
        return pairs if in_order else choose(pairs, lanes)

    @register_jitable
    def sum_units(row, place, apart, away, away_apart, units, lanes, weights, lanes_2, weights_2):
        """Return the sums of one unit or two: at `place`, `apart` from there for the other group, and so far `away`."""
        pairs = pairs_at(row, after(row, apart), place, lanes)
        total = add(pairs, weights, spread(kind(0), pairs_of_window))
        if units == 2:
            pairs = pairs_at(after(row, away), after(row, away_apart), place, lanes_2)
            total = add(pairs, weights_2, total)
        return total

    return get, put, sum_units


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
        # of a group a line for every second piece is enough, and less than one for each; two groups may lie far apart
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


def _contract_bytes(register, sums, in_order=False, pieces=1):
    """Return the kernel that sums bytes by shuffles that make `register` of them, from so many `pieces` of a row.

    `in_order`: for tables where the pairs of all groups are in order already, so that those alike need no shuffle.
    """
    kind, choose, add, shift, level = sums[:5]
    narrow = kind is types.int16  # see `tables.narrowed`
    abreast = ABREAST if register == 32 and narrow and not in_order else 1
    pieces = max(pieces, abreast)
    # AVX2 makes words of each of 16 bytes, so a unit of them has 32 indices
    window = 16 if register == 32 and not narrow else register
    pairs_of_window = window // 2  # Numba takes the name, not the division, as a constant
    most = pairs_of_window // abreast
    _, put, sum_units = of_groups(abreast, window, sums, in_order)
    window_of, ask_for = _window_of(window, pieces)

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
            total = sum_units(row, place, apart, away, away_apart, units, lanes, weights, lanes_2, weights_2)
            total_next = sum_units(row_next, place, apart, away, away_apart, units, lanes, weights, lanes_2, weights_2)
            finish(out, after(out, beside), column, total, most, precision)
            finish(out_next, after(out_next, beside), column, total_next, most, precision)
            column, place = hidden(column + step), hidden(place + advance)

    @register_jitable
    def along_width(
        dst, to, to_next, src, source, next, ahead, at, base, index, weight, ends,
        groups, units, taps, outputs, alike_from, alike_to, precision,
    ):  # fmt: skip
        advance = advance_of(base, groups, units * abreast) // abreast if pieces == abreast else 0
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
        advance = advance_of(base, groups, units * abreast) // abreast
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

    return contraction(narrow_along_width if narrow else along_width, _bytes_along_height(sums))


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
