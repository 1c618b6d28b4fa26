"""The kernels that sum weighted samples: source text that Numba compiles to PTX.

Each thread owns its outputs: it gathers what they need, in the CPU's order of taps, and writes them once. Planes are
looped over, so that what the tables say of a row or column is read once and stays in registers. Offsets within a plane
are uint32, those of planes 64 bits. float16 comes as the bits of a uint16 and is summed in float32.

Tables for columns have an entry for each value of an output row, channels and all, and are padded to whole vectors.
"""

from __future__ import annotations

from numba import int32, int64, njit, uint16, uint32

from resample.kernels.cuda.constants import IMAGES, ROWS
from resample.kernels.cuda.memory import (
    after,
    as_float,
    block_size_x,
    block_size_y,
    block_size_z,
    block_x,
    block_y,
    block_z,
    chosen,
    first_total,
    grid_size_y,
    grid_size_z,
    levelled,
    load,
    load_vector,
    multiply_add,
    narrowed,
    read_words,
    registers,
    store,
    store_vector,
    thread_x,
    thread_y,
    thread_z,
    widened,
)


@njit(inline="always")
def second_first(k, taps):
    """Return the k-th tap in torch's order 1, 0, 2, 3, ...: it rounds the second product and fuses the others."""
    return k ^ 1 if k < 2 and taps > 1 else k


@njit(inline="always")
def first_column(lanes):
    """Return the first of the `lanes` neighbouring values of a row that are this thread's."""
    return uint32(uint32(block_x() * block_size_x() + thread_x()) * uint32(lanes))


@njit(inline="always")
def first_row():
    return uint32(block_y() * block_size_y() + thread_y())


@njit(inline="always")
def rows_side_by_side():
    return uint32(grid_size_y() * block_size_y())


@njit(inline="always")
def first_plane():
    return uint32(block_z() * block_size_z() + thread_z())


@njit(inline="always")
def planes_side_by_side():
    return uint32(grid_size_z() * block_size_z())


def _apart(taps, lanes):
    """Return what reads the samples of `lanes` values, (taps, lanes), from where `columns` says."""

    @njit(inline="always")
    def read(samples, row, place, columns):
        for s in range(taps):
            for k in range(lanes):
                samples[s * lanes + k] = load(row, uint32(place + columns[s * lanes + k]))

    return read


def _beside(taps, lanes):
    """Return the same for values that are channels of one pixel: their samples lie side by side, with one weight."""

    @njit(inline="always")
    def read(samples, row, place, columns):
        for s in range(taps):
            load_vector(samples, s * lanes, row, uint32(place + columns[s * lanes]), lanes)

    return read


def _halves(taps, lanes):
    """Return the same for float16 that lie close together: two taps of four values are read as a window of four.

    In `columns` stands for an even tap where the window begins, and for an odd one which of its bytes, in hexadecimal
    digits, are the samples of both.
    """
    words = lanes // 2

    @njit(inline="always")
    def read_two(samples, s, row, place, columns):
        window = registers(uint32(0), words)
        for k in range(0, lanes, 4):
            read_words(window, k >> 1, row, uint32(place + columns[s + k]), 2)
        for k in range(lanes):
            w = k >> 2 << 1
            both = chosen(window[w], window[w + 1], columns[s + lanes + k])
            samples[s + k] = uint16(both)
            samples[s + lanes + k] = uint16(both >> uint32(16))

    @njit(inline="always")
    def read(samples, row, place, columns):
        read_two(samples, 0, row, place, columns)
        if taps > 2:
            read_two(samples, 2 * lanes, row, place, columns)

    return read


