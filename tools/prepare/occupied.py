"""Where a volume, as it is stored, shows something: air by the whole volume, cells by each part of it."""

import numpy as np

from ssl3d_tf.data.records import occupancy
from ssl3d_tf.data.records.entry import Body
from ssl3d_tf.data.records.schema import Example
from tools.voxels import foreground
from tools.voxels.pieces import sample

SAMPLE = 100_000  # voxels at most that air is told by


def air(volume: np.ndarray) -> tuple[float, ...]:
    """Of each channel of a stored volume [*spatial, channels] the number up to which there is air.

    Between two whole numbers where those are stored, so that rounding of intensities decides nothing.
    """
    levels = map(foreground.air, np.moveaxis(sample(volume, SAMPLE, rank=volume.ndim - 1), -1, 0))
    return tuple(levels) if volume.dtype.kind == "f" else tuple(float(np.floor(level)) + 0.5 for level in levels)


def body(part: Example, air: tuple[float, ...]) -> Body:
    """Of a volume, a brick or a slice, with `air` of the whole."""
    pairs = zip(air, part.scale, part.offset, strict=True)
    intensities = tuple(float(np.float32(level * scale + offset)) for level, scale, offset in pairs)
    return Body(intensities, occupancy.text(part.volume, air))
