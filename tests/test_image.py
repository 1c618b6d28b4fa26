"""`resize` on pictures and on H x W x C arrays."""

from __future__ import annotations

import io
import itertools
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as reference
from PIL import Image

import resample
import resample.functional as F

IMAGES = Path(__file__).parent.parent / "images"
MODES = ["nearest", "nearest-exact", "bilinear", "bicubic", "lanczos", "area"]
rng = np.random.default_rng(0)


def picture(name: str) -> Image.Image:
    with Image.open(IMAGES / name) as image:
        image.load()
    return image


def of_torch(pixels: np.ndarray, **options: Any) -> np.ndarray:
    """Return torch's result for an (H, W) or (H, W, C) array."""
    planes = pixels[None, None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)[None]
    result = reference.interpolate(torch.from_numpy(planes), **options).numpy()
    return result[0, 0] if pixels.ndim == 2 else result[0].transpose(1, 2, 0)


@pytest.mark.parametrize("name", ["car.jpg", "coffee.jpg", "chelsea.png", "camera.png", "cmyk.jpg"])
@pytest.mark.parametrize("scale", [2, 0.5, 1.3, (0.7, 1.9)])
@pytest.mark.parametrize("mode", MODES[:5])
def test_pictures_are_torch_bytes(name: str, scale: Any, mode: str) -> None:
    image = picture(name)
    result = resample.resize(image, scale=scale, mode=mode)
    assert result.mode == image.mode
    shrinks = scale in (0.5, (0.7, 1.9))
    antialias = mode == "lanczos" or (shrinks and mode in ("bilinear", "bicubic"))
    expected = of_torch(np.array(image), scale_factor=scale, mode=mode, antialias=antialias)
    np.testing.assert_array_equal(np.asarray(result), expected)


@pytest.mark.parametrize("shape", [(40, 51), (40, 51, 1), (40, 51, 2), (40, 51, 3), (40, 51, 4), (40, 51, 7)])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64", "float16"])
def test_arrays_are_torch_results(dtype: str, shape: tuple[int, ...]) -> None:
    pixels = (rng.random(shape) * 255).astype(dtype)
    for mode, size in itertools.product(["bilinear", "bicubic", "nearest"], [(99, 98), (20, 30), (33, 80)]):
        result = resample.resize(pixels, size, mode=mode, antialias=False)
        expected = of_torch(pixels, size=size, mode=mode)
        assert result.dtype == dtype
        if dtype == "uint8":
            np.testing.assert_array_equal(result, expected)
        else:
            np.testing.assert_allclose(result, expected, rtol=1e-3 if dtype == "float16" else 1e-6, atol=2e-4)


@pytest.mark.parametrize("flag", [True, False])
def test_antialias_flag_is_torchs(flag: bool) -> None:
    pixels = np.array(picture("car.jpg"))
    for size in [(100, 150), (900, 1000)]:
        expected = of_torch(pixels, size=size, mode="bicubic", antialias=flag)
        np.testing.assert_array_equal(resample.resize(pixels, size, mode="bicubic", antialias=flag), expected)


def test_align_corners() -> None:
    pixels = np.array(picture("camera.png"))
    expected = of_torch(pixels, size=(700, 900), mode="bilinear", align_corners=True)
    np.testing.assert_array_equal(resample.resize(pixels, (700, 900), align_corners=True), expected)


@pytest.mark.parametrize(
    ("shape", "expected"), [((464, 700), (100, 150)), ((700, 464), (150, 100)), ((50, 50), (100, 100))]
)
def test_one_int_is_the_shorter_edge(shape: tuple[int, int], expected: tuple[int, int]) -> None:
    assert resample.resize(np.zeros(shape, np.uint8), 100).shape == expected
    assert resample.resize(Image.new("L", shape[::-1]), 100).size == expected[::-1]


def test_mode_and_depth_of_every_picture_are_kept() -> None:
    for path in [*IMAGES.glob("*.png"), *IMAGES.glob("*.jpg")]:
        image = picture(path.name)
        for mode, scale in itertools.product(MODES, (1.5, 0.4)):
            result = resample.resize(image, scale=scale, mode=mode)
            assert result.size == (int(image.width * scale), int(image.height * scale))
            if image.mode in ("P", "1") and not mode.startswith("nearest"):
                assert result.mode in {"P": ("RGB", "RGBA"), "1": ("L",)}[image.mode]
            else:
                assert result.mode == image.mode


