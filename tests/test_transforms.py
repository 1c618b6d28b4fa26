"""Transforms: sizes, frames, values; and what pipelines do with them."""

from __future__ import annotations

import copy
import importlib
import itertools
import multiprocessing
import os
import pickle
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simulated_cuda
import torch
from PIL import Image
from torch.utils.data import DataLoader

import resample
from resample.transforms import ConvTranspose, PixelShuffle, PixelUnshuffle, Resize, Scale

IMAGES = Path(__file__).parent.parent / "images"
rng = np.random.default_rng(0)


def picture(name: str) -> Image.Image:
    with Image.open(IMAGES / name) as image:
        image.load()
    return image


# sizes: a reference in fractions


def in_proportion(size: tuple[int, int], factor: Fraction) -> tuple[int, int]:
    height, width = (max(1, int(side * factor)) for side in size)
    return height, width


def torchvisions(size: tuple[int, int], shorter: int | None, max_size: int | None) -> tuple[int, int]:
    """The formula in the documentation of torchvision.transforms.v2.Resize, truncated as there."""
    if shorter is None:
        return in_proportion(size, Fraction(max_size or 0, max(size)))
    result = in_proportion(size, Fraction(shorter, min(size)))
    if max_size is not None and max(result) > max_size:
        result = in_proportion(result, Fraction(max_size, max(result)))
    return result


def expected_sizes(size: Any, wanted: Any, fit: str, only: str | None) -> tuple[Any, Any]:
    """Return the size after resampling and that of the result."""
    if None in wanted:
        resampled = in_proportion(size, *(Fraction(w, n) for w, n in zip(wanted, size, strict=True) if w))
    elif fit == "fill":
        resampled = wanted
    else:
        factors = [Fraction(w, n) for w, n in zip(wanted, size, strict=True)]
        resampled = in_proportion(size, max(factors) if fit == "cover" else min(factors))
    larger = any(new > old for new, old in zip(resampled, size, strict=True))
    smaller = any(new < old for new, old in zip(resampled, size, strict=True))
    if (only == "shrink" and larger) or (only == "enlarge" and smaller):
        resampled = size
    if fit == "pad":
        return resampled, wanted
    return resampled, tuple(map(min, resampled, wanted)) if fit == "cover" else resampled


SIZES = [(1, 1), (1, 300), (7, 5), (50, 80), (100, 100), (101, 99), (464, 700), (700, 464), (333, 1000)]
FITS = ["fill", "inside", "cover", "pad"]
ONLY = [None, "shrink", "enlarge"]


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("only", ONLY)
def test_sizes_of_boxes(fit: str, only: str | None) -> None:
    for size, box in itertools.product(SIZES, [(1, 1), (50, 80), (100, 100), (99, 101), (3, 400), (331, 1000)]):
        transform = Resize(box, fit=fit, only=only)
        resampled, result = expected_sizes(size, box, fit, only)
        assert transform.output_size(size) == result
        assert transform._sizes(size)[0] == resampled
        if only is None and fit in ("inside", "pad"):
            assert all(new <= side for new, side in zip(resampled, box, strict=True))
        if only is None and fit == "cover":
            assert all(new >= side for new, side in zip(resampled, box, strict=True))
            assert result == box


@pytest.mark.parametrize("only", ONLY)
def test_sizes_that_follow(only: str | None) -> None:
    for size, side in itertools.product(SIZES, [1, 5, 64, 101, 333, 2000]):
        for wanted in [(side, None), (None, side)]:
            assert Resize(wanted, only=only).output_size(size) == expected_sizes(size, wanted, "fill", only)[1]


def test_sizes_are_torchvisions() -> None:
    for size, shorter in itertools.product(SIZES, [1, 5, 64, 101, 333]):
        assert Resize(shorter).output_size(size) == torchvisions(size, shorter, None)
        assert Resize(max_size=shorter).output_size(size) == torchvisions(size, None, shorter)
        for more in (1, 7, 100):
            expected = torchvisions(size, shorter, shorter + more)
            assert Resize(shorter, max_size=shorter + more).output_size(size) == expected


def test_sizes_have_no_rounding_errors() -> None:
    """In floats 3 * (2**55 + 1) / 3 would be 2**55."""
    large = 2**55 + 1
    assert Resize(1).output_size((3, 3 * large)) == (1, large)
    assert Resize((large, None)).output_size((3, 3)) == (large, large)


def test_one_int_is_the_size_of_resize() -> None:
    for size in SIZES:
        assert resample.resize(np.zeros(size, np.uint8), 31).shape == Resize(31).output_size(size)


