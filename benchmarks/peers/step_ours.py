"""One training step of this project, as `loop.fit` does it; a variant is a precision."""

import collections
import itertools
import json
import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from benchmarks.peers.training import Steps
from ssl3d_tf.command import configuration
from ssl3d_tf.training import strategies
from ssl3d_tf.training.run import Settings
from ssl3d_tf.training.steps import Part, Update, train_step

_PROFILED = 3


class OurSteps(Steps):
    """Steps that can say what they spend their time on."""

    def profile(self) -> dict[str, float]:
        """Event of TensorFlow's profiler on the CPU -> milliseconds per step."""
        with tempfile.TemporaryDirectory() as folder:
            with tf.profiler.experimental.Profile(folder):
                for _ in range(_PROFILED):
                    next(self)
            space = xplane_pb2.XSpace()
            space.ParseFromString(next(Path(folder).rglob("*.xplane.pb")).read_bytes())
        return milliseconds(space, steps=_PROFILED)


def milliseconds(space: xplane_pb2.XSpace, *, steps: int) -> dict[str, float]:
    """Event -> milliseconds per step, summed over the threads of the host."""
    sums: dict[str, float] = collections.defaultdict(float)
    for plane in space.planes:
        if plane.name == "/host:CPU":
            for event in itertools.chain.from_iterable(line.events for line in plane.lines):
                sums[plane.event_metadata[event.metadata_id].name] += event.duration_ps / 1e9 / steps
    return dict(sums)


def batches(job: str, folder: Path, variant: str) -> Steps:
    """Steps of that task on the weights and the batch in the folder."""
    sizes = json.loads((folder / "sizes.json").read_text())
    model, run = built(sizes, variant)
    with np.load(folder / "weights.npz") as saved:
        for variable, name in zip(model.trainable_variables, saved.files, strict=True):
            variable.assign(saved[name])
    batch = _batch(folder, model)
    return OurSteps(
        lambda: float(run(batch).scores[0]),
        sizes["batch_size"],
        weights=sum(int(np.prod(variable.shape)) for variable in model.trainable_variables),
        device_mb=_device_mb if strategies.on_gpu() else None,
    )


def built(sizes: Any, precision: str) -> tuple[keras.Model, Any]:
    """The model of a configuration and its step on (inputs, targets), both as in training but for a steady rate."""
    configuration.load(configuration.Sources(tuple(sizes["files"]), tuple(sizes["params"])))
    keras.mixed_precision.set_global_policy(precision)
    keras.utils.set_random_seed(0)
    fitted = configuration.make(Settings)
    model = fitted.task.build_model(fitted.encoder(1))
    step = train_step(
        model,
        fitted.task,
        [Part(fitted.optimizer(), model.trainable_variables)],
        to_views=lambda element: element,
        schedule=lambda step: tf.constant(sizes["learning_rate"]),
        step=tf.Variable(0, dtype=tf.int64),
        update=Update(),
        jit_compile=strategies.on_gpu(),
    )
    return model, step


def _batch(folder: Path, model: keras.Model) -> Any:
    with np.load(folder / "batch.npz") as saved:
        parts = [[saved[name] for name in saved.files if name.startswith(kind)] for kind in ("input", "target")]
    inputs, targets = ([tf.constant(values) for values in part] for part in parts)
    named = dict(zip(("patches", "permutations"), inputs, strict=True)) if len(inputs) == 2 else inputs[0]
    return named, targets[0] if targets else ()


def _device_mb() -> float:
    return tf.config.experimental.get_memory_info("GPU:0")["peak"] / 1e6
