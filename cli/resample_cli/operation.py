"""From the size options to the size of the output."""

from __future__ import annotations

from resample_cli.messages import UsageError
from resample_cli.parser import Options

Size = tuple[int, int]


def shown(size: Size) -> str:
    """Return a size as it is written everywhere: 640x424."""
    return f"{size[0]}x{size[1]}"


def check_pixels(size: tuple[float, float], max_pixels: int) -> None:
    """Refuse an output that is too large.

    Raises:
        UsageError: it has more pixels than --max-pixels.
    """
    if size[0] * size[1] > max_pixels:
        raise UsageError(
            f"an output of {size[0]:.12g}x{size[1]:.12g} has more than {max_pixels} pixels: choose a smaller size "
            "or raise the limit with --max-pixels"
        )


def _in_proportion(side: int, numerator: int, denominator: int) -> int:
    return max(1, (2 * side * numerator + denominator) // (2 * denominator))


def output_size(options: Options, width: int, height: int) -> Size:
    """Return (width, height) of the resized output for an upright picture of that size.

    Raises:
        UsageError: a side would be 0, or there would be more pixels than --max-pixels.
    """
    new_width: float
    new_height: float
    if options.scale is not None:
        new_width, new_height = width * options.scale[0], height * options.scale[1]
    elif options.max_side is not None:
        longer = max(width, height)
        new_width = _in_proportion(width, options.max_side, longer)
        new_height = _in_proportion(height, options.max_side, longer)
    else:
        wanted_width, wanted_height = options.size or (None, None)
        new_width = wanted_width or _in_proportion(width, wanted_height or 1, height)
        new_height = wanted_height or _in_proportion(height, wanted_width or 1, width)
    # before int(), which would not take infinity
    check_pixels((new_width, new_height), options.max_pixels)
    size = int(new_width), int(new_height)
    if min(size) < 1:
        raise UsageError(f"--scale makes an output of {shown(size)}: both sides must be 1 or more")
    return size


def size_label(options: Options, size: Size) -> str:
    """Return what the name of the output says about its size: 2x, 2x1.5x (horizontal, vertical) or 640x424."""
    if options.scale is None:
        return shown(size)
    return "".join(f"{factor:.12g}x" for factor in dict.fromkeys(options.scale))
