"""A converted configuration as a gin file, and as lines for the user."""

import textwrap
from collections.abc import Iterator

from tools.original.conversion import Conversion
from tools.original.keys import TRAIN


def text(conversion: Conversion, source: str) -> str:
    """The gin file."""
    lines = [
        f"# Converted by tools.convert_config from {source} of the program of Taleb et al., 2020, arXiv:2006.03829."
    ]
    lines += [f"#   python -m ssl3d_tf.{command(conversion)} --gin_file=THIS --data=DATA --workdir=RUN"]
    for title, entries in _remarks(conversion):
        lines += [f"# {title}:"]
        for name, why in entries.items():
            lines += textwrap.wrap(f"{name}: {why}", 110, initial_indent="#   ", subsequent_indent="#     ")
    lines += ["", "from __gin__ import dynamic_registration"]
    for module in conversion.imports:
        package, _, name = module.rpartition(".")
        lines += [f"from {package} import {name}"]
    lines += ["", f"include '{conversion.include}'", ""]
    lines += [f"{name} = {value}{_by_default(key)}" for name, (value, key) in conversion.bindings.items()]
    return "\n".join(lines) + "\n"


def listing(conversion: Conversion) -> Iterator[str]:
    """Lines for the user: what became of every key."""
    yield f"include '{conversion.include}'"
    for name, (value, key) in conversion.bindings.items():
        yield f"{key:32} {name} = {value}"
    for title, entries in _remarks(conversion):
        yield f"\n{title}:"
        for name, why in entries.items():
            yield f"  {name:30} {why}"


def command(conversion: Conversion) -> str:
    """Which of our commands takes the file."""
    return "train" if conversion.phase == TRAIN else "finetune"


def _remarks(conversion: Conversion) -> Iterator[tuple[str, dict[str, str]]]:
    if conversion.notes:
        yield "Without a binding", conversion.notes
    if conversion.unknown:
        yield "Unknown, and ignored by the published program", conversion.unknown


def _by_default(key: str) -> str:
    return f"  # {key}" if key.endswith("by default") else ""
