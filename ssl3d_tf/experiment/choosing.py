"""Which runs of a finetuning experiment are applied to new scans: the best in validation, one by name, or several."""

import difflib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ssl3d_tf.errors import InputError
from ssl3d_tf.evaluation import comparison, runs, scales, tables
from ssl3d_tf.evaluation.runs import Run
from ssl3d_tf.training import contracts
from ssl3d_tf.training.contracts import CONTRACT, MODEL_FOLDER

SHOWN = 6  # runs that an error names


class Chosen(NamedTuple):
    """Folders of runs, each with a contract; that of the first; and why these, in a line."""

    folders: tuple[Path, ...]
    contract: dict[str, Any]
    why: str


def find(model: Path, run: str = "", *, ensemble: bool = False) -> Chosen:
    """The runs that `model` stands for.

    Args:
        model: --workdir of finetuning, the folder of one of its runs, or model/ in that; or a pretraining run's.
        run: of a workdir of finetuning, such as 'runs/scratch-random/100/0'; '' is the best in validation of those with
            the largest share of the labels.
        ensemble: all repetitions of the arm and fraction of that run.

    Raises:
        InputError: there is none of that name, none that is scored, or one made by a version that did not describe it.
    """
    found = runs.find([model])
    if found:
        folder, why = _named(model, found, run) if run else _best(model, found)
    elif run:
        raise InputError(
            f"--run={run} is of the --workdir of finetuning, and --model {model} holds no runs; leave it out."
        )
    else:
        folder, why = model, "as named by --model"
    folders = _repetitions(folder) if ensemble else (folder,)
    contract, *_ = [_read(each) for each in folders]
    several = f" and {len(folders) - 1} more repetitions, averaged" if len(folders) > 1 else ""
    return Chosen(folders, contract, f"model: {folder}{several}, {why}.")


def _read(folder: Path) -> dict[str, Any]:
    """The contract of a finetuned model, or of an encoder, which says nothing of classes."""
    found = contracts.read_contract(folder)
    return contracts.read_model(folder) if "classes" in found else found


def _named(model: Path, found: Sequence[Run], run: str) -> tuple[Path, str]:
    names = {one.path.relative_to(model).as_posix(): one.path for one in found if _has_model(one.path)}
    for name in (run, f"runs/{run}", Path(run).as_posix().rstrip("/")):
        if name in names:
            return names[name], "as named by --run"
    if (path := Path(run)).is_dir() and path.resolve() in (each.resolve() for each in names.values()):
        return path, "as named by --run"
    near = difflib.get_close_matches(run, names, SHOWN, 0) or sorted(names)[:SHOWN]
    more = f", … {len(names)} in all" if len(names) > len(near) else ""
    raise InputError(f"--run={run} is no run with a model in {model}; there are {', '.join(near) or 'none'}{more}.")


def _best(model: Path, found: Sequence[Run]) -> tuple[Path, str]:
    scored = _validation(model, [one for one in found if _has_model(one.path)])
    if not scored:
        remedy = "let the experiment end, or name one by --run"
        raise InputError(f"no run in {model} has a model and a score in validation yet: {remedy}.")
    largest = max(one.fraction for one, _, _ in scored)
    among = [each for each in scored if each[0].fraction == largest]
    score = among[0][1]
    sign = -1 if scales.of(score).lower_is_better else 1
    best, _, value = max(among, key=lambda each: sign * each[2])  # the first of equals
    count = "one run" if len(among) == 1 else f"{len(among)} runs"
    planned = max((fraction for fraction, _ in runs.planned(model)), default=largest)
    to_come = f"; those with {planned:.3g} % are still to come" if planned > largest else ""
    why = f"{score} {value:.4f} in validation, the best of {count} with {largest:.3g} % of the labels{to_come}"
    return best.path, why


def _validation(model: Path, found: Sequence[Run]) -> list[tuple[Run, str, float]]:
    """(run, first score of the experiment, its value in validation, mean over classes), where it is a number."""
    if not (model / tables.RESULTS).is_file():
        return []
    by_run = {(one.arm, one.fraction, one.repetition): one for one in found}
    rows = [row for row in tables.read([model]).results if (row.split, row.checkpoint) == ("val", "best")]
    rows = [row for row in rows if row.label_class in comparison.HEADLINE]
    shown = tables.shown_grid(row.grid for row in rows)
    rows = [row for row in rows if row.grid == shown]
    values: dict[Run, tuple[str, float]] = {}
    for row in rows:
        one = by_run.get((tables.arm(row), row.fraction, row.repetition))
        if one is not None and row.score == rows[0].score and not math.isnan(row.value):
            values.setdefault(one, (row.score, row.value))
    return [(one, *value) for one, value in values.items()]


def _has_model(folder: Path) -> bool:
    return (folder / MODEL_FOLDER / CONTRACT).is_file()


def _repetitions(folder: Path) -> tuple[Path, ...]:
    run = folder.resolve().parent if folder.resolve().name == MODEL_FOLDER else folder
    found = sorted((each for each in run.resolve().parent.iterdir() if _has_model(each)), key=lambda each: each.name)
    if not _has_model(run) or len(found) < 2:
        rule = "--ensemble averages the repetitions of one arm and fraction"
        raise InputError(f"{rule}, and {run} has no other beside it; leave it out.")
    return (run, *(each for each in found if each != run.resolve()))
