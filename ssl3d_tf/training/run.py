"""One run, built: what its configuration says of it, and everything that is there before its first step."""

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from ssl3d_tf import __version__
from ssl3d_tf.command import kernels
from ssl3d_tf.data.folders import DataFolder
from ssl3d_tf.data.pipeline import Data
from ssl3d_tf.data.service import Service
from ssl3d_tf.errors import InputError
from ssl3d_tf.task import Task
from ssl3d_tf.training import checkpoints, contracts, measuring, steps, strategies, workers
from ssl3d_tf.training.updates import Part, Update, check_batch

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


class Every(NamedTuple):
    """After how many steps to log, evaluate and save; the last step of a run is always logged, evaluated and saved.

    patience: evaluations without a better validation loss before a run ends early; None never ends it.
    """

    log: int
    evaluate: int
    save: int
    patience: int | None = None


class Probe(NamedTuple):
    """What an encoder knows of labels. score: encoder -> a number, the higher the better; NaN where it has none.

    about: what contract.json says of it: 'name', 'of' ('label' or 'mask'), 'patients' by split, 'path' and others.
    """

    score: Callable[[keras.Model], float]
    about: Mapping[str, Any]


class Settings(NamedTuple):
    """What is trained, on what, how and for how long.

    encoder: channels -> keras.Model. optimizer: its learning rate is set to `schedule`(step) before every step.
    train_data, eval_data: (data folder, task) -> Data, `pipeline.read` with split and sizes bound. steps: all of the
    run, those done before a restart included. precision: 'float32', 'mixed_bfloat16', or 'mixed_float16' with a dynamic
    loss scale. keeps: whose best weights stay, and in which folders: of 'encoder', 'model' with the head, and
    'decoder', which is what a decoder in the model has beside the encoder. probe: data folder -> what of the encoder is
    measured beside the validation loss, and decides instead of it which weights are best.
    """

    task: Task
    encoder: Callable[[int], keras.Model]
    optimizer: Callable[[], keras.optimizers.Optimizer]
    schedule: Callable[[tf.Tensor], tf.Tensor]
    train_data: Callable[..., Data]
    eval_data: Callable[..., Data]
    steps: int
    every: Every
    update: Update
    precision: str = "float32"
    keeps: Sequence[str] = (contracts.ENCODER_FOLDER,)
    probe: Callable[[DataFolder], Probe] | None = None


class Run(NamedTuple):
    """What the parts of one run share.

    folder: of this process. model: the encoder with the task's head. names: what a step's scores are, 'loss' and the
    task's metrics. advance: trains on one batch. measure: scores one of the held-out split. meet: with other workers.
    """

    folder: Path
    settings: Settings
    encoder: keras.Model
    model: keras.Model
    parts: Sequence[Part]
    progress: checkpoints.Progress
    manager: tf.train.CheckpointManager
    names: tuple[str, ...]
    train: Data
    held_out: Data
    advance: Callable[[Any], steps.Result]
    measure: Callable[[Any, bool], measuring.Seen]
    probe: Probe | None
    meet: workers.Meet


def build(workdir: Path, data: DataFolder, settings: Settings, *, distribution: tf.distribute.Strategy) -> Run:
    """Everything of a run, from the newest checkpoint in `workdir` where there is one; writes nothing.

    Raises:
        InputError: an option outside its range, a checkpoint of another model, data that do not fit.
    """
    task, update = settings.task, settings.update
    if settings.steps < 1 or settings.precision not in PRECISIONS:
        given = f"STEPS {settings.steps} must be at least 1, PRECISION '{settings.precision}'"
        raise InputError(f"{given} one of {', '.join(PRECISIONS)}.")
    keras.mixed_precision.set_global_policy(settings.precision)
    keras.utils.set_random_seed(update.seed)
    train, held_out = settings.train_data(data, task), settings.eval_data(data, task)
    probe = settings.probe(data) if settings.probe else None
    check_batch(train.batch_size, task, update, devices=distribution.num_replicas_in_sync)
    folder, names, jit = strategies.own_folder(workdir, distribution), ("loss", *task.metrics), strategies.on_gpu()
    progress = checkpoints.progress(len(names))  # outside the scope: one copy, whatever the number of devices
    with distribution.scope():
        encoder = settings.encoder(len(data.manifest.channels))
        model = task.build_model(encoder)
        parts = _parts(model, encoder, settings)
        manager = checkpoints.manager(folder, model, parts, progress)
        checkpoints.restore(manager, workdir)
        fixed: dict[str, Any] = {"schedule": settings.schedule, "step": progress.step, "update": update}
        step_of = functools.partial(steps.train_step, model, task, to_views=train.to_views, jit_compile=jit, **fixed)
        done = int(progress.step)
        advance = steps.in_phases(step_of, parts, encoder, steps_done=done, frozen_steps=update.frozen_steps)
    measure = measuring.eval_step(model, encoder, task, held_out.to_views, jit_compile=jit)
    meet = workers.meeting(distribution)
    return Run(
        folder, settings, encoder, model, parts, progress, manager, names, train, held_out, advance, measure, probe,
        meet,
    )  # fmt: skip


