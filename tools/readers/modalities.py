"""One person in several modalities, by names alike but for what was imaged or done: T1/007 and T2/007, raw/5 and bet/5.

CT and MR are of two scanners. Where they are named before a number (ct_train_1001, MR/0007), each may number people of
its own, as in MM-WHS and CHAOS: these stay apart, and who may be one is told. Behind it they are scans of one (007_ct).
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from tools.readers import files, label_names, person_names
from tools.readers.contract import Item

SCANNERS = {"ct": label_names.CT, "mr": label_names.MR, "us": label_names.US}


class Scan(NamedTuple):
    """id; words of MODALITIES and steps of processing in its path; the scanner, if they say it before its number."""

    id: str
    kinds: frozenset[str]
    scanner: str


def joined(items: Sequence[Item], found: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Id -> patient of those called alike in several modalities; id -> who it may be, where these are left apart.

    Args:
        found: id -> patient, by names. All scans of one are joined with whom one of them is.
    """
    scans = defaultdict(list)
    for one, patient in found.items():
        scans[patient].append(one)
    patients: dict[str, str] = {}
    supposed: dict[str, str] = {}
    for name, group in _alike(items, found):
        parts = _of_scanners(group)
        if len(parts) > 1 and not person_names.is_person(name):
            supposed |= {scan.id: name for scan in group}
        else:
            parts = {"": group}
        for scanner, part in parts.items():
            if len({scan.kinds for scan in part}) > 1 and len({found.get(scan.id, scan.id) for scan in part}) > 1:
                of_all = (one for scan in part for one in scans.get(found.get(scan.id, ""), [scan.id]))
                patients |= dict.fromkeys(of_all, f"{scanner}/{name}" if scanner else name)
    return patients, supposed


def _alike(items: Sequence[Item], found: Mapping[str, str]) -> Iterator[tuple[str, list[Scan]]]:
    """Names with the scans that are called so, of one declared split."""
    named: dict[tuple[str | None, str], list[Scan]] = defaultdict(list)
    for item in items:
        stem = files.stem_of(item.path)
        told = found.get(item.id, stem).split("/")
        parts = [label_names.name(part) for part in told if not person_names.is_step(part)]
        if parts and parts[-1].whose:  # of "0007/t1" the folder is who it is, and may be where it is from
            name = "/".join(dict.fromkeys("_".join(part.whose) for part in parts if part.whose))  # P1/T1/P1_FLAIR is P1
            named[item.split, name].append(_scan(item.id, stem))
    yield from ((name, group) for (_, name), group in named.items() if len({scan.kinds for scan in group}) > 1)


def _scan(name: str, stem: str) -> Scan:
    kinds = [label_names.name(part).kinds for part in stem.split("/")]
    steps = filter(person_names.is_step, stem.split("/"))
    before = _before_numbers(stem)
    return Scan(
        name, frozenset(steps).union(*kinds), next((one for one, words in SCANNERS.items() if before & words), "")
    )


def _before_numbers(stem: str) -> set[str]:
    """The words of MODALITIES that stand before the first number of somebody."""
    found: set[str] = set()
    for part in stem.split("/"):
        for word in () if person_names.is_place(part) else label_names.words(part):
            if word in label_names.MODALITIES:
                found.add(word)
            elif any(map(str.isdigit, word)):
                return found
    return found


def _of_scanners(group: Sequence[Scan]) -> dict[str, list[Scan]]:
    """The scans of each scanner; those that say none, as of PET, are of the first that is there."""
    parts: dict[str, list[Scan]] = {scanner: [] for scanner in SCANNERS if any(one.scanner == scanner for one in group)}
    for scan in group:
        parts.setdefault(scan.scanner or next(iter(parts), ""), []).append(scan)
    return parts
