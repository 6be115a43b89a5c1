"""One run of an experiment, and all of them, one after the other; one that fails leaves the others."""

import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ssl3d_tf.data import files
from ssl3d_tf.data.folders import DataFolder
from ssl3d_tf.errors import InputError
from ssl3d_tf.evaluation import neighbours, one_class, report, tables
from ssl3d_tf.experiment import describing, peaks, protocol
from ssl3d_tf.experiment.protocol import FAILED, MODEL, RESULT, Cell, Experiment
from ssl3d_tf.experiment.scoring import Predict, Scorer, Scores, View, prediction
from ssl3d_tf.training import faults, health, leftovers, loop, screen, signals, weights
from ssl3d_tf.training import run as training_run
from ssl3d_tf.training.loop import Hooks
from ssl3d_tf.training.run import Run

CASE_ROW = 5  # fields of `Scores.cases`, of which versions before grids were told apart have four
OVERLAYS, PARTS, CHECKPOINTS = "overlays", "scores.json", ("best", "last")


def run_all(experiment: Experiment, planned: Sequence[Cell]) -> int:
    """Runs what is planned, with tables after each, and its report; returns how many failed.

    Raises:
        InputError: another process does so in the same folder.
    """
    with files.locked(files.make_folder(experiment.workdir, "--workdir")):
        return _run_all(experiment, planned)


def _run_all(experiment: Experiment, planned: Sequence[Cell]) -> int:
    workdir, failed, places = experiment.workdir, 0, peaks.places(planned)
    ended: list[float] = []
    page = report.growing([workdir], workdir / report.NAME)
    for number, cell in enumerate(planned):
        tries = "" if cell.peak is None else f", tries a peak learning rate of {cell.peak:g}"
        arm = f"{cell.arm.encoder or 'scratch'} {cell.arm.init}"
        what = f"{arm}, {cell.fraction:.3g} %, repetition {cell.repetition}{tries}"
        left = [one for one in planned[number:] if not _is_done(experiment, one)]
        print(f"\n[{places[number]}] {what}{screen.time_left(ended, len(left))}", flush=True)
        try:
            if not (run if cell.peak is None else try_peak)(experiment, cell):
                print(screen.stopped(workdir), flush=True)
                sys.exit(0)
        except (InputError, tf.errors.OpError) as error:  # anything else is a fault of the program, and ends it
            failed += 1
            line = reason(error)
            print(f"failed, the others go on: {line}", file=sys.stderr, flush=True)
            files.write_json(cell.folder(workdir) / FAILED, {"reason": line})
        tables.write(workdir / tables.PEAKS, peaks.rows(experiment, planned), tables.Trial)
        if protocol.write_tables(experiment, planned):
            page(number == len(planned) - 1)
        if cell in left:
            ended.append(time.monotonic())
    return failed


def _is_done(experiment: Experiment, cell: Cell) -> bool:
    if cell.peak is not None:
        return peaks.is_done(experiment, cell)
    return (cell.folder(experiment.workdir) / RESULT).is_file()


def reason(error: Exception) -> str:
    """One line: of what TensorFlow and Keras say in many, the kind and the last that is no place in the graph."""
    if isinstance(error, InputError):
        return str(error).splitlines()[0]
    lines = [line.strip() for line in getattr(error, "message", str(error)).splitlines()]
    told = [line for line in lines if line and not line.startswith("[[")]
    return f"{type(error).__name__}: {(told or ['no reason given'])[-1][:200]}"


def build(experiment: Experiment, cell: Cell, folder: Path, *, distribution: tf.distribute.Strategy) -> Run:
    """Everything of a run in `folder` before its first step, the encoder's weights among it; writes nothing.

    Raises:
        InputError: as `run.build`, and `weights.load_encoder`.
    """
    data, settings = protocol.labelled(experiment, cell), peaks.settings_of(experiment, cell)
    return training_run.build(folder, data, settings, distribution=distribution)


def train(
    experiment: Experiment, cell: Cell, folder: Path, *, gives_up: Callable[[], bool] = lambda: False
) -> Run | None:
    """Trains one run in `folder`, on from where it was stopped, and scores nothing; None if a signal stopped it.

    Args:
        gives_up: as of `loop.Hooks`, and asked before it: a run that gave up does not go on.

    Raises:
        InputError: as `loop.fit`.
    """
    data, settings = protocol.labelled(experiment, cell), peaks.settings_of(experiment, cell)
    hooks, contract = Hooks(gives_up=gives_up), describing.contract(experiment, cell)
    if not gives_up():
        loop.fit(folder, data, settings, distribution=experiment.distribution, contract=contract, hooks=hooks)
    built = build(experiment, cell, folder, distribution=tf.distribute.get_strategy())
    return built if training_run.finished(built) or gives_up() else None


def try_peak(experiment: Experiment, cell: Cell) -> bool:
    """Trains one trial of a learning rate, unless that is done; returns and raises as `run`.

    Where numbers are no longer finite, that is what the trial came to.
    """
    folder = cell.folder(experiment.workdir)
    if peaks.is_done(experiment, cell):
        return True
    files.make_folder(folder, "--workdir")
    leftovers.clear()
    diverged = ""
    with faults.readable_errors(protocol.labelled(experiment, cell), experiment.workdir):
        try:
            if train(experiment, cell, folder) is None:
                return False
        except faults.NotFiniteError as error:
            diverged = reason(error)
            print(f"diverged, the other learning rates decide: {diverged}", flush=True)
    (folder / FAILED).unlink(missing_ok=True)
    peaks.note(experiment, cell, diverged)
    return True


