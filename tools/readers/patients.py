"""Patients from names, where a data set says none: both visits, eyes or dates of one person are one patient.

Told from names in two ways: a word for a person with a number or the number of a collection (sub-01, patient012,
TCGA-3K-AB12), or who stands beside a visit, an eye or a date (P012_v1, 0031_L, 20200101/P012). The second is taken only
where there are at least as many people as scans of the one who has most, as a name common to all (study_v1 … study_v90)
is nobody's. Where names are alike without saying why, nobody is joined, and that is a doubt.
"""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence

from ssl3d_tf.errors import InputError
from tools.readers import alike, files, modalities, person_names, split_words
from tools.readers.contract import Item, Listing

NAMES, NONE = "names", "none"  # values of --patients_from beside a pattern
HELP = (
    "Who is one patient: names (sub-01…, P012_v1, 0031_L, ID_20200101), none (every example is), or a pattern that is "
    "searched in each path without suffix, whose first group is the patient."
)


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
    found, supposed = _named(free, classes)
    parted = _parted([item for item in free if item.id in found], found)
    found |= parted
    joined, apart = modalities.joined(free, found)
    found |= joined
    items = tuple(item._replace(patient=found.get(item.id, item.patient)) for item in listing.items)
    notes = _said(found, len(listing.items)) if len(set(found.values())) < len(found) else ()
    doubts = [("visits", what) for what in _doubt(free, found, supposed, classes, apart=apart)]
    if parted:
        told = f"{len(parted)} examples are of patients who by their names are in several declared splits"
        doubts.append(("parted", f"{told}, as '{min(parted)}'"))
    return listing._replace(items=items, notes=(*listing.notes, *notes), doubts=(*listing.doubts, *doubts))


def _named(items: Sequence[Item], classes: Collection[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Id -> patient by names, and of those that this joins with nobody who it may be, by names, all the same.

    Who stands before a visit is taken, or else what is left without it, or else only who is called a person.
    """
    stems = {item.id: files.stem_of(item.path) for item in items}
    timed = person_names.with_times(stems.values())
    stems = {name: timed[stem] for name, stem in stems.items()}
    before = _of_paths(stems, classes, before=True)
    if _are_people(before):
        return before, {}
    without = _of_paths(stems, classes, before=False)
    persons = {name: patient for name, patient in before.items() if person_names.is_person(patient)}
    found = without if _are_people(without) else persons
    scans = Counter(found.values())
    alone = (name for name in before if scans[found.get(name, "")] < 2)
    supposed = {name: before[name] for name in alone if person_names.is_somebody(before[name].split("/"))}
    return found, person_names.without_counters(supposed, stems)


def _of_paths(stems: Mapping[str, str], classes: Collection[str], *, before: bool) -> dict[str, str]:
    named = ((name, person_names.of_path(stem, classes, before=before)) for name, stem in stems.items())
    return {name: patient for name, patient in named if patient is not None}


def _are_people(found: Mapping[str, str]) -> bool:
    """Whether there are as many people as scans of the one who has most."""
    scans = Counter(found.values())
    return max(scans.values(), default=0) <= len(scans)


def _doubt(
    items: Sequence[Item],
    found: Mapping[str, str],
    supposed: Mapping[str, str],
    classes: Collection[str],
    *,
    apart: Mapping[str, str],
) -> Iterator[str]:
    """Which of these may be visits, or apart scans of two scanners, of one person although patients are several."""
    stems = {item.id: files.stem_of(item.path) for item in items}
    names = {stem: found.get(name, stem) for name, stem in stems.items()}
    free = [] if classes else [stems[item.id] for item in items if item.split is None]  # else numbers begin anew
    persons = {stems[name]: patient for name, patient in supposed.items()}
    scanned = {stems[name]: person for name, person in apart.items()}
    yield from alike.doubts({stem: names[stem] for stem in scanned}, across={}, supposed=scanned)
    names = {stem: name for stem, name in names.items() if stem not in scanned}
    yield from alike.doubts(names, across={stem: names[stem] for stem in free if stem in names}, supposed=persons)


def _said(found: Mapping[str, str], count: int) -> tuple[str, ...]:
    example = next(name for name in sorted(found) if found[name] != name)
    told = f"{len(set(found.values()))}, of {len(found)} of {count} examples, as '{found[example]}' of '{example}'"
    return (f"patients from names: {told}; --patients_from=none takes every example for a patient of its own.",)


def _parted(items: Sequence[Item], found: Mapping[str, str]) -> dict[str, str]:
    """Id -> a patient of its split alone, for those whom names place in several of the splits that are declared."""
    bare = {item.id: "/".join(p for p in found[item.id].split("/") if not split_words.split_of(p)) for item in items}
    splits = defaultdict(set)
    for item in items:
        splits[bare[item.id]].add(item.split)
    several = {name for name, of in splits.items() if len(of - {None}) > 1}
    return {item.id: f"{item.split}/{bare[item.id]}" for item in items if item.split and bare[item.id] in several}


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
