"""What is behind and below the car: sky, skyline, trees, fence, road and a sign."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from PIL import Image
from scene import SCALE, Scene, box, chrome, noise, oval, ramp


def backdrop(scene: Scene, rng: np.random.Generator) -> None:
    """Sky, clouds, a skyline, hills, and the ground."""
    stops = ((0, (62, 118, 190)), (90, (134, 178, 222)), (170, (222, 226, 226)), (235, (255, 226, 190)))
    scene.fill(scene.mask(box(0, 0, 700, 464)), lambda x, y: ramp(y, *stops))
    cloud = np.clip(noise(rng, (700, 240), (5, 6), 5) * 0.42 - 0.15, 0, 1) * np.linspace(1, 0.3, 240)[:, None]
    veil = Image.new("L", (700, 464))
    veil.paste(Image.fromarray((cloud * 235).astype(np.uint8)))
    scene.fill(veil.resize(scene.size, Image.Resampling.BICUBIC), (255, 252, 246))
    across = np.linspace(-5, 705, 90)
    for level, height, colour in ((206, 20, (150, 170, 190)), (226, 13, (112, 140, 138))):
        wave = level + height * noise(rng, (90, 1), (6, 1), 4)[0] * 0.45
        scene.fill(scene.mask([*zip(across, wave, strict=True), (705, 330), (-5, 330)]), colour)
    skyline(scene, rng)
    scene.fill(scene.mask(box(0, 252, 700, 100)), lambda x, y: ramp(y, (250, (96, 128, 74)), (350, (140, 158, 96))))
    stops = ((346, (176, 170, 160)), (360, (150, 146, 140)), (362, (92, 92, 96)), (464, (62, 62, 68)))
    grain = np.repeat(np.repeat(rng.standard_normal((464, 700)), SCALE, 0), SCALE, 1)
    scene.fill(scene.mask(box(0, 346, 700, 118)), lambda x, y: ramp(y, *stops) + 6 * grain[-x.shape[0] :, :, None])
    scene.fill(scene.mask(box(0, 360, 700, 2.4)), (70, 68, 66))
    dashes = [[(x + 8, 431), (x + 74, 431), (x + 66, 437), (x - 2, 437)] for x in range(-40, 700, 128)]
    scene.fill(scene.mask(*dashes), (226, 222, 206), 0.85)


def tower(scene: Scene, rng: np.random.Generator, x: int, near: bool) -> int:
    """One tower with its left edge at x; its right edge comes back."""
    width, height = int(rng.integers(14, 34)), int(rng.integers(30, 78) + (0 if near else 46))
    tone, top = rng.integers(-12, 12), 258 - height
    wall, haze = ((104, 122, 148), (150, 162, 178)) if near else ((178, 190, 204), (206, 206, 206))

    def paint(across: np.ndarray, down: np.ndarray) -> np.ndarray:
        plain = np.array(wall) + tone - 16 * ((across - x) / width)[..., None]
        return plain + (np.array(haze) - plain) * np.clip((down - top) / 150, 0, 1)[..., None]

    scene.fill(scene.mask(box(x, top, width, height), box(x + width / 2 - 0.5, top - 9, 1, 9)), paint)
    columns, rows = int((width - 3) / 2.5), int(height / 3.6) - 1
    cells = [(x + 2 + 2.5 * k, top + 4 + 3.6 * j) for k in range(columns) for j in range(rows)]
    panes = [box(*cell, 1.4, 2) for cell in cells if rng.random() < 0.85]
    colour = (226, 232, 236) if rng.random() < 0.5 else (70, 88, 116)
    scene.fill(scene.mask(*panes), colour, 0.75 if near else 0.4)
    return x + width


def skyline(scene: Scene, rng: np.random.Generator) -> None:
    """Two rows of towers with fine windows, a lattice mast and its cables, and trees."""
    for near in (False, True):
        x = 330 + 12 * near
        while x < 700:
            x = tower(scene, rng, x, near) + int(rng.integers(1, 12))
    legs = [[(612, 258), (622, 96)], [(640, 258), (630, 96)], [(626, 96), (626, 74)]]
    rungs = np.linspace(258, 100, 22)
    for a, b in pairwise(rungs):
        (la, lb), (ra, rb) = ([626 + side * (4 + (y - 96) / 16.2) for y in (a, b)] for side in (-1, 1))
        legs += [[(la, a), (rb, b)], [(ra, a), (lb, b)], [(la, a), (ra, a)]]
    arms = [[(626 - w, y), (626 + w, y), (626, y - 7), (626 - w, y)] for w, y in ((26, 112), (20, 128), (14, 144))]
    scene.fill(scene.strokes(legs + arms, 0.7), (70, 80, 94))
    spans = [(626 + side * w, y) for w, y in ((26, 112), (20, 128), (14, 144)) for side in (-1, 1)]
    cables = [
        [(x + t, y + 6 + 30 * (1 - (1 - abs(t) / 300) ** 2)) for t in np.linspace(0, far, 90)]
        for x, y in spans
        for far in (-700, 120)
    ]
    scene.fill(scene.strokes(cables, 0.5), (78, 90, 108), 0.8)
    for x in (4, 44, 250, 276, 304, 456, 492, 684):
        tree(scene, rng, x, 254, rng.uniform(15, 22))


def tree(scene: Scene, rng: np.random.Generator, x: float, foot: float, r: float) -> None:
    """A crown of leaf clumps, dark ones first and lit ones to the upper left."""
    scene.fill(
        scene.mask([(x - 1.2, foot - r), (x + 1.2, foot - r), (x + 2, foot + 3), (x - 2, foot + 3)]), (74, 62, 50)
    )
    for light in np.linspace(0.5, 1.25, 160):
        a, d = rng.uniform(0, 2 * math.pi), rng.uniform(0, 1) ** 0.5 * (1.25 - 0.45 * light) * r
        px, py = x + d * math.cos(a) - 3 * (light - 0.9), foot - 1.2 * r + d * math.sin(a) - 6 * (light - 0.9)
        scene.fill(scene.mask(oval(px, py, rng.uniform(1, 3.2))), tuple(int(c * light) for c in (86, 120, 66)), 0.85)


def fence(scene: Scene) -> None:
    """Chain link between posts: the diagonals are thinner than a pixel."""
    clip = scene.mask(box(0, 214, 700, 126))
    wires = [[(x, 214), (x + 126 * slope, 340)] for x in np.arange(-130, 840, 7) for slope in (-1, 1)]
    scene.fill(scene.strokes(wires, 0.75, clip), (66, 74, 80), 0.9)
    posts = [box(x, 206, 4, 142) for x in range(20, 700, 94)]
    scene.fill(
        scene.mask(*posts),
        lambda x, y: ramp((x - 20) % 94, (0, (90, 96, 100)), (1.5, (215, 220, 222)), (4, (70, 74, 80))),
    )
    scene.fill(scene.mask(box(0, 211, 700, 3), box(0, 339, 700, 2)), chrome(211, 3))


def board(scene: Scene) -> None:
    """A sign with text of falling sizes, a star and a wedge of lines."""
    scene.fill(scene.mask(box(52, 150, 4, 190), box(196, 150, 4, 190)), (74, 66, 58))
    scene.fill(scene.mask(box(28, 24, 200, 146)), (40, 46, 56))
    scene.fill(scene.mask(box(31, 27, 194, 140)), lambda x, y: ramp(y, (27, (252, 250, 242)), (167, (232, 228, 214))))
    lines = ((46, 22, "RESAMPLE"), (66, 14, "Grand Tour 1963"), (82, 10.5, "antialias on every corner"))
    lines += (
        (95, 8.5, "seven hundred by four hundred and sixty-four"),
        (106, 7, "nearest, box, bilinear, bicubic, lanczos"),
    )
    lines += ((115, 5.5, "small print: thin strokes fold over when the filter is too short"),)
    for y, size, text in lines:
        scene.fill(scene.words(40, y, text, size, "lm"), (150, 24, 30) if size > 20 else (34, 38, 46))
    ink = (-1, (30, 34, 42)), (1, (242, 240, 230))
    scene.fill(scene.mask(oval(62, 142, 20)), lambda x, y: ramp(20 * np.sin(48 * np.arctan2(y - 142, x - 62)), *ink))
    at = 94 + np.cumsum(np.linspace(5, 1.1, 42))
    scene.fill(scene.mask(*(box(a, 125, b - a, 34) for a, b in zip(at[::2], at[1::2], strict=True))), (30, 34, 42))
