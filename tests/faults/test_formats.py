"""What formats hold of frames, pages and alpha: as it was, or with a warning, or refused, and never otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw
from resample_cli import main

import resample

SIZE, TIMES = (32, 24), [100, 200, 300, 50]


def shapes(mode: str) -> list[Image.Image]:
    """Return frames, each with a disc of another colour, on black or on nothing."""
    found = []
    for number, colour in enumerate(((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0))):
        frame = Image.new("RGBA", SIZE, (0, 0, 0, 0 if mode == "RGBA" else 255))
        ImageDraw.Draw(frame).ellipse((4 * number, 2 + 3 * number, 4 * number + 11, 10 + 3 * number), (*colour, 255))
        found.append(frame.convert(mode))
    return found


def frames(path: str | Path) -> list[np.ndarray[Any, Any]]:
    """Return the frames of a file as RGBA, colours multiplied by alpha."""
    found = []
    with Image.open(path) as picture:
        for number in range(getattr(picture, "n_frames", 1)):
            picture.seek(number)
            pixels = np.asarray(picture.convert("RGBA")).astype(float)
            pixels[..., :3] *= pixels[..., 3:] / 255
            found.append(pixels)
    return found


def played(path: str | Path) -> tuple[list[float | None], int | None]:
    """Return the time of each frame in milliseconds, and how often they are played, 0 for without end."""
    with Image.open(path) as picture:
        times = []
        for number in range(getattr(picture, "n_frames", 1)):
            picture.seek(number)
            picture.load()
            times.append(picture.info.get("duration"))
        loop = picture.info.get("loop")
        if picture.format == "GIF":
            loop = 1 if loop is None else loop + 1 if loop else 0
        return times, loop


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    monkeypatch.chdir(tmp_path)

    def run(*args: object) -> tuple[int, list[str]]:
        status = main.main([str(arg) for arg in args])
        lines = capsys.readouterr().err.splitlines()
        return status, [line for line in lines if " -> " not in line]

    return run


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("after", ["gif", "webp", "png", "avif", "tif"])
@pytest.mark.parametrize("before", ["gif", "webp", "png", "avif", "tif"])
def test_from_animation_to_animation(call: Any, before: str, after: str, mode: str) -> None:
    first, *rest = shapes(mode)
    options: dict[str, Any] = {"gif": {"disposal": 2, "loop": 2}, "webp": {"lossless": True}}.get(before, {})
    first.save(f"a.{before}", save_all=True, append_images=rest, **{"duration": TIMES, "loop": 3} | options)
    status, lines = call(f"a.{before}", "-o", f"b.{after}", "--scale", 2, "--mode", "nearest")
    assert status == 0
    told = "\n".join(lines)
    assert ("256 colours" in told) == (after == "gif")
    assert ("times of frames" in told) == (after == "tif" != before)
    assert ("plays without end" in told) == (after == "avif" and before in ("gif", "webp", "png"))
    was, now = frames(f"a.{before}"), frames(f"b.{after}")
    assert len(was) == len(now) == 4
    for one, other in zip(was, now, strict=True):
        expected = resample.resize(one, scale=2, mode="nearest")
        if after in ("png", "tif"):
            np.testing.assert_array_equal(other, expected)
        else:
            assert np.abs(other - expected).mean() < 6
    if after != "tif":
        times, plays = played(f"b.{after}")
        if after != "webp":  # of which Pillow tells no times
            assert times == (TIMES if before != "tif" else [100] * 4)
        if after != "avif":
            assert plays == (3 if before in ("gif", "webp", "png") else 0)


def test_opaque_parts_of_clear_frames(call: Any) -> None:
    """WebP stores the part of a frame that changes."""
    found = []
    for number in range(3):
        frame = Image.new("RGBA", SIZE)
        frame.paste((255, 0, 0, 255), (4 * number, 4, 4 * number + 8, 12))
        found.append(frame)
    found[0].save("a.png", save_all=True, append_images=found[1:], duration=100)
    assert call("a.png", "-o", "a.webp", "--scale", 2, "--mode", "nearest") == (0, [])
    for before, after in zip(found, frames("a.webp"), strict=True):
        np.testing.assert_array_equal(np.asarray(before.resize((64, 48), 0))[..., 3], after[..., 3])


def test_pages_of_several_sizes(call: Any) -> None:
    first, second, *_ = shapes("RGB")
    first.save("a.tif", save_all=True, append_images=[second.resize((50, 7))])
    for ending in ("png", "gif", "webp", "avif"):
        status, lines = call("a.tif", "-o", f"a.{ending}", "--scale", 1)
        assert (status, "several sizes" in lines[0]) == (1, True)
        assert call("a.tif", "-o", f"a.{ending}", "--scale", 1, "--frames", "first")[0] == 0
    assert call("a.tif", "-o", "b.tif", "--scale", 1) == (0, [])
    assert [page.shape[:2] for page in frames("b.tif")] == [(24, 32), (7, 50)]


def test_pages_of_several_modes(call: Any) -> None:
    gray = np.arange(48, dtype=np.uint8).reshape(6, 8)
    deep = Image.fromarray(gray.astype(np.uint16) * 257)
    Image.fromarray(gray).save("a.tif", save_all=True, append_images=[deep])
    status, lines = call("a.tif", "-o", "a.png", "--scale", 1)
    assert (status, "several modes" in lines[0]) == (1, True)
    Image.fromarray(gray).save("b.tif", save_all=True, append_images=[Image.new("RGB", (8, 6), "red")])
    assert call("b.tif", "-o", "b.png", "--scale", 1) == (0, [])
    np.testing.assert_array_equal(frames("b.png"), frames("b.tif"))


def test_a_palette_that_is_clear_in_part(call: Any) -> None:
    ramp = Image.linear_gradient("L").resize((32, 24)).quantize(16)
    ramp.save("a.png", transparency=bytes(range(0, 256, 16)))
    assert call("a.png", "-o", "b.png", "--scale", 1, "--mode", "nearest") == (0, [])
    np.testing.assert_array_equal(frames("a.png"), frames("b.png"))
    status, lines = call("a.png", "-o", "b.gif", "--scale", 1, "--mode", "nearest")
    assert (status, "alpha that is on or off" in lines[0]) == (0, True)
    before, after = frames("a.png")[0][..., 3], frames("b.gif")[0][..., 3]
    assert set(np.unique(after)) == {0, 255}
    for alpha in (0, 255):
        np.testing.assert_array_equal(after[before == alpha], alpha)


def test_a_comment_that_is_too_long(call: Any) -> None:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("Comment", "x" * 70000)
    Image.new("L", (8, 8)).save("a.png", pnginfo=info)
    for ending in ("jpg", "jp2"):
        status, lines = call("a.png", "-o", f"a.{ending}", "--scale", 1)
        assert (status, "without the input's comment" in lines[0]) == (0, True)


def test_two_streams_do_not_share_a_file(call: Any) -> None:
    Image.new("L", (8, 8)).save("a.png")
    for args in (("-", "--json"), ("a.png", "-o", "-", "--json"), ("a.png", "--report", "x", "--resume", "./x")):
        assert call(*args, "--scale", 2, "--overwrite")[0] == 2