@pytest.mark.parametrize(
    "mode", ["L", "RGB", "RGBA", "LA", "CMYK", "YCbCr", "HSV", "LAB", "RGBX", "I", "F", "I;16", "I;16B"]
)
def test_a_flat_picture_stays_flat(mode: str) -> None:
    channels = len(Image.new(mode, (1, 1)).getbands())
    colour: Any = 70 if channels == 1 else tuple([70, 80, 90, 200][:channels])
    flat = Image.new(mode, (9, 7), colour)
    for scale in (2, 0.5):
        result = resample.resize(flat, scale=scale)
        assert result.mode == mode
        assert {result.getpixel((x, y)) for x in range(result.width) for y in range(result.height)} == {colour}


def test_nearest_keeps_palette_and_bilevel() -> None:
    for name in ("palette.png", "palette_transparent.png", "bilevel.png"):
        image = picture(name)
        doubled = resample.resize(image, scale=2, mode="nearest")
        assert doubled.mode == image.mode
        assert doubled.info == image.info
        expected = np.repeat(np.repeat(np.asarray(image.convert("RGBA")), 2, axis=0), 2, axis=1)
        np.testing.assert_array_equal(np.asarray(doubled.convert("RGBA")), expected)


def test_transparent_palette_becomes_rgba() -> None:
    image = picture("palette_transparent.png")
    result = resample.resize(image, scale=2)
    assert result.mode == "RGBA"
    assert "transparency" not in result.info


@pytest.mark.parametrize("name", ["badge.png", "badge_la.png"])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic", "lanczos", "area"])
def test_premultiplied_alpha_leaves_no_fringe(name: str, mode: str) -> None:
    """Under clear pixels lies a loud colour: changing it must change nothing that can be seen."""
    pixels = np.array(picture(name))
    other = pixels.copy()
    other[pixels[..., -1] == 0, :-1] = 7
    for scale in (1.7, 0.3):
        kind = picture(name).mode
        first, second = (resample.resize(Image.fromarray(p), scale=scale, mode=mode) for p in (pixels, other))
        assert first.mode == second.mode == kind
        np.testing.assert_array_equal(np.asarray(first), np.asarray(second))
        straight = resample.resize(Image.fromarray(pixels), scale=scale, mode=mode, alpha="straight")
        np.testing.assert_array_equal(np.asarray(first)[..., -1], np.asarray(straight)[..., -1])
        assert (np.asarray(first) != np.asarray(straight)).any()


@pytest.mark.parametrize("ending", ["BMP", "TIFF", "TGA", "PNG", "GIF"])
def test_palettes_of_pictures_that_are_not_yet_loaded(ending: str) -> None:
    image = Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3)).convert("P")
    colours = [255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 8, 7, 1, 2, 3, 200, 100, 50]
    image.putpalette(colours)
    file = io.BytesIO()
    image.save(file, ending)
    for operation in (lambda p: resample.resize(p, (2, 3), mode="nearest"), lambda p: resample.phases(p, 1)[0]):
        file.seek(0)
        result = operation(Image.open(file))
        assert list(result.convert("RGB").tobytes()) == colours


def test_lab_is_continuous_around_gray() -> None:
    """Pillow hands out a = -1 as 255."""
    image = Image.frombytes("LAB", (2, 1), bytes([128, 255, 255, 128, 1, 1]))
    assert resample.resize(image, (1, 1)).tobytes() == bytes([128, 0, 0])
    for mode in ("nearest", "bilinear"):
        assert resample.resize(image, (1, 2), mode=mode).tobytes() == image.tobytes()


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (0, 0)])
@pytest.mark.parametrize("mode", ["L", "RGBA", "P"])
def test_pictures_without_pixels(mode: str, size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="image must have at least one pixel"):
        resample.resize(Image.new(mode, size), 4)


def test_means_are_exact() -> None:
    """However many samples: a constant stays that constant."""
    for side in (7, 14, 112, 335, 700):
        for dtype in ("uint16", "float32", "float64", "uint8"):
            flat = np.full((side, side, 2), 65535 if dtype == "uint16" else 201, dtype)
            for size in [(1, 1), (3, 5), (2 * side, 1)]:
                result = resample.resize(flat, size, mode="area")
                assert (result == flat[0, 0, 0]).all()


