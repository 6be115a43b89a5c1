"""U-Net encoder, 2D and 3D, free of the input's size (Ronneberger et al., 2015, arXiv:1505.04597).

level 0..L−1: block(f · 2^level) -> max pool 2; then the bottleneck block(f · 2^L); then the final pooling.
block: conv 3 ReLU -> norm -> dropout -> conv 3 ReLU -> norm. The skip of a level is what its max pool reads.
"""

import keras

from ssl3d_tf.errors import InputError
from ssl3d_tf.models import norms

_FINAL = {"max": "MaxPooling{}D", "avg": "AveragePooling{}D", "none": None}


def encoder(
    channels: int,
    *,
    rank: int,
    filters: int = 16,
    levels: int = 4,
    norm: str = "batch",
    dropout: float = 0.5,
    pooling: str = "max",
) -> keras.Model:
    """A functional model [batch, *spatial, channels] -> [batch, *spatial / 2^(levels + 1), filters · 2^levels].

    Weights depend on no size: an encoder trained on patches of 32³ runs on volumes of 128³.

    Args:
        channels: of the volumes.
        rank: spatial rank, 2 or 3.
        filters: of the first level; doubled at each.
        levels: max poolings before the bottleneck.
        norm: 'batch', 'group', 'instance', 'layer' or 'none'.
        dropout: share of values dropped between the two convolutions of a block.
        pooling: after the bottleneck, by 2: 'max', 'avg' or 'none' (down-sampling is then 2^levels).

    Raises:
        InputError: rank, norm or pooling is none of these.
    """
    _check(rank=rank, pooling=pooling)
    new_norm = norms.norm(norm)
    volumes = features = keras.Input((None,) * rank + (channels,), name="volumes")

    def block(inputs: keras.KerasTensor, width: int, name: str) -> keras.KerasTensor:
        outputs = new_norm(width, f"{name}_norm1")(_conv(rank, width, f"{name}_conv1")(inputs))
        outputs = keras.layers.Dropout(dropout, name=f"{name}_dropout")(outputs)
        return new_norm(width, f"{name}_norm2")(_conv(rank, width, f"{name}_conv2")(outputs))

    for level in range(levels):
        features = block(features, filters * 2**level, f"level{level}")
        features = _layer("MaxPooling{}D", rank)(2, name=f"level{level}_pool")(features)
    features = block(features, filters * 2**levels, "bottleneck")
    if final := _FINAL[pooling]:
        features = _layer(final, rank)(2, name="final_pool")(features)
    return keras.Model(volumes, features, name=f"unet_{rank}d")


def skips(model: keras.Model) -> list[keras.KerasTensor]:
    """What a decoder joins to its own features, deepest first: each level's tensor at full resolution of that level.

    Raises:
        InputError: the model is no U-Net encoder.
    """
    pools = [layer for layer in model.layers if layer.name.startswith("level") and layer.name.endswith("_pool")]
    if not pools:
        raise InputError(f"encoder '{model.name}' has no skips; a U-Net decoder needs unet.encoder.")
    return [pool.input for pool in reversed(pools)]


def _check(*, rank: int, pooling: str) -> None:
    if rank not in (2, 3):
        raise InputError(f"rank is {rank}; a U-Net encoder is 2D or 3D: set it to 2 or 3.")
    if pooling not in _FINAL:
        raise InputError(f"pooling is '{pooling}'; it must be one of {', '.join(_FINAL)}.")


def _conv(rank: int, filters: int, name: str) -> keras.layers.Layer:
    options = {"padding": "same", "activation": "relu", "kernel_initializer": "he_normal"}
    return _layer("Conv{}D", rank)(filters, 3, name=name, **options)


def _layer(pattern: str, rank: int) -> type[keras.layers.Layer]:
    return getattr(keras.layers, pattern.format(rank))
