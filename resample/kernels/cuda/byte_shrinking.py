"""The kernels that sum bytes where the height shrinks: `sums.contract_down_*` with four samples in a register.

Source rows are taken four at a time. Of each, four taps are read as words and multiplied two at a time; what the rows
become along the width are bytes again, as on the CPU, and are four taps of the height in one register.
"""

from __future__ import annotations

from numba import int32, int64, njit, uint32

from resample.kernels.cuda.constants import LIVE_OF_FOUR
from resample.kernels.cuda.memory import (
    after,
    as_words,
    chosen,
    clamped,
    dot_high,
    dot_low,
    first_total,
    load,
    load_vector,
    place_in_word,
    registers,
    shifted,
    store,
)
from resample.kernels.cuda.sums import first_column, first_plane, first_row

# values of a thread: channels of a pixel, and neighbouring pixels, which share a window of the source row
CHANNELS_AND_PIXELS = [(1, 1), (1, 4), (2, 1), (3, 1), (4, 1)]


def _one_channel(pixels):
    """Return what adds four taps, (1,) words, to the sums of neighbouring pixels; weights are (pixels, 2) pairs."""

    @njit(inline="always")
    def add(sums, at, window, first, weights):
        for k in range(pixels):
            sums[at + k] = dot_low(weights[2 * k], window[first], sums[at + k])
            sums[at + k] = dot_high(weights[2 * k + 1], window[first], sums[at + k])

    return add


def _channels(channels):
    """Return what adds four taps of interleaved channels, (channels,) words, to the sums of a pixel."""

    @njit(inline="always")
    def add(sums, at, window, first, weights):
        for p in range(2):
            for c in range(0, channels, 2):
                # two taps of two channels; of the last word there is no next one
                i = 2 * p * channels + c
                a = i >> 2
                b = a + 1 if a + 1 < channels else a
                pick = uint32((i & 3) * 0x1111 + (channels << 4) + 0x100 + ((channels + 1) << 12))
                pairs = chosen(window[first + a], window[first + b], pick)
                sums[at + c] = dot_low(weights[p], pairs, sums[at + c])
                if c + 1 < channels:
                    sums[at + c + 1] = dot_high(weights[p], pairs, sums[at + c + 1])

    return add


