"""One run of the command: parse, read, resize, write, and say so."""

from __future__ import annotations

import gc
import os
import sys
import time
import warnings
from collections.abc import Sequence
from typing import NamedTuple

from resample_cli import formats, geometry, output
from resample_cli.messages import Failure, Loss, failing_as, reason, say, silent_libraries
from resample_cli.parser import Options, parse


def run() -> int:
    """Run the command as a process of its own, and return its exit status."""
    # One picture leaves little garbage. The searches for it, during the imports and at exit, took 75 of 330 ms.
    gc.disable()
    try:
        return main(sys.argv[1:])
    finally:
        gc.freeze()


def main(argv: Sequence[str]) -> int:
    """Run the command with these arguments and return its exit status.

    Raises:
        SystemExit: help or the version was asked for, and printed.
    """
    started = time.perf_counter()
    # NumPy starts a third faster without the threads of a BLAS that is not called
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        options = parse(argv)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            done = _resample(options)
        for entry in caught:
            if issubclass(entry.category, UserWarning):
                about = "" if entry.category is Loss else f"{options.input}: "
                say(f"warning: {about}{entry.message}")
        say(f"{done}, {options.mode}, {time.perf_counter() - started:.2f} s")
        return 0
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    except Failure as failure:
        say(f"error: {failure}")
        return failure.status
    except Exception as error:
        say(f"error: {reason(error)}")
        return 1


class _Plan(NamedTuple):
    """What is to be written; sizes are (width, height)."""

    old_size: tuple[int, int]
    size: tuple[int, int]
    target: str
    file_format: str


def _plan(options: Options, old_size: tuple[int, int], own_format: str | None) -> _Plan:
    """Return the plan for an upright picture of that size, after all checks that need no pixels."""
    size = geometry.output_size(options, *old_size)
    target = options.output or output.default_path(options.input, geometry.size_label(options, size), own_format)
    file_format = formats.EXTENSIONS[formats.extension(target)]
    formats.check(file_format, size, options.quality)
    output.check_target(target, options.input, options.overwrite)
    return _Plan(old_size, size, target, file_format)


def _resample(options: Options) -> str:
    """Make the output file and return the line that tells of it."""
    from resample_cli import picture

    source = options.input
    unreadable = f"{source}: cannot be read"
    with failing_as(unreadable), silent_libraries(), picture.open_picture(source, options.max_pixels) as image:
        picture.warn_of_losses(image, source)
        exif = picture.read_exif(image, source)
        plan = _plan(options, picture.upright_size(image, exif), image.format)
        image.load()
        if image.format == "PNG":
            # its EXIF may lie behind the pixels
            exif = picture.read_exif(image, source)
            plan = _plan(options, picture.upright_size(image, exif), image.format)
        upright = picture.upright(image, exif)
        found = picture.metadata(upright, exif, plan.size, source)
    with failing_as(f"{source}: cannot be resized"):
        from resample import resize

        result = resize(
            upright,
            plan.size[::-1] if options.scale is None else None,
            scale=options.scale and options.scale[::-1],
            mode=options.mode,
            align_corners=options.align_corners,
            antialias=options.antialias,
            alpha=options.alpha,
        )
    with failing_as(f"{plan.target}: cannot be written"):
        result = picture.fit_mode(result, plan.target, plan.file_format)
        settings = picture.writing_options(result, plan.target, plan.file_format, found, options.quality)
        with silent_libraries(), output.whole_file(plan.target, options.overwrite) as temporary:
            result.save(temporary, **settings)
    old, new = (f"{width}x{height}" for width, height in (plan.old_size, plan.size))
    return f"{source} {old} -> {plan.target} {new}"


if __name__ == "__main__":
    sys.exit(run())
