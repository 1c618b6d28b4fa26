"""One picture resized in every mode, as a sheet or as a page."""

from __future__ import annotations

import os

from PIL import Image

from resample.files import output, reading, writing
from resample.files.failures import UsageError, failing_as
from resample.files.formats import PAGES, extension, of
from resample.files.reading import Opened
from resample.files.settings import Size, shown
from resample_cli import page, sheet
from resample_cli.messages import printable
from resample_cli.operation import operation
from resample_cli.parser import Options
from resample_cli.variants import Comparison, command, extremes, on_screen, resized, variants


def compare(options: Options) -> str:
    """Make the sheet or page of the one input and return the line that tells of it."""
    path, target, settings = options.input, str(options.compare), options.settings._replace(frames="first")
    is_page = extension(target) in PAGES
    if settings.on_exists == "rename":
        target = output.free(target)
    with reading.opened(path, settings) as opened:
        size = _size(options, opened, None if is_page else settings.max_pixels)
        output.check_target(target, path, settings)
        (whole,) = opened.frames()
    with failing_as(f"{path}: cannot be compared"):
        comparison = _compared(options, whole, size)
        made = page.page(comparison) if is_page else sheet.draw(comparison)
    if isinstance(made, str):
        with failing_as(f"{target}: cannot be written"), output.whole_files([target], settings.on_exists) as files:
            files[0].write(made.encode("ascii"))
    else:
        writing.write([[made]], [target], of(target), {}, settings)
    return f"{path} {comparison.sizes()} in {len(comparison.variants)} ways -> {target}"


def _size(options: Options, opened: Opened, most_of_sheet: int | None) -> Size:
    """Return the (width, height) of each result.

    Raises:
        UsageError: --crop is not within the picture, or there would be too many pixels.
    """
    part = _part(options, opened.size)
    try:
        height, width = operation(options).output_size((part[3], part[2]))
    except ValueError as error:
        raise UsageError(f"{opened.path}: {error}") from None
    count = len(variants(part[2:], (width, height)))
    if count * width * height > options.max_pixels:
        raise UsageError(
            f"{count} results of {shown((width, height))} have more than {options.max_pixels} pixels: choose a "
            "smaller size or a part with --crop, or raise the limit with --max-pixels"
        )
    whole = sheet.layout(count, (width, height)).sheet
    if most_of_sheet is not None and whole[0] * whole[1] > most_of_sheet:
        raise UsageError(f"a sheet of {shown(whole)} has more than {most_of_sheet} pixels: raise it with --max-pixels")
    return width, height


def _part(options: Options, old_size: Size) -> tuple[int, int, int, int]:
    """Return (left, top, width, height) of what is resized.

    Raises:
        UsageError: --crop is not within the picture.
    """
    if options.crop is None:
        return 0, 0, *old_size
    left, top, width, height = options.crop
    if left + width > old_size[0] or top + height > old_size[1]:
        raise UsageError(
            f"--crop must be within {shown(old_size)}, got {width}x{height} at {left},{top}, "
            f"which ends at {left + width},{top + height}"
        )
    return options.crop


def _compared(options: Options, whole: Image.Image, size: Size) -> Comparison:
    left, top, width, height = part = _part(options, whole.size)
    cut = whole.crop((left, top, left + width, top + height))
    black, white = extremes(cut)
    ways = variants((width, height), size)
    mode = options.reference or "bilinear"
    return Comparison(
        printable(os.path.basename(options.input)),
        whole.size,
        part,
        size,
        ways,
        [on_screen(resized(cut, options, variant, size), black, white) for variant in ways],
        [command(options, variant, size) for variant in ways],
        next(number for number, variant in enumerate(ways) if variant.mode == mode),
        on_screen(whole, black, white),
    )
