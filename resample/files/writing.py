"""Pictures to files, with what belongs to them besides pixels."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Sequence
from typing import IO, Any

from PIL import Image

from resample.files import output, places
from resample.files.failures import Failure, failing_as, library_at_work, warn_of_loss
from resample.files.formats import ANIMATED, EXTENSIONS, METADATA, MODES, QUALITY, WIDER
from resample.files.places import is_remote
from resample.files.settings import Settings

NAMES = {"icc_profile": "ICC profile", "exif": "EXIF", "xmp": "XMP", "comment": "comment", "text": "text"}

# The colours that an ICC profile is about, by mode; it is gray levels for all others.
PROFILES = dict.fromkeys(("RGB", "RGBA", "RGBX", "P", "YCbCr"), b"RGB ") | {"CMYK": b"CMYK", "LAB": b"Lab "}

# For how many milliseconds a page is shown that becomes a frame.
PAGE = 100

# Tags of a TIFF file.
IMAGE_DESCRIPTION, XMP = 270, 700


def write(
    pictures: Sequence[Sequence[Image.Image]],
    paths: Sequence[str],
    file_format: str,
    found: dict[str, Any],
    settings: Settings,
) -> None:
    """Write pictures, each of one frame or more, to files of one format, all or none.

    `found` is what belongs to each of them; see `reading.Opened.metadata`.

    Raises:
        Failure: the format does not hold them, or they cannot be written.
        Skipped: one appeared meanwhile, and existing outputs are skipped.
    """
    if is_remote(paths[0]):
        for frames, path in zip(pictures, paths, strict=True):
            with failing_as(f"{path}: cannot be written"):
                _to_store(frames, path, file_format, found, settings)
        return
    span = output.span(paths)
    with failing_as(f"{span}: cannot be written"), output.whole_files(paths, settings.on_exists) as files:
        for frames, path, file in zip(pictures, paths, files, strict=True):
            encode(frames, path, file_format, found, settings, file)


def _to_store(
    frames: Sequence[Image.Image], path: str, file_format: str, found: dict[str, Any], settings: Settings
) -> None:
    file = io.BytesIO()
    encode(frames, path, file_format, found, settings, file)
    content = file.getvalue()
    try:
        places.write(path, content, new=settings.on_exists != "overwrite")
    except FileExistsError:
        output.check_appeared(path, settings.on_exists, is_same=places.read(path) == content)


def encode(
    frames: Sequence[Image.Image],
    path: str,
    file_format: str,
    found: dict[str, Any],
    settings: Settings,
    file: IO[bytes],
) -> None:
    """Write a picture to a file that is open, and named `path` in warnings."""
    frames = list(frames)
    if found.get("default_image") and file_format != "PNG":
        del frames[0]  # what programs show that know no animation, and no part of it
    if len(frames) > 1 and file_format not in ANIMATED:
        warn_of_loss(f"{path}: without {len(frames) - 1} of {len(frames)} frames, as {file_format} holds one")
        del frames[1:]
    timing = _timing(frames, path, file_format, found)
    pages = [dict(frame.info) for frame in frames]
    fitted = [_fit_mode(frame, path, file_format, settings.background) for frame in frames]
    if len({frame.mode for frame in fitted}) > 1 and file_format != "TIFF":
        fitted = [_in_common(frame, path, file_format) for frame in fitted]
    options = _writing_options(fitted[0], path, file_format, found, settings) | timing
    if file_format == "TIFF" and len(fitted) > 1:
        for frame, info in zip(fitted, pages, strict=True):
            # each page has its own resolution and profile
            own = {name: info[name] for name in ("dpi", "icc_profile") if info.get(name)}
            frame.encoderinfo = own
    with library_at_work(file_format, fitted[0].size), _memory(file_format) as encoded:
        # its name tells the format: where that is an argument, Pillow imports the plugins of others too
        options |= {"append_images": fitted[1:], "save_all": len(fitted) > 1}
        try:
            fitted[0].save(encoded, **options)
        except OSError:
            # Pillow holds a progressive file in a buffer of two bytes a pixel at most: too few for noise
            if not options.pop("progressive", None):
                raise
            warn_of_loss(f"{path}: not progressive, as Pillow cannot write so large a one")
            encoded.seek(0)
            encoded.truncate()
            fitted[0].save(encoded, **options)
        if file_format == "JPEG":
            encoded.seek(-2, os.SEEK_END)
            if encoded.read() != b"\xff\xd9":
                raise OSError("the end is missing")
        if file_format == "WEBP" and any(frame.mode == "RGBA" for frame in fitted):
            _say_clear(encoded)
        length = encoded.seek(0, os.SEEK_END)
        encoded.seek(0)
        shutil.copyfileobj(encoded, file, min(length, 1 << 20))


class _Memory(io.BytesIO):
    """A file in memory with a name."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


