"""Scans with much air around a body, as a data folder of the converter: for several test files."""

import numpy as np

from tests.tools import converting

SIDE, BODY = 40, 18  # voxels: of a scan, and of the cube in it that is no air


def make_airy(root, *, counts, rank=3):
    """Returns the data folder; each body is noise of tissue, in an air of fainter noise."""
    rng = np.random.default_rng(0)
    for split, count in counts.items():
        (root / "raw" / split).mkdir(parents=True)
        for number in range(count):
            voxels = rng.integers(0, 20, (SIDE,) * rank)
            corner = rng.integers(0, SIDE - BODY + 1, rank)
            voxels[tuple(slice(first, first + BODY) for first in corner)] = rng.integers(500, 1000, (BODY,) * rank)
            np.save(root / "raw" / split / f"s{number}.npy", voxels.astype(np.uint16))
    converting.convert(root / "raw", root / "data", converting.settings()._replace(fractions=(0.8, 0.2, 0.0)))
    return root / "data"
