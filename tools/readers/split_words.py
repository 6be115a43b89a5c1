"""Words by which people name splits: in folders, in names of tables and in a column `split`, in any case."""

import re
from pathlib import PurePosixPath

from ssl3d_tf.errors import InputError

_WORDS = {"train": "train|training", "val": "val|valid|validation|dev|development", "test": "test|testing"}
_SHORT = {"train": "tr", "val": "va", "test": "ts|te"}  # only behind what they are of: imagesTr
_OF = r"(?:images?|imgs?|labels?|masks?|data|set|split|cases|scans|volumes)"
_NAMES = {
    split: re.compile(
        rf"(?:{_OF}[ _-]?)?(?:{words})(?:[ _-]?{_OF})*(?:[ _-]?20\d\d)?|{_OF}[ _-]?(?:{_SHORT[split]})", re.IGNORECASE
    )
    for split, words in _WORDS.items()
}


def split_of(word: str) -> str | None:
    """The split that a folder, a table's stem or a cell names: 'Training', 'imagesTs', 'valid', 'DEV', 'test_set'."""
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
