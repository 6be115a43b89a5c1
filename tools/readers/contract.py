"""What readers and layouts hand over: files found, what a header promises, a volume in memory, and why not."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ssl3d_tf.errors import InputError


class UnusableFileError(InputError):
    """One input file that cannot be used. The run goes on without it; `reason` and `remedy` go to quarantine.jsonl."""

    def __init__(self, reason: str, remedy: str):
        super().__init__(f"{reason}; {remedy}.")
        self.reason, self.remedy = reason, remedy

    def __reduce__(self):  # exceptions are pickled by their message alone otherwise
        return type(self), (self.reason, self.remedy)


class UnfitFileError(UnusableFileError):
    """One that was read, and cannot be prepared as was asked: a remedy may be to ask otherwise."""


class Fault(NamedTuple):
    """A line of quarantine.jsonl; `path` is relative to --input."""

    path: str
    reason: str
    remedy: str


class Segments(NamedTuple):
    """What the regions of a DICOM-SEG or RTSTRUCT are called: the first name has the label value 1.

    is_ordered: the user gave their order; where two overlap, the later one counts.
    """

    names: tuple[str, ...]
    is_ordered: bool = False


class Item(NamedTuple):
    """One example to be: its files relative to --input, and what is known about it before reading.

    key, row: array and row within an .npz that holds many examples.
    split: given by the data set itself; None lets the hash of `patient` decide.
    series: all files of a DICOM series, of which `path` is one. channels: further images on the grid of `path`, whose
    channels follow its own. inside: label map; voxels where it is 0 become 0. segments: of a DICOM file as `mask`.
    further: other masks, of one class with `mask`: together they are its mask.
    """

    id: str
    path: str
    patient: str
    mask: str | None = None
    label: tuple[float, ...] | None = None
    split: str | None = None
    key: str | None = None
    row: int | None = None
    series: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    inside: str | None = None
    segments: Segments | None = None
    further: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[str, ...]:
        """All its files, relative to --input, those with voxels first."""
        return (*self.images, *(name for name in (self.inside, self.mask, *self.further) if name))

    @property
    def images(self) -> tuple[str, ...]:
        """The files with its voxels."""
        return self.series or (self.path, *self.channels)


class Listing(NamedTuple):
    """All that one layout found under `root`, sorted by id.

    classes, label_classes: mask value, label value -> name, as far as the data set says. notes: lines for the user.
    doubts: what looks wrong in all of it, as the word of a warning and a line. given: what the data set itself says
    that is read although it is no volume, as tables; relative to root. left_out: kind -> how many other files.
    asked: what of --patients_from and --labels_from made it, for the recipe. ignore_label: value of
    the masks that it declares as not known.
    """

    layout: str
    root: Path
    name: str
    items: tuple[Item, ...]
    faults: tuple[Fault, ...] = ()
    modality: str = ""
    channels: tuple[str, ...] = ()
    classes: Mapping[str, str] = {}
    notes: tuple[str, ...] = ()
    ignore_label: int | None = None
    label_classes: Mapping[str, str] = {}
    doubts: tuple[tuple[str, str], ...] = ()
    given: tuple[str, ...] = ()
    left_out: Mapping[str, int] = {}
    asked: Mapping[str, str] = {}


class Kind(NamedTuple):
    """What a header promises: spatial rank 2 or 3, number of channels."""

    rank: int
    channels: int

    def __str__(self) -> str:
        return f"{self.rank}D with {self.channels} channel{'s' * (self.channels > 1)}"


class Reading(NamedTuple):
    """How files are read where they leave it open.

    channels: which axis of an array holds them: 'auto', 'first', 'last' or 'none'. nan: what NaN becomes: '' for none
    is accepted, 'min' for the volume's smallest value, or '0'. mask_grid: 'header', or 'image' for masks that lie on
    the voxels of their image, whatever their header says.
    """

    channels: str = "auto"
    nan: str = ""
    mask_grid: str = "header"


class Probe(NamedTuple):
    """A header, read without the voxels.

    is_8bit: every value is one of 256 integers. is_picture: grey levels or colours, black is 0.
    voxel_bytes: of all voxels in memory. notes: what the user is to know of how it is read.
    """

    kind: Kind
    is_8bit: bool = False
    is_picture: bool = False
    voxel_bytes: int = 0
    notes: tuple[str, ...] = ()


class Grid(NamedTuple):
    """Where voxels lie, turned to RAS+. shape: of three spatial axes. affine: 4 × 4, voxel index -> mm."""

    shape: tuple[int, ...]
    affine: np.ndarray


class Volume(NamedTuple):
    """A volume in memory.

    voxels: [*spatial, channels], any real dtype, native byte order; medical formats are turned to RAS+.
    affine: 4 × 4, voxel index -> mm in RAS+; for rank 2 the third index is 0. Identity where the format has none.
    has_spacing: whether `affine` means millimetres.
    origin: shape, affine (in mm) and orientation as they were in the file.
    notes: what the user is to know of how it was read -> voxels that it is about; 0 for all.
    """

    voxels: np.ndarray
    affine: np.ndarray
    has_spacing: bool
    origin: Mapping[str, Any]
    notes: Mapping[str, int] = {}

    @property
    def rank(self) -> int:
        """Spatial rank."""
        return self.voxels.ndim - 1

    @property
    def spacing_mm(self) -> tuple[float, ...]:
        """Distance of neighbouring voxels along each spatial axis."""
        return tuple(float(value) for value in np.linalg.norm(self.affine[:3, : self.rank], axis=0))


def plain_volume(voxels: np.ndarray) -> Volume:
    """A volume of a format without geometry. voxels: [*spatial, channels]."""
    origin = {"shape": list(voxels.shape[:-1]), "affine": None, "orientation": None}
    return Volume(voxels, np.eye(4), has_spacing=False, origin=origin)
