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
import resample.functional as F

Call = Callable[[], Any]


class Work(NamedTuple):
    """Resizing one picture."""

    before: tuple[int, int]
    after: tuple[int, int]
    mode: str
    antialias: bool
    kind: str = "uint8 x 3"

    @property
    def name(self) -> str:
        (h, w), (height, width) = self.before, self.after
        return f"{h} x {w} to {height} x {width}, {self.mode}{' antialias' if self.antialias else ''}"


# dtype, channels, and whether they come first, as torch has them, or last, as in a picture
KINDS = {
    "uint8 x 1": ("uint8", 1, False),
    "uint8 x 3": ("uint8", 3, False),
    "uint8 x 4": ("uint8", 4, False),
    "float32 x 3": ("float32", 3, False),
    "float32 3 x": ("float32", 3, True),
}
SIZES = [
    ((464, 700), (928, 1400)),
    ((1080, 1920), (2160, 3840)),
    ((1080, 1920), (1501, 2669)),
    ((1080, 1920), (1079, 1919)),
    ((1080, 1920), (720, 1280)),
    ((2160, 3840), (1080, 1920)),
    ((2160, 3840), (256, 455)),
    ((500, 375), (299, 224)),
]
FILTERS = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3}  # Pillow's numbers
MODES = [("nearest", False), ("bilinear", False), ("bicubic", False)]
SHRINKING_MODES = [("bilinear", True), ("bicubic", True), ("lanczos", True)]

WORKS = [
    Work(before, after, *mode, kind)
    for kind in KINDS
    for before, after in SIZES
    for mode in [*MODES, *(SHRINKING_MODES if after < before else [])]
]


def picture(work: Work) -> np.ndarray:
    """Return noise: (height, width), (height, width, channels) or (1, channels, height, width)."""
    values = np.random.default_rng(0).integers(0, 256, shape(work), np.uint8)
    return values if KINDS[work.kind][0] == "uint8" else (values / np.float32(255)).astype(np.float32)


def shape(work: Work) -> tuple[int, ...]:
    _, channels, first = KINDS[work.kind]
    return (1, channels, *work.before) if first else (*work.before, *([channels] if channels > 1 else []))


def with_resample(pixels: np.ndarray, work: Work) -> Call:
    if pixels.ndim == 4:
        return lambda: F.interpolate(pixels, work.after, mode=work.mode, antialias=work.antialias)
    return lambda: resample.resize(pixels, work.after, mode=work.mode, antialias=work.antialias)


def with_torch(pixels: np.ndarray, work: Work) -> Call:
    tensor = torch.from_numpy(pixels)
    if pixels.ndim < 4:
        tensor = (tensor if pixels.ndim == 3 else tensor[..., None]).permute(2, 0, 1)[None]
    return lambda: reference.interpolate(tensor, size=work.after, mode=work.mode, antialias=work.antialias)


def with_opencv(pixels: np.ndarray, work: Work) -> Call | None:
    # its only antialiasing form is INTER_AREA, another and simpler filter: the nearest thing that its users have
    flags = {"nearest": cv2.INTER_NEAREST, "bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC}
    if work.antialias and work.mode != "bilinear":
        return None
    flag, size = cv2.INTER_AREA if work.antialias else flags[work.mode], work.after[::-1]
    if pixels.ndim == 4:
        return lambda: [cv2.resize(plane, size, interpolation=flag) for plane in pixels[0]]
    return lambda: cv2.resize(pixels, size, interpolation=flag)


def with_pillow(pixels: np.ndarray, work: Work) -> Call | None:
    # its filters always antialias, and its floats have one channel
    if work.after < work.before and not work.antialias and work.mode != "nearest":
        return None
    images = [Image.fromarray(plane) for plane in (pixels[0] if pixels.ndim == 4 else [pixels])] if _one(pixels) else []
    chosen = Image.Resampling(FILTERS[work.mode])
    return (lambda: [image.resize(work.after[::-1], chosen) for image in images]) if images else None


def _one(pixels: np.ndarray) -> bool:
    return pixels.dtype == np.uint8 or pixels.ndim != 3


def with_kornia(pixels: np.ndarray, work: Work) -> Call | None:
    # bytes of three channels only; its antialias flag shapes bicubic and lanczos
    if work.kind != "uint8 x 3" or (work.antialias and work.mode == "bilinear"):
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
