"""From a configuration to a search: which knobs, over which values, for which one run, by which objective."""

import ast
import re
import shlex
import time
from collections.abc import Sequence

from ssl3d_tf.command import configuration, knobs, run_folder
from ssl3d_tf.data.folders import DataFolder
from ssl3d_tf.errors import InputError
from ssl3d_tf.experiment import admission
from ssl3d_tf.experiment.preparing import Prepared
from ssl3d_tf.experiment.protocol import Experiment
from ssl3d_tf.search import space, trials
from ssl3d_tf.search.trials import Objective
from ssl3d_tf.search.tuning import BASE, OWN, READ, Plan, Search

_FIXED = ("ARMS", "FRACTIONS", "REPETITIONS", "FOLDS", "SEED", "STRATEGY", "DETERMINISTIC", "RANK", "EVAL_EVERY", *OWN)


def plan_of(sources: configuration.Sources, *, pretrained: bool) -> Plan:
    """Loads a configuration and reads from it what to search; `pretrained`: whether there is an encoder.

    Raises:
        InputError: no such tuner, a knob that cannot be searched, values that it does not take.
    """
    own = (f"ARMS=('{'pretrained' if pretrained else 'random'}',)", "FRACTIONS=(%FRACTION,)", "REPETITIONS=1")
    sources = sources._replace(files=(BASE, *sources.files), params=(*own, *sources.params))
    configuration.load(sources, read=READ)
    searched, now = space.parse(configuration.macro("SPACE")), configuration.macros()
    as_is = all(space.holds(values, now.get(name, "")) for name, values in searched.items())
    plan = Plan(
        sources=sources,
        space=searched,
        first={name: now[name] if as_is else space.ends(values)[0] for name, values in searched.items()},
        as_is=as_is,
        tuner=configuration.macro("TUNER"),
        max_trials=configuration.macro("MAX_TRIALS"),
        prune_after=configuration.macro("PRUNE_AFTER"),
    )
    if plan.tuner not in space.TUNERS:
        raise InputError(f"TUNER is {plan.tuner!r}; it must be one of {', '.join(space.TUNERS)}.")
    for name, values in searched.items():
        _check_knob(plan, name, values, pretrained=pretrained)
    return plan


def _check_knob(plan: Plan, name: str, values: space.Numbers | space.Choices, *, pretrained: bool) -> None:
    if not re.fullmatch("[A-Z][A-Z0-9_]*", name):
        raise InputError(f"SPACE has '{name}'; it takes knobs, which are in capitals, such as LEARNING_RATE.")
    fixed = _FIXED + (("STEPS",) if plan.tuner == "hyperband" else ())
    if name in fixed:
        raise InputError(f"SPACE has {name}, which must be the same in all trials to compare them: remove it.")
    if pretrained and name in admission.ARCHITECTURE:
        raise InputError(f"SPACE has {name}, which must be as in the pretraining run of --encoder: remove it.")
    if name == "LEVELS" and configuration.macro("POOL", None) is not None:
        raise InputError("SPACE has LEVELS, and POOL says how many there are: remove one of them.")
    for text in space.ends(values):
        if not text.startswith("@"):
            knobs.check(name, ast.literal_eval(text))


def search_of(plan: Plan, prepared: Prepared, given: configuration.Sources) -> Search:
    """Raises InputError where that is more than one run per trial, or the objective is none."""
    experiment, planned = prepared.experiment, prepared.planned
    if experiment.plan.peaks:
        remedy = "leave it out, and search LEARNING_RATE, which SPACE has anyway"
        raise InputError(f"PEAKS is {experiment.plan.peaks}, a search of its own, for finetune: {remedy}.")
    if len(planned) != 1 or experiment.plan.folds or planned[0].arm.init == "knn":
        found = f"ARMS {experiment.plan.arms}, FRACTIONS {experiment.plan.fractions}, FOLDS {experiment.plan.folds}"
        rule = "a search trains one arm, of one --encoder or none, with one FRACTION, and validates on the data's split"
        raise InputError(f"{found}, REPETITIONS {experiment.plan.repetitions}: {rule}.")
    (cell,) = planned
    objective = _objective(list(experiment.task_of(cell.arm.init).metrics))
    ended_before = sum(trial.status != trials.RUNNING for trial in trials.read(experiment.workdir))
    about = {
        "search": f"{plan.tuner} over {', '.join(plan.space)}; at most {plan.max_trials} trials of "
        f"{experiment.settings.steps} steps, SEED {experiment.seed}",
        "objective": f"{objective.name} ({objective.direction}) after the step with the lowest val_loss",
        "arm": f"{cell.arm.encoder or 'scratch'} {cell.arm.init}, {cell.fraction:g} % of the training patients "
        f"({len(prepared.splits['0']['train'][f'{cell.fraction:g}'])} cases)",
        "data": f"{prepared.data['name']}, sha256 {prepared.data['sha256']}",
        "command": run_folder.about()["command"],
        "finetune with": _finetune_command(given, experiment),
    }
    experiment = experiment._replace(data=[_without_test(data) for data in experiment.data])
    return Search(plan, experiment, cell, objective, about, time.monotonic(), ended_before)


def _without_test(data: DataFolder) -> DataFolder:
    """The same data with nothing to read of the test split."""
    splits = data.manifest.splits
    hidden = {**splits, "test": splits["test"]._replace(shards=())}
    return data._replace(manifest=data.manifest._replace(splits=hidden))


def _objective(metrics: Sequence[str]) -> Objective:
    given = configuration.macro("OBJECTIVE")
    if given is None:
        return Objective("val_dice", "max") if "dice" in metrics else Objective("val_loss", "min")
    known = ["val_loss", *(f"val_{name}" for name in metrics)]
    if (
        not isinstance(given, list | tuple)
        or len(given) != 2
        or given[0] not in known
        or given[1] not in ("min", "max")
    ):
        raise InputError(f"OBJECTIVE is {given!r}; it must be (NAME, 'min' or 'max'), NAME being {' or '.join(known)}.")
    return Objective(*given)


def _finetune_command(given: configuration.Sources, experiment: Experiment) -> str:
    """The knobs behind the files of the search, and its parameters, but those of the search alone."""
    params = [param for param in given.params if param.partition("=")[0].strip() not in OWN]
    options = [f"--gin_file={file}" for file in (*given.files, experiment.workdir / trials.BEST)]
    options += [f"--gin_param={param}" for param in params] + [f"--data={experiment.data[0].path}"]
    options += [f"--encoder={path}" for path in experiment.encoders.values()]
    return shlex.join(["python", "-m", "ssl3d_tf.finetune", *options, "--workdir=FT"])
