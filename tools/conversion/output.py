"""The output folder: new, to be gone on with, complete, or someone else's."""

import contextlib
import fnmatch
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ssl3d_tf.data import files
from ssl3d_tf.data.places import Place, remove_tree
from ssl3d_tf.data.records import manifest
from ssl3d_tf.errors import InputError
from tools.checks import sources
from tools.conversion.plan import recipe_hash
from tools.conversion.shards import PROGRESS

QUARANTINE, SUMMARY, CONTACT_SHEET = "quarantine.jsonl", "summary.md", "contact_sheet.png"
RECIPE = "recipe.json"  # in the folder of progress: what is being made
SHARDS = tuple(f"{split}-*.tfrecord" for split in manifest.SPLITS)
SHARDS = tuple(f"{split}-*.tfrecord" for split in manifest.SPLITS)
OURS = (manifest.FILE, manifest.COLUMNS, sources.FILE, QUARANTINE, SUMMARY, CONTACT_SHEET, *SHARDS)
HALVES = tuple(f".{pattern}.*.tmp" for pattern in OURS)  # what is half-written, see `files.atomic`


def check_apart(folder: Place, root: Path) -> None:
    """Raises InputError where the output lies in the input, whose files it would then be."""
    if isinstance(folder, Path) and folder.resolve().is_relative_to(root.resolve()):
        raise InputError(f"--output {folder} lies inside the input {root}; choose a folder outside it.")


def open_folder(folder: Place, recipe: Mapping[str, Any], *, overwrite: bool, held: contextlib.ExitStack) -> bool:
    """Makes `folder` ready for `recipe`. Returns True if it already holds the finished data.

    Args:
        held: keeps other conversions out of a folder of this machine as long as it is open.

    Raises:
        InputError: another conversion is at work in it, it cannot be written, or it holds something else and
            `overwrite` is not asked for.
    """
    _lock(folder / PROGRESS, held)
    found = _found_recipe(folder)
    if overwrite and found is not None:
        remove_ours(folder)
        found = None
    if found is not None and recipe_hash(found) != recipe_hash(recipe):
        raise InputError(_refusal(folder, found, recipe))
    if found is not None and (folder / manifest.FILE).is_file():
        _check_whole(folder)
        remove_tree(folder / PROGRESS)
        return True
    halves = {path.name for path in _named(folder, *HALVES)} if folder.is_dir() else set()
    if found is None and folder.is_dir() and any(path.name not in halves | {PROGRESS} for path in folder.iterdir()):
        raise InputError(f"--output {folder} is not empty and holds no data set; choose an empty or a new folder.")
    if not (folder / PROGRESS).is_dir():
        files.make_folder(folder / PROGRESS, "--output")
        _lock(folder / PROGRESS, held)
    files.write_json(folder / PROGRESS / RECIPE, recipe)
    for path in (*_named(folder, *HALVES), *_named(folder / PROGRESS, ".*.tmp")):
        path.unlink(missing_ok=True)
    return False


def _lock(progress: Place, held: contextlib.ExitStack) -> None:
    """Of a conversion that is at work, or was: where none is, there is nothing to keep anybody out of."""
    if isinstance(progress, Path) and progress.is_dir():
        held.enter_context(files.locked(progress))


def finish(folder: Place) -> None:
    """Removes the notes of progress, and what killed workers left half-written: the manifest is written."""
    remove_tree(folder / PROGRESS)
    for path in _named(folder, *HALVES):
        path.unlink(missing_ok=True)


def remove_ours(folder: Place) -> None:
    """Removes what a conversion writes, and the folder if nothing else is in it. The manifest goes first."""
    if not folder.is_dir():
        return
    (folder / manifest.FILE).unlink(missing_ok=True)
    for path in _named(folder, *OURS, *HALVES):
        path.unlink(missing_ok=True)
    remove_tree(folder / PROGRESS)
    if not any(folder.iterdir()):
        folder.rmdir()


def _named(folder: Place, *patterns: str) -> Iterator[Place]:
    """What lies in the folder under a name of one of these patterns."""
    paths: list[Place] = [*folder.iterdir()]
    return (path for path in paths if any(fnmatch.fnmatchcase(path.name, pattern) for pattern in patterns))


def _check_whole(folder: Place) -> None:
    try:
        manifest.read(folder)  # a missing or cut shard is named here
    except InputError as error:
        raise InputError(f"{error} To convert again into this folder, add --overwrite.") from error


def _found_recipe(folder: Place) -> Mapping[str, Any] | None:
    """The recipe of the data that lie in `folder`, finished or not; None if there are none."""
    for path in (folder / manifest.FILE, folder / PROGRESS / RECIPE):
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError, ValueError):
            continue
        return value.get("recipe", {}) if path.name == manifest.FILE else value
    return None


def _refusal(folder: Place, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Options that differ; where none does, the input: what is listed of it depends on them."""
    keys = sorted(key for key in {*found, *wanted} - {"input"} if found.get(key) != wanted.get(key))
    was, now = ({key: value or "not given" for key, value in recipe.items()} for recipe in (found, wanted))
    changes = ", ".join(f"{key} was {was.get(key)}, now {now.get(key)}" for key in keys) or "input has changed"
    return f"--output {folder} holds data made otherwise ({changes}); choose another --output, or add --overwrite."
