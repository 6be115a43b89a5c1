"""The reference, made from the code: every knob, every flag, every field of every file. Called by conf.py."""

import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from absl import flags

from ssl3d_tf.command import cli

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = (
    "tools.to_tfrecord", "tools.inspect_records", "tools.phantoms", "tools.convert_config", "ssl3d_tf.train",
    "ssl3d_tf.audit", "ssl3d_tf.finetune", "ssl3d_tf.tune", "ssl3d_tf.report", "ssl3d_tf.predict", "ssl3d_tf.export",
    "ssl3d_tf.serve", "ssl3d_tf.quickstart",
)  # fmt: skip
FILES = {
    "manifest.json, of a data folder": ("ssl3d_tf.data.records.manifest", ("Manifest",)),
    "manifest.json, an example": ("ssl3d_tf.data.records.entry", ("Entry", "Brick")),
    "contract.json, of an encoder or model": ("ssl3d_tf.training.contracts", ("read_contract", "read_model")),
    "results.csv, of finetuning": ("ssl3d_tf.evaluation.tables", ("Result",)),
    "cases.csv, of finetuning": ("ssl3d_tf.evaluation.tables", ("CaseScore",)),
    "predictions.csv, of finetuning": ("ssl3d_tf.evaluation.tables", ("Prediction",)),
    "trials.csv, of a search": ("ssl3d_tf.search.trials", ("Trial",)),
}
_KNOB = re.compile(r"^([A-Z][A-Z0-9_]*) = (.*?)(?:\s+# (.*))?$")


def write(folder: Path) -> None:
    """Writes knobs.md, commands.md and files.md."""
    folder.mkdir(exist_ok=True)
    for name, lines in (("knobs", knobs()), ("commands", commands()), ("files", fields())):
        (folder / f"{name}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def knobs() -> Iterator[str]:
    """The upper-case names of all gin files, with the comment behind each, and which files set another value."""
    yield "# Knobs\n"
    yield "`--gin_param=NAME=VALUE` sets one for a run; a file takes what it does not say from the one it includes."
    bases = ("gin/base.gin", "gin/finetune/base.gin", "gin/tune/base.gin")
    tasks = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "gin").rglob("*.gin"))
    for file in (*bases, *(task for task in tasks if task not in bases)):
        yield from _knobs_of(file)


def _knobs_of(file: str) -> Iterator[str]:
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    found = [match.groups() for line in lines if (match := _KNOB.match(line))]
    if found:
        about = " ".join(line[2:] for line in _first_comment(lines))
        yield f"\n## {file}\n\n{about}\n\n| knob | value | |\n|---|---|---|"
        yield from (f"| `{name}` | `{value}` | {_cell(said or '')} |" for name, value, said in found)


def _first_comment(lines: list[str]) -> list[str]:
    comment = [line for line in lines[: lines.index("")] if line.startswith("# ")] if "" in lines else []
    return [_cell(line) for line in comment]


def commands() -> Iterator[str]:
    """What --help says of every command."""
    yield "# Commands\n\nWhat `--help` shows. Each is `python -m NAME`; an installation also makes scripts of most."
    for name in COMMANDS:
        yield f"\n## {name}\n\n```text\n{_help(importlib.import_module(name))}\n```"


def _help(module: ModuleType) -> str:
    before = set(flags.FLAGS)
    define: Callable[[], None] = getattr(module, "define_flags", None) or module.finetune.define_flags
    define()
    own = set(flags.FLAGS) - before
    text = cli.help_of(module.main, own)
    for name in own:
        delattr(flags.FLAGS, name)
    return text


def fields() -> Iterator[str]:
    """Fields of the files that other programs may read, from the types that hold them."""
    yield "# Files\n\nFields of what the commands write and read again."
    for title, (module, names) in FILES.items():
        yield f"\n## {title}"
        for name in names:
            yield from _described(getattr(importlib.import_module(module), name))


def _described(thing: Any) -> Iterator[str]:
    about = inspect.getdoc(thing) or ""
    if not hasattr(thing, "_fields"):  # a function, whose docstring lists the fields
        yield "\n" + re.sub(r"\n\n(Raises|Returns):\n", r"\n\n**\1**\n\n", about)
        return
    meant, begins = _by_field(about, thing._fields)
    hints = inspect.get_annotations(thing)
    yield f"\n**{thing.__name__}.** {begins}\n\n| field | type | |\n|---|---|---|"
    yield from (
        f"| `{name}` | `{_cell(_type(hints[name]))}` | {_cell(meant.get(name, ''))} |" for name in thing._fields
    )


def _by_field(about: str, names: tuple[str, ...]) -> tuple[dict[str, str], str]:
    """Field -> what a docstring says behind 'field: ' or 'field, other: ', and the text before the first of them."""
    one = "|".join(map(re.escape, names))
    begins, *parts = re.split(rf"(?:^|(?<=\. ))((?:{one})(?:, (?:{one}))*): ", " ".join(about.split()))
    pairs = zip(parts[::2], parts[1::2], strict=True)
    return {name: text.strip() for listed, text in pairs for name in listed.split(", ")}, begins.strip()


def _type(hint: Any) -> str:
    text = hint.__name__ if isinstance(hint, type) and not hasattr(hint, "__args__") else str(hint)
    return re.sub(r"\b[a-z_0-9]+\.(?=\w)|collections\.abc\.", "", text)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
