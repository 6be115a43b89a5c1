"""Layout `nnunet`: a raw data set of nnU-Net, version 1 or 2 (Isensee et al. 2021, doi:10.1038/s41592-020-01008-z).

The cases of imagesTr are taken, with their masks. Those of imagesTs have none and are left out, which a note says.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from ssl3d_tf.errors import InputError
from tools.readers import expected, files, paths
from tools.readers.contract import Fault, Item, Listing

TREE = ("dataset.json", "imagesTr/CASE_0000.nii.gz", "imagesTr/CASE_0001.nii.gz …", "labelsTr/CASE.nii.gz")
CHANNEL = re.compile(r"(.+)_(\d{4})")


def is_nnunet(root: Path) -> bool:
    """Whether `root` holds a dataset.json and numbered channels in imagesTr."""
    return (root / "dataset.json").is_file() and any(
        CHANNEL.fullmatch(files.stem_of(path.name)) for path in (root / "imagesTr").glob("*_0000.*")
    )


def find(root: Path) -> Listing:
    """Lists the cases of imagesTr, each with all its channels.

    Raises:
        InputError: no such files, or a dataset.json that is damaged.
    """
    if not is_nnunet(root):
        raise expected.refusal(root, "nnunet", TREE)
    value = _read(root / "dataset.json")
    names = _by_number(value.get("channel_names") or value.get("modality"))
    tree = paths.walk(root)
    masks = {files.stem_of(PurePosixPath(path).name): path for path in tree.paths if path.startswith("labelsTr/")}
    cases: dict[str, dict[int, str]] = {}
    for path in tree.paths:
        match = CHANNEL.fullmatch(files.stem_of(PurePosixPath(path).name))
        if match and path.startswith("imagesTr/"):
            cases.setdefault(match[1], {})[int(match[2])] = path
    count = len(names) or max(max(found) for found in cases.values()) + 1
    items, faults = [], list(tree.faults)
    for case, found in cases.items():
        missing = [number for number in range(count) if number not in found]
        if missing:
            reason = f"its channel _{missing[0]:04d} is missing, dataset.json names {count}"
            faults.append(Fault(next(iter(found.values())), reason, "add the file"))
            continue
        first, *others = (found[number] for number in range(count))
        items.append(Item(case, first, case, mask=masks.get(case), channels=tuple(others)))
    tests = sum(path.startswith("imagesTs/") for path in tree.paths)
    notes = (f"{tests} images of imagesTs, without masks, are left out.",) if tests else ()
    return Listing(
        "nnunet",
        root,
        str(value.get("name") or root.name),
        tuple(items),
        tuple(sorted(faults)),
        modality=", ".join(dict.fromkeys(names)),
        channels=names,
        classes=_classes(value.get("labels")),
        notes=notes,
    )


def _read(path: Path) -> Mapping[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read ({error}); mend it or use --layout=folder.") from error
    if not isinstance(value, dict):
        raise InputError(f"{path} must hold a JSON object; mend it or use --layout=folder.")
    return value


def _by_number(value: Any) -> tuple[str, ...]:
    try:
        return tuple(str(name) for _, name in sorted((int(number), name) for number, name in dict(value or {}).items()))
    except (TypeError, ValueError) as error:
        raise InputError("'channel_names' of dataset.json must map numbers to names, e.g. {'0': 'CT'}.") from error


def _classes(value: Any) -> dict[str, str]:
    """Mask value -> name, from value -> name (version 1), name -> value or name -> values of a region (version 2)."""
    if not isinstance(value, Mapping):
        return {}
    classes: dict[str, str] = {}
    for key, other in value.items():
        if str(key).isdigit():
            classes[str(key)] = str(other)
        elif isinstance(other, list):
            classes = {str(number): f"class {number}" for number in other} | classes
        else:
            classes[str(other)] = str(key)
    return classes
