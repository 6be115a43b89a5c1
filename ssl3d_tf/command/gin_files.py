"""gin files before gin runs them: where they lie, what they import, and which names of before they have."""

import contextlib
import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from gin import config as gin_config
from gin import config_parser

from ssl3d_tf.command import renamed
from ssl3d_tf.command.home import ROOT
from ssl3d_tf.errors import InputError

BINDING = re.compile(r"(?:\w+/)*(?:(?P<macro>[A-Z][A-Z0-9_]*)|(?P<configurable>[\w.]+)\.\w+)\s*=")
_IMPORTED = ("__gin__", "ssl3d_tf", "keras")  # what they may import


def path(file: str) -> Path:
    """Where gin finds a file, if it does."""
    return next((folder / file for folder in (Path(), ROOT) if (folder / file).is_file()), Path(file))


def check_imports(file: str, allowed: Sequence[str]) -> None:
    """Raises InputError where a file is missing, or would import what nobody named: to import a module is to run it."""
    source = path(file)
    if not source.is_file():
        ours = [one.relative_to(ROOT).as_posix() for one in (ROOT / "gin").rglob("*.gin")]
        close = difflib.get_close_matches(file, sorted(ours), n=1)
        raise InputError(f"there is no {file}, here or in the package{f'; did you mean {close[0]}?' if close else '.'}")
    for statement in _statements(source.read_text(encoding="utf-8")):
        if isinstance(statement, config_parser.IncludeStatement):
            check_imports(statement.filename, allowed)
        if isinstance(statement, config_parser.ImportStatement):
            name = statement.module
            if not any(f"{name}.".startswith(f"{module}.") for module in (*_IMPORTED, *allowed)):
                own = " and ".join(_IMPORTED[1:])
                raise InputError(f"{file} imports {name}, which runs it; beside {own} it takes --gin_import={name}.")


def _statements(text: str) -> Iterator[NamedTuple]:
    """All up to the first that gin does not understand, as it will say: those before it, it runs."""
    with contextlib.suppress(SyntaxError, ValueError):
        yield from config_parser.ConfigParser(text, _Unread())


class _Unread(config_parser.ParserDelegate):
    """Reads what a gin file says without looking up what it names."""

    def configurable_reference(self, scoped_configurable_name: str, evaluate: bool) -> None:
        return None

    def macro(self, scoped_name: str) -> None:
        return None


def check_names(files: Iterable[str]) -> None:
    """Raises InputError where a file, or one that it includes, names what was called otherwise in version 0.1."""
    for file in (file for file in files if path(file).is_file()):
        text = path(file).read_text(encoding="utf-8")
        if names := renamed.told(text):
            raise InputError(f"{file} is of ssl3d_tf 0.1, and since then {names}: rename them in the file.")
        included = [one.filename for one in _statements(text) if isinstance(one, config_parser.IncludeStatement)]
        check_names(included)


def declared(parsed: Iterable[gin_config.ParsedConfigFileIncludesAndImports]) -> set[str]:
    """Macros and configurables that base files set, and macros of files that set nothing else (gin/datasets)."""
    names: set[str] = set()
    for base in (ROOT / "gin").rglob("base.gin"):
        names |= {found["macro"] or found["configurable"] for found in _bindings(base)}
    for file in parsed:
        found = [binding["macro"] for binding in _bindings(path(file.filename))]
        if None not in found and not file.imports and not file.includes:
            names |= set(found)
    return names


def naming(macro: str) -> list[str]:
    """The gin files of this package that set a macro of that name."""
    found = [
        file for file in sorted((ROOT / "gin").rglob("*.gin")) if any(b["macro"] == macro for b in _bindings(file))
    ]
    return [str(file.relative_to(ROOT)) for file in found]


def _bindings(file: Path) -> list[re.Match[str]]:
    lines = file.read_text(encoding="utf-8").splitlines()
    return [binding for line in lines if (binding := BINDING.match(line))]
