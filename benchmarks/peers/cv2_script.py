"""Double pictures with OpenCV, two at a time: cv2_script.py FOLDER FILE..."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2

# threads within a call too would be four on two cores
cv2.setNumThreads(1 if len(sys.argv) > 3 else 2)


def double(path: str) -> None:
    picture = cv2.resize(cv2.imread(path), None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
    options = [cv2.IMWRITE_JPEG_QUALITY, 90] if path.endswith(".jpg") else []
    cv2.imwrite(str(Path(sys.argv[1], Path(path).name)), picture, options)


with ThreadPoolExecutor(2) as pool:
    list(pool.map(double, sys.argv[2:]))
