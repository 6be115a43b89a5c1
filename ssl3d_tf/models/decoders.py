"""U-Net decoders, 2D and 3D: builders of (encoder, classes) -> model of logits at every voxel, without softmax.

bottleneck -> for each level, deepest first: transposed conv 2, stride 2, along the axes that the level pools, half the
filters -> join with the level's skip -> block, as in the encoder -> conv 1, the logits.
Ronneberger et al., 2015, arXiv:1505.04597.
"""

from collections.abc import Callable

import keras

from ssl3d_tf.errors import InputError
from ssl3d_tf.models import fitting, pooling, unet

Decoder = Callable[[keras.Model, int], keras.Model]

_STARTS = ("bottleneck", "pooled")
_STAGE, _UNPOOL = "decoder_level", "unpool"  # what layers are called


def unet_2d_upconv(*, norm: str = "batch", dropout: float = 0.5, start: str = "bottleneck") -> Decoder:
    """The decoder of a 2D U-Net encoder: see `unet_3d_upconv`."""
    return _decoder("unet_2d_upconv", 2, patches_per_side=1, norm=norm, dropout=dropout, start=start)


def unet_3d_upconv(*, norm: str = "batch", dropout: float = 0.5, start: str = "bottleneck") -> Decoder:
    """The decoder of a 3D U-Net encoder.

    (encoder, classes) -> model [batch, *spatial, channels] -> float32 logits [batch, *spatial, classes]. Any size will
    do: it is lengthened at the far end to what the encoder can halve, by repeating the last slice, and the logits are
    cut back. The encoder is one nested model, with its own weights under their own names; `encoder.trainable = False`
    freezes its weights, batch statistics and dropout.

    Args:
        norm: 'batch', 'group', 'instance', 'layer' or 'none'.
        dropout: share of values dropped between the two convolutions of a block.
        start: what is decoded first: 'bottleneck', what the encoder's final pooling reads, or 'pooled', its result
            enlarged again (nearest), as published; the same for an encoder without.

    Raises:
        InputError: now, if start is neither; from the builder, if the encoder is no U-Net or of another rank.
    """
    return _decoder("unet_3d_upconv", 3, patches_per_side=1, norm=norm, dropout=dropout, start=start)


def unet_3d_upconv_patches(
    *, patches_per_side: int, norm: str = "batch", dropout: float = 0.5, start: str = "bottleneck"
) -> Decoder:
    """As `unet_3d_upconv`, but the encoder sees patches only, as it did in relative patch location, jigsaw or CPC.

    The volume is cut into n = `patches_per_side` patches per axis, without overlap, each is encoded on its own, and
    bottleneck and skips are put back in place before they are decoded together. Sizes are lengthened as needed to
    multiples of n · what the levels pool by. (The published program decodes each patch on its own and cannot run.)

    Raises:
        InputError: as `unet_3d_upconv`, and if n < 1.
    """
    name = "unet_3d_upconv_patches"
    return _decoder(name, 3, patches_per_side=patches_per_side, norm=norm, dropout=dropout, start=start)


def with_features(decoder: keras.Model, encoder: keras.Model) -> keras.Model:
    """One pass for two heads: volumes -> [what the encoder ends with, the logits].

    decoder: made of `encoder` by one of the above, but for that of patches.
    """
    deepest = next(layer for layer in decoder.layers if layer.name.startswith(_STAGE))  # in order of the pass
    if any(layer.name == _UNPOOL for layer in decoder.layers):
        features = decoder.get_layer(_UNPOOL).input
    elif encoder.output is unet.bottleneck(encoder):
        features = deepest.input
    else:
        features = encoder.layers[-1](deepest.input)
    return keras.Model(decoder.input, [features, decoder.output], name=decoder.name)


def within(model: keras.Model) -> keras.Model:
    """The decoder, with its encoder, that `model` is or holds.

    Raises:
        InputError: it has none.
    """
    for one in (model, *model.layers):
        if isinstance(one, keras.Model) and any(layer.name.startswith(_STAGE) for layer in one.layers):
            return one
    raise InputError(f"model '{model.name}' has no decoder to keep; set run.Settings.keeps = ('encoder',).")


def _decoder(name: str, rank: int, *, patches_per_side: int, norm: str, dropout: float, start: str) -> Decoder:
    if start not in _STARTS or patches_per_side < 1:
        given = f"{name}: start is '{start}', patches_per_side {patches_per_side}"
        raise InputError(f"{given}; they must be one of {', '.join(_STARTS)}, and at least 1.")

    def decoder(encoder: keras.Model, classes: int) -> keras.Model:
        _check(name, rank, encoder)
        volumes = keras.Input(encoder.input_shape[1:], name="volumes")
        features, *skips = _encoded(encoder, volumes, start=start, patches_per_side=patches_per_side)
        for level, skip, step in zip(reversed(range(len(skips))), skips, unet.pools(encoder), strict=True):
            stage, width = f"{_STAGE}{level}", skip.shape[-1]
            features = unet.layer("Conv{}DTranspose", rank)(width, step, strides=step, name=f"{stage}_up")(features)
            joined = keras.layers.Concatenate(name=f"{stage}_join")([features, skip])
            features = unet.block(joined, width, stage, norm=norm, dropout=dropout)
        # float32 whatever the precision: bfloat16 logits round a softmax to two digits.
        logits = unet.layer("Conv{}D", rank)(classes, 1, dtype="float32", name="logits")(features)
        return keras.Model(volumes, fitting.CropLike(dtype="float32", name="crop")([logits, volumes]), name=name)

    return decoder


def _check(name: str, rank: int, encoder: keras.Model) -> None:
    if not unet.has_skips(encoder):
        raise InputError(
            f"{name} joins the skips of a U-Net, encoder '{encoder.name}' has none; take unet.encoder, "
            "or one of the heads in ssl3d_tf.models.heads for labels of whole images."
        )
    if len(encoder.input_shape) - 2 != rank:
        raise InputError(f"{name} is {rank}D, encoder '{encoder.name}' is not; take unet_{5 - rank}d_upconv.")


def _encoded(
    encoder: keras.Model, volumes: keras.KerasTensor, *, start: str, patches_per_side: int
) -> list[keras.KerasTensor]:
    """What is decoded first, then the skips, deepest first: each map twice as long as the one before."""
    bottleneck, skips, n = unet.bottleneck(encoder), unet.skips(encoder), patches_per_side
    pooled = start == "pooled" and encoder.output is not bottleneck
    first = encoder.output if pooled else bottleneck
    # The same layers and weights under the same names, with more outputs.
    maps_of = keras.Model(encoder.input, [first, *skips], name=encoder.name)
    steps = unet.pools(encoder)
    last = [encoder.layers[-1].pool_size] if pooled else []
    multiple = [n * factor for factor in pooling.factors([*steps, *last], len(volumes.shape) - 2)]
    inputs = fitting.PadToMultiple(multiple, name="pad")(volumes)
    if n == 1:
        maps = maps_of(inputs)
    else:
        patches = fitting.ToPatches(n, name="to_patches")(inputs)
        maps = [fitting.FromPatches(n, name=f"from_patches{k}")(each) for k, each in enumerate(maps_of(patches))]
    if pooled:
        maps = [unet.layer("UpSampling{}D", len(volumes.shape) - 2)(*last, name=_UNPOOL)(maps[0]), *maps[1:]]
    return maps
