"""What the CUDA kernels become on real cards: registers, slow memory, wide accesses, instructions; without a GPU."""

from __future__ import annotations

import itertools
import math
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import machine_code
import pytest

from resample import convolution_gpu, pooling_gpu
from resample.kernels.cuda import byte_shrinking, byte_sums, passes, ptx
from resample.kernels.cuda.constants import LIVE_OF_FOUR

CAPABILITIES = [(7, 5), (8, 0), (9, 0)]


class Kernel(NamedTuple):
    """A kernel as the backend uses it."""

    module: str
    name: str
    types: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name}-{self.types[1].removesuffix('*')}"


def walk(way: str, taps: int, lanes: int, value: str, target: str = "") -> Kernel:
    weight = {"uint8": "int32", "float64": "float64"}.get(value, "float32")
    return Kernel("sums", f"contract_{way}_{taps}_{lanes}", passes.planes_types(value, target or value, weight))


def packed(taps: int, groups: int, words: int) -> Kernel:
    name = f"contract_bytes_{taps}_{groups}_{words}"
    return Kernel("byte_sums", name, passes.bytes_types("uint8", "uint8", "int32"))


def shrinking(channels: int, pixels: int, live: int) -> Kernel:
    name = f"shrink_bytes_{channels}_{pixels}_{live}"
    return Kernel("byte_shrinking", name, passes.down_types("uint8", "uint8", "int32"))


