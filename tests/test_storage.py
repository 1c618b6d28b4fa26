"""Pillow's memory as arrays: the same bytes as by Pillow's own copies, and memory that lives as long as it is used."""

from __future__ import annotations

import copy
import gc
import io
import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageChops

import resample
from resample import storage

# modes whose stored values are the channels that NumPy gets of Pillow, and those with padding: which bytes are not
PLAIN = ["1", "L", "P", "I", "F", "I;16", "I;16B", "RGBA", "RGBa", "RGBX", "CMYK"]
PADDED = {
    "RGB": slice(3),
    "YCbCr": slice(3),
    "HSV": slice(3),
    "LAB": slice(3),
    "LA": slice(0, 4, 3),
    "PA": slice(0, 4, 3),
}
rng = np.random.default_rng(0)
core: Any = Image.core  # type: ignore[attr-defined]


def random_picture(mode: str, size: tuple[int, int] = (13, 7)) -> Image.Image:
    image = Image.new(mode, size)
    if mode in ("I", "F"):
        values = rng.integers(0, 1000, size[::-1])
        return Image.fromarray(values.astype(np.int32 if mode == "I" else np.float32)).copy()
    return Image.frombytes(mode, size, rng.bytes(len(image.tobytes())))


def values_of(image: Image.Image) -> np.ndarray:
    """Return the channels of a picture by Pillow's own copies."""
    values = np.asarray(image)
    if image.mode == "LAB":
        return values ^ np.array([0, 128, 128], np.uint8)
    return values * np.uint8(255) if image.mode == "1" else values


@pytest.fixture
def small_blocks() -> Iterator[None]:
    """Pictures of more than 4 KiB lie in several blocks of memory."""
    size = core.get_block_size()
    core.set_block_size(4096)
    yield
    core.set_block_size(size)


@pytest.mark.parametrize("mode", [*PLAIN, *PADDED])
def test_stored_values_are_pillows(mode: str) -> None:
    image = random_picture(mode)
    found = storage.stored(image)
    np.testing.assert_array_equal(found[..., PADDED[mode]] if mode in PADDED else found, values_of(image))
    assert not found.flags.writeable
    assert not found.flags.owndata


@pytest.mark.parametrize("mode", [*PLAIN, *PADDED])
@pytest.mark.usefixtures("small_blocks")
def test_several_blocks(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "_BAND", 1000)
    image = random_picture(mode, (99, 83))
    with pytest.raises(ValueError, match=r"multiple array blocks|not contiguous"):
        image.__arrow_c_array__()
    found = storage.stored(image)
    np.testing.assert_array_equal(found[..., PADDED[mode]] if mode in PADDED else found, values_of(image))


def test_rows_with_gaps() -> None:
    core.set_alignment(32)
    try:
        image = random_picture("RGB")
        np.testing.assert_array_equal(storage.stored(image)[..., :3], np.asarray(image))
        np.testing.assert_array_equal(np.asarray(resample.resize(image, (7, 13))), np.asarray(image))
    finally:
        core.set_alignment(1)


@pytest.mark.parametrize("ending", ["bmp", "tif", "pgm"])
def test_memory_of_a_file(ending: str, tmp_path: Path) -> None:
    image = random_picture("L")
    image.save(tmp_path / f"a.{ending}")
    with Image.open(tmp_path / f"a.{ending}") as mapped:
        mapped.load()
        assert mapped.readonly
        np.testing.assert_array_equal(storage.stored(mapped), np.asarray(image))


def test_memory_of_others() -> None:
    pixels = rng.integers(0, 256, (7, 13, 4), np.uint8)
    np.testing.assert_array_equal(storage.stored(Image.fromarray(pixels)), pixels)
    image = Image.frombuffer("RGBA", (13, 7), pixels.tobytes(), "raw", "RGBA", 0, 1)
    np.testing.assert_array_equal(storage.stored(image), pixels)
    lent = random_picture("RGB")
    np.testing.assert_array_equal(storage.stored(Image.fromarrow(lent, "RGB", lent.size)), storage.stored(lent))


def test_a_view_keeps_the_memory() -> None:
    image = Image.new("RGB", (1000, 700), (1, 2, 3))
    view = storage.stored(image)
    image.putpixel((5, 6), (7, 8, 9))
    assert view[6, 5].tolist() == [7, 8, 9, 255]  # it is no copy
    image.close()
    del image
    gc.collect()
    others = [Image.new("RGB", (1000, 700), (9, 9, 9)) for _ in range(5)]
    assert view[0, 0].tolist() == [1, 2, 3, 255]
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda view: view.sum(), view).result()
    del view
    gc.collect()
    assert len(others) == 5


class Lent:
    """What says to be a picture and shows the memory of another."""

    readonly = 0

    def __init__(self, mode: str, size: tuple[int, int], lender: Image.Image) -> None:
        self.mode, self.size, self.lender, self.im = mode, size, lender, lender.im

    def __arrow_c_array__(self) -> Any:
        return self.lender.__arrow_c_array__()


