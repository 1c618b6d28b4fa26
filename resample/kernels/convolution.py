"""Kernels of the transposed convolution: source text that Numba compiles, as `loops`.

Along one axis output o receives tap k of input i where `o + padding == stride * i + dilation * k`. So the outputs of
one phase, `o % stride`, are a convolution of stride 1 with the taps of that phase: with `q = o // stride`, each reads
the inputs `q + shift`, one shift a tap. Every output is written once, by whoever owns it.

`correlate_*` take an input with zeros around it. Then a tap is one offset into flat memory, for many rows of outputs at
once, seams between them included: the sums there are computed and dropped. `gather` takes the products of all taps
from a matrix multiplication and adds up those of each output.
"""

from __future__ import annotations

from numba.extending import register_jitable

from resample.kernels.simd import accumulate, after, begin, block, finish, lanes, resume
from resample.kernels.sizes import RUN


def _correlation(channels, vectors):
    def correlate(
        dst, src, weight, bias, weights, totals,
        first, taps, offset, place, steps, length, out, stride,
        images, groups, in_channels, out_channels, volume, together, rows, columns, pitch, low, high,
    ):  # fmt: skip
        """Compute the outputs of the items `low:high`; an item is a chunk of the steps q for a block of channels.

        `src` is (group, channel, d, image, h, w), of `length` along d, h and w; `dst` (image, group, channel, d, h, w),
        of size `out`. Per axis: `steps`, how many q there are, and `stride`. A chunk is `rows` by `columns` steps of
        one d; its rows may be of several images.

        The sums of a phase have its `taps` for each input channel; their terms begin at `first`. Per term: `offset`
        into `src`, and `place` of its weight for the first channel of a block, among those of `together` input
        channels, whose terms are summed at a time; that of the next channel lies `volume`, the size of the kernel,
        behind.

        `weights` and `totals` are scratch: the biases of a block, zeros, and the weights for `together` input channels;
        and `pitch` values for each phase and channel of a block.
        """
        sums = block(dst, channels, vectors)
        tile = vectors * lanes(dst)
        factors = after(weights, 2 * channels)
        blocks = (out_channels + channels - 1) // channels
        tall = (images - 1) * length[1] + steps[1]
        row_chunks = (tall + rows - 1) // rows
        column_chunks = (steps[2] + columns - 1) // columns
        planes = stride[1] * stride[2]
        copied = -1
        for item in range(low, high):
            # one block after the other: they read the same samples, which are still in the second level
            owner, rest = item % (groups * blocks), item // (groups * blocks)
            column, rest = rest % column_chunks * columns, rest // column_chunks
            row, d = rest % row_chunks * rows, rest // row_chunks
            group, c0 = owner // blocks, owner % blocks * channels
            valid = min(channels, out_channels - c0)
            height, width = min(rows, tall - row), min(columns, steps[2] - column)
            needed = (height - 1) * length[2] + width
            plane = (group * in_channels * length[0] + d) * images * length[1]
            source = (plane + row) * length[2] + column
            inside = min(stride[0], out[0] - stride[0] * d) * planes
            for c in range(channels):
                weights[c] = bias[group * out_channels + c0 + c] if c < valid else 0
                weights[channels + c] = 0
            for ci in range(0, in_channels, together):
                count = min(together, in_channels - ci)
                if copied != owner or count < in_channels:
                    # as they lie: to put those of a tap side by side takes longer than to read them one by one
                    copied = owner
                    for k in range(count):
                        of = after(weight, ((group * in_channels + ci + k) * out_channels + c0) * volume)
                        to = after(factors, k * channels * volume)
                        for i in range(valid * volume):
                            to[i] = of[i]
                        for i in range(valid * volume, channels * volume):
                            to[i] = 0
                for begins in range(0, needed, tile):
                    # all phases of a tile read the same samples, which are still in the first level
                    samples = after(src, source + begins)
                    for phase in range(inside):
                        opens = first[phase] + ci * taps[phase]
                        closes = opens + count * taps[phase]
                        if opens == closes and ci > 0:
                            continue
                        to = after(totals, phase * channels * pitch + begins)
                        for run in range(opens, max(closes, opens + 1), RUN):
                            more = ci > 0 or run > opens
                            begin(sums, after(weights, more * channels), channels, vectors)
                            for e in range(run, min(run + RUN, closes)):
                                sample, factor = after(samples, offset[e]), after(factors, place[e])
                                accumulate(sums, sample, factor, volume, channels, vectors)
                            if more:
                                resume(sums, to, pitch, channels, vectors)
                            finish(sums, to, pitch, channels, vectors)
            for phase_d in range(stride[0]):
                od = stride[0] * d + phase_d
                if od >= out[0]:
                    continue
                for phase_h in range(stride[1]):
                    phase = (phase_d * stride[1] + phase_h) * stride[2]
                    for h in range(height):
                        n, q = (row + h) // length[1], (row + h) % length[1]
                        oh = stride[1] * q + phase_h
                        if q >= steps[1] or oh >= out[1]:
                            continue
                        left = stride[2] * column
                        for c in range(valid):
                            channel = (n * groups + group) * out_channels + c0 + c
                            to = after(dst, ((channel * out[0] + od) * out[1] + oh) * out[2] + left)
                            of = after(totals, (phase * channels + c) * pitch + h * length[2])
                            write_phases(to, of, channels * pitch, stride[2], width, out[2] - left)

    return correlate