@pytest.mark.parametrize("dtype", [">f4", ">u2", ">i4", "<f8"])
@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_byte_order_is_kept(mode: str, dtype: str) -> None:
    pixels = (np.random.default_rng(0).random((9, 8)) * 1000).astype(dtype)
    result = resample.resize(pixels, (5, 17), mode=mode)
    assert result.dtype == dtype
    native = pixels.astype(pixels.dtype.newbyteorder("="))
    np.testing.assert_array_equal(result, resample.resize(native, (5, 17), mode=mode))
    out = np.empty((5, 17), dtype)
    np.testing.assert_array_equal(resample.resize(pixels, (5, 17), mode=mode, out=out), result)


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_a_matrix_is_an_array() -> None:
    pixels = np.random.default_rng(0).random((9, 8)).astype(np.float32)
    result = resample.resize(np.matrix(pixels), (5, 17))
    assert type(result) is np.ndarray
    np.testing.assert_array_equal(result, resample.resize(pixels, (5, 17)))
    with pytest.raises(TypeError, match="out must be a NumPy array"):
        resample.resize(pixels, (5, 17), out=np.matrix(np.zeros((5, 17), np.float32)))


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
def test_little_more_memory_than_the_result(mode: str) -> None:
    """Rows between the two axes stay in a ring: no picture of one size and the other's is ever there."""
    pixels = np.zeros((1080, 1920, 3), np.uint8)
    resample.resize(pixels, (2160, 3840), mode=mode)
    tracemalloc.start()
    try:
        result = resample.resize(pixels, (2160, 3840), mode=mode)
        assert tracemalloc.get_traced_memory()[1] < result.nbytes + (1 << 24)
    finally:
        tracemalloc.stop()


def test_premultiplied_is_the_weighted_mean() -> None:
    pixels = rng.integers(0, 256, (20, 30, 4), np.uint8)
    result = np.asarray(resample.resize(Image.fromarray(pixels), (55, 66)))
    exact = pixels.astype(np.float64)
    exact[..., :3] *= exact[..., 3:] / 255
    exact = of_torch(exact, size=(55, 66), mode="bilinear")
    exact[..., :3] /= exact[..., 3:] / 255
    seen = exact[..., 3] > 1
    np.testing.assert_allclose(result[seen], exact[seen], rtol=0, atol=1.01)


