"""A contact sheet: each result enlarged, beside it a map of how it differs from the reference."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from resample.files.settings import Size, shown
from resample_cli import differences
from resample_cli.variants import Comparison

# in pixels of the sheet
TILE = 480  # the longest side
DETAIL = (160, 120)  # what is shown of results that are too large for a tile
NARROWEST = 400  # a column, for its label
MARGIN, GAP, APART = 40, 12, 44
LABEL, HEADER = 70, 132
SQUARE = 8  # of the checkerboard

GROUND, TEXT, FAINT, ACCENT = "#191a1d", "#f2f1ee", "#a6a9b0", "#ffb74d"
CHECKERS = (102, 153)


class Layout(NamedTuple):
    """Where things lie on the sheet; sizes are (width, height)."""

    detail: Size
    """What is shown of each result."""
    factor: int
    """How many pixels of the sheet a pixel of a result is wide and high."""
    tile: Size
    column: int
    """The width of a tile with its label; each cell has two columns, for the result and its difference."""
    cell: Size
    across: int
    """The number of cells side by side."""
    sheet: Size


def layout(count: int, size: Size) -> Layout:
    """Return the layout for `count` results of a size; the number of cells in a row makes the sheet 4:3, about."""
    detail = size if max(size) <= TILE else (min(size[0], DETAIL[0]), min(size[1], DETAIL[1]))
    factor = TILE // max(detail)
    tile = detail[0] * factor, detail[1] * factor
    column = max(tile[0], NARROWEST)
    cell = 2 * column + GAP, LABEL + tile[1]

    def sheet(across: int) -> Size:
        down = math.ceil(count / across)
        return (
            2 * MARGIN + across * (cell[0] + APART) - APART,
            2 * MARGIN + HEADER + down * (cell[1] + APART) - APART,
        )

    def distortion(across: int) -> float:
        width, height = sheet(across)
        return abs(math.log(width / height * 3 / 4))

    across = min(range(1, count + 1), key=distortion)
    return Layout(detail, factor, tile, column, cell, across, sheet(across))


def draw(comparison: Comparison) -> Image.Image:
    """Return the sheet, RGB."""
    ways, results, number = comparison.variants, comparison.results, comparison.reference
    plan = layout(len(ways), comparison.size)
    reference = results[number]
    total = np.zeros(comparison.size[::-1], np.int32)
    found = []
    for result in results:
        levels = differences.between(result, reference)
        found.append(differences.summed_up(levels))
        total += levels.sum(2, dtype=np.int32)
    left, top = differences.liveliest(total, *plan.detail)
    part = (left, top, left + plan.detail[0], top + plan.detail[1])
    shows = [result.crop(part) for result in results]
    maps = [differences.between(tile, shows[number]) for tile in shows]
    amplification = differences.amplification(maps)

    sheet = Image.new("RGB", plan.sheet, GROUND)
    pen = _Pen(sheet)
    pen.text((MARGIN, MARGIN - 8), comparison.name, 38, TEXT, plan.sheet[0] - 2 * MARGIN)
    for line, text in enumerate(_heading(comparison, plan, part)):
        pen.text((MARGIN, MARGIN + 48 + 28 * line), text, 20, FAINT, plan.sheet[0] - 2 * MARGIN)
    # the reference comes first, as the others are compared with it
    order = [number, *(other for other in range(len(ways)) if other != number)]
    for place, each in enumerate(order):
        row, column = divmod(place, plan.across)
        x = MARGIN + column * (plan.cell[0] + APART)
        y = MARGIN + HEADER + row * (plan.cell[1] + APART)
        beside = x + plan.column + GAP
        pen.text((x, y), ways[each].mode, 27, TEXT, plan.column)
        pen.text((x, y + 38), ", ".join(filter(None, (ways[each].details, shown(comparison.size)))), 18, FAINT)
        sheet.paste(_tile(shows[each], plan.factor), (x, y + LABEL))
        if each == number:
            frame = (x - 3, y + LABEL - 3, x + plan.tile[0] + 2, y + LABEL + plan.tile[1] + 2)
            pen.draw.rectangle(frame, outline=ACCENT, width=3)
            pen.text((beside, y), "the reference", 27, ACCENT)
            is_framed = comparison.is_of_a_part or plan.detail != comparison.size
            what = f"INPUT, {shown(comparison.old_size)}{'; framed: the tiles' if is_framed else ''}"
            pen.text((beside, y + 38), what, 18, FAINT)
            sheet.paste(_overview(comparison, part, plan), (beside, y + LABEL))
        else:
            pen.text((beside, y), f"difference x{amplification}", 27, TEXT)
            pen.text((beside, y + 38), str(found[each]), 18, FAINT)
            sheet.paste(_tile(_amplified(maps[each], amplification), plan.factor), (beside, y + LABEL))
    return sheet


def _heading(comparison: Comparison, plan: Layout, part: tuple[int, int, int, int]) -> list[str]:
    tiles = "Tiles: "
    if plan.detail != comparison.size:
        tiles += f"{shown(plan.detail)} of it at {part[0]},{part[1]}, where the results differ most, "
    tiles += f"each pixel {plan.factor}x{plan.factor}" if plan.factor > 1 else "pixel by pixel"
    reference = comparison.variants[comparison.reference]
    return [comparison.sizes(), f"{tiles}. Differences: from {reference.mode}, over all of it, in levels of 0 to 255."]


class _Pen:
    """Writes on the sheet."""

    def __init__(self, sheet: Image.Image) -> None:
        self.draw = ImageDraw.Draw(sheet)

    def text(self, place: tuple[int, int], text: str, height: int, colour: str, room: int = 1 << 16) -> None:
        """Write one line, shortened to `room` pixels, in ASCII, as the font that is always there has little else."""
        font = ImageFont.load_default(height)
        text = text.encode("ascii", "backslashreplace").decode()
        whole = text
        while len(text) > 4 and self.draw.textlength(text, font) > room:
            # the middle goes: the end of a name tells more
            kept = len(text) - 4
            text = f"{whole[: kept // 2]}...{whole[len(whole) - (kept - kept // 2) :]}"
        self.draw.text(place, text, colour, font)


def _tile(image: Image.Image, factor: int) -> Image.Image:
    """Return the picture enlarged, and over a checkerboard where it is transparent."""
    image = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    if image.mode == "RGB":
        return image
    rows, columns = np.indices(image.size[::-1]) // SQUARE
    ground = Image.fromarray(np.where((rows + columns) % 2, *CHECKERS).astype(np.uint8)).convert("RGBA")
    return Image.alpha_composite(ground, image).convert("RGB")


def _amplified(levels: differences.Levels, amplification: int) -> Image.Image:
    return Image.fromarray(np.minimum(levels.astype(np.uint16) * amplification, 255).astype(np.uint8))


def _overview(comparison: Comparison, part: tuple[int, int, int, int], plan: Layout) -> Image.Image:
    """Return the whole picture, with a frame around what the tiles show if that is not all."""
    from resample import resize

    whole, (left, top, *size) = comparison.whole, comparison.part
    scale = min(plan.column / whole.width, plan.tile[1] / whole.height)
    width, height = (max(1, int(side * scale)) for side in whole.size)
    small = _tile(resize(whole, (height, width)), 1)
    # the corners of what the tiles show, as fractions of the results, then in pixels of the overview
    corners = [part[k] / comparison.size[k % 2] for k in range(4)]
    box = [((left, top)[k % 2] + corners[k] * size[k % 2]) * small.size[k % 2] / whole.size[k % 2] for k in range(4)]
    if comparison.is_of_a_part or plan.detail != comparison.size:
        frame = round(box[0]) - 2, round(box[1]) - 2, round(box[2]) + 1, round(box[3]) + 1
        pen = ImageDraw.Draw(small)
        pen.rectangle((frame[0] - 1, frame[1] - 1, frame[2] + 1, frame[3] + 1), outline=GROUND, width=4)
        pen.rectangle(frame, outline=ACCENT, width=2)
    return small
