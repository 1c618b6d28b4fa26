"""The kernels of the transposed convolution: source text that Numba compiles to PTX; `kernels.convolution`'s twin.

Along one axis output o receives tap k of sample i where `o + padding == stride * i + dilation * k`. Tables say for each
output its first tap, that tap's sample, and how many taps it has; its next tap is `tap_step` taps on and `sample_step`
samples back. Taps whose samples lie outside the axis are not counted: nothing is multiplied by a zero outside the
input, which would turn an infinite weight into NaN.

A thread has one column and several rows of a plane. Its rows are a multiple of the stride apart, so that they receive
the same taps, of samples that are `spread` rows apart. Neighbouring threads have neighbouring columns, of all phases,
so that their stores fill whole lines. Every sum has one owner and a fixed order: results are always the same.
"""

from __future__ import annotations

from numba import int64, njit, uint32

from resample.kernels.cuda.memory import (
    after,
    converted,
    load,
    load_vector,
    multiply_add,
    narrowed,
    registers,
    settled,
    store,
    widened,
)
from resample.kernels.cuda.sums import first_column, first_plane, first_row, rows_side_by_side


@njit(inline="always")
def read_entry(into, at, table, index, size):
    load_vector(into, at, table, uint32(uint32(index * uint32(size)) + uint32(at)), 4)