def _say_clear(webp: IO[bytes]) -> None:
    """Set the flag of alpha in the header of a WebP file.

    libwebp leaves it out where the parts of frames that it stores are opaque; readers then take what is around them for
    opaque too.
    """
    webp.seek(0)
    head = webp.read(21)
    if head[12:16] == b"VP8X":
        webp.seek(20)
        webp.write(bytes([head[20] | 0x10]))


def _memory(file_format: str) -> IO[bytes]:
    """Return a file in memory: on a full disk some of Pillow's encoders end as if all were written, or never.

    The encoder of JPEG keeps other threads waiting unless it writes to a file that the system knows.
    """
    name = f"picture{output.usual_extension(file_format)}"
    if file_format == "JPEG" and hasattr(os, "memfd_create"):
        return open(name, "w+b", buffering=0, opener=lambda name, _: os.memfd_create(name))
    return _Memory(name)


def _timing(frames: Sequence[Image.Image], path: str, file_format: str, found: dict[str, Any]) -> dict[str, Any]:
    """Return how an animation is played, as arguments of Pillow's save.

    Raises:
        Failure: the frames are not of one size.
    """
    if len(frames) < 2:
        return {}
    has_times = any("duration" in frame.info for frame in frames)
    if file_format == "TIFF":
        if has_times:
            warn_of_loss(f"{path}: without the times of frames, which are pages in TIFF")
        return {}
    if len({frame.size for frame in frames}) > 1:
        raise Failure(
            f"{path}: the frames have several sizes, which {file_format} does not hold: take TIFF or --frames first"
        )
    options: dict[str, Any] = {
        "duration": [round(frame.info.get("duration") or 0) if has_times else PAGE for frame in frames]
    }
    if file_format == "PNG":
        options["default_image"] = found.get("default_image", False)
        options["duration"] = options["duration"][options["default_image"] :]
    plays = found.get("plays", 0)
    if file_format == "GIF":
        if plays != 1:
            options["loop"] = max(plays - 1, 0)
        # each frame is whole: where one may be seen through, what was there before it must go
        options["disposal"] = 2 if any(frame.has_transparency_data for frame in frames) else 1
    elif file_format != "AVIF":
        options["loop"] = plays
    elif plays:
        warn_of_loss(f"{path}: plays without end, not {plays} times, which Pillow does not write to AVIF")
    return options


def _in_common(frame: Image.Image, path: str, file_format: str) -> Image.Image:
    """Return the frame in a mode that frames of several modes have in common.

    Raises:
        Failure: it has more than 8 bits.
    """
    if frame.mode.startswith(("I", "F")):
        raise Failure(f"{path}: the frames have several modes, which {file_format} does not hold: take TIFF")
    return frame.convert("RGBA")


