"""What a search may try: by knob, a range of numbers or a list of choices, each value as the text of a gin file.

In a gin file a space is plain data, as SPACE of gin/tune/base.gin:

    {'LEARNING_RATE': {'low': 1e-4, 'high': 1e-2, 'log': True}, 'FILTERS': [8, 16], 'ENCODER': ['@unet.encoder']}

Values are texts, rounded to six digits, so that a trial, the tables and best.gin say the same.
"""

import ast
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ssl3d_tf.errors import InputError

TUNERS = ("random", "bayesian", "hyperband", "grid")  # ways to search, of keras-tuner


class Numbers(NamedTuple):
    """From `low` to `high`, both included; step: distance of two values, on a logarithmic scale their ratio."""

    low: float
    high: float
    log: bool = False
    step: float | None = None
    whole: bool = False


class Choices(NamedTuple):
    """Texts of a gin file, such as "8", "'group'" or "@unet.encoder"."""

    texts: tuple[str, ...]


Space = Mapping[str, Numbers | Choices]


def floats(low: float, high: float, *, log: bool = False, step: float | None = None) -> Numbers:
    """Numbers of any kind. Raises InputError: an empty range, or a logarithm or step that it does not allow."""
    if not all(map(_is_number, (low, high))) or not -math.inf < low < high < math.inf:
        raise InputError(f"goes from {low!r} to {high!r}; low and high must be numbers, and low the smaller one")
    if log and low <= 0:
        raise InputError(f"goes from {low!r} on a logarithmic scale; low must be above 0 there")
    least = 1 if log else 0
    if step is not None and not (_is_number(step) and least < step < math.inf):
        raise InputError(f"has step {step!r}; it must be above {least}")
    return Numbers(low, high, bool(log), step)


def integers(low: int, high: int, *, log: bool = False, step: int | None = None) -> Numbers:
    """Whole numbers. Raises InputError: as `floats`, or a step that is not whole."""
    if step is not None and not isinstance(step, int):
        raise InputError(f"has step {step!r} between whole numbers; it must be whole")
    return floats(low, high, log=log, step=step)._replace(whole=True)


def choices(values: Sequence[Any]) -> Choices:
    """Numbers, truth values, None, texts, or lists of them; a text with @ before it is a function.

    Raises:
        InputError: fewer than two values, one of them twice, or something else among them.
    """
    texts = tuple(_text_of_choice(value) for value in values)
    if len(set(texts)) < max(2, len(texts)):
        raise InputError(f"has the choices {', '.join(texts) or 'none'}; there must be two or more, each once")
    return Choices(texts)


def parse(plain: Mapping[str, Any]) -> dict[str, Numbers | Choices]:
    """Knob -> {'low', 'high', 'log', 'step'} or a list of choices, as a gin file has it. Two integers: whole numbers.

    Raises:
        InputError: no knob, or one that cannot be searched.
    """
    if not isinstance(plain, Mapping) or not plain:
        raise InputError(f"SPACE is {plain!r}; it must name one knob or more, as {{'LEVELS': [2, 3]}}.")
    found: dict[str, Numbers | Choices] = {}
    for name, values in plain.items():
        try:
            found[name] = _distribution(values)
        except InputError as error:
            raise InputError(f"SPACE: {name} {error}.") from error
    return found


def text(value: float) -> str:
    """A number of a range as it stands in a gin file."""
    return repr(value) if isinstance(value, int) else repr(float(f"{value:.6g}"))


def holds(distribution: Numbers | Choices, given: str) -> bool:
    """Whether a value, as a gin file has it, is one that the search may try; steps are not looked at."""
    if isinstance(distribution, Choices):
        return given in distribution.texts
    try:
        value = ast.literal_eval(given)
    except (ValueError, SyntaxError):
        return False
    right_kind = isinstance(value, int) or not distribution.whole
    return _is_number(value) and right_kind and distribution.low <= value <= distribution.high


def ends(distribution: Numbers | Choices) -> tuple[str, ...]:
    """The values that show whether a knob takes all of them: both ends of a range, every choice."""
    if isinstance(distribution, Choices):
        return distribution.texts
    return tuple(map(text, (distribution.low, distribution.high)))


def _distribution(values: Any) -> Numbers | Choices:
    if isinstance(values, list | tuple):
        return choices(values)
    if not isinstance(values, Mapping) or not {"low", "high"} <= set(values) <= {"low", "high", "log", "step"}:
        raise InputError(f"is {values!r}; it must be a list, or have 'low' and 'high', and perhaps 'log' and 'step'")
    whole = all(isinstance(values[end], int) for end in ("low", "high"))
    build = integers if whole else floats
    return build(values["low"], values["high"], log=values.get("log", False), step=values.get("step"))


def _text_of_choice(value: Any) -> str:
    if isinstance(value, str) and value.startswith("@"):
        return value
    try:
        ast.literal_eval(repr(value))
    except (ValueError, SyntaxError) as error:
        raise InputError(f"has the choice {value!r}; functions stand in quotes, as '@unet.encoder'") from error
    return repr(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
