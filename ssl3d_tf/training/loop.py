"""The training loop: a plain function from a task, an encoder and data to a run folder.

views -> model -> loss -> gradients -> clip -> update      steps.py
numbers that are not finite                                faults.py
restart, encoder/ and its contract                         checkpoints.py
metrics.jsonl, TensorBoard, progress bar                   journal.py
do the embeddings still differ?                            health.py
"""

import contextlib
import functools
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from ssl3d_tf import __version__
from ssl3d_tf.command import kernels
from ssl3d_tf.data.pipeline import Data, DataFolder, verify
from ssl3d_tf.errors import InputError
from ssl3d_tf.task import Task
from ssl3d_tf.training import checkpoints, health, signals, strategies
from ssl3d_tf.training.faults import Begun, scores_of
from ssl3d_tf.training.journal import Journal, Window
from ssl3d_tf.training.steps import Part, Result, Seen, Update, check_batch, eval_step, in_phases, train_step
from ssl3d_tf.views import pictures

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


class Every(NamedTuple):
    """After how many steps to log, evaluate and save; the last step of a run is always logged, evaluated and saved.

    patience: evaluations without a better validation loss before a run ends early; None never ends it.
    """

    log: int
    evaluate: int
    save: int
    patience: int | None = None


class Run(NamedTuple):
    """What the parts of one run share. `names` says what a step's scores are: 'loss' and the task's metrics."""

    folder: Path
    steps: int
    every: Every
    encoder: keras.Model
    model: keras.Model
    parts: Sequence[Part]
    progress: checkpoints.Progress
    manager: tf.train.CheckpointManager
    names: tuple[str, ...]
    train: Data
    held_out: Data
    advance: Callable[[Any], Result]
    measure: Callable[[Any, bool], Seen]
    on_nonfinite: str
    contract: Mapping[str, Any]
    keeps: str


def fit(
    workdir: Path,
    data: DataFolder,
    *,
    task: Task,
    encoder: Callable[[int], keras.Model],
    optimizer: Callable[[], keras.optimizers.Optimizer],
    schedule: Callable[[tf.Tensor], tf.Tensor],
    train_data: Callable[[DataFolder, Task], Data],
    eval_data: Callable[[DataFolder, Task], Data],
    steps: int,
    every: Every,
    update: Update,
    distribution: tf.distribute.Strategy | None = None,
    precision: str = "float32",
    contract: Mapping[str, Any] | None = None,
    keeps: str = checkpoints.ENCODER_FOLDER,
    on_built: Callable[[], None] = lambda: None,
    on_first_step: Callable[[], None] = lambda: None,
    gives_up: Callable[[], bool] = lambda: False,
) -> dict[str, float]:
    """Trains `task` on an encoder, from the newest checkpoint in `workdir` where there is one.

    Args:
        workdir: gets checkpoints/, encoder/, metrics.jsonl and tensorboard/.
        encoder: channels -> keras.Model. optimizer: its learning rate is set to `schedule`(step) before every step.
        train_data, eval_data: `pipeline.read` with split and sizes bound.
        steps: all steps of the run, those done before a restart included.
        distribution: over how many devices, from `strategies.strategy`; None is one.
        precision: 'float32', 'mixed_bfloat16', or 'mixed_float16' with a dynamic loss scale.
        contract: what encoder/contract.json says of the data and the configuration.
        keeps: whose best weights stay, and in which folder: 'encoder', or 'model' with the head.
        on_built: called once everything was built, before anything is written.
        on_first_step: called once, after the first step of this process.
        gives_up: asked after every evaluation whether the run ends here.

    Returns:
        The last evaluation: 'val_loss' and the task's metrics, each with 'val_' before it; empty if no step was left.

    Raises:
        InputError: an option outside its range, a checkpoint of another model, a damaged record, a loss that is not
            finite, too little memory.
    """
    distribution = distribution or tf.distribute.get_strategy()
    run = build(
        workdir,
        data,
        task=task,
        encoder=encoder,
        optimizer=optimizer,
        schedule=schedule,
        train_data=train_data,
        eval_data=eval_data,
        steps=steps,
        every=every,
        update=update,
        distribution=distribution,
        precision=precision,
        contract=contract,
        keeps=keeps,
    )
    on_built()
    with Journal(run.folder, first_step=int(run.progress.step), steps=steps) as journal:
        journal.say(_opening(run, precision, distribution))
        with readable_errors(data):
            return _train(run, distribution, journal, on_first_step=on_first_step, gives_up=gives_up)


