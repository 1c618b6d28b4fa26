"""The car of car.jpg, seen from its right side."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image
from scene import Point, Scene, bell, both, box, chrome, oval, path, ramp
from street import backdrop, board, fence

SILL = 354
WHEELS = ((158, 337), (530, 337))
TYRE, RIM, ARCH = 51, 37, 56
BODY = (
    "M 50 346 C 40 338 36 322 37 300 C 37 286 40 275 45 264 C 78 258 122 244 166 224 C 206 206 252 196 296 196"
    " C 336 196 364 203 392 219 C 410 229 426 240 440 248 C 500 247 572 252 622 267 C 650 275 664 290 666 308"
    " C 667 324 664 338 655 347 L 590 354 L 100 354 Z"
)
GLASS = (
    "M 172 246 C 190 231 226 212 276 206"
    " C 306 203 330 205 348 212 C 376 223 402 238 416 248 C 340 251 250 251 172 246 Z"
)
SCREEN = "M 366 206.5 C 376 210 385 214 393 219 C 411 229 426 240 438 247 L 428 248.5 C 410 236 388 222 360 209 Z"
DOOR = "M 292 205 L 290 250 C 286 286 288 322 296 342 L 434 342 C 442 326 444 292 438 264 L 426 249"
BELT_X = (36, 60, 120, 200, 440, 520, 590, 640, 667)
BELT_Y = (272, 264, 257, 252, 250, 250, 257, 273, 300)


def shade(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The red paint: what the panel at (x, y) reflects."""
    belt = np.interp(x, BELT_X, BELT_Y)
    v = (y - belt) / (SILL - belt)
    sway = 0.022 * np.sin(x / 38) + 0.012 * np.sin(x / 11)
    sway += 0.007 * np.sin(x / 5 + 2 * np.sin(x / 23)) * bell(v - 0.6, 0.05)
    stops = ((-0.55, (255, 150, 132)), (-0.42, (214, 40, 38)), (-0.05, (150, 10, 18)), (0, (250, 136, 118)))
    stops += ((0.07, (226, 62, 54)), (0.24, (204, 30, 32)), (0.27, (255, 178, 160)), (0.295, (236, 84, 72)))
    stops += ((0.34, (168, 12, 20)), (0.56, (104, 2, 12)), (0.6, (86, 0, 10)), (0.63, (176, 36, 34)))
    stops += ((0.84, (138, 14, 20)), (0.95, (84, 4, 12)), (1, (44, 0, 6)))
    colour = ramp(v + np.where(v > 0.4, sway, 0), *stops)
    for cx, cy in WHEELS:
        d = np.hypot(x - cx, y - cy) - ARCH
        up = np.clip((cy - y) / 40, 0, 1)
        colour += ((90 * bell(d - 6, 2.5) - 60 * bell(d - 1, 2.5) + 40 * bell(d - 16, 9)) * up)[..., None]
    stripe = (bell(y - belt - 9.5, 0.4) + bell(y - belt - 12, 0.4)) * (x > 62) * (x < 600)
    colour += (np.array((255, 214, 150)) - colour) * (0.7 * stripe)[..., None]
    ends = np.clip((70 - x) / 36, 0, 1) + np.clip((x - 628) / 40, 0, 1)
    return colour * (1 - 0.45 * ends[..., None])


