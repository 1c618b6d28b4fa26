"""Callables on pictures for pipelines: each says what is done to a picture, and does it.

They take a PIL image or an array (height, width) or (height, width, channels), as `resample.resize`, and return the
same kind. They are values: frozen, comparable, hashable, picklable, and their repr is the call that makes them.
Arguments are checked when they are made. `output_size` tells what size a result has, without the picture.

    >>> import numpy as np
    >>> from resample import transforms
    >>> thumbnail = transforms.Resize((224, 224), fit="cover", mode="bicubic")
    >>> thumbnail
    Resize((224, 224), fit='cover', mode='bicubic')
    >>> thumbnail(np.zeros((464, 700, 3), np.uint8)).shape
    (224, 224, 3)
    >>> transforms.Resize(224).output_size((464, 700))
    (224, 337)
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, MISSING, dataclass, fields
from typing import Any

import numpy as np

from resample import devices, frame, picture, sizes
from resample.arguments import Ints, factor, integer, length, pair
from resample.arrays import Array, borrowed
from resample.convolution import checked_steps, conv_transpose_output_size
from resample.frame import Colour
from resample.image import check_options, resize
from resample.interpolate import MODES
from resample.picture_operators import conv_transpose, from_phases, interpolating_weight, opaque, phases
from resample.shuffle import pixel_shuffle, pixel_unshuffle
from resample.sizes import Size

__all__ = ["ConvTranspose", "PixelShuffle", "PixelUnshuffle", "Resize", "Scale"]

FITS = ("fill", "inside", "cover", "pad")
ONLY = ("shrink", "enlarge")


class _Shown:
    """What transforms have in common: the repr, which leaves out defaults."""

    def __repr__(self) -> str:
        shown = []
        for field in fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                value = f"<{value.dtype} {value.shape}>"
            elif field.default is not MISSING and value == field.default:
                continue
            else:
                value = repr(value)
            shown.append(f"{field.name}={value}" if field.kw_only else value)
        return f"{type(self).__name__}({', '.join(shown)})"

    def _set(self, **values: Any) -> None:
        """Replace arguments by what they mean, while the instance is being made."""
        for name, value in values.items():
            object.__setattr__(self, name, value)


@dataclass(frozen=True, repr=False)
class Resize(_Shown):
    """Resize to a size, by `resample.resize`.

        >>> Resize((100, None)).output_size((464, 700))  # a height, and the width in proportion
        (100, 150)
        >>> Resize(max_size=350).output_size((464, 700))
        (232, 350)
        >>> Resize((100, 100), fit="inside", only="shrink").output_size((50, 80))
        (50, 80)

    Args:
        size: an int for the shorter edge, the other following in proportion; (height, width); (height, None) or
            (None, width), the other following. A side that follows is truncated, and at least 1.
        max_size: as of torchvision's v2.Resize: with an int size, the longer edge is at most this, which must be more
            than `size`; with none, the longer edge becomes this.
        fit: for (height, width), the box, what happens to other proportions. "fill": they become the box's. "inside":
            they are kept, in the largest size within the box. "cover": they are kept, in the smallest size that covers
            the box, of which the middle is cut out; for a square, torchvision's Resize and CenterCrop. "pad": "inside",
            in the middle of a `background` that makes the box full. The rule for sides that follow makes all of these
            fit. "cover" resizes before it cuts: of a picture of an extreme proportion, that is large.
        only: "shrink": a picture keeps its pixels if a side would become longer, or neither changes; "enlarge": if a
            side would become shorter, or neither changes. For "cover" and "pad" it is cut and padded to the box all the
            same, but "cover" pads nothing: of each side, the result has the shorter of the picture's and the box's.
        background: for "pad", the colour around the picture: a number in the picture's own values, or a sequence of
            one for each channel; for PIL images also a colour's name, "#rrggbb" or "#rrggbbaa", as Pillow reads them
            (opacity counts where the picture has any; for the modes I and F only numbers do). None: transparent where a
            picture has transparency, else black; 0 in arrays. Where a palette is kept, a number is an index, and a
            colour that it lacks is added, or the nearest taken where it is full.
        mode, align_corners, antialias, alpha, linear, device: as of `resample.resize`. PIL's palettes and bilevel
            pictures become what they become there, whether pixels are kept or not.

    Arrays of GPUs are taken too, except for padding.

    Raises:
        TypeError, ValueError: an argument is of a wrong type, out of range, or does not go with another.
    """

    size: int | tuple[int | None, int | None] | None = None
    _: KW_ONLY
    max_size: int | None = None
    fit: str = "fill"
    only: str | None = None
    background: Colour = None
    mode: str = "bilinear"
    align_corners: bool = False
    antialias: bool | None = None
    alpha: str = "premultiplied"
    linear: bool = False
    device: str | None = None

    def __post_init__(self) -> None:
        self._set(size=_checked_size(self.size), background=_checked_colour(self.background))
        if self.max_size is not None:
            self._set(max_size=length("max_size", self.max_size))
        _check_max_size(self.size, self.max_size)
        if self.fit not in FITS:
            raise ValueError(f"fit must be one of {', '.join(FITS)}, got {self.fit!r}")
        if self.fit != "fill" and not (isinstance(self.size, tuple) and None not in self.size):
            raise ValueError(f"fit must be 'fill' unless size is (height, width), got {self.fit!r} and {self.size!r}")
        if self.only not in (None, *ONLY):
            raise ValueError(f"only must be None, {' or '.join(map(repr, ONLY))}, got {self.only!r}")
        if self.background is not None and self.fit != "pad":
            raise ValueError(f"background must be None unless fit is 'pad', got {self.background!r}")
        _check_resampling(self)

    def __call__(self, image: Any) -> Any:
        """Return the picture, of the same kind; errors are those of `resample.resize`."""
        size = picture.size_of(image)
        resampled, result = self._sizes(size)
        if self.only and resampled == size:
            changed = picture.copied(image, keep_indices=MODES[self.mode].copies)
        else:
            changed = resize(image, resampled, **_resampling(self))
        return changed if resampled == result else frame.framed(changed, result, self.background)

    def output_size(self, size: Size) -> Size:
        """Return the (height, width) of the result for a picture of that (height, width).

        Raises:
            TypeError, ValueError: it is not two ints of 1 or more.
        """
        return self._sizes(_checked_input(size))[1]

    def resampled_size(self, size: Size) -> Size:
        """Return the (height, width) before the picture is cut or padded: with "cover" it may be far more than after.

        Raises:
            TypeError, ValueError: it is not two ints of 1 or more.
        """
        return self._sizes(_checked_input(size))[0]

    def _sizes(self, size: Size) -> tuple[Size, Size]:
        """Return the sizes after resampling and in the end."""
        resampled = self._wanted(size)
        differences = [new - old for new, old in zip(resampled, size, strict=True)]
        if (self.only == "shrink" and max(differences) > 0) or (self.only == "enlarge" and min(differences) < 0):
            resampled = size
        if self.fit == "cover":
            box = self._box()
            return resampled, (min(resampled[0], box[0]), min(resampled[1], box[1]))
        return resampled, self._box() if self.fit == "pad" else resampled

    def _wanted(self, size: Size) -> Size:
        if self.fit in ("inside", "pad"):
            return sizes.inside(size, self._box())
        if self.fit == "cover":
            return sizes.covering(size, self._box())
        if isinstance(self.size, tuple):
            height, width = self.size
            if height is None:
                assert width is not None
                return sizes.with_width(size, width)
            return sizes.with_height(size, height) if width is None else (height, width)
        if self.size is None:
            assert self.max_size is not None
            return sizes.with_longer(size, self.max_size)
        wanted = sizes.with_shorter(size, self.size)
        if self.max_size is not None and max(wanted) > self.max_size:
            return sizes.with_longer(wanted, self.max_size)
        return wanted

    def _box(self) -> Size:
        assert isinstance(self.size, tuple)
        height, width = self.size
        assert height is not None
        assert width is not None
        return height, width


@dataclass(frozen=True, repr=False)
class Scale(_Shown):
    """Resize by a factor, by `resample.resize`, in whose coordinates the factor itself counts.

        >>> Scale((2, 0.5)).output_size((464, 700))
        (928, 350)

    Args:
        scale: a factor, or (vertical, horizontal); sides are truncated.
        mode, align_corners, antialias, alpha, linear, device: as of `resample.resize`.

    Raises:
        TypeError, ValueError: an argument is of a wrong type, out of range, or does not go with another.
    """

    scale: float | tuple[float, float]
    _: KW_ONLY
    mode: str = "bilinear"
    align_corners: bool = False
    antialias: bool | None = None
    alpha: str = "premultiplied"
    linear: bool = False
    device: str | None = None

    def __post_init__(self) -> None:
        self._set(scale=_one_or_both(pair("scale", self.scale, factor)))
        _check_resampling(self)

    def __call__(self, image: Any) -> Any:
        """Return the picture, of the same kind; errors are those of `resample.resize`."""
        return resize(image, scale=self.scale, **_resampling(self))

    def output_size(self, size: Size) -> Size:
        """Return the (height, width) of the result for a picture of that (height, width).

        Raises:
            TypeError, ValueError: it is not two ints of 1 or more, or no pixel is left.
        """
        return sizes.scaled(_checked_input(size), pair("scale", self.scale, factor))


@dataclass(frozen=True, repr=False, eq=False)
class ConvTranspose(_Shown):
    """Transposed convolution, by `resample.conv_transpose`.

        >>> twice = ConvTranspose.interpolating("bilinear", 2)
        >>> twice
        ConvTranspose(<float64 (1, 1, 4, 4)>, stride=2, padding=1)
        >>> twice.output_size((464, 700))
        (928, 1400)

    Two are equal if their weights and biases have the same dtype, shape and bytes and the rest is equal. The repr shows
    the dtype and shape of arrays only.

    Args:
        weight: (channels, C_out // groups, kH, kW), or (1, 1, kH, kW) for each channel by itself. It is copied.
        bias: (C_out,), or beside a weight that serves each channel (1,); copied.
        stride, padding, output_padding, groups, dilation, device: as of `resample.conv_transpose`.

    Raises:
        TypeError, ValueError: an argument is of a wrong type, out of range, or does not fit the weight.
    """

    weight: Any
    bias: Any = None
    _: KW_ONLY
    stride: Ints = 1
    padding: Ints = 0
    output_padding: Ints = 0
    groups: int = 1
    dilation: Ints = 1
    device: str | None = None

    def __post_init__(self) -> None:
        weight = _kept("weight", self.weight)
        if weight.ndim != 4 or 0 in weight.shape:
            raise ValueError(f"weight must have shape (channels, C_out // groups, kH, kW), got {weight.shape}")
        groups = integer("groups", self.groups)
        if groups < 1 or weight.shape[0] % groups:
            raise ValueError(f"groups must be at least 1 and divide the channels of {weight.shape}, got {groups}")
        self._set(weight=weight, groups=groups)
        if self.bias is not None:
            bias = _kept("bias", self.bias)
            # beside a weight that serves each channel, the picture tells how many there are
            outputs = bias.size if weight.shape[:2] == (1, 1) else weight.shape[1] * groups
            if bias.shape != (outputs,) or not outputs:
                raise ValueError(f"bias must have shape ({outputs or 1},), got {bias.shape}")
            self._set(bias=bias)
        with _value_errors():
            steps = checked_steps(2, self.stride, self.padding, self.output_padding, self.dilation)
        self._set(**{name: _one_or_both(both) for name, both in steps._asdict().items()})
        _check_device(self.device)

    @classmethod
    def interpolating(cls, kernel: str, stride: Ints, *, device: str | None = None) -> ConvTranspose:
        """Return the one that enlarges by `stride` as `Scale(stride, mode=kernel)` does inside the edges.

        Args:
            kernel: "nearest", "bilinear" or "bicubic".
            stride: the factor, or (vertical, horizontal), at least 1.
            device: as of `resample.conv_transpose`.
        """
        with _value_errors():
            weight, padding = interpolating_weight(kernel, stride)
        return cls(weight, stride=stride, padding=padding, device=device)

    def __call__(self, image: Any) -> Any:
        """Return the picture, of the same kind; errors are those of `resample.conv_transpose`."""
        steps = (self.stride, self.padding, self.output_padding, self.groups, self.dilation)
        return conv_transpose(image, self.weight, self.bias, *steps, device=self.device)

    def output_size(self, size: Size) -> Size:
        """Return the (height, width) of the result for a picture of that (height, width).

        Raises:
            TypeError, ValueError: it is not two ints of 1 or more, or no pixel is left.
        """
        steps = (self.stride, self.padding, self.output_padding, self.dilation)
        with _value_errors():
            height, width = conv_transpose_output_size(_checked_input(size), self.weight.shape[2:], *steps)
        return height, width

    def _key(self) -> tuple[Any, ...]:
        values = [getattr(self, field.name) for field in fields(self)]
        return tuple((v.dtype.str, v.shape, v.tobytes()) if isinstance(v, np.ndarray) else v for v in values)

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, ConvTranspose) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())


@dataclass(frozen=True, repr=False)
class _OfFactor(_Shown):
    factor: int

    def __post_init__(self) -> None:
        self._set(factor=_checked_factor(self.factor))


@dataclass(frozen=True, repr=False)
class PixelUnshuffle(_OfFactor):
    """Blocks of r x r pixels as r * r channels, or pictures.

        >>> PixelUnshuffle(2)(np.zeros((464, 700, 3), np.uint8)).shape
        (232, 350, 12)

    Channel c * r * r + i * r + j of the result holds pixels i, i + r, ... and j, j + r, ... of channel c, as in
    torch.nn.PixelUnshuffle. A PIL image becomes the list of its r * r phases, see `resample.phases`.

    Args:
        factor: r, at least 1; it divides the height and the width of pictures.

    Raises:
        TypeError, ValueError: the factor is not an int of 1 or more.
    """

    def __call__(self, image: Any) -> Any:
        """Return an array (height // r, width // r, channels * r * r), or for a PIL image a list of PIL images.

        An array (height, width) counts as one of one channel. Dtypes are those of
        `resample.functional.pixel_unshuffle`, and unsigned ones of its widths.

        Raises:
            TypeError: `image` is of a type that is not listed.
            ValueError: r does not divide its height and its width, or it has no pixel.
        """
        self.output_size(picture.size_of(image))
        if picture.is_picture(image):
            return phases(image, self.factor)
        array, give_back = picture.borrowed_pixels(image)
        return give_back(_on_planes(pixel_unshuffle, array, self.factor))

    def output_size(self, size: Size) -> Size:
        """Return the (height, width) of the result for a picture of that (height, width).

        Raises:
            TypeError, ValueError: it is not two ints of 1 or more, which r divides.
        """
        height, width = _checked_input(size)
        if height % self.factor or width % self.factor:
            raise ValueError(f"factor must divide the height and the width of {height} x {width}, got {self.factor}")
        return height // self.factor, width // self.factor


@dataclass(frozen=True, repr=False)
class PixelShuffle(_OfFactor):
    """Groups of r * r channels, or r * r pictures, as blocks of r x r pixels: the inverse of `PixelUnshuffle`.

        >>> PixelShuffle(2)(np.zeros((232, 350, 12), np.uint8)).shape
        (464, 700, 3)

    Args:
        factor: r, at least 1.

    Raises:
        TypeError, ValueError: the factor is not an int of 1 or more.
    """

    def __call__(self, image: Any) -> Any:
        """Return an array (height * r, width * r, channels // (r * r)), or one picture from a sequence of them.

        Args:
            image: an array (height, width, channels) of which r * r divides the channels, dtypes as for
                `PixelUnshuffle`; or a list or tuple of r * r PIL images or arrays, see `resample.from_phases`.

        Raises:
            TypeError: `image` is of a type that is not listed.
            ValueError: it is an array of another shape or a sequence of another length, or its pictures differ.
        """
        squared = self.factor**2
        if isinstance(image, (list, tuple)):
            if len(image) != squared:
                raise ValueError(f"image must be {squared} pictures, {self.factor} * {self.factor}, got {len(image)}")
            return from_phases(image)
        if picture.is_picture(image):
            raise TypeError(f"image must be a sequence of {squared} PIL images, or an array, got one PIL image")
        array, give_back = picture.borrowed_pixels(image)
        if array.ndim != 3 or array.shape[2] % squared:
            raise ValueError(
                f"image must be (height, width, channels) with channels that {squared} divides, got {array.shape}"
            )
        return give_back(_on_planes(pixel_shuffle, array, self.factor))

    def output_size(self, size: Size) -> Size:
        """Return the (height, width) of the result for pictures of that (height, width).

        Raises:
            TypeError, ValueError: it is not two ints of 1 or more.
        """
        height, width = _checked_input(size)
        return height * self.factor, width * self.factor


def _on_planes(operator: Any, pixels: Array, factor: int) -> Array:
    result: Array = picture.pixels_of(operator(picture.planes(opaque(pixels)), factor), 3)
    return result.view(pixels.dtype)


def _checked_input(size: Any) -> Size:
    if not isinstance(size, (tuple, list)) or len(size) != 2:
        raise TypeError(f"size must be (height, width), got {size!r}")
    height, width = pair("size", size, length)
    return height, width


def _checked_size(size: Any) -> int | tuple[int | None, int | None] | None:
    if size is None:
        return None
    if not isinstance(size, (tuple, list)):
        return length("size", size)
    if len(size) != 2 or all(side is None for side in size):
        raise ValueError(f"size must be an int, (height, width), (height, None) or (None, width), got {size!r}")
    height, width = (None if side is None else length("size", side) for side in size)
    return height, width


def _check_max_size(size: Any, max_size: int | None) -> None:
    if size is None and max_size is None:
        raise ValueError("size or max_size must be given, got neither")
    if max_size is not None and isinstance(size, tuple):
        raise ValueError(f"max_size must be None unless size is an int or None, got {max_size} and size={size!r}")
    if max_size is not None and size is not None and max_size <= size:
        raise ValueError(f"max_size must be more than size, got {max_size} and size={size}")


def _checked_colour(colour: Any) -> Colour:
    if colour is None:
        return None
    if isinstance(colour, str):
        frame.check_colour(colour)
        return colour
    try:
        values = np.asarray(colour)
    except ValueError:  # lists within
        values = np.asarray(None)
    if values.dtype.kind not in "biuf" or values.ndim > 1 or not values.size:
        raise TypeError(f"background must be a colour's name, a number, a sequence of numbers or None, got {colour!r}")
    return values.item() if values.ndim == 0 else tuple(values.tolist())


def _check_resampling(options: Resize | Scale) -> None:
    either = (False, True)
    for name, flags in (("align_corners", either), ("antialias", (None, *either)), ("linear", either)):
        value = getattr(options, name)
        if not any(value is flag for flag in flags):
            raise TypeError(f"{name} must be one of {', '.join(map(str, flags))}, got {value!r}")
    check_options(options.mode, options.align_corners, options.antialias, options.alpha)
    _check_device(options.device)


def _check_device(device: Any) -> None:
    if device is not None and device != "cpu":
        devices.number(device)


def _resampling(options: Resize | Scale) -> dict[str, Any]:
    names = ("mode", "align_corners", "antialias", "alpha", "linear", "device")
    return {name: getattr(options, name) for name in names}


def _kept(name: str, array: Any) -> Array:
    """Return a copy that cannot be written to."""
    copy = np.array(borrowed(name, array)[0])
    if copy.dtype.kind not in "fiu":
        raise TypeError(f"{name} must be of numbers, got {copy.dtype}")
    copy.setflags(write=False)
    return copy


def _one_or_both(values: Sequence[Any]) -> Any:
    """Return the one value of both axes, or both, so that equal transforms have equal arguments."""
    vertical, horizontal = values
    return vertical if vertical == horizontal else (vertical, horizontal)


def _checked_factor(value: Any) -> int:
    factor = integer("factor", value)
    if factor < 1:
        raise ValueError(f"factor must be at least 1, got {factor}")
    return factor


@contextlib.contextmanager
def _value_errors() -> Iterator[None]:
    """Raise as ValueError what torch's operators raise as RuntimeError."""
    try:
        yield
    except RuntimeError as error:
        raise ValueError(str(error)) from None
