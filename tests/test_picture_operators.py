"""Transposed convolution and phases of pictures."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import resample

IMAGES = Path(__file__).parent.parent / "images"
rng = np.random.default_rng(0)


def picture(name: str) -> Image.Image:
    with Image.open(IMAGES / name) as image:
        image.load()
    return image


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("stride", [1, 2, 3, 4, (3, 2)])
def test_interpolating_weights_interpolate(mode: str, stride: Any) -> None:
    """Away from the edges, where the convolution sees zeros, the two ways to enlarge agree."""
    weight, padding = resample.interpolating_weight(mode, stride)
    pixels = rng.random((16, 18, 3))
    result = resample.conv_transpose(pixels, weight, stride=stride, padding=padding)
    expected = resample.resize(pixels, scale=stride, mode=mode)
    assert result.shape == expected.shape
    inner = np.s_[12:-12, 12:-12] if stride != 1 else np.s_[3:-3, 3:-3]
    np.testing.assert_allclose(result[inner], expected[inner], rtol=0, atol=1e-12)


def test_interpolating_weight_on_a_picture() -> None:
    car = picture("car.jpg")
    weight, padding = resample.interpolating_weight("bilinear", 2)
    result = resample.conv_transpose(car, weight, stride=2, padding=padding)
    assert result.mode == "RGB"
    expected = resample.resize(car, scale=2)
    difference = np.asarray(result)[4:-4, 4:-4].astype(int) - np.asarray(expected)[4:-4, 4:-4]
    assert abs(difference).max() <= 1  # torch's bytes are rounded twice


@pytest.mark.parametrize(("outputs", "mode"), [(1, "L"), (3, "RGB"), (4, "RGBA")])
def test_layer_on_a_picture_is_torchs(outputs: int, mode: str) -> None:
    torch.manual_seed(0)
    layer = torch.nn.ConvTranspose2d(3, outputs, (3, 2), stride=2, padding=(1, 0), output_padding=1, dilation=(2, 1))
    car = picture("car.jpg")
    planes = torch.from_numpy(np.array(car)).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        expected = layer(planes)[0].permute(1, 2, 0).numpy() * 255
    weight, bias = (value.detach().numpy() for value in (layer.weight, layer.bias))
    result = resample.conv_transpose(car, weight, bias, 2, (1, 0), 1, dilation=(2, 1))
    assert result.mode == mode
    rounded = np.rint(expected.clip(0, 255))
    difference = np.asarray(result).reshape(rounded.shape) - rounded
    assert abs(difference).max() <= 1
    assert (difference == 0).mean() > 0.999


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "int32", "float16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(6, 7), (6, 7, 1), (6, 7, 2)])
def test_kind_and_dtype_are_kept(dtype: str, shape: tuple[int, ...]) -> None:
    pixels = (rng.random(shape) * 100).astype(dtype)
    weight, padding = resample.interpolating_weight("nearest", 2)
    result = resample.conv_transpose(pixels, weight, stride=2, padding=padding)
    assert result.dtype == dtype
    np.testing.assert_array_equal(result, np.repeat(np.repeat(pixels, 2, axis=0), 2, axis=1))


def test_one_weight_and_bias_serve_every_channel() -> None:
    pixels = rng.integers(0, 200, (5, 6, 3), np.uint8)
    result = resample.conv_transpose(pixels, np.ones((1, 1, 1, 1)), np.array([0.1]))
    np.testing.assert_array_equal(result, np.rint(pixels + 25.5))


def test_two_channels_are_no_picture() -> None:
    with pytest.raises(ValueError, match="weight must keep the number of channels, or give 1, 3 or 4"):
        resample.conv_transpose(picture("car.jpg"), np.zeros((3, 2, 2, 2)))
    with pytest.raises(RuntimeError):
        resample.conv_transpose(picture("car.jpg"), np.zeros((4, 3, 2, 2)))
    with pytest.raises(TypeError, match=r"image must be uint8, .* got bool"):
        resample.conv_transpose(np.zeros((4, 4), bool), np.zeros((1, 1, 2, 2)))


@pytest.mark.parametrize(
    ("mode", "stride", "error", "text"),
    [
        ("area", 2, ValueError, "mode must be one of nearest, bilinear, bicubic, got 'area'"),
        ("bilinear", 0, RuntimeError, "stride must be at least 1, got 0"),
        ("bilinear", (1, 2, 3), RuntimeError, "stride must be one int or 2"),
        ("bilinear", 2.5, TypeError, "stride must be an int or a sequence of ints, got 2.5"),
        ("bilinear", "2", TypeError, "stride must be an int or a sequence of ints, got '2'"),
    ],
)
def test_bad_interpolating_weight(mode: str, stride: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        resample.interpolating_weight(mode, stride)


@pytest.mark.parametrize("dtype", [">u2", ">i4", ">f4", "<u2"])
def test_phases_of_any_byte_order(dtype: str) -> None:
    pixels = np.arange(1, 49).reshape(4, 12).astype(dtype)
    back = resample.from_phases(resample.phases(pixels, 2))
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, pixels)


def test_phases_of_a_big_endian_picture() -> None:
    image = Image.frombytes("I;16B", (4, 2), np.arange(8, dtype=">u2").tobytes())
    back = resample.from_phases(resample.phases(image, 2))
    assert back.mode == image.mode
    assert back.tobytes() == image.tobytes()


def test_phases_are_of_one_kind() -> None:
    pixels = np.zeros((2, 2), np.uint8)
    with pytest.raises(TypeError, match="all PIL images or all arrays, got 1 of 4"):
        resample.from_phases([Image.fromarray(pixels), pixels, pixels, pixels])
    assert resample.from_phases(np.zeros((4, 3, 5), np.uint8)).shape == (6, 10)


@pytest.mark.parametrize(("dtype", "unit"), [("uint8", 255), ("uint16", 65535), ("int32", 2**31 - 1), ("float32", 1)])
@pytest.mark.parametrize("bias", [np.float16(0.1), np.float32(0.1), np.int8(0)])
def test_bias_in_any_type(bias: Any, dtype: str, unit: int) -> None:
    pixels = np.full((4, 4), 50, dtype)
    result = resample.conv_transpose(pixels, np.ones((1, 1, 1, 1)), np.array([bias]))
    np.testing.assert_allclose(result, 50 + float(bias) * unit, rtol=1e-6, atol=0.51)


def test_messages_name_the_image() -> None:
    pixels = np.zeros((4, 6, 3), np.uint8)
    with pytest.raises(RuntimeError, match="divide image of 4 x 6, got 3"):
        resample.phases(pixels, 3)
    with pytest.raises(RuntimeError, match=r"weight must have shape \(3 or 1, .* an image of 3 channels, got \(2, "):
        resample.conv_transpose(pixels, np.zeros((2, 1, 2, 2)))
    with pytest.raises(TypeError, match="weight must be of numbers"):
        resample.conv_transpose(pixels, np.zeros((3, 1, 2, 2), "U1"))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "int16", "float16", "float64", "bool", "complex64"])
@pytest.mark.parametrize("shape", [(12, 18), (12, 18, 1), (12, 18, 3)])
@pytest.mark.parametrize("factor", [1, 2, 3, 6])
def test_phases_and_back(factor: int, shape: tuple[int, ...], dtype: str) -> None:
    pixels = (rng.random(shape) * 200).astype(dtype)
    parts = resample.phases(pixels, factor)
    for k, (i, j) in enumerate(itertools.product(range(factor), repeat=2)):
        assert parts[k].dtype == dtype
        np.testing.assert_array_equal(parts[k], pixels[i::factor, j::factor])
    back = resample.from_phases(parts)
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, pixels)


@pytest.mark.parametrize("path", sorted([*IMAGES.glob("*.png"), *IMAGES.glob("*.jpg")]), ids=lambda path: path.name)
def test_phases_of_pictures(path: Path) -> None:
    image = picture(path.name)
    image = image.crop((0, 0, image.width // 2 * 2, image.height // 2 * 2))
    parts = resample.phases(image, 2)
    assert [part.mode for part in parts] == [image.mode] * 4
    back = resample.from_phases(parts)
    assert back.mode == image.mode
    assert back.tobytes() == image.tobytes()
    if image.mode == "P":
        assert back.getpalette("RGBA") == image.getpalette("RGBA")


def test_bad_phases() -> None:
    pixels = np.zeros((6, 7), np.uint8)
    with pytest.raises(RuntimeError, match="downscale_factor"):
        resample.phases(pixels, 2)
    with pytest.raises(ValueError, match="images must be r \\* r pictures"):
        resample.from_phases([pixels] * 3)
    with pytest.raises(ValueError, match="images must be r \\* r pictures"):
        resample.from_phases([])
    with pytest.raises(ValueError, match="images must have one shape and dtype"):
        resample.from_phases([pixels] * 3 + [pixels.astype(np.int8)])
    with pytest.raises(ValueError, match="images must have one mode"):
        resample.from_phases([Image.new("L", (4, 4))] * 3 + [Image.new("RGB", (4, 4))])