def test_straight_and_opaque_alpha_are_torch_bytes() -> None:
    pixels = rng.integers(0, 256, (20, 30, 4), np.uint8)
    expected = of_torch(pixels, size=(55, 66), mode="bicubic")
    result = resample.resize(Image.fromarray(pixels), (55, 66), mode="bicubic", alpha="straight")
    np.testing.assert_array_equal(np.asarray(result), expected)
    pixels[..., 3] = 255
    expected = of_torch(pixels, size=(55, 66), mode="bicubic")
    result = resample.resize(Image.fromarray(pixels), (55, 66), mode="bicubic")
    np.testing.assert_array_equal(np.asarray(result), expected)


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int16", "int32", "uint32"])
@pytest.mark.parametrize("mode", ["bicubic", "area", "lanczos"])
def test_other_integers_are_rounded_and_clipped(dtype: str, mode: str) -> None:
    limits = np.iinfo(dtype)
    pixels = rng.choice([limits.min, limits.max, limits.max // 3], (23, 31, 3)).astype(dtype)
    for size in [(50, 60), (11, 17)]:
        antialias = mode == "lanczos" or (mode == "bicubic" and size == (11, 17))
        wide = of_torch(pixels.astype(np.float64), size=size, mode=mode, antialias=antialias)
        expected = np.rint(wide).clip(limits.min, limits.max)
        result = resample.resize(pixels, size, mode=mode)
        assert result.dtype == dtype
        # a float32 sum of 16-bit values may fall on the other side of a half
        np.testing.assert_allclose(result.astype(np.float64), expected, rtol=0, atol=1)
        assert (result == expected).mean() > 0.97


def test_sixteen_bit_picture_is_rounded_not_truncated() -> None:
    image = picture("gray16.png")
    expected = of_torch(np.array(image).astype(np.float32), scale_factor=2, mode="bilinear")
    result = np.asarray(resample.resize(image, scale=2))
    assert result.dtype == np.uint16
    np.testing.assert_array_equal(result, np.rint(expected))


def test_area_of_bytes_is_the_rounded_mean() -> None:
    pixels = rng.integers(0, 256, (40, 60, 3), np.uint8)
    mean = pixels.reshape(20, 2, 30, 2, 3).astype(np.float64).mean(axis=(1, 3))
    np.testing.assert_array_equal(resample.resize(pixels, scale=0.5, mode="area"), np.rint(mean))


@pytest.mark.parametrize("dtype", ["bool", "int64", "complex64", "uint64"])
def test_nearest_takes_any_dtype(dtype: str) -> None:
    pixels = rng.integers(0, 2, (6, 7, 3)).astype(dtype)
    expected = np.repeat(np.repeat(pixels, 2, axis=0), 2, axis=1)
    np.testing.assert_array_equal(resample.resize(pixels, scale=2, mode="nearest"), expected)
    with pytest.raises(TypeError, match=f"image must be uint8, .* got {dtype}"):
        resample.resize(pixels, scale=2)


def test_half_shrinks_with_antialias() -> None:
    pixels = rng.random((40, 60)).astype(np.float16)
    expected = of_torch(pixels.astype(np.float32), size=(20, 30), mode="bilinear", antialias=True)
    result = resample.resize(pixels, (20, 30))
    assert result.dtype == np.float16
    np.testing.assert_array_equal(result, expected.astype(np.float16))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float16"])
@pytest.mark.parametrize("shape", [(30, 40), (30, 40, 3)])
@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_out_is_written_and_returned(dtype: str, shape: tuple[int, ...], mode: str) -> None:
    pixels = (rng.random(shape) * 200).astype(dtype)
    expected = resample.resize(pixels, (70, 50), mode=mode)
    larger = np.zeros((90, 2 * 50, *shape[2:]), dtype)
    for out in (np.empty_like(expected), larger[10:80, ::2]):
        assert resample.resize(pixels, (70, 50), mode=mode, out=out) is out
        np.testing.assert_array_equal(out, expected)
    assert not larger[:10].any()
    assert not larger[:, 1::2].any()


def test_out_of_equal_size() -> None:
    pixels = rng.integers(0, 256, (30, 40, 3), np.uint8)
    out = np.empty_like(pixels)
    assert resample.resize(pixels, (30, 40), out=out) is out
    np.testing.assert_array_equal(out, pixels)


def read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


IMAGE = np.zeros((30, 40, 3), np.uint8)


@pytest.mark.parametrize(
    ("error", "words", "options"),
    [
        (ValueError, "exactly one of size and scale", {}),
        (ValueError, "exactly one of size and scale", {"size": 5, "scale": 2}),
        (ValueError, "size must be at least 1 pixel, got 0", {"size": 0}),
        (ValueError, "size must be at least 1 pixel, got -3", {"size": (4, -3)}),
        (ValueError, "size must be one value or", {"size": (4, 3, 2)}),
        (TypeError, "size must be an int", {"size": 4.5}),
        (TypeError, "size must be an int", {"size": "4"}),
        (ValueError, "scale must be positive and finite, got 0", {"scale": 0}),
        (ValueError, "scale must be positive and finite, got nan", {"scale": float("nan")}),
        (ValueError, "scale must be positive and finite, got inf", {"scale": (1, float("inf"))}),
        (TypeError, "scale must be a number", {"scale": "2"}),
        (TypeError, "scale must be a number", {"scale": True}),
        (TypeError, "size must be an int", {"size": True}),
        (ValueError, "scale must be positive and finite", {"scale": 10**400}),
        (ValueError, "longer than 2", {"scale": 1e308}),
        (ValueError, "leaves no pixel", {"scale": 0.01}),
        (ValueError, "mode must be one of nearest, .* got 'cubic'", {"size": 5, "mode": "cubic"}),
        (ValueError, "mode must be one of", {"size": 5, "mode": "trilinear"}),
        (ValueError, "align_corners must be False", {"size": 5, "mode": "nearest", "align_corners": True}),
        (ValueError, "align_corners must be False", {"size": 5, "mode": "lanczos", "align_corners": True}),
        (ValueError, "antialias must be None or False", {"size": 5, "mode": "nearest", "antialias": True}),
        (ValueError, "antialias must be None or True", {"size": 5, "mode": "lanczos", "antialias": False}),
        (ValueError, "alpha must be", {"size": 5, "alpha": "none"}),
        (ValueError, "out must have shape", {"size": (5, 6), "out": np.empty((6, 5, 3), np.uint8)}),
        (ValueError, "out must have shape", {"size": (5, 6), "out": np.empty((5, 6, 3), np.float32)}),
        (ValueError, "out must be writable", {"size": (5, 6), "out": read_only(np.empty((5, 6, 3), np.uint8))}),
        (ValueError, "out must not share memory", {"size": (5, 6), "out": IMAGE[:5, :6]}),
        (TypeError, "out must be a NumPy array", {"size": (5, 6), "out": bytearray(90)}),
    ],
)
def test_bad_arguments(error: type[Exception], words: str, options: dict[str, Any]) -> None:
    with pytest.raises(error, match=words):
        resample.resize(IMAGE, **options)


@pytest.mark.parametrize("shape", [(5,), (1, 2, 3, 4), (0, 5), (5, 0, 3), (5, 5, 0)])
def test_bad_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="image must"):
        resample.resize(np.zeros(shape, np.uint8), 3)


def test_out_is_for_arrays() -> None:
    with pytest.raises(TypeError, match="out must be None for a PIL image"):
        resample.resize(Image.new("L", (4, 4)), 3, out=np.empty((3, 3), np.uint8))  # type: ignore[call-overload]


@pytest.mark.parametrize("image", ["car.jpg", b"bytes", None, [[1, 2], [3, 4]]])
def test_not_a_picture(image: object) -> None:
    with pytest.raises(TypeError, match="image must be"):
        resample.resize(image, 3)


def test_other_kinds_come_back_as_they_came() -> None:
    pixels = rng.integers(0, 256, (6, 7, 3), np.uint8)
    expected = resample.resize(pixels, scale=2)
    tensor = resample.resize(torch.from_numpy(pixels), scale=2)
    assert isinstance(tensor, torch.Tensor)
    np.testing.assert_array_equal(tensor.numpy(), expected)
    np.testing.assert_array_equal(resample.resize(memoryview(pixels), scale=2), expected)


def test_info_is_kept() -> None:
    image = picture("orientation6.jpg")
    result = resample.resize(image, scale=2)
    assert result.info == image.info
    assert {"icc_profile", "exif", "dpi"} <= set(result.info)


def test_what_is_equal_is_not_the_same_size() -> None:
    """Calls that are alike are checked once; 20.0, True and 20 are equal, and alike they are not."""
    image = np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)
    for size in [(20, 20), 20, (1, 1), 1]:
        resample.resize(image, size)
    for wrong in [(20.0, 20), (20, 20.0), 20.0, (True, 1), True, [20.0, 20]]:
        with pytest.raises(TypeError, match="size must be an int or a pair of ints"):
            resample.resize(image, wrong)  # type: ignore[arg-type]
    resample.resize(image, scale=(1, 1))
    with pytest.raises(TypeError, match="scale must be a number"):
        resample.resize(image, scale=(True, 1))
    np.testing.assert_array_equal(resample.resize(image, [20, 25]), resample.resize(image, (20, 25)))  # type: ignore[arg-type]


