"""The numbers of a transposed convolution, as all ways to compute it see them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Triple = tuple[int, int, int]
DType = np.dtype[Any]


class Steps(NamedTuple):
    """The arguments that are one number for each spatial axis."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    output_padding: tuple[int, ...]
    dilation: tuple[int, ...]


class Shape(NamedTuple):
    """All numbers but batch and groups; an axis that is missing has one sample and a kernel of one."""

    size: Triple
    kernel: Triple
    out: Triple
    stride: Triple
    padding: Triple
    dilation: Triple
    in_channels: int
    """Of a group, as out_channels."""
    out_channels: int


def precise_type(dtype: DType) -> DType:
    """Return the type that values are summed in."""
    return np.dtype(np.float32) if dtype == np.float16 else dtype


def shape_of(
    input: tuple[int, ...], weight: tuple[int, ...], steps: Steps, groups: int, sizes: tuple[int, ...]
) -> Shape:
    """Return the numbers of a call, given the shapes of its arrays and of the result's axes."""
    return Shape(
        _triple(input[2:], 1),
        _triple(weight[2:], 1),
        _triple(sizes, 1),
        _triple(steps.stride, 1),
        _triple(steps.padding, 0),
        _triple(steps.dilation, 1),
        weight[0] // groups,
        weight[1],
    )


def _triple(numbers: tuple[int, ...], default: int) -> Triple:
    d, h, w = (default,) * (3 - len(numbers)) + numbers
    return d, h, w
