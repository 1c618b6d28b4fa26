"""Runs that are stopped, and streams that are closed or full: they end at once, with a status that says why."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import kill
import numpy as np
import pytest
import runs
from PIL import Image

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture that takes seconds to be written at 8K."""
    path = tmp_path_factory.mktemp("noise") / "noise.png"
    pixels = np.random.default_rng(0).integers(0, 256, (1080, 1920, 3), np.uint8)
    Image.fromarray(pixels).save(path, compress_level=1)
    return path


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
@pytest.mark.parametrize("ending", [".png", ".webp"])
def test_in_a_long_encode(noise: Path, tmp_path: Path, number: int, status: int, ending: str) -> None:
    args = (noise, "-o", f"big{ending}", "--scale", 4, "--mode", "nearest", "--png-level", 9)
    with runs.begun(*args, cwd=tmp_path, stderr=subprocess.PIPE) as process:
        kill.until_working(process, tmp_path)
        time.sleep(0.2)
        process.send_signal(number)
        _, said = process.communicate()
    assert (process.returncode, said) == (status, b"resample: interrupted\n" if status == 130 else b"")
    # that is, it did not wait for the end of the picture
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("ending", [".jp2", ".tif"])
def test_in_an_encode_that_keeps_the_interpreter(tmp_path: Path, number: int, ending: str) -> None:
    """The signal itself ends the process, for which a shell has the same status; the next run removes what it left."""
    source = tmp_path / f"in{'.tif' if ending == '.tif' else '.png'}"
    pixels = np.random.default_rng(0).integers(0, 256, (1080, 1920, 3), np.uint8)
    Image.fromarray(pixels).save(source, **({"compression": "tiff_lzw"} if ending == ".tif" else {}))
    args = (source, "-o", f"big{ending}", "--scale", 4, "--mode", "nearest")
    with runs.begun(*args, cwd=tmp_path, stderr=subprocess.PIPE) as process:
        kill.until_working(process, tmp_path)
        time.sleep(0.3)
        process.send_signal(number)
        _, said = process.communicate()
    # before the encoder it is handled in Python
    assert process.returncode in (-number, 128 + number)
    assert not (tmp_path / f"big{ending}").exists()
    assert b"Traceback" not in said
    assert runs.run(source, "-o", f"big{ending}", "--scale", 0.1, cwd=tmp_path).returncode == 0
    assert not runs.temporaries(tmp_path)


def test_in_a_decode_that_keeps_the_interpreter(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2160, 3840, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "in.jp2")
    with runs.begun("in.jp2", "-o", "out.png", "--scale", 0.1, cwd=tmp_path, stderr=subprocess.PIPE) as process:
        time.sleep(1)  # its start takes a tenth of that, the decoder three times as long
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    assert process.returncode in (-signal.SIGINT, 130)
    assert b"Traceback" not in said
    assert [path.name for path in tmp_path.iterdir()] == ["in.jp2"]


@pytest.mark.parametrize("in_place", [False, True])
def test_in_a_folder(tmp_path: Path, in_place: bool) -> None:
    runs.pictures(tmp_path / "in", 64, (450, 300), "png jpg")
    before = runs.contents(tmp_path / "in")
    args = ("in", "-r", *(["--in-place"] if in_place else ["-o", "out/"]), "--scale", 1.5, "-j", 4, "--resume", "done")
    with runs.begun(*args, cwd=tmp_path, stderr=subprocess.PIPE) as process:
        kill.until_working(process, tmp_path)
        time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    lines = said.decode().splitlines()
    assert process.returncode == 130
    assert lines[-1] == "resample: interrupted"
    assert not runs.temporaries(tmp_path)
    done = sum(" -> " in line for line in lines)
    assert 0 < done < 64
    again = runs.run(*args, cwd=tmp_path)
    assert again.returncode == 0
    # of those that were begun, some may have been finished too late to be told of
    totals = re.search(rb"(\d+) done, (\d+) skipped", again.stderr)
    assert totals
    left, skipped = map(int, totals.groups())
    assert left + skipped == 64
    assert done <= skipped <= done + 4
    for name in before:
        with Image.open(tmp_path / ("in" if in_place else "out") / name) as picture:
            assert picture.size == (675, 450)


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    ("args", "redirection", "status", "line"),
    [
        ("-o -", ">/dev/full", 1, "error: stdout: cannot be written: No space left on device"),
        ("-o -", ">&-", 1, "error: stdout: cannot be written: it is closed"),
        ("-o -", "| head -c 1 >/dev/null", 1, "error: stdout: cannot be written: Broken pipe"),
        ("-o x.png --json", ">/dev/full", 1, "error: stdout: cannot be written: No space left on device"),
        ("-o x.png --json", ">&-", 1, "error: stdout: cannot be written: it is closed"),
        ("-o x.png", ">&- 2>&-", 0, ""),
        ("-o x.png", "2>/dev/full", 0, ""),
        ("--help", ">/dev/full", 1, "error: No space left on device"),
        ("--version", ">/dev/full", 1, "error: No space left on device"),
        ("--version", ">&-", 0, ""),
    ],
)
def test_streams(
    noise: Path, tmp_path: Path, args: str, redirection: str, status: int, line: str, unbuffered: str
) -> None:
    command = " ".join([*runs.COMMAND, str(noise), "--scale 0.5 -q", args])
    script = f"set -o pipefail; {command} {redirection}"
    environment = runs.ENVIRONMENT | {"PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (status, f"resample: {line}\n" if line else "")


def test_stdin_that_is_closed(tmp_path: Path) -> None:
    command = " ".join([*runs.COMMAND, "- -o x.png --scale 2 <&-"])
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, env=runs.ENVIRONMENT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "resample: error: -: cannot be read: it is closed\n")


@pytest.mark.parametrize("way", ["threads", "processes", "threads, --in-place --resume"])
def test_kill(tmp_path: Path, way: str) -> None:
    """`kill.py` does it a hundred times."""
    runs.pictures(tmp_path / "source", kill.COUNT, (300, 200))
    (tmp_path / "place").mkdir()
    trial, chance = kill.Trial(way, tmp_path / "place", tmp_path / "source"), kill.random.Random(0)
    found = trial.kill(chance)
    assert not any(found[2:]), found
