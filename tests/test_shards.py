"""Shards: tar files in webdataset's layout, in and out."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from resample_cli import main

import resample
from resample.files import Settings, places, shards
from resample.files.batch import run_all
from resample.files.job import Job
from resample.transforms import Scale

Member = tuple[str, bytes]


def encoded(seed: int, file_format: str = "PNG", size: tuple[int, int] = (40, 30)) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, file_format)
    return file.getvalue()


def sample(number: int) -> list[Member]:
    """Return the members of one sample."""
    label = json.dumps({"label": number}).encode()
    return [(f"{number:05}.jpg", encoded(number, "JPEG")), (f"{number:05}.json", label), (f"{number:05}.cls", b"7")]


def write(path: Path, members: list[Member]) -> None:
    with tarfile.open(path, "w") as shard:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime, entry.uname = len(content), 1_500_000_000, "somebody"
            shard.addfile(entry, io.BytesIO(content))


def read(path: Path | str) -> list[Member]:
    with tarfile.open(path) as shard:
        return [(member.name, shard.extractfile(member).read()) for member in shard]  # type: ignore[union-attr]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with shards-000.tar to shards-002.tar of four samples each."""
    monkeypatch.chdir(tmp_path)
    for shard in range(3):
        write(Path(f"shards-{shard:03}.tar"), [member for k in range(4) for member in sample(4 * shard + k)])
    return tmp_path


@pytest.fixture
def call(place: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Any]:
    def run(*args: object) -> tuple[int, list[str]]:
        status = main.main([str(arg) for arg in args])
        written = capsys.readouterr()
        assert written.out == ""
        assert not list(place.rglob(".resample-*"))
        return status, written.err.splitlines()

    return run


def test_shards_to_shards(call: Any) -> None:
    status, lines = call("shards-{000..002}.tar", "-o", "small-{shard}.tar", "--scale", 0.5, "-j", 2)
    assert (status, lines[0]) == (0, "resample: shards-000.tar -> small-shards-000.tar, 4 pictures")
    for shard in range(3):
        before, after = read(f"shards-{shard:03}.tar"), read(f"small-shards-{shard:03}.tar")
        assert [name for name, _ in after] == [name for name, _ in before]
        for (name, old), (_, new) in zip(before, after, strict=True):
            if not name.endswith(".jpg"):
                assert new == old
                continue
            # the same file that the picture by itself becomes
            Path("one.jpg").write_bytes(old)
            assert call("one.jpg", "-o", "two.jpg", "--scale", 0.5, "--overwrite")[0] == 0
            assert new == Path("two.jpg").read_bytes()
    with tarfile.open("small-shards-000.tar") as made:
        assert {(member.mtime, member.uname) for member in made} == {(1_500_000_000, "somebody")}
    assert call("shards-{000..002}.tar", "-o", "small-{shard}.tar", "--scale", 0.5)[1][-1].startswith(
        "resample: 3 skipped"
    )


def test_another_format(call: Any) -> None:
    write(Path("one.tar"), [*sample(1), ("x.png", encoded(2)), ("._y.jpg", b"of another system"), ("z.txt", b"text")])
    assert call("one.tar", "-o", "new/", "--scale", 2, "--format", "webp")[0] == 0
    members = dict(read("new/one.tar"))
    assert list(members) == ["00001.webp", "00001.json", "00001.cls", "x.webp", "._y.jpg", "z.txt"]
    with Image.open(io.BytesIO(members["x.webp"])) as image:
        assert (image.format, image.size) == ("WEBP", (80, 60))


