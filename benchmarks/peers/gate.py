"""Whether a peer does its job, before anything is timed: its batches of ramps show what was done to them.

A ramp rises by 1 / (SIDE − 1) per voxel along one axis. Cut, it still does; turned, along another axis, perhaps
downwards; rotated, along a slanted line; zoomed or with another contrast, at another slope. Every function takes
batches [n, 4, ...] without channels and returns what is wrong, one line each. Shares may be four standard deviations
off: peers draw at random, and one in a thousand of those that do their job would be too many to leave out.
"""

from collections.abc import Iterator

import numpy as np

from benchmarks.peers.jobs import CELL, CONTRAST, CPC_CROP, CPC_PATCH, CROP, DEGREES, JOBS, PATCH, SIDE, ZOOM

BATCHES = {"read": 48, "grid": 6, "exact": 24, "turns": 24, "augment": 24, "exemplar": 24, "cpc": 3}
_SLOPE = 1 / (SIDE - 1)


def without_channels(batches: np.ndarray, job: str) -> np.ndarray:
    """Drops the axis of one channel: the last one, or that before the three of space."""
    if batches.ndim != len(JOBS[job].shape) + 2:
        return batches
    return batches[..., 0] if batches.shape[-1] == 1 else np.take(batches, 0, axis=-4)


def faults(job: str, batches: np.ndarray, volumes: np.ndarray) -> list[str]:
    """What is wrong with batches of that job; `volumes` are those of 'read', the other jobs have ramps."""
    wanted = (len(batches), *JOBS[job].shape)
    fits = len(wanted) == batches.ndim and all(size in (-1, n) for size, n in zip(wanted, batches.shape, strict=True))
    if not fits or batches.dtype != np.float32:
        return [f"batches are {batches.dtype} {batches.shape[1:]}, not float32 {wanted[1:]}"]
    if job == "read":
        return list(_read(batches, volumes))
    return list(_FAULTS[job](batches))


def _read(batches: np.ndarray, volumes: np.ndarray) -> Iterator[str]:
    """Every volume is one of the data's, and nearly all come within four epochs, not in order."""
    places = tuple(np.random.default_rng(0).integers(0, SIDE, (3, 16)))
    known = volumes[(slice(None), *places)]
    seen = batches.reshape(-1, *batches.shape[2:])[(slice(None), *places)]
    distance = np.abs(seen[:, None] - known[None]).max(axis=-1)
    which = distance.argmin(axis=1)
    if (worst := distance.min(axis=1).max()) > 1e-5:
        yield f"a volume differs by {worst:.2g} from all that there are"
    if len(set(which)) < 0.9 * len(volumes):
        yield f"only {len(set(which))} of {len(volumes)} volumes in {len(which)} draws"
    if (np.diff(which) == 1).mean() > 0.5:
        yield "volumes are not shuffled"


def _grid(batches: np.ndarray) -> Iterator[str]:
    """Each patch is whole, unturned and within its cell, at different places in it."""
    patches = batches.reshape(-1, 27, *(PATCH,) * 3)
    slopes = _slopes(patches.reshape(-1, *(PATCH,) * 3)).reshape(-1, 27, 3)
    yield from _aligned(slopes.reshape(-1, 3), signs=(1,))
    axis = slopes.mean(axis=1).argmax(axis=1)
    starts = np.rint(patches[..., 0, 0, 0] / _SLOPE).astype(int)
    cells = np.stack(np.unravel_index(np.arange(27), (3, 3, 3)), axis=-1)[:, axis].T * CELL
    inside = starts - cells  # the middle, or a crop of as much at random
    if inside.min() < 0 or inside.max() > CELL - PATCH + 2 or len(np.unique(inside)) <= CELL - PATCH:
        yield f"patches begin {sorted(set(inside.ravel()))} voxels behind their cells, not 1 to {CELL - PATCH + 1}"


def _exact(batches: np.ndarray) -> Iterator[str]:
    slopes = _slopes(batches.reshape(-1, *(CROP,) * 3))
    yield from _aligned(slopes, signs=(-1, 1))
    starts = np.rint(batches.min(axis=(2, 3, 4)) / _SLOPE)
    if len(np.unique(starts)) < 10 or starts.max() > SIDE - CROP:
        yield f"crops begin at {sorted(set(starts.ravel()))}, not anywhere from 0 to {SIDE - CROP}"


def _turns(batches: np.ndarray) -> Iterator[str]:
    yield from _aligned(_slopes(batches.reshape(-1, *(SIDE,) * 3)), signs=(-1, 1))


