"""The other table of what is compared: operators, with our call and that of the peers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as reference

import resample
import resample.functional as F

Call = Callable[[], Any]


class Operator(NamedTuple):
    """One piece of work."""

    name: str
    calls: dict[str, Call]
    """Ours, "resample", and the peers'."""


def noise(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def interpolation(shape: tuple[int, ...], size: tuple[int, ...], mode: str) -> Operator:
    array = noise(shape)
    tensor = torch.from_numpy(array)
    return Operator(
        f"{mode}, {shape} to {size}",
        {
            "resample": lambda: F.interpolate(array, size, mode=mode),
            "torch": lambda: reference.interpolate(tensor, size, mode=mode),
        },
    )


def shuffle(name: str, shape: tuple[int, ...], r: int) -> Operator:
    array = noise(shape)
    tensor = torch.from_numpy(array)
    ours, theirs = getattr(F, name), getattr(reference, name)
    return Operator(
        f"{name}({r}), {shape}",
        {"resample": lambda: ours(array, r), "torch": lambda: theirs(tensor, r), "a plain copy": lambda: array.copy()},
    )


def pooling(shape: tuple[int, ...], kernel: int, stride: int) -> list[Operator]:
    array = noise(shape)
    tensor = torch.from_numpy(array)
    maxima, indices = F.max_pool2d(array, kernel, stride, return_indices=True)
    some, places = torch.from_numpy(maxima), torch.from_numpy(indices)
    size = shape[2:]
    return [
        Operator(
            f"max_pool2d({kernel}, {stride}) with indices, {shape}",
            {
                "resample": lambda: F.max_pool2d(array, kernel, stride, return_indices=True),
                "torch": lambda: reference.max_pool2d(tensor, kernel, stride, return_indices=True),
            },
        ),
        Operator(
            f"max_unpool2d({kernel}, {stride}), {maxima.shape}",
            {
                "resample": lambda: F.max_unpool2d(maxima, indices, kernel, stride, output_size=size),
                "torch": lambda: reference.max_unpool2d(some, places, kernel, stride, output_size=size),
            },
        ),
    ]


def convolution(c_in: int, c_out: int, k: int, s: int, p: int, height: int, width: int) -> Operator:
    arrays = noise((1, c_in, height, width)), noise((c_in, c_out, k, k), 1), noise((c_out,), 2)
    tensors = [torch.from_numpy(array) for array in arrays]

    def theirs() -> torch.Tensor:
        with torch.no_grad():
            return reference.conv_transpose2d(*tensors, stride=s, padding=p)

    return Operator(
        f"conv_transpose2d {c_in} to {c_out}, k{k} s{s} p{p}, {height} x {width}",
        {"resample": lambda: F.conv_transpose2d(*arrays, stride=s, padding=p), "torch": theirs},
    )


def small_call() -> Operator:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    return Operator(
        "bilinear, one call of 32 x 32 x 3 bytes to 64 x 64",
        {
            "resample": lambda: resample.resize(pixels, (64, 64)),
            "torch": lambda: reference.interpolate(tensor, (64, 64), mode="bilinear"),
            "OpenCV": lambda: cv2.resize(pixels, (64, 64)),
        },
    )


def operators() -> list[Operator]:
    return [
        interpolation((1, 16, 32, 128, 128), (64, 256, 256), "trilinear"),
        interpolation((1, 16, 32, 128, 128), (48, 100, 200), "trilinear"),
        interpolation((1, 16, 32, 128, 128), (64, 256, 256), "nearest"),
        interpolation((1, 16, 32, 128, 128), (16, 64, 64), "nearest"),
        interpolation((1, 16, 32, 128, 128), (16, 64, 64), "area"),
        interpolation((1, 16, 32, 128, 128), (20, 50, 50), "area"),
        interpolation((4, 64, 8192), (16384,), "linear"),
        interpolation((4, 64, 8192), (5000,), "linear"),
        interpolation((1, 2, 48000), (16000,), "linear"),
        shuffle("pixel_shuffle", (1, 64, 256, 256), 2),
        shuffle("pixel_shuffle", (1, 64, 256, 256), 4),
        shuffle("pixel_shuffle", (8, 12, 540, 960), 2),
        shuffle("pixel_unshuffle", (1, 64, 256, 256), 2),
        shuffle("pixel_unshuffle", (8, 12, 540, 960), 2),
        *pooling((1, 64, 256, 256), 2, 2),
        *pooling((1, 64, 256, 256), 3, 3),
        convolution(3, 3, 2, 1, 0, 464, 700),
        convolution(3, 3, 4, 2, 1, 464, 700),
        convolution(16, 3, 4, 2, 1, 256, 256),
        convolution(56, 1, 9, 3, 4, 128, 128),
        convolution(64, 32, 4, 2, 1, 64, 64),
        convolution(128, 64, 2, 2, 0, 64, 64),
        convolution(256, 128, 4, 2, 1, 32, 32),
        convolution(512, 512, 4, 2, 1, 8, 8),
        convolution(4000, 512, 3, 2, 1, 14, 14),
        small_call(),
    ]
