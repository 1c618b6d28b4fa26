"""The modes of the command that are torch's layers: transposed convolution and pixel shuffle."""

# ruff: noqa: F811  (fixtures come by import)

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from test_command import IMAGES, call, folder, pixels, process, refused  # noqa: F401

import resample

CONV = ("--mode", "conv-transpose")
SPLIT = ("--mode", "pixel-unshuffle")
JOIN = ("--mode", "pixel-shuffle")


def torchs(layer: torch.nn.ConvTranspose2d, picture: Path) -> Any:
    """Return the pixels that the layer makes of a picture."""
    planes = torch.from_numpy(pixels(picture).copy()).permute(2, 0, 1) / 255
    with torch.no_grad():
        return np.rint(layer(planes).permute(1, 2, 0).numpy().clip(0, 1) * 255)


def assert_close(found: Any, expected: Any) -> None:
    assert found.shape == expected.shape
    difference = abs(found.astype(int) - expected)
    assert difference.max() <= 1
    assert (difference == 0).mean() > 0.999


# Transposed convolution


@pytest.mark.parametrize("kernel", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize(("stride", "factors"), [("2", (2, 2)), ("3,2", (3, 2))])
def test_kernel_is_the_interpolation_inside(call: Any, kernel: str, stride: str, factors: tuple[int, int]) -> None:
    status, lines = call(IMAGES / "car.jpg", *CONV, "--kernel", kernel, "--stride", stride, "-o", "out.png")
    size = f"{700 * factors[0]}x{464 * factors[1]}"
    assert status == 0
    assert len(lines) == 1
    assert f"car.jpg 700x464 -> out.png {size}, conv-transpose, " in lines[0]
    with Image.open(IMAGES / "car.jpg") as image:
        bytes_of_torch = np.asarray(resample.resize(image, scale=factors[::-1], mode=kernel)).astype(int)
        floats = resample.resize(np.asarray(image, np.float32), scale=factors[::-1], mode=kernel)
    found = pixels(Path("out.png"))
    assert found.shape == floats.shape
    inner = np.s_[12:-12, 12:-12]
    assert abs(found - np.rint(floats.clip(0, 255)))[inner].max() <= 1
    # torch clips bytes between width and height too, which tells where bicubic overshoots
    difference = abs(found - bytes_of_torch)[inner]
    assert (difference <= 1).mean() > (0.99 if kernel == "bicubic" else 0.9999999)


def test_layer_from_a_file_is_torchs(folder: Path) -> None:
    torch.manual_seed(0)
    layer = torch.nn.ConvTranspose2d(
        3, 3, (3, 4), stride=(2, 3), padding=(1, 2), output_padding=(1, 0), dilation=(2, 1)
    )
    options = ("--stride", "3,2", "--padding", "2,1", "--output-padding", "0,1", "--dilation", "1,2")
    expected = torchs(layer, IMAGES / "car.jpg")
    save_file({"up.weight": layer.weight.data, "up.bias": layer.bias.data, "bias": torch.zeros(9)}, "net.safetensors")
    for name in ("", ":up", ":up.weight"):
        done = process(
            IMAGES / "car.jpg",
            *CONV,
            "--weights",
            f"net.safetensors{name}",
            *options,
            "-o",
            f"out{name}.png",
            cwd=folder,
        )
        assert done.returncode == 0, done.stderr
        assert_close(pixels(Path(f"out{name}.png")), expected)
    layer.bias.data.zero_()
    np.save("w.npy", layer.weight.detach().numpy().astype(">f8"))
    assert process(IMAGES / "car.jpg", *CONV, "--weights", "w.npy", *options, "-o", "o.png", cwd=folder).returncode == 0
    assert_close(pixels(Path("o.png")), torchs(layer, IMAGES / "car.jpg"))


@pytest.mark.parametrize(("outputs", "groups", "mode"), [(1, 1, "L"), (3, 3, "RGB"), (4, 1, "RGBA")])
def test_channels_and_groups(call: Any, outputs: int, groups: int, mode: str) -> None:
    torch.manual_seed(0)
    layer = torch.nn.ConvTranspose2d(3, outputs, 3, stride=2, groups=groups, bias=False)
    save_file({"weight": layer.weight.data.half(), "other": torch.zeros(3)}, "net.safetensors")
    layer.weight.data = layer.weight.data.half().float()
    assert call("car.png", *CONV, "--weights", "net.safetensors", "--stride", 2, "--groups", groups)[0] == 0
    with Image.open("car@conv-transpose.png") as written:
        assert (written.mode, written.size) == (mode, (141, 93))
    expected = torchs(layer, Path("car.png"))
    assert_close(pixels(Path("car@conv-transpose.png")).reshape(expected.shape), expected)


def test_the_car_of_the_document(call: Any) -> None:
    np.save("w.npy", np.full((3, 3, 2, 2), 0.1, np.float32))
    Path("car.jpg").write_bytes((IMAGES / "car.jpg").read_bytes())
    status, lines = call("car.jpg", *CONV, "--weights", "w.npy")
    assert status == 0
    assert lines[0].startswith("resample: car.jpg 700x464 -> car@conv-transpose.jpg 701x465, conv-transpose, ")


def test_weights_for_each_channel(call: Any) -> None:
    np.save("w.npy", np.ones((1, 1, 2, 2)))
    for name in ("badge.png", "badge_la.png", "gray16.png", "bilevel.png", "palette.png"):
        assert call(IMAGES / name, *CONV, "--weights", "w.npy", "--stride", 2, "-o", f"twice-{name}")[0] == 0
        assert call(IMAGES / name, *CONV, "--kernel", "nearest", "--stride", 2, "-o", f"nearest-{name}")[0] == 0
        with Image.open(IMAGES / name) as image:
            wide = image.convert({"1": "L", "P": "RGB"}.get(image.mode, image.mode))
        expected = np.asarray(wide).repeat(2, 0).repeat(2, 1)
        assert np.array_equal(pixels(Path(f"twice-{name}")), expected)
        assert np.array_equal(pixels(Path(f"nearest-{name}")), expected)


def test_padding_of_a_kernel_can_be_chosen(call: Any) -> None:
    assert call("car.png", *CONV, "--kernel", "bilinear", "--stride", 2, "--padding", "0,3")[0] == 0
    with Image.open("car@conv-transpose.png") as written:
        assert written.size == (140 + 2, 92 - 4)


def test_orientation_and_metadata(call: Any) -> None:
    assert call(IMAGES / "orientation6.jpg", *CONV, "--kernel", "nearest", "--stride", "2,3", "-o", "out.png")[0] == 0
    with Image.open("out.png") as written, Image.open(IMAGES / "orientation6.jpg") as image:
        assert written.size == (240, 480)
        assert written.info["icc_profile"] == image.info["icc_profile"]
        assert 0x112 not in written.getexif()


# Phases


def sample(mode: str) -> Image.Image:
    values = np.random.default_rng(0).integers(0, 256, (12, 18, 4), np.uint8)
    if mode == "I;16":
        return Image.fromarray(values[..., :2].copy().view(np.uint16)[..., 0])
    if mode in ("1", "P"):
        image = Image.fromarray(values[..., 0] // 64)
        if mode == "1":
            return image.point(lambda value: 255 * (value % 2)).convert("1")
        image.putpalette([9, 8, 7, 200, 100, 50, 0, 0, 0, 90, 255, 3])
        return image
    if mode in ("F", "I"):
        return Image.fromarray(values[..., 0].astype({"F": np.float32, "I": np.int32}[mode]) * 1000)
    return Image.frombytes(mode, (18, 12), values[..., : len(Image.getmodebands(mode) * " ")].tobytes())


@pytest.mark.parametrize(
    ("mode", "source"),
    [(mode, "png") for mode in ("L", "LA", "RGB", "RGBA", "P", "1", "I;16")]
    + [(mode, "tif") for mode in ("CMYK", "F", "I")],
)
@pytest.mark.parametrize("factor", [2, 3])
def test_round_trip(call: Any, mode: str, source: str, factor: int) -> None:
    image = sample(mode)
    image.save(f"source.{source}")
    status, lines = call(f"source.{source}", *SPLIT, "--factor", factor)
    ending = "tif" if source == "tif" else "png"
    size = f"{18 // factor}x{12 // factor}"
    names = [f"source@phase-{i}-{j}.{ending}" for i, j in itertools.product(range(factor), repeat=2)]
    span = f"{names[0]} ... {names[-1]}"
    assert status == 0
    assert lines[0].startswith(f"resample: source.{source} 18x12 -> {span} {size}, pixel-unshuffle, ")
    assert sorted(os.listdir()) == sorted(["car.png", f"source.{source}", *names])
    whole = np.asarray(image)
    for name, (i, j) in zip(names, itertools.product(range(factor), repeat=2), strict=True):
        with Image.open(name) as phase:
            assert phase.mode == mode
            assert np.array_equal(np.asarray(phase), whole[i::factor, j::factor])
    status, lines = call(*names, *JOIN, "-o", f"back.{ending}")
    assert status == 0
    assert lines[0].startswith(f"resample: {span} {size} -> back.{ending} 18x12, pixel-shuffle, ")
    with Image.open(f"back.{ending}") as back:
        assert (back.mode, back.tobytes()) == (mode, image.tobytes())
        if mode == "P":
            assert back.convert("RGB").tobytes() == image.convert("RGB").tobytes()


@pytest.mark.parametrize("ending", ["png", "tif", "bmp", "ppm"])
def test_round_trip_of_a_photograph(folder: Path, ending: str) -> None:
    done = process(IMAGES / "car.jpg", *SPLIT, "--factor", 4, "-o", f"part.{ending}", cwd=folder)
    assert done.returncode == 0
    names = sorted(path.name for path in folder.glob(f"part-*.{ending}"))
    assert len(names) == 16
    assert process(*names, *JOIN, "--factor", 4, "-o", "back.png", cwd=folder).returncode == 0
    assert np.array_equal(pixels(folder / "back.png"), pixels(IMAGES / "car.jpg"))


def test_names_sort_as_phases(call: Any) -> None:
    Image.fromarray(np.arange(121, dtype=np.uint8).reshape(11, 11)).save("small.png")
    assert call("small.png", *SPLIT, "--factor", 11)[0] == 0
    names = sorted(path.name for path in Path().glob("small@*"))
    assert (names[1], names[-1]) == ("small@phase-00-01.png", "small@phase-10-10.png")
    assert [int(pixels(Path(name))[0, 0]) for name in names] == list(range(121))
    assert call(*names, *JOIN, "-o", "back.png")[0] == 0
    assert np.array_equal(pixels(Path("back.png")), pixels(Path("small.png")))


def test_orientation_of_phases(call: Any) -> None:
    turned = IMAGES / "orientation6.jpg"
    assert call(turned, *SPLIT, "--factor", 2, "-o", "part.png")[0] == 0
    names = [f"part-{i}-{j}.png" for i in range(2) for j in range(2)]
    with Image.open(turned) as image, Image.open(names[0]) as part:
        upright = np.rot90(np.asarray(image), -1)
        assert part.size == (60, 80)
        assert part.info["icc_profile"] == image.info["icc_profile"]
        assert 0x112 not in part.getexif()
    assert call(*names, *JOIN, "-o", "back.png")[0] == 0
    assert np.array_equal(pixels(Path("back.png")), upright)
    # phases that are turned themselves
    exif = Image.Exif()
    exif[0x112] = 6
    for name in names:
        with Image.open(name) as part:
            part.transpose(Image.Transpose.ROTATE_90).save(f"turned-{name}", exif=exif)
    assert call(*(f"turned-{name}" for name in names), *JOIN, "-o", "again.png")[0] == 0
    assert np.array_equal(pixels(Path("again.png")), upright)


def test_palette_with_transparency(call: Any) -> None:
    with Image.open(IMAGES / "palette_transparent.png") as image:
        image.crop((0, 0, image.width // 2 * 2, image.height // 2 * 2)).save("p.png")
    assert call("p.png", *SPLIT, "--factor", 2)[0] == 0
    assert call(*sorted(Path().glob("p@*")), *JOIN, "-o", "back.png")[0] == 0
    with Image.open("p.png") as image, Image.open("back.png") as back:
        assert (back.mode, back.tobytes()) == ("P", image.tobytes())
        assert back.convert("RGBA").tobytes() == image.convert("RGBA").tobytes()


# All or none


def test_one_existing_phase_stops_all(call: Any) -> None:
    Path("car@phase-1-1.png").write_text("precious")
    line = refused(call, 1, "car.png", *SPLIT, "--factor", 2)
    assert "car@phase-1-1.png: the output exists, and --overwrite is not given" in line
    assert call("car.png", *SPLIT, "--factor", 2, "--overwrite")[0] == 0
    assert pixels(Path("car@phase-1-1.png")).shape == (23, 35, 3)


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("links", [False, True])
@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), KeyboardInterrupt()])
def test_failing_publication_is_taken_back(
    call: Any, monkeypatch: pytest.MonkeyPatch, overwrite: bool, links: bool, error: BaseException
) -> None:
    Path("car@phase-0-1.png").write_text("precious")
    if not overwrite:
        os.rename("car@phase-0-1.png", "elsewhere.png")

    def failing(function: Any) -> Any:
        def call(source: str, target: str, **options: Any) -> None:
            if target == "car@phase-1-0.png":
                raise error
            if function is os.link and not links:
                raise PermissionError(1, "Operation not permitted")
            function(source, target, **options)

        return call

    for name in ("link", "replace"):
        monkeypatch.setattr(os, name, failing(getattr(os, name)))
    before = sorted(os.listdir())
    status, lines = call("car.png", *SPLIT, "--factor", 2, *["--overwrite"] * overwrite)
    told = "error: car@phase-0-0.png ... car@phase-1-1.png: cannot be written: Input/output error"
    expected = (130, ["resample: interrupted"]) if isinstance(error, KeyboardInterrupt) else (1, [f"resample: {told}"])
    assert (status, lines) == expected
    assert sorted(os.listdir()) == before
    if overwrite and links:
        assert Path("car@phase-0-1.png").read_text() == "precious"


def test_phase_that_appears_meanwhile_is_kept(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    save = Image.Image.save

    def slow_save(image: Image.Image, path: str, **options: Any) -> None:
        save(image, path, **options)
        Path("car@phase-1-0.png").write_text("precious")

    monkeypatch.setattr(Image.Image, "save", slow_save)
    status, lines = call("car.png", *SPLIT, "--factor", 2)
    assert (status, len(lines)) == (1, 1)
    assert "car@phase-1-0.png: the output appeared meanwhile" in lines[0]
    assert sorted(os.listdir()) == ["car.png", "car@phase-1-0.png"]
    assert Path("car@phase-1-0.png").read_text() == "precious"


def test_inputs_are_never_overwritten(call: Any) -> None:
    os.rename("car.png", "part-0-0.png")
    line = refused(call, 1, "part-0-0.png", *SPLIT, "--factor", 2, "--overwrite", "-o", "part.png")
    assert "part-0-0.png: the output is the input" in line
    for name in "bcd":
        os.link("part-0-0.png", f"{name}.png")
        Path(f"{name}2.png").write_bytes(Path("part-0-0.png").read_bytes())
    line = refused(call, 1, "b2.png", "c2.png", "d2.png", "b.png", *JOIN, "--overwrite", "-o", "d.png")
    assert "d.png: the output is the input" in line


# What is refused


@pytest.mark.parametrize(
    ("args", "parts"),
    [
        (f"{option} --mode {mode}", [option.split()[0], "goes with --mode", f"not {mode}"])
        for mode, options in {
            "conv-transpose": ("--scale 2", "--size 5", "--width 5", "--height 5", "--max-side 5", "--alpha straight",
                               "--align-corners", "--antialias", "--no-antialias", "--factor 2"),
            "pixel-unshuffle": ("--scale 2", "--kernel nearest", "--stride 2", "--groups 3", "--no-antialias"),
            "pixel-shuffle": ("--max-side 2", "--weights w.npy", "--dilation 1", "--output-padding 0"),
            "bicubic": ("--kernel nearest", "--weights w.npy", "--stride 2", "--padding 0", "--output-padding 0",
                        "--dilation 1", "--groups 1", "--factor 2"),
        }.items()
        for option in options
    ]
    + [
        ("--mode conv-transpose", ["--kernel or --weights", "none"]),
        ("--mode conv-transpose --kernel nearest --weights w.npy", ["--kernel or --weights", "both"]),
        ("--mode conv-transpose --kernel lanczos", ["'lanczos'", "nearest, bilinear, bicubic"]),
        ("--mode conv-transpose --kernel nearest", ["--stride", "not given"]),
        ("--mode conv-transpose --kernel nearest --stride 2 --groups 3", ["--groups", "--kernel"]),
        ("--mode conv-transpose --kernel nearest --stride 1,257", ["--stride", "256", "257"]),
        ("--mode conv-transpose --kernel nearest --stride 2 --output-padding 1,2", ["--output-padding", "2"]),
        ("--mode conv-transpose --kernel nearest --stride 2 --padding 9,99", ["padding (99, 9)", "(46, 70)"]),
        ("--mode conv-transpose --kernel nearest --stride 2 --max-pixels 12879", ["140x92", "12879", "--max-pixels"]),
        ("--mode conv-transpose --weights w.npy --stride 999999999", ["--max-pixels"]),
        ("--mode conv-transpose --weights w.npy --groups 3", ["--groups", "(1, 1, kH, kW)"]),
        *((f"--mode conv-transpose --kernel nearest --stride {bad}", ["--stride", f"'{bad}'", "HORIZONTAL,VERTICAL"])
          for bad in ("0", "1,2,3", "-1", "1.5", "x", "", "1,", "1234567890")),
        ("--mode conv-transpose --kernel nearest --stride 2 --padding -1", ["--padding"]),
        ("--mode conv-transpose --weights w.npy --groups 0", ["--groups", "'0'"]),
        *((f"--mode conv-transpose --weights {bad}", ["--weights", f"'{bad}'", "FILE.safetensors:NAME"])
          for bad in ("w.pt", "w.npy:name", "w.safetensors:", ".npy", "")),
        ("--mode conv-transpose --weights w.npy --quality 5", ["--quality", "PNG"]),
        ("other.png --mode conv-transpose --kernel nearest --stride 2 -o a.png", ["a.png", "several INPUTs"]),
        ("other.png --mode pixel-unshuffle --factor 2", ["one INPUT", "other.png"]),
        ("--mode pixel-unshuffle", ["--factor"]),
        ("--mode pixel-unshuffle --factor 0", ["--factor", "'0'"]),
        ("--mode pixel-unshuffle --factor 5", ["car.png", "--factor", "70x46", "5"]),
        ("--mode pixel-unshuffle --factor 2 --quality 5", ["--quality", "PNG"]),
        *((f"--mode pixel-unshuffle --factor 2 -o a.{bad}", ["without loss", f"a.{bad}", ".png .tif"])
          for bad in ("jpg", "webp", "gif", "avif", "jp2")),
        ("--mode pixel-shuffle", ["--output"]),
        ("--mode pixel-shuffle -o back.jpg", ["without loss", "back.jpg", ".png .tif"]),
        ("b.png c.png --mode pixel-shuffle -o back.png", ["R * R", "3"]),
        ("b.png c.png d.png --mode pixel-shuffle --factor 3 -o back.png", ["--factor 3", "9", "got 4"]),
        ("car.png car.png car.png --mode pixel-shuffle -o b.png --max-pixels 12879", ["140x92", "12879"]),
    ],
)  # fmt: skip
def test_wrong_usage(call: Any, args: str, parts: list[str]) -> None:
    np.save("w.npy", np.ones((1, 1, 2, 2)))
    line = refused(call, 2, "car.png", *args.split(" "))
    for part in parts:
        assert part in line


def header(text: str) -> bytes:
    return b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text.encode() + bytes(64)


SHAPE = "(channels, C_out / groups, kH, kW)"
GIANT = "{'descr': '<f4', 'fortran_order': False, 'shape': (99999, 99999, 9, 9)}"


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (np.ones((2, 2)), f"must have shape {SHAPE}, all at least 1, got (2, 2)"),
        (np.ones((1, 1, 0, 2)), f"must have shape {SHAPE}, all at least 1, got (1, 1, 0, 2)"),
        (np.ones((1, 1, 2, 2), np.int32), "must be of floats, got int32"),
        (np.ones((1, 1, 2, 2), complex), "must be of floats, got complex128"),
        (np.full((1, 1, 2, 2), np.nan), "must be finite"),
        (np.full((1, 1, 2, 2), -np.inf), "must be finite"),
        (np.full((1, 1, 2, 2), 1e39), "no larger than float32 holds"),
        (np.full((1, 1, 2, 2), None), "Python objects"),
        (np.ones((4, 3, 2, 2)), "cannot be resampled: weight must have shape (3 or 1, "),
        (np.ones((3, 2, 2, 2)), "cannot be resampled: weight must keep the number of channels, or give 1, 3 or 4"),
        (b"", "w.npy: is empty"),
        (b"no weights at all", "the magic string is not correct"),
        (b"\x93NUMPY", "cannot be used as weights: "),
        (header("{'descr'"), "cannot be used as weights: "),
        (header(GIANT), "cannot be used as weights: "),
    ],
)
def test_bad_npy(call: Any, content: Any, part: str) -> None:
    if isinstance(content, bytes):
        Path("w.npy").write_bytes(content)
    else:
        np.save("w.npy", content)
    assert part in refused(call, 1, "car.png", *CONV, "--weights", "w.npy")


