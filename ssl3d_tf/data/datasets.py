"""One split of a data folder as a plain tf.data.Dataset of single volumes, for who trains with Keras or by hand."""

import os
from collections.abc import Mapping, Sequence

import tensorflow as tf

from ssl3d_tf.data import cropping
from ssl3d_tf.data.folders import DataFolder, open_folder
from ssl3d_tf.data.options import options
from ssl3d_tf.data.records import columns, fetching, parsing
from ssl3d_tf.data.records.entry import Entry
from ssl3d_tf.errors import InputError
from ssl3d_tf.views import sizes
from ssl3d_tf.views.sizes import Size

_FIELDS = ("mask", "label")


def dataset(
    folder: str | os.PathLike[str] | DataFolder,
    split: str,
    *,
    view_size: Size | None = None,
    fields: Sequence[str] = _FIELDS,
) -> tf.data.Dataset:
    """The volumes of a split, one by one, in stored order; shuffle, batch, map and repeat as you like.

    Volumes of different shapes come as they are and fit into no batch, unless they are cut to `view_size`. Of a data
    set in bricks every brick is an element. Every record's checksum is verified whenever it is read.

    Args:
        folder: made by tools.to_tfrecord, here or gs://, or what `open_data` returned.
        split: 'train', 'val' or 'test'.
        view_size: voxels cut from the centre of each volume, a number per axis or one for all; smaller volumes are
            padded with their minimum per channel, masks with 0. None takes volumes whole.
        fields: what to read beside id and volume, of mask and label; what the data set lacks is left out.

    Returns:
        A dataset of dicts: id: string; volume: float32 [*spatial, channels], in the intensities of the data set's
        recipe; mask: int32 [*spatial]; label: float32 [label_size]. An example without a mask in a data set with masks
        has one of −1, and without a label one of NaN. Masks hold what is stored,
        the manifest's `ignore_label` too. Damage is a DataLossError when it is come upon.

    Raises:
        InputError: no data folder, no such split, a size below 1, or another field.
    """
    if unknown := set(fields) - set(_FIELDS):
        raise InputError(f"fields has {', '.join(sorted(unknown))}; it may have {' and '.join(_FIELDS)}.")
    data = folder if isinstance(folder, DataFolder) else open_folder(folder)
    view = None if view_size is None else sizes.sides(view_size, data.manifest.rank, knob="view_size")
    found, layout = data.manifest.split(split), parsing.layout(data.manifest)
    with tf.device("CPU:0"):  # where the dataset's maps run
        record, numbers = fetching.record_by_index(data.path, found), _numbers(data, found.entries, fields)
    shape = _common_shape(found.entries, view)

    def example(index: tf.Tensor) -> dict[str, tf.Tensor]:
        given = {name: tf.gather(values, index) for name, values in numbers.items()}
        has_mask = given.pop("has_mask", None)
        parsed = dict(_parse(record(index), layout, has_mask))
        if view is not None:
            parsed |= cropping.crop(parsed, view, seed=None)
        volume = tf.cast(parsed["volume"], tf.float32) * parsed["scale"] + parsed["offset"]
        given["volume"] = tf.ensure_shape(volume, (*shape, layout.channels))
        if has_mask is not None:
            given["mask"] = tf.ensure_shape(tf.where(has_mask, parsed["mask"], -1), shape)
        return given

    examples = tf.data.Dataset.range(len(found.entries)).map(example, tf.data.AUTOTUNE)
    return examples.prefetch(1).with_options(options())


def _parse(text: tf.Tensor, layout: parsing.Layout, has_mask: tf.Tensor | None) -> Mapping[str, tf.Tensor]:
    """What `parsing.parse` returns, with a mask if `has_mask` is given: of zeros where that is false."""
    if has_mask is None:
        return parsing.parse(text, layout)

    def without() -> dict[str, tf.Tensor]:
        parsed = parsing.parse(text, layout)
        return {**parsed, "mask": tf.zeros(tf.shape(parsed["volume"])[:-1], tf.int32)}

    return tf.cond(has_mask, lambda: dict(parsing.parse(text, layout, fields=("volume", "mask"))), without)


def _numbers(data: DataFolder, entries: Sequence[Entry], fields: Sequence[str]) -> dict[str, tf.Tensor]:
    """What the manifest says of every example: tensors with one row each."""
    found = columns.of(entries)
    numbers = {"id": tf.constant([*found.texts("id")])}
    if size := data.manifest.label_size if "label" in fields else 0:
        numbers["label"] = tf.constant(columns.labels(found, size))
    if "mask" in fields and data.manifest.mask_dtypes:
        numbers["has_mask"] = tf.constant(columns.dense(found, "mask_dtype") >= 0)
    return numbers


def _common_shape(entries: Sequence[Entry], view: tuple[int, ...] | None) -> tuple[int | None, ...]:
    """The spatial shape as far as it is the same for all, so that Keras knows it before it has seen any."""
    if view is not None:
        return view
    shapes = columns.dense(entries, "shape")[:, :-1]
    return tuple(int(sides[0]) if (sides == sides[0]).all() else None for sides in shapes.T)
