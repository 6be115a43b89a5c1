"""A pretrained encoder or a finetuned model in Keras: network and weights from its folder, without gin and tasks."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras

from ssl3d_tf.errors import InputError
from ssl3d_tf.models import fitting
from ssl3d_tf.models.dropout import Dropout
from ssl3d_tf.models.norms import GroupNorm
from ssl3d_tf.training import weights
from ssl3d_tf.training.contracts import read_contract, read_model

_FITTING = (fitting.PadToMultiple, fitting.CropLike, fitting.ToPatches, fitting.FromPatches)
_LAYERS = {f"ssl3d_tf>{layer.__name__}": layer for layer in (Dropout, GroupNorm, *_FITTING)}
_WITH_CODE = {"Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"}  # or with the name of a file of it


def load_encoder(run: str | os.PathLike[str]) -> keras.Model:
    """The encoder of a pretraining run, as it was when its validation was best.

    [batch, *spatial, channels] -> [batch, *map, features], or [batch, features] where the encoder pools. float32,
    whatever precision it was trained in; any size that its strides leave something of. `contract(run)` says which grid
    and intensities it knows. Nothing of the folder is run as code.

    Args:
        run: the --workdir of ssl3d_tf.train, or the folder encoder/ in it.

    Raises:
        InputError: no encoder, a damaged one, a weight missing or left over, or a layer of code that is not imported.
    """
    return _loaded(read_contract(run))


def load_model(run: str | os.PathLike[str]) -> keras.Model:
    """The whole network of a finetuning run, encoder and head, as it was when its validation was best.

    [batch, *spatial, channels] -> logits, float32: [batch, *spatial, classes] of segmentation, any size; [batch, units]
    of classification, of views of `contract(run)['input_shape']`. `contract(run)` says what may be fed to it and what
    comes of it. Nothing of the folder is run as code.

    Args:
        run: a folder runs/ARM/FRACTION/REPETITION of a --workdir of ssl3d_tf.finetune, or the folder model/ in it.

    Raises:
        InputError: as `load_encoder`, and where contract.json does not say how to apply it.
    """
    return _loaded(read_model(run))


def _loaded(contract: dict[str, Any]) -> keras.Model:
    network = _network(contract)
    weights.load_encoder(Path(contract["folder"]), network)
    return network


def _network(contract: dict[str, Any]) -> keras.Model:
    where = f"the network in {contract['folder']}"
    architecture = contract.get("architecture")
    if not isinstance(architecture, dict):
        raise InputError(f"{where} is not described in its contract; pretrain again.")
    if unknown := sorted({_name(part) for part in _parts(architecture) if not _is_known(part)}):
        raise InputError(f"{where} has {', '.join(unknown)}, which is not known: import the module that registers it.")
    try:
        network = keras.saving.deserialize_keras_object(_as_here(architecture), custom_objects=_LAYERS)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise InputError(f"{where} cannot be built ({' '.join(str(error).split())[:200]}); pretrain again.") from error
    if not isinstance(network, keras.Model):
        raise InputError(f"{where} is no model but {type(network).__name__}; pretrain again.")
    return network


def _parts(value: Any) -> Iterator[dict[str, Any]]:
    """Everything in a Keras configuration that an object is made of."""
    if isinstance(value, dict) and "class_name" in value:
        yield value
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _parts(inner)


def _is_known(part: dict[str, Any]) -> bool:
    """Whether the class is Keras' own, or was registered by code that is imported: what is named is not imported."""
    name, module = part["class_name"], str(part.get("module"))
    if name == "__keras_tensor__" or part.get("registered_name") in _LAYERS:
        return True
    if keras.saving.get_registered_object(str(part.get("registered_name"))) is not None:
        return True
    return f"{module}.".startswith("keras.") and name not in _WITH_CODE and not str(name).startswith("__")


def _name(part: dict[str, Any]) -> str:
    return f"{part.get('module')}.{part['class_name']}"


def _as_here(value: Any) -> Any:
    """The same configuration, with every precision float32, and of initializers only what is set.

    Newer versions of Keras write options into these that older ones, such as Python 3.10 has, do not know.
    """
    if isinstance(value, dict):
        if value.get("class_name") == "DTypePolicy":
            return {**value, "config": {"name": "float32"}}
        if value.get("module") == "keras.initializers" and isinstance(value.get("config"), dict):
            return {**value, "config": {key: option for key, option in value["config"].items() if option is not None}}
        return {key: _as_here(inner) for key, inner in value.items()}
    return [_as_here(inner) for inner in value] if isinstance(value, list) else value
