"""How files were read where that is worth a word, counted over the data set: for the screen and for summary.md."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from tools.checks.facts import Facts
from tools.readers.contract import Item, Probe


class Note(NamedTuple):
    """what: a sentence. examples: how many it is about, one of them called `such_as`. voxels: 0 for all of them."""

    what: str
    examples: int
    such_as: str
    voxels: int = 0

    def __str__(self) -> str:
        return f"{self.what} (examples: {self.examples}, such as '{self.such_as}')"


def of_headers(probes: Mapping[Item, Probe]) -> tuple[Note, ...]:
    """What headers had to be noted, before a voxel was read."""
    return _counted((item.id, dict.fromkeys(probe.notes, 0)) for item, probe in probes.items())


def of_volumes(facts: Sequence[Facts]) -> tuple[Note, ...]:
    """What was noted while volumes were read."""
    return _counted((one.id, one.notes) for one in facts)


def _counted(noted: Iterable[tuple[str, Mapping[str, int]]]) -> tuple[Note, ...]:
    found: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for name, notes in noted:
        for what, voxels in notes.items():
            found[what].append((name, voxels))
    return tuple(Note(what, len(who), min(who)[0], sum(n for _, n in who)) for what, who in sorted(found.items()))
