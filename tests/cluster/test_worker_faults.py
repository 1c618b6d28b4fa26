"""Workers, schedulers and stores that fail: all outputs are whole, none is missing but those that are told of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sites import Site, contents, until

COUNT = 200


def expected(site: Site, *more: object) -> dict[str, bytes]:
    assert site.command("in", "-r", "-o", "expected/", "--scale", 3, *more).returncode == 0
    return contents(site.folder / "expected")


def written(folder: Path) -> int:
    return sum(path.is_file() and not path.name.startswith(".") for path in folder.rglob("*"))


@pytest.mark.parametrize("which", [1, 2])
def test_a_worker_is_killed(site: Site, which: int) -> None:
    before = expected(site)
    address, processes = site.scheduler()
    process = site.begun("in", "-r", "-o", "out/", "--scale", 3, "--scheduler", address, "--report", "r.jsonl")
    until(lambda: written(site.folder / "out") > 20 * which)
    processes[which].kill()
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    records = [json.loads(line) for line in (site.folder / "r.jsonl").read_text().splitlines()]
    assert sorted(record["number"] for record in records) == list(range(1, COUNT + 1))
    after = contents(site.folder / "out")
    # what the killed process was writing has a name of its own, which the next run there removes
    left = {name for name in after if Path(name).name.startswith(".resample-")}
    assert {name: content for name, content in after.items() if name not in left} == before
    assert site.command("in", "-r", "-o", "out/", "--scale", 3).returncode == 0
    assert contents(site.folder / "out") == before


def test_the_scheduler_is_gone(site: Site) -> None:
    before = expected(site)
    address, processes = site.scheduler()
    arguments = ("in", "-r", "-o", "out/", "--scale", 3, "--resume", "ledger")
    process = site.begun(*arguments, "--scheduler", address)
    until(lambda: written(site.folder / "out") > 20)
    processes[0].kill()
    _, said = process.communicate(timeout=120)
    assert process.returncode == 1
    assert f"resample: error: --scheduler {address}: it has gone; the same command, with --resume, does" in said
    assert "Traceback" not in said
    for worker in processes[1:]:
        worker.kill()
        worker.wait()
    done = site.command(*arguments)
    assert done.returncode == 0, done.stderr
    assert contents(site.folder / "out") == before


def test_a_store_that_is_busy(site: Site, store: Any) -> None:
    before = expected(site)
    for path, content in contents(site.folder / "in").items():
        store.put_object(Bucket="given", Key=path, Body=content)
    site.fault(busy=60)
    done = site.command("s3://given/", "-r", "-o", "s3://made/", "--scale", 3, "--scheduler", "local:2")
    assert done.returncode == 0, done.stderr
    assert int(site.faults.with_suffix(".refused").read_text()) == 60
    for name, content in before.items():
        assert store.get_object(Bucket="made", Key=name)["Body"].read() == content


def test_a_store_that_denies(site: Site, store: Any) -> None:
    site.fault(denied="made")
    done = site.command("in/0", "-o", "s3://made/", "--scale", 3, "--scheduler", "local:2")
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    errors = [line for line in lines if line.startswith("resample: error: s3://made/")]
    assert len(errors) == COUNT // 5
    assert errors[0].endswith(": cannot be written: Access Denied")
    assert "Traceback" not in done.stderr
    done = site.command("in/0", "-o", "out/", "--scale", 3, "--report", "s3://made/r.jsonl")
    assert (done.returncode, done.stderr) == (
        1,
        "resample: error: s3://made/r.jsonl: cannot be written: Access Denied\n",
    )
    assert not (site.folder / "out").exists()


def test_a_bucket_that_is_not_there(site: Site, store: Any) -> None:
    done = site.command("s3://none/", "-o", "out/", "--scale", 3)
    assert (done.returncode, done.stderr) == (3, "resample: error: s3://none/: has no pictures, or is not there\n")
    done = site.command("in/0/000.png", "-o", "s3://none/a.png", "--scale", 3)
    assert done.returncode == 1
    assert done.stderr.startswith("resample: error: s3://none/a.png: cannot be written: ")


def test_a_store_that_does_not_answer(site: Site, store: Any) -> None:
    site.processes[-1].kill()
    site.processes[-1].wait()
    done = site.command("s3://given/", "-o", "out/", "--scale", 3, AWS_MAX_ATTEMPTS="1")
    assert done.returncode == 1
    assert done.stderr.startswith("resample: error: s3://given/: cannot be listed: ")
    assert "Traceback" not in done.stderr


def test_no_scheduler(site: Site) -> None:
    done = site.command("in", "-r", "-o", "out/", "--scale", 3, "--scheduler", "tcp://127.0.0.1:9")
    assert done.returncode == 1
    assert done.stderr.startswith("resample: error: --scheduler tcp://127.0.0.1:9: ")
    assert done.stderr.count("\n") == 1
