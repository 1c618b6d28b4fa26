"""Pictures from files, with what belongs to them besides pixels."""

from __future__ import annotations

import contextlib
import io
import logging
import math
import re
import sys
from collections.abc import Iterator
from typing import IO, Any

from PIL import Image, UnidentifiedImageError

from resample.files import places
from resample.files.failures import Failure, UsageError, failing_as, library_at_work, reason, warn_of_loss
from resample.files.formats import EXTENSIONS, FORMATS, extension
from resample.files.inputs import STREAM, check_source, stream
from resample.files.places import is_remote
from resample.files.settings import Settings, Size, shown

logging.getLogger("PIL").addHandler(logging.NullHandler())

BITS, PHOTOMETRIC, SAMPLE_FORMAT = 258, 262, 339
ORIENTATION, XMP, EXIF_IFD, GPS_IFD, PIXEL_WIDTH, PIXEL_HEIGHT = 0x112, 700, 0x8769, 0x8825, 0xA002, 0xA003

# Compressions of a TIFF file that any pixels can be written with.
LOSSLESS = ("tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "packbits")

# Tags of a TIFF file that tell where and how its own pixels are stored, or that travel by other ways (ICC).
STORAGE_TAGS = (*range(254, 260), 262, 266, 273, *range(277, 281), 284, 317, *range(320, 326), 338, 339, 347)
STORAGE_TAGS += (*range(512, 522), *range(529, 533), 34675)

MOST_EXIF = 1 << 26  # bytes

# Texts of a PNG file that are metadata of another name.
_ELSEWHERE = ("XML:com.adobe.xmp", "Raw profile type ")

# What an XMP packet says of a place, as an attribute and as an element.
_PLACES = re.compile(rb"""\s+\w+:GPS\w+\s*=\s*("[^"]*"|'[^']*')|<(\w+:GPS\w+)[^>]*?(/>|>.*?</\2\s*>)""", re.DOTALL)


class Opened:
    """A picture of which the header is read, and not yet the pixels.

    Attributes:
        path: of its file.
        size: (width, height) as it will be seen: upright, where orientation is applied.
        file_format: Pillow's name of it.
        total: of its frames or pages.
        count: of those that `frames` gives.
    """

    def __init__(self, path: str, image: Image.Image, settings: Settings) -> None:
        self.path, self.settings, self.file_format = path, settings, str(image.format)
        self._image, self._info = image, image.info.copy()
        self._tables = _jpeg_tables(image)
        self._exif = _read_exif(image, path)
        self.turns = settings.orient == "apply"
        self.size = _upright_size(image, self._exif) if self.turns else image.size
        self.total: int = getattr(image, "n_frames", 1)
        if image.format == "MPO":
            # a JPEG file with pictures behind it: a preview, a map of depths or of brightness
            self.file_format = "JPEG"
            if self.total > 1:
                warn_of_loss(f"{path}: has {self.total} pictures, only the first is written")
            self.total = 1
        self.count = self.total if settings.frames == "all" else 1

    def frames(self) -> Iterator[Image.Image]:
        """Give the frames, decoded and upright.

        Raises:
            Failure: they cannot be read.
        """
        messages: list[str] = []
        with failing_as(f"{self.path}: cannot be read"):
            _warn_of_losses(self._image, self.path)
            for number in range(self.count):
                with library_at_work(self.file_format, self._image.size) as lines:
                    if number:
                        self._image.seek(number)
                        _check_pixels(self._image, self.path, self.settings.max_pixels)
                    _load(self._image, self.path)
                messages += lines
                if number == 0:
                    self._info = self._image.info.copy()
                frame = self._image.copy() if self.count > 1 else self._image
                yield _plain(_upright(frame, self._exif) if self.turns else frame, self.file_format)
        for message in dict.fromkeys(messages):
            if "warning" not in message.lower():
                warn_of_loss(f"{self.path}: is perhaps damaged: {message}")

    def metadata(self, size: Size) -> dict[str, Any]:
        """Return what belongs to a picture of that size made of this one, besides pixels: `writing.write` takes it.

        It is known when the first frame is decoded.
        """
        info, keeps = self._info, self.settings.metadata
        found = {name: info[name] for name in ("icc_profile", "default_image", "progressive") if info.get(name)}
        found |= _page(info)
        if self._tables:
            found["jpeg"] = self._tables
        if self.count > 1:
            found["plays"] = _plays(self.file_format, self._image.info.get("loop"))
        exif = _exif_for(self._exif, size, self.settings)
        if len(exif):
            try:
                exif.bigtiff = False
                found["exif"] = exif.tobytes()
            except MemoryError:
                raise
            except Exception as error:
                warn_of_loss(f"{self.path}: the EXIF is damaged and left out: {reason(error)}")
        if keeps == "strip":
            return found
        if xmp := info.get("xmp"):
            xmp = xmp.encode() if isinstance(xmp, str) else xmp
            if self.turns:
                # some programs take the orientation from here where EXIF has none
                xmp = re.sub(rb"(tiff:Orientation(?:>|\s*=\s*[\"']))\s*[0-9]+", rb"\g<1>1", xmp)
            xmp = xmp if keeps == "keep" else _PLACES.sub(b"", xmp)
            if keeps == "no-gps" and b"GPS" in xmp:
                warn_of_loss(f"{self.path}: the XMP is left out, as it may tell a place")
            else:
                found["xmp"] = xmp
        comment = info.get("comment")
        if self.file_format == "PNG":
            text = {name: value for name, value in self._image.text.items() if not name.startswith(_ELSEWHERE)}  # type: ignore[attr-defined]
            comment = text.pop("Comment", None)
            found["text"] = text
        if comment:
            found["comment"] = comment.encode("utf-8", "replace") if isinstance(comment, str) else comment
        return found


@contextlib.contextmanager
def opened(path: str, settings: Settings, content: bytes | None = None) -> Iterator[Opened]:
    """Give the picture of a file, or of stdin for `-`, and close it.

    Where there is `content`, that is the file, and `path` only its name.

    Raises:
        Failure: it cannot be read, as a file, or as a picture in one of the formats.
        UsageError: it has more pixels than allowed.
    """
    with failing_as(f"{path}: cannot be read"):
        image = _open_picture(path, settings.max_pixels, content)
        try:
            found = Opened(path, image, settings)
        except BaseException:
            image.close()
            raise
    with image:
        yield found


def _open_picture(path: str, max_pixels: int, content: bytes | None) -> Image.Image:
    """Return the picture with its header read, and not yet its pixels.

    Raises:
        Failure: it is not a plain file, or not a picture in one of the formats.
        UsageError: it has more pixels than allowed.
        OSError: it cannot be read.
    """
    file: str | IO[bytes] = path
    if content is None and is_remote(path):
        content = places.read(path)
    if path == STREAM:
        file = io.BytesIO(stream(sys.stdin).read())
    elif content is None:
        check_source(path)
    elif content:
        file = io.BytesIO(content)
    else:
        raise Failure(f"{path}: is empty")
    # Pillow imports all its plugins when it meets a format that it does not know yet: the likely one goes first.
    likely = EXTENSIONS.get(extension(path), "JPEG")
    try:
        picture = Image.open(file, formats=[likely, *(name for name in FORMATS if name != likely)])
    except UnidentifiedImageError:
        raise Failure(f"{path}: is not a picture, or damaged, or not one of {', '.join(FORMATS)}") from None
    try:
        _check_pixels(picture, path, max_pixels)
    except Failure:
        picture.close()
        raise
    return picture


def _check_pixels(picture: Image.Image, path: str, max_pixels: int) -> None:
    if math.prod(picture.size) > max_pixels:
        raise UsageError(
            f"{path}: {shown(picture.size)} is more than {max_pixels} pixels; raise the limit with --max-pixels"
        )


def _warn_of_losses(picture: Image.Image, path: str) -> None:
    """Tell which parts of the file Pillow leaves out."""
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
    """Return the EXIF, before the pixels are decoded: some files are closed then."""
    try:
        if picture.format == "PNG" and "exif" not in picture.info:
            # Pillow would decode the picture to look behind the pixels, and its damage would look like that of the EXIF
            picture.info.update(_exif_behind_pixels(picture.fp))  # type: ignore[attr-defined]
            if "exif" not in picture.info:
                return Image.Exif()
        exif = picture.getexif()
        for tag in (EXIF_IFD, GPS_IFD):
            if tag in exif:
                exif.get_ifd(tag)
    except MemoryError:
        raise
    except Exception as error:
        warn_of_loss(f"{path}: the EXIF is damaged and left out: {reason(error)}")
        return Image.Exif()
    return exif


def _exif_behind_pixels(file: IO[bytes]) -> dict[str | tuple[int, int], bytes]:
    """Return the EXIF of a PNG file as Pillow keeps it, where that is in the chunks that follow; the place is kept."""
    place = file.tell()
    try:
        file.seek(8)  # behind the signature
        while len(head := file.read(8)) == 8:
            length, name = int.from_bytes(head[:4], "big"), head[4:]
            if name == b"eXIf" and length < MOST_EXIF:
                return {"exif": b"Exif\0\0" + file.read(length)}
            file.seek(length + 4, io.SEEK_CUR)
        return {}
    finally:
        file.seek(place)


def _upright_size(picture: Image.Image, exif: Image.Exif) -> Size:
    """Return (width, height) of the picture as it is seen."""
    width, height = picture.size
    # of a TIFF file Pillow gives the upright size
    turned = exif.get(ORIENTATION, 1) in (5, 6, 7, 8) and picture.format != "TIFF"
    return (height, width) if turned else (width, height)


def _upright(picture: Image.Image, exif: Image.Exif) -> Image.Image:
    """Return a decoded picture as it is seen."""
    if exif.get(ORIENTATION, 1) == 1:
        return picture
    from PIL import ImageOps

    turned: Image.Image = ImageOps.exif_transpose(picture)
    return turned


def _plain(picture: Image.Image, file_format: str | None) -> Image.Image:
    """Return a decoded picture in the mode of its values, a transparent colour turned into an alpha channel."""
    if picture.mode == "I" and file_format in ("PNG", "PPM"):
        # neither format has more than the 16 bits that Pillow, for some files, reads as 32
        picture = picture.convert("I;16")
    if "transparency" in picture.info and picture.mode in ("1", "L", "RGB"):
        picture = picture.convert("RGBA" if picture.mode == "RGB" else "LA")
    return picture


def _jpeg_tables(picture: Image.Image) -> dict[str, Any]:
    """Return what makes a JPEG file of the same quality, as arguments of Pillow's save."""
    if picture.format not in ("JPEG", "MPO"):
        return {}
    from PIL import JpegImagePlugin

    tables: dict[int, list[int]] = picture.quantization  # type: ignore[attr-defined]
    if not tables or max(map(max, tables.values())) > 255:  # of 12-bit pictures
        return {}
    found: dict[str, Any] = {"qtables": tables}
    subsampling = JpegImagePlugin.get_sampling(picture)
    return found | ({"subsampling": subsampling} if subsampling >= 0 else {})


def _page(info: dict[Any, Any]) -> dict[str, Any]:
    """Return what belongs to one page of a TIFF file, or to a picture."""
    found = {}
    dpi = info.get("dpi")
    if dpi and all(math.isfinite(value) and 1 < value < 65535 for value in dpi):
        found["dpi"] = tuple(float(value) for value in dpi)
    if info.get("compression") in LOSSLESS:
        found["compression"] = info["compression"]
    return found


def _plays(file_format: str | None, loop: int | None) -> int:
    """Return how often an animation plays, 0 for without end."""
    if file_format != "GIF":
        return loop or 0
    # GIF counts what comes after the first time
    return 1 if loop is None else loop + 1 if loop else 0


def _exif_for(exif: Image.Exif, size: Size, settings: Settings) -> Image.Exif:
    """Return the part of EXIF that settings keep, corrected for a picture of this size."""
    orientation = exif.get(ORIENTATION)
    if settings.metadata == "strip":
        exif = Image.Exif()
    for tag in (ORIENTATION, XMP, *STORAGE_TAGS):
        if tag in exif:
            del exif[tag]
    if settings.orient == "keep" and orientation not in (None, 1):
        exif[ORIENTATION] = orientation
    if settings.metadata == "no-gps" and GPS_IFD in exif:
        exif.get_ifd(GPS_IFD).clear()  # Pillow 11 writes what it has read, though it is deleted
        del exif[GPS_IFD]
    if EXIF_IFD in exif:
        details = exif.get_ifd(EXIF_IFD)
        for tag, side in zip((PIXEL_WIDTH, PIXEL_HEIGHT), size, strict=True):
            if tag in details:
                details[tag] = side
    return exif
