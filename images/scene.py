"""Vector shapes painted through masks: the means by which the synthetic pictures are drawn."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SCALE = 4  # drawn this much larger, then reduced, so that thin lines keep a true width
Point = tuple[float, float]
Paint = tuple[int, int, int] | Callable[[np.ndarray, np.ndarray], np.ndarray]


def path(text: str) -> list[Point]:
    """The points of an SVG-like path of M, L, C and Z."""
    points: list[Point] = []
    steps = np.linspace(0, 1, 25)[1:]
    for part in text.replace("Z", "").replace("M", "|L").replace("L", "|L").replace("C", "|C").split("|"):
        if not (numbers := [float(word) for word in part[1:].split()]):
            continue
        pairs = list(zip(numbers[::2], numbers[1::2], strict=True))
        if part[0] == "L":
            points += pairs
            continue
        a, (b, c, d) = points[-1], pairs
        for t in steps:
            weights = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3
            points.append(tuple(sum(w * p[k] for w, p in zip(weights, (a, b, c, d), strict=True)) for k in (0, 1)))
    return points


def box(x: float, y: float, width: float, height: float) -> list[Point]:
    return [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]


def oval(x: float, y: float, rx: float, ry: float | None = None) -> list[Point]:
    turn = np.linspace(0, 2 * math.pi, 120, endpoint=False)
    return list(zip(x + rx * np.cos(turn), y + (ry or rx) * np.sin(turn), strict=True))


def ramp(value: np.ndarray, *stops: tuple[float, tuple[int, int, int]]) -> np.ndarray:
    """Colours between the stops, one per value."""
    at, colours = [stop[0] for stop in stops], np.array([stop[1] for stop in stops], float)
    return np.stack([np.interp(value, at, colours[:, k]) for k in range(3)], axis=-1)


def bell(value: np.ndarray, width: float) -> np.ndarray:
    return np.exp(-((value / width) ** 2))


def noise(rng: np.random.Generator, size: tuple[int, int], cells: tuple[int, int], octaves: int = 4) -> np.ndarray:
    """Smooth noise about zero, `cells` lumps across and down in the coarsest octave."""
    total = np.zeros(size[::-1], np.float32)
    for k in range(octaves):
        grid = rng.standard_normal((cells[1] << k, cells[0] << k)).astype(np.float32)
        total += np.asarray(Image.fromarray(grid).resize(size, Image.Resampling.BICUBIC)) / 2**k
    return total


class Scene:
    """A picture in units of its final pixels, painted through masks at SCALE times that."""

    def __init__(self, width: int, height: int) -> None:
        self.size = width * SCALE, height * SCALE
        self.pixels = np.zeros((height * SCALE, width * SCALE, 3), np.float32)

    def mask(self, *shapes: Iterable[Point]) -> Image.Image:
        image = Image.new("L", self.size)
        for shape in shapes:
            ImageDraw.Draw(image).polygon([(x * SCALE, y * SCALE) for x, y in shape], fill=255)
        return image

    def strokes(self, lines: Iterable[Iterable[Point]], width: float, clip: Image.Image | None = None) -> Image.Image:
        image = Image.new("L", self.size)
        for line in lines:
            points = [(x * SCALE, y * SCALE) for x, y in line]
            ImageDraw.Draw(image).line(points, fill=255, width=max(1, round(width * SCALE)), joint="curve")
        return both(image, clip) if clip else image

    def words(self, x: float, y: float, text: str, size: float, anchor: str = "mm") -> Image.Image:
        image = Image.new("L", self.size)
        font = ImageFont.load_default(size * SCALE)
        ImageDraw.Draw(image).text((x * SCALE, y * SCALE), text, fill=255, font=font, anchor=anchor)
        return image

    def fill(self, mask: Image.Image, paint: Paint, opacity: float = 1.0, soft: float = 0.0) -> None:
        if soft:
            mask = mask.filter(ImageFilter.GaussianBlur(soft * SCALE))
        if not (edges := mask.getbbox()):
            return
        left, top, right, bottom = edges
        part = self.pixels[top:bottom, left:right]
        if callable(paint):
            x, y = np.arange(left, right) + 0.5, np.arange(top, bottom) + 0.5
            colour = paint(*np.meshgrid(x / SCALE, y / SCALE)).astype(np.float32)
        else:
            colour = np.array(paint, np.float32)
        part += (colour - part) * (np.asarray(mask.crop(edges), np.float32)[..., None] * (opacity / 255))

    def full(self) -> Image.Image:
        return Image.fromarray(np.clip(self.pixels + 0.5, 0, 255).astype(np.uint8))

    def image(self) -> Image.Image:
        return self.full().resize((self.size[0] // SCALE, self.size[1] // SCALE), Image.Resampling.LANCZOS)


def both(a: Image.Image, b: Image.Image) -> Image.Image:
    return Image.fromarray(np.minimum(np.asarray(a), np.asarray(b)))


def chrome(top: float, height: float) -> Paint:
    """Bright metal: sky above, a hard dark horizon, ground below."""
    stops = ((0, (150, 165, 180)), (0.25, (250, 252, 255)), (0.48, (170, 186, 205)), (0.53, (48, 52, 60)))
    stops += ((0.72, (150, 142, 132)), (0.86, (235, 230, 220)), (1, (90, 90, 95)))
    return lambda x, y: ramp((y - top) / height, *stops)