def test_folders_links_and_long_names_pass_through(call: Any) -> None:
    with tarfile.open("one.tar", "w", format=tarfile.PAX_FORMAT) as shard:
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        shard.addfile(folder)
        link = tarfile.TarInfo("link.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "elsewhere.jpg"
        shard.addfile(link)
        for name in (f"folder/{'n' * 200}.jpg", f"folder/{'n' * 200}.txt", "folder/ü.png"):
            content = encoded(1, "PNG" if name.endswith("png") else "JPEG")
            entry = tarfile.TarInfo(name)
            entry.size, entry.pax_headers = len(content), {"comment": "kept"}
            shard.addfile(entry, io.BytesIO(content))
    assert call("one.tar", "-o", "two.tar", "--scale", 2)[0] == 0
    with tarfile.open("one.tar") as before, tarfile.open("two.tar") as after:
        old, new = before.getmembers(), after.getmembers()
        assert [(member.name, member.type, member.linkname) for member in new] == [
            (member.name, member.type, member.linkname) for member in old
        ]
        assert new[2].pax_headers["comment"] == "kept"
        for member in (new[2], new[4]):
            with Image.open(after.extractfile(member)) as image:  # type: ignore[arg-type]
                assert image.size == (80, 60)


@pytest.mark.parametrize("pax", [False, True])
def test_members_with_holes_become_whole(pax: bool, call: Any) -> None:
    """Of 4096 zeros, five bytes and 1000 zeros tar keeps the middle: GNU's old way, and that of pax."""
    entry = tarfile.TarInfo("a.bin")
    stored, real = b"hello", 5101
    if pax:
        stored = b"1\n4096\n5\n".ljust(512, b"\0") + stored
        entry.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "a.bin"}
        entry.pax_headers["GNU.sparse.realsize"] = str(real)
    else:
        entry.type = tarfile.GNUTYPE_SPARSE
    entry.size = len(stored)
    header = bytearray(entry.tobuf(tarfile.PAX_FORMAT if pax else tarfile.GNU_FORMAT))
    if not pax:
        header[386:410], header[483:495] = b"%011o\0%011o\0" % (4096, 5), b"%011o\0" % real
        header[148:156] = b"%06o\0 " % (sum(header[:148]) + 8 * 32 + sum(header[156:]))
    write(Path("label.tar"), [("a.cls", b"7"), ("a.png", encoded(1))])
    Path("one.tar").write_bytes(
        bytes(header) + stored.ljust(-(-len(stored) // 512) * 512, b"\0") + Path("label.tar").read_bytes()
    )
    content = bytes(4096) + b"hello" + bytes(1000)
    assert read("one.tar")[0] == ("a.bin", content)
    assert call("one.tar", "-o", "two.tar", "--scale", 2)[0] == 0
    assert read("two.tar")[:2] == [("a.bin", content), ("a.cls", b"7")]


def test_members_of_an_unknown_kind_pass_through(call: Any) -> None:
    with tarfile.open("one.tar", "w") as shard:
        for name, kind in (("a.jpg", b"D"), ("b.jpg", tarfile.LNKTYPE), ("c.txt", tarfile.REGTYPE)):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, "a.jpg" if kind == tarfile.LNKTYPE else ""
            entry.size = 0 if kind == tarfile.LNKTYPE else 700
            shard.addfile(entry, io.BytesIO(b"x" * 700) if entry.size else None)
    assert call("one.tar", "-o", "two.tar", "--scale", 2)[0] == 0
    with tarfile.open("one.tar") as before, tarfile.open("two.tar") as after:
        assert [(member.name, member.type, member.size) for member in after] == [
            (member.name, member.type, member.size) for member in before
        ]
    assert Path("two.tar").read_bytes().count(b"x" * 700) == 2


def test_a_picture_that_fails_is_left_out(call: Any) -> None:
    write(Path("one.tar"), [*sample(1), ("bad.jpg", b"junk"), ("bad.json", b"{}"), ("empty.png", b""), *sample(2)])
    status, lines = call("one.tar", "-o", "two.tar", "--scale", 2, "--report", "r.jsonl")
    assert [name for name, _ in read("two.tar")] == [
        "00001.jpg", "00001.json", "00001.cls", "bad.json", "00002.jpg", "00002.json", "00002.cls",
    ]  # fmt: skip
    assert status == 1
    assert [line for line in lines if "error" in line][1] == "resample: error: one.tar/empty.png: is empty"
    found = [json.loads(line) for line in Path("r.jsonl").read_text().splitlines()]
    assert [(record["path"], record["status"], record["number"]) for record in found] == [
        ("one.tar/bad.jpg", "failed", 1), ("one.tar/empty.png", "failed", 1), ("one.tar", "done", 1),
    ]  # fmt: skip
    assert found[2]["pictures"] == 2


def test_a_lack_of_memory(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture without memory is tried again, a shard is not: its pictures would wait for it, which has it all."""
    write(Path("one.tar"), [*sample(1), *sample(2)])
    original, lacks = Scale.__call__, [True, True, False, True, False, False]

    def scarce(self: Scale, image: Any) -> Any:
        if lacks.pop(0):
            raise MemoryError
        return original(self, image)

    with monkeypatch.context() as patch:
        patch.setattr(Scale, "__call__", scarce)
        status, lines = call("one.tar", "-o", "two.tar", "--scale", 2)
        assert "resample: error: one.tar/00001.jpg: not enough memory" in lines
        assert (status, [name for name, _ in read("two.tar")][:2]) == (1, ["00001.json", "00001.cls"])
        assert len(read("two.tar")) == 5
        assert call("one.tar", "-o", "three.tar", "--scale", 2)[0] == 0
        assert lacks == []
    calls = []

    def without(*args: Any) -> int:
        calls.append(args)
        raise MemoryError

    monkeypatch.setattr(shards, "_copied", without)
    status, lines = call("one.tar", "-o", "four.tar", "--scale", 2)
    assert (status, len(calls)) == (1, 1)
    assert "resample: error: one.tar: not enough memory" in lines


def test_records_from_a_worker_in_another_folder(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    write(Path("one.tar"), [*sample(1), ("bad.jpg", b"junk")])
    job = Job("one.tar", "two.tar", None, Scale(2), Settings(on_exists="overwrite"), 1, 1)
    here, version = Path.cwd(), resample.__version__
    expected = run_all([job, job._replace(path="none.tar")], version, str(here))
    (here / "elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    found = run_all([job, job._replace(path="none.tar")], version, str(here))
    assert [each._replace(seconds=0) for each in found] == [each._replace(seconds=0) for each in expected]
    assert [each.path for each in found] == ["one.tar/bad.jpg", "one.tar", "none.tar"]
    assert (here / "two.tar").exists()


def test_two_members_with_one_name(call: Any) -> None:
    write(Path("one.tar"), [("a.jpg", encoded(1, "JPEG")), ("a.jpg", encoded(2, "JPEG")), ("a.png", encoded(3))])
    status, lines = call("one.tar", "-o", "two.tar", "--scale", 2)
    assert (status, [name for name, _ in read("two.tar")]) == (1, ["a.jpg", "a.png"])
    assert "resample: error: one.tar/a.jpg: left out, as the shard has another picture a.jpg" in lines
    status, lines = call("one.tar", "-o", "three.tar", "--scale", 2, "--format", "webp")
    assert (status, [name for name, _ in read("three.tar")]) == (1, ["a.webp"])
    assert "resample: error: one.tar/a.png: left out, as the shard has another picture a.webp" in lines


def test_a_shard_that_is_cut_off(call: Any) -> None:
    whole = Path("shards-000.tar").read_bytes()
    with tarfile.open("shards-000.tar") as shard:
        ends = [member.offset_data + -(-member.size // 512) * 512 for member in shard]
    # within a picture, within a label, within a header, where a member ends
    for length in (ends[5] + 700, ends[0] + 520, ends[2] + 100, ends[2], ends[-1], 10, 0):
        Path("cut.tar").write_bytes(whole[:length])
        status, lines = call("cut.tar", "-o", "out.tar", "--scale", 2)
        assert (status, "cut.tar: is" in lines[0]) == (1, True), (length, lines)
        assert not Path("out.tar").exists()
    Path("cut.tar").write_bytes(b"text" * 1000)
    assert "cut.tar: is no shard, or damaged" in call("cut.tar", "-o", "out.tar", "--scale", 2)[1][0]
    # the others are made all the same
    assert call("shards-000.tar", "cut.tar", "shards-001.tar", "-o", "out/", "--scale", 2)[0] == 1
    assert sorted(path.name for path in Path("out").iterdir()) == ["shards-000.tar", "shards-001.tar"]


def test_a_disk_that_is_full(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    added = tarfile.TarFile.addfile

    def addfile(self: tarfile.TarFile, member: tarfile.TarInfo, file: Any = None) -> None:
        if member.name == "00001.json":
            raise OSError(28, "No space left on device")
        added(self, member, file)

    monkeypatch.setattr(tarfile.TarFile, "addfile", addfile)
    status, lines = call("shards-000.tar", "-o", "out.tar", "--scale", 2)
    assert (status, Path("out.tar").exists()) == (1, False)
    assert lines == ["resample: error: out.tar: cannot be made of shards-000.tar: No space left on device"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("shards-000.tar", "-o", "out.png"), "shards-000.tar: shards, and only these, are made to shards"),
        (("a.png", "-o", "out.tar"), "a.png: shards, and only these, are made to shards"),
        (("shards-000.tar", "-o", "{stem}-{width}.tar"), "shards-000.tar: "),
        (("shards-000.tar",), "shards take --output"),
        (("shards-000.tar", "--in-place"), "--in-place goes with files of this machine, not shards-000.tar"),
        (("none.tar", "-o", "out.tar"), "none.tar: cannot be read: No such file or directory"),
    ],
)
def test_what_is_refused(args: tuple[str, ...], said: str, call: Any) -> None:
    Path("a.png").write_bytes(encoded(0))
    status, lines = call(*args, "--scale", 2)
    assert (status in (1, 2), said in lines[0]) == (True, True), lines
    assert sorted(path.name for path in Path().glob("*.tar")) == [f"shards-{k:03}.tar" for k in range(3)]


def test_names_with_braces_are_files_first(call: Any) -> None:
    Path("shards-000.tar").rename("{0..1}.tar")
    assert call("{0..1}.tar", "-o", "out.tar", "--scale", 2)[0] == 0
    assert len(read("out.tar")) == 12


def test_dry_run_and_resume(call: Any) -> None:
    args = ("shards-{000..002}.tar", "-o", "out/", "--scale", 2, "--resume", "done")
    assert call(*args, "--dry-run")[1][0] == "resample: would write: shards-000.tar -> out/shards-000.tar"
    assert not Path("out").exists()
    assert call(*args)[0] == 0
    first = Path("out/shards-001.tar").read_bytes()
    Path("out/shards-001.tar").unlink()
    assert call(*args)[1][-1].startswith("resample: 1 done, 2 skipped")
    assert Path("out/shards-001.tar").read_bytes() == first


def test_a_store(call: Any) -> None:
    fsspec = pytest.importorskip("fsspec")
    files = fsspec.filesystem("memory")
    for shard in range(3):
        files.pipe_file(f"/in/{shard}.tar", Path(f"shards-{shard:03}.tar").read_bytes())
    assert call("shards-{000..002}.tar", "-o", "out/", "--scale", 2)[0] == 0
    assert call("memory://in/{0..2}.tar", "-o", "memory://out/{shard}.tar", "--scale", 2)[0] == 0
    for shard in range(3):
        assert places.read(f"memory://out/{shard}.tar") == Path(f"out/shards-{shard:03}.tar").read_bytes()
    # what is there already is of this very job, in a worker that died before it told
    again = ("memory://in/1.tar", "-o", "memory://out/1.tar", "--on-exists", "error", "--scale")
    assert call(*again, 2)[0] == 0
    status, lines = call(*again, 3)
    assert (status, "memory://out/1.tar: the output appeared meanwhile" in lines[0]) == (1, True)
    assert call("memory://in/*.tar", "-o", "memory://out/", "--scale", 2)[1][0] == (
        "resample: skipped: memory://out/0.tar: exists"
    )
    files.pipe_file("/in/1.tar", files.cat_file("/in/1.tar")[:3000])
    assert call("memory://in/{0..2}.tar", "-o", "memory://new/", "--scale", 2)[0] == 1
    assert sorted(files.ls("/new", detail=False)) == ["/new/0.tar", "/new/2.tar"]
    files.store.clear()


def test_resample_is_what_shards_get(call: Any) -> None:
    content = encoded(3)
    write(Path("one.tar"), [("a.png", content)])
    assert call("one.tar", "-o", "two.tar", "--scale", 2)[0] == 0
    with Image.open(io.BytesIO(content)) as before, Image.open(io.BytesIO(read("two.tar")[0][1])) as after:
        np.testing.assert_array_equal(np.asarray(after), np.asarray(resample.resize(before, scale=2)))
