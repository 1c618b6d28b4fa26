"""Runs over folders: in place, taken up again, by any executor, and what is told meanwhile."""

from __future__ import annotations

import gc
import io
import json
import os
import subprocess
import sys
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile
from resample_cli import main

import resample
from resample.files import Settings, batch, output
from resample.files.ledger import Ledger
from resample.transforms import Resize, Scale


def picture(path: str, seed: int = 0, size: tuple[int, int] = (40, 30)) -> np.ndarray[Any, Any]:
    """Write a picture of size (width, height) and return its pixels."""
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


@pytest.fixture(autouse=True)
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray[Any, Any]]:
    monkeypatch.chdir(tmp_path)
    names = ("in/a.png", "in/b.png", "in/deep/c.png")
    return {name: picture(name, seed) for seed, name in enumerate(names)}


def contents(folder: str) -> dict[str, bytes]:
    found = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def size_of(path: str) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*args: object) -> tuple[int, list[str], list[str]]:
        status = main.main([str(arg) for arg in args])
        written = capsys.readouterr()
        assert not list(Path().rglob(".resample-*"))
        return status, written.err.splitlines(), written.out.splitlines()

    return run


# In place


def test_in_place(call: Any, tree: dict[str, Any]) -> None:
    os.chmod("in/a.png", 0o640)
    os.symlink("../b.png", "in/deep/link.png")
    os.rename("in/b.png", "b.png")
    os.symlink("../b.png", "in/b.png")
    status, lines, _ = call("in/a.png", "in/b.png", "--scale", 2, "--in-place")
    assert (status, size_of("in/a.png"), size_of("b.png")) == (0, (80, 60), (80, 60))
    assert os.path.islink("in/b.png")  # the link is kept, and what it names was replaced
    assert os.stat("in/a.png").st_mode & 0o777 == 0o640
    with Image.open("in/a.png") as image:
        np.testing.assert_array_equal(np.asarray(image), resample.resize(tree["in/a.png"], scale=2))
    assert lines[0] == "resample: in/a.png 40x30 -> in/a.png 80x60" or "/in/a.png 80x60" in lines[0]


@pytest.mark.skipif(os.name == "nt", reason="names have no newlines there")
def test_a_name_with_a_newline_is_made_once(call: Any) -> None:
    os.rename("in/a.png", "in/a\na.png")
    for _ in range(2):
        assert call("in", "--scale", 2)[0] == 0
    assert not os.path.exists("in/a\na@2x@2x.png")


def test_what_looks_made_is_replaced_too(call: Any) -> None:
    assert call("in", "--scale", 2)[0] == 0
    assert call("in", "--scale", 2, "--in-place")[0] == 0
    assert size_of("in/a@2x.png") == (160, 120)


def test_two_names_of_one_file_in_place(call: Any) -> None:
    os.symlink("a.png", "in/same.png")
    status, lines, _ = call("in/a.png", "in/same.png", "--scale", 2, "--in-place")
    assert (status, size_of("in/a.png")) == (0, (80, 60))
    assert "another INPUT too" in lines[1]


def test_in_place_keeps_the_format(call: Any) -> None:
    """Whatever the name says."""
    os.rename("in/a.png", "in/photo")
    os.rename("in/b.png", "in/b.jpg")
    assert call("in/photo", "in/b.jpg", "--scale", 2, "--in-place")[0] == 0
    for name in ("in/photo", "in/b.jpg"):
        with Image.open(name) as image:
            assert (image.format, image.size) == ("PNG", (80, 60))


@pytest.mark.parametrize("option", [["-o", "out/"], ["--format", "png"], ["--on-exists", "rename"]])
def test_what_does_not_go_with_in_place(call: Any, option: list[str]) -> None:
    status, lines, _ = call("in/a.png", "--scale", 2, "--in-place", *option)
    assert (status, "--in-place" in lines[0]) == (2, True)


def test_a_failure_in_place_leaves_the_input(call: Any) -> None:
    before = Path("in/a.png").read_bytes()
    Path("in/a.png").write_bytes(before[:-30])
    assert call("in/a.png", "--scale", 2, "--in-place")[0] == 1
    assert Path("in/a.png").read_bytes() == before[:-30]


# Taken up again