def _fit_mode(picture: Image.Image, path: str, file_format: str, background: str | None) -> Image.Image:
    """Return the picture in a mode that the format holds, changed only in ways that keep every value.

    GIF takes all modes by reducing colours, with a warning. Alpha goes where a background is given.

    Raises:
        Failure: the format does not hold such pictures.
    """
    mode, held = picture.mode, MODES[file_format]
    # Pillow's writers take some of the entries that came with the input; only this one is meant for them
    picture.info = {name: value for name, value in picture.info.items() if mode == "P" and name == "transparency"}
    wider = (mode, *WIDER.get(mode, ()))
    if mode == "P" and picture.has_transparency_data:
        # GIF has one clear colour, and none that is so in part
        is_kept = file_format == "PNG" or (file_format == "GIF" and isinstance(picture.info["transparency"], int))
        wider = ("P", "RGBA") if is_kept else ("RGBA",)
    for candidate in wider:
        if candidate in held:
            return picture if candidate == mode else picture.convert(candidate)
    if background is not None and picture.has_transparency_data:
        return _on_background(picture, background)
    if file_format == "GIF" and wider[-1] in ("RGB", "RGBA"):
        warn_of_loss(f"{path}: GIF holds 256 colours, and alpha that is on or off: reduced to that")
        return picture.convert(wider[-1])
    fitting = " ".join(ending for ending, name in EXTENSIONS.items() if wider[0] in MODES[name])
    hint = "; or take a --background" if picture.has_transparency_data else ""
    raise Failure(
        f"{path}: {file_format} does not hold {wider[0]} pictures; these formats do: {fitting or 'none'}{hint}"
    )


def _on_background(picture: Image.Image, background: str) -> Image.Image:
    """Return the RGB picture that shows `picture` before a colour."""
    picture = picture.convert("RGBA")
    ground = Image.new("RGBA", picture.size, background)
    return Image.alpha_composite(ground, picture).convert("RGB")


def _writing_options(
    picture: Image.Image, path: str, file_format: str, found: dict[str, Any], settings: Settings
) -> dict[str, Any]:
    """Return the arguments of Pillow's save: the part of `found` that the format holds, and more."""
    options = {name: value for name, value in found.items() if name in METADATA.get(file_format, ())}
    if found.get("icc_profile", b"")[16:20] not in (b"", PROFILES.get(picture.mode, b"GRAY")):
        # a profile of gray levels says nothing about colours, and so on
        options.pop("icc_profile", None)
    for name in ("exif", "xmp", "comment"):
        # a segment of a JPEG file ends at 64 KiB; only profiles may take several
        if file_format in ("JPEG", "JPEG2000") and len(options.get(name, b"")) > 65000:
            del options[name]
    lost = [NAMES[name] for name in found if name in NAMES and found[name] and name not in options]
    if lost:
        warn_of_loss(f"{path}: without the input's {', '.join(lost)}, which a {file_format} of {picture.mode} has not")
    if file_format in QUALITY:
        options["quality"] = settings.quality or 90
    if file_format == "JPEG" and settings.quality is None:
        if kept := found.get("jpeg"):
            # Pillow would scale the tables by a quality
            del options["quality"]
            options |= kept
        if picture.mode != "RGB":
            options.pop("subsampling", None)
    if file_format == "PNG":
        options["compress_level"] = settings.png_level
        options["pnginfo"] = _chunks(options.pop("text", {}), options.pop("comment", b""), options.pop("xmp", b""))
    if file_format == "TIFF" and ("xmp" in options or "comment" in options):
        exif = Image.Exif()
        exif.load(options.get("exif", b""))
        if "xmp" in options:
            exif[XMP] = options.pop("xmp")
        if "comment" in options:
            exif.setdefault(IMAGE_DESCRIPTION, options.pop("comment").decode("utf-8", "replace"))
        options["exif"] = exif.tobytes()
    return options


def _chunks(text: dict[str, str], comment: bytes, xmp: bytes) -> Any:
    """Return the texts of a PNG file."""
    from PIL.PngImagePlugin import PngInfo

    found = PngInfo()
    for name, value in text.items():
        found.add_text(name, value, zip=len(value) > 1024)
    if comment:
        found.add_text("Comment", comment.decode("utf-8", "replace"))
    if xmp:
        found.add_itxt("XML:com.adobe.xmp", xmp.decode("utf-8", "replace"))
    return found
