"""The options of the command. Nothing here imports NumPy or PIL, so help and usage errors come at once."""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from resample.files import inputs, names, places
from resample.files.failures import UsageError
from resample.files.formats import ANIMATED, EXACT, EXTENSIONS, PAGES, SHARD, extension, is_shard
from resample.files.inputs import STREAM
from resample.files.places import is_remote
from resample.files.settings import MAX_PIXELS, METADATA, ON_EXISTS, Settings
from resample_cli.manual import DESCRIPTION, EPILOG, USAGE
from resample_cli.modes import (
    ALIGNING_MODES,
    ANTIALIASING_MODES,
    CONV_TRANSPOSE,
    KERNELS,
    LAYER_MODES,
    MAX_KERNEL_STRIDE,
    MODES,
    MODES_OF,
    NOT_COMPARED,
    PIXEL_SHUFFLE,
    PIXEL_UNSHUFFLE,
    SHUFFLES,
)


class Options(argparse.Namespace):
    """What the command line asks for.

    Pairs are (horizontal, vertical); in `size` None stands for a side that keeps the proportion.
    """

    inputs: list[str]
    output: str | None
    scale: tuple[float, float] | None
    size: tuple[int | None, int | None] | None
    width: int | None
    height: int | None
    max_side: int | None
    min_side: int | None
    fit: str | None
    only: str | None
    linear: bool
    mode: str
    align_corners: bool | None
    antialias: bool | None
    alpha: str | None
    kernel: str | None
    weights: tuple[str, str | None] | None
    compare: str | None
    crop: tuple[int, int, int, int] | None
    reference: str | None
    stride: tuple[int, int] | None
    padding: tuple[int, int] | None
    output_padding: tuple[int, int] | None
    dilation: tuple[int, int] | None
    groups: int | None
    factor: int | None
    device: str | None
    format: str | None
    quality: int | None
    png_level: int
    metadata: str
    orient: str
    frames: str
    background: str | None
    in_place: bool
    on_exists: str
    recursive: bool
    jobs: int | None
    scheduler: str | None
    dry_run: bool
    fail_fast: bool
    report: str | None
    resume: str | None
    json: bool
    quiet: bool
    max_pixels: int

    @property
    def settings(self) -> Settings:
        """How files are read and written."""
        return Settings(
            on_exists="overwrite" if self.in_place else self.on_exists,
            quality=self.quality,
            png_level=self.png_level,
            metadata=self.metadata,
            orient=self.orient,
            frames=self.frames,
            background=self.background,
            max_pixels=self.max_pixels,
            make_folders=self.makes_folders,
            in_place=self.in_place,
        )

    @property
    def overwrite(self) -> bool:
        return self.on_exists == "overwrite"

    @property
    def output_is_folder(self) -> bool:
        return self.output is not None and self.output != STREAM and names.is_folder(self.output)

    @property
    def makes_folders(self) -> bool:
        """Whether folders of outputs are made where there are none."""
        return self.output is not None and (self.output_is_folder or names.is_template(self.output))

    @property
    def are_many(self) -> bool:
        """Whether outputs are told of one by one, as there may be several."""
        return inputs.are_many(self.inputs) or self.makes_folders or self.dry_run

    @property
    def input(self) -> str:
        return self.inputs[0]


def _print(text: str) -> None:
    try:
        print(text, flush=True)
    except OSError:
        # Python would try again at its end, and fail
        sys.stdout = None
        raise


class _Parser(argparse.ArgumentParser):
    def print_help(self, file: Any = None) -> None:
        # that of argparse passes over errors
        _print(self.format_help().removesuffix("\n"))

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see resample --help)")


