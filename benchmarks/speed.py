"""Measure all of COMPARISONS and operators in turn, in one process per thread count, and write the tables of speed.

    python benchmarks/speed.py            # print the tables
    python benchmarks/speed.py --write    # and put them into README.md and docs/speed.md

Libraries take turns, in another order each time, so that what else the machine does hits all alike; the best counts. A
cell is a peer's time divided by ours: above 1 we are faster. Equality with torch is checked on the very arrays of the
run. A star marks a cell that is at the limit: ours takes at most 1.25 times what filling a fresh array of that size
does.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import os
import platform
import random
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

ROOT = Path(__file__).parent.parent
FILL, OPERATORS = "filling", "operator"  # what is no peer, and the kind of work that is no resizing of a picture
README, PAGE = ROOT / "README.md", ROOT / "docs" / "speed.md"
BEGIN, END = "<!-- speed table: begin -->", "<!-- speed table: end -->"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9, help="turns of each library a cell (default 9)")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="thread counts (default 1 2)")
    parser.add_argument("--only", default="", help="only the cells whose name contains this")
    parser.add_argument("--write", action="store_true", help="replace the tables in README.md and docs/speed.md")
    parser.add_argument("--pillow-simd", metavar="PYTHON", default="", help="of an environment with Pillow-SIMD")
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)  # the child process of one thread count
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measured(options.measure, options.rounds, options.only, options.pillow_simd)))
        return
    runs = {threads: in_own_process(threads, options) for threads in options.threads}
    text = summary(runs, conditions(options.pillow_simd))
    print(text)
    if options.write:
        before, _, rest = README.read_text().partition(BEGIN)
        README.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}")
        PAGE.write_text(details(runs, conditions(options.pillow_simd)))


def in_own_process(threads: int, options: argparse.Namespace) -> list[dict[str, Any]]:
    command = [sys.executable, __file__, "--measure", str(threads), "--rounds", str(options.rounds)]
    command += ["--pillow-simd", options.pillow_simd]
    variables = ("RAYON_NUM_THREADS", "OPENBLAS_NUM_THREADS")  # of kornia-rs, and of NumPy, which multiplies for us
    environment = {**os.environ, **dict.fromkeys(variables, str(threads))}
    done = subprocess.run([*command, "--only", options.only], env=environment, stdout=subprocess.PIPE, check=True)
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


def measured(threads: int, rounds: int, only: str, pillow_simd: str) -> list[dict[str, Any]]:
    """Return, for each piece of work, the best seconds of each library and whether our bytes are torch's."""
    from comparisons import COMPARISONS, WORKS, picture, set_threads
    from operators import operators

    set_threads(threads)
    rows = []
    for operator in operators():
        if only in operator.name:
            rows.append(
                {"kind": OPERATORS, "work": operator.name, "equal": "", "seconds": best_of(operator.calls, rounds)}
            )
    for work in WORKS:
        if only not in f"{work.kind} {work.name}":
            continue
        pixels = picture(work)
        calls = {}
        for name, make in COMPARISONS.items():
            call = make(pixels, work)
            if call is not None:
                calls[name] = call
        equal, result = agreement(calls), calls["resample"]()
        if pillow_simd and pixels.dtype == np.uint8 and "Pillow" in calls:
            calls["Pillow-SIMD"] = Elsewhere(pillow_simd, work)
        calls[FILL] = partial(np.full, result.shape, 1, result.dtype)
        rows.append({"kind": work.kind, "work": work.name, "equal": equal, "seconds": best_of(calls, rounds)})
    return rows


class Elsewhere:
    """A piece of work for the Pillow of another Python: see `pillow_worker`."""

    workers: ClassVar[dict[str, Any]] = {}

    def __init__(self, python: str, work: Any) -> None:
        from comparisons import FILTERS, shape

        if python not in self.workers:
            command = [python, str(ROOT / "benchmarks" / "pillow_worker.py")]
            self.workers[python] = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.worker = self.workers[python]
        job = {"shape": shape(work), "size": work.after[::-1], "filter": FILTERS[work.mode]}
        self.ask(json.dumps(job))

    def ask(self, line: str) -> float:
        self.worker.stdin.write(line + "\n")
        self.worker.stdin.flush()
        return float(self.worker.stdout.readline())

    def seconds(self) -> float:
        return self.ask("")


def best_of(calls: dict[str, Any], rounds: int) -> dict[str, float]:
    """Return the least seconds of each, in turns.

    Their order changes, as each finds in the caches what the one before has left there.
    """
    best = dict.fromkeys(calls, math.inf)
    for turn in range(rounds):
        for name in random.Random(turn).sample([*calls], len(calls)):
            call = calls[name]
            time.sleep(0.01)  # the idle threads of some libraries look for work for a while, on the others' time
            best[name] = min(best[name], call.seconds() if isinstance(call, Elsewhere) else seconds(call))
    return best


def agreement(calls: dict[str, Any]) -> str:
    """Return how our result and torch's, of the run that is measured, agree."""
    ours, theirs = calls["resample"](), calls["torch"]().numpy()
    if ours.ndim < 4:
        theirs = theirs[0].transpose(1, 2, 0).reshape(ours.shape)
    if (ours == theirs).all():
        return "every byte"
    close = (
        ours.dtype == np.float32 and np.abs(ours - theirs).max() < 8 * np.finfo(np.float32).eps * np.abs(theirs).max()
    )
    return "within rounding" if close else "**differs**"


