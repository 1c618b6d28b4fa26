"""The options of the command. Nothing here imports NumPy or PIL, so help and usage errors come at once."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from resample_cli.formats import EXTENSIONS, extension
from resample_cli.messages import UsageError

MODES = ("nearest", "nearest-exact", "bilinear", "bicubic", "area", "lanczos")
ALIGNING_MODES = ("bilinear", "bicubic")
ANTIALIASING_MODES = ("bilinear", "bicubic", "lanczos")

# A 100-megapixel photograph can be doubled. Pillow then holds 2 GB of pixels.
MAX_PIXELS = 500_000_000

DESCRIPTION = "Resize a picture to the pixels that torch computes, without torch."

EPILOG = f"""\
sizes:
  Both --size and --scale name the horizontal side first: WIDTHxHEIGHT. (In Python, resample.resize takes
  (height, width), as torch does.) Sizes refer to the picture as it is seen, after its EXIF orientation.
  With --scale a side becomes int(side * S), and pixels lie where torch's scale_factor puts them.
  A side that is left out keeps the proportion, rounded to the nearest pixel, at least 1.

output:
  The name is made from the size asked for: car@2x.jpg, car@2x1.5x.jpg (two factors), car@640x424.jpg.
  The extension decides the format: {" ".join(EXTENSIONS)}
  The file appears whole or not at all. An existing file is kept unless --overwrite is given; the input always is.
  Orientation is applied; ICC profile, EXIF, XMP and resolution are kept where the format has room for them.
  Of an animation or of several pages the first is written, and a warning says so.

examples:
  resample car.jpg --scale 2 --mode bilinear       write car@2x.jpg
  resample car.jpg --scale 2,1.5                   twice as wide, one and a half times as high
  resample car.jpg --size 1400x928 -o big.png      exactly 1400 wide and 928 high
  resample car.jpg --size 640                      640 wide, height in proportion (also: --size x480)
  resample scan.tif --max-side 1024 --mode bicubic
  resample --scale 2 -- -odd-name.jpg              a name that starts with - comes last, after --

exit status: 0 done, 1 the picture could not be read or written, 2 wrong usage or a size out of bounds,
130 interrupted. Messages go to stderr.
"""


class Options(argparse.Namespace):
    """What the command line asks for; `size` is (width, height), None for a side that keeps the proportion."""

    input: str
    output: str | None
    scale: tuple[float, float] | None
    size: tuple[int | None, int | None] | None
    width: int | None
    height: int | None
    max_side: int | None
    mode: str
    align_corners: bool
    antialias: bool | None
    alpha: str
    quality: int | None
    overwrite: bool
    max_pixels: int


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see resample --help)")


class _Version(argparse.Action):
    """Print the version; the package is imported only here, because it imports NumPy."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        from resample import __version__

        print(f"resample {__version__}")
        parser.exit()


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def _scale(text: str) -> tuple[float, float]:
    factors = [_number(part) for part in text.split(",")]
    if len(factors) > 2:
        raise argparse.ArgumentTypeError(f"{text!r} is not one factor S or two, HORIZONTAL,VERTICAL")
    return factors[0], factors[-1]


def _whole(text: str) -> int:
    # the bound keeps int() from refusing thousands of digits with another message
    value = int(text) if re.fullmatch("[0-9]{1,18}", text) else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return value


def _quality(text: str) -> int:
    value = int(text) if re.fullmatch("[0-9]{1,3}", text) else 0
    if not 1 <= value <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 100")
    return value


def _size(text: str) -> tuple[int | None, int | None]:
    match = re.fullmatch("([0-9]{1,18})?(?:x([0-9]{1,18})?)?", text.lower())
    width, height = match.groups() if match else (None, None)
    if width is None and height is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT, WIDTH or xHEIGHT in whole numbers")
    return _whole(width) if width else None, _whole(height) if height else None


def _one_of(*allowed: str) -> Any:
    def check(text: str) -> str:
        if text not in allowed:
            raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(allowed)}")
        return text

    return check


