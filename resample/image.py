"""`resize` for pictures: PIL images, and arrays of shape (height, width) or (height, width, channels)."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np

from resample import devices, linear_light, picture, sizes
from resample.apply import run
from resample.arguments import factor, keyed, length, pair
from resample.arrays import Array
from resample.blocks import new_array
from resample.devices import DeviceArray
from resample.interpolate import MODES, image_passes, resampled
from resample.picture import pixels_of, planes

if TYPE_CHECKING:
    from PIL.Image import Image

    from resample.kernels.cpu import Pass

# those of a height and a width
PICTURE_MODES = tuple(name for name, mode in MODES.items() if 2 in mode.ndims)

# Pillow modes whose last channel is how opaque a pixel is
_WITH_ALPHA = ("RGBA", "LA")

# Pillow modes whose other channels are coded for sRGB; palettes and mode 1 are widened to these
_CODED = ("L", "LA", "RGB", "RGBA", "I;16", "I;16L", "I;16B", "I;16N")


class _Call(NamedTuple):
    """A checked call for one picture size."""

    size: tuple[int, int]
    factors: tuple[float, float] | tuple[None, None]
    mode: str
    align_corners: bool
    antialias: bool
    device: int | None
    """The number of the GPU that computes what is on the CPU, or None."""


@overload
def resize(
    image: Image,
    size: int | tuple[int, int] | None = None,
    *,
    scale: float | tuple[float, float] | None = None,
    mode: str = "bilinear",
    align_corners: bool = False,
    antialias: bool | None = None,
    alpha: str = "premultiplied",
    linear: bool = False,
    out: None = None,
    device: str | None = None,
) -> Image: ...
@overload
def resize(
    image: Any,
    size: int | tuple[int, int] | None = None,
    *,
    scale: float | tuple[float, float] | None = None,
    mode: str = "bilinear",
    align_corners: bool = False,
    antialias: bool | None = None,
    alpha: str = "premultiplied",
    linear: bool = False,
    out: Array | None = None,
    device: str | None = None,
) -> Any: ...
def resize(
    image: Any,
    size: int | tuple[int, int] | None = None,
    *,
    scale: float | tuple[float, float] | None = None,
    mode: str = "bilinear",
    align_corners: bool = False,
    antialias: bool | None = None,
    alpha: str = "premultiplied",
    linear: bool = False,
    out: Array | None = None,
    device: str | None = None,
) -> Any:
    """Return a picture resized to `size` or by `scale`, of the same kind, dtype and PIL mode.

    For uint8 arrays and for L, RGB and CMYK pictures the result equals torch's F.interpolate on the same pixels, byte
    for byte (mode "area", which torch lacks for bytes, is computed in float32 and rounded).

    Args:
        image: a PIL image, or an array (height, width) or (height, width, channels): uint8, float16, float32 and
            float64 as torch computes them; int8, int16, uint16 (in float32), int32 and uint32 (in float64), rounded to
            the nearest integer and clipped to their range; any dtype for the nearest modes. Other libraries' arrays
            are taken and given back as by `resample.functional.interpolate`.
        size: (height, width) in pixels, or an int for the shorter edge, the other keeping the proportion (truncated,
            as in torchvision).
        scale: a factor, or (scale_height, scale_width); the size is truncated, `int(n * scale)`, and the factor itself
            sets the coordinates, as in torch. Exactly one of size and scale is given.
        mode: "nearest", "nearest-exact", "bilinear", "bicubic", "lanczos" or "area".
        align_corners: True puts the centres of the corner pixels of both grids on each other, not their corners; for
            bilinear and bicubic.
        antialias: True and False are torch's flag: whether the filter widens where an axis shrinks. None, the default,
            is True if an axis shrinks and the mode has the flag (and for lanczos, which has no other form); torch's
            own default is False. With align_corners=True, torch's antialias changes only the step between outputs.
        alpha: what happens to RGBA and LA pictures, and to palettes with transparency, outside the nearest modes.
            "premultiplied": colours are weighted by their opacity, so that the colour of clear pixels does not bleed
            in; computed in float32, unless all is opaque. "straight": each channel by itself, torch's bytes.
        linear: True takes values as coded for sRGB and mixes light: they are decoded (IEC 61966-2-1), resized in
            float32 (float64 for float64), clipped to 0 to 1 and coded again, to the nearest level. For pictures of L,
            LA, RGB, RGBA, I;16, palettes and mode 1, whose alpha is not coded and weighs light; and for arrays on the
            CPU of uint8, uint16 or floats from 0 to 1, all of whose channels are colours. The nearest modes, which
            mix nothing, give the same either way.
        out: an array to write the result to and return: its shape and dtype, writable, no memory shared with `image`.
        device: "cuda" or "cuda:1" computes a PIL image or NumPy array on that GPU, with the same bytes for uint8: it is
            copied there and back. None or "cpu": where the array is. Arrays of a GPU stay there and need no device.

    P pictures (palette) become RGB or RGBA and 1 pictures (bilevel) become L, except in the nearest modes; PA becomes
    RGBA. A picture's `info` is kept.

    Raises:
        TypeError: `image` or another argument is of a type that is not listed.
        ValueError: an argument is out of range, contradicts another, or `out` does not fit; or linear is True for
            values that are not coded for sRGB.
        RuntimeError: there is no such device, or no driver for it.
    """
    if type(image) is np.ndarray and out is None and device is None and not linear and image.flags.c_contiguous:
        try:
            steps = _steps(image.shape, image.dtype, *keyed(size, scale), mode, align_corners, antialias, alpha)
        except (TypeError, ValueError):  # what cannot be a key; what is wrong is told of below, as it was given
            steps = None
        if steps is not None:
            return run(image, steps)
    check_options(mode, align_corners, antialias, alpha)
    if picture.is_picture(image):
        if out is not None:
            raise TypeError("out must be None for a PIL image: its result is always a new one")
        if 0 in image.size:
            raise ValueError(f"image must have at least one pixel, got {image.height} x {image.width}")
        call = _checked((image.height, image.width), size, scale, mode, align_corners, antialias, device)
        return _resize_picture(image, call, alpha, linear and not MODES[mode].copies)
    array, give_back = picture.borrowed_pixels(image, of_gpus=True)
    call = _checked(array.shape[:2], size, scale, mode, align_corners, antialias, device)
    linear = linear and not MODES[mode].copies
    if isinstance(array, DeviceArray):
        _check_on_device(array, call, device, out, linear)
        return give_back(pixels_of(resampled(planes(array), *call), array.ndim))
    if linear and array.dtype.name not in linear_light.DTYPES:
        allowed = ", ".join(linear_light.DTYPES)
        raise ValueError(f"linear must be False for arrays of other dtypes than {allowed}, got True and {array.dtype}")
    if out is not None:
        _check_out(out, array, call)
    result = _resize_array(array, call, linear, out)
    return give_back(result) if out is None else result


@lru_cache(maxsize=256)
def _steps(
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    size: Any,
    scale: Any,
    types: Any,
    mode: str,
    align_corners: bool,
    antialias: bool | None,
    alpha: str,
) -> list[Pass] | None:
    """Return what `resize` does with C-contiguous arrays, or None where their values are widened or copied first.

    Checks and plans are then made once for all calls that are alike: of a small picture they take most of the time.
    """
    if len(shape) not in (2, 3) or 0 in shape:
        return None
    check_options(mode, align_corners, antialias, alpha)
    call = _checked(shape[:2], size, scale, mode, align_corners, antialias, None)
    return _passes(shape, dtype, call)


@lru_cache(maxsize=256)
def _passes(shape: tuple[int, ...], dtype: np.dtype[Any], call: _Call) -> list[Pass] | None:
    """Return what computes `call` of C-contiguous arrays, or None where they are copied or widened first."""
    on_cpu = call.device is None and _is_torchs(dtype, call.mode, call.antialias)
    return image_passes(shape, dtype, *call[:-1]) if on_cpu else None


def check_options(mode: str, align_corners: bool, antialias: bool | None, alpha: str) -> None:
    """Refuse options of `resize` that no picture could have.

    Raises:
        ValueError: an option is not one of those listed there, or does not go with the mode.
    """
    if alpha not in ("premultiplied", "straight"):
        raise ValueError(f"alpha must be 'premultiplied' or 'straight', got {alpha!r}")
    if mode not in PICTURE_MODES:
        raise ValueError(f"mode must be one of {', '.join(PICTURE_MODES)}, got {mode!r}")
    row = MODES[mode]
    if align_corners and (not row.aligns or row.only_antialiased):
        raise ValueError(f"align_corners must be False for mode {mode!r}, got {align_corners!r}")
    if antialias and row.antialias_filter is None:
        raise ValueError(f"antialias must be None or False for mode {mode!r}, got {antialias!r}")
    if row.only_antialiased and antialias is not None and not antialias:
        raise ValueError(f"antialias must be None or True for mode {mode!r}, got {antialias!r}")


def _checked(
    shape: tuple[int, ...],
    size: Any,
    scale: Any,
    mode: str,
    align_corners: bool,
    antialias: bool | None,
    device: str | None,
) -> _Call:
    if (size is None) == (scale is None):
        raise ValueError(f"exactly one of size and scale must be given, got size={size!r} and scale={scale!r}")
    height, width = shape
    factors: tuple[float, float] | tuple[None, None] = (None, None)
    if scale is not None:
        vertical, horizontal = factors = pair("scale", scale, factor)
        wanted = sizes.scaled((height, width), (vertical, horizontal))
    elif isinstance(size, (tuple, list)):
        wanted = pair("size", size, length)
    else:
        wanted = sizes.with_shorter((height, width), length("size", size))
    if antialias is None:
        row = MODES[mode]
        shrinks = wanted[0] < height or wanted[1] < width
        antialias = row.only_antialiased or (shrinks and row.antialias_filter is not None)
    on_gpu = None if device is None or device == "cpu" else devices.number(device)
    return _Call(wanted, factors, mode, bool(align_corners), bool(antialias), on_gpu)


def _check_on_device(array: DeviceArray, call: _Call, device: str | None, out: Any, linear: bool) -> None:
    if out is not None:
        raise TypeError("out must be None for an array of a GPU: its result is always a new one")
    if linear:
        raise ValueError("linear must be False for an array of a GPU, got True")
    if device is not None and call.device != array.origin.device:
        raise ValueError(f"device must be None or the array's own, 'cuda:{array.origin.device}', got {device!r}")
    if not _is_torchs(array.dtype, call.mode, call.antialias):
        allowed = ", ".join(MODES[call.mode].dtypes)
        raise TypeError(f"image must be {allowed} on a GPU for mode {call.mode!r}, got {array.dtype}")


def _check_out(out: Any, image: Array, call: _Call) -> None:
    shape = (*call.size, *image.shape[2:])
    if type(out) is not np.ndarray:
        raise TypeError(f"out must be a NumPy array (and no subclass), got {type(out).__name__}")
    if out.shape != shape or out.dtype != image.dtype:
        raise ValueError(f"out must have shape {shape} and dtype {image.dtype}, got {out.shape} and {out.dtype}")
    if not out.flags.writeable:
        raise ValueError("out must be writable, got a read-only array")
    if np.shares_memory(out, image):
        raise ValueError("out must not share memory with image")


def _resize_array(array: Array, call: _Call, linear: bool = False, out: Array | None = None) -> Array:
    """Return an array of shape (height, width) or (height, width, channels), resized; in `out` if given."""
    dtype = array.dtype
    if not linear and array.flags.c_contiguous and (out is None or out.flags.c_contiguous):
        steps = _passes(array.shape, dtype, call)
        if steps is not None:
            return run(array, steps, out)
    if _is_torchs(dtype, call.mode, call.antialias) and not linear:
        result = resampled(planes(array), *call, out=None if out is None else planes(out))
        if out is not None:
            return out
        pixels: Array = pixels_of(result, array.ndim)
        return pixels if pixels.dtype == dtype else pixels.astype(dtype)
    wide = linear_light.decoded(array) if linear else picture.widened(array)
    result = pixels_of(resampled(planes(wide), *call), array.ndim)
    if linear:
        out = new_array(result.shape, dtype) if out is None else out
        linear_light.coded(result, out)
        return out
    result = picture.rounded(result, dtype)
    if out is None:
        return result
    out[...] = result
    return out


@lru_cache(maxsize=256)
def _is_torchs(dtype: np.dtype[Any], mode: str, antialias: bool) -> bool:
    """Return whether torch has a kernel for this type, or any type may be copied."""
    row = MODES[mode]
    computed = dtype.name in row.dtypes and not (dtype == np.float16 and antialias)
    return computed or (row.copies and not dtype.hasobject)


def _resize_picture(image: Image, call: _Call, alpha: str, linear: bool) -> Image:
    chooses = MODES[call.mode].copies
    pixels, form = picture.opened(image, keep_indices=chooses)
    if linear and form.mode not in _CODED:
        raise ValueError(
            f"linear must be False for pictures of other modes than {', '.join(_CODED)}, P, PA and 1, "
            f"got True and {form.mode}"
        )
    has_alpha = form.mode in _WITH_ALPHA and not chooses
    weighs = has_alpha and alpha == "premultiplied" and not picture.is_opaque(pixels)
    at_once = _is_torchs(pixels.dtype, call.mode, call.antialias) and not (linear or weighs)

    def fill(out: Array) -> None:
        if at_once:
            # four bytes of a pixel, where they lie, take less time than three that are taken out and put back
            _resize_array(pixels, call, out=out)
            picture.settle_padding(out, form, pixels)
            return
        # channels by themselves: NumPy is slow on rows of three
        source, result = (np.atleast_3d(picture.channels(each, form)) for each in (pixels, out))
        colours = list(np.moveaxis(source, 2, 0)), list(np.moveaxis(result, 2, 0))
        if has_alpha:
            opacity, resized_opacity = (each.pop() for each in colours)
            _resize_array(opacity, call, out=resized_opacity)
        if weighs:
            _resize_weighted(*colours, opacity, call, linear)
        else:
            for colour, resized in zip(*colours, strict=True):
                _resize_array(colour, call, linear, resized)
        picture.settle_padding(out, form)

    return picture.filled(form, call.size, fill)


def _resize_weighted(colours: list[Array], out: list[Array], opacity: Array, call: _Call, linear: bool) -> None:
    """Write (height, width) bytes of colours, weighted by their opacity, to `out`.

    Premultiplied bytes would leave few levels to faint pixels, so colours are carried in float32.
    """
    weight = opacity.astype(np.float32)
    resized_weight = _resize_array(weight, call)
    # where less than a quarter of a level of alpha is left, the colour does not show
    shows = resized_weight > 0.25
    for colour, result in zip(colours, out, strict=True):
        values = linear_light.decoded(colour) if linear else colour.astype(np.float32)
        values *= weight
        values = _resize_array(values, call)
        values = np.divide(values, resized_weight, out=np.zeros_like(values), where=shows)
        if linear:
            linear_light.coded(values, result)
        else:
            result[...] = picture.rounded(values, result.dtype)
