"""The face that mirrors torch.nn: `import resample.nn as nn`. Layers are callables with torch's arguments and reprs.

Weights are NumPy arrays in torch's shapes, so that a layer that was trained in torch runs here: see `load_state_dict`
and `from_safetensors`. Layers take and give batched or unbatched arrays as the functions of `resample.functional` do.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from resample import devices
from resample import functional as F
from resample.arguments import Ints, integer
from resample.arrays import Array
from resample.devices import DeviceArray, borrowed
from resample.rounding import fma


def _tuple(value: Any, length: int) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, Iterable) else (value,) * length


class Upsample:
    """`interpolate` to a size or by a factor: torch.nn.Upsample.

    Args:
        size: output size of the spatial axes, or one int for all.
        scale_factor: multiplier of the spatial sizes, or one for all.
        mode: "nearest", "nearest-exact", "linear", "bilinear", "bicubic", "trilinear" or "area".
        align_corners: as in `interpolate`.
        recompute_scale_factor: as in `interpolate`.

    Errors are raised when it is called, as by `interpolate`.
    """

    def __init__(
        self,
        size: Ints | None = None,
        scale_factor: float | Sequence[float] | None = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        self.size = size
        self.scale_factor: float | tuple[float, ...] | None
        if isinstance(scale_factor, Sequence):
            self.scale_factor = tuple(float(factor) for factor in scale_factor)
        else:
            self.scale_factor = float(scale_factor) if scale_factor else None
        self.mode = mode
        self.align_corners = align_corners
        self.recompute_scale_factor = recompute_scale_factor

    def __call__(self, input: Any) -> Any:
        """Return `input` resampled; see `resample.functional.interpolate`."""
        return F.interpolate(
            input, self.size, self.scale_factor, self.mode, self.align_corners, self.recompute_scale_factor
        )

    def __repr__(self) -> str:
        asked = f"size={self.size!r}" if self.scale_factor is None else f"scale_factor={self.scale_factor!r}"
        return f"{type(self).__name__}({asked}, mode={self.mode!r})"


class UpsamplingNearest2d(Upsample):
    """`Upsample` of mode "nearest"."""

    def __init__(self, size: Ints | None = None, scale_factor: float | Sequence[float] | None = None) -> None:
        super().__init__(size, scale_factor, mode="nearest")


class UpsamplingBilinear2d(Upsample):
    """`Upsample` of mode "bilinear" with align_corners=True."""

    def __init__(self, size: Ints | None = None, scale_factor: float | Sequence[float] | None = None) -> None:
        super().__init__(size, scale_factor, mode="bilinear", align_corners=True)


class PixelShuffle:
    """`pixel_shuffle` by a factor: `(*, C * r**2, H, W)` to `(*, C, H * r, W * r)`."""

    def __init__(self, upscale_factor: int) -> None:
        self.upscale_factor = upscale_factor

    def __call__(self, input: Any) -> Any:
        """Return `input` rearranged; see `resample.functional.pixel_shuffle`."""
        return F.pixel_shuffle(input, self.upscale_factor)

    def __repr__(self) -> str:
        return f"PixelShuffle(upscale_factor={self.upscale_factor})"


class PixelUnshuffle:
    """`pixel_unshuffle` by a factor: `(*, C, H * r, W * r)` to `(*, C * r**2, H, W)`."""

    def __init__(self, downscale_factor: int) -> None:
        self.downscale_factor = downscale_factor

    def __call__(self, input: Any) -> Any:
        """Return `input` rearranged; see `resample.functional.pixel_unshuffle`."""
        return F.pixel_unshuffle(input, self.downscale_factor)

    def __repr__(self) -> str:
        return f"PixelUnshuffle(downscale_factor={self.downscale_factor})"


class _MaxPool:
    _pool: ClassVar[Any]

    def __init__(
        self,
        kernel_size: Ints,
        stride: Ints | None = None,
        padding: Ints = 0,
        dilation: Ints = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        self.kernel_size = kernel_size
        self.stride = stride if stride is not None else kernel_size
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def __call__(self, input: Any) -> Any:
        """Return the maxima, or (maxima, indices) with return_indices."""
        return self._pool(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            ceil_mode=self.ceil_mode,
            return_indices=self.return_indices,
        )

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode})"
        )


class MaxPool1d(_MaxPool):
    """`max_pool1d` with fixed parameters."""

    _pool = staticmethod(F.max_pool1d)


class MaxPool2d(_MaxPool):
    """`max_pool2d` with fixed parameters."""

    _pool = staticmethod(F.max_pool2d)


class MaxPool3d(_MaxPool):
    """`max_pool3d` with fixed parameters."""

    _pool = staticmethod(F.max_pool3d)


class _MaxUnpool:
    _unpool: ClassVar[Any]
    _spatial: ClassVar[int]

    def __init__(self, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0) -> None:
        self.kernel_size = _tuple(kernel_size, self._spatial)
        self.stride = _tuple(stride if stride is not None else kernel_size, self._spatial)
        self.padding = _tuple(padding, self._spatial)

    def __call__(self, input: Any, indices: Any, output_size: Sequence[int] | None = None) -> Any:
        """Return zeros with `input` at `indices`, of the size that was pooled or of `output_size`."""
        return self._unpool(input, indices, self.kernel_size, self.stride, self.padding, output_size)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding})"


class MaxUnpool1d(_MaxUnpool):
    """`max_unpool1d` with fixed parameters."""

    _unpool, _spatial = staticmethod(F.max_unpool1d), 1


class MaxUnpool2d(_MaxUnpool):
    """`max_unpool2d` with fixed parameters."""

    _unpool, _spatial = staticmethod(F.max_unpool2d), 2


class MaxUnpool3d(_MaxUnpool):
    """`max_unpool3d` with fixed parameters."""

    _unpool, _spatial = staticmethod(F.max_unpool3d), 3


class _ConvTranspose:
    _convolve: ClassVar[Any]
    _spatial: ClassVar[int]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Ints,
        stride: Ints = 1,
        padding: Ints = 0,
        output_padding: Ints = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Ints = 1,
        padding_mode: str = "zeros",
        device: str | None = None,
        dtype: Any = np.float32,
        *,
        seed: int | None = None,
    ) -> None:
        if seed is not None:
            seed = integer("seed", seed, "an int or None")
        if groups <= 0:
            raise ValueError(f"groups must be a positive integer, got {groups}")
        for name, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
            if channels % groups:
                raise ValueError(f"{name} must be divisible by groups, got {channels} and {groups} groups")
        if np.dtype(dtype).kind != "f" or np.dtype(dtype).itemsize > 8:
            raise RuntimeError(f"dtype must be float16, float32 or float64, got {dtype!r}")
        if padding_mode != "zeros":
            raise ValueError(f"padding_mode must be 'zeros', got {padding_mode!r}")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = _tuple(kernel_size, self._spatial)
        self.stride = _tuple(stride, self._spatial)
        self.padding = _tuple(padding, self._spatial)
        self.output_padding = _tuple(output_padding, self._spatial)
        self.groups = groups
        self.dilation = _tuple(dilation, self._spatial)
        self.padding_mode = padding_mode
        shape = (in_channels, out_channels // groups, *self.kernel_size)
        if min(shape) < 0:
            raise RuntimeError(f"channels and kernel_size must not be negative, got a weight of shape {shape}")
        self.weight: Any
        self.weight, self.bias = _initial(shape, out_channels, bias, np.dtype(dtype), seed)
        self.to("cpu" if device is None else device)

    @classmethod
    def from_safetensors(
        cls,
        file: str | os.PathLike[str],
        name: str = "",
        *,
        stride: Ints = 1,
        padding: Ints = 0,
        output_padding: Ints = 0,
        groups: int = 1,
        dilation: Ints = 1,
    ) -> Any:
        """Return the layer whose weights a .safetensors file holds as `name.weight` and, if it has one, `name.bias`.

        Channels, kernel size, dtype and whether there is a bias follow from the arrays; the rest must be told.

        Raises:
            ModuleNotFoundError: the package safetensors, of the extra "safetensors", is not installed.
            KeyError: the file has no such weight; the message lists the names that it has.
            ValueError: the weight has another number of axes than this layer's, or is not of floats that NumPy has.
        """
        from safetensors import safe_open

        prefix = f"{name}." if name else ""
        with safe_open(file, framework="numpy") as stored:
            names = list(stored.keys())
            if f"{prefix}weight" not in names:
                raise KeyError(f"{file} holds no {prefix}weight, but {', '.join(sorted(names)) or 'nothing'}")
            dtype = stored.get_slice(f"{prefix}weight").get_dtype()
            if dtype not in ("F16", "F32", "F64"):
                raise ValueError(f"{prefix}weight must be of F16, F32 or F64, got {dtype} in {file}")
            weight = stored.get_tensor(f"{prefix}weight")
            bias = stored.get_tensor(f"{prefix}bias") if f"{prefix}bias" in names else None
        if weight.ndim != cls._spatial + 2:
            raise ValueError(f"{prefix}weight must have {cls._spatial + 2} axes for {cls.__name__}, got {weight.shape}")
        layer = cls(
            weight.shape[0],
            weight.shape[1] * groups,
            weight.shape[2:],
            stride,
            padding,
            output_padding,
            groups,
            bias is not None,
            dilation,
            dtype=weight.dtype,
        )
        layer.load_state_dict({"weight": weight} if bias is None else {"weight": weight, "bias": bias})
        return layer

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take weight and bias from a mapping of arrays, torch tensors among them; they are copied.

        Raises:
            TypeError: it is not a mapping, or an entry not an array.
            RuntimeError: a key is missing or not known, or an array has another shape than the layer's.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"state_dict must be a mapping, got {type(state_dict).__name__}")
        own = self.state_dict()
        missing, unknown = own.keys() - state_dict.keys(), state_dict.keys() - own.keys()
        if missing or unknown:
            raise RuntimeError(
                f"state_dict must have the keys {', '.join(own)}; missing: {', '.join(sorted(missing)) or 'none'}, "
                f"not known: {', '.join(sorted(unknown)) or 'none'}"
            )
        loaded = {
            name: _on_cpu(borrowed(name, _detached(state_dict[name]))[0]).astype(self.weight.dtype) for name in own
        }
        for name, array in loaded.items():
            if array.shape != own[name].shape:
                raise RuntimeError(f"{name} must have shape {own[name].shape}, got {array.shape}")
        device = self.weight.origin.device if isinstance(self.weight, DeviceArray) else None
        self.weight = loaded["weight"]
        self.bias = loaded.get("bias")
        if device is not None:
            self.to(f"cuda:{device}")

    def state_dict(self) -> dict[str, Array]:
        """Return NumPy arrays by torch's names, weight and bias: those of the layer, or copies if they are on a GPU."""
        arrays = {"weight": self.weight} if self.bias is None else {"weight": self.weight, "bias": self.bias}
        return {name: _on_cpu(array) for name, array in arrays.items()}

    def to(self, device: str) -> Any:
        """Move weight and bias to "cpu", "cuda" or "cuda:1", and return the layer, which then takes arrays there.

        Raises:
            ValueError: another name.
            RuntimeError: there is no such device, or no driver for it.
        """
        number = None if device == "cpu" else devices.number(device)
        arrays = [self.weight] if self.bias is None else [self.weight, self.bias]
        moved: list[Any] = [_on_cpu(array) for array in arrays]
        if number is not None:
            moved = [devices.uploaded(array, number) for array in moved]
            devices.synchronize(moved[0])
        self.weight = moved[0]
        self.bias = moved[1] if len(moved) == 2 else None
        return self

    def __call__(self, input: Any, output_size: Sequence[int] | None = None) -> Any:
        """Return the transposed convolution of `input`.

        Args:
            input: (N, in_channels, *spatial) or (in_channels, *spatial).
            output_size: spatial sizes, or the whole shape; each at least the smallest output and less than one
                stride more. It takes the place of output_padding.

        Raises:
            ValueError: `output_size` has another length, or a size that is out of range.
        """
        output_padding = self.output_padding
        if output_size is not None:
            output_padding = self._padding_for(borrowed("input", input)[0].shape, output_size)
        return self._convolve(
            input, self.weight, self.bias, self.stride, self.padding, output_padding, self.groups, self.dilation
        )

    def _padding_for(self, shape: tuple[int, ...], output_size: Sequence[int]) -> tuple[int, ...]:
        spatial = self._spatial
        if len(output_size) == len(shape):
            output_size = output_size[-spatial:]
        if len(output_size) != spatial:
            raise ValueError(f"output_size must have {spatial} or {len(shape)} elements, got {output_size!r}")
        least = F.conv_transpose_output_size(
            shape[-spatial:], self.kernel_size, self.stride, self.padding, 0, self.dilation
        )
        most = tuple(size + stride - 1 for size, stride in zip(least, self.stride, strict=True))
        wanted = tuple(output_size)
        if any(not low <= size <= high for low, size, high in zip(least, wanted, most, strict=True)):
            raise ValueError(f"output_size must be from {least} to {most} for an input of {shape}, got {wanted}")
        return tuple(size - low for size, low in zip(wanted, least, strict=True))

    def __repr__(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        for name, usual in (("padding", 0), ("dilation", 1), ("output_padding", 0)):
            if getattr(self, name) != (usual,) * self._spatial:
                text += f", {name}={getattr(self, name)}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if self.bias is None:
            text += ", bias=False"
        return f"{type(self).__name__}({text})"


def _on_cpu(array: Any) -> Array:
    return devices.downloaded(array) if isinstance(array, DeviceArray) else array


def _detached(array: Any) -> Any:
    """Return torch's parameters without their gradients."""
    return array.detach() if hasattr(array, "detach") else array


class ConvTranspose1d(_ConvTranspose):
    """`conv_transpose1d` with weights of its own: torch.nn.ConvTranspose1d.

    Args:
        in_channels, out_channels: channels of the input and of the output, both divisible by groups.
        kernel_size, stride, padding, output_padding, dilation: ints, or one for each spatial axis.
        groups: the number of blocks of channels that are convolved apart.
        bias: whether there is one.
        padding_mode: "zeros", as in torch.
        device: where weights are and inputs must be: None or "cpu", "cuda" or "cuda:1"; see `to`.
        dtype: float16, float32 or float64.
        seed: the initial weights are those that torch draws after torch.manual_seed(seed); None takes fresh ones.

    Attributes:
        weight: (in_channels, out_channels // groups, *kernel_size).
        bias: (out_channels,) or None.

    Raises:
        ValueError: groups is not positive or does not divide the channels; another padding_mode or device.
        RuntimeError: another dtype.
    """

    _convolve, _spatial = staticmethod(F.conv_transpose1d), 1


class ConvTranspose2d(_ConvTranspose):
    """`conv_transpose2d` with weights of its own; arguments, attributes and errors as of `ConvTranspose1d`."""

    _convolve, _spatial = staticmethod(F.conv_transpose2d), 2


class ConvTranspose3d(_ConvTranspose):
    """`conv_transpose3d` with weights of its own; arguments, attributes and errors as of `ConvTranspose1d`."""

    _convolve, _spatial = staticmethod(F.conv_transpose3d), 3


def _initial(
    shape: tuple[int, ...], out_channels: int, bias: bool, dtype: np.dtype[Any], seed: int | None
) -> tuple[Array, Array | None]:
    """Return the weight and bias that torch draws: uniform within 1 / sqrt(fan_in) of 0, weight first.

    He et al. (2015) with a = sqrt(5), which is what torch's convolutions call. torch counts the fan of a transposed
    convolution by the second axis of its weight. Its generator is MT19937, seeded and read as NumPy's legacy one.
    """
    if seed is None:
        seed = int.from_bytes(os.urandom(4), "little")
    generator = np.random.RandomState(seed & 0xFFFFFFFF)  # torch too takes 32 bits of it
    fan_in = max(math.prod(shape[1:]), 1)
    gain = math.sqrt(2 / (1 + math.sqrt(5) ** 2))
    # torch's arithmetic, whose last bit differs from 1 / sqrt(fan_in)
    weight = _uniform(generator, shape, math.sqrt(3) * (gain / math.sqrt(fan_in)), dtype)
    return weight, _uniform(generator, (out_channels,), 1 / math.sqrt(fan_in), dtype) if bias else None


def _uniform(generator: np.random.RandomState, shape: tuple[int, ...], bound: float, dtype: np.dtype[Any]) -> Array:
    """Return values in [-bound, bound) as torch.Tensor.uniform_ draws them: 53 random bits a float64, else 24."""
    double = dtype == np.float64
    words = generator.randint(0, 1 << 32, math.prod(shape) * (2 if double else 1), np.uint32).astype(np.uint64)
    if double:
        words = words[::2] << np.uint64(32) | words[1::2]
    bits = 53 if double else 24
    drawn_in = np.dtype(np.float64 if double else np.float32)
    low, high = drawn_in.type(-bound), drawn_in.type(bound)
    steps = (words & np.uint64((1 << bits) - 1)).astype(np.float64) / 2.0**bits
    values = fma(steps, high - low, low, drawn_in).astype(dtype)
    # what rounds to the open end in half precision goes to the other
    return np.asarray(np.where(values == dtype.type(high), dtype.type(low), values), dtype).reshape(shape)
