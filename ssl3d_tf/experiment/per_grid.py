"""Scores of segmented cases on two grids: the record's, which the network saw, and that on which the input was read.

The second is where a user wants a mask, and what published scores are of: a prediction that is perfect on a record of
2 mm voxels has, on the scan's .8 × .8 × 2.5 mm, a Dice of .79 for a duct of 2 mm.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from ssl3d_tf.data.records import placement, reading
from ssl3d_tf.data.records.schema import Example
from ssl3d_tf.evaluation import native, scores, surfaces
from ssl3d_tf.evaluation.tables import GRIDS, NATIVE, RECORD
from ssl3d_tf.losses.regions import Regions

MEAN = "mean"  # the class of a score over all foreground regions
POOLED = {"pooled_dice": scores.pooled_dice, "pooled_jaccard": scores.pooled_jaccard}
STACK = "stack_dice"  # Dice of a volume that was stored as slices, from the voxels of all of them


class Masks(NamedTuple):
    """What is compared: two masks, int [*spatial], of voxels of `spacing_mm`."""

    truth: np.ndarray
    predicted: np.ndarray
    spacing_mm: Sequence[float]


class Measured(NamedTuple):
    """Of one case on one grid. rows: (score, class, value). confusion: voxels by (true, predicted) class."""

    rows: list[tuple[str, str, float]]
    confusion: np.ndarray


Case: TypeAlias = tuple[str, Mapping[str, Measured]]  # its id, and what it scores by grid


class Measure(NamedTuple):
    """What is measured. names: of the scores. classes: values of the masks. tolerance_mm: of 'nsd'."""

    names: Sequence[str]
    regions: Regions
    classes: np.ndarray
    ignore: int | None
    tolerance_mm: float


def masks(example: Example, logits: np.ndarray, *, values: np.ndarray, ignore: int | None) -> dict[str, Masks]:
    """The masks of a case by grid: RECORD, and NATIVE where that can be had; the same object where nothing was changed.

    Args:
        example: with its mask. logits: float [*stored, classes]. values: of the masks by class, from low to high.
        ignore: where the reference has this value, the prediction has it too.
    """
    assert example.mask is not None  # as whoever read it made sure
    stored = Masks(example.mask, values[np.argmax(logits, axis=-1)], example.spacing_mm)
    found = {RECORD: _without(stored, ignore)}
    if there := reading.native(example):
        placed, truth = there
        found[NATIVE] = found[RECORD]
        if not placed.is_same:
            predicted = native.labels(logits, example.source, values=values)
            spacing_mm = placement.spacing_mm(placed, example.spacing_mm)
            found[NATIVE] = _without(Masks(truth, predicted, spacing_mm), ignore)
    return found


def measured(found: Mapping[str, Masks], how: Measure) -> dict[str, Measured]:
    """Every score of a case by grid, measured once where both grids are one."""
    scored = {RECORD: _measured(found[RECORD], how, is_stored=True)}
    if NATIVE in found:
        is_same = found[NATIVE] is found[RECORD]
        scored[NATIVE] = scored[RECORD] if is_same else _measured(found[NATIVE], how, is_stored=False)
    return scored


def summary(cases: Sequence[Case], names: Sequence[str]) -> list[tuple[str, str, float, str]]:
    """(score, class, value, grid) of the whole split, on the grids that all its cases have scores on.

    Nothing is averaged over two grids, nor over the cases that happen to have one.
    """
    found: list[tuple[str, str, float, str]] = []
    for grid in (grid for grid in GRIDS if all(grid in scored for _, scored in cases)):
        rows = [row for _, scored in cases for row in scored[grid].rows]
        counts = np.sum([scored[grid].confusion for _, scored in cases], axis=0)
        for key in dict.fromkeys(row[:2] for row in rows):
            found.append((*key, scores.mean(value for *of, value in rows if tuple(of) == key), grid))
        found += [(name, "", POOLED[name](counts), grid) for name in names if name in POOLED]
    return found


def stacks(cases: Sequence[Case], how: Measure, *, plane: str | None) -> list[Case]:
    """The volumes whose slices `cases` are, with STACK alone, on the grids that all their slices have; none unasked.

    Args:
        plane: of the slices; None: every case is a stack of its own.
    """
    grouped: dict[str, list[Mapping[str, Measured]]] = {}
    for name, scored in cases if STACK in how.names else ():
        grouped.setdefault(placement.stack_id(name, plane), []).append(scored)
    return [(name, _stacked(slices, how)) for name, slices in grouped.items()]


def _stacked(slices: Sequence[Mapping[str, Measured]], how: Measure) -> dict[str, Measured]:
    found = {}
    for grid in (grid for grid in GRIDS if all(grid in scored for scored in slices)):
        counts = np.sum([scored[grid].confusion for scored in slices], axis=0)
        values = {name: scores.dice_of_confusion(counts, np.isin(how.classes, of)) for name, of in how.regions.items()}
        rows = [*((STACK, *pair) for pair in values.items()), (STACK, MEAN, scores.mean(values.values()))]
        found[grid] = Measured(rows, counts)
    return found


def of_cases(cases: Sequence[Case]) -> list[tuple[str, str, str, float, str]]:
    """(case, score, class, value, grid), all cases on one grid before the next."""
    found = ((name, grid, scored[grid].rows) for grid in GRIDS for name, scored in cases if grid in scored)
    return [(name, *row, grid) for name, grid, rows in found for row in rows]


def _measured(masks: Masks, how: Measure, *, is_stored: bool) -> Measured:
    rows: list[tuple[str, str, float]] = []
    for name in (name for name in how.names if name not in (*POOLED, STACK)):
        score = _score_of(name, spacing_mm=masks.spacing_mm, tolerance_mm=how.tolerance_mm)
        values = scores.per_region(score, masks.truth, masks.predicted, regions=how.regions)
        rows += [*((name, *pair) for pair in values.items()), (name, MEAN, scores.mean(values.values()))]
    return Measured(rows, _confusion(masks, how, is_stored=is_stored))


def _confusion(masks: Masks, how: Measure, *, is_stored: bool) -> np.ndarray:
    """Plane by plane, so that masks are not copied as wider numbers all at once.

    What is no class is left out: that to be ignored, and what resampling took from every record of the data.
    """
    total = np.zeros((len(how.classes),) * 2, np.int64)
    for truth, predicted in zip(masks.truth, masks.predicted, strict=True):
        known = truth != how.ignore if is_stored else np.isin(truth, how.classes)
        pair = (scores.places(mask[known], how.classes) for mask in (truth, predicted))
        total += scores.confusion(*pair, classes=len(how.classes))
    return total


def _score_of(name: str, *, spacing_mm: Sequence[float], tolerance_mm: float) -> scores.Score:
    known: Mapping[str, Callable] = {"dice": scores.dice, "jaccard": scores.jaccard}
    if name == "hd95":
        return functools.partial(surfaces.hd95, spacing_mm=spacing_mm)
    if name == "nsd":
        return functools.partial(surfaces.nsd, spacing_mm=spacing_mm, tolerance_mm=tolerance_mm)
    return known[name]


def _without(masks: Masks, ignore: int | None) -> Masks:
    if ignore is None:
        return masks
    return masks._replace(predicted=np.where(masks.truth == ignore, ignore, masks.predicted))
