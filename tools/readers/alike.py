"""Names that are alike without saying why: perhaps visits of one person, which only the user can tell."""

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

from tools.readers import label_names, person_names

MOST_WORDS = 8  # of a name, that are looked at
_WORD = re.compile(r"\d+(?:\.\d+){5,}|[^ _.-]+")  # a UID of DICOM is one word
_LETTERS_BEHIND = re.compile(r"(.*\d)[A-Za-z]{1,5}\d{0,3}")
_NUMBER_BEHIND = re.compile(r"[A-Za-z _.-]*?([A-Za-z]{0,2}\d.*)")
# The number or hash of a person, and of no year.
_LONG = rf"(?:(?<!\d)(?!(?:19|20)\d\d(?!\d))\d{{3,}}|{person_names.HASH.pattern})[^/]*$"
_IS_LONG = re.compile(_LONG, re.IGNORECASE).search
_IS_CALLED = re.compile(r"(?:.*/)?(?:p|pt|pat|case|id)[ _-]?\d+", re.IGNORECASE).fullmatch  # P1, case_1
_COUNTED = re.compile(r".*\(\d+\)")  # as Windows numbers what it renames at once
_WORDS_BEFORE = re.compile(r"((?:[^/]*/)*?([^/\d]*[A-Za-z]))[ _.-]*/?\d[^/]*")
GROUPS = 4  # times as many names as those that say a class, at most, are of classes
_SURE = 2  # times as many words as names that begin with one: else they are organs or classes

Keys = Mapping[str, str]  # path without suffix -> what it shares with others


def doubts(names: Mapping[str, str], *, across: Mapping[str, str], supposed: Keys) -> Iterator[str]:
    """Which examples share what may be a person, with a pattern that finds it; nothing where few of them do.

    Of several ways to share the one that joins most is told: it parts nobody's visits.

    Args:
        names: path without suffix -> the patient that it is taken for. across: those of them of which equal numbers
            in several folders, or behind several words, may be one person. supposed: who it is by a name of which
            there are too few to be sure.
    """
    inner = _folders(names), _beginnings(names), [_hashes(names)]
    ways = itertools.chain((supposed,), *inner, _endings(across), _words_alone(names))
    shared = (_shared(keys, names, are_people=keys is supposed) for keys in ways)
    yield from itertools.islice((_told(keys) for keys in shared if 2 * len(keys) >= len(names) and keys), 1)


def _shared(keys: Keys, names: Mapping[str, str], *, are_people: bool) -> Keys:
    """The keys that several patients of `names` share; none where these are no people, as too many share one."""
    patients = defaultdict(set)
    for stem, key in keys.items():
        patients[key].add(names[stem])
    several = {key: len(found) for key, found in patients.items() if len(found) > 1}
    shared = {stem: key for stem, key in keys.items() if key in several}
    are_few = max(several.values(), default=0) <= len(several)
    are_called = all(map(_IS_LONG, several)) or all(map(_IS_CALLED, several)) or all(map(_is_modality, shared))
    are_people = are_people or are_few or are_called
    return shared if len(several) > 1 and are_people else {}


def _is_modality(stem: str) -> bool:
    """Whether the name says only what was imaged, so that the folder is who it is: P1/ct."""
    last = label_names.name(stem.rpartition("/")[2])
    return bool(last.kinds) and not last.whose


def _folders(names: Mapping[str, str]) -> Iterator[Keys]:
    """The folders with a number in which names lie, outer ones first."""
    parts = {stem: name.split("/") for stem, name in names.items()}
    for count in range(1, max(map(len, parts.values()), default=0)):
        found = {stem: of[:count] for stem, of in parts.items() if count < len(of)}
        people = {stem: key for stem, key in found.items() if person_names.is_somebody(key[-1:])}
        yield {stem: "/".join(key) for stem, key in people.items() if not _is_nobody(key[-1])}


def _is_nobody(folder: str) -> bool:
    return bool(person_names.LATER.fullmatch(folder)) or person_names.is_collection(folder)


def _beginnings(names: Mapping[str, str]) -> Iterator[Keys]:
    """What names begin with, up to a number: short beginnings first. Dates are no numbers of persons."""
    dateless = _dateless(names)
    for count in range(1, MOST_WORDS + 1):
        found = ((stem, _beginning(name, count)) for stem, name in dateless.items())
        yield {stem: key for stem, key in found if key}
    yield {stem: match[1] for stem, name in dateless.items() if (match := _LETTERS_BEHIND.fullmatch(name))}


def _dateless(names: Mapping[str, str]) -> Mapping[str, str]:
    return {stem: name for stem, name in names.items() if not person_names.DATE.search(name)}


