"""U-Net encoder, 2D and 3D, free of the input's size (Ronneberger et al., 2015, arXiv:1505.04597).

level 0..L−1: block(f · 2^level) -> max pool 2; then the bottleneck block(f · 2^L); then the final pooling. Which axes
are pooled, POOL says.
block: conv 3 ReLU -> norm -> dropout -> conv 3 ReLU -> norm. The skip of a level is what its max pool reads.
"""

import keras

from ssl3d_tf.errors import InputError
from ssl3d_tf.models import norms
from ssl3d_tf.models.dropout import Dropout
from ssl3d_tf.models.pooling import Pool, per_level
from ssl3d_tf.models.pooling import factors as factors_of

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
    pool: Pool = None,
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
        pool: which axes each level pools, as `pooling.per_level`; the final pooling is of those of the last level.

    Raises:
        InputError: rank, norm, pooling or pool is none of these.
    """
    _check(rank=rank, pooling=pooling)
    steps = per_level(pool, levels, rank, counted=f"LEVELS is {levels}")
    volumes = features = keras.Input((None,) * rank + (channels,), name="volumes")
    for level in range(levels):
        features = block(features, filters * 2**level, f"level{level}", norm=norm, dropout=dropout)
        features = layer("MaxPooling{}D", rank)(steps[level], name=f"level{level}_pool")(features)
    features = block(features, filters * 2**levels, "bottleneck", norm=norm, dropout=dropout)
    if final := _FINAL[pooling]:
        features = layer(final, rank)(steps[-1] if steps else 2, name="final_pool")(features)
    return keras.Model(volumes, features, name=f"unet_{rank}d")


def block(inputs: keras.KerasTensor, width: int, name: str, *, norm: str, dropout: float) -> keras.KerasTensor:
    """One block of encoder or decoder: [batch, *spatial, channels] -> [batch, *spatial, width].

    Raises:
        InputError: no such norm.
    """
    conv, new_norm = layer("Conv{}D", len(inputs.shape) - 2), norms.norm(norm)
    options = {"padding": "same", "activation": "relu", "kernel_initializer": "he_normal"}
    outputs = new_norm(width, f"{name}_norm1")(conv(width, 3, name=f"{name}_conv1", **options)(inputs))
    outputs = Dropout(dropout, name=f"{name}_dropout")(outputs)
    return new_norm(width, f"{name}_norm2")(conv(width, 3, name=f"{name}_conv2", **options)(outputs))


def bottleneck(model: keras.Model) -> keras.KerasTensor:
    """The deepest features of a U-Net encoder at full resolution: what the final pooling reads, if there is one."""
    final = model.layers[-1]
    return final.input if final.name == "final_pool" else model.output


def skips(model: keras.Model) -> list[keras.KerasTensor]:
    """What a decoder joins to its own features, deepest first: each level's tensor at full resolution of that level.

    Raises:
        InputError: the model is no U-Net encoder.
    """
    pools = _pools(model)
    if not pools:
        raise InputError(f"encoder '{model.name}' has no skips; a U-Net decoder needs unet.encoder.")
    return [pool.input for pool in reversed(pools)]


def factors(model: keras.Model) -> tuple[int, ...]:
    """By how much each axis is pooled before the bottleneck: 2^levels, or what POOL says; 1 of what is no U-Net."""
    return factors_of(pools(model), len(model.input_shape) - 2)


def pools(model: keras.Model) -> list[tuple[int, ...]]:
    """By how much each level pools each axis, deepest first; nothing of what is no U-Net encoder."""
    return [pool.pool_size for pool in reversed(_pools(model))]


def has_skips(model: keras.Model) -> bool:
    """Whether the model is a U-Net encoder, as a decoder needs one."""
    return bool(_pools(model))


def _pools(model: keras.Model) -> list[keras.layers.Layer]:
    return [layer for layer in model.layers if layer.name.startswith("level") and layer.name.endswith("_pool")]


def _check(*, rank: int, pooling: str) -> None:
    if rank not in (2, 3):
        raise InputError(f"rank is {rank}; a U-Net encoder is 2D or 3D: set it to 2 or 3.")
    if pooling not in _FINAL:
        raise InputError(f"pooling is '{pooling}'; it must be one of {', '.join(_FINAL)}.")


def layer(pattern: str, rank: int) -> type[keras.layers.Layer]:
    """Keras' layer for that many spatial axes: ('Conv{}D', 3) -> keras.layers.Conv3D."""
    return getattr(keras.layers, pattern.format(rank))
