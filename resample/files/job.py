"""One picture to one picture: resizing and transposed convolution."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple

from PIL import Image

from resample_cli import formats, geometry, output, picture
from resample_cli.geometry import Size
from resample_cli.messages import UsageError, failing_as
from resample_cli.modes import CONV_TRANSPOSE
from resample_cli.parser import Options


class Operation(NamedTuple):
    """What is done to a picture; sizes are (width, height)."""

    output_size: Callable[[Size], Size]
    label: Callable[[Size], str]
    """What the name of the output says, for the size of the output."""
    apply: Callable[[Image.Image, Size], Image.Image]
    verb: str


Naming = Callable[[Size, str | None], str]
"""From the size of an output and the format of its input to its name."""


class Made(NamedTuple):
    """What became, or would become, of a picture; sizes are (width, height)."""

    path: str
    size: Size
    output: str
    output_size: Size

    def __str__(self) -> str:
        return f"{self.path} {geometry.shown(self.size)} -> {self.output} {geometry.shown(self.output_size)}"


def transform(options: Options) -> str:
    """Make the output file of the one input and return the line that tells of it."""
    operation, path = operation_of(options), options.input

    def name(size: Size, own_format: str | None) -> str:
        name = options.output or output.default_path(path, operation.label(size), own_format)
        return output.free(name) if options.on_exists == "rename" else name

    return str(make(options, operation, path, name))


def operation_of(options: Options) -> Operation:
    """Return what is to be done to every picture."""
    return _convolution(options) if options.mode == CONV_TRANSPOSE else _resizing(options)


def make(options: Options, operation: Operation, path: str, naming: Naming) -> Made:
    """Make the output file of a picture.

    Raises:
        Failure: the picture cannot be read or its output not be written.
        Skipped: the output exists, and that is to be left as it is.
    """

    def target(size: Size, own_format: str | None) -> str:
        return _target(options, path, naming, size, own_format)

    def plan(old_size: Size, own_format: str | None) -> Size:
        size = operation.output_size(old_size)
        geometry.check_pixels(size, options.max_pixels)
        target(size, own_format)
        return size

    source = picture.read(path, options.max_pixels, plan)
    name = target(source.output_size, source.file_format)
    with failing_as(f"{path}: cannot be {operation.verb}"):
        result = operation.apply(source.picture, source.output_size)
    if options.makes_folders:
        with failing_as(f"{name}: cannot be written"):
            os.makedirs(os.path.dirname(name) or os.curdir, exist_ok=True)
    picture.write([result], [name], source.metadata, options.quality, options.on_exists)
    return Made(path, source.picture.size, name, result.size)


def foresee(options: Options, operation: Operation, path: str, naming: Naming) -> Made:
    """Return what `make` would do, as far as the header of the picture tells."""
    old_size, own_format = picture.measure(path, options.max_pixels)
    size = operation.output_size(old_size)
    geometry.check_pixels(size, options.max_pixels)
    return Made(path, old_size, _target(options, path, naming, size, own_format), size)


def _target(options: Options, path: str, naming: Naming, size: Size, own_format: str | None) -> str:
    name = naming(size, own_format)
    formats.check(formats.EXTENSIONS[formats.extension(name)], size, options.quality)
    output.check_target(name, path, options.on_exists, folder_is_made=options.makes_folders)
    return name


def _resizing(options: Options) -> Operation:
    def resized(image: Image.Image, size: Size) -> Image.Image:
        from resample import resize

        result: Image.Image = resize(
            image,
            size[::-1] if options.scale is None else None,
            scale=options.scale and options.scale[::-1],
            mode=options.mode,
            align_corners=bool(options.align_corners),
            antialias=options.antialias,
            alpha=options.alpha or "premultiplied",
            device=options.device,
        )
        return result

    return Operation(
        lambda size: geometry.output_size(options, *size),
        lambda size: geometry.size_label(options, size),
        resized,
        "resized",
    )


def _convolution(options: Options) -> Operation:
    from resample import conv_transpose, interpolating_weight
    from resample.functional import conv_transpose_output_size
    from resample_cli import weights

    given = {
        "stride": options.stride,
        "padding": options.padding,
        "output_padding": options.output_padding,
        "dilation": options.dilation,
    }
    # the library's order is vertical first
    steps = {name: pair[::-1] for name, pair in given.items() if pair}
    bias = None
    if options.weights:
        weight, bias = weights.load(*options.weights)
    else:
        weight, matching = interpolating_weight(str(options.kernel), steps["stride"])
        steps.setdefault("padding", matching)
    if options.groups and weight.shape[:2] == (1, 1):
        raise UsageError("--groups does not go with weights of shape (1, 1, kH, kW), which take each channel by itself")

    def output_size(size: Size) -> Size:
        try:
            height, width = conv_transpose_output_size(size[::-1], weight.shape[2:], **steps)
        except RuntimeError:
            # all else is checked by now
            raise UsageError(
                f"--padding leaves nothing of the output for a picture of {geometry.shown(size)}"
            ) from None
        return width, height

    def convolved(image: Image.Image, _: Size) -> Image.Image:
        result: Image.Image = conv_transpose(
            image, weight, bias, groups=options.groups or 1, device=options.device, **steps
        )
        return result

    return Operation(output_size, lambda _: CONV_TRANSPOSE, convolved, "convolved")