def test_resume(call: Any) -> None:
    args = ("in", "-r", "-o", "out/", "--scale", 2, "--resume", "done.jsonl", "--on-exists", "error")
    assert call(*args)[0] == 0
    whole = contents("out")
    status, lines, _ = call(*args)
    assert (status, [line.endswith(": done before") for line in lines[:3]]) == (0, [True] * 3)
    # what is gone, and what was made of an input that has changed since, is made again, though it exists
    os.unlink("out/a.png")
    picture("in/b.png", seed=9)
    status, lines, _ = call(*args)
    assert (status, sum("done before" in line for line in lines)) == (0, 1)
    again = contents("out")
    assert again["a.png"] == whole["a.png"]
    assert again["b.png"] != whole["b.png"]
    # other options make other outputs; what somebody else has put there is kept
    picture("out/deep/c.png", seed=7)
    foreign = contents("out")["deep/c.png"]
    status, lines, _ = call(*args[:5], 3, *args[6:])
    assert (status, size_of("out/a.png")) == (1, (120, 90))
    assert contents("out")["deep/c.png"] == foreign


def test_resume_in_place(call: Any) -> None:
    """A picture that was replaced is not shrunk again, also if the run ended before it could note that."""
    args = ("in", "-r", "--in-place", "--scale", 0.5, "--resume", "done.jsonl")
    assert call(*args)[0] == 0
    once = contents("in")
    assert call(*args)[0] == 0
    lines = Path("done.jsonl").read_text().splitlines()
    kept = [line for line in lines if "a.png" not in line or "made" not in line]
    assert len(kept) == len(lines) - 1
    Path("done.jsonl").write_text("\n".join(kept) + '\n{"input": "cut o')
    assert call(*args)[0] == 0
    assert contents("in") == once
    assert call(*args)[0] == 0
    assert contents("in") == once
    assert size_of("in/a.png") == (20, 15)


@pytest.mark.parametrize("text", ["something else\n", "[]\n", "{}", '"resample ledger 99"\n', "\0\0"])
def test_what_is_no_ledger(call: Any, text: str) -> None:
    Path("notes").write_text(text)
    status, lines, _ = call("in", "-o", "out/", "--scale", 2, "--resume", "notes")
    assert (status, "notes: is no ledger" in lines[0]) == (1, True)
    assert Path("notes").read_text() == text
    assert not os.path.exists("out")


def test_an_input_is_no_ledger(call: Any) -> None:
    before = Path("in/a.png").read_bytes()
    assert call("in", "-o", "out/", "--scale", 2, "--resume", "in/a.png")[0] == 2
    assert Path("in/a.png").read_bytes() == before


def test_a_dry_run_notes_nothing(call: Any) -> None:
    status, lines, _ = call("in", "-o", "out/", "--scale", 2, "--resume", "done.jsonl", "--dry-run")
    assert (status, os.path.exists("done.jsonl")) == (0, False)
    assert lines[0] == "resample: would write: in/a.png 40x30 -> out/a.png 80x60"


def test_ledgers_tell_options_apart(tmp_path: Path) -> None:
    picture("out.png")
    for transform, known in ((Scale(2), True), (Scale(3), False), (Scale(2, linear=True), False)):
        ledger = Ledger("ledger", transform)
        assert ledger.has("in/a.png", "out.png") is ((known and transform != Scale(2)) or False)
        ledger.close()
    ledger = Ledger("ledger", Scale(2))
    ledger.end("in/a.png", "out.png")
    assert not ledger.has("in/a.png", "out.png")  # it was never begun, so what it was made of is not known
    ledger.begin("in/a.png", "out.png")
    ledger.end("in/a.png", "out.png")
    ledger.close()
    for transform in (Scale(2), Scale(3), Scale(2, linear=True)):
        ledger = Ledger("ledger", transform)
        assert ledger.has("in/a.png", "out.png") is (transform == Scale(2))
        ledger.close()


# What killed processes leave


