"""Measure the command on files against what else a user would run, as whole processes in turn, and write the tables.

    python benchmarks/files.py            # print the tables
    python benchmarks/files.py --write    # and put them into docs/files.md

Peers: scripts of Pillow, OpenCV and pyvips (benchmarks/peers), ImageMagick's mogrify, vipsthumbnail; two pictures at a
time where they can, JPEG at quality 90. Those that are not installed are left out. Inputs are made of images/ from a
seed. The best of the rounds counts; after each, outputs are counted, and after the first, decoded. Memory is the most
that a process had (on Linux).
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from speed import processor

ROOT = Path(__file__).parent.parent
PEERS, PAGE = ROOT / "benchmarks" / "peers", ROOT / "docs" / "files.md"
OURS, COMMAND = "resample", str(Path(sys.executable).parent / "resample")

# where bytecode is not kept, a checkout's modules are compiled anew each time, unlike those that pip installs
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

Call = Callable[[Path, Path], list[str]]
"""From the folders of inputs and outputs to a command."""


class Case(NamedTuple):
    """Pictures of one size, which become twice as wide and high."""

    name: str
    count: int
    size: tuple[int, int]
    ending: str
    rounds: int


class Run(NamedTuple):
    """What a process took."""

    seconds: float
    cpu_seconds: float
    mebibytes: float


CASES = (
    Case("200 JPEGs, 700x464 to 1400x928", 200, (700, 464), ".jpg", 5),
    Case("40 PNGs, 700x464 to 1400x928", 40, (700, 464), ".png", 3),
    Case("one JPEG, 3840x2160 to 7680x4320", 1, (3840, 2160), ".jpg", 7),
    Case("one JPEG, 700x464 to 1400x928", 1, (700, 464), ".jpg", 20),
)

# these run in processes of their own: what this one has in memory would count as that of its children
MAKE = """
import random, sys
from pathlib import Path
from PIL import Image, ImageChops

folder, count, width, height, ending, images = sys.argv[1:]
size, draw = (int(width), int(height)), random.Random(0)
sources = [Image.open(Path(images, name)).convert("RGB") for name in ("car.jpg", "rocket.jpg", "coffee.jpg")]
for number in range(int(count)):
    picture = Image.new("RGB", size)
    for top in range(0, size[1], 464):
        for left in range(0, size[0], 700):
            source = draw.choice(sources).resize((700, 464))
            picture.paste(ImageChops.offset(source, draw.randrange(700), draw.randrange(464)), (left, top))
    picture.save(Path(folder, f"{number:03}{ending}"), quality=90)
"""
CHECK = """
import sys
from PIL import Image

for path in sys.argv[3:]:
    with Image.open(path) as picture:
        picture.load()
        assert picture.size == (int(sys.argv[1]), int(sys.argv[2])), (path, picture.size)
"""
KERNELS = """
import json, sys, time
from resample.kernels import store
from resample_cli.main import main

taken = []

def timed(name):
    function = getattr(store, name)
    def call(*arguments):
        begin = time.perf_counter()
        result = function(*arguments)
        taken.append((name, time.perf_counter() - begin))
        return result
    setattr(store, name, call)

timed("_object_code")
timed("kept")
store = store.link
timed("linked")
assert main(sys.argv[1:]) == 0
print(json.dumps(taken))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, help="turns of each tool (default: more for what is short)")
    parser.add_argument("--only", default="", help="only the cases whose name contains this")
    parser.add_argument("--tools", nargs="+", help="only these peers, such as 'Pillow script'")
    parser.add_argument("--write", action="store_true", help="write docs/files.md")
    options = parser.parse_args()
    lines = ["# Speed on files", "", conditions(), ""]
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            if options.only in case.name:
                lines += table(case, measured(case, Path(folder), options.rounds, options.tools))
        lines += where_time_goes(Path(folder), options.rounds or 20)
        lines += kernels(Path(folder))
    text = "\n".join(lines)
    print(text)
    if options.write:
        PAGE.write_text(text)


