"""A picture to the pictures of every r-th pixel (pixel-unshuffle), and back (pixel-shuffle), without loss."""

from __future__ import annotations

import math
import os
from typing import Any

from PIL import Image

from resample.files import formats, output, reading, writing
from resample.files.failures import Failure, UsageError, failing_as, warn_of_loss
from resample.files.reading import Opened
from resample.files.settings import Settings, shown
from resample_cli.parser import Options


def split(options: Options) -> str:
    """Write the r * r phases of a picture, all or none, and return the line that tells of it."""
    path, factor, settings = options.input, options.factor or 1, _settings(options)
    with reading.opened(path, settings) as opened:
        width, height = opened.size
        if width % factor or height % factor:
            raise UsageError(f"{path}: --factor must divide both sides of {shown(opened.size)}, got {factor}")
        size = width // factor, height // factor
        picture = _first(opened)
        targets = _paths(options, factor, picture.mode)
        file_format = formats.of(targets[0])
        formats.check(file_format, size, options.quality)
        for target in targets:
            output.check_target(target, path, settings)
        with failing_as(f"{path}: cannot be split"):
            from resample import phases

            parts = phases(picture, factor)
        writing.write([[part] for part in parts], targets, file_format, opened.metadata(size), settings)
    return f"{path} {shown((width, height))} -> {output.span(targets)} {shown(size)}, {options.mode}"


def _settings(options: Options) -> Settings:
    return options.settings._replace(frames="first")


def _first(opened: Opened) -> Image.Image:
    """Return the one frame that has phases."""
    if opened.total > 1:
        warn_of_loss(f"{opened.path}: has {opened.total} frames, only the first is written")
    return next(iter(list(opened.frames())))


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
    paths, target, settings = options.inputs, str(options.output), _settings(options)
    factor, file_format = math.isqrt(len(paths)), formats.of(target)
    pictures: list[Image.Image] = []
    found: dict[str, Any] = {}
    for path in paths:
        with reading.opened(path, settings) as opened:
            whole = opened.size[0] * factor, opened.size[1] * factor
            if math.prod(whole) > settings.max_pixels:
                raise UsageError(
                    f"{path}: {shown(whole)} is more than {settings.max_pixels} pixels; raise --max-pixels"
                )
            formats.check(file_format, whole, options.quality)
            output.check_target(target, path, settings)
            pictures.append(_first(opened))
            found = found or opened.metadata(whole)
            _check_alike(path, pictures[-1], paths[0], pictures[0])
    with failing_as(f"{output.span(paths)}: cannot be put together"):
        from resample import from_phases

        result = from_phases(pictures)
    writing.write([[result]], [target], file_format, found, settings)
    return f"{output.span(paths)} {shown(pictures[0].size)} -> {target} {shown(result.size)}, {options.mode}"


def _check_alike(path: str, image: Image.Image, first_path: str, first: Image.Image) -> None:
    kinds = [f"{shown(each.size)} {each.mode}" for each in (image, first)]
    if kinds[0] != kinds[1]:
        raise Failure(f"{path}: is {kinds[0]}, but {first_path} is {kinds[1]}: the phases of a picture are alike")
    palettes = [(each.getpalette(), each.info.get("transparency")) for each in (image, first)]
    if image.mode == "P" and palettes[0] != palettes[1]:
        raise Failure(f"{path}: has another palette than {first_path}: the phases of a picture are alike")
