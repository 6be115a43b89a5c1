"""What a run leaves on disk: its state, to go on exactly where it stopped, and the encoder with its contract."""

import contextlib
import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from ssl3d_tf.data import files
from ssl3d_tf.errors import InputError
from ssl3d_tf.training import contracts
from ssl3d_tf.training.contracts import CONTRACT, read_contract
from ssl3d_tf.training.contracts import ENCODER_FOLDER as ENCODER_FOLDER
from ssl3d_tf.training.updates import Part

FOLDER, _LIST = "checkpoints", "checkpoint"
_DAMAGE = (tf.errors.OpError, IndexError, RuntimeError)  # what TensorFlow says of files that are cut
_OPTIONS = ("groups", "epsilon", "activation", "strides", "padding", "dilation_rate")


class Progress(NamedTuple):
    """The part of a run's state that is neither weights nor optimizer; all variables.

    step: steps done. tally: `journal.Window.tally`, of the steps since the last log line.
    best: lowest validation loss so far. best_step: its step.
    """

    step: tf.Variable
    tally: tf.Variable
    best: tf.Variable
    best_step: tf.Variable


def progress(scores: int) -> Progress:
    """The progress of a run that has not begun."""
    return Progress(
        step=tf.Variable(0, dtype=tf.int64, trainable=False),
        tally=tf.Variable(np.zeros(2 + scores), dtype=tf.float64, trainable=False),
        best=tf.Variable(np.inf, dtype=tf.float64, trainable=False),
        best_step=tf.Variable(0, dtype=tf.int64, trainable=False),
    )


def manager(folder: Path, model: keras.Model, parts: Sequence[Part], progress: Progress) -> tf.train.CheckpointManager:
    """The checkpoints of a run; the two newest are kept, so that one is whole whenever the process dies."""
    for part in parts:
        part.optimizer.build(part.variables)  # before restoring, or its slots would be restored to nothing
    optimizers = [part.optimizer for part in parts]
    checkpoint = tf.train.Checkpoint(model=model, optimizers=optimizers, **progress._asdict())
    where = folder / FOLDER
    try:
        return tf.train.CheckpointManager(checkpoint, str(where), max_to_keep=2)
    except (ValueError, IndexError):  # its list of them is cut; `restore` goes by the files
        (where / _LIST).unlink()
        return tf.train.CheckpointManager(checkpoint, str(where), max_to_keep=2)


def restore(manager: tf.train.CheckpointManager, workdir: Path) -> bool:
    """Restores the newest checkpoint of `workdir` that is whole, every value of it; returns whether there was one.

    Raises:
        InputError: all are damaged, or the newest does not fit the model.
    """
    folder, faults = workdir / FOLDER, []
    for path in sorted(folder.glob("ckpt-*.index"), key=_number, reverse=True):
        try:
            _restore(manager, path.with_suffix(""))
        except _DAMAGE as error:
            faults.append(f"checkpoint {path.with_suffix('')} cannot be read ({_first_line(error)})")
            continue
        if faults:
            print(f"{'; '.join(faults)}: goes on from {path.stem}, the newest whole one.", flush=True)
        return True
    if faults or any(True for _ in folder.glob("ckpt-*")):
        what = "; ".join(faults) or f"{folder} has checkpoints without their .index"
        raise InputError(f"{what}; no older one is whole: put a copy back, or remove {folder} to begin anew.")
    return False


def _restore(manager: tf.train.CheckpointManager, path: Path) -> None:
    try:
        status = manager.checkpoint.restore(str(path))
        status.expect_partial()  # what is left over is told below, once, and not again at exit
        status.assert_consumed().assert_existing_objects_matched()
    except (AssertionError, ValueError) as error:
        reason = _first_line(error)
        raise InputError(f"checkpoint {path} does not fit this model ({reason}); take another --workdir.") from error


