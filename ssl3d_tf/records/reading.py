"""Reads single examples by their place, without TensorFlow: whole volumes for pictures and for evaluation."""

from pathlib import Path

import numpy as np

from ssl3d_tf.records import schema, writer
from ssl3d_tf.records.manifest import Entry, Split


def read_example(folder: Path, split: Split, entry: Entry) -> schema.Example:
    """Reads one example at its offset. Raises InputError where the record is damaged."""
    return schema.decode(writer.read_record(folder / split.shards[entry.shard].file, entry.offset))


def intensities(stored: np.ndarray, example: schema.Example) -> np.ndarray:
    """What `stored` [..., channels], of the volume of `example`, means: float32."""
    scale, offset = (np.asarray(numbers, np.float32) for numbers in (example.scale, example.offset))
    return stored.astype(np.float32) * scale + offset
