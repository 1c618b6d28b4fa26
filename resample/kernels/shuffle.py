"""The kernel of pixel shuffle and unshuffle: source text that Numba compiles, as `loops`."""

from __future__ import annotations

from numba.extending import register_jitable

from resample.kernels.pages import clear_onward
from resample.kernels.past import piece, write_past
from resample.kernels.simd import lanes, place_of, unweave, weave
from resample.kernels.sizes import HUGE_PAGE, VECTOR


@register_jitable(inline="always")  # before LLVM sees it, which then vectorises each call for its own strides
def move(dst, to, to_n, to_r, src, source, source_n, source_r, n, r):
    """Copy n x r values between two strided places."""
    for i in range(n):
        for j in range(r):
            dst[to + i * to_n + j * to_r] = src[source + i * source_n + j * source_r]


def _of_rows(count):
    """Return what weaves `count` rows of n values into one row, or does the reverse."""

    @register_jitable
    def move_rows(weaves, dst, to, to_r, src, source, source_r, n):
        if n < lanes(src) and weaves:
            move(dst, to, count, 1, src, source, 1, source_r, n, count)
        elif n < lanes(src):
            move(dst, to, 1, to_r, src, source, count, 1, n, count)
        else:
            for column in range(0, n, lanes(src)):
                i = min(column, n - lanes(src))
                if weaves:
                    weave(dst, to + i * count, src, source + i, source_r, count)
                else:
                    unweave(dst, to + i, to_r, src, source + i * count, count)

    return move_rows


_two_rows, _three_rows, _four_rows = (_of_rows(count) for count in (2, 3, 4))


def rearrange(dst, src, sizes, to_strides, source_strides, staging, low, high):
    """Copy between two strided arrays of six axes and equal `sizes`; values are opaque units.

    The first four axes count the rows, of which `low:high` are copied; the last, short one is the phase j of
    w * r + j, so that rows of r planes are woven into one row or one row is unwoven into r. Where there is a
    buffer `staging`, rows are woven, lie one behind the other, are made there and written past the caches.
    """
    past = place_of(staging, 0) != 0
    n, r = sizes[4], sizes[5]
    to_n, to_r = to_strides[4], to_strides[5]
    source_n, source_r = source_strides[4], source_strides[5]
    weaves = to_n == r and to_r == 1 and source_n == 1
    in_rows = weaves or (source_n == r and source_r == 1 and to_n == 1)
    end = sizes[0] * sizes[1] * sizes[2] * sizes[3] * n * r
    row = low
    while row < high:
        rest, last = row // sizes[3], row % sizes[3]
        i, j, k = rest // (sizes[1] * sizes[2]), rest // sizes[2] % sizes[1], rest % sizes[2]
        to = i * to_strides[0] + j * to_strides[1] + k * to_strides[2] + last * to_strides[3]
        source = i * source_strides[0] + j * source_strides[1] + k * source_strides[2] + last * source_strides[3]
        if weaves:
            clear_onward(dst, to, to_strides[2], end)
        elif k == 0 and last == 0 and to_strides[1] * VECTOR <= 4 * HUGE_PAGE * lanes(dst):
            # all planes that this one is unwoven into; of larger ones it would be memory that others come to first
            clear_onward(dst, to, to_strides[1], end)
        for _ in range(min(sizes[3] - last, high - row)):
            column = 0
            while column < n:
                out, at, behind = piece(dst, to + column * r, staging, column * r, n * r, lanes(dst) * r)
                until = behind // r
                start, length = source + column * source_n, until - column
                if in_rows and r == 2:
                    _two_rows(weaves, out, at, to_r, src, start, source_r, length)
                elif in_rows and r == 3:
                    _three_rows(weaves, out, at, to_r, src, start, source_r, length)
                elif in_rows and r == 4:
                    _four_rows(weaves, out, at, to_r, src, start, source_r, length)
                elif n < r:
                    move(out, at, to_n, to_r, src, start, source_n, source_r, length, r)
                else:
                    move(out, at, to_r, to_n, src, start, source_r, source_n, r, length)
                if past:
                    is_first, is_last = row == low and column == 0, row + 1 == high and until == n
                    write_past(dst, to + column * r, staging, at + length * r, is_first, is_last)
                column = until
            row += 1
            to += to_strides[3]
            source += source_strides[3]
