"""What is kept of a file besides its pixels: frames, metadata, quality; and how it is written."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageSequence, PngImagePlugin
from resample_cli import main

import resample

IMAGES = Path(__file__).parent.parent / "images"
GPS_IFD, EXIF_IFD, ORIENTATION, MAKE, PIXEL_WIDTH = 0x8825, 0x8769, 0x112, 0x10F, 0xA002


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Any:
    """Run the command, which must succeed; return its warnings. Nothing may be left behind."""

    def run(*args: object) -> list[str]:
        status = main.main([str(arg) for arg in args])
        written = capsys.readouterr()
        assert status == 0, written.err
        assert not list(Path().rglob(".resample-*"))
        return [line for line in written.err.splitlines() if "warning" in line]

    return run


def frames_of(path: str) -> list[Any]:
    with Image.open(path) as image:
        return [np.asarray(frame.convert("RGBA")) for frame in ImageSequence.Iterator(image)]


def drawn(count: int, mode: str = "RGB") -> list[Image.Image]:
    """Return frames of plain colours, which every format and palette holds, each with a square elsewhere."""
    frames = []
    for number in range(count):
        frame = Image.new(mode, (24, 16), (255, 0, 0, 255)[: len(mode)])
        if mode == "RGBA":
            frame.paste((0, 0, 0, 0), (0, 0, 12, 16))
        frame.paste((0, 0, 255, 255)[: len(mode)], (4 * number, 4, 4 * number + 8, 12))
        frames.append(frame)
    return frames


ANIMATIONS = [".gif", ".webp", ".png", ".avif"]
DURATIONS = [100, 250, 70]


def animated(name: str, mode: str, **options: Any) -> None:
    frames = drawn(3, mode)
    if name.endswith(".webp"):
        options["lossless"] = True
    if name.endswith(".gif"):
        options["disposal"] = 2
    frames[0].save(name, save_all=True, append_images=frames[1:], duration=DURATIONS, **options)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("target", ANIMATIONS)
@pytest.mark.parametrize("source", ANIMATIONS)
def test_animations(call: Any, source: str, target: str, mode: str) -> None:
    animated(f"in{source}", mode)
    call(f"in{source}", "--scale", 2, "--mode", "nearest", "-o", f"out{target}")
    frames = frames_of(f"out{target}")
    expected = [np.repeat(np.repeat(frame, 2, 0), 2, 1) for frame in frames_of(f"in{source}")]
    assert len(frames) == len(expected) == 3
    for frame, wanted in zip(frames, expected, strict=True):
        alpha, wanted_alpha = frame[..., 3].astype(int), wanted[..., 3].astype(int)
        assert np.abs(alpha - wanted_alpha).max() <= (128 if target == ".gif" else 24)
        lossy = target in (".webp", ".avif")
        difference = np.abs(frame[..., :3].astype(int) - wanted[..., :3])[wanted_alpha == 255]
        assert difference.mean() < (25 if lossy else 4)
    with Image.open(f"out{target}") as image:
        durations = []
        for frame in ImageSequence.Iterator(image):
            frame.load()
            durations.append(frame.info["duration"])
    assert durations == DURATIONS


@pytest.mark.parametrize(
    ("source", "loop", "target", "expected"),
    [
        (".gif", {"loop": 0}, ".webp", 0),
        (".gif", {"loop": 3}, ".webp", 4),
        (".gif", {}, ".png", 1),
        (".gif", {}, ".gif", None),
        (".gif", {"loop": 2}, ".gif", 2),
        (".webp", {"loop": 3}, ".gif", 2),
        (".webp", {"loop": 1}, ".gif", None),
        (".png", {"loop": 0}, ".gif", 0),
        (".png", {"loop": 5}, ".webp", 5),
    ],
)
def test_loops(call: Any, source: str, loop: dict[str, int], target: str, expected: int | None) -> None:
    """GIF counts repetitions, the others count how often an animation plays."""
    animated(f"in{source}", "RGB", **loop)
    call(f"in{source}", "--scale", 2, "-o", f"out{target}")
    with Image.open(f"out{target}") as image:
        assert image.info.get("loop") == expected


def test_frames_are_resized_as_pictures(call: Any) -> None:
    animated("in.png", "RGBA")
    call("in.png", "--scale", 1.5, "-o", "out.png")
    with Image.open("in.png") as image:
        expected = [np.asarray(resample.resize(frame.copy(), scale=1.5)) for frame in ImageSequence.Iterator(image)]
    for frame, wanted in zip(frames_of("out.png"), expected, strict=True):
        np.testing.assert_array_equal(frame, wanted)


def test_default_image_of_an_animation(call: Any) -> None:
    """A PNG may show programs that know no animation a picture that is no frame of it."""
    cover = Image.new("RGB", (24, 16), (0, 255, 0))
    cover.save("in.png", save_all=True, append_images=drawn(3), default_image=True, duration=DURATIONS)
    call("in.png", "--scale", 2, "-o", "out.png")
    call("in.png", "--scale", 2, "-o", "out.gif")
    with Image.open("out.png") as image:
        assert (image.n_frames, image.info["default_image"], image.getpixel((0, 0))) == (4, True, (0, 255, 0))
    with Image.open("out.gif") as image:
        assert (image.n_frames, image.convert("RGB").getpixel((40, 4))) == (3, (255, 0, 0))


def test_pages(call: Any) -> None:
    """Each with its own size, mode, resolution and profile."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    second = Image.new("L", (30, 10), 77)
    second.encoderinfo = {"dpi": (300, 300)}
    third = Image.new("I;16", (12, 12), 40000)
    first = drawn(1)[0]
    first.save("in.tif", save_all=True, append_images=[second, third], dpi=(72, 72), icc_profile=profile)
    call("in.tif", "--scale", 2, "-o", "out.tif")
    with Image.open("out.tif") as image:
        pages = [(page.mode, page.size, page.info["dpi"]) for page in ImageSequence.Iterator(image)]
        image.seek(0)
        assert image.info["icc_profile"] == profile
        image.seek(2)
        assert image.getpixel((3, 3)) == 40000
    assert [page[:2] for page in pages] == [("RGB", (48, 32)), ("L", (60, 20)), ("I;16", (24, 24))]
    assert [page[2][0] for page in pages[:2]] == [72, 300]


