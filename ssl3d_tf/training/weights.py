"""Weights that a run keeps for others: of its encoder, its decoder or its model, each in a folder with its contract."""

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ssl3d_tf.data import files
from ssl3d_tf.errors import InputError
from ssl3d_tf.training import contracts
from ssl3d_tf.training.contracts import CONTRACT, DECODER_FOLDER, read_contract

_OPTIONS = ("groups", "epsilon", "activation", "strides", "padding", "dilation_rate", "pool_size")


def save(
    folder: Path, network: keras.Model, *, step: int, contract: Mapping[str, Any], without: keras.Model | None = None
) -> None:
    """Writes weights-STEP.npz and then contract.json, which names it: the folder is usable at every moment.

    without: a part of `network` whose weights are kept elsewhere.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        variable.path: tf.convert_to_tensor(variable.value).numpy() for variable in _weights(network, without=without)
    }
    buffer = io.BytesIO()
    np.savez(buffer, **weights)
    path = folder / f"weights-{step}.npz"
    with files.atomic(path) as file:
        file.write(buffer.getvalue())
    about = {
        "step": step,
        "weights": path.name,
        "weights_sha256": hashlib.sha256(buffer.getvalue()).hexdigest(),
        "architecture": json.loads(network.to_json()),
    }
    contracts.write(folder, {**contract, **about})
    for old in folder.glob("weights-*.npz"):
        if old != path:
            old.unlink()


def architecture_differences(contract: Mapping[str, Any], encoder: keras.Model) -> list[str]:
    """What the weights do not show: options of layers, such as the groups of a norm, or the axes that are pooled."""
    stored, wanted = contract["architecture"], json.loads(encoder.to_json())
    before, now = (
        {layer["config"]["name"]: layer["config"] for layer in model["config"]["layers"]} for model in (stored, wanted)
    )
    return [
        f"{option} of {name} {before[name].get(option)} there, {value} here"
        for name in sorted(before.keys() & now.keys())
        for option, value in now[name].items()
        if option in _OPTIONS and value != before[name].get(option)
    ]


def load_encoder(folder: Path, encoder: keras.Model) -> int:
    """Sets every weight of `encoder` from the folder; returns how many were loaded.

    Raises:
        InputError: a weight is missing, left over or of another shape; all of them are listed.
    """
    return _load(folder, "encoder", encoder.weights, _stored(folder))


def load_decoder(folder: Path, model: keras.Model, encoder: keras.Model) -> int:
    """Sets every weight that `model` has beside `encoder` and its output's, from FOLDER/decoder; returns how many.

    Raises:
        InputError: the run kept no decoder, or one that does not fit, as `load_encoder`.
    """
    if not (folder / DECODER_FOLDER / CONTRACT).is_file():
        run = folder.resolve().parent
        if (run / DECODER_FOLDER / CONTRACT).is_file():
            raise InputError(f"{folder} is the encoder alone, and its decoder lies beside it: give the run, {run}.")
        raise InputError(
            f"{folder} has no {DECODER_FOLDER}/: only masked reconstruction (gin/masked_?d.gin or the like) has one; "
            "set TRANSFER='encoder'."
        )
    wanted = [variable for variable in _weights(model, without=encoder) if not _is_output(variable.path)]
    stored = {name: value for name, value in _stored(folder / DECODER_FOLDER).items() if not _is_output(name)}
    return _load(folder, "decoder", wanted, stored)


def _weights(network: keras.Model, *, without: keras.Model | None) -> list[keras.Variable]:
    left_out = set() if without is None else {id(variable) for variable in without.weights}
    return [variable for variable in network.weights if id(variable) not in left_out]


def _is_output(path: str) -> bool:
    return path.startswith("logits/")


def _stored(folder: Path) -> dict[str, np.ndarray]:
    contract = read_contract(folder)
    path = Path(contract["folder"]) / str(contract.get("weights"))
    content = _read(path)
    if hashlib.sha256(content).hexdigest() != contract.get("weights_sha256"):
        raise InputError(f"{path} is not what {CONTRACT} beside it describes (SHA-256 differs): put back the copy.")
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        return dict(archive)


def _load(folder: Path, what: str, variables: Sequence[keras.Variable], stored: Mapping[str, np.ndarray]) -> int:
    wanted = {variable.path: variable for variable in variables}
    if differences := _differences(stored, wanted):
        raise InputError(f"the {what} in {folder} does not fit: {'; '.join(differences)}.")
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
