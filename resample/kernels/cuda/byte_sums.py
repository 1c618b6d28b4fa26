"""The kernels that sum bytes where taps are few: `sums.contract_planes_*` with four samples in a register.

Groups of four neighbouring outputs share a window of the source row, which is read as words. Each output picks its
samples from it, and two of them are multiplied at a time. Rows between the axes are bytes, as on the CPU: the last four
of a column lie in one register, the newest on top.
"""

from __future__ import annotations

from numba import int32, int64, njit, uint32

from resample.kernels.cuda.memory import (
    after,
    chosen,
    clamped,
    dot_high,
    dot_low,
    first_total,
    load,
    load_vector,
    read_words,
    registers,
    shifted,
    store_vector,
)
from resample.kernels.cuda.sums import (
    first_column,
    first_plane,
    first_row,
    planes_side_by_side,
    rows_side_by_side,
)

# longer windows leave registers for fewer groups
GROUPS_AND_WORDS = [(1, 2), (2, 2), (4, 2), (1, 4), (2, 4)]


@njit(inline="always")
def pack(values, sums, precision, groups):
    """Put the bytes that int32 sums become, four each, into `values`."""
    for k in range(4 * groups):
        sums[k] = shifted(sums[k], precision)
    for g in range(groups):
        values[g] = clamped(sums[4 * g + 3], sums[4 * g + 2], uint32(0))
        values[g] = clamped(sums[4 * g + 1], sums[4 * g], values[g])


def _contract_bytes(taps, groups, words):
    """Return the kernel that sums taps x taps bytes an output, for windows of `words` words."""
    lanes, all_words = 4 * groups, words * groups
    all_weights, all_picks = taps // 2 * lanes, words // 2 * lanes

    def contract(
        dst, src, row_place, row_entry, begin_of, pick, column_weight,
        n_out, row_out, planes, plane_in, plane_out, segment, row_precision, column_precision,
    ):  # fmt: skip
        """Resample planes to (n_out, row_out), where `row_out` and `plane_out` count groups, `groups` of them a thread.

        `row_place` and the order of the work are those of `sums.contract_planes_*`. An entry of `row_entry`, of four
        uint32, has for an output row its `fresh` and its weights, pairs of int16 as those of `column_weight`, (pairs,
        row_out, 4). `begin_of`, (row_out,), is where in a row a group's window begins. Of `pick`, (words / 2, row_out,
        4), the hexadecimal digits say for each tap which byte of a half of the window is its sample, then whose.
        """
        first = first_column(groups)
        if first >= row_out:
            return
        begins = registers(uint32(0), groups)
        picks = registers(uint32(0), all_picks)
        weights = registers(int32(0), all_weights)
        load_vector(begins, 0, begin_of, first, groups)
        for s in range(words // 2):
            load_vector(picks, s * lanes, pick, uint32(uint32(uint32(uint32(s) * row_out) + first) * uint32(4)), lanes)
        for s in range(taps // 2):
            place = uint32(uint32(uint32(uint32(s) * row_out) + first) * uint32(4))
            load_vector(weights, s * lanes, column_weight, place, lanes)
        window = registers(uint32(0), all_words)
        samples, columns = registers(uint32(0), lanes), registers(uint32(0), lanes)
        sums = registers(int32(0), lanes)
        entry, values = registers(uint32(0), 4), registers(uint32(0), groups)
        half, zero = first_total(int32(0), column_precision), first_total(int32(0), row_precision)
        begin = uint32(first_row() * segment)
        while begin < n_out:
            end = uint32(begin + segment) if uint32(n_out - begin) > segment else n_out
            plane = first_plane()
            while plane < planes:
                source, target = after(src, int64(plane) * plane_in), after(dst, int64(plane) * plane_out)
                y, t = begin, uint32(taps)
                while y < end:
                    if t > uint32(0):
                        place = load(row_place, uint32(uint32(uint32(y + uint32(1)) * uint32(taps)) - t))
                        for g in range(groups):
                            read_words(window, g * words, source, uint32(place + begins[g]), words)
                        # one step after the other, as only short loops are unrolled
                        for g in range(groups):
                            for k in range(4 * g, 4 * g + 4):
                                samples[k] = chosen(window[g * words], window[g * words + 1], picks[k])
                        if words > 2:
                            for g in range(groups):
                                for k in range(4 * g, 4 * g + 4):
                                    others = chosen(window[g * words + 2], window[g * words + 3], picks[k])
                                    samples[k] = chosen(samples[k], others, picks[lanes + k])
                        for k in range(lanes):
                            sums[k] = dot_low(weights[k], samples[k], half)
                        if taps > 2:
                            for k in range(lanes):
                                sums[k] = dot_high(weights[lanes + k], samples[k], sums[k])
                        pack(values, sums, column_precision, groups)
                        for k in range(lanes):
                            columns[k] = chosen(columns[k], values[k >> 2], uint32(0x4321 + ((k & 3) << 12)))
                        t = uint32(t - uint32(1))
                    if t == uint32(0):
                        load_vector(entry, 0, row_entry, uint32(y * uint32(4)), 4)
                        for k in range(lanes):
                            sums[k] = dot_high(entry[taps // 2], columns[k], zero)
                        if taps > 2:
                            for k in range(lanes):
                                sums[k] = dot_low(entry[1], columns[k], sums[k])
                        pack(values, sums, row_precision, groups)
                        store_vector(target, uint32(uint32(y * row_out) + first), values, groups)
                        t, y = entry[0], uint32(y + uint32(1))
                plane = uint32(plane + planes_side_by_side())
            begin = uint32(begin + uint32(rows_side_by_side() * segment))

    return contract


contract_bytes_2_1_2, contract_bytes_2_2_2, contract_bytes_2_4_2, contract_bytes_2_1_4, contract_bytes_2_2_4 = (
    _contract_bytes(2, *shape) for shape in GROUPS_AND_WORDS
)
contract_bytes_4_1_2, contract_bytes_4_2_2, contract_bytes_4_4_2, contract_bytes_4_1_4, contract_bytes_4_2_4 = (
    _contract_bytes(4, *shape) for shape in GROUPS_AND_WORDS
)
