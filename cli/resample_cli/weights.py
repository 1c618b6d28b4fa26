"""The weights of a transposed convolution, from a file that nobody vouches for."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from resample.files.failures import Failure, failing_as
from resample.files.formats import extension
from resample.files.inputs import check_source

Floats = npt.NDArray[np.float64]

FLOATS = ("F16", "F32", "F64")


def load(path: str, name: str | None) -> tuple[Floats, Floats | None]:
    """Return the weight (channels, C_out / groups, kH, kW) and the bias (C_out,), if there is one.

    Args:
        path: a .safetensors or .npy file.
        name: of the tensor in a .safetensors file, or of the layer whose `.weight` it is; None for its only tensor of
            four axes.

    Raises:
        Failure: the file cannot be read, is damaged, or holds no such weights.
    """
    with failing_as(f"{path}: cannot be used as weights"):
        check_source(path)
        if extension(path) == ".safetensors":
            return _from_safetensors(path, name)
        # mapped, so that a header can claim no more than the file holds; objects, which would be pickled, are refused
        return _checked("the array", np.lib.format.open_memmap(path, mode="r"), 4), None


def _from_safetensors(path: str, name: str | None) -> tuple[Floats, Floats | None]:
    try:
        from safetensors import safe_open
    except ImportError:
        raise Failure(
            f"{path}: reading it takes the package safetensors: pip install 'resample-images[safetensors]'"
        ) from None
    with safe_open(path, framework="numpy") as stored:
        names = sorted(stored.keys())
        if name is None:
            found = [key for key in names if len(stored.get_slice(key).get_shape()) == 4]
        else:
            found = [key for key in (name, f"{name}.weight") if key in names][:1]
        if len(found) != 1:
            what = (
                f"there is no {name}" if name else f"{len(found) or 'no'} tensors have four axes, and no NAME is given"
            )
            listed = ", ".join(names[:20]) + ", ..." * (len(names) > 20)
            raise ValueError(f"{what}; FILE:NAME names one of: {listed or 'nothing'}")
        weight = _tensor(stored, found[0], 4)
        prefix = found[0].removesuffix("weight")
        has_bias = prefix != found[0] and prefix[-1:] in ("", ".") and f"{prefix}bias" in names
        return weight, _tensor(stored, f"{prefix}bias", 1) if has_bias else None


def _tensor(stored: Any, name: str, axes: int) -> Floats:
    dtype = stored.get_slice(name).get_dtype()
    if dtype not in FLOATS:
        raise ValueError(f"{name} must be one of {', '.join(FLOATS)}, got {dtype}")
    return _checked(name, stored.get_tensor(name), axes)


def _checked(name: str, array: npt.NDArray[Any], axes: int) -> Floats:
    if array.dtype.kind != "f":
        raise ValueError(f"{name} must be of floats, got {array.dtype}")
    if array.ndim != axes or array.size == 0:
        shape = "(channels, C_out / groups, kH, kW)" if axes == 4 else "(C_out,)"
        raise ValueError(f"{name} must have shape {shape}, all at least 1, got {array.shape}")
    if not (np.abs(array) <= np.finfo(np.float32).max).all():
        raise ValueError(f"{name} must be finite, and no larger than float32 holds")
    return np.array(array, np.float64)
