"""Patients from names, where a data set says none: both visits, eyes or dates of one person are one patient.

Told from names in two ways: a word for a person with a number (sub-01, patient012, Subject_7), or what precedes a word
for a visit, an eye or a date (P012_v1, 0031_L, ID_20200101). The second is taken only where there are at least as many
people as scans of the one who has most, as a name common to all (study_v1 … study_v90) is nobody's.
"""

import hashlib
import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from ssl3d_tf.errors import InputError
from tools.readers import files, label_names, split_words
from tools.readers.contract import Item, Listing

NAMES, NONE = "names", "none"  # values of --patients_from beside a pattern
HELP = (
    "Who is one patient: names (sub-01…, P012_v1, 0031_L, ID_20200101), none (every example is), or a pattern that is "
    "searched in each path without suffix, whose first group is the patient."
)
_WORD = r"(?:sub|subj|subject|pat|patient|participant|person|volunteer)"
_TCGA = r"TCGA-[A-Z0-9]{2}-[A-Z0-9]{4}"  # the patient of a barcode of The Cancer Genome Atlas
PERSON = re.compile(rf"(?<![A-Za-z0-9])(?:sub-[A-Za-z]*\d[A-Za-z0-9]*|{_TCGA}|{_WORD}[ _-]?\d+)", re.IGNORECASE)
_DATE = r"(?:19|20)\d\d(?P<sep>[-_.]?)(?:0[1-9]|1[0-2])(?P=sep)(?:0[1-9]|[12]\d|3[01])"
_VISIT = r"(?:v|vis|visit|ses|sess|session|tp|timepoint|time|followup|follow-up|fu|exam|frame|day|week|month|year)"
_EYE = r"(?:l|r|left|right|od|os|lt|rt)"
_LATER = rf"(?:{_VISIT}[ _-]?\d{{1,4}}|{_EYE}|{_DATE}|baseline|followup|follow-up)"
LATER = re.compile(_LATER, re.IGNORECASE)
BEFORE_LATER = re.compile(rf"(.+?)[ _.-]+{_LATER}(?![A-Za-z0-9])", re.IGNORECASE)
# A name with a number in it, and something short behind that: perhaps the visits of one patient.
SHARED = re.compile(r"(.*\d)(?:[ _.-]+[A-Za-z0-9]{1,10}|[A-Za-z]{1,5})")


def grouped(listing: Listing, how: str, *, classes: Collection[str] = ()) -> Listing:
    """`listing` with patients as `how` says: NAMES, NONE or a pattern that is searched in paths.

    By NAMES only examples without a patient of their own, whose patient is their id, are given one. A pattern's first
    group, or else all that it matches, is the patient, whatever the data set says; of DICOM a hash of it.

    Args:
        classes: folders that are labels, and so say nothing of patients.

    Raises:
        InputError: no pattern, or one that matches no path.
    """
    if how == NONE:
        return listing._replace(items=tuple(item._replace(patient=item.id) for item in listing.items))
    if how != NAMES:
        return _by_pattern(listing, how)
    free = [item for item in listing.items if item.patient == item.id and item.key is None]
    found = {item.id: name for item in free if (name := _of_path(files.stem_of(item.path), classes)) is not None}
    if max(Counter(found.values()).values(), default=0) > len(set(found.values())):
        found = {name: patient for name, patient in found.items() if PERSON.search(patient)}
    parted = _parted([item for item in free if item.id in found], found)
    found |= parted
    found |= _of_several_modalities(free, found)
    items = tuple(item._replace(patient=found.get(item.id, item.patient)) for item in listing.items)
    notes = _said(found, len(listing.items)) if set(found) - set(found.values()) else ()
    doubts = [("visits", what) for what in _shared([item for item in free if item.id not in found])]
    if parted:
        told = f"{len(parted)} examples are of patients who by their names are in several declared splits"
        doubts.append(("parted", f"{told}, as '{min(parted)}'"))
    return listing._replace(items=items, notes=(*listing.notes, *notes), doubts=(*listing.doubts, *doubts))


def _of_several_modalities(items: Sequence[Item], found: Mapping[str, str]) -> dict[str, str]:
    """Id -> patient of those that are called alike but for what was imaged: T1/007 and T2/007, k3_ct and k3_pet."""
    alike: dict[tuple[str | None, str], dict[frozenset[str], list[str]]] = defaultdict(lambda: defaultdict(list))
    for item in items:
        parts = [label_names.name(part) for part in PurePosixPath(found.get(item.id, files.stem_of(item.path))).parts]
        kinds = (label_names.name(part).kinds for part in PurePosixPath(files.stem_of(item.path)).parts)
        if parts[-1].whose:  # of "0007/t1" the folder is who it is, and may be where it is from
            name = "/".join("_".join(part.whose) for part in parts if part.whose)
            alike[item.split, name][frozenset().union(*kinds)].append(item.id)
    several = ((name, of_kind.values()) for (_, name), of_kind in alike.items() if len(of_kind) > 1)
    joined = ((name, [*itertools.chain(*ids)]) for name, ids in several)
    parted = ((name, ids) for name, ids in joined if len({found.get(one, one) for one in ids}) > 1)
    return {one: name for name, ids in parted for one in ids}