def walks() -> list[Kernel]:
    kernels = [packed(taps, *shape) for taps, shape in itertools.product((2, 4), byte_sums.GROUPS_AND_WORDS)]
    for taps in (2, 4):
        most = {"float32": 4, "uint16": 16 // taps, "uint8": 4, "float64": 2}
        kernels += [walk("planes", taps, n, value) for value, last in most.items() for n in (1, 2, 4, 8) if n <= last]
        kernels += [walk("beside", taps, n, value) for value, last in most.items() for n in (2, 4) if n <= last]
        kernels += [walk("beside", taps, 8, "uint16"), *(walk("halves", taps, n, "uint16") for n in (4, 8))]
        # of float16 between passes
        kernels += [walk(way, taps, 4, "uint16", "float32") for way in ("planes", "beside", "halves")]
    return kernels


def sums() -> list[Kernel]:
    kernels = []
    # bytes of the result that an output is, and of the source where it is twice as large
    for value, target, weight in (
        ("float32", "float32", "float32"),
        ("uint16", "uint16", "float32"),
        ("uint8", "uint8", "int32"),
        ("float64", "float64", "float64"),
    ):
        lanes = 2 if value == "float64" else 4
        kernels.append(Kernel("sums", f"contract_rows_{lanes}", passes.rows_types(value, target, weight)))
        kernels.append(Kernel("sums", "contract_columns", passes.columns_types(value, target, weight)))
        if value != "uint16":
            for live, images in itertools.product((3, 5, 7), (1, 4)):
                kernels.append(
                    Kernel("sums", f"contract_down_{live}_{images}", passes.down_types(value, target, weight))
                )
        if value != "uint8":
            kernels.append(Kernel("sums", "average", passes.average_types(value, weight)))
    # of float16 between passes
    kernels.append(Kernel("sums", "contract_rows_4", passes.rows_types("float32", "uint16", "float32")))
    return kernels


def copies() -> list[Kernel]:
    return [
        Kernel("copies", f"copy_{lanes}", passes.copy_types(unit))
        for unit, lanes in itertools.product((1, 2, 4, 8), (1, 2, 4, 8, 16))
        if unit * lanes <= 16
    ]


@cache
def code(kernel: Kernel) -> bytes:
    return ptx.compiled(f"resample.kernels.cuda.{kernel.module}", kernel.name, kernel.types)


def pools() -> list[Kernel]:
    """Return the kernels of pooling and unpooling, each with some of its types."""
    names = [
        f"pool_{taps}_{lanes}{suffix}"
        for taps, lanes in ((2, 1), (2, 2), (3, 1), (3, 2), (5, 1))
        for suffix in ("", "_indexed")
    ]
    names += ["pool_2_4", "packed_2_4", "packed_3_2_indexed", "packed_5_4", "pool_any", "pool_any_indexed"]
    kernels = [Kernel("pooling", name, pooling_gpu.pool_types("float32")) for name in names]
    kernels += [
        Kernel("pooling", "pool_2_1", pooling_gpu.pool_types(value))
        for value in ("uint16", "uint8", "float64", "int64")
    ]
    for unit, names in (("uint32", ("place_1", "place_2", "place_pairs_2")), ("uint16", ("place_1", "place_pairs_4"))):
        kernels += [Kernel("pooling", name, pooling_gpu.place_types(unit)) for name in names]
    redo = pooling_gpu.redo_types("uint32", "uint32")
    return [*kernels, *(Kernel("pooling", name, types) for name, types in redo.items())]


def convolutions() -> list[Kernel]:
    kernels = []
    for value, weight in (("float32", "float32"), ("uint16", "float32"), ("float64", "float64"), ("int64", "int64")):
        for block in convolution_gpu.BLOCKS[8 if "64" in weight else 4]:
            kernels.append(Kernel("convolution", block.name, convolution_gpu.correlate_types(value, weight, value)))
        kernels.append(Kernel("convolution", "pack", convolution_gpu.pack_types(value, weight)))
        if value != "int64":
            kernels.append(Kernel("convolution", "gather_4", convolution_gpu.gather_types(value, weight, value)))
    kernels.append(Kernel("convolution", "convert", convolution_gpu.convert_types("float32", "int32")))
    return [*kernels, Kernel("convolution", "convert_half", convolution_gpu.convert_types("float32", "uint16"))]


SHRINKING = [
    shrinking(*shape, live) for shape, live in itertools.product(byte_shrinking.CHANNELS_AND_PIXELS, LIVE_OF_FOUR)
]
KERNELS = [*walks(), *SHRINKING, *sums(), *copies(), *pools(), *convolutions()]


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
def test_registers_and_memory(kernel: Kernel, tmp_path: Path) -> None:
    text = code(kernel)
    assert b".local" not in text
    assert not re.search(rb"\b(div|rem)\.[su]64", text)  # which are long calls
    assert b".f64" not in text or "float64*" in kernel.types
    for capability in CAPABILITIES:
        found = machine_code.read(text, capability, tmp_path, disassembled=False)
        assert found.stack == 0
        wide = "float64*" in kernel.types or "int64*" in kernel.types
        assert found.registers <= (168 if wide else 128)


def copy(lanes: int, unit: int) -> Kernel:
    return Kernel("copies", f"copy_{lanes}", passes.copy_types(unit))


# What leaves a card of 33 T instructions a second at its 4.3 TB/s is 7.8 instructions for each byte that is moved: 39
# an output of float32 to twice the size (5 bytes), half of that of float16, a quarter of bytes; 62 of copied float32.
@pytest.mark.parametrize(
    ("kernel", "store", "outputs", "budget"),
    [
        (copy(4, 4), "STG.E.128", 4, 20),
        (copy(16, 1), "STG.E.128", 16, 9.7),
        (copy(8, 2), "STG.E.128", 8, 14),
        (copy(2, 8), "STG.E.128", 2, 40),
    ],
    ids=lambda value: str(value) if isinstance(value, Kernel) else None,
)
def test_instructions(kernel: Kernel, store: str, outputs: int, budget: float, tmp_path: Path) -> None:
    found = machine_code.read(code(kernel), (9, 0), tmp_path)
    assert store in found.instructions
    assert not any(name.startswith(("LDL", "STL", "CALL")) for name in found.instructions)
    assert found.loop
    assert found.loop / outputs <= budget, f"{found.loop} instructions for {outputs} outputs"


@pytest.mark.parametrize(
    ("kernel", "store", "outputs", "budget"),
    [
        (walk("planes", 2, 4, "float32"), "STG.E.128", 4, 13.5),
        (walk("planes", 4, 4, "float32"), "STG.E.128", 4, 21.5),
        (walk("beside", 2, 4, "float32"), "STG.E.128", 4, 14.8),
        (walk("beside", 4, 4, "float32"), "STG.E.128", 4, 17),
        (walk("planes", 2, 8, "uint16"), "STG.E.128", 8, 12),
        (walk("planes", 4, 4, "uint16"), "STG.E.64", 4, 24),
        (walk("halves", 2, 8, "uint16"), "STG.E.128", 8, 11.2),
        (walk("halves", 4, 8, "uint16"), "STG.E.128", 8, 19),
        (walk("beside", 2, 8, "uint16"), "STG.E.128", 8, 9.5),
        (walk("beside", 4, 8, "uint16"), "STG.E.128", 8, 16),
        (packed(2, 4, 2), "STG.E.128", 16, 8.1),
        (packed(4, 2, 2), "STG.E.64", 8, 11),
        (packed(4, 4, 2), "STG.E.128", 16, 9.6),
        (packed(2, 2, 4), "STG.E.64", 8, 11.8),
        (packed(4, 2, 4), "STG.E.64", 8, 13.3),
        (walk("planes", 2, 4, "uint8"), "STG.E", 4, 19.5),
        (walk("planes", 4, 4, "uint8"), "STG.E", 4, 28.5),
    ],
    ids=lambda value: str(value) if isinstance(value, Kernel) else None,
)
def test_instructions_of_a_walk(kernel: Kernel, store: str, outputs: int, budget: float, tmp_path: Path) -> None:
    """Of an output to twice the size, where every other row of outputs skips the part for a new source row.

    Budgets are those of the oldest LLVM that Numba comes with here; the newest needs up to a tenth less.
    """
    found = machine_code.read(code(kernel), (9, 0), tmp_path)
    assert store in found.instructions
    assert not any(name.startswith(("LDL", "STL", "CALL")) for name in found.instructions)
    an_output = (found.loop - found.skipped / 2) / outputs
    assert 0 < an_output <= budget, f"{an_output} instructions"


# 7.8 instructions for each byte that is moved are 39 an output at half the size, 78 at a third, 133 at a quarter, 25 at
# two thirds and 330 of 1080 x 1920 to 224 x 224; at 60 % of the bandwidth 65, 130, 221, 42 and 550.
@pytest.mark.parametrize(
    ("scales", "taps", "live", "budgets"),
    [
        ((2, 2), 8, 6, {(1, 4): 61, (2, 1): 68, (3, 1): 63, (4, 1): 54}),
        ((2, 2), 12, 8, {(1, 4): 74, (2, 1): 89, (3, 1): 83, (4, 1): 72}),
        ((3, 3), 6, 4, {(1, 4): 84, (2, 1): 91, (3, 1): 84, (4, 1): 75}),
        ((3, 3), 12, 6, {(1, 4): 114, (2, 1): 118, (3, 1): 111, (4, 1): 96}),
        ((4, 4), 8, 4, {(1, 4): 127, (2, 1): 119, (3, 1): 109, (4, 1): 97}),
        ((1.5, 1.5), 6, 6, {(1, 4): 41, (2, 1): 53, (3, 1): 49, (4, 1): 42}),
        ((1080 / 224, 1920 / 224), 18, 4, {(1, 4): 298, (2, 1): 245, (3, 1): 231, (4, 1): 209}),
    ],
    ids=["bicubic 2", "lanczos 2", "bilinear 3", "bicubic 3", "bilinear 4", "bicubic 1.5", "bilinear 224"],
)
def test_instructions_of_shrinking_bytes(
    scales: tuple[float, float],
    taps: int,
    live: int,
    budgets: dict[tuple[int, int], float],
    tmp_path: Path,
) -> None:
    """Of an output, antialiased, by the scale along height and width and the taps of the width."""
    for (channels, pixels), budget in budgets.items():
        found = machine_code.read(code(shrinking(channels, pixels, live)), (9, 0), tmp_path)
        four_taps, four_rows = found.loops
        steps = math.ceil((taps + math.ceil((pixels - 1) * scales[1])) / 4)
        finishing = sum(found.ahead[:live]) / live  # what is skipped for a slot whose output is not done
        outputs = 4 / scales[0]
        total = four_rows + (steps - 1) * four_taps + (outputs - live) * finishing
        assert total / (outputs * channels * pixels) <= budget, f"{channels} channels, {pixels} pixels: {total}"


def test_instructions_of_a_transposed_convolution(tmp_path: Path) -> None:
    """Of an output of 3 to 3 channels, 4 x 4 taps, stride 2: 2 x 2 of each channel, those along the height at once."""
    kernel = Kernel(
        "convolution", "correlate_3_8_4_2", convolution_gpu.correlate_types("float32", "float32", "float32")
    )
    found = machine_code.read(code(kernel), (9, 0), tmp_path)
    inside, at_edges, columns, rows, depth = found.loops
    around = sum(found.instructions.values()) - depth + (depth - rows) + (rows - columns)
    assert around + 2 * (columns - inside - at_edges) + 2 * 3 * inside <= 24 * 40.2  # 38.1 with the newest LLVM