def build(
    workdir: Path,
    data: DataFolder,
    *,
    task: Task,
    encoder: Callable[[int], keras.Model],
    optimizer: Callable[[], keras.optimizers.Optimizer],
    schedule: Callable[[tf.Tensor], tf.Tensor],
    train_data: Callable[[DataFolder, Task], Data],
    eval_data: Callable[[DataFolder, Task], Data],
    steps: int,
    every: Every,
    update: Update,
    distribution: tf.distribute.Strategy,
    precision: str = "float32",
    contract: Mapping[str, Any] | None = None,
    keeps: str = checkpoints.ENCODER_FOLDER,
) -> Run:
    """Everything of `fit` before its first step; writes nothing. Arguments and errors are those of `fit`."""
    if steps < 1 or precision not in PRECISIONS:
        raise InputError(f"STEPS {steps} must be at least 1, PRECISION '{precision}' one of {', '.join(PRECISIONS)}.")
    keras.mixed_precision.set_global_policy(precision)
    keras.utils.set_random_seed(update.seed)
    train, held_out = train_data(data, task), eval_data(data, task)
    check_batch(train.batch_size, task, update, devices=distribution.num_replicas_in_sync)
    folder, names, jit = strategies.own_folder(workdir, distribution), ("loss", *task.metrics), strategies.on_gpu()
    progress = checkpoints.progress(len(names))  # outside the scope: one copy, whatever the number of devices
    with distribution.scope():
        network = encoder(len(data.manifest.channels))
        model = task.build_model(network)
        parts = _parts(model, network, lambda: _with_loss_scale(optimizer(), precision), update.frozen_steps)
        manager = checkpoints.manager(folder, model, parts, progress)
        checkpoints.restore(manager, workdir)
        fixed: dict[str, Any] = {"schedule": schedule, "step": progress.step, "update": update, "jit_compile": jit}
        step_of = functools.partial(train_step, model, task, to_views=train.to_views, **fixed)
        done, frozen = int(progress.step), update.frozen_steps
        advance = in_phases(step_of, parts, network, steps_done=done, frozen_steps=frozen)
    return Run(
        folder=folder,
        steps=steps,
        every=every,
        encoder=network,
        model=model,
        parts=parts,
        progress=progress,
        manager=manager,
        names=names,
        train=train,
        held_out=held_out,
        advance=advance,
        measure=eval_step(model, network, task, held_out.to_views, jit_compile=jit),
        on_nonfinite=update.on_nonfinite,
        contract=contract or {},
        keeps=keeps,
    )


def finished(run: Run) -> bool:
    """Whether no step is left: all are done, or none will help."""
    done = int(run.progress.step)
    return done >= run.steps or _hopeless(run, done)


class Evaluation(NamedTuple):
    """One pass over the held-out split.

    scores: 'val_loss' and the task's metrics. embeddings: [n, d] of the first inputs in pretraining, else None; labels
    say more about them in finetuning. inputs: of the first batch.
    """

    scores: dict[str, float]
    embeddings: np.ndarray | None
    inputs: Any


