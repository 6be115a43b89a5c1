"""Which classes lie where in a mask, by the places of an encoder's map: what a probe of masks is asked."""

import numpy as np


def presence(
    masks: np.ndarray, places: tuple[int, ...], values: np.ndarray, *, ignore: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Whether any voxel of each class lies in each place.

    Each axis of V voxels is cut into its M places evenly, place i from voxel ⌊i V / M⌋ on.

    Args:
        masks: int [n, *spatial]. places: M of each axis. values: of the classes, int [K].
        ignore: value of masks that is not known.

    Returns:
        bool [n, *places, K], and bool [n, *places] of the places without a voxel that is not known.
    """
    axes = tuple(range(1, masks.ndim))
    starts = [np.arange(count) * masks.shape[axis] // count for axis, count in zip(axes, places, strict=True)]

    def in_places(voxels: np.ndarray) -> np.ndarray:
        for axis, begins in zip(axes, starts, strict=True):
            voxels = np.maximum.reduceat(voxels, begins, axis=axis)
        return voxels

    found = np.stack([in_places(masks == value) for value in values], axis=-1)
    is_known = np.ones(found.shape[:-1], bool) if ignore is None else ~in_places(masks == ignore)
    return found, is_known


def some(present: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Which of the places are taken where they are too many: half of them with a class, as far as there are.

    Args:
        present: bool [P, K].

    Returns:
        int [≤ count], rising, the same for the same seed.
    """
    order = np.random.default_rng(seed).permutation(len(present))
    has = present[order].any(axis=1)
    filled, empty = order[has], order[~has]
    first = max(count - len(empty), min(len(filled), count // 2))
    return np.sort(np.concatenate([filled[:first], empty[: max(count - first, 0)]]))
