"""Whether two volumes lie on one grid, and if not, in what they differ and what can be done."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from nibabel import orientations

from tools.readers import pixels
from tools.readers.contract import Grid, Volume

TOLERANCE = 0.1  # of the smallest side of a voxel, at any corner of the volume
SAME_DEGREES, SAME_MM = 1e-2, 1e-3  # no more is not worth a word
ACCEPT = "if its voxels are drawn on the image's, --mask_grid=image takes them so; else resample the mask to the image"
TURNED = frozenset({pixels.TURNED, pixels.FLIPPED})
AS_SHOWN = "turned as its EXIF orientation says, as its mask is not: check that the mask was drawn on the turned one"
RESAMPLE = "resample the mask to the image by nearest voxel, or draw it on this image"


class Difference(NamedTuple):
    """In `what` a mask differs from its volume, with numbers; the remedy that fits."""

    what: str
    remedy: str


def difference(volume: Volume, mask: Volume) -> Difference | None:
    """None where both have one shape and, as far as both say it, lie within TOLERANCE of each other.

    Where one of them does not say where it lies, their voxels agree if no axis of the other was turned.
    """
    shapes = tuple(mask.voxels.shape[:-1]), tuple(volume.voxels.shape[:-1])
    is_known = volume.has_spacing and mask.has_spacing
    if shapes[0] != shapes[1] and (is_known or stored_shape(volume) != stored_shape(mask)):
        what = f"shape {_by(shapes[0])}, the image has {_by(shapes[1])}"
        return _turned_apart(volume, mask, what) or Difference(what, RESAMPLE)
    if is_known and _distance(volume, mask) <= TOLERANCE * min(volume.spacing_mm):
        return None
    if not is_known and _turn(volume) == _turn(mask):
        return None
    return Difference(", ".join(_differences(volume, mask)), ACCEPT)


def are_one(one: Grid, other: Grid) -> bool:
    """Whether two grids have one shape, and lie within TOLERANCE of each other."""
    sides = np.linalg.norm(one.affine[:3, :3], axis=0)
    return one.shape == other.shape and _apart(one.shape, one.affine, other.affine) <= TOLERANCE * sides.min()


def doubts(volume: Volume, mask: Volume) -> dict[str, int]:
    """A note where `volume` was turned, `mask` was not, and they would have one shape either way."""
    is_alone = bool(TURNED & volume.notes.keys()) and not TURNED & mask.notes.keys()
    fits_anyway = pixels.FLIPPED in volume.notes or len(set(volume.voxels.shape[:2])) == 1
    return {AS_SHOWN: 0} if is_alone and fits_anyway else {}


def stored_shape(volume: Volume) -> tuple[int, ...]:
    """The spatial axes as they are in the file, without those of one voxel."""
    return tuple(size for size in volume.origin["shape"][:3] if size > 1)


def turned_like(mask: Volume, volume: Volume) -> Volume:
    """`mask`, of a format without a place, turned as `volume` was; as it is if that was a single slice."""
    if mask.rank != 3:
        return mask
    turn = orientations.io_orientation(np.array(volume.origin["affine"]))
    voxels = np.ascontiguousarray(orientations.apply_orientation(mask.voxels, turn))
    return mask._replace(voxels=voxels, origin={**mask.origin, "orientation": volume.origin["orientation"]})


def _distance(volume: Volume, mask: Volume) -> float:
    return _apart(volume.voxels.shape[:-1], volume.affine, mask.affine)


def _apart(shape: Sequence[int], one: np.ndarray, other: np.ndarray) -> float:
    """The largest difference in mm along any axis, over all corners."""
    size = np.array([*shape, 1, 1])[:3] - 1
    corners = np.array([[*(size * corner), 1] for corner in np.ndindex(2, 2, 2)]).T  # [4, 8]
    return float(np.abs((one - other) @ corners).max())


def _turned_apart(volume: Volume, mask: Volume, what: str) -> Difference | None:
    """Where one of two pictures was turned, which with the other would have given both one shape."""
    are_turned = [pixels.TURNED in one.notes for one in (volume, mask)]
    if are_turned[0] == are_turned[1] or volume.voxels.shape[:2] != mask.voxels.shape[1::-1]:
        return None
    if are_turned[0]:
        said = f"{what} since it was {pixels.TURNED}, and the mask has no such tag"
        return Difference(said, "turn the mask likewise, or give it the same tag")
    said = f"{what}; the mask was {pixels.TURNED}, and the image has no such tag"
    return Difference(said, "turn the image likewise, or take the tag from the mask")


def _turn(volume: Volume) -> str:
    """How the axes lay in the file; those of a format without a place are taken as they come."""
    return volume.origin.get("orientation") or "RAS"


def _differences(volume: Volume, mask: Volume) -> Iterator[str]:
    """Which parts of the headers disagree: that of the mask first, the image's second."""
    for one, other in ((mask, volume), (volume, mask)):
        name = "the mask" if one is mask else "the image"
        if "affine" in one.origin and one.origin["affine"] is None:
            yield f"{name} is of a format that does not say where it lies"
        elif "form" in one.origin and "form" not in other.origin:
            yield f"{name} has no form codes (qform_code and sform_code are 0), so that its place is not known"
    if _turn(volume) != _turn(mask):
        yield f"orientation {_turn(mask)}, the image has {_turn(volume)}"
    if volume.has_spacing != mask.has_spacing:
        yield f"the header of {'the mask' if volume.has_spacing else 'the image'} gives no size of its voxels"
    if not (volume.has_spacing and mask.has_spacing):
        return
    sizes = np.array(mask.spacing_mm), np.array(volume.spacing_mm)
    if np.abs(sizes[0] - sizes[1]).max() * max(volume.voxels.shape[:-1]) > TOLERANCE * sizes[1].min():
        yield f"spacing {_by(sizes[0])} mm, the image has {_by(sizes[1])} mm"
    axes = [one.affine[:3, : one.rank] / one.spacing_mm for one in (mask, volume)]
    angle = np.degrees(np.arccos(np.clip((axes[0] * axes[1]).sum(axis=0), -1, 1).min()))
    shift = mask.affine[:3, 3] - volume.affine[:3, 3]
    yield from (f"directions {angle:.3g}° apart",) if angle > SAME_DEGREES else ()
    yield from (f"origin {_by(shift)} mm away",) if np.abs(shift).max() > SAME_MM else ()
    yield f"corners up to {_distance(volume, mask):.4g} mm apart"


def _by(numbers) -> str:
    return " × ".join(f"{number:.4g}" for number in numbers)
