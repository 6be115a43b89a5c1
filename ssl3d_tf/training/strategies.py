"""On how many devices a run trains: one name of the configuration -> a tf.distribute strategy."""

from pathlib import Path
from typing import Any

import tensorflow as tf

from ssl3d_tf.command import kernels
from ssl3d_tf.errors import InputError
from ssl3d_tf.training import workers


def devices(name: str, precision: str = "float32", *, deterministic: bool = False) -> tf.distribute.Strategy:
    """What a process computes on, and how; to be called before TensorFlow does anything else.

    Args:
        name: 'none' (one device), 'mirrored' (all devices of this machine) or 'multi_worker' (machines of TF_CONFIG).
        deterministic: whether a GPU must give the same numbers every time.

    Raises:
        InputError: another name, a precision that this machine cannot compute in, or as `workers.join`.
    """
    kernels.make_deterministic(deterministic)
    builders = {
        "none": tf.distribute.get_strategy,
        "mirrored": _mirrored,
        "multi_worker": workers.join,
    }
    if name not in builders:
        raise InputError(f"STRATEGY is '{name}'; it must be one of {', '.join(builders)}.")
    strategy = builders[name]()
    if precision != "float32" and not on_gpu():
        raise InputError(
            f"PRECISION '{precision}' needs a GPU: on a CPU TensorFlow has no float16 pooling, and its bfloat16 "
            "gradients of 3D convolutions are wrong for inputs of 2³; take 'float32'."
        )
    return strategy


def own_folder(workdir: Path, strategy: tf.distribute.Strategy) -> Path:
    """Where this process writes: `workdir` itself, or a hidden folder in it for every worker but the first."""
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.task_id:
        return workdir
    folder = workdir / f".worker-{resolver.task_id}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def to_device(batches: Any, device: str | None = None) -> Any:
    """The same batches, each copied to the device while the one before is used; None is the GPU, if there is one.

    Distributed datasets do so by themselves, and on a CPU there is nothing to copy.
    """
    device = device or (tf.config.list_logical_devices("GPU")[0].name if on_gpu() else None)
    if device is None or not isinstance(batches, tf.data.Dataset):
        return batches
    copied = batches.apply(tf.data.experimental.prefetch_to_device(device, buffer_size=1))
    return copied.with_options(batches.options())  # which do not go through a copy


def on_gpu() -> bool:
    """Whether TensorFlow sees a GPU: only there is compiling the network with XLA worth its time."""
    return bool(tf.config.list_logical_devices("GPU"))


def _mirrored() -> tf.distribute.Strategy:
    devices = tf.config.list_logical_devices("GPU")
    if devices:
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    # The default reduction is for GPUs; on CPUs two such strategies in one process disturb each other.
    names = [device.name for device in tf.config.list_logical_devices("CPU")]
    return tf.distribute.MirroredStrategy(names, cross_device_ops=tf.distribute.ReductionToOneDevice())