def run(experiment: Experiment, cell: Cell) -> bool:
    """Trains and scores one run, unless it is scored already; goes on where it was stopped.

    Returns:
        Whether it is done; else a signal stopped it, which it has said.

    Raises:
        InputError: as `loop.fit`, and `peaks.decide`.
    """
    folder = cell.folder(experiment.workdir)
    if not (folder / RESULT).is_file():
        files.make_folder(folder, "--workdir")
        peaks.decide(experiment, cell)
        leftovers.clear()
        data = protocol.labelled(experiment, cell)
        with faults.readable_errors(data, experiment.workdir):
            scored = (_neighbours if cell.arm.init == "knn" else _train)(experiment, cell, data)
        if scored is None:
            return False
        peak, labelled = peaks.of(experiment, cell), len(data.manifest.split("train").entries)
        found = {"labelled": labelled, "scores": scored} | ({} if peak is None else {"peak": f"{peak:g}"})
        files.write_json(folder / RESULT, found)
        _warn_of_one_class(scored)
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)  # also what a kill left behind the result
    for name in (FAILED, PARTS):
        (folder / name).unlink(missing_ok=True)
    return True


def _warn_of_one_class(scored: Mapping[str, Any]) -> None:
    predictions = scored["test/best"]["predictions"]
    if one_class.is_said([(true, predicted) for _, true, predicted in predictions]):
        named, known = predictions[0][2], len({true for _, true, _ in predictions})
        remedy = "train longer, or see CLASS_WEIGHTS in gin/finetune/base.gin"
        print(
            f"warning: class {named} for all {len(predictions)} test cases, which have {known}; {remedy}.", flush=True
        )


def _train(experiment: Experiment, cell: Cell, data: DataFolder) -> dict[str, Any] | None:
    """Scores of the best and of the last checkpoint on validation and test; None if a signal stopped it."""
    folder = cell.folder(experiment.workdir)
    built = train(experiment, cell, folder)
    if built is None:
        return None
    with signals.stop_requested() as stopped_by:
        try:
            return _scores(experiment.plan.scorer, _heeding(stopped_by, prediction(built.model)), built, data, folder)
        except _StoppedError:
            print(f"{stopped_by()}: stopped while it was scored; the same command goes on.", flush=True)
            return None


class _StoppedError(Exception):
    """A signal came while a run was scored."""


def _heeding(stopped_by: Callable[[], str | None], predict: Predict) -> Predict:
    """`predict`, which a signal ends before the next window."""

    def predict_unless_stopped(batch: np.ndarray) -> np.ndarray:
        if stopped_by():
            raise _StoppedError
        return predict(batch)

    return predict_unless_stopped


def _scores(scorer: Scorer, predict: Predict, built: Run, data: DataFolder, folder: Path) -> dict[str, Any]:
    """Scores by 'split/checkpoint', each written as soon as it is there, and taken from there when stopped before."""
    kept = files.read_json(folder / PARTS, "remove it, and it is scored again") if (folder / PARTS).is_file() else {}
    read = {key: Scores(**found) for key, found in kept.items()}
    scored = {key: one for key, one in read.items() if all(len(row) == CASE_ROW for row in one.cases)}  # older: again

    def score(split: str, checkpoint: str) -> Scores:
        key = f"{split}/{checkpoint}"
        if key not in scored:
            scored[key] = scorer.score(predict, data, split)
            files.write_json(folder / PARTS, {key: found._asdict() for key, found in scored.items()})
        return scored[key]

    last = built.model.get_weights()
    of_last = {split: score(split, "last") for split in ("val", "test")}
    weights.load_encoder(folder / MODEL, built.model)
    same = all(map(np.array_equal, last, built.model.get_weights()))  # the last evaluation was the best one
    of_best = {split: of_last[split] if same else score(split, "best") for split in ("val", "test")}
    if scorer.draw:
        scorer.draw(predict, data, of_best["test"], files.make_folder(folder / OVERLAYS, "--workdir"))
    found = {"last": of_last, "best": of_best}
    return {f"{split}/{name}": one._asdict() for name, of in found.items() for split, one in of.items()}


def _neighbours(experiment: Experiment, cell: Cell, data: DataFolder) -> dict[str, Any]:
    """Scores of the labels of the nearest training cases; the same as best and last, as nothing is trained."""
    probe = experiment.plan.scorer.probe
    if probe is None or probe.kind not in ("nominal", "ordinal"):
        raise InputError(
            f"ARMS holds knn, which votes on classes and grades; {experiment.plan.name} has none: remove it."
        )
    encoder = protocol.with_weights(experiment.settings.encoder, experiment.encoders[cell.arm.encoder])(
        len(data.manifest.channels)
    )
    known, labels, _ = _embedded(encoder, probe.view, data, "train")
    places = np.searchsorted(probe.classes, labels[:, 0])
    scored: dict[str, Any] = {}
    for split in ("val", "test"):
        asked, truth, ids = _embedded(encoder, probe.view, data, split)
        shares = neighbours.class_probabilities(known, places, asked, classes=len(probe.classes))
        values = neighbours.ordinal(shares) if probe.kind == "ordinal" else shares
        scores = probe.score(truth, values, ids)._asdict()
        scored |= {f"{split}/{checkpoint}": scores for checkpoint in CHECKPOINTS}
    return scored


def _embedded(
    encoder: keras.Model, view: View, data: DataFolder, split: str
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Embeddings float32 [n, d], labels [n, labels] and ids of one split, in stored order."""
    embed = tf.function(lambda inputs: health.embeddings(encoder, inputs), autograph=False)
    rows = [(embed(inputs).numpy(), labels) for inputs, labels in view(data, split)]
    ids = [entry.id for entry in data.manifest.split(split).entries]
    return np.concatenate([row[0] for row in rows]), np.concatenate([row[1] for row in rows]), ids
