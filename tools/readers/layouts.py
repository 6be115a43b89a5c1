"""What --input is: tells the layouts apart and lists the examples in it."""

import glob
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from ssl3d_tf.data import places
from ssl3d_tf.errors import InputError
from tools.readers import (
    bids,
    brats,
    class_folders,
    dicom_folder,
    expected,
    files,
    folder,
    kaggle_retina,
    medmnist,
    msd,
    nnunet,
    pairing,
    paths,
    patients,
    remainder,
    split_words,
    table,
    ukb,
    unread,
)
from tools.readers.contract import Listing
from tools.readers.dicom_masks import EVERYTHING, NOTHING, Choice

MSD_TREE = ("dataset.json", "imagesTr/CASE.nii.gz", "labelsTr/CASE.nii.gz")
# Layouts of one folder -> how to list it. Those without defaults for other flags are found by `auto`.
FOLDERS: dict[str, Callable[[Path], Listing]] = {
    "dicom": dicom_folder.find,
    "nnunet": nnunet.find,
    "bids": bids.find,
    "brats": brats.find,
    "msd": msd.find,
    "msd_pancreas": msd.find,
    "ukb_brain": ukb.find_brain,
    "ukb_retina": ukb.find_retina,
    "kaggle_retina": kaggle_retina.find,
}
TREES: dict[str, tuple[str, ...]] = {
    "msd": MSD_TREE,
    "msd_pancreas": MSD_TREE,
    "nnunet": nnunet.TREE,
    "bids": bids.TREE,
    "brats": brats.TREE,
    "ukb_brain": ukb.BRAIN_TREE,
    "ukb_retina": ukb.RETINA_TREE,
    "kaggle_retina": kaggle_retina.TREE,
}
LAYOUTS = ("auto", "folder", "medmnist", "csv", *FOLDERS)


class Request(NamedTuple):
    """What the user said about the input.

    input: a file, a folder or a glob. mask_suffixes: endings of masks, None for the usual words. label_maps: 'scans'
    where label maps that fit no scan are scans. allow_outside: a table may name files anywhere. dicom_masks: which of
    them are masks, and how. patients_from: as `patients.grouped`. labels_from: 'folder', or '' for the layout's own.
    """

    input: str
    layout: str = "auto"
    mask_suffixes: Sequence[str] | None = None
    mask_folder: str = ""
    label_maps: str = "auto"
    allow_outside: bool = False
    dicom_masks: Choice = EVERYTHING
    patients_from: str = patients.NAMES
    labels_from: str = ""


def find(request: Request) -> Listing:
    """Lists the examples of `request.input`, sorted by id.

    Raises:
        InputError: nothing there, nothing of a known kind in it, or not of the layout asked for.
    """
    path = Path(os.path.abspath(places.local(request.input, "--input")))
    layout = _detect(path) if request.layout == "auto" else request.layout
    if request.layout == "auto" and layout == "folder" and path.is_dir():
        unread.refuse(path)
    if not path.exists() and not glob.has_magic(request.input):
        raise InputError(f"--input {request.input} does not exist; name a file, a folder or a glob.")
    _check_flags(request, layout)
    if layout != "dicom" and request.dicom_masks not in (EVERYTHING, NOTHING):
        raise InputError(f"--dicom_masks and --segments are of layout dicom, and this is {layout}; leave them out.")
    if layout == "folder":
        listing = _find_files(request, path)
    elif layout == "bids" and path.is_dir():
        listing = bids.find(path, request.mask_suffixes, _mask_folder(request))
    elif layout in FOLDERS:
        listing = _find_folder(layout, path, request.dicom_masks)
    elif layout == "csv":
        listing = _find_table(path, allow_outside=request.allow_outside)
    else:
        listing = _find_medmnist(path)
    if not listing.items and not listing.faults:
        known = f"{' '.join(files.SUFFIXES)}, or folders of DICOM"
        raise InputError(f"--input {request.input} holds no file of a known kind ({known}).")
    _check_paired(request, listing)
    notes = tuple(filter(None, (*listing.notes, pairing.note(listing.items, listing.faults))))
    listing = listing._replace(items=tuple(sorted(listing.items, key=lambda item: item.id)), notes=notes)
    return _completed(listing, request, path)


def _completed(listing: Listing, request: Request, path: Path) -> Listing:
    """With what is said of examples in any layout: labels from folders, patients from names, what is left out."""
    if request.labels_from:
        listing = class_folders.labelled(listing)
    hints = [] if request.labels_from else [*class_folders.hints(listing)]
    hints += split_words.hints(listing.items) if listing.layout == "folder" else ()
    if listing.layout in ("folder", "csv") and path.is_dir():
        hints += unread.notes(path, listing.given)
    listing = listing._replace(notes=(*listing.notes, *hints))
    classes = listing.label_classes.values() if request.labels_from else ()
    asked = {"patients_from": request.patients_from, "labels_from": request.labels_from}
    listing = patients.grouped(listing, request.patients_from, classes=classes)._replace(asked=asked)
    return listing._replace(left_out=remainder.by_kind(listing)) if path.is_dir() else listing


