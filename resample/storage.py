"""Pillow's own memory as arrays: a picture is read where it lies, a result is computed where it will lie.

Pillow tells where by the Arrow C data interface (https://arrow.apache.org/docs/format/CDataInterface.html).
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from resample.arrays import Array
from resample.memory import ask_for_huge_pages

if TYPE_CHECKING:
    from PIL.Image import Image


class _Schema(NamedTuple):
    """The part of Arrow's description of a type that is looked at; pointers as addresses."""

    format: int
    name: int
    metadata: int
    flags: int
    n_children: int
    children: int
    dictionary: int


class _Values(NamedTuple):
    """The part of Arrow's description of values that is looked at."""

    length: int
    null_count: int
    offset: int
    n_buffers: int
    n_children: int
    buffers: int
    children: int


_SCHEMA, _VALUES = struct.Struct("3P2q2P"), struct.Struct("5q2P")

_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)

# modes of one value a pixel, and Arrow's letters for a value of that size; all others are stored as four bytes
_SINGLE = {
    "1": ("u1", (b"C",)),
    "L": ("u1", (b"C",)),
    "P": ("u1", (b"C",)),
    "I": ("=i4", (b"i",)),
    "F": ("=f4", (b"f",)),
    "I;16": ("<u2", (b"s", b"S")),
    "I;16L": ("<u2", (b"s", b"S")),
    "I;16B": (">u2", (b"s", b"S")),
    "I;16N": ("=u2", (b"s", b"S")),
}

# modes whose descriptions were as expected: the installed Pillow has one for all pictures of a mode
_known: set[str] = set()

# bytes that are copied at a time between pictures of several blocks and arrays: they stay in the cache
_BAND = 1 << 21

# from this size on a page fault for every 4 KiB would take longer than the resize; NumPy asks at the same size
_HUGE = 1 << 22


@cache
def _pillow() -> Any:
    from PIL import Image

    return Image


@cache
def _core() -> Any:
    from PIL import _imaging

    return _imaging


class _Memory:
    """What NumPy makes a view of; the view keeps it, and it keeps the capsule that holds Pillow's storage."""

    def __init__(self, capsule: object, address: int, shape: tuple[int, ...], dtype: np.dtype[Any], ours: bool) -> None:
        self.capsule = capsule
        self.__array_interface__ = {"data": (address, not ours), "shape": shape, "typestr": dtype.str, "version": 3}


def stored(image: Image) -> Array:
    """Return the (height, width) or (height, width, 4) values of a loaded picture as Pillow stores them, to be read.

    Modes of two to four channels have four bytes a pixel: RGB, YCbCr, HSV and LAB a last one without meaning, LA, La
    and PA two in the middle. The a and b of LAB are unsigned, 128 being none. The array is a view of the picture's
    memory, which it keeps, or a copy where that has several blocks (Pillow's default beyond 16 MiB) or is a file's or
    another array's.
    """
    # of memory that is not Pillow's own, Pillow 11.3 takes the address from a null pointer; of an alignment of rows,
    # which is a setting, it tells nothing
    view = None if image.readonly or _core().get_alignment() != 1 else _in_place(image)
    return _gathered(image) if view is None else view


def filled(mode: str, size: tuple[int, int], fill: Callable[[Array], None]) -> Image:
    """Return a new picture of (height, width) pixels, which `fill` writes to an array that is as `stored` describes."""
    try:
        block = _one_block(mode, size)
    except MemoryError:  # Pillow makes no block of 2 GiB or more
        block = None
    if block:
        fill(block[1])
        return block[0]
    pixels = np.empty(*_layout(mode, size))
    fill(pixels)
    image: Image = _pillow().new(mode, size[::-1], None)
    rows = _rows(pixels)
    band, part = _piece(mode, (min(rows, size[0]), size[1]))
    for top in range(0, size[0], rows):
        some = pixels[top : top + rows]
        part[: len(some)] = some
        image.paste(band, (0, top))
    return image


