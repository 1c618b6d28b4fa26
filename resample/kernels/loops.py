"""The plain kernels: source text that Numba compiles, one function an idea.

This module is imported only to compile; later processes load the object code (see `store`). Arrays are flat pointers
of C-contiguous data viewed as (outer, n, inner); a kernel computes the rows `outer_low:outer_high` of that view and
the table rows `low:high` of the axis. Nothing is allocated, nothing raises, everything is in bounds by the table.
"""

from __future__ import annotations

from numba.extending import register_jitable

from resample.kernels.pages import clear_onward
from resample.kernels.simd import first_total, load, multiply_add, rounded, second_first, store, totals
from resample.kernels.sizes import SHORT_INNER


@register_jitable
def _row_of(start, q, n_in, n_out, row_in):
    """Return where the row begins that is output row q of all planes, `n_out` a plane."""
    return (q // n_out * n_in + start[q % n_out]) * row_in


def _pick(width):
    """Return the kernel that copies samples of any type, as bytes, by moves of `width` of them."""

    @register_jitable
    def copy_row(dst, to, src, source, place, size, first, whole, chosen):
        """Copy the samples of a row from the first of these on."""
        if size <= width:
            for o in range(first, whole):
                store(dst, to + o * size, load(src, source + place[o], width))
            for o in range(whole, chosen):
                for i in range(size):
                    dst[to + o * size + i] = src[source + place[o] + i]
        else:
            for o in range(first, chosen):
                for i in range(0, size, width):
                    k = i if i + width <= size else size - width
                    store(dst, to + o * size + k, load(src, source + place[o] + k, width))

    def pick(dst, src, start, place, size, whole, chosen, n_in, n_out, row_in, low, high):
        """Copy the output rows `low:high` of all planes, `n_out` rows a plane.

        Output row o is row `start[o]` of its plane, and of that the `chosen` samples at `place`, of `size` bytes each.
        The first `whole` of them may be copied with the bytes behind them, which the next one then overwrites. Four
        rows at a time, if samples are short, share the places and wait for memory together.
        """
        row_out = chosen * size
        for q in range(low, high, 4):
            if size > width or q + 4 > high:
                for r in range(q, min(q + 4, high)):
                    clear_onward(dst, r * row_out, row_out, high * row_out)
                    source = _row_of(start, r, n_in, n_out, row_in)
                    copy_row(dst, r * row_out, src, source, place, size, 0, whole, chosen)
                continue
            a, b = _row_of(start, q, n_in, n_out, row_in), _row_of(start, q + 1, n_in, n_out, row_in)
            c, d = _row_of(start, q + 2, n_in, n_out, row_in), _row_of(start, q + 3, n_in, n_out, row_in)
            to, to_b, to_c, to_d = q * row_out, (q + 1) * row_out, (q + 2) * row_out, (q + 3) * row_out
            clear_onward(dst, to, 4 * row_out, high * row_out)
            for o in range(whole):
                at, sample = o * size, place[o]
                store(dst, to + at, load(src, a + sample, width))
                store(dst, to_b + at, load(src, b + sample, width))
                store(dst, to_c + at, load(src, c + sample, width))
                store(dst, to_d + at, load(src, d + sample, width))
            if whole < chosen:
                copy_row(dst, to, src, a, place, size, whole, whole, chosen)
                copy_row(dst, to_b, src, b, place, size, whole, whole, chosen)
                copy_row(dst, to_c, src, c, place, size, whole, whole, chosen)
                copy_row(dst, to_d, src, d, place, size, whole, whole, chosen)

    return pick


pick_1, pick_2, pick_4, pick_8, pick_16 = (_pick(width) for width in (1, 2, 4, 8, 16))


def average(
    dst, src, row,
    start_d, length_d, start_h, length_h, start_w, length_w,
    d_in, h_in, d_out, h_out, w_out, row_in, inner, low, high,
):  # fmt: skip
    """Write the means of boxes of (plane, d, h, w, inner) to the rows `low:high` of (plane, d, h).

    Rows are added up in `row`, which holds `row_in` values, then their columns; sums are float64 and rounded once.
    """
    for q in range(low, high):
        h, d, plane = q % h_out, q // h_out % d_out, q // (h_out * d_out)
        for i in range(row_in):
            row[i] = 0.0
        for a in range(start_d[d], start_d[d] + length_d[d]):
            for b in range(start_h[h], start_h[h] + length_h[h]):
                source = ((plane * d_in + a) * h_in + b) * row_in
                for i in range(row_in):
                    row[i] += src[source + i]
        rows = length_d[d] * length_h[h]
        for o in range(w_out):
            to = (q * w_out + o) * inner
            for i in range(inner):
                total = 0.0
                for k in range(start_w[o], start_w[o] + length_w[o]):
                    total += row[k * inner + i]
                dst[to + i] = total / (rows * length_w[o])


def contract_pixels(
    dst, src, start, length, weight, n_taps, precision,
    n_in, n_out, inner, low, high,
):  # fmt: skip
    """Sum weighted samples for an `inner` below SHORT_INNER, such as the channels of a pixel.

    Two and four taps, which is all of bilinear and bicubic but for edges, are written out: 4 and 6 times faster for
    three channels of bytes than a loop over taps within one over channels, 2 times faster than the loops below.
    """
    block = totals(weight, SHORT_INNER)
    for a in range(low // n_out, (high - 1) // n_out + 1):
        for o in range(max(0, low - a * n_out), min(n_out, high - a * n_out)):
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
    n_in, n_out, inner, low, high,
):  # fmt: skip
    """Sum weighted samples as `contract_pixels`, in blocks of a long `inner` whose running sums stay in cache."""
    block = totals(weight, 512)
    for a in range(low // n_out, (high - 1) // n_out + 1):
        for o in range(max(0, low - a * n_out), min(n_out, high - a * n_out)):
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
