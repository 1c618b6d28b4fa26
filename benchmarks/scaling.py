"""Measure runs on workers of Dask against the same on threads, and what a run of many names takes.

    python benchmarks/scaling.py            # print the tables
    python benchmarks/scaling.py --write    # and put them into docs/scaling.md

A scheduler and two workers of one thread each run here as processes of their own, as long as the benchmark does. Runs
over the same pictures take turns, and the best of each counts; ratios are of pictures a second.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from distributed import Client, LocalCluster
from files import MAKE
from speed import processor

import resample
from resample.files.batch import run_all
from resample.files.worker import Ready
from resample.transforms import Resize, Scale

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "scaling.md"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
PICTURES, WORKERS, NAMES = 1000, 2, 1_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each (default %(default)s)")
    parser.add_argument("--names", type=int, default=NAMES, help="of the simulated listing (default %(default)s)")
    parser.add_argument("--write", action="store_true", help="replace the tables in docs/scaling.md")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalCluster(WORKERS, threads_per_worker=1, dashboard_address=None, memory_limit=0) as cluster,
        Client(cluster) as client,
    ):
        table = told(throughput(Path(folder), client, options.rounds), tasks(client), memory(client, options.names))
    print(table)
    if options.write:
        before, _, rest = PAGE.read_text().partition(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n{table}\n{END}{rest.partition(END)[2]}")


def throughput(folder: Path, client: Any, rounds: int) -> dict[str, float]:
    """Return the best pictures a second of two threads here, and of two workers, for two kinds of work."""
    source = folder / "in"
    source.mkdir()
    arguments = [str(source), str(PICTURES), "700", "464", ".jpg", str(ROOT / "images")]
    subprocess.run([sys.executable, "-c", MAKE, *arguments], check=True)
    best: dict[str, float] = {}
    for name, transform in (("to twice the size", Scale(2)), ("to a longer side of 256", Resize(max_size=256))):
        for _ in range(rounds):
            client.register_plugin(Ready(transform))
            for place, more in (("threads", {}), ("workers", {"executor": executor(client)})):
                target = folder / "out"
                began = time.perf_counter()
                records = resample.resize_folder(source, target, transform, jobs=WORKERS, **more)
                seconds = time.perf_counter() - began
                assert [record.status for record in records] == ["done"] * PICTURES
                shutil.rmtree(target)
                key = f"{place}, {name}"
                best[key] = max(best.get(key, 0), PICTURES / seconds)
    return best


def executor(client: Any) -> Any:
    return client.get_executor(pure=False, retries=2)


def tasks(client: Any) -> dict[str, float]:
    """Return the milliseconds that a task of no work takes, one at a time and many at once."""
    run, count = executor(client), 1000

    def one() -> None:
        run.submit(run_all, [], resample.__version__, "").result()

    def many() -> None:
        for future in [run.submit(run_all, [], resample.__version__, "") for _ in range(count)]:
            future.result()

    return {"alone": 1000 * seconds(one, 30), "of many": 1000 * seconds(many, 3) / count}


def seconds(call: Callable[[], None], rounds: int) -> float:
    best = float("inf")
    for _ in range(rounds):
        began = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - began)
    return best


def memory(client: Any, names: int) -> dict[str, Any]:
    """Return the most mebibytes of a process that hands out so many names, and what workers have after the runs."""
    script = ROOT / "benchmarks" / "many_names.py"
    done = subprocess.run([sys.executable, str(script), str(names)], stdout=subprocess.PIPE, check=True)
    workers = client.run(lambda: __import__("psutil").Process().memory_info().rss >> 20)
    scheduler = client.run_on_scheduler(lambda: __import__("psutil").Process().memory_info().rss >> 20)
    return json.loads(done.stdout) | {"worker_mb": max(workers.values()), "scheduler_mb": scheduler}


def told(speed: dict[str, float], tasks: dict[str, float], memory: dict[str, Any]) -> str:
    lines = [
        f"| {PICTURES} JPEGs of 700 x 464, two at a time | workers' pictures a second / threads' |",
        "| --- | ---: |",
    ]
    for key in speed:
        place, _, name = key.partition(", ")
        if place == "workers":
            ratio = speed[key] / speed[f"threads, {name}"]
            lines.append(f"| {name} | {ratio:.2f} |")
    lines += ["", "| | |", "| --- | ---: |"]
    rows = {
        "a task of no work, alone": f"{tasks['alone']:.1f} ms",
        "the same, one of a thousand that wait": f"{tasks['of many']:.1f} ms",
        "names in a simulated bucket, handed out twice, with a ledger": f"{memory['names']:,}",
        "names a second, to workers that take no time": f"{memory['names_a_second']:,}",
        "most memory of the process that hands them out": f"{memory['peak_mb']} MB",
        "the same before the first name": f"{memory['base_mb']} MB",
        "memory of a worker after the runs above": f"{memory['worker_mb']} MB",
        "memory of the scheduler and the client, one process here, after them": f"{memory['scheduler_mb']} MB",
    }
    lines += [f"| {name} | {value} |" for name, value in rows.items()]
    version = importlib.metadata.version("distributed")
    when = f"Measured {datetime.date.today()} on {processor()}; distributed {version}; best of several turns."
    return "\n".join([*lines, "", when])


if __name__ == "__main__":
    main()
