"""Every bad call raises what torch raises, with a message that names the argument."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import resample.functional as F

IMAGE = np.zeros((1, 3, 6, 7), np.float32)
LINE = np.zeros((1, 3, 6), np.float32)
VOLUME = np.zeros((1, 3, 4, 5, 6), np.float32)


def of_dtype(dtype: str) -> np.ndarray:
    return np.zeros((1, 3, 6, 7), dtype)


# input, options, the argument that our message names
BAD_CALLS: list[tuple[np.ndarray, dict[str, Any], str]] = [
    (IMAGE, {}, "size"),
    (IMAGE, {"size": 3, "scale_factor": 2}, "size"),
    (IMAGE, {"size": (3,)}, "size"),
    (IMAGE, {"size": (3, 4, 5)}, "size"),
    (IMAGE, {"scale_factor": (2.0,)}, "scale_factor"),
    (IMAGE, {"size": (3, 4.0)}, "size"),
    (IMAGE, {"size": (3, None)}, "size"),
    (IMAGE, {"size": 3.0}, "size"),
    (IMAGE, {"size": "3"}, "size"),
    (IMAGE, {"size": True}, "size"),
    (IMAGE, {"scale_factor": "2"}, "scale_factor"),
    (IMAGE, {"size": 5, "mode": "bilinear", "recompute_scale_factor": True}, "recompute_scale_factor"),
    (IMAGE, {"size": 5, "mode": "nearest", "align_corners": False}, "align_corners"),
    (IMAGE, {"size": 5, "mode": "nearest-exact", "align_corners": True}, "align_corners"),
    (IMAGE, {"size": 5, "mode": "area", "align_corners": False}, "align_corners"),
    (IMAGE, {"size": 5, "mode": "nearest", "antialias": True}, "antialias"),
    (IMAGE, {"size": 5, "mode": "area", "antialias": True}, "antialias"),
    (LINE, {"size": 5, "mode": "linear", "antialias": True}, "antialias"),
    (VOLUME, {"size": 5, "mode": "trilinear", "antialias": True}, "antialias"),
    (IMAGE, {"size": 5, "mode": "lanczos"}, "antialias"),
    (IMAGE, {"size": 5, "mode": "lanczos", "antialias": True, "align_corners": True}, "align_corners"),
    (IMAGE, {"size": (0, 5)}, "size"),
    (IMAGE, {"size": -1, "mode": "bilinear"}, "size"),
    (IMAGE, {"scale_factor": 0.0}, "size"),
    (IMAGE, {"scale_factor": -1.0, "mode": "bicubic"}, "size"),
    (IMAGE, {"scale_factor": 0.1}, "size"),
    (IMAGE, {"size": (-1, 5), "mode": "area"}, "size"),
    (IMAGE, {"scale_factor": float("nan")}, "scale_factor"),
    (IMAGE, {"scale_factor": float("inf")}, "scale_factor"),
    (IMAGE, {"scale_factor": 1e30, "mode": "bilinear"}, "result"),
    (IMAGE, {"size": 2**33, "mode": "bilinear"}, "result"),
    (IMAGE, {"size": 5, "mode": "bilinear", "align_corners": 1}, "align_corners"),
    (IMAGE, {"size": 5, "mode": "bilinear", "align_corners": "no"}, "align_corners"),
    (np.zeros((1, 0, 4, 4, 4), np.float32), {"size": 2, "mode": "area"}, "input"),
    (IMAGE, {"size": 5, "mode": []}, "mode"),
    (IMAGE, {"size": 5, "mode": "cubic"}, "mode"),
    (IMAGE, {"size": 5, "mode": "linear"}, "mode"),
    (IMAGE, {"size": 5, "mode": "trilinear"}, "mode"),
    (LINE, {"size": 5, "mode": "bilinear"}, "mode"),
    (LINE, {"size": 5, "mode": "bicubic"}, "mode"),
    (LINE, {"size": 5, "mode": "trilinear"}, "mode"),
    (VOLUME, {"size": 5, "mode": "linear"}, "mode"),
    (VOLUME, {"size": 5, "mode": "bilinear"}, "mode"),
    (VOLUME, {"size": 5, "mode": "bicubic"}, "mode"),
    (np.zeros((3, 4), np.float32), {"size": 5}, "input"),
    (np.zeros((1, 1, 1, 1, 1, 1), np.float32), {"size": 5}, "input"),
    (np.zeros((1, 3, 0, 4), np.float32), {"size": 5}, "size"),
    (np.zeros((1, 0, 4, 4), np.float32), {"size": 5}, "input"),
    (of_dtype("int32"), {"size": 5}, "input"),
    (of_dtype("int8"), {"size": 5, "mode": "bilinear"}, "input"),
    (of_dtype("bool"), {"size": 5, "mode": "nearest-exact"}, "input"),
    (of_dtype("complex64"), {"size": 5, "mode": "bicubic"}, "input"),
    (of_dtype("uint8"), {"size": 5, "mode": "area"}, "input"),
    (np.zeros((1, 3, 6), np.uint8), {"size": 5, "mode": "linear"}, "input"),
    (np.zeros((1, 3, 4, 5, 6), np.uint8), {"size": 5, "mode": "trilinear"}, "input"),
    (of_dtype("float16"), {"size": 5, "mode": "bilinear", "antialias": True}, "input"),
]


def error_of(call: Callable[[], object]) -> BaseException:
    try:
        call()
    except Exception as error:
        return error
    raise AssertionError("the call raised nothing")


@pytest.mark.parametrize(("array", "options", "argument"), BAD_CALLS, ids=str)
@pytest.mark.filterwarnings("ignore")
def test_bad_interpolate(array: np.ndarray, options: dict[str, Any], argument: str) -> None:
    theirs = error_of(lambda: torch.nn.functional.interpolate(torch.from_numpy(array), **options))
    ours = error_of(lambda: F.interpolate(array, **options))
    assert type(ours) is type(theirs), (ours, theirs)
    assert re.search(rf"\b{argument}", str(ours)), ours


def test_not_an_array() -> None:
    with pytest.raises(TypeError, match=r"input must be a NumPy array or .* got list"):
        F.interpolate([[[[1.0]]]], size=2)


@pytest.mark.parametrize("size", [np.int64(5), (np.int32(5), 6), torch.tensor(5), [torch.tensor(4), 3]])
def test_accepted_sizes(size: Any) -> None:
    expected = torch.nn.functional.interpolate(torch.from_numpy(IMAGE), size=size)
    assert F.interpolate(IMAGE, size=size).shape == expected.shape


@pytest.mark.parametrize("factor", [2, np.float32(1.5), np.float64(1.5), (1, np.float32(2.5))])
def test_accepted_factors(factor: Any) -> None:
    expected = torch.nn.functional.interpolate(torch.from_numpy(IMAGE), scale_factor=factor)
    assert F.interpolate(IMAGE, scale_factor=factor).shape == expected.shape


def test_equal_size_antialias_of_half_is_a_copy() -> None:
    half = of_dtype("float16") + np.float16(0.3)
    np.testing.assert_array_equal(F.interpolate(half, size=(6, 7), mode="bicubic", antialias=True), half)


def test_area_to_nothing() -> None:
    assert F.interpolate(IMAGE, size=(0, 3), mode="area").shape == (1, 3, 0, 3)
