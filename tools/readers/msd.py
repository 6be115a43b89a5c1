"""Layout `msd`: a task of the Medical Segmentation Decathlon (Antonelli et al. 2022, arXiv:2106.05735).

The labelled cases under "training" are taken. Those under "test" have no masks and are left out, which a note says: to
pretrain on them, convert imagesTs with --layout=folder.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from ssl3d_tf.errors import InputError
from tools.readers import files, pairing, paths
from tools.readers.contract import Fault, Item, Listing

FILE = "dataset.json"


def is_msd(root: Path) -> bool:
    """Whether `root` holds a dataset.json that lists training cases."""
    if not (root / FILE).is_file():
        return False
    return isinstance(read(root).get("training"), list)


def find(root: Path) -> Listing:
    """Lists the training cases with their masks, channel names and classes.

    Raises:
        InputError: dataset.json is missing or damaged, or names a file outside `root`.
    """
    value = read(root)
    cases = value.get("training")
    if not isinstance(cases, list):
        raise InputError(f"{root / FILE} has no list 'training', as the Decathlon's have; use --layout=folder.")
    items = tuple(_item(root, case) for case in cases)
    channels = tuple(str(name) for _, name in numbered(root, value, "modality"))
    tests = value.get("test") or ()
    notes = (f"{len(tests)} test images without masks are left out.",) if tests else ()
    return Listing(
        "msd",
        root,
        str(value.get("name") or root.name),
        items,
        tuple(_strays(root, items)),
        modality=", ".join(dict.fromkeys(channels)),
        channels=channels,
        classes={str(number): str(name) for number, name in numbered(root, value, "labels")},
        notes=notes,
        doubts=tuple(missing(value, len(items))),
    )


def missing(value: Mapping[str, Any], found: int) -> Iterator[tuple[str, str]]:
    """That a dataset.json declares another number of training cases than were `found`, as a doubt."""
    declared = value.get("numTraining")
    if declared is not None and str(declared) != str(found):
        yield "other count", f"'numTraining' of {FILE} is {declared}, and {found} cases are there"


def _strays(root: Path, items: Sequence[Item]) -> Iterator[Fault]:
    """What lies beside the masks of `items` and is none of them."""
    listed = {name for item in items for name in item.files}
    folders = {PurePosixPath(item.mask).parent for item in items if item.mask} - {
        PurePosixPath(item.path).parent for item in items
    }
    for path in paths.walk(root).paths if folders else ():
        if path not in listed and PurePosixPath(path).parent in folders:
            yield Fault(path, pairing.STRAY, f"list it with its image under 'training' of {FILE}")


def _item(root: Path, case: Any) -> Item:
    if isinstance(case, str):
        case = {"image": case}
    if not isinstance(case, Mapping) or not isinstance(case.get("image"), str):
        raise InputError(f"{root / FILE} lists a training case without an 'image': {case!r}.")
    image = paths.checked(root, case["image"], str(root / FILE))
    mask = case.get("label")
    mask = None if mask is None else paths.checked(root, str(mask), str(root / FILE))
    name = files.stem_of(PurePosixPath(image).name)
    return Item(name, image, name, mask=mask)


def numbered(root: Path, value: Mapping[str, Any], key: str) -> list[tuple[int, str]]:
    """The entries of `value[key]`, number -> name, in order; none if there is no such key.

    Raises:
        InputError: a key is no number.
    """
    try:
        return sorted((int(number), name) for number, name in dict(value.get(key) or {}).items())
    except (TypeError, ValueError) as error:
        raise InputError(f"'{key}' of {root / FILE} must map numbers to names, e.g. {{'0': 'CT'}}.") from error


def read(root: Path) -> dict[str, Any]:
    """The dataset.json of `root`.

    Raises:
        InputError: it is missing, damaged, or no JSON object.
    """
    try:
        value = json.loads((root / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{root / FILE} cannot be read ({error}); mend it or use --layout=folder.") from error
    if not isinstance(value, dict):
        raise InputError(f"{root / FILE} must hold a JSON object; mend it or use --layout=folder.")
    return value