def test_frames_first(call: Any) -> None:
    animated("in.gif", "RGB")
    call("in.gif", "--scale", 2, "--frames", "first", "-o", "out.gif")
    assert len(frames_of("out.gif")) == 1


def test_frames_count_as_pixels(call: Any, capsys: pytest.CaptureFixture[str]) -> None:
    animated("in.gif", "RGB")
    args = ["in.gif", "--scale", "2", "-o", "out.gif", "--max-pixels", str(3 * 24 * 16 * 4 - 1)]
    assert main.main(args) == 2
    assert "48x32 in 3 frames" in capsys.readouterr().err
    assert main.main([*args[:-1], str(3 * 24 * 16 * 4)]) == 0


# Metadata


def photograph(name: str, **options: Any) -> None:
    """Write a picture with everything that a camera adds."""
    exif = Image.Exif()
    exif[MAKE], exif[ORIENTATION] = "Maker", 6
    exif.get_ifd(EXIF_IFD)[PIXEL_WIDTH] = 24
    exif.get_ifd(GPS_IFD).update({1: "N", 2: (48.0, 8.0, 0.0)})
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    xmp = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6" exif:GPSLatitude="48,8N" '
        b"dc:title='a'><exif:GPSLongitude>11,34E</exif:GPSLongitude></rdf:Description></x:xmpmeta>"
    )
    noise = np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8)
    Image.fromarray(noise).save(
        name, exif=exif, xmp=xmp, icc_profile=profile, dpi=(300, 300), comment=b"of a car", **options
    )


@pytest.mark.parametrize("keep", ["keep", "no-gps", "strip"])
def test_metadata(call: Any, keep: str) -> None:
    photograph("in.jpg")
    assert call("in.jpg", "--scale", 2, "-o", "out.jpg", "--metadata", keep) == []
    with Image.open("out.jpg") as image:
        exif, info = image.getexif(), image.info
    assert image.size == (32, 48)
    assert info["icc_profile"]
    assert info["dpi"] == (300, 300)
    data = Path("out.jpg").read_bytes()
    assert exif.get(ORIENTATION) in (None, 1)
    if keep == "strip":
        assert not set(exif) - {ORIENTATION}
        assert not {"xmp", "comment"} & set(info)
        assert b"Maker" not in data
        return
    assert (exif[MAKE], exif.get_ifd(EXIF_IFD)[PIXEL_WIDTH]) == ("Maker", 32)
    assert info["comment"] == b"of a car"
    assert b'tiff:Orientation="1"' in info["xmp"]
    assert b"dc:title='a'" in info["xmp"]
    assert bool(exif.get_ifd(GPS_IFD)) == (b"GPS" in data) == (b"11,34E" in data) == (keep == "keep")


