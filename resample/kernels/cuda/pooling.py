"""The kernels of max-pooling and unpooling: source text that Numba compiles to PTX.

Pooling: each thread owns its outputs. Tables say of each output of an axis which sample its window begins with and how
many it has there, `step` apart. A window is scanned as in `kernels/pooling.py`: from the least value there is and the
place of its first sample, and a value replaces the best one so far if it is larger or NaN. float16 comes as the bits of
a uint16 and is compared in float32.

Unpooling: values are opaque. Each thread owns an input and the outputs of an axis from `begin[i]` to `begin[i + 1]`,
where its window begins and where the next one does; the first and the last input own what is left over. It looks for
each of its outputs in the indices of the `reach` inputs an axis whose windows may hold it, and writes the value of the
last one that is there, or zero. Where an index lies elsewhere in the plane, the plane is marked as `suspect`, and done
again by three kernels: `clear`; `claim`, where the last input with the index of an output leaves its number there; and
`settle`. So the order in which threads run never counts. Indices out of the plane are skipped.
"""

from __future__ import annotations

from numba import int64, njit, uint32, uint64

from resample.kernels.cuda.memory import (
    after,
    atomic_max,
    block_size_x,
    grid_size_x,
    load,
    load_vector,
    registers,
    store,
    store_vector,
    widened,
)
from resample.kernels.cuda.sums import first_column, first_plane, first_row, planes_side_by_side, rows_side_by_side

# no output has this place in its plane
NOWHERE = (1 << 32) - 1


