"""A disk that is full: nothing on it is broken, and what could not be written is named."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import runs

LIMIT, COUNT = 2 << 20, 30


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={LIMIT}", "tmpfs", str(place)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True)
    except OSError as error:
        pytest.skip(f"there is no mount: {error}")
    if done.returncode:
        pytest.skip(f"may not mount a tmpfs: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The inputs, `in`, and what becomes of them where there is room, `whole`."""
    place = tmp_path_factory.mktemp("source")
    runs.pictures(place / "in", COUNT, (200, 150), "png jpg webp tif gif j2k bmp")
    assert runs.run("in", "-r", "-o", "whole/", "--scale", 1.5, "-q", cwd=place).returncode == 0
    return place


@pytest.mark.parametrize("jobs", [1, 8])
def test_outputs_on_a_full_disk(small_disk: Path, source: Path, jobs: int) -> None:
    whole = runs.contents(source / "whole")
    assert sum(map(len, whole.values())) > 1.5 * LIMIT
    arguments = ("in", "-r", "-o", small_disk / "out", "--scale", 1.5, "-q", "-j", jobs, "--json")
    (small_disk / "out").mkdir()
    done = runs.run(*arguments, cwd=source)
    there = runs.contents(small_disk / "out")
    assert {name: whole[name] for name in there} == there
    assert 1 < len(there) < COUNT
    assert not runs.temporaries(small_disk)
    assert done.returncode == 1
    lines = done.stderr.decode().splitlines()
    records = [json.loads(line) for line in done.stdout.splitlines()]
    missing = sorted(whole.keys() - there.keys())
    assert sorted(record["path"] for record in records if record["status"] == "failed") == [f"in/{x}" for x in missing]
    for name in missing:
        assert f"resample: error: {small_disk}/out/{name}: cannot be written: No space left on device" in lines
    assert lines[-1].startswith(f"resample: {len(there)} done, {len(missing)} failed")


def test_originals_on_a_full_disk(small_disk: Path, source: Path) -> None:
    before = runs.contents(source / "in")
    kept = dict(list(before.items())[:10])
    for name, data in kept.items():
        (small_disk / name).parent.mkdir(exist_ok=True)
        (small_disk / name).write_bytes(data)
    with (small_disk / "rest").open("wb", buffering=0) as rest:
        while free := rest.write(bytes(LIMIT)):
            if free < LIMIT:
                break
    done = runs.run(".", "-r", "--in-place", "--scale", 1.5, "-q", cwd=small_disk)
    assert done.returncode == 1
    assert done.stderr.count(b": cannot be written: No space left on device\n") == len(kept)
    (small_disk / "rest").unlink()
    assert runs.contents(small_disk) == kept
    assert not runs.temporaries(small_disk)


@pytest.mark.parametrize("option", ["--resume", "--report"])
def test_notes_on_a_full_disk(small_disk: Path, source: Path, option: str, tmp_path: Path) -> None:
    """A line of a ledger or a report that is cut off spoils none of the next."""
    with (small_disk / "rest").open("wb", buffering=0) as rest:
        rest.write(bytes(LIMIT - 4096))
    out = tmp_path / "out"
    notes = (option, small_disk / "notes")
    done = runs.run("in", "-r", "-o", f"{out}/", "--scale", 0.5, "-q", *notes, cwd=source)
    assert done.returncode == 1
    assert b"notes: cannot be written: No space left on device" in done.stderr
    assert len(runs.contents(out)) == COUNT
    (small_disk / "rest").unlink()
    if option == "--resume":
        again = runs.run("in", "-r", "-o", f"{out}/", "--scale", 0.5, *notes, cwd=source)
        assert again.returncode == 0, again.stderr.decode()
        assert b"30 skipped" in again.stderr
        assert runs.run("in", "-r", "-o", f"{out}/", "--scale", 0.25, "-q", *notes, cwd=source).returncode == 0
