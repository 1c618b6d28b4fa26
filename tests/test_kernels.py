"""The compiled kernels against naive loops, and the properties of a separable resize."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from guards import Guarded
from plans import tables_of

import resample
import resample.functional as F
from resample.apply import apply, planned
from resample.interpolate import Axis, plan
from resample.kernels import cpu, entry, processor
from resample.kernels.entry import packed
from resample.taps import Taps

CASES = [("bilinear", False), ("bicubic", False), ("bilinear", True), ("bicubic", True), ("lanczos", True)]
FLOATS = {16: {"contract_floats_16"}, 8: {f"contract_{kind}floats_8" for kind in ("", "near_", "far_")}}
NARROW = CASES[:3]  # those whose weights to twice or half the size are few bits long


def naive(src: np.ndarray, axis: int, table: Taps) -> np.ndarray:
    """Return what a kernel must: a plain loop over the table, in the type of its sums."""
    moved = np.moveaxis(src, axis, 0)
    whole = table.weight.dtype == np.int16
    result = np.empty((table.n_out, *moved.shape[1:]), src.dtype)
    for o, (start, length) in enumerate(zip(table.start, table.length, strict=True)):
        terms = moved[start : start + length].astype(np.int64 if whole else np.float64)
        weights = table.weight[o, :length].astype(terms.dtype).reshape(-1, *[1] * (moved.ndim - 1))
        total = (terms * weights).sum(axis=0)
        if whole:
            total = ((total + (1 << table.precision >> 1)) >> table.precision).clip(0, 255)
        result[o] = total
    return np.moveaxis(result, 0, axis)


def naive_result(src: np.ndarray, tables: dict[int, Taps]) -> np.ndarray:
    """Return what all tables make of an array, the last axis first."""
    for axis in sorted(tables, reverse=True):
        src = naive(src, axis, tables[axis])
    return src


def plain_result(src: np.ndarray, tables: dict[int, Taps], monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """Return what the plain kernels make of an array."""
    with monkeypatch.context() as patch:
        patch.setattr(cpu, "window", lambda: 0)
        patch.setattr(cpu, "float_lanes", lambda: 0)
        planned.cache_clear()
        return apply(src, tables)


def run_band(step: cpu.Pass, dst: np.ndarray, src: np.ndarray, low: int, high: int) -> None:
    """Have the kernel of a pass compute a band."""
    scratch = [np.empty(size + 64, np.uint8) for size in step.scratch]
    own = [entry.address(memory) if size else 0 for memory, size in zip(scratch, step.scratch, strict=True)]
    step.kernel(packed(entry.address(dst), entry.address(src), *own) + step.fixed + packed(low, high))


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
@pytest.mark.parametrize(("mode", "antialias"), CASES)
def test_contract_is_the_naive_loop(mode: str, antialias: bool, dtype: str) -> None:
    rng = np.random.default_rng(1)
    # inner lengths on both sides of the switch of kernels and of the block of 512
    for shape in [(3, 37), (2, 37, 3), (2, 37, 15), (2, 37, 16), (1, 37, 511), (3, 37, 513), (1, 37, 1300)]:
        src = (rng.random(shape) * 255).astype(dtype)
        for n_out in (5, 36, 90):
            table = plan(Axis(mode, 37, n_out, None, False, antialias, dtype, False))
            assert table is not None
            result = apply(src, {1: table})
            if dtype == "uint8":
                np.testing.assert_array_equal(result, naive(src, 1, table))
            else:
                eps = np.finfo(dtype).eps
                np.testing.assert_allclose(result, naive(src, 1, table), rtol=0, atol=255 * 8 * eps)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float64", "complex128", "bool", "S3", "S7"])
def test_select_copies_any_value(dtype: str) -> None:
    rng = np.random.default_rng(2)
    values = rng.integers(1, 120, (4, 9, 5), np.uint8)
    src = values.astype(dtype)
    table = plan(Axis("nearest", 9, 23, None, False, False, "float32", False))
    assert table is not None
    np.testing.assert_array_equal(apply(src, {1: table}), src[:, table.start])


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize(("mode", "antialias"), CASES)
def test_properties(mode: str, antialias: bool, dtype: str) -> None:
    rng = np.random.default_rng(3)
    array = (rng.random((2, 3, 40, 57)) * 255).astype(dtype)
    options = {"size": (31, 90), "mode": mode, "antialias": antialias}
    result = F.interpolate(array, **options)
    # one channel or image does not see the others
    np.testing.assert_array_equal(F.interpolate(array[1:, 2:], **options), result[1:, 2:])
    # memory layout does not matter
    last = array.transpose(0, 2, 3, 1).copy().transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(F.interpolate(last, **options), result)
    # a constant stays that constant
    flat = F.interpolate(np.full((1, 1, 40, 57), 200, dtype), **options)
    np.testing.assert_allclose(flat, 200, rtol=0, atol=0 if dtype == "uint8" else 4e-4)
    if dtype == "float32":
        mirrored = F.interpolate(array[..., ::-1], **options)[..., ::-1]
        np.testing.assert_allclose(mirrored, result, rtol=0, atol=2e-2)


def test_threads_do_not_change_bits() -> None:
    rng = np.random.default_rng(4)
    before = resample.get_num_threads()
    try:
        for shape, dtype in itertools.product([(3, 300, 401), (1, 700, 300), (4, 97, 997)], ["uint8", "float32"]):
            array = (rng.random((1, *shape)) * 255).astype(dtype)
            for layout in (array, array.transpose(0, 2, 3, 1).copy().transpose(0, 3, 1, 2)):
                results = []
                for count in (1, 2, 3, 8):
                    resample.set_num_threads(count)
                    results.append(F.interpolate(layout, size=(511, 633), mode="bicubic", antialias=True).tobytes())
                assert len(set(results)) == 1
    finally:
        resample.set_num_threads(before)


def test_a_row_of_minus_zero_stays_so() -> None:
    result = F.interpolate(np.full((1, 1, 5, 5), -0.0, np.float32), size=(9, 9), mode="bilinear")
    assert np.signbit(result).all()


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The names of the kernels that were planned, to prove that the one in question really ran."""
    names: set[str] = set()
    original = entry.kernel
    monkeypatch.setattr(
        entry, "kernel", lambda module, name, types: (names.add(name), original(module, name, types))[1]
    )
    planned.cache_clear()
    return names


