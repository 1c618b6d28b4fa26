"""The plain kernels: source text that Numba compiles, one function an idea.

This module is imported only to compile; later processes load the object code (see `store`). Arrays are flat pointers
of C-contiguous data viewed as (outer, n, inner); a kernel computes the rows `outer_low:outer_high` of that view and
the table rows `low:high` of the axis. Nothing is allocated, nothing raises, everything is in bounds by the table.
"""

from __future__ import annotations

from resample.kernels.simd import first_total, multiply_add, rounded, second_first, totals
from resample.kernels.sizes import SHORT_INNER


def select(
    dst, src, start,
    n_in, n_out, inner, outer_low, outer_high, low, high,
):  # fmt: skip
    """Copy one sample to each output; values are opaque units of 1, 2, 4 or 8 bytes, `inner` of them a sample."""
    for a in range(outer_low, outer_high):
        for o in range(low, high):
            to = (a * n_out + o) * inner
            source = (a * n_in + start[o]) * inner
            if inner == 3:  # a loop of so few turns costs more than it does
                dst[to] = src[source]
                dst[to + 1] = src[source + 1]
                dst[to + 2] = src[source + 2]
            else:
                for i in range(inner):
                    dst[to + i] = src[source + i]


def contract_pixels(
    dst, src, start, length, weight, n_taps, precision,
    n_in, n_out, inner, outer_low, outer_high, low, high,
):  # fmt: skip
    """Sum weighted samples for an `inner` below SHORT_INNER, such as the channels of a pixel.

    Two and four taps, which is all of bilinear and bicubic but for edges, are written out: 4 and 6 times faster for
    three channels of bytes than a loop over taps within one over channels, 2 times faster than the loops below.
    """
    block = totals(weight, SHORT_INNER)
    for a in range(outer_low, outer_high):
        for o in range(low, high):
            to = (a * n_out + o) * inner
            source = (a * n_in + start[o]) * inner
            taps = length[o]
            row = o * n_taps
            if taps == 2:
                w0, w1 = weight[row], weight[row + 1]
                for i in range(inner):
                    total = multiply_add(src[source + inner + i], w1, first_total(weight, precision))
                    dst[to + i] = rounded(multiply_add(src[source + i], w0, total), precision)
            elif taps == 4:
                w0, w1, w2, w3 = weight[row], weight[row + 1], weight[row + 2], weight[row + 3]
                for i in range(inner):
                    total = multiply_add(src[source + inner + i], w1, first_total(weight, precision))
                    total = multiply_add(src[source + i], w0, total)
                    total = multiply_add(src[source + 2 * inner + i], w2, total)
                    dst[to + i] = rounded(multiply_add(src[source + 3 * inner + i], w3, total), precision)
            else:
                for i in range(inner):
                    block[i] = first_total(weight, precision)
                for k in range(taps):
                    t = second_first(k, taps)
                    w = weight[row + t]
                    for i in range(inner):
                        block[i] = multiply_add(src[source + t * inner + i], w, block[i])
                for i in range(inner):
                    dst[to + i] = rounded(block[i], precision)


def contract_rows(
    dst, src, start, length, weight, n_taps, precision,
    n_in, n_out, inner, outer_low, outer_high, low, high,
):  # fmt: skip
    """Sum weighted samples as `contract_pixels`, in blocks of a long `inner` whose running sums stay in cache."""
    block = totals(weight, 512)
    for a in range(outer_low, outer_high):
        for o in range(low, high):
            taps = length[o]
            for begin in range(0, inner, 512):
                width = inner - begin if inner - begin < 512 else 512
                to = (a * n_out + o) * inner + begin
                for i in range(width):
                    block[i] = first_total(weight, precision)
                for k in range(taps):
                    t = second_first(k, taps)
                    w = weight[o * n_taps + t]
                    source = (a * n_in + start[o] + t) * inner + begin
                    for i in range(width):
                        block[i] = multiply_add(src[source + i], w, block[i])
                for i in range(width):
                    dst[to + i] = rounded(block[i], precision)