def pack(
    dst, weight, in_channels, out_channels, volume, width, channels, lanes, total,
):  # fmt: skip
    """Write weights (channel in, channel out, taps) as (block, line of taps, channel in, tap of a line, lane).

    A block is `channels` output channels of a group, whose weights of one tap lie together, filled up to `lanes`.
    `width` taps make a line, `volume` the kernel; `total` values are written. Channels are those of a group.
    """
    at = first_column(1)
    if at >= total:
        return
    rest = uint32(at // lanes)
    lane = uint32(at - uint32(rest * lanes))
    tap, rest = uint32(rest % width), uint32(rest // width)
    channel, rest = uint32(rest % in_channels), uint32(rest // in_channels)
    lines = uint32(volume // width)
    line, rest = uint32(rest % lines), uint32(rest // lines)
    blocks = uint32(uint32(out_channels + uint32(channels - uint32(1))) // channels)
    group, block = uint32(rest // blocks), uint32(rest % blocks)
    target = uint32(uint32(block * channels) + lane)
    value = converted(uint32(0), dst)
    if lane < channels and target < out_channels:
        row = uint32(uint32(uint32(group * in_channels) + channel) * out_channels)
        place = uint32(uint32(uint32(row + target) * volume) + uint32(uint32(line * width) + tap))
        value = widened(load(weight, place))
    store(dst, at, value)


def _adding(channels, rows, lanes, together, whole):
    """Return what adds `together` taps along the height, of all input channels, to `channels` x `rows` sums.

    `whole`: all samples are inside the input; else those that are not are left out.
    """
    padded, above = -(-channels // lanes) * lanes, together - 1
    n_samples, n_factors = rows + above, padded * together

    @njit(inline="always")
    def add(
        totals, source, start, y, height, width, plane, spread,
        taps, tap, kernel_w, in_channels, next_tap, more,
    ):  # fmt: skip
        """Add a tap whose first sample is at `start`, in row y, and if there is `more`, the one `next_tap` taps on.

        Its samples are those of the first, each of the sum a row further down, and one that lies above.
        """
        samples = registers(load(taps, uint32(0)), n_samples)
        factors = registers(load(taps, uint32(0)), n_factors)
        end = uint32(tap + uint32(in_channels * kernel_w))
        while tap != end:
            for t in range(together):
                if t == 0 or more:
                    for c in range(0, padded, lanes):
                        place = uint32(uint32(uint32(tap + uint32(uint32(t) * next_tap)) * uint32(padded)) + uint32(c))
                        load_vector(factors, t * padded + c, taps, place, lanes)
            # all loads before the first sum waits for one
            for r in range(n_samples):
                down = uint32(uint32(uint32(r) - uint32(above)) * spread)
                if (r >= above or more) and (whole or uint32(y + down) < height):
                    samples[r] = widened(load(source, uint32(start + uint32(down * width))))
            for t in range(together):
                if t == 0 or more:
                    for r in range(rows):
                        down = uint32(uint32(uint32(r) - uint32(t)) * spread)
                        if whole or uint32(y + down) < height:
                            for c in range(channels):
                                total, factor = totals[r * channels + c], factors[t * padded + c]
                                totals[r * channels + c] = multiply_add(samples[r + above - t], factor, total)
            source = after(source, plane)
            tap = uint32(tap + kernel_w)

    return add


def _correlation(channels, rows, lanes, together):
    """Return the kernel that sums `channels` x `rows` outputs a thread, and loads `lanes` weights at once.

    It takes `together` taps along the height at a time, 2 where the next tap's samples are `spread` rows up.
    """
    count = channels * rows
    add_all, add_inside = (_adding(channels, rows, lanes, together, whole) for whole in (True, False))

    def correlate(
        dst, src, weight, bias, columns, tiles, owners,
        kernel_h, kernel_w, tap_step_d, tap_step_h, tap_step_w, sample_step_d, sample_step_h, sample_step_w,
        height, width, plane, out_width, out_plane, n_tiles, spread, reach,
        in_channels, all_in, all_out, n_owners, planes, block_size, bias_step, tiles_before, planes_before,
    ):  # fmt: skip
        """Write the result, `planes` blocks of channels of all images, but those `before` a launch.

        `plane` and `out_plane` are the values of a channel; `weight` is what `pack` writes, `block_size` values a
        block. A `bias_step` of 0 stands for a bias of one number. The tables are of uint32:

        - `columns`, four for each column: 0, its first tap, that tap's sample, how many taps;
        - `tiles`, eight for each tile, whose rows are `reach` apart: the first row, how many rows; along the depth
          the first tap, its sample, how many taps, at least 1; along the height likewise, for all that any of the rows
          receives;
        - `owners`, four for each block of channels: the first input and output channel, how many output channels, 0.
        """
        column = first_column(1)
        tile, owner = uint32(tiles_before + first_row()), uint32(planes_before + first_plane())
        if column >= out_width or tile >= n_tiles or owner >= planes:
            return
        across, along, place = registers(uint32(0), 4), registers(uint32(0), 8), registers(uint32(0), 4)
        image = uint32(owner // n_owners)
        block = uint32(owner - uint32(image * n_owners))
        read_entry(across, 0, columns, column, 4)
        read_entry(along, 0, tiles, tile, 8)
        read_entry(along, 4, tiles, tile, 8)
        read_entry(place, 0, owners, block, 4)
        source = after(src, (int64(image) * int64(all_in) + int64(place[0])) * int64(plane))
        taps = after(weight, int64(block) * int64(block_size))
        totals = registers(load(weight, uint32(0)), count)
        for c in range(channels):
            channel = uint32(place[1] + (uint32(c) if uint32(c) < place[2] else uint32(0)))
            addend = converted(widened(load(bias, uint32(channel * bias_step))), weight)
            for r in range(rows):
                totals[r * channels + c] = addend
        line_of_taps = uint32(in_channels * kernel_w)
        next_tap = uint32(tap_step_h * line_of_taps)
        i = uint32(0)
        while True:  # there is a tap, which spares a second copy of all sums
            image_line = uint32(uint32(along[3] - uint32(i * sample_step_d)) * height)
            image_tap = uint32(uint32(along[2] + uint32(i * tap_step_d)) * kernel_h)
            j = uint32(0)
            while j < along[7]:
                y = uint32(along[6] - uint32(j * sample_step_h))
                line = uint32(uint32(image_line + y) * width)
                tap_line = uint32(uint32(image_tap + uint32(along[5] + uint32(j * tap_step_h))) * line_of_taps)
                more = together > 1 and uint32(j + uint32(1)) < along[7]
                whole = y < height and uint32(y + uint32(uint32(rows - 1) * spread)) < height
                whole = whole and (y >= spread or not more)
                k = uint32(0)
                while k != across[3]:
                    start = settled(uint32(line + uint32(across[2] - uint32(k * sample_step_w))))
                    tap = uint32(tap_line + uint32(across[1] + uint32(k * tap_step_w)))
                    if whole:  # nearly always
                        add_all(
                            totals, source, start, y, height, width, plane, spread,
                            taps, tap, kernel_w, in_channels, next_tap, more,
                        )  # fmt: skip
                    else:
                        add_inside(
                            totals, source, start, y, height, width, plane, spread,
                            taps, tap, kernel_w, in_channels, next_tap, more,
                        )  # fmt: skip
                    k = uint32(k + uint32(1))
                j = uint32(j + uint32(together))
            i = uint32(i + uint32(1))
            if i == along[4]:
                break
        target = after(dst, (int64(image) * int64(all_out) + int64(place[1])) * int64(out_plane))
        begin = uint32(uint32(along[0] * out_width) + column)
        for r in range(rows):
            if uint32(r) == along[1]:
                return
            for c in range(channels):
                if uint32(c) < place[2]:
                    row = after(target, int64(out_plane) * int64(c))
                    down = uint32(uint32(uint32(r) * reach) * out_width)
                    store(row, uint32(begin + down), narrowed(totals[r * channels + c], dst))

    return correlate


# weights come in vectors of up to sixteen bytes: the last one is for values of eight
correlate_1_8_1_1, correlate_3_8_4_1, correlate_4_4_4_1, correlate_8_4_4_1, correlate_4_4_2_1 = (
    _correlation(*shape, 1) for shape in [(1, 8, 1), (3, 8, 4), (4, 4, 4), (8, 4, 4), (4, 4, 2)]
)
correlate_1_8_1_2, correlate_3_8_4_2, correlate_4_4_4_2 = (
    _correlation(*shape, 2) for shape in [(1, 8, 1), (3, 8, 4), (4, 4, 4)]
)


def _gathering(rows):
    """Return the kernel that adds up products for `rows` outputs a thread."""

    def gather(
        dst, products, bias, columns, tiles,
        kernel_h, kernel_w, tap_step_d, tap_step_h, tap_step_w, sample_step_d, sample_step_h, sample_step_w,
        height, width, plane, out_width, out_plane, n_tiles, spread, reach,
        volume, channels, distance, planes, bias_step, tiles_before, planes_before,
    ):  # fmt: skip
        """Add up products (image, channel, tap, position), `planes` times `volume` of them.

        Images are `distance` channels apart in `dst`. All other names are those of `correlate`.
        """
        column = first_column(1)
        tile, owner = uint32(tiles_before + first_row()), uint32(planes_before + first_plane())
        if column >= out_width or tile >= n_tiles or owner >= planes:
            return
        across, along = registers(uint32(0), 4), registers(uint32(0), 8)
        image = uint32(owner // channels)
        channel = uint32(owner - uint32(image * channels))
        read_entry(across, 0, columns, column, 4)
        read_entry(along, 0, tiles, tile, 8)
        read_entry(along, 4, tiles, tile, 8)
        totals = registers(load(products, uint32(0)), rows)
        for r in range(rows):
            totals[r] = converted(widened(load(bias, uint32(channel * bias_step))), products)
        source = after(products, int64(owner) * int64(volume) * int64(plane))
        i = uint32(0)
        while i != along[4]:
            image_line = uint32(uint32(along[3] - uint32(i * sample_step_d)) * height)
            image_tap = uint32(uint32(along[2] + uint32(i * tap_step_d)) * kernel_h)
            j = uint32(0)
            while j != along[7]:
                y = uint32(along[6] - uint32(j * sample_step_h))
                line = uint32(uint32(image_line + y) * width)
                tap_line = uint32(uint32(image_tap + uint32(along[5] + uint32(j * tap_step_h))) * kernel_w)
                k = uint32(0)
                while k != across[3]:
                    start = uint32(line + uint32(across[2] - uint32(k * sample_step_w)))
                    start = settled(start)
                    tap = uint32(tap_line + uint32(across[1] + uint32(k * tap_step_w)))
                    some = after(source, int64(tap) * int64(plane))
                    for r in range(rows):
                        down = uint32(uint32(r) * spread)
                        if uint32(y + down) < height:
                            totals[r] = totals[r] + load(some, uint32(start + uint32(down * width)))
                    k = uint32(k + uint32(1))
                j = uint32(j + uint32(1))
            i = uint32(i + uint32(1))
        target = after(dst, (int64(image) * int64(distance) + int64(channel)) * int64(out_plane))
        begin = uint32(uint32(along[0] * out_width) + column)
        for r in range(rows):
            if uint32(r) < along[1]:
                down = uint32(uint32(uint32(r) * reach) * out_width)
                store(target, uint32(begin + down), narrowed(totals[r], dst))

    return gather


gather_4 = _gathering(4)


def _conversion(from_half):
    def convert(dst, src, row, rows):
        """Write `rows` of `row` values as the type of dst."""
        column = first_column(1)
        if column >= row:
            return
        y = first_row()
        while y < rows:
            value = load(after(src, int64(y) * int64(row)), column)
            value = widened(value) if from_half else value
            store(after(dst, int64(y) * int64(row)), column, converted(value, dst))
            y = uint32(y + rows_side_by_side())

    return convert


convert, convert_half = _conversion(False), _conversion(True)