class _Version(argparse.Action):
    """Print the version; the package is imported only here, because it imports NumPy."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        from resample import __version__

        _print(f"resample {__version__}")
        parser.exit()


class _Completion(argparse.Action):
    """Print what makes a shell complete the options."""

    def __call__(self, parser: argparse.ArgumentParser, _: Any, shell: Any, *__: Any) -> NoReturn:
        try:
            import shtab
        except ImportError:
            raise UsageError(
                "--print-completion takes the package shtab: pip install 'resample-images[completion]'"
            ) from None
        for action in parser._actions:
            if isinstance(action.type, _OneOf):
                action.choices = action.type.allowed
            elif action.dest in ("inputs", "output", "report", "resume", "weights"):
                action.complete = shtab.FILE  # type: ignore[attr-defined]
        _print(shtab.complete(parser, shell))
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


def _pair(least: int) -> Any:
    def check(text: str) -> tuple[int, int]:
        parts = text.split(",")
        if len(parts) > 2 or not all(re.fullmatch("[0-9]{1,9}", part) and int(part) >= least for part in parts):
            raise argparse.ArgumentTypeError(
                f"{text!r} is not one whole number from {least} on (to 9 digits), or two, HORIZONTAL,VERTICAL"
            )
        return int(parts[0]), int(parts[-1])

    return check


def _weights(text: str) -> tuple[str, str | None]:
    match = re.fullmatch(r"(.+?\.(?:npy|safetensors))(?::(.+))?", text, re.DOTALL | re.IGNORECASE)
    if not match or (match[2] and extension(match[1]) == ".npy"):
        raise argparse.ArgumentTypeError(f"{text!r} is not FILE.npy, FILE.safetensors or FILE.safetensors:NAME")
    return match[1], match[2]


def _crop(text: str) -> tuple[int, int, int, int]:
    match = re.fullmatch("([0-9]{1,9}),([0-9]{1,9}),([0-9]{1,9}),([0-9]{1,9})", text)
    x, y, width, height = map(int, match.groups()) if match else (0, 0, 0, 0)
    if not (width and height):
        raise argparse.ArgumentTypeError(f"{text!r} is not X,Y,WIDTH,HEIGHT in whole numbers, the last two from 1 on")
    return x, y, width, height


def _comparison(text: str) -> str:
    if extension(text) not in (*EXACT, *PAGES):
        raise argparse.ArgumentTypeError(f"{text!r} does not end in one of {' '.join((*PAGES, *EXACT))}")
    return text


def _from_to(least: int, most: int) -> Any:
    def check(text: str) -> int:
        value = int(text) if re.fullmatch("[0-9]{1,3}", text) else -1
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} to {most}")
        return value

    return check


def _size(text: str) -> tuple[int | None, int | None]:
    match = re.fullmatch("([0-9]{1,18})?(?:x([0-9]{1,18})?)?", text.lower())
    width, height = match.groups() if match else (None, None)
    if width is None and height is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT, WIDTH or xHEIGHT in whole numbers")
    return _whole(width) if width else None, _whole(height) if height else None


class _OneOf:
    def __init__(self, *allowed: str) -> None:
        self.allowed = allowed

    def __call__(self, text: str) -> str:
        if text not in self.allowed:
            raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(self.allowed)}")
        return text


def _format(text: str) -> str:
    ending = f".{text.lower().removeprefix('.')}"
    if ending not in EXTENSIONS:
        allowed = " ".join(known.removeprefix(".") for known in EXTENSIONS)
        raise argparse.ArgumentTypeError(f"{text!r} is not one of {allowed}")
    return EXTENSIONS[ending]


def _colour(text: str) -> str:
    from PIL import ImageColor

    try:
        ImageColor.getrgb(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a colour such as white, #fff or #ffffff80") from None
    return text


def _scheduler(text: str) -> str:
    from resample.files import cluster

    try:
        cluster.check(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _device(text: str) -> str:
    if not re.fullmatch(r"cpu|cuda(:\d+)?", text):
        raise argparse.ArgumentTypeError(f"must be cpu, cuda or cuda:N, got {text!r}")
    return text


def _output(text: str) -> str:
    text = places.plain(text)
    if text == STREAM:
        return text
    if names.is_template(text):
        try:
            names.check_template(text)
        except UsageError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
        return text
    if extension(text) not in (*EXTENSIONS, SHARD) and not names.is_folder(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} does not end in one of {' '.join((*EXTENSIONS, SHARD))}, nor in / as the name of a new folder "
            "must"
        )
    return text


def _build() -> _Parser:
    parser = _Parser(
        prog="resample",
        usage=USAGE,
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "inputs",
        metavar="INPUT",
        nargs="+",
        type=places.plain,
        help="files, folders, quoted patterns, @list.txt, - (stdin), addresses such as s3://bucket/in/, shards (.tar); "
        "for pixel-shuffle, the phases in order",
    )
    add(
        "-o",
        "--output",
        metavar="FILE|DIR|TEMPLATE",
        type=_output,
        help="where to write (default: beside the input; - is stdout); a template has "
        + " ".join(f"{{{f}}}" for f in names.FIELDS),
    )
    new_size = parser.add_argument_group("new size, one of")
    add = new_size.add_argument
    add("--scale", metavar="S[,S]", type=_scale, help="factor for both sides, or HORIZONTAL,VERTICAL")
    add("--size", metavar="WxH", type=_size, help="WIDTHxHEIGHT, or WIDTH or xHEIGHT in proportion")
    add("--width", metavar="W", type=_whole, help="in proportion, or exact together with --height")
    add("--height", metavar="H", type=_whole, help="in proportion, or exact together with --width")
    add("--max-side", metavar="N", type=_whole, help="the longer side becomes N, larger or smaller, in proportion")
    add("--min-side", metavar="N", type=_whole, help="the shorter side becomes N; with --max-side, less if need be")
    add(
        "--fit",
        metavar="HOW",
        type=_OneOf("fill", "inside", "cover", "pad"),
        help="for WIDTHxHEIGHT: fill (default) stretches; in proportion, inside is at most that large, cover fills it "
        "and is cut, pad is inside and filled up with --background",
    )
    add(
        "--only",
        metavar="WHAT",
        type=_OneOf("shrink", "enlarge"),
        help="shrink: pictures that would become larger keep their pixels; enlarge: the reverse",
    )
    method = parser.add_argument_group("method")
    add = method.add_argument
    add(
        "--mode",
        type=_OneOf(*MODES, *LAYER_MODES),
        help=f"{', '.join(MODES)} (default: bilinear); or, without a new size, {', '.join(LAYER_MODES)}",
    )
    add(
        "--align-corners",
        action="store_const",
        const=True,
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
        type=_OneOf("premultiplied", "straight"),
        help="premultiplied (default): colours weighted by alpha, no dark fringes; straight: each channel by itself, "
        "as torch does",
    )
    add("--linear", action="store_true", help="compute in linear light, for pictures whose values are sRGB's")
    layer = parser.add_argument_group("transposed convolution; a pair is HORIZONTAL,VERTICAL, one number is for both")
    add = layer.add_argument
    add("--kernel", metavar="K", type=_OneOf(*KERNELS), help=f"weights that interpolate: {', '.join(KERNELS)}")
    add("--weights", metavar="FILE[:NAME]", type=_weights, help="weights from a .safetensors or .npy file")
    add("--stride", metavar="N[,N]", type=_pair(1), help="distance between the outputs of neighbours (default: 1)")
    add("--padding", metavar="N[,N]", type=_pair(0), help="cut off so many outputs at all edges (default: 0)")
    add("--output-padding", metavar="N[,N]", type=_pair(0), help="cut off fewer at the right and bottom (default: 0)")
    add("--dilation", metavar="N[,N]", type=_pair(1), help="distance between the outputs of weights (default: 1)")
    add("--groups", metavar="N", type=_whole, help="groups of channels that do not mix (default: 1)")
    several = parser.add_argument_group("several pictures")
    add = several.add_argument
    add("-r", "--recursive", action="store_true", help="the folders in a folder too; the output has the same tree")
    add(
        "-j",
        "--jobs",
        metavar="N",
        type=_whole,
        help="how many at a time, a thread each (default: as many as CPUs)",
    )
    add(
        "--scheduler",
        metavar="WHERE",
        type=_scheduler,
        help="let the workers of a Dask scheduler do it: tcp://HOST:PORT, FILE.json, or local:N for N processes here",
    )
    add("--dry-run", action="store_true", help="tell what would be written, and write nothing")
    add("--fail-fast", action="store_true", help="begin no more pictures after one that failed")
    add("--resume", metavar="LEDGER", help="note in this file what was done, and do only what it has not")
    add("--report", metavar="FILE", type=places.plain, help="write what became of each input to a file of JSON lines")
    add("--json", action="store_true", help="write these lines to stdout")
    add("-q", "--quiet", action="store_true", help="tell only of warnings and errors")
    compare = parser.add_argument_group("compare")
    add = compare.add_argument
    add(
        "--compare",
        metavar="FILE",
        type=_comparison,
        help=f"show the one INPUT in every mode side by side: {' '.join(PAGES)} is a page with a divider that wipes "
        f"between two modes, a picture ({' '.join(EXACT)}) a sheet with maps of the differences",
    )
    add(
        "--crop",
        metavar="X,Y,W,H",
        type=_crop,
        help="compare this part of the upright INPUT: it is cut out first, then resized",
    )
    add(
        "--reference",
        metavar="MODE",
        type=_OneOf(*MODES),
        help="the mode that all others are compared with (default: bilinear)",
    )
    shuffle = parser.add_argument_group("pixel-unshuffle, pixel-shuffle")
    shuffle.add_argument("--factor", metavar="R", type=_whole, help="R * R phases (pixel-shuffle can count them)")
    files = parser.add_argument_group("output")
    add = files.add_argument
    add(
        "--format",
        metavar="F",
        type=_format,
        help="jpg, png, ...: of outputs whose name is made (default: the input's)",
    )
    add(
        "--quality",
        metavar="Q",
        type=_from_to(1, 100),
        help="1-100, for JPEG, WebP and AVIF (default: that of a JPEG input, else 90)",
    )
    add("--png-level", metavar="L", type=_from_to(0, 9), default=4, help="0-9, compression of PNG (default: 4)")
    add(
        "--metadata",
        metavar="WHAT",
        type=_OneOf(*METADATA),
        default="keep",
        help="of EXIF, XMP, comments: keep (default), no-gps (no places) or strip (colour profile and resolution stay)",
    )
    add(
        "--orient",
        metavar="HOW",
        type=_OneOf("apply", "keep"),
        default="apply",
        help="apply (default) turns the pixels as EXIF says; keep leaves both",
    )
    add(
        "--frames",
        metavar="WHICH",
        type=_OneOf("all", "first"),
        default="all",
        help=f"of animations and pages: all (default), to {', '.join(ANIMATED)}, or the first",
    )
    add(
        "--background", metavar="COLOUR", type=_colour, help="behind alpha where the format has none, and for --fit pad"
    )
    add("--in-place", action="store_true", help="replace the inputs, each at once and whole")
    rest = parser.add_argument_group("other")
    add = rest.add_argument
    add("--device", metavar="D", type=_device, help="cuda or cuda:N computes on that GPU (default: cpu)")
    add(
        "--on-exists",
        metavar="DO",
        type=_OneOf(*ON_EXISTS),
        help="error (default for one file), skip (default for several), overwrite or rename: for existing outputs",
    )
    add("--overwrite", dest="on_exists", action="store_const", const="overwrite", help="--on-exists overwrite")
    add(
        "--max-pixels",
        metavar="N",
        type=_whole,
        default=MAX_PIXELS,
        help="refuse pictures, read or written, of more pixels (default: %(default)s, 2 GB in memory)",
    )
    add(
        "--print-completion",
        metavar="SHELL",
        action=_Completion,
        type=_OneOf("bash", "zsh", "tcsh"),
        help="print what makes bash, zsh or tcsh complete options, and stop",
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
    _check_comparing(options)
    options.mode = options.mode or "bilinear"
    if options.on_exists is None:
        options.on_exists = "skip" if options.mode not in SHUFFLES and inputs.are_many(options.inputs) else "error"
    _check_modes(options)
    _check_places(options)
    _check_output(options)
    if options.mode in MODES:
        _check_resizing(options)
    elif options.mode == CONV_TRANSPOSE:
        _check_convolution(options)
    else:
        _check_shuffling(options)
    return options


def _check_comparing(options: Options) -> None:
    if options.compare is None:
        for option in ("--crop", "--reference"):
            if _is_given(options, option):
                raise UsageError(f"{option} goes with --compare, which is not given")
        return
    if inputs.are_many(options.inputs):
        raise UsageError(f"--compare takes one INPUT, a file, got {' and '.join(options.inputs)}")
    for option in NOT_COMPARED:
        if _is_given(options, option):
            raise UsageError(f"{option} does not go with --compare, which shows all modes in one file")


def _is_given(options: Options, option: str) -> bool:
    value = getattr(options, option.removeprefix("--").removeprefix("no-").replace("-", "_"))
    return value is False if option.startswith("--no-") else value not in (None, False)


def _check_modes(options: Options) -> None:
    for option, modes in MODES_OF.items():
        if _is_given(options, option) and options.mode not in modes:
            raise UsageError(f"{option} goes with --mode {', '.join(modes)}, not {options.mode}")
    if len(options.inputs) > 1 and options.mode == PIXEL_UNSHUFFLE:
        raise UsageError(f"--mode {options.mode} takes one INPUT, got {' and '.join(options.inputs)}")


def _check_places(options: Options) -> None:
    """Refuse addresses and shards where files of this machine are meant."""
    given = [*options.inputs, options.output or ""]
    far = next((each for each in given if is_remote(each.removeprefix("@")) or is_shard(each)), None)
    if far and (options.compare or options.mode in SHUFFLES):
        option = "--compare" if options.compare else f"--mode {options.mode}"
        raise UsageError(f"{option} takes pictures in files of this machine, not {far}")
    if options.in_place and (far or options.scheduler):
        raise UsageError(f"--in-place goes with files of this machine, not {far or '--scheduler'}")
    if options.resume and is_remote(options.resume):
        raise UsageError(f"--resume takes a file of this machine, not {options.resume}")
    if any(map(is_shard, options.inputs)) and options.output is None:
        raise UsageError("shards take --output: a folder, or a template such as 'small-{shard}.tar'")
    if options.scheduler and (options.jobs or STREAM in given):
        raise UsageError(f"--scheduler does not go with {'--jobs' if options.jobs else 'stdin and stdout'}")


def _check_output(options: Options) -> None:
    name = options.output
    if name and inputs.are_many(options.inputs) and not options.makes_folders and options.mode not in SHUFFLES:
        raise UsageError(
            f"--output {name} is one file, but there may be several INPUTs: name a folder, as {name}/ is, or a "
            "template such as '{dir}/{stem}-small{ext}'"
        )
    if STREAM in options.inputs and (len(options.inputs) > 1 or options.makes_folders or options.dry_run):
        raise UsageError(f"INPUT {STREAM}, stdin, goes alone, to one file or to stdout")
    if options.json and (name == STREAM or (name is None and STREAM in options.inputs)):
        raise UsageError("--json writes to stdout, where the picture goes: name another --output")
    if options.resume and STREAM in (*options.inputs, name):
        raise UsageError("--resume goes with files, not stdin and stdout")
    for option, given in (("--output", name), ("--format", options.format)):
        if given and options.in_place:
            raise UsageError(f"--in-place does not go with {option}")
    if options.in_place and (STREAM in options.inputs or options.on_exists == "rename"):
        raise UsageError("--in-place goes with files, which it replaces")
    ending = extension(name) if name else ""
    if options.format and ending in EXTENSIONS and EXTENSIONS[ending] != options.format:
        raise UsageError(f"--format {options.format} does not go with --output {name}")


def _check_resizing(options: Options) -> None:
    sides = ("--width/--height", options.width or options.height)
    longest = "--max-side" if options.max_side or not options.min_side else "--min-side"
    edges = (longest, options.max_side or options.min_side)
    ways = (("--scale", options.scale), ("--size", options.size), sides, edges)
    given = [name for name, value in ways if value is not None]
    if len(given) != 1:
        found = f"not {' and '.join(given)} together" if given else "none is given"
        raise UsageError(f"the new size takes one of --scale, --size, --width/--height, --max-side/--min-side: {found}")
    if options.min_side and options.max_side and options.min_side >= options.max_side:
        raise UsageError(f"--max-side must be more than --min-side, got {options.max_side} and {options.min_side}")
    if options.size is None and (options.width or options.height):
        options.size = options.width, options.height
    if options.fit and (options.size is None or None in options.size):
        raise UsageError("--fit goes with a WIDTH and a HEIGHT")
    if options.only and options.scale:
        raise UsageError("--only does not go with --scale, which is the same for all")
    if options.antialias is False and options.mode == "lanczos":
        raise UsageError("--no-antialias does not go with --mode lanczos, which always has it")


def _check_convolution(options: Options) -> None:
    if (options.kernel is None) == (options.weights is None):
        raise UsageError(
            f"--mode {CONV_TRANSPOSE} takes --kernel or --weights: {'not both' if options.kernel else 'none is given'}"
        )
    if options.kernel and options.groups:
        raise UsageError("--groups does not go with --kernel, which takes each channel by itself")
    if options.kernel and not options.stride:
        raise UsageError("--kernel enlarges by --stride, which is not given")
    stride, dilation = options.stride or (1, 1), options.dilation or (1, 1)
    if options.kernel and max(stride) > MAX_KERNEL_STRIDE:
        raise UsageError(f"--stride with --kernel is at most {MAX_KERNEL_STRIDE}, got {max(stride)}")
    for extra, *steps in zip(options.output_padding or (0, 0), stride, dilation, strict=True):
        if extra >= max(steps):
            raise UsageError(f"--output-padding must be less than --stride or --dilation on its side, got {extra}")


def _check_shuffling(options: Options) -> None:
    if options.makes_folders:
        raise UsageError(f"--mode {options.mode} takes one file as --output, got {options.output}")
    if options.on_exists not in ("error", "overwrite"):
        raise UsageError(f"--mode {options.mode} takes --on-exists error or overwrite, got {options.on_exists}")
    if options.output and extension(options.output) not in EXACT:
        raise UsageError(
            f"--mode {options.mode} is without loss: {options.output} must end in one of {' '.join(EXACT)}"
        )
    if options.mode == PIXEL_UNSHUFFLE:
        if not options.factor:
            raise UsageError(f"--mode {PIXEL_UNSHUFFLE} takes --factor, which is not given")
        return
    if not options.output:
        raise UsageError(f"--mode {PIXEL_SHUFFLE} takes --output, which is not given")
    count, factor = len(options.inputs), options.factor or math.isqrt(len(options.inputs))
    if count != factor**2:
        wanted = f"with --factor {factor} takes {factor**2}" if options.factor else "takes R * R"
        raise UsageError(f"--mode {PIXEL_SHUFFLE} {wanted} INPUTs, got {count}")
