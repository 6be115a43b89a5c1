"""Layout `bids`: anatomical images of the Brain Imaging Data Structure (Gorgolewski et al. 2016).

One kind of image is taken, the most frequent suffix (of equally frequent ones T1w), which a note says. Its mask is the
only _dseg of the same subject and session under derivatives/ that is in no other space.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from tools.readers import expected, files, paths
from tools.readers.contract import Item, Listing

TREE = ("dataset_description.json", "sub-ID/[ses-ID/]anat/sub-ID_[ses-ID_]T1w.nii.gz")
IMAGE = re.compile(r"(sub-[A-Za-z0-9]+)(_ses-[A-Za-z0-9]+)?(_[a-z]+-[A-Za-z0-9+]+)*_([A-Za-z0-9]+)")

Visit = tuple[str, str | None]  # subject, session


def is_bids(root: Path) -> bool:
    """Whether `root` holds a dataset_description.json and subjects."""
    return (root / "dataset_description.json").is_file() and any(path.is_dir() for path in root.glob("sub-*"))


def find(root: Path) -> Listing:
    """Lists the anatomical images of one kind.

    Raises:
        InputError: none there.
    """
    tree = paths.walk(root)
    images = {path: match for path in tree.paths if (match := _match(path)) and _is_anatomical(path)}
    if not images:
        raise expected.refusal(root, "bids", TREE)
    counts = Counter(match[4] for match in images.values())
    chosen = max(counts, key=lambda suffix: (counts[suffix], suffix == "T1w", suffix))
    masks = _masks(tree.paths)
    items = [_item(path, match, masks) for path, match in images.items() if match[4] == chosen]
    others = ", ".join(f"{number} {suffix}" for suffix, number in sorted(counts.items()) if suffix != chosen)
    notes = (f"{chosen} images are taken; left out: {others}.",) if others else ()
    return Listing("bids", root, root.name, tuple(items), tree.faults, chosen, notes=notes)


def _item(path: str, match: re.Match[str], masks: Mapping[Visit, list[str]]) -> Item:
    found = masks.get((match[1], match[2]), [])
    mask = found[0] if len(found) == 1 else None
    return Item(files.stem_of(PurePosixPath(path).name), path, match[1], mask=mask)


def _masks(names: Sequence[str]) -> dict[Visit, list[str]]:
    masks: dict[Visit, list[str]] = {}
    for name in names:
        match = _match(name)
        if match and match[4] == "dseg" and name.startswith("derivatives/") and "_space-" not in name:
            masks.setdefault((match[1], match[2]), []).append(name)
    return masks


def _match(path: str) -> re.Match[str] | None:
    return IMAGE.fullmatch(files.stem_of(PurePosixPath(path).name))


def _is_anatomical(path: str) -> bool:
    folders = PurePosixPath(path).parts[:-1]
    return folders[-1:] == ("anat",) and folders[0].startswith("sub-")
