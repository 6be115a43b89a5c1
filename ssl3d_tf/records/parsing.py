"""One serialised record -> tensors, in the graph. The writing side is `records/schema.py`."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import tensorflow as tf

from ssl3d_tf.records.manifest import Manifest

CODEC_TO_TF = {"raw": "", "zlib": "ZLIB"}


class Layout(NamedTuple):
    """What is the same for every record of a data set, and so known before the graph is built."""

    rank: int
    channels: int
    dtypes: tuple[str, ...]
    mask_dtypes: tuple[str, ...]
    codec: str
    label_size: int


def layout(manifest: Manifest) -> Layout:
    """The layout of the data set of that manifest."""
    return Layout(
        rank=manifest.rank,
        channels=len(manifest.channels),
        dtypes=manifest.dtypes,
        mask_dtypes=manifest.mask_dtypes,
        codec=manifest.codec,
        label_size=manifest.label_size,
    )


def parse(record: tf.Tensor, layout: Layout, *, fields: Sequence[str] = ("volume",)) -> Mapping[str, tf.Tensor]:
    """Decodes the wanted fields of a scalar string tensor; what is not wanted is not decoded.

    Returns:
        volume: [*spatial, channels] in storage dtype (float32 where a data set mixes dtypes);
        scale, offset: float32 [channels]; mask: int32 [*spatial]; label: float32 [label_size].
    """
    features = tf.io.parse_single_example(record, _features(layout, fields))
    example = {"scale": features["scale"], "offset": features["offset"]}
    voxels = _decode(features["volume"], features["dtype"], layout.dtypes, layout.codec)
    example["volume"] = tf.ensure_shape(
        tf.reshape(voxels, features["shape"]), (None,) * layout.rank + (layout.channels,)
    )
    if "mask" in fields:
        mask = _decode(features["mask"], features["mask_dtype"], layout.mask_dtypes, layout.codec)
        example["mask"] = tf.cast(tf.reshape(mask, features["shape"][:-1]), tf.int32)
    if "label" in fields:
        example["label"] = features["label"]
    return example


def _features(layout: Layout, fields: Sequence[str]) -> dict[str, tf.io.FixedLenFeature]:
    text = tf.io.FixedLenFeature([], tf.string)
    features = {
        "volume": text,
        "dtype": text,
        "shape": tf.io.FixedLenFeature([layout.rank + 1], tf.int64),
        "scale": tf.io.FixedLenFeature([layout.channels], tf.float32),
        "offset": tf.io.FixedLenFeature([layout.channels], tf.float32),
    }
    if "mask" in fields:
        features |= {"mask": text, "mask_dtype": text}
    if "label" in fields:
        features["label"] = tf.io.FixedLenFeature([layout.label_size], tf.float32)
    return features


def _decode(payload: tf.Tensor, dtype: tf.Tensor, dtypes: Sequence[str], codec: str) -> tf.Tensor:
    if codec != "raw":
        payload = tf.io.decode_compressed(payload, CODEC_TO_TF[codec])
    if len(dtypes) == 1:
        return tf.io.decode_raw(payload, dtypes[0])
    branches = [lambda name=name: tf.cast(tf.io.decode_raw(payload, name), tf.float32) for name in dtypes]
    return tf.switch_case(tf.argmax(tf.equal(dtype, dtypes), output_type=tf.int32), branches)
