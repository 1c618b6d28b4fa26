"""The one table of what is compared: for each piece of work, each library's call for it."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any, NamedTuple

import cv2
import kornia_rs
import numpy as np
import torch
import torch.nn.functional as reference
from PIL import Image

import resample

Call = Callable[[], Any]


class Work(NamedTuple):
    """Resizing an H x W x 3 uint8 picture."""

    before: tuple[int, int]
    after: tuple[int, int]
    mode: str
    antialias: bool

    def __str__(self) -> str:
        (h, w), (height, width) = self.before, self.after
        return f"{h} x {w} to {height} x {width}, {self.mode}{' antialias' if self.antialias else ''}"


SIZES = [
    ((464, 700), (928, 1400)),
    ((1080, 1920), (2160, 3840)),
    ((1080, 1920), (1501, 2669)),
    ((1080, 1920), (720, 1280)),
    ((2160, 3840), (1080, 1920)),
    ((500, 375), (299, 224)),
]
MODES = [("nearest", False), ("bilinear", False), ("bicubic", False)]
SHRINKING_MODES = [("bilinear", True), ("bicubic", True), ("lanczos", True)]

WORKS = [
    Work(before, after, *mode)
    for before, after in SIZES
    for mode in [*MODES, *(SHRINKING_MODES if after < before else [])]
]


def with_resample(pixels: np.ndarray, work: Work) -> Call:
    return lambda: resample.resize(pixels, work.after, mode=work.mode, antialias=work.antialias)


def with_torch(pixels: np.ndarray, work: Work) -> Call:
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    return lambda: reference.interpolate(tensor, size=work.after, mode=work.mode, antialias=work.antialias)


def with_opencv(pixels: np.ndarray, work: Work) -> Call | None:
    # OpenCV's only antialiasing form is INTER_AREA, which is another filter: the nearest thing its users have
    flags = {"nearest": cv2.INTER_NEAREST, "bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC}
    if work.antialias and work.mode != "bilinear":
        return None
    flag = cv2.INTER_AREA if work.antialias else flags[work.mode]
    return lambda: cv2.resize(pixels, work.after[::-1], interpolation=flag)


def with_pillow(pixels: np.ndarray, work: Work) -> Call | None:
    # Pillow's filters always antialias
    if work.after < work.before and not work.antialias and work.mode != "nearest":
        return None
    image = Image.fromarray(pixels)
    filters = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3}
    return lambda: image.resize(work.after[::-1], Image.Resampling(filters[work.mode]))


def with_kornia(pixels: np.ndarray, work: Work) -> Call | None:
    # its antialias flag shapes bicubic and lanczos only
    if work.antialias and work.mode == "bilinear":
        return None
    return lambda: kornia_rs.imgproc.resize(pixels, work.after, work.mode, antialias=work.antialias)


COMPARISONS: dict[str, Callable[[np.ndarray, Work], Call | None]] = {
    "resample": with_resample,
    "torch": with_torch,
    "OpenCV": with_opencv,
    "Pillow": with_pillow,
    "kornia-rs": with_kornia,
}

PACKAGES = {
    "torch": "torch",
    "OpenCV": "opencv-python-headless",
    "Pillow": "pillow",
    "kornia-rs": "kornia_rs",
    "Numba": "numba",
}


def versions() -> str:
    """Return the names and versions of the compared libraries in one line."""
    return ", ".join(f"{name} {version(package)}" for name, package in PACKAGES.items())


def set_threads(count: int) -> None:
    """Set the threads of each library; kornia-rs reads RAYON_NUM_THREADS when it starts, Pillow has one."""
    resample.set_num_threads(count)
    torch.set_num_threads(count)
    cv2.setNumThreads(count)
