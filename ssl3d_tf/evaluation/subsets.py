"""Which cases a run may learn from: nested fractions of the training split, folds; by patient, stratified, seeded.

Patients are put in one random order per repetition, in which every stretch has about the mix of labels of the whole. A
fraction is a beginning of it, so that 5 % lie within 10 % within 25 %; folds are every k-th of it. NumPy only.
"""

import hashlib
from collections import defaultdict
from collections.abc import Sequence

from ssl3d_tf.data.records.manifest import Entry, Manifest, Split
from ssl3d_tf.errors import InputError


def fraction(entries: Sequence[Entry], percent: float, *, seed: int, repetition: int) -> tuple[Entry, ...]:
    """The entries, in stored order, of the first `percent` of the patients in the order of that repetition.

    Raises:
        InputError: percent outside 0..100, or so small that it selects no patient.
    """
    if not 0 < percent <= 100:
        raise InputError(f"FRACTIONS holds {percent:g}; they are percentages, above 0 and at most 100.")
    ordered = patient_order(entries, seed=seed, repetition=repetition)
    number = int(len(ordered) * percent / 100 + 0.5)
    if number < 1:
        least = 50 / len(ordered)
        raise InputError(
            f"{percent:g} % of {len(ordered)} patients is none; FRACTIONS must be {least:.3g} or more here."
        )
    chosen = set(ordered[:number])
    return tuple(entry for entry in entries if entry.patient in chosen)


def folds(manifest: Manifest, number: int, *, seed: int) -> list[Manifest]:
    """`number` data sets of the same cases, whatever their split: fold k tests, the next validates, the rest trains.

    Raises:
        InputError: fewer than three folds, or more than patients.
    """
    splits = [split for split in manifest.splits.values() if split.entries]
    entries = [entry for split in splits for entry in split.entries]
    ordered = patient_order(entries, seed=seed, repetition=0)
    if not 3 <= number <= len(ordered):
        raise InputError(
            f"FOLDS is {number}; it must be at least 3, to train, validate and test, and at most {len(ordered)}."
        )
    fold_of = {patient: place % number for place, patient in enumerate(ordered)}

    def manifest_of(test: int) -> Manifest:
        kept = {"train": set(range(number)) - {test, (test + 1) % number}, "val": {(test + 1) % number}, "test": {test}}
        return manifest._replace(
            splits={
                name: joined(splits, lambda e, folds=folds: fold_of[e.patient] in folds) for name, folds in kept.items()
            }
        )

    return [manifest_of(test) for test in range(number)]


def joined(splits: Sequence[Split], keep) -> Split:
    """One split of the entries to keep, with all shards behind one another."""
    shards: list = []
    entries: list[Entry] = []
    for split in splits:
        entries += [entry._replace(shard=entry.shard + len(shards)) for entry in split.entries if keep(entry)]
        shards += split.shards
    return Split(tuple(shards), tuple(entries))


def patient_order(entries: Sequence[Entry], *, seed: int, repetition: int) -> list[str]:
    """Patients in the random order of a repetition, strata evenly spread; a patient's stratum is its first label."""
    strata: dict[tuple[float, ...] | None, list[str]] = defaultdict(list)
    for patient, label in _labels(entries).items():
        strata[label].append(patient)
    places: dict[str, float] = {}
    for patients in strata.values():
        shuffled = sorted(patients, key=lambda patient: _number(patient, seed, repetition))
        # The k-th of n lies at (k + ½) / n of the way; ties between strata by the patient's own number.
        places |= {patient: (k + 0.5) / len(shuffled) for k, patient in enumerate(shuffled)}
    return sorted(places, key=lambda patient: (places[patient], _number(patient, seed, repetition)))


def _labels(entries: Sequence[Entry]) -> dict[str, tuple[float, ...] | None]:
    """Patient -> label of its first entry where labels are few, else None: then there is one stratum."""
    labels: dict[str, tuple[float, ...] | None] = {}
    for entry in entries:
        labels.setdefault(entry.patient, entry.label)
    few = len(set(labels.values())) <= max(2, len(labels) // 2)
    return labels if few else dict.fromkeys(labels)


def _number(patient: str, seed: int, repetition: int) -> str:
    return hashlib.sha256(f"{seed}/{repetition}/{patient}".encode()).hexdigest()
