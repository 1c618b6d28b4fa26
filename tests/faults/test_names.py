"""Files that cannot be read, places that cannot be written, names that are hard: each is told of, none stops others."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import runs
from PIL import Image
from resample_cli import main

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX file systems")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with pictures in/a.png, in/b.png and in/deep/c.png."""
    for seed, name in enumerate(("a.png", "b.png", "deep/c.png")):
        make(tmp_path / "in" / name, seed)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make(path: Path, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (30, 40, 3), np.uint8)).save(path, "PNG")


def run(*args: object) -> tuple[int, list[str]]:
    """Run the command in this process; return its status and the lines on stderr."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        return main.main([str(arg) for arg in args]), said.getvalue().splitlines()


def run_process(*args: object) -> tuple[int, list[str]]:
    """Run the command in a process of its own."""
    done = runs.run(*args, cwd=Path())
    return done.returncode, done.stderr.decode().splitlines()


@pytest.fixture
def denied(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The command heeds permissions: root's goes without the capabilities that let it read and write everything."""
    if os.getuid() == 0:
        rights = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
        if not shutil.which("setpriv") or subprocess.run([*rights, "true"], capture_output=True).returncode:
            pytest.skip("root may read everything, and setpriv does not work")
        monkeypatch.setattr(runs, "COMMAND", [*rights, *runs.COMMAND])
    yield
    for path in ("out", "in/deep"):
        if os.path.isdir(path):
            os.chmod(path, 0o755)


def test_what_cannot_be_read(place: Path, denied: None) -> None:
    os.chmod("in/a.png", 0)
    os.chmod("in/deep", 0)
    status, lines = run_process("in", "-r", "-o", "out/", "--scale", 2)
    assert status == 1
    assert "resample: error: in/a.png: cannot be read: Permission denied" in lines
    assert "resample: error: in/deep: cannot be listed: Permission denied" in lines
    assert list(runs.contents(Path("out"))) == ["b.png"]
    status, lines = run_process("in/deep/c.png", "@in/a.png", "in/b.png", "-o", "two/", "--scale", 2)
    assert status == 1
    assert "resample: error: in/a.png: cannot be read: Permission denied" in lines
    assert any(line.startswith("resample: error: in/deep/c.png: ") for line in lines)
    assert list(runs.contents(Path("two"))) == ["b.png"]


def test_what_cannot_be_written(place: Path, denied: None) -> None:
    before = runs.contents(Path("in"))
    os.mkdir("out")
    os.chmod("out", 0o555)
    os.chmod("in/deep", 0o555)
    status, lines = run_process("in", "-r", "-o", "out/", "--scale", 2)
    assert status == 1
    assert lines[0] == "resample: error: out/a.png: the folder out cannot be written to"
    assert lines[-1].startswith("resample: 3 failed")
    status, lines = run_process("in", "-r", "--in-place", "--scale", 2)
    assert status == 1
    assert "resample: error: in/deep/c.png: the folder in/deep cannot be written to" in lines
    assert lines[-1].startswith("resample: 2 done, 1 failed")
    assert runs.contents(Path("in"))["deep/c.png"] == before["deep/c.png"]
    for option in ("--report", "--resume"):
        status, lines = run_process("in/deep/c.png", "-o", "c.png", "--overwrite", "--scale", 2, option, "out/notes")
        assert status == 1
        assert lines[0].startswith("resample: error: out/notes: cannot be ")


def test_what_is_no_file(place: Path) -> None:
    os.mkfifo("in/fifo.png")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("in/socket.png")
    os.symlink("loop.png", "in/loop.png")
    os.symlink("nowhere.png", "in/dangling.png")
    os.symlink("..", "in/deep/up")
    os.mkdir("in/folder.png")
    Path("in/empty.png").touch()
    status, lines = run("in", "-r", "-o", "out/", "--scale", 2)
    assert status == 1
    assert sorted(lines[-6:-1]) == [
        "resample: error: in/dangling.png: cannot be read: No such file or directory",
        "resample: error: in/empty.png: is empty",
        "resample: error: in/fifo.png: is not a plain file",
        "resample: error: in/loop.png: cannot be read: Too many levels of symbolic links",
        "resample: error: in/socket.png: is not a plain file",
    ]
    assert list(runs.contents(Path("out"))) == ["a.png", "b.png", "deep/c.png"]


