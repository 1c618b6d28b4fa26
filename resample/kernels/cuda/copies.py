"""The kernel that copies: source text that Numba compiles to PTX.

Nearest samples, pixel shuffles and arrays of any strides are all one thing: a row of the result is some places of a row
of the source.
"""

from __future__ import annotations

from numba import int64, uint32

from resample.kernels.cuda.memory import after, load, load_vector, registers, store_vector
from resample.kernels.cuda.sums import first_column, first_plane, first_row, planes_side_by_side, rows_side_by_side


def _copy(lanes):
    """Return the kernel that writes `lanes` neighbouring values a thread."""

    def copy(
        dst, src, start, place, row_out, n_rows, planes, group, outer_step, inner_step,
    ):  # fmt: skip
        """Write `planes` of `n_rows` rows of `row_out` values, which may be of any type of their size.

        Value j of row y is `start[y] + place[j]` of its plane of src. Planes come in groups of `group`: that of plane p
        begins at p // group * outer_step + p % group * inner_step.
        """
        first = first_column(lanes)
        if first >= row_out:
            return
        places = registers(uint32(0), lanes)
        load_vector(places, 0, place, first, lanes)
        values = registers(load(src, uint32(0)), lanes)
        y = first_row()
        while y < n_rows:
            begin = load(start, y)
            plane = first_plane()
            while plane < planes:
                outer = uint32(plane // group)
                inner = uint32(plane - uint32(outer * group))
                source = after(src, int64(outer) * outer_step + int64(inner) * inner_step + begin)
                for k in range(lanes):
                    values[k] = load(source, places[k])
                store_vector(
                    after(dst, (int64(plane) * int64(n_rows) + int64(y)) * int64(row_out)), first, values, lanes
                )
                plane = uint32(plane + planes_side_by_side())
            y = uint32(y + rows_side_by_side())

    return copy


copy_1, copy_2, copy_4, copy_8, copy_16 = (_copy(lanes) for lanes in (1, 2, 4, 8, 16))
