"""One picture to one picture: resizing and transposed convolution."""

from __future__ import annotations

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


def transform(options: Options) -> str:
    """Make the output file and return the line that tells of it."""
    operation = _convolution(options) if options.mode == CONV_TRANSPOSE else _resizing(options)
    path = options.input

    def target(size: Size, own_format: str | None) -> str:
        name = options.output or output.default_path(path, operation.label(size), own_format)
        formats.check(formats.EXTENSIONS[formats.extension(name)], size, options.quality)
        output.check_target(name, path, options.overwrite)
        return name

    def plan(old_size: Size, own_format: str | None) -> Size:
        size = operation.output_size(old_size)
        geometry.check_pixels(size, options.max_pixels)
        target(size, own_format)
        return size

    source = picture.read(path, options.max_pixels, plan)
    name = target(source.output_size, source.file_format)
    with failing_as(f"{path}: cannot be {operation.verb}"):
        result = operation.apply(source.picture, source.output_size)
    picture.write([result], [name], source.metadata, options.quality, options.overwrite)
    return f"{path} {geometry.shown(source.picture.size)} -> {name} {geometry.shown(result.size)}"


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
