"""Which scans a label map may be of, by the words of their paths that tell one case from others."""

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import NamedTuple

from tools.readers import files, label_folders, label_names, split_words

HALF, TENTH = 2, 10  # of the files at most have a word of a case: one with a digit, one without
LEAST = 3  # files of a case, of however few
NUMBER = re.compile(r"[a-z]+(\d+)|([a-z]*\d+)[a-z]+")


class Telling(NamedTuple):
    """How many of `total` paths have each word."""

    counts: Counter[str]
    total: int


def telling(paths: Iterable[str]) -> Telling:
    """Of the files of a listing."""
    each = [_words(path) for path in paths]
    return Telling(Counter(word for words in each for word in words), len(each))


def words(path: str, among: Telling, *, is_label_map: bool) -> list[str]:
    """The words that `path` may have in common with other files of its case alone, the rarest first.

    Of a label map a word up to its number is one too, and that alone: pat7roi may be of pat7, outline001 of 001.
    """
    found = set(_words(path))
    if is_label_map:
        found |= {match[1] or match[2] for word in found if (match := NUMBER.fullmatch(word))}
    return sorted((word for word in found if _tells(word, among)), key=lambda word: (among.counts[word], word))


def are_of_two_cases(one: str, other: str) -> bool:
    """Whether two paths are of two cases, as those of sub-1 and sub-2 are."""
    return label_folders.contradict(*(PurePosixPath(files.stem_of(path)) for path in (one, other)))


def _words(path: str) -> frozenset[str]:
    """The words of the folders and, but for words of splits, of the name: 21_training may be of case 21."""
    whole = PurePosixPath(files.stem_of(path))
    own = label_names.name(whole.name).whose
    return label_folders.case_words(whole.parent).union(word for word in own if not split_words.split_of(word))


def _tells(word: str, among: Telling) -> bool:
    share = HALF if any(map(str.isdigit, word)) else TENTH
    return 0 < among.counts[word] <= max(LEAST, among.total // share)
