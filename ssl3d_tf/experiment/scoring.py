"""What a finetuned model is worth on one split, case by case: builders of (prediction, data, split) -> Scores.

Segmentation predicts whole volumes in windows, one case at a time, whatever their number; classification scores the
list of all predictions. Neither depends on a batch size.
"""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from ssl3d_tf.data.folders import DataFolder
from ssl3d_tf.data.pipeline import Data
from ssl3d_tf.data.records import reading
from ssl3d_tf.data.records.schema import Example
from ssl3d_tf.errors import InputError
from ssl3d_tf.evaluation import grading, overlays, scales, tables
from ssl3d_tf.evaluation.sliding_window import predict_volume
from ssl3d_tf.experiment import per_grid, picturing
from ssl3d_tf.experiment.per_grid import MEAN, Measure
from ssl3d_tf.losses.regions import Regions
from ssl3d_tf.task import Batch, Inputs, Params, Task
from ssl3d_tf.tasks.classification import Labels
from ssl3d_tf.views import sizes
from ssl3d_tf.views.sizes import Size

Predict = Callable[[np.ndarray], np.ndarray]  # a batch -> outputs, always of that size
View = Callable[[DataFolder, str], Iterator[tuple[tf.Tensor, np.ndarray]]]


class Scores(NamedTuple):
    """summary: (score, class, value, grid). cases: (case, score, class, value, grid), the grid one of `tables.GRIDS`.

    predictions: (case, true, predicted).
    """

    summary: list[tuple[str, str, float, str]]
    cases: list[tuple[str, str, str, float, str]]
    predictions: list[tuple[str, int, int]]


class Probe(NamedTuple):
    """What scores classes that were found without a model: kind and values of the classes, the cases, and their scores.

    score: (labels [n, labels], probabilities, ids) -> Scores.
    """

    kind: str
    classes: tuple[int, ...]
    view: View
    score: Callable[[np.ndarray, np.ndarray, Sequence[str]], Scores]


class Scorer(NamedTuple):
    """score: (predict, data, split) -> Scores, where predict is `prediction` of a model. probe: of classification only.

    draw: (predict, data, scores of the test split, folder), of segmentation only: pictures of some test cases. regions:
    of segmentation, where they are not the classes. applied: what a model's contract says of how it is applied.
    """

    score: Callable[[Predict, DataFolder, str], Scores]
    probe: Probe | None = None
    draw: Callable[[Predict, DataFolder, Scores, Path], None] | None = None
    regions: Regions | None = None
    applied: Mapping[str, Any] = {}


def prediction(model: keras.Model) -> Predict:
    """What a model says of a batch, compiled once: weights that are loaded later count."""
    graph = tf.function(lambda inputs: model(inputs, training=False), autograph=False)
    return lambda inputs: graph(tf.convert_to_tensor(inputs)).numpy()


def segmentation(
    *,
    view_size: Size,
    names: Sequence[str] = ("dice",),
    regions: Regions | None = None,
    overlap: float = 0.5,
    flips: bool = False,
    batch_size: int = 4,
    tolerance_mm: float = 1.0,
    neurological: bool = False,
) -> Scorer:
    """Scores of whole cases, on both grids (`per_grid`). Regions that neither mask of a case has count in no mean.

    The network's classes are those of the data from low to high; masks and predictions are compared in stored values.
    Where the mask says that the class is not known, both are of none.

    Args:
        view_size: voxels of the windows, as in training.
        names: of 'dice', 'jaccard', 'hd95' (mm), 'nsd', of all slices of a volume together 'stack_dice', and of the
            whole split 'pooled_dice', 'pooled_jaccard'.
        regions: name -> values of the mask; None is every class of the data but the background.
        overlap: of neighbouring windows, as a share. flips: averages the logits over all flips of the volume.
        batch_size: windows at a time. tolerance_mm: of 'nsd'. neurological: draws the patient's left on the left.

    Raises:
        InputError: no such score.
    """
    if unknown := [name for name in names if name not in scales.OF_MASKS]:
        known = ", ".join(scales.OF_MASKS)
        raise InputError(f"SCORES holds {', '.join(unknown)}; for segmentation there are {known}.")

    def segment(predict: Predict, data: DataFolder, example: Example, volume: np.ndarray) -> dict[str, per_grid.Masks]:
        rank = data.manifest.rank
        logits = predict_volume(
            volume,
            predict=predict,
            size=sizes.sides(view_size, rank),
            overlap=overlap,
            batch_size=batch_size,
            flip_axes=tuple(range(rank)) if flips else (),
        )
        return per_grid.masks(example, logits, values=_values(data), ignore=data.manifest.ignore_label)

    def score(predict: Predict, data: DataFolder, split: str) -> Scores:
        how = Measure(names, regions or _foreground(data), _values(data), data.manifest.ignore_label, tolerance_mm)
        cases = [
            (example.id, per_grid.measured(segment(predict, data, example, volume), how))
            for example, _, volume in _cases(data, split)
        ]
        stacks = per_grid.stacks(cases, how, plane=data.manifest.recipe.get("slices"))
        summary = per_grid.summary(cases, names) + per_grid.summary(stacks, ())
        return Scores(summary, per_grid.of_cases(cases) + per_grid.of_cases(stacks), [])

    def draw(predict: Predict, data: DataFolder, scored: Scores, folder: Path) -> None:
        shown = tables.shown_grid(grid for *_, grid in scored.summary)
        rows = [(case, name, label, value) for case, name, label, value, grid in scored.cases if grid == shown]
        rows = [row for row in rows if row[1] != per_grid.STACK]  # of no case that could be drawn
        chosen = overlays.choose(rows, MEAN)
        for example, truth, volume in _cases(data, "test", only=set(chosen.values())):
            predicted = segment(predict, data, example, volume)[tables.RECORD].predicted
            for name in (name for name, case in chosen.items() if case == example.id):
                about = f"{name}: {example.id}\n{picturing.told(rows, example.id)}"
                masks = {"volume": volume, "predicted": predicted}
                png = folder / f"{name}.png"
                picturing.overlay(png, about, data, example, truth, **masks, neurological=neurological)

    return Scorer(score, draw=draw, regions=regions, applied=_applied(view_size, regions, overlap, flips, batch_size))