def evaluate(run: Run) -> Evaluation:
    """Mean scores over every example of the held-out split, with the same random choices every time."""
    total, count, inputs = np.zeros(len(run.names)), 0, None
    embeddings: list[np.ndarray] = []
    embeds = run.keeps == checkpoints.ENCODER_FOLDER
    for _, element in strategies.to_device(run.held_out.dataset()):
        seen = run.measure(element, embeds and sum(map(len, embeddings)) < health.LIMIT)
        scores = seen.scores.numpy()
        total, count = total + scores.sum(axis=0), count + len(scores)
        embeddings += [] if seen.embeddings is None else [seen.embeddings.numpy()]
        inputs = seen.inputs if inputs is None else inputs
    means = {f"val_{name}": value for name, value in zip(run.names, (total / count).tolist(), strict=True)}
    return Evaluation(means, np.concatenate(embeddings) if embeds else None, inputs)


@contextlib.contextmanager
def readable_errors(data: DataFolder) -> Iterator[None]:
    """Turns what TensorFlow says of damaged records and of too little memory into a line for the user."""
    try:
        yield
    except tf.errors.DataLossError:
        verify(data)  # names the file and the record
        raise
    except (tf.errors.ResourceExhaustedError, MemoryError) as error:
        raise InputError("out of memory: lower BATCH_SIZE, VIEW_SIZE or FILTERS, or raise ACCUMULATE.") from error


def _train(
    run: Run,
    distribution: tf.distribute.Strategy,
    journal: Journal,
    *,
    on_first_step: Callable[[], None],
    gives_up: Callable[[], bool],
) -> dict[str, float]:
    first_step = done = int(run.progress.step)
    run.held_out.dataset()  # verifies it: damage is told now, not after the steps before an evaluation
    dataset = distribution.distribute_datasets_from_function(_share(run.train, first_step))
    batches = iter(strategies.to_device(dataset))
    window = Window(run.progress.tally.numpy())
    scores: dict[str, float] = {}
    begun: Begun | None = None
    ended = finished(run)
    with signals.stop_requested() as stopped_by:
        while not ended:
            waiting = time.perf_counter()
            index, element = next(batches)
            waited = time.perf_counter() - waiting
            result = run.advance(element)
            # Now that the next one is on its way: to ask for its numbers at once would let the device wait for Python.
            _settle(run, begun, window)
            done += 1
            begun = Begun(done, result, index, element, waited)
            journal.advance()
            is_first = done == first_step + 1
            if not (is_first or stopped_by() or _is_due(run, done)):
                continue
            _settle(run, begun, window)
            begun = None
            if is_first:
                on_first_step()
                window.restart_clock()  # the first step is spent on building the graph
            found = _due(run, done, result, window=window, journal=journal)
            scores, ended = found or scores, done == run.steps or (bool(found) and _hopeless(run, done))
            if found and done < run.steps and gives_up():
                return scores
            if (signal := stopped_by()) and done < run.steps:
                _save(run, window)
                journal.say(f"{signal}: stopped after step {done} of {run.steps}, saved; the same command goes on.")
                return scores
    return scores


def _settle(run: Run, begun: Begun | None, window: Window) -> None:
    """Reads the numbers of a step that was begun, which waits for it."""
    if begun is not None:
        scores = scores_of(begun, run.parts, run.train, on_nonfinite=run.on_nonfinite)
        window.add(scores, begun.waited_s)


def _is_due(run: Run, done: int) -> bool:
    """Whether anything is logged, evaluated or saved after step `done`."""
    return done == run.steps or any(done % n == 0 for n in (run.every.log, run.every.evaluate, run.every.save))


def _due(run: Run, done: int, result: Result, *, window: Window, journal: Journal) -> dict[str, float]:
    """Logs, evaluates and saves what is due after step `done`; returns the scores of an evaluation."""
    last, scores = done == run.steps, {}
    if last or done % run.every.log == 0:
        now = {"lr": float(result.learning_rate), "gradient_norm": float(tf.norm(result.gradient_norms))}
        journal.write(done, window.close(run.names, run.train.batch_size) | now, show=False)
    if last or done % run.every.evaluate == 0:
        scores = _evaluate_and_keep_best(run, done, journal)
        last = last or _hopeless(run, done)
    if last or done % run.every.save == 0:
        _save(run, window)
    if scores:
        window.restart_clock()
    return scores


