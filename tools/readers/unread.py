"""Tables under --input that the chosen layout does not read: what they say, such as labels and splits, is told of."""

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from ssl3d_tf.errors import InputError
from tools.readers import paths, table

MOST_SHOWN = 8  # columns in a line


def refuse(root: Path) -> None:
    """Raises InputError where tables lie in folders of `root`, so that nobody has said whether they are to be read."""
    found = [path for path in _deeper(root) if _is_table(path)]
    if found:
        more = f" and {len(found) - 1} more name" if len(found) > 1 else " names"
        raise InputError(
            f"{found[0]}{more} files in a column 'path', and only tables in --input itself are read; "
            f"{_remedy(root, found[0])}, or add --layout=folder to leave out what it says."
        )


def notes(root: Path, given: Collection[str]) -> Iterator[str]:
    """Why tables under `root`, but for those `given`, are not read."""
    for path in table.named_so(root):
        if path.name not in given and not table.is_table(path):
            remedy = "" if given else "; name the column of files so"
            yield f"{path.name} is not read: it has no column 'path' but {_shown(path)}{remedy}."
    others = [path.relative_to(root).as_posix() for path in _deeper(root)]
    if others := [path for path in others if path not in given]:
        yield f"{len(others)} tables in folders are not read, the first is {others[0]}: those in --input itself are."
    for path in sorted(root.iterdir()):
        if path.suffix.lower() in table.SHEETS and not path.name.startswith((".", "~")):
            yield f"{path.name} is not read; save it as csv, with a column 'path'."


def _deeper(root: Path) -> Iterator[Path]:
    """What is called as tables are in folders of `root`, hidden ones aside."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found = (Path(folder, name) for name in sorted(names) if name.lower().endswith(table.SUFFIXES))
        yield from (path for path in found if path.parent != root and table.is_named_so(path))


def _is_table(path: Path) -> bool:
    """Not where it cannot be read: it may be of anybody."""
    try:
        return table.is_table(path)
    except InputError:
        return False


def _shown(path: Path) -> str:
    return ", ".join(table.columns(path)[:MOST_SHOWN]) or "none"


def _remedy(root: Path, path: Path) -> str:
    """What has the table at `path` read: by where the first file that it names lies."""
    cell = table.first(path)
    if not (path.parent / cell).is_file():
        return f"move it into {root}, with paths from there"
    more = "" if paths.is_inside(path.parent, path.parent / cell) else " --allow_outside"
    return f"use --input={path.parent}{more}"
