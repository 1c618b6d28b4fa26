"""Filters and tables by themselves: what must hold whatever torch does."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest

from resample import filters, taps
from resample.filters import Filter
from resample.interpolate import MODES, Axis, plan
from resample.rounding import fma
from resample.taps import Taps

FLOAT64 = np.dtype(np.float64)
FILTERS = [value for value in vars(filters).values() if isinstance(value, Filter)]
SIZES = list(itertools.product([1, 2, 3, 7, 40, 101], repeat=2))


def tables() -> list[tuple[Axis, Taps]]:
    found = []
    for mode, (n_in, n_out), aligned, antialias in itertools.product(MODES, SIZES, (False, True), (False, True)):
        row = MODES[mode]
        if (aligned and not row.aligns) or (antialias and not row.antialias_filter):
            continue
        if mode == "lanczos" and (aligned or not antialias):
            continue
        for dtype in set(row.dtypes) - ({"float16"} if antialias else set()):
            axis = Axis(mode, n_in, n_out, None, aligned, antialias, dtype, False)
            table = plan(axis)
            if table is not None:
                found.append((axis, table))
    return found


@pytest.mark.parametrize("filter", FILTERS, ids=lambda filter: filter.name)
def test_filters_interpolate(filter: Filter) -> None:
    """1 at 0, 0 at the other integers and beyond the radius, even."""
    integers = np.arange(-6.0, 7.0)
    np.testing.assert_allclose(filter.weight(integers, FLOAT64), integers == 0, atol=1e-15)
    assert not filter.weight(np.array([filter.radius, filter.radius + 0.5, 1e9]), FLOAT64).any()
    x = np.linspace(0, filter.radius, 50)
    np.testing.assert_array_equal(filter.weight(x, FLOAT64), filter.weight(-x, FLOAT64))


@pytest.mark.parametrize("filter", [f for f in FILTERS if f != filters.LANCZOS3], ids=lambda filter: filter.name)
def test_polynomial_filters_sum_to_one(filter: Filter) -> None:
    x = np.linspace(0, 1, 50)[:, None] + np.arange(-filter.radius, filter.radius)
    np.testing.assert_allclose(filter.weight(x, FLOAT64).sum(axis=1), 1, atol=1e-15)


def test_every_table_is_in_bounds_and_sums_to_one() -> None:
    for axis, table in tables():
        assert table.weight.shape == (axis.n_out, table.n_taps)
        assert table.weight.flags.c_contiguous or table.averages
        assert len(table.start) == len(table.length) == axis.n_out
        assert table.start.dtype == table.length.dtype == np.int64
        assert table.start.min() >= 0
        assert table.length.min() >= 1
        assert table.length.max() <= table.n_taps
        assert (table.start + table.length).max() <= axis.n_in
        used = np.where(np.arange(table.n_taps) < table.length[:, None], table.weight, 0)
        if table.weight.dtype == np.int16:
            assert abs(used.sum(axis=1, dtype=np.int64) - (1 << table.precision)).max() <= table.n_taps
        else:
            tolerance = 4e-3 if axis.dtype == "float16" else 1e-6
            np.testing.assert_allclose(used.sum(axis=1), 1, atol=tolerance)


def test_tables_mirror() -> None:
    """Reversing the input reverses the output, for every mode that is symmetrical (nearest is not)."""
    for axis, table in tables():
        if axis.mode.startswith("nearest") or axis.dtype != "float64" or (axis.antialias and axis.align_corners):
            continue
        if axis.align_corners and axis.n_out == 1:
            continue  # sample 0, not the middle
        matrix = dense(table)
        np.testing.assert_allclose(matrix[::-1, ::-1], matrix, atol=1e-12)


def dense(table: Taps) -> np.ndarray:
    matrix = np.zeros((table.n_out, table.n_in))
    for o, (start, length) in enumerate(zip(table.start, table.length, strict=True)):
        matrix[o, start : start + length] = table.weight[o, :length]
    return matrix


def test_align_corners_keeps_every_input_sample() -> None:
    """From 2x + 1 to 4x + 1 samples the even outputs are the inputs."""
    for x in (1, 2, 10, 333):
        for mode in ("linear", "bilinear", "bicubic"):
            table = plan(Axis(mode, 2 * x + 1, 4 * x + 1, None, True, False, "float64", False))
            assert table is not None
            np.testing.assert_array_equal(dense(table)[::2], np.eye(2 * x + 1))


def test_tables_are_kept_and_the_store_is_bounded() -> None:
    axis = Axis("bilinear", 10, 20, None, False, False, "float32", False)
    assert plan(axis) is plan(axis)
    assert plan.cache_info().maxsize == 256


def test_quantised_weights_fill_sixteen_bits() -> None:
    for axis, table in tables():
        if table.weight.dtype == np.int16:
            assert 1 << 14 <= abs(table.weight.astype(int)).max() < 1 << 15 or table.precision == 22, axis


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fma_rounds_once(dtype: str) -> None:
    rng = np.random.default_rng(5)
    a, b, c = (rng.standard_normal(2000).astype(dtype) for _ in range(3))
    c[::2] = -(a * b)[::2] * (1 + np.finfo(dtype).eps)  # cancellation: where two roundings would differ most
    exact = [Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z)) for x, y, z in zip(a, b, c, strict=True)]
    got = fma(a, b, c, np.dtype(dtype))
    for value, right in zip(got, exact, strict=True):
        assert abs(Fraction(float(value)) - right) <= Fraction(float(np.spacing(abs(value)))) / 2


def test_selecting_tables_select() -> None:
    assert taps.selecting(np.array([0, 2, 2]), 3).selects
    assert not taps.averaging(6, 3).selects
    assert taps.averaging(6, 3).averages
