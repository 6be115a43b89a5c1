"""What finetuned networks say of a scan that was prepared as theirs were: logits, probabilities, an embedding.

One scan at a time, in windows, as the experiment scores its test cases; of several networks the mean of what they say.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from ssl3d_tf.data import cropping
from ssl3d_tf.data.records import reading
from ssl3d_tf.data.records.placement import PLANES
from ssl3d_tf.data.records.schema import Example
from ssl3d_tf.errors import InputError
from ssl3d_tf.evaluation import native
from ssl3d_tf.evaluation.sliding_window import predict_volume, windows
from ssl3d_tf.experiment.choosing import Chosen
from ssl3d_tf.experiment.scoring import ACTIVATED, Predict, prediction
from ssl3d_tf.models import unet
from ssl3d_tf.training import encoders, health
from ssl3d_tf.views import sizes, volumes


class Network(NamedTuple):
    """What is applied. contract: of the first model. predicts: of each model, none of an encoder. embed: inputs
    [batch, *view, channels] -> [batch, d], where embeddings are asked for. flips: over all axes, in segmentation.
    """

    contract: Mapping[str, Any]
    predicts: tuple[Predict, ...]
    embed: Predict | None
    flips: bool

    @property
    def task(self) -> str:
        """'segmentation', 'classification', or '' of an encoder alone."""
        return self.contract.get("task", "")

    @property
    def plane(self) -> str | None:
        """Which slices of a volume it sees, as in `placement.PLANES`; None where it sees whole volumes or images."""
        return self.contract["recipe"].get("slices")

    @property
    def view(self) -> tuple[int, ...]:
        """Of windows: [rank] voxels; of an encoder alone, what it was called with."""
        rank, shape = self.contract["rank"], self.contract["input_shape"]
        if "task" not in self.contract and None not in shape[:rank]:
            return tuple(shape[:rank])  # of tasks with patches that of a patch
        return sizes.sides(self.contract["view_size"], rank)


class Said(NamedTuple):
    """What a network says of one scan.

    outputs: of segmentation, float32 [*stored, classes], logits or else probabilities. values: of classification,
    [images, units]: probabilities, or numbers of a regression. embedding: float32 [d].
    """

    outputs: np.ndarray | None = None
    are_logits: bool = True
    values: np.ndarray | None = None
    embedding: np.ndarray | None = None


def load(chosen: Chosen, *, flips: bool | None = None, embeddings: bool = False) -> Network:
    """The networks of these runs.

    Args:
        flips: None is as the experiment scored; of segmentation only.
        embeddings: whether they are asked for; of an encoder there is nothing else.

    Raises:
        InputError: one cannot be loaded, the models are not alike, or nothing is asked for that they can say.
    """
    contract, where = chosen.contract, chosen.folders[0]
    is_model = "task" in contract
    if not is_model and not embeddings:
        what = "add --embeddings, or give the --workdir of ssl3d_tf.finetune"
        raise InputError(f"--model {where} is a pretrained encoder, which knows no classes: {what}.")
    if embeddings and len(chosen.folders) > 1:
        raise InputError("embeddings of several networks have nothing in common: leave out --ensemble or --embeddings.")
    if flips is not None and contract.get("task") != "segmentation":
        raise InputError("--flips averages over mirrored scans in segmentation, and this is none: leave it out.")
    if not is_model:
        return Network(contract, (), _embedding(encoders.load_encoder(where)), False)
    models = [encoders.load_model(folder) for folder in chosen.folders]
    embed = _embedding(_encoder_of(models[0])) if embeddings else None
    predicts = tuple(prediction(model) for model in models)
    return Network(contract, predicts, embed, flips_of(contract, flips))


def flips_of(contract: Mapping[str, Any], asked: bool | None) -> bool:
    """Whether mirrored scans are averaged over: as `asked`, or as the experiment scored."""
    return bool(contract.get("window", {}).get("flips") if asked is None else asked)


def say(network: Network, example: Example) -> Said:
    """What the network says of a scan.

    Args:
        example: as its data were made; of a network of slices the whole volume that they are cut from.
    """
    said = Said()
    if network.task == "segmentation":
        outputs, are_logits = _outputs(network, example)
        said = said._replace(outputs=outputs, are_logits=are_logits)
    elif network.task == "classification":
        said = said._replace(values=_values(network, example))
    if network.embed is not None:
        said = said._replace(embedding=_embedded(network, example))
    return said


def _outputs(network: Network, example: Example) -> tuple[np.ndarray, bool]:
    """Logits of one network, or the mean probabilities of several, [*stored, classes]."""
    first, *others = (_of_stored(predict, example) for predict in network.predicts)
    outputs = _logits(network, first, example.volume)
    if not others:
        return outputs, True
    probable(outputs)
    for predict in others:
        more = _logits(network, predict, example.volume)
        probable(more)
        outputs += more
        del more
    outputs /= np.float32(len(network.predicts))
    return outputs, False


def _of_stored(predict: Predict, example: Example) -> Predict:
    """A network on windows of voxels as they are stored: intensities of all at once would be half of the logits."""
    return lambda windows: predict(reading.intensities(windows, example))


def probable(logits: np.ndarray) -> None:
    """Makes probabilities of logits float32 [n, …, classes] where they lie, part by part."""
    for part in logits:
        part[...] = native.softmax(part)


def _logits(network: Network, predict: Predict, volume: np.ndarray) -> np.ndarray:
    """[*stored, channels] -> [*stored, classes], of slices one after the other."""
    window = network.contract["window"]
    how: dict[str, Any] = {"overlap": window["overlap"], "batch_size": window["batch_size"], "size": network.view}
    how["flip_axes"] = tuple(range(len(network.view))) if network.flips else ()
    if network.plane is None:
        return predict_volume(volume, predict, **how)
    axis = PLANES.index(network.plane)
    classes = len(network.contract["classes"])
    outputs = np.empty((volume.shape[axis], *np.delete(volume.shape[:-1], axis), classes), np.float32)
    for number, image in enumerate(np.moveaxis(volume, axis, 0)):
        outputs[number] = predict_volume(np.ascontiguousarray(image), predict, **how)
    return np.moveaxis(outputs, 0, axis)


def _values(network: Network, example: Example) -> np.ndarray:
    """[images, units]: of the one view in the middle of the scan, or of each of its slices, as in validation."""
    activate = ACTIVATED[network.contract["labels"]["kind"]]
    scaling = {name: tf.constant([getattr(example, name)], tf.float32) for name in ("scale", "offset")}
    rows = []
    for stored in _images(network, example.volume):
        view = cropping.crop({"volume": tf.constant(stored)}, network.view, seed=None)["volume"]
        inputs = volumes.intensities({"volume": view[None], **scaling}).numpy()
        rows.append(np.mean([activate(predict(inputs)) for predict in network.predicts], axis=0)[0])
    return np.stack(rows)


def _images(network: Network, volume: np.ndarray) -> Sequence[np.ndarray] | np.ndarray:
    return [volume] if network.plane is None else np.moveaxis(volume, PLANES.index(network.plane), 0)


def _embedded(network: Network, example: Example) -> np.ndarray:
    """float32 [d]: the mean over the windows that cover the scan, or over all its slices."""
    assert network.embed is not None  # as `say` asked
    embed, total, count = _of_stored(network.embed, example), np.zeros(()), 0
    for image in _images(network, example.volume):
        for window in windows(image, size=network.view):
            total, count = total + embed(window[None])[0].astype(np.float64), count + 1
    return (total / count).astype(np.float32)


def _embedding(encoder: keras.Model) -> Predict:
    graph = tf.function(lambda inputs: health.embeddings(encoder, inputs), autograph=False)
    return lambda inputs: graph(tf.convert_to_tensor(inputs)).numpy()


def _encoder_of(model: keras.Model) -> keras.Model:
    """The encoder in a finetuned model: of a U-Net pooled behind its bottleneck, as encoders are.

    Behind a norm per channel the mean over space would be the same for every scan.
    """
    (inner,) = (layer for layer in model.layers if isinstance(layer, keras.Model))
    features = inner.outputs[0]
    if unet.has_skips(inner) and all(layer.name != "final_pool" for layer in inner.layers):
        step = unet.pools(inner)[0]
        features = unet.layer("MaxPooling{}D", len(step))(step, name="final_pool")(features)
    return keras.Model(inner.inputs, features)