@pytest.mark.parametrize(
    ("tensors", "name", "part"),
    [
        ({"a": (3, 3, 2, 2), "b": (3, 3, 2, 2), "c": (3,)}, "", "2 tensors have four axes, and no NAME is given; "),
        ({"a": (3, 3, 2, 2), "b": (3, 3, 2, 2), "c": (3,)}, "", "FILE:NAME names one of: a, b, c"),
        ({"a": (3,), "s": ()}, "", "no tensors have four axes"),
        ({}, "", "names one of: nothing"),
        ({str(i): (3,) for i in range(99)}, "", ", ..."),
        ({"a.weight": (3, 3, 2, 2)}, ":b", "there is no b; FILE:NAME names one of: a.weight"),
        ({"a.weight": (3, 3, 2, 2), "a.bias": (3, 3)}, ":a", "a.bias must have shape (C_out,)"),
        ({"a.weight": (3, 3, 2, 2), "a.bias": (4,)}, ":a", "bias must have shape (3,)"),
        ({"a.weight": (3, 3, 2)}, ":a", f"a.weight must have shape {SHAPE}"),
    ],
)
def test_bad_safetensors(call: Any, tensors: dict[str, tuple[int, ...]], name: str, part: str) -> None:
    save_file({key: torch.ones(shape) for key, shape in tensors.items()}, "w.safetensors")
    assert part in refused(call, 1, "car.png", *CONV, "--weights", f"w.safetensors{name}")


