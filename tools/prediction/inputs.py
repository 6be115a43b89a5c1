"""Scans without labels, found and read as a conversion does, and prepared as a model's contract says."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ssl3d_tf.data.records import grids
from ssl3d_tf.data.records.schema import Example
from ssl3d_tf.errors import InputError
from tools.prediction.outputs import stem
from tools.prepare import intensity, packing, recipe, slices
from tools.readers import files, items, layouts, strays
from tools.readers.contract import Fault, Item, Kind, Reading, UnfitFileError, UnusableFileError, Volume
from tools.readers.dicom_masks import NOTHING
from tools.voxels import ranges

STRAY = "masks are not read, so all is well if it is one; --label_maps=scans takes it for a scan"
UNFIT = "the model's data were prepared so: check voxel size, unit and values of this file, or raise --max_gb"


class Prepared(NamedTuple):
    """How scans are prepared. kind: of the files; of a model of slices 3D. layout, grid: those of the model's data."""

    options: packing.Options
    kind: Kind
    layout: str
    grid: grids.Grid = grids.Grid()


class File(NamedTuple):
    """A scan in files. notes: what its headers leave open, and how it was taken."""

    root: Path
    item: Item
    how: Prepared
    notes: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Its name, unique among those that were found together."""
        return self.item.id

    @property
    def path(self) -> str:
        """Of the first file, relative to the input."""
        return self.item.path

    @property
    def template(self) -> Path | None:
        """The file whose header and kind those of the labels are; None of many in one, and of series."""
        return None if self.item.series or self.item.key else self.root / self.item.path

    def sha256(self) -> str:
        """Over all its files, and of the row where one file holds many.

        Raises:
            UnusableFileError: one is not there, or cannot be read.
        """
        names = [*self.item.images, *filter(None, [self.item.inside])]
        try:
            found = files.sha256(*(self.root / name for name in names))
        except OSError as error:
            raise UnusableFileError(f"it cannot be read: {error.strerror}", "copy it again") from error
        row = "" if self.item.row is None else f" {self.item.key} {self.item.row}"
        return hashlib.sha256(f"{found}{row}".encode()).hexdigest() if row else found

    def read(self) -> Example:
        """Reads and prepares it; of a model of slices the whole volume.

        Where the model's data were not resampled, a scan of other voxels is, to their median. The source says under
        'notes' what the user is to know of how it was read.

        Raises:
            UnusableFileError: it cannot be read, or is not of the model's kind.
        """
        options = self.how.options
        volume, _ = items.load(self.root, self.item, max_bytes=options.max_bytes, how=options.reading)
        volume = items.of_kind(volume, self.how.kind)
        check_kind(Kind(volume.rank, volume.voxels.shape[-1]), self.how)
        found = ranges.of(volume.voxels)
        options = _fitting(self.how, volume)
        try:
            example = packing.pack(self.root, self.item, volume, None, options=options, found=found)
        except UnfitFileError as error:  # its remedy is to ask otherwise, and here the model asks
            raise UnusableFileError(error.reason, UNFIT) from error
        lost = intensity.lost(volume.voxels, found, options.intensity)
        told = dict.fromkeys(filter(None, (*self.notes, _guessed(self.how, volume), lost, _blank(found))), 0)
        notes = {**told, **example.source.get("notes", {})}
        return example._replace(source={**example.source, "notes": notes}) if notes else example


def how(contract: Mapping[str, Any], where: str, given: Mapping[str, Any]) -> Prepared:
    """How scans are prepared for a model of that contract, which lies in `where`.

    Args:
        given: 'channels', 'nan' and 'max_gb', where they are not as for the model's data.

    Raises:
        InputError: its data were not made from files, or the recipe is damaged.
    """
    options = recipe.options(contract["recipe"], where=where)
    reading = {name: given[name] for name in Reading._fields if given.get(name) is not None}
    options = options._replace(reading=options.reading._replace(**reading), relabel=())
    if given.get("max_gb") is not None:
        options = options._replace(max_bytes=round(given["max_gb"] * 1e9))
    rank = 3 if options.slices else contract["rank"]
    kind, layout = Kind(rank, len(contract["channels"])), str(contract["recipe"].get("layout", "auto"))
    return Prepared(options, kind, layout, grids.of_contract(contract))


def find(request: layouts.Request, prepared: Prepared) -> tuple[list[File], list[Fault]]:
    """The scans of an input, by name, whose headers say that they can be read and are what the model is for; others.

    Masks are not looked at.

    Raises:
        InputError: as `layouts.find`; two would be written to one file.
    """
    listing = layouts.find(request._replace(dicom_masks=NOTHING))
    found: list[File] = []
    faults = [
        fault._replace(remedy=STRAY) if fault.reason.startswith(strays.STRAY) else fault for fault in listing.faults
    ]
    for item in listing.items:
        bare = item._replace(mask=None, segments=None, label=None)
        try:
            found.append(File(listing.root, bare, prepared, _probe(listing.root, bare, prepared)))
        except UnusableFileError as error:
            faults.append(Fault(item.path, error.reason, error.remedy))
    _refuse_twice(found)
    return found, sorted(faults)


def check_kind(found: Kind, prepared: Prepared) -> None:
    """Raises UnusableFileError where a scan is of another rank or number of channels than the model's."""
    if found == prepared.kind:
        return
    slices = f", of {prepared.options.slices} slices of volumes" if prepared.options.slices else ""
    is_part = found.rank == prepared.kind.rank and found.channels < prepared.kind.channels
    remedy = "give such scans"
    if is_part and prepared.layout not in ("auto", "folder"):  # others join files to channels
        remedy = f"read it as the model's data were, by --layout={prepared.layout}"
    raise UnusableFileError(f"it is {found}, the model is for {prepared.kind}{slices}", remedy)


