"""Labels of whole images as people write them: texts -> numbers and class names, and what is to be doubted of them.

Words for a missing value are those that pandas.read_csv takes for one (pandas 2.2, `na_values`), in any case, and '?';
of 'none' only the spelling 'None', as 'none' is a grade too. Such a cell is no label.
"""

import itertools
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from ssl3d_tf.errors import InputError

MISSING = {"", "#n/a", "#n/a n/a", "#na", "-1.#ind", "1.#ind", "-1.#qnan", "1.#qnan", "-nan", "<na>", "n/a", "na"}
MISSING |= {"nan", "null", "?"}
COMMA, THOUSANDS = re.compile(r"[+-]?\d+,\d+"), re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
MOST_CLASSES = 100  # more distinct whole numbers than this are measurements
MOST_SHOWN = 20  # classes in one line
EXACT = 1 << 24  # records hold labels as float32, and whole numbers beyond this would become their neighbours

Number = tuple[float, ...]


class Labels(NamedTuple):
    """numbers: text -> one or several. classes: number -> name; none of measurements and of several numbers."""

    numbers: Mapping[str, Number]
    classes: Mapping[str, str]


def is_missing(text: str) -> bool:
    """Whether a cell says that its value is not known."""
    return text.casefold() in MISSING or text == "None"


def known(text: str | None) -> str:
    """The cell, or '' where it says that its value is not known."""
    return "" if text is None or is_missing(text) else text


