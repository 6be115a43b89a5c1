"""2D encoders of Keras Applications, of any input size and number of channels, without their weights."""

import re
from collections import Counter
from collections.abc import Callable

import keras

from ssl3d_tf.errors import InputError

NAMES = (
    "DenseNet121",  # Huang et al., 2016, arXiv:1608.06993
    "InceptionV3",  # Szegedy et al., 2015, arXiv:1512.00567
    "ResNet50",  # He et al., 2015, arXiv:1512.03385
    "ResNet50V2",  # He et al., 2016, arXiv:1603.05027
    "ResNet101",
    "ResNet101V2",
    "ResNet152",
    "InceptionResNetV2",  # Szegedy et al., 2016, arXiv:1602.07261
)
_POOLINGS = {"avg": "avg", "max": "max", "none": None}


def encoder(channels: int, *, name: str = "DenseNet121", pooling: str = "avg") -> keras.Model:
    """A functional model [batch, height, width, channels] -> [batch, features], or [batch, *map, features].

    All of them normalise by batch. In CPC that leaks: statistics over all patches of one image tell what is to be
    predicted (Hénaff et al., 2019, arXiv:1905.09272); take `resnet.encoder` with group norm there.

    Args:
        channels: of the images.
        name: one of NAMES.
        pooling: over all pixels, at the end: 'avg', 'max', or 'none' for a map.

    Raises:
        InputError: no such name or pooling.
    """
    for option, value, known in (("name", name, NAMES), ("pooling", pooling, _POOLINGS)):
        if value not in known:
            raise InputError(f"{option} of an application is {value!r}; it must be one of {', '.join(known)}.")
    images = keras.Input((None, None, channels), name="volumes")
    build = getattr(keras.applications, name)
    drawn = build(include_top=False, weights=None, input_tensor=images, pooling=_POOLINGS[pooling])
    # Keras numbers the layers that have no name through the whole process: a second InceptionV3 would have weights
    # of other paths, and none of them could be loaded.
    model = keras.models.clone_model(drawn, input_tensors=[images], clone_function=_renumbering())
    return keras.Model(images, model.outputs[0], name=drawn.name)


def _renumbering() -> Callable[[keras.layers.Layer], keras.layers.Layer]:
    """layer -> the same layer, new; those that Keras named are numbered from 1, per class."""
    numbers: Counter[str] = Counter()

    def renew(layer: keras.layers.Layer) -> keras.layers.Layer:
        config = layer.get_config()
        kind = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(layer).__name__).lower()
        if re.fullmatch(rf"{kind}(_\d+)?", layer.name):
            numbers[kind] += 1
            config["name"] = f"{kind}_{numbers[kind]}"
        return type(layer).from_config(config)

    return renew
