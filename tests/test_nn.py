"""The layers against torch's: arguments, reprs, weights, results."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch_file

import resample.nn as nn

rng = np.random.default_rng(0)

# class, positional and keyword arguments
LAYERS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("Upsample", (), {"scale_factor": 2}),
    ("Upsample", (), {"scale_factor": (2, 1.5), "mode": "bilinear", "align_corners": True}),
    ("Upsample", ((7, 9),), {"mode": "bicubic"}),
    ("Upsample", (7,), {}),
    ("Upsample", (), {"scale_factor": 1.7, "mode": "bilinear", "recompute_scale_factor": True}),
    ("UpsamplingNearest2d", (), {"scale_factor": 3}),
    ("UpsamplingNearest2d", ((8, 9),), {}),
    ("UpsamplingBilinear2d", (), {"scale_factor": 2}),
    ("UpsamplingBilinear2d", (11,), {}),
    ("PixelUnshuffle", (2,), {}),
    ("PixelShuffle", (2,), {}),
    ("MaxPool2d", (2,), {}),
    ("MaxPool2d", ((3, 2),), {"stride": (2, 1), "padding": 1, "ceil_mode": True}),
    ("MaxPool2d", (3, 1, 1, 2), {"return_indices": True}),
    ("MaxUnpool2d", (2,), {}),
    ("MaxUnpool2d", (4,), {"stride": 2, "padding": (1, 1)}),
    ("ConvTranspose2d", (4, 8, 3), {}),
    ("ConvTranspose2d", (4, 8, (3, 5), 2), {"padding": (1, 2), "output_padding": 1, "bias": False}),
    ("ConvTranspose2d", (4, 8, 3), {"groups": 2, "dilation": (2, 1)}),
    ("ConvTranspose1d", (4, 6, 3, 2, 1), {}),
    ("ConvTranspose3d", (4, 2, 3), {"stride": (1, 2, 1)}),
    ("MaxPool1d", (3,), {"stride": 2}),
    ("MaxPool3d", (2,), {"padding": 1, "return_indices": True}),
    ("MaxUnpool1d", (3,), {}),
    ("MaxUnpool3d", (2,), {"stride": 2}),
]
SHAPES = {"1": (2, 4, 12), "2": (2, 4, 12, 10), "3": (2, 4, 6, 6, 8)}


@pytest.mark.parametrize(("name", "positional", "named"), LAYERS, ids=str)
def test_layer_is_torchs(name: str, positional: tuple[Any, ...], named: dict[str, Any]) -> None:
    theirs = getattr(torch.nn, name)(*positional, **named)
    if name.startswith("ConvTranspose"):
        torch.manual_seed(5)
        theirs = getattr(torch.nn, name)(*positional, **named)
        ours = getattr(nn, name)(*positional, **named, seed=5)
    else:
        ours = getattr(nn, name)(*positional, **named)
    assert repr(ours) == repr(theirs)
    axes = name[-2] if name.endswith("d") else "2"
    inputs = [rng.standard_normal(SHAPES[axes]).astype(np.float32)]
    if name.startswith("MaxUnpool"):
        pool = getattr(torch.nn, name.replace("Unpool", "Pool"))(*positional, **named, return_indices=True)
        pooled, indices = pool(torch.from_numpy(inputs[0]))
        inputs = [pooled.numpy(), indices.numpy()]
    with torch.no_grad():
        expected = theirs(*map(torch.from_numpy, inputs))
    result = ours(*inputs)
    pairs = zip(result, expected, strict=True) if isinstance(expected, tuple) else [(result, expected)]
    for got, wanted in pairs:
        np.testing.assert_allclose(got, wanted.numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1, 2**32 + 5, -1])
def test_initial_weights_are_torchs(dtype: str, seed: int) -> None:
    for arguments in [(3, 8, 3), (16, 4, (1, 5), 2, 0, 0, 4), (128, 64, 4, 2)]:
        torch.manual_seed(seed)
        theirs = torch.nn.ConvTranspose2d(*arguments, dtype=getattr(torch, dtype))
        ours = nn.ConvTranspose2d(*arguments, dtype=dtype, seed=seed)
        np.testing.assert_array_equal(ours.weight, theirs.weight.detach().numpy())
        assert ours.bias is not None
        np.testing.assert_array_equal(ours.bias, theirs.bias.detach().numpy())


def test_without_a_seed_weights_differ() -> None:
    assert (nn.ConvTranspose2d(3, 3, 3).weight != nn.ConvTranspose2d(3, 3, 3).weight).any()


@pytest.mark.parametrize("batched", [True, False])
def test_output_size(batched: bool) -> None:
    torch.manual_seed(1)
    options = {"stride": (2, 3), "padding": 1, "dilation": (1, 2)}
    theirs, ours = torch.nn.ConvTranspose2d(4, 6, 3, **options), nn.ConvTranspose2d(4, 6, 3, **options, seed=1)
    shape = (2, 4, 5, 6) if batched else (4, 5, 6)
    array = rng.standard_normal(shape).astype(np.float32)
    smallest = ours(array).shape[-2:]
    for extra in itertools.product(range(-1, 3), range(-1, 4)):
        size = [low + more for low, more in zip(smallest, extra, strict=True)]
        for asked in (size, [*shape[:-2], *size], size[:1], [1, *shape[:-2], *size]):
            try:
                with torch.no_grad():
                    expected = theirs(torch.from_numpy(array), output_size=asked)
            except ValueError:
                with pytest.raises(ValueError, match="output_size must"):
                    ours(array, output_size=asked)
            else:
                np.testing.assert_allclose(ours(array, output_size=asked), expected.numpy(), rtol=1e-5, atol=1e-5)


def test_max_unpool_output_size() -> None:
    array = rng.standard_normal((1, 2, 5, 5)).astype(np.float32)
    pooled, indices = nn.MaxPool2d(2, return_indices=True)(array)
    result = nn.MaxUnpool2d(2)(pooled, indices, output_size=array.shape)
    expected = torch.nn.MaxUnpool2d(2)(*map(torch.from_numpy, (pooled, indices)), output_size=array.shape)
    np.testing.assert_array_equal(result, expected.numpy())


def test_load_state_dict_of_torch() -> None:
    theirs, ours = torch.nn.ConvTranspose2d(4, 6, 3), nn.ConvTranspose2d(4, 6, 3)
    ours.load_state_dict({name: value.detach() for name, value in theirs.state_dict().items()})
    for name, value in theirs.state_dict().items():
        np.testing.assert_array_equal(ours.state_dict()[name], value.numpy())
    kept = ours.weight.copy()
    with torch.no_grad():
        theirs.weight.zero_()  # the arrays were copied
    np.testing.assert_array_equal(ours.weight, kept)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({}, "missing: bias, weight"),
        ({"weight": np.zeros((4, 6, 3, 3)), "bias": np.zeros(6), "extra": np.zeros(1)}, "not known: extra"),
        ({"weight": np.zeros((4, 6, 3, 2)), "bias": np.zeros(6)}, r"weight must have shape \(4, 6, 3, 3\)"),
        ({"weight": np.zeros((4, 6, 3, 3)), "bias": np.zeros(5)}, r"bias must have shape \(6,\)"),
    ],
)
def test_bad_state_dict(state: dict[str, Any], words: str) -> None:
    layer = nn.ConvTranspose2d(4, 6, 3, seed=0)
    before = layer.weight.copy()
    with pytest.raises(RuntimeError, match=words):
        layer.load_state_dict(state)
    np.testing.assert_array_equal(layer.weight, before)


def test_from_safetensors(tmp_path: Path) -> None:
    torch.manual_seed(3)
    theirs = torch.nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, groups=2)
    arrays = {f"decoder.up.{name}": value.detach().numpy() for name, value in theirs.state_dict().items()}
    save_file({**arrays, "plain.weight": arrays["decoder.up.weight"]}, tmp_path / "model.safetensors")
    ours = nn.ConvTranspose2d.from_safetensors(
        tmp_path / "model.safetensors", "decoder.up", stride=2, padding=1, groups=2
    )
    assert repr(ours) == repr(theirs)
    array = rng.standard_normal((1, 4, 5, 6)).astype(np.float32)
    with torch.no_grad():
        expected = theirs(torch.from_numpy(array)).numpy()
    np.testing.assert_allclose(ours(array), expected, rtol=1e-5, atol=1e-5)
    assert nn.ConvTranspose2d.from_safetensors(tmp_path / "model.safetensors", "plain").bias is None
    with pytest.raises(KeyError, match=r"holds no missing.weight, but decoder.up.bias, decoder.up.weight"):
        nn.ConvTranspose2d.from_safetensors(tmp_path / "model.safetensors", "missing")
    with pytest.raises(ValueError, match="must have 3 axes for ConvTranspose1d"):
        nn.ConvTranspose1d.from_safetensors(tmp_path / "model.safetensors", "plain")


@pytest.mark.parametrize(
    "options",
    [
        {"groups": 0},
        {"groups": -1},
        {"in_channels": 5, "groups": 2},
        {"out_channels": 5, "groups": 2},
        {"padding_mode": "reflect"},
    ],
)
def test_bad_constructor(options: dict[str, Any]) -> None:
    arguments = {"in_channels": 4, "out_channels": 6, "kernel_size": 3, **options}
    with pytest.raises(ValueError, match="must"):
        nn.ConvTranspose2d(**arguments)
    with pytest.raises(ValueError, match=r"must|[Oo]nly"):
        torch.nn.ConvTranspose2d(**arguments)


def test_bad_weights(tmp_path: Path) -> None:
    for options in ({"kernel_size": -1}, {"dtype": np.int64}, {"dtype": "uint8"}):
        with pytest.raises(RuntimeError, match="must"):
            nn.ConvTranspose2d(**{"in_channels": 4, "out_channels": 6, "kernel_size": 3, **options})
    with pytest.raises(TypeError, match="seed must be an int or None"):
        nn.ConvTranspose2d(4, 6, 3, seed=1.5)
    layer = nn.ConvTranspose2d(4, 6, 3)
    with pytest.raises(TypeError, match="state_dict must be a mapping"):
        layer.load_state_dict(None)
    theirs = torch.nn.ConvTranspose2d(4, 6, 3)
    layer.load_state_dict(dict(theirs.named_parameters()))  # with their gradients
    np.testing.assert_array_equal(layer.weight, theirs.weight.detach().numpy())
    save_torch_file({"up.weight": theirs.weight.detach().bfloat16()}, tmp_path / "half.safetensors")
    with pytest.raises(ValueError, match="must be of F16, F32 or F64, got BF16"):
        nn.ConvTranspose2d.from_safetensors(tmp_path / "half.safetensors", "up")


def test_lanczos_needs_antialias_which_the_layer_has_not() -> None:
    array = np.zeros((1, 1, 4, 4), np.float32)
    with pytest.raises(ValueError, match="antialias"):
        torch.nn.Upsample(scale_factor=2, mode="lanczos")(torch.from_numpy(array))
    with pytest.raises(ValueError, match="antialias"):
        nn.Upsample(scale_factor=2, mode="lanczos")(array)


def test_falsy_factor_is_none() -> None:
    assert nn.Upsample(scale_factor=0).scale_factor is torch.nn.Upsample(scale_factor=0).scale_factor is None
    with pytest.raises(ValueError, match="size"):
        nn.Upsample(scale_factor=0)(np.zeros((1, 1, 4, 4), np.float32))
