"""How files are read and written, whatever is done to the pictures in them."""

from __future__ import annotations

from typing import NamedTuple

Size = tuple[int, int]
"""(width, height), in the order of file formats and of the command."""

# A 100-megapixel photograph can be doubled. Pillow then holds 2 GB of pixels.
MAX_PIXELS = 500_000_000

ON_EXISTS = ("error", "skip", "overwrite", "rename")
METADATA = ("keep", "no-gps", "strip")


class Settings(NamedTuple):
    """How files are read and written."""

    on_exists: str = "error"
    """What becomes of an output that exists: "error", "skip", "overwrite" or "rename" (to name-1, name-2, ...)."""
    quality: int | None = None
    """1 to 100, for JPEG, WebP and AVIF. None keeps the tables and subsampling of a JPEG file, and is 90 for others."""
    png_level: int = 4
    """Compression of PNG files, 0 to 9. 4 is 2.5 times as fast as Pillow's 6, for files 4 % larger."""
    metadata: str = "keep"
    """Of EXIF, XMP and comments: "keep", "no-gps" (without places) or "strip". Colour profile and resolution stay."""
    orient: str = "apply"
    """What becomes of the orientation in EXIF: "apply" turns the pixels, "keep" leaves them and the entry."""
    frames: str = "all"
    """Whether "all" frames of animations and pages of TIFF files are taken, or the "first"."""
    background: str | None = None
    """What is put behind pictures with alpha where the format has none, in Pillow's words for colours."""
    max_pixels: int = MAX_PIXELS
    """Pictures of more pixels, read or written, are refused; of what is written, those of all frames count. Pillow's
    own limit, `PIL.Image.MAX_IMAGE_PIXELS`, holds besides; the command has turned that off."""
    make_folders: bool = False
    """Whether the folder of an output is made where there is none."""
    in_place: bool = False
    """Whether the output replaces the input."""


def shown(size: Size) -> str:
    """Return a size as it is written everywhere: 640x424."""
    return f"{size[0]}x{size[1]}"
