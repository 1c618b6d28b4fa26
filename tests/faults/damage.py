"""Run the command on damaged and odd files, each in a process with 2 GiB and 30 s, and count what goes wrong.

python tests/faults/damage.py             images/, cut off at every 1 %, and with bits flipped at random
python tests/faults/damage.py few         fewer of both, as the tests do
python tests/faults/damage.py FOLDER      all files of a folder
python tests/faults/damage.py pillow      those that Pillow is tested with, which pip downloads with its sources
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import runs
from PIL import Image

MEMORY, SECONDS, PILLOW = 2 << 30, 30, "pillow==13.0.0"

Case = tuple[str, Callable[[], bytes]]


def cut_off(steps: int = 100) -> Iterator[Case]:
    """Give the files of images/, cut off at each of so many steps of their length."""
    for path in sorted(runs.IMAGES.glob("*.*g")):
        data = path.read_bytes()
        for step in range(steps):
            yield f"{step:03}-{path.name}", lambda data=data, step=step: data[: len(data) * step // steps]


def flipped(count: int = 100) -> Iterator[Case]:
    """Give the files of images/, so many times, with 1 to 8 bits flipped, in half of them near the start."""
    for path in sorted(runs.IMAGES.glob("*.*g")):
        data = path.read_bytes()
        for seed in range(count):
            yield f"{seed:03}-{path.name}", lambda data=data, seed=seed: _flip(data, random.Random(seed))


def _flip(data: bytes, chance: random.Random) -> bytes:
    changed, end = bytearray(data), 1000 if chance.random() < 0.5 else len(data)
    for _ in range(chance.randint(1, 8)):
        changed[chance.randrange(end)] ^= 1 << chance.randrange(8)
    return bytes(changed)


def files(folder: Path) -> Iterator[Case]:
    """Give all files of a folder and its folders."""
    for number, path in enumerate(sorted(folder.rglob("*"))):
        if path.is_file():
            yield f"{number:04}-{path.name}", path.read_bytes


def troubles(name: str, data: bytes, place: Path) -> tuple[str, list[str]]:
    """Return what the command said of a file with these bytes, in one word, and all that is wrong with that."""
    out, told = place / "out", place / "told"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    source = place / f"in{Path(name).suffix}"
    source.write_bytes(data)
    pid = os.fork()
    if not pid:
        _child(source, out, told)
    status = _wait(pid)
    lines = told.read_text(errors="replace").splitlines()
    found = [f"odd line: {line}" for line in lines if not line.startswith("resample: ")]
    if status is None:
        return "hung", [f"no end after {SECONDS} s"]
    if status < 0:
        return "died", [f"died of signal {-status}"]
    if status not in (0, 1, 2):
        found.append(f"exit status {status}")
    if status and not any(line.startswith("resample: error: ") for line in lines):
        found.append("failed without an error")
    made = os.listdir(out)
    if len(made) != (status == 0):
        found.append(f"exit status {status}, and left {made}")
    for each in made:
        if each.endswith(".tar"):  # a shard of what could be made
            with tarfile.open(out / each) as shard:
                shard.getmembers()
            continue
        with Image.open(out / each) as picture:
            picture.load()
    warned = any(line.startswith("resample: warning: ") for line in lines)
    return ("refused" if status else "made with a warning" if warned else "made"), found


def _child(source: Path, out: Path, told: Path) -> None:
    from resample_cli import main

    from resample.files import batch, job
    from resample.files.failures import Failure

    original = job.failed

    def failed(path: str, error: Exception) -> job.Record:
        if not isinstance(error, Failure | MemoryError):
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
        return original(path, error)

    status = 99
    try:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        os.dup2(os.open(told, os.O_CREAT | os.O_TRUNC | os.O_WRONLY), 2)
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
        job.failed = batch.failed = failed
        status = main.main([str(source), "-o", f"{out}/", "--scale", "0.5"])
    finally:
        os._exit(status)


def _wait(pid: int) -> int | None:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


def tried(cases: Iterator[Case], place: Path) -> tuple[Counter[str], list[str]]:
    """Return how often what became of the cases, and all that is wrong, with their names."""
    from resample_cli import main

    # whoever is forked has the modules and the kernels
    main.main([str(runs.IMAGES / "badge.png"), "-o", str(place / "x.png"), "--scale", "0.5", "-q"])
    counts: Counter[str] = Counter()
    wrong = []
    for name, data in cases:
        became, found = troubles(name, data(), place)
        counts[became] += 1
        wrong += [f"{name}: {text}" for text in found]
    return counts, wrong


def report(what: str, cases: Iterator[Case]) -> int:
    with tempfile.TemporaryDirectory() as place:
        counts, wrong = tried(cases, Path(place))
    told = ", ".join(f"{count} {became}" for became, count in sorted(counts.items()))
    print(f"{what}: {counts.total()} files: {told}; {len(wrong)} wrong", *wrong, sep="\n  ", flush=True)
    return len(wrong)


def report_pillow() -> int:
    with tempfile.TemporaryDirectory() as place:
        download = [sys.executable, "-m", "pip", "download", "-q", "--no-binary", ":all:", "--no-deps", PILLOW]
        subprocess.run(download, cwd=place, check=True)
        (archive,) = Path(place).glob("*.tar.gz")
        shutil.unpack_archive(archive, place)
        (tests,) = Path(place).glob("*/Tests")
        return report(f"tests of {PILLOW}", files(tests))


def main(names: list[str]) -> int:
    if not names:
        return report("cut off", cut_off()) + report("bits flipped", flipped())
    if names == ["few"]:
        return report("cut off", cut_off(7)) + report("bits flipped", flipped(5))
    return report_pillow() if names == ["pillow"] else report(names[0], files(Path(names[0])))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) > 0)
