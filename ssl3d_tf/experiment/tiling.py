"""What is made of one example, as tiles: planes of views, layers of patches, masks over them, reconstructions."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from ssl3d_tf.data.records import colours, upright
from ssl3d_tf.data.records.upright import Direction, Plane
from ssl3d_tf.evaluation import drawing
from ssl3d_tf.experiment.mosaics import Box, Lines, Tile
from ssl3d_tf.losses import reconstruction
from ssl3d_tf.losses.reconstruction import Whole
from ssl3d_tf.task import Words
from ssl3d_tf.views import pictures

_COLOURS = ("#e8710a", "#1a73e8")  # of the first and the second of two crops


class Look(NamedTuple):
    """How one example lies. rank: of its views. spacing_mm: of its voxels, [rank]; None draws them as squares."""

    planes: Sequence[Plane]
    directions: Sequence[Direction]
    rank: int
    spacing_mm: Sequence[float] | None = None

    def cut(self, plane: Plane, values: np.ndarray) -> np.ndarray:
        """The middle of an array [*spatial, …] in that plane, in millimetres."""
        return upright.to_scale(plane, values, self.spacing_mm)


class Views(NamedTuple):
    """What is made of one example. told: in words. values: of the mask's classes that are seen in it."""

    lines: Lines
    told: str
    values: frozenset[int] = frozenset()


def each(tensor: tf.Tensor, i: int, rank: int) -> np.ndarray:
    """[views, *spatial, channels] of example i."""
    return tensor[i].numpy().reshape((-1, *tensor.shape[-rank - 1 :]))


def planes(view: np.ndarray, look: Look, *, above: str = "", limits: tuple[float, float] | None = None) -> list[Tile]:
    """Its middle planes, with words above the first."""
    cuts = [look.cut(plane, view) for plane in look.planes]
    tiles = [Tile(pictures.shown(cut, is_image=look.rank == 2, limits=limits)) for cut in cuts]
    return [tiles[0]._replace(above=above), *tiles[1:]]


def cropped(crop: np.ndarray, look: Look, boxes: Sequence[tuple[np.ndarray, np.ndarray]]) -> Lines:
    """The crop itself, every plane with its name and the patient's sides, and where views were cut from it."""
    tiles, shape = [], np.array(crop.shape[:-1])
    for tile, plane in zip(planes(crop, look), look.planes, strict=True):
        name = plane.name or (f"across {look.directions[plane.across].name}" if plane.across is not None else "")
        outlined = [_box(look, plane, place, shape, colour) for place, colour in zip(boxes, _COLOURS, strict=False)]
        tiles.append(tile._replace(above=name, sides=plane.sides, boxes=outlined))
    return [[tiles]]


def _box(look: Look, plane: Plane, place: tuple[np.ndarray, np.ndarray], shape: np.ndarray, colour: str) -> Box:
    """place: where it begins and its size, voxels. shape: of the crop."""
    high, wide = upright.stretch(plane, look.spacing_mm)
    (row, column), (rows, columns) = upright.box(plane, *place, shape)
    return Box((high * row, wide * column), (high * rows, wide * columns), colour)


def layers(views: np.ndarray, inside: Sequence[str], side: int, look: Look) -> Lines:
    """Views of a grid where they lie, layer by layer of the axis that the first plane is cut across."""
    plane, numbers = look.planes[0], np.arange(len(views)).reshape((side,) * look.rank)
    pages, names = [upright.cut(plane, numbers)], [""]
    if plane.across is not None:
        _, start, end = look.directions[plane.across]
        pages = [upright.cut(plane, numbers, at) for at in range(side)]
        names = [f"layer {at}" + {0: f", {start}", side - 1: f", {end}"}.get(at, "") for at in range(side)]

    def tile(number: int, above: str) -> Tile:
        (found,) = planes(views[number], look._replace(planes=[plane]), above=above)
        return found._replace(inside=inside[number] if inside else "")

    return [
        [
            [tile(number, name * (not row and not column)) for column, number in enumerate(page[row])]
            for page, name in zip(pages, names, strict=True)
        ]
        for row in range(side)
    ]


def of_mask(view: np.ndarray, mask: np.ndarray, look: Look, values: Sequence[int]) -> Views:
    """The view [*spatial, channels], and beside it the same under its mask [*spatial] of places among `values`."""
    low, high = np.percentile(view[..., 0], (0.5, 99.5))
    grey = np.repeat(np.clip((view[..., :1] - low) / max(high - low, 1e-6), 0, 1), 3, axis=-1)
    shaded, palette = grey.copy(), colours.of_classes(values)
    there = {place: value for place, value in enumerate(values) if place and (mask == place).any()}
    for place, value in there.items():
        drawing.shade(shaded, mask == place, colours.as_shares(palette[value]))
    groups = [[Tile(look.cut(plane, each)) for plane in look.planes] for each in (grey, shaded)]
    told = f"view of {size_of(view[None])}; beside it, under its mask of {len(there)} classes"
    return Views([groups], told, frozenset(there.values()))


def of_reconstruction(
    inputs: tf.Tensor, targets: Whole, outputs: tf.Tensor | None, i: int, *, look: Look, words: Words
) -> Views:
    """A line per view: what is shown, what counts, what is wanted, and what the network says, in one scale."""
    shown, wanted = each(inputs, i, look.rank), each(targets.views, i, look.rank)
    limits = float(wanted.min()), float(wanted.max())
    counts = np.broadcast_to(each(targets.counts, i, look.rank), wanted.shape)
    changed = (shown != wanted).any(axis=-1)
    how = "changed" if shown[changed].any() else "hidden"
    kinds = {
        f"shown: {100 * changed.mean():.0f} % {how}": (shown, limits),
        "white: what counts": (counts, (0.0, 1.0)),
        "wanted": (wanted, limits),
    }
    if outputs is not None:
        said = np.where(counts, each(outputs, i, look.rank), wanted)  # elsewhere nobody asked for anything
        share = float(reconstruction.explained(targets, outputs)[i])
        kinds[f"reconstructed: {share:.2f} of the variance explained"] = (said, limits)
    lines = [
        [planes(views[line], look, above=name * (line == 0), limits=scale) for name, (views, scale) in kinds.items()]
        for line in range(len(wanted))
    ]
    many = "view" if len(wanted) == 1 else f"{len(wanted)} views"
    return Views(lines, f"{many} of {size_of(wanted)}" + (f": {words.line}" if words.line else ""))


def size_of(views: np.ndarray) -> str:
    return "×".join(map(str, views.shape[1:-1]))
