"""Folders as classes: benign/x.png, train/benign/x.png. Labels on request, and else a hint where folders look so."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from ssl3d_tf.errors import InputError
from tools.readers import label_names, labels, person_names, split_words
from tools.readers.contract import Item, Listing

PLAIN = re.compile(r"(?:images?|imgs?|data|pictures?|scans?|files?)", re.IGNORECASE)  # says nothing of a class
NUMBERED = {"class", "grade", "stage", "type", "label", "level", "score", "category", "degree", "kl", "isup", "gleason"}
NUMBERED |= {"birads", "pirads", "tirads", "cluster"}
MOST_NUMBERS = 10  # classes that are called by a number alone
MOST_HINTED, FEWEST_HINTED = 20, 5  # folders, and images in each, that look like classes


def labelled(listing: Listing) -> Listing:
    """`listing` with the class folder of each example as its label; ids and splits stay.

    The class is the outermost folder that names neither a split nor just images, and that not all have.

    Raises:
        InputError: the data set gives labels itself, or there are less than two such folders.
    """
    if any(item.label is not None for item in listing.items):
        raise InputError(f"layout {listing.layout} gives labels itself; leave out --labels_from=folder.")
    folders = dict(zip((item.id for item in listing.items), _classes(listing.items), strict=True))
    found = labels.named([folder for folder in folders.values() if folder])
    if len(found.classes) < 2:
        named = ", ".join(found.classes.values()) or "none"
        raise InputError(f"--labels_from=folder finds no two class folders in {listing.root} (but {named}).")
    items = tuple(item._replace(label=found.numbers.get(folders[item.id])) for item in listing.items)
    return listing._replace(items=items, label_classes=found.classes)


def hints(listing: Listing) -> Iterator[str]:
    """That folders look like classes: several, each with many images, and none named after what is no class."""
    if listing.layout != "folder" or any(item.mask is not None for item in listing.items):
        return
    counts = Counter(_classes(listing.items))
    if not 2 <= len(counts) <= MOST_HINTED or "" in counts or min(counts.values()) < FEWEST_HINTED:
        return
    if not any(_is_no_class(folder) for folder in counts) and not _are_people([*counts]):
        shown = ", ".join(f"{name} {counts[name]}" for name in sorted(counts, key=labels.natural))
        yield f"folders look like classes ({shown}): --labels_from=folder makes them labels."


def _is_no_class(folder: str) -> bool:
    """Whether a folder is named after a patient, a visit, a place, a split, a modality or a step of processing."""
    names_split = any(map(split_words.split_of, label_names.words(folder)))
    is_step = person_names.is_step(folder) or bool(label_names.name(folder).kinds)
    return person_names.is_named(folder) or person_names.is_place(folder, whole=True) or is_step or names_split


def _are_people(folders: Sequence[str]) -> bool:
    """Whether folders differ in their numbers or hashes alone, and these are none of classes: P1, P2; PETCT_0a1b2c3d.

    Those of classes run on from 0 or 1, or stand behind a word for one: grade_2.
    """
    forms = {re.sub(r"\d+", "#", person_names.HASH.sub("#", folder)) for folder in folders}
    if len(forms) > 1 or "#" not in min(forms):
        return False
    if forms == {"#"} and all(map(str.isdecimal, folders)):
        numbers = sorted(map(int, folders))
        return len(numbers) > MOST_NUMBERS or numbers[0] > 1 or numbers[-1] - numbers[0] >= len(numbers)
    return NUMBERED.isdisjoint(re.findall("[a-z]+", min(forms).lower()))


def _classes(items: Sequence[Item]) -> list[str]:
    """The class folder of each item, '' for none."""
    parts = [
        [p for p in PurePosixPath(item.path).parts[:-1] if not split_words.split_of(p) and not PLAIN.fullmatch(p)]
        for item in items
    ]
    while len(firsts := {tuple(one[:1]) for one in parts}) == 1 and firsts != {()}:
        parts = [one[1:] for one in parts]
    return [one[0] if one else "" for one in parts]