@pytest.mark.parametrize("of", [lambda each: each, lambda each: (each, 3), lambda each: [each, 3]])
def test_a_size_may_be_another_in_the_next_call(of: Any) -> None:
    """A tensor stands for an int, and is equal to itself whatever it holds."""
    image, number = np.zeros((40, 30, 3), np.uint8), torch.tensor(10)
    size, planes = of(number), torch.zeros(1, 1, 8, 8)
    for value in (10, 20):
        number.fill_(value)
        assert resample.resize(image, size).shape == resample.resize(image, of(value)).shape
        assert F.interpolate(planes, size).shape == F.interpolate(planes, of(value)).shape


def test_errors_show_a_list_as_it_was_given() -> None:
    with pytest.raises(ValueError, match=r"got \[1, 2, 3\]"):
        resample.resize(np.zeros((40, 30, 3), np.uint8), [1, 2, 3])  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(9, 7), (9, 7, 1), (9, 7, 3), (1, 7, 3), (9, 1, 3), (1, 1, 2), (70, 1), (1, 70)])
@pytest.mark.parametrize("dtype", ["uint8", ">f4", "float16", "float32", "float64", "int16"])
@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "bilinear", "bicubic", "area"])
def test_arrays_in_order_and_views_of_others_are_resized_alike(shape: tuple[int, ...], dtype: str, mode: str) -> None:
    """Whether the passes of C-contiguous arrays were planned for their shape, or the view is copied first."""
    array = (np.random.default_rng(1).random(shape) * 200).astype(dtype)
    spread = np.empty(tuple(2 * n for n in shape), dtype)
    view = spread[tuple(slice(0, 2 * n, 2) for n in shape)]
    view[...] = array
    for size in [(4, 5), shape[:2], (20, 3)]:
        result = resample.resize(array, size, mode=mode)
        assert result.dtype == array.dtype
        assert result.shape == (*size, *shape[2:])
        assert result.flags.c_contiguous
        assert not np.shares_memory(result, array)
        np.testing.assert_array_equal(result, resample.resize(view, size, mode=mode))
        np.testing.assert_array_equal(result, resample.resize(array, size, mode=mode, out=np.empty_like(result)))
