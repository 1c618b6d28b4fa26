"""A picture from a file and to a file, with what belongs to it besides pixels."""

from __future__ import annotations

import io
import logging
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from PIL import Image, UnidentifiedImageError

from resample_cli import output
from resample_cli.formats import EXTENSIONS, FORMATS, METADATA, MODES, QUALITY, WIDER, extension
from resample_cli.geometry import Size
from resample_cli.inputs import check_source
from resample_cli.messages import Failure, UsageError, failing_as, library_messages, reason, warn_of_loss

# Pillow's limit is replaced by --max-pixels, checked in _open_picture.
Image.MAX_IMAGE_PIXELS = None
logging.getLogger("PIL").addHandler(logging.NullHandler())

BITS, PHOTOMETRIC, SAMPLE_FORMAT = 258, 262, 339
ORIENTATION, XMP, EXIF_IFD, GPS_IFD, PIXEL_WIDTH, PIXEL_HEIGHT = 0x112, 700, 0x8769, 0x8825, 0xA002, 0xA003

NAMES = {"icc_profile": "ICC profile", "exif": "EXIF", "xmp": "XMP"}

# The colours that an ICC profile is about, by mode; it is gray levels for all others.
PROFILES = dict.fromkeys(("RGB", "RGBA", "RGBX", "P", "YCbCr"), b"RGB ") | {"CMYK": b"CMYK", "LAB": b"Lab "}