def _output(text: str) -> str:
    if extension(text) not in EXTENSIONS:
        raise argparse.ArgumentTypeError(f"{text!r} does not end in one of {' '.join(EXTENSIONS)}")
    return text


def _build() -> _Parser:
    parser = _Parser(
        prog="resample",
        usage="resample INPUT (--scale S | --size WxH | --width W | --height H | --max-side N) [options]",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("input", metavar="INPUT", help="the picture to read")
    add("-o", "--output", metavar="FILE", type=_output, help="where to write (default: beside the input)")
    new_size = parser.add_argument_group("new size, one of")
    add = new_size.add_argument
    add("--scale", metavar="S[,S]", type=_scale, help="factor for both sides, or HORIZONTAL,VERTICAL")
    add("--size", metavar="WxH", type=_size, help="WIDTHxHEIGHT, or WIDTH or xHEIGHT in proportion")
    add("--width", metavar="W", type=_whole, help="in proportion, or exact together with --height")
    add("--height", metavar="H", type=_whole, help="in proportion, or exact together with --width")
    add("--max-side", metavar="N", type=_whole, help="the longer side becomes N, larger or smaller, in proportion")
    method = parser.add_argument_group("method")
    add = method.add_argument
    add("--mode", type=_one_of(*MODES), default="bilinear", help=f"{', '.join(MODES)} (default: bilinear)")
    add(
        "--align-corners",
        action="store_true",
        help=f"corner pixels of both pictures coincide ({', '.join(ALIGNING_MODES)})",
    )
    add(
        "--antialias",
        action=argparse.BooleanOptionalAction,
        help=f"widen the filter where the picture shrinks ({', '.join(ANTIALIASING_MODES)}). Default: on if a side "
        "shrinks. torch's default is off: --no-antialias gives the pixels of a plain F.interpolate",
    )
    add(
        "--alpha",
        metavar="HOW",
        type=_one_of("premultiplied", "straight"),
        default="premultiplied",
        help="premultiplied (default): colours weighted by alpha, no dark fringes; straight: each channel by itself, "
        "as torch does",
    )
    rest = parser.add_argument_group("other")
    add = rest.add_argument
    add("--quality", metavar="Q", type=_quality, help="1-100, for JPEG, WebP and AVIF (default: 90)")
    add("--overwrite", action="store_true", help="replace an existing output")
    add(
        "--max-pixels",
        metavar="N",
        type=_whole,
        default=MAX_PIXELS,
        help="refuse pictures, read or written, of more pixels (default: %(default)s, 2 GB in memory)",
    )
    add("--version", action=_Version, nargs=0, help="print the version and stop")
    return parser


def parse(argv: Sequence[str]) -> Options:
    """Return the options, checked as far as that is possible without the picture.

    Raises:
        UsageError: an option is unknown, has a value that is not allowed, or does not go with another.
        SystemExit: help or the version was asked for, and printed.
    """
    options = _build().parse_args(argv, Options())
    sides = ("--width/--height", options.width or options.height)
    ways = (("--scale", options.scale), ("--size", options.size), sides, ("--max-side", options.max_side))
    given = [name for name, value in ways if value is not None]
    if len(given) != 1:
        found = f"not {' and '.join(given)} together" if given else "none is given"
        raise UsageError(f"the new size takes one of --scale, --size, --width/--height, --max-side: {found}")
    if options.size is None and (options.width or options.height):
        options.size = options.width, options.height
    if options.align_corners and options.mode not in ALIGNING_MODES:
        raise UsageError(f"--align-corners goes with --mode {' or '.join(ALIGNING_MODES)}, not {options.mode}")
    if options.antialias and options.mode not in ANTIALIASING_MODES:
        raise UsageError(f"--antialias goes with --mode {', '.join(ANTIALIASING_MODES)}, not {options.mode}")
    if options.antialias is False and options.mode == "lanczos":
        raise UsageError("--no-antialias does not go with --mode lanczos, which always has it")
    return options