def _contract_planes(taps, lanes, reading):
    """Return the kernel that sums taps x taps samples an output, width first, as the CPU does."""
    all_taps = taps * lanes  # Numba takes the name, not the product, as a constant
    kept, last = all_taps - lanes, taps - 1
    read, own_weights = reading(taps, lanes), int(reading is not _beside)

    def contract(
        dst, src, row_place, row_weight, fresh, column_place, column_weight,
        n_out, row_out, planes, plane_in, plane_out, segment, row_precision, column_precision,
    ):  # fmt: skip
        """Resample planes to (n_out, row_out): `lanes` outputs of `segment` rows a thread, which walks down them.

        Of tap t of output row y, `row_place[y, t]` is where in a plane its source row begins, and of value j of a row
        `column_place[t, j]` is where in that row it is, or what `_halves` says; weights likewise. A source row is
        resampled along the width once and kept for the next outputs: of those of row y + 1 the last `fresh[y]` are not
        among those of row y, and the others are the last ones of that.
        """
        first = first_column(lanes)
        if first >= row_out:
            return
        columns = registers(uint32(0), all_taps)
        weights = registers(load(column_weight, uint32(0)), all_taps)
        for s in range(taps):
            load_vector(columns, s * lanes, column_place, uint32(uint32(uint32(s) * row_out) + first), lanes)
            load_vector(weights, s * lanes, column_weight, uint32(uint32(uint32(s) * row_out) + first), lanes)
        samples = registers(load(src, uint32(0)), all_taps)
        rows = registers(load(column_weight, uint32(0)), all_taps)
        row_weights = registers(load(column_weight, uint32(0)), taps)
        values = registers(narrowed(load(column_weight, uint32(0)), dst), lanes)
        half = first_total(load(column_weight, uint32(0)), column_precision)
        zero = first_total(load(column_weight, uint32(0)), row_precision)
        begin = uint32(first_row() * segment)
        while begin < n_out:
            end = uint32(begin + segment) if uint32(n_out - begin) > segment else n_out
            plane = first_plane()
            while plane < planes:
                source, target = after(src, int64(plane) * plane_in), after(dst, int64(plane) * plane_out)
                y, t = begin, uint32(taps)
                while y < end:
                    if t > uint32(0):
                        for k in range(kept):
                            rows[k] = rows[k + lanes]
                        place = load(row_place, uint32(uint32(uint32(y + uint32(1)) * uint32(taps)) - t))
                        read(samples, source, place, columns)
                        for k in range(lanes):
                            across = half
                            for j in range(taps):
                                s = second_first(j, taps) * lanes
                                across = multiply_add(widened(samples[s + k]), weights[s + k * own_weights], across)
                            rows[last * lanes + k] = levelled(across, column_precision)
                        t = uint32(t - uint32(1))
                    if t == uint32(0):
                        load_vector(row_weights, 0, row_weight, uint32(y * uint32(taps)), taps)
                        for k in range(lanes):
                            total = zero
                            for i in range(taps):
                                s = second_first(i, taps)
                                total = multiply_add(rows[s * lanes + k], row_weights[s], total)
                            values[k] = narrowed(levelled(total, row_precision), dst)
                        store_vector(target, uint32(uint32(y * row_out) + first), values, lanes)
                        t = load(fresh, y)
                        y = uint32(y + uint32(1))
                plane = uint32(plane + planes_side_by_side())
            begin = uint32(begin + uint32(rows_side_by_side() * segment))

    return contract


contract_planes_2_1, contract_planes_2_2, contract_planes_2_4, contract_planes_2_8 = (
    _contract_planes(2, lanes, _apart) for lanes in (1, 2, 4, 8)
)
contract_planes_4_1, contract_planes_4_2, contract_planes_4_4 = (
    _contract_planes(4, lanes, _apart) for lanes in (1, 2, 4)
)
contract_beside_2_2, contract_beside_2_4, contract_beside_2_8 = (
    _contract_planes(2, lanes, _beside) for lanes in (2, 4, 8)
)
contract_beside_4_2, contract_beside_4_4, contract_beside_4_8 = (
    _contract_planes(4, lanes, _beside) for lanes in (2, 4, 8)
)
contract_halves_2_4, contract_halves_2_8, contract_halves_4_4, contract_halves_4_8 = (
    _contract_planes(taps, lanes, _halves) for taps in (2, 4) for lanes in (4, 8)
)


