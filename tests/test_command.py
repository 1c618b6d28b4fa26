"""The command `resample`, on real pictures, as a process and (where only messages and files matter) in this process."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms, ImageFile, ImageOps
from resample_cli import main, manual, modes, operation, parser

import resample
from resample.files import formats

IMAGES = Path(__file__).resolve().parent.parent / "images"
PICTURES = sorted(path for path in IMAGES.iterdir() if formats.extension(path.name) in formats.EXTENSIONS)


def process(*args: object, cwd: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "resample_cli.main", *map(str, args)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, **options)


def pixels(path: Path) -> np.ndarray[Any, Any]:
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: empty but for a small car.png."""
    monkeypatch.chdir(tmp_path)
    with Image.open(IMAGES / "car.jpg") as image:
        image.crop((0, 0, 70, 46)).save("car.png")
    return tmp_path


@pytest.fixture
def call(folder: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run the command in this process; return its status and the lines on stderr. Nothing may be left behind."""

    def run(*args: object) -> tuple[int, list[str]]:
        status = main.main([str(arg) for arg in args])
        written = capsys.readouterr()
        assert written.out == ""
        assert not list(folder.rglob(".resample-*"))
        return status, written.err.splitlines()

    return run


def refused(call: Any, status: int, *args: object) -> str:
    """Return the one line of a run that must fail and change no file."""
    before = {path: path.lstat().st_mtime_ns for path in Path().rglob("*")}
    found, lines = call(*args)
    assert found == status
    assert len(lines) == 1
    assert lines[0].startswith("resample: error: ")
    assert {path: path.lstat().st_mtime_ns for path in Path().rglob("*")} == before
    return str(lines[0])


# The result


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.name)
def test_every_picture(path: Path, tmp_path: Path) -> None:
    source = tmp_path / path.name
    source.write_bytes(path.read_bytes())
    output = tmp_path / (path.stem + ("@1.5x.tif" if path.suffix == ".jpg" else f"@1.5x{path.suffix}"))
    args = ["-o", output] if path.suffix == ".jpg" else []
    done = process(path.name, "--scale", 1.5, *args, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith(f"resample: {path.name} ")
    assert done.stderr.count("\n") == 1
    assert sorted(entry.name for entry in tmp_path.iterdir()) == sorted([path.name, output.name])
    assert source.read_bytes() == path.read_bytes()
    with Image.open(path) as image, Image.open(output) as written:
        expected = resample.resize(ImageOps.exif_transpose(image), scale=1.5)
        assert (written.mode, written.size) == (expected.mode, expected.size)
        assert np.array_equal(np.asarray(written), np.asarray(expected))
        assert written.info.get("icc_profile") == image.info.get("icc_profile")


def test_bytes_are_torchs(tmp_path: Path) -> None:
    done = process(IMAGES / "car.jpg", "--scale", 2, "--mode", "bilinear", "-o", "out.png", cwd=tmp_path)
    assert done.returncode == 0
    tensor = torch.from_numpy(pixels(IMAGES / "car.jpg").copy()).permute(2, 0, 1)[None]
    expected = torch.nn.functional.interpolate(tensor, scale_factor=2, mode="bilinear")
    assert np.array_equal(pixels(tmp_path / "out.png"), expected[0].permute(1, 2, 0).numpy())


def test_first_command_of_the_readme(tmp_path: Path) -> None:
    (tmp_path / "car.jpg").write_bytes((IMAGES / "car.jpg").read_bytes())
    done = process("car.jpg", "--scale", 2, "--mode", "bilinear", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stderr.startswith("resample: car.jpg 700x464 -> car@2x.jpg 1400x928, bilinear, ")
    with Image.open(tmp_path / "car@2x.jpg") as written:
        assert (written.format, written.mode, written.size) == ("JPEG", "RGB", (1400, 928))


@pytest.mark.parametrize(
    ("args", "options"),
    [
        (["--mode", mode], {"mode": mode})
        for mode in ("nearest", "nearest-exact", "bilinear", "bicubic", "area", "lanczos")
    ]
    + [
        (["--no-antialias"], {"antialias": False}),
        (["--antialias", "--mode", "bicubic"], {"antialias": True, "mode": "bicubic"}),
        (["--align-corners"], {"align_corners": True}),
    ],
)
def test_method(call: Any, args: list[str], options: dict[str, Any]) -> None:
    assert call("car.png", "--size", "40x30", "-o", "out.png", *args)[0] == 0
    with Image.open("car.png") as image:
        assert np.array_equal(pixels(Path("out.png")), np.asarray(resample.resize(image, (30, 40), **options)))


@pytest.mark.parametrize("alpha", ["premultiplied", "straight"])
def test_alpha(call: Any, alpha: str) -> None:
    assert call(IMAGES / "badge.png", "--size", "100x90", "--alpha", alpha, "-o", "out.png")[0] == 0
    with Image.open(IMAGES / "badge.png") as image:
        expected = resample.resize(image, (90, 100), alpha=alpha)
    assert np.array_equal(pixels(Path("out.png")), np.asarray(expected))


@pytest.mark.parametrize(
    ("args", "name", "size"),
    [
        ("--scale 2", "car@2x.png", (140, 92)),
        ("--scale 2.0", "car@2x.png", (140, 92)),
        ("--scale 0.5", "car@0.5x.png", (35, 23)),
        ("--scale 0.99", "car@0.99x.png", (69, 45)),
        ("--scale 2,1.5", "car@2x1.5x.png", (140, 69)),
        ("--scale 2,2", "car@2x.png", (140, 92)),
        ("--size 33x44", "car@33x44.png", (33, 44)),
        ("--size 35", "car@35x23.png", (35, 23)),
        ("--size 35x", "car@35x23.png", (35, 23)),
        ("--size x100", "car@152x100.png", (152, 100)),
        ("--width 33", "car@33x21.png", (33, 21)),
        ("--height 100", "car@152x100.png", (152, 100)),
        ("--width 33 --height 44", "car@33x44.png", (33, 44)),
        ("--max-side 35", "car@35x23.png", (35, 23)),
        ("--max-side 1", "car@1x1.png", (1, 1)),
        ("--max-side 140", "car@140x92.png", (140, 92)),
    ],
)
def test_size_and_name(call: Any, args: str, name: str, size: tuple[int, int]) -> None:
    status, lines = call("car.png", *args.split())
    assert status == 0
    assert lines[0].startswith(f"resample: car.png 70x46 -> {name} {size[0]}x{size[1]}, bilinear, ")
    with Image.open(name) as written:
        assert written.size == size


def test_scale_is_passed_on_for_its_coordinates(call: Any) -> None:
    assert call("car.png", "--scale", "1.31,1.77", "-o", "out.png")[0] == 0
    with Image.open("car.png") as image:
        by_scale, by_size = resample.resize(image, scale=(1.77, 1.31)), resample.resize(image, (81, 91))
    assert np.array_equal(pixels(Path("out.png")), np.asarray(by_scale))
    assert not np.array_equal(np.asarray(by_scale), np.asarray(by_size))


def test_extension_decides_the_format(call: Any) -> None:
    for ending, name in formats.EXTENSIONS.items():
        assert call("car.png", "--scale", 2, "-o", f"out{ending.upper()}")[0] == 0
        with Image.open(f"out{ending.upper()}") as written:
            assert (written.format, written.size) == (name, (140, 92))


def test_extension_is_added_where_it_says_nothing(call: Any) -> None:
    os.rename("car.png", "car")
    assert call("car", "--scale", 2)[0] == 0
    with Image.open("car@2x.png") as written:
        assert written.format == "PNG"


def test_quality(call: Any) -> None:
    for quality in ("20", "90", "100"):
        assert call("car.png", "--scale", 2, "--quality", quality, "-o", f"{quality}.jpg")[0] == 0
    assert call("car.png", "--scale", 2, "-o", "default.jpg")[0] == 0
    sizes = [Path(f"{name}.jpg").stat().st_size for name in ("20", "90", "default", "100")]
    assert sizes[0] < sizes[1] == sizes[2] < sizes[3]


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("quality", [40, 75, 96])
def test_quality_of_a_jpeg_is_kept(call: Any, mode: str, quality: int) -> None:
    with Image.open("car.png") as car:
        car.convert(mode).save("kept.jpg", quality=quality, subsampling=1, progressive=True)
    assert call("kept.jpg", "--scale", 0.5)[0] == 0
    with Image.open("kept.jpg") as before, Image.open("kept@0.5x.jpg") as after:
        assert "progressive" in after.info
        assert after.quantization == before.quantization
        assert mode != "RGB" or after.layer == before.layer


def test_a_progressive_file_that_pillow_has_no_room_for(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(ImageFile, "MAXBLOCK", 1 << 22)
        noise = np.random.default_rng(0).integers(0, 256, (400, 500, 3), np.uint8)
        Image.fromarray(noise).save("noise.jpg", quality=100, progressive=True, subsampling=0)
    status, lines = call("noise.jpg", "--scale", 1, "-o", "again.jpg")
    assert status == 0
    assert "resample: warning: again.jpg: not progressive, as Pillow cannot write so large a one" in lines
    with Image.open("noise.jpg") as before, Image.open("again.jpg") as after:
        assert after.quantization == before.quantization
        assert np.abs(np.asarray(after).astype(int) - np.asarray(before)).max() < 9


# What belongs to a picture besides pixels


def test_metadata_is_kept_and_corrected(call: Any) -> None:
    source = IMAGES / "orientation6.jpg"
    with Image.open(source) as image:
        before, profile = dict(image.getexif()), image.info["icc_profile"]
        assert (image.size, before[0x112]) == ((160, 120), 6)
        exif = image.getexif()
        exif.get_ifd(0x8769).update({0xA002: 160, 0xA003: 120, 0x9286: b"ASCII\0\0\0note"})
        exif[0x8769] = exif.get_ifd(0x8769)
        image.save("sized.jpg", exif=exif, icc_profile=profile, dpi=(300, 300), xmp=b"<x:xmpmeta/>")
    for ending in (".jpg", ".png", ".tif", ".webp", ".avif"):
        status, lines = call("sized.jpg", "--size", "x320", "-o", f"out{ending}")
        assert status == 0
        assert lines[0].startswith(f"resample: sized.jpg 120x160 -> out{ending} 240x320, ")
        with Image.open(f"out{ending}") as written:
            after = written.getexif()
            assert written.size == (240, 320)
            assert written.info["icc_profile"] == profile
            assert after.get(0x112, 1) == 1
            assert after[0x10E] == before[0x10E]
            details = after.get_ifd(0x8769)
            assert (details[0xA002], details[0xA003], details[0x9286]) == (240, 320, b"ASCII\0\0\0note")
            assert written.info["xmp"] == b"<x:xmpmeta/>"
            if "dpi" in formats.METADATA[formats.EXTENSIONS[ending]]:
                assert written.info["dpi"] == pytest.approx((300, 300), abs=0.01)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", [".jpg", ".tif", ".png", ".webp"])
def test_orientation(call: Any, orientation: int, ending: str) -> None:
    exif = Image.Exif()
    exif[0x112] = orientation
    with Image.open("car.png") as image:
        image.save(f"turned{ending}", exif=exif)
    with Image.open(f"turned{ending}") as image:
        expected = resample.resize(ImageOps.exif_transpose(image), scale=(1.5, 2))
    assert call(f"turned{ending}", "--scale", "2,1.5", "-o", "out.png")[0] == 0
    assert np.array_equal(pixels(Path("out.png")), np.asarray(expected))
    with Image.open("out.png") as written:
        assert 0x112 not in written.getexif()


def test_metadata_of_a_tiff_file(call: Any) -> None:
    exif = Image.Exif()
    exif[0x10E] = "a car"
    for big in (False, True):
        with Image.open("car.png") as image:
            image.save("car.tif", compression="tiff_lzw", exif=exif, big_tiff=big)
        for ending in (".tif", ".jpg"):
            assert call("car.tif", "--scale", 3, "--overwrite", "-o", f"out{ending}")[0] == 0
            with Image.open(f"out{ending}") as written:
                assert written.size == (210, 138)
                assert written.getexif()[0x10E] == "a car"
                assert (0x111 in written.getexif()) == (ending == ".tif")
                assert written.info.get("compression") == ("tiff_lzw" if ending == ".tif" else None)


def test_damaged_exif_is_told_and_left_out(call: Any) -> None:
    with Image.open("car.png") as image:
        image.save("odd.png", exif=b"Exif\0\0XX" + bytes(range(40)))
    status, lines = call("odd.png", "--scale", 2)
    assert status == 0
    assert len(lines) == 2
    assert lines[0].startswith("resample: warning: odd.png: the EXIF is damaged and left out: ")


def test_losses_are_told(call: Any) -> None:
    with Image.open("car.png") as image:
        image.save("pages.tif", save_all=True, append_images=[image, image])
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        image.save("profile.png", icc_profile=profile)
        image.convert("I;16").save("key.png", transparency=0)
    warning = "resample: warning: "
    for args, line in (
        (("pages.tif", "-o", "out.jpg"), "out.jpg: without 2 of 3 frames, as JPEG holds one"),
        (("profile.png", "-o", "out.bmp"), "out.bmp: without the input's ICC profile, which a BMP of RGB has not"),
        (("car.png", "-o", "out.gif"), "out.gif: GIF holds 256 colours, and alpha that is on or off: reduced to that"),
        (("key.png",), "key.png: has a transparent 16-bit gray, which is left out"),
    ):
        status, lines = call(*args, "--scale", 2)
        assert (status, len(lines), lines[0]) == (0, 2, warning + line)


def test_what_libraries_say_of_damage_is_told(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """libtiff goes on after some errors, and only writes a line to stderr."""
    original = ImageFile.ImageFile.load

    def load(image: Any) -> Any:
        os.write(2, b"Warning, unknown field 700\nFax4Decode: Bad code word at line 8\n")
        return original(image)

    with Image.open("car.png") as image:
        image.save("car.tif")
    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    status, lines = call("car.tif", "--scale", 2)
    assert (status, len(lines)) == (0, 2)
    assert lines[0] == "resample: warning: car.tif: is perhaps damaged: Fax4Decode: Bad code word at line 8"


def test_transparent_gray_of_few_bits(call: Any) -> None:
    """Pillow widens the pixels to 8 bits, but not the transparent level."""
    levels = Image.fromarray(np.array([[0, 5, 10, 15]], np.uint8))
    levels.save("key.png", bits=4, transparency=15)
    content = Path("key.png").read_bytes()
    assert b"\x04\x00" in content[24:26]  # 4 bits, gray
    status, _ = call("key.png", "--scale", 1, "--mode", "nearest", "-o", "out.png")
    assert status == 0
    np.testing.assert_array_equal(pixels(Path("out.png"))[0, :, 1], [255, 255, 255, 0])


@pytest.mark.parametrize(("kind", "words"), [("uint32", "2**31 or more"), ("int8", "signed 8-bit")])
def test_values_that_pillow_wraps_are_refused(call: Any, kind: str, words: str) -> None:
    values = np.array([[2, 200], [100, 255]], np.uint8).view(kind) if kind == "int8" else np.array([[1, 2**31]], kind)
    tags = {258: values.itemsize * 8, 262: 1, 339: 2 if kind == "int8" else 1}
    image = Image.fromarray(values.view(np.uint8 if kind == "int8" else np.int32))
    image.save("wrapped.tif", tiffinfo=tags)
    # Pillow writes what it would read: 32 bits are signed
    content = Path("wrapped.tif").read_bytes()
    if kind == "uint32":
        content = content.replace(b"\x53\x01\x03\x00\x01\x00\x00\x00\x02", b"\x53\x01\x03\x00\x01\x00\x00\x00\x01")
    Path("wrapped.tif").write_bytes(content)
    assert words in refused(call, 1, "wrapped.tif", "--scale", 2)


def test_white_at_zero(call: Any) -> None:
    Image.fromarray(np.array([[1, 60000]], np.uint16)).save("white.tif", tiffinfo={262: 0})
    with Image.open("white.tif") as image:
        if image.tag_v2[262] != 0:
            pytest.skip("this Pillow does not write it")
    assert "white at 0" in refused(call, 1, "white.tif", "--scale", 2)


def test_xmp_keeps_no_orientation(call: Any) -> None:
    """EXIF's, 1, is dropped: then programs would take that of XMP."""
    exif = Image.Exif()
    exif[0x112] = 1
    packet = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6" a="7"/></x:xmpmeta>'
    for ending in ("jpg", "png", "tif", "webp"):
        with Image.open("car.png") as image:
            image.save("side.jpg", exif=exif, xmp=packet)
        assert call("side.jpg", "--scale", 1, "-o", f"out.{ending}")[0] == 0
        with Image.open(f"out.{ending}") as image:
            assert ImageOps.exif_transpose(image).size == (70, 46)
            assert b'a="7"' in image.info["xmp"]


def test_profile_of_other_colours_is_left_out(call: Any) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    with Image.open("car.png") as image:
        image.save("profile.png", icc_profile=profile)
    np.save("gray.npy", np.full((3, 1, 1, 1), 1 / 3))
    status, lines = call("profile.png", "--mode", "conv-transpose", "--weights", "gray.npy", "-o", "out.png")
    assert (status, len(lines)) == (0, 2)
    assert lines[0] == "resample: warning: out.png: without the input's ICC profile, which a PNG of L has not"
    with Image.open("out.png") as image:
        assert "icc_profile" not in image.info


@pytest.mark.parametrize(
    ("mode", "ending"), [("I;16", ".png"), ("I;16", ".pgm"), ("I;16", ".tif"), ("F", ".tif"), ("I", ".tif")]
)
def test_deep_pictures_stay_deep(call: Any, mode: str, ending: str) -> None:
    kind = {"I;16": "uint16", "F": "float32", "I": "int32"}[mode]
    values = (np.random.default_rng(0).random((20, 30)) * 60000).astype(kind)
    Image.fromarray(values).save(f"deep{ending}")
    assert call(f"deep{ending}", "--scale", 2, "--mode", "bicubic", "-o", f"out{ending}")[0] == 0
    written = pixels(Path(f"out{ending}"))
    assert np.array_equal(written.astype(kind), resample.resize(values, scale=2, mode="bicubic"))


def test_transparent_colour_becomes_alpha(call: Any) -> None:
    image = Image.new("RGB", (8, 8), (255, 0, 0))
    image.paste((0, 255, 0), (0, 0, 4, 8))
    image.save("key.png", transparency=(0, 255, 0))
    assert call("key.png", "--scale", 2, "-o", "out.png")[0] == 0
    written = pixels(Path("out.png"))
    assert written[0, 0, 3] == 0
    assert np.array_equal(written[written[..., 3] > 0][:, :3].min(0), [255, 0, 0])


def test_palette_stays_with_nearest(call: Any) -> None:
    source = IMAGES / "palette_transparent.png"
    for ending, mode in ((".png", "P"), (".gif", "P"), (".tif", "RGBA"), (".webp", "RGBA")):
        assert call(source, "--scale", 2, "--mode", "nearest", "-o", f"out{ending}")[0] == 0
        with Image.open(f"out{ending}") as written, Image.open(source) as image:
            assert written.mode == mode
            if ending != ".webp":
                expected = np.asarray(image.convert("RGBA")).repeat(2, 0).repeat(2, 1)
                assert np.array_equal(np.asarray(written.convert("RGBA")), expected)


def test_modes_that_a_format_does_not_hold(call: Any) -> None:
    for name, ending in (("badge.png", ".jpg"), ("badge.png", ".bmp"), ("cmyk.jpg", ".png"), ("gray16.png", ".avif")):
        line = refused(call, 1, IMAGES / name, "--scale", 2, "-o", f"out{ending}")
        assert f"out{ending}: {formats.EXTENSIONS[ending]} does not hold " in line
        assert ".tif" in line
    for name, ending in (("badge_la.png", ".webp"), ("camera.png", ".webp"), ("palette.png", ".jpg")):
        assert call(IMAGES / name, "--scale", 2, "-o", f"wider-{name}{ending}")[0] == 0


def test_exif_behind_the_pixels(call: Any) -> None:
    exif = Image.Exif()
    exif[0x112] = 6
    with Image.open("car.png") as image:
        expected = resample.resize(image.transpose(Image.Transpose.ROTATE_270), scale=2)
    chunk = b"eXIf" + exif.tobytes()[6:]
    data = Path("car.png").read_bytes()
    chunk = (len(chunk) - 4).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    Path("late.png").write_bytes(data[:-12] + chunk + data[-12:])
    assert call("late.png", "--height", 140)[0] == 0
    assert np.array_equal(pixels(Path("late@92x140.png")), np.asarray(expected))


# Files


def test_existing_output_is_kept(call: Any) -> None:
    Path("car@2x.png").write_text("precious")
    Path("broken.png").write_bytes(Path("car.png").read_bytes()[:200])
    assert "car@2x.png: the output exists, and --overwrite is not given" in refused(call, 1, "car.png", "--scale", 2)
    # told before the picture is decoded
    assert "the output exists" in refused(call, 1, "broken.png", "--size", 9, "-o", "car@2x.png")
    assert call("car.png", "--scale", 2, "--overwrite")[0] == 0
    with Image.open("car@2x.png") as written:
        assert written.size == (140, 92)
    os.symlink("nowhere.png", "link.png")
    assert "the output exists" in refused(call, 1, "car.png", "--scale", 2, "-o", "link.png")


def test_output_that_appears_meanwhile_is_kept(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    save = Image.Image.save

    def slow_save(image: Image.Image, path: str, **options: Any) -> None:
        save(image, path, **options)
        Path("car@2x.png").write_text("precious")

    monkeypatch.setattr(Image.Image, "save", slow_save)
    for name in ("link", "nothing"):
        if name == "link":
            monkeypatch.setattr(os, "link", _no_links)
        status, lines = call("car.png", "--scale", 2)
        assert (status, len(lines)) == (1, 1)
        assert "car@2x.png: the output appeared meanwhile" in lines[0]
        assert Path("car@2x.png").read_text() == "precious"
        os.remove("car@2x.png")


def _no_links(*_: object, **__: object) -> None:
    raise PermissionError(1, "Operation not permitted")


def test_file_system_without_links(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", _no_links)
    assert call("car.png", "--scale", 2)[0] == 0
    assert sorted(os.listdir()) == ["car.png", "car@2x.png"]


def test_input_is_never_overwritten(call: Any) -> None:
    before = Path("car.png").read_bytes()
    os.symlink("car.png", "soft.png")
    os.link("car.png", "hard.png")
    os.mkdir("sub")
    for name in ("car.png", "./sub/../car.png", os.path.abspath("car.png"), "soft.png", "hard.png"):
        for source in ("car.png", "soft.png"):
            line = refused(call, 1, source, "--scale", 2, "--overwrite", "-o", name)
            assert "the output is the input, which is never overwritten" in line
    assert Path("car.png").read_bytes() == before
    # a link as input is read, and the output lies beside the link
    assert call("soft.png", "--scale", 2)[0] == 0
    assert os.path.isfile("soft@2x.png")


def test_permission_bits(call: Any) -> None:
    mask = os.umask(0o027)
    try:
        assert call("car.png", "--scale", 2)[0] == 0
        assert os.stat("car@2x.png").st_mode & 0o777 == 0o640
        os.chmod("car@2x.png", 0o604)
        assert call("car.png", "--scale", 2, "--overwrite")[0] == 0
        assert os.stat("car@2x.png").st_mode & 0o777 == 0o604
    finally:
        os.umask(mask)


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt(), MemoryError()])
def test_failing_write_leaves_nothing(
    call: Any, monkeypatch: pytest.MonkeyPatch, error: BaseException, overwrite: bool
) -> None:
    def failing_save(image: Image.Image, file: Any, **options: Any) -> None:
        file.write(b"half a pict")
        raise error

    monkeypatch.setattr(Image.Image, "save", failing_save)
    if overwrite:
        Path("car@2x.png").write_text("precious")
    status, lines = call("car.png", "--scale", 2, *["--overwrite"] * overwrite)
    expected = {
        OSError: (1, ["resample: error: car@2x.png: cannot be written: No space left on device"]),
        KeyboardInterrupt: (130, ["resample: interrupted"]),
        MemoryError: (1, ["resample: error: car.png: not enough memory"]),
    }
    assert (status, lines) == expected[type(error)]
    assert sorted(os.listdir()) == ["car.png", *["car@2x.png"] * overwrite]
    if overwrite:
        assert Path("car@2x.png").read_text() == "precious"


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize(
    ("name", "status", "line"), [("SIGINT", 130, "resample: interrupted\n"), ("SIGTERM", 143, ""), ("SIGHUP", 129, "")]
)
def test_signals_leave_nothing(tmp_path: Path, name: str, status: int, line: str) -> None:
    args = [sys.executable, "-m", "resample_cli.main", str(IMAGES / "chelsea.png"), "--scale", "9", "-o", "big.png"]
    with subprocess.Popen(args, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as running:
        while not list(tmp_path.iterdir()) and running.poll() is None:
            time.sleep(0.001)
        running.send_signal(getattr(signal, name))
        _, said = running.communicate()
    assert (running.returncode, said) == (status, line)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX limits")
@pytest.mark.parametrize("ending", [".png", ".jpg", ".tif", ".webp", ".j2k", ".bmp"])
def test_full_disk(tmp_path: Path, ending: str) -> None:
    import resource

    limited = process(
        IMAGES / "chelsea.png",
        *("--scale", "1", "-o", f"big{ending}"),
        cwd=tmp_path,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000)),
    )
    assert (limited.returncode, limited.stdout) == (1, "")
    assert limited.stderr.startswith(f"resample: error: big{ending}: cannot be written: ")
    assert limited.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


