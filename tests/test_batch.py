"""The command on several pictures: folders, patterns, lists, names of outputs, failures, threads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from resample_cli import main

import resample
from resample.files import batch, claims, writing


def picture(path: Path, size: tuple[int, int] = (40, 30), seed: int = 0) -> np.ndarray[Any, Any]:
    """Write a picture of size (width, height) and return its pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray[Any, Any]]:
    """The current folder has a folder `in` with pictures, and files that are none; their pixels by path."""
    monkeypatch.chdir(tmp_path)
    names = ("a.png", "b.png", "deep/a.png", "deep/er/c.png", ".hidden/d.png")
    found = {name: picture(Path("in") / name, seed=seed) for seed, name in enumerate(names)}
    Path("in/notes.txt").write_text("no picture")
    Path("in/.e.png").write_text("hidden")
    return found


@pytest.fixture
def call(tree: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> Any:
    """Run the command; return its status and the lines on stderr. Nothing may be left behind."""

    def run(*args: object) -> tuple[int, list[str]]:
        status = main.main([str(arg) for arg in args])
        written = capsys.readouterr()
        assert written.out == ""
        assert not list(Path().rglob(".resample-*"))
        return status, written.err.splitlines()

    return run


def files(folder: str) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file())


def test_a_folder(call: Any, tree: dict[str, Any]) -> None:
    status, lines = call("in", "-o", "out/", "--scale", 2)
    assert (status, files("out")) == (0, ["a.png", "b.png"])
    assert lines[:2] == [f"resample: in/{x}.png 40x30 -> out/{x}.png 80x60" for x in "ab"]
    assert lines[2].startswith("resample: 2 done, bilinear, ")
    for name in ("a.png", "b.png"):
        with Image.open(f"out/{name}") as written:
            np.testing.assert_array_equal(np.asarray(written), resample.resize(tree[name], scale=2))


def test_a_tree(call: Any) -> None:
    assert call("in", "-r", "-o", "out", "--scale", 2)[0] == 2  # there is no folder `out` that this could be
    os.mkdir("out")
    assert call("in", "-r", "-o", "out", "--scale", 2)[0] == 0
    assert files("out") == ["a.png", "b.png", "deep/a.png", "deep/er/c.png"]


def test_the_same_command_again_does_what_is_left(call: Any) -> None:
    """Pictures of pictures are not made: neither beside the inputs nor in a folder of theirs."""
    assert call("in", "-r", "--scale", 2)[0] == 0
    assert call("in", "-r", "--max-side", 20)[0] == 0
    assert call("in", "--scale", "2,1.5")[0] == 0
    once = files("in")
    for size in (("--scale", 2), ("--max-side", 20)):
        status, lines = call("in", "-r", *size)
        assert (status, files("in")) == (0, once)
        assert lines[-1].startswith("resample: 4 skipped")
    for _ in range(2):
        assert call("in", "-r", "-o", "in/small/", "--scale", 2)[0] == 0
    assert "small/a.png" in files("in")
    assert not os.path.exists("in/small/small")
    # but who names one means it
    assert call("in/a@2x.png", "in/b@2x.png", "--scale", 2)[0] == 0
    assert os.path.exists("in/a@2x@2x.png")


def test_beside_the_inputs(call: Any) -> None:
    assert call("in/a.png", "in/deep/a.png", "--max-side", 20)[0] == 0
    assert {"a@20x15.png", "deep/a@20x15.png"} <= set(files("in"))


def test_patterns_and_lists(call: Any) -> None:
    Path("list.txt").write_text("in/a.png\n\nin/deep\nin/a.png\n./in/a.png\n", encoding="utf-8-sig")
    assert call("@list.txt", "-o", "one/{tree}/{index}{ext}", "--scale", 2)[0] == 0
    assert files("one") == ["1.png", "2.png"]
    assert call("in/**/*.png", "-o", "two/", "--scale", 2)[0] == 0
    assert files("two") == ["a.png", "b.png", "deep/a.png", "deep/er/c.png"]
    os.symlink("..", "in/deep/up")
    assert call("in/**/*.png", "-o", "three/{stem}-{index}{ext}", "--scale", 2)[0] == 0
    assert files("three") == ["a-1.png", "a-3.png", "b-2.png", "c-4.png"]


