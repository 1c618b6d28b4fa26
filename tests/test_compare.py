"""`resample --compare`: the sheet, and the page as far as it can be read without a browser."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import shlex
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from resample_cli import differences, main, sheet
from resample_cli.variants import Variant, on_screen, variants

import resample
from resample.files import formats

IMAGES = Path(__file__).resolve().parent.parent / "images"
PICTURES = sorted(path for path in IMAGES.iterdir() if formats.extension(path.name) in formats.EXTENSIONS)


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run the command beside a small car.png; return its status and the lines on stderr. Nothing may be left behind."""
    monkeypatch.chdir(tmp_path)
    with Image.open(IMAGES / "car.jpg") as image:
        image.crop((120, 200, 190, 246)).save("car.png")

    def run(*args: object) -> tuple[int, list[str]]:
        status = main.main([str(arg) for arg in args])
        assert not list(tmp_path.rglob(".resample-*"))
        return status, capsys.readouterr().err.splitlines()

    return run


def data_of(page: Path) -> dict[str, Any]:
    """Return the JSON in a page."""
    found = re.search('<script type="application/json" id="data">(.*?)</script>', page.read_text("ascii"), re.DOTALL)
    assert found
    data: dict[str, Any] = json.loads(found[1])
    return data


def embedded(variant: dict[str, Any]) -> Image.Image:
    encoded = variant["source"].removeprefix("data:image/png;base64,")
    return Image.open(io.BytesIO(base64.b64decode(encoded, validate=True)))


# The ways to resize


def test_variants() -> None:
    enlarged = [
        *(Variant("nearest"), Variant("nearest-exact")),
        *(Variant("bilinear"), Variant("bilinear", True), Variant("bicubic"), Variant("bicubic", True)),
        *(Variant("area"), Variant("lanczos")),
    ]
    assert variants((7, 5), (14, 10)) == enlarged
    assert variants((7, 5), (7, 5)) == enlarged
    reduced = [
        *(Variant("nearest"), Variant("nearest-exact")),
        *(Variant(m, c, a) for m in ("bilinear", "bicubic") for c in (False, True) for a in (True, False)),
        *(Variant("area"), Variant("lanczos", False, True)),
    ]
    for size in ((6, 5), (7, 4), (20, 4)):
        assert variants((7, 5), size) == reduced
    assert [variant.details for variant in reduced[1:4]] == [
        "",
        "align_corners=False, antialias=True",
        "align_corners=False, antialias=False",
    ]


@pytest.mark.parametrize("name", ["car.png", "-o d'd.png"])
@pytest.mark.parametrize("size", ["--scale 2", "--scale 0.3,1.7", "--size 31x90", "--max-side 50"])
def test_commands_make_the_results(call: Any, name: str, size: str) -> None:
    if name != "car.png":
        os.rename("car.png", name)
    assert call("--compare", "page.html", *size.split(), "--", name)[0] == 0
    shown = data_of(Path("page.html"))["variants"]
    assert len(shown) == (8 if size == "--scale 2" else 12)
    for variant in shown:
        command = shlex.split(variant["command"])
        assert command[0] == "resample"
        assert call("--overwrite", "-o", "one.png", *command[1:])[0] == 0
        with Image.open("one.png") as one:
            assert np.array_equal(np.asarray(one), np.asarray(embedded(variant)))


def test_commands_of_a_part(call: Any) -> None:
    assert call("car.png", "--crop", "3,4,40,30", "--scale", "2,1.5", "--compare", "page.html")[0] == 0
    assert data_of(Path("page.html"))["variants"][0]["command"] == "resample car.png --scale 2,1.5 --mode nearest"
    args = ("--crop", "3,4,40,30", "--size", "60x", "--alpha", "straight", "--compare", "page.html", "--overwrite")
    assert call("car.png", *args)[0] == 0
    data = data_of(Path("page.html"))
    assert data["variants"][3]["command"] == (
        "resample car.png --scale 1.5 --mode bilinear --align-corners --alpha straight"
    )
    assert (data["sizes"], data["whole"]) == ("40x30 at 3,4 of 70x46 -> 60x45", False)