@pytest.mark.parametrize("shuffle", [0, 16, 32, 64])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
@pytest.mark.parametrize(("mode", "antialias"), CASES)
def test_fast_bytes_are_plain_bytes(
    mode: str,
    antialias: bool,
    channels: int,
    shuffle: int,
    monkeypatch: pytest.MonkeyPatch,
    taken: set[str],
    guarded: Guarded,
) -> None:
    """Each width of shuffle gives the naive loop's bytes, really runs, and stays inside its buffers."""
    if shuffle > processor.shuffle_width():
        pytest.skip(f"this processor has no shuffle of {shuffle} bytes")
    rng = np.random.default_rng(6)
    monkeypatch.setattr(cpu, "window", lambda: shuffle)
    sizes = [
        ((9, 70), (21, 143)),
        ((40, 131), (17, 66)),
        ((5, 100), (5, 190)),
        ((30, 64), (7, 64)),
        ((33, 90), (12, 67)),
        ((8, 66), (16, 132)),
        ((20, 264), (10, 132)),
    ]
    for (h, w), (height, width) in sizes:
        src = rng.integers(0, 256, (2, h, w, channels), np.uint8)
        tables = tables_of(mode, antialias, "uint8", (h, w), (height, width))
        expected = naive_result(src, tables)
        for at_end in (True, False):
            with guarded(at_end):
                np.testing.assert_array_equal(apply(src, tables), expected)
    assert (f"contract_wide_{shuffle}" in taken) == (shuffle > 0)
    narrow = {f"{name}_{shuffle}" for name in ("contract_narrow", "contract_ordered", "halve", "halve_ordered")}
    assert bool(taken & narrow) == (shuffle > 0 and (mode, antialias) in NARROW)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("factor", [2, 4, 8])