def test_leftovers_are_swept(call: Any) -> None:
    script = """
import os, sys
from resample.files import output
with output.whole_files(["out/new.png"], "error") as files:
    files[0].write(b"half")
    files[0].flush()
    print("written", flush=True)
    sys.stdin.read()
"""
    os.mkdir("out")
    busy = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    killed = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with busy, killed:
        for process in (busy, killed):
            assert process.stdout
            assert process.stdout.readline() == "written\n"
        killed.kill()
        killed.wait()
        Path("out/.resample-of-mine").touch()
        output._swept.clear()
        assert len(os.listdir("out")) == 3
        assert main.main(["in", "-o", "out/", "--scale", "2"]) == 0
        # what another process is about to write stays
        assert len([name for name in os.listdir("out") if name.startswith(".resample-")]) == 2
        busy.communicate("")
    assert sorted(os.listdir("out")) == [".resample-of-mine", "a.png", "b.png", "new.png"]


# The library's function


def test_resize_folder(tree: dict[str, Any]) -> None:
    Path("in/junk.png").write_text("junk")
    records = resample.resize_folder("in", "out", Resize(max_size=20), jobs=2)
    assert [(record.path, record.status) for record in records] == [
        ("in/a.png", "done"), ("in/b.png", "done"), ("in/junk.png", "failed"), ("in/deep/c.png", "done"),
    ]  # fmt: skip
    assert "in/junk.png: is not a picture" in records[2].reason
    assert (records[0].size, records[0].output, records[0].output_size) == ((40, 30), "out/a.png", (20, 15))
    with Image.open("out/deep/c.png") as image:
        np.testing.assert_array_equal(np.asarray(image), resample.resize(tree["in/deep/c.png"], (15, 20)))
    again = resample.resize_folder("in", "out", Resize(max_size=20))
    assert [record.status for record in again] == ["skipped", "skipped", "failed", "skipped"]
    flat = resample.resize_folder(Path("in"), Path("flat"), Scale(2), recursive=False, settings=Settings(png_level=0))
    assert [record.status for record in flat] == ["done", "done", "failed"]
    assert resample.resize_folder("flat", "none", Scale(2), settings=Settings(max_pixels=10))[0].refused


def test_the_current_folder_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given, gone = Path("in").absolute(), tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    records = resample.resize_folder(given, tmp_path / "out", Scale(2), jobs=2)
    assert {record.status for record in records} == {"done"}
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("jobs", [1, 2, 8])
def test_any_executor_makes_the_same(jobs: int) -> None:
    resample.resize_folder("in", "expected", Resize(max_size=25, mode="bicubic"), jobs=1)
    with ThreadPoolExecutor(jobs) as threads, ProcessPoolExecutor(jobs, get_context("spawn")) as processes:
        for number, executor in enumerate((None, threads, processes)):
            folder = f"out{number}"
            records = resample.resize_folder(
                "in", folder, Resize(max_size=25, mode="bicubic"), jobs=jobs, executor=executor
            )
            assert [record.status for record in records] == ["done"] * 3
            assert contents(folder) == contents("expected")
        assert threads.submit(int, "7").result() == 7  # it is the caller's, and goes on


class _Broken(Executor):
    """An executor whose workers die."""

    def submit(self, *args: Any, **kwargs: Any) -> Future[Any]:
        if "in/a.png" in args[1][0].path:
            raise RuntimeError("no worker")
        future: Future[Any] = Future()
        future.set_exception(RuntimeError("a worker died"))
        return future


def test_workers_that_die(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "_MOST", 1)  # jobs a task
    records = resample.resize_folder("in", "out", Scale(2), executor=_Broken())
    assert [record.reason for record in records] == [
        "in/a.png: no worker", "in/b.png: a worker died", "in/deep/c.png: a worker died",
    ]  # fmt: skip


class _Poisoned(Executor):
    """Its workers die of one picture."""

    def submit(self, fn: Any, /, *args: Any, **_: Any) -> Future[Any]:
        future: Future[Any] = Future()
        if any(job.path == "in/b.png" for job in args[0]):
            future.set_exception(RuntimeError("a worker died"))
        else:
            future.set_result(fn(*args))
        return future


def test_what_kills_a_worker_fails_alone() -> None:
    records = resample.resize_folder("in", "out", Scale(2), executor=_Poisoned())
    assert [record.reason for record in records] == ["", "in/b.png: a worker died", ""]
    assert sorted(path.name for path in Path("out").rglob("*.png")) == ["a.png", "c.png"]


class _Odd:
    """A transform of the user's own that fails."""

    def output_size(self, size: tuple[int, int]) -> tuple[int, int]:
        return size

    def __call__(self, image: Image.Image) -> Image.Image:
        if image.getpixel((0, 0)) == (1, 2, 3):
            raise LookupError("not this one")
        return image.rotate(180)


