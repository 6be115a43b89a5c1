"""A whole configuration of the published program -> bindings of ours, and what became of every key."""

import difflib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ssl3d_tf.errors import InputError
from tools.original.bindings import Converted, left
from tools.original.config import Original, check, defaults, include
from tools.original.keys import BOTH, FINETUNE, GENERATOR_KEYS, KEYS, TRAIN
from tools.original.rules import RULES

_BY_NAME = {key.name: key for key in KEYS}
_OF_GENERATORS = {key.name: key for key in GENERATOR_KEYS}
_ARGUMENTS = "_data_generator_args"


class Conversion(NamedTuple):
    """The file to include, imports and bindings (name -> text, key), notes (key -> why), and unknown keys."""

    phase: str
    include: str
    imports: tuple[str, ...]
    bindings: dict[str, tuple[str, str]]
    notes: dict[str, str]
    unknown: dict[str, str]


def read(path: Path) -> dict[str, Any]:
    """The configuration. Raises InputError where the file is none."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is no JSON file: {error}") from error
    if not isinstance(config, dict):
        raise InputError(f"{path} holds no JSON object; name a configuration of the published program.")
    return config


def convert(config: Mapping[str, Any], *, examples: int | None = None) -> Conversion:
    """Every key of `config`, and every default of the published program that differs from the included file's.

    Args:
        config: of pretraining or finetuning.
        examples: training volumes; None leaves epochs as a note.

    Raises:
        InputError: it names none of the five algorithms, or a value is of another type than there.
    """
    check(config)
    is_finetuning = any(
        key.read_by == FINETUNE for name in config if (key := _BY_NAME.get(name)) and name != "val_split"
    )
    phase = FINETUNE if is_finetuning else TRAIN
    filled = defaults(config, phase)
    original = Original({**filled, **config}, phase, examples)
    bindings: dict[str, tuple[str, str]] = {}
    imports: set[str] = set()
    notes, unknown = {}, {}
    for name in [key.name for key in KEYS if key.name in original.values]:
        found = _apply(name, original)
        for binding, text in found.bindings.items():
            bindings.setdefault(binding, (text, name if name in config else f"{name}, by default"))
        imports |= set(found.imports)
        if found.note and name in config:
            notes[name] = found.note
    for name in config:
        if name not in _BY_NAME:
            unknown[name] = _nearest(name, _BY_NAME)
    for name in _generator_arguments(config):
        short = name.partition(".")[2]
        if short in _OF_GENERATORS:
            notes[name] = _OF_GENERATORS[short].remark
        else:
            unknown[name] = _nearest(short, _OF_GENERATORS)
    return Conversion(phase, include(original), tuple(sorted(imports)), bindings, notes, unknown)


def _apply(name: str, original: Original) -> Converted:
    key = _BY_NAME[name]
    if key.read_by not in (BOTH, original.phase):
        return left(f"not read in {original.phase}" if key.read_by in (TRAIN, FINETUNE) else key.remark)
    if name.endswith(_ARGUMENTS):
        return Converted({})
    rule = RULES.get(name)
    if rule is None:
        return left(key.remark)
    try:
        return rule(original.values[name], original)
    except (TypeError, AttributeError, KeyError) as error:
        raise InputError(
            f"{name} is {original.values[name]!r}, which the published program takes for nothing."
        ) from error


def _generator_arguments(config: Mapping[str, Any]) -> Iterator[str]:
    for name, value in config.items():
        if name in _BY_NAME and name.endswith(_ARGUMENTS) and isinstance(value, Mapping):
            yield from (f"{name}.{key}" for key in value)


def _nearest(name: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}?" if close else "no such key"