# pictures: a naive reference of cutting and padding


def middle(pixels: np.ndarray, size: tuple[int, int], fill: Any) -> np.ndarray:
    """torchvision's center_crop: `int(round((have - want) / 2))` is cut off, `(want - have) // 2` is added."""
    for axis, want in enumerate(size):
        have = pixels.shape[axis]
        if have > want:
            pixels = pixels.take(range(round((have - want) / 2), round((have - want) / 2) + want), axis)
    result = np.zeros((*size, *pixels.shape[2:]), pixels.dtype)
    top, left = ((want - have) // 2 for have, want in zip(pixels.shape, size, strict=False))
    for y, x in np.ndindex(size):
        inside = 0 <= y - top < pixels.shape[0] and 0 <= x - left < pixels.shape[1]
        result[y, x] = pixels[y - top, x - left] if inside else fill
    return result


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("only", ONLY)
@pytest.mark.parametrize("mode", ["bilinear", "nearest", "lanczos"])
def test_arrays(fit: str, only: str | None, mode: str) -> None:
    for shape, box in itertools.product([(20, 31), (31, 20, 3), (9, 40, 1)], [(14, 17), (25, 25), (60, 41), (1, 8)]):
        pixels = rng.integers(0, 256, shape, np.uint8)
        transform = Resize(box, fit=fit, only=only, mode=mode, background=9 if fit == "pad" else None)
        resampled, size = expected_sizes(shape[:2], box, fit, only)
        expected = resample.resize(pixels, resampled, mode=mode)
        if only is not None and resampled == shape[:2]:
            expected = pixels
        result = transform(pixels)
        np.testing.assert_array_equal(result, middle(expected, size, 9))
        assert result.dtype == np.uint8
        assert not np.shares_memory(result, pixels)


# of every kind of picture: a colour as text, the pixel that Pillow should then show, and a pixel as a number
COLOURS: dict[str, tuple[str, Any, Any, Any]] = {
    "L": ("white", 255, 17, 0),
    "LA": ("#ffffff80", (255, 128), (17, 40), (0, 0)),
    "RGB": ("#102030", (16, 32, 48), (1, 2, 3), (0, 0, 0)),
    "RGBA": ("#10203040", (16, 32, 48, 64), (1, 2, 3, 4), (0, 0, 0, 0)),
    "CMYK": ("red", (0, 255, 255, 0), (1, 2, 3, 4), (0, 0, 0, 255)),
    "YCbCr": ("black", (0, 128, 128), (1, 2, 3), (0, 128, 128)),
    "LAB": ("white", (255, 128, 128), (1, 2, 3), (0, 128, 128)),
    "HSV": ("white", (0, 0, 255), (1, 2, 3), (0, 0, 0)),
    "I;16": ("white", 65535, 40000, 0),
    "I;16B": ("#333", 0x3333, 40000, 0),
    "I": ("", None, 70000, 0),
    "F": ("", None, -1.5, 0.0),
}


@pytest.mark.parametrize("mode", COLOURS)
@pytest.mark.parametrize("only", [None, "enlarge"])
def test_frames_of_pictures(mode: str, only: str | None) -> None:
    name, pixel, values, black = COLOURS[mode]
    channels = len(Image.new(mode, (1, 1)).getbands())
    flat: Any = 70 if channels == 1 else tuple([70, 80, 90, 200][:channels])
    image = Image.new(mode, (40, 20), flat)
    image.info["note"] = "kept"
    for background, outside in [(values, values), (None, black)] + [(name, pixel)] * bool(name):
        result = Resize((30, 30), fit="pad", background=background, only=only)(image)
        assert (result.mode, result.size, result.info) == (mode, (30, 30), image.info)
        rows = (5, 25) if only else (7, 22)
        for y, x in np.ndindex(30, 30):
            assert result.getpixel((x, y)) == (flat if rows[0] <= y < rows[1] else outside), (y, x)
    cut = Resize((18, 30), fit="cover", only="enlarge")(image)
    assert (cut.mode, cut.size, cut.info) == (mode, (30, 18), image.info)
    assert {cut.getpixel((x, y)) for y, x in np.ndindex(18, 30)} == {flat}
    if not name:
        with pytest.raises(ValueError, match=f"background must be a number for a picture of mode {mode}, got 'red'"):
            Resize((30, 30), fit="pad", background="red")(image)


def test_a_number_for_all_channels() -> None:
    result = Resize((4, 8), fit="pad", background=7)(Image.new("RGB", (4, 4), "white"))
    np.testing.assert_array_equal(np.asarray(result)[:, :2], 7)
    np.testing.assert_array_equal(np.asarray(result)[:, 2:6], 255)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("only", ONLY)
@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_pictures(fit: str, only: str | None, mode: str) -> None:
    """The mode of the result is that of resize, whether pixels are kept or not."""
    for name in ["bilevel.png", "palette.png", "palette_transparent.png", "badge.png", "camera.png", "car.jpg"]:
        image = picture(name)
        size = (image.height, image.width)
        for box in [(90, 80), (700, 800)]:
            result = Resize(box, fit=fit, only=only, mode=mode)(image)
            resampled, wanted = expected_sizes(size, box, fit, only)
            full = resample.resize(image, resampled, mode=mode)
            if only is not None and resampled == size:
                full = full if mode == "nearest" else image.convert(full.mode)
            assert (result.mode, result.size) == (full.mode, wanted[::-1])
            if fit == "pad":
                continue
            top, left = (round((have - want) / 2) for have, want in zip(resampled, wanted, strict=True))
            expected = full.crop((left, top, left + wanted[1], top + wanted[0]))
            np.testing.assert_array_equal(np.asarray(result.convert("RGBA")), np.asarray(expected.convert("RGBA")))


def palette_picture(colours: list[int], **info: Any) -> Image.Image:
    image = Image.fromarray(np.array([[1, 1], [1, 1]], np.uint8)).convert("P")
    image.putpalette(colours)
    image.info.update(info)
    return image


@pytest.mark.parametrize(
    ("colours", "info", "background", "expected"),
    [
        ([9, 9, 9, 1, 2, 3], {}, 0, (9, 9, 9, 255)),
        ([9, 9, 9, 1, 2, 3, 0, 0, 0], {}, None, (0, 0, 0, 255)),
        ([9, 9, 9, 1, 2, 3], {}, None, (0, 0, 0, 255)),  # a new entry
        ([9, 9, 9, 1, 2, 3], {}, "#405060", (0x40, 0x50, 0x60, 255)),
        ([9, 9, 9, 1, 2, 3], {"transparency": 0}, None, (9, 9, 9, 0)),
        ([9, 9, 9, 1, 2, 3, 4, 5, 6], {"transparency": b"\xff\xff\0"}, None, (4, 5, 6, 0)),
        ([0, 0, 0, 1, 2, 3], {"transparency": 0}, "black", (0, 0, 0, 255)),  # not the clear black
        ([200, 200, 200, 1, 2, 3] * 128, {}, "black", (1, 2, 3, 255)),  # full: the nearest
    ],
)
def test_palettes_that_are_kept(colours: Any, info: Any, background: Any, expected: Any) -> None:
    image = palette_picture(colours, **info)
    result = Resize((2, 4), fit="pad", mode="nearest", background=background)(image)
    assert result.mode == "P"
    assert result.info == image.info
    shown = np.asarray(result.convert("RGBA"))
    np.testing.assert_array_equal(shown[:, [0, 3]], np.broadcast_to(np.uint8(expected), (2, 2, 4)))
    np.testing.assert_array_equal(shown[:, 1:3], np.asarray(image.convert("RGBA")))
    np.testing.assert_array_equal(np.asarray(result)[:, 1:3], 1)  # the index too


def test_bilevel_frames() -> None:
    image = Image.new("1", (2, 2), 1)
    for background, expected in [(None, False), ("white", True), (0, False), (255, True)]:
        result = Resize((2, 4), fit="pad", mode="nearest", background=background)(image)
        assert result.mode == "1"
        np.testing.assert_array_equal(np.asarray(result), [[expected, True, True, expected]] * 2)


def test_arrays_of_other_libraries_are_given_back() -> None:
    pixels = torch.from_numpy(rng.integers(0, 256, (20, 31, 3), np.uint8))
    for options in ({"fit": "cover"}, {"fit": "pad", "background": (1, 2, 3)}, {"fit": "cover", "only": "enlarge"}):
        transform = Resize((12, 12), **options)  # type: ignore[arg-type]
        result = transform(pixels)
        assert isinstance(result, torch.Tensor)
        np.testing.assert_array_equal(result.numpy(), transform(pixels.numpy()))


@pytest.mark.parametrize("shape", [(20, 31), (20, 31, 3)])
def test_arrays_of_a_gpu(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = rng.integers(0, 256, shape, np.uint8)
    with simulated_cuda.simulated(monkeypatch):
        there = simulated_cuda.Array(pixels)
        for fit, only in [("cover", None), ("cover", "enlarge"), ("inside", "enlarge"), ("fill", None)]:
            transform = Resize((13, 12), fit=fit, only=only)
            np.testing.assert_array_equal(simulated_cuda.fetched(transform(there)), transform(pixels))
        with pytest.raises(TypeError, match="fit must not be 'pad' for an array of a GPU"):
            Resize((13, 12), fit="pad")(there)
        there_and_back = Resize((13, 12), fit="pad", device="cuda")(pixels)
    np.testing.assert_array_equal(there_and_back, Resize((13, 12), fit="pad")(pixels))


# the other transforms


@pytest.mark.parametrize("scale", [2, 0.3, (1.7, 0.5)])
def test_scale(scale: Any) -> None:
    car = picture("car.jpg")
    transform = Scale(scale, mode="bicubic", antialias=False)
    result = transform(car)
    assert transform.output_size((car.height, car.width)) == result.size[::-1]
    expected = resample.resize(car, scale=scale, mode="bicubic", antialias=False)
    np.testing.assert_array_equal(np.asarray(result), np.asarray(expected))


def test_conv_transpose() -> None:
    pixels = rng.random((9, 8, 4)).astype(np.float32)
    layer = torch.nn.ConvTranspose2d(4, 6, (3, 2), stride=(2, 3), padding=1, output_padding=(1, 0), groups=2)
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()  # type: ignore[union-attr]
    transform = ConvTranspose(weight, bias, stride=(2, 3), padding=1, output_padding=(1, 0), groups=2)
    result = transform(pixels)
    with torch.no_grad():
        expected = layer(torch.from_numpy(pixels.transpose(2, 0, 1)[None]))[0].numpy().transpose(1, 2, 0)
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)
    assert transform.output_size((9, 8)) == result.shape[:2]
    shown = "<float32 (4, 3, 3, 2)>, <float32 (6,)>, stride=(2, 3), padding=1, output_padding=(1, 0), groups=2"
    assert repr(transform) == f"ConvTranspose({shown})"


@pytest.mark.parametrize("kernel", ["nearest", "bilinear", "bicubic"])
def test_interpolating(kernel: str) -> None:
    car = picture("car.jpg")
    transform = ConvTranspose.interpolating(kernel, (2, 3))
    weight, padding = resample.interpolating_weight(kernel, (2, 3))
    expected = resample.conv_transpose(car, weight, stride=(2, 3), padding=padding)
    result = transform(car)
    np.testing.assert_array_equal(np.asarray(result), np.asarray(expected))
    assert transform.output_size((car.height, car.width)) == result.size[::-1]


@pytest.mark.parametrize("bias", [[0.25], [0.1, 0.2, 0.3]])
def test_a_weight_for_each_channel_and_its_bias(bias: list[float]) -> None:
    pixels = rng.random((5, 6, 3))
    result = ConvTranspose(np.ones((1, 1, 1, 1)), np.array(bias))(pixels)
    np.testing.assert_allclose(result, pixels + bias, rtol=0, atol=1e-15)


def test_a_weight_is_a_value() -> None:
    weight = np.ones((1, 1, 2, 2))
    transform, other = ConvTranspose(weight, stride=2), ConvTranspose(weight, stride=(2, 2))
    assert transform == other
    assert hash(transform) == hash(other)
    weight[...] = 5
    assert transform.weight.max() == 1
    assert transform != ConvTranspose(weight, stride=2)
    assert transform != ConvTranspose(np.ones((1, 1, 2, 2), np.float32), stride=2)
    assert transform != ConvTranspose(transform.weight, np.zeros(1), stride=2)
    assert ConvTranspose(np.zeros((1, 1, 1, 1))) != ConvTranspose(np.zeros((1, 1, 1, 1), np.int64))
    assert transform != "ConvTranspose"
    with pytest.raises(ValueError, match="read-only"):
        transform.weight[...] = 5


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "int64", "float32", "bool"])
@pytest.mark.parametrize("factor", [1, 2, 3])
def test_shuffles_are_torchs(dtype: str, factor: int) -> None:
    pixels = rng.integers(0, 200, (6, 12, 5)).astype(dtype)
    result = PixelUnshuffle(factor)(pixels)
    planes = torch.from_numpy(pixels.astype(np.int64).transpose(2, 0, 1))
    expected = torch.nn.PixelUnshuffle(factor)(planes)
    np.testing.assert_array_equal(result, expected.numpy().transpose(1, 2, 0).astype(dtype))
    assert result.dtype == dtype
    assert result.shape[:2] == PixelUnshuffle(factor).output_size((6, 12))
    back = PixelShuffle(factor)(result)
    np.testing.assert_array_equal(back, torch.nn.PixelShuffle(factor)(expected).numpy().transpose(1, 2, 0))
    np.testing.assert_array_equal(back, pixels)
    assert back.dtype == dtype
    assert back.shape[:2] == PixelShuffle(factor).output_size(result.shape[:2])


