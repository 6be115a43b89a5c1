"""Which patches show something: of a patch of air nothing can be learnt, and there is nothing to ask about it.

Standardised, the noise of air is as strong as tissue, and may give away where it lies. So patches without body are made
blank, which is what a patch of one value becomes anyway, and questions about them are left out of loss and accuracy.
"""

import tensorflow as tf

from ssl3d_tf.task import Batch
from ssl3d_tf.views.patches import Looks

LEAST = 0.1  # of a patch's voxels


def body(cut: tf.Tensor, batch: Batch, looks: Looks) -> tf.Tensor | None:
    """Which patches show body, bool [batch, patches]: a share of LEAST of their voxels is above the air of their scan.

    None, so that all count, where the data do not say what air is (`data/body.py`), and where patches are not
    standardised: there air stays dark.

    Args:
        cut: intensities of patches, [batch, patches, *patch, channels]. batch: that they were cut from.
    """
    return _above(cut, batch["air"]) if looks.standardise and "air" in batch else None


def blanked(patches: tf.Tensor, has_body: tf.Tensor | None) -> tf.Tensor:
    """The patches [batch, patches, *patch, channels], 0 where there is no body."""
    if has_body is None:
        return patches
    return tf.where(tf.reshape(has_body, (-1, *has_body.shape[1:], *(1,) * (len(patches.shape) - 2))), patches, 0.0)


@tf.function(jit_compile=True, autograph=False)
def _above(cut: tf.Tensor, air: tf.Tensor) -> tf.Tensor:
    """air: float32 [batch, channels]. Compiled, as everything that passes over every voxel."""
    levels = tf.reshape(air, (-1, *(1,) * (len(cut.shape) - 2), cut.shape[-1]))
    above = tf.cast(tf.reduce_any(cut > levels, axis=-1), tf.float32)
    # Counted, as whole numbers are added exactly in whatever order.
    counted = tf.reduce_sum(above, range(2, len(above.shape)))
    return counted >= LEAST * float(tf.TensorShape(cut.shape[2:-1]).num_elements())