def _applied(
    view_size: Size, regions: Regions | None, overlap: float, flips: bool, batch_size: int
) -> Mapping[str, Any]:
    window = {"overlap": overlap, "flips": flips, "batch_size": batch_size}
    return {"task": "segmentation", "view_size": view_size, "window": window, "regions": regions}


def _foreground(data: DataFolder) -> Regions:
    """Every class but the background, by itself."""
    return {name: (int(value),) for value, name in data.manifest.classes.items() if int(value)}


def _values(data: DataFolder) -> np.ndarray:
    """The values of the masks by the network's classes."""
    return np.array(sorted(int(value) for value in data.manifest.classes))


def classification(*, labels: Labels, task: Task, read: Callable[..., Data], names: Sequence[str]) -> Scorer:
    """Scores of the list of all predictions; of single cases what they add to these, `grading.of_each`.

    Args:
        labels: from `tasks.classification`. task: of that module, which makes the views.
        read: `pipeline.read` for evaluation, but for its split.
        names: of `grading`: nominal labels have 'cat_accuracy', 'balanced_accuracy', 'auc' and 'qw_kappa'; ordinal ones
            'cat_acc_kaggle', 'balanced_accuracy' and 'qw_kappa_kaggle'; several yes-or-no labels 'bin_accuracy' and
            'auc'; numbers 'mse'.

    Raises:
        InputError: no such score for labels of this kind.
    """
    kind, known, view = labels.kind, grading.SCORES[labels.kind], _labelled_views(read, task)
    classes = np.array(labels.values, int)
    if unknown := [name for name in names if name not in known]:
        raise InputError(f"SCORES holds {', '.join(unknown)}; for {kind} labels there are {', '.join(known)}.")

    def of_values(truth: np.ndarray, values: np.ndarray, ids: Sequence[str]) -> Scores:
        summary = [(name, "", float(known[name](truth, values, classes)), tables.RECORD) for name in names]
        each = {name: grading.of_each(kind, name, truth, values, classes).tolist() for name in names}
        cases = [
            (case, name, "", value, tables.RECORD)
            for name in names
            for case, value in zip(ids, each[name], strict=True)
        ]
        decided = grading.DECIDED.get(kind)
        if decided is None:
            return Scores(summary, cases, [])
        predictions = zip(ids, truth[:, 0].astype(int).tolist(), classes[decided(values)].tolist(), strict=True)
        return Scores(summary, cases, list(predictions))

    def score(predict: Predict, data: DataFolder, split: str) -> Scores:
        outputs, truth = [], []
        for inputs, given in view(data, split):
            outputs.append(predict(inputs))
            truth.append(given)
        ids = [entry.id for entry in data.manifest.split(split).entries]
        return of_values(np.concatenate(truth), ACTIVATED[kind](np.concatenate(outputs)), ids)

    applied = {"task": "classification", "labels": {"kind": kind, "values": list(labels.values)}}
    return Scorer(score, Probe(kind, labels.values, view, of_values), applied=applied)


def _labelled_views(read: Callable[..., Data], task: Task) -> View:
    """(data, split) -> (inputs, labels as they are in the data) of every case once, in order, batch by batch."""

    def make_views(batch: Batch, params: Params) -> tuple[Inputs, tf.Tensor]:
        return task.make_views(batch, params)[0], batch["label"]

    def view(data: DataFolder, split: str) -> Iterator[tuple[tf.Tensor, np.ndarray]]:
        found = read(data, task._replace(make_views=make_views), split=split)
        for _, element in found.dataset():
            inputs, labels = found.to_views(element)
            yield inputs, labels.numpy()

    return view


def _cases(
    data: DataFolder, split: str, *, only: Container[str] | None = None
) -> Iterable[tuple[Example, np.ndarray, np.ndarray]]:
    """(example, its mask, its intensities) of one case after the other, or of those whose ids are in `only`."""
    part = data.manifest.split(split)
    for entries in reading.cases(part.entries):
        name = entries[0].brick.of if entries[0].brick else entries[0].id
        if only is None or name in only:
            example = reading.read_case(data.path, part, entries)
            if example.mask is None:
                raise InputError(f"example '{name}' of {data.path} has no mask; convert the data with their masks.")
            yield example, example.mask, reading.intensities(example.volume, example)


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return tf.sigmoid(values).numpy()


ACTIVATED: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "nominal": lambda logits: tf.nn.softmax(logits).numpy(),
    "ordinal": _sigmoid,
    "multilabel": _sigmoid,
    "regression": lambda values: values,
}
