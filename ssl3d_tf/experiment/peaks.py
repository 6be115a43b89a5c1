"""The peak learning rate of every arm, searched for on validation: as many trials for each, scratch included.

A rate that was chosen on scratch is scratch's, and an encoder that was pretrained often wants another. So an arm tries
all of PEAKS with each number of labels, in the first repetition, on the same cases, in the same order, for as many
steps; the best is that repetition's run, and the others take its peak. With folds every repetition tries them, as it
tests the cases that another one validates on. Trials are runs of the grid: they stop and go on as all do, and their
test cases are not looked at.
"""

import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ssl3d_tf.data import files
from ssl3d_tf.errors import InputError
from ssl3d_tf.evaluation import runs, scales, tables
from ssl3d_tf.experiment import protocol
from ssl3d_tf.experiment.protocol import MODEL, Cell, Experiment, Plan
from ssl3d_tf.training.run import Settings

TRIED, CHOICE = "trial.json", "peak.json"
_DAMAGED = "remove it, and that trial is made again"


class Tried(NamedTuple):
    """What a trial came to. score: the name of `value`, in validation, at the step with the lowest loss there.

    reason: why both are NaN, as the run diverged.
    """

    peak: float
    score: str = ""
    step: int = 0
    value: float = math.nan
    loss: float = math.nan
    reason: str = ""


def checked(given: Any) -> tuple[float, ...]:
    """PEAKS as numbers, rising; none of None.

    Raises:
        InputError: something else than different numbers above 0.
    """
    listed = given if isinstance(given, list | tuple) else [] if given is None else [given]
    are_rates = all(isinstance(one, int | float) and one is not True and 0 < one < math.inf for one in listed)
    if not are_rates or len(set(map(_named, listed))) < len(listed):
        raise InputError(f"PEAKS is {given}; they are different learning rates above 0, as (1e-4, 3e-4, 1e-3).")
    return tuple(sorted(map(float, listed)))


def is_searched(plan: Plan, cell: Cell) -> bool:
    """Whether the run's learning rate is searched for; 'knn' has none."""
    return bool(plan.peaks) and cell.arm.init != "knn"


def with_trials(plan: Plan, planned: Sequence[Cell]) -> list[Cell]:
    """The runs, and before each that decides, a trial of every peak."""
    return [each for cell in planned for each in (*_trials(plan, cell), cell)]


def cost(plan: Plan, planned: Sequence[Cell]) -> str:
    """What the search takes, in a line; '' without one. planned: with the trials."""
    trials = sum(cell.peak is not None for cell in planned)
    if not trials:
        return ""
    decided, where = trials // len(plan.peaks), "and repetition" if plan.folds else "in the first repetition"
    return (
        f"PEAKS: {len(plan.peaks)} learning rates are tried by each arm and number of labels {where}, with equal "
        f"steps: {counted(planned)}. The best trial of each search becomes its run, so that {len(planned) - decided} "
        f"are trained, {len(planned) - trials} without PEAKS."
    )


def counted(planned: Sequence[Cell]) -> str:
    """'8 runs and 6 trials', or of no search '8 runs'. planned: with the trials."""
    trials = sum(cell.peak is not None for cell in planned)
    counts = {"run": len(planned) - trials, "trial": trials}
    return " and ".join(f"{count} {kind}{'s' * (count > 1)}" for kind, count in counts.items() if count)


def places(planned: Sequence[Cell]) -> list[str]:
    """Which of how many each is: 'trial 1/6', of those, or 'run 1/8'. planned: with the trials."""
    kinds = ["run" if cell.peak is None else "trial" for cell in planned]
    return [f"{kind} {kinds[: place + 1].count(kind)}/{kinds.count(kind)}" for place, kind in enumerate(kinds)]


def settings_of(experiment: Experiment, cell: Cell) -> Settings:
    """Those of a run, with the peak that it tries or that was chosen for it.

    Raises:
        InputError: none was chosen.
    """
    settings, peak = protocol.settings_of(experiment, cell), of(experiment, cell)
    return settings if peak is None else settings._replace(schedule=experiment.schedules[peak])


def of(experiment: Experiment, cell: Cell) -> float | None:
    """The peak that a run tries or that was chosen for it; None where none is searched for.

    Raises:
        InputError: none was chosen.
    """
    if cell.peak is not None or not is_searched(experiment.plan, cell):
        return cell.peak
    deciding = _deciding(experiment.plan, cell)
    if (found := _choice(experiment, deciding)) is None:
        where = f"{deciding.arm.encoder or 'scratch'} {deciding.arm.init}, repetition {deciding.repetition}"
        raise InputError(f"no learning rate is chosen yet by {where}, as a trial failed; the same command tries again.")
    return float(found["peak"])


