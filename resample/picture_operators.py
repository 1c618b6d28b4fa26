"""The other operators on pictures: transposed convolution, and phases (pixel shuffle)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from resample import filters, picture
from resample.arguments import Ints, integer, per_axis
from resample.arrays import Array, borrowed
from resample.convolution import conv_transpose2d
from resample.devices import downloaded, number, uploaded
from resample.picture import pixels_of, planes
from resample.shuffle import pixel_shuffle, pixel_unshuffle

# the modes whose filters `interpolating_weight` makes into weights; nearest repeats each sample
KERNELS = {"nearest": None, "bilinear": filters.TRIANGLE, "bicubic": filters.CUBIC}

# for pictures whose number of channels changed, Pillow's mode by that number
_PILLOW_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def conv_transpose(
    image: Any,
    weight: Any,
    bias: Any = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
    *,
    device: str | None = None,
) -> Any:
    """Return the transposed convolution of a picture, of the same kind and dtype.

    Computed in float32, or float64 for float64, int32 and uint32; integers are rounded and clipped.

    Args:
        image: a PIL image, or an array (height, width) or (height, width, channels) of uint8, int8, uint16, int16,
            uint32, int32, float16, float32 or float64. Palettes and bilevel pictures are widened as by `resize`.
        weight: (channels, C_out // groups, kH, kW); or (1, 1, kH, kW), which serves each channel by itself. The result
            for a PIL image has its mode if it has as many channels, else it is L, RGB or RGBA.
        bias: (C_out,), or (1,) beside a weight that serves each channel; for integers in units of the dtype's largest
            value, so that a layer that was trained on values from 0 to 1 fits.
        stride, padding, output_padding, groups, dilation: as of `resample.functional.conv_transpose2d`; vertical first.
        device: "cuda" or "cuda:1" computes it on that GPU; None or "cpu", on the CPU.

    Raises:
        TypeError: `image` is of a type or dtype that is not listed.
        ValueError: `image` has no pixel, or the result would have 2 or more than 4 channels and is to be a PIL image.
        RuntimeError: weight, bias and parameters do not fit, see `resample.functional.conv_transpose2d`; or there is no
            such device.
    """
    if picture.is_picture(image):
        stored, form = picture.opened(image)
        pixels = picture.channels(stored, form)
        result = conv_transpose(pixels, weight, bias, stride, padding, output_padding, groups, dilation, device=device)
        if result.shape[2:] != pixels.shape[2:]:
            form = form._replace(mode=_mode(result))
        return picture.closed(result, form)
    array, give_back = picture.borrowed_pixels(image)
    samples = planes(picture.widened(array))
    kernel = borrowed("weight", weight)[0]
    if kernel.dtype.kind not in "fiu":
        raise TypeError(f"weight must be of numbers, got {kernel.dtype}")
    if kernel.ndim != 4 or kernel.shape[0] not in (1, samples.shape[1]):
        raise RuntimeError(
            f"weight must have shape ({samples.shape[1]} or 1, C_out // groups, kH, kW) for an image of "
            f"{samples.shape[1]} channels, got {kernel.shape}"
        )
    kernel = kernel.astype(samples.dtype)
    weight_serves_all = kernel.shape[:2] == (1, 1)
    if weight_serves_all:
        groups = samples.shape[1]
        kernel = np.repeat(kernel, groups, axis=0)
    if bias is not None:
        unit = np.iinfo(array.dtype).max if array.dtype.kind in "iu" else 1
        bias = borrowed("bias", bias)[0].astype(samples.dtype) * samples.dtype.type(unit)
        if weight_serves_all and bias.shape == (1,):
            bias = np.repeat(bias, groups)
    steps = (stride, padding, output_padding, groups, dilation)
    if device is None or device == "cpu":
        result = conv_transpose2d(samples, kernel, bias, *steps)
    else:
        on_gpu = number(device)
        moved = None if bias is None else uploaded(bias, on_gpu)
        result = downloaded(conv_transpose2d(uploaded(samples, on_gpu), uploaded(kernel, on_gpu), moved, *steps))
    ndim = 2 if array.ndim == 2 and result.shape[1] == 1 else 3
    return give_back(picture.rounded(pixels_of(result, ndim), array.dtype))


def _mode(pixels: Array) -> str:
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    if channels not in _PILLOW_MODES or pixels.dtype != np.uint8:
        raise ValueError(
            f"weight must keep the number of channels, or give 1, 3 or 4 of 8 bits, which PIL images can have; got "
            f"{channels} of {pixels.dtype}"
        )
    return _PILLOW_MODES[channels]


def interpolating_weight(mode: str, stride: Ints) -> tuple[Array, tuple[int, int]]:
    """Return (weight, padding) with which `conv_transpose` enlarges by `stride` as `resize` does inside its edges.

    Args:
        mode: "nearest", "bilinear" or "bicubic".
        stride: the factor, or (vertical, horizontal) factors, at least 1.

    Returns:
        weight of shape (1, 1, kH, kW), float64, and (vertical, horizontal) padding.

    Raises:
        TypeError: `stride` is not an int or a sequence of ints.
        ValueError: another mode.
        RuntimeError: a stride less than 1, or of another length.
    """
    if mode not in KERNELS:
        raise ValueError(f"mode must be one of {', '.join(KERNELS)}, got {mode!r}")
    strides = per_axis("stride", stride, 2)
    if min(strides) < 1:
        raise RuntimeError(f"stride must be at least 1, got {stride!r}")
    filter = KERNELS[mode]
    sides = [filters.stepped(filter, step) if filter else np.ones(step) for step in strides]
    vertical, horizontal = ((len(side) - step) // 2 for side, step in zip(sides, strides, strict=True))
    return np.outer(*sides)[None, None], (vertical, horizontal)


def phases(image: Any, downscale_factor: int) -> list[Any]:
    """Return the r * r pictures of every r-th pixel: phase (i, j) at i * r + j holds pixels i, i + r, ... of each axis.

    This is pixel_unshuffle; of a Bayer mosaic with r = 2 it gives the four planes. Palettes and bilevel pictures stay
    what they are.

    Args:
        image: a PIL image, or an array (height, width) or (height, width, channels) of any dtype that
            `resample.functional.pixel_unshuffle` takes.
        downscale_factor: r, at least 1; it divides the height and the width.

    Raises:
        TypeError: `image` or `downscale_factor` is of a type that is not listed.
        ValueError: `image` has no pixel.
        RuntimeError: `downscale_factor` is less than 1 or does not divide the height and the width.
    """
    if picture.is_picture(image):
        pixels, form = picture.opened(image, keep_indices=True)
        return [picture.closed(phase, form) for phase in phases(picture.as_values(pixels), downscale_factor)]
    array, give_back = picture.borrowed_pixels(image)
    height, width = array.shape[:2]
    r = integer("downscale_factor", downscale_factor)
    if r < 1 or height % r or width % r:
        raise RuntimeError(f"downscale_factor must be at least 1 and divide image of {height} x {width}, got {r}")
    # (C, H, W) to (C * r * r, H / r, W / r), channel c * r * r + i * r + j
    shuffled = pixel_unshuffle(opaque(planes(array)[0]), r).view(array.dtype)
    split = shuffled.reshape(-1, r * r, *shuffled.shape[1:])
    return [give_back(pixels_of(split[None, :, k], array.ndim).copy()) for k in range(r * r)]


def from_phases(images: Sequence[Any]) -> Any:
    """Return the picture whose `phases` these r * r pictures are: the inverse, without loss.

    Args:
        images: pictures of one size and mode, or arrays of one shape and dtype, in the order of `phases`.

    Raises:
        TypeError: an image is of a type that is not listed.
        ValueError: their number is not a square, or they differ in size, mode or dtype.
    """
    factor = math.isqrt(len(images))
    if factor < 1 or factor**2 != len(images):
        raise ValueError(f"images must be r * r pictures for a factor r, got {len(images)}")
    pictures = sum(map(picture.is_picture, images))
    if pictures not in (0, len(images)):
        raise TypeError(f"images must be all PIL images or all arrays, got {pictures} of {len(images)} PIL images")
    if pictures:
        opened = [picture.opened(image, keep_indices=True) for image in images]
        form = opened[0][1]
        if any(other._replace(info=form.info) != form for _, other in opened):
            raise ValueError(f"images must have one mode and palette, got {', '.join(image.mode for image in images)}")
        return picture.closed(from_phases([picture.as_values(pixels) for pixels, _ in opened]), form)
    borrowed_images = [picture.borrowed_pixels(image) for image in images]
    arrays = [array for array, _ in borrowed_images]
    found = dict.fromkeys((array.shape, array.dtype.name) for array in arrays)
    if len(found) > 1:
        listed = " and ".join(f"{shape} {dtype}" for shape, dtype in found)
        raise ValueError(f"images must have one shape and dtype, got {listed}")
    stacked = np.stack([planes(array)[0] for array in arrays], axis=1)  # (C, r * r, h, w)
    flat = stacked.reshape(-1, *stacked.shape[2:])
    shuffled = pixel_shuffle(opaque(flat), factor).view(flat.dtype).astype(arrays[0].dtype, copy=False)
    return borrowed_images[0][1](pixels_of(shuffled[None], arrays[0].ndim))


def opaque(array: Array) -> Array:
    """Return unsigned types that torch's shuffles do not take as the signed ones of their width."""
    return array.view(array.dtype.str.replace("u", "i")) if array.dtype.kind == "u" else array
