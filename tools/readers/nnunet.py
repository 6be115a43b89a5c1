"""Layout `nnunet`: a raw data set of nnU-Net, version 1 or 2 (Isensee et al. 2021, doi:10.1038/s41592-020-01008-z).

The cases of imagesTr are taken, with their masks. Those of imagesTs have none and are left out, which a note says.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from ssl3d_tf.errors import InputError
from tools.readers import expected, files, msd, pairing, paths
from tools.readers.contract import Fault, Item, Listing

TREE = ("dataset.json", "imagesTr/CASE_0000.nii.gz", "imagesTr/CASE_0001.nii.gz …", "labelsTr/CASE.nii.gz")
IGNORE = "ignore"
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
    value = msd.read(root)
    key = "channel_names" if value.get("channel_names") else "modality"  # of version 1
    names = tuple(str(name) for _, name in msd.numbered(root, value, key))
    tree = paths.walk(root)
    items, faults = _cases(tree.paths, len(names))
    tests = sum(path.startswith("imagesTs/") for path in tree.paths)
    notes = [f"{tests} images of imagesTs, without masks, are left out."] if tests else []
    return Listing(
        "nnunet",
        root,
        str(value.get("name") or root.name),
        tuple(items),
        tuple(sorted((*tree.faults, *faults))),
        modality=", ".join(dict.fromkeys(names)),
        channels=names,
        classes=_classes(value.get("labels")),
        notes=(*notes, *_of_regions(value.get("labels"))),
        ignore_label=_ignored(root, value.get("labels")),
        doubts=tuple(msd.missing(value, len(_named(tree.paths)))),
    )


def _cases(names: Sequence[str], count: int) -> tuple[list[Item], list[Fault]]:
    """The cases of imagesTr of `count` channels, 0 for as many as any has; those that lack one, and stray masks."""
    masks = {files.stem_of(PurePosixPath(path).name): path for path in names if path.startswith("labelsTr/")}
    cases = _named(names)
    count = count or max((max(found) + 1 for found in cases.values()), default=0)
    items, faults = [], []
    strays = [path for case, path in masks.items() if case not in cases]
    faults += [Fault(path, pairing.STRAY, "add its images to imagesTr, as CASE_0000") for path in strays]
    for case, found in cases.items():
        missing = [number for number in range(count) if number not in found]
        if missing:
            reason = f"its channel _{missing[0]:04d} is missing, the data set has {count}"
            faults.append(Fault(next(iter(found.values())), reason, "add the file"))
        else:
            channels = tuple(found[number] for number in range(1, count))
            items.append(Item(case, found[0], case, mask=masks.get(case), channels=channels))
    return items, faults


def _named(names: Sequence[str]) -> dict[str, dict[int, str]]:
    """Case -> number of the channel -> its file, of all in imagesTr."""
    cases: dict[str, dict[int, str]] = {}
    for path in names:
        match = CHANNEL.fullmatch(files.stem_of(PurePosixPath(path).name))
        if match and path.startswith("imagesTr/"):
            cases.setdefault(match[1], {})[int(match[2])] = path
    return cases


def _ignored(root: Path, value: Any) -> int | None:
    """The mask value that is called 'ignore', as nnU-Net calls voxels that nobody labelled.

    Raises:
        InputError: it is no whole number above 0.
    """
    pairs = value.items() if isinstance(value, Mapping) else ()
    found = [other if key == IGNORE else key for key, other in pairs if IGNORE in (key, other)]
    if not found:
        return None
    if not str(found[0]).isdigit() or int(found[0]) == 0:
        rule = "it must be one whole number above 0"
        raise InputError(f"'{IGNORE}' in 'labels' of {root / msd.FILE} is {found[0]!r}; {rule}.")
    return int(found[0])


def _regions(value: Any) -> dict[str, list[Any]]:
    """Name -> mask values of what is several of them, of version 2."""
    pairs = value.items() if isinstance(value, Mapping) else ()
    return {str(key): other for key, other in pairs if key != IGNORE and isinstance(other, list) and len(other) > 1}


def _of_regions(value: Any) -> Iterator[str]:
    if regions := _regions(value):
        shown = ", ".join(f"'{name}': ({', '.join(map(str, values))})" for name, values in regions.items())
        yield (
            f"regions of {msd.FILE} are no classes and are not kept: masks keep their own values; finetuning scores "
            f"them in place of classes by scoring.segmentation.regions = {{{shown}}}, as in gin/finetune/brats.gin."
        )


def _classes(value: Any) -> dict[str, str]:
    """Mask value -> name, from value -> name (version 1), name -> value or name -> values of a region (version 2)."""
    if not isinstance(value, Mapping):
        return {}
    classes = {str(number): f"class {number}" for values in _regions(value).values() for number in values}
    for key, other in value.items():
        if IGNORE in (key, other) or other == [] or str(key) in _regions(value):
            continue
        if str(key).isdigit():
            classes[str(key)] = str(other)
        else:
            classes[str(other[0] if isinstance(other, list) else other)] = str(key)
    return classes