def is_done(experiment: Experiment, trial: Cell) -> bool:
    """Whether a trial needs no more work."""
    decided = _choice(experiment, trial._replace(peak=None)) is not None
    return decided or (trial.folder(experiment.workdir) / TRIED).is_file()


def note(experiment: Experiment, trial: Cell, reason: str = "") -> None:
    """Writes down what a trial came to, from its log; or why it came to nothing."""
    folder = trial.folder(experiment.workdir)
    found = Tried(float(trial.peak or 0), reason=reason) if reason else _read(folder, float(trial.peak or 0))
    files.write_json(folder / TRIED, found._asdict())


def decide(experiment: Experiment, cell: Cell) -> None:
    """Chooses among the trials of a run, which then becomes the best of them; does what is left of that.

    Raises:
        InputError: a trial is missing, or all diverged.
    """
    trials = _trials(experiment.plan, cell)
    if not trials:
        return
    folders = {trial.peak: trial.folder(experiment.workdir) for trial in trials}
    found = _choice(experiment, cell)
    if found is None:
        tried = [_tried(folder) for folder in folders.values()]
        best = _best(tried)
        found = {"peak": best.peak, "tried": [one._asdict() for one in tried]}
        files.write_json(_choice_of(experiment, cell), found)
        print(_told(best, tried), flush=True)
    source, target = folders.pop(found["peak"]), cell.folder(experiment.workdir)
    if source.is_dir():  # not yet moved
        shutil.rmtree(target, ignore_errors=True)  # at most why it failed before
        files.make_folder(target.parent, "--workdir")
        source.rename(target)
    for lost in folders.values():
        for name in ("checkpoints", MODEL):
            shutil.rmtree(lost / name, ignore_errors=True)


def rows(experiment: Experiment, planned: Sequence[Cell]) -> list[tables.Trial]:
    """What was tried so far and what was chosen, in planned order."""
    found = []
    for cell in (cell for cell in planned if _trials(experiment.plan, cell)):
        choice = _choice(experiment, cell)
        for one in (Tried(**tried) for tried in (choice or {"tried": ()})["tried"]):
            run = (experiment.plan.name, *cell.arm, cell.fraction, cell.repetition)
            is_chosen = int(choice is not None and one.peak == choice["peak"])
            found.append(tables.Trial(*run, _named(one.peak), one.score, one.step, one.value, one.loss, is_chosen))
    return found


def _trials(plan: Plan, cell: Cell) -> list[Cell]:
    """Those that decide on the peak of a run itself, and of others with it."""
    if cell.peak is not None or not is_searched(plan, cell) or _deciding(plan, cell) != cell:
        return []
    return [cell._replace(peak=peak) for peak in plan.peaks]


def _deciding(plan: Plan, cell: Cell) -> Cell:
    """The run whose trials decide for this one."""
    return cell if plan.folds else cell._replace(repetition=0)


def _choice_of(experiment: Experiment, cell: Cell) -> Path:
    return cell._replace(peak=1.0).folder(experiment.workdir).parent / CHOICE


def _choice(experiment: Experiment, cell: Cell) -> Mapping[str, Any] | None:
    path = _choice_of(experiment, cell)
    return files.read_json(path, "remove it and trials/ beside it") if path.is_file() else None


def _tried(folder: Path) -> Tried:
    if not (folder / TRIED).is_file():
        raise InputError(f"the trial in {folder} failed, and all are needed; the same command tries it again.")
    return Tried(**files.read_json(folder / TRIED, _DAMAGED))


def _read(folder: Path, peak: float) -> Tried:
    """Of its log, the evaluation whose weights are kept."""
    kept = runs.kept(folder)
    if kept is None:
        return Tried(peak, reason="no validation loss was a number")
    name, step, value, loss = kept
    return Tried(peak, name, step, value, loss)


def _best(tried: Sequence[Tried]) -> Tried:
    """The best value; of equal ones the lowest loss, then the lowest peak."""
    ended = [one for one in tried if not math.isnan(one.value)]
    if not ended:
        raise InputError(f"all {len(tried)} PEAKS diverged, the first as {tried[0].reason}; give lower ones.")
    sign = 1 if scales.of(ended[0].score.removeprefix("val_")).lower_is_better else -1
    return min(ended, key=lambda one: (sign * one.value, one.loss))


def _told(best: Tried, tried: Sequence[Tried]) -> str:
    shown = (f"{_named(one.peak)} {'diverged' if math.isnan(one.value) else f'{one.value:.4g}'}" for one in tried)
    return f"peak learning rate {_named(best.peak)} of {len(tried)} tried, by {best.score}: {', '.join(shown)}."


def _named(peak: float) -> str:
    return f"{peak:g}"