def _contract_rows(lanes):
    """Return the kernel that sums rows: any number of taps of one axis, samples of which are whole rows."""

    def contract(
        dst, src, start, length, weight, n_taps, row, n_out, planes, plane_in, plane_out, precision,
    ):  # fmt: skip
        """Resample planes (n_in, row) to (n_out, row), `lanes` values a thread; weights are (n_out, n_taps)."""
        first = first_column(lanes)
        if first >= row:
            return
        zero = first_total(load(weight, uint32(0)), precision)
        totals = registers(zero, lanes)
        samples = registers(load(src, uint32(0)), lanes)
        values = registers(narrowed(zero, dst), lanes)
        y = first_row()
        while y < n_out:
            above, taps = load(start, y), load(length, y)
            plane = first_plane()
            while plane < planes:
                source = after(src, int64(plane) * plane_in)
                for k in range(lanes):
                    totals[k] = zero
                for i in range(taps):
                    t = uint32(second_first(i, taps))
                    w = load(weight, uint32(y * n_taps + t))
                    load_vector(samples, 0, source, uint32(uint32(above + t) * row + first), lanes)
                    for k in range(lanes):
                        totals[k] = multiply_add(widened(samples[k]), w, totals[k])
                for k in range(lanes):
                    values[k] = narrowed(levelled(totals[k], precision), dst)
                store_vector(after(dst, int64(plane) * plane_out), uint32(y * row + first), values, lanes)
                plane = uint32(plane + planes_side_by_side())
            y = uint32(y + rows_side_by_side())

    return contract


contract_rows_1, contract_rows_2, contract_rows_4 = (_contract_rows(lanes) for lanes in (1, 2, 4))


def contract_columns(
    dst, src, place, length, weight, step, row_in, row_out, rows, precision,
):  # fmt: skip
    """Resample rows of row_in values to row_out: any number of taps, one output of each of ROWS rows a thread.

    A row's next tap is `step` values on. Weights are (taps, row_out), so that neighbouring threads read neighbouring
    ones, and serve ROWS rows.
    """
    column = first_column(1)
    if column >= row_out:
        return
    begin, taps = load(place, column), load(length, column)
    zero = first_total(load(weight, uint32(0)), precision)
    totals = registers(zero, ROWS)
    y = uint32(first_row() * uint32(ROWS))
    while y < rows:
        for r in range(ROWS):
            totals[r] = zero
        for i in range(taps):
            t = uint32(second_first(i, taps))
            w = load(weight, uint32(uint32(t * row_out) + column))
            offset = uint32(begin + uint32(t * step))
            for r in range(ROWS):
                # beyond the last row the first one again: read, but not written
                line = uint32(y + uint32(r)) if uint32(y + uint32(r)) < rows else y
                sample = load(after(src, int64(line) * int64(row_in)), offset)
                totals[r] = multiply_add(widened(sample), w, totals[r])
        for r in range(ROWS):
            line = uint32(y + uint32(r))
            if line < rows:
                store(after(dst, int64(line) * int64(row_out)), column, narrowed(levelled(totals[r], precision), dst))
        y = uint32(y + uint32(rows_side_by_side() * uint32(ROWS)))


@njit(inline="always")
def add(high, low, value):
    """Return high + low + value as a rounded sum and what rounding lost: Knuth's TwoSum."""
    total = high + value
    part = total - high
    return total, low + ((high - (total - part)) + (value - part))