def seconds(call: Any) -> float:
    """Return the time of one call, the mean of as many as fill 10 ms."""
    begin = time.perf_counter()
    call()
    once = time.perf_counter() - begin
    count = int(0.01 / once)
    for _ in range(count):
        call()
    return (time.perf_counter() - begin) / (count + 1)


def ratios(row: dict[str, Any]) -> dict[str, float]:
    """Return each peer's time divided by ours."""
    own = row["seconds"]["resample"]
    return {name: peer / own for name, peer in row["seconds"].items() if name not in ("resample", FILL)}


def star(row: dict[str, Any]) -> str:
    """Return the mark of a cell where no more than filling the result would be quicker."""
    return "\\*" if row["seconds"]["resample"] <= 1.25 * row["seconds"].get(FILL, 0) else ""


def summary(runs: dict[int, list[dict[str, Any]]], told: str) -> str:
    """Return one table a thread count: time of the fastest peer / ours, by work and kind of picture."""
    lines = []
    for threads, every in runs.items():
        rows = [row for row in every if row["kind"] != OPERATORS]
        kinds = list(dict.fromkeys(row["kind"] for row in rows))
        cells = {(row["work"], row["kind"]): min(ratios(row).values()) for row in rows}
        stars = {(row["work"], row["kind"]): star(row) for row in rows}
        lines += [
            f"**{threads} thread{'s' if threads > 1 else ''}**: fastest peer's time / ours; above 1 ours is faster.",
            "",
            f"| height x width | {' | '.join(kinds)} |",
            f"| --- |{' ---: |' * len(kinds)}",
        ]
        for work in dict.fromkeys(row["work"] for row in rows):
            shown = [cell(cells.get((work, kind))) + stars.get((work, kind), "") for kind in kinds]
            lines.append(f"| {work} | {' | '.join(shown)} |")
        lines += ["", *(verdict(kind, [v for (_, k), v in cells.items() if k == kind]) for kind in kinds), ""]
    return "\n".join([*lines, *operator_table(runs), told])


def operator_table(runs: dict[int, list[dict[str, Any]]]) -> list[str]:
    """Return the lines of the table of the other operators: every peer, by thread count."""
    found = {
        threads: {row["work"]: ratios(row) for row in rows if row["kind"] == OPERATORS}
        for threads, rows in runs.items()
    }
    works = list(dict.fromkeys(work for rows in found.values() for work in rows))
    lines = [
        f"| {OPERATORS} | {' | '.join(f'{t} thread' + 's' * (t > 1) for t in found)} |",
        f"| --- |{' --- |' * len(found)}",
    ]
    for work in works:
        shown = [
            ", ".join(f"{peer} {cell(ratio)}" for peer, ratio in rows.get(work, {}).items()) for rows in found.values()
        ]
        lines.append(f"| {work} | {' | '.join(shown)} |")
    return [*lines, ""]


def cell(ratio: float | None) -> str:
    if ratio is None:
        return "-"
    return f"{ratio:.2f}" if ratio >= 1 else f"**{ratio:.2f}**"


def verdict(kind: str, values: list[float]) -> str:
    mean = math.exp(sum(map(math.log, values)) / len(values))
    behind = sum(value < 1 for value in values)
    return f"- {kind}: geometric mean {mean:.2f}, behind the fastest peer in {behind} of {len(values)} cells."


def details(runs: dict[int, list[dict[str, Any]]], told: str) -> str:
    """Return the page with every peer in every cell."""
    from comparisons import COMPARISONS

    found = {name for rows in runs.values() for row in rows for name in row["seconds"]}
    peers = [name for name in (*COMPARISONS, "Pillow-SIMD") if name in found and name != "resample"]
    lines = ["# Speed, cell by cell", "", told, "", "A peer's time / ours: above 1 ours is faster.", ""]
    for threads, every in runs.items():
        rows = [row for row in every if row["kind"] != OPERATORS]
        for kind in dict.fromkeys(row["kind"] for row in rows):
            lines += [
                f"## {kind}, {threads} thread{'s' if threads > 1 else ''}",
                "",
                f"| height x width | ours, ms | {' | '.join(peers)} | equals torch |",
                f"| --- | ---: |{' ---: |' * len(peers)} --- |",
            ]
            for row in rows:
                if row["kind"] == kind:
                    found = ratios(row)
                    shown = " | ".join(cell(found.get(name)) for name in peers)
                    own = row["seconds"]["resample"] * 1e3
                    lines.append(f"| {row['work']} | {own:.2f}{star(row)} | {shown} | {row['equal']} |")
            lines.append("")
    return "\n".join(lines)


def conditions(pillow_simd: str) -> str:
    from comparisons import versions

    command = [pillow_simd, "-c", "import PIL; print(', Pillow-SIMD', PIL.__version__, end='')"]
    simd = subprocess.run(command, capture_output=True, text=True, check=True).stdout if pillow_simd else ""
    return (
        f"Measured {datetime.date.today()} on {processor()}; {versions()}{simd}; best of several turns in one process. "
        '"uint8 x 3" is height x width x 3 bytes, "float32 3 x" is 1 x 3 x height x width. OpenCV\'s nearest thing to '
        "bilinear antialias is INTER_AREA, a simpler filter. A star marks a cell at the limit: ours takes at most 1.25 "
        "times what filling a fresh array does."
    )


def processor() -> str:
    names = [line.partition(":")[2].strip() for line in cpu_lines() if line.startswith("model name")]
    name = names[0] if names else platform.processor() or platform.machine()
    return f"{name} ({os.cpu_count()} cores, shared)"


def cpu_lines() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


if __name__ == "__main__":
    main()
