"""One trial of a search after the other: knobs in, the objective out, and everything written and said about it."""

import functools
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow as tf

from ssl3d_tf.command import configuration
from ssl3d_tf.errors import InputError
from ssl3d_tf.experiment import preparing, protocol, running
from ssl3d_tf.search import report, space, trials
from ssl3d_tf.search.trials import Objective, Trial
from ssl3d_tf.training import faults, leftovers, screen

BASE = "gin/tune/base.gin"
OWN = ("TUNER", "MAX_TRIALS", "FRACTION", "OBJECTIVE", "PRUNE_AFTER", "SPACE")  # knobs of the search alone
READ = (*preparing.READ, *OWN)


class Plan(NamedTuple):
    """What to search. first: values of the knobs for a first trial; as_is: whether those are the files' own."""

    sources: configuration.Sources
    space: space.Space
    first: Mapping[str, str]
    as_is: bool
    tuner: str
    max_trials: int
    prune_after: int | None


class Search(NamedTuple):
    """A plan on its data. about: name -> text, its record. began, ended_before: clock and trials of this process."""

    plan: Plan
    experiment: protocol.Experiment
    cell: protocol.Cell
    objective: Objective
    about: Mapping[str, str]
    began: float
    ended_before: int


def with_knobs(sources: configuration.Sources, values: Mapping[str, str]) -> configuration.Sources:
    """A configuration with those values of its knobs, behind all others."""
    return sources._replace(params=(*sources.params, *(f"{name}={text}" for name, text in values.items())))


def run_trial(found: Search, number: str, values: Mapping[str, Any]) -> float:
    """Runs a trial, or goes on with it, unless it has ended; returns the objective.

    Raises:
        InputError: it failed, as its record says.
    """
    workdir, trial = found.experiment.workdir, _trial(found, number, values)
    if trial.status == trials.RUNNING:
        line = "  ".join(f"{name}={text}" for name, text in trial.knobs.items())
        print(f"\n[trial {number} of at most {found.plan.max_trials}] {line}", flush=True)
        trials.write(workdir, trial)
        began = time.monotonic()
        try:
            trial = _train(found, trial, rounds=values.get("tuner/epochs"))
        except (ValueError, MemoryError, tf.errors.OpError) as error:  # Keras' own faults of building are ValueErrors
            trial = trial._replace(status=trials.FAILED, reason=running.reason(error))
        trial = trial._replace(seconds=time.monotonic() - began)
        trials.write(workdir, trial)
        _clear(workdir / trials.FOLDER / trial.run, keep_checkpoints=found.plan.tuner == "hyperband")
        _show(found, trial)
    if trial.status == trials.FAILED:
        raise InputError(trial.reason)
    return trial.value


def _trial(found: Search, number: str, values: Mapping[str, Any]) -> Trial:
    """The record of a trial, which may have ended; a new one where there is none, or one with other knobs."""
    workdir = found.experiment.workdir
    before = {trial.number: trial for trial in trials.read(workdir)}
    knobs_now = {name: _text(values[name]) for name in found.plan.space}
    if number in before and before[number].knobs == knobs_now:
        return before[number]
    shutil.rmtree(workdir / trials.FOLDER / number, ignore_errors=True)
    goes_on_with = values.get("tuner/trial_id")  # of hyperband
    return Trial(number, trials.RUNNING, knobs_now, before[goes_on_with].run if goes_on_with else number)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else space.text(value)


