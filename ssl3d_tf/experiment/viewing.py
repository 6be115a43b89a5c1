"""A picture of what a task makes of a few examples, and of what a trained network makes of that."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ssl3d_tf.data.folders import DataFolder
from ssl3d_tf.data.records import colours, columns, placement, reading, upright
from ssl3d_tf.experiment import mosaics, tiling
from ssl3d_tf.experiment.mosaics import Lines
from ssl3d_tf.losses.reconstruction import Whole
from ssl3d_tf.task import Batch, Params, Task, Words
from ssl3d_tf.training import checkpoints
from ssl3d_tf.training.run import Settings
from ssl3d_tf.views import volumes

_WIDTH_IN, _HEIGHT_IN = 12.0, 3.0  # at most, of the figure and of an example's pictures
_ABOVE_IN, _LINE_IN, _BELOW_IN = 0.45, 0.15, 0.5  # around them: words above tiles, a line of the title, the legend
_LETTER_IN = 0.068  # of a title, on average
_MOST_LABELS = 8  # of one example in a title
_MOST_CLASSES = 30  # of a legend
_SIDES = "letters: sides of the patient, whose {} is on the left of the picture"


class _Row(NamedTuple):
    """One example: its name and the crop as it is read, and what is made of it."""

    name: str
    crop: Lines
    views: tiling.Views


def figure(data: DataFolder, settings: Settings, workdir: Path | None, *, neurological: bool = False) -> Figure:
    """The first batch of training: a row per example, the crop on the left, its views on the right.

    Args:
        workdir: of the run whose newest checkpoint reconstructs what is hidden; None for none.
        neurological: as of `upright.planes`.
    """
    train, task = settings.train_data(data, _keeping_crops(settings.task)), settings.task
    index, element = next(iter(train.dataset()))
    (crops, params), (inputs, targets) = train.to_views(element)
    outputs = None
    if workdir is not None and isinstance(targets, Whole):
        model = task.build_model(settings.encoder(len(data.manifest.channels)))
        checkpoints.restore_model(workdir, model)
        outputs = model(inputs, training=False)
        outputs = outputs["reconstruction"] if isinstance(outputs, Mapping) else outputs
    rows, is_lettered = [], False
    for i, name in enumerate(train.ids[number] for number in index.numpy()):
        look = _look(data, name, neurological=neurological)
        is_lettered |= any(plane.sides for plane in look.planes)
        words = _words(task, params, targets, i, look=look, classes=data.manifest.classes)
        of_views = look._replace(spacing_mm=None) if words.turned else look
        views = _shown(inputs, targets, outputs, i, look=of_views, words=words, classes=data.manifest.classes)
        rows.append(_Row(name, tiling.cropped(crops[i].numpy(), look, _boxes(inputs, params, i)), views))
    return _figure(rows, data.manifest.classes, _SIDES.format("left" if neurological else "right") * is_lettered)


def _keeping_crops(task: Task) -> Task:
    """The task, but its inputs are those of the network, and the crops and choices they were made of."""

    def make_views(batch: Batch, params: Params) -> tuple[tuple, tuple]:
        return (volumes.intensities(batch), params), task.make_views(batch, params)

    return task._replace(make_views=make_views)


def _look(data: DataFolder, name: str, *, neurological: bool) -> tiling.Look:
    split, rank = data.manifest.split("train"), data.manifest.rank
    row = list(columns.of(split.entries).texts("id")).index(name)
    example = reading.read_example(data.path, split, split.entries[row])
    directions = upright.directions(placement.stored_axes(example.source, rank), rank)
    planes = upright.of_record(example.source, rank, neurological=neurological)
    return tiling.Look(planes, directions, rank, example.spacing_mm)


def _words(task: Task, params: Params, targets: Any, i: int, *, look: tiling.Look, classes: Mapping[str, str]) -> Words:
    """Of example i: those of the task, or its labels."""
    if task.words is None:
        return Words(_labels(targets, i, classes))
    return task.words(tf.nest.map_structure(lambda drawn: drawn[i].numpy(), params), look.directions)


def _labels(targets: Any, i: int, classes: Mapping[str, str]) -> str:
    """Whole numbers among the targets, with names of classes where there are, the first of many; of masks nothing."""
    names, said = dict(enumerate(classes.values())), []
    for target in (target[i].numpy() for target in tf.nest.flatten(targets) if target.dtype.is_integer):
        first = target.ravel()[:_MOST_LABELS].tolist()
        words = [f"{one} ({names[one]})" if one in names else str(one) for one in first]
        said.append(f"label {' '.join(words)}" + f" … ({target.size} in all)" * (target.size > len(first)))
    return ", ".join(said)


def _shown(
    inputs: Any, targets: Any, outputs: tf.Tensor | None, i: int, *, look: tiling.Look, words: Words, classes: Mapping
) -> tiling.Views:
    """The pictures of example i's views, and a line of what they are."""
    if isinstance(targets, Whole):
        return tiling.of_reconstruction(inputs, targets, outputs, i, look=look, words=words)
    if _is_mask(inputs, targets):
        return tiling.of_mask(inputs[i].numpy(), targets[i].numpy(), look, sorted(map(int, classes)))
    views = tiling.each(tf.nest.flatten(inputs)[0], i, look.rank)
    is_puzzle = isinstance(inputs, Mapping) and "permutations" in inputs
    if is_puzzle:  # in the order of its first puzzle
        views = views[inputs["permutations"][i, 0].numpy()]
    many = "view" if len(views) == 1 else f"{len(views)} views" if len(views) == 2 else f"{len(views)} patches"
    told = f"{many} of {tiling.size_of(views)}" + (f": {words.line}" if words.line else "")
    side = round(len(views) ** (1 / look.rank))
    if side > 1 and side**look.rank == len(views) and (is_puzzle or not words.views):
        return tiling.Views(tiling.layers(views, words.views, side, look), told)
    above = words.views or [""] * len(views)
    shown = look if len(views) <= 2 else look._replace(planes=look.planes[:1])
    groups = [tiling.planes(view, shown, above=text) for view, text in zip(views, above, strict=True)]
    return tiling.Views([groups], told)


