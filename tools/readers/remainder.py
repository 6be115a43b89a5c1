"""What of --input a layout leaves out, by kind: "25 DICOM files, 3 PDF"."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tools.readers import dicom, files, paths
from tools.readers.contract import Listing

ABOUT = {"dataset.json", "dataset_description.json"}  # what layouts read beside volumes and tables
DICOM = "DICOM files"
MOST_KINDS = 8  # in one line


def by_kind(listing: Listing) -> dict[str, int]:
    """Kind -> how many files under the root of `listing` are neither read nor told of as faults; hidden ones aside."""
    known = {*ABOUT, *listing.given, *(fault.path for fault in listing.faults)}
    for item in listing.items:
        known.update(part for name in item.files for part in _parts(name))
    return dict(Counter(_kind(listing.root, name) for name in _all(listing.root) if name not in known))


def mixed(root: Path) -> dict[str, int]:
    """As `by_kind`, of all files under `root`, where DICOM files lie beside others that can be read; else nothing."""
    found = Counter(_kind(root, name) for name in _all(root))
    readable = {kind: count for kind, count in found.items() if kind == DICOM or files.suffix_of(f".{kind.lower()}")}
    return readable if DICOM in readable and len(readable) > 1 else {}


def named_so(root: Path, endings: Sequence[str]) -> dict[str, int]:
    """Kind -> how many files of no known kind have a name that ends as one of `endings` before its suffix."""
    unknown = (name for name in _all(root) if not files.suffix_of(name))
    return dict(Counter(_kind(root, name) for name in unknown if Path(name).stem.endswith(tuple(endings))))


def in_words(kinds: Mapping[str, int]) -> str:
    """The most frequent kinds first."""
    ordered = sorted(kinds.items(), key=lambda pair: (-pair[1], pair[0]))
    rest = sum(count for _, count in ordered[MOST_KINDS:])
    return ", ".join([f"{count} {kind}" for kind, count in ordered[:MOST_KINDS]] + [f"{rest} others"] * bool(rest))


def _all(root: Path) -> Iterator[str]:
    """All files, relative to `root`."""
    start = len(str(root).rstrip("/")) + 1
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (f"{folder}/{name}"[start:] for name in names if not name.startswith("."))


def _parts(name: str) -> tuple[str, ...]:
    is_pair = name.lower().endswith((".hdr", ".img"))
    return tuple(part.as_posix() for part in files.parts(Path(name))) if is_pair else (name,)


def _kind(root: Path, name: str) -> str:
    suffix = files.suffix_of(name) or Path(name).suffix
    if not files.suffix_of(name) and paths.is_inside(root, root / name) and dicom.is_dicom(root / name):
        return DICOM
    return suffix.lstrip(".").upper() if suffix else "without ending"
