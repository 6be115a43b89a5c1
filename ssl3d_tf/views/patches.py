"""The patch grid of relative patch location, jigsaw and CPC, and what may happen to single patches.

An axis of S voxels is cut into n cells; cell k covers k·step .. k·step + cell, step = ⌊(S − overlap)/n⌋,
cell = step + overlap. A patch is `jitter` smaller than its cell and lies anywhere in it. Order is row-major.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from ssl3d_tf.errors import InputError
from ssl3d_tf.views import draws, separable, sizes
from ssl3d_tf.views.sizes import Size
from ssl3d_tf.views.volumes import Scaling, mean_over, to_intensity


class Grid(NamedTuple):
    """Where patches lie; lengths in voxels, per axis. Made by `grid`."""

    view_size: tuple[int, ...]
    patches_per_side: int
    step: tuple[int, ...]
    jitter: tuple[int, ...]
    patch_size: tuple[int, ...]

    @property
    def rank(self) -> int:
        """Spatial axes."""
        return len(self.view_size)

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
    """How a cropped patch gets its size back: (rows of an axis, side) -> rows, then (patches, sides) -> patches."""

    rows: Callable[[tf.Tensor, int], tf.Tensor]
    patches: Callable[[tf.Tensor, Sequence[int]], tf.Tensor]


def resizing() -> Framing:
    """By linear interpolation: no frame is seen."""
    return Framing(lambda rows, side: rows, separable.resize)


def padding() -> Framing:
    """By zeros around it, as in the published program."""

    def pad(rows: tf.Tensor, side: int) -> tf.Tensor:
        missing = side - rows.shape[-1]
        return tf.pad(rows, ((0, 0),) * 2 + ((missing // 2, missing - missing // 2),), constant_values=-1)

    return Framing(pad, lambda patches, sides: patches)


def grid(view_size: Size, patches_per_side: int, *, rank: int, jitter: int | None = 0, overlap: Size = 0) -> Grid:
    """Cuts a view of `view_size` voxels, per axis or of all axes, into `patches_per_side` cells per axis.

    Args:
        jitter: room of a patch in its cell; None is a quarter of the cell.
        overlap: of neighbouring cells; not together with jitter.

    Raises:
        InputError: jitter and overlap are both set, or nothing of the patch is left.
    """
    view, overlaps = sizes.sides(view_size, rank), sizes.sides(overlap, rank, knob="overlap", least=0)
    steps = tuple((side - over) // patches_per_side for side, over in zip(view, overlaps, strict=True))
    cells = tuple(map(sum, zip(steps, overlaps, strict=True)))
    jitters = tuple(cell // 4 if jitter is None else jitter for cell in cells)
    given = f"view {sizes.text(view)}, PATCHES_PER_SIDE {patches_per_side}, PATCH_JITTER {jitter}, overlap {overlap}"
    if min(jitters) < 0 or (max(jitters) > 0 and max(overlaps) > 0):
        raise InputError(f"{given}: jitter and overlap must not be negative, and one of them must be 0.")
    patch = tuple(cell - room for cell, room in zip(cells, jitters, strict=True))
    if min(*steps, *patch) < 1:
        raise InputError(f"{given} leaves no voxel of a patch; raise VIEW_SIZE or lower the others.")
    return Grid(view, patches_per_side, steps, jitters, patch)


def sample_offsets(grid: Grid, seed: tf.Tensor) -> tf.Tensor:
    """int32 [n**rank, rank] in 0..jitter: where in its cell each patch begins. In evaluation it is jitter // 2."""
    return draws.up_to(grid.jitter, seed, grid.total)


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
        [batch, patches, *patch_size, channels].

    Raises:
        InputError: volumes of another size than the grid's view.
    """
    return gather(volumes, grid, rows(grid, offsets, chosen=chosen), scaling=scaling)


def rows(grid: Grid, offsets: tf.Tensor | None = None, *, chosen: tf.Tensor | None = None) -> list[tf.Tensor]:
    """Where the voxels of patches lie, for each axis of the view: int32 [batch or 1, patches, patch_size there].

    Args:
        offsets: int32 [batch, n**rank, rank] from `sample_offsets`; None puts every patch in its cell's centre.
        chosen: int32 [batch, patches], row-major numbers of the patches to cut, in order; None is all of them.
    """
    starts = tf.cast(_starts(grid) + (np.floor_divide(grid.jitter, 2) if offsets is None else offsets), tf.int32)
    starts = starts[None] if offsets is None else starts
    if chosen is not None:
        starts = tf.gather(tf.broadcast_to(starts, (tf.shape(chosen)[0], *starts.shape[1:])), chosen, batch_dims=1)
    return [starts[..., axis, None] + tf.range(side) for axis, side in enumerate(grid.patch_size)]


def part_of(rows: tf.Tensor, start: tf.Tensor, length: int) -> tf.Tensor:
    """Of the rows of an axis, [batch or 1, patches, side], those from `start`, int32 [batch, patches], on."""
    kept = start[..., None] + tf.range(length)
    return tf.gather(tf.broadcast_to(rows, (*kept.shape[:-1], rows.shape[-1])), kept, axis=-1, batch_dims=2)


def gather(volumes: tf.Tensor, grid: Grid, rows: Sequence[tf.Tensor], *, scaling: Scaling = None) -> tf.Tensor:
    """Takes the voxels at `rows`, of any length and order; 0 where one is negative.

    Args:
        volumes: [batch, *view_size, channels].
        rows: as those of the function of this name.
        scaling: of volumes that hold numbers as stored; 0 is of the intensities.

    Raises:
        InputError: volumes of another size than the grid's view.
    """
    if tuple(volumes.shape[1:-1]) != grid.view_size:
        raise InputError(
            f"volumes of {sizes.text(volumes.shape[1:-1])} voxels do not fit a grid over "
            f"{sizes.text(grid.view_size)}; set VIEW_SIZE to the size of the views."
        )
    return _gather(volumes, rows, scaling)


@tf.function(jit_compile=True, autograph=False)
def _gather(volumes: tf.Tensor, rows: Sequence[tf.Tensor], scaling: Scaling) -> tf.Tensor:
    """Compiled, as everything in `volumes`."""
    *spatial, channels = volumes.shape[1:]
    index, inside = tf.range(tf.shape(volumes, tf.int64)[0])[:, None], tf.constant(True)
    # The voxel's number in the whole batch, one digit of base `side` per axis.
    for axis, (side, row) in enumerate(zip(spatial, rows, strict=True)):
        along_axis = tf.reshape(row, (-1, row.shape[1]) + (1,) * axis + (row.shape[-1],))
        index = index[..., None] * side + tf.cast(tf.maximum(along_axis, 0), tf.int64)
        inside = inside[..., None] & (along_axis >= 0)
    found = to_intensity(tf.gather(tf.reshape(volumes, (-1, channels)), index), scaling)
    return tf.where(inside[..., None], found, tf.zeros((), found.dtype))


def _starts(grid: Grid) -> np.ndarray:
    """int32 [n**rank, rank]: where each cell begins."""
    cells = np.indices((grid.patches_per_side,) * grid.rank, dtype=np.int32)
    return cells.reshape(grid.rank, -1).T * np.array(grid.step, np.int32)


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
    offsets = {"offsets": sample_offsets(grid, offsets_seed)} if any(grid.jitter) else {}
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
