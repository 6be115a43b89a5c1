"""Layout `dicom`: files in any folders and of any names, told apart by the series they say they are of.

Ids and patients are hashes of the series and of PatientID, as the names of DICOM folders are often those of patients.
"""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ssl3d_tf.errors import InputError
from tools.readers import dicom, files, paths, series
from tools.readers.contract import Fault, Item, Listing, UnusableFileError

FEWEST_SLICES = 5  # of a volume; fewer are scouts, or what is left of a series; one is a picture
REMEDY = "leave it out, or fetch the whole series"


class _File(NamedTuple):
    path: str
    header: dicom.Header


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


def find(path: Path) -> Listing:
    """Lists the series in the folder `path`, or in the one file that it is; reads the header of every file.

    Raises:
        InputError: no DICOM file there.
    """
    root = path if path.is_dir() else path.parent
    tree = paths.walk(root, dicom.is_dicom) if path.is_dir() else paths.Tree((path.name,), (), 0)
    if not tree.paths:
        raise InputError(f"{path} holds no DICOM file; use --layout=folder, or name the folder with the files.")
    stacks: dict[str, list[_File]] = {}
    faults = list(tree.faults)
    for name in tree.paths:
        try:
            header = dicom.header(root / name)
        except UnusableFileError as error:
            faults.append(Fault(name, error.reason, error.remedy))
            continue
        if header is not None:
            stacks.setdefault(header.stack, []).append(_File(name, header))
    items, modalities = [], set()
    for members in stacks.values():
        try:
            items.append(_item(members))
            modalities.add(members[0].header.modality)
        except UnusableFileError as error:
            faults.append(Fault(members[0].path, error.reason, error.remedy))
    notes = [f"{len(stacks)} series in {sum(map(len, stacks.values()))} DICOM files; patients and ids are hashes."]
    modality = ", ".join(sorted(modalities - {""}))
    return Listing("dicom", root, root.name, tuple(items), tuple(sorted(faults)), modality, notes=tuple(notes))


def _item(members: Sequence[_File]) -> Item:
    if any(member.header.is_localizer for member in members):
        raise UnusableFileError(f"it is a localizer, of {len(members)} files", REMEDY)
    slices = series.order([one for member in members for one in member.header.slices])
    if 1 < len(slices) < FEWEST_SLICES:
        raise UnusableFileError(f"its series has {len(slices)} slices, fewer than {FEWEST_SLICES}", REMEDY)
    first = members[0].header
    patients = {member.header.patient for member in members}
    if len(patients) > 1:
        raise UnusableFileError(f"its series is of {len(patients)} patients", "mend PatientID")
    name = f"{first.patient}_{hashlib.sha256(first.stack.encode()).hexdigest()[:16]}"
    return Item(name, members[0].path, first.patient, series=tuple(member.path for member in members))
