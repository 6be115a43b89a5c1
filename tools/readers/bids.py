"""Layout `bids`: anatomical images of the Brain Imaging Data Structure (Gorgolewski et al. 2016).

One kind of image is taken, the most frequent suffix (of equally frequent ones T1w), which a note says. Its mask is the
_dseg in its own space, beside it or under derivatives/, all of whose entities agree with its own: subject, session,
run, acquisition and so on.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from tools.readers import expected, files, label_names, pairing, paths
from tools.readers.contract import Fault, Item, Listing

TREE = ("dataset_description.json", "sub-ID/[ses-ID/]anat/sub-ID_[ses-ID_]T1w.nii.gz")
IMAGE = re.compile(r"(sub-[A-Za-z0-9]+)(_ses-[A-Za-z0-9]+)?(_[a-z]+-[A-Za-z0-9+]+)*_([A-Za-z0-9]+)")

# Entities of the masks' own: what was made, not of whom. The others name the scan.
DERIVED = {"desc", "label", "space", "res", "den", "atlas", "seg", "from", "to", "mode", "hemi"}
OWN_SPACES = {"orig", "individual"}  # and that of the image's own kind

Scan = tuple[tuple[str, str], ...]  # entities that name a scan, sorted


def is_bids(root: Path) -> bool:
    """Whether `root` holds a dataset_description.json and subjects."""
    return (root / "dataset_description.json").is_file() and any(path.is_dir() for path in root.glob("sub-*"))


def find(root: Path, suffixes: Sequence[str] | None = None, mask_folder: Path | None = None) -> Listing:
    """Lists the anatomical images of one kind.

    suffixes: what follows the scan's entities in the masks' names. mask_folder: where masks lie, if not anywhere.

    Raises:
        InputError: none there, or an image has several masks to choose from.
    """
    tree = paths.walk(root)
    labels = [path for path in tree.paths if label_names.name(_stem(path)).is_label]
    others = sorted({*tree.paths} - {*labels})
    images = {path: match for path in others if (match := _match(path)) and _is_anatomical(path)}
    if not images:
        raise expected.refusal(root, "bids", TREE)
    counts = Counter(match[4] for match in images.values())
    chosen = max(counts, key=lambda suffix: (counts[suffix], suffix == "T1w", suffix))
    taken = {path: match for path, match in images.items() if match[4] == chosen}
    place = mask_folder or root
    masks, strays, left_out = _masks(
        root, taken, [path for path in labels if paths.is_inside(place, root / path)], suffixes
    )
    items = [Item(_stem(path), path, match[1], mask=masks.get(path)) for path, match in taken.items()]
    left_kinds = ", ".join(f"{number} {suffix}" for suffix, number in sorted(counts.items()) if suffix != chosen)
    notes = [f"{chosen} images are taken; left out: {left_kinds}."] if left_kinds else []
    if left_out:
        more = f"label maps of other spaces and kinds left out: {len(left_out)}, the first {left_out[0]}"
        notes += [f"{more}; --mask_suffix={_ending(left_out[0])} takes such as masks."]
    faults = (*tree.faults, *strays)
    return Listing("bids", root, root.name, tuple(items), tuple(sorted(faults)), chosen, notes=tuple(notes))


def _masks(
    root: Path, images: Mapping[str, re.Match[str]], labels: Sequence[str], suffixes: Sequence[str] | None
) -> tuple[dict[str, str], list[Fault], list[str]]:
    """Image -> mask; label maps whose entities are those of no image; label maps that are not of the kind asked for."""
    kind = next(iter(images.values()))[4]
    spaces = {_space(path, kind) for path in images}
    scans = {path: _scan(path) for path in images}
    known = set(scans.values())
    by_scan: dict[Scan, list[str]] = {}
    strays, left_out = [], []
    for path in labels:
        if not (_ending(path) in suffixes if suffixes is not None else _is_dseg(path) and _space(path, kind) in spaces):
            left_out.append(path)
        elif _scan(path) in known:
            by_scan.setdefault(_scan(path), []).append(path)
        else:
            strays.append(Fault(path, pairing.STRAY, "name it with every entity of its image, and no other"))
    masks: dict[str, str] = {}
    for path, scan in scans.items():
        found = by_scan.get(scan, [])
        if len(found) > 1:
            raise pairing.several(path, {one: _ending(one) for one in found}, root)
        if found:
            masks[path] = found[0]
    return masks, strays, left_out


def _is_dseg(path: str) -> bool:
    return _stem(path).endswith("_dseg")


def _space(path: str, kind: str) -> str:
    """The space that the name says, '' for that of the images of `kind` themselves."""
    match = re.search(r"_space-([A-Za-z0-9+]+)", path)
    return "" if match is None or match[1] in {*OWN_SPACES, kind} else match[1]


def _scan(path: str) -> Scan:
    """The entities that name a scan. A run is a number: run-01 is run-1."""
    pairs = [part.split("-", 1) for part in _stem(path).split("_") if "-" in part]
    return tuple(
        sorted((key, value.lstrip("0") if key == "run" else value) for key, value in pairs if key not in DERIVED)
    )


def _ending(path: str) -> str:
    """What follows the entities of the scan: '_desc-aseg_dseg'."""
    parts = _stem(path).split("_")
    rest = [part for part in parts if "-" not in part or part.split("-", 1)[0] in DERIVED]
    return "".join(f"_{part}" for part in rest)


def _stem(path: str) -> str:
    return files.stem_of(PurePosixPath(path).name)


def _match(path: str) -> re.Match[str] | None:
    return IMAGE.fullmatch(_stem(path))


def _is_anatomical(path: str) -> bool:
    folders = PurePosixPath(path).parts[:-1]
    return folders[-1:] == ("anat",) and folders[0].startswith("sub-")
