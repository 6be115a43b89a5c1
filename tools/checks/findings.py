"""What looks wrong in a data set although every file can be read: one function per rule, on facts of its volumes."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from tools.checks.facts import Facts
from tools.readers.nifti_header import LARGEST_MM, SMALLEST_MM

ODD_FACTOR = 3  # times the median voxel size of an axis
RARE = 0.05  # share of examples, or a single one, whose orientation is odd beside a usual one
NEAR_EMPTY = 0.001  # share of voxels that stand out; thin organs alone fill more
TINY = 10  # voxels of a class
LARGE, MANY = 10, 0.1  # a value that shares do not have; share of scans with one, beside which shares are odd
DEEP = 8  # voxels along an axis that are not to become one
REMEDIES = {
    "leak": "remove one, or give both one patient: tests on training data say nothing",
    "duplicate": "remove one, unless it is meant to count twice",
    "constant": "remove it, or export it again",
    "near-empty": "look at it; crop it with --crop_foreground, or remove it",
    "range": "keep it out if it is a map of probabilities or a mask; else check its scale",
    "clipped": "store it with the bits of the data that the rule is of, or choose another --intensity",
    "spacing": "check the header; --spacing_mm resamples all to one voxel size",
    "orientation": "check left and right: voxels are turned to RAS+ as the header says",
    "empty mask": "check that it is the right mask",
    "grey mask": "threshold a map of probabilities, or store labels: each of its values is a class",
    "flat": "check the voxel size and its unit in the header: next to nothing of the scan is left",
    "tiny class": "check the mask for specks; a smaller --spacing_mm or larger --shape keeps more of it",
    "empty split": "mend what quarantine.jsonl names, add patients, or convert again with other --splits",
    "unusable split": "mend what quarantine.jsonl names, or declare others for it, as --splits changes no split "
    "that the data set declares; FOLDS=3 has finetuning split anew",
    "declared split": "change the column split or the folders that declare them, as --splits changes no split that the "
    "data set declares; FOLDS=3 has finetuning split anew",
    "one patient": "mend PatientID or the column patient, or say who is one with --patients_from: one is never parted",
    "visits": "if they are of one patient, --patients_from with that pattern or a column patient of a csv makes them "
    "one; if not, all is right (--patients_from=none says so, and joins nobody)",
    "parted": "mend the declared splits, unless these are people of one name: tests on patients of train say too much",
    "labels": "write one name for one class, and leave cells empty where it is not known",
    "other count": "copy what is missing, or mend that number",
    "absent class": "check the numbers of the classes: what nobody has cannot be learnt",
    "mixed masks": "or draw them with one value",
    "palettes": "store masks as grey levels, or with one palette: what counts is the number, not its colour",
    "unused": "leave it out, or check the values that summary.md lists under Classes",
    "ignored": "leave that pair out if it is a class",
    "uneven masks": "convert again with other --splits or, where the data set declares them, declare others there, so "
    "that each has its share of them",
    "missing class": "it cannot be learnt or scored there: add examples, or declare other splits",
}


class Case(NamedTuple):
    """One example: its split, and its facts."""

    split: str
    facts: Facts


class Finding(NamedTuple):
    """Example `id` looks wrong: `word`, of REMEDIES, says how, `what` in detail."""

    id: str
    word: str
    what: str


def find(cases: Sequence[Case]) -> list[Finding]:
    """All findings, sorted; the same whatever the order of `cases`."""
    ordered = sorted(cases, key=lambda case: case.facts.id)
    rules = (_same_voxels, _little_to_see, _odd_range, _clipped, _odd_spacing, _odd_orientation, _mask, _flat)
    return sorted(finding for rule in rules for finding in rule(ordered))


def _same_voxels(cases: Sequence[Case]) -> Iterator[Finding]:
    groups = defaultdict(list)
    for case in cases:
        groups[case.facts.content].append(case)
    for group in groups.values():
        for case in group:
            others = [other for other in group if other is not case]
            elsewhere = [other for other in others if other.split != case.split]
            for other in (elsewhere or others)[:1]:
                where = f"{case.split}, with the voxels of '{other.facts.id}' in {other.split}"
                yield Finding(case.facts.id, "leak" if elsewhere else "duplicate", where)


def _little_to_see(cases: Sequence[Case]) -> Iterator[Finding]:
    for _, facts in cases:
        if facts.constant:
            channels = ", ".join(map(str, facts.constant))
            yield Finding(facts.id, "constant", f"one value in channel {channels}")
        elif facts.occupied < NEAR_EMPTY:
            yield Finding(facts.id, "near-empty", f"{facts.occupied:.2%} of it stands out")


def _odd_range(cases: Sequence[Case]) -> Iterator[Finding]:
    """Values from 0 to 1 among scans of larger ones."""
    larger = [facts.high for _, facts in cases if facts.high >= LARGE]
    for _, facts in cases if len(larger) >= MANY * len(cases) else ():
        if 0 <= facts.low < facts.high <= 1:
            yield Finding(facts.id, "range", f"{facts.low:.3g} to {facts.high:.3g}, others up to {max(larger):.4g}")


def _clipped(cases: Sequence[Case]) -> Iterator[Finding]:
    for _, facts in cases:
        if facts.lost:
            yield Finding(facts.id, "clipped", facts.lost)


def _odd_spacing(cases: Sequence[Case]) -> Iterator[Finding]:
    known = [(facts, np.array(facts.spacing_mm)) for _, facts in cases if facts.spacing_mm is not None]
    median = np.median([spacing_mm for _, spacing_mm in known] or [np.ones(1)], axis=0)
    for facts, spacing_mm in known:
        is_odd = np.maximum(spacing_mm / median, median / spacing_mm) > ODD_FACTOR
        if (is_odd | (spacing_mm > LARGEST_MM) | (spacing_mm < SMALLEST_MM)).any():
            yield Finding(facts.id, "spacing", f"{_by(spacing_mm)} mm, the median is {_by(median)}")


def _odd_orientation(cases: Sequence[Case]) -> Iterator[Finding]:
    known = Counter(facts.orientation for _, facts in cases if facts.orientation is not None)
    rare = {name for name, count in known.items() if count <= max(1, RARE * known.total())}
    if not known or len(known) == len(rare):
        return
    usual = max(known, key=lambda name: (known[name], name))
    for _, facts in cases:
        if facts.orientation in rare:
            yield Finding(facts.id, "orientation", f"{facts.orientation}, most are {usual}")


def _mask(cases: Sequence[Case]) -> Iterator[Finding]:
    for _, facts in cases:
        labelled = {value: count for value, count in (facts.counts or {}).items() if value != "0"}
        if facts.counts is not None and not labelled:
            yield Finding(facts.id, "empty mask", "no voxel is labelled")
        tiny = [f"{count} of class {value}" for value, count in labelled.items() if count < TINY]
        if tiny:
            yield Finding(facts.id, "tiny class", f"voxels: {', '.join(tiny)}")
        if facts.drawn is not None and facts.drawn.is_scattered:
            yield Finding(facts.id, "grey mask", f"{len(labelled)} values that lie scattered, in no regions")


def _flat(cases: Sequence[Case]) -> Iterator[Finding]:
    for _, facts in cases:
        if any(new == 1 and old >= DEEP for old, new in zip(facts.shape, facts.stored, strict=False)):
            yield Finding(facts.id, "flat", f"{_by(facts.shape)} voxels became {_by(facts.stored)}")


def _by(numbers: Iterable[float]) -> str:
    return " × ".join(f"{number:.3g}" for number in numbers)