def tools(case: Case) -> dict[str, Call]:
    """Return the tools that are installed, ours first."""
    width, height = (2 * side for side in case.size)
    quality = ["-quality", "90"] if case.ending == ".jpg" else []
    option = "[Q=90]" if case.ending == ".jpg" else ""
    found: dict[str, Call] = {
        OURS: lambda source, target: [COMMAND, str(source), "--scale", "2", "-o", f"{target}/", "--quiet"]
    }
    for name, module in (("pillow", "PIL"), ("cv2", "cv2"), ("pyvips", "pyvips")):
        if not subprocess.run([sys.executable, "-c", f"import {module}"], stderr=subprocess.DEVNULL).returncode:
            found[f"{name} script"] = lambda source, target, name=name: [  # type: ignore[misc]
                *(sys.executable, str(PEERS / f"{name}_script.py"), str(target)),
                *files(source),
            ]
    if shutil.which("mogrify"):
        found["mogrify"] = lambda source, target: [
            *("mogrify", "-path", str(target), "-filter", "Triangle", "-resize", "200%", *quality),
            *files(source),
        ]
    if shutil.which("vipsthumbnail"):
        found["vipsthumbnail"] = lambda source, target: [
            *("vipsthumbnail", "--size", f"{width}x{height}", "-o", f"{target}/%s{case.ending}{option}"),
            *files(source),
        ]
    return found


def files(folder: Path) -> list[str]:
    return sorted(map(str, folder.iterdir()))


def measured(case: Case, folder: Path, rounds: int | None, only: list[str] | None) -> dict[str, Run]:
    source, target = folder / "inputs", folder / "outputs"
    source.mkdir()
    arguments = [str(source), str(case.count), *map(str, case.size), case.ending, str(ROOT / "images")]
    subprocess.run([sys.executable, "-c", MAKE, *arguments], check=True)
    best: dict[str, Run] = {}
    for turn in range((rounds or case.rounds) + 1):
        for name, command in tools(case).items():
            if only and name not in (OURS, *only):
                continue
            os.sync()  # or the system would write what one tool left on the time of the next
            target.mkdir()
            run = run_of(command(source, target))
            check(case, target, thoroughly=turn == 0)
            shutil.rmtree(target)
            if turn:  # the first warms caches
                best[name] = least(run, best.get(name))
    shutil.rmtree(source)
    return best


def run_of(command: list[str], **variables: str) -> Run:
    begin = time.perf_counter()
    process = subprocess.Popen(command, env={**ENVIRONMENT, **variables}, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command[0]} failed with {process.returncode}")
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def least(run: Run, best: Run | None) -> Run:
    return Run(*map(min, run, best or run))


def check(case: Case, target: Path, thoroughly: bool) -> None:
    found = files(target)
    if len(found) != case.count:
        raise RuntimeError(f"{case.name}: {len(found)} outputs")
    if thoroughly:
        size = [str(2 * side) for side in case.size]
        subprocess.run([sys.executable, "-c", CHECK, *size, *found], check=True)