def _gathered(image: Image) -> Array:
    """Return a copy of the values of a picture."""
    pixels = np.empty(*_layout(image.mode, (image.height, image.width)))
    rows = _rows(pixels)
    band, part = _piece(image.mode, (min(rows, image.height), image.width))
    for top in range(0, image.height, rows):
        band.paste(image, (0, -top))
        some = pixels[top : top + rows]
        some[...] = part[: len(some)]
    return pixels


def _rows(pixels: Array) -> int:
    return max(1, _BAND * len(pixels) // pixels.nbytes)


def _piece(mode: str, size: tuple[int, int]) -> tuple[Image, Array]:
    block = _one_block(mode, size)
    if not block:
        raise RuntimeError(f"the installed Pillow stores pictures of mode {mode!r} in a way that is not known")
    return block


def _one_block(mode: str, size: tuple[int, int]) -> tuple[Image, Array] | None:
    """Return a new picture, all in one block of memory, and its values, to be written; None where there is none."""
    height, width = size
    # the public `new` takes several blocks beyond 16 MiB, unless a setting of the whole process says otherwise
    block = _core().new_block(mode, (width, height))
    image: Image = _pillow().Image()._new(block)
    pixels = _in_place(image, ours=True)
    if pixels is None:
        return None
    if pixels.nbytes >= _HUGE:
        ask_for_huge_pages(pixels.__array_interface__["data"][0], pixels.nbytes)
    return image, pixels


def _layout(mode: str, size: tuple[int, int]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return the shape and dtype of stored values."""
    return (size, np.dtype(_SINGLE[mode][0])) if mode in _SINGLE else ((*size, 4), np.dtype(np.uint8))


def _in_place(image: Image, *, ours: bool = False) -> Array | None:
    """Return the view of a picture's memory, or None where that is not one block, laid out as expected."""
    try:
        capsules = image.__arrow_c_array__()
    except ValueError:  # several blocks
        return None
    mode, (width, height) = image.mode, image.size
    if image.im.mode != mode:
        return None
    if mode not in _known:
        if not _is_expected(mode, _schema_at(_pointer(capsules[0], b"arrow_schema"))):
            return None
        _known.add(mode)
    values = _values_at(_pointer(capsules[1], b"arrow_array"))
    shape, dtype = _layout(mode, (height, width))
    count = height * width
    if len(shape) == 3:
        if not _is_plain(values, count, 1, 1):
            return None
        values = _values_at(_address(values.children))
        count *= 4
    if not _is_plain(values, count, 2, 0):
        return None
    address = _address(values.buffers, 1)  # buffer 0 would tell which values are missing
    return np.asarray(_Memory(capsules[1], address, shape, dtype, ours)) if address else None


def _is_expected(mode: str, schema: _Schema) -> bool:
    """Return whether Arrow's description is that of the values of a mode, by which `_layout` goes."""
    if mode not in _SINGLE:
        if ctypes.string_at(schema.format) != b"+w:4" or schema.n_children != 1:
            return False
        schema = _schema_at(_address(schema.children))
    formats = _SINGLE[mode][1] if mode in _SINGLE else (b"C",)
    return ctypes.string_at(schema.format) in formats and not schema.n_children and not schema.dictionary


def _schema_at(address: int) -> _Schema:
    return _Schema._make(_SCHEMA.unpack(ctypes.string_at(address, _SCHEMA.size)))


def _values_at(address: int) -> _Values:
    return _Values._make(_VALUES.unpack(ctypes.string_at(address, _VALUES.size)))


def _address(array: int, index: int = 0) -> int:
    """Return an entry of an array of pointers."""
    return ctypes.c_void_p.from_address(array + index * ctypes.sizeof(ctypes.c_void_p)).value or 0


def _is_plain(values: _Values, length: int, buffers: int, children: int) -> bool:
    """Return whether there are so many values, none missing, from the start of so many buffers."""
    return values[:5] == (length, 0, 0, buffers, children)
