"""From options to what is done to a picture."""

from __future__ import annotations

from typing import Any

from resample.files.failures import UsageError, failing_as
from resample.transforms import ConvTranspose, Resize, Scale
from resample_cli.modes import CONV_TRANSPOSE
from resample_cli.parser import Options


def operation(options: Options) -> Resize | Scale | ConvTranspose:
    """Return the transform that the options ask for.

    Raises:
        UsageError: the options do not go together.
        Failure: the weights of a transposed convolution cannot be read.
    """
    if options.mode == CONV_TRANSPOSE:
        return _convolution(options)
    method: dict[str, Any] = {
        "mode": options.mode,
        "align_corners": bool(options.align_corners),
        "antialias": options.antialias,
        "alpha": options.alpha or "premultiplied",
        "linear": options.linear,
        "device": options.device,
    }
    # the library's order is vertical first
    if options.scale:
        return Scale(options.scale[::-1], **method)
    try:
        return Resize(
            options.size[::-1] if options.size else options.min_side,
            max_size=options.max_side,
            fit=options.fit or "fill",
            only=options.only,
            background=options.background if options.fit == "pad" else None,
            **method,
        )
    except ValueError as error:
        raise UsageError(str(error)) from None


def _convolution(options: Options) -> ConvTranspose:
    from resample_cli import weights

    given = {
        "stride": options.stride,
        "padding": options.padding,
        "output_padding": options.output_padding,
        "dilation": options.dilation,
    }
    steps: dict[str, Any] = {name: pair[::-1] for name, pair in given.items() if pair}
    if options.weights is None:
        from resample import interpolating_weight

        bias = None
        weight, matching = interpolating_weight(str(options.kernel), steps["stride"])
        steps.setdefault("padding", matching)
    else:
        weight, bias = weights.load(*options.weights)
    if options.groups and weight.shape[:2] == (1, 1):
        raise UsageError(
            "--groups does not go with --weights of shape (1, 1, kH, kW), which take each channel by itself"
        )
    with failing_as("--mode conv-transpose"):
        return ConvTranspose(weight, bias, groups=options.groups or 1, device=options.device, **steps)
