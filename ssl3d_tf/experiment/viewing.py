"""A picture of what a task makes of a few examples, and of what a trained network makes of that."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ssl3d_tf.data.folders import DataFolder
from ssl3d_tf.evaluation import drawing
from ssl3d_tf.losses import reconstruction
from ssl3d_tf.losses.reconstruction import Whole
from ssl3d_tf.task import Batch, Params, Task
from ssl3d_tf.training import checkpoints
from ssl3d_tf.training.run import Settings
from ssl3d_tf.views import pictures, volumes

_WIDTH_IN = 12.0
_MOST_LABELS = 100  # numbers of one example, of which more are a mask
_COLOURS = ("#e8710a", "#1a73e8")  # of the first and the second of two crops


class _Row(NamedTuple):
    """One example. crop: as it is read, [*spatial, channels]. picture: of its views. boxes: (start, size) per axis."""

    name: str
    crop: np.ndarray
    picture: np.ndarray
    told: str
    boxes: Sequence[tuple[np.ndarray, np.ndarray]] = ()


def figure(data: DataFolder, settings: Settings, workdir: Path | None) -> Figure:
    """The first batch of training: a row per example, the crop on the left, its views on the right.

    Args:
        workdir: of the run whose newest checkpoint reconstructs what is hidden; None for none.
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
    rows = []
    for i, number in enumerate(index.numpy()):
        picture, told = _shown(inputs, targets, outputs, i, rank=data.manifest.rank)
        told += _named(targets, i, data.manifest.classes)
        rows.append(_Row(train.ids[number], crops[i].numpy(), picture, told, _boxes(inputs, params, i)))
    return _figure(rows)


def _keeping_crops(task: Task) -> Task:
    """The task, but its inputs are those of the network, and the crops and choices they were made of."""

    def make_views(batch: Batch, params: Params) -> tuple[tuple, tuple]:
        return (volumes.intensities(batch), params), task.make_views(batch, params)

    return task._replace(make_views=make_views)


def _shown(inputs: Any, targets: Any, outputs: tf.Tensor | None, i: int, *, rank: int) -> tuple[np.ndarray, str]:
    """The picture of example i's views, and a line of what they are."""
    if isinstance(targets, Whole):
        return _of_reconstruction(inputs, targets, outputs, i, rank=rank)
    if _is_mask(inputs, targets):
        return _of_mask(inputs[i].numpy(), targets[i].numpy())
    tensor = tf.nest.flatten(inputs)[0]
    views = tensor[i].numpy().reshape((-1, *tensor.shape[-rank - 1 :]))
    if isinstance(inputs, Mapping) and "permutations" in inputs:  # a jigsaw, in the order of its first puzzle
        views = views[inputs["permutations"][i, 0].numpy()]
    return _mosaic(views), f"{len(views)} of {_size(views)}"


def _is_mask(inputs: Any, targets: Any) -> bool:
    """Whether the targets are a class for every voxel."""
    if not (tf.is_tensor(inputs) and tf.is_tensor(targets)):
        return False
    return bool(targets.dtype.is_integer and targets.shape[1:] == inputs.shape[1:-1])


