"""The ways in which the command can resize a picture, and the results of all of them as they are shown."""

from __future__ import annotations

import shlex
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from resample.files.settings import Size, shown
from resample_cli.modes import ALIGNING_MODES, ANTIALIASING_MODES, MODES
from resample_cli.parser import Options

DEEP_MODES = ("I;16", "I;16B", "I;16L", "I", "F")


class Variant(NamedTuple):
    """Arguments of `resample.resize` that make one result."""

    mode: str
    align_corners: bool = False
    antialias: bool | None = None

    @property
    def details(self) -> str:
        """What distinguishes it from others of its mode, in the words of `resample.resize`."""
        words = [f"align_corners={self.align_corners}"] if self.mode in ALIGNING_MODES else []
        words += [f"antialias={self.antialias}"] if self.antialias is not None else []
        return ", ".join(words)

    @property
    def options(self) -> list[str]:
        """The words of the command that ask for it."""
        words = ["--mode", self.mode]
        words += ["--align-corners"] if self.align_corners else []
        # where a side shrinks, antialias is the default
        words += ["--no-antialias"] if self.antialias is False else []
        return words


class Comparison(NamedTuple):
    """A picture, or a part of it, resized in all ways."""

    name: str
    """Of the file, without its folder."""
    old_size: Size
    part: tuple[int, int, int, int]
    """What was resized, of the upright picture: (left, top, width, height)."""
    size: Size
    """(width, height) of the results."""
    variants: list[Variant]
    results: list[Image.Image]
    """RGB or RGBA, all alike."""
    commands: list[str]
    """The command line of each variant; of a part, that for the whole picture at the same scale."""
    reference: int
    """The number of the variant that the others are compared with."""
    whole: Image.Image
    """The whole picture, before."""

    @property
    def is_of_a_part(self) -> bool:
        return self.part[2:] != self.old_size

    def sizes(self) -> str:
        """Return what was resized to what, as 48x36 at 300,200 of 700x464 -> 384x288."""
        left, top, *size = self.part
        of = f"{shown((size[0], size[1]))} at {left},{top} of " if self.is_of_a_part else ""
        return f"{of}{shown(self.old_size)} -> {shown(self.size)}"


def variants(old_size: Size, size: Size) -> list[Variant]:
    """Return the ways to resize from one (width, height) to another, those of a mode behind each other.

    The first of each mode is what the command does by default. Antialiasing is in question only where a side shrinks.
    """
    found = []
    for mode in MODES:
        antialiasing: tuple[bool | None, ...] = (None,)
        if mode in ANTIALIASING_MODES and (size[0] < old_size[0] or size[1] < old_size[1]):
            antialiasing = (True,) if mode == "lanczos" else (True, False)
        aligning = (False, True) if mode in ALIGNING_MODES else (False,)
        found += [Variant(mode, align, antialias) for align in aligning for antialias in antialiasing]
    return found


def command(options: Options, variant: Variant, size: Size) -> str:
    """Return the command line that makes this variant of the whole picture, if it is one of (width, height) `size`."""
    if options.scale is not None or options.crop is not None:
        scale = options.scale
        if scale is None and options.crop is not None:
            scale = size[0] / options.crop[2], size[1] / options.crop[3]
        words = ["--scale", ",".join(repr(factor).removesuffix(".0") for factor in dict.fromkeys(scale or ()))]
    else:
        words = ["--size", shown(size)]
    words += variant.options
    words += ["--alpha", options.alpha] if options.alpha else []
    words += ["--linear"] if options.linear else []
    words += ["--device", options.device] if options.device else []
    path = options.input
    return shlex.join(["resample", *words, "--", path] if path.startswith("-") else ["resample", path, *words])


def resized(image: Image.Image, options: Options, variant: Variant, size: Size) -> Image.Image:
    """Return the variant of a picture, of (width, height) `size`."""
    from resample import resize

    result: Image.Image = resize(
        image,
        size[::-1] if options.scale is None else None,
        scale=options.scale and options.scale[::-1],
        alpha=options.alpha or "premultiplied",
        linear=options.linear,
        device=options.device,
        **variant._asdict(),
    )
    return result


def extremes(image: Image.Image) -> tuple[float, float]:
    """Return the levels of a deep picture that are shown as black and as white: its least and its greatest."""
    if image.mode not in DEEP_MODES:
        return 0, 255
    levels = np.asarray(image)
    levels = levels[np.isfinite(levels)]
    return (float(levels.min()), float(levels.max())) if levels.size else (0, 0)


def on_screen(image: Image.Image, black: float, white: float) -> Image.Image:
    """Return a picture of any mode as RGB, or RGBA if it has transparency; `black` and `white` are of deep modes."""
    if image.mode in DEEP_MODES:
        levels: Any = np.nan_to_num(np.asarray(image, np.float64), nan=black)
        levels = (levels.clip(black, white) - black) * (255 / (white - black) if white > black else 0)
        return Image.fromarray(np.rint(levels).astype(np.uint8)).convert("RGB")
    if image.mode == "LAB":
        from PIL import ImageCms

        profiles = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        converted: Image.Image | None = ImageCms.profileToProfile(image, *profiles, outputMode="RGB")
        assert converted is not None
        return converted
    return image.convert("RGBA" if image.has_transparency_data else "RGB")
