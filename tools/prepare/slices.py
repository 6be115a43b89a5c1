"""Volumes as 2D slices, each an example of its own with the volume's id, patient, intensity and label."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np

from ssl3d_tf.data.records import placement
from ssl3d_tf.data.records.schema import Example
from tools.readers.contract import UnusableFileError, Volume

_N = TypeVar("_N")
AXES = {name: axis for axis, name in enumerate(placement.PLANES)}  # of RAS+


def orientation(name: str | None) -> str:
    """Where the stored axes point to: RAS, or what is left of it in slices of the plane `name`."""
    return "RAS" if name is None else "RAS".replace("RAS"[AXES[name]], "")


def check(volume: Volume, name: str | None) -> None:
    """Raises UnusableFileError where the volume has no orientation, so that no axis is that of the plane `name`."""
    if name is not None and volume.origin.get("orientation") is None:
        raise UnusableFileError("its format does not say how it lies", f"store it as NIfTI to cut {name} slices")


def full_shape(shape: Sequence[int], volume: Volume, name: str | None) -> Sequence[int]:
    """`shape` of a volume; where it is that of a slice of the plane `name`, with the number of slices as it is."""
    return _full(shape, volume.voxels.shape[:-1], name)


def full_spacing(spacing_mm: Sequence[float], volume: Volume, name: str | None) -> Sequence[float]:
    """`spacing_mm` of a volume; where it is that of a slice of the plane `name`, with their distance as it is."""
    return spacing_mm if len(spacing_mm) == 1 else _full(spacing_mm, volume.spacing_mm, name)


def _full(asked: Sequence[_N], own: Sequence[_N], name: str | None) -> Sequence[_N]:
    if name is None or len(asked) == len(own):
        return asked
    axis = AXES[name]
    return (*asked[:axis], own[axis], *asked[axis:])


def cut(example: Example, name: str) -> Iterator[Example]:
    """All slices of `example` in the plane `name`, also those without foreground, in order.

    The third column of a slice's affine is the dropped axis, as of every single slice.
    """
    axis, native = AXES[name], example.native_mask
    order = [number for number in range(3) if number != axis] + [axis, 3]
    for number in range(example.volume.shape[axis]):
        shift = np.eye(4)
        shift[axis, 3] = number
        volume = np.take(example.volume, number, axis)
        source = {**example.source, "slice": {"of": example.id, "plane": name, "number": number}}
        if native is not None and placement.of(source, volume.shape[:-1]) is None:
            native = None  # it is no slice of the input
        yield example._replace(
            id=placement.slice_id(example.id, number, name),
            volume=volume,
            mask=None if example.mask is None else np.take(example.mask, number, axis),
            affine=(example.affine @ shift)[:, order],
            spacing_mm=tuple(size for at, size in enumerate(example.spacing_mm) if at != axis),
            source=source,
            native_mask=None if native is None else native.take(placement.slice_number(source, number, name), axis),
        )
