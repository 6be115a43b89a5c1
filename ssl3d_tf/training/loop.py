"""The training loop: a plain function from settings and data to a run folder.

what there is before the first step                        run.py
views -> model -> loss -> gradients -> clip -> update      steps.py, updates.py
numbers that are not finite                                faults.py
the held-out split                                         validation.py, health.py
restart, encoder/ and its contract                         checkpoints.py
metrics.jsonl, TensorBoard, progress bar                   journal.py
"""

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow as tf

from ssl3d_tf.data import files
from ssl3d_tf.data.folders import DataFolder
from ssl3d_tf.data.pipeline import Data
from ssl3d_tf.training import faults, signals, strategies, validation
from ssl3d_tf.training.faults import Begun
from ssl3d_tf.training.journal import Journal, Window
from ssl3d_tf.training.run import Run, Settings, build, finished, hopeless, opening
from ssl3d_tf.training.steps import Result


class Hooks(NamedTuple):
    """What a caller wants to be called.

    on_built: once everything was built, before anything is written. on_first_step: after the first step of this
    process. gives_up: after every evaluation, whether the run ends here.
    """

    on_built: Callable[[], None] = lambda: None
    on_first_step: Callable[[], None] = lambda: None
    gives_up: Callable[[], bool] = lambda: False


def fit(
    workdir: Path,
    data: DataFolder,
    settings: Settings,
    *,
    distribution: tf.distribute.Strategy | None = None,
    contract: Mapping[str, Any] | None = None,
    hooks: Hooks | None = None,
) -> dict[str, float]:
    """Trains, from the newest checkpoint in `workdir` where there is one.

    Args:
        workdir: gets checkpoints/, encoder/, metrics.jsonl and tensorboard/.
        distribution: over how many devices, from `strategies.devices`; None is one.
        contract: what encoder/contract.json says of the data and the configuration.

    Returns:
        The last evaluation: 'val_loss' and the task's metrics, each with 'val_' before it; empty if no step was left.

    Raises:
        InputError: as `run.build`; damaged records, a loss that is not finite, too little memory. OSError: a full disk.
    """
    distribution, hooks = distribution or tf.distribute.get_strategy(), hooks or Hooks()
    folder = strategies.own_folder(workdir, distribution)
    with contextlib.ExitStack() as held:
        if is_there := folder.exists():  # else it is made once everything was built
            held.enter_context(files.locked(folder))
        run = build(workdir, data, settings, distribution=distribution)
        hooks.on_built()
        if not is_there:
            held.enter_context(files.locked(folder))
        # Around the journal, which writes when it is closed.
        held.enter_context(faults.readable_errors(data, folder, run.train.services))
        journal = held.enter_context(Journal(folder, first_step=int(run.progress.step), steps=settings.steps))
        journal.say(opening(run, distribution))
        return _train(run, _batches(run, distribution), journal, contract=contract or {}, hooks=hooks)


def _batches(run: Run, distribution: tf.distribute.Strategy) -> Iterator[tuple[Any, Any, float]]:
    """(index, element, seconds waited for it) of every batch from where the run stands on, without end."""
    run.held_out.dataset()  # verifies it: damage is told now, not after the steps before an evaluation
    first = int(run.progress.step)
    share = _share(run.train, first)
    batches = iter(strategies.to_device(distribution.distribute_datasets_from_function(share)))
    for step in itertools.count(first):
        if step * run.train.batch_size % len(run.train.ids) < run.train.batch_size:
            run.train.check()  # once an epoch, as reading on in a shard that was cut ends the process without a word
        began = time.perf_counter()
        index, element = next(batches)
        yield index, element, time.perf_counter() - began


def _share(train: Data, first_step: int) -> Callable[[tf.distribute.InputContext], tf.data.Dataset]:
    """The part of every batch that one worker process reads, cut for its replicas."""
    return lambda context: train.dataset(
        first_step, context.input_pipeline_id, context.num_input_pipelines, context.num_replicas_in_sync
    )


def _train(
    run: Run,
    batches: Iterator[tuple[Any, Any, float]],
    journal: Journal,
    *,
    contract: Mapping[str, Any],
    hooks: Hooks,
) -> dict[str, float]:
    first_step = done = int(run.progress.step)
    window, steps = Window(run.progress.tally.numpy()), run.settings.steps
    scores: dict[str, float] = {}
    begun: Begun | None = None
    ended = finished(run)
    with signals.stop_requested(run.meet) as stopped_by:
        while not ended:
            index, element, waited_s = next(batches)
            result = run.advance(element)
            # Now that the next one is on its way: to ask for its numbers at once would let the device wait for Python.
            _settle(run, begun, window)
            done += 1
            begun = Begun(done, result, index, element, waited_s)
            journal.advance()
            is_first = done == first_step + 1
            if not (is_first or stopped_by() or _is_due(run, done)):
                continue
            _settle(run, begun, window)
            begun = None
            if is_first:
                hooks.on_first_step()
                window.restart_clock()  # the first step is spent on building the graph
            found = _due(run, done, result, window=window, journal=journal, contract=contract)
            scores, ended = found or scores, done == steps or (bool(found) and hopeless(run, done))
            if found and done < steps and hooks.gives_up():
                return scores
            if (signal := stopped_by()) and done < steps:
                _save(run, window)
                journal.say(f"{signal}: stopped after step {done} of {steps}, saved; the same command goes on.")
                return scores
    return scores


def _settle(run: Run, begun: Begun | None, window: Window) -> None:
    """Reads the numbers of a step that was begun, which waits for it."""
    if begun is not None:
        window.add(*faults.scores_of(begun, run), waited_s=begun.waited_s)


def _is_due(run: Run, done: int) -> bool:
    """Whether anything is logged, evaluated or saved after step `done`."""
    every = run.settings.every
    return done == run.settings.steps or any(done % n == 0 for n in (every.log, every.evaluate, every.save))


def _due(
    run: Run, done: int, result: Result, *, window: Window, journal: Journal, contract: Mapping[str, Any]
) -> dict[str, float]:
    """Logs, evaluates and saves what is due after step `done`; returns the scores of an evaluation."""
    every, last, scores = run.settings.every, done == run.settings.steps, {}
    if last or done % every.log == 0:
        now = {"lr": float(result.learning_rate), "gradient_norm": float(tf.norm(result.gradient_norms))}
        journal.write(done, window.close(run.names, run.train.batch_size) | now)
    if last or done % every.evaluate == 0:
        scores = validation.keep_best(run, done, journal, contract)
        last = last or hopeless(run, done)
    if last or done % every.save == 0:
        _save(run, window)
    if scores:
        window.restart_clock()
    return scores


def _save(run: Run, window: Window) -> None:
    run.progress.tally.assign(window.tally)
    run.manager.save(checkpoint_number=int(run.progress.step))
