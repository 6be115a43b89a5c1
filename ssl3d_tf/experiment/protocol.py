"""Which runs make an experiment, and one of them: arms × label fractions × repetitions, each in a folder of its own.

Within a repetition all arms have the same labelled cases, the same order of batches, the same random choices and the
same new weights in the head; between repetitions all of them change. A run that is scored has a result.json and is not
done again; the tables are made of these files, so that they do not depend on how often the program was stopped.
"""

import functools
import itertools
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from ssl3d_tf.data import files
from ssl3d_tf.data.pipeline import DataFolder
from ssl3d_tf.errors import InputError
from ssl3d_tf.evaluation import neighbours, subsets, tables
from ssl3d_tf.evaluation.tables import SCRATCH, Arm
from ssl3d_tf.experiment.scoring import Scorer, View, prediction
from ssl3d_tf.task import Task
from ssl3d_tf.training import checkpoints, health, leftovers, loop

INITS = ("random", "pretrained", "frozen", "linear", "knn")
RESULT, FAILED, MODEL, OVERLAYS = "result.json", "failed.json", "model", "overlays"
CHECKPOINTS = ("best", "last")


class Cell(NamedTuple):
    """One run. fraction: percent of the training patients."""

    arm: Arm
    fraction: float
    repetition: int

    def folder(self, workdir: Path) -> Path:
        """Where the run lies."""
        arm = f"{self.arm.encoder or 'scratch'}-{self.arm.init}"
        return workdir / "runs" / arm / f"{self.fraction:g}" / str(self.repetition)


class Plan(NamedTuple):
    """What is compared, and how it is scored.

    name: of the downstream task. arms: of INITS. fractions: percent of the training patients. folds: instead of the
    data's splits. warmup_steps: how long the encoder of 'pretrained' is frozen.
    """

    name: str
    arms: Sequence[str]
    fractions: Sequence[float]
    repetitions: int
    scorer: Scorer
    warmup_steps: int = 0
    folds: int | None = None


class Experiment(NamedTuple):
    """What all runs share.

    data: one data set, or one per fold; repetition r takes the r-th, from the first again where there are fewer.
    encoders: name -> folder of a pretraining run. settings: of `loop.fit`, without task and encoder. task_of: init ->
    task. encoder: channels -> keras.Model. distribution: over which devices one run trains; it is scored on one.
    """

    plan: Plan
    workdir: Path
    data: Sequence[DataFolder]
    encoders: Mapping[str, Path]
    settings: Mapping[str, Any]
    task_of: Callable[[str], Task]
    encoder: Callable[[int], keras.Model]
    distribution: tf.distribute.Strategy
    seed: int


def cells(plan: Plan, encoders: Sequence[str]) -> list[Cell]:
    """All runs, repetition by repetition, so that a stopped experiment is a smaller one.

    Raises:
        InputError: an unknown arm, no arm, an arm that needs an encoder where there is none, or no repetition.
    """
    if unknown := [init for init in plan.arms if init not in INITS]:
        raise InputError(f"ARMS holds {', '.join(unknown)}; there are {', '.join(INITS)}.")
    pretrained = [init for init in plan.arms if init != SCRATCH.init]
    if pretrained and not encoders:
        needing = f"ARMS holds {', '.join(pretrained)}, which need --encoder, the folder of a pretraining run"
        raise InputError(f"{needing}; without one, --gin_param=\"ARMS=('random',)\".")
    if not plan.arms or not plan.fractions or plan.repetitions < 1 or plan.warmup_steps < 0:
        given = f"ARMS {plan.arms}, FRACTIONS {plan.fractions}, REPETITIONS {plan.repetitions}"
        raise InputError(f"{given}, WARMUP_STEPS {plan.warmup_steps}; the first three need one at least, the last 0.")
    arms = [SCRATCH] * (SCRATCH.init in plan.arms) + [Arm(name, init) for name in encoders for init in pretrained]
    fractions = sorted(set(plan.fractions))
    return [Cell(arm, percent, r) for r in range(plan.repetitions) for percent in fractions for arm in arms]