def _fitting(prepared: Prepared, volume: Volume) -> packing.Options:
    options = prepared.options
    if options.spacing_mm and not volume.has_spacing:
        shown = " × ".join(f"{mm:g}" for mm in options.spacing_mm)
        reason = f"it does not say how large its voxels are, and the model's data were resampled to {shown} mm"
        raise UnusableFileError(reason, "write their size into its header, or store it as NIfTI with it")
    if options.shape or options.spacing_mm or not volume.has_spacing:
        return options
    across = None if options.slices is None else slices.AXES[options.slices]
    sides = tuple(mm for axis, mm in enumerate(volume.spacing_mm) if axis != across)
    if grids.fits(prepared.grid, grids.Grid(sides)) is not False:
        return options
    return options._replace(spacing_mm=prepared.grid.spacing_mm)


def _guessed(prepared: Prepared, volume: Volume) -> str:
    """A note where a scan without a voxel size is taken to have that of the model's data."""
    if volume.has_spacing or prepared.options.shape or not prepared.grid.spacing_mm:
        return ""
    return f"it does not say how large its voxels are; taken for those of the model's data: {prepared.grid}"


def _blank(found: Sequence[ranges.Range]) -> str:
    """A note where a channel holds nothing: what a model says of that is of nobody."""
    channels = ", ".join(str(number) for number, one in enumerate(found) if one.low == one.high)
    return channels and f"one value in channel {channels}: what is said of it means nothing"


def _probe(root: Path, item: Item, prepared: Prepared) -> tuple[str, ...]:
    """The notes of its header."""
    options = prepared.options
    found = items.probe(root, item, max_bytes=options.max_bytes, how=options.reading)
    if not (found.is_picture and found.kind == Kind(prepared.kind.rank, items.COLOURS) and prepared.kind.channels == 1):
        check_kind(found.kind, prepared)  # what may be grey in colours is told by its pixels
    return found.notes


def _refuse_twice(found: Sequence[File]) -> None:
    stems: dict[str, File] = {}
    for one in found:
        if (other := stems.setdefault(stem(one), one)) is not one:
            raise InputError(f"two scans are called '{one.id}', {other.path} and {one.path}; rename one.")
    for name, one in stems.items():
        for ending in ("_overlay", "_probabilities"):
            if name.endswith(ending) and (before := stems.get(name.removesuffix(ending))):
                raise InputError(f"{one.path} would be written over what {before.path} leaves; rename one.")