def test_outputs_that_are_no_files(place: Path) -> None:
    os.mkdir("out")
    os.mkfifo("out/a.png")
    os.symlink("nowhere.png", "out/b.png")
    status, lines = run_process("in", "-o", "out/", "--scale", 2, "--overwrite")
    assert (status, lines[1]) == (1, "resample: error: out/a.png: the output exists and is not a file")
    # the link is replaced, and what it names is not made
    assert not os.path.islink("out/b.png")
    assert not os.path.lexists("out/nowhere.png")
    # what looks like a temporary file of a run that was killed may be a pipe, too
    os.mkfifo(f"out/.resample-{'0' * 16}")
    Path(f"out/.resample-{'1' * 16}").touch()
    assert run_process("in/deep", "-o", "out/", "--scale", 2)[0] == 0
    assert runs.temporaries(Path("out")) == [Path(f"out/.resample-{'0' * 16}")]


@pytest.mark.parametrize(
    "name",
    [
        b"new\nline.png",
        b"\xff\xfe.png",
        b" .png",
        b"-r.png",
        b"{stem}.png",
        b"a*[b]?.png",
        b"n" * 251 + b".png",
        b"\x1b[2J.png",
    ],
    ids=repr,
)
def test_names(place: Path, name: bytes) -> None:
    os.rename("in/a.png", b"in/" + name)
    shown = os.fsdecode(name)
    status, lines = run("in", "-o", "out/", "--scale", 2, "--report", "report", "--resume", "done")
    assert (status, len(lines)) == (0, 3)
    assert os.path.exists(b"out/" + name)
    with open("report", encoding="ascii") as report:
        assert f"in/{shown}" in [json.loads(line)["path"] for line in report]
    status, lines = run("in", "-o", "out/", "--scale", 2, "--resume", "done")
    assert lines[-1].startswith("resample: 2 skipped")
    Path("list").write_bytes(b"in/" + name + b"\0in/b.png\0")
    assert run("@list", "-o", "listed/{index}{ext}", "--scale", 2)[0] == 0
    assert list(runs.contents(Path("listed"))) == ["1.png", "2.png"]
    assert run("in", "--in-place", "--scale", 0.5, "-q") == (0, [])


def test_a_name_that_becomes_too_long(place: Path) -> None:
    os.rename("in/a.png", "in/" + "n" * 251 + ".png")
    status, lines = run("in", "--scale", 2)
    assert (status, lines[-2]) == (1, f"resample: error: in/{'n' * 251}@2x.png: cannot be written: File name too long")
    assert os.path.exists("in/b@2x.png")
    assert not runs.temporaries(place)


def test_a_template_stays_in_its_folder(place: Path) -> None:
    os.mkdir("work")
    os.mkdir("work/pictures")
    make(Path("work/pictures/d.png"))
    os.chdir("work")
    for source, template in (("../in/a.png", "out/{dir}/{stem}{ext}"), ("../in/a.png", "./{dir}/../x{ext}")):
        status, lines = run(source, "-o", template, "--scale", 2)
        assert status in (1, 2)
        assert any("out" in line or ".." in line for line in lines)
    # a pattern that leaves its folder again
    assert run("pic*/../../in/*.png", "-o", "out/", "--scale", 2)[0] == 0
    assert list(runs.contents(place)) == [
        "in/a.png",
        "in/b.png",
        "in/deep/c.png",
        "work/out/a.png",
        "work/out/b.png",
        "work/pictures/d.png",
    ]


def test_one_name_for_all(place: Path) -> None:
    status, lines = run("in", "-o", "out/all{ext}", "--scale", 2)
    assert status == 1
    assert lines[1].startswith("resample: error: in/b.png: the output out/all.png is also that of another INPUT")


