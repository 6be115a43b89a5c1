"""Words by which people name splits: in folders, in names of tables and in a column `split`, in any case."""

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from ssl3d_tf.errors import InputError
from tools.readers.contract import Item

_WORDS = {"train": "train|training", "val": "val|valid|validation|dev|development", "test": "test|testing"}
_SHORT = {"train": "tr", "val": "va", "test": "ts|te"}  # only behind what they are of: imagesTr
_OF = r"(?:images?|imgs?|labels?|masks?|data|set|split|cases|scans|volumes)"
_NAMES = {
    split: re.compile(
        rf"(?:\d+[ _.-]+)?(?:{_OF}[ _-]?)?(?:{words})(?:[ _-]?{_OF})*(?:[ _-]?20\d\d)?|{_OF}[ _-]?(?:{_SHORT[split]})",
        re.IGNORECASE,
    )
    for split, words in _WORDS.items()
}


def split_of(word: str) -> str | None:
    """The split that a folder, a table's stem or a cell names: 'Training', 'imagesTs', 'DEV', '03_test', 'test_set'."""
    return next((split for split, name in _NAMES.items() if name.fullmatch(word)), None)


def of_path(path: str) -> str | None:
    """The split that the folders of `path` name.

    Raises:
        InputError: they name two.
    """
    found = {split: part for part in PurePosixPath(path).parts[:-1] if (split := split_of(part))}
    if len(found) > 1:
        names = " and ".join(sorted(found.values()))
        raise InputError(f"the folders of '{path}' name two splits, {names}; rename one, or name --input deeper.")
    return next(iter(found), None)


def hints(items: Sequence[Item]) -> Iterator[str]:
    """What names say of splits that is not taken for one, as only folders of such a name declare it."""
    left = [item for item in items if item.split is None]
    begun = {item.path: split for item in left if (split := _begins(item.path))}
    if len(set(begun.values())) > 1:
        first = next(iter(begun))
        yield f"names such as '{first}' begin as a split does, which only folders and a csv declare: all are mixed."
    if left and len(left) < len(items):
        yield f"{len(left)} scans lie in no folder that names a split, such as '{left[0].path}': they are shared out."


def _begins(path: str) -> str | None:
    """The split that a part of the path begins with: 'train_0.nii.gz', 'valid_1/a.nii'."""
    words = (re.split(r"[ _.-]+|(?<=[a-z])(?=\d)", part)[0] for part in PurePosixPath(path).parts)
    return next((split for word in words if (split := split_of(word))), None)