def average(
    dst, src, start_d, length_d, start_h, length_h, place, length, step, share_d, share_h, share,
    plane_in, image_in, row_in, d_out, h_out, row_out, planes,
):  # fmt: skip
    """Write the means of boxes to (planes, d_out, h_out, row_out), one a thread.

    Boxes along depth and height begin at `start` and have `length` samples; along the width at `place` of a row,
    neighbours `step` values apart. `share` of each is 1 / length. `image_in` values are one depth of a plane. Sums
    carry what they lost, so that large boxes are as exact as the CPU's, which sums in float64.
    """
    column = first_column(1)
    if column >= row_out:
        return
    begin, across = load(place, column), load(length, column)
    y = first_row()
    while y < uint32(d_out * h_out):
        d = uint32(y // h_out)
        h = uint32(y - uint32(d * h_out))
        first_d, deep, first_h, high = load(start_d, d), load(length_d, d), load(start_h, h), load(length_h, h)
        size = uint32(uint32(deep * high) * across)
        reciprocal = load(share_d, d) * load(share_h, h) * load(share, column)
        plane = first_plane()
        while plane < planes:
            source = after(src, int64(plane) * plane_in)
            total = lost = first_total(reciprocal, int32(0))
            i = uint32(0)
            while i < deep:
                j = uint32(0)
                while j < high:
                    line = uint32(uint32(uint32(first_d + i) * image_in) + uint32(uint32(first_h + j) * row_in))
                    k = uint32(0)
                    while k < across:
                        sample = load(source, uint32(uint32(line + begin) + uint32(k * step)))
                        total, lost = add(total, lost, widened(sample))
                        k = uint32(k + uint32(1))
                    j = uint32(j + uint32(1))
                i = uint32(i + uint32(1))
            # one step of Newton's method for the quotient, but not where infinities have made NaN of what was lost
            number = as_float(size, reciprocal)
            mean = total * reciprocal
            closer = multiply_add(multiply_add(-mean, number, total) + lost, reciprocal, mean)
            mean = closer if closer == closer else mean
            offset = uint32(uint32(y * row_out) + column)
            target = after(dst, int64(plane) * (int64(uint32(d_out * h_out)) * int64(row_out)))
            store(target, offset, narrowed(mean, dst))
            plane = uint32(plane + planes_side_by_side())
        y = uint32(y + rows_side_by_side())


def _contract_down(live, images):
    """Return the kernel that sums both axes at once where the height shrinks, any number of taps of each.

    At no row do more than `live` outputs of a column wait for it. A thread takes a column of `images` planes, which
    share its weights.
    """
    sums = live * images  # Numba takes the name, not the product, as a constant

    def contract(
        dst, src, begin, end, waiting, row_weight, place, length, weight, step,
        row_in, n_out, row_out, planes, plane_in, plane_out, segment, row_precision, column_precision,
    ):  # fmt: skip
        """Resample planes to (n_out, row_out), `segment` output rows a thread, each source row along the width once.

        Output row y is summed from source rows `begin[y]:end[y]`. Source row r adds to the output rows from
        `waiting[r]` on, `live` of them, its row times `row_weight[r]`, NaN (of bytes 0) where it adds nothing.
        `waiting` never falls: when it grows, the output row that has waited longest is done.
        """
        column = first_column(1)
        plane = uint32(first_plane() * uint32(images))
        y = uint32(first_row() * segment)
        if column >= row_out or plane >= planes or y >= n_out:
            return
        first, taps = load(place, column), load(length, column)
        after_last = uint32(y + segment) if uint32(n_out - y) > segment else n_out
        zero = first_total(load(row_weight, uint32(0)), row_precision)
        half = first_total(load(row_weight, uint32(0)), column_precision)
        across = registers(zero, images)
        totals = registers(zero, sums)
        for k in range(sums):
            totals[k] = zero
        row, last_row = load(begin, y), load(end, uint32(after_last - uint32(1)))
        while row < last_row:
            for p in range(images):
                across[p] = half
            line = uint32(uint32(row * row_in) + first)
            t = uint32(0)
            while t < taps:
                w = load(weight, uint32(uint32(t * row_out) + column))
                for p in range(images):
                    # beyond the last plane the first one again: read, but not written
                    source = uint32(plane + uint32(p)) if uint32(plane + uint32(p)) < planes else plane
                    sample = load(after(src, int64(source) * plane_in), line)
                    across[p] = multiply_add(widened(sample), w, across[p])
                line = uint32(line + step)
                t = uint32(t + uint32(1))
            oldest = load(waiting, row)
            missed = uint32(y - oldest) if y > oldest else uint32(0)  # output rows of the segment before
            for k in range(live):
                slot = uint32(missed + uint32(k))
                inside = slot < uint32(live)
                w = load(row_weight, uint32(uint32(row * uint32(live)) + (slot if inside else uint32(0))))
                adds = inside and w == w
                for p in range(images):
                    total = multiply_add(levelled(across[p], column_precision), w, totals[k * images + p])
                    totals[k * images + p] = total if adds else totals[k * images + p]
            row = uint32(row + uint32(1))
            if load(waiting, row) > y or row == last_row:
                # the oldest is done, and at the end all that are left
                more = True
                while more:
                    offset = uint32(uint32(y * row_out) + column)
                    for p in range(images):
                        if uint32(plane + uint32(p)) < planes:
                            target = after(dst, int64(uint32(plane + uint32(p))) * plane_out)
                            store(target, offset, narrowed(levelled(totals[p], row_precision), dst))
                    for k in range(sums - images):
                        totals[k] = totals[k + images]
                    for p in range(images):
                        totals[sums - images + p] = zero
                    y = uint32(y + uint32(1))
                    more = row == last_row and y < after_last

    return contract


contract_down_3_1, contract_down_3_4 = _contract_down(3, 1), _contract_down(3, IMAGES)
contract_down_5_1, contract_down_5_4 = _contract_down(5, 1), _contract_down(5, IMAGES)
contract_down_7_1, contract_down_7_4 = _contract_down(7, 1), _contract_down(7, IMAGES)