def test_places_that_cannot_be_taken_out(call: Any) -> None:
    Image.new("RGB", (8, 8)).save("in.jpg", xmp=b"<x:xmpmeta exif:GPSLatitude=48,8N></x:xmpmeta>")
    (warning,) = call("in.jpg", "--scale", 2, "-o", "out.jpg", "--metadata", "no-gps")
    assert "in.jpg: the XMP is left out, as it may tell a place" in warning
    assert b"GPS" not in Path("out.jpg").read_bytes()


@pytest.mark.parametrize("keep", ["keep", "strip"])
def test_orientation_kept(call: Any, keep: str) -> None:
    photograph("in.jpg")
    call("in.jpg", "--scale", 2, "-o", "out.png", "--orient", "keep", "--metadata", keep)
    with Image.open("in.jpg") as image, Image.open("out.png") as written:
        assert written.getexif()[ORIENTATION] == 6
        plain = Image.fromarray(np.asarray(image))
        np.testing.assert_array_equal(np.asarray(written), np.asarray(resample.resize(plain, scale=2)))


def test_texts_and_comments(call: Any) -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Comment", "of a car")
    texts.add_text("Author", "sömebody")
    texts.add_text("Long", "x" * 5000, zip=True)
    Image.new("RGB", (8, 8)).save("in.png", pnginfo=texts)
    assert call("in.png", "--scale", 2, "-o", "out.png") == []
    with Image.open("out.png") as image:
        assert image.text == {"Comment": "of a car", "Author": "sömebody", "Long": "x" * 5000}
    (warning,) = call("in.png", "--scale", 2, "-o", "out.jpg")
    assert "out.jpg: without the input's text, which a JPEG of RGB has not" in warning
    with Image.open("out.jpg") as image:
        assert image.info["comment"] == b"of a car"
    for ending in (".png", ".tif", ".gif"):
        call("out.jpg", "--scale", 2, "-o", f"back{ending}")
        with Image.open(f"back{ending}") as image:
            tags = image.tag_v2 if ending == ".tif" else {}
            comment = tags.get(270) or image.info.get("Comment") or image.info["comment"].decode()
            assert comment == "of a car"


# How files are written


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("quality", [30, 75, 96])
def test_jpeg_keeps_its_quality(call: Any, quality: int, subsampling: int) -> None:
    photograph("in.jpg", quality=quality, subsampling=subsampling, progressive=True)
    call("in.jpg", "--scale", 2, "-o", "out.jpg")
    call("in.jpg", "--scale", 2, "-o", "other.jpg", "--quality", 50)
    with Image.open("in.jpg") as image, Image.open("out.jpg") as kept, Image.open("other.jpg") as other:
        assert kept.quantization == image.quantization != other.quantization
        assert [layer[1:3] for layer in kept.layer] == [layer[1:3] for layer in image.layer]
        assert kept.info.get("progressive")


def test_quality_of_a_gray_jpeg_in_colour(call: Any) -> None:
    Image.new("L", (20, 20), 90).save("in.jpg", quality=20)
    np.save("w.npy", np.ones((1, 3, 2, 2)) / 4)
    call("in.jpg", "--mode", "conv-transpose", "--weights", "w.npy", "-o", "out.jpg")
    with Image.open("out.jpg") as image:
        assert image.mode == "RGB"


def test_png_level(call: Any) -> None:
    sizes = []
    for level in (0, 4, 9):
        call(IMAGES / "car.jpg", "--scale", 1, "-o", f"{level}.png", "--png-level", level)
        sizes.append(os.path.getsize(f"{level}.png"))
    assert sizes[0] > sizes[1] > sizes[2]


