"""What PTX becomes on a card, without one: assembled by nvJitLink and disassembled by nvdisasm, both pip packages.

nvJitLink's functions are those of its manual, https://docs.nvidia.com/cuda/nvjitlink/; the library names them with the
version that they came with.
"""

from __future__ import annotations

import collections
import ctypes
import importlib.util
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

PTX = 2  # NVJITLINK_INPUT_PTX


class Code(NamedTuple):
    """How a kernel uses a card."""

    registers: int
    stack: int
    """Bytes of slow memory of a thread: its frame, and registers that were spilled."""
    instructions: collections.Counter[str]
    """By name, of the whole kernel; empty where they were not asked for."""
    loop: int
    """Instructions of the longest loop without another in it."""
    skipped: int
    """How many of these the furthest jump ahead in that loop skips."""
    loops: tuple[int, ...]
    """Instructions of all loops, the shortest first."""
    ahead: tuple[int, ...]
    """How many instructions jumps ahead skip, the most first."""


@cache
def _packaged(pattern: str) -> Path:
    package = importlib.util.find_spec("nvidia")
    for folder in (package.submodule_search_locations or []) if package else []:
        for path in sorted(Path(folder).glob(pattern)):
            return path
    pytest.skip(f"no {pattern}: the packages nvidia-nvjitlink and nvidia-cuda-nvdisasm are not installed")


@cache
def _linker() -> tuple[ctypes.CDLL, str]:
    path = _packaged("*/lib/libnvJitLink.so.*")
    version = re.search(rb"__nvJitLinkCreate_(\d+_\d+)", path.read_bytes())
    assert version
    return ctypes.CDLL(str(path)), version[1].decode()


def _call(name: str, *arguments: object) -> int:
    library, version = _linker()
    code: int = getattr(library, f"__nvJitLink{name}_{version}")(*arguments)
    return code


def _log(link: ctypes.c_void_p, kind: str) -> str:
    size = ctypes.c_size_t()
    _call(f"Get{kind}LogSize", link, ctypes.byref(size))
    text = ctypes.create_string_buffer(size.value + 1)
    _call(f"Get{kind}Log", link, text)
    return text.value.decode()


def assembled(ptx: bytes, capability: tuple[int, int]) -> tuple[bytes, str]:
    """Return the code for a card, and what the assembler said about it."""
    link, size = ctypes.c_void_p(), ctypes.c_size_t()
    options = [b"-arch=sm_%d%d" % capability, b"-Xptxas=-v", b"-verbose"]
    assert not _call("Create", ctypes.byref(link), len(options), (ctypes.c_char_p * len(options))(*options))
    failed = _call("AddData", link, PTX, ptx, ctypes.c_size_t(len(ptx)), b"kernel") or _call("Complete", link)
    assert not failed, _log(link, "Error")
    _call("GetLinkedCubinSize", link, ctypes.byref(size))
    code = ctypes.create_string_buffer(size.value)
    _call("GetLinkedCubin", link, code)
    said = _log(link, "Info")
    _call("Destroy", ctypes.byref(link))
    return code.raw, said


def read(ptx: bytes, capability: tuple[int, int], folder: Path, *, disassembled: bool = True) -> Code:
    """Return what a kernel is on a card."""
    code, said = assembled(ptx, capability)
    used = re.search(r"Used (\d+) registers", said)
    stack = re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", said)
    assert used
    assert stack
    listing = ""
    if disassembled:
        path = folder / "kernel.cubin"
        path.write_bytes(code)
        command = [_packaged("*/bin/nvdisasm"), "-c", path]
        listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return Code(int(used[1]), sum(map(int, stack.groups())), *_counted(listing))


_INSTRUCTION = re.compile(r"^\s+/\*([0-9a-f]{4,5})\*/\s+(?:@!?U?P\d+\s+)?([A-Z0-9_.]+)([^;]*)", re.M)


def _counted(listing: str) -> tuple[collections.Counter[str], int, int, tuple[int, ...], tuple[int, ...]]:
    """Return the instructions by name, and the lengths of loops: see `Code`."""
    names: list[str] = []
    labels: dict[str, int] = {}
    jumps: list[tuple[int, str]] = []
    for line in listing.splitlines():
        if label := re.match(r"(\.L_[\w$]+):", line):
            labels[label[1]] = len(names)
        elif (found := _INSTRUCTION.match(line)) and found[2] != "NOP":
            if found[2] == "BRA" and (target := re.search(r"\((\.L_[\w$]+)\)", found[3])):
                jumps.append((len(names), target[1]))
            names.append(found[2])
    paths = [(start, labels[name]) for start, name in jumps if name in labels]
    loops = [(target, start) for start, target in paths if target < start]
    inner = [(start, end) for start, end in loops if not any(start <= s and e < end and e > s for s, e in loops)]
    begin, end = max(inner, key=lambda loop: loop[1] - loop[0], default=(0, -1))
    skipped = max((target - start - 1 for start, target in paths if begin <= start < target <= end), default=0)
    lengths = sorted(end - begin + 1 for begin, end in loops)
    ahead = sorted((target - start - 1 for start, target in paths if target > start), reverse=True)
    return collections.Counter(names), end - begin + 1, skipped, tuple(lengths), tuple(ahead)
