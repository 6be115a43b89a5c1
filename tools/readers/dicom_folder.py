"""Layout `dicom`: files in any folders and of any names, told apart by the series they say they are of.

Ids and patients are hashes of the series and of PatientID, as the names of DICOM folders are often those of patients.
"""

import filecmp
import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ssl3d_tf.errors import InputError
from tools.readers import annotations, dicom, dicom_masks, files, paths, series
from tools.readers.annotations import Annotation
from tools.readers.contract import Fault, Item, Listing, Segments, UnusableFileError
from tools.readers.dicom_masks import EVERYTHING, Choice

FEWEST_SLICES = 5  # of a volume; fewer are scouts, or what is left of a series; one is a picture
SHOWN = 4  # files that a line names
REMEDY = "leave it out, or fetch the whole series"


class _File(NamedTuple):
    path: str
    header: dicom.Header


class _Tree(NamedTuple):
    """What the files of a folder are, by path in order; `copies` counts those that are there twice."""

    stacks: dict[str, list[_File]]
    masks: dict[str, Annotation]
    faults: list[Fault]
    copies: int = 0


def is_dicom(path: Path) -> bool:
    """Whether `path` is a DICOM file, or a folder with DICOM and no other files of known kind."""
    if path.is_file():
        return not files.suffix_of(path.name) and dicom.is_dicom(path)
    tree = ((Path(folder), name) for folder, _, names in os.walk(path) for name in names)
    found = False
    for folder, name in tree:
        if files.suffix_of(name):
            return False
        found = found or dicom.is_dicom(folder / name)
    return found


def find(path: Path, choice: Choice = EVERYTHING) -> Listing:
    """Lists the series in the folder `path`, or in the one file that it is; reads the header of every file.

    Raises:
        InputError: no DICOM file there, or `choice` names what is not there.
    """
    root = path if path.is_dir() else path.parent
    tree = paths.walk(root, dicom.is_dicom) if path.is_dir() else paths.Tree((path.name,), (), 0)
    if not tree.paths:
        raise InputError(f"{path} holds no DICOM file; use --layout=folder, or name the folder with the files.")
    found = _without_copies(root, _read(root, tree.paths))
    stacks = {stack: [file.header for file in members] for stack, members in found.stacks.items()}
    masks = dicom_masks.pair(found.masks, stacks, choice)
    items, modalities, localizers, faults = [], set(), list[Fault](), [*tree.faults, *found.faults, *masks.faults]
    for stack, members in found.stacks.items():
        try:
            kept, scouts = _without_localizers(members)
            mask = dicom_masks.only(masks.of.get(stack, ()), found.masks)
            items.append(_item(kept, len(scouts), mask, masks.segments))
            modalities.add(members[0].header.modality)
            localizers += scouts
        except UnusableFileError as error:
            faults.append(Fault(members[0].path, error.reason, error.remedy))
    notes = (*_notes(found, localizers), *masks.notes)
    classes = {str(number): name for number, name in enumerate(("background", *masks.segments.names))}
    return Listing(
        "dicom",
        root,
        root.name,
        tuple(items),
        tuple(sorted(faults + localizers)),
        ", ".join(sorted(modalities - {""})),
        classes=classes if masks.of else {},
        notes=notes,
    )


def _read(root: Path, names: Sequence[str]) -> _Tree:
    found = _Tree({}, {}, [])
    for name in names:
        try:
            with dicom.opened(root / name, stop_before_pixels=True) as data:
                if annotations.is_one(data):
                    found.masks[name] = annotations.describe(data)
                elif not (data.get("MediaStorageDirectory") or "DirectoryRecordSequence" in data):
                    header = dicom.header_of(root / name, data)
                    found.stacks.setdefault(header.stack, []).append(_File(name, header))
        except UnusableFileError as error:
            found.faults.append(Fault(name, error.reason, error.remedy))
    return found