def _evaluate_and_keep_best(run: Run, done: int, journal: Journal) -> dict[str, float]:
    with checkpoints.averaged_weights(run.parts):
        scores, embeddings, inputs = evaluate(run)
        spread = {} if embeddings is None else health.report(embeddings)
        journal.write(done, scores | {f"val_{name}": value for name, value in spread.items()}, show=True)
        if spread and (warning := health.warning(spread)):
            journal.say(warning)
        if scores["val_loss"] < float(run.progress.best):
            run.progress.best.assign(scores["val_loss"])
            run.progress.best_step.assign(done)
            about = {**run.contract, "input_shape": _input_shape(run), "scores": scores}
            kept = run.encoder if run.keeps == checkpoints.ENCODER_FOLDER else run.model
            checkpoints.save_encoder(run.folder / run.keeps, kept, step=done, contract=about)
    journal.picture(done, "views", pictures.contact_sheet(inputs, rank=len(run.encoder.input_shape) - 2))
    return scores


def _save(run: Run, window: Window) -> None:
    run.progress.tally.assign(window.tally)
    run.manager.save(checkpoint_number=int(run.progress.step))


def _hopeless(run: Run, done: int) -> bool:
    """Whether the best evaluation is `patience` evaluations ago."""
    patience, best = run.every.patience, int(run.progress.best_step)
    return patience is not None and best > 0 and done - best >= patience * run.every.evaluate


def _share(train: Data, first_step: int) -> Callable[[tf.distribute.InputContext], tf.data.Dataset]:
    """The part of every batch that one worker process reads, cut for its replicas."""
    return lambda context: train.dataset(
        first_step, context.input_pipeline_id, context.num_input_pipelines, context.num_replicas_in_sync
    )


def _parts(
    model: keras.Model,
    encoder: keras.Model,
    optimizer: Callable[[], keras.optimizers.Optimizer],
    frozen_steps: int | None,
) -> list[Part]:
    """One for all, or the head first and then, if it ever learns, the encoder, each with an optimizer of its own."""
    if frozen_steps == 0:
        return [Part(optimizer(), model.trainable_variables)]
    own = {id(variable) for variable in encoder.trainable_variables}
    head = Part(optimizer(), [variable for variable in model.trainable_variables if id(variable) not in own])
    return [head] if frozen_steps is None else [head, Part(optimizer(), encoder.trainable_variables)]


def _with_loss_scale(optimizer: keras.optimizers.Optimizer, precision: str) -> keras.optimizers.Optimizer:
    return keras.optimizers.LossScaleOptimizer(optimizer) if precision == "mixed_float16" else optimizer


def _input_shape(run: Run) -> list[int | None]:
    """What the encoder was called with in pretraining: [*spatial, channels]."""
    rank = len(run.encoder.input_shape) - 2
    return list(tf.nest.flatten(run.model.inputs)[0].shape[-rank - 1 :])


def _opening(run: Run, precision: str, distribution: tf.distribute.Strategy) -> str:
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    kind = f"{distribution.num_replicas_in_sync} × {devices[0].device_type} ({os.cpu_count()} cores)"
    begun = int(run.progress.step)
    return (
        f"ssl3d_tf {__version__}, TensorFlow {tf.__version__}, {kind}, {kernels.opening()}, {precision}. "
        f"Encoder {run.encoder.count_params():,} weights, with head {run.model.count_params():,}. "
        f"{len(run.train.ids)} training and {len(run.held_out.ids)} validation examples, "
        f"batch {run.train.batch_size}. "
        + (f"Goes on at step {begun} of {run.steps}." if begun else f"{run.steps} steps.")
    )
