"""Which patient goes to which split: by the hash of its key, so that adding data moves no one.

Hash rule: SHA-256 of salt and patient key, as a number in [0, 1), against the cumulated fractions. Splits therefore
come out near their fractions, not at them: 200 patients at 0.1 give 20 ± 4.

What the data set declares is kept. A split that it leaves open although its fraction is not 0 is taken, by the same
rule, from the patients it declares for no split and from its train; a declared val or test grows by nobody.

Exception for small data: a split that stays empty although its fraction is not 0 takes the patient whose hash lies
nearest to it from the splits that have more than one; likewise within every class of labels, while there are at most
ten classes. Fewer patients than splits all go to the first. Only patients moved by this exception can move when data
are added.
"""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from ssl3d_tf.data.records.manifest import SPLITS
from ssl3d_tf.errors import InputError
from tools.readers.contract import Item

SALT = "ssl3d_tf splits"
MOST_CLASSES = 10

Fractions = Sequence[float]
Intervals = dict[str, tuple[float, float]]  # split -> [low, high)


def assign(items: Sequence[Item], fractions: Fractions, *, declared: Collection[str] = ()) -> dict[str, str]:
    """patient -> split.

    Args:
        declared: splits that the data set declares, as also those of which no file can be used.

    Raises:
        InputError: the data set puts one patient into two splits.
    """
    fixed, shares = given(items, fractions, declared)
    free = sorted({item.patient for item in items} - set(fixed))
    intervals = _intervals(shares)
    if len(free) < len(intervals):
        return fixed | dict.fromkeys(free, next(iter(intervals)))
    chosen = {patient: _by_hash(unit_hash(patient), intervals) for patient in free}
    for group in (*_classes(item for item in items if item.patient in chosen), free):
        _fill_empty(group, chosen, intervals)
    return fixed | chosen


def given(
    items: Sequence[Item], fractions: Fractions, declared: Collection[str] = ()
) -> tuple[dict[str, str], Fractions]:
    """The patients whose split the data set gives for good, and the fractions that the others are shared out by.

    Raises:
        InputError: the data set puts one patient into two splits.
    """
    found = _given(items)
    declared = {*declared, *found.values()}
    if not declared:
        return {}, fractions
    shares = [
        part if name not in declared or name == SPLITS[0] else 0.0 for name, part in zip(SPLITS, fractions, strict=True)
    ]
    gives = shares[0] > 0 and any(shares[1:])
    fixed = {patient: split for patient, split in found.items() if split != SPLITS[0] or not gives}
    return fixed, [share / sum(shares) for share in shares] if any(shares) else (1.0, 0.0, 0.0)


def taken(items: Iterable[Item], chosen: Mapping[str, str]) -> Iterator[str]:
    """What `assign` took from a declared train, as notes."""
    moved = Counter(chosen[item.patient] for item in items if item.split not in (None, chosen[item.patient]))
    for split, count in sorted(moved.items(), reverse=True):
        yield f"the data set declares no {split}: by --splits, {count} examples of its train are taken for it."


def moved(
    items: Sequence[Item],
    usable: Collection[str],
    chosen: Mapping[str, str],
    fractions: Fractions,
    *,
    declared: Collection[str] = (),
) -> dict[str, str]:
    """patient -> split of those that fill splits where no example is `usable` (ids), after the rule of `assign`."""
    fixed, shares = given(items, fractions, declared)
    living = sorted({item.patient for item in items if item.id in usable} - set(fixed))
    after = {patient: chosen[patient] for patient in living}
    _fill_empty(living, after, _intervals(shares))
    return {patient: split for patient, split in after.items() if split != chosen[patient]}


def unit_hash(patient: str) -> float:
    """The patient's number in [0, 1)."""
    digest = hashlib.sha256(f"{SALT}\0{patient}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def _by_hash(number: float, intervals: Intervals) -> str:
    return next(name for name, (low, high) in intervals.items() if low <= number < high)


def _intervals(fractions: Fractions) -> Intervals:
    """split -> [low, high) for the splits asked for; the last ends at 1 whatever rounding did."""
    wanted = [(name, part) for name, part in zip(SPLITS, fractions, strict=True) if part > 0]
    intervals, low = {}, 0.0
    for name, part in wanted:
        intervals[name] = (low, 1.0 if name == wanted[-1][0] else low + part)
        low += part
    return intervals


def _fill_empty(group: Sequence[str], chosen: dict[str, str], intervals: Intervals) -> None:
    """Gives each empty split one patient of `group`, in place, if there are as many patients as splits."""
    if len(group) < len(intervals):
        return
    for name, (low, high) in intervals.items():
        members = [chosen[patient] for patient in group]
        if name not in members:
            spare = [patient for patient in group if members.count(chosen[patient]) > 1]
            chosen[min(spare, key=lambda patient: _distance(unit_hash(patient), low, high))] = name


def _distance(number: float, low: float, high: float) -> float:
    return max(low - number, number - high, 0.0)


def _classes(items: Iterable[Item]) -> list[list[str]]:
    """Patients by the label of their first item; nothing without labels or with more than MOST_CLASSES of them."""
    labels: dict[str, tuple[float, ...]] = {}
    for item in items:
        if item.label is not None:
            labels.setdefault(item.patient, item.label)
    values = sorted(set(labels.values()))
    if len(values) > MOST_CLASSES:
        return []
    return [sorted(patient for patient, label in labels.items() if label == value) for value in values]


def _given(items: Iterable[Item]) -> dict[str, str]:
    given: dict[str, str] = {}
    for item in items:
        if item.split is not None and given.setdefault(item.patient, item.split) != item.split:
            splits = f"{given[item.patient]} and {item.split}"
            raise InputError(f"patient '{item.patient}' is in {splits}; a patient must be in one split only.")
    return given
