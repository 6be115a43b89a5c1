"""What a rule makes of a value, and the rules that others are made of."""

from collections.abc import Callable
from typing import Any, NamedTuple

from tools.original.config import Original
from tools.original.keys import TRAIN


class Converted(NamedTuple):
    """Bindings as gin text by name, modules they need, and what is left out, and why."""

    bindings: dict[str, str]
    imports: tuple[str, ...] = ()
    note: str = ""


Rule = Callable[[Any, Original], Converted]


def left(note: str) -> Converted:
    """No binding, for this reason."""
    return Converted({}, (), note)


def macro(name: str) -> Rule:
    """The value as it is, under another name."""
    return lambda value, _: Converted({name: repr(value)}) if value is not None else Converted({})


def pretraining(rule: Rule) -> Rule:
    """The rule, where encoders are pretrained; in finetuning the key changes no weight of the encoder."""
    note = "of pretraining only"
    return lambda value, original: rule(value, original) if original.phase == TRAIN else left(note)


def of(algorithms: tuple[str, ...], rule: Rule) -> Rule:
    """The rule, for these algorithms; the others did not read the key."""

    def checked(value: Any, original: Original) -> Converted:
        if original.algorithm in algorithms:
            return rule(value, original)
        return left(f"{original.algorithm} did not read it")

    return checked


def steps(name: str) -> Rule:
    """Epochs as steps."""

    def rule(value: int, original: Original) -> Converted:
        if original.steps_per_epoch is None:
            return left(f"{value} epochs; give --examples, the number of training volumes, to set {name}")
        return Converted({name: str(value * original.steps_per_epoch)})

    return rule
