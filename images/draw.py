"""Draw the synthetic test pictures: `python images/draw.py` (needs only pillow and numpy, always the same pixels)."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from car import car
from PIL import Image
from scene import Paint, Point, Scene, both, box, chrome, noise, oval, ramp

HERE = Path(__file__).resolve().parent
PAGE = (
    (22, 26, "Bilevel"),
    (47, 16, "Ink is there or it is not,"),
    (66, 14, "so every soft edge is the resampler's own work."),
    (83, 12.5, "A reader who shrinks this page to a third should still"),
    (99, 11.5, "tell the heading from the body and the body from the rules;"),
    (113, 10.5, "nearest neighbour will drop whole strokes of this line at random,"),
    (126, 9.5, "a box filter turns them grey, and a long filter keeps the most of them."),
)


def petals(x: float, y: float, inner: float, outer: float, count: int) -> list[list[Point]]:
    """A star of separate kite-shaped rays."""
    rays = []
    for k in range(count):
        turn, half = 2 * math.pi * k / count, math.pi / count
        ends = ((inner, turn), ((inner + outer) / 2, turn + half), (outer, turn), ((inner + outer) / 2, turn - half))
        rays.append([(x + r * math.sin(a), y - r * math.cos(a)) for r, a in ends])
    return rays


def badge() -> Image.Image:
    """An enamel badge: soft shadow, half-clear glass ring, anti-aliased rays, and magenta where nothing shows."""
    colour, alpha = Scene(256, 256), Scene(256, 256)

    def layer(mask: Image.Image, paint: Paint, opacity: float = 1.0, soft: float = 0.0) -> None:
        colour.fill(mask, paint, 1.0 if opacity > 0.3 else opacity, soft)
        alpha.fill(mask, (255, 255, 255), opacity, soft)

    alpha.fill(alpha.mask(oval(132, 138, 104)), (255, 255, 255), 0.55, soft=7)
    layer(colour.mask(oval(126, 124, 110)), lambda x, y: ramp(x + y, (60, (120, 220, 255)), (440, (20, 90, 200))), 0.45)
    layer(colour.mask(oval(126, 124, 92)), chrome(32, 184))
    layer(colour.mask(oval(126, 124, 86)), lambda x, y: ramp(y, (38, (30, 76, 150)), (210, (8, 20, 58))))
    layer(
        colour.mask(*petals(126, 124, 26, 84, 24)), lambda x, y: ramp(y, (40, (255, 226, 130)), (208, (190, 110, 20)))
    )
    layer(colour.mask(box(20, 104, 212, 40)), lambda x, y: ramp(y, (104, (236, 60, 54)), (144, (140, 6, 22))))
    layer(colour.words(126, 124, "RESAMPLE", 36), (255, 250, 240))
    layer(both(colour.mask(oval(126, 124, 86)), colour.mask(oval(112, 66, 84, 50))), (255, 255, 255), 0.22)
    whole = Image.merge("RGBA", (*colour.full().split(), alpha.full().getchannel(0)))
    pixels = np.array(whole.resize((256, 256), Image.Resampling.LANCZOS))
    pixels[pixels[..., 3] == 0, :3] = (255, 0, 255)
    return Image.fromarray(pixels)


def badge_la(whole: Image.Image) -> Image.Image:
    return whole.convert("RGBa").resize((120, 120), Image.Resampling.LANCZOS).convert("RGBA").convert("LA")


def badge_palette(whole: Image.Image) -> Image.Image:
    """31 colours of the badge, and index 31 clear."""
    small = whole.convert("RGBa").resize((96, 96), Image.Resampling.LANCZOS).convert("RGBA")
    paper = Image.new("RGBA", small.size, "white")
    paper.alpha_composite(small)
    flat = paper.convert("RGB").quantize(31, dither=Image.Dither.NONE)
    pixels = np.where(np.asarray(small.getchannel("A")) < 128, 31, np.asarray(flat)).astype(np.uint8)
    image = Image.fromarray(pixels, "L")
    image.putpalette([*(flat.getpalette() or [])[: 31 * 3], 0, 255, 0])
    return image


def gray16() -> Image.Image:
    """A lit, ringed plain with more than 8 bits of shade, from 0 to 65535."""
    width, height = 320, 240
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    away = np.hypot(x - 210, y - 130)
    rings = np.cos(away**2 / 190) * np.exp(-((away / 82) ** 2))
    slope = x / width + 0.5 * y / height
    ground = noise(np.random.default_rng(16), (width, height), (4, 3), 3)
    level = slope + 0.45 * rings + 0.12 * ground + 0.8 * np.exp(-(((x - 70) ** 2 + (y - 80) ** 2) / 900))
    level = (level - level.min()) / np.ptp(level)
    return Image.fromarray(np.round(level * 65535).astype(np.uint16))


def page() -> Image.Image:
    """Black on white: falling text sizes, rules from thick to thin, a fan of strokes and a dithered ramp."""
    scene = Scene(400, 300)
    ink = (0, 0, 0)
    scene.fill(scene.mask(box(0, 0, 400, 300)), (255, 255, 255))
    for y, size, text in PAGE:
        scene.fill(scene.words(16, y, text, size, "lm"), ink)
    scene.fill(scene.mask(*(box(16, 142 + 6 * k, 368, 4 - 0.6 * k) for k in range(6))), ink)
    fan = [[(16, 282), (16 + 170 * math.cos(a), 282 - 96 * math.sin(a))] for a in np.linspace(0, math.pi / 2, 28)]
    scene.fill(scene.strokes(fan, 1), ink)
    scene.fill(scene.mask(*petals(248, 232, 4, 46, 20)), ink)
    pixels = np.where(np.asarray(scene.image().convert("L")) < 160, 0, 255).astype(np.uint8)
    shade = np.tile(np.linspace(0, 255, 80), (96, 1)).astype(np.uint8)
    pixels[186:282, 304:384] = np.asarray(Image.fromarray(shade).convert("1")).astype(np.uint8) * 255
    return Image.fromarray(pixels).convert("1", dither=Image.Dither.NONE)


def main() -> None:
    car().save(HERE / "car.jpg", quality=92, subsampling=0, optimize=True)
    whole = badge()
    whole.save(HERE / "badge.png", optimize=True)
    badge_la(whole).save(HERE / "badge_la.png", optimize=True)
    badge_palette(whole).save(HERE / "palette_transparent.png", optimize=True, transparency=31)
    gray16().save(HERE / "gray16.png", optimize=True)
    page().save(HERE / "bilevel.png", optimize=True)


if __name__ == "__main__":
    main()