def test_two_inputs_to_one_output(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for jobs in (1, 2, 8):
        status, lines = call("in/a.png", "in/deep/a.png", "-o", f"one{jobs}/", "--scale", 2, "-j", jobs)
        assert status == 1
        assert f"resample: error: in/deep/a.png: the output one{jobs}/a.png is also that of another INPUT" in lines[1]
        assert lines[0].startswith("resample: in/a.png ")
    os.mkdir("links")
    os.mkdir("target")
    os.symlink("../target", "links/deep")
    status, lines = call("in/deep/a.png", "in/a.png", "-o", "{tree}/links/deep/{stem}.png", "--scale", 2)
    assert (status, files("target")) == (1, ["a.png"])
    monkeypatch.setattr(claims, "_ignores_case", lambda folder: True)
    picture(Path("in/A.PNG"))
    status, lines = call("in/a.png", "in/A.PNG", "-o", "two/", "--scale", 2)
    assert status == 1
    assert any("the output two/A.PNG is also that of another INPUT, or differs" in line for line in lines)


def test_an_output_is_never_an_input(call: Any, tree: dict[str, Any]) -> None:
    """Not of any input, whichever comes first, and under any name."""
    os.rename("in/a.png", "2.png")
    os.rename("in/b.png", "1.png")
    for jobs in (1, 4):
        status, lines = call("2.png", "1.png", "-o", "{index}.png", "--scale", 2, "--overwrite", "-j", jobs)
        assert status == 1
        assert "resample: error: 2.png: the output 1.png is another INPUT, which is never overwritten" in lines
        for name, pixels in (("1.png", tree["b.png"]), ("2.png", tree["a.png"])):
            with Image.open(name) as kept:
                np.testing.assert_array_equal(np.asarray(kept), pixels)


def test_a_report_replaces_nothing(call: Any, tree: dict[str, Any]) -> None:
    Path("list.txt").write_text("in/a.png\n")
    np.save("w.npy", np.ones((1, 1, 2, 2)))
    layer = ("--mode", "conv-transpose", "--weights", "w.npy")
    before = {path: path.read_bytes() for path in (Path("in/a.png"), Path("list.txt"), Path("w.npy"))}
    for more in ((), ("--overwrite",), ("--dry-run",)):
        assert call("in/a.png", "--scale", 2, "--report", "in/a.png", *more)[0] == 2
        assert call("@list.txt", "--scale", 2, "--report", "list.txt", *more)[0] == 2
        assert call("in/a.png", *layer, "--report", "w.npy", *more)[0] == 2
    assert {path: path.read_bytes() for path in before} == before
    Path("old.jsonl").write_text("old")
    status, lines = call("in/a.png", "--scale", 2, "--report", "old.jsonl")
    assert (status, lines) == (1, ["resample: error: old.jsonl: cannot be written: File exists"])
    assert call("in/a.png", "--scale", 2, "--report", "old.jsonl", "--overwrite")[0] == 0
    assert json.loads(Path("old.jsonl").read_text())["output"] == "in/a@2x.png"


def test_a_report_that_cannot_be_written_stops_nothing(call: Any) -> None:
    status, lines = call("in", "-o", "out/", "--scale", 2, "--report", "/dev/full", "--overwrite")
    assert (status, files("out")) == (1, ["a.png", "b.png"])
    assert "resample: error: /dev/full: cannot be written: No space left on device" in lines
    assert any(line.startswith("resample: 2 done") for line in lines)


def test_an_interruption_tells_of_what_was_done(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("in/aa.png").write_text("junk")
    original = batch.run

    def run(job: Any) -> Any:
        if job.path == "in/b.png":
            raise KeyboardInterrupt
        return original(job)

    monkeypatch.setattr(batch, "run", run)
    for jobs in (1, 3):
        status, lines = call("in", "-o", f"out{jobs}/", "--scale", 2, "-j", jobs)
        assert status == 130
        assert files(f"out{jobs}") == ["a.png"]
        assert lines[0] == f"resample: in/a.png 40x30 -> out{jobs}/a.png 80x60"
        assert lines[1].startswith("resample: error: in/aa.png: is not a picture")
        assert lines[2].startswith("resample: 1 done, 1 failed")
        assert lines[3] == "resample: interrupted"


def test_usage_errors_name_their_file(call: Any) -> None:
    status, lines = call("in", "-o", "out/", "--scale", 0.01)
    assert status == 1
    assert lines[0].startswith("resample: error: in/a.png: scale=0.01 leaves no pixel of 30 x 40")


def test_one_file(call: Any) -> None:
    before = files(".")
    assert call("in/a.png", "--scale", 2, "--dry-run", "-o", "x.png")[1][0] == (
        "resample: would write: in/a.png 40x30 -> x.png 80x60"
    )
    assert files(".") == before
    assert call("in/a.png", "--scale", 2, "--report", "r.jsonl", "-o", "x.png")[0] == 0
    assert json.loads(Path("r.jsonl").read_text())["output"] == "x.png"
    assert call("in/a.png", "--scale", 2, "-o", "in/deep/")[0] == 1  # there is an a.png: an error for one file
    assert call("in/a.png", "--scale", 2, "-o", "x.png", "--on-exists", "skip", "-q") == (0, [])


def test_a_dry_run_says_what_would_fail(call: Any) -> None:
    os.mkdir("closed")
    Path("file").touch()
    for target in ("file/", "file/more/"):
        status, lines = call("in/a.png", "in/b.png", "-o", target, "--scale", 2, "--dry-run")
        assert status == 1
        assert "there is no folder" in lines[0]


@pytest.mark.parametrize(
    "template",
    [
        "{stem:{width}}.png",
        "{stem.x}.png",
        "{stem[0]}.png",
        "{width!r}.png",
        "{mode:>9999999999}.png",
        "{index:999}.png",
    ],
)
def test_templates_that_are_refused(template: str, call: Any) -> None:
    status, lines = call("in", "-o", template, "--scale", 2)
    assert (status, len(lines)) == (2, 1)


def test_no_device(call: Any) -> None:
    status, lines = call("in", "-o", "out/", "--scale", 2, "--device", "cuda")
    assert (status, len(lines)) == (1, 1)
    assert lines[0].startswith("resample: error: --device cuda: CUDA needs a machine with an NVIDIA GPU")


def test_pictures_are_worked_on_side_by_side(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names are claimed in order, and nothing else waits for that: here each picture waits for all the others."""
    meeting = threading.Barrier(4)
    original = writing.write

    def write(*args: Any) -> None:
        meeting.wait(60)
        original(*args)

    monkeypatch.setattr(writing, "write", write)
    assert call("in", "-r", "-o", "out/", "--scale", 2, "-j", 4)[0] == 0


def test_tiffs_in_parallel(call: Any) -> None:
    for number in range(12):
        picture(Path(f"in/{number}.tif"), (60, 50), number)
    for jobs in (2, 8):
        assert call("in", "-o", f"out{jobs}/", "--scale", 2, "-j", jobs)[0] == 0
        assert len(files(f"out{jobs}")) == 14


def test_a_tiff_by_another_name_in_parallel(call: Any) -> None:
    """libtiff's messages are those of its file, whatever the extension."""
    Image.fromarray(np.zeros((64, 64), np.uint8)).convert("1").save("in/x.tif", compression="group4")
    data = bytearray(Path("in/x.tif").read_bytes())
    data[8:14] = b"\xff\x00\xaa\x13\x77\x01"
    Path("in/fake.png").write_bytes(data)
    os.remove("in/x.tif")
    found = []
    for jobs in (1, 4):
        _, lines = call("in", "-o", f"out{jobs}/{{stem}}.tif", "--scale", 2, "-j", jobs)
        found.append([line.replace(f"out{jobs}", "out") for line in lines[:-1]])
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("template", "names"),
    [
        ("out/{stem}-{width}x{height}{ext}", ["a-80x60.png", "b-80x60.png", "c-80x60.png"]),
        ("out/{tree}/{stem}.jpg", ["a.jpg", "b.jpg", "deep/er/c.jpg"]),
        ("out/{index:03}-{scale}-{mode}.webp", ["001-2x-bicubic.webp", "002-2x-bicubic.webp", "003-2x-bicubic.webp"]),
    ],
)
def test_templates(template: str, names: list[str], call: Any) -> None:
    os.remove("in/deep/a.png")
    assert call("in", "-r", "-o", template, "--scale", 2, "--mode", "bicubic")[0] == 0
    assert files("out") == names


def test_failures_do_not_stop_the_others(call: Any) -> None:
    Path("in/bad.png").write_text("junk")
    Path("in/empty.png").touch()
    status, lines = call("in", "missing.png", "in/*.gif", "-o", "out/", "--scale", 2, "-j", 3, "--report", "r.jsonl")
    assert (status, files("out")) == (1, ["a.png", "b.png"])
    assert [line.split(": ")[2] for line in lines if line.startswith("resample: error")] == [
        "in/bad.png", "in/empty.png", "missing.png", "in/*.gif",
    ]  # fmt: skip
    assert lines[-1].startswith("resample: 2 done, 4 failed, bilinear")
    records = [json.loads(line) for line in Path("r.jsonl").read_text().splitlines()]
    assert [record["status"] for record in records] == ["done"] * 2 + ["failed"] * 4
    assert records[0]["output"] == "out/a.png"
    assert (records[0]["size"], records[0]["output_size"]) == ([40, 30], [80, 60])
    assert "is not a picture" in records[2]["reason"]


def test_fail_fast(call: Any) -> None:
    Path("in/aa.png").write_text("junk")
    status, _ = call("in", "-o", "out/", "--scale", 2, "-j", 1, "--fail-fast")
    assert (status, files("out")) == (1, ["a.png"])


def test_existing_outputs(call: Any) -> None:
    first = call("in", "-o", "out/", "--scale", 2)
    before = {name: Path("out", name).stat().st_mtime_ns for name in files("out")}
    status, lines = call("in", "-o", "out/", "--scale", 2)
    assert (first[0], status) == (0, 0)
    assert lines[0] == "resample: skipped: out/a.png: exists"
    assert lines[-1].startswith("resample: 2 skipped")
    assert {name: Path("out", name).stat().st_mtime_ns for name in files("out")} == before
    status, lines = call("in", "-o", "out/", "--scale", 2, "--on-exists", "error")
    assert status == 1
    assert "resample: error: out/a.png: the output exists, and --overwrite is not given" in lines
    assert call("in", "-o", "out/", "--scale", 3, "--on-exists", "rename")[0] == 0
    assert files("out") == ["a-1.png", "a.png", "b-1.png", "b.png"]
    assert call("in", "-o", "out/", "--scale", 3, "--overwrite")[0] == 0
    with Image.open("out/a.png") as written:
        assert written.size == (120, 90)


def test_the_input_is_never_overwritten(call: Any, tree: dict[str, Any]) -> None:
    status, lines = call("in", "-o", "in/", "--scale", 2, "--overwrite")
    assert status == 1
    assert "resample: error: in/a.png: the output is the input, which is never overwritten but by --in-place" in lines
    with Image.open("in/a.png") as kept:
        np.testing.assert_array_equal(np.asarray(kept), tree["a.png"])


def test_dry_run(call: Any) -> None:
    before = files(".")
    status, lines = call("in", "-o", "out/", "--scale", 2, "--dry-run")
    assert (status, files("."), os.path.exists("out")) == (0, before, False)
    assert lines[0] == "resample: would write: in/a.png 40x30 -> out/a.png 80x60"
    assert lines[-1].startswith("resample: 2 planned")


def test_nothing_found(call: Any) -> None:
    os.mkdir("empty")
    Path("nothing.txt").touch()
    for name, part in (
        ("empty", "empty: has no pictures"),
        ("*.webp", "*.webp: matches nothing"),
        ("@nothing.txt", "no pictures are named"),
    ):
        status, lines = call(name, "--scale", 2)
        assert status == 3
        assert part in lines[0]
    status, lines = call("@no.txt", "--scale", 2)
    assert (status, lines[0]) == (1, "resample: error: no.txt: cannot be read: No such file or directory")


def test_quiet(call: Any) -> None:
    assert call("in", "-o", "out/", "--scale", 2, "-q") == (0, [])
    assert call("in/a.png", "--scale", 2, "-q") == (0, [])


def test_warnings_are_of_their_file(call: Any) -> None:
    for name in ("x", "y"):
        frames = [Image.new("L", (9, 9), level) for level in (0, 99)]
        frames[0].save(f"in/{name}.gif", save_all=True, append_images=frames[1:])
    status, lines = call("in", "-o", "out/{stem}.jpg", "--scale", 2, "-j", 4)
    assert status == 0
    assert [line for line in lines if "warning" in line] == [
        f"resample: warning: out/{name}.jpg: without 1 of 2 frames, as JPEG holds one" for name in ("x", "y")
    ]


def test_bytes_do_not_depend_on_the_number_of_threads(call: Any) -> None:
    for name in range(12):
        picture(Path(f"in/{name}.jpg"), (90 + name, 70), name)
    found = []
    for jobs in (1, 2, 8):
        assert call("in", "-r", "-o", f"out{jobs}/", "--max-side", 64, "-j", jobs)[0] == 0
        found.append({name: Path(f"out{jobs}", name).read_bytes() for name in files(f"out{jobs}")})
    assert found[0] == found[1] == found[2]
    assert len(found[0]) == 16


def test_an_unreadable_folder_is_told_of(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    original = os.scandir

    def scandir(path: Any) -> Any:
        if str(path).endswith("deep"):
            raise PermissionError(13, "Permission denied", path)
        return original(path)

    monkeypatch.setattr(os, "scandir", scandir)
    status, lines = call("in", "-r", "-o", "out/", "--scale", 2)
    assert (status, files("out")) == (1, ["a.png", "b.png"])
    assert "resample: error: in/deep: cannot be listed: Permission denied" in lines


def test_as_a_process(tree: dict[str, Any]) -> None:
    command = [sys.executable, "-m", "resample_cli.main", "in", "-r", "-o", "out/", "--scale", "2", "-j", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "")
    assert files("out") == ["a.png", "b.png", "deep/a.png", "deep/er/c.png"]
