"""The formats that a network can be exported in: how each is written, and how its own reader reads it again."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from ssl3d_tf.data import files
from ssl3d_tf.errors import InputError
from ssl3d_tf.models import portable
from ssl3d_tf.training import literal

INPUT = "volumes"
KERAS_FILE, ONNX_FILE = "model.keras", "model.onnx"
OPSET = 18  # of ONNX, from 2022: read by every runtime since

Predict = Callable[[np.ndarray], np.ndarray]


class Format(NamedTuple):
    """network: what is stored of a model. write: (network, name of the output, contract, folder).

    read: (folder, name of the output) -> the function that was written.
    """

    network: Callable[[keras.Model], keras.Model]
    write: Callable[[keras.Model, str, Mapping[str, Any], Path], None]
    read: Callable[[Path, str], Predict]


def _graph(network: keras.Model, result: str) -> tf.types.experimental.PolymorphicFunction:
    given = tf.TensorSpec(network.input_shape, tf.float32, name=INPUT)
    return tf.function(
        lambda volumes: {result: network(volumes, training=False)}, input_signature=[given], autograph=False
    )


def _write_savedmodel(network: keras.Model, result: str, contract: Mapping[str, Any], folder: Path) -> None:
    del contract  # lies beside
    module = tf.Module()
    module.numbers = [variable.value for variable in network.variables]  # of the layers too, each would be traced
    module.call = _graph(network, result)
    tf.saved_model.save(module, str(literal.folder(folder)), signatures=module.call.get_concrete_function())


def _read_savedmodel(folder: Path, result: str) -> Predict:
    loaded = tf.saved_model.load(str(literal.folder(folder)))
    return lambda volumes: loaded.signatures["serving_default"](tf.constant(volumes))[result].numpy()


def _write_keras(network: keras.Model, result: str, contract: Mapping[str, Any], folder: Path) -> None:
    del result, contract  # lies beside
    network.save(folder / KERAS_FILE)


def _read_keras(folder: Path, result: str) -> Predict:
    del result
    loaded = keras.models.load_model(folder / KERAS_FILE, compile=False)
    return lambda volumes: np.asarray(loaded(volumes, training=False))


def _write_onnx(network: keras.Model, result: str, contract: Mapping[str, Any], folder: Path) -> None:
    onnx, tf2onnx, _ = _onnx()
    graph = _graph(network, result)
    made, _ = tf2onnx.convert.from_function(graph, input_signature=graph.input_signature, opset=OPSET)
    for value in (*made.graph.input, *made.graph.output):
        _name_axes(value.type.tensor_type.shape.dim, contract["axes"] if value.name == INPUT else ["batch"])
    made.metadata_props.add(key="contract", value=json.dumps(contract))
    onnx.checker.check_model(made)
    with files.atomic(folder / ONNX_FILE) as file:
        file.write(made.SerializeToString())


def _name_axes(sizes: Sequence[Any], names: Sequence[str]) -> None:
    """Names the axes of any length, which are numbered otherwise; those without a name here are nameless."""
    for number, size in enumerate(sizes):
        if not size.dim_value:
            size.dim_param = names[number] if number < len(names) else ""


def _read_onnx(folder: Path, result: str) -> Predict:
    _, _, onnxruntime = _onnx()
    session = onnxruntime.InferenceSession(folder / ONNX_FILE, providers=["CPUExecutionProvider"])
    return lambda volumes: session.run([result], {INPUT: volumes})[0]


def _onnx() -> tuple[Any, Any, Any]:
    try:
        import onnx
        import onnxruntime
        import tf2onnx
    except ImportError as error:
        raise InputError(f"--format=onnx needs {error.name}: pip install 'ssl3d_tf[onnx]'.") from error
    return onnx, tf2onnx, onnxruntime


FORMATS: Mapping[str, Format] = {
    "savedmodel": Format(portable.for_graphs, _write_savedmodel, _read_savedmodel),
    "keras": Format(portable.for_keras, _write_keras, _read_keras),
    "onnx": Format(portable.for_graphs, _write_onnx, _read_onnx),
}