def _without_copies(root: Path, found: _Tree) -> _Tree:
    """Without files that repeat another one of the same SOP instance; of two, that of the shorter name stays."""
    headers = [(f.path, f.header.instance, f.header.slices) for members in found.stacks.values() for f in members]
    others = [(path, one.instance, ()) for path, one in found.masks.items()]
    first: dict[str, tuple[str, tuple[dicom.Slice, ...]]] = {}
    copies = set()
    for path, instance, slices in sorted([*headers, *others], key=lambda one: (len(one[0]), one[0])):
        if instance in first and _is_same(root, (path, slices), first[instance]):
            copies.add(path)
        first.setdefault(instance, (path, slices))
    stacks = {stack: [f for f in members if f.path not in copies] for stack, members in found.stacks.items()}
    masks = {path: one for path, one in found.masks.items() if path not in copies}
    return _Tree(stacks, masks, found.faults, len(copies))


def _is_same(root: Path, one: tuple[str, tuple[dicom.Slice, ...]], other: tuple[str, tuple[dicom.Slice, ...]]) -> bool:
    """Whether two files are one instance: byte by byte, or else, as of one compressed anew, in places and voxels."""
    if filecmp.cmp(root / one[0], root / other[0], shallow=False):
        return True
    places = [[part._replace(path=root) for part in slices] for _, slices in (one, other)]
    if not one[1] or places[0] != places[1]:
        return False
    values = ([found[1] for found in dicom.pixels(slices)] for _, slices in (one, other))
    try:
        return all(np.array_equal(a, b) for a, b in zip(*values, strict=True))
    except UnusableFileError:  # it is said of the file when it is read
        return False


def _without_localizers(members: Sequence[_File]) -> tuple[list[_File], list[Fault]]:
    """The slices of a series, and why each localizer among them is none; a series of nothing else is left as it is."""
    kept = [member for member in members if not member.header.is_localizer]
    if not kept:
        raise UnusableFileError(f"it is a localizer, of {len(members)} files", REMEDY)
    reason = f"it is a localizer within a series of {len(members)} files, the other {len(kept)} of which are read"
    return kept, [Fault(m.path, reason, "none needed: it is no slice") for m in members if m.header.is_localizer]


def _item(members: Sequence[_File], localizers: int, mask: str | None, segments: Segments) -> Item:
    try:
        slices = series.order([one for member in members for one in member.header.slices])
    except UnusableFileError as error:
        without = f", without {localizers} of its files, which are localizers" if localizers else ""
        raise UnusableFileError(error.reason + without, error.remedy) from error
    if 1 < len(slices) < FEWEST_SLICES:
        raise UnusableFileError(f"its series has {len(slices)} slices, fewer than {FEWEST_SLICES}", REMEDY)
    first = members[0].header
    patients = {member.header.patient for member in members}
    if len(patients) > 1:
        raise UnusableFileError(f"its series is of {len(patients)} patients", "mend PatientID")
    name = f"{first.patient}_{hashlib.sha256(first.stack.encode()).hexdigest()[:16]}"
    files_of = tuple(member.path for member in members)
    return Item(name, files_of[0], first.patient, mask, series=files_of, segments=segments if mask else None)


def _notes(found: _Tree, localizers: Sequence[Fault]) -> Iterator[str]:
    count = sum(map(len, found.stacks.values())) + len(found.masks) + found.copies
    yield f"{len(found.stacks)} series in {count} DICOM files; patients and ids are hashes."
    if found.copies:
        yield f"{found.copies} files are copies of others (same SOP instance, same voxels) and left out."
    if localizers:
        shown = ", ".join(fault.path for fault in localizers[:SHOWN]) + " …" * (len(localizers) > SHOWN)
        yield f"{len(localizers)} localizers within other series are left out: {shown}."
    padded = sum(any(s.padding for f in members for s in f.header.slices) for members in found.stacks.values())
    if padded:
        yield f"{padded} series declare padding (PixelPaddingValue): it becomes the smallest other value, as air."
