"""The borders of a picture: between PIL and arrays, between pixels and planes, between integers and floats."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from resample import storage
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


# which of the four bytes of a pixel that Pillow stores are its channels, where not all are
_CHANNELS = dict.fromkeys(("RGB", "YCbCr", "HSV", "LAB"), slice(3)) | dict.fromkeys(("LA", "La"), slice(0, 4, 3))

# the fourth byte of a pixel, seen as one number
_LAST = np.uint32(0xFF000000)


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
    """Return the pixels of a picture, to be read, as `storage.stored` describes them, and its form.

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
    return storage.stored(image), Form(image.mode, info, palette, bilevel and keep_indices)


def closed(pixels: Array, form: Form) -> Image:
    """Return the picture of that form with these pixels, of any size: channels only, or as `as_values` takes them."""

    def fill(out: Array) -> None:
        target = as_values(out) if pixels.itemsize == 4 else channels(out, form)
        target[...] = pixels.reshape(target.shape)
        settle_padding(out, form)

    return filled(form, (pixels.shape[0], pixels.shape[1]), fill)


def filled(form: Form, size: tuple[int, int], fill: Callable[[Array], None]) -> Image:
    """Return the picture of that form, of (height, width), whose stored pixels `fill` writes, padding included."""
    image = storage.filled("L" if form.palette else form.mode, size, fill)
    if form.palette:
        mode, colours = form.palette
        image.putpalette(colours, mode)
    if form.bilevel:
        from PIL import Image as pillow

        image = image.convert("1", dither=pillow.Dither.NONE)
    image.info = form.info.copy()
    return image


def channels(pixels: Array, form: Form) -> Array:
    """Return the view of stored pixels that leaves out bytes which are no channel."""
    return pixels[..., _CHANNELS[form.mode]] if form.mode in _CHANNELS else pixels


def as_values(pixels: Array) -> Array:
    """Return the (height, width) view of stored pixels that takes the four bytes of a pixel as one number."""
    return pixels.view(np.uint32)[..., 0] if pixels.ndim == 3 else pixels


def settle_padding(pixels: Array, form: Form, source: Array | None = None) -> None:
    """Write the bytes that are no channel, as Pillow does: 255 behind three channels, L again between L and A.

    `source` is given if these bytes were resized from it with the others: of 255 alone every mode makes 255.
    """
    used = _CHANNELS.get(form.mode)
    if used == slice(3):
        # to look at a smaller source takes less time than writing
        if source is None or source.size >= pixels.size or not is_opaque(source):
            words = pixels.view("<u4")
            np.bitwise_or(words, _LAST, out=words)
    elif used:
        pixels[..., 1] = pixels[..., 2] = pixels[..., 0]


def is_opaque(pixels: Array) -> bool:
    """Return whether the last of the four bytes of every pixel, alpha or padding, is 255."""
    return bool(pixels.view("<u4").min() >= _LAST)


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
        pixels, form = opened(image, keep_indices=keep_indices)
        return closed(channels(pixels, form), form)
    array, give_back = borrowed_pixels(image, of_gpus=True)
    return give_back(copy_of(array))


def copy_of(array: Any) -> Any:
    """Return a C-contiguous copy of a view, a NumPy array or a DeviceArray."""
    return rearranged(array) if isinstance(array, DeviceArray) else array.copy()
