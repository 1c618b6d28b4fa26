"""Double pictures with libvips, two at a time: pyvips_script.py FOLDER FILE..."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# threads within a call too would be four on two cores
os.environ["VIPS_CONCURRENCY"] = "1" if len(sys.argv) > 3 else "2"
import pyvips


def double(path: str) -> None:
    picture = pyvips.Image.new_from_file(path, access="sequential").resize(2, kernel="linear")
    options = {"Q": 90} if path.endswith(".jpg") else {}
    picture.write_to_file(str(Path(sys.argv[1], Path(path).name)), **options)


with ThreadPoolExecutor(2) as pool:
    list(pool.map(double, sys.argv[2:]))
