"""What stands out from air and noise, the box around it, and percentiles of it alone."""

import numpy as np

from tools.voxels import ranges
from tools.voxels.pieces import pieces, sample
from tools.voxels.ranges import Range

THRESHOLD = 0.05  # of the range between the percentiles below, as a threshold against air and noise
ROBUST_RANGE = (0.5, 99.5)  # percentiles: single bright voxels do not move the threshold
CLIP = 0.5  # of the median of the body: between it and air (AFNI's 3dClipLevel)
ROUNDS = 8  # the level is found after two or three
SAMPLE = 1 << 12  # voxels that the level is found from; how many lie above it is counted on all


def of(voxels: np.ndarray) -> np.ndarray:
    """Whether a voxel lies 5 % of the robust range above its channel's low end, in any channel: [*spatial], Boolean."""
    is_foreground = np.zeros(voxels.shape[:-1], bool)
    for channel, found in zip(np.moveaxis(voxels, -1, 0), ranges.of(voxels), strict=True):
        low, high = ranges.percentiles(channel, found, ROBUST_RANGE)
        if high <= low:
            low, high = found
        is_foreground |= channel > low + THRESHOLD * (high - low)
    return is_foreground


def box(voxels: np.ndarray) -> tuple[tuple[int, int], ...]:
    """The smallest box around the foreground.

    Args:
        voxels: [*spatial, channels].

    Returns:
        (first, last + 1) per spatial axis; the whole volume where nothing stands out.
    """
    is_foreground = of(voxels)
    sides = []
    for axis in range(is_foreground.ndim):
        others = tuple(other for other in range(is_foreground.ndim) if other != axis)
        hits = np.flatnonzero(is_foreground.any(axis=others))
        sides.append((int(hits[0]), int(hits[-1]) + 1) if hits.size else (0, voxels.shape[axis]))
    return tuple(sides)


def body_percents(channel: np.ndarray, percents: tuple[float, float]) -> tuple[float, float]:
    """Percents of all of `channel` [*spatial] for a window over the body: the lower end is that of all voxels, as dark
    tissue is no darker than air, the upper end that of the voxels above `clip_level`, however much air is around them.
    """
    level = clip_level(channel)
    if channel.dtype.kind in "iu":
        level = np.floor(level).astype(int).item()  # the same voxels, compared without a copy of them in floats
    share = sum(np.count_nonzero(channel[piece] > level) for piece in pieces(channel)) / channel.size
    return percents[0], 100 - share * (100 - percents[1])


def air(channel: np.ndarray) -> float:
    """What parts a stored channel [*spatial] from air and noise: THRESHOLD of its range, from the darkest voxels to the
    brightest of the body, which is the same however much air is around it.
    """
    found = Range(channel.min().item(), channel.max().item())
    low, high = ranges.percentiles(channel, found, body_percents(channel, ROBUST_RANGE))
    return low + THRESHOLD * ((high if high > low else found.high) - low)


def clip_level(channel: np.ndarray) -> float:
    """What parts body from air: half of the median of what lies above it, counted from the darkest voxels.

    Cox, 3dClipLevel of AFNI (1996), doi:10.1006/cbmr.1996.0014; it begins at the threshold of Otsu, 1979,
    doi:10.1109/TSMC.1979.4310076, so that air does not pass for the body where there is little else.
    """
    values = np.sort(sample(channel, SAMPLE, rank=channel.ndim), axis=None).astype(np.float64)
    low, high = values[[round((len(values) - 1) * percent / 100) for percent in ROBUST_RANGE]]
    level = low if high <= low else values[_otsu((values.clip(low, high) - low) / (high - low))]
    for _ in range(ROUNDS):
        above = values[np.searchsorted(values, level, side="right") :]
        following = low + CLIP * (above[len(above) // 2] - low) if len(above) else level
        if following == level:
            break
        level = following
    return float(level)


def _otsu(values: np.ndarray) -> int:
    """The last of sorted `values` [n], n > 1, in the lower of two groups whose means differ most for their sizes."""
    below = np.arange(1, len(values))
    sums = np.cumsum(values)
    between = np.square(sums[-1] * below / len(values) - sums[:-1]) / (below * below[::-1])
    between[values[1:] == values[:-1]] = 0  # equal values are of one group
    return int(between.argmax())
