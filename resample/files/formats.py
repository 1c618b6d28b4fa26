"""What each file format can hold, by Pillow's names of formats and modes."""

from __future__ import annotations

from resample.files.failures import UsageError
from resample.files.places import split, without_query

EXTENSIONS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".avif": "AVIF",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".gif": "GIF",
    ".bmp": "BMP",
    ".ppm": "PPM",
    ".pgm": "PPM",
    ".pnm": "PPM",
    ".jp2": "JPEG2000",
    ".j2k": "JPEG2000",
}

# Extensions of the formats that are written with every value as it is.
EXACT = tuple(ending for ending, name in EXTENSIONS.items() if name in ("PNG", "TIFF", "BMP", "PPM"))

# Extension of a file with many pictures and what belongs to them, as webdataset writes them.
SHARD = ".tar"

# Extensions of the page that shows a comparison.
PAGES = (".html", ".htm")

# An allow-list: the parsers of these formats are the fuzzed ones, and none starts another program.
FORMATS = tuple(dict.fromkeys(EXTENSIONS.values()))

# Pillow writes some other modes too, and drops alpha or half of the bits without a word.
MODES = {
    "JPEG": ("L", "RGB", "CMYK", "YCbCr"),
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16", "I;16B"),
    "WEBP": ("RGB", "RGBA"),
    "AVIF": ("L", "RGB", "RGBA"),
    "TIFF": ("1", "L", "LA", "P", "RGB", "RGBX", "RGBA", "CMYK", "YCbCr", "LAB", "I;16", "I;16B", "I", "F"),
    "GIF": ("1", "L", "P"),
    "BMP": ("1", "L", "P", "RGB"),
    "PPM": ("1", "L", "RGB", "I;16", "F"),
    "JPEG2000": ("L", "LA", "RGB", "RGBA", "I;16"),
}

# Conversions that keep every value.
WIDER = {"1": ("L", "RGB"), "L": ("RGB",), "LA": ("RGBA",), "P": ("RGB",), "RGBX": ("RGB",)}

# Formats with a quality to choose, and what each holds besides pixels.
QUALITY = ("JPEG", "WEBP", "AVIF")
METADATA = {
    "JPEG": ("icc_profile", "exif", "xmp", "dpi", "comment", "progressive"),
    "PNG": ("icc_profile", "exif", "xmp", "dpi", "comment", "text"),
    "WEBP": ("icc_profile", "exif", "xmp"),
    "AVIF": ("icc_profile", "exif", "xmp"),
    "TIFF": ("icc_profile", "exif", "xmp", "dpi", "compression", "comment"),
    "BMP": ("dpi",),
    "GIF": ("comment",),
    "JPEG2000": ("comment",),
}

# Formats of several frames, or pages.
ANIMATED = ("GIF", "WEBP", "PNG", "TIFF", "AVIF")

LONGEST_SIDE = {"JPEG": 65500, "WEBP": 16383, "GIF": 65535, "AVIF": 32768}
MOST_PIXELS = {"AVIF": 16384 * 16384}  # with the longest side, what libavif reads back


def extension(path: str) -> str:
    """Return the extension of a path, in lower case."""
    dot = path.rfind(".")
    return path[dot:].lower() if dot >= 0 else ""


def is_shard(path: str) -> bool:
    """Return whether a path is that of a shard, a tar file with pictures."""
    return extension(without_query(split(path)[1])) == SHARD


def of(path: str) -> str:
    """Return the format that a path's extension means, which must be one of EXTENSIONS."""
    return EXTENSIONS[extension(path)]


def check(file_format: str, size: tuple[int, int], quality: int | None) -> None:
    """Refuse what a format cannot do.

    Raises:
        UsageError: a side is too long for the format, there are too many pixels, or a quality is given that it has not.
    """
    longest = LONGEST_SIDE.get(file_format, max(size))
    if max(size) > longest:
        raise UsageError(
            f"an output of {size[0]}x{size[1]} is too large for {file_format}, whose sides end at {longest}"
        )
    most = MOST_PIXELS.get(file_format, size[0] * size[1])
    if size[0] * size[1] > most:
        raise UsageError(
            f"an output of {size[0]}x{size[1]} is too large for {file_format}, which ends at {most} pixels"
        )
    if quality is not None and file_format not in QUALITY:
        raise UsageError(f"--quality goes with {', '.join(QUALITY)} output, not {file_format}")
