"""Measure all of COMPARISONS in turn in one process per thread count, and write the README's speed table.

    python benchmarks/speed.py            # print the table
    python benchmarks/speed.py --write    # and put it into README.md

Libraries take turns, so that what else the machine does hits all alike; the best of the rounds counts. A cell is a
peer's time divided by ours: above 1 we are faster. Equality with torch is checked on the very arrays of the run.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- speed table: begin -->", "<!-- speed table: end -->"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9, help="turns of each library a cell (default 9)")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="thread counts (default 1 2)")
    parser.add_argument("--only", default="", help="only the cells whose name contains this")
    parser.add_argument("--write", action="store_true", help="replace the table in README.md")
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)  # the child process of one thread count
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measured(options.measure, options.rounds, options.only)))
        return
    runs = {threads: in_own_process(threads, options) for threads in options.threads}
    text = table(runs)
    print(text)
    if options.write:
        before, _, rest = README.read_text().partition(BEGIN)
        README.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}")


def in_own_process(threads: int, options: argparse.Namespace) -> list[dict[str, Any]]:
    command = [sys.executable, __file__, "--measure", str(threads), "--rounds", str(options.rounds)]
    environment = {**os.environ, "RAYON_NUM_THREADS": str(threads)}
    done = subprocess.run([*command, "--only", options.only], env=environment, stdout=subprocess.PIPE, check=True)
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


def measured(threads: int, rounds: int, only: str) -> list[dict[str, Any]]:
    """Return, for each piece of work, the best seconds of each library and whether our bytes are torch's."""
    import numpy as np
    from comparisons import COMPARISONS, WORKS, set_threads

    set_threads(threads)
    rows = []
    for work in WORKS:
        if only not in str(work):
            continue
        pixels = np.random.default_rng(0).integers(0, 256, (*work.before, 3), np.uint8)
        calls = {name: call for name, make in COMPARISONS.items() if (call := make(pixels, work)) is not None}
        theirs = calls["torch"]()[0].permute(1, 2, 0).numpy()
        equal = bool((calls["resample"]() == theirs).all())
        best = dict.fromkeys(calls, math.inf)
        for _ in range(rounds):
            for name, call in calls.items():
                best[name] = min(best[name], seconds(call))
        rows.append({"work": str(work), "equal": equal, "seconds": best})
    return rows


def seconds(call: Any) -> float:
    """Return the time of one call, the mean of as many as fill 10 ms."""
    begin = time.perf_counter()
    call()
    once = time.perf_counter() - begin
    count = int(0.01 / once)
    for _ in range(count):
        call()
    return (time.perf_counter() - begin) / (count + 1)


def table(runs: dict[int, list[dict[str, Any]]]) -> str:
    from comparisons import COMPARISONS, versions

    peers = [name for name in COMPARISONS if name != "resample"]
    lines = []
    for threads, rows in runs.items():
        lines += [
            f"**{threads} thread{'s' if threads > 1 else ''}**, uint8, height x width x 3; peer's time / ours, "
            "so above 1 ours is faster:",
            "",
            f"| work | ours, ms | {' | '.join(peers)} | fastest peer | torch's bytes |",
            f"| --- | ---: |{' ---: |' * len(peers)} ---: | --- |",
        ]
        ratios = []
        for row in rows:
            own = row["seconds"]["resample"]
            peer = {name: row["seconds"][name] / own for name in peers if name in row["seconds"]}
            ratios.append(min(peer.values()))
            cells = " | ".join(f"{peer[name]:.2f}" if name in peer else "-" for name in peers)
            equal = "yes" if row["equal"] else "**no**"
            lines.append(f"| {row['work']} | {own * 1e3:.2f} | {cells} | {ratios[-1]:.2f} | {equal} |")
        mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
        behind = sum(ratio < 1 for ratio in ratios)
        lines += [
            "",
            f"Geometric mean over the fastest peer {mean:.2f}; behind it in {behind} of {len(ratios)} cells.",
            "",
        ]
    lines.append(
        f"Measured {datetime.date.today()} on {processor()}; {versions()}; best of several turns in one process."
    )
    return "\n".join(lines)


def processor() -> str:
    names = [line.partition(":")[2].strip() for line in cpu_lines() if line.startswith("model name")]
    name = names[0] if names else platform.processor() or platform.machine()
    return f"{name} ({os.cpu_count()} cores, shared)"


def cpu_lines() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


if __name__ == "__main__":
    main()