@njit(inline="always")
def split(whole, part):
    """Return whole // part and whole % part."""
    quotient = uint32(whole // part)
    return quotient, uint32(whole - uint32(quotient * part))


@njit(inline="always")
def wins(value, best):
    return (widened(value) > widened(best)) | (widened(value) != widened(value))


@njit(inline="always")
def tap(k, length, step):
    """Return how far from the beginning of a window its k-th sample is, or the last one if it has fewer.

    What is looked at once more, in the same order, changes no maximum and no index.
    """
    return uint32((uint32(k) if uint32(k) < length else uint32(length - uint32(1))) * step)


def _pool(taps, lanes, packed, indexed):
    """Return the kernel of windows of one to `taps` samples along height and width.

    A thread has `lanes` neighbouring values of a row: of one window if channels are packed, else of as many windows.
    """
    windows, abreast = (1, lanes) if packed else (lanes, 1)
    all_taps = taps * windows  # Numba takes the name, not the product, as a constant

    def pool(
        dst, indices, src, least, start_d, length_d, start_h, length_h, start_w, length_w, step_d, step_h, step_w,
        height, width, out_h, rows, row_out, inner, planes, plane_in, plane_out,
    ):  # fmt: skip
        """Pool (planes, depth, height, width, inner) to planes of `rows` rows of `row_out` values, out_h rows a depth.

        `indices` are written only if they are wanted.
        """
        first = first_column(lanes)
        if first >= row_out:
            return
        column, channel = split(first, inner) if packed else (first, uint32(0))
        begins, lengths = registers(uint32(0), windows), registers(uint32(0), windows)
        load_vector(begins, 0, start_w, column, windows)
        load_vector(lengths, 0, length_w, column, windows)
        columns = registers(uint32(0), all_taps)
        for s in range(taps):
            for k in range(windows):
                columns[s * windows + k] = uint32(begins[k] + tap(s, lengths[k], step_w))
        lowest = load(least, uint32(0))
        samples, values = registers(lowest, lanes), registers(lowest, lanes)
        places, where, numbers = registers(uint32(0), windows), registers(uint32(0), lanes), registers(int64(0), lanes)
        y = first_row()
        while y < rows:
            d, h = split(y, out_h)
            begin, deep, top, high = load(start_d, d), load(length_d, d), load(start_h, h), load(length_h, h)
            corner = uint32(uint32(uint32(begin * height) + top) * width)
            plane = first_plane()
            while plane < planes:
                source = after(src, int64(plane) * plane_in)
                for k in range(lanes):
                    values[k] = lowest
                    where[k] = uint32(corner + columns[0 if packed else k])
                above, i = corner, uint32(0)
                while i < deep:
                    for t in range(taps):
                        line = uint32(above + uint32(tap(t, high, step_h) * width))
                        for s in range(taps):
                            for k in range(windows):
                                places[k] = uint32(line + columns[s * windows + k])
                                offset = uint32(uint32(places[k] * inner) + channel) if packed else places[k]
                                load_vector(samples, k, source, offset, abreast)
                            for k in range(lanes):
                                won = wins(samples[k], values[k])
                                values[k] = samples[k] if won else values[k]
                                where[k] = places[0 if packed else k] if won else where[k]
                    above = uint32(above + uint32(uint32(step_d * height) * width))
                    i = uint32(i + uint32(1))
                offset = uint32(uint32(y * row_out) + first)
                store_vector(after(dst, int64(plane) * plane_out), offset, values, lanes)
                if indexed:
                    for k in range(lanes):
                        numbers[k] = int64(where[k])
                    store_vector(after(indices, int64(plane) * plane_out), offset, numbers, lanes)
                plane = uint32(plane + planes_side_by_side())
            y = uint32(y + rows_side_by_side())

    return pool


pool_2_1, pool_2_2, pool_2_4 = (_pool(2, lanes, False, False) for lanes in (1, 2, 4))
pool_3_1, pool_3_2 = (_pool(3, lanes, False, False) for lanes in (1, 2))
pool_5_1 = _pool(5, 1, False, False)
pool_2_1_indexed, pool_2_2_indexed = (_pool(2, lanes, False, True) for lanes in (1, 2))
pool_3_1_indexed, pool_3_2_indexed = (_pool(3, lanes, False, True) for lanes in (1, 2))
pool_5_1_indexed = _pool(5, 1, False, True)
packed_2_1, packed_2_2, packed_2_4 = (_pool(2, lanes, True, False) for lanes in (1, 2, 4))
packed_3_1, packed_3_2, packed_3_4 = (_pool(3, lanes, True, False) for lanes in (1, 2, 4))
packed_5_1, packed_5_2, packed_5_4 = (_pool(5, lanes, True, False) for lanes in (1, 2, 4))
packed_2_1_indexed, packed_2_2_indexed = (_pool(2, lanes, True, True) for lanes in (1, 2))
packed_3_1_indexed, packed_3_2_indexed = (_pool(3, lanes, True, True) for lanes in (1, 2))


def _pool_any(indexed):
    """Return the kernel of windows of any number of samples, none too, an output a thread."""

    def pool(
        dst, indices, src, least, start_d, length_d, start_h, length_h, start_w, length_w, step_d, step_h, step_w,
        height, width, out_h, rows, row_out, inner, planes, plane_in, plane_out,
    ):  # fmt: skip
        """Do what the kernels of `_pool` do; a window without samples has the index of where it begins."""
        first = first_column(1)
        if first >= row_out:
            return
        column, channel = split(first, inner)
        left, wide = load(start_w, column), load(length_w, column)
        lowest = load(least, uint32(0))
        y = first_row()
        while y < rows:
            d, h = split(y, out_h)
            begin, deep, top, high = load(start_d, d), load(length_d, d), load(start_h, h), load(length_h, h)
            corner = (int64(begin) * int64(height) + int64(top)) * int64(width) + int64(left)
            plane = first_plane()
            while plane < planes:
                source = after(src, int64(plane) * plane_in)
                best, where = lowest, corner
                i = uint32(0)
                while i < deep:
                    j = uint32(0)
                    while j < high:
                        line = uint32(uint32(uint32(begin + uint32(i * step_d)) * height) + top)
                        place = uint32(uint32(uint32(line + uint32(j * step_h)) * width) + left)
                        k = uint32(0)
                        while k < wide:
                            value = load(source, uint32(uint32(place * inner) + channel))
                            won = wins(value, best)
                            best = value if won else best
                            where = int64(place) if won else where
                            place = uint32(place + step_w)
                            k = uint32(k + uint32(1))
                        j = uint32(j + uint32(1))
                    i = uint32(i + uint32(1))
                offset = uint32(uint32(y * row_out) + first)
                store(after(dst, int64(plane) * plane_out), offset, best)
                if indexed:
                    store(after(indices, int64(plane) * plane_out), offset, where)
                plane = uint32(plane + planes_side_by_side())
            y = uint32(y + rows_side_by_side())

    return pool


pool_any, pool_any_indexed = _pool_any(False), _pool_any(True)


@njit(inline="always")
def within(place, size):
    """Return an index as a uint32, NOWHERE if it is not in range(size)."""
    return uint32(place) if (place >= int64(0)) & (place < int64(size)) else uint32(NOWHERE)


@njit(inline="always")
def between(low, value, high):
    return (low <= value) & (value < high)


def _place(reach):
    """Return the kernel of windows that overlap with those of less than `reach` inputs before them an axis."""
    candidates = reach**3

    @njit(inline="always")
    def is_reached(place, begin, k, n_in):
        """Return whether a place along an axis is where input k is looked for."""
        end = uint32(k + uint32(reach)) if uint32(k + uint32(reach)) < n_in else n_in
        return between(load(begin, k), place, load(begin, end))

    def place(
        dst, src, index, suspect, begin_d, begin_h, begin_w, d_in, h_in, w_in, height, width, size, inner,
        planes, plane_in, plane_out,
    ):  # fmt: skip
        """Write planes (depth, height, width, inner) of `size` places from (d_in, h_in, w_in, inner)."""
        row_in = uint32(w_in * inner)
        first = first_column(1)
        if first >= row_in:
            return
        w, channel = split(first, inner)
        left, right = load(begin_w, w), load(begin_w, uint32(w + uint32(1)))
        places, found = registers(uint32(0), candidates), registers(load(src, uint32(0)), candidates)
        y = first_row()
        while y < uint32(d_in * h_in):
            d, h = split(y, h_in)
            front, back = load(begin_d, d), load(begin_d, uint32(d + uint32(1)))
            top, bottom = load(begin_h, h), load(begin_h, uint32(h + uint32(1)))
            plane = first_plane()
            while plane < planes:
                target, source = after(dst, int64(plane) * plane_out), after(src, int64(plane) * plane_in)
                own_index = after(index, int64(plane) * plane_in)
                for t in range(candidates):  # in row-major order, the own one last
                    before_d = uint32(reach - 1 - t // (reach * reach))
                    before_h = uint32(reach - 1 - t // reach % reach)
                    before_w = uint32(reach - 1 - t % reach)
                    exists = (d >= before_d) & (h >= before_h) & (w >= before_w)
                    lines = uint32(uint32(before_d * h_in) + before_h)
                    back_by = uint32(uint32(lines * row_in) + uint32(before_w * inner)) if exists else uint32(0)
                    offset = uint32(uint32(uint32(y * row_in) + first) - back_by)
                    places[t] = within(load(own_index, offset), size) if exists else uint32(NOWHERE)
                    found[t] = load(source, offset)
                own = places[candidates - 1]
                missing = own != uint32(NOWHERE)
                i = front
                while i < back:
                    j = top
                    while j < bottom:
                        line = uint32(uint32(uint32(i * height) + j) * width)
                        k = left
                        while k < right:
                            here = uint32(line + k)
                            value = uint64(0)
                            for t in range(candidates):
                                value = uint64(found[t]) if places[t] == here else value
                            missing = missing & (own != here)
                            store(target, uint32(uint32(here * inner) + channel), value)
                            k = uint32(k + uint32(1))
                        j = uint32(j + uint32(1))
                    i = uint32(i + uint32(1))
                if missing and reach > 1:
                    line, k = split(own, width)
                    i, j = split(line, height)
                    reached = is_reached(i, begin_d, d, d_in) & is_reached(j, begin_h, h, h_in)
                    missing = not (reached & is_reached(k, begin_w, w, w_in))
                if missing:
                    store(suspect, plane, uint32(1))
                plane = uint32(plane + planes_side_by_side())
            y = uint32(y + rows_side_by_side())

    return place


place_1, place_2 = _place(1), _place(2)


def _place_pairs(lanes):
    """Return the kernel of inputs that own two outputs a row and look for no other input, `lanes` of them a thread."""
    outputs = 2 * lanes

    def place(
        dst, src, index, suspect, begin_d, begin_h, begin_w, d_in, h_in, w_in, height, width, size, inner,
        planes, plane_in, plane_out,
    ):  # fmt: skip
        """Do what the kernels of `_place` do where `width` is 2 * w_in and `inner` 1."""
        first = first_column(lanes)
        if first >= w_in:
            return
        places, found = registers(uint32(0), lanes), registers(load(src, uint32(0)), lanes)
        values = registers(load(src, uint32(0)), outputs)
        y = first_row()
        while y < uint32(d_in * h_in):
            d, h = split(y, h_in)
            front, back = load(begin_d, d), load(begin_d, uint32(d + uint32(1)))
            top, bottom = load(begin_h, h), load(begin_h, uint32(h + uint32(1)))
            plane = first_plane()
            while plane < planes:
                target, source = after(dst, int64(plane) * plane_out), after(src, int64(plane) * plane_in)
                own_index = after(index, int64(plane) * plane_in)
                missing = uint32(0)
                for k in range(lanes):
                    offset = uint32(uint32(uint32(y * w_in) + first) + uint32(k))
                    places[k] = within(load(own_index, offset), size)
                    found[k] = load(source, offset)
                    missing = uint32(missing + uint32(places[k] != uint32(NOWHERE)))
                i = front
                while i < back:
                    j = top
                    while j < bottom:
                        line = uint32(uint32(uint32(uint32(i * height) + j) * width) + uint32(first * uint32(2)))
                        for k in range(outputs):
                            is_here = places[k // 2] == uint32(line + uint32(k))
                            values[k] = uint64(found[k // 2]) if is_here else uint64(0)
                            missing = uint32(missing - uint32(is_here))
                        store_vector(target, line, values, outputs)
                        j = uint32(j + uint32(1))
                    i = uint32(i + uint32(1))
                if missing:
                    store(suspect, plane, uint32(1))
                plane = uint32(plane + planes_side_by_side())
            y = uint32(y + rows_side_by_side())

    return place


place_pairs_1, place_pairs_2, place_pairs_4 = (_place_pairs(lanes) for lanes in (1, 2, 4))


@njit(inline="always")
def columns_side_by_side():
    return uint32(grid_size_x() * block_size_x())


def clear(winners, suspect, planes, plane_out):
    """Write zeros to the planes that are suspect; values beyond those of the grid are looped over."""
    plane = first_plane()
    while plane < planes:
        if load(suspect, plane):
            offset = first_column(1)
            while offset < plane_out:
                store(after(winners, int64(plane) * int64(plane_out)), offset, uint32(0))
                offset = uint32(offset + columns_side_by_side())
        plane = uint32(plane + planes_side_by_side())


def claim(winners, index, suspect, size, inner, planes, plane_in, plane_out):
    """Write to each place of planes (size, inner) one more than the offset of the last input with its index."""
    plane = first_plane()
    while plane < planes:
        if load(suspect, plane):
            offset = first_column(1)
            while offset < plane_in:
                place = within(load(after(index, int64(plane) * int64(plane_in)), offset), size)
                if place != uint32(NOWHERE):
                    _, channel = split(offset, inner)
                    target = after(winners, int64(plane) * int64(plane_out))
                    atomic_max(target, uint32(uint32(place * inner) + channel), uint32(offset + uint32(1)))
                offset = uint32(offset + columns_side_by_side())
        plane = uint32(plane + planes_side_by_side())


def settle(dst, winners, src, suspect, planes, plane_in, plane_out):
    """Write the value of the winner, or zero, to each place; `winners` may be the memory of `dst`."""
    plane = first_plane()
    while plane < planes:
        if load(suspect, plane):
            source, numbers = (
                after(src, int64(plane) * int64(plane_in)),
                after(winners, int64(plane) * int64(plane_out)),
            )
            offset = first_column(1)
            while offset < plane_out:
                number = uint32(numbers[offset])
                value = uint64(0)
                if number:
                    value = uint64(load(source, uint32(number - uint32(1))))
                store(after(dst, int64(plane) * int64(plane_out)), offset, value)
                offset = uint32(offset + columns_side_by_side())
        plane = uint32(plane + planes_side_by_side())