def test_a_transform_of_ones_own(tree: dict[str, Any]) -> None:
    Image.new("RGB", (5, 5), (1, 2, 3)).save("in/b.png")
    records = resample.resize_folder("in", "out", _Odd(), jobs=2)
    assert [record.status for record in records] == ["done", "failed", "done"]
    assert records[1].reason == "in/b.png: cannot be resampled: not this one"
    with Image.open("out/a.png") as image:
        np.testing.assert_array_equal(np.asarray(image), tree["in/a.png"][::-1, ::-1])


@pytest.mark.parametrize(("args", "error"), [({"jobs": 0}, ValueError), ({"src": "in/a.png"}, NotADirectoryError)])
def test_wrong_calls(args: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match=r"got (0|'in/a\.png')"):
        resample.resize_folder(**({"src": "in", "dst": "out", "transform": Scale(2)} | args))


def test_threads_of_the_caller_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESAMPLE_NUM_THREADS", "2")
    before = resample.get_num_threads()
    resample.resize_folder("in", "out", Scale(2), jobs=2)
    assert resample.get_num_threads() == before


def test_memory_is_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures that together need more than there is are worked on one after the other, and all are made."""
    from resample.files import job, room

    small, at_work, original = room.Room(40 * 30 * 24), [], Scale.__call__

    def seen(self: Scale, image: Any) -> Any:
        at_work.append(image)
        assert len(at_work) == 1
        time.sleep(0.05)
        result = original(self, image)
        at_work.clear()
        return result

    monkeypatch.setattr(Scale, "__call__", seen)
    monkeypatch.setattr(job, "usual_room", lambda: small)
    records = resample.resize_folder("in", "out", Scale(2), jobs=3)
    assert [record.status for record in records] == ["done"] * 3
    assert small.taken == 0


def test_threads_that_begin_at_once_share_one_room(monkeypatch: pytest.MonkeyPatch) -> None:
    from resample.files import room

    def slow() -> Iterator[int]:
        time.sleep(0.1)
        yield 1 << 30

    monkeypatch.setattr(room, "_limits", slow)
    monkeypatch.setattr(room, "_room", None)
    with ThreadPoolExecutor(8) as threads:
        rooms = list(threads.map(lambda _: room.usual(), range(8)))
    assert len(set(rooms)) == 1


def test_memory_is_given_back_when_nothing_is_left_of_a_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of one that failed, and before it is tried again alone."""
    from resample.files import room

    pictures: list[weakref.ref[Image.Image]] = []
    counts: list[tuple[int, bool]] = []
    original, give_back, take = Scale.__call__, room.Share.give_back, room.Share.take

    def called(self: Scale, image: Image.Image) -> Any:
        pictures.append(weakref.ref(image))
        pictures.append(weakref.ref(result := original(self, image)))
        if len(pictures) == 4:
            raise MemoryError
        return result

    def is_clear() -> bool:
        return all(picture() is None for picture in pictures)

    def gives_back(self: room.Share) -> None:
        counts.append((self.room.shares[self], is_clear()))
        give_back(self)

    def takes(self: room.Share, nbytes: int) -> None:
        assert is_clear()
        take(self, nbytes)

    monkeypatch.setattr(Scale, "__call__", called)
    monkeypatch.setattr(room.Share, "give_back", gives_back)
    monkeypatch.setattr(room.Share, "take", takes)
    gc.disable()
    try:
        records = resample.resize_folder("in", "out", Scale(2), jobs=1)
    finally:
        gc.enable()
    assert [record.status for record in records] == ["done"] * 3
    cost = 40 * 30 * (8 + 4 * 24)
    # the second picture had its share, then all there is
    assert counts == [(cost, True), (cost, True), (room.usual().nbytes, True), (cost, True)]


def fail_first(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, failures: list[Exception]) -> list[Exception]:
    """Have the first calls of a method raise these, and return what is left of them."""
    original = getattr(owner, name)

    def method(*args: Any) -> Any:
        if failures:
            raise failures.pop()
        return original(*args)

    monkeypatch.setattr(owner, name, method)
    return failures


def test_a_lack_of_memory_is_tried_again_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_first(monkeypatch, Scale, "__call__", [MemoryError(), MemoryError()])
    records = resample.resize_folder("in", "out", Scale(2), jobs=1)
    assert [record.reason for record in records] == ["in/a.png: not enough memory", "", ""]


