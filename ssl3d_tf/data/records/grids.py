"""The grid that volumes have, whatever was asked for: size of voxels and orientation, of a manifest or a contract."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ssl3d_tf.data.records import columns
from ssl3d_tf.data.records.manifest import Manifest

TOLERANCE = 0.05  # of a side of a voxel: what augmentation by zoom moves by more, and headers round by less
_ENDS = (5, 95)  # percentiles: one odd scan in twenty widens nothing


class Grid(NamedTuple):
    """What the volumes of a data set have in common.

    spacing_mm: sides of a voxel in stored axis order, the median over the examples; low_mm, high_mm: their 5th and 95th
    percentile; all None where no file says how large its voxels are. orientation: where the axes point to, such as
    'RAS', or 'RA' of axial slices; '' where that is not known.
    """

    spacing_mm: tuple[float, ...] | None = None
    low_mm: tuple[float, ...] | None = None
    high_mm: tuple[float, ...] | None = None
    orientation: str = ""

    def __str__(self) -> str:
        """'1 × 1 × 2.5 mm', and '0.6–0.9 × 0.6–0.9 × 2.5 mm' of data that vary."""
        if not (self.spacing_mm and self.low_mm and self.high_mm):
            return "not known"
        sides = zip(self.spacing_mm, self.low_mm, self.high_mm, strict=True)
        shown = (f"{mm:.3g}" if _near(mm, low, high) else f"{low:.3g}–{high:.3g}" for mm, low, high in sides)
        return f"{' × '.join(shown)} mm"

    @property
    def varies(self) -> bool:
        """Whether a side differs from the median by more than TOLERANCE in more than a tenth of the examples."""
        sides = zip(self.spacing_mm or (), self.low_mm or (), self.high_mm or (), strict=True)
        return not all(_near(*each) for each in sides)


def of_manifest(manifest: Manifest) -> Grid:
    """Measured over the training split, or all of a data set without one; older data: what was asked for."""
    train = manifest.splits.get("train")
    splits = [train] if train and train.entries else manifest.splits.values()
    known = [column for split in splits if (column := columns.ragged(split.entries, "spacing_mm")).values.size]
    if not known:
        return _asked(manifest.recipe, manifest.rank)._replace(orientation=manifest.orientation)
    found = np.concatenate([column.values.reshape(-1, column.lengths.max()) for column in known])
    low, high = np.percentile(found, _ENDS, axis=0)
    return Grid(_rounded(np.median(found, axis=0)), _rounded(low), _rounded(high), manifest.orientation)


def of_contract(contract: Mapping[str, Any]) -> Grid:
    """As a contract says it; of one written before contracts did: what was asked for."""
    if found := contract.get("grid"):
        middle, low, high = (sides and tuple(sides) for sides in (found[name] for name in Grid._fields[:3]))
        return Grid(middle, low, high, found["orientation"])
    recipe = contract.get("recipe") or {}
    return _asked(recipe, contract.get("rank", 0))._replace(orientation=recipe.get("orientation") or "")


def fits(there: Grid, here: Grid) -> bool | None:
    """Whether the median voxel `here` lies in the range `there`, TOLERANCE more or less; None if one is not known."""
    if not (there.low_mm and there.high_mm and here.spacing_mm):
        return None
    sides = zip(here.spacing_mm, there.low_mm, there.high_mm, strict=True)
    return all(low * (1 - TOLERANCE) <= mm <= high * (1 + TOLERANCE) for mm, low, high in sides)


def _asked(recipe: Mapping[str, Any], rank: int) -> Grid:
    asked = recipe.get("spacing_mm") or ()
    sides = tuple(asked) * rank if len(asked) == 1 else tuple(asked)
    return Grid(sides, sides, sides) if sides and len(sides) == rank else Grid()


def _near(middle: float, low: float, high: float) -> bool:
    return middle * (1 - TOLERANCE) <= low and high <= middle * (1 + TOLERANCE)


def _rounded(sides: np.ndarray) -> tuple[float, ...]:
    return tuple(float(f"{mm:.6g}") for mm in sides)