@pytest.mark.parametrize("shuffle", [16, 32, 64])
def test_narrow_sums_but_for_the_edges(
    shuffle: int,
    channels: int,
    factor: int,
    monkeypatch: pytest.MonkeyPatch,
    taken: set[str],
    guarded: Guarded,
) -> None:
    """Antialiased to half and less, the cut off filters at the edges alone have weights of more than 8 bits."""
    if shuffle > processor.shuffle_width():
        pytest.skip(f"this processor has no shuffle of {shuffle} bytes")
    monkeypatch.setattr(cpu, "window", lambda: shuffle)
    rng = np.random.default_rng(11)
    for height, width in [(20, 70), (33, 132), (4, 64), (5, 401)]:
        src = rng.integers(0, 256, (2, factor * height, factor * width, channels), np.uint8)
        tables = tables_of("bilinear", True, "uint8", src.shape[1:3], (height, width))
        expected = naive_result(src, tables)
        for at_end in (True, False):
            with guarded(at_end):
                np.testing.assert_array_equal(apply(src, tables), expected)
    # of 64 and 70 outputs no two groups are alike where each has 32
    names = {"contract_narrow"} if factor > 2 else {"halve"} if channels > 1 else {"halve_ordered"}
    if (channels, factor, shuffle) == (1, 2, 64):
        names.add("contract_narrow")
    assert taken == {f"{name}_{shuffle}" for name in names}


