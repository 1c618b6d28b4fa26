"""Kill runs over folders at random moments, and count what is broken, lost, left or done twice.

    python tests/faults/kill.py [KILLS]

Each of the ways below is killed so many times (default: 100) with SIGKILL, all its processes and threads at once.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import runs

JOBS, COUNT = 4, 48

PROCESSES = """
import sys
from concurrent.futures import ProcessPoolExecutor
import resample
from resample.transforms import Scale

if __name__ == "__main__":
    with ProcessPoolExecutor(4) as executor:
        resample.resize_folder("in", "out", Scale(0.5), executor=executor)
"""

WAYS = {
    "threads": [*runs.COMMAND, *f"in -r -o out/ --scale 0.5 -q -j {JOBS}".split()],
    "processes": [sys.executable, "processes.py"],
    "threads, --in-place": [*runs.COMMAND, *f"in -r --in-place --scale 0.5 -q -j {JOBS}".split()],
    "threads, --resume": [*runs.COMMAND, *f"in -r -o out/ --resume done --scale 0.5 -q --json -j {JOBS}".split()],
    "threads, --overwrite": [*runs.COMMAND, *f"in -r -o out/ --overwrite --scale 0.5 -q -j {JOBS}".split()],
    "threads, --in-place --resume": [
        *runs.COMMAND,
        *f"in -r --in-place --resume done --scale 0.5 -q --json -j {JOBS}".split(),
    ],
}


class Found(NamedTuple):
    """What a kill and the run after it did; all but the first two should be 0."""

    hit: int
    """Whether the run was killed when some outputs were there, and not all."""
    temporary: int
    """Files that were left by the kill."""
    broken: int
    """Outputs that are not, to the byte, those of a run that is left alone, and originals that are gone."""
    left: int
    """Temporary files after the next run."""
    redone: int
    """Outputs that were there and were made again, in runs that resume, beyond JOBS."""
    wrong: int
    """Files that after the next run are not those of a run that is left alone."""


def set_up(place: Path, source: Path) -> None:
    for name in ("in", "out"):
        shutil.rmtree(place / name, ignore_errors=True)
    with contextlib.suppress(FileNotFoundError):
        os.remove(place / "done")
    shutil.copytree(source, place / "in")
    (place / "processes.py").write_text(PROCESSES)


def started(way: str, place: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        WAYS[way],
        cwd=place,
        env=runs.ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def finished(way: str, place: Path) -> bytes:
    with started(way, place) as process:
        told, _ = process.communicate(timeout=120)
    assert process.returncode == 0, f"{way}: exit status {process.returncode}"
    return told


def until_working(process: subprocess.Popen[bytes], place: Path) -> None:
    while process.poll() is None and not runs.temporaries(place):
        time.sleep(0.002)


class Trial:
    """A way, the tree that it makes when left alone, and the seconds from its first temporary file to its end."""

    def __init__(self, way: str, place: Path, source: Path) -> None:
        self.way, self.place, self.source = way, place, source
        self.target = place / ("in" if "--in-place" in way else "out")
        self.before = runs.contents(source)
        set_up(place, source)
        process = started(way, place)
        until_working(process, place)
        begin = time.perf_counter()
        process.communicate()
        self.seconds = time.perf_counter() - begin
        self.after = runs.contents(self.target)
        assert len(self.after) == COUNT

    def kill(self, chance: random.Random) -> Found:
        set_up(self.place, self.source)
        with started(self.way, self.place) as process:
            until_working(process, self.place)
            time.sleep(chance.uniform(0, self.seconds))
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        in_place = "--in-place" in self.way
        found = runs.contents(self.target)
        allowed = [self.after, self.before] if in_place else [self.after]
        broken = sum(all(each.get(name) != data for each in allowed) for name, data in found.items())
        broken += len(self.before.keys() - runs.contents(self.place / "in").keys())
        ready = {name for name, data in found.items() if data == self.after[name]}
        left = len(runs.temporaries(self.place))
        redone = wrong = 0
        told = finished(self.way, self.place)
        if "--resume" in self.way:
            made = [record for record in map(json.loads, told.splitlines()) if record["status"] == "done"]
            again = len(made) - (COUNT - len(ready))
            redone = max(again - (0 if in_place else JOBS), 0)
        if not in_place or "--resume" in self.way:
            now = runs.contents(self.target)
            wrong = sum(now.get(name) != data for name, data in self.after.items()) + (now.keys() != self.after.keys())
        return Found(int(0 < len(ready) < COUNT), left, broken, len(runs.temporaries(self.place)), redone, wrong)


def main(kills: int) -> int:
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source"
        runs.pictures(source, COUNT, (500, 400))
        for way in WAYS:
            place = Path(folder) / "place"
            place.mkdir(exist_ok=True)
            trial, chance = Trial(way, place, source), random.Random(1)
            found = [trial.kill(chance) for _ in range(kills)]
            sums = Found(*map(sum, zip(*found, strict=True)))
            failed += sum(sums[2:])
            print(
                f"{way}: {kills} kills, " + ", ".join(f"{n} {name}" for name, n in sums._asdict().items()), flush=True
            )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100))
