"""Pictures with captions, a title and a legend on one white sheet, by Pillow: in a twentieth of matplotlib's time.

As many sheets are drawn as scans are predicted, beside a network that needs the same cores and Python's lock.
"""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib
from PIL import Image, ImageDraw, ImageFont

WIDTH = 420  # px, of a sheet
_LINE, _CAPTION = 16, 16  # px, heights: of a line of the title, of a caption
_GAP, _ROW, _SWATCH = 8, 16, (20, 9)  # px: around things, of the legend's lines, of its colours
_EDGE = 3  # px, of a picture's edge from its letter
_PAPER, _INK = (255, 255, 255), (1, 2, 3)

Colour = tuple[int, ...]


class Panel(NamedTuple):
    """A picture of at most `side(panels)` px on both sides, and what is written above it and at its two edges."""

    caption: str
    picture: Image.Image
    sides: tuple[str, ...] = ()


class Key(NamedTuple):
    """A line of the legend: a patch of that colour, or with none an outline."""

    name: str
    colour: Colour | None


def side(panels: int) -> int:
    """The longest side in px of one of so many pictures, 1 to 3."""
    return WIDTH // 2 - 2 * _GAP if panels > 1 else WIDTH - 10 * _GAP


def compose(title: str, panels: Sequence[Panel], legend: Sequence[Key]) -> Image.Image:
    """One picture with the legend below it, or up to three around their legend in the lower right corner.

    What is longer than its place loses its beginning, as the end of a name tells more. A long legend makes it longer.
    """
    is_alone = len(panels) == 1
    lines = title.split("\n")
    head = len(lines) * _LINE + _GAP
    cell = side(len(panels)) + _CAPTION + _GAP
    columns = 1 if is_alone else 2
    bottom = head + cell * (1 if is_alone else 2) + _GAP
    needed = len(legend) * _ROW + _GAP
    top = bottom if is_alone else max(head + cell, bottom - needed)
    sheet = Image.new("RGB", (WIDTH, max(bottom, top + needed)), _PAPER)
    drawing = ImageDraw.Draw(sheet)
    for number, line in enumerate(lines):
        middle = _GAP // 2 + _LINE * number + _LINE // 2
        _write(drawing, (WIDTH // 2, middle), line, 12, WIDTH - 2 * _GAP, anchor="mm")
    for number, panel in enumerate(panels):
        row, column = divmod(number, columns)
        centre, above = WIDTH // columns * (2 * column + 1) // 2, head + cell * row
        low = above + _CAPTION + (side(len(panels)) - panel.picture.height) // 2
        _write(drawing, (centre, low - _CAPTION // 2), panel.caption, 11, cell, anchor="mm")
        left = centre - panel.picture.width // 2
        sheet.paste(panel.picture, (left, low))
        edges = (left + _EDGE, left + panel.picture.width - _EDGE)
        for at, letter, anchor in zip(edges, panel.sides, ("lm", "rm"), strict=False):
            place = (at, low + panel.picture.height // 2)
            drawing.text(place, letter, _PAPER, _font(11), anchor, stroke_width=1, stroke_fill=_INK)
    _legend(drawing, legend, top, 0 if is_alone else WIDTH // 2)
    return sheet


def _legend(drawing: ImageDraw.ImageDraw, legend: Sequence[Key], top: int, left: int) -> None:
    """Its lines from `top` on: in the middle of the sheet, or at the right edge of a column that begins at `left`."""
    width, height = _SWATCH
    room = WIDTH - left - width - 3 * _GAP
    names = [_fitting(key.name, 11, room) for key in legend]
    free = room - max((int(_font(11).getlength(name)) for name in names), default=0)
    first = left + _GAP + (free if left else free // 2)
    for number, (key, name) in enumerate(zip(legend, names, strict=True)):
        middle = top + number * _ROW + _ROW // 2
        box = (first, middle - height // 2, first + width, middle + height // 2)
        drawing.rectangle(box, fill=key.colour or _PAPER, outline=key.colour or _INK)
        _write(drawing, (first + width + _GAP, middle), name, 11, room, anchor="lm")


def _write(
    drawing: ImageDraw.ImageDraw, at: tuple[int, int], text: str, size: int, most_px: int, *, anchor: str
) -> None:
    drawing.text(at, _fitting(text, size, most_px), fill=_INK, font=_font(size), anchor=anchor)


def _fitting(text: str, size: int, most_px: int) -> str:
    """The text in one line of at most so many px, without what no font has: halves of characters in names of files."""
    line = " ".join(text.encode("utf-8", "replace").decode().split())
    if _font(size).getlength(line) <= most_px:
        return line
    while line and _font(size).getlength(f"…{line}") > most_px:
        line = line[1:]
    return f"…{line}"


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """That of the report's figures."""
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), size)