def _number(path: Path) -> int:
    """Of ckpt-NUMBER.index, which is that of its step."""
    number = path.stem.partition("-")[2]
    return int(number) if number.isdecimal() else -1


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


@contextlib.contextmanager
def averaged_weights(parts: Sequence[Part]) -> Iterator[None]:
    """Inside, the model has the moving average of its weights, where the optimizers keep one (`use_ema`)."""
    averaging = [part for part in parts if getattr(part.optimizer, "use_ema", False)]
    current = [[tf.convert_to_tensor(v.value).numpy() for v in part.variables] for part in averaging]
    for part in averaging:
        part.optimizer.finalize_variable_values(part.variables)
    try:
        yield
    finally:
        for part, values in zip(averaging, current, strict=True):
            for variable, value in zip(part.variables, values, strict=True):
                variable.assign(value)


def save_encoder(folder: Path, encoder: keras.Model, *, step: int, contract: Mapping[str, Any]) -> None:
    """Writes weights-STEP.npz and then contract.json, which names it: the folder is usable at every moment."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {variable.path: tf.convert_to_tensor(variable.value).numpy() for variable in encoder.weights}
    buffer = io.BytesIO()
    np.savez(buffer, **weights)
    path = folder / f"weights-{step}.npz"
    with files.atomic(path) as file:
        file.write(buffer.getvalue())
    about = {
        "step": step,
        "weights": path.name,
        "weights_sha256": hashlib.sha256(buffer.getvalue()).hexdigest(),
        "architecture": json.loads(encoder.to_json()),
    }
    contracts.write(folder, {**contract, **about})
    for old in folder.glob("weights-*.npz"):
        if old != path:
            old.unlink()


def architecture_differences(contract: Mapping[str, Any], encoder: keras.Model) -> list[str]:
    """What the weights do not show: options of the layers that have weights, such as the groups of a norm."""
    stored, wanted = contract["architecture"], json.loads(encoder.to_json())
    layers = {variable.path.partition("/")[0] for variable in encoder.weights}
    before, now = (
        {layer["config"]["name"]: layer["config"] for layer in model["config"]["layers"]} for model in (stored, wanted)
    )
    return [
        f"{option} of {name} {before[name].get(option)} there, {value} here"
        for name in sorted(layers & before.keys() & now.keys())
        for option, value in now[name].items()
        if option in _OPTIONS and value != before[name].get(option)
    ]


def load_encoder(folder: Path, encoder: keras.Model) -> int:
    """Sets every weight of `encoder` from the folder; returns how many were loaded.

    Raises:
        InputError: a weight is missing, left over or of another shape; all of them are listed.
    """
    contract = read_contract(folder)
    path = Path(contract["folder"]) / str(contract.get("weights"))
    content = _read(path)
    if hashlib.sha256(content).hexdigest() != contract.get("weights_sha256"):
        raise InputError(f"{path} is not what {CONTRACT} beside it describes (SHA-256 differs): put back the copy.")
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        stored = dict(archive)
    wanted = {variable.path: variable for variable in encoder.weights}
    differences = _differences(stored, wanted)
    if differences:
        raise InputError(f"the encoder in {folder} does not fit: {'; '.join(differences)}.")
    for name, variable in wanted.items():
        variable.assign(stored[name])
    return len(wanted)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); pretrain again.") from error


def _differences(stored: Mapping[str, np.ndarray], wanted: Mapping[str, keras.Variable]) -> list[str]:
    missing = [f"{name} is not in the file" for name in sorted(wanted.keys() - stored.keys())]
    unknown = [f"{name} is not in the model" for name in sorted(stored.keys() - wanted.keys())]
    shapes = [
        f"{name} is {stored[name].shape} in the file and {tuple(wanted[name].shape)} in the model"
        for name in sorted(wanted.keys() & stored.keys())
        if stored[name].shape != tuple(wanted[name].shape)
    ]
    return missing + unknown + shapes
