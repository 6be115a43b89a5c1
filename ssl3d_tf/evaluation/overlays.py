"""Which test cases to look at, and one picture of each: where prediction and reference differ, in three planes."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageColor
from scipy import ndimage

from ssl3d_tf.data import files
from ssl3d_tf.data.records.placement import PLANES
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
    is_ras: bool,
    classes: Mapping[int, str],
) -> None:
    """Writes the PNG: the prediction as a shade, the reference as an outline, one colour per class.

    Args:
        volume: [*spatial], 2D or 3D. truth, predicted: int [*spatial]; None where there is no reference.
        is_ras: front and head are then up, the patient's right on the right, as in the contact sheet.
        classes: value of the mask -> name, without the background; other values are not drawn.
    """
    colours = {
        value: ImageColor.getrgb(drawing.COLOURS[place % len(drawing.COLOURS)]) for place, value in enumerate(classes)
    }
    low, high = _greys(volume)
    cuts: list[tuple] = [()]
    if volume.ndim == 3:
        cuts = [(slice(None),) * axis + (at,) for axis, at in enumerate(_centre([truth, predicted], classes))]
    panels = []
    for axis, cut in enumerate(cuts):
        across = [mm for other, mm in enumerate(spacing_mm) if len(cuts) == 1 or other != axis]
        grey = np.clip((volume[cut] - low) / (high - low or 1), 0, 1)
        size = _size(grey.shape, across, sheets.side(len(cuts)), upright=is_ras)
        picture = _shaded(grey, predicted[cut], size, upright=is_ras, colours=colours)
        if truth is not None:
            _outline(picture, truth[cut], size, upright=is_ras, colours=colours)
        panels.append(Panel(PLANES[axis] if len(cuts) > 1 and is_ras else "", Image.fromarray(picture)))
    legend = [Key(name, colours[value]) for value, name in classes.items()]
    legend += [Key("prediction", _GREY)]
    legend += [] if truth is None else [Key("reference", None)]
    with files.atomic(path) as file:
        sheets.compose(title, panels, legend).save(file, "PNG")


def _greys(volume: np.ndarray) -> tuple[float, float]:
    """Intensities that are black and white: the 0.5th and 99.5th percentile, of every n-th voxel of a large volume."""
    step = max(1, int(np.ceil((volume.size / _SAMPLE) ** (1 / volume.ndim))))
    low, high = np.percentile(volume[(slice(None, None, step),) * volume.ndim], (0.5, 99.5))
    return float(low), float(high)


def _size(shape: Sequence[int], spacing_mm: Sequence[float], most_px: int, *, upright: bool) -> tuple[int, int]:
    """(width, height) in px of a plane [a, b] whose longer side in mm takes `most_px`."""
    sides_mm = [count * mm for count, mm in zip(shape, spacing_mm, strict=True)]
    first, second = (max(1, round(side / max(sides_mm) * most_px)) for side in sides_mm)
    return (first, second) if upright else (second, first)


def _turned(plane: np.ndarray, *, upright: bool) -> np.ndarray:
    """First RAS axis to the right, second upwards; of pictures, rows down and columns to the right."""
    return plane.swapaxes(0, 1)[::-1] if upright else plane


def _shaded(
    grey: np.ndarray, predicted: np.ndarray, size: tuple[int, int], *, upright: bool, colours: Mapping[int, Colour]
) -> np.ndarray:
    """uint8 [height, width, 3] of a plane in 0..1, under the colours of the prediction; voxels stay squares."""
    picture = np.repeat((grey * 255).astype(np.uint8)[..., None], 3, axis=-1)
    for value, colour in colours.items():
        drawing.shade(picture, predicted == value, colour)
    turned = Image.fromarray(np.ascontiguousarray(_turned(picture, upright=upright)))
    return np.array(turned.resize(size, Image.Resampling.BOX))  # which is the nearest voxel where they are enlarged


def _outline(
    picture: np.ndarray, truth: np.ndarray, size: tuple[int, int], *, upright: bool, colours: Mapping[int, Colour]
) -> None:
    """Draws the rim of every class of the reference, from its border inwards; of a single voxel all of it."""
    for value, colour in colours.items():
        turned = Image.fromarray(np.ascontiguousarray(_turned(truth == value, upright=upright)).astype(np.uint8) * 255)
        inside = np.asarray(turned.resize(size, Image.Resampling.BOX)) > 0
        picture[inside & ~ndimage.binary_erosion(inside, iterations=_RIM, border_value=1)] = colour


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