def test_bad_types_and_damage_of_safetensors(call: Any) -> None:
    args = ("car.png", *CONV, "--weights", "w.safetensors")
    for dtype, name in ((torch.bfloat16, "BF16"), (torch.int64, "I64"), (torch.bool, "BOOL")):
        save_file({"weight": torch.ones(3, 3, 2, 2, dtype=dtype)}, "w.safetensors")
        assert f"weight must be one of F16, F32, F64, got {name}" in refused(call, 1, *args)
    save_file({"weight": torch.full((3, 3, 2, 2), torch.nan)}, "w.safetensors")
    assert "weight must be finite" in refused(call, 1, *args)
    whole = Path("w.safetensors").read_bytes()
    for data in (whole[:4], whole[:30], whole[:-1], b"\xff" * 40, whole + b"x", whole.replace(b"F32", b"F99")):
        Path("w.safetensors").write_bytes(data)
        assert "w.safetensors: cannot be used as weights: " in refused(call, 1, *args)
    Path("w.safetensors").unlink()
    assert "w.safetensors: cannot be used as weights: No such file" in refused(call, 1, *args)
    os.mkdir("w.safetensors")
    assert "w.safetensors: is a folder" in refused(call, 1, *args)


def test_safetensors_is_an_extra(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("w.safetensors").write_bytes(b"anything")
    monkeypatch.setitem(sys.modules, "safetensors", None)
    line = refused(call, 1, "car.png", *CONV, "--weights", "w.safetensors")
    assert "w.safetensors: reading it takes the package safetensors: pip install 'resample-images[safetensors]'" in line


def test_bad_phases(call: Any) -> None:
    with Image.open("car.png") as image:
        image.save("b.png")
        image.crop((0, 0, 70, 45)).save("low.png")
        image.convert("L").save("gray.png")
        image.quantize(8).save("p1.png")
        image.crop((9, 9, 9 + 70, 9 + 46)).quantize(8).save("p2.png")
    for names, part in (
        ("car b b low", "low.png: is 70x45 RGB, but car.png is 70x46 RGB"),
        ("car b gray b", "gray.png: is 70x46 L, but car.png is 70x46 RGB"),
        ("p1 p1 p1 p2", "p2.png: has another palette than p1.png"),
        ("car b b missing", "missing.png: cannot be read: No such file"),
    ):
        args = [f"{name}.png" for name in names.split()]
        assert part in refused(call, 1, *args, *JOIN, "-o", "back.png")
    line = refused(call, 1, IMAGES / "cmyk.jpg", *SPLIT, "--factor", 2, "-o", "cmyk.png")
    assert "cmyk-0-0.png: PNG does not hold CMYK pictures; these formats do: " in line


def test_usage_errors_import_nothing_heavy(folder: Path) -> None:
    code = "import sys; from resample_cli.main import main; print(main(sys.argv[1:]), *sys.modules)"
    for args in ((*CONV, "--kernel", "nearest"), SPLIT, JOIN):
        done = subprocess.run([sys.executable, "-c", code, "car.png", *args], capture_output=True, text=True)
        status, *loaded = done.stdout.split()
        assert status == "2"
        assert not {"numpy", "PIL", "resample.image"} & set(loaded)
