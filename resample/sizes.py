"""Sizes of results, from those of pictures. All are (height, width) in pixels, of integers without rounding errors.

One rule rounds: the side that follows from the other is truncated, and at least 1.
"""

from __future__ import annotations

Size = tuple[int, int]


def with_height(size: Size, height: int) -> Size:
    """Return the size of this height in the proportion of `size`."""
    return height, max(1, size[1] * height // size[0])


def with_width(size: Size, width: int) -> Size:
    """Return the size of this width in the proportion of `size`."""
    return max(1, size[0] * width // size[1]), width


def with_shorter(size: Size, shorter: int) -> Size:
    """Return the size whose shorter edge is this, in the proportion of `size`: torchvision's `Resize(shorter)`."""
    return with_height(size, shorter) if size[0] <= size[1] else with_width(size, shorter)


def with_longer(size: Size, longer: int) -> Size:
    """Return the size whose longer edge is this: torchvision's `Resize(None, max_size=longer)`."""
    return with_width(size, longer) if size[0] <= size[1] else with_height(size, longer)


def inside(size: Size, box: Size) -> Size:
    """Return the largest size within the box in the proportion of `size`."""
    return with_height(size, box[0]) if box[0] * size[1] <= box[1] * size[0] else with_width(size, box[1])


def covering(size: Size, box: Size) -> Size:
    """Return the smallest size that covers the box in the proportion of `size`.

    One side is the box's; the other is no less than the box's before it is truncated, and so after.
    """
    return with_height(size, box[0]) if box[0] * size[1] >= box[1] * size[0] else with_width(size, box[1])


def scaled(size: Size, factors: tuple[float, float]) -> Size:
    """Return the size times (vertical, horizontal) factors, truncated as in torch.

    Raises:
        ValueError: no pixel is left, or a side is longer than 2**31.
    """
    height, width = size[0] * factors[0], size[1] * factors[1]
    if max(height, width) >= 1 << 31:
        raise ValueError(f"scale={_shown(factors)} makes a side of {size[0]} x {size[1]} longer than 2**31")
    result = int(height), int(width)
    if min(result) < 1:
        raise ValueError(
            f"scale={_shown(factors)} leaves no pixel of {size[0]} x {size[1]}: each side must keep at least 1"
        )
    return result


def _shown(factors: tuple[float, float]) -> str:
    return f"{factors[0]}" if factors[0] == factors[1] else f"{factors}"
