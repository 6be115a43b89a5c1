"""One mask as it was read and as it is stored: what is worth knowing of it, and whether it is one at all."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tools.readers.contract import UnusableFileError, Volume
from tools.voxels import regions
from tools.voxels.pieces import pieces


class Drawn(NamedTuple):
    """ignored: its voxels of the value to ignore. relabelled: the values of --relabel that it had.

    colours: value -> '#rrggbb' in the palette of its file. is_scattered: its values lie as grey levels do, in no
    regions of their own.
    """

    ignored: int = 0
    relabelled: tuple[int, ...] = ()
    colours: Mapping[str, str] = {}
    is_scattered: bool = False


def measure(
    mask: Volume, stored: np.ndarray, counts: Mapping[str, int], *, relabel: Sequence[tuple[int, int]] = ()
) -> Drawn:
    """What is worth knowing of `mask`, of which `stored` [*spatial] was made.

    counts: voxels by value of `stored`, without what is ignored.
    """
    return Drawn(
        stored.size - sum(counts.values()),
        tuple(old for old, _ in relabel if (mask.voxels == old).any()),
        mask.origin.get("colours", {}),
        len(counts) > regions.FEW and regions.is_scattered(stored),
    )


def check(volume: Volume, mask: Volume, *, is_label_map: bool) -> None:
    """Raises UnusableFileError where `mask` has the voxels of `volume`, which is a scan and not itself a label map."""
    if is_label_map or volume.voxels.shape != mask.voxels.shape:
        return
    if all(np.array_equal(volume.voxels[piece], mask.voxels[piece]) for piece in pieces(mask.voxels)):
        raise UnusableFileError("its mask has the voxels of the scan itself", "put the label map of the scan there")


def from_json(fields: Sequence | None) -> Drawn | None:
    """What JSON made a list of."""
    drawn = None if fields is None else Drawn(*fields)
    return drawn and drawn._replace(relabelled=tuple(drawn.relabelled))