# Compressions of a TIFF file that any pixels can be written with.
LOSSLESS = ("tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "packbits")

# Tags of a TIFF file that tell where and how its own pixels are stored, or that travel by other ways (ICC).
STORAGE_TAGS = (*range(254, 260), 262, 266, 273, *range(277, 281), 284, 317, *range(320, 326), 338, 339, 347)
STORAGE_TAGS += (*range(512, 522), *range(529, 533), 34675)


class Source(NamedTuple):
    """A picture that was read."""

    picture: Image.Image
    """Decoded and upright."""
    file_format: str | None
    output_size: Size
    """(width, height) of what will be made of it."""
    metadata: dict[str, Any]
    """What belongs to a picture of that size besides pixels; see `_metadata`."""


def read(path: str, max_pixels: int, plan: Callable[[Size, str | None], Size]) -> Source:
    """Return the picture of a file.

    Args:
        path: of the file.
        max_pixels: how many pixels the picture may have.
        plan: returns the size of the output for the upright size and the format of the picture. It is called before
            anything is decoded, so that it can refuse, and perhaps once more, if EXIF is found behind the pixels.

    Raises:
        Failure: it cannot be read, or what `plan` raises.
    """
    with failing_as(f"{path}: cannot be read"), _open_picture(path, max_pixels) as image:
        _warn_of_losses(image, path)
        exif = _read_exif(image, path)
        # not while stderr is captured: of several pictures, it may wait for the names of those before
        size = plan(_upright_size(image, exif), image.format)
        with library_messages(image.format) as messages:
            _load(image, path)
        if image.format == "PNG":
            # its EXIF may lie behind the pixels
            exif = _read_exif(image, path)
            size = plan(_upright_size(image, exif), image.format)
        turned = _upright(image, exif)
        source = Source(turned, image.format, size, _metadata(turned, exif, size, path))
    for message in messages:
        if "warning" not in message.lower():
            warn_of_loss(f"{path}: is perhaps damaged: {message}")
    return source


def measure(path: str, max_pixels: int) -> tuple[Size, str | None]:
    """Return the upright (width, height) and the format of a picture, by its header.

    Raises:
        Failure: it cannot be read.
    """
    with failing_as(f"{path}: cannot be read"), _open_picture(path, max_pixels) as image:
        return _upright_size(image, _read_exif(image, path)), image.format


def write(
    pictures: Sequence[Image.Image], paths: Sequence[str], found: dict[str, Any], quality: int | None, on_exists: str
) -> None:
    """Write pictures of one mode to files of one format, all or none, each with `found`, the metadata of a Source.

    Raises:
        Failure: the format does not hold them, or they cannot be written.
    """
    with failing_as(f"{output.span(paths)}: cannot be written"):
        file_format = EXTENSIONS[extension(paths[0])]
        fitted = [_fit_mode(each, path, file_format) for each, path in zip(pictures, paths, strict=True)]
        settings = _writing_options(fitted[0], paths[0], file_format, found, quality)
        with library_messages(file_format), output.whole_files(paths, on_exists) as temporaries:
            for each, temporary in zip(fitted, temporaries, strict=True):
                # by way of memory: on a full disk some of Pillow's encoders end as if all were written, or never
                encoded = io.BytesIO()
                encoded.name = temporary
                each.save(encoded, **settings)
                with open(temporary, "wb") as file:
                    file.write(encoded.getbuffer())


def _open_picture(path: str, max_pixels: int) -> Image.Image:
    """Return the picture with its header read, and not yet its pixels.

    Raises:
        Failure: it is not a plain file, or not a picture in one of the formats.
        UsageError: it has more pixels than allowed.
        OSError: it cannot be read.
    """
    check_source(path)
    # Pillow imports all its plugins when it meets a format that it does not know yet: the likely one goes first.
    likely = EXTENSIONS.get(extension(path), "JPEG")
    try:
        picture = Image.open(path, formats=[likely, *(name for name in FORMATS if name != likely)])
    except UnidentifiedImageError:
        raise Failure(f"{path}: is not a picture, or damaged, or not one of {', '.join(FORMATS)}") from None
    width, height = picture.size
    if width * height > max_pixels:
        picture.close()
        raise UsageError(
            f"{path}: {width}x{height} is more than {max_pixels} pixels; raise the limit with --max-pixels"
        )
    return picture


def _warn_of_losses(picture: Image.Image, path: str) -> None:
    """Tell which parts of the file Pillow leaves out."""
    frames = getattr(picture, "n_frames", 1)
    if frames > 1:
        warn_of_loss(f"{path}: has {frames} frames, only the first is written")
    if picture.mode in ("RGB", "RGBA", "LA", "CMYK") and _bits(picture) > 8:
        warn_of_loss(f"{path}: has {_bits(picture)} bits a channel, only 8 are read")
    if "transparency" in picture.info and picture.mode.startswith("I"):
        warn_of_loss(f"{path}: has a transparent 16-bit gray, which is left out")


def _bits(picture: Image.Image) -> int:
    """Return how many bits a channel has in the file, as far as Pillow tells before it decodes."""
    if picture.format == "TIFF":
        bits: int = max(picture.tag_v2.get(BITS, (8,)))  # type: ignore[attr-defined]
        return bits
    storage = [tile.args for tile in getattr(picture, "tile", ())]
    if picture.format == "PPM":
        return 16 if any(isinstance(args, tuple) and args[-1] > 255 for args in storage) else 8
    found = re.search(";(2|4|16)", str(storage))
    return int(found[1]) if found else 8


def _load(picture: Image.Image, path: str) -> None:
    """Decode the pixels, and put right or refuse what Pillow reads wrongly without a word.

    Raises:
        Failure: values that Pillow does not hold.
    """
    level, levels = picture.info.get("transparency"), 1 << _bits(picture)
    if picture.format == "PNG" and picture.mode == "L" and isinstance(level, int) and level < levels < 256:
        # the pixels of few bits are widened to 8, and this is not
        picture.info["transparency"] = level * 255 // (levels - 1)
    picture.load()
    if picture.format != "TIFF":
        return
    tags = picture.tag_v2  # type: ignore[attr-defined]
    signed = tags.get(SAMPLE_FORMAT, (1,))[0] == 2
    if signed and picture.mode == "L":
        raise Failure(f"{path}: has signed 8-bit values, which are not supported")
    if not signed and picture.mode == "I" and picture.getextrema()[0] < 0:  # type: ignore[operator]
        raise Failure(f"{path}: has values of 2**31 or more, which are not supported")
    if tags.get(PHOTOMETRIC) == 0 and picture.mode not in ("1", "L"):
        raise Failure(f"{path}: has white at 0 in mode {picture.mode}, which is not supported")


def _read_exif(picture: Image.Image, path: str) -> Image.Exif:
    """Return the EXIF as far as it is read: before decoding, because some files are closed then, or after it."""
    if picture.format == "PNG" and "exif" not in picture.info and getattr(picture, "tile", None):
        # Pillow would decode the picture to look behind the pixels, and its damage would look like that of the EXIF
        return Image.Exif()
    try:
        exif = picture.getexif()
        for tag in (EXIF_IFD, GPS_IFD):
            if tag in exif:
                exif.get_ifd(tag)
    except Exception as error:
        warn_of_loss(f"{path}: the EXIF is damaged and left out: {reason(error)}")
        return Image.Exif()
    return exif


def _upright_size(picture: Image.Image, exif: Image.Exif) -> Size:
    """Return (width, height) of the picture as it is seen."""
    width, height = picture.size
    # of a TIFF file Pillow gives the upright size
    turned = exif.get(ORIENTATION, 1) in (5, 6, 7, 8) and picture.format != "TIFF"
    return (height, width) if turned else (width, height)


def _upright(picture: Image.Image, exif: Image.Exif) -> Image.Image:
    """Return the pixels of a decoded picture, upright, and a transparent colour turned into an alpha channel."""
    turned, file_format = exif.get(ORIENTATION, 1) != 1, picture.format
    if turned:
        from PIL import ImageOps

        picture = ImageOps.exif_transpose(picture)
    if picture.mode == "I" and file_format in ("PNG", "PPM"):
        # neither format has more than the 16 bits that Pillow, for some files, reads as 32
        picture = picture.convert("I;16")
    if "transparency" in picture.info and picture.mode in ("1", "L", "RGB"):
        picture = picture.convert("RGBA" if picture.mode == "RGB" else "LA")
    return picture


def _fit_mode(picture: Image.Image, path: str, file_format: str) -> Image.Image:
    """Return the picture in a mode that the format holds, changed only in ways that keep every value.

    GIF takes all modes by reducing colours, with a warning.

    Raises:
        Failure: the format does not hold such pictures.
    """
    mode, held = picture.mode, MODES[file_format]
    # Pillow's writers take some of the entries that came with the input; only this one is meant for them
    picture.info = {name: value for name, value in picture.info.items() if mode == "P" and name == "transparency"}
    wider = (mode, *WIDER.get(mode, ()))
    if mode == "P" and picture.has_transparency_data:
        wider = ("P", "RGBA") if file_format in ("PNG", "GIF") else ("RGBA",)
    for candidate in wider:
        if candidate in held:
            return picture if candidate == mode else picture.convert(candidate)
    if file_format == "GIF" and wider[-1] in ("RGB", "RGBA"):
        warn_of_loss(f"{path}: GIF holds 256 colours, and alpha that is on or off: reduced to that")
        return picture.convert(wider[-1])
    fitting = " ".join(ending for ending, name in EXTENSIONS.items() if wider[0] in MODES[name])
    raise Failure(f"{path}: {file_format} does not hold {wider[0]} pictures; these formats do: {fitting or 'none'}")


def _metadata(picture: Image.Image, exif: Image.Exif, size: Size, path: str) -> dict[str, Any]:
    """Return what belongs to the picture besides pixels, corrected for its new size, as arguments of Pillow's save."""
    found: dict[str, Any] = {}
    if picture.info.get("icc_profile"):
        found["icc_profile"] = picture.info["icc_profile"]
    xmp = picture.info.get("xmp")
    if xmp:
        xmp = xmp.encode() if isinstance(xmp, str) else xmp
        # some programs take the orientation from here where EXIF has none
        found["xmp"] = re.sub(rb"(tiff:Orientation(?:>|\s*=\s*[\"']))\s*[0-9]+", rb"\g<1>1", xmp)
    dpi = picture.info.get("dpi")
    if dpi and all(math.isfinite(value) and 1 < value < 65535 for value in dpi):
        found["dpi"] = tuple(float(value) for value in dpi)
    if picture.info.get("compression") in LOSSLESS:
        found["compression"] = picture.info["compression"]
    for tag in (ORIENTATION, XMP, *STORAGE_TAGS):
        if tag in exif:
            del exif[tag]
    if EXIF_IFD in exif:
        details = exif.get_ifd(EXIF_IFD)
        for tag, side in zip((PIXEL_WIDTH, PIXEL_HEIGHT), size, strict=True):
            if tag in details:
                details[tag] = side
    if len(exif):
        try:
            exif.bigtiff = False
            found["exif"] = exif.tobytes()
        except Exception as error:
            warn_of_loss(f"{path}: the EXIF is damaged and left out: {reason(error)}")
    return found


def _writing_options(
    picture: Image.Image, path: str, file_format: str, found: dict[str, Any], quality: int | None
) -> dict[str, Any]:
    """Return the arguments of Pillow's save: the part of `found` that the format holds, and more."""
    options = {name: value for name, value in found.items() if name in METADATA.get(file_format, ())}
    if found.get("icc_profile", b"")[16:20] not in (b"", PROFILES.get(picture.mode, b"GRAY")):
        # a profile of gray levels says nothing about colours, and so on
        options.pop("icc_profile", None)
    for name in ("exif", "xmp"):
        # a segment of a JPEG file ends at 64 KiB; only profiles may take several
        if file_format == "JPEG" and len(options.get(name, b"")) > 65000:
            del options[name]
    lost = [NAMES[name] for name in found if name in NAMES and name not in options]
    if lost:
        warn_of_loss(f"{path}: without the input's {', '.join(lost)}, which a {file_format} of {picture.mode} has not")
    if file_format in QUALITY:
        options["quality"] = 90 if quality is None else quality
    if file_format == "PNG":
        # 2.5 times as fast as Pillow's 6, and 4 % larger
        options["compress_level"] = 4
        if "xmp" in options:
            from PIL.PngImagePlugin import PngInfo

            options["pnginfo"] = PngInfo()
            options["pnginfo"].add_itxt("XML:com.adobe.xmp", options.pop("xmp").decode("utf-8", "replace"))
    if file_format == "TIFF" and "xmp" in options:
        exif = Image.Exif()
        exif.load(options.get("exif", b""))
        exif[XMP] = options.pop("xmp")
        options["exif"] = exif.tobytes()
    return options