@pytest.mark.parametrize(
    ("mode", "size", "lender"),
    [("RGB", (5, 3), "L"), ("L", (5, 3), "RGB"), ("I", (5, 3), "F"), ("L", (5, 3), "I;16"), ("RGB", (5, 3), "I")],
)
def test_unexpected_storage_is_not_read(
    mode: str, size: tuple[int, int], lender: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other: Any = Lent(mode, size, Image.new(lender, (5, 3)))
    assert storage._in_place(other) is None
    # of a Pillow that stores the mode in another way
    monkeypatch.setattr(storage, "_known", set())
    other.im = Image.new(mode, (1, 1)).im
    assert storage._in_place(other) is None
    assert not storage._known
    fitting: Any = Lent(lender, size, Image.new(lender, (5, 3)))
    assert storage._in_place(fitting) is not None
    larger: Any = Lent(lender, (5, 4), Image.new(lender, (5, 3)))
    assert storage._in_place(larger) is None


@pytest.mark.parametrize("mode", [*PLAIN, *PADDED])
@pytest.mark.parametrize("one_block", [True, False])
def test_filled_pictures(mode: str, one_block: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    image = random_picture(mode, (99, 83))
    values = storage.stored(image)
    if not one_block:
        new_block = core.new_block

        def limited(mode: str, size: tuple[int, int]) -> Any:
            if size[1] > 50:
                raise MemoryError
            return new_block(mode, size)

        monkeypatch.setattr(core, "new_block", limited)
        monkeypatch.setattr(storage, "_BAND", 2000)
    result = storage.filled(mode, (83, 99), lambda out: np.copyto(out, values))
    assert (result.mode, result.size, result.readonly) == (mode, (99, 83), 0)
    assert result.tobytes() == image.tobytes()


def test_a_result_is_a_picture_like_any_other() -> None:
    image = random_picture("RGB")
    result = resample.resize(image, scale=2)
    expected = np.asarray(result)
    for again in (
        result.copy(),
        copy.deepcopy(result),
        pickle.loads(pickle.dumps(result)),
        result.crop((0, 0, 26, 14)),
    ):
        np.testing.assert_array_equal(np.asarray(again), expected)
    view = storage.stored(result)
    result.putpixel((1, 2), (9, 8, 7))
    assert view[2, 1].tolist() == [9, 8, 7, 255]  # no copy was made to write
    result.paste((1, 1, 1), (0, 0, 26, 14))
    assert result.getextrema() == ((1, 1),) * 3
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(resample.resize, image, scale=2).result()
    np.testing.assert_array_equal(np.asarray(other), expected)
    other.close()
    with pytest.raises(ValueError, match="closed image"):
        resample.resize(other, scale=2)


def test_files_are_the_same_as_of_copies() -> None:
    image = random_picture("RGB", (60, 50))
    result = resample.resize(image, scale=1.5)
    for kind in ("PNG", "JPEG", "TIFF"):
        files = []
        for each in (result, Image.fromarray(np.asarray(result))):
            file = io.BytesIO()
            each.save(file, kind)
            files.append(file.getvalue())
        assert files[0] == files[1]


@pytest.mark.parametrize("scale", [2, 1, 0.6, (0.3, 2.5)])
@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic", "lanczos", "area"])
def test_padding_is_255_whatever_it_was(mode: str, scale: Any) -> None:
    image = random_picture("RGB", (31, 27))
    for source in (image, ImageChops.invert(image), Image.merge("RGB", image.split())):
        result = resample.resize(source, scale=scale, mode=mode)
        assert (storage.stored(result)[..., 3] == 255).all()
        pixels = resample.resize(np.asarray(source), scale=scale, mode=mode)
        np.testing.assert_array_equal(np.asarray(result), pixels)
    gray = Image.merge("LA", image.split()[:2])
    stored = storage.stored(resample.resize(gray, scale=scale, mode=mode))
    assert (stored[..., 1:3] == stored[..., :1]).all()


def test_no_memory_is_lost() -> None:
    resource = pytest.importorskip("resource")
    image = Image.new("RGB", (1000, 700), (1, 2, 3))
    big = Image.new("RGB", (3000, 2000), (1, 2, 3))

    def peak() -> float:
        for _ in range(60):
            resample.resize(image, scale=2)
            resample.phases(image, 2)
        for _ in range(10):
            resample.resize(big, scale=0.5)
        gc.collect()
        return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) / 1024

    first = peak()
    assert peak() - first < 100  # in MiB, of the 1300 that pass by


def test_a_lack_of_memory_is_called_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a Pillow that is not known."""

    class Core:
        def new_block(self, mode: str, size: tuple[int, int]) -> None:
            raise MemoryError

    picture = Image.new("RGB", (8, 8))
    monkeypatch.setattr(storage, "_core", Core)
    with pytest.raises(MemoryError):
        storage.filled(picture.mode, (8, 8), lambda pixels: None)
