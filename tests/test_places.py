"""Addresses: what they show, how they are read, listed and written. fsspec's store in memory stands for others."""

from __future__ import annotations

import errno
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from resample_cli import main

import resample
from resample.files import Settings, formats, inputs, places
from resample.files.failures import Failure
from resample.transforms import Scale

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def store() -> Iterator[Any]:
    """A store in memory with pictures: memory://in/a.png, b.jpg and deep/c.png, and files that are none."""
    files = fsspec.filesystem("memory")
    for seed, name in enumerate(("a.png", "b.jpg", "deep/c.png", ".hidden/d.png")):
        files.pipe_file(f"/in/{name}", encoded(seed, "JPEG" if name.endswith("jpg") else "PNG"))
    files.pipe_file("/in/notes.txt", b"no picture")
    yield files
    files.store.clear()
    files.pseudo_dirs[:] = [""]


def encoded(seed: int, file_format: str = "PNG", size: tuple[int, int] = (40, 30)) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, file_format)
    return file.getvalue()


def call(*args: object, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    status = main.main([str(arg) for arg in args])
    written = capsys.readouterr()
    assert written.out == ""
    return status, written.err.splitlines()


def names(files: Any, folder: str) -> list[str]:
    return sorted(path.removeprefix(f"{folder}/") for path in files.find(folder))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("s3://bucket/a.jpg: is empty", "s3://bucket/a.jpg: is empty"),
        ("ftp://me:secret@host/a.jpg: no", "ftp://host/a.jpg: no"),
        ("sftp://me:se@cret@host:22/a.jpg", "sftp://host:22/a.jpg"),
        ("get https://host/a.jpg?sig=secret&x=1 failed", "get https://host/a.jpg?... failed"),
        ("'https://me@host/a.jpg?secret', not", "'https://host/a.jpg?...', not"),
        ("https://host/?k=secret -> az://key@place/out/", "https://host/?... -> az://place/out/"),
        ("s3://bucket/what?.jpg", "s3://bucket/what?.jpg"),
        ("simplecache::ftp://me:secret@host/a.jpg", "simplecache::ftp://host/a.jpg"),
        ("https://host/it's a b.jpg?sig=secret 40x30", "https://host/it's a b.jpg?... 40x30"),
        ("ftp://me:s'ecr\"et@host/a.jpg", "ftp://host/a.jpg"),
        ("s3://a/b?c.jpg -> https://host/a b?secret", "s3://a/b?c.jpg -> https://host/a b?..."),
        ("abfs://box@account.host/a.jpg?secret", "abfs://box@account.host/a.jpg?..."),
        ("what is a@b?c=d", "what is a@b?c=d"),
    ],
)
def test_no_secret_is_shown(text: str, shown: str) -> None:
    assert places.shown(text) == shown


def test_names_from_run_to_run() -> None:
    one, other = (places.known_as(f"https://me:{secret}@host/a.jpg?id={secret}") for secret in ("x1", "x2"))
    assert one != other
    assert "x1" not in one
    assert places.known_as("ftp://me:secret@host/a.jpg") == "ftp://host/a.jpg"
    assert places.known_as("a.jpg") == str(Path("a.jpg").absolute())


def test_addresses_of_local_files_are_paths(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.png").write_bytes(encoded(0))
    assert call(f"file://{tmp_path}/a.png", "--scale", 2, "-o", f"file://{tmp_path}/b.png", capsys=capsys)[0] == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]


