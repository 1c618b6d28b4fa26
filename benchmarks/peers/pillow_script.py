"""Double pictures with Pillow, two at a time: pillow_script.py FOLDER FILE..."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image


def double(path: str) -> None:
    with Image.open(path) as picture:
        size = picture.width * 2, picture.height * 2
        picture.resize(size, Image.Resampling.BILINEAR).save(Path(sys.argv[1], Path(path).name), quality=90)


with ThreadPoolExecutor(2) as pool:
    list(pool.map(double, sys.argv[2:]))
