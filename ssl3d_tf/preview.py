"""What the network sees of a few examples, as a picture: python -m tools.inspect_records DATA --views=GIN --png=PNG."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ssl3d_tf import quiet
from ssl3d_tf.command import configuration
from ssl3d_tf.data import files, folders
from ssl3d_tf.data.places import Place

with quiet.greeting():
    import tensorflow as tf

    from ssl3d_tf.task import Batch, Params, Task
    from ssl3d_tf.training import run
    from ssl3d_tf.views import pictures, volumes

EXAMPLES = 4
_WIDTH_IN = 12.0


def draw(folder: Place, sources: configuration.Sources, png: Path) -> None:
    """Draws the first training examples of a configuration: beside each crop the views made of it, with its targets.

    Raises:
        InputError: the configuration sets no task or does not fit the data.
    """
    data = folders.open_folder(folder)
    count = min(EXAMPLES, len(data.manifest.split("train").entries))
    params = (*sources.params, f"BATCH_SIZE={count}", "VIEWS_ON='device'")
    configuration.load(sources._replace(params=params))
    configuration.check_bound(run.Settings, "task", sources, remedy="give the file of one, gin/cpc_3d.gin, say")
    settings = configuration.make(run.Settings)
    train = settings.train_data(data, _keeping_crops(settings.task))
    index, element = next(iter(train.dataset()))
    crops, (inputs, targets) = train.to_views(element)
    rows = [
        (train.ids[number], crops[i].numpy(), _shown(inputs, targets, i, data.manifest.rank), _told(targets, i))
        for i, number in enumerate(index.numpy())
    ]
    figure = _figure(rows)
    with files.atomic(png) as file:
        figure.savefig(file, format="png", dpi=110)


def _keeping_crops(task: Task) -> Task:
    """The task, but its inputs are those of the network and the crops they were made of."""

    def make_views(batch: Batch, params: Params) -> tuple[tf.Tensor, tuple]:
        return volumes.intensities(batch), task.make_views(batch, params)

    return task._replace(make_views=make_views)


def _shown(inputs: Any, targets: Any, i: int, rank: int) -> np.ndarray:
    """The views of example i, [views, *spatial, channels]; of a jigsaw in the order of its first puzzle.

    Targets that are views themselves, as those of masked reconstruction, come behind.
    """
    if isinstance(inputs, Mapping) and "permutations" in inputs:
        return inputs["patches"][i].numpy()[inputs["permutations"][i, 0].numpy()]
    views = tf.nest.flatten(inputs)[0]
    wanted = [target[i].numpy()[None] for target in tf.nest.flatten(targets) if target.shape == views.shape]
    return np.concatenate([views[i].numpy().reshape((-1, *views.shape[-rank - 1 :])), *wanted])


def _told(targets: Any, i: int) -> str:
    """Whole numbers among the targets, which are labels."""
    labels = [np.ravel(target[i]).tolist() for target in tf.nest.flatten(targets) if target.dtype.is_integer]
    return "".join(f", label {' '.join(map(str, label))}" for label in labels)


def _figure(rows: list[tuple[str, np.ndarray, np.ndarray, str]]) -> Figure:
    """One row per example: the crop on the left, its views on the right."""
    pairs = [(_mosaic(crop[None]), _mosaic(views)) for _, crop, views, _ in rows]
    shares = [sum(image.shape[1] / image.shape[0] for image in pair) for pair in pairs]
    figure = Figure(figsize=(_WIDTH_IN, len(rows) * (_WIDTH_IN / max(shares) + 0.4)), layout="constrained")
    widths = [image.shape[1] / image.shape[0] for image in pairs[0]]
    axes = figure.subplots(len(rows), 2, squeeze=False, width_ratios=widths)
    for (name, _, views, told), pair, row in zip(rows, pairs, axes, strict=True):
        for image, place in zip(pair, row, strict=True):
            place.imshow(image.squeeze(-1) if image.shape[-1] == 1 else image, cmap="gray", vmin=0, vmax=1)
            place.axis("off")
        size = "×".join(map(str, views.shape[1:-1]))
        row[0].set_title(name, loc="left", fontsize=9)
        row[1].set_title(f"{len(views)} of {size}{told}", loc="left", fontsize=9)
    return figure


def _mosaic(views: np.ndarray) -> np.ndarray:
    """Middle slices: of one or two volumes in all planes, side by side; of patches, a line for each along axis 0."""
    rank = views.ndim - 2
    if rank == 3 and len(views) <= 2:
        planes = [np.moveaxis(view, axis, 0)[view.shape[axis] // 2] for view in views for axis in range(3)]
        return pictures.contact_sheet(np.stack(planes), 2, columns=len(planes), rows=1)
    lines = max(1, round(len(views) ** (1 / rank)))
    lines = lines if len(views) % lines == 0 else 1
    return pictures.contact_sheet(views, rank, columns=len(views) // lines, rows=lines)