def _train(found: Search, trial: Trial, *, rounds: int | None) -> Trial:
    """Trains one trial to its end; `rounds`: for how many evaluations, None is all."""
    whole, folder = found.experiment, found.experiment.workdir / trials.FOLDER / trial.run
    configuration.load(with_knobs(found.plan.sources, trial.knobs), read=READ)
    leftovers.clear()
    one = preparing.experiment_of(whole.data[0], whole.encoders, whole.workdir, distribution=whole.distribution)
    settings = one.settings
    steps = min(settings.steps, rounds * settings.every.evaluate) if rounds else settings.steps
    one = one._replace(settings=settings._replace(steps=steps))
    gives_up = functools.partial(_hopeless, found, folder)
    with faults.readable_errors(whole.data[0], folder.parent):
        built = running.train(one, found.cell, folder, gives_up=gives_up)
    if built is None:
        print(screen.stopped(whole.workdir), flush=True)
        sys.exit(0)
    evaluations = trials.evaluations(folder, found.objective)
    best, last = trials.kept(evaluations), evaluations[-1].step
    status = trials.PRUNED if last < steps and gives_up() else trials.COMPLETED
    return trial._replace(status=status, value=best.value, best_step=best.step, steps=last)


def _hopeless(found: Search, folder: Path) -> bool:
    """Whether the run in that folder is worse than others were by then; 'hyperband' stops the worse ones itself."""
    after = found.plan.prune_after
    if after is None or found.plan.tuner == "hyperband":
        return False
    others = [trials.evaluations(other, found.objective) for other in folder.parent.iterdir() if other != folder]
    return trials.hopeless(trials.evaluations(folder, found.objective), others, found.objective, after=after)


def conclude(found: Search) -> Trial | None:
    """Writes everything that the search shows, and says where; returns the best trial, None where all failed."""
    workdir = found.experiment.workdir
    ended = trials.read(workdir)
    if not any(trial.status == trials.RUNNING for trial in ended):  # as other processes' may still
        for trial in ended:
            _clear(workdir / trials.FOLDER / trial.run, keep_checkpoints=False)
    best = _write(found)
    print(f"\nTrials: {report.counts(ended)}.", flush=True)
    if best is None:
        print(f"{workdir}: no trial succeeded; {trials.TABLE} says why.", file=sys.stderr)
        return None
    print(f"{_best(found, best)}:", *(f"  {name} = {text}" for name, text in best.knobs.items()), sep="\n")
    print(f"{workdir}: {trials.BEST} for --gin_file, {report.NAME}, {report.SUMMARY}, {trials.TABLE}.")
    return best


def _write(found: Search) -> Trial | None:
    """Tables, best.gin and report of the trials so far; returns the best."""
    workdir = found.experiment.workdir
    ended = trials.read(workdir)
    trials.write_table(workdir, ended, found.objective)
    ranked = trials.ranked(ended, found.objective)
    about = {**found.about, "trials": report.counts(ended)}
    if ranked:
        about["best"] = _best(found, ranked[0])
        trials.write_best(workdir, ranked[0], about)
    report.write(workdir, found.plan.space, found.objective, about)
    return ranked[0] if ranked else None


def _show(found: Search, trial: Trial) -> None:
    """Says what came of a trial, the best so far and the time left, and writes it."""
    best, number = _write(found), f"trial {trial.number}"
    if trial.status == trials.FAILED:
        print(f"{number} failed, the search goes on: {trial.reason}", file=sys.stderr, flush=True)
    else:
        score = f"{found.objective.name} {trial.value:.4g} at step {trial.best_step}"
        print(f"{number} {trial.status}: {score}, {trial.seconds:.0f} s.")
    print(f"best so far: {_best(found, best) if best else 'none'}; {_time_left(found)}.", flush=True)


def _best(found: Search, best: Trial) -> str:
    return f"trial {best.number}, {found.objective.name} {best.value:.4g} at step {best.best_step}"


def _time_left(found: Search) -> str:
    """From the pace of all processes since this one began."""
    ended = sum(trial.status != trials.RUNNING for trial in trials.read(found.experiment.workdir))
    pace_s = (time.monotonic() - found.began) / max(1, ended - found.ended_before)
    left = max(0, found.plan.max_trials - ended)
    return f"at most {left} trials left, about {screen.clock(left * pace_s)}"


def _clear(run: Path, *, keep_checkpoints: bool) -> None:
    """Weights of a trial are of no use once it has ended, unless 'hyperband' goes on with it."""
    for name in (protocol.MODEL, *([] if keep_checkpoints else ["checkpoints"])):
        shutil.rmtree(run / name, ignore_errors=True)