def _shrink_bytes(channels, pixels, live):
    """Return the kernel for `pixels` pixels a thread, at no four rows of which more than `live` outputs wait."""
    values = channels * pixels
    all_sums, all_totals, all_words = 4 * values, live * values, 4 * channels
    all_weights, all_row_weights = 2 * pixels, 2 * live
    all_done = live + 3 & ~3  # whole vectors
    add = _one_channel(pixels) if channels == 1 else _channels(channels)

    @njit(inline="always")
    def write(target, totals, at, precision):
        for v in range(values):
            totals[at + v] = shifted(totals[at + v], precision)
        if values == 4:
            upper = clamped(totals[at + 3], totals[at + 2], uint32(0))
            store(as_words(target), uint32(0), clamped(totals[at + 1], totals[at], upper))
        else:
            for v in range(values):
                store(target, uint32(v), clamped(int32(0), totals[at + v], uint32(0)))

    @njit(inline="always")
    def add_rows(totals, v, row_weights, sums):
        rows = clamped(sums[3 * values + v], sums[2 * values + v], uint32(0))
        rows = clamped(sums[values + v], sums[v], rows)
        for k in range(live):
            totals[k * values + v] = dot_low(row_weights[2 * k], rows, totals[k * values + v])
        for k in range(live):
            totals[k * values + v] = dot_high(row_weights[2 * k + 1], rows, totals[k * values + v])

    @njit(inline="always")
    def finish(target, totals, done, slot, y, count, n_out, row_out, zero, precision):
        for k in range(slot, slot + 2):
            if done[k] < n_out:
                if uint32(done[k] - y) < count:
                    place = int64(uint32(done[k] * uint32(row_out * uint32(values))))
                    write(after(target, place), totals, k * values, precision)
                for v in range(values):
                    totals[k * values + v] = zero

    def shrink(
        dst, src, begin, end, row_place, row_weight, row_done, column_place, column_weight,
        steps, row_in, n_out, row_out, planes, plane_in, plane_out, segment, row_precision, column_precision,
    ):  # fmt: skip
        """Resample planes to (n_out, row_out), where `row_out` counts threads, each of which walks down `segment` rows.

        Source rows are taken by fours. Output row y needs those from `begin[y]` to before `end[y]`, and is summed in
        slot y % live. Of four rows, `row_place`, (fours, 4), says where they begin, in words behind the first four;
        `row_weight`, (fours, live, 2), has for each slot their weights, as pairs of int16; `row_done`, (fours, live and
        what fills a vector), says which output row they complete, n_out if none. Of `steps` times four taps of the
        width, which begin `column_place` bytes behind a row, `column_weight`, (steps, row_out, pixels, 2), has pairs.
        """
        first = first_column(1)
        plane, y = first_plane(), uint32(first_row() * segment)
        if first >= row_out or plane >= planes or y >= n_out:
            return
        count = segment if uint32(n_out - y) > segment else uint32(n_out - y)
        target = after(dst, int64(plane) * plane_out + int64(uint32(first * uint32(values))))
        column = after(src, int64(plane) * plane_in + int64(load(column_place, first)))
        firsts, nexts, words = registers(as_words(src), 4), registers(as_words(src), 4), registers(as_words(src), 4)
        kept, picks, window = registers(uint32(0), 4), registers(uint32(0), 4), registers(uint32(0), all_words)
        sums, totals = registers(int32(0), all_sums), registers(int32(0), all_totals)
        weights, row_weights = registers(int32(0), all_weights), registers(int32(0), all_row_weights)
        places, done = registers(uint32(0), 4), registers(uint32(0), all_done)
        half, zero = first_total(int32(0), column_precision), first_total(int32(0), row_precision)
        for k in range(all_totals):
            totals[k] = zero
        for r in range(4):
            line = after(column, int64(uint32(uint32(r) * row_in)))
            # the word that the first bytes end in and, where they fill one, again that: no pick takes from the first
            before = place_in_word(after(line, int64(-1)))
            firsts[r] = as_words(after(line, -int64(place_in_word(line))))
            nexts[r] = as_words(after(line, int64(3) - int64(before)))
            picks[r] = uint32(uint32(0x4321) + uint32(before * uint32(0x1111)))
        four, last = load(begin, y), load(end, uint32(y + uint32(count - uint32(1))))
        while four < last:
            load_vector(places, 0, row_place, uint32(four * uint32(4)), 4)
            for r in range(4):
                kept[r] = load(firsts[r], places[r])
                words[r] = after(nexts[r], int64(places[r]))
            for k in range(all_sums):
                sums[k] = half
            tap, t = first, uint32(0)
            more = True
            while more:
                load_vector(weights, 0, column_weight, uint32(tap * uint32(all_weights)), all_weights)
                for r in range(4):
                    for k in range(channels):
                        word = load(words[r], uint32(k))
                        window[channels * r + k] = chosen(kept[r], word, picks[r])
                        kept[r] = word
                    words[r] = after(words[r], int64(channels))
                add(sums, 0, window, 0, weights)
                add(sums, values, window, channels, weights)
                add(sums, 2 * values, window, 2 * channels, weights)
                add(sums, 3 * values, window, 3 * channels, weights)
                tap, t = uint32(tap + row_out), uint32(t + uint32(1))
                more = t < steps
            for k in range(all_sums):
                sums[k] = shifted(sums[k], column_precision)
            load_vector(row_weights, 0, row_weight, uint32(four * uint32(all_row_weights)), all_row_weights)
            load_vector(done, 0, row_done, uint32(four * uint32(all_done)), all_done)
            # calls and no loops, as only short ones are unrolled
            add_rows(totals, 0, row_weights, sums)
            if values > 1:
                add_rows(totals, 1, row_weights, sums)
            if values > 2:
                add_rows(totals, 2, row_weights, sums)
            if values > 3:
                add_rows(totals, 3, row_weights, sums)
            finish(target, totals, done, 0, y, count, n_out, row_out, zero, row_precision)
            finish(target, totals, done, 2, y, count, n_out, row_out, zero, row_precision)
            if live > 4:
                finish(target, totals, done, 4, y, count, n_out, row_out, zero, row_precision)
            if live > 6:
                finish(target, totals, done, 6, y, count, n_out, row_out, zero, row_precision)
            if live > 8:
                finish(target, totals, done, 8, y, count, n_out, row_out, zero, row_precision)
            four = uint32(four + uint32(1))

    return shrink


shrink_bytes_1_1_4, shrink_bytes_1_1_6, shrink_bytes_1_1_8, shrink_bytes_1_1_10 = (
    _shrink_bytes(1, 1, live) for live in LIVE_OF_FOUR
)
shrink_bytes_1_4_4, shrink_bytes_1_4_6, shrink_bytes_1_4_8, shrink_bytes_1_4_10 = (
    _shrink_bytes(1, 4, live) for live in LIVE_OF_FOUR
)
shrink_bytes_2_1_4, shrink_bytes_2_1_6, shrink_bytes_2_1_8, shrink_bytes_2_1_10 = (
    _shrink_bytes(2, 1, live) for live in LIVE_OF_FOUR
)
shrink_bytes_3_1_4, shrink_bytes_3_1_6, shrink_bytes_3_1_8, shrink_bytes_3_1_10 = (
    _shrink_bytes(3, 1, live) for live in LIVE_OF_FOUR
)
shrink_bytes_4_1_4, shrink_bytes_4_1_6, shrink_bytes_4_1_8, shrink_bytes_4_1_10 = (
    _shrink_bytes(4, 1, live) for live in LIVE_OF_FOUR
)