# The sheet


def tiles(image: Image.Image, count: int, size: tuple[int, int]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return what a sheet shows of each result and of its difference, in the order of the sheet."""
    plan = sheet.layout(count, size)
    assert image.size == plan.sheet
    found = []
    for place in range(count):
        row, column = divmod(place, plan.across)
        x = sheet.MARGIN + column * (plan.cell[0] + sheet.APART)
        y = sheet.MARGIN + sheet.HEADER + row * (plan.cell[1] + sheet.APART) + sheet.LABEL
        boxes = [(left, y, left + plan.tile[0], y + plan.tile[1]) for left in (x, x + plan.column + sheet.GAP)]
        found.append((np.asarray(image.crop(boxes[0])), np.asarray(image.crop(boxes[1]))))
    return found


def enlarged(pixels: np.ndarray, factor: int) -> np.ndarray:
    return pixels.repeat(factor, 0).repeat(factor, 1)


@pytest.mark.parametrize(
    ("args", "size", "factor", "reference"),
    [("--scale 4", (160, 120), 3, "bilinear"), ("--size 20x24 --reference bicubic", (20, 24), 20, "bicubic")],
)
def test_sheet(
    call: Any, monkeypatch: pytest.MonkeyPatch, args: str, size: tuple[int, int], factor: int, reference: str
) -> None:
    texts: list[str] = []
    write = sheet._Pen.text

    def text(self: Any, place: Any, text: str, *rest: Any) -> None:
        texts.append(text)
        write(self, place, text, *rest)

    monkeypatch.setattr(sheet._Pen, "text", text)
    status, lines = call("car.png", "--crop", "10,5,40,30", *args.split(), "--compare", "sheet.png")
    assert (status, len(lines)) == (0, 1)
    ways = variants((40, 30), size)
    first = next(way for way in ways if way.mode == reference)
    assert f"40x30 at 10,5 of 70x46 -> {size[0]}x{size[1]} in {len(ways)} ways -> sheet.png, " in lines[0]
    ways = [first, *(way for way in ways if way != first)]
    with Image.open("car.png") as image, Image.open("sheet.png") as written:
        part = image.crop((10, 5, 50, 35))
        scale = (4, 4) if "scale" in args else None
        results = [resample.resize(part, None if scale else size[::-1], scale=scale, **way._asdict()) for way in ways]
        shown = tiles(written, len(ways), size)
    (amplification,) = {int(text.removeprefix("difference x")) for text in texts if text.startswith("difference x")}
    for way, result, (tile, difference) in zip(ways, results, shown, strict=True):
        assert np.array_equal(tile, enlarged(np.asarray(result), factor))
        assert texts.count(", ".join(filter(None, (way.details, f"{size[0]}x{size[1]}")))) >= 1
        levels = np.abs(np.asarray(result, int) - np.asarray(results[0], int))
        if way == first:
            continue
        assert np.array_equal(difference, enlarged(np.minimum(levels * amplification, 255), factor))
        assert f"largest {levels.max()}, mean {levels.mean():.2f} levels" in texts
    assert [text for text in texts if text in resample.image.PICTURE_MODES] == [way.mode for way in ways]
    assert texts.count("the reference") == 1


def test_sheet_marks_the_reference_and_has_letters(call: Any) -> None:
    assert call("car.png", "--scale", 2, "--compare", "sheet.tif")[0] == 0
    with Image.open("sheet.tif") as written:
        plan, image = sheet.layout(8, (140, 92)), written.convert("RGB")
    accent = tuple(bytes.fromhex(sheet.ACCENT[1:]))
    x, y = sheet.MARGIN, sheet.MARGIN + sheet.HEADER + sheet.LABEL
    assert image.getpixel((x - 2, y + 20)) == accent
    assert image.getpixel((x + plan.tile[0] + 1, y + 20)) == accent
    assert image.getpixel((x + plan.cell[0] + sheet.APART - 2, y + 20)) != accent
    label = image.crop((x, y - sheet.LABEL, x + plan.column, y - sheet.LABEL + 30))
    assert label.getextrema()[0][1] > 200


def test_large_results_are_shown_where_they_differ_most(call: Any) -> None:
    pixels = np.full((200, 300, 3), 128, np.uint8)
    pixels[60:64:2, 40:44:2] = 255
    Image.fromarray(pixels).save("dots.png")
    assert call("dots.png", "--scale", 2, "--compare", "sheet.png")[0] == 0
    with Image.open("sheet.png") as written:
        tile = tiles(written, 8, (600, 400))[1][0]
    assert tile.shape == (360, 480, 3)
    assert np.count_nonzero((tile == 255).all(2)) == 4 * 4 * 9


def test_liveliest_part() -> None:
    levels = np.random.default_rng(3).integers(0, 256, (9, 12))
    sums = {(x, y): levels[y : y + 4, x : x + 5].sum() for x in range(8) for y in range(6)}
    assert differences.liveliest(levels, 5, 4) == max(sums, key=lambda place: sums[place])
    assert differences.liveliest(levels, 12, 9) == (0, 0)


def test_differences_of_transparent_pictures() -> None:
    """Seen before every background, not only the two that are computed."""
    one, other = np.random.default_rng(4).integers(0, 256, (2, 5, 7, 4), np.uint8)
    found = differences.between(Image.fromarray(one), Image.fromarray(other))

    def before(rgba: np.ndarray, level: int) -> np.ndarray:
        opacity = rgba[..., 3:] / 255
        return rgba[..., :3] * opacity + level * (1 - opacity)

    seen = np.max([np.abs(before(one, level) - before(other, level)) for level in range(256)], 0)
    assert np.array_equal(found, np.floor(seen + 0.5))
    clear = Image.new("RGBA", (2, 2), (255, 0, 0, 0)), Image.new("RGBA", (2, 2), (0, 255, 0, 0))
    assert not differences.between(*clear).any()


@pytest.mark.parametrize(("level", "expected"), [(0, 1), (1, 64), (3, 64), (4, 32), (31, 8), (32, 4), (128, 1)])
def test_amplification(level: int, expected: int) -> None:
    levels = np.zeros((10, 10, 3), np.uint8)
    levels[:5] = level
    levels[0, 0] = 255 if level else 0
    assert differences.amplification([levels, levels]) == expected


def test_layout() -> None:
    for size in ((1, 1), (480, 480), (481, 1), (3, 5000), (4000, 3000), (100, 75)):
        for count in (8, 12):
            plan = sheet.layout(count, size)
            assert max(plan.tile) <= 480
            assert (plan.detail == size) == (max(size) <= 480)
            assert plan.tile == (plan.detail[0] * plan.factor, plan.detail[1] * plan.factor)
            assert plan.across * (plan.cell[0] + sheet.APART) <= plan.sheet[0]


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.name)
@pytest.mark.parametrize("output", ["sheet.png", "page.html"])
def test_every_picture(call: Any, path: Path, output: str) -> None:
    status, lines = call(path, "--max-side", 60, "--compare", output)
    assert (status, len(lines)) == (0, 1)
    if output == "sheet.png":
        with Image.open(output) as image:
            assert (image.mode, image.info.get("icc_profile")) == ("RGB", None)
        return
    with Image.open(path) as image:
        expected = "RGBA" if image.has_transparency_data else "RGB"
    data = data_of(Path(output))
    assert {(embedded(variant).mode, embedded(variant).size) for variant in data["variants"]} == {
        (expected, tuple(data["size"]))
    }


def test_deep_pictures_are_shown_from_the_least_to_the_greatest() -> None:
    levels = np.array([[1000, 2000], [3000, 9000]], np.uint16)
    shown = on_screen(Image.fromarray(levels), 1000, 3000)
    assert np.asarray(shown)[..., 0].tolist() == [[0, 128], [255, 255]]
    assert shown.mode == "RGB"
    floats = Image.fromarray(np.array([[np.nan, -np.inf], [0.5, np.inf]], np.float32))
    assert np.asarray(on_screen(floats, 0, 1))[..., 1].tolist() == [[0, 0], [128, 255]]
    assert np.asarray(on_screen(floats, 1, 1)).max() == 0


# The page


class Reader(HTMLParser):
    """Collects elements and what they refer to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.references: list[str | None] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.references += [value for name, value in attrs if name in ("src", "href", "srcset", "action", "data")]


HOSTILE = "</script><!--<script>&amp;<img src=x onerror=alert(1)>'\"`${1}\u2028\u202e\n@DATA@.png"


def test_hostile_names(call: Any) -> None:
    assert call("car.png", "--scale", 2, "--compare", "plain.html")[0] == 0
    plain = Reader(Path("plain.html").read_text("ascii"))
    name = HOSTILE.replace("/", "\u2215")
    os.rename("car.png", name)
    assert call(name, "--scale", 2, "--compare", "hostile.html")[0] == 0
    text = Path("hostile.html").read_text("ascii")
    assert Reader(text).tags == plain.tags
    assert text.count("<script") == 2
    data = data_of(Path("hostile.html"))
    assert data["name"] == name.replace("\u2028", r"\u2028").replace("\u202e", r"\u202e").replace("\n", r"\n")
    assert shlex.split(data["variants"][0]["command"])[1] == name
    assert call(name, "--scale", 2, "--compare", "hostile.png")[0] == 0
    os.makedirs("</script>")
    os.rename(name, "</script>/x.png")
    assert call("</script>/x.png", "--scale", 2, "--compare", "folder.html")[0] == 0
    assert Reader(Path("folder.html").read_text("ascii")).tags == plain.tags
    os.rename("</script>/x.png", os.fsdecode(b"byte\xff.png"))
    assert call(os.fsdecode(b"byte\xff.png"), "--scale", 2, "--compare", "byte.html")[0] == 0
    assert data_of(Path("byte.html"))["name"] == r"byte\udcff.png"


def test_page_is_self_contained(call: Any) -> None:
    assert call("car.png", "--scale", 2, "--compare", "page.html")[0] == 0
    text = Path("page.html").read_text("ascii")
    assert Reader(text).references == []
    assert not re.search(r"https?:|url\(|@import|fetch\(|XMLHttp|//[a-z]", text.split('id="data">')[0])
    assert not re.search(r"https?:|fetch\(|XMLHttp|\bimport\b", re.sub('base64,[^"]*', "", text))
    assert "default-src 'none'" in text
    data = data_of(Path("page.html"))
    assert all(variant["source"].startswith("data:image/png;base64,") for variant in data["variants"])
    assert (data["size"], data["reference"], data["whole"]) == ([140, 92], 2, True)


# Usage, and files


@pytest.mark.parametrize(
    ("args", "parts"),
    [
        *((f"--crop {bad}", ["--crop", f"'{bad}'", "X,Y,WIDTH,HEIGHT"]) for bad in ("1,2,3", "0,0,0,5", "a", "1,1,2,")),
        ("--crop=-1,0,5,5", ["--crop", "'-1,0,5,5'"]),
        ("--crop 60,0,11,5", ["--crop", "70x46", "11x5 at 60,0", "71,5"]),
        ("--crop 0,40,5,7", ["--crop", "70x46", "5x7 at 0,40", "5,47"]),
        ("--crop 70,46,1,1", ["--crop", "70x46"]),
        ("--crop 0,0,1,1 --scale 0.5", ["scale=0.5", "no pixel"]),
        ("--reference cubic", ["--reference", "'cubic'"]),
        ("-o out.png", ["--output", "--compare"]),
        ("--mode lanczos", ["--mode", "--compare"]),
        ("--mode bilinear", ["--mode", "--compare"]),
        ("--mode pixel-unshuffle --factor 2", ["--mode", "--compare"]),
        ("--align-corners", ["--align-corners", "--compare"]),
        ("--no-antialias", ["--no-antialias", "--compare"]),
        ("--quality 90", ["--quality", "--compare"]),
        ("--dry-run", ["--dry-run", "--compare"]),
        ("-j 2", ["--jobs", "--compare"]),
        ("--stride 2", ["--stride"]),
        ("--max-pixels 103039", ["8 results of 140x92", "103039", "--crop", "--max-pixels"]),
        ("--max-pixels 103040", ["a sheet of ", "103040", "--max-pixels"]),
    ],
)  # fmt: skip
def test_wrong_usage(call: Any, args: str, parts: list[str]) -> None:
    scale = [] if "--scale" in args or "pixel-" in args else ["--scale", "2"]
    status, lines = call("car.png", *scale, "--compare", "out.png", *args.split(" "))
    assert (status, len(lines)) == (2, 1)
    assert lines[0].startswith("resample: error: ")
    for part in parts:
        assert part in lines[0]
    assert os.listdir() == ["car.png"]


def test_wrong_usage_without_a_comparison(call: Any) -> None:
    for args in (["--crop", "0,0,5,5"], ["--reference", "area"]):
        status, lines = call("car.png", "--scale", 2, *args)
        assert (status, f"{args[0]} goes with --compare" in lines[0]) == (2, True)
    for name in ("out.jpg", "out.webp", "out", "out.html.gz"):
        status, lines = call("car.png", "--scale", 2, "--compare", name)
        assert (status, "--compare" in lines[0], ".html" in lines[0]) == (2, True, True)
    assert call("car.png", "--compare", "out.html")[0] == 2
    for names in (["."], ["*.png"], ["car.png", "car.png"]):
        status, lines = call(*names, "--scale", 2, "--compare", "out.png")
        assert (status, "--compare takes one INPUT" in lines[0]) == (2, True)


@pytest.mark.parametrize("name", ["out.png", "out.html"])
def test_files(call: Any, name: str) -> None:
    args = ("car.png", "--scale", 2, "--compare", name)
    assert call(*args)[0] == 0
    Path(name).write_text("kept")
    status, lines = call(*args)
    assert (status, "--overwrite is not given" in lines[0]) == (1, True)
    assert call(*args, "--on-exists", "skip")[0] == 0
    assert Path(name).read_text() == "kept"
    status, lines = call(*args, "--on-exists", "rename")
    assert (status, f"-> out-1.{name[4:]}, " in lines[0], Path(f"out-1.{name[4:]}").exists()) == (0, True, True)
    assert call(*args, "--overwrite")[0] == 0
    assert Path(name).stat().st_size > 1000
    assert call(*args, "--overwrite", "--quiet") == (0, [])
    status, lines = call("car.png", "--scale", 2, "--compare", f"nowhere/{name}")
    assert (status, "there is no folder nowhere" in lines[0]) == (1, True)
    status, lines = call("missing.png", "--scale", 2, "--compare", f"new-{name}")
    assert (status, "missing.png: cannot be read" in lines[0]) == (1, True)
    with Image.open("car.png") as image:
        image.save(f"same{name[3:]}", "PNG")
    status, lines = call(f"same{name[3:]}", "--scale", 2, "--overwrite", "--compare", f"same{name[3:]}")
    assert (status, "the output is the input" in lines[0]) == (1, True)


@pytest.mark.parametrize("name", ["out.png", "out.html"])
def test_failing_write_leaves_nothing(call: Any, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "link", full)
    monkeypatch.setattr(os, "replace", full)
    status, lines = call("car.png", "--scale", 2, "--compare", name)
    assert (status, lines) == (1, [f"resample: error: {name}: cannot be written: No space left on device"])
    assert os.listdir() == ["car.png"]
