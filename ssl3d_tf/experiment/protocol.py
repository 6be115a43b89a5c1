"""Which runs make an experiment, and with what each: arms × label fractions × repetitions, each in a folder of its own.

Within a repetition all arms have the same labelled cases, the same order of batches, the same random choices and the
same new weights in the head; between repetitions all of them change. A run that is scored has a result.json and is not
done again; the tables are made of these files, so that they do not depend on how often the program was stopped.
"""

import functools
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from ssl3d_tf.data.folders import DataFolder
from ssl3d_tf.errors import InputError
from ssl3d_tf.evaluation import subsets, tables
from ssl3d_tf.evaluation.tables import SCRATCH, Arm
from ssl3d_tf.experiment.scoring import Scorer
from ssl3d_tf.task import Task
from ssl3d_tf.training import checkpoints
from ssl3d_tf.training.contracts import MODEL_FOLDER as MODEL
from ssl3d_tf.training.run import Settings

INITS = ("random", "pretrained", "frozen", "linear", "knn")
RESULT, FAILED = "result.json", "failed.json"


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
    data's splits. warmup_steps: how long the encoder of 'pretrained' is frozen. allow_mismatch: of
    `likeness.ACCEPTABLE`, what of an encoder's input may differ from the data.
    """

    name: str
    arms: Sequence[str]
    fractions: Sequence[float]
    repetitions: int
    scorer: Scorer
    warmup_steps: int = 0
    folds: int | None = None
    allow_mismatch: Sequence[str] = ()


class Experiment(NamedTuple):
    """What all runs share.

    data: one data set, or one per fold; repetition r takes the r-th, from the first again where there are fewer.
    encoders: name -> folder of a pretraining run. settings: of a run of any arm. task_of: init -> task. distribution:
    over which devices one run trains; it is scored on one.
    """

    plan: Plan
    workdir: Path
    data: Sequence[DataFolder]
    encoders: Mapping[str, Path]
    settings: Settings
    task_of: Callable[[str], Task]
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


def write_tables(experiment: Experiment, planned: Sequence[Cell]) -> int:
    """results.csv, cases.csv and predictions.csv of the scored runs, in planned order; returns how many there are."""
    results: list[tables.Result] = []
    cases: list[tables.CaseScore] = []
    predictions: list[tables.Prediction] = []
    scored = [cell for cell in planned if (cell.folder(experiment.workdir) / RESULT).is_file()]
    patients = _patients(experiment.data)
    for cell in scored:
        found = json.loads((cell.folder(experiment.workdir) / RESULT).read_text(encoding="utf-8"))
        of_run, repetition = (experiment.plan.name, *cell.arm, cell.fraction), cell.repetition
        for key, scores in found["scores"].items():
            split, checkpoint = key.split("/")
            run = (*of_run, found["labelled"], repetition, split)
            rows = [(*run, *row[:3], checkpoint, *row[3:]) for row in scores["summary"]]
            results += itertools.starmap(tables.Result, rows)
        tested = found["scores"]["test/best"]
        cases += [tables.CaseScore(*of_run, repetition, case, patients[case], *row) for case, *row in tested["cases"]]
        predictions += [tables.Prediction(*of_run, repetition, *row) for row in tested["predictions"]]
    tables.write(experiment.workdir / tables.RESULTS, results, tables.Result)
    tables.write(experiment.workdir / tables.CASES, cases, tables.CaseScore)
    tables.write(experiment.workdir / tables.PREDICTIONS, predictions, tables.Prediction)
    return len(scored)


def _patients(folds: Sequence[DataFolder]) -> dict[str, str]:
    """Case -> patient, of every case that is tested."""
    tested = [entry for data in folds for entry in data.manifest.split("test").entries]
    return {entry.brick.of if entry.brick else entry.id: entry.patient for entry in tested}


def splits(experiment: Experiment, planned: Sequence[Cell]) -> dict[str, Any]:
    """Who is in which split: by repetition the ids of 'val', 'test' and, by fraction, of 'train'."""
    found: dict[str, Any] = {}
    for cell in planned:
        data = labelled(experiment, cell)
        ids = {name: [entry.id for entry in data.manifest.split(name).entries] for name in ("train", "val", "test")}
        of_repetition = found.setdefault(str(cell.repetition), {"val": ids["val"], "test": ids["test"], "train": {}})
        of_repetition["train"][f"{cell.fraction:g}"] = ids["train"]
    return found


def labelled(experiment: Experiment, cell: Cell) -> DataFolder:
    """The data with the labelled cases of that fraction and repetition as the training split."""
    data = experiment.data[cell.repetition % len(experiment.data)]
    train = data.manifest.split("train")
    entries = subsets.fraction(train.entries, cell.fraction, seed=experiment.seed, repetition=cell.repetition)
    splits = {**data.manifest.splits, "train": train._replace(entries=entries)}
    return data._replace(manifest=data.manifest._replace(splits=splits))


def settings_of(experiment: Experiment, cell: Cell) -> Settings:
    """Those of that run."""
    settings = experiment.settings
    frozen = {"random": 0, "pretrained": experiment.plan.warmup_steps}.get(cell.arm.init)
    seed = experiment.seed + 1000003 * (1 + cell.repetition)  # the same for all arms
    return settings._replace(
        update=settings.update._replace(seed=seed, frozen_steps=frozen),
        train_data=functools.partial(settings.train_data, seed=seed, wraps=True),
        task=experiment.task_of(cell.arm.init),
        encoder=with_weights(settings.encoder, experiment.encoders.get(cell.arm.encoder)),
        keeps=MODEL,
    )


def with_weights(encoder: Callable[[int], keras.Model], folder: Path | None) -> Callable[[int], keras.Model]:
    """The encoder, with the weights of the run in that folder."""
    if folder is None:
        return encoder

    def loaded(channels: int) -> keras.Model:
        model = encoder(channels)
        checkpoints.load_encoder(folder, model)
        return model

    return loaded
