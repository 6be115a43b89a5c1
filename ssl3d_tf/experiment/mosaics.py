"""Tiles in lines and groups with words on them, as an axis of matplotlib: what a task makes of one example."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from ssl3d_tf.views import pictures

_APART = 3  # gaps between tiles that lie between groups
_SMALL = 7  # pt, of words above tiles and in them
_EDGE = 0.03  # of a tile's side, from its edge to a letter
_STROKE = [withStroke(linewidth=1.5, foreground="black")]


class Box(NamedTuple):
    """What is outlined in a tile. corner: (row, column), extent: (rows, columns), in pixels of the tile."""

    corner: tuple[float, float]
    extent: tuple[float, float]
    colour: str


class Tile(NamedTuple):
    """A picture and what stands on it.

    pixels: float [height, width, 1 or 3] in [0, 1]. above: words above it. inside: in its upper left corner. sides:
    letters of the patient's sides at its left and right edge.
    """

    pixels: np.ndarray
    above: str = ""
    inside: str = ""
    sides: tuple[str, ...] = ()
    boxes: Sequence[Box] = ()


Lines = Sequence[Sequence[Sequence[Tile]]]  # of groups of tiles: as high as its highest tile, beginning at the left


class Placed(NamedTuple):
    """picture: float [height, width, 3], white between tiles. tiles: (top, left, tile)."""

    picture: np.ndarray
    tiles: Sequence[tuple[int, int, Tile]]


def place(lines: Lines) -> Placed:
    """Where every tile lies; groups are further from each other than tiles are, and lines as far as these."""
    gap = max(pictures.gap_of(tile.pixels.shape[1]) for line in lines for group in line for tile in group)
    placed, top = [], 0
    for line in lines:
        left = 0
        for group in line:
            for tile in group:
                placed.append((top, left, tile))
                left += tile.pixels.shape[1] + gap
            left += (_APART - 1) * gap
        top += max(tile.pixels.shape[0] for group in line for tile in group) + gap
    width = max(left + tile.pixels.shape[1] for _, left, tile in placed)
    picture = np.ones((top - gap, width, 3), np.float32)
    for top, left, tile in placed:
        high, wide = tile.pixels.shape[:2]
        picture[top : top + high, left : left + wide] = tile.pixels
    return Placed(picture, placed)


def draw(axes: Axes, placed: Placed, title: str) -> None:
    """Draws them, with the title above, left; a $ in a name is a $."""
    axes.imshow(placed.picture)
    axes.axis("off")
    most = max((tile.above.count("\n") + 1 if tile.above else 0 for _, _, tile in placed.tiles), default=0)
    axes.set_title(title, loc="left", fontsize=9, pad=6 + 1.25 * _SMALL * most, parse_math=False)
    for top, left, tile in placed.tiles:
        height, width = tile.pixels.shape[:2]
        if tile.above:
            at, up = (left - 0.5, top - 0.5), (0, 2)  # points
            axes.annotate(tile.above, at, up, textcoords="offset points", fontsize=_SMALL, va="bottom")
        _write(axes, (left - 0.5, top - 0.5), tile.inside, ha="left", va="top")
        edges = (left - 0.5 + _EDGE * width, left - 0.5 + (1 - _EDGE) * width)
        for at, letter, side in zip(edges, tile.sides, ("left", "right"), strict=False):
            _write(axes, (at, top + height / 2), letter, ha=side, va="center")
        for (row, column), (rows, columns), colour in tile.boxes:
            corner = (left + column - 0.5, top + row - 0.5)
            axes.add_patch(Rectangle(corner, columns, rows, fill=False, edgecolor=colour, linewidth=1.5))


def _write(axes: Axes, at: tuple[float, float], text: str, *, ha: str, va: str) -> None:
    if text:
        axes.text(*at, text, fontsize=_SMALL + 0.5, weight="bold", color="white", ha=ha, va=va, path_effects=_STROKE)