def natural(text: str) -> tuple[tuple[bool, float, str], ...]:
    """A key that sorts texts by the numbers in them: −1, 2, 10, 'grade 2', 'grade 10'."""
    if (value := _number(text)) is not None:
        return ((False, value, text),)
    return tuple((not part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in _parts(text))


def read(texts: Sequence[str], where: str) -> Labels:
    """What the cells `texts`, none of them missing, say: numbers, several separated by ';', or names of classes.

    Names are numbered in natural order.

    Raises:
        InputError: numbers that are infinite, not equally many, partly missing, classes beyond EXACT, or with a comma
            that may be of thousands. where: of the error.
    """
    distinct = sorted(set(texts), key=lambda text: (natural(text), text))
    point = "," if _have_decimal_comma(distinct, where) else "."
    numbers = {text: tuple(_number(part.replace(point, ".")) for part in text.split(";")) for text in distinct}
    if all(None not in found for found in numbers.values()):
        return _measured(
            {text: tuple(value for value in found if value is not None) for text, found in numbers.items()}, where
        )
    partly = next((text for text in distinct if ";" in text and any(map(is_missing, text.split(";")))), None)
    if partly is not None:
        raise InputError(f"{where} holds '{partly}', which lacks a number; give all of them, or leave the cell empty.")
    return named(distinct)


def _have_decimal_comma(texts: Sequence[str], where: str) -> bool:
    """Whether the numbers in `texts` are written as 1,5.

    Raises:
        InputError: each of them could be a thousand too.
    """
    parts = [part for text in texts for part in text.split(";")]
    found = [part for part in parts if COMMA.fullmatch(part.strip())]
    if not found or any(_number(part) is None for part in parts if part not in found):
        return False
    if all(THOUSANDS.fullmatch(part.strip()) for part in found):
        point, none = found[0].replace(",", "."), found[0].replace(",", "")
        raise InputError(f"{where} holds '{found[0]}', which is {point} or {none}; write it as either.")
    return True


def named(names: Sequence[str]) -> Labels:
    """Classes by name, numbered in natural order."""
    ordered = sorted(set(names), key=lambda name: (natural(name), name))
    numbers = {name: (float(number),) for number, name in enumerate(ordered)}
    return Labels(numbers, {str(number): name for number, name in enumerate(ordered)})


def in_words(classes: Mapping[str, str], labels: Sequence[Number | None]) -> str:
    """Classes with counts: 0 'benign' (12), 1 'ill' (8); 4 without a label.

    Without classes, how many have one, and what keeps single numbers from being classes.
    """
    with_label = [label for label in labels if label is not None]
    rest = f"; {len(labels) - len(with_label)} without a label" if len(with_label) < len(labels) else ""
    counts = Counter(key(label[0]) for label in with_label)
    each = [f"{shown(value, name)} ({counts[value]})" for value, name in classes.items()]
    more = f" and {len(each) - MOST_SHOWN} more" if len(each) > MOST_SHOWN else ""
    broken = sorted({value for value, *others in with_label if not others and not float(value).is_integer()})
    why = f", no classes, as some are not whole: {', '.join(f'{one:g}' for one in broken[:3])}" if broken else ""
    return (", ".join(each[:MOST_SHOWN]) + more if classes else f"{len(with_label)} have one{why}") + rest


def doubts(classes: Mapping[str, str], labels: Sequence[Number | None]) -> Iterator[tuple[str, str]]:
    """What looks wrong in classes, or in several answers of yes or no: the word of a warning, and a line."""
    if not classes:
        yield from _no_answers([label for label in labels if label is not None])
        return
    counts = Counter(key(label[0]) for label in labels if label is not None)
    alike: dict[str, list[str]] = {}
    for value, name in classes.items():
        alike.setdefault(" ".join(name.casefold().split()), []).append(f"'{name}' ({counts[value]})")
    for names in alike.values():
        if len(names) > 1:
            yield "labels", f"{' and '.join(names)} differ in case only, and are {len(names)} classes"
    words = [name for name in classes.values() if _number(name) is None]
    if 0 < len(words) < len(classes):
        yield "labels", f"{', '.join(map(repr, words))} among numbers is a class of its own"
    negative = [value for value in classes if value.startswith("-")]
    if negative:
        yield "labels", f"{', '.join(f'{value} ({counts[value]})' for value in negative)} is a class of its own"
    if absent := _absent(classes, counts):
        yield (
            "absent class",
            f"no example has {', '.join(absent[:MOST_SHOWN])}{' …' if len(absent) > MOST_SHOWN else ''}",
        )


def _no_answers(labels: Sequence[Number]) -> Iterator[tuple[str, str]]:
    """Of several numbers that are 0 or 1, those that are negative, as a finding that is uncertain."""
    counts = Counter(value for label in labels if len(label) > 1 for value in label)
    odd = sorted(counts.keys() - {0, 1})
    if odd and {0, 1} <= counts.keys() and all(value < 0 and value.is_integer() for value in odd):
        shown = ", ".join(f"{key(value)} ({counts[value]})" for value in odd)
        yield "labels", f"{shown} among several numbers of 0 and 1 is neither no nor yes, and none to learn from"


def _absent(classes: Mapping[str, str], counts: Mapping[str, int]) -> list[str]:
    """Classes that are declared, or lie between others or 0, and that nobody has; of many between two, the ends."""
    values = sorted(map(int, classes))
    between = range(min(0, *values), max(values) + 1)
    if len(values) > 1 and len(between) <= MOST_CLASSES:
        return [shown(str(value), classes.get(str(value), "")) for value in between if not counts.get(str(value))]
    declared = [shown(str(value), classes[str(value)]) for value in values if not counts.get(str(value))]
    gaps = [(low + 1, high - 1) for low, high in itertools.pairwise(values) if high - low > 1]
    return declared + [str(low) if low == high else f"{low} to {high}" for low, high in gaps]


def _measured(numbers: Mapping[str, Number], where: str) -> Labels:
    sizes = {len(label) for label in numbers.values()}
    if len(sizes) > 1 or not all(math.isfinite(value) for label in numbers.values() for value in label):
        raise InputError(f"{where} must hold finite numbers, equally many in each row.")
    values = sorted({value for label in numbers.values() for value in label})
    if sizes != {1} or len(values) > MOST_CLASSES or not all(value.is_integer() for value in values):
        return Labels(numbers, {})
    if large := [value for value in values if abs(value) > EXACT]:
        found = f"{where} holds {key(large[0])} as a class, and is kept in float32, which is exact to ±{EXACT:,} only"
        raise InputError(f"{found}; number the classes from 0, or write them as words.")
    return Labels(numbers, {key(value): f"class {key(value)}" for value in values})


def key(value: float) -> str:
    """A label as `Labels.classes` has it: every digit of it."""
    return str(int(value)) if float(value).is_integer() else str(value)


def shown(value: str, name: str) -> str:
    """A class with its name, where that says more."""
    return value if name in ("", value, f"class {value}") else f"{value} '{name}'"


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _parts(text: str) -> list[str]:
    return [part for part in re.split(r"(\d+)", text) if part]