def _augment(batches: np.ndarray) -> Iterator[str]:
    """Rotated about half the time by up to 15°, recoloured, noisy now and then."""
    cut = batches.reshape(-1, *(CROP,) * 3)
    slopes = _slopes(cut)
    angles, contrast = _angles(slopes), np.linalg.norm(slopes, axis=1) / _SLOPE
    yield from _signed(slopes)
    if angles.max() > DEGREES * 3**0.5 + 1:  # about three axes one after the other, in some libraries
        yield f"rotated by {angles.max():.1f}°"
    yield from _share("rotated", angles > 0.5, 0.1, 0.7)  # a ramp does not show a rotation about its own axis
    yield from _share("of another contrast", np.abs(contrast - 1) > 0.02, 0.45, 0.9)
    if contrast.min() < CONTRAST[0] - 0.05 or contrast.max() > CONTRAST[1] + 0.05:
        yield f"contrast from {contrast.min():.2f} to {contrast.max():.2f}"
    yield from _share("noisy", _roughness(cut) > 0.003, 0.03, 0.4)


def _exemplar(batches: np.ndarray) -> Iterator[str]:
    """Rotated freely, magnified, recoloured."""
    slopes = _slopes(batches.reshape(-1, *(SIDE,) * 3))
    size = np.linalg.norm(slopes, axis=1) / _SLOPE
    yield from _signed(slopes)
    yield from _share("rotated", _angles(slopes) > 3, 0.8, 1.0)
    if size.min() < CONTRAST[0] * (1 - ZOOM) - 0.05 or size.max() > CONTRAST[1] / (1 - ZOOM) + 0.05:
        yield f"slopes from {size.min():.2f} to {size.max():.2f}"
    yield from _share("of another slope", np.abs(size - 1) > 0.02, 0.75, 1.0)


def _cpc(batches: np.ndarray) -> Iterator[str]:
    """Each patch has its frame and the ramp within, half of them flipped along the first axis alone."""
    patches = batches.reshape(-1, *(CPC_PATCH,) * 3)
    slopes, frame = _slopes(patches), (CPC_PATCH - CPC_CROP) // 2
    yield from _aligned(slopes, signs=(1,))
    if any(np.take(patches, [*range(frame), *range(-frame, 0)], axis).any() for axis in (1, 2, 3)):
        yield "patches without a frame"
    if (slopes[:, 1:] < -_SLOPE / 2).any():
        yield "flipped along another axis than the first"
    along_first = slopes[np.abs(slopes[:, 0]) > _SLOPE / 2, 0]
    yield from _share("flipped", along_first < 0, 0.3, 0.7)


_FAULTS = {
    "grid": _grid,
    "exact": _exact,
    "turns": _turns,
    "augment": _augment,
    "exemplar": _exemplar,
    "cpc": _cpc,
}


def _aligned(slopes: np.ndarray, *, signs: tuple[int, ...]) -> Iterator[str]:
    """Whether each slope is the ramp's, along one axis, and every axis and sign occurs."""
    units = slopes / _SLOPE
    if np.abs(units - np.rint(units)).max() > 0.02 or set(np.abs(np.rint(units)).sum(axis=1)) != {1.0}:
        yield "voxels are not those of the volume"
    for axis in range(3):
        for sign in signs:
            if not (np.rint(units[:, axis]) == sign).any():
                yield f"no ramp goes {'up' if sign > 0 else 'down'} along axis {axis}"


def _signed(slopes: np.ndarray) -> Iterator[str]:
    largest = np.take_along_axis(slopes, np.abs(slopes).argmax(axis=1)[:, None], axis=1)
    yield from _share("flipped", largest < 0, 0.3, 0.7)


def _share(what: str, found: np.ndarray, low: float, high: float) -> Iterator[str]:
    if not low <= found.mean() <= high:
        yield f"{found.mean():.0%} are {what}, not {low:.0%} to {high:.0%}"


def _slopes(volumes: np.ndarray) -> np.ndarray:
    """Rise per voxel along each axis, in the middle third [n, 3]."""
    side = volumes.shape[-1]
    low, high = side // 3, side - side // 3 - 1
    middle = volumes[:, low : high + 1, low : high + 1, low : high + 1]
    ends = [(np.take(middle, -1, axis), np.take(middle, 0, axis)) for axis in (1, 2, 3)]
    return np.stack([(last - first).mean(axis=(1, 2)) / (high - low) for last, first in ends], axis=-1)


def _angles(slopes: np.ndarray) -> np.ndarray:
    """Degrees to the nearest axis."""
    cosine = np.abs(slopes).max(axis=1) / np.linalg.norm(slopes, axis=1)
    return np.degrees(np.arccos(np.clip(cosine, 0, 1)))


def _roughness(volumes: np.ndarray) -> np.ndarray:
    """Standard deviation of second differences in the middle, which a slope has none of."""
    third = volumes.shape[-1] // 3
    middle = volumes[:, third:-third, third:-third, third:-third]
    return np.diff(middle, n=2, axis=1).std(axis=(1, 2, 3)) / 6**0.5