def test_background(call: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main([str(IMAGES / "badge.png"), "--scale", "1", "-o", "out.jpg"]) == 1
    assert "or take a --background" in capsys.readouterr().err
    call(IMAGES / "badge.png", "--scale", 1, "-o", "out.bmp", "--background", "#ff8000")
    with Image.open(IMAGES / "badge.png") as image, Image.open("out.bmp") as written:
        ground = Image.new("RGBA", image.size, "#ff8000")
        ground.alpha_composite(image)
        np.testing.assert_array_equal(np.asarray(written), np.asarray(ground.convert("RGB")))


def test_format(call: Any) -> None:
    for name in ("a.JPEG", "b.png"):
        Image.new("RGB", (8, 8)).save(name)
    Path("c").write_bytes(Path("b.png").read_bytes())
    call("a.JPEG", "b.png", "c", "-o", "out/", "--scale", 2, "--format", "jpg")
    assert sorted(os.listdir("out")) == ["a.JPEG", "b.jpg", "c.jpg"]
    call("b.png", "--scale", 2, "--format", "webp")
    call("b.png", "--scale", 2, "--format", "tif", "-o", "{stem}-{width}{ext}")
    for name, file_format in (("out/b.jpg", "JPEG"), ("b@2x.webp", "WEBP"), ("b-16.tif", "TIFF")):
        with Image.open(name) as image:
            assert image.format == file_format
    assert main.main(["b.png", "--scale", "2", "--format", "jpg", "-o", "x.png"]) == 2


@pytest.mark.parametrize(
    ("args", "size"),
    [
        ("--size 300x300 --fit inside", (300, 198)),
        ("--size 300x300 --fit cover", (300, 300)),
        ("--size 300x300 --fit pad --background #123456", (300, 300)),
        ("--size 900x900 --fit inside --only shrink", (700, 464)),
        ("--size 100x100 --fit inside --only enlarge", (700, 464)),
        ("--min-side 232", (350, 232)),
        ("--min-side 232 --max-side 300", (300, 198)),
        ("--max-side 350 --only shrink", (350, 232)),
    ],
)
def test_fit(call: Any, args: str, size: tuple[int, int]) -> None:
    call(IMAGES / "car.jpg", *args.split(), "-o", "out.png")
    with Image.open("out.png") as image:
        assert image.size == size
        if "pad" in args:
            assert image.getpixel((5, 5)) == (0x12, 0x34, 0x56)


def test_linear(call: Any) -> None:
    call(IMAGES / "car.jpg", "--scale", 0.5, "--linear", "-o", "out.png")
    with Image.open("out.png") as written, Image.open(IMAGES / "car.jpg") as image:
        expected = resample.resize(image, scale=0.5, linear=True)
        np.testing.assert_array_equal(np.asarray(written), np.asarray(expected))


# Streams


class _Stream:
    def __init__(self, data: bytes = b"") -> None:
        self.buffer = io.BytesIO(data)

    def flush(self) -> None:
        pass


def test_from_stdin_to_stdout(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    data = (IMAGES / "car.jpg").read_bytes()
    with Image.open(IMAGES / "car.jpg") as image:
        expected = np.asarray(resample.resize(image, scale=2))
    for args, file_format in ((["--format", "png"], "PNG"), ([], "JPEG"), (["-o", "-", "--format", "tif"], "TIFF")):
        written = _Stream()
        monkeypatch.setattr("sys.stdin", _Stream(data))
        monkeypatch.setattr("sys.stdout", written)
        assert main.main(["-", "--scale", "2", *args]) == 0
        written.buffer.seek(0)
        with Image.open(written.buffer) as image:
            assert image.format == file_format
            if file_format != "JPEG":
                np.testing.assert_array_equal(np.asarray(image), expected)
    monkeypatch.setattr("sys.stdin", _Stream(data))
    assert main.main(["-", "--scale", "2", "-o", "out.png"]) == 0
    with Image.open("out.png") as image:
        np.testing.assert_array_equal(np.asarray(image), expected)
    monkeypatch.setattr("sys.stdin", _Stream(b"junk"))
    assert main.main(["-", "--scale", "2", "-o", "other.png"]) == 1
    for args in (["-", "x.png"], ["-", "-o", "out/"], ["-", "--in-place"], ["-", "--dry-run"], ["-", "--resume", "l"]):
        assert main.main([*args, "--scale", "2"]) == 2
    assert main.main(["x.png", "--scale", "2", "-o", "-", "--json"]) == 2
