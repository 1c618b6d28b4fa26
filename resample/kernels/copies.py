"""The fast kernels of copies: the samples of whole rows by shuffles; twins of `loops.pick_*`."""

from __future__ import annotations

from numba.extending import register_jitable

from resample.kernels.pages import clear_onward
from resample.kernels.past import place_in_line, write_past
from resample.kernels.rows import copy_row
from resample.kernels.simd import (
    after,
    first_lanes,
    load,
    place_of,
    prefetch,
    shuffle_bytes,
    shuffle_fours,
    store,
)
from resample.kernels.sizes import PIECE

# A row of fewer groups is done before the one behind it is there: so a copy asks for one that is as many groups later.
AHEAD = 32


def _select(window):
    """Return the kernel that copies samples of any type, as bytes, by shuffles that choose from `window` of them.

    From 32 it chooses 4 neighbours at a time.
    """
    shuffle = shuffle_fours if window == 32 else shuffle_bytes

    def groups_of(outputs):
        """Return what copies groups of so many bytes: to ask in each group how many takes as long as to copy them."""

        @register_jitable
        def copy_groups(dst, to, src, source, ahead, at, base, index, in_order, groups):
            for g in range(groups):
                prefetch(src, source + base[g] + ahead)
                values = load(src, source + base[g], window)
                if outputs == window and in_order[g]:
                    store(dst, to + at[g], values)
                else:
                    chosen = shuffle(values, load(index, g * window, window))
                    store(dst, to + at[g], first_lanes(chosen, outputs))

        return copy_groups

    whole, half, quarter, eighth = (groups_of(window // parts) for parts in (1, 2, 4, 8))

    @register_jitable
    def along_width(dst, to, src, source, ahead, at, base, index, in_order, groups, outputs):
        if outputs == window:
            whole(dst, to, src, source, ahead, at, base, index, in_order, groups)
        elif outputs == window // 2:
            half(dst, to, src, source, ahead, at, base, index, in_order, groups)
        elif outputs == window // 4:
            quarter(dst, to, src, source, ahead, at, base, index, in_order, groups)
        else:
            eighth(dst, to, src, source, ahead, at, base, index, in_order, groups)

    @register_jitable
    def row_past(
        dst, to, staging, src, source, ahead, at, base, index, in_order, groups, outputs, row_out, is_first, is_last
    ):  # fmt: skip
        """Copy the groups of a row piece by piece to the buffer, and from there past the caches."""
        g = 0
        while g < groups:
            until, to_piece = min(groups, g + PIECE // outputs), to + at[g]
            at_out = place_in_line(dst, to_piece)
            # their places count from that of the first of them
            along_width(
                staging, at_out - at[g], src, source, ahead, after(at, g), after(base, g), after(index, g * window),
                after(in_order, g), until - g, outputs,
            )  # fmt: skip
            end = at[until] if until < groups else row_out
            write_past(dst, to_piece, staging, at_out + end - at[g], is_first and g == 0, is_last and until == groups)
            g = until

    def select(
        dst, src, staging, at, base, index, in_order, groups, outputs, start, n_in, n_out, row_in, row_out, low, high
    ):  # fmt: skip
        """Copy the output rows `low:high` of all planes; a row like the one before it is copied from there.

        Where there is a buffer `staging`, the result is made there and written past the caches.
        """
        past = place_of(staging, 0) != 0
        reach = 1 + AHEAD // groups
        # counted along, as a division takes as long as a hundred values of a row
        o, plane = low % n_out, low // n_out * n_in * row_in
        for q in range(low, high):
            clear_onward(dst, q * row_out, row_out, high * row_out)
            source, later = plane + start[o] * row_in, 0
            if o + 1 < n_out and start[o + 1] > start[o]:
                later = (start[min(o + reach, n_out - 1)] - start[o]) * row_in
            if past:
                row_past(
                    dst, q * row_out, staging, src, source, later, at, base, index, in_order, groups, outputs,
                    row_out, q == low, q + 1 == high,
                )  # fmt: skip
            elif q > low and o > 0 and start[o] == start[o - 1]:
                copy_row(dst, q * row_out, dst, (q - 1) * row_out, row_out)
            else:
                along_width(dst, q * row_out, src, source, later, at, base, index, in_order, groups, outputs)
            o += 1
            if o == n_out:
                o = 0
                plane += n_in * row_in

    return select


select_64, select_32, select_16 = (_select(window) for window in (64, 32, 16))
