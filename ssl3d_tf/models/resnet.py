"""ResNet encoders, 2D and 3D, free of the input's size (He et al., 2015, arXiv:1512.03385).

stem: conv 7, stride 2 -> norm -> ReLU -> max pool 3, stride 2; then four stages of blocks with f, 2f, 4f, 8f filters,
each but the first with stride 2; then a pooling over all voxels.
basic block (depth 18 and 34): conv 3 -> norm -> ReLU -> conv 3 -> norm, plus the shortcut, -> ReLU.
bottleneck block (depth 50): conv 1 -> norm -> ReLU -> conv 3 -> norm -> ReLU -> conv 1, 4 times as wide -> norm, …

Norm and ReLU follow the convolutions, as in the paper; the second version of ResNet puts them before. A bottleneck's
stride is that of its conv 3, as is usual today: at the first conv 1 it would leave most voxels unread.
"""

from typing import NamedTuple

import keras

from ssl3d_tf.errors import InputError
from ssl3d_tf.models import norms
from ssl3d_tf.models.pooling import Pool, per_level

_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}  # per stage
_KERNELS = {"standard": 7, "small": 3}  # of the stem
_STRIDES = {"standard": 5, "small": 3}  # how often all axes are halved
_POOLINGS = {"avg": "GlobalAveragePooling{}D", "max": "GlobalMaxPooling{}D", "none": None}


class _Conv(NamedTuple):
    filters: int
    kernel: int
    stride: int | tuple[int, ...] = 1


def encoder(
    channels: int,
    *,
    rank: int,
    depth: int = 18,
    filters: int = 64,
    norm: str = "group",
    pooling: str = "avg",
    stem: str = "standard",
    pool: Pool = None,
) -> keras.Model:
    """A functional model [batch, *spatial, channels] -> [batch, features], or [batch, *spatial / 32, features].

    There are 8 · filters features, 32 · filters for depth 50. Strides round up, so that any size fits; below 32 voxels
    the last stages see little but padding: take the small stem there.

    Args:
        channels: of the volumes.
        rank: spatial rank, 2 or 3.
        depth: 18, 34 or 50.
        filters: of the first stage; doubled at each.
        norm: 'batch', 'group', 'instance', 'layer' or 'none'.
        pooling: over all voxels, at the end: 'avg', 'max', or 'none' for a map.
        stem: 'standard', or 'small': a conv 3 alone, without stride (section 4.2 of the paper); all strides are then 8.
        pool: axes of the strides, as `pooling.per_level`: of the stem, its max pool and stages 2 to 4; of the small
            stem, of these stages alone.

    Raises:
        InputError: rank, depth, norm, pooling, stem or pool is none of these.
    """
    options = {
        "rank": (rank, (2, 3)),
        "depth": (depth, _BLOCKS),
        "pooling": (pooling, _POOLINGS),
        "stem": (stem, _KERNELS),
    }
    for name, (value, known) in options.items():
        if value not in known:
            raise InputError(f"{name} of a ResNet is {value!r}; it must be one of {', '.join(map(str, known))}.")
    volumes = keras.Input((None,) * rank + (channels,), name="volumes")
    one, steps = (1,) * rank, _steps(pool, stem, rank)
    first = steps[0] if stem == "standard" else one
    features = _convolve(volumes, _Conv(filters, _KERNELS[stem], first), norm=norm, name="stem")
    features = keras.layers.ReLU(name="stem_relu")(features)
    if stem == "standard":
        window = tuple(2 * step - 1 for step in steps[1])
        features = _layer("MaxPooling{}D", rank)(window, strides=steps[1], padding="same", name="stem_pool")(features)
    for stage, (blocks, step) in enumerate(zip(_BLOCKS[depth], (one, *steps[-3:]), strict=True)):
        for number in range(blocks):
            convs = _convs(depth, filters * 2**stage, stride=step if number == 0 else one)
            features = _block(features, convs, norm=norm, name=f"stage{stage + 1}_block{number + 1}")
    if last := _POOLINGS[pooling]:
        features = _layer(last, rank)(name="pool")(features)
    return keras.Model(volumes, features, name=f"resnet{depth}_{rank}d")


def _steps(pool: Pool, stem: str, rank: int) -> tuple[tuple[int, ...], ...]:
    number = _STRIDES[stem]
    return per_level(pool, number, rank, counted=f"a ResNet of the {stem} stem has {number} strides")


def _convs(depth: int, filters: int, *, stride: tuple[int, ...]) -> tuple[_Conv, ...]:
    """What a block of a ResNet of this depth is made of."""
    if depth < 50:
        return _Conv(filters, 3, stride), _Conv(filters, 3)
    return _Conv(filters, 1), _Conv(filters, 3, stride), _Conv(4 * filters, 1)


def _block(inputs: keras.KerasTensor, convs: tuple[_Conv, ...], *, norm: str, name: str) -> keras.KerasTensor:
    stride, width = next((conv.stride for conv in convs if conv.stride != 1), 1), convs[-1].filters
    outputs = inputs
    for number, conv in enumerate(convs, start=1):
        outputs = _convolve(outputs, conv, norm=norm, name=f"{name}_{number}")
        if number < len(convs):
            outputs = keras.layers.ReLU(name=f"{name}_relu{number}")(outputs)
    if stride != (1,) * (len(inputs.shape) - 2) or inputs.shape[-1] != width:
        inputs = _convolve(inputs, _Conv(width, 1, stride), norm=norm, name=f"{name}_shortcut")
    outputs = keras.layers.Add(name=f"{name}_add")([inputs, outputs])
    return keras.layers.ReLU(name=f"{name}_relu")(outputs)


def _convolve(inputs: keras.KerasTensor, conv: _Conv, *, norm: str, name: str) -> keras.KerasTensor:
    layer = _layer("Conv{}D", len(inputs.shape) - 2)(
        conv.filters,
        conv.kernel,
        strides=conv.stride,
        padding="same",
        use_bias=norm == "none",  # a norm would take it away again
        kernel_initializer="he_normal",
        name=f"{name}_conv",
    )
    return norms.norm(norm)(conv.filters, f"{name}_norm")(layer(inputs))


def _layer(pattern: str, rank: int) -> type[keras.layers.Layer]:
    return getattr(keras.layers, pattern.format(rank))