def _is_mask(inputs: Any, targets: Any) -> bool:
    """Whether the targets are a class for every voxel."""
    if not (tf.is_tensor(inputs) and tf.is_tensor(targets)):
        return False
    return bool(targets.dtype.is_integer and targets.shape[1:] == inputs.shape[1:-1])


def _boxes(inputs: Any, params: Params, i: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Where views were cut from the crop, as far as a task's choices say so."""
    if not isinstance(params, Mapping) or "places" not in params:
        return []
    size = np.array(inputs.shape[2:-1])
    return [(start, size) for start in params["places"][i].numpy()]


def _figure(rows: Sequence[_Row], classes: Mapping[str, str], note: str) -> Figure:
    pairs = [(mosaics.place(row.crop), mosaics.place(row.views.lines)) for row in rows]
    widths = [each.picture.shape[1] / each.picture.shape[0] for each in pairs[0]]
    wide = min(_WIDTH_IN, _HEIGHT_IN * sum(widths))
    high = wide / sum(widths)
    most, room = (int(width * high / _LETTER_IN) for width in widths)
    told = [textwrap.wrap(row.views.told, room) for row in rows]
    height = sum(high + _ABOVE_IN + _LINE_IN * len(lines) for lines in told)
    drawn = Figure(figsize=(wide, height + _BELOW_IN), layout="constrained")
    axes = drawn.subplots(len(rows), 2, squeeze=False, width_ratios=widths)
    for row, lines, pair, beside in zip(rows, told, pairs, axes, strict=True):
        mosaics.draw(beside[0], pair[0], row.name if len(row.name) <= most else f"…{row.name[1 - most :]}")
        mosaics.draw(beside[1], pair[1], "\n".join(lines))
    _legend(drawn, frozenset().union(*(row.views.values for row in rows)), classes)
    if note:
        drawn.supxlabel(note, fontsize=7, x=0.005, ha="left")
    return drawn


def _legend(drawn: Figure, seen: frozenset[int], classes: Mapping[str, str]) -> None:
    """Names of the classes that are seen, where the data have more than one."""
    palette = colours.of_classes(map(int, classes))
    shown = [value for value in palette if value in seen]
    if len(palette) < 2 or not shown:
        return
    keys = [
        Patch(color=colours.as_shares(palette[value]), label=classes[str(value)]) for value in shown[:_MOST_CLASSES]
    ]
    if len(shown) > len(keys):
        keys.append(Patch(color="none", label=f"and {len(shown) - len(keys)} more"))
    legend = drawn.legend(handles=keys, loc="outside lower right", ncols=8, fontsize=8, frameon=False)
    for text in legend.get_texts():
        text.set_parse_math(False)
