"""Time the whole process of `resample car.jpg --scale 2 --mode bilinear` against a Pillow script that does the same.

    python benchmarks/startup.py

Warm: kernels in the store, medians of turns in one run. Cold: an empty store, so Numba compiles. Both write a JPEG of
the same size and quality.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CAR = Path(__file__).parent.parent / "images" / "car.jpg"
PILLOW = """
from PIL import Image
image = Image.open("car.jpg")
image.resize((1400, 928), Image.Resampling.BILINEAR).save("pillow.jpg", quality=90)
"""
OURS = ["resample", "car.jpg", "--scale", "2", "--mode", "bilinear", "--overwrite"]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(CAR, folder)
        script = Path(folder) / "pillow_script.py"
        script.write_text(PILLOW)
        command = [str(Path(sys.executable).parent / OURS[0]), *OURS[1:]]
        environment = {**os.environ, "RESAMPLE_CACHE_DIR": str(Path(folder) / "store")}
        calls = {"resample": command, "Pillow script": [sys.executable, str(script)]}
        cold = []
        for _ in range(3):
            shutil.rmtree(environment["RESAMPLE_CACHE_DIR"], ignore_errors=True)
            cold.append(seconds(command, folder, environment))
        times: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(30):
            for name, call in calls.items():
                times[name].append(seconds(call, folder, environment))
    medians = {name: statistics.median(values) for name, values in times.items()}
    print(", ".join(f"{name} {median * 1e3:.0f} ms" for name, median in medians.items()))
    print(f"warm: {medians['resample'] / medians['Pillow script']:.2f} times the Pillow script")
    print(f"cold: {statistics.median(cold):.2f} s")


def seconds(command: list[str], folder: str, environment: dict[str, str]) -> float:
    begin = time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment, check=True, stderr=subprocess.DEVNULL)
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
