"""The patch grid of relative patch location, jigsaw and CPC, and what may happen to single patches.

A view of side S is cut into n cells per axis; cell k covers k·step .. k·step + cell, step = ⌊(S − overlap)/n⌋,
cell = step + overlap. A patch is `jitter` smaller than its cell and lies anywhere in it. Order is row-major.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from ssl3d_tf.errors import InputError
from ssl3d_tf.views import separable
from ssl3d_tf.views.volumes import Scaling, mean_over, to_intensity


class Grid(NamedTuple):
    """Where patches lie; lengths in voxels. Made by `grid`."""

    rank: int
    view_size: int
    patches_per_side: int
    step: int
    jitter: int
    patch_size: int

    @property
    def total(self) -> int:
        """Patches of one view: n**rank."""
        return self.patches_per_side**self.rank


class Looks(NamedTuple):
    """What is done to each patch, so that its brightness or a fringe of colour does not give its place away.

    standardise: each to zero mean, unit variance, by `standardise`. intensity_jitter: amount of `jitter_intensity`,
    channel_drop: probability of `drop_channels`, both after that and in training only; 0 is off.
    """

    standardise: bool = True
    intensity_jitter: float = 0.0
    channel_drop: float = 0.0


class Framing(NamedTuple):
    """How a cropped patch gets its size back: (rows, size) -> rows, then (patches, size) -> patches."""

    rows: Callable[[tf.Tensor, int], tf.Tensor]
    patches: Callable[[tf.Tensor, int], tf.Tensor]


def resizing() -> Framing:
    """By linear interpolation: no frame is seen."""
    return Framing(lambda rows, size: rows, separable.resize)


def padding() -> Framing:
    """By zeros around it, as in the published program."""

    def pad(rows: tf.Tensor, size: int) -> tf.Tensor:
        missing = size - rows.shape[-1]
        return tf.pad(rows, ((0, 0),) * 3 + ((missing // 2, missing - missing // 2),), constant_values=-1)

    return Framing(pad, lambda patches, size: patches)


def grid(view_size: int, patches_per_side: int, *, rank: int, jitter: int | None = 0, overlap: int = 0) -> Grid:
    """Cuts a view of side `view_size` into `patches_per_side` cells per axis.

    Args:
        jitter: room of a patch in its cell; None is a quarter of the cell.
        overlap: of neighbouring cells; not together with jitter.

    Raises:
        InputError: jitter and overlap are both set, or nothing of the patch is left.
    """
    step = (view_size - overlap) // patches_per_side
    cell = step + overlap
    jitter = cell // 4 if jitter is None else jitter
    given = f"view {view_size}, PATCHES_PER_SIDE {patches_per_side}, PATCH_JITTER {jitter}, overlap {overlap}"
    if min(jitter, overlap) < 0 or (jitter > 0 and overlap > 0):
        raise InputError(f"{given}: jitter and overlap must not be negative, and one of them must be 0.")
    if step < 1 or cell <= jitter:
        raise InputError(f"{given} leaves no voxel of a patch; raise VIEW_SIZE or lower the others.")
    return Grid(rank, view_size, patches_per_side, step, jitter, cell - jitter)


def sample_offsets(grid: Grid, seed: tf.Tensor) -> tf.Tensor:
    """int32 [n**rank, rank] in 0..jitter: where in its cell each patch begins. In evaluation it is jitter // 2."""
    return tf.random.stateless_uniform((grid.total, grid.rank), seed, 0, grid.jitter + 1, tf.int32)


def extract(
    volumes: tf.Tensor,
    grid: Grid,
    offsets: tf.Tensor | None = None,
    *,
    chosen: tf.Tensor | None = None,
    scaling: Scaling = None,
) -> tf.Tensor:
    """Cuts patches of all volumes; arguments are those of `rows` and `gather`.

    Returns:
        [batch, patches, *(patch_size,) * rank, channels].

    Raises:
        InputError: volumes of another size than the grid's view.
    """
    return gather(volumes, grid, rows(grid, offsets, chosen=chosen), scaling=scaling)


