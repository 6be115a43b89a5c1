"""One serialised record -> tensors, in the graph. The writing side is `records/schema.py`."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import tensorflow as tf

from ssl3d_tf.data.records.manifest import Manifest

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
    example = {name: features[name] for name in ("scale", "offset", "label") if name in features}
    example["volume"] = _decode(features["volume"], features["dtype"], layout.dtypes, layout.codec)
    if "mask" in fields:
        example["mask"] = _decode(features["mask"], features["mask_dtype"], layout.mask_dtypes, layout.codec)
    return shaped(example, features["shape"], layout)


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
    text = decompressed(payload, codec)
    return by_dtype(lambda name: tf.io.decode_raw(text, name), dtype, dtypes)


def decompressed(payload: tf.Tensor, codec: str) -> tf.Tensor:
    """The bytes of voxels, a string scalar."""
    return payload if codec == "raw" else tf.io.decode_compressed(payload, CODEC_TO_TF[codec])


def by_dtype(read: Callable[[str], tf.Tensor], dtype: tf.Tensor, dtypes: Sequence[str]) -> tf.Tensor:
    """read(dtype), dtype a string scalar out of `dtypes`; as float32 where there are several."""
    if len(dtypes) == 1:
        return read(dtypes[0])
    branches = [lambda name=name: tf.cast(read(name), tf.float32) for name in dtypes]
    return tf.switch_case(tf.argmax(tf.equal(dtype, dtypes), output_type=tf.int32), branches)


def shaped(fields: Mapping[str, tf.Tensor], shape: tf.Tensor, layout: Layout) -> dict[str, tf.Tensor]:
    """Voxels as they were read, in their shape with channels: volume and where it is there mask, as int32."""
    static = (None,) * layout.rank + (layout.channels,)
    found = {**fields, "volume": tf.ensure_shape(tf.reshape(fields["volume"], shape), static)}
    if "mask" in fields:
        found["mask"] = tf.cast(tf.reshape(fields["mask"], shape[:-1]), tf.int32)
    return found
