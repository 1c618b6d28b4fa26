"""Object code to memory that runs, without LLVM, whose library takes 30 ms and 50 MB to load.

What LLVM makes of a kernel for Linux on x86-64 asks little of a linker: to put sections somewhere, and to write 64-bit
addresses into them, of their own parts and of C's `memcpy` and the like. All else is left to LLVM. Structures and names
are those of the System V ABI: https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html, chapter 4.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
import sys
from typing import NamedTuple

IS_HERE = sys.platform == "linux" and os.uname().machine == "x86_64" and sys.maxsize > 1 << 32

_X86_64, _ADDRESS = 62, 1  # EM_X86_64, R_X86_64_64
_PROGRAM, _SYMBOLS, _RELOCATIONS = 1, 2, 4  # SHT_PROGBITS, SHT_SYMTAB, SHT_RELA
_WRITABLE, _LOADED = 1, 2  # SHF_WRITE, SHF_ALLOC

# what LLVM makes of copies
_EXTERNAL = ("memcpy", "memmove", "memset")


class _Section(NamedTuple):
    name: int
    type: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    alignment: int
    entry_size: int


class _Symbol(NamedTuple):
    name: int
    info: int
    other: int
    section: int
    value: int
    size: int


class Linked(NamedTuple):
    """A function in memory."""

    address: int
    owner: object
    """What keeps the memory."""


def linked(code: bytes, name: str) -> Linked | None:
    """Return function `name` of an object file, or None where that asks for more than this module does."""
    if not IS_HERE or code[:6] != b"\x7fELF\x02\x01" or struct.unpack_from("<H", code, 18) != (_X86_64,):
        return None
    (table,), (size, count) = struct.unpack_from("<Q", code, 40), struct.unpack_from("<2H", code, 58)
    sections = [_Section(*struct.unpack_from("<2I4Q2I2Q", code, table + size * k)) for k in range(count)]
    places, end = {}, 0
    for number, section in enumerate(sections):
        if section.type == _PROGRAM and section.flags & _LOADED:
            if section.flags & _WRITABLE:
                return None
            places[number] = -(-end // section.alignment) * section.alignment
            end = places[number] + section.size
    symbols = next(section for section in sections if section.type == _SYMBOLS)
    names = sections[symbols.link].offset

    def symbol(number: int) -> _Symbol:
        return _Symbol(*struct.unpack_from("<I2BH2Q", code, symbols.offset + 24 * number))

    def name_of(found: _Symbol) -> str:
        begin = names + found.name
        return code[begin : code.index(b"\0", begin)].decode()

    memory = mmap.mmap(-1, max(end, 1), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    base = ctypes.addressof(ctypes.c_char.from_buffer(memory))

    def address_of(found: _Symbol) -> int | None:
        if found.section in places:
            return base + places[found.section] + found.value
        if found.section == 0 and name_of(found) in _EXTERNAL:
            return ctypes.cast(getattr(ctypes.CDLL(None), name_of(found)), ctypes.c_void_p).value
        return None

    for number, place in places.items():
        section = sections[number]
        memory[place : place + section.size] = code[section.offset : section.offset + section.size]
    for relocations in sections:
        if relocations.type != _RELOCATIONS or relocations.info not in places:
            continue
        for at in range(relocations.offset, relocations.offset + relocations.size, 24):
            offset, info, addend = struct.unpack_from("<2Qq", code, at)
            target = address_of(symbol(info >> 32))
            if info & 0xFFFFFFFF != _ADDRESS or target is None:
                return None
            struct.pack_into("<Q", memory, places[relocations.info] + offset, target + addend)
    every = (symbol(number) for number in range(symbols.size // 24))
    address = next((address_of(each) for each in every if name_of(each) == name), None)
    # some systems allow nobody to run what was written
    may_run = mmap.PROT_READ | mmap.PROT_EXEC
    if address is None or ctypes.CDLL(None).mprotect(ctypes.c_void_p(base), ctypes.c_size_t(end), may_run):
        return None
    return Linked(address, memory)
