"""Resizing in linear light."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as reference
from PIL import Image

import resample
from resample import linear_light

rng = np.random.default_rng(0)


def light_of(code: np.ndarray) -> np.ndarray:
    return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)


def code_of(light: np.ndarray) -> np.ndarray:
    light = light.clip(0, 1)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def resized(values: np.ndarray, size: tuple[int, int], mode: str) -> np.ndarray:
    """Return torch's result for (H, W) values in float64."""
    antialias = mode != "area" and size < values.shape
    return reference.interpolate(torch.from_numpy(values)[None, None], size=size, mode=mode, antialias=antialias)[
        0, 0
    ].numpy()


@pytest.mark.parametrize(("dtype", "kind"), [("uint8", "L"), ("uint16", "I;16"), (">u2", "I;16B")])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic", "lanczos", "area"])
def test_every_level_stays_at_equal_size(mode: str, dtype: str, kind: str) -> None:
    levels = np.arange(np.iinfo(dtype).max + 1).astype(dtype).reshape(16, -1)
    result = resample.resize(levels, levels.shape, mode=mode, linear=True)
    assert result.dtype == levels.dtype
    np.testing.assert_array_equal(result, levels)
    image = Image.frombytes(kind, levels.shape[::-1], levels.tobytes())
    again = resample.resize(image, levels.shape, mode=mode, linear=True)
    assert (again.mode, again.tobytes()) == (kind, image.tobytes())


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_codes_are_the_nearest_levels(dtype: str) -> None:
    """On both sides of each boundary between levels, and anywhere."""
    last = np.iinfo(dtype).max
    boundary = light_of((np.arange(last) + 0.5) / last).astype(np.float32)
    beside = [np.nextafter(boundary, np.float32(side)) for side in (-1, 2)]
    light = np.concatenate([boundary, *beside, rng.random(100_000, np.float32), np.float32([-1, 0, 1, 2])])
    out = np.empty((1, len(light)), dtype)
    linear_light.coded(light[None], out)
    np.testing.assert_array_equal(out[0], np.rint(code_of(light.astype(np.float64)) * last))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64", "float16"])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic", "area"])
@pytest.mark.parametrize("size", [(50, 61), (11, 13)])
def test_light_is_what_is_mixed(size: tuple[int, int], mode: str, dtype: str) -> None:
    pixels = rng.random((24, 31, 3))
    last = 1 if dtype.startswith("float") else np.iinfo(dtype).max
    pixels = (pixels * last).round(0 if last > 1 else 20).astype(dtype)
    result = resample.resize(pixels, size, mode=mode, linear=True)
    assert result.dtype == dtype
    for channel in range(3):
        light = light_of(pixels[..., channel].astype(np.float64) / last)
        expected = code_of(resized(light, size, mode)) * last
        found = result[..., channel].astype(np.float64)
        if last == 1:
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3 if dtype == "float16" else 2e-5)
        else:
            assert abs(found - np.rint(expected)).max() <= 1
            assert (found == np.rint(expected)).mean() > (0.999 if last == 255 else 0.95)


def test_half_of_the_light() -> None:
    board = (np.indices((8, 8)).sum(axis=0) % 2 * 255).astype(np.uint8)
    assert (resample.resize(board, scale=0.5, mode="area", linear=True) == 188).all()
    assert (resample.resize(board, scale=0.5, mode="area") == 128).all()


@pytest.mark.parametrize("kind", ["L", "RGB", "1", "P"])
def test_pictures_are_resized_as_their_pixels(kind: str) -> None:
    image = Image.fromarray(rng.integers(0, 256, (20, 30, 3), np.uint8)).convert(kind)
    widened = image.convert({"1": "L", "P": "RGB"}.get(kind, kind))
    for size in [(45, 50), (9, 13)]:
        result = resample.resize(image, size, linear=True)
        assert result.mode == widened.mode
        expected = resample.resize(np.asarray(widened), size, linear=True)
        np.testing.assert_array_equal(np.asarray(result), expected)
        assert (np.asarray(resample.resize(image, size)) != expected).any()


@pytest.mark.parametrize("kind", ["RGBA", "LA"])
@pytest.mark.parametrize("size", [(45, 50), (9, 13)])
def test_alpha_weighs_light_and_is_not_coded(size: tuple[int, int], kind: str) -> None:
    image = Image.fromarray(rng.integers(0, 256, (20, 30, 4), np.uint8)).convert(kind)
    pixels = np.asarray(image)
    light, opacity = light_of(pixels[..., 0] / 255), pixels[..., -1] / 255
    weighted, straight = (resample.resize(image, size, linear=True, alpha=a) for a in ("premultiplied", "straight"))
    opaque = np.asarray(resample.resize(pixels[..., -1], size))
    for result in (weighted, straight):
        assert result.mode == kind
        np.testing.assert_array_equal(np.asarray(result)[..., -1], opaque)
    mixed = resized(light * opacity, size, "bilinear") / np.maximum(resized(opacity, size, "bilinear"), 1e-9)
    seen = opaque > 3
    difference = np.asarray(weighted)[..., 0][seen] - np.rint(code_of(mixed) * 255)[seen]
    assert abs(difference).max() <= 1
    assert (difference == 0).mean() > 0.99
    expected = resample.resize(np.ascontiguousarray(pixels[..., 0]), size, linear=True)
    np.testing.assert_array_equal(np.asarray(straight)[..., 0], expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_monotone_and_clipped(dtype: str) -> None:
    ramp = np.linspace(0, 1, 100_001, dtype=dtype)[None]
    same = resample.resize(ramp, ramp.shape, linear=True)
    assert (np.diff(same) >= 0).all()
    np.testing.assert_allclose(same, ramp, rtol=0, atol=1e-6)
    step = np.repeat(np.array([[0, 1]], dtype), 8, axis=1)
    result = resample.resize(step, (1, 64), mode="bicubic", linear=True)
    assert (result.min(), result.max()) == (0, 1)


def test_nearest_is_the_same_either_way() -> None:
    for image in (Image.new("CMYK", (4, 4), (1, 2, 3, 4)), rng.integers(-9, 9, (4, 4), np.int32)):
        for mode in ("nearest", "nearest-exact"):
            found, expected = (resample.resize(image, 7, mode=mode, linear=linear) for linear in (True, False))
            np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))


@pytest.mark.parametrize("kind", ["CMYK", "LAB", "HSV", "YCbCr", "I", "F", "RGBX", "RGBa"])
def test_modes_that_are_not_coded(kind: str) -> None:
    with pytest.raises(
        ValueError, match=f"linear must be False for pictures of other modes than L, .* got True and {kind}"
    ):
        resample.resize(Image.new(kind, (4, 4)), 3, linear=True)


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "uint32", "bool"])
def test_dtypes_that_are_not_coded(dtype: str) -> None:
    with pytest.raises(ValueError, match=f"linear must be False for arrays of other dtypes .* got True and {dtype}"):
        resample.resize(np.zeros((4, 4), dtype), 3, linear=True)


def test_out_is_written() -> None:
    pixels: Any = rng.integers(0, 256, (20, 30, 3), np.uint8)
    out = np.zeros((9, 26, 3), np.uint8)[:, ::2]
    assert resample.resize(pixels, (9, 13), linear=True, out=out) is out
    np.testing.assert_array_equal(out, resample.resize(pixels, (9, 13), linear=True))
