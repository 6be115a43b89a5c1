"""keras-tuner's searches over our own training: which knobs come next is theirs, what a trial is and costs is ours.

keras-tuner 1.4.8; its chief and workers are told from KERASTUNER_TUNER_ID, KERASTUNER_ORACLE_IP and _PORT.
"""

import contextlib
import io
import itertools
import json
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import grpc
import keras_tuner
import numpy as np
import tensorflow as tf
from keras_tuner import errors
from keras_tuner.engine import base_tuner
from keras_tuner.src import config, utils

from ssl3d_tf.data import files
from ssl3d_tf.errors import InputError
from ssl3d_tf.search.space import Numbers, Space
from ssl3d_tf.search.trials import Objective
from ssl3d_tf.training import literal

FOLDER = "keras_tuner"
config.DEBUG = False  # or it prints the traceback of every failed trial
_NEVER = 10**9
_PAUSE_S = 0.2


def _save_json(path: str, value: Any) -> str:
    """As keras-tuner's own, whole or not at all: it would leave half a file where it is killed or the disk is full."""
    text = json.dumps(value)
    try:
        with files.atomic(Path(path)) as file:
            file.write(text.encode())
    except OSError as error:
        raise errors.FatalError(str(error)) from error  # keras-tuner would take it for a failed trial
    return text


utils.save_json = _save_json


class Tuner(base_tuner.BaseTuner):
    """Runs trials by `train`: (number of the trial, knob -> value) -> value of the objective.

    An InputError of `train` fails its trial and the search goes on; anything else ends it.
    """

    def __init__(self, oracle: keras_tuner.Oracle, workdir: Path, train: Callable[[str, Mapping[str, Any]], float]):
        self._objective, self._train = oracle.objective.name, train
        directory = str(literal.folder(workdir))  # keras-tuner looks for trials by a pattern
        super().__init__(oracle=oracle, directory=directory, project_name=FOLDER)

    def pre_create_trial(self) -> None:
        """Waits a little where the oracle is another process: keras-tuner would ask it again at once."""
        if self._is_worker():
            time.sleep(_PAUSE_S)

    def run_trial(self, trial: Any, *_: Any, **__: Any) -> dict[str, float]:
        """Called by keras-tuner for every trial."""
        try:
            return {self._objective: self._train(trial.trial_id, trial.hyperparameters.values)}
        except InputError as error:
            raise errors.FailedTrialError(str(error)) from error
        except Exception as error:
            raise errors.FatalError(str(error)) from error  # keras-tuner would take it for a failed trial


@contextlib.contextmanager
def _as_raised() -> Iterator[None]:
    """What ends a search, as it was before it was made a FatalError, the only one that keras-tuner lets pass."""
    try:
        yield
    except errors.FatalError as error:
        raise error.__cause__ or error  # noqa: B904


def tuner(
    workdir: Path,
    train: Callable[[str, Mapping[str, Any]], float],
    *,
    kind: str,
    space: Space,
    first: Mapping[str, str] | None,
    objective: Objective,
    max_trials: int,
    max_rounds: int,
    seed: int,
) -> Tuner:
    """The search in `workdir`, on from where it was stopped.

    Args:
        train: as of `Tuner`. kind: of `space.TUNERS`. first: knobs of the first trial; None leaves them to the search.
        max_rounds: evaluations of a whole run, which 'hyperband' divides.

    Raises:
        InputError: a state on disk that cannot be read.
        OSError: it cannot be written.
    """
    oracle = _oracle(kind, _hyperparameters(space, first), objective, max_trials, max_rounds, seed)
    if first is not None and kind != "grid":  # a grid begins with the defaults anyway
        _begin_with(oracle, first)
    _forget_unbegun(oracle)
    oracle.verbose = 0
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # 'Reloading Tuner from'
            found = Tuner(oracle, workdir, train)
    except (ValueError, RuntimeError, tf.errors.OpError) as error:
        remedy = "remove that folder and run the same command: trials that have ended are not run again"
        raise InputError(f"{workdir / FOLDER} cannot be read ({str(error).splitlines()[0]}); {remedy}.") from error
    with _as_raised():
        found.save()  # keras-tuner itself would save it after the first trial only, and then begin anew
    return found


