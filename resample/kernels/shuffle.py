"""The kernel of pixel shuffle and unshuffle: source text that Numba compiles, as `loops`."""

from __future__ import annotations

from numba.extending import register_jitable


@register_jitable(inline="always")  # before LLVM sees it, which then vectorises each call for its own strides
def move(dst, to, to_n, to_r, src, source, source_n, source_r, n, r):
    """Copy n x r values between two strided places."""
    for i in range(n):
        for j in range(r):
            dst[to + i * to_n + j * to_r] = src[source + i * source_n + j * source_r]


def rearrange(dst, src, sizes, to_strides, source_strides, low, high):
    """Copy between two strided arrays of six axes and equal `sizes`; values are opaque units.

    The first four axes count the rows, of which `low:high` are copied; the last, short one is the phase j of
    w * r + j, so that rows of r planes are woven into one row or one row is unwoven into r.
    """
    n, r = sizes[4], sizes[5]
    to_n, to_r = to_strides[4], to_strides[5]
    source_n, source_r = source_strides[4], source_strides[5]
    weaves = to_n == r and to_r == 1 and source_n == 1
    unweaves = source_n == r and source_r == 1 and to_n == 1
    to = source = 0
    for row in range(low, high):
        # divisions only where a row does not follow the one before; a loop over the fourth axis is slower, as LLVM
        # then looks for overlaps of the whole loop instead of the row
        last = row % sizes[3]
        if row > low and last:
            to += to_strides[3]
            source += source_strides[3]
        else:
            rest = row // sizes[3]
            i, j, k = rest // (sizes[1] * sizes[2]), rest // sizes[2] % sizes[1], rest % sizes[2]
            to = i * to_strides[0] + j * to_strides[1] + k * to_strides[2] + last * to_strides[3]
            source = i * source_strides[0] + j * source_strides[1] + k * source_strides[2] + last * source_strides[3]
        if weaves and r == 2:
            move(dst, to, 2, 1, src, source, 1, source_r, n, 2)
        elif weaves and r == 3:
            move(dst, to, 3, 1, src, source, 1, source_r, n, 3)
        elif weaves and r == 4:
            move(dst, to, 4, 1, src, source, 1, source_r, n, 4)
        elif unweaves and r == 2:
            move(dst, to, 1, to_r, src, source, 2, 1, n, 2)
        elif unweaves and r == 3:
            move(dst, to, 1, to_r, src, source, 3, 1, n, 3)
        elif unweaves and r == 4:
            move(dst, to, 1, to_r, src, source, 4, 1, n, 4)
        else:
            move(dst, to, to_n, to_r, src, source, source_n, source_r, n, r)