def table(case: Case, runs: dict[str, Run]) -> list[str]:
    own = runs[OURS]
    lines = [f"## {case.name}", "", "| tool | ms | time / ours | CPU time / ours | MiB | memory / ours |"]
    lines.append("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, run in runs.items():
        time_, cpu, memory = (theirs / ours for theirs, ours in zip(run, own, strict=True))
        shown = f"{run.seconds * 1e3:.0f} | {time_:.2f} | {cpu:.2f} | {run.mebibytes:.0f} | {memory:.2f}"
        lines.append(f"| {name} | {shown} |")
    return [*lines, ""]


def where_time_goes(folder: Path, rounds: int) -> list[str]:
    """Return the lines that tell what a process for one picture does all the time: each row does more than the last."""
    picture = str(ROOT / "images" / "car.jpg")
    python, target = [sys.executable, "-c"], str(folder / "car@2x.jpg")
    code = f"from PIL import Image\nimage = Image.open({picture!r}).resize((1400, 928), Image.Resampling.BILINEAR)\n"
    modules = {
        "Python starts": "os",
        "imports NumPy": "numpy",
        "imports Pillow and its JPEG": "PIL.Image, PIL.JpegImagePlugin",
        "imports ours": "resample_cli.main, resample_cli.batch",
    }
    stages, imported = {}, ""
    for name, more in modules.items():
        imported += f"import {more}\n"
        stages[name] = [*python, f"{imported}os._exit(0)"]  # it ends as the command does
    stages["`resample car.jpg --scale 2`"] = [COMMAND, picture, "--scale", "2", "-o", target, "--overwrite", "--quiet"]
    others = {"Pillow script": [*python, f"{code}image.save({target!r}, quality=90)"]}
    if shutil.which("mogrify"):
        others["mogrify"] = ["mogrify", "-path", str(folder), "-filter", "Triangle", "-resize", "200%", picture]
    best: dict[str, Run] = {}
    for _ in range(rounds):
        for name, command in (stages | others).items():
            best[name] = least(run_of([*command], OPENBLAS_NUM_THREADS="1"), best.get(name))
    lines = ["## Where the time of one picture goes", "", "| what a process does | ms | more than the row before |"]
    lines.append("| --- | ---: | ---: |")
    before = 0.0
    for name in stages:
        milliseconds = best[name].seconds * 1e3
        lines.append(f"| {name} | {milliseconds:.0f} | {milliseconds - before:.0f} |")
        before = milliseconds
    lines += [f"| {name} | {best[name].seconds * 1e3:.0f} | |" for name in others]
    return [*lines, ""]


def kernels(folder: Path) -> list[str]:
    """Return the lines that tell which kernels a process for one picture needs."""
    environment = {**ENVIRONMENT, "RESAMPLE_CACHE_DIR": str(folder / "store")}
    arguments = [str(ROOT / "images" / "car.jpg"), "--scale", "2", "-o", str(folder / "car@2x.jpg"), "--overwrite"]
    lines = ["## Kernels of one picture", "", "| store | kernels compiled | compiled, ms | read, ms | linked, ms |"]
    lines.append("| --- | ---: | ---: | ---: | ---: |")
    for name in ("empty", "filled"):
        command = [sys.executable, "-c", KERNELS, *arguments, "--quiet"]
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
        taken: list[tuple[str, float]] = json.loads(done.stdout)
        compiled, kept, linked = (
            [f"{seconds * 1e3:.1f}" for which, seconds in taken if which == wanted]
            for wanted in ("_object_code", "kept", "linked")
        )
        read = ", ".join(kept) if name == "filled" else "-"
        lines.append(f"| {name} | {len(compiled)} | {', '.join(compiled) or '-'} | {read} | {', '.join(linked)} |")
    return [*lines, "", "Compiling includes the import of Numba.", ""]


def conditions() -> str:
    from importlib.metadata import version

    names = {"pillow": "Pillow", "numpy": "NumPy", "opencv-python-headless": "OpenCV", "pyvips-binary": "libvips"}
    found = []
    for package, name in names.items():
        try:
            found.append(f"{name} {version(package)}")
        except ModuleNotFoundError:
            continue
    for command in (["mogrify", "-version"], ["vipsthumbnail", "--version"]):
        if shutil.which(command[0]):
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            words = done.stdout.splitlines()[0].replace("Version: ", "").split()
            found.append(f"{command[0]} of {' '.join(words[:2])}" if command[0] == "mogrify" else words[0])
    return (
        f"Written by `benchmarks/files.py` on {datetime.date.today()}, {processor()}, Python "
        f"{sys.version.split()[0]}; {', '.join(found)}. Whole processes in turn, each "
        "begun when the disk is at rest, best of several. A ratio above 1 is a "
        "peer that takes longer, or more. All write JPEG at quality 90 with half of the colour's samples along each "
        "side; PNG at each one's own default level. vipsthumbnail enlarges by its own, wider filter."
    )


if __name__ == "__main__":
    main()