def rows(grid: Grid, offsets: tf.Tensor | None = None, *, chosen: tf.Tensor | None = None) -> tf.Tensor:
    """Where the voxels of patches lie: int32 [batch or 1, patches, rank, patch_size], numbers on each axis of the view.

    Args:
        offsets: int32 [batch, n**rank, rank] from `sample_offsets`; None puts every patch in its cell's centre.
        chosen: int32 [batch, patches], row-major numbers of the patches to cut, in order; None is all of them.
    """
    starts = tf.cast(_starts(grid) + (grid.jitter // 2 if offsets is None else offsets), tf.int32)
    starts = starts[None] if offsets is None else starts
    if chosen is not None:
        starts = tf.gather(tf.broadcast_to(starts, (tf.shape(chosen)[0], *starts.shape[1:])), chosen, batch_dims=1)
    return starts[..., None] + tf.range(grid.patch_size)


def gather(volumes: tf.Tensor, grid: Grid, rows: tf.Tensor, *, scaling: Scaling = None) -> tf.Tensor:
    """Takes the voxels at `rows`, of any length and order; 0 where one is negative.

    Args:
        volumes: [batch, *(view_size,) * rank, channels].
        rows: as those of the function of this name.
        scaling: of volumes that hold numbers as stored; 0 is of the intensities.

    Raises:
        InputError: volumes of another size than the grid's view.
    """
    if tuple(volumes.shape[1:-1]) != (grid.view_size,) * grid.rank:
        raise InputError(
            f"volumes of {'×'.join(map(str, volumes.shape[1:-1]))} voxels do not fit a grid over "
            f"{'×'.join([str(grid.view_size)] * grid.rank)}; set VIEW_SIZE to the size of the views."
        )
    return _gather(volumes, rows, scaling)


@tf.function(jit_compile=True, autograph=False)
def _gather(volumes: tf.Tensor, rows: tf.Tensor, scaling: Scaling) -> tf.Tensor:
    """Compiled, as everything in `volumes`."""
    *spatial, channels = volumes.shape[1:]
    index, inside = tf.range(tf.shape(volumes, tf.int64)[0])[:, None], tf.constant(True)
    for axis, side in enumerate(spatial):  # the voxel's number in the whole batch, one digit of base `side` per axis
        along_axis = tf.reshape(rows[:, :, axis], (-1, rows.shape[1]) + (1,) * axis + (rows.shape[-1],))
        index = index[..., None] * side + tf.cast(tf.maximum(along_axis, 0), tf.int64)
        inside = inside[..., None] & (along_axis >= 0)
    found = to_intensity(tf.gather(tf.reshape(volumes, (-1, channels)), index), scaling)
    return tf.where(inside[..., None], found, tf.zeros((), found.dtype))


def _starts(grid: Grid) -> np.ndarray:
    """int32 [n**rank, rank]: where each cell begins."""
    cells = np.indices((grid.patches_per_side,) * grid.rank, dtype=np.int32)
    return cells.reshape(grid.rank, -1).T * np.int32(grid.step)


def sample_looks(looks: Looks, number: int, seeds: Sequence[tf.Tensor]) -> dict[str, tf.Tensor]:
    """One example's choices for `change_looks` of that many patches, from two seeds; what is off has no entry."""
    params = {}
    if looks.intensity_jitter:
        params["intensity"] = tf.random.stateless_uniform((number, 2), seeds[0], -1.0, 1.0)
    if looks.channel_drop:
        params["channels"] = tf.random.stateless_uniform((number, 2), seeds[1])
    return params


def sample_cut(grid: Grid, looks: Looks, seed: tf.Tensor, *, number: int) -> dict[str, tf.Tensor]:
    """One example's 'offsets' for `extract` and choices for `change_looks` of `number` patches, as `sample_looks`."""
    offsets_seed, *looks_seeds = tf.unstack(tf.random.split(seed, 3))
    offsets = {"offsets": sample_offsets(grid, offsets_seed)} if grid.jitter else {}
    return offsets | sample_looks(looks, number, looks_seeds)


def change_looks(patches: tf.Tensor, looks: Looks, params: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """[batch, patches, *patch, channels] to the same; params of `sample_looks`, batched, or without them."""
    if looks.standardise:
        patches = standardise(patches)
    if "intensity" in params:
        patches = jitter_intensity(patches, params["intensity"], amount=looks.intensity_jitter)
    if "channels" in params:
        patches = drop_channels(patches, params["channels"], probability=looks.channel_drop)
    return patches


@tf.function(jit_compile=True, autograph=False)
def standardise(patches: tf.Tensor, *, epsilon: float = 1e-5) -> tf.Tensor:
    """Each channel of each patch to zero mean and unit variance: [batch, patches, *patch, channels] to the same.

    `epsilon` is added to the variance, in squared units of intensity: a constant patch becomes zero, not noise.
    """
    spatial = range(2, len(patches.shape) - 1)
    centred = patches - mean_over(patches, spatial)
    return centred * tf.math.rsqrt(mean_over(tf.square(centred), spatial) + epsilon)


def jitter_intensity(patches: tf.Tensor, draws: tf.Tensor, *, amount: float) -> tf.Tensor:
    """x · (1 + amount · a) + amount · b per patch, with draws (a, b) [batch, patches, 2] in −1..1."""
    factor, shift = tf.unstack(amount * _beside(draws, patches), axis=-1)
    return patches * (1.0 + factor[..., None]) + shift[..., None]


def drop_channels(patches: tf.Tensor, draws: tf.Tensor, *, probability: float) -> tf.Tensor:
    """Sets all channels but one, a random one, of some patches to 0; draws [batch, patches, 2] uniform in 0..1."""
    whether, which = tf.unstack(_beside(draws, patches), axis=-1)
    kept = tf.cast(which * patches.shape[-1], tf.int32)
    keeps = (whether >= probability)[..., None] | (tf.range(patches.shape[-1]) == kept[..., None])
    return tf.where(keeps, patches, 0.0)


def _beside(draws: tf.Tensor, patches: tf.Tensor) -> tf.Tensor:
    """[batch, patches, k] -> [batch, patches, 1, ..., k], to broadcast over the voxels."""
    ones = (1,) * (len(patches.shape) - 3)
    return tf.reshape(draws, (-1, patches.shape[1], *ones, draws.shape[-1]))
