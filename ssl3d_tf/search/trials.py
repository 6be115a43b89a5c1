"""The trials of a search as they lie on disk, and what they say: which is best, and which is not worth going on with.

trials/NUMBER/trial.json is the record of one trial; beside it lie the logs of its run. Everything that a search
shows is made of these files, so that it depends neither on how often it was stopped nor on how many processes ran it.
"""

import csv
import io
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ssl3d_tf.data import files
from ssl3d_tf.errors import InputError
from ssl3d_tf.evaluation import runs

FOLDER, TABLE, BEST = "trials", "trials.csv", "best.gin"
RUNNING, COMPLETED, PRUNED, FAILED = "running", "completed", "pruned", "failed"
_RECORD = "trial.json"


class Objective(NamedTuple):
    """What a search is to improve: a name such as 'val_dice', and 'min' or 'max'."""

    name: str
    direction: str

    def better(self, one: float, other: float) -> bool:
        """Whether `one` is better than `other`."""
        return one > other if self.direction == "max" else one < other


class Trial(NamedTuple):
    """One choice of the knobs, as texts of a gin file, and what came of it.

    run: number of the trial in whose folder it ran; another one's where it goes on with that. value: of the
    objective, after `best_step` steps. seconds: of the process that ended it.
    """

    number: str
    status: str
    knobs: Mapping[str, str]
    run: str
    value: float = math.nan
    best_step: int = 0
    steps: int = 0
    seconds: float = 0.0
    reason: str = ""


class Evaluation(NamedTuple):
    """What a run measured in validation after so many steps."""

    step: int
    loss: float
    value: float


def write(workdir: Path, trial: Trial) -> None:
    """Writes the record of a trial."""
    folder = workdir / FOLDER / trial.number
    folder.mkdir(parents=True, exist_ok=True)
    files.write_json(folder / _RECORD, trial._asdict())


def read(workdir: Path) -> list[Trial]:
    """All trials so far, in order."""
    paths = sorted((workdir / FOLDER).glob(f"*/{_RECORD}"))
    return [Trial(**files.read_json(path, "put a copy back")) for path in paths]


def ranked(found: Sequence[Trial], objective: Objective) -> list[Trial]:
    """Those that have a value, the best first."""
    scored = [trial for trial in found if trial.status in (COMPLETED, PRUNED)]
    return sorted(scored, key=lambda trial: trial.value, reverse=objective.direction == "max")


def evaluations(run: Path, objective: Objective) -> list[Evaluation]:
    """Of the run in that folder, in order; those that are no numbers are left out.

    Raises:
        InputError: the run has no such metric.
    """
    lines = [line for line in runs.json_lines(run / "metrics.jsonl") if "val_loss" in line]
    if lines and objective.name not in lines[0]:
        known = ", ".join(name for name in lines[0] if name.startswith("val_"))
        raise InputError(f"OBJECTIVE is '{objective.name}'; a run measures {known}.")
    found = [Evaluation(line["step"], line["val_loss"], line[objective.name]) for line in lines]
    return [one for one in found if math.isfinite(one.loss) and math.isfinite(one.value)]


def kept(found: Sequence[Evaluation]) -> Evaluation:
    """The one with the lowest loss, whose weights finetuning keeps: the best value of many would be one of luck.

    Raises:
        InputError: there is none.
    """
    if not found:
        raise InputError("validation gave no numbers; lower LEARNING_RATE, or set CLIP_NORM.")
    return min(found, key=lambda one: one.loss)


def hopeless(
    own: Sequence[Evaluation], others: Sequence[Sequence[Evaluation]], objective: Objective, *, after: int
) -> bool:
    """The median rule: whether a run is worse than the median of what the others had by its last step.

    Golovin et al., 2017, Google Vizier, KDD, section 3.2.2; with the value of the checkpoint that is kept.

    Args:
        own, others: evaluations in order. after: how many others must have come so far.
    """
    if not own:
        return False
    step = own[-1].step
    as_far = [other for other in others if other and other[-1].step >= step]
    values = [kept([one for one in other if one.step <= step]).value for other in as_far if other[0].step <= step]
    return len(values) >= after and objective.better(statistics.median(values), kept(own).value)


def rows(found: Sequence[Trial], objective: Objective) -> list[list[str]]:
    """Header and one row per trial; texts without their quotes."""
    names = list(dict.fromkeys(name for trial in found for name in trial.knobs))
    head = ["trial", "status", *names, objective.name, "best_step", "steps", "seconds", "reason"]
    return [head, *(_row(trial, names) for trial in found)]


def write_table(workdir: Path, found: Sequence[Trial], objective: Objective) -> None:
    """Writes trials.csv."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows(found, objective))
    with files.atomic(workdir / TABLE) as file:
        file.write(text.getvalue().encode())


def write_best(workdir: Path, best: Trial, about: Mapping[str, str]) -> None:
    """Writes best.gin: the knobs of one trial, with `about`, name -> text, as comments before them."""
    comments = [f"# {name}: {text}" for name, text in about.items()]
    knobs = [f"{name} = {text}" for name, text in best.knobs.items()]
    with files.atomic(workdir / BEST) as file:
        file.write("\n".join([*comments, *knobs, ""]).encode())


def _row(trial: Trial, names: Sequence[str]) -> list[str]:
    knobs = [trial.knobs.get(name, "").strip("'") for name in names]
    ended = trial.status in (COMPLETED, PRUNED)
    value, best_step = (f"{trial.value:.6g}", str(trial.best_step)) if ended else ("", "")
    return [
        trial.number,
        trial.status,
        *knobs,
        value,
        best_step,
        str(trial.steps),
        f"{trial.seconds:.1f}",
        trial.reason,
    ]
