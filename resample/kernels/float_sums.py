"""The fast kernels of sums of float32: see `rows`.

They take one tap a shuffle, in the order of the plain kernel, so that their sums have its bits; where outputs lie far
apart, without a shuffle.
"""

from __future__ import annotations

from numba import types
from numba.extending import register_jitable

from resample.kernels.rows import FAR, advance_of, contraction
from resample.kernels.simd import (
    add_products,
    choose_floats,
    choose_near,
    load,
    load_pieces,
    place_of,
    prefetch,
    second_first,
    spread,
    store,
    where_used,
)
from resample.kernels.sizes import BLOCK, PIECE, VECTOR


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
        advance = 4 * advance_of(base, groups, units * pieces)
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

    return contraction(along_width, _floats_along_height, lanes, pieces)


contract_floats_16, contract_floats_8 = _contract_floats(16), _contract_floats(8)
contract_near_floats_8, contract_far_floats_8 = _contract_floats(8, "near"), _contract_floats(8, "far")
