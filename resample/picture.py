"""The borders of a picture: between PIL and arrays, between pixels and planes, between integers and floats."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from resample.arrays import Array, GiveBack
from resample.devices import DeviceArray, borrowed, rearranged
from resample.sizes import Size

if TYPE_CHECKING:
    from PIL.Image import Image


# types that torch has no kernel for are computed in a float that holds every value, then rounded
_WIDENED_TO = {
    "uint8": np.float32,
    "int8": np.float32,
    "int16": np.float32,
    "uint16": np.float32,
    "int32": np.float64,
    "uint32": np.float64,
    "float16": np.float32,
    "float32": np.float32,
    "float64": np.float64,
}


# Pillow hands out the a and b of LAB as signed bytes: with the sign flipped they are in order as unsigned ones
_SIGNS = np.array([0, 0x80, 0x80], np.uint8)


class Form(NamedTuple):
    """What makes an array of pixels the picture that it came from."""

    mode: str
    """Pillow's mode, of the pixels as they were opened."""
    info: dict[str | tuple[int, int], Any]
    palette: tuple[str, bytes] | None = None
    """The palette's mode and bytes, where pixels are indices into it."""
    bilevel: bool = False
    """Whether the pixels, 0 and 255, go back to Pillow's mode 1."""


def is_picture(image: Any) -> bool:
    """Return whether `image` is a PIL image, without importing PIL: whoever holds one has."""
    pillow = sys.modules.get("PIL.Image")
    return pillow is not None and isinstance(image, pillow.Image)


def opened(image: Image, *, keep_indices: bool = False) -> tuple[Array, Form]:
    """Return the (height, width) or (height, width, channels) pixels of a picture, and its form.

    Palettes are looked up (to RGB, or RGBA with transparency) and mode 1 is widened to L, unless `keep_indices`: then
    operations that only choose pixels give such a picture back.
    """
    image.load()  # before that, the palette of some formats is not yet what Pillow makes of it
    info = image.info.copy()
    palette = None
    bilevel = image.mode == "1"
    if image.mode == "P" and keep_indices and image.palette is not None:
        palette = (image.palette.mode, bytes(image.palette.palette))
    elif image.mode in ("P", "PA"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
        info.pop("transparency", None)
    elif bilevel:
        image = image.convert("L")
    pixels = np.asarray(image)
    if image.mode == "LAB":
        pixels = pixels ^ _SIGNS
    return pixels, Form(image.mode, info, palette, bilevel and keep_indices)


def closed(pixels: Array, form: Form) -> Image:
    """Return the picture of that form with these pixels, of any size."""
    from PIL import Image as pillow

    height, width = pixels.shape[:2]
    stored = "L" if form.palette else form.mode
    if stored == "LAB":
        pixels = pixels ^ _SIGNS
    data = np.ascontiguousarray(pixels, ">u2" if stored == "I;16B" else None)
    image = pillow.frombuffer(stored, (width, height), data, "raw", stored, 0, 1)
    if form.palette:
        mode, colours = form.palette
        image.putpalette(colours, mode)
    if form.bilevel:
        image = image.convert("1", dither=pillow.Dither.NONE)
    image.info = form.info.copy()
    return image


def borrowed_pixels(image: Any, *, of_gpus: bool = False) -> tuple[Any, GiveBack]:
    """Return the pixels of an array that is an image, and what gives a result back in the caller's kind.

    Raises:
        TypeError, ValueError: it is not an array that `devices.borrowed` takes, of two or three axes, with a pixel; or
            it is on a GPU, unless `of_gpus`.
    """
    array, give_back = borrowed("image", image)
    if isinstance(array, DeviceArray) and not of_gpus:
        raise TypeError(
            "image must be a PIL image or an array on the CPU; of arrays of a GPU resize takes images, and "
            f"resample.functional tensors: got {type(image).__name__}"
        )
    if array.ndim not in (2, 3):
        raise ValueError(f"image must be (height, width) or (height, width, channels), got shape {array.shape}")
    if 0 in array.shape:
        raise ValueError(f"image must have at least one pixel and channel, got shape {array.shape}")
    return array, give_back


def planes(pixels: Any) -> Any:
    """Return the (1, channels, height, width) view of an image."""
    return pixels[None, None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)[None]


def pixels_of(planes: Any, ndim: int) -> Any:
    """Return the image of `ndim` axes that (1, channels, height, width) planes show."""
    return planes[0, 0] if ndim == 2 else planes[0].transpose(1, 2, 0)


def widened(pixels: Array) -> Array:
    """Return the values as float32, or float64 where float32 would not hold them.

    Raises:
        TypeError: the dtype is not one of those that are widened.
    """
    if pixels.dtype.name not in _WIDENED_TO:
        raise TypeError(f"image must be {', '.join(_WIDENED_TO)}, got {pixels.dtype}")
    return pixels.astype(_WIDENED_TO[pixels.dtype.name])


def rounded(values: Array, dtype: np.dtype[Any]) -> Array:
    """Return floats as `dtype`: integers are rounded, half to even, and clipped."""
    if dtype.kind not in "iu":
        return values.astype(dtype)
    limits = np.iinfo(dtype)
    return np.asarray(np.rint(values).clip(limits.min, limits.max), dtype)


def size_of(image: Any) -> Size:
    """Return (height, width) of a picture or array.

    Raises:
        TypeError, ValueError: it is neither, or has no pixel.
    """
    if not is_picture(image):
        height, width = borrowed_pixels(image, of_gpus=True)[0].shape[:2]
    else:
        height, width = image.height, image.width
        if 0 in image.size:
            raise ValueError(f"image must have at least one pixel, got {height} x {width}")
    return height, width


def copied(image: Any, *, keep_indices: bool = False) -> Any:
    """Return a copy of a picture or array; `keep_indices` as of `opened`."""
    if is_picture(image):
        return closed(*opened(image, keep_indices=keep_indices))
    array, give_back = borrowed_pixels(image, of_gpus=True)
    return give_back(copy_of(array))


def copy_of(array: Any) -> Any:
    """Return a C-contiguous copy of a view, a NumPy array or a DeviceArray."""
    return rearranged(array) if isinstance(array, DeviceArray) else array.copy()