def _of_mask(view: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, str]:
    """The view [*spatial, channels], and below it the same under the places of classes that the mask [*spatial] has."""
    low, high = np.percentile(view[..., 0], (0.5, 99.5))
    grey = np.repeat(np.clip((view[..., :1] - low) / max(high - low, 1e-6), 0, 1), 3, axis=-1)
    shaded = grey.copy()
    for place in range(1, int(mask.max()) + 1):
        drawing.shade(shaded, mask == place, to_rgb(drawing.COLOURS[(place - 1) % len(drawing.COLOURS)]))
    tiles = [*_planes(grey), *_planes(shaded)]
    sheet = pictures.contact_sheet(np.stack(tiles), 2, columns=len(tiles) // 2, rows=2, limits=(0, 1))
    return sheet, f"{_size(view[None])}; below, under its mask of {np.count_nonzero(np.unique(mask))} classes"


def _of_reconstruction(
    inputs: tf.Tensor, targets: Whole, outputs: tf.Tensor | None, i: int, *, rank: int
) -> tuple[np.ndarray, str]:
    """A line per view: what is shown, what counts, what is wanted, and what the network says, in one scale."""

    def views(tensor: tf.Tensor) -> np.ndarray:
        return tensor[i].numpy().reshape((-1, *tensor.shape[-rank - 1 :]))

    wanted = views(targets.views)
    low, high = float(wanted.min()), float(wanted.max())
    counts = np.broadcast_to(views(targets.counts), wanted.shape)
    kinds = [views(inputs), counts * (high - low) + low, wanted]
    told = f"{_size(wanted)}: shown, what counts, wanted"
    if outputs is not None:
        kinds.append(np.where(counts, views(outputs), wanted))  # elsewhere nobody asked for anything
        share = float(reconstruction.explained(targets, outputs)[i])
        told += f", reconstructed: {share:.2f} of the variance explained"
    tiles = np.stack([plane for view in zip(*kinds, strict=True) for each in view for plane in _planes(each)])
    lines = len(wanted)
    return pictures.contact_sheet(tiles, 2, columns=len(tiles) // lines, rows=lines, limits=(low, high)), told


def _boxes(inputs: Any, params: Params, i: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Where views were cut from the crop, as far as a task's choices say so."""
    if not isinstance(params, Mapping) or "places" not in params:
        return []
    size = np.array(inputs.shape[2:-1])
    return [(start, size) for start in params["places"][i].numpy()]


def _named(targets: Any, i: int, classes: Mapping[str, str]) -> str:
    """Whole numbers among the targets, which are labels, with names of classes where there are; nothing of masks."""
    names, said = dict(enumerate(classes.values())), []
    for target in (target[i].numpy() for target in tf.nest.flatten(targets) if target.dtype.is_integer):
        if target.size <= _MOST_LABELS:
            words = (f"{one} ({names[one]})" if one in names else str(one) for one in target.ravel().tolist())
            said.append(f", label {' '.join(words)}")
    return "".join(said)


def _size(views: np.ndarray) -> str:
    return "×".join(map(str, views.shape[1:-1]))


def _figure(rows: Sequence[_Row]) -> Figure:
    pairs = [(_mosaic(row.crop[None]), row.picture) for row in rows]
    widths = [image.shape[1] / image.shape[0] for image in pairs[0]]
    drawn = Figure(figsize=(_WIDTH_IN, len(rows) * (_WIDTH_IN / sum(widths) + 0.4)), layout="constrained")
    axes = drawn.subplots(len(rows), 2, squeeze=False, width_ratios=widths)
    for row, pair, places in zip(rows, pairs, axes, strict=True):
        for image, place in zip(pair, places, strict=True):
            place.imshow(image.squeeze(-1) if image.shape[-1] == 1 else image, cmap="gray", vmin=0, vmax=1)
            place.axis("off")
        places[0].set_title(row.name, loc="left", fontsize=9)
        places[1].set_title(row.told, loc="left", fontsize=9)
        _outline(places[0], row)
    return drawn


def _outline(place: Axes, row: _Row) -> None:
    """Draws each box into the planes of `_mosaic`: tiles side by side, a pixel between them."""
    spatial = row.crop.shape[:-1]
    planes = [tuple(a for a in range(3) if a != gone) for gone in range(3)] if len(spatial) == 3 else [(0, 1)]
    for (start, size), colour in zip(row.boxes, _COLOURS, strict=False):
        for number, (down, across) in enumerate(planes):
            corner = (number * (max(spatial) + 1) + start[across] - 0.5, start[down] - 0.5)
            place.add_patch(Rectangle(corner, size[across], size[down], fill=False, edgecolor=colour, linewidth=1.5))


def _mosaic(views: np.ndarray) -> np.ndarray:
    """Middle slices: of one or two volumes in all planes, side by side; of patches, a line for each along axis 0."""
    rank = views.ndim - 2
    if rank == 3 and len(views) <= 2:
        planes = [plane for view in views for plane in _planes(view)]
        return pictures.contact_sheet(np.stack(planes), 2, columns=len(planes), rows=1)
    lines = max(1, round(len(views) ** (1 / rank)))
    lines = lines if len(views) % lines == 0 else 1
    return pictures.contact_sheet(views, rank, columns=len(views) // lines, rows=lines)


def _planes(view: np.ndarray) -> list[np.ndarray]:
    """The middle slices of one volume in all planes, or the image itself: [*spatial, channels] -> [h, w, channels].

    Planes of a volume that is no cube are lengthened at their far ends to one size.
    """
    if view.ndim == 3:
        return [view]
    side, low = max(view.shape[:-1]), view.min()
    planes = [np.moveaxis(view, axis, 0)[view.shape[axis] // 2] for axis in range(3)]
    room = [[(0, side - length) for length in plane.shape[:-1]] for plane in planes]
    return [np.pad(one, (*more, (0, 0)), constant_values=low) for one, more in zip(planes, room, strict=True)]