def is_named(folder: str) -> bool:
    """Whether a folder is named after a person, a visit or an eye."""
    return bool(PERSON.search(folder) or LATER.fullmatch(folder))


def _said(found: Mapping[str, str], count: int) -> tuple[str, ...]:
    example = next(name for name in sorted(found) if found[name] != name)
    told = f"{len(set(found.values()))}, of {len(found)} of {count} examples, as '{found[example]}' of '{example}'"
    return (f"patients from names: {told}; --patients_from=none takes every example for a patient of its own.",)


def _of_path(stem: str, classes: Collection[str]) -> str | None:
    """The patient that a path without suffix names, with the folders before; None where it names none."""
    *above, last = PurePosixPath(stem).parts
    above = [folder for folder in above if folder not in classes]
    for number, part in enumerate((*above, last)):
        if match := PERSON.search(part):
            return _joined(above[:number], part[: match.end()])
    if LATER.fullmatch(last):
        return _joined(above) or None
    if match := BEFORE_LATER.match(last):
        return _joined(above, match[1])
    return _joined(above, last) if any(map(LATER.fullmatch, above)) else None


def _parted(items: Sequence[Item], found: Mapping[str, str]) -> dict[str, str]:
    """Id -> a patient of its split alone, for those whom names place in several of the splits that are declared."""
    bare = {item.id: "/".join(p for p in found[item.id].split("/") if not split_words.split_of(p)) for item in items}
    splits = defaultdict(set)
    for item in items:
        splits[bare[item.id]].add(item.split)
    several = {name for name, of in splits.items() if len(of - {None}) > 1}
    return {item.id: f"{item.split}/{bare[item.id]}" for item in items if item.split and bare[item.id] in several}


def _joined(folders: Sequence[str], *names: str) -> str:
    return "/".join([*(folder for folder in folders if not LATER.fullmatch(folder)), *names])


def _by_pattern(listing: Listing, pattern: str) -> Listing:
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise InputError(f"--patients_from={pattern} is neither names, none nor a pattern: {error}.") from error
    found = {item.id: match for item in listing.items if (match := expression.search(files.stem_of(item.path)))}
    if not found:
        shown = listing.items[0].path if listing.items else "nothing"
        raise InputError(f"--patients_from={pattern} matches no path in {listing.root}, such as '{shown}'.")
    names = {name: (match[1] if expression.groups else match[0]) or match[0] for name, match in found.items()}
    if listing.layout == "dicom":  # names of folders are often those of patients
        names = {name: hashlib.sha256(patient.encode()).hexdigest()[:16] for name, patient in names.items()}
    items = tuple(item._replace(patient=names.get(item.id, item.patient)) for item in listing.items)
    note = f"patients by --patients_from: {len(set(names.values()))} of {len(names)} of {len(items)} examples."
    return listing._replace(items=items, notes=(*listing.notes, note))


def _shared(items: Sequence[Item]) -> Iterator[str]:
    """Where names without a word for a visit begin alike, or lie two by two in folders with a number."""
    by_name, by_folder = defaultdict(list), defaultdict(list)
    for stem in (files.stem_of(item.path) for item in items):
        if match := SHARED.fullmatch(stem):
            by_name[match[1]].append(stem)
        if re.search(r"\d", PurePosixPath(stem).parent.name):
            by_folder[str(PurePosixPath(stem).parent)].append(stem)
    for groups in (by_name, by_folder):
        several = {name: stems for name, stems in groups.items() if len(stems) > 1}
        scans = sum(map(len, several.values()))
        if len(several) > 1 and max(map(len, several.values())) <= len(groups) and 2 * scans >= len(items):
            name, stems = min(several.items())
            told = f"as '{stems[0]}' and '{stems[1]}' share '{name}', found by '{_pattern(name, stems[0])}'"
            yield f"{scans} examples share {len(several)} names, {told}"
            return


def _pattern(name: str, stem: str) -> str:
    """What finds `name` in `stem` and its like: what precedes the last separator or, without one, ends in a digit."""
    separator = stem[len(name) : len(name) + 1]
    return "(.*[0-9])" if separator.isalnum() else f"(.+){re.escape(separator)}"
