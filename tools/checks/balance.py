"""What looks wrong in a data set as a whole: splits, patients and classes, once it is known what can be used."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from ssl3d_tf.data.records.manifest import SPLITS
from tools.checks import masks_together
from tools.checks.findings import Case, Finding
from tools.readers import labels
from tools.readers.contract import Item

WHOLE = "(all)"  # the example of a finding on no single one
MOST_SHOWN = 12  # classes in one line
FEWEST = 3  # examples of a patient who is said to have most


class Whole(NamedTuple):
    """A data set. planned: split -> its examples, wanted: splits asked for. cases: of those that can be used.

    doubts: words and lines, as a layout has them. classes, label_classes: value -> name.
    relabel, ignore_label: as the user asked for them. declared: split -> its examples as the data set itself says.
    """

    planned: Mapping[str, Sequence[Item]]
    wanted: Sequence[str]
    cases: Sequence[Case]
    classes: Mapping[str, str] = {}
    label_classes: Mapping[str, str] = {}
    doubts: Sequence[tuple[str, str]] = ()
    relabel: Sequence[tuple[int, int]] = ()
    ignore_label: int | None = None
    declared: Mapping[str, int] = {}


def find(whole: Whole) -> list[Finding]:
    """All findings, each of the example `WHOLE`."""
    usable = {case.facts.id for case in whole.cases}
    kept = {split: [item for item in items if item.id in usable] for split, items in whole.planned.items()}
    told = [*whole.doubts, *_empty(whole, kept), *_one_patient([item for items in kept.values() for item in items])]
    told += _doubted(whole, kept)
    told += masks_together.find(whole.cases, relabel=whole.relabel, ignore=whole.ignore_label)
    told += [("absent class", what) for what in _undrawn(whole)]
    told += [("missing class", what) for what in (*_without_label(whole, kept), *_without_mask(whole))]
    return [Finding(WHOLE, word, what) for word, what in told]


def _empty(whole: Whole, kept: Mapping[str, Sequence[Item]]) -> Iterator[tuple[str, str]]:
    patients = {item.patient for items in kept.values() for item in items}
    for split in (split for split in whole.wanted if not kept.get(split)):
        if count := whole.declared.get(split):
            word, why = "unusable split", f"its {count} examples cannot be used"
        elif planned := len(whole.planned.get(split, ())):
            word, why = "empty split", f"its {planned} examples cannot be used"
        elif len(patients) < len(whole.wanted):
            word, why = (
                "empty split",
                f"{len(patients)} patient{'s' * (len(patients) > 1)} for {len(whole.wanted)} splits",
            )
        else:
            word, why = "declared split", "the data set declares other splits for all its patients"
        yield word, f"{split} has no example: {why}"


def _one_patient(items: Sequence[Item]) -> Iterator[tuple[str, str]]:
    for patient, count in Counter(item.patient for item in items).most_common(1):
        if count >= FEWEST and 2 * count > len(items):
            which = "one patient only" if count == len(items) else "one patient has most"
            yield "one patient", f"{which}: '{patient}' has {count} of {len(items)} examples"


def _doubted(whole: Whole, kept: Mapping[str, Sequence[Item]]) -> Iterator[tuple[str, str]]:
    found = [item.label for items in kept.values() for item in items]
    return labels.doubts(whole.label_classes, found) if any(found) else iter(())


def _without_label(whole: Whole, kept: Mapping[str, Sequence[Item]]) -> Iterator[str]:
    having = {
        split: {name for item in items for name in _names(item.label, whole.label_classes)}
        for split, items in kept.items()
        if items
    }
    yield from _lacking("label", having)


def _names(label: tuple[float, ...] | None, classes: Mapping[str, str]) -> Iterator[str]:
    """What classes an example is of: its one, or of several numbers those that are 1; of a measurement, one for all."""
    if label is not None and len(label) > 1:
        yield "numbers"
        yield from (f"1 in place {number}" for number, value in enumerate(label) if value == 1)
    elif label is not None:
        yield labels.shown(labels.key(label[0]), classes.get(labels.key(label[0]), "")) if classes else "numbers"


def _without_mask(whole: Whole) -> Iterator[str]:
    having: dict[str, set[str]] = {}
    for split, facts in whole.cases:
        found = (labels.shown(value, whole.classes.get(value, "")) for value in facts.counts or ())
        having.setdefault(split, set()).update(found)
    yield from _lacking("mask", having)


def _undrawn(whole: Whole) -> Iterator[str]:
    """Classes but the background that are declared and in no mask, of those that --relabel leaves."""
    having = {value for _, facts in whole.cases for value in facts.counts or ()}
    made_others = {str(old) for old, _ in whole.relabel}
    absent = [value for value in whole.classes if value not in {"0", *having, *made_others}]
    if absent and any(facts.counts is not None for _, facts in whole.cases):
        shown = [labels.shown(value, whole.classes[value]) for value in sorted(absent, key=labels.natural)]
        yield f"no mask has {', '.join(shown[:MOST_SHOWN])}{' …' if len(shown) > MOST_SHOWN else ''}"


def _lacking(what: str, having: Mapping[str, set[str]]) -> Iterator[str]:
    """having: split -> classes of its masks or labels, none where it has none of them."""
    everywhere = set().union(*having.values())
    for split in (split for split in SPLITS if split in having and everywhere):
        if not having[split]:
            yield f"no example of {split} has a {what}"
        elif absent := sorted(everywhere - having[split], key=labels.natural):
            more = " …" if len(absent) > MOST_SHOWN else ""
            yield f"no {what} of {split} is {', '.join(absent[:MOST_SHOWN])}{more}"
