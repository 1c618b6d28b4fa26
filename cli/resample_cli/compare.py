"""One picture resized in every mode, as a sheet or as a page."""

from __future__ import annotations

import os
from pathlib import Path

from resample_cli import geometry, output, page, picture, sheet
from resample_cli.formats import PAGES, extension
from resample_cli.geometry import Size
from resample_cli.messages import UsageError, failing_as, printable
from resample_cli.parser import Options
from resample_cli.variants import Comparison, command, extremes, on_screen, resized, variants


def compare(options: Options) -> str:
    """Make the sheet or page of the one input and return the line that tells of it."""
    path, target = options.input, str(options.compare)
    is_page = extension(target) in PAGES

    def plan(old_size: Size, _: str | None) -> Size:
        part = _part(options, old_size)
        size = geometry.output_size(options, *part[2:])
        count = len(variants(part[2:], size))
        if count * size[0] * size[1] > options.max_pixels:
            raise UsageError(
                f"{count} results of {geometry.shown(size)} have more than {options.max_pixels} pixels: choose a "
                "smaller size or a part with --crop, or raise the limit with --max-pixels"
            )
        if not is_page:
            geometry.check_pixels(sheet.layout(count, size).sheet, options.max_pixels)
        output.check_target(target, path, options.on_exists)
        return size

    if options.on_exists == "rename":
        target = output.free(target)
    source = picture.read(path, options.max_pixels, plan)
    with failing_as(f"{path}: cannot be compared"):
        comparison = _compared(options, source)
        made = page.page(comparison) if is_page else sheet.draw(comparison)
    if isinstance(made, str):
        with failing_as(f"{target}: cannot be written"), output.whole_files([target], options.on_exists) as temporaries:
            Path(temporaries[0]).write_text(made, "ascii")
    else:
        picture.write([made], [target], {}, None, options.on_exists)
    return f"{path} {comparison.sizes()} in {len(comparison.variants)} ways -> {target}"


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
            f"--crop must be within {geometry.shown(old_size)}, got {width}x{height} at {left},{top}, "
            f"which ends at {left + width},{top + height}"
        )
    return options.crop


def _compared(options: Options, source: picture.Source) -> Comparison:
    whole, size = source.picture, source.output_size
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
