"""How much of a run's training views shows body, with FOREGROUND and without: of air nothing can be learnt."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from ssl3d_tf.data import body
from ssl3d_tf.data.folders import DataFolder
from ssl3d_tf.data.records import columns
from ssl3d_tf.losses.labels import Partial
from ssl3d_tf.task import Batch, Inputs, Params, Targets, Task
from ssl3d_tf.training.run import Settings
from ssl3d_tf.views import volumes

_VIEWS = 128  # looked at
_EMPTY = 0.1  # of a view: with less body it is counted as empty
_TO_COMPARE = 0.5  # the FOREGROUND that is shown beside a run without


class Shown(NamedTuple):
    """What views hold that are drawn with this `foreground`.

    views: how many. body: their mean share of body, padding counts as air. empty: share of the views that hold less
    than a tenth. blank: share of the task's patches without body; None of a task that leaves out none.
    """

    foreground: float
    views: int
    body: float
    empty: float
    blank: float | None


def measured(data: DataFolder, settings: Settings, foreground: float) -> list[Shown]:
    """Without FOREGROUND and with it, that of the run or, where it has none, one to compare; none of older data."""
    if not columns.ragged(data.manifest.split("train").entries, body.AIR).has.all():
        return []
    return [_shown(data, settings, share) for share in (0.0, foreground or _TO_COMPARE)]


def lines(found: Sequence[Shown], foreground: float) -> list[str]:
    """The table, as it is printed, of `measured`."""
    if not found:
        return [
            "How much of the views is air the data do not say, as an older version or no conversion made them; of "
            "a run on data that this version's python -m tools.to_tfrecord makes it is told."
        ]
    shown = [f"Body in {found[0].views} training views of each kind:"]
    shown.append(f"{'FOREGROUND':24}{'of a view':>11}{'empty views':>13}{'blank patches':>15}")
    for row in found:
        of_run = " (this run)" if row.foreground == foreground else " (to compare)" if row.foreground else ""
        blank = "" if row.blank is None else f"{row.blank:15.2f}"
        shown.append(f"{f'{row.foreground:g}{of_run}':24}{row.body:11.2f}{row.empty:13.2f}{blank}")
    return shown


def _shown(data: DataFolder, settings: Settings, foreground: float) -> Shown:
    task = settings.task._replace(make_views=lambda batch, params: (_looked_at(settings.task, batch, params), ()))
    read = settings.train_data(data, task, foreground=foreground, views_on="device")
    shares: list[np.ndarray] = []
    blank: list[np.ndarray] = []
    for _, element in read.dataset().take(-(-_VIEWS // read.batch_size)):
        found = read.to_views(element)[0]
        shares.append(found["body"].numpy())
        blank += [found["blank"].numpy()] if "blank" in found else []
    held = np.concatenate(shares)
    share = float(np.concatenate(blank).mean()) if blank else None
    return Shown(foreground, len(held), float(held.mean()), float((held < _EMPTY).mean()), share)


def _looked_at(task: Task, batch: Batch, params: Params) -> dict[str, Any]:
    """Of every view its share of body, float32 [batch], and which of its patches are blank, where some may be."""
    intensities = volumes.intensities(batch)
    air = tf.reshape(batch["air"], (-1, *(1,) * (len(intensities.shape) - 2), intensities.shape[-1]))
    above = tf.cast(tf.reduce_any(intensities > air, axis=-1), tf.float32)
    found = {"body": tf.reduce_mean(above, axis=range(1, len(above.shape)))}
    inputs, targets = task.make_views(batch, params)
    return {**found, "blank": _blank(inputs)} if _leaves_out(targets) else found


def _leaves_out(targets: Targets) -> bool:
    return isinstance(targets, Partial) or (isinstance(targets, Mapping) and "present" in targets)


def _blank(inputs: Inputs) -> tf.Tensor:
    """bool [batch, patches]."""
    patches = tf.nest.flatten(inputs)[0]
    return tf.reduce_all(patches == 0, axis=range(2, len(patches.shape)))
