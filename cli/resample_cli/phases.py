"""A picture to the pictures of every r-th pixel (pixel-unshuffle), and back (pixel-shuffle), without loss."""

from __future__ import annotations

import math
import os
from functools import partial

from PIL import Image

from resample_cli import formats, geometry, output, picture
from resample_cli.geometry import Size
from resample_cli.messages import Failure, UsageError, failing_as
from resample_cli.parser import Options


def split(options: Options) -> str:
    """Write the r * r phases of a picture, all or none, and return the line that tells of it."""
    path, factor = options.input, options.factor or 1
    source = picture.read(path, options.max_pixels, partial(_phase_size, path, factor))
    size = source.output_size
    targets = _paths(options, factor, source.picture.mode)
    formats.check(formats.EXTENSIONS[formats.extension(targets[0])], size, options.quality)
    for target in targets:
        output.check_target(target, path, options.on_exists)
    with failing_as(f"{path}: cannot be split"):
        from resample import phases

        parts = phases(source.picture, factor)
    picture.write(parts, targets, source.metadata, options.quality, options.on_exists)
    return f"{path} {geometry.shown(source.picture.size)} -> {output.span(targets)} {geometry.shown(size)}"


def _phase_size(path: str, factor: int, size: Size, _: str | None) -> Size:
    if size[0] % factor or size[1] % factor:
        raise UsageError(f"{path}: --factor must divide both sides of {geometry.shown(size)}, got {factor}")
    return size[0] // factor, size[1] // factor


def _paths(options: Options, factor: int, mode: str) -> list[str]:
    """Return a name for each row and column of a phase, such that their order is also that of the alphabet."""
    if options.output:
        root, ending = os.path.splitext(options.output)
    else:
        known = formats.extension(options.input) in formats.EXTENSIONS
        root = f"{os.path.splitext(options.input)[0] if known else options.input}@phase"
        ending = ".png" if mode in formats.MODES["PNG"] else ".tif"
    digits = len(str(factor - 1))
    return [f"{root}-{i:0{digits}}-{j:0{digits}}{ending}" for i in range(factor) for j in range(factor)]


def join(options: Options) -> str:
    """Write the picture whose phases these are, and return the line that tells of it."""
    paths, target = options.inputs, str(options.output)
    sources = [picture.read(path, options.max_pixels, partial(_whole_size, options, path)) for path in paths]
    first = sources[0].picture
    for path, source in zip(paths, sources, strict=True):
        _check_alike(path, source.picture, paths[0], first)
    with failing_as(f"{output.span(paths)}: cannot be put together"):
        from resample import from_phases

        result = from_phases([source.picture for source in sources])
    picture.write([result], [target], sources[0].metadata, options.quality, options.on_exists)
    return f"{output.span(paths)} {geometry.shown(first.size)} -> {target} {geometry.shown(result.size)}"


def _whole_size(options: Options, path: str, size: Size, _: str | None) -> Size:
    factor, target = math.isqrt(len(options.inputs)), str(options.output)
    whole = size[0] * factor, size[1] * factor
    geometry.check_pixels(whole, options.max_pixels)
    formats.check(formats.EXTENSIONS[formats.extension(target)], whole, options.quality)
    output.check_target(target, path, options.on_exists)
    return whole


def _check_alike(path: str, image: Image.Image, first_path: str, first: Image.Image) -> None:
    kinds = [f"{geometry.shown(each.size)} {each.mode}" for each in (image, first)]
    if kinds[0] != kinds[1]:
        raise Failure(f"{path}: is {kinds[0]}, but {first_path} is {kinds[1]}: the phases of a picture are alike")
    palettes = [(each.getpalette(), each.info.get("transparency")) for each in (image, first)]
    if image.mode == "P" and palettes[0] != palettes[1]:
        raise Failure(f"{path}: has another palette than {first_path}: the phases of a picture are alike")