def finished(run: Run) -> bool:
    """Whether no step is left: all are done, or none will help."""
    done = int(run.progress.step)
    return done >= run.settings.steps or hopeless(run, done)


def hopeless(run: Run, done: int) -> bool:
    """Whether, after step `done`, the best evaluation is `patience` evaluations ago."""
    return _is_hopeless(run.settings.every, done, int(run.progress.best_step))


def is_unfinished(folder: Path, steps: int, every: Every) -> bool:
    """Whether the run of so many steps that is saved in `folder` is not `finished`; without building it."""
    done = checkpoints.newest_step(folder)
    return done < steps and not _is_hopeless(every, done, checkpoints.best_step(folder))


def _is_hopeless(every: Every, done: int, best: int) -> bool:
    """best: step, 0 where no validation loss was a number."""
    return every.patience is not None and done - best >= every.patience * every.evaluate


def opening(run: Run, distribution: tf.distribute.Strategy) -> str:
    """The line that a run begins with: on what it computes, with how many weights and examples, from which step."""
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    kind = f"{distribution.num_replicas_in_sync} × {devices[0].device_type} ({os.cpu_count()} cores)"
    begun, whole = int(run.progress.step), run.settings.steps
    return (
        f"ssl3d_tf {__version__}, TensorFlow {tf.__version__}, {kind}, {kernels.opening()}, {run.settings.precision}. "
        f"Encoder {run.encoder.count_params():,} weights, with head {run.model.count_params():,}. "
        f"{len(run.train.ids)} training and {len(run.held_out.ids)} validation examples, "
        f"batch {run.train.batch_size}. "
        + (_where(run, begun) if begun else f"{whole} steps.")
        + (f" {_told(run.probe)}" if run.probe else "")
        + (f" {_made_by(run.train.services)}" if run.train.services else "")
    )


def _where(run: Run, begun: int) -> str:
    """Where a run stands that has begun."""
    return ended(run, begun) or f"Goes on at step {begun} of {run.settings.steps}."


def ended(run: Run, done: int) -> str:
    """That PATIENCE has ended the run after step `done`, if it has; else ''."""
    if done >= run.settings.steps or not hopeless(run, done):
        return ""
    patience, best = run.settings.every.patience, int(run.progress.best_step)
    what = f"no better {best_by(run)} in {patience} evaluation{'' if patience == 1 else 's'}"
    return f"PATIENCE: ended after step {done} of {run.settings.steps}, {what}; the best was at step {best}."


def about(run: Run, contract: Mapping[str, Any], scores: Mapping[str, float]) -> dict[str, Any]:
    """What contract.json says of the kept weights; input_shape: [*spatial, channels] the encoder was called with."""
    rank = len(run.encoder.input_shape) - 2
    shape = list(tf.nest.flatten(run.model.inputs)[0].shape[-rank - 1 :])
    found = {**contract, "input_shape": shape, "scores": dict(scores), "best_by": best_by(run)}
    return found if run.probe is None else {**found, "probe": dict(run.probe.about)}


def best_by(run: Run) -> str:
    """Of the scores of an evaluation, that which says which weights are kept."""
    return "val_loss" if run.probe is None else "val_probe"


def _told(probe: Probe) -> str:
    about = probe.about
    known, asked = (about["patients"][split] for split in ("train", "val"))
    differs = "; ".join(f"{name} {what}" for name, what in about["differs"].items())
    return (
        f"The best encoder is by val_probe: {about['name']} on the {about['of']}s of {known} training patients, asked "
        f"of {asked} validation patients of {about['path']}{f', which differ: {differs}' if differs else ''}."
    )


def _made_by(services: Sequence[Service]) -> str:
    """Who makes the views."""
    each = (f"{one.address} ({one.cores} cores, {kernels.describe(one.kernels)})" for one in services)
    differs = any(one.kernels != kernels.of_cpu() for one in services)
    rounded = ", whose CPU is another than here: they agree with views made here to rounding, not bit for bit"
    return f"Views by {', '.join(each)}{rounded * differs}."


def _parts(model: keras.Model, encoder: keras.Model, settings: Settings) -> list[Part]:
    """One for all, or the head first and then, if it ever learns, the encoder, each with an optimizer of its own."""
    frozen_steps = settings.update.frozen_steps
    if frozen_steps == 0:
        return [Part(_optimizer(settings), model.trainable_variables)]
    own = {id(variable) for variable in encoder.trainable_variables}
    head = Part(_optimizer(settings), [variable for variable in model.trainable_variables if id(variable) not in own])
    return [head] if frozen_steps is None else [head, Part(_optimizer(settings), encoder.trainable_variables)]


def _optimizer(settings: Settings) -> keras.optimizers.Optimizer:
    optimizer = settings.optimizer()
    return keras.optimizers.LossScaleOptimizer(optimizer) if settings.precision == "mixed_float16" else optimizer