def search(tuner: Tuner, *, chief: bool) -> None:
    """Runs trials, or as chief hands them out, until there are no more.

    Raises:
        InputError: chief and workers do not reach each other.
    """
    address = ":".join(os.environ.get(f"KERASTUNER_ORACLE_{part}", "") for part in ("IP", "PORT"))
    if chief:
        print(f"chief at {address}: hands out trials; start workers.", flush=True)
    try:
        with _as_raised():
            tuner.search()
    except grpc.RpcError as error:
        raise InputError(f"no answer from the chief at {address}; start it and this worker again.") from error
    except RuntimeError as error:
        if chief and "bind" in str(error):
            raise InputError(f"the chief cannot listen at {address}; take another KERASTUNER_ORACLE_PORT.") from error
        raise


def is_chief() -> bool:
    """Whether this process only hands out trials. Raises InputError where the environment says half of it."""
    names = ("KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT")
    missing = [name for name in names if not os.environ.get(name)]
    if "KERASTUNER_ORACLE_IP" not in os.environ:
        return False
    if missing:
        raise InputError(f"{', '.join(missing)} is not set; chief and workers need {', '.join(names)}.")
    return "chief" in os.environ["KERASTUNER_TUNER_ID"]


def _oracle(
    kind: str,
    knobs: keras_tuner.HyperParameters,
    objective: Objective,
    max_trials: int,
    max_rounds: int,
    seed: int,
) -> keras_tuner.Oracle:
    common: dict[str, Any] = {
        "objective": keras_tuner.Objective(*objective),
        "hyperparameters": knobs,
        "tune_new_entries": False,
        "allow_new_entries": False,
        "seed": seed + 1,  # keras-tuner takes 0 for none
        "max_consecutive_failed_trials": _NEVER,
    }
    if kind == "hyperband":
        oracle = keras_tuner.oracles.HyperbandOracle(max_epochs=max_rounds, hyperband_iterations=None, **common)
        oracle.max_trials = max_trials
        return oracle
    if kind == "bayesian":
        return _reseeded(keras_tuner.oracles.BayesianOptimizationOracle(max_trials=max_trials, **common))
    if kind == "grid":
        return _by_number(keras_tuner.oracles.GridSearchOracle(max_trials=max_trials, **common))
    return keras_tuner.oracles.RandomSearchOracle(max_trials=max_trials, **common)


def _hyperparameters(space: Space, first: Mapping[str, str] | None) -> keras_tuner.HyperParameters:
    knobs = keras_tuner.HyperParameters()
    for name, values in space.items():
        if not isinstance(values, Numbers):
            # As texts, also of numbers: chief and workers exchange floats of 32 bits, which are none of the choices.
            knobs.Choice(name, list(values.texts), default=first[name] if first else None)
            continue
        build, number = (knobs.Int, int) if values.whole else (knobs.Float, float)
        scale = "log" if values.log else "linear"
        default = number(first[name]) if first else None
        build(name, values.low, values.high, step=values.step, sampling=scale, default=default)
    return knobs


def _begin_with(oracle: keras_tuner.Oracle, first: Mapping[str, str]) -> None:
    """Lets the first random trial be that one."""
    draw = oracle._random_values
    defaults = {knob.name: knob.default for knob in oracle.get_space().space if knob.name in first}
    oracle._random_values = lambda: draw() if oracle.trials else dict(defaults)


def _forget_unbegun(oracle: keras_tuner.Oracle) -> None:
    """Has it draw a trial anew that it wrote and had not begun when it was killed: it would never run that one."""
    read = oracle.reload

    def reload() -> None:
        read()
        for number in oracle.trials.keys() - set(oracle.start_order):
            del oracle.trials[number]

    oracle.reload = reload


def _reseeded(oracle: keras_tuner.Oracle) -> keras_tuner.Oracle:
    """Its random numbers from the seed and the trial: keras-tuner does not save where they were."""
    populate = oracle.populate_space

    def populate_space(number: str) -> dict[str, Any]:
        oracle._random_state = np.random.RandomState(oracle.seed + int(number))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the Gaussian process' fit, which a user can do nothing about
            return populate(number)

    oracle.populate_space = populate_space
    return oracle


def _by_number(oracle: keras_tuner.Oracle) -> keras_tuner.Oracle:
    """Its combinations by number, the defaults first: keras-tuner does not save its place in a grid either."""
    space = oracle.get_space().space
    values = [[knob.default, *(value for value in knob.values if value != knob.default)] for knob in space]

    def populate_space(number: str) -> dict[str, Any]:
        combination = next(itertools.islice(itertools.product(*values), int(number), None), None)
        if combination is None:
            return {"status": "STOPPED", "values": None}
        return {"status": "RUNNING", "values": dict(zip((knob.name for knob in space), combination, strict=True))}

    oracle.populate_space = populate_space
    return oracle
