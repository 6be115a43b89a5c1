"""Which test cases to look at, and one picture of each: where prediction and reference differ, in three planes."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy import ndimage

from ssl3d_tf.data import files
from ssl3d_tf.data.records import colours, upright
from ssl3d_tf.evaluation import drawing, runs, scales, sheets
from ssl3d_tf.evaluation.sheets import Colour, Key, Panel

_GREY = (201, 201, 201)  # of the legend, as a shade on white
_RIM = 2  # px, of the reference's outline
_SAMPLE = 1 << 18  # voxels that the range of greys is taken from


def choose(cases: Sequence[tuple[str, str, str, float]], label: str) -> dict[str, str]:
    """Name of `runs.OVERLAYS` -> case, by the first score in `cases` (case, score, class, value) of class `label`.

    Empty where no case has a score; ties are in the order of the names of cases.
    """
    name = cases[0][1] if cases else ""
    found = [(value, case) for case, score, of, value in cases if (score, of) == (name, label) and not np.isnan(value)]
    ranked = [case for _, case in sorted(found, reverse=not scales.of(name).lower_is_better)]
    if not ranked:
        return {}
    return dict(zip(runs.OVERLAYS, (ranked[0], ranked[len(ranked) // 2], ranked[-1]), strict=True))


def draw(
    path: Path,
    *,
    title: str,
    volume: np.ndarray,
    truth: np.ndarray | None,
    predicted: np.ndarray,
    spacing_mm: Sequence[float],
    source: Mapping[str, Any],
    classes: Mapping[int, str],
    neurological: bool = False,
) -> None:
    """Writes the PNG: the prediction as a shade, the reference as an outline, one colour per class.

    Args:
        volume: [*spatial], 2D or 3D. truth, predicted: int [*spatial]; None where there is no reference.
        source: of the record, which says how it lies: as `upright` shows it, the patient's right on the left.
        classes: value of the mask -> name, without the background; other values are not drawn.
        neurological: the patient's left on the left instead.
    """
    palette = colours.of_classes(classes)
    low, high = _greys(volume)
    planes = upright.of_record(source, volume.ndim, neurological=neurological)
    middle = _centre([truth, predicted], classes) if len(planes) > 1 else ()
    panels = []
    for plane in planes:
        at = None if plane.across is None else middle[plane.across]
        grey = np.clip((upright.cut(plane, volume, at) - low) / (high - low or 1), 0, 1)
        size = _size(grey.shape, [spacing_mm[axis] for axis in plane.axes()], sheets.side(len(planes)))
        picture = _shaded(grey, upright.cut(plane, predicted, at), size, palette)
        if truth is not None:
            _outline(picture, upright.cut(plane, truth, at), size, palette)
        panels.append(Panel(plane.name if len(planes) > 1 else "", Image.fromarray(picture), plane.sides))
    legend = [Key(name, palette[value]) for value, name in classes.items()]
    legend += [Key("prediction", _GREY)]
    legend += [] if truth is None else [Key("reference", None)]
    with files.atomic(path) as file:
        sheets.compose(title, panels, legend).save(file, "PNG")


def _greys(volume: np.ndarray) -> tuple[float, float]:
    """Intensities that are black and white: the 0.5th and 99.5th percentile, of every n-th voxel of a large volume."""
    step = max(1, int(np.ceil((volume.size / _SAMPLE) ** (1 / volume.ndim))))
    low, high = np.percentile(volume[(slice(None, None, step),) * volume.ndim], (0.5, 99.5))
    return float(low), float(high)


def _size(shape: Sequence[int], spacing_mm: Sequence[float], most_px: int) -> tuple[int, int]:
    """(width, height) in px of a picture [rows, columns] whose longer side in mm takes `most_px`."""
    sides_mm = [count * mm for count, mm in zip(shape, spacing_mm, strict=True)]
    height, width = (max(1, round(side / max(sides_mm) * most_px)) for side in sides_mm)
    return width, height


def _shaded(
    grey: np.ndarray, predicted: np.ndarray, size: tuple[int, int], palette: Mapping[int, Colour]
) -> np.ndarray:
    """uint8 [height, width, 3] of a plane in 0..1, under the colours of the prediction; voxels stay squares."""
    picture = np.repeat((grey * 255).astype(np.uint8)[..., None], 3, axis=-1)
    for value, colour in palette.items():
        drawing.shade(picture, predicted == value, colour)
    # BOX is the nearest voxel where they are enlarged
    return np.array(Image.fromarray(picture).resize(size, Image.Resampling.BOX))


def _outline(picture: np.ndarray, truth: np.ndarray, size: tuple[int, int], palette: Mapping[int, Colour]) -> None:
    """Draws the rim of every class of the reference, from its border inwards; of a single voxel all of it."""
    for value, colour in palette.items():
        inside = Image.fromarray((truth == value).astype(np.uint8) * 255).resize(size, Image.Resampling.BOX)
        found = np.asarray(inside) > 0
        picture[found & ~ndimage.binary_erosion(found, iterations=_RIM, border_value=1)] = colour


def _centre(masks: Sequence[np.ndarray | None], classes: Iterable[int]) -> tuple[int, ...]:
    """The voxel in the middle of the foreground of the first mask that has any; of the volume where none has.

    Args:
        masks: [a, b, c] each.
    """
    shape: tuple[int, ...] = ()
    for mask in (mask for mask in masks if mask is not None):
        shape, along = mask.shape, _foreground(mask, list(classes))
        if count := along[0].sum():
            return tuple(int(np.rint(np.arange(len(each)) @ each / count)) for each in along)
    return tuple(side // 2 for side in shape)


def _foreground(mask: np.ndarray, values: Sequence[int]) -> list[np.ndarray]:
    """How many voxels of [a, b, c] are of `values`, by their index on each axis; of all at once 8 bytes each."""
    first, others = np.zeros(len(mask), np.int64), np.zeros(mask.shape[1:], np.int64)
    for number, plane in enumerate(mask):
        found = np.isin(plane, values)
        first[number] = np.count_nonzero(found)
        others += found
    return [first, others.sum(axis=1), others.sum(axis=0)]