@pytest.mark.parametrize(
    "error",
    [
        OSError("could not create decoder object"),
        OSError("out of memory when reading image file"),
        OSError(12, "Cannot allocate memory"),
        MemoryError(),
    ],
)
def test_what_may_be_a_lack_of_memory_is_tried_again(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    failures = fail_first(monkeypatch, ImageFile.ImageFile, "load", [error])
    records = resample.resize_folder("in", "out", Scale(2), jobs=1)
    assert failures == []
    assert [record.status for record in records] == ["done"] * 3


@pytest.mark.parametrize("error", [OSError("broken data stream"), OSError(2, "No such file", "out of memory.png")])
def test_what_is_no_lack_of_memory_is_not(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_first(monkeypatch, ImageFile.ImageFile, "load", [error])
    records = resample.resize_folder("in", "out", Scale(2), jobs=1)
    assert [record.status for record in records] == ["failed", "done", "done"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX")
def test_a_forked_child_has_a_room_of_its_own() -> None:
    """Though a thread that it does not have holds the turn, and all of the room."""
    from resample.files import room

    here = room.usual()
    with here.alone():
        child = os.fork()
        if child == 0:
            there = room.usual()
            with there.alone():
                os._exit(0 if there is not here else 1)
        for _ in range(200):
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                break
            time.sleep(0.05)
        else:
            os.kill(child, 9)
            pytest.fail("the child waits")
    assert status == 0


# What is told


def test_json(call: Any) -> None:
    Path("in/junk.png").write_text("junk")
    status, _, lines = call("in", "-o", "out/", "--scale", 2, "--json", "--report", "report.jsonl")
    assert status == 1
    assert lines == Path("report.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert [(record["path"], record["status"]) for record in records] == [
        ("in/a.png", "done"), ("in/b.png", "done"), ("in/junk.png", "failed"),
    ]  # fmt: skip
    assert records[0]["output_size"] == [80, 60]
    assert "is not a picture" in records[2]["reason"]


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rich")
    monkeypatch.setenv("TERM", "xterm")
    Path("in/junk.png").write_text("junk")
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert main.main(["in", "-o", "out/", "--scale", "2"]) == 1
    shown = terminal.getvalue()
    assert "files/s" in shown
    assert "in/a.png 40x30" not in shown  # lines of what went well would scroll the bar away
    assert "error: in/junk.png: is not a picture" in shown
    assert "2 done, 1 failed" in shown


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion(call: Any, shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("shtab")
    with pytest.raises(SystemExit) as stop:
        main.main(["--print-completion", shell])
    assert stop.value.code == 0
    script = capsys.readouterr().out
    assert "max-side" in script
    assert "nearest-exact" in script
    if shell == "bash":
        assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0


def test_sizes_between_are_refused(call: Any) -> None:
    """What is cut off in the end has to be computed before."""
    picture("long.png", size=(1, 3000))
    status, lines, _ = call("long.png", "--size", "1000x1000", "--fit", "cover", "--max-pixels", 2_000_000)
    assert (status, "an output of 1000x3000000 has more than 2000000 pixels" in lines[0]) == (2, True)


def test_templates_stay_below_their_fields(call: Any) -> None:
    status, lines, _ = call("in", "-o", "{dir}/../{stem}{ext}", "--scale", 2)
    assert (status, "has .. behind a field" in lines[0]) == (2, True)
    assert call("in", "-o", "../{stem}-elsewhere{ext}", "--scale", 2, "--dry-run")[0] == 0


def test_no_executor_holds_all_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inputs are looked at as workers get to them."""
    monkeypatch.setattr(batch, "_MOST", 1)  # jobs a task
    for number in range(20):
        picture(f"many/{number}.png")
    waiting = 0

    class Counting(ThreadPoolExecutor):
        def submit(self, *args: Any, **kwargs: Any) -> Future[Any]:
            nonlocal waiting
            waiting = max(waiting, self._work_queue.qsize())
            return super().submit(*args, **kwargs)

    with Counting(1) as executor:
        resample.resize_folder("many", "out", Scale(2), executor=executor, jobs=1)
    assert waiting <= 2
    assert len(os.listdir("out")) == 20
