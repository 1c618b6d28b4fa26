"""The command and `resize_folder` on workers of Dask, from folders, a store and shards: the bytes of a local run."""

from __future__ import annotations

import io
import json
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
from sites import Site, contents

from resample.files.batch import run_all
from resample.files.job import Job
from resample.files.settings import Settings
from resample.transforms import Scale

LIBRARY = """
import sys
from concurrent.futures import ProcessPoolExecutor
import resample
from resample.transforms import Scale

if __name__ == "__main__":
    if sys.argv[1] == "dask":
        from distributed import Client, LocalCluster
        with LocalCluster(2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
            executor = client.get_executor(pure=False, retries=2)
            records = resample.resize_folder("in", sys.argv[2], Scale(0.5), executor=executor)
    elif sys.argv[1] == "processes":
        with ProcessPoolExecutor(2) as executor:
            records = resample.resize_folder("in", sys.argv[2], Scale(0.5), executor=executor)
    else:
        records = resample.resize_folder("in", sys.argv[2], Scale(0.5))
    assert [record.number for record in records] == list(range(1, 201))
    assert {record.status for record in records} == {"done"}
"""


def test_threads_processes_and_dask_are_values_of_one_argument(site: Site) -> None:
    Path(site.folder / "library.py").write_text(LIBRARY)
    for kind in ("threads", "processes", "dask"):
        process = site.start("library.py", kind, f"out-{kind}")
        assert process.wait() == 0, (site.folder / f"log-{len(site.processes) - 1}.txt").read_text()
    local = contents(site.folder / "out-threads")
    assert len(local) == 200
    assert local == contents(site.folder / "out-processes") == contents(site.folder / "out-dask")


def upload(store: Any, folder: Path) -> None:
    for path, content in contents(folder).items():
        store.put_object(Bucket="given", Key=f"photos/{path}", Body=content)


def objects(store: Any, bucket: str) -> dict[str, bytes]:
    pages = store.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
    return {key: store.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}


def shards(site: Site, folder: Path) -> None:
    """Put the 200 pictures into shards-0.tar to shards-3.tar, with a label each."""
    found = sorted(contents(folder).items())
    for number in range(4):
        with tarfile.open(site.folder / f"shards-{number}.tar", "w") as shard:
            for name, content in found[50 * number : 50 * number + 50]:
                for member, data in ((name, content), (f"{name}.json", json.dumps(name).encode())):
                    entry = tarfile.TarInfo(member.replace("/", "-"))
                    entry.size = len(data)
                    shard.addfile(entry, io.BytesIO(data))


def test_a_scheduler_over_tcp(site: Site, store: Any, pictures: Path) -> None:
    """A folder, a store and shards, on two workers: every byte is that of the run without them."""
    address, _ = site.scheduler()
    assert site.command("in", "-r", "-o", "local/", "--scale", 0.5).returncode == 0
    local = contents(site.folder / "local")
    assert len(local) == 200

    done = site.command("in", "-r", "-o", "far/", "--scale", 0.5, "--scheduler", address, "--report", "r.jsonl")
    assert done.returncode == 0, done.stderr
    assert contents(site.folder / "far") == local
    records = [json.loads(line) for line in (site.folder / "r.jsonl").read_text().splitlines()]
    assert sorted(record["number"] for record in records) == list(range(1, 201))

    upload(store, pictures)
    arguments = ("s3://given/photos/", "-r", "-o", "s3://made/small/", "--scale", 0.5, "--scheduler", address)
    done = site.command(*arguments, "--resume", "ledger", "--report", "s3://made/report.jsonl")
    assert done.returncode == 0, done.stderr
    made = objects(store, "made")
    report = made.pop("report.jsonl").decode()
    assert report.count('"done"') == 200
    assert {key.removeprefix("small/"): content for key, content in made.items()} == local
    # what is gone is made again, and nothing else
    store.delete_object(Bucket="made", Key="small/2/090.png")
    done = site.command(*arguments, "--resume", "ledger")
    assert (done.returncode, "1 done, 199 skipped" in done.stderr) == (0, True)
    assert objects(store, "made")["small/2/090.png"] == local["2/090.png"]
    # nothing tells of what gives access
    told = [done.stderr, report, *(path.read_text() for path in site.folder.glob("log-*.txt"))]
    assert not any("very-secret" in text for text in [*told, (site.folder / "ledger").read_text()])

    shards(site, pictures)
    for scheduler in ((), ("--scheduler", address)):
        folder = f"made-{len(scheduler)}"
        done = site.command("shards-{0..3}.tar", "-o", folder + "/{shard}.tar", "--scale", 0.5, *scheduler)
        assert done.returncode == 0, done.stderr
    assert contents(site.folder / "made-0") == contents(site.folder / "made-2")
    with tarfile.open(site.folder / "made-0" / "shards-1.tar") as made_shard:
        names = made_shard.getnames()
        assert len(names) == 100
        file = made_shard.extractfile(names[0])
        assert file is not None
        assert file.read() == local[names[0].replace("-", "/")]
    for number in range(4):
        store.upload_file(str(site.folder / f"shards-{number}.tar"), "given", f"{number}.tar")
    done = site.command("s3://given/{0..3}.tar", "-o", "s3://made/{shard}.tar", "--scale", 0.5, "--scheduler", address)
    assert done.returncode == 0, done.stderr
    for number in range(4):
        assert objects(store, "made")[f"{number}.tar"] == (site.folder / f"made-0/shards-{number}.tar").read_bytes()


