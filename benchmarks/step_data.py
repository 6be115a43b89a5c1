"""What both sides of step.py start from, in files: a configuration's sizes, new weights and one batch of its views."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from benchmarks.peers import step_ours
from ssl3d_tf.command import configuration
from ssl3d_tf.data import phantoms
from ssl3d_tf.models import pyramid
from ssl3d_tf.task import Task
from ssl3d_tf.training.run import Settings

SEGMENTATION = "segmentation_3d"
TASKS = ("rotation_3d", "rpl_3d", "jigsaw_3d", "cpc_3d", "exemplar_3d", SEGMENTATION)
BATCHES = {  # at 'real' size what 16 GB hold
    "small": dict.fromkeys(TASKS, 8) | {SEGMENTATION: 2},
    "real": dict.fromkeys(TASKS, 2) | {"rpl_3d": 8, "jigsaw_3d": 4},
}
LEARNING_RATE = 1e-4
_CLASSES = {"rotation_3d": 10, "rpl_3d": 26, "jigsaw_3d": 100, SEGMENTATION: len(phantoms.CLASSES)}
_WITH_DROPOUT = ("rotation_3d", "rpl_3d", "jigsaw_3d")
_SMALL_SIDE = 48  # voxels
_DRAWN = 4  # different phantoms


class Sized(NamedTuple):
    """A task at a size; batch_size None is that of BATCHES."""

    task: str
    size: str
    batch_size: int | None = None


def write(folder: Path, sized: Sized, *, dropout: bool) -> None:
    """Writes sizes.json, weights.npz and batch.npz; without dropout both sides must compute the same losses."""
    task, batch_size = sized.task, sized.batch_size or BATCHES[sized.size][sized.task]
    sizes: dict[str, Any] = {
        "files": _files(sized),
        "params": _params(sized, batch_size, dropout=dropout),
        "learning_rate": LEARNING_RATE,
        "batch_size": batch_size,
    }
    model, _ = step_ours.built(sizes, "float32")
    arrays = _batch(configuration.make(Settings).task, batch_size)
    sizes |= _architecture(task, patch=arrays["input0"].shape[-2]) | {"dropout": 0.5 if dropout else 0.0}
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "weights.npz", *(variable.numpy() for variable in model.trainable_variables))
    np.savez(folder / "batch.npz", **arrays)  # type: ignore[arg-type]  # its other option is not among the names
    (folder / "sizes.json").write_text(json.dumps(sizes), encoding="utf-8")


def _files(sized: Sized) -> list[str]:
    kind = f"finetune/{sized.task}" if sized.task == SEGMENTATION else sized.task
    return [f"gin/{kind}.gin", *(["gin/datasets/phantoms_3d.gin"] if sized.size == "small" else [])]


def _params(sized: Sized, batch_size: int, *, dropout: bool) -> list[str]:
    task, params = sized.task, [f"BATCH_SIZE={batch_size}"]
    if sized.size == "small":
        params.append(f"VIEW_SIZE={_SMALL_SIDE}")
    if task == SEGMENTATION:
        params.append(f"CLASSES={_CLASSES[task]}")
    if task in _WITH_DROPOUT and not dropout:
        params.append("heads.big_fully.dropout=0.0")
    return params


def _architecture(task: str, *, patch: int) -> dict[str, Any]:
    """What PyTorch's networks are built from; `values` are those of a patch once it is encoded and flattened."""
    filters, levels = configuration.macro("FILTERS"), configuration.macro("LEVELS")
    values = (patch // 2 ** (levels + 1)) ** 3 * filters * 2**levels
    found = {"filters": filters, "levels": levels, "values": values, "classes": _CLASSES.get(task)}
    if task == "cpc_3d":
        layout = pyramid.layout(configuration.macro("PATCHES_PER_SIDE"), rank=3)
        found |= {"context": layout.context.tolist(), "targets": layout.targets.tolist()}
    return found


def _batch(task: Task, batch_size: int) -> dict[str, np.ndarray]:
    """Views of phantoms: 'input0', for jigsaw 'input1', and where there are targets 'target0'."""
    side = configuration.macro("VIEW_SIZE")
    drawn = [phantoms.phantom(index, seed=0, shape=(side,) * 3) for index in range(min(_DRAWN, batch_size))]
    chosen = [drawn[number % len(drawn)] for number in range(batch_size)]
    volumes, masks = (np.stack([scan[part] for scan in chosen]) for part in (0, 1))
    params = [task.sample(tf.constant((0, number))) for number in range(batch_size)]
    batch = {"volume": tf.constant(volumes[..., None], tf.float32), "mask": tf.constant(masks, tf.int32)}
    inputs, targets = task.make_views(batch, tf.nest.map_structure(lambda *values: tf.stack(values), *params))
    named = _numbered("input", _in_order(inputs))
    return named if isinstance(targets, dict | tuple) else named | _numbered("target", [targets])


def _in_order(inputs: Any) -> Sequence[tf.Tensor]:
    return [inputs["patches"], inputs["permutations"]] if isinstance(inputs, dict) else [inputs]


def _numbered(kind: str, values: Sequence[tf.Tensor]) -> dict[str, np.ndarray]:
    return {f"{kind}{number}": value.numpy() for number, value in enumerate(values)}
