"""Tables of several axes, as the tests of kernels take them."""

from __future__ import annotations

from resample.interpolate import Axis, plan
from resample.taps import Taps


def tables_of(
    mode: str, antialias: bool, dtype: str, before: tuple[int, ...], after: tuple[int, ...]
) -> dict[int, Taps]:
    """Return the tables of the axes 1 and 2 of some sizes, but of those that stay as they are."""
    plans = {
        axis: plan(Axis(mode, n_in, n_out, None, False, antialias, dtype, False))
        for axis, (n_in, n_out) in enumerate(zip(before, after, strict=True), 1)
    }
    return {axis: table for axis, table in plans.items() if table is not None}