def test_a_folder(store: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, lines = call("memory://in/", "-r", "-o", "memory://out/", "--scale", 2, capsys=capsys)
    assert (status, names(store, "/out")) == (0, ["a.png", "b.jpg", "deep/c.png"])
    assert lines[0] == "resample: memory://in/a.png 40x30 -> memory://out/a.png 80x60"
    for name in names(store, "/out"):
        (tmp_path / Path(name).name).write_bytes(store.cat_file(f"/in/{name}"))
    assert call(tmp_path, "-o", f"{tmp_path}/out/", "--scale", 2, capsys=capsys)[0] == 0
    for name in names(store, "/out"):
        assert (tmp_path / "out" / Path(name).name).read_bytes() == store.cat_file(f"/out/{name}")
    status, lines = call("memory://in/", "-o", "memory://out/", "--scale", 3, capsys=capsys)
    assert (status, lines[0]) == (0, "resample: skipped: memory://out/a.png: exists")


def test_there_and_back(store: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("memory://in/*.png", "memory://in/deep", "-o", f"{tmp_path}/", "--scale", 2, capsys=capsys)[0] == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "c.png"]
    template = "memory://out/{stem}-{width}-{index:02}.webp"
    assert call(tmp_path, "-o", template, "--scale", 2, capsys=capsys)[0] == 0
    assert names(store, "/out") == ["a-160-01.webp", "c-160-02.webp"]
    store.pipe_file("/list.txt", b"memory://in/b.jpg\nmemory://in/a.png\nmemory://in/b.jpg\n")
    report = "memory://reports/r.jsonl"
    assert call("@memory://list.txt", "-o", f"{tmp_path}/", "--scale", 3, "--report", report, capsys=capsys)[0] == 0
    lines = [json.loads(line) for line in store.cat_file("/reports/r.jsonl").splitlines()]
    assert [(line["number"], line["path"], line["status"]) for line in lines] == [
        (1, "memory://in/b.jpg", "done"), (2, "memory://in/a.png", "skipped"),
    ]  # fmt: skip
    status, lines = call("memory://in/b.jpg", "--scale", 3, "--report", report, capsys=capsys)
    assert (status, lines[0]) == (1, f"resample: error: {report}: cannot be written: File exists")
    assert call("memory://in/b.jpg", "--scale", 3, capsys=capsys)[0] == 0
    assert "b@3x.jpg" in names(store, "/in")


def test_keys_stay_in_the_folder_of_outputs(store: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = [f"{tmp_path}/evil.png", "/b.png", "../../up.png", "deep//c.png", "deep/../../d.png"]
    assert [inputs._inside(path) for path in given] == [
        f"{tmp_path}/evil.png"[1:], "b.png", "up.png", "deep//c.png", "d.png",
    ]  # fmt: skip

    def listed(*_: Any) -> list[places.Listed]:
        return [places.Listed("/a.png", None)]

    store.pipe_file("/in//a.png", encoded(1))
    for module, function, name in ((places, "listed", "memory://in/"), (places, "matching", "memory://in/*.png")):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, function, listed)
            assert call(name, "-o", f"{tmp_path}/{function}/", "--scale", 2, capsys=capsys)[0] == 0
        assert [path.name for path in (tmp_path / function).iterdir()] == ["a.png"]


def test_a_file_here_may_have_colons(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("std::vector.png").write_bytes(encoded(0))
    assert call("std::vector.png", "--scale", 2, capsys=capsys)[0] == 0
    assert Path("std::vector@2x.png").exists()
    assert [places.is_remote(path) for path in ("simplecache::s3://a/b", "zip://a::s3://b", "a::b", "./s3://a")] == [
        True, True, False, False,
    ]  # fmt: skip


def test_a_signed_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(places, "read", lambda path: encoded(0) if path.endswith("?sig=secret") else b"")
    monkeypatch.setattr(places, "state", lambda path: None)
    monkeypatch.chdir(tmp_path)
    address = "https://host/it's a.png?sig=secret"
    assert call(address, "-o", "one.png", "--scale", 2, capsys=capsys)[0] == 0
    Path("list").write_text(address)
    more = ("--resume", "ledger", "--report", "report")
    status, lines = call("@list", "-o", "new/", "--scale", 2, *more, capsys=capsys)
    assert (status, lines[0]) == (0, "resample: https://host/it's a.png?... 40x30 -> new/it's a.png 80x60")
    assert call("@list", "-o", "{stem}-{width}{ext}", "--scale", 2, capsys=capsys)[0] == 0
    assert {path.name for path in tmp_path.rglob("*.png")} == {"one.png", "it's a.png", "it's a-80.png"}
    assert not any("secret" in Path(name).read_text() for name in ("ledger", "report"))
    assert formats.is_shard("https://host/a.tar?sig=secret")


def test_names_that_are_no_patterns(store: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store.pipe_file("/in/x[1].png", encoded(4))
    assert call("memory://in/x[1].png", "-o", f"{tmp_path}/", "--scale", 2, capsys=capsys)[0] == 0
    assert (tmp_path / "x[1].png").exists()
    status, lines = call("a-{5..1}.png", "memory://in/b.jpg", "-o", f"{tmp_path}/", "--scale", 2, capsys=capsys)
    assert (status, "resample: error: a-{5..1}.png: matches nothing" in lines) == (1, True)


def test_two_names_of_a_store(capsys: pytest.CaptureFixture[str]) -> None:
    assert [places.plain(path) for path in ("s3a://a/s3a://b", "gcs://a", "s3://a", "s3ab://a", "file:///a")] == [
        "s3://a/s3a://b", "gs://a", "s3://a", "s3ab://a", "/a",
    ]  # fmt: skip
    status, lines = call("s3://b/a.png", "-o", "s3a://b/a.png", "--scale", 2, "--overwrite", capsys=capsys)
    assert (status, lines) == (
        1, ["resample: error: s3://b/a.png: the output is the input, which is never overwritten"],
    )  # fmt: skip


@pytest.mark.parametrize("name", ["memory://in/a.png", "memory://in/a*.png", "memory://in/"])
@pytest.mark.parametrize("output", ["memory://out/", "out/"])
def test_resume_sees_a_change_of_what_is_named(
    name: str, output: str, store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)

    def again() -> str:
        _, lines = call(name, "-o", output, "--scale", 2, "--resume", "ledger", capsys=capsys)
        return next(line for line in lines if "a.png" in line)

    assert "40x30 -> " in again()
    assert "skipped" in again()
    store.pipe_file("/in/a.png", encoded(9, size=(30, 20)))
    assert "30x20 -> " in again()


@pytest.mark.parametrize(
    ("entry", "state"),
    [
        ({"size": 3, "ETag": "x", "LastModified": 5}, [3, "x"]),
        ({"size": 3, "modify": "20260101"}, [3, "20260101"]),
        ({"size": 3, "Last-Modified": "Mon"}, [3, "Mon"]),
        ({"size": 3}, [3, None]),
        ({"size": None}, None),
    ],
)
def test_what_changes_with_a_file(entry: dict[str, Any], state: Any) -> None:
    assert places._state(entry) == state


def test_one_input_to_one_output(store: Any, capsys: pytest.CaptureFixture[str]) -> None:
    call("memory://in/a.png", "-o", "memory://x.png", "--scale", 2, capsys=capsys)
    before = store.cat_file("/x.png")
    status, lines = call("memory://in/b.jpg", "-o", "memory://x.png", "--scale", 2, capsys=capsys)
    assert (status, store.cat_file("/x.png")) == (1, before)
    assert lines == ["resample: error: memory://x.png: the output appeared meanwhile, and --overwrite is not given"]
    # what is there already was made by this very job, in a worker that died before it told
    assert call("memory://in/a.png", "-o", "memory://x.png", "--scale", 2, capsys=capsys)[0] == 0
    assert call("memory://in/b.jpg", "-o", "memory://x.png", "--scale", 2, "--overwrite", capsys=capsys)[0] == 0
    assert store.cat_file("/x.png") != before
    status, lines = call("memory://in/a.png", "-o", "memory://in/a.png", "--scale", 2, "--overwrite", capsys=capsys)
    assert (status, "is the input, which is never" in lines[0]) == (1, True)
    args = ("memory://in/a.png", "memory://in/b.jpg", "-o", "memory://in/{index}.png", "--overwrite", "--scale", 2)
    store.pipe_file("/in/1.png", encoded(5))
    status, lines = call("memory://in/1.png", *args, capsys=capsys)
    assert status == 1
    assert any("the output is the input" in line for line in lines)


@pytest.mark.parametrize(
    ("args", "status", "said"),
    [
        (("memory://in/none.png",), 1, "memory://in/none.png: cannot be read: "),
        (("memory://nothing/", "-o", "x/"), 3, "memory://nothing/: has no pictures"),
        (("memory://in/*.gif", "-o", "x/"), 3, "memory://in/*.gif: matches nothing"),
        (("nowhere://in/a.png",), 1, "Protocol not known: nowhere"),
        (("memory://in/a.png", "--in-place"), 2, "--in-place goes with files of this machine, not memory://in/a.png"),
        (("memory://in/", "-o", "x/", "--resume", "memory://l"), 2, "--resume takes a file of this machine"),
        (("memory://in/a.png", "--compare", "x.png"), 2, "--compare takes pictures in files of this machine"),
        (("x.tar",), 2, "shards take --output"),
        (("-", "--scheduler", "local:2"), 2, "--scheduler does not go with stdin and stdout"),
        (("a.png", "--scheduler", "local:2", "-j", "2"), 2, "--scheduler does not go with --jobs"),
        (("a.png", "--scheduler", "local:none"), 2, "local:none is not tcp://HOST:PORT, FILE.json or local:N"),
    ],
)
def test_what_is_refused(
    args: tuple[str, ...], status: int, said: str, store: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    found, lines = call(*args, "--scale", 2, capsys=capsys)
    assert (found, said in lines[0]) == (status, True), lines


def test_outputs_among_the_inputs_are_not_found(store: Any, capsys: pytest.CaptureFixture[str]) -> None:
    for size in (("-r", "-o", "memory://in/small/", "--scale", 0.5), ("--scale", 2)):
        for _ in range(2):
            assert call("memory://in/", *size, capsys=capsys)[0] == 0
    assert names(store, "/in/small") == ["a.png", "b.jpg", "deep/c.png"]
    assert [name for name in names(store, "/in") if "@" in name] == ["a@2x.png", "b@2x.jpg"]


def test_resume_goes_by_what_is_there(store: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ledger = tmp_path / "done.jsonl"
    args = ("memory://in/", "-r", "-o", "memory://out/", "--resume", ledger)

    def statuses(*more: object) -> list[str]:
        _, lines = call(*args, *more, capsys=capsys)
        return ["made" if " -> " in line else "skipped" for line in lines[:3]]

    assert statuses("--scale", 2) == ["made"] * 3
    assert statuses("--scale", 2) == ["skipped"] * 3
    store.rm("/out/b.jpg")
    assert statuses("--scale", 2) == ["skipped", "made", "skipped"]
    store.pipe_file("/in/a.png", encoded(9))
    assert statuses("--scale", 2) == ["made", "skipped", "skipped"]
    assert statuses("--scale", 3) == ["made"] * 3
    assert "secret" not in ledger.read_text()


def test_resize_folder(store: Any, tmp_path: Path) -> None:
    records = resample.resize_folder("memory://in", "memory://out", Scale(2))
    assert [(record.path, record.status) for record in records] == [
        (f"memory://in/{name}", "done") for name in ("a.png", "b.jpg", "deep/c.png")
    ]
    assert resample.resize_folder("memory://nothing", tmp_path, Scale(2)) == []
    settings = Settings(on_exists="overwrite")
    assert {
        record.status for record in resample.resize_folder("memory://in", tmp_path, Scale(2), settings=settings)
    } == {"done"}


def test_what_passes_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(places.time, "sleep", pauses.append)
    errors: list[Exception] = [OSError(errno.EBUSY, "slow down"), ConnectionResetError(), TimeoutError()]

    def call() -> str:
        if errors:
            raise errors.pop()
        return "done"

    assert (places._patiently(call), pauses) == ("done", [0.5, 1, 2])
    errors = [PermissionError("no")]
    with pytest.raises(PermissionError):
        places._patiently(call)
    errors = [OSError(errno.EBUSY, "slow down")] * 20
    with pytest.raises(OSError, match="slow down"):
        places._patiently(call)


def test_files_elsewhere_get_their_name_when_they_are_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stores of files, not objects: here fsspec's folder within a folder, over this machine's files."""
    from fsspec.implementations.dirfs import DirFileSystem

    files = DirFileSystem(str(tmp_path), fsspec.filesystem("file"))
    monkeypatch.setattr(places, "_found", lambda path: (files, path.partition("://")[2]))
    places.write("dir://new/a.bin", b"one", new=True)
    with pytest.raises(FileExistsError):
        places.write("dir://new/a.bin", b"two", new=True)
    places.write("dir://new/a.bin", b"two", new=False)
    assert (tmp_path / "new" / "a.bin").read_bytes() == b"two"

    def fail(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(files, "mv", fail)
    with pytest.raises(OSError, match="full"):
        places.write("dir://new/b.bin", b"one", new=True)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.bin"]


def test_without_fsspec(tmp_path: Path) -> None:
    code = (
        "import sys\nsys.modules['fsspec'] = sys.modules['fsspec.core'] = None\n"
        "from resample_cli.main import main\nsys.exit(main(['s3://bucket/a.png', '--scale', '2']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert "addresses take the package fsspec: pip install 'resample-images[remote]'" in done.stderr
    with pytest.raises(Failure, match="Protocol not known"):
        places.read("nowhere://a")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("zip://::{}/cars.zip", ["a.png"]),
        ("zip://in/::{}/cars.zip", ["b.png", "deep/c.png"]),
        ("zip://in::{}/cars.zip", ["b.png", "deep/c.png"]),
        ("zip://in/*.png::{}/cars.zip", ["b.png"]),
        ("zip://*.png::{}/cars.zip", ["a.png"]),
        ("zip://in/deep/c.png::{}/cars.zip", ["c.png"]),
        ("simplecache::memory://in/a.png", ["a.png"]),
        ("simplecache::memory://in/", ["a.png", "b.jpg", "deep/c.png"]),
        ("simplecache::memory://in/*.png", ["a.png"]),
    ],
)
def test_addresses_in_addresses(
    name: str, found: list[str], store: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with zipfile.ZipFile(tmp_path / "cars.zip", "w") as archive:
        for seed, member in enumerate(("a.png", "in/b.png", "in/deep/c.png")):
            archive.writestr(member, encoded(seed))
    given = (name.format(tmp_path), *(["-r"] if "in" in name else []))
    assert call(*given, "-o", f"{tmp_path}/out/", "--scale", 2, capsys=capsys)[0] == 0
    made = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*"))
    assert made == found
    if name.endswith("zip"):
        assert call(*given, "-o", f"{tmp_path}/new/{{index}}-{{stem}}{{ext}}", "--scale", 2, capsys=capsys)[0] == 0
        stems = sorted(path.stem.partition("-")[2] for path in (tmp_path / "new").iterdir())
        assert stems == [Path(path).stem for path in found]


def test_a_report_that_cannot_be_uploaded(
    store: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def upload(*_: Any) -> None:
        raise PermissionError("Access Denied")

    monkeypatch.setattr(places, "upload", upload)
    args = ("memory://in/a.png", "-o", "memory://out/", "--scale", 2, "--report", "memory://r.jsonl")
    status, lines = call(*args, capsys=capsys)
    assert (status, [line for line in lines if "error" in line]) == (
        1, ["resample: error: memory://r.jsonl: cannot be written: Access Denied"],
    )  # fmt: skip
    assert names(store, "/out") == ["a.png"]