def test_names_that_differ_by_case(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where case makes a difference both are written; where it makes none the file system is asked in each folder."""
    os.rename("in/b.png", "in/A.png")
    asked = []

    def lexists(path: str, original: Any = os.path.lexists) -> bool:
        folder, name = os.path.split(path)
        if name.startswith(".RESAMPLE-"):
            asked.append(folder)
            name = name.lower()
        return bool(original(os.path.join(folder, name)))

    args = ["in", "-o", "out/", "--scale", "2", "-q"]
    assert main.main(args) == 0
    assert list(runs.contents(Path("out"))) == ["A.png", "a.png"]
    monkeypatch.setattr(os.path, "lexists", lexists)
    assert main.main([*args, "--overwrite"]) == 1
    assert main.main(["in/deep/c.png", "in/A.png", "-o", "out/", "--scale", "2", "-q", "--overwrite"]) == 0
    assert asked == [str(place / "out")]
    assert not runs.temporaries(place)


def test_in_place_each_file_is_changed_once(place: Path) -> None:
    """Whatever its names are."""
    os.symlink("b.png", "in/a-link.png")
    os.symlink("a.png", "in/link.png")
    os.link("in/a.png", "in/twin.png")
    status, lines = run("in", "in/deep/../a.png", "--in-place", "--scale", 0.5)
    assert status == 0
    for name in ("a", "b", "twin"):
        with Image.open(f"in/{name}.png") as picture:
            assert picture.size == (20, 15)
    assert [line for line in lines if "skipped: " in line] == [
        "resample: skipped: in/b.png: is in/b.png, which is another INPUT too",
        f"resample: skipped: in/link.png: is {os.path.realpath('in/a.png')}, which is another INPUT too",
    ]
    assert os.path.islink("in/link.png")


def test_in_place_and_again(place: Path) -> None:
    """A file that was not made, and then is put right, is not taken for one that was."""
    good = Path("in/b.png").read_bytes()
    Path("in/b.png").write_bytes(good[: len(good) // 2])
    again = ("in", "-r", "--in-place", "--resume", "done", "--scale", 0.5)
    status, lines = run(*again)
    assert (status, lines[-1].partition(", b")[0]) == (1, "resample: 2 done, 1 failed")
    Path("in/b.png").write_bytes(good)
    # nor does a limit that lets more through mean other pictures
    status, lines = run(*again, "--max-pixels", 10**6, "--mode", "bilinear")
    assert (status, lines[-1].partition(", b")[0]) == (0, "resample: 1 done, 2 skipped")
    for name in ("a.png", "b.png", "deep/c.png"):
        with Image.open(Path("in", name)) as picture:
            assert picture.size == (20, 15)


def test_resuming(place: Path) -> None:
    """What changed is made again, and with other options all is."""
    args = ("in", "-r", "-o", "out/", "--resume", "done")
    for scale, change, told in (
        (2, None, "3 done"),
        (2, None, "3 skipped"),
        (2, "in/a.png", "1 done, 2 skipped"),
        (2, "out/b.png", "3 skipped"),
        (3, None, "2 done, 1 skipped"),
    ):
        if change:
            make(Path(change), seed=9)
        status, lines = run(*args, "--scale", scale)
        assert (status, lines[-1].partition(", bilinear")[0]) == (0, f"resample: {told}"), (scale, change)
    with open("done", "ab") as ledger:
        ledger.write(b'{"input": "/x", "outp')
    assert run(*args, "--scale", 3)[1][-1].startswith("resample: 3 skipped")
    assert run(*args[:-1], "in/a.png", "--scale", 3)[0] == 2
    Path("text").write_text("something\n")
    assert run(*args[:-1], "text", "--scale", 3) == (1, ["resample: error: text: is no ledger, or of another version"])


def test_deep_trees(place: Path) -> None:
    os.chdir("in")
    for _ in range(1200):
        os.mkdir("d")
        os.chdir("d")
    os.chdir(place)
    make(Path("in/", "d/" * 300, "x.png"))
    status, lines = run("in", "-r", "-o", "out/", "--scale", 2)
    assert (status, lines[-1].partition(", bilinear")[0]) == (0, "resample: 4 done")
    assert os.path.exists(f"out/{'d/' * 300}x.png")
    subprocess.run(["rm", "-r", "in/d", "out/d"], check=True)
