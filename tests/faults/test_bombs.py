"""Files and options that would take more memory than there is are refused before it is taken."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
import runs
from PIL import Image

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX limits")

LIMIT = 1 << 30


def limited(*args: object, cwd: Path) -> subprocess.CompletedProcess[bytes]:
    import resource

    return runs.run(*args, cwd=cwd, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT)))


def png(width: int, height: int) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1 << 20))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def gif(width: int, height: int) -> bytes:
    size = struct.pack("<HH", width, height)
    return b"GIF89a" + size + b"\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0" + size + b"\0\x02\x02\x4c\x01\0;"


def bmp(width: int, height: int) -> bytes:
    return b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)


def ppm(width: int, height: int) -> bytes:
    return b"P6 %d %d 255\n" % (width, height)


def jpeg(width: int, height: int, tmp_path: Path) -> bytes:
    Image.new("RGB", (8, 8)).save(tmp_path / "small.jpg")
    data = (tmp_path / "small.jpg").read_bytes()
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


def test_headers(tmp_path: Path) -> None:
    """Sides of nothing, sides of 65,536, and areas that no memory holds."""
    bombs = {
        **{f"{w}x{h}.png": png(w, h) for w, h in ((65536, 65536), (2**31 - 1, 2**31 - 1), (1, 2**31 - 1), (0, 5))},
        **{f"{w}x{h}.gif": gif(w, h) for w, h in ((65535, 65535), (0, 5))},
        **{f"{w}x{h}.bmp": bmp(w, h) for w, h in ((65536, 65536), (2**31 - 1, 2**31 - 1), (0, 5))},
        **{f"{w}x{h}.ppm": ppm(w, h) for w, h in ((65536, 65536), (10**9, 10**9), (0, 5))},
        **{f"{w}x{h}.jpg": jpeg(w, h, tmp_path) for w, h in ((65500, 65500), (0, 5))},
    }
    folder = tmp_path / "in"
    folder.mkdir()
    for name, data in bombs.items():
        (folder / name).write_bytes(data)
    Image.new("RGB", (40, 30)).save(folder / "fine.png")
    done = limited("in", "-o", "out/", "--scale", 0.5, "-j", 8, cwd=tmp_path)
    lines = done.stderr.decode().splitlines()
    assert done.returncode == 1
    assert list(runs.contents(tmp_path / "out")) == ["fine.png"]
    assert lines[-1].startswith(f"resample: 1 done, {len(bombs)} failed")
    for name in bombs:
        (line,) = [line for line in lines if line.startswith(f"resample: error: in/{name}: ")]
        if not name.startswith("0x"):
            size = name.rpartition(".")[0]
            assert line.endswith(f"{size} is more than 500000000 pixels; raise the limit with --max-pixels")


@pytest.mark.parametrize("size", [("--scale", 1000), ("--size", "65536x65536"), ("--max-side", 10**17)])
@pytest.mark.parametrize("more", [(), ("--dry-run",), ("--in-place",)], ids=["", "dry", "in place"])
def test_outputs(tmp_path: Path, size: tuple[object, ...], more: tuple[object, ...]) -> None:
    Image.new("RGB", (400, 300)).save(tmp_path / "a.png")
    before = runs.contents(tmp_path)
    done = limited("a.png", *size, *more, cwd=tmp_path)
    assert done.returncode == (1 if more == ("--dry-run",) else 2)
    assert b"more than 500000000 pixels: choose a smaller size or raise the limit with --max-pixels" in done.stderr
    assert runs.contents(tmp_path) == before


def test_a_side_of_nothing(tmp_path: Path) -> None:
    Image.new("RGB", (400, 1)).save(tmp_path / "a.png")
    for size in (("--scale", 0.5), ("--scale", 1e-9)):
        done = limited("a.png", *size, cwd=tmp_path)
        assert done.returncode == 2
        assert b"leaves no pixel of 1 x 400" in done.stderr
    for size in (("--size", "0x5"), ("--max-side", 0), ("--width", 0)):
        assert limited("a.png", *size, cwd=tmp_path).returncode == 2
    # sides that follow are at least 1
    assert limited("a.png", "--max-side", 10, "-o", "b.png", cwd=tmp_path).returncode == 0


def test_long_sides(tmp_path: Path) -> None:
    Image.new("L", (65536, 2)).save(tmp_path / "a.png")
    assert limited("a.png", "--scale", 0.5, "-o", "b.png", cwd=tmp_path).returncode == 0
    done = limited("a.png", "--scale", "1,2", "-o", "b.jpg", cwd=tmp_path)
    assert done.returncode == 2
    assert b"an output of 65536x4 is too large for JPEG, whose sides end at 65500" in done.stderr


def test_memory_is_shared_out(tmp_path: Path) -> None:
    """Eight at a time would not fit, even if they were only opened: of WebP that takes eight bytes a pixel."""
    Image.new("RGB", (5000, 4000), "red").save(tmp_path / "0.webp")
    for number in range(1, 5):
        (tmp_path / f"{number}.webp").write_bytes((tmp_path / "0.webp").read_bytes())
    done = limited(".", "-o", "out/", "--scale", 0.5, "-j", 8, cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    assert len(set(runs.contents(tmp_path / "out").values())) == 1