def wheel(scene: Scene, cx: float, cy: float) -> None:
    def ring(count: int, inner: float, outer: float, lean: float = 0.0, start: float = 0.0) -> list[list[Point]]:
        turn = (np.arange(count) + start) * 2 * math.pi / count
        ends = ((inner, turn), (outer, turn + lean))
        return [[(cx + r * math.cos(a[k]), cy + r * math.sin(a[k])) for r, a in ends] for k in range(count)]

    def metal(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        sheen = 0.5 + 0.28 * np.sin(2 * np.arctan2(y - cy, x - cx) + 0.9) + 0.3 * np.sin(5 * np.arctan2(y - cy, x - cx))
        return ramp(sheen, (0, (62, 66, 74)), (0.5, (168, 176, 186)), (1, (255, 255, 255)))

    def rubber(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        r = np.hypot(x - cx, y - cy)
        stops = ((36, (20, 20, 22)), (40, (62, 62, 66)), (44, (38, 38, 41)), (48, (58, 58, 62)), (51, (18, 18, 20)))
        return ramp(r, *stops) * (1.05 - 0.25 * ((y - cy) / TYRE))[..., None]

    scene.fill(scene.mask(oval(cx, cy, TYRE)), rubber)
    scene.fill(scene.strokes(ring(110, TYRE - 3.2, TYRE, 0.03), 0.8), (8, 8, 9))
    scene.fill(scene.strokes([oval(cx, cy, 43.5) + oval(cx, cy, 43.5)[:1]], 1.1), (206, 204, 196), 0.9)
    scene.fill(scene.mask(oval(cx, cy, RIM)), metal)
    scene.fill(scene.mask(oval(cx, cy, RIM - 3)), lambda x, y: ramp(y - cy, (-34, (6, 6, 8)), (34, (44, 44, 48))))
    scene.fill(scene.mask(oval(cx, cy, 22)), (84, 80, 78))
    scene.fill(scene.mask(*(oval(x, y, 0.8) for (x, y), _ in ring(28, 18, 20))), (20, 20, 22))
    for lean, start, colour in ((-0.5, 0.35, (140, 144, 150)), (0.5, 0.65, (214, 218, 224)), (0, 0, (252, 252, 254))):
        scene.fill(scene.strokes(ring(36, 8, RIM - 3, lean, start), 0.5), colour)
    scene.fill(scene.strokes([oval(cx, cy, RIM - 3) + oval(cx, cy, RIM - 3)[:1]], 1), (40, 42, 46))
    scene.fill(scene.mask(oval(cx, cy, 9)), metal)
    ears = [
        [
            (cx + r * math.cos(a), cy + r * math.sin(a))
            for r, a in ((4, t - 1), (14, t - 0.16), (14, t + 0.16), (4, t + 1))
        ]
        for t in (0.6, 2.69, 4.79)
    ]
    scene.fill(scene.mask(*ears), chrome(cy - 14, 28))
    scene.fill(scene.mask(oval(cx, cy, 4.5)), (178, 24, 30))
    scene.fill(scene.mask(oval(cx - 1.3, cy - 1.5, 1.4)), (255, 220, 210))


def windows(scene: Scene) -> None:
    glass, screen = scene.mask(path(GLASS)), scene.mask(path(SCREEN))
    stops = ((200, (44, 60, 78)), (222, (92, 116, 138)), (238, (40, 50, 62)), (250, (22, 26, 34)))
    scene.fill(glass, lambda x, y: ramp(y, *stops))
    seat = path("M 246 252 C 238 236 236 224 242 219 C 250 215 258 218 260 226 C 264 238 268 246 270 252 Z")
    rest = [(x + 74, y + 2) for x, y in seat]
    scene.fill(both(scene.mask(seat, rest), glass), (30, 20, 18), 0.9)
    scene.fill(
        scene.strokes([path("M 374 232 C 368 238 366 244 364 254"), path("M 366 238 L 392 250")], 2, glass),
        (14, 12, 12),
    )
    glints = [
        [(a, 196), (a + w, 196), (a + w - 46, 254), (a - 46, 254)]
        for a, w in ((268, 22), (296, 5), (384, 14), (404, 4))
    ]
    scene.fill(both(scene.mask(*glints), glass), (214, 232, 246), 0.4)
    scene.fill(screen, lambda x, y: ramp(y, (206, (226, 238, 246)), (224, (120, 148, 172)), (249, (44, 60, 76))))
    scene.fill(scene.strokes([[(294, 200), (292, 252)]], 3.6, glass), (26, 20, 22))
    outline = path(GLASS)
    scene.fill(scene.strokes([outline + outline[:1]], 1.7), chrome(204, 48))


def trim(scene: Scene) -> None:
    """Door, louvres, lamps, bumpers, plate and lettering."""
    for shift, colour in ((0.9, (255, 150, 134)), (0, (46, 0, 6))):
        seams = (
            [(x + shift, y + shift * 0.4) for x, y in path(line)]
            for line in (DOOR, "M 462 250 C 468 262 470 274 470 286")
        )
        scene.fill(scene.strokes(seams, 0.9), colour, 0.75)
    scene.fill(scene.mask(box(304, 268, 22, 3.6), oval(304, 269.8, 2.2)), chrome(268, 3.8))
    scene.fill(scene.strokes([[(212, 346), (476, 346)]], 2.4), chrome(344, 4))
    scene.fill(scene.mask(path("M 446 288 L 474 286 L 470 318 L 450 318 Z")), (30, 4, 8))
    scene.fill(
        scene.strokes([[(448 + k * 0.2, 290 + 2.3 * k), (473 - k * 0.3, 289 + 2.3 * k)] for k in range(13)], 0.8),
        (226, 228, 230),
    )
    scene.fill(scene.mask(oval(366, 300, 26)), (248, 246, 238))
    scene.fill(scene.words(366, 300, "27", 34), (20, 22, 28))
    scene.fill(scene.words(366, 335, "RESAMPLE  RACING  TEAM", 7), (255, 236, 214))
    scene.fill(scene.words(252, 296, "lanczos 3", 8), (255, 236, 214))
    scene.fill(scene.words(252, 306, "a = 3, windowed sinc", 4.6), (255, 236, 214), 0.9)
    scene.fill(scene.mask(oval(112, 272, 7)), chrome(265, 14))
    lamp = path("M 608 270 C 624 270 640 277 646 288 C 640 296 624 297 614 292 C 606 287 604 276 608 270 Z")
    scene.fill(
        scene.mask(lamp),
        lambda x, y: ramp(x - y / 2, (465, (250, 250, 240)), (485, (150, 170, 190)), (502, (250, 252, 255))),
    )
    scene.fill(scene.strokes([lamp + lamp[:1]], 1.5), chrome(268, 30))
    scene.fill(
        scene.strokes([[(612 + 4 * k, 271 + k), (614 + 4 * k, 294)] for k in range(8)], 0.4, scene.mask(lamp)),
        (90, 104, 120),
        0.7,
    )
    tail = path("M 41 278 L 55 275 C 57 284 58 292 57 300 L 38 302 C 38 294 39 286 41 278 Z")
    scene.fill(
        scene.mask(tail), lambda x, y: ramp(y, (276, (255, 150, 110)), (284, (226, 20, 24)), (302, (110, 0, 10)))
    )
    scene.fill(scene.strokes([[(36, y), (58, y)] for y in np.arange(278, 302, 2)], 0.4, scene.mask(tail)), (70, 0, 6))
    scene.fill(scene.strokes([tail + tail[:1]], 1.3), chrome(275, 28))
    scene.fill(scene.mask(box(48, 313, 48, 13)), (24, 24, 28))
    scene.fill(scene.mask(box(49, 314, 46, 11)), lambda x, y: ramp(x, (49, (206, 170, 40)), (80, (255, 222, 84))))
    scene.fill(scene.words(72, 319.6, "LNZ 3A", 10.5), (20, 20, 24))
    mouth = path("M 669 296 C 656 296 648 303 648 314 C 648 324 655 329 668 329 Z")
    shell = scene.mask(path(BODY))
    scene.fill(both(scene.mask(mouth), shell), (14, 10, 12))
    scene.fill(
        both(
            scene.strokes([[(646, y), (670, y)] for y in np.arange(298, 329, 1.9)], 0.7), both(scene.mask(mouth), shell)
        ),
        (220, 224, 230),
    )
    scene.fill(both(scene.strokes([mouth], 1.8), shell), chrome(294, 37))
    for bumper, top in (
        ("M 604 334 C 630 331 654 328 668 326 C 673 326 674 334 669 336 C 650 339 626 341 604 341 Z", 327),
        ("M 98 333 C 72 332 50 330 36 327 C 31 327 30 335 34 337 C 50 340 74 341 98 341 Z", 327),
    ):
        scene.fill(scene.mask(path(bumper)), chrome(top, 14))
    scene.fill(scene.mask(box(62, 346, 46, 6), oval(62, 349, 2, 3)), chrome(346, 6))
    scene.fill(scene.mask(oval(62, 349, 1.2, 2.2)), (12, 10, 10))
    scene.fill(scene.strokes([[(424, 250), (428, 243)]], 1.4), (60, 62, 68))
    mirror = path(
        "M 421 239 C 421 235 425 233 429 234 C 434 235 437 238 438 241"
        " C 436 244 432 246 428 245 C 424 245 421 243 421 239 Z"
    )
    scene.fill(scene.mask(mirror), chrome(233, 13))
    scene.fill(scene.strokes([mirror + mirror[:1]], 0.6), (50, 10, 14))
    scene.fill(scene.strokes([[(470, 249), (502, 170)]], 0.6), (40, 42, 48))


def car() -> Image.Image:
    scene, rng = Scene(700, 464), np.random.default_rng(27)
    backdrop(scene, rng)
    fence(scene)
    board(scene)
    scene.fill(scene.mask(oval(352, 390, 322, 12)), (8, 8, 14), 0.8, soft=7)
    scene.fill(scene.mask(oval(352, 387, 290, 5)), (4, 4, 8), 0.8, soft=3)
    scene.fill(scene.mask([(96, 300), (600, 300), (584, 361), (112, 361)]), (12, 10, 12))
    arches = np.asarray(scene.mask(*(oval(cx, cy, ARCH) for cx, cy in WHEELS)))
    body = Image.fromarray(np.where(arches, 0, np.asarray(scene.mask(path(BODY)))))
    scene.fill(scene.mask(*(oval(cx, cy, ARCH) for cx, cy in WHEELS)), (8, 6, 8))
    scene.fill(body, shade)
    for cx, cy in WHEELS:
        wheel(scene, cx, cy)
    windows(scene)
    trim(scene)
    return scene.image()