# the blocks of `sizes.BLOCKS`
correlate_1_8, correlate_2_8, correlate_3_8 = _correlation(1, 8), _correlation(2, 8), _correlation(3, 8)
correlate_4_6, correlate_8_3 = _correlation(4, 6), _correlation(8, 3)
correlate_1_4, correlate_2_3 = _correlation(1, 4), _correlation(2, 3)
correlate_3_2, correlate_6_1 = _correlation(3, 2), _correlation(6, 1)


@register_jitable
def write_phases(to, totals, length, stride, width, room):
    """Write `width` sums of each phase to a row, of which `room` outputs are left."""
    whole = min(width, room // stride)
    if stride == 2:
        for q in range(whole):
            to[2 * q] = totals[q]
            to[2 * q + 1] = totals[length + q]
    else:
        for phase in range(stride):
            for q in range(whole):
                to[stride * q + phase] = totals[phase * length + q]
    for phase in range(stride):
        for q in range(whole, width):
            if stride * q + phase < room:
                to[stride * q + phase] = totals[phase * length + q]


def gather(
    dst, products, bias, left, opens, closes, of_depth, of_height, kernel, size, out, stride,
    images, channels, distance, low, high,
):  # fmt: skip
    """Add up the products (channel, tap, image, position) of the output rows `low:high` of (image, channel, d, h).

    Per axis: `kernel`, `size` and `out`, lengths of the kernel, the input and the output. Images are `distance` values
    apart in `dst`. Tap k of w goes to `left[k] + stride * i` for the inputs i in `opens[k]:closes[k]`. Of the other
    axes, `of_depth` and `of_height` are (out, kernel): which input an output has by a tap, or -1. All that is looked
    up, not divided: that took 0.4 of the time of a short row.
    """
    oh, rest = low % out[1], low // out[1]
    od, rest = rest % out[0], rest // out[0]
    channel, n = rest % channels, rest // channels
    for _ in range(low, high):
        to = after(dst, n * distance + ((channel * out[0] + od) * out[1] + oh) * out[2])
        for o in range(out[2]):
            to[o] = bias[channel]
        for kd in range(kernel[0]):
            d = of_depth[od * kernel[0] + kd]
            if d < 0:
                continue
            for kh in range(kernel[1]):
                h = of_height[oh * kernel[1] + kh]
                if h < 0:
                    continue
                for kw in range(kernel[2]):
                    tap = ((channel * kernel[0] + kd) * kernel[1] + kh) * kernel[2] + kw
                    plane = (tap * images + n) * size[0] + d
                    line = after(products, (plane * size[1] + h) * size[2])
                    begins = left[kw]
                    for i in range(opens[kw], closes[kw]):
                        to[begins + stride * i] += line[i]
        oh += 1
        if oh == out[1]:
            oh = 0
            od += 1
        if od == out[0]:
            od = 0
            channel += 1
        if channel == channels:
            channel = 0
            n += 1