def build(experiment: Experiment, cell: Cell, folder: Path, *, distribution: tf.distribute.Strategy) -> loop.Run:
    """Everything of a run in `folder` before its first step, the encoder's weights among it; writes nothing.

    Raises:
        InputError: as `loop.build`, and `checkpoints.load_encoder`.
    """
    settings = _settings(experiment, cell)
    return loop.build(folder, _labelled(experiment, cell), distribution=distribution, **settings)


def train(
    experiment: Experiment, cell: Cell, folder: Path, *, gives_up: Callable[[], bool] = lambda: False
) -> loop.Run | None:
    """Trains one run in `folder`, on from where it was stopped, and scores nothing; None if a signal stopped it.

    Args:
        gives_up: as of `loop.fit`, and asked before it: a run that gave up does not go on.

    Raises:
        InputError: as `loop.fit`.
    """
    data, settings = _labelled(experiment, cell), _settings(experiment, cell)
    if not gives_up():
        loop.fit(folder, data, distribution=experiment.distribution, gives_up=gives_up, **settings)
    built = build(experiment, cell, folder, distribution=tf.distribute.get_strategy())
    return built if loop.finished(built) or gives_up() else None


def run(experiment: Experiment, cell: Cell) -> bool:
    """Trains and scores one run, unless it is scored already; goes on where it was stopped.

    Returns:
        Whether it is done; else a signal stopped it, which it has said.

    Raises:
        InputError: as `loop.fit`.
    """
    folder = cell.folder(experiment.workdir)
    if not (folder / RESULT).is_file():
        files.make_folder(folder, "--workdir")
        leftovers.clear()
        data = _labelled(experiment, cell)
        with loop.readable_errors(data):
            scored = (_neighbours if cell.arm.init == "knn" else _train)(experiment, cell, data)
        if scored is None:
            return False
        labelled = len(data.manifest.split("train").entries)
        files.write_json(folder / RESULT, {"labelled": labelled, "scores": scored})
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)  # also what a kill left behind the result
    (folder / FAILED).unlink(missing_ok=True)
    return True


def write_tables(experiment: Experiment, planned: Sequence[Cell]) -> int:
    """results.csv, cases.csv and predictions.csv of the scored runs, in planned order; returns how many there are."""
    results: list[tables.Result] = []
    cases: list[tables.CaseScore] = []
    predictions: list[tables.Prediction] = []
    scored = [cell for cell in planned if (cell.folder(experiment.workdir) / RESULT).is_file()]
    for cell in scored:
        found = json.loads((cell.folder(experiment.workdir) / RESULT).read_text(encoding="utf-8"))
        of_run, repetition = (experiment.plan.name, *cell.arm, cell.fraction), cell.repetition
        for key, scores in found["scores"].items():
            split, checkpoint = key.split("/")
            rows = [(*of_run, found["labelled"], repetition, split, *row, checkpoint) for row in scores["summary"]]
            results += itertools.starmap(tables.Result, rows)
        tested = found["scores"]["test/best"]
        cases += [tables.CaseScore(*of_run, repetition, *row) for row in tested["cases"]]
        predictions += [tables.Prediction(*of_run, repetition, *row) for row in tested["predictions"]]
    tables.write(experiment.workdir / tables.RESULTS, results, tables.Result)
    tables.write(experiment.workdir / tables.CASES, cases, tables.CaseScore)
    tables.write(experiment.workdir / tables.PREDICTIONS, predictions, tables.Prediction)
    return len(scored)