def test_shuffles_of_one_plane() -> None:
    pixels = rng.integers(0, 200, (4, 6), np.uint8)
    result = PixelUnshuffle(2)(pixels)
    assert result.shape == (2, 3, 4)
    np.testing.assert_array_equal(result[..., 2], pixels[1::2, ::2])
    np.testing.assert_array_equal(PixelShuffle(2)(result)[..., 0], pixels)


@pytest.mark.parametrize("name", ["palette.png", "bilevel.png", "car.jpg", "badge.png"])
def test_shuffles_of_pictures(name: str) -> None:
    image = picture(name)
    image = image.crop((0, 0, image.width // 2 * 2, image.height // 2 * 2))
    parts = PixelUnshuffle(2)(image)
    assert len(parts) == 4
    for (i, j), part in zip(np.ndindex(2, 2), parts, strict=True):
        assert part.mode == image.mode
        np.testing.assert_array_equal(np.asarray(part), np.asarray(image)[i::2, j::2])
        assert PixelUnshuffle(2).output_size(image.size[::-1]) == part.size[::-1]
    whole = PixelShuffle(2)(parts)
    assert PixelShuffle(2).output_size(parts[0].size[::-1]) == whole.size[::-1]
    assert whole.mode == image.mode
    np.testing.assert_array_equal(np.asarray(whole), np.asarray(image))


# values

VALUES = [
    (Resize(224), "Resize(224)"),
    (Resize([np.int64(3), 4]), "Resize((3, 4))"),  # type: ignore[arg-type]
    (Resize((None, 4), only="shrink"), "Resize((None, 4), only='shrink')"),
    (Resize(max_size=9, antialias=False), "Resize(max_size=9, antialias=False)"),
    (Resize((3, 4), fit="pad", background=[1, 2.5]), "Resize((3, 4), fit='pad', background=(1.0, 2.5))"),
    (Resize((3, 4), fit="pad", background=np.uint8(3)), "Resize((3, 4), fit='pad', background=3)"),
    (Resize((3, 4), fit="pad", background="red"), "Resize((3, 4), fit='pad', background='red')"),
    (
        Resize(5, mode="bicubic", align_corners=True, alpha="straight", device="cuda:1"),
        "Resize(5, mode='bicubic', align_corners=True, alpha='straight', device='cuda:1')",
    ),
    (Scale(2), "Scale(2.0)"),
    (Scale([0.5, 3], mode="nearest"), "Scale((0.5, 3.0), mode='nearest')"),  # type: ignore[arg-type]
    (PixelShuffle(2), "PixelShuffle(2)"),
    (PixelUnshuffle(np.int64(3)), "PixelUnshuffle(3)"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("transform", "shown"), VALUES, ids=[shown for _, shown in VALUES])
def test_reprs_make_equal_ones(transform: Any, shown: str) -> None:
    assert repr(transform) == shown
    again = eval(shown)
    assert again == transform
    assert hash(again) == hash(transform)
    assert [other == transform for other, _ in VALUES].count(True) == 1


@pytest.mark.parametrize("transform", [*(value for value, _ in VALUES), ConvTranspose.interpolating("bicubic", (2, 3))])
def test_copies_are_equal(transform: Any) -> None:
    for again in (pickle.loads(pickle.dumps(transform)), copy.copy(transform), copy.deepcopy(transform)):
        assert again == transform
        assert hash(again) == hash(transform)
        assert repr(again) == repr(transform)
    with pytest.raises(AttributeError, match="cannot assign to field"):
        transform.size = 3


# errors

WEIGHT = np.ones((4, 1, 2, 2))


@pytest.mark.parametrize(
    ("make", "arguments", "options", "error", "message"),
    [
        (Resize, [], {}, ValueError, "size or max_size must be given, got neither"),
        (Resize, [0], {}, ValueError, "size must be at least 1 pixel, got 0"),
        (Resize, [2.5], {}, TypeError, "size must be an int or a pair of ints, .*, got 2.5"),
        (Resize, [True], {}, TypeError, "size must be an int or a pair of ints, .*, got True"),
        (Resize, [(3, 0)], {}, ValueError, "size must be at least 1 pixel, got 0"),
        (Resize, [(3, 4, 5)], {}, ValueError, r"size must be an int, \(height, width\), .*, got \(3, 4, 5\)"),
        (Resize, [(None, None)], {}, ValueError, r"size must be .*, got \(None, None\)"),
        (Resize, [], {"max_size": 0}, ValueError, "max_size must be at least 1 pixel, got 0"),
        (Resize, [5], {"max_size": 5}, ValueError, "max_size must be more than size, got 5 and size=5"),
        (Resize, [(5, 5)], {"max_size": 9}, ValueError, "max_size must be None unless size is an int or None, got 9"),
        (Resize, [5], {"fit": "crop"}, ValueError, "fit must be one of fill, inside, cover, pad, got 'crop'"),
        (Resize, [5], {"fit": "cover"}, ValueError, "fit must be 'fill' unless size is .*, got 'cover' and 5"),
        (Resize, [(5, None)], {"fit": "pad"}, ValueError, "fit must be 'fill' unless size is"),
        (Resize, [5], {"only": "grow"}, ValueError, "only must be None, 'shrink' or 'enlarge', got 'grow'"),
        (Resize, [5], {"background": 1}, ValueError, "background must be None unless fit is 'pad', got 1"),
        (Resize, [(5, 5)], {"fit": "pad", "background": "rosy"}, ValueError, "background must be .*, got 'rosy'"),
        (Resize, [(5, 5)], {"fit": "pad", "background": [[1]]}, TypeError, r"background must be .*, got \[\[1\]\]"),
        (Resize, [(5, 5)], {"fit": "pad", "background": [1, [2]]}, TypeError, "background must be"),
        (Resize, [(5, 5)], {"fit": "pad", "background": ()}, TypeError, r"background must be .*, got \(\)"),
        (Resize, [5], {"mode": "cubic"}, ValueError, "mode must be one of nearest, .*, got 'cubic'"),
        (Resize, [5], {"mode": "nearest", "antialias": True}, ValueError, "antialias must be None or False for mode"),
        (Resize, [5], {"align_corners": 1}, TypeError, "align_corners must be one of False, True, got 1"),
        (Resize, [5], {"antialias": "yes"}, TypeError, "antialias must be one of None, False, True, got 'yes'"),
        (Resize, [5], {"alpha": "pre"}, ValueError, "alpha must be 'premultiplied' or 'straight', got 'pre'"),
        (Resize, [5], {"device": "gpu"}, ValueError, "device must be 'cpu', 'cuda' or 'cuda:' and a number, got 'gpu'"),
        (Resize, [5], {"device": 0}, TypeError, "device must be a str or None, got 0"),
        (Scale, [0], {}, ValueError, "scale must be positive and finite, got 0"),
        (Scale, ["2"], {}, TypeError, "scale must be a number or a pair of numbers, .*, got '2'"),
        (Scale, [(1, 2, 3)], {}, ValueError, r"scale must be one value or \(height, width\), got \(1, 2, 3\)"),
        (
            Scale,
            [2],
            {"mode": "area", "align_corners": True},
            ValueError,
            "align_corners must be False for mode 'area'",
        ),
        (ConvTranspose, [[1]], {}, TypeError, "weight must be a NumPy array or speak DLPack.*, got list"),
        (ConvTranspose, [np.ones(3)], {}, ValueError, r"weight must have shape \(channels, .*, got \(3,\)"),
        (ConvTranspose, [np.ones((1, 1, 0, 2))], {}, ValueError, "weight must have shape"),
        (ConvTranspose, [np.ones((1, 1, 1, 1), "c8")], {}, TypeError, "weight must be of numbers, got complex64"),
        (ConvTranspose, [WEIGHT, np.ones(3)], {}, ValueError, r"bias must have shape \(1,\), got \(3,\)"),
        (ConvTranspose, [WEIGHT[:1], np.ones((1, 3))], {}, ValueError, r"bias must have shape \(3,\), got \(1, 3\)"),
        (ConvTranspose, [WEIGHT[:1], np.ones(0)], {}, ValueError, r"bias must have shape \(1,\), got \(0,\)"),
        (ConvTranspose, [WEIGHT], {"groups": 3}, ValueError, "groups must be at least 1 and divide .*, got 3"),
        (ConvTranspose, [WEIGHT], {"stride": 0}, ValueError, "stride must be from 1 to 2"),
        (ConvTranspose, [WEIGHT], {"stride": 1.5}, TypeError, "stride must be an int or a sequence of ints, got 1.5"),
        (ConvTranspose, [WEIGHT], {"output_padding": 1}, ValueError, "output_padding must be less than stride or"),
        (ConvTranspose.interpolating, ["area", 2], {}, ValueError, "mode must be one of nearest, .*, got 'area'"),
        (ConvTranspose.interpolating, ["nearest", 0], {}, ValueError, "stride must be at least 1, got 0"),
        (PixelShuffle, [0], {}, ValueError, "factor must be at least 1, got 0"),
        (PixelUnshuffle, [2.0], {}, TypeError, "factor must be an int, got 2.0"),
    ],
)
def test_bad_arguments(make: Any, arguments: Any, options: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make(*arguments, **options)


@pytest.mark.parametrize(
    ("transform", "size", "error", "message"),
    [
        (Resize(5), (0, 5), ValueError, "size must be at least 1 pixel, got 0"),
        (Resize(5), 5, TypeError, r"size must be \(height, width\), got 5"),
        (Scale(0.1), (9, 50), ValueError, "scale=0.1 leaves no pixel of 9 x 50: each side must keep at least 1"),
        (Scale((1, 0.01)), (9, 50), ValueError, r"scale=\(1.0, 0.01\) leaves no pixel of 9 x 50"),
        (Scale(1e9), (9, 50), ValueError, r"scale=1000000000.0 makes a side of 9 x 50 longer than 2\*\*31"),
        (ConvTranspose(WEIGHT, padding=3), (5, 5), ValueError, r"output size must be at least 1, got \(0, 0\)"),
        (PixelUnshuffle(2), (4, 5), ValueError, "factor must divide the height and the width of 4 x 5, got 2"),
    ],
)
def test_bad_sizes(transform: Any, size: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        transform.output_size(size)


RGB = np.zeros((4, 5, 3), np.uint8)


@pytest.mark.parametrize(
    ("transform", "image", "error", "message"),
    [
        (Resize(5), [1], TypeError, "image must be a NumPy array"),
        (Resize(5), np.zeros(5), ValueError, r"image must be \(height, width\) or"),
        (Resize(5), Image.new("L", (0, 5)), ValueError, "image must have at least one pixel, got 5 x 0"),
        (Resize((9, 9), fit="pad", background="red"), RGB, TypeError, "background must be a number or .*, got 'red'"),
        (
            Resize((9, 9), fit="pad", background=(1, 2)),
            RGB,
            ValueError,
            r"background must be a number or 3, .*\(1, 2\)",
        ),
        (Resize((9, 9), fit="pad", background=(1, 2)), RGB[..., 0], ValueError, r"must be a number, got \(1, 2\)"),
        (Resize((9, 9), fit="pad", background=256), RGB, ValueError, "background must be within uint8, got 256"),
        (Resize((9, 9), fit="pad", background=0.5), RGB, ValueError, "background must be within uint8, got 0.5"),
        (PixelUnshuffle(2), RGB, ValueError, "factor must divide the height and the width of 4 x 5, got 2"),
        (PixelShuffle(2), RGB, ValueError, r"image must be .* channels that 4 divides, got \(4, 5, 3\)"),
        (PixelShuffle(2), RGB[..., 0], ValueError, "image must be .* channels that 4 divides"),
        (PixelShuffle(2), [RGB], ValueError, "image must be 4 pictures, 2 \\* 2, got 1"),
        (PixelShuffle(2), Image.new("L", (2, 2)), TypeError, "image must be a sequence of 4 PIL images"),
    ],
)
def test_bad_pictures(transform: Any, image: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        transform(image)


# pipelines

NAMES = ["car.jpg", "badge.png", "camera.png", "palette.png", "bilevel.png"]
COVER = Resize((40, 30), fit="cover", mode="bicubic")


class Pictures:
    """A data set of torch's kind."""

    def __init__(self, transform: Any) -> None:
        self.transform = transform

    def __len__(self) -> int:
        return len(NAMES)

    def __getitem__(self, index: int) -> Image.Image:
        result: Image.Image = self.transform(picture(NAMES[index]))
        return result


# Python 3.12 warns of fork where there are threads, torch of more workers than cores
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning", "ignore:This DataLoader will create:UserWarning")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_data_loader(method: str) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} on this system")
    COVER(picture("car.jpg"))  # so that a fork inherits threads and kernels
    loader = DataLoader(
        Pictures(COVER),  # type: ignore[arg-type]
        batch_size=2,
        num_workers=2,
        collate_fn=list,
        multiprocessing_context=method,
    )
    results = [image for batch in loader for image in batch]
    assert [(image.mode, image.size) for image in results] == [(COVER(picture(n)).mode, (30, 40)) for n in NAMES]
    for name, result in zip(NAMES, results, strict=True):
        np.testing.assert_array_equal(np.asarray(result), np.asarray(COVER(picture(name))))


def test_composed() -> None:
    """What composers do: one callable after the other, and their reprs."""
    steps = [Resize(60), ConvTranspose.interpolating("bilinear", 2), Resize((90, 90), fit="pad"), PixelUnshuffle(3)]
    result: Any = picture("car.jpg")
    size: Any = result.size[::-1]
    for step in steps:
        result, size = step(result), step.output_size(size)
    assert [part.size[::-1] for part in result] == [size] * 9
    assert pickle.loads(pickle.dumps(steps)) == steps


def test_torchvision_compose() -> None:
    pytest.importorskip("torchvision", reason="torchvision is not installed")
    v2 = importlib.import_module("torchvision.transforms.v2")
    car = picture("car.jpg")
    pipeline = v2.Compose([COVER, v2.PILToTensor()])
    assert repr(COVER) in repr(pipeline)
    np.testing.assert_array_equal(pipeline(car).numpy().transpose(1, 2, 0), np.asarray(COVER(car)))
    for size, max_size in [(61, None), (61, 80), (None, 333)]:
        theirs = v2.Resize(size, max_size=max_size)(car)
        assert Resize(size, max_size=max_size).output_size((car.height, car.width)) == theirs.size[::-1]
    for name, box in itertools.product(["car.jpg", "camera.png"], [99, 100, 101]):
        tensor = torch.from_numpy(np.array(picture(name)))
        tensor = tensor[None] if tensor.ndim == 2 else tensor.permute(2, 0, 1)
        theirs = v2.Compose([v2.Resize(box), v2.CenterCrop(box)])(tensor).numpy()
        ours = np.asarray(Resize((box, box), fit="cover")(picture(name)))
        np.testing.assert_array_equal(ours, theirs[0] if ours.ndim == 2 else theirs.transpose(1, 2, 0))
    small, large = torch.full((3, 7, 10), 9, dtype=torch.uint8), Resize((14, 15), fit="pad", only="shrink")
    padded = large(np.full((7, 10, 3), 9, np.uint8))
    np.testing.assert_array_equal(padded, v2.CenterCrop((14, 15))(small).numpy().transpose(1, 2, 0))


def resized_batch(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
    return {"image": [COVER(image) for image in batch["image"]]}


# num_proc forks, where there are threads
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("processes", [None, 2])
def test_hugging_face_map(processes: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets", reason="Hugging Face datasets is not installed")
    names = [name for name in NAMES if picture(name).mode in ("RGB", "RGBA", "L")]
    features = datasets.Features({"image": datasets.Image()})
    pictures = datasets.Dataset.from_dict({"image": [str(IMAGES / name) for name in names]}, features=features)
    done = pictures.map(resized_batch, batched=True, batch_size=2, num_proc=processes, features=features)
    for name, result in zip(names, done["image"], strict=True):
        np.testing.assert_array_equal(np.asarray(result), np.asarray(COVER(picture(name))))


MASK = Resize((40, 30), fit="cover", mode="nearest")


def small_image(image: np.ndarray, **_: Any) -> Any:
    return COVER(image)


def small_mask(mask: np.ndarray, **_: Any) -> Any:
    return MASK(mask)


def test_albumentations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "NO_ALBUMENTATIONS_UPDATE", "1")
    albumentations = pytest.importorskip("albumentations", reason="albumentations is not installed")
    pipeline = albumentations.Compose([albumentations.Lambda(image=small_image, mask=small_mask, p=1)])
    pixels = np.asarray(picture("car.jpg"))
    mask = (pixels[..., 0] > 99).astype(np.uint8)
    for each in (pipeline, pickle.loads(pickle.dumps(pipeline))):
        result = each(image=pixels, mask=mask)
        np.testing.assert_array_equal(result["image"], COVER(pixels))
        np.testing.assert_array_equal(result["mask"], MASK(mask))


def rows(images: np.ndarray, transform: Any) -> np.ndarray:
    return np.stack([transform(image).ravel() for image in images])


def test_scikit_learn() -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    pipeline_of = importlib.import_module("sklearn.pipeline").make_pipeline
    transformer = importlib.import_module("sklearn.preprocessing").FunctionTransformer
    base = importlib.import_module("sklearn.base")
    images = rng.random((5, 12, 9, 3))
    small = Resize((4, 3))
    pipeline = pipeline_of(transformer(rows, kw_args={"transform": small}), transformer(np.log1p))
    expected = np.log1p(np.stack([resample.resize(image, (4, 3)).ravel() for image in images]))
    for each in (pipeline, base.clone(pipeline), pickle.loads(pickle.dumps(pipeline))):
        np.testing.assert_array_equal(each.fit_transform(images), expected)
    assert repr(small) in repr(pipeline)
