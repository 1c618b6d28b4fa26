"""Kernels for processors that have less than this one: compiled as for them, and run here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from resample.kernels.processor import features as features_here

SCRIPT = """
import sys
import llvmlite.binding as llvm
import numpy as np
from plans import tables_of
from resample.apply import apply, planned
from resample.convolution import conv_transpose2d
from resample.kernels import cpu, entry, processor, store

name, *features = sys.argv[1:]
processor.features = lambda: (name, *features)
llvm.initialize_native_target()
llvm.initialize_native_asmprinter()
target = llvm.Target.from_default_triple()
store._machine = lambda: target.create_target_machine(cpu=name, features="", opt=3, jit=True)
names, original = set(), entry.kernel
entry.kernel = lambda module, name, types: (names.add(name), original(module, name, types))[1]
widths = cpu.window, cpu.float_lanes
print(cpu.window(), cpu.float_lanes(), processor.register_bytes())

rng = np.random.default_rng(0)
for dtype in ("uint8", "float32"):
    for channels, before, after, mode, antialias in [
        (3, (40, 131), (80, 262), "bicubic", False),
        (1, (40, 400), (27, 266), "bicubic", True),
        (1, (40, 262), (20, 131), "bilinear", True),
        (1, (50, 999), (5, 90), "lanczos", True),
    ]:
        array = (rng.random((1, *before, channels)) * 255).astype(dtype)
        tables = tables_of(mode, antialias, dtype, before, after)
        results = []
        for cpu.window, cpu.float_lanes in (widths, [lambda: 0] * 2):
            planned.cache_clear()
            results.append(apply(array, tables).tobytes())
        assert results[0] == results[1], (dtype, channels, before, after, mode)

array, tables = rng.random((9, 200), np.float32), tables_of("nearest", False, "float32", (200,), (300,))
cpu.window, cpu.float_lanes = widths
np.testing.assert_array_equal(apply(array, tables), array[:, tables[1].start])
samples, weight = rng.integers(-9, 9, (2, 5, 7, 40)), rng.integers(-9, 9, (5, 12, 4, 4))
expected = np.zeros((2, 12, 16, 82), np.int64)
for y, x in np.ndindex(4, 4):
    expected[:, :, y : y + 14 : 2, x : x + 80 : 2] += np.einsum("nihw,io->nohw", samples, weight[:, :, y, x])
np.testing.assert_array_equal(conv_transpose2d(samples, weight, stride=2), expected)
print(*sorted(names))
"""

SSE = ("ssse3",)
AVX2 = (*SSE, "avx2", "fma")
AVX512 = (*AVX2, "avx512f", "avx512bw")


@pytest.mark.parametrize(
    ("processor", "features", "widths", "floats"),
    [
        ("nehalem", SSE, "16 0 16", set()),
        (
            "haswell",
            AVX2,
            "32 8 32",
            {"contract_floats_8", "contract_near_floats_8", "contract_far_floats_8", "halve_floats_2_8"},
        ),
        ("skylake-avx512", AVX512, "32 16 64", {"contract_floats_16", "halve_floats_2_16"}),
    ],
)
def test_kernels_of_another_processor(
    processor: str, features: tuple[str, ...], widths: str, floats: set[str], tmp_path: Path
) -> None:
    if not set(features) <= set(features_here()):
        pytest.skip(f"this processor is no {processor}")
    variables = {"RESAMPLE_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(Path(__file__).parent), "RESAMPLE_SHUFFLE": ""}
    command = [sys.executable, "-c", SCRIPT, processor, *features]
    done = subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    found, names = done.stdout.splitlines()
    assert found == widths
    assert {name for name in names.split() if "floats" in name} == floats
    blocks = {"correlate_4_6"} if widths.endswith("64") else {"correlate_6_1"}
    shuffle = widths.split()[0]
    assert set(names.split()) >= {f"{name}_{shuffle}" for name in ("contract_wide", "halve_ordered", "select")} | blocks
