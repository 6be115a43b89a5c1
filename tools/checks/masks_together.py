"""What looks wrong in the masks of a data set when they are seen together: words of warnings, each with a line."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from ssl3d_tf.data.records.manifest import SPLITS
from tools.checks.findings import Case

Doubt = tuple[str, str]

WHITE = {255, 65535}  # what programs that draw write for 1
UNEVEN = 3  # times fewer masks than the others have, by as many masks


def find(cases: Sequence[Case], *, relabel: Sequence[tuple[int, int]], ignore: int | None) -> Iterator[Doubt]:
    """relabel: pairs (mask value, the one stored instead). ignore: the value that stands for "not known"."""
    masked = [case for case in cases if case.facts.counts is not None]
    if masked:
        yield from _unused(masked, relabel, ignore)
        yield from _ones_and_whites(masked)
        yield from _palettes(masked)
        yield from _uneven(cases)


def _unused(masked: Sequence[Case], relabel: Sequence[tuple[int, int]], ignore: int | None) -> Iterator[Doubt]:
    drawn = [case.facts.drawn for case in masked if case.facts.drawn is not None]
    had = {old for one in drawn for old in one.relabelled}
    if absent := [f"{old}:{new}" for old, new in relabel if old not in had]:
        yield "unused", f"--relabel={','.join(absent)} changes nothing: no mask has {_values(absent)}"
    if drawn and ignore is not None and not any(one.ignored for one in drawn):
        yield "unused", f"no voxel of a mask has {ignore}, the label to ignore"
    for old, new in relabel:
        if new == ignore and old in had:
            yield "ignored", f"{old} becomes {new}, which is ignored: it is in no loss and no score"


def _values(pairs: Sequence[str]) -> str:
    return ", ".join(pair.split(":")[0] for pair in pairs)


def _ones_and_whites(masked: Sequence[Case]) -> Iterator[Doubt]:
    """Masks of one region that is 1 in some files and white in others."""
    regions = [{int(value) for value in case.facts.counts or ()} - {0} for case in masked]
    counts = Counter(next(iter(one)) for one in regions if one)
    is_one_each = all(len(one) <= 1 for one in regions)
    if is_one_each and len(counts) > 1 and set(counts) <= {1, *WHITE}:
        shown = ", ".join(f"{value} in {count}" for value, count in sorted(counts.items()))
        pairs = ",".join(f"{value}:{min(counts)}" for value in sorted(counts)[1:])
        yield "mixed masks", f"the one region of masks is {shown}: --relabel={pairs} makes them one class"


def _palettes(masked: Sequence[Case]) -> Iterator[Doubt]:
    """Values that stand for one colour in one file and for another elsewhere."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for case in masked:
        for value, colour in (case.facts.drawn.colours if case.facts.drawn else {}).items():
            found[value].setdefault(colour, case.facts.id)
    for value, colours in sorted(found.items(), key=lambda pair: int(pair[0])):
        if len(colours) > 1:
            shown = " and ".join(f"{colour} in '{name}'" for colour, name in list(colours.items())[:2])
            yield "palettes", f"mask value {value} is of colour {shown}"


def _uneven(cases: Sequence[Case]) -> Iterator[Doubt]:
    """Splits with far fewer masks than the data set has on the whole."""
    sizes = Counter(case.split for case in cases)
    having = Counter(case.split for case in cases if case.facts.counts is not None)
    shown = ", ".join(f"{having[split]} of {sizes[split]} in {split}" for split in SPLITS if sizes[split])
    for split in (split for split in SPLITS if having[split] > 0):
        expected = sizes[split] * having.total() / sizes.total()
        if expected - having[split] >= UNEVEN and having[split] * UNEVEN <= expected:
            yield "uneven masks", f"{split} has few of the masks: {shown}"