# What is refused


@pytest.mark.parametrize(
    ("args", "parts"),
    [
        ("", ["INPUT"]),
        ("car.png", ["--scale, --size, --width/--height, --max-side", "none"]),
        ("car.png --scale 2 --size 5x5", ["--scale and --size"]),
        ("car.png --width 5 --max-side 5", ["--width/--height and --max-side"]),
        ("car.png --size 5x5 --height 5", ["--size and --width/--height"]),
        ("car.png other.png --scale 2 -o one.png", ["one.png", "several INPUTs"]),
        ("car.png --scale 2 -o {stm}.png", ["{stm}", "{stem}"]),
        ("car.png --scale 2 -o {stem", ["'{stem'", "not a template"]),
        ("car.png --scale 2 -o {stem}.xyz", ["'{stem}.xyz'", "{ext}"]),
        ("car.png --scale 2 --on-exists ask", ["--on-exists", "'ask'"]),
        ("car.png --mode pixel-unshuffle --factor 2 -j 2", ["--jobs", "pixel-unshuffle"]),
        ("car.png --scale 2 --bogus", ["--bogus"]),
        ("car.png --scal 2", ["--scal"]),
        ("car.png --scale", ["--scale"]),
        *((f"car.png --scale {bad}", ["--scale", f"'{bad}'", "above 0"]) for bad in ("0", "-1", "nan", "inf", "x", "")),
        ("car.png --scale 1,0", ["--scale", "'0'"]),
        ("car.png --scale 1,2,3", ["--scale", "'1,2,3'", "HORIZONTAL,VERTICAL"]),
        ("car.png --scale 0.001", ["scale=0.001", "no pixel"]),
        ("car.png --scale 1,0.001", ["scale=(0.001, 1.0)", "no pixel"]),
        ("car.png --size 32769x1 -o a.avif", ["32769x1", "AVIF", "32768"]),
        ("car.png --size 32768x8193 -o a.avif", ["AVIF", "268435456"]),
        ("car.png --scale 1000", ["--max-pixels", "500000000"]),
        *((f"car.png --scale {big}", ["scale=", "2**31"]) for big in ("1e200", "1e308")),
        ("car.png --size 1000000x1000000", ["1000000x1000000", "--max-pixels"]),
        ("car.png --scale 2 --max-pixels 3220", ["140x92", "3220", "--max-pixels"]),
        ("car.png --scale 0.1 --max-pixels 3219", ["car.png", "70x46", "3219", "--max-pixels"]),
        ("car.png --size 0x5", ["--size", "'0'"]),
        ("car.png --size -5x5", ["--size"]),
        *((f"car.png --size {bad}", ["--size", f"'{bad}'", "WIDTHxHEIGHT"]) for bad in ("x", "5x5x5", "2.5x2", "axb")),
        ("car.png --width 0", ["--width", "'0'", "from 1 on"]),
        ("car.png --max-side " + 5000 * "9", ["--max-side"]),
        ("car.png --scale 2 --mode cubic", ["--mode", "'cubic'", ", ".join(modes.MODES)]),
        ("car.png --scale 2 --mode nearest --align-corners", ["--align-corners", "nearest"]),
        ("car.png --scale 2 --mode lanczos --align-corners", ["--align-corners", "lanczos"]),
        ("car.png --scale 2 --mode area --antialias", ["--antialias", "area"]),
        ("car.png --scale 2 --mode lanczos --no-antialias", ["--no-antialias", "lanczos"]),
        ("car.png --scale 2 --alpha half", ["--alpha", "'half'", "premultiplied, straight"]),
        *((f"car.png --quality {bad} --scale 2", ["--quality", f"'{bad}'", "1 to 100"]) for bad in ("0", "101")),
        ("car.png --scale 2 --device gpu", ["--device", "'gpu'", "cpu, cuda or cuda:N"]),
        ("car.png --mode pixel-unshuffle --factor 2 --device cuda", ["--device", "pixel-unshuffle"]),
        ("car.png --min-side 9 --max-side 9", ["--max-side", "more than --min-side", "9 and 9"]),
        ("- --scale 2 --json", ["--json", "stdout"]),
        ("car.png --scale 2 --json -o -", ["--json", "stdout"]),
        ("car.png --scale 2 --quality 50", ["--quality", "JPEG, WEBP, AVIF", "PNG"]),
        ("car.png --scale 2 -o out.xyz", ["--output", "'out.xyz'", *formats.EXTENSIONS]),
        ("car.png --scale 2 -o out", ["--output", "'out'"]),
        ("car.png --size 65501x1 -o out.jpg", ["65501x1", "JPEG", "65500"]),
    ],
)  # fmt: skip
def test_wrong_usage(call: Any, args: str, parts: list[str]) -> None:
    line = refused(call, 2, *args.split(" ") if args else [])
    for part in parts:
        assert part in line


