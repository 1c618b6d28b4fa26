"""The uses that this library comes from, each run with our operators and compared with live torch."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn as theirs
from PIL import Image
from safetensors.numpy import save_file

import resample
import resample.functional as F
import resample.nn as nn

CAR = Path(__file__).parent.parent / "images" / "car.jpg"


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def close(actual: np.ndarray, expected: torch.Tensor, tolerance: float = 1e-5) -> None:
    assert actual.shape == tuple(expected.shape)
    np.testing.assert_allclose(actual, expected.detach().numpy(), rtol=tolerance, atol=tolerance)


def test_generator_with_our_interpolation() -> None:
    """A decoder of three stages {bilinear x2 with align_corners, 1x1 convolution, batch norm, ReLU or Tanh}."""

    class Decoder(theirs.Module):
        def __init__(self, upsample: Any) -> None:
            super().__init__()
            self.upsample = upsample
            channels = [16, 8, 4, 3]
            self.convolutions = theirs.ModuleList(theirs.Conv2d(i, o, 1) for i, o in pairwise(channels))
            self.norms = theirs.ModuleList(theirs.BatchNorm2d(o) for o in channels[1:])

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for k, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
                x = norm(convolution(self.upsample(x)))
                x = torch.tanh(x) if k == 2 else torch.relu(x)
            return x

    options = {"scale_factor": 2, "mode": "bilinear", "align_corners": True}
    encoder = theirs.Conv2d(3, 16, 8, stride=8)
    decoder = Decoder(lambda x: torch.nn.functional.interpolate(x, **options)).eval()
    with torch.no_grad():
        code = encoder(torch.randn(2, 3, 224, 224))
        expected = decoder(code)
        decoder.upsample = lambda x: F.interpolate(x, **options)
        result = decoder(code)
    assert isinstance(result, torch.Tensor)
    assert result.shape == (2, 3, 224, 224)
    close(result.numpy(), expected)


@pytest.mark.parametrize(("size", "output_padding", "back"), [(5, 0, 5), (6, 0, 5), (6, 1, 6)])
def test_convolution_and_back(size: int, output_padding: int, back: int) -> None:
    """conv(3 -> 8, k3, s2, p1), then its transpose: 5 and 6 both give 3, so output_padding says which was meant."""
    down = theirs.Conv2d(3, 8, 3, stride=2, padding=1)
    up = theirs.ConvTranspose2d(8, 3, 3, stride=2, padding=1, output_padding=output_padding)
    ours = nn.ConvTranspose2d(8, 3, 3, stride=2, padding=1, output_padding=output_padding)
    ours.load_state_dict({name: value.detach() for name, value in up.state_dict().items()})
    with torch.no_grad():
        code = down(torch.randn(1, 3, size, size))
        expected = up(code)
    assert code.shape == (1, 8, 3, 3)
    assert expected.shape[2:] == (back, back)
    close(ours(code.numpy()), expected)
    close(ours(code.numpy(), output_size=(back, back)), expected)


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({"kernel_size": 2}, (5, 5)),
        ({"kernel_size": 3, "stride": 2}, (9, 9)),
        ({"kernel_size": (3, 5), "stride": (2, 1), "padding": (4, 2)}, (1, 4)),
        ({"kernel_size": (3, 5), "stride": (2, 1), "padding": (4, 2), "dilation": (3, 1)}, (5, 4)),
    ],
    ids=str,
)
def test_sizes_of_the_tutorial(options: dict[str, Any], size: tuple[int, int]) -> None:
    torch.manual_seed(4)
    reference, ours = theirs.ConvTranspose2d(2, 3, **options), nn.ConvTranspose2d(2, 3, **options, seed=4)
    x = torch.randn(1, 2, 4, 4)
    expected = reference(x)
    assert expected.shape == (1, 3, *size)
    close(ours(x.numpy()), expected)
    steps = {name: value for name, value in options.items() if name != "kernel_size"}
    assert F.conv_transpose_output_size((4, 4), options["kernel_size"], **steps) == size


def test_segnet_stage() -> None:
    """max_pool2d with indices, then max_unpool2d to where the maxima were, then a convolution."""
    convolution = theirs.Conv2d(4, 4, 3, padding=1)
    x = torch.randn(2, 4, 20, 30)
    with torch.no_grad():
        pooled, indices = torch.nn.functional.max_pool2d(x, 2, return_indices=True)
        expected = convolution(torch.nn.functional.max_unpool2d(pooled, indices, 2))
        our_pooled, our_indices = F.max_pool2d(x.numpy(), 2, return_indices=True)
        np.testing.assert_array_equal(our_pooled, pooled.numpy())
        np.testing.assert_array_equal(our_indices, indices.numpy())
        result = convolution(torch.from_numpy(F.max_unpool2d(our_pooled, our_indices, 2)))
    close(result.numpy(), expected)


@pytest.mark.parametrize("transposed", [True, False])
def test_upconv2x2(transposed: bool) -> None:
    """The two ways in which a U-Net doubles a picture."""
    x = torch.randn(1, 8, 16, 20)
    if transposed:
        up = theirs.ConvTranspose2d(8, 4, 2, stride=2)
        ours = nn.ConvTranspose2d(8, 4, 2, stride=2)
        ours.load_state_dict({name: value.detach() for name, value in up.state_dict().items()})
        result = ours(x.numpy())
        expected = up(x)
    else:
        mix = theirs.Conv2d(8, 4, 1)
        expected = mix(theirs.Upsample(scale_factor=2, mode="bilinear", align_corners=False)(x))
        enlarged = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)(x.numpy())
        result = mix(torch.from_numpy(enlarged)).detach().numpy()
    assert result.shape == (1, 4, 32, 40)
    close(result, expected)


def test_pixel_shuffle() -> None:
    x = torch.randn(1, 9, 4, 4)
    expected = theirs.PixelShuffle(3)(x)
    result = nn.PixelShuffle(3)(x.numpy())
    assert result.shape == (1, 1, 12, 12)
    np.testing.assert_array_equal(result, expected.numpy())
    np.testing.assert_array_equal(nn.PixelUnshuffle(3)(result), x.numpy())


def test_context_encoder_decoder_without_torch(tmp_path: Path) -> None:
    """Eight transposed convolutions with batch norm and ReLU, a sigmoid at the end, loaded from what torch saved."""
    channels = [512, 512, 512, 512, 512, 256, 128, 64, 3]
    layers: list[theirs.Module] = []
    for k, (i, o) in enumerate(pairwise(channels)):
        layers.append(theirs.ConvTranspose2d(i, o, 4, stride=2, padding=1, bias=False))
        layers += [theirs.Sigmoid()] if k == 7 else [theirs.BatchNorm2d(o), theirs.ReLU()]
    reference = theirs.Sequential(*layers)
    code = torch.randn(2, 512, 1, 1)
    with torch.no_grad():
        reference.train()
        for _ in range(3):
            reference(code + torch.randn_like(code))  # running means that are not 0
        reference.eval()
        expected = reference(code)
    state = {name: value.numpy() for name, value in reference.state_dict().items()}
    save_file(state, tmp_path / "decoder.safetensors")

    # from here on NumPy alone
    x = code.numpy()
    for k in range(8):
        up = nn.ConvTranspose2d.from_safetensors(tmp_path / "decoder.safetensors", str(3 * k), stride=2, padding=1)
        x = up(x)
        if k == 7:
            x = 1 / (1 + np.exp(-x))
        else:
            norm = {name: state[f"{3 * k + 1}.{name}"][:, None, None] for name in ("weight", "bias")}
            mean, variance = (state[f"{3 * k + 1}.running_{name}"][:, None, None] for name in ("mean", "var"))
            x = np.maximum((x - mean) / np.sqrt(variance + 1e-5) * norm["weight"] + norm["bias"], 0)
    assert x.shape == (2, 3, 256, 256)
    close(x, expected, tolerance=1e-4)


def test_car_through_a_transposed_convolution() -> None:
    """700 x 464 through ConvTranspose2d(3, 3, 2): one pixel more each way."""
    torch.manual_seed(0)
    reference, ours = theirs.ConvTranspose2d(3, 3, 2), nn.ConvTranspose2d(3, 3, 2, seed=0)
    with Image.open(CAR) as picture:
        planes = np.asarray(picture, np.float32).transpose(2, 0, 1)[None] / 255
    result = ours(planes)
    assert result.shape == (1, 3, 465, 701)
    close(result, reference(torch.from_numpy(planes)))
    enlarged = Image.fromarray((result[0].clip(0, 1) * 255).astype(np.uint8).transpose(1, 2, 0))
    assert enlarged.size == (701, 465)
    assert resample.resize(enlarged, (464, 700)).size == (700, 464)
