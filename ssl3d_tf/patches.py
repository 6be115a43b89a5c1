"""The patch grid of relative patch location, jigsaw and CPC, and what may happen to single patches.

A view of side S is cut into n cells per axis; cell k covers k·step .. k·step + cell, step = ⌊(S − overlap)/n⌋,
cell = step + overlap. A patch is `jitter` smaller than its cell and lies anywhere in it. Order is row-major.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from ssl3d_tf.errors import InputError


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

    @property
    def overlaps(self) -> bool:
        """Whether neighbours share voxels."""
        return self.patch_size > self.step


class Looks(NamedTuple):
    """What is done to each patch, so that its brightness or a fringe of colour does not give its place away.

    standardise: each to zero mean, unit variance, by `standardise`. intensity_jitter: amount of `jitter_intensity`,
    channel_drop: probability of `drop_channels`, both after that and in training only; 0 is off.
    """

    standardise: bool = True
    intensity_jitter: float = 0.0
    channel_drop: float = 0.0


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
    volumes: tf.Tensor, grid: Grid, offsets: tf.Tensor | None = None, *, chosen: tf.Tensor | None = None
) -> tf.Tensor:
    """Cuts patches of all volumes.

    Args:
        volumes: [batch, *(view_size,) * rank, channels].
        offsets: int32 [batch, n**rank, rank] from `sample_offsets`; None puts every patch in its cell's centre.
        chosen: int32 [batch, patches], row-major numbers of the patches to cut, in order; None is all of them.

    Returns:
        [batch, patches, *(patch_size,) * rank, channels].

    Raises:
        InputError: volumes of another size than the grid's view.
    """
    if tuple(volumes.shape[1:-1]) != (grid.view_size,) * grid.rank:
        raise InputError(
            f"volumes of {'×'.join(map(str, volumes.shape[1:-1]))} voxels do not fit a grid over "
            f"{'×'.join([str(grid.view_size)] * grid.rank)}; set VIEW_SIZE to the size of the views."
        )
    if offsets is None:
        cut = _extract_centred(volumes, grid)
        return cut if chosen is None else tf.gather(cut, chosen, axis=1, batch_dims=1)
    starts = _starts(grid) + offsets
    if chosen is not None:
        starts = tf.gather(starts, chosen, axis=1, batch_dims=1)
    return _cut(volumes, tf.cast(starts, tf.int32), grid.patch_size)


@tf.function(jit_compile=True, autograph=False)
def _cut(volumes: tf.Tensor, starts: tf.Tensor, size: int) -> tf.Tensor:
    """Cubes of `size` voxels from starts, int32 [batch, patches, rank]; compiled, as everything in `volumes`."""
    *spatial, channels = volumes.shape[1:]
    rows = starts[..., None] + tf.range(size)  # [batch, patches, rank, patch]
    index = tf.range(tf.shape(volumes)[0])[:, None]
    for axis, side in enumerate(spatial):  # the voxel's number in the whole batch, one digit of base `side` per axis
        along_axis = tf.reshape(rows[:, :, axis], (-1, rows.shape[1]) + (1,) * axis + (size,))
        index = index[..., None] * side + along_axis
    return tf.gather(tf.reshape(volumes, (-1, channels)), index)


def _extract_centred(volumes: tf.Tensor, grid: Grid) -> tf.Tensor:
    """`extract` where the places are known in advance: whole cells by one transposition, then their centres."""
    rank, n, channels = grid.rank, grid.patches_per_side, volumes.shape[-1]
    cell = grid.patch_size + grid.jitter
    if grid.overlaps:  # neighbours share voxels: lay them out twice first
        index = (np.arange(n)[:, None] * grid.step + np.arange(cell)).reshape(-1)
        for axis in range(1, rank + 1):
            volumes = tf.gather(volumes, index, axis=axis)
    used = volumes[(slice(None), *(slice(n * cell),) * rank)]
    blocks = tf.reshape(used, (-1, *(n, cell) * rank, channels))  # [batch, n, cell, n, cell, ..., channels]
    cells_first = (0, *range(1, 2 * rank, 2), *range(2, 2 * rank + 1, 2), 2 * rank + 1)
    cells = tf.reshape(tf.transpose(blocks, cells_first), (-1, grid.total, *(cell,) * rank, channels))
    first = grid.jitter // 2
    return cells[(slice(None), slice(None), *(slice(first, first + grid.patch_size),) * rank)]


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
    spatial = tuple(range(2, len(patches.shape) - 1))
    mean, variance = tf.nn.moments(patches, spatial, keepdims=True)
    return (patches - mean) * tf.math.rsqrt(variance + epsilon)


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