def test_bad_inputs(call: Any) -> None:
    whole = {ending: IMAGES / name for ending, name in ((".jpg", "car.jpg"), (".png", "chelsea.png"))}
    with Image.open("car.png") as image:
        for ending in formats.EXTENSIONS:
            if ending not in whole:
                image.save(f"whole{ending}")
                whole[ending] = Path(f"whole{ending}")
    for ending, path in whole.items():
        data = path.read_bytes()
        for part in (1, 10, len(data) // 2):
            Path(f"part{ending}").write_bytes(data[:part])
            assert f"part{ending}: " in refused(call, 1, f"part{ending}", "--scale", 2)
    os.mkdir("sub")
    Path("empty.png").touch()
    Path("text.png").write_text("not a picture\n")
    os.mkfifo("pipe.png")
    for args, part in (
        ("missing.png", "missing.png: cannot be read: No such file or directory"),
        ("empty.png", "empty.png: is empty"),
        ("text.png", "text.png: is not a picture"),
        ("pipe.png", "pipe.png: is not a plain file"),
        ("car.png/", "car.png/: cannot be read: Not a directory"),
        ("car.png -o nowhere/out.png", "nowhere/out.png: there is no folder nowhere"),
        ("car.png -o pipe.png", "pipe.png: the output exists and is not a file"),
        ("car.png --overwrite -o pipe.png", "pipe.png: the output exists and is not a file"),
        ("car.png -o " + 300 * "n" + ".png", "cannot be "),
    ):
        assert part in refused(call, 1, *args.split(" "), "--scale", 2)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_unwritable_folder(call: Any) -> None:
    os.mkdir("locked", 0o555)
    assert "cannot be written: Permission denied" in refused(call, 1, "car.png", "--scale", 2, "-o", "locked/out.png")


@pytest.mark.parametrize(
    "error", [SyntaxError("bad"), ValueError("bad"), MemoryError(), ZeroDivisionError("bad"), RecursionError("bad")]
)
def test_any_error_of_a_decoder_is_one_line(call: Any, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def load(*_: object) -> None:
        raise error

    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    expected = "car.png: not enough memory" if isinstance(error, MemoryError) else "car.png: cannot be read: "
    assert expected in refused(call, 1, "car.png", "--scale", 2)


def test_damaged_data_never_pass(folder: Path) -> None:
    """Flip bits behind the header; the libraries' own lines (libtiff's) must not reach stderr either."""
    with Image.open("car.png") as image:
        image.save("car.tif", compression="tiff_lzw")
    for name in ("car.png", "car.tif"):
        data = bytearray(Path(name).read_bytes())
        for place in range(200, 3000, 40):
            data[place] ^= 0xFF
        Path(f"bad-{name}").write_bytes(data)
        done = process(f"bad-{name}", "--scale", 2, cwd=folder)
        assert done.returncode == 1
        assert done.stderr.startswith(f"resample: error: bad-{name}: cannot be read: ")
        assert done.stderr.count("\n") == 1


def test_header_is_believed_before_anything_is_allocated(call: Any) -> None:
    bomb = Path("car.png").read_bytes()
    header = bytearray(bomb[12:29])
    header[4:12] = (50000).to_bytes(4, "big") * 2
    Path("bomb.png").write_bytes(bomb[:12] + header + zlib.crc32(header).to_bytes(4, "big") + bomb[33:])
    started = time.perf_counter()
    line = refused(call, 2, "bomb.png", "--size", "10x10")
    assert "bomb.png: 50000x50000 is more than 500000000 pixels; raise the limit with --max-pixels" in line
    assert time.perf_counter() - started < 1


# The process


def test_messages_of_a_process(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    for args, status in (
        (("text.png", "--scale", 2), 1),
        (("missing.png", "--scale", 2), 1),
        (("missing.png", "--scale", "nan"), 2),
        ((), 2),
    ):
        done = process(*args, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (status, "")
        assert done.stderr.startswith("resample: error: ")
        assert done.stderr.count("\n") == 1


def test_odd_names(call: Any) -> None:
    for name in ("-dash.png", "new\nline.png", "sp ace;$(x)'\".png", "ünï☃.png", os.fsdecode(b"byte\xff.png")):
        try:
            os.link("car.png", name)
        except OSError:
            continue  # a file system with rules of its own
        status, lines = call("--scale", 2, "--", name)
        assert (status, len(lines)) == (0, 1)
        assert os.path.isfile(name.replace(".png", "@2x.png"))
        assert len(refused(call, 1, "--scale", 2, "--", name)) > 0
        for bad in (f"--output={name}.xyz", f"--mode={name}", f"--size={name}"):
            refused(call, 2, "--scale", 2, bad, "--", name)


def test_odd_names_in_the_c_locale(tmp_path: Path) -> None:
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = process("ü\n☃.png", "--scale", 2, cwd=tmp_path, env=environment)
    assert done.returncode == 1
    assert done.stderr.startswith("resample: error: ")
    assert done.stderr.count("\n") == 1


def test_closed_streams(folder: Path) -> None:
    command = f"exec '{sys.executable}' -m resample_cli.main"
    for number, redirection in enumerate(("2>&-", "2>/dev/full", ">&-")):
        done = subprocess.run(["sh", "-c", f"{command} car.png --scale {number + 2} {redirection}"], cwd=folder)
        assert done.returncode == 0
        assert os.path.isfile(f"car@{number + 2}x.png")


LOADED = """
import os, sys
from resample_cli import main
os._exit = sys.exit
sys.argv[1:] = {args!r}
try:
    status = main.run()
except SystemExit as stop:
    status = stop.code
heavy = ("numpy", "PIL", "numba", "llvmlite", "torch", "resample.image", "resample.files.reading")
print(status, *(name for name in heavy if name in sys.modules), file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("args", "status"), [(["--help"], 0), ([], 2), (["car.jpg"], 2), (["car.jpg", "--scale", "0"], 2)]
)
def test_help_and_usage_errors_import_nothing_heavy(args: list[str], status: int, tmp_path: Path) -> None:
    code = LOADED.format(args=args)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == str(status)


def test_warm_process_imports_no_numba(folder: Path) -> None:
    for args in (["car.png", "--scale", "2"], ["car.png", "--scale", "3"]):
        code = LOADED.format(args=args)
        done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
    status, *loaded = done.stderr.splitlines()[-1].split()
    assert status == "0"
    assert "numba" not in loaded
    assert "torch" not in loaded


def test_help_and_version(tmp_path: Path) -> None:
    done = process("--help", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    words = ("car@2x.jpg", "WIDTHxHEIGHT", "torch's default is off", *modes.MODES_OF, *formats.EXTENSIONS)
    for word in (*words, *modes.MODES, *modes.LAYER_MODES):
        assert word in done.stdout
    assert done.stdout.isascii()
    done = process("--version", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"resample {resample.__version__}\n", "")


def test_examples_of_the_help_are_valid() -> None:
    examples = manual.EPILOG.split("examples:\n")[1].split("\n\n")[0].splitlines()
    for example in examples:
        command = shlex.split(example.strip().split("  ")[0])
        assert command[0] == "resample"
        options = parser.parse(command[1:])
        if options.mode in modes.MODES:
            assert min(operation.operation(options).output_size((464, 700))) > 0