def splits(experiment: Experiment, planned: Sequence[Cell]) -> dict[str, Any]:
    """Who is in which split: by repetition the ids of 'val', 'test' and, by fraction, of 'train'."""
    found: dict[str, Any] = {}
    for cell in planned:
        data = _labelled(experiment, cell)
        ids = {name: [entry.id for entry in data.manifest.split(name).entries] for name in ("train", "val", "test")}
        of_repetition = found.setdefault(str(cell.repetition), {"val": ids["val"], "test": ids["test"], "train": {}})
        of_repetition["train"][f"{cell.fraction:g}"] = ids["train"]
    return found


def _labelled(experiment: Experiment, cell: Cell) -> DataFolder:
    """The data with the labelled cases of that fraction and repetition as the training split."""
    data = experiment.data[cell.repetition % len(experiment.data)]
    train = data.manifest.split("train")
    entries = subsets.fraction(train.entries, cell.fraction, seed=experiment.seed, repetition=cell.repetition)
    splits = {**data.manifest.splits, "train": train._replace(entries=entries)}
    return data._replace(manifest=data.manifest._replace(splits=splits))


def _settings(experiment: Experiment, cell: Cell) -> dict[str, Any]:
    """What `loop.fit` is told of that run."""
    settings = dict(experiment.settings)
    frozen = {"random": 0, "pretrained": experiment.plan.warmup_steps}.get(cell.arm.init)
    seed = experiment.seed + 1000003 * (1 + cell.repetition)  # the same for all arms
    settings["update"] = settings["update"]._replace(seed=seed, frozen_steps=frozen)
    settings["train_data"] = functools.partial(settings["train_data"], seed=seed, wraps=True)
    settings["task"] = experiment.task_of(cell.arm.init)
    settings["encoder"] = _with_weights(experiment.encoder, experiment.encoders.get(cell.arm.encoder))
    settings["keeps"] = MODEL
    return settings


def _train(experiment: Experiment, cell: Cell, data: DataFolder) -> dict[str, Any] | None:
    """Scores of the best and of the last checkpoint on validation and test; None if a signal stopped it."""
    folder = cell.folder(experiment.workdir)
    built = train(experiment, cell, folder)
    if built is None:
        return None
    scorer, predict, scored = experiment.plan.scorer, prediction(built.model), {}
    last = built.model.get_weights()
    for split in ("val", "test"):
        scored[f"{split}/last"] = scorer.score(predict, data, split)
    checkpoints.load_encoder(folder / MODEL, built.model)
    same = all(map(np.array_equal, last, built.model.get_weights()))  # the last evaluation was the best one
    for split in ("val", "test"):
        scored[f"{split}/best"] = scored[f"{split}/last"] if same else scorer.score(predict, data, split)
    if scorer.draw:
        scorer.draw(predict, data, scored["test/best"], files.make_folder(folder / OVERLAYS, "--workdir"))
    return {key: found._asdict() for key, found in scored.items()}


def _neighbours(experiment: Experiment, cell: Cell, data: DataFolder) -> dict[str, Any]:
    """Scores of the labels of the nearest training cases; the same as best and last, as nothing is trained."""
    probe = experiment.plan.scorer.probe
    if probe is None or probe.kind not in ("nominal", "ordinal"):
        raise InputError(
            f"ARMS holds knn, which votes on classes and grades; {experiment.plan.name} has none: remove it."
        )
    encoder = _with_weights(experiment.encoder, experiment.encoders[cell.arm.encoder])(len(data.manifest.channels))
    known, labels, _ = _embedded(encoder, probe.view, data, "train")
    scored: dict[str, Any] = {}
    for split in ("val", "test"):
        asked, truth, ids = _embedded(encoder, probe.view, data, split)
        shares = neighbours.class_probabilities(known, labels[:, 0].astype(int), asked, classes=probe.classes)
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


def _with_weights(encoder: Callable[[int], keras.Model], folder: Path | None) -> Callable[[int], keras.Model]:
    if folder is None:
        return encoder

    def loaded(channels: int) -> keras.Model:
        model = encoder(channels)
        checkpoints.load_encoder(folder, model)
        return model

    return loaded
