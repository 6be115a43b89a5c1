"""Converts a JSON configuration of the published program into a gin file of ours.

    python -m tools.convert_config cpc_3d.json --output=cpc_3d.gin --examples=253

Says what became of every key: its binding, or why there is none. Unknown keys, which the published program swallowed,
are listed. docs/from_the_original.md has the whole table.
"""

import difflib
import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from absl import app, flags

from ssl3d_tf.command import cli
from ssl3d_tf.command.home import ROOT
from ssl3d_tf.data import files
from ssl3d_tf.errors import InputError
from tools import original_rules
from tools.original_keys import BOTH, FINETUNE, GENERATOR_KEYS, KEYS, TRAIN
from tools.original_rules import Converted, Original

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


def define_flags() -> None:
    """Declares the flags; called by the command only."""
    flags.DEFINE_string("output", None, "The gin file; default: the JSON file's name, with .gin.")
    flags.DEFINE_integer("examples", None, "Training volumes, to turn epochs into steps.", lower_bound=1)


def main(argv: Sequence[str]) -> None:
    """One JSON file -> one gin file, and on stdout what became of its keys."""
    values = flags.FLAGS
    if len(argv) != 2:
        raise app.UsageError("name one JSON file: python -m tools.convert_config old.json")
    source = Path(argv[1])
    output = Path(values.output) if values.output else source.with_suffix(".gin")
    if output.exists():
        raise InputError(f"{output} exists; give another --output.")
    conversion = convert(read(source), examples=values.examples)
    with files.atomic(output) as file:
        file.write(gin_text(conversion, source.name).encode())
    print("\n".join(listing(conversion)))
    if not (ROOT / conversion.include).is_file():
        print(f"{conversion.include} is not there: this version cannot run it.")
    print(f"\n{output}: python -m ssl3d_tf.{_command(conversion)} --gin_file={output} --data=DATA --workdir=RUN")


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
    original_rules.check(config)
    is_finetuning = any(
        key.read_by == FINETUNE for name in config if (key := _BY_NAME.get(name)) and name != "val_split"
    )
    phase = FINETUNE if is_finetuning else TRAIN
    filled = original_rules.defaults(config, phase)
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
    return Conversion(phase, original_rules.include(original), tuple(sorted(imports)), bindings, notes, unknown)


def gin_text(conversion: Conversion, source: str) -> str:
    """The gin file."""
    lines = [
        f"# Converted by tools.convert_config from {source} of the program of Taleb et al., 2020, arXiv:2006.03829."
    ]
    lines += [f"#   python -m ssl3d_tf.{_command(conversion)} --gin_file=THIS --data=DATA --workdir=RUN"]
    for title, entries in _remarks(conversion):
        lines += [f"# {title}:"]
        for name, why in entries.items():
            lines += textwrap.wrap(f"{name}: {why}", 110, initial_indent="#   ", subsequent_indent="#     ")
    lines += ["", "from __gin__ import dynamic_registration"]
    for module in conversion.imports:
        package, _, name = module.rpartition(".")
        lines += [f"from {package} import {name}"]
    lines += ["", f"include '{conversion.include}'", ""]
    lines += [f"{name} = {text}{_by_default(key)}" for name, (text, key) in conversion.bindings.items()]
    return "\n".join(lines) + "\n"


def listing(conversion: Conversion) -> Iterator[str]:
    """Lines for the user: what became of every key."""
    yield f"include '{conversion.include}'"
    for name, (text, key) in conversion.bindings.items():
        yield f"{key:32} {name} = {text}"
    for title, entries in _remarks(conversion):
        yield f"\n{title}:"
        for name, why in entries.items():
            yield f"  {name:30} {why}"


def _apply(name: str, original: Original) -> Converted:
    key = _BY_NAME[name]
    if key.read_by not in (BOTH, original.phase):
        return original_rules.left(f"not read in {original.phase}" if key.read_by in (TRAIN, FINETUNE) else key.remark)
    if name.endswith(_ARGUMENTS):
        return Converted({})
    rule = original_rules.RULES.get(name)
    if rule is None:
        return original_rules.left(key.remark)
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


def _remarks(conversion: Conversion) -> Iterator[tuple[str, dict[str, str]]]:
    if conversion.notes:
        yield "Without a binding", conversion.notes
    if conversion.unknown:
        yield "Unknown, and ignored by the published program", conversion.unknown


def _nearest(name: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}?" if close else "no such key"


def _by_default(key: str) -> str:
    return f"  # {key}" if key.endswith("by default") else ""


def _command(conversion: Conversion) -> str:
    return "train" if conversion.phase == TRAIN else "finetune"


def command() -> None:
    """The command line."""
    cli.run(main, define_flags)


if __name__ == "__main__":
    command()
