"""A picture cut or padded to a size, around its centre, and the colours of what is added."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from resample.arrays import Array
from resample.devices import DeviceArray
from resample.picture import Form, borrowed_pixels, channels, closed, copy_of, is_picture, opened
from resample.sizes import Size

# a name or #rrggbb[aa], a value or one for each channel, or None
Colour = str | float | Sequence[float] | None

# modes whose range, and so what white is, no one knows
_UNNAMED = ("I", "F")


def check_colour(name: str) -> None:
    """Refuse the name of a colour that Pillow does not know.

    Raises:
        ValueError: it does not.
    """
    from PIL import ImageColor

    try:
        ImageColor.getrgb(name)
    except ValueError:
        raise ValueError(f"background must be a colour that Pillow knows, or '#rrggbb[aa]', got {name!r}") from None


def framed(image: Any, size: Size, background: Colour = None) -> Any:
    """Return a picture or array with its sides cut to `size`, or padded to it, around the centre.

    Of n pixels, n // 2 are added, or round(n / 2) taken away, at the top or the left: torchvision's `center_crop`.

    Raises:
        TypeError, ValueError: it cannot have a border of this colour.
    """
    if is_picture(image):
        stored, form = opened(image, keep_indices=True)
        pixels = _cut(channels(stored, form), size)
        if pixels.shape[:2] != size:
            pixel, form = _pixel_of_picture(background, pixels, form)
            pixels = _padded(pixels, size, pixel)
        return closed(pixels, form)
    array, give_back = borrowed_pixels(image, of_gpus=True)
    array = _cut(array, size)
    if array.shape[:2] == size:
        return give_back(copy_of(array))
    if isinstance(array, DeviceArray):
        raise TypeError("fit must not be 'pad' for an array of a GPU: padding is for the CPU")
    if isinstance(background, str):
        raise TypeError(f"background must be a number or one for each channel for an array, got {background!r}")
    return give_back(_padded(array, size, _pixel(0 if background is None else background, array)))


def _cut(pixels: Any, size: Size) -> Any:
    rows, columns = map(_middle, pixels.shape[:2], size)
    return pixels.part(rows, columns) if isinstance(pixels, DeviceArray) else pixels[rows, columns]


def _middle(have: int, want: int) -> slice:
    start = round(max(have - want, 0) / 2)
    return slice(start, start + min(have, want))


def _padded(pixels: Array, size: Size, pixel: Array) -> Array:
    height, width = pixels.shape[:2]
    result: Array = np.empty((*size, *pixels.shape[2:]), pixels.dtype)
    result[...] = pixel
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    result[top : top + height, left : left + width] = pixels
    return result


def _pixel(values: float | Sequence[float], pixels: Array) -> Array:
    """Return one pixel of these values, as `pixels` has them."""
    given, count = np.asarray(values), pixels.shape[2:]
    if given.size not in (1, *count):
        allowed = f"a number or {count[0]}, one for each channel" if count else "a number"
        raise ValueError(f"background must be {allowed}, got {values!r}")
    with np.errstate(all="ignore"):
        pixel = given.astype(pixels.dtype)
    if pixels.dtype.kind in "iub" and (pixel != given).any():
        raise ValueError(f"background must be within {pixels.dtype}, got {values!r}")
    return pixel


def _pixel_of_picture(colour: Colour, pixels: Array, form: Form) -> tuple[Array, Form]:
    """Return the pixel of this colour, and the form, whose palette may have it as a new entry."""
    if colour is not None and not isinstance(colour, str):
        return _pixel(colour, pixels), form
    if form.palette:
        index, form = _indexed(colour, form)
        return np.array(index, np.uint8), form
    if colour is None and (form.mode[-1] in "Aa" or form.mode in _UNNAMED):
        return np.zeros(pixels.shape[2:], pixels.dtype), form
    return _named(colour or "black", form.mode), form


def _named(colour: str, mode: str) -> Any:
    from PIL import Image as pillow
    from PIL import ImageColor

    if mode in _UNNAMED:
        raise ValueError(f"background must be a number for a picture of mode {mode}, got {colour!r}")
    rgb = ImageColor.getrgb(colour)
    swatch = pillow.new("RGBA", (1, 1), rgb)
    if mode[-1] not in "Aa":
        # from RGB, Pillow mixes greys of CMYK from the other three inks
        swatch = swatch.convert("L" if len(set(rgb[:3])) == 1 else "RGB")
    if mode.startswith("I;16"):
        return np.asarray(swatch.convert("L"))[0, 0] * np.uint16(257)  # 255 becomes 65535
    return np.asarray(channels(*opened(swatch.convert(mode)))[0, 0])


def _indexed(colour: str | None, form: Form) -> tuple[int, Form]:
    """Return the index of a colour in a palette, and the form, which has it as a new entry if it had none like it.

    None is a transparent entry, or else black. A full palette gives its nearest colour.
    """
    from PIL import ImageColor

    assert form.palette
    mode, colours = form.palette
    step = len(mode)
    entries = [(*colours[at : at + 3], *colours[at + 3 : at + step]) for at in range(0, len(colours), step)]
    opacities = [entry[3] if step == 4 else 255 for entry in entries]
    transparency = form.info.get("transparency", b"")
    if isinstance(transparency, int):
        transparency = bytes([*[255] * transparency, 0])
    for index, opacity in enumerate(transparency[: len(entries)]):
        opacities[index] = opacity
    if colour is None:
        if 0 in opacities:
            return opacities.index(0), form
        colour = "black"
    wanted = (*ImageColor.getrgb(colour), 255)[:4]
    known = [(*entry[:3], opacity) for entry, opacity in zip(entries, opacities, strict=True)]
    if wanted in known:
        return known.index(wanted), form
    if len(known) == 256 or wanted[3] != 255:
        return min(range(len(known)), key=lambda index: math.dist(known[index], wanted)), form
    return len(known), form._replace(palette=(mode, colours + bytes(wanted[:step])))
