"""Which patient goes to which split: by the hash of its key, so that adding data moves no one.

Hash rule: SHA-256 of salt and patient key, as a number in [0, 1), against the cumulated fractions. Splits therefore
come out near their fractions, not at them: 200 patients at 0.1 give 20 ± 4.

Exception for small data: a split that stays empty although its fraction is not 0 takes the patient whose hash lies
nearest to it from the splits that have more than one; likewise within every class of labels, while there are at most
ten classes. Fewer patients than splits all go to the first. Only patients moved by this exception can move when data
are added.
"""

import hashlib
from collections.abc import Iterable, Sequence

from ssl3d_tf.data.records.manifest import SPLITS
from ssl3d_tf.errors import InputError
from tools.readers.contract import Item

SALT = "ssl3d_tf splits"
MOST_CLASSES = 10

Fractions = Sequence[float]


def assign(items: Sequence[Item], fractions: Fractions) -> dict[str, str]:
    """patient -> split. A split the data set itself gives to a patient is kept.

    Raises:
        InputError: the data set puts one patient into two splits.
    """
    given = _given(items)
    free = sorted({item.patient for item in items} - set(given))
    chosen = {patient: _by_hash(unit_hash(patient), fractions) for patient in free}
    intervals = _intervals(fractions)
    if not given and len(free) < len(intervals):
        return dict.fromkeys(free, next(iter(intervals)))
    if not given:
        for group in (*_classes(items), free):
            _fill_empty(group, chosen, fractions)
    return given | chosen


def unit_hash(patient: str) -> float:
    """The patient's number in [0, 1)."""
    digest = hashlib.sha256(f"{SALT}\0{patient}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def _by_hash(number: float, fractions: Fractions) -> str:
    return next(name for name, (low, high) in _intervals(fractions).items() if low <= number < high)


def _intervals(fractions: Fractions) -> dict[str, tuple[float, float]]:
    """split -> [low, high) for the splits asked for; the last ends at 1 whatever rounding did."""
    wanted = [(name, part) for name, part in zip(SPLITS, fractions, strict=True) if part > 0]
    intervals, low = {}, 0.0
    for name, part in wanted:
        intervals[name] = (low, 1.0 if name == wanted[-1][0] else low + part)
        low += part
    return intervals


def _fill_empty(group: Sequence[str], chosen: dict[str, str], fractions: Fractions) -> None:
    """Gives each empty split one patient of `group`, in place, if there are as many patients as splits."""
    intervals = _intervals(fractions)
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
