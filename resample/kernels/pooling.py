"""The kernels of max-pooling and unpooling: source text that Numba compiles, as `loops`.

`extent` is a table of six rows of three, one column for each of the axes depth, height and width: input size, output
size, kernel size, stride, padding, dilation. Pooling computes the rows `low:high` of the output, a row being all
outputs of one plane, depth and height.

A window is scanned in row-major order, and a value replaces the best one so far if it is larger or NaN: the first of
equal maxima stays, the last NaN wins. A window that only touches padding keeps `least` and the index of its first
place that is not before the plane. Dilation can step over a plane, so that there is such a window.
"""

from __future__ import annotations

from numba.extending import register_jitable

from resample.kernels.simd import either


@register_jitable
def first_inside(start, step):
    """Return the least k >= 0 with start + k * step >= 0."""
    return (step - 1 - start) // step if start < 0 else 0


@register_jitable
def end_inside(start, step, size, count):
    """Return the least k >= 0 with start + k * step >= size, at most `count`."""
    return min(count, (size - start + step - 1) // step) if start < size else 0


@register_jitable
def corner_of_row(extent, row):
    """Return where the plane of an output row begins in `src`, and the depth and height where its windows do."""
    size, rest = extent[0] * extent[1] * extent[2], row // extent[4]
    d, h = rest % extent[3] * extent[9] - extent[12], row % extent[4] * extent[10] - extent[13]
    return rest // extent[3] * size, d, h


@register_jitable(inline="always")  # before LLVM sees it, which then vectorises each call for its own steps
def keep_larger(best, where, to, src, source, step, index, index_step, length):
    """Put those of `length` values, `step` apart, that win over the best ones so far in their place."""
    for i in range(length):
        value = src[source + i * step]
        wins = (value > best[to + i]) | (value != value)
        best[to + i] = either(wins, value, best[to + i])
        where[to + i] = either(wins, index + i * index_step, where[to + i])


def _keep_largest(count):
    """Return what does so for the `count` neighbours of each of `length` windows side by side, first to last."""

    @register_jitable
    def keep_largest(best, where, to, src, source, index, length):
        for i in range(length):
            largest, place = best[to + i], where[to + i]
            for k in range(count):
                value = src[source + i * count + k]
                wins = (value > largest) | (value != value)
                largest = either(wins, value, largest)
                place = either(wins, index + i * count + k, place)
            best[to + i] = largest
            where[to + i] = place

    return keep_largest


keep_largest_of_2, keep_largest_of_3 = _keep_largest(2), _keep_largest(3)


def max_planes(best, where, src, least, extent, low, high):
    """Write the maxima and their indices of planes (n, depth, height, width), one tap at a time over a row."""
    height, width, out_width = extent[1], extent[2], extent[5]
    kernel_w, stride_w, padding_w, dilation_w = extent[8], extent[11], extent[14], extent[17]
    dilation_d, dilation_h = extent[15], extent[16]
    tiles = kernel_w == stride_w and padding_w == 0 and dilation_w == 1 and out_width * kernel_w <= width
    for row in range(low, high):
        plane, d, h = corner_of_row(extent, row)
        first_d, end_d = first_inside(d, dilation_d), end_inside(d, dilation_d, extent[0], extent[6])
        first_h, end_h = first_inside(h, dilation_h), end_inside(h, dilation_h, height, extent[7])
        last_w = (out_width - 1) * stride_w - padding_w
        first_w, end_w = first_inside(last_w, dilation_w), end_inside(-padding_w, dilation_w, width, kernel_w)
        to = row * out_width
        corner = ((d + first_d * dilation_d) * height + h + first_h * dilation_h) * width
        for o in range(out_width):
            w = o * stride_w - padding_w
            best[to + o] = least[0]
            where[to + o] = corner + w + first_inside(w, dilation_w) * dilation_w
        for i in range(first_d, end_d):
            for j in range(first_h, end_h):
                line = ((d + i * dilation_d) * height + h + j * dilation_h) * width
                if tiles and kernel_w == 2:  # literals let LLVM shuffle whole vectors
                    keep_largest_of_2(best, where, to, src, plane + line, line, out_width)
                    continue
                if tiles and kernel_w == 3:
                    keep_largest_of_3(best, where, to, src, plane + line, line, out_width)
                    continue
                for k in range(first_w, end_w):
                    w = k * dilation_w - padding_w
                    first = first_inside(w, stride_w)
                    length = end_inside(w, stride_w, width, out_width) - first
                    index = line + w + first * stride_w
                    if stride_w == 2:  # a literal lets LLVM shuffle whole vectors
                        keep_larger(best, where, to + first, src, plane + index, 2, index, 2, length)
                    else:
                        keep_larger(best, where, to + first, src, plane + index, stride_w, index, stride_w, length)


def max_channels(best, where, src, least, extent, channels, low, high):
    """Write the same for (n, depth, height, width, channels), one window at a time over the channels."""
    height, width, out_width = extent[1], extent[2], extent[5]
    kernel_w, stride_w, padding_w, dilation_w = extent[8], extent[11], extent[14], extent[17]
    dilation_d, dilation_h = extent[15], extent[16]
    for row in range(low, high):
        plane, d, h = corner_of_row(extent, row)
        first_d, end_d = first_inside(d, dilation_d), end_inside(d, dilation_d, extent[0], extent[6])
        first_h, end_h = first_inside(h, dilation_h), end_inside(h, dilation_h, height, extent[7])
        corner = ((d + first_d * dilation_d) * height + h + first_h * dilation_h) * width
        for o in range(out_width):
            w = o * stride_w - padding_w
            first_w, end_w = first_inside(w, dilation_w), end_inside(w, dilation_w, width, kernel_w)
            to = (row * out_width + o) * channels
            for c in range(channels):
                best[to + c] = least[0]
                where[to + c] = corner + w + first_w * dilation_w
            for i in range(first_d, end_d):
                for j in range(first_h, end_h):
                    line = ((d + i * dilation_d) * height + h + j * dilation_h) * width
                    for k in range(first_w, end_w):
                        index = line + w + k * dilation_w
                        keep_larger(best, where, to, src, (plane + index) * channels, 1, index, 0, channels)


def place_planes(dst, src, index, invalid, n_out, n_in, low, high):
    """Fill planes `low:high` of (n, n_out) with zeros, then put (n, n_in) values in their places, in order.

    An index that is not in range(n_out) is skipped, and `invalid` of its plane set to 1.
    """
    for plane in range(low, high):
        to = plane * n_out
        for i in range(n_out):
            dst[to + i] = 0
        for i in range(plane * n_in, (plane + 1) * n_in):
            k = index[i]
            if 0 <= k < n_out:
                dst[to + k] = src[i]
            else:
                invalid[plane] = 1


def place_channels(dst, src, index, invalid, n_out, n_in, channels, outer, low, high):
    """Do the same for channels `low:high` of (outer, n_out, channels) and (outer, n_in, channels)."""
    for a in range(outer):
        for i in range(a * n_out, (a + 1) * n_out):
            for c in range(low, high):
                dst[i * channels + c] = 0
        for i in range(a * n_in, (a + 1) * n_in):
            for c in range(low, high):
                k = index[i * channels + c]
                if 0 <= k < n_out:
                    dst[(a * n_out + k) * channels + c] = src[i * channels + c]
                else:
                    invalid[c] = 1
