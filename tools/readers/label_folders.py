"""Folders of label maps, by their names, and where the images of what lies in them may be."""

import functools
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import PurePosixPath

from tools.readers import label_names, split_words

FOLDER = re.compile(rf"({label_names.LABEL.pattern})(tr|ts|val)?")
PLURALS = {"labels", "masks", "segmentations", "annotations"}  # "lung_masks"
WITHOUT = {"with", "without", "no"}  # "patients_with_masks" holds patients
PART = re.compile(r"(?:images?|labels?|masks?|segmentations?)(tr|ts|val)")
MOST = 16  # folders beside one of label maps that its images are looked for in; more are cases, not kinds of image

# What is there, not of whom; the last are kinds of data in BIDS.
OF_ALL = {"rawdata", "raw", "sourcedata", "derivatives", "data", "dicom", "nifti", "anat", "func", "fmap", "perf"}
FEWEST = 3  # letters before the last of "siteA" and "siteB"

Homes = Mapping[PurePosixPath, Sequence[Sequence[PurePosixPath]]]  # folder -> folders of images, the likeliest first


def by_name(holding: Collection[PurePosixPath]) -> Homes:
    """Of all folders that hold files, those of label maps by their name or by that of a folder around them."""
    inside: dict[PurePosixPath, set[str]] = {}
    for each in {parent for folder in holding for parent in (folder, *folder.parents)}:
        inside.setdefault(each.parent, set()).add(each.name)
    homes = {}
    for folder in holding:
        for depth, part in enumerate(folder.parts):
            around = PurePosixPath(*folder.parts[:depth])
            after = [inner for inner in folder.parts[depth + 1 :] if not label_names.name(inner).is_label]
            if is_label_folder(part, inside[around]):
                groups = _partners(part, sorted(inside[around] - {part, ""}))
                homes[folder] = [[around.joinpath(other, *after) for other in group] for group in groups]
                break
    return homes


def of_labels_alone(
    labels: Iterable[PurePosixPath], images: Collection[PurePosixPath], *, chosen: Collection[PurePosixPath] = ()
) -> Homes:
    """The folders `labels`, called by a word of theirs and not among `images` -> the one around, then those beside.

    Not others, such as "postop" and "case_7": what lies there is of nobody else. chosen: those of which the user named
    the ending of a file, whatever they are called (1st_manual).
    """
    apart = {folder for folder in labels if folder not in images}
    alone = {folder for folder in apart if folder in chosen or label_names.name(folder.name).is_label}
    return {
        folder: [[folder.parent], sorted(o for o in images if o.parent == folder.parent)[:MOST]] for folder in alone
    }


def is_label_folder(folder: str, beside: Collection[str] = ()) -> bool:
    """Whether a folder of that name holds label maps. beside: the folders around it."""
    words = [word for word in label_names.words(folder) if word not in label_names.MAKERS]
    if not words or WITHOUT & set(words):
        return False
    if all(FOLDER.fullmatch(word) for word in words) or words[-1] in PLURALS or _base(folder) in beside:
        return True
    return bool(FOLDER.fullmatch(words[-1])) and any(map(_is_of_images, beside))  # "nodule_mask" beside "image"


@functools.lru_cache(maxsize=1 << 14)
def contradict(one: PurePosixPath, other: PurePosixPath) -> bool:
    """Whether what lies in two folders is not of one case: two splits, or names alike as site1 and site2 are."""
    splits = [{split for part in folder.parts if (split := _split(part))} for folder in (one, other)]
    if all(splits) and splits[0].isdisjoint(splits[1]):
        return True
    ours, theirs = case_words(one), case_words(other)
    return any(_are_numbered(word, twin) for word in ours - theirs for twin in theirs - ours)


def are_apart(one: PurePosixPath, other: PurePosixPath) -> bool:
    """Whether two folders are named after something each, and nothing in common."""
    ours, theirs = case_words(one), case_words(other)
    return bool(ours and theirs and ours.isdisjoint(theirs))


@functools.lru_cache(maxsize=1 << 14)
def _split(folder: str) -> str | None:
    """The split that a folder or a word of its name says: 'train_pictures'."""
    return next(filter(None, map(split_words.split_of, (folder, *label_names.words(folder)))), None)


@functools.lru_cache(maxsize=1 << 14)
def case_words(folder: PurePosixPath) -> frozenset[str]:
    """The words of a folder and those around it, but for words of label maps, images, modalities and splits."""
    return frozenset().union(*map(_part_words, folder.parts))


@functools.lru_cache(maxsize=1 << 14)
def _part_words(part: str) -> frozenset[str]:
    is_of_all = part.lower() in OF_ALL or _split(part)
    return frozenset(() if is_of_all else label_names.name(part).whose)


def _are_numbered(one: str, other: str) -> bool:
    """Whether two different words differ in their numbers, or in a last letter that stands for one."""
    if any(map(str.isdigit, one + other)):
        return re.sub(r"\d+", "#", one) == re.sub(r"\d+", "#", other)
    return len(one) > FEWEST and one[:-1] == other[:-1]


def _partners(folder: str, beside: Sequence[str]) -> list[list[str]]:
    """Of the names `beside`, and '' for the folder around, groups that may hold the images: the likeliest first."""
    own = [other for other in beside if other == _base(folder)]
    named = [other for other in beside if _is_of_images(other) and _agree(_part(other), _part(folder))]
    if own or (named and _part(folder)):
        return [own or named]
    others = [other for other in beside if not is_label_folder(other, beside) and not _is_of_images(other)]
    return [named, [""], others if len(others) <= MOST else []]


def _is_of_images(folder: str) -> bool:
    return all(word in label_names.IMAGES or PART.fullmatch(word) for word in label_names.words(folder))


def _agree(one: str, other: str) -> bool:
    return not one or not other or one == other


def _base(folder: str) -> str:
    """'scans' of 'scans_labels'; ' ' of other names, which is no folder."""
    match = re.fullmatch(r"(.+)[_\- ]([^_\- ]+)", folder)
    return match[1] if match and label_names.is_label_word(match[2].lower()) else " "


def _part(folder: str) -> str:
    """'tr' of 'labelsTr'."""
    match = PART.fullmatch(folder.lower())
    return match[1] if match else ""