def _detect(path: Path) -> str:
    if medmnist.is_medmnist(path):
        return "medmnist"
    if table.is_named_so(path):
        return "csv"
    if path.is_dir() and nnunet.is_nnunet(path):
        return "nnunet"
    if path.is_dir() and msd.is_msd(path):
        return "msd"
    if path.is_dir() and bids.is_bids(path):
        return "bids"
    if path.is_dir() and table.found_in(path):
        return "csv"
    if path.exists() and dicom_folder.is_dicom(path):
        return "dicom"
    if path.is_dir() and (kinds := remainder.mixed(path)):
        found = f"{path} holds {remainder.in_words(kinds)}; a data set is of either"
        raise InputError(f"{found}: say --layout=dicom or --layout=folder, which leaves the others out.")
    return "folder"


def _check_flags(request: Request, layout: str) -> None:
    """Raises InputError for a flag that `layout` does not heed."""
    given = {
        "--mask_suffix": (request.mask_suffixes is not None, ("folder", "bids")),
        "--mask_folder": (request.mask_folder, ("folder", "bids")),
        "--label_maps": (request.label_maps != "auto", ("folder", "csv")),
        "--allow_outside": (request.allow_outside, ("csv",)),
    }
    for flag, (is_given, heeding) in given.items():
        if is_given and layout not in heeding:
            raise InputError(f"{flag} is for --layout={' or '.join(heeding)}, this input is {layout}; leave it out.")


def _check_paired(request: Request, listing: Listing) -> None:
    """Raises InputError where the user says which files are masks, and no scan has one."""
    asked = f"--mask_folder={request.mask_folder}" if request.mask_folder else ""
    asked = asked or (f"--mask_suffix={','.join(request.mask_suffixes)}" if request.mask_suffixes else "")
    if asked and listing.items and not any(item.mask for item in listing.items):
        strays = [fault for fault in listing.faults if fault.reason.startswith(pairing.STRAY)]
        found = f"the masks found are named as {strays[0].path}" if strays else "no file is named so"
        remedy = strays[0].remedy if strays else "name both alike, or list them in a csv with columns path and mask"
        place = Path(request.mask_folder) if request.mask_folder else listing.root
        if not strays and (others := remainder.named_so(place, request.mask_suffixes or [""])):
            found = f"{remainder.in_words(others)} named so are not read"
            remedy = f"convert them to one of {' '.join(files.SUFFIXES)}"
        raise InputError(
            f"{asked} gives none of {len(listing.items)} scans a mask: the scans are named as {listing.items[0].path}, "
            f"{found}; {remedy}."
        )


def _find_folder(layout: str, path: Path, choice: Choice) -> Listing:
    if layout == "dicom":
        return dicom_folder.find(path, choice)
    if not path.is_dir() or (layout.startswith("msd") and not (path / msd.FILE).is_file()):
        raise expected.refusal(path, layout, TREES[layout])
    return FOLDERS[layout](path)._replace(layout=layout)


def _find_medmnist(path: Path) -> Listing:
    if not medmnist.is_medmnist(path):
        raise InputError(f"{path} is no .npz with train_images, val_images or test_images; use --layout=folder.")
    return medmnist.find(path)


def _find_files(request: Request, path: Path) -> Listing:
    root = _root(path)
    suffixes = None if request.mask_suffixes is None else tuple(request.mask_suffixes)
    rules = pairing.Rules(suffixes, request.label_maps == "scans", root)
    tree = paths.walk(root) if path.is_dir() else _matches(path, root)
    name = files.stem_of(path.name) if path.is_file() else root.name
    listing = folder.find(root, tree, name=name, rules=rules, mask_folder=_mask_folder(request))
    is_partial = tree.ignored and not path.is_dir()  # of a folder, `remainder` says the kinds
    notes = (f"files of other kinds left out: {tree.ignored}.",) if is_partial else ()
    return listing._replace(notes=(*listing.notes, *notes))


def _mask_folder(request: Request) -> Path | None:
    if request.mask_folder and not os.path.isdir(request.mask_folder):
        raise InputError(f"--mask_folder {request.mask_folder} is no folder; name the one with the masks.")
    return Path(os.path.abspath(request.mask_folder)) if request.mask_folder else None


def _root(path: Path) -> Path:
    """The folder that paths are relative to: of a glob, the part that is there, whatever it is called."""
    return next(folder for folder in (path, *path.parents) if folder.is_dir())


def _matches(path: Path, root: Path) -> paths.Tree:
    pattern = str(path.relative_to(root))
    found = [pattern] if path.is_file() else glob.glob(pattern, root_dir=root, recursive=True)
    relative = sorted(Path(name).as_posix() for name in found if not (root / name).is_dir())
    known = [name for name in relative if files.suffix_of(name)]
    inside = {name: paths.is_inside(root, root / name) for name in known}
    faults = tuple(paths.link_fault(Path(name)) for name in known if not inside[name])
    return paths.Tree(tuple(name for name in known if inside[name]), faults, len(relative) - len(known))


def _find_table(path: Path, *, allow_outside: bool) -> Listing:
    if path.is_file():
        return table.find([path], path.parent, allow_outside=allow_outside)
    tables = table.found_in(path) or table.named_so(path)
    if not tables:
        raise InputError(f"{path} holds no .csv or .tsv file; name the table with --input, or use --layout=folder.")
    return table.find(tables, path, allow_outside=allow_outside)
