"""Resize noise with the Pillow of this Python, for `speed.py`: Pillow-SIMD takes the place of Pillow in an environment.

Each line of stdin is a job in JSON, {"shape": ..., "size": [width, height], "filter": 0 to 3}, or empty, for the last
one once more; each line of stdout its seconds, the mean of as many calls as fill 10 ms.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np
from PIL import Image


def main() -> None:
    image, job = None, {}
    for line in sys.stdin:
        if line.strip():
            job = json.loads(line)
            image = Image.fromarray(np.random.default_rng(0).integers(0, 256, job["shape"], np.uint8))
            image.resize(job["size"], job["filter"])
        count, begin = 0, time.perf_counter()
        while count == 0 or time.perf_counter() - begin < 0.01:
            image.resize(job["size"], job["filter"])
            count += 1
        print((time.perf_counter() - begin) / count, flush=True)


if __name__ == "__main__":
    main()