def _beginning(name: str, count: int) -> str:
    """The folders of `name` and so many words of it, where these say somebody."""
    last = name.rpartition("/")[2]
    words = list(itertools.islice(_WORD.finditer(last), count))
    if len(words) < count or not person_names.is_somebody([last[: words[-1].end()]]):
        return ""
    return name[: len(name) - len(last) + words[-1].end()]


def _hashes(names: Mapping[str, str]) -> Keys:
    """The hash in names that several have: 20586908_6c613a14b80a8591_MG."""
    found = {stem: person_names.HASH.findall(name.rpartition("/")[2]) for stem, name in names.items()}
    counts = Counter(itertools.chain.from_iterable(found.values()))
    firsts = ((stem, next((one for one in of if counts[one] > 1), "")) for stem, of in found.items())
    return {stem: first for stem, first in firsts if first}


def _endings(names: Mapping[str, str]) -> Iterator[Keys]:
    """The number that names end in, behind words or in folders that are nobody's: first/012, second_012; M06_012."""
    trimmed = {stem: person_names.trimmed(name.split("/")) for stem, name in _dateless(names).items()}
    if GROUPS * sum(any(map(person_names.is_group, parts)) for parts in trimmed.values()) >= len(trimmed):
        return  # beside benign_1 and normal_1 other words are classes too
    lasts: dict[str, str] = {}
    for stem, (*above, last) in trimmed.items():
        is_of_many = any(map(person_names.is_place, above)) or person_names.is_somebody(above)
        if not is_of_many and not _COUNTED.fullmatch(last):
            lasts[stem] = last
    behind = {stem: match[1] for stem, last in lasts.items() if (match := _NUMBER_BEHIND.fullmatch(last))}
    yield {stem: lasts[stem] if person_names.is_person(lasts[stem]) else key for stem, key in behind.items()}
    words = {stem: _WORD.findall(last) for stem, last in lasts.items()}
    yield {stem: of[-1] for stem, of in words.items() if len(of) > 1 and person_names.is_somebody(of[-1:])}


def _words_alone(names: Mapping[str, str]) -> Iterator[Keys]:
    """The words without a number that names begin with, where these are many: smith_1, smith_2, jones_1.

    Numbers that are all different are those of people, and the words where these are from: boston_1012, paris_1013.
    """
    matches = ((stem, _WORDS_BEFORE.match(name)) for stem, name in _dateless(names).items())
    named = {stem: match for stem, match in matches if match and not person_names.is_place(match[2])}
    counts = Counter(match[1] for match in named.values())
    numbers = {match[0].removeprefix(match[1]) for match in named.values()}
    if counts and _SURE * max(counts.values()) <= len(counts) and len(numbers) < len(named):
        yield {stem: match[1] for stem, match in named.items()}


def _told(keys: Keys) -> str:
    first = min(keys.values())
    one, two = [stem for stem, key in sorted(keys.items()) if key == first][:2]
    fitting = (tried for tried in _patterns(first) if _parts_as(tried, keys))
    pattern = min(fitting, key=lambda tried: not first.casefold().endswith(_found(tried, one).casefold()), default=None)
    found = f"'{pattern}'" if pattern else "no short pattern"
    shown = f"as '{one}' and '{two}' share '{first}', found by {found}"
    return f"{len(keys)} examples share {len(set(keys.values()))} names, {shown}"


def _found(pattern: str, stem: str) -> str:
    match = re.search(pattern, stem)
    return match[1] if match else ""


def _parts_as(pattern: str, keys: Keys) -> bool:
    """Whether a pattern of --patients_from makes exactly those one who share a key."""
    expression = re.compile(pattern)
    found = {stem: match[1] for stem in keys if (match := expression.search(stem))}
    pairs = {(found.get(stem), key) for stem, key in keys.items()}
    return len(found) == len(keys) and len(pairs) == len(set(keys.values())) == len(set(found.values()))


def _patterns(name: str) -> Iterator[str]:
    """Patterns that may find `name` and its like, the plain ones first."""
    yield from (f"(.+){separator}" for separator in ("_", "-", r"\.", " "))
    if person_names.HASH.fullmatch(name):
        yield f"([0-9A-Fa-f]{{{len(name)}}})"
    yield from ("(.*[0-9])", "(.+)/", "([^/]+)$", "([^/ _.-]+)$", "([0-9]+)$", "([A-Za-z]?[0-9]+)$")
    for separator, count in itertools.product("/_. -", range(1, 5)):
        joint = r"\." if separator == "." else separator
        yield "^(" + joint.join([f"[^{separator}]+"] * count) + ")"
    yield from ("([0-9]+)", "(?:^|[/_ .-])([0-9]+)")
    yield rf"(?:^|/)({re.sub('[0-9]+', '[0-9]+', name.rpartition('/')[2])})(?![0-9])"