def test_processes_here(site: Site) -> None:
    done = site.command("in", "-o", "out/", "-r", "--max-side", 40, "--scheduler", "local:2", "-q")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len(contents(site.folder / "out")) == 200


def test_a_file_of_the_scheduler(site: Site) -> None:
    site.start("-m", "distributed.cli.dask_scheduler", "--port", 0, "--no-dashboard", "--scheduler-file", "s.json")
    site.start(
        "-m", "distributed.cli.dask_worker", "--scheduler-file", "s.json", "--no-nanny", "--no-dashboard",
        "--death-timeout", 60,
    )  # fmt: skip
    while not (site.folder / "s.json").exists():
        pass
    done = site.command("in/0/000.png", "-o", "out/", "--scale", 2, "--scheduler", "s.json")
    assert (done.returncode, len(contents(site.folder / "out"))) == (0, 1), done.stderr
    done = site.command("in/0/000.png", "-o", "out/", "--scale", 2, "--scheduler", "none.json")
    assert (done.returncode, done.stderr) == (1, "resample: error: --scheduler none.json: there is no such file\n")


def test_another_version(site: Site) -> None:
    """A worker that has another is named before anything is done; one that comes later refuses its tasks."""
    address, _ = site.scheduler(workers=1)
    other = site.folder / "other" / "resample_images-99.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: resample-images\nVersion: 99\n")
    site.environment["PYTHONPATH"] = f"{other.parent}:{site.environment['PYTHONPATH']}"
    worker = site.worker(address)
    site.environment["PYTHONPATH"] = site.environment["PYTHONPATH"].partition(":")[2]
    log = site.folder / f"log-{site.processes.index(worker)}.txt"
    while "Registered to" not in log.read_text():
        pass
    done = site.command("in", "-r", "-o", "out/", "--scale", 2, "--scheduler", address)
    assert done.returncode == 1
    assert "has resample-images 99 installed, and not " in done.stderr
    assert not (site.folder / "out").exists()

    records = run_all([Job("in/0/000.png", "out.png", "PNG", Scale(2), Settings(), 1, 7)], "99", ".")
    assert [(record.number, record.status) for record in records] == [(7, "failed")]
    assert "which is not 99" in records[0].reason


def test_what_workers_lack(site: Site) -> None:
    address, _ = site.scheduler(workers=1)
    done = site.command("in", "-r", "-o", "out/", "--scale", 2, "--scheduler", address, "--device", "cuda")
    assert done.returncode == 1
    assert "cuda" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (site.folder / "out").exists()
    # one address in another
    name = f"simplecache::file://{site.folder}/in/0/000.png"
    done = site.command(name, "-o", "out/", "--scale", 2, "--scheduler", address)
    assert (done.returncode, len(contents(site.folder / "out"))) == (0, 1), done.stderr
    # what is left to a scheduler would be asked of all workers that come later, whosever they are
    from distributed import Client

    with Client(address) as client:
        plugins = client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.worker_plugins))
    assert not [plugin for plugin in plugins if "resample" in plugin]


def test_workers_keep_kernels_on_their_node(site: Site, tmp_path: Path) -> None:
    """Where no folder is named, it is one of the machine; a kernel is compiled by one process only."""
    kept = tmp_path / "tmp"
    kept.mkdir()
    site.environment |= {"TMPDIR": str(kept), "HOME": str(tmp_path)}
    site.environment.pop("RESAMPLE_CACHE_DIR", None)
    address, _ = site.scheduler()
    done = site.command("in/0/", "-o", "out/", "--scale", 2, "--scheduler", address)
    assert done.returncode == 0, done.stderr
    folders = [path for path in kept.iterdir() if path.name.startswith("resample-")]
    assert len(folders) == 1
    assert list(folders[0].glob("*.o"))


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_interruption(site: Site) -> None:
    import signal
    import time

    process = site.begun("in", "-r", "-o", "out/", "--scale", 8, "--scheduler", "local:2")
    while not (site.folder / "out").exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in said
    assert not list((site.folder / "out").rglob(".resample-*"))
