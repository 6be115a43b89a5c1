"""Which runs make an experiment, and with what each: arms × label fractions × repetitions, each in a folder of its own.

Within a repetition all arms have the same labelled cases, the same order of batches, the same random choices and the
same new weights in the head; between repetitions all of them change. A run that is scored has a result.json and is not
done again; the tables are made of these files, so that they do not depend on how often the program was stopped.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from ssl3d_tf.data import files
from ssl3d_tf.data.folders import DataFolder
from ssl3d_tf.data.records import placement
from ssl3d_tf.data.records.manifest import Entry, Manifest
from ssl3d_tf.errors import InputError
from ssl3d_tf.evaluation import reaching, subsets, tables
from ssl3d_tf.evaluation.tables import SCRATCH, Arm
from ssl3d_tf.experiment.scoring import Scorer
from ssl3d_tf.task import Task
from ssl3d_tf.training import schedules, weights
from ssl3d_tf.training.contracts import MODEL_FOLDER as MODEL
from ssl3d_tf.training.run import Settings
from ssl3d_tf.training.schedules import Schedule

INITS = ("random", "pretrained", "frozen", "linear", "knn")
TRANSFERS = ("encoder", "encoder_decoder")
RESULT, FAILED = "result.json", "failed.json"


class Cell(NamedTuple):
    """One run. fraction: percent of the training patients. peak: of a trial of `peaks`, the learning rate it tries."""

    arm: Arm
    fraction: float
    repetition: int
    peak: float | None = None

    def folder(self, workdir: Path) -> Path:
        """Where the run lies."""
        of_arm = Path(f"{self.arm.encoder or 'scratch'}-{self.arm.init}") / f"{self.fraction:g}" / str(self.repetition)
        return workdir / "runs" / of_arm if self.peak is None else workdir / "trials" / of_arm / f"{self.peak:g}"


class Plan(NamedTuple):
    """What is compared, and how it is scored.

    name: of the downstream task. arms: of INITS. fractions: percent of the training patients. folds: instead of the
    data's splits. warmup_steps: how long the encoder of 'pretrained' is frozen, as `schedules.steps_of` reads it.
    transfer: of TRANSFERS, what is taken over of a pretraining run; the output is new always. cases: numbers of
    training patients instead of fractions. allow_mismatch: of `likeness.ACCEPTABLE`, what of its input
    may differ from the data. peaks: of the learning rate, among which each arm searches; none, or two and more.
    """

    name: str
    arms: Sequence[str]
    fractions: Sequence[float]
    repetitions: int
    scorer: Scorer
    warmup_steps: float = 0
    folds: int | None = None
    transfer: str = TRANSFERS[0]
    cases: Sequence[int] | None = None
    allow_mismatch: Sequence[str] = ()
    peaks: Sequence[float] = ()


class Experiment(NamedTuple):
    """What all runs share.

    data: one data set, or one per fold; repetition r takes the r-th, from the first again where there are fewer.
    encoders: name -> folder of a pretraining run. settings: of a run of any arm. task_of: init -> task. distribution:
    over which devices one run trains; it is scored on one. schedules: by peak, where that is searched for.
    """

    plan: Plan
    workdir: Path
    data: Sequence[DataFolder]
    encoders: Mapping[str, Path]
    settings: Settings
    task_of: Callable[[str], Task]
    distribution: tf.distribute.Strategy
    seed: int
    schedules: Mapping[float, Schedule] = {}


def with_fractions(plan: Plan, folds: Sequence[Manifest]) -> Plan:
    """The plan with its `cases` as percent of the first fold's training patients; `labelled` takes as many of each.

    Raises:
        InputError: no whole numbers, more patients than some training split has, or fractions beside them.
    """
    if plan.cases is None:
        return plan
    if plan.fractions not in ((100,), [100]):  # its value in gin/finetune/base.gin
        both = f"FRACTIONS is {plan.fractions} and CASES {plan.cases}; both say how many scans are labelled"
        raise InputError(f"{both}: leave one at FRACTIONS=(100,) or CASES=None.")
    patients = min(_patients_of(fold.split("train").entries) for fold in folds)
    are_whole = isinstance(plan.cases, list | tuple) and all(type(number) is int for number in plan.cases)
    if not are_whole or not plan.cases or not all(1 <= number <= patients for number in plan.cases):
        raise InputError(
            f"CASES is {plan.cases}; they are numbers of training patients, as (1, 2), of which there are {patients}."
        )
    first = _patients_of(folds[0].split("train").entries)
    cases = sorted(set(plan.cases))
    percent = (float(f"{100 * number / first:g}") for number in cases)  # as the folders of the runs are called
    return plan._replace(cases=cases, fractions=tuple(percent))


def _patients_of(entries: Sequence[Entry]) -> int:
    return len({entry.patient for entry in entries})


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
    if plan.transfer not in TRANSFERS:
        raise InputError(f"TRANSFER is '{plan.transfer}'; it must be one of {', '.join(TRANSFERS)}.")
    arms = [SCRATCH] * (SCRATCH.init in plan.arms) + [Arm(name, init) for name in encoders for init in pretrained]
    fractions = sorted(set(plan.fractions))
    return [Cell(arm, percent, r) for r in range(plan.repetitions) for percent in fractions for arm in arms]


def write_tables(experiment: Experiment, planned: Sequence[Cell]) -> int:
    """The csv files of the scored runs, in planned order; returns how many there are."""
    results: list[tables.Result] = []
    cases: list[tables.CaseScore] = []
    predictions: list[tables.Prediction] = []
    scored = [cell for cell in planned if (cell.folder(experiment.workdir) / RESULT).is_file()]
    patients = _patients(experiment.data)
    for cell in scored:
        found = files.read_json(cell.folder(experiment.workdir) / RESULT, "remove it, and that run is made again")
        of_run, repetition = (experiment.plan.name, *cell.arm, cell.fraction), cell.repetition
        for key, scores in found["scores"].items():
            split, checkpoint = key.split("/")
            run = (*of_run, found["labelled"], repetition, split)
            rows = [(*run, *row[:3], checkpoint, *row[3:]) for row in scores["summary"]]
            results += [tables.Result(*row)._replace(peak=found.get("peak", "")) for row in rows]
        tested = found["scores"]["test/best"]
        cases += [tables.CaseScore(*of_run, repetition, case, patients[case], *row) for case, *row in tested["cases"]]
        predictions += [tables.Prediction(*of_run, repetition, *row) for row in tested["predictions"]]
    tables.write(experiment.workdir / tables.RESULTS, results, tables.Result)
    tables.write(experiment.workdir / tables.CASES, cases, tables.CaseScore)
    tables.write(experiment.workdir / tables.PREDICTIONS, predictions, tables.Prediction)
    tables.write(experiment.workdir / tables.STEPS, reaching.rows(results, [experiment.workdir]), tables.Reached)
    return len(scored)


def _patients(folds: Sequence[DataFolder]) -> dict[str, str]:
    """Case -> patient, of every case that is tested, and of the volumes whose slices they are."""
    planes = [(data.manifest.recipe.get("slices"), data.manifest.split("test").entries) for data in folds]
    tested = [(plane, entry) for plane, entries in planes for entry in entries]
    cases = {entry.brick.of if entry.brick else entry.id: (plane, entry.patient) for plane, entry in tested}
    stacks = {placement.stack_id(case, plane): patient for case, (plane, patient) in cases.items()}
    return stacks | {case: patient for case, (_, patient) in cases.items()}


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
    plan, percent = experiment.plan, cell.fraction
    if plan.cases is not None:  # as many of each fold, whose sizes differ
        percent = 100 * plan.cases[plan.fractions.index(percent)] / _patients_of(train.entries)
    entries = subsets.fraction(train.entries, percent, seed=experiment.seed, repetition=cell.repetition)
    splits = {**data.manifest.splits, "train": train._replace(entries=entries)}
    return data._replace(manifest=data.manifest._replace(splits=splits))


def settings_of(experiment: Experiment, cell: Cell) -> Settings:
    """Those of that run."""
    settings = experiment.settings
    first = schedules.steps_of(experiment.plan.warmup_steps, settings.steps)
    frozen = {"random": 0, "pretrained": first}.get(cell.arm.init)
    seed = experiment.seed + 1000003 * (1 + cell.repetition)  # the same for all arms
    return settings._replace(
        update=settings.update._replace(seed=seed, frozen_steps=frozen),
        train_data=functools.partial(settings.train_data, seed=seed, wraps=True),
        task=task_of(experiment, cell.arm),
        encoder=with_weights(settings.encoder, experiment.encoders.get(cell.arm.encoder)),
        keeps=(MODEL,),
    )


def task_of(experiment: Experiment, arm: Arm) -> Task:
    """The task of an arm, whose decoder begins as in its pretraining run where that is asked for."""
    task, folder = experiment.task_of(arm.init), experiment.encoders.get(arm.encoder)
    if folder is None or experiment.plan.transfer == "encoder":
        return task
    where = folder

    def build_model(encoder: keras.Model) -> keras.Model:
        model = task.build_model(encoder)
        weights.load_decoder(where, model, encoder)
        return model

    return task._replace(build_model=build_model)


def with_weights(encoder: Callable[[int], keras.Model], folder: Path | None) -> Callable[[int], keras.Model]:
    """The encoder, with the weights of the run in that folder."""
    if folder is None:
        return encoder

    def loaded(channels: int) -> keras.Model:
        model = encoder(channels)
        weights.load_encoder(folder, model)
        return model

    return loaded