@pytest.mark.parametrize("shuffle", [16, 32, 64])
@pytest.mark.parametrize(
    ("kernel", "channels", "before", "after", "mode", "antialias"),
    [
        ("contract_narrow", 1, (9, 150), (18, 300), "bilinear", False),
        ("contract_narrow", 3, (9, 150), (18, 300), "bilinear", False),
        ("contract_narrow", 4, (90, 300), (60, 200), "bilinear", False),
        ("contract_narrow", 3, (9, 600), (9, 300), "bilinear", True),
        ("contract_ordered", 1, (9, 600), (9, 300), "bilinear", True),
        ("contract_ordered", 1, (9, 600), (18, 300), "bilinear", False),
        *(("halve", c, (30, 2 * n), (15, n), *kind) for c in (2, 3, 4) for n in (120, 131, 150) for kind in NARROW),
        *(("halve_ordered", 1, (n, 2 * n), (n // 2, n), "bilinear", True) for n in (160, 192, 250)),
        ("halve_ordered", 1, (30, 640), (15, 320), "bilinear", False),
        ("halve", 1, (30, 640), (15, 320), "bicubic", False),
        # to a quarter of the width the last of the groups that are alike writes beyond the row
        *(("halve", 1, (20, 4 * n), (10, n), "bilinear", False) for n in (64, 65, 66, 67, 70)),
    ],
)
def test_groups_that_are_alike(
    kernel: str,
    channels: int,
    before: tuple[int, int],
    after: tuple[int, int],
    mode: str,
    antialias: bool,
    shuffle: int,
    monkeypatch: pytest.MonkeyPatch,
    taken: set[str],
    guarded: Guarded,
) -> None:
    """Tables stay in registers; where both axes become half, rows are added up at once: in these kernels, and rightly.

    By several threads, of which each begins in the middle of a plane, too.
    """
    if shuffle > processor.shuffle_width():
        pytest.skip(f"this processor has no shuffle of {shuffle} bytes")
    monkeypatch.setattr(cpu, "window", lambda: shuffle)
    src = np.random.default_rng(12).integers(0, 256, (3, *before, channels), np.uint8)
    tables = tables_of(mode, antialias, "uint8", before, after)
    expected = naive_result(src, tables)
    for at_end in (True, False):
        with guarded(at_end):
            np.testing.assert_array_equal(apply(src, tables), expected)
    (step,) = planned(src.shape, src.dtype, tuple(tables.items()))
    dst = np.empty(step.shape, np.uint8)
    for low in range(0, step.length, 7):
        run_band(step, dst, src, low, min(low + 7, step.length))
    np.testing.assert_array_equal(dst, expected)
    assert taken == {f"{kernel}_{shuffle}"}


@pytest.mark.parametrize("lanes", [16, 8])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("channels", [1, 3])
def test_rows_that_keep_their_height(
    mode: str, channels: int, lanes: int, monkeypatch: pytest.MonkeyPatch, taken: set[str], guarded: Guarded
) -> None:
    """Of float32 they go straight to the result, but for the last block: a band writes its own rows and no other."""
    if lanes > processor.float_lanes():
        pytest.skip(f"this processor has no {lanes} lanes")
    rng = np.random.default_rng(14)
    monkeypatch.setattr(cpu, "float_lanes", lambda: lanes)
    for n_in, n_out in [(64, 64 + channels), (70, 129), (300, 80), (300, 131), (40, 2000), (1000, 999), (2222, 250)]:
        src = rng.random((2, 5, n_in, channels), np.float32)
        tables = tables_of(mode, False, "float32", (5, n_in), (5, n_out))
        tables = {axis: taps for axis, taps in tables.items() if taps.n_in != 5}
        expected = plain_result(src, tables, monkeypatch)
        for at_end in (True, False):
            with guarded(at_end):
                np.testing.assert_array_equal(apply(src, tables), expected)
        (step,) = planned(src.shape, src.dtype, tuple(tables.items()))
        for low, high in [(0, 1), (0, 10), (1, 4), (3, 8), (9, 10)]:
            dst = np.full(step.shape, 7, np.float32)
            run_band(step, dst, src, low, high)
            rows, right = dst.reshape(10, -1), expected.reshape(10, -1)
            np.testing.assert_array_equal(rows[low:high], right[low:high])
            assert (rows[:low] == 7).all()
            assert (rows[high:] == 7).all()
    # of several channels, which lie side by side, only sums of many taps are quicker by single loads
    assert taken >= (FLOATS[lanes] if channels == 1 else FLOATS[lanes] - {"contract_far_floats_8"})


@pytest.mark.parametrize(
    ("kernel", "channels", "mode"),
    [
        *(("contract_by_8_64", channels, "bilinear") for channels in (2, 3, 4)),
        *(("contract_by_4_64", channels, "bicubic") for channels in (3, 4)),
        ("contract_by_4_64", 5, "bilinear"),
    ],
)
def test_windows_in_pieces(kernel: str, channels: int, mode: str, taken: set[str], guarded: Guarded) -> None:
    """Of outputs that lie far apart, down to rows of the least length; the last piece ends with the row."""
    if processor.shuffle_width() < 64:
        pytest.skip("this processor has no shuffle of 64 bytes")
    rng = np.random.default_rng(13)
    for before, after in [((9, 1501), (4, 71)), ((30, 2222), (3, 100)), ((8, 3000), (8, 131)), ((5, 960), (5, 32))]:
        src = rng.integers(0, 256, (2, *before, channels), np.uint8)
        tables = tables_of(mode, False, "uint8", before, after)
        expected = naive_result(src, tables)
        for at_end in (True, False):
            with guarded(at_end):
                np.testing.assert_array_equal(apply(src, tables), expected)
    assert kernel in taken


def test_every_ratio_of_bytes_is_the_naive_loop() -> None:
    """Windows hold few taps of far neighbours, and at some ratio none: then the plain kernel serves."""
    rng = np.random.default_rng(7)
    for n_in, n_out in [(100, 99), (128, 100), (200, 70), (300, 64), (600, 70), (1000, 65), (2000, 64), (3000, 30)]:
        for mode, antialias in CASES:
            src = rng.integers(0, 256, (3, n_in, 3), np.uint8)
            table = plan(Axis(mode, n_in, n_out, None, False, antialias, "uint8", False))
            assert table is not None
            np.testing.assert_array_equal(apply(src, {1: table}), naive(src, 1, table))
            turned = np.ascontiguousarray(src.transpose(1, 0, 2).repeat(9, axis=1))
            np.testing.assert_array_equal(apply(turned, {0: table}), naive(turned, 0, table))


def test_views_that_are_not_aligned() -> None:
    rng = np.random.default_rng(8)
    memory = rng.integers(0, 256, 1 + 50 * 70 * 3, np.uint8)
    odd = memory[1:].reshape(1, 50, 70, 3).transpose(0, 3, 1, 2)
    for size in [(99, 121), (20, 30)]:
        expected = F.interpolate(odd.copy(), size=size, mode="bilinear", antialias=True)
        np.testing.assert_array_equal(F.interpolate(odd, size=size, mode="bilinear", antialias=True), expected)


@pytest.mark.parametrize("lanes", [16, 8])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(("mode", "antialias"), CASES)
def test_fast_floats_are_plain_floats(
    mode: str,
    antialias: bool,
    channels: int,
    lanes: int,
    monkeypatch: pytest.MonkeyPatch,
    taken: set[str],
    guarded: Guarded,
) -> None:
    """To the last bit, with infinities and NaN where the plain kernel has them."""
    if lanes > processor.float_lanes():
        pytest.skip(f"this processor has no {lanes} lanes")
    rng = np.random.default_rng(9)
    monkeypatch.setattr(cpu, "float_lanes", lambda: lanes)
    for (h, w), (height, width) in [
        ((9, 70), (21, 143)),
        ((40, 131), (17, 66)),
        ((7, 99), (7, 160)),
        ((80, 90), (9, 90)),
        ((9, 1301), (4, 123)),
    ]:
        src = rng.standard_normal((2, h, w, channels)).astype(np.float32)
        src[0, 3, 5] = np.inf
        src[1, 0, 0, 0] = src[1, -1, -1, -1] = np.nan
        tables = tables_of(mode, antialias, "float32", (h, w), (height, width))
        plain = plain_result(src, tables, monkeypatch)
        for at_end in (True, False):
            with guarded(at_end):
                np.testing.assert_array_equal(apply(src, tables).view(np.uint32), plain.view(np.uint32))
    # of several channels, which lie side by side, only sums of many taps are quicker by single loads
    assert taken >= (FLOATS[lanes] if channels == 1 else FLOATS[lanes] - {"contract_far_floats_8"})


@pytest.mark.parametrize("lanes", [16, 8])
@pytest.mark.parametrize("rows", [1, 2, 7])
def test_few_rows(rows: int, lanes: int, monkeypatch: pytest.MonkeyPatch, taken: set[str], guarded: Guarded) -> None:
    """Of signals, say: their tables are worth making, unless the rows are very long."""
    if lanes > processor.float_lanes() or 4 * lanes > processor.shuffle_width():
        pytest.skip(f"this processor has no {lanes} lanes, or no shuffles of so many bytes")
    monkeypatch.setattr(cpu, "float_lanes", lambda: lanes)
    monkeypatch.setattr(cpu, "window", lambda: 4 * lanes)
    monkeypatch.setattr(cpu, "LONG_ROW", 5000)
    rng = np.random.default_rng(16)
    for n_in, n_out in [(8192, 5000), (100, 250), (4000, 5001)]:
        src = rng.standard_normal((rows, n_in)).astype(np.float32)
        tables = {1: plan(Axis("linear", n_in, n_out, None, False, False, "float32", False))}
        plain = plain_result(src, tables, monkeypatch)
        taken.clear()
        for at_end in (True, False):
            with guarded(at_end):
                np.testing.assert_array_equal(apply(src, tables).view(np.uint32), plain.view(np.uint32))
        assert taken <= (FLOATS[lanes] if n_out <= 5000 else {"contract_pixels"})
        assert len(taken) == 1
        chosen = {1: plan(Axis("nearest", n_in, n_out, None, False, False, "float32", False))}
        taken.clear()
        with guarded(True):
            np.testing.assert_array_equal(apply(src, chosen), src[:, chosen[1].start])
        assert taken == ({f"select_{4 * lanes}"} if n_out <= 5000 else {"pick_4"})


@pytest.mark.parametrize("lanes", [16, 8])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 7, 8, 16])
@pytest.mark.parametrize(
    ("mode", "antialias", "kernel"),
    [("bilinear", False, "halve_floats_1"), ("bilinear", True, "halve_floats_2"), ("bicubic", False, "halve_floats_2")],
)
def test_half_of_floats(
    mode: str,
    antialias: bool,
    kernel: str,
    channels: int,
    lanes: int,
    monkeypatch: pytest.MonkeyPatch,
    taken: set[str],
    guarded: Guarded,
) -> None:
    """To the last bit, in this kernel where both axes become half; a band writes its own rows and no other."""
    if lanes > processor.float_lanes():
        pytest.skip(f"this processor has no {lanes} lanes")
    if channels > lanes:
        pytest.skip("a group has no pixel")
    rng = np.random.default_rng(15)
    monkeypatch.setattr(cpu, "float_lanes", lambda: lanes)
    kernel = f"{kernel}_{lanes}"
    wide = (16 // channels * channels * 5 + 16) // channels + 1  # as many pixels as have groups that are alike
    halved = []
    sizes = [(9, wide, 2), (20, wide + 1, 2), (8, 4 * wide, 2), (5, wide + 7, 2), (1, 3 * wide, 2)]
    sizes += [(4, wide + more, times) for times in (1, 3, 4, 5, 8) for more in range(5)]  # the height alone
    for h, w, times in sizes:
        src = rng.standard_normal((2, 2 * h, times * w, channels)).astype(np.float32)
        src[0, 3 % h, 5] = np.inf
        src[1, 0, 0, 0] = src[1, -1, -1, -1] = np.nan
        tables = tables_of(mode, antialias, "float32", (2 * h, times * w), (h, w))
        plain = plain_result(src, tables, monkeypatch)
        taken.clear()
        for at_end in (True, False):
            with guarded(at_end):
                np.testing.assert_array_equal(apply(src, tables).view(np.uint32), plain.view(np.uint32))
        if times == 2:
            halved.append(taken == {kernel})
        else:
            assert kernel not in taken
        (step,) = planned(src.shape, src.dtype, tuple(tables.items()))
        expected = plain.reshape(2 * h, -1)
        for low, high in [(0, 1), (0, 2 * h), (h // 2, h), (h - 1, h + 1), (2 * h - 1, 2 * h)]:
            dst = np.full(expected.shape, 7, np.float32)
            run_band(step, dst, src, low, high)
            np.testing.assert_array_equal(dst[low:high], expected[low:high])
            assert (dst[:low] == 7).all()
            assert (dst[high:] == 7).all()
    assert sum(halved) >= 3


@pytest.mark.parametrize("shuffle", [0, 16, 32, 64])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64", "complex128"])
def test_copies(dtype: str, shuffle: int, monkeypatch: pytest.MonkeyPatch, taken: set[str], guarded: Guarded) -> None:
    """Of samples of many lengths, some of which move with the bytes behind them; far apart, and of up to three axes."""
    if shuffle > processor.shuffle_width():
        pytest.skip(f"this processor has no shuffle of {shuffle} bytes")
    rng = np.random.default_rng(10)
    monkeypatch.setattr(cpu, "window", lambda: shuffle)
    axes = [{1, 2, 3}, {2, 3}, {3}, {2}, {1, 3}]
    sizes = [(3, 23, 131), (2, 5, 70), (7, 9, 64), (4, 11, 200), (4, 3, 66), (3, 9, 5)]
    for channels, chosen, n_out in itertools.product([1, 3, 4, 5, 40], axes, sizes):
        src = rng.integers(0, 200, (2, 4, 9, 99, channels)).astype(dtype)
        tables, expected = {}, src
        for axis in chosen:
            table = plan(Axis("nearest", src.shape[axis], n_out[axis - 1], None, False, False, "float32", False))
            assert table is not None
            tables[axis] = table
            expected = expected.take(table.start, axis)
        for at_end in (True, False):
            with guarded(at_end):
                np.testing.assert_array_equal(apply(src, tables), expected)
    assert (f"select_{shuffle}" in taken) == (shuffle >= 3 * np.dtype(dtype).itemsize)
    assert any(name.startswith("pick_") for name in taken)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_copies_from_few_of_the_bytes(dtype: str, taken: set[str], guarded: Guarded) -> None:
    """To a ninth of the width a shuffle still serves eight bytes; of samples that move alone, four rows at a time."""
    rng = np.random.default_rng(14)
    for (height, width), (rows, n_out) in itertools.product([(9, 600), (8, 1201)], [(3, 67), (8, 70), (1, 90)]):
        src = rng.integers(0, 200, (3, height, width)).astype(dtype)
        tables = tables_of("nearest", False, "uint8", (height, width), (rows, n_out))
        expected = src[:, tables[1].start][:, :, tables[2].start]
        for at_end in (True, False):
            with guarded(at_end):
                np.testing.assert_array_equal(apply(src, tables), expected)
    assert any(name.startswith("pick_") for name in taken)
    assert ("select_64" in taken) == (processor.shuffle_width() == 64)


def test_shuffles_can_be_kept_narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    widths = (cpu.window, cpu.float_lanes)
    has = processor.shuffle_width(), processor.float_lanes()
    try:
        for asked, most in [("", (64, 16)), ("64", (64, 16)), ("32", (32, 8)), ("16", (16, 0)), ("0", (0, 0))]:
            monkeypatch.setenv("RESAMPLE_SHUFFLE", asked)
            for function, limit, own in zip(widths, most, has, strict=True):
                function.cache_clear()
                assert function() == min(limit, own)
        monkeypatch.setenv("RESAMPLE_SHUFFLE", "8")
        for function in widths:
            function.cache_clear()
            with pytest.raises(ValueError, match="RESAMPLE_SHUFFLE must be 0, 16, 32 or 64, got '8'"):
                function()
    finally:
        for function in widths:
            function.cache_clear()
