"""Work on many large pictures side by side with little memory, and on very many small ones, and watch what it takes.

    python tests/faults/memory.py [LARGE [SMALL]]

LARGE pictures of 12 megapixels (default: 50) are made smaller, then larger, with -j 8 in 1 GiB of addresses; of SMALL
ones (default: 10,000) in one process, the resident memory after a tenth is compared with that at the end.
"""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import runs
from PIL import Image

LIMIT = 1 << 30


def large(place: Path, count: int) -> bool:
    rows = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    picture = Image.fromarray(rows).resize((4000, 3000))
    (place / "in").mkdir()
    for kind in ("jpg", "png", "webp", "tif"):
        picture.save(place / f"one.{kind}")
    for number in range(count):
        kind = ("jpg", "png", "webp", "tif")[number % 4]
        shutil.copy(place / f"one.{kind}", place / "in" / f"{number}.{kind}")
    fine = True
    for scale in ("0.5", "1.5"):
        args = ["in", "-o", "out/", "--scale", scale, "-j", "8", "-q", "--format", "jpg"]
        limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT))  # noqa: E731
        process = subprocess.Popen(
            [*runs.COMMAND, *args], cwd=place, env=runs.ENVIRONMENT, preexec_fn=limit, stderr=subprocess.PIPE
        )
        peak = 0
        while process.poll() is None:
            peak = max(peak, _resident(process.pid))
            time.sleep(0.01)
        done = len(list((place / "out").iterdir()))
        fine &= process.returncode == 0 and done == count
        print(
            f"{count} pictures of 12 megapixels, --scale {scale}, -j 8, in {LIMIT >> 20} MiB of addresses: "
            f"{done} done, exit status {process.returncode}, at most {peak >> 20} MiB resident",
            flush=True,
        )
        shutil.rmtree(place / "out")
    return fine


MANY = """
import gc, sys
import resample
from resample.transforms import Resize

for number in range(int(sys.argv[1])):
    resample.resize_folder("small", "out", Resize((20 + number % 10, 30)), jobs=2,
        settings=resample.files.Settings(on_exists="overwrite"))
    gc.collect()
    with open("/proc/self/statm") as file:
        print(int(file.read().split()[1]))
"""


def small(place: Path, count: int) -> bool:
    runs.pictures(place / "small", 100, (40, 30), "png jpg webp tif gif bmp")
    done = subprocess.run(
        [sys.executable, "-c", MANY, str(count // 100)],
        cwd=place,
        env=runs.ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
    )
    pages = [int(line) for line in done.stdout.split()]
    growth = pages[-1] / pages[len(pages) // 10] - 1
    print(f"{count} small pictures: resident memory grew by {growth:.1%} from the first tenth to the end", flush=True)
    return growth < 0.05


def _resident(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except (OSError, IndexError):
        return 0


if __name__ == "__main__":
    counts = [int(arg) for arg in sys.argv[1:]] + [50, 10_000][len(sys.argv) - 1 :]
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(not (large(Path(folder), counts[0]) & small(Path(folder), counts[1])))
