"""The output folder: new, to be gone on with, complete, or someone else's."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ssl3d_tf import files
from ssl3d_tf.errors import InputError
from ssl3d_tf.records import manifest
from tools.plan import recipe_hash
from tools.shards import PROGRESS

QUARANTINE, SUMMARY, CONTACT_SHEET = "quarantine.jsonl", "summary.md", "contact_sheet.png"
RECIPE = "recipe.json"  # in the folder of progress: what is being made
OURS = (manifest.FILE, QUARANTINE, SUMMARY, CONTACT_SHEET, *(f"{split}-*.tfrecord" for split in manifest.SPLITS))


def check_apart(folder: Path, root: Path) -> None:
    """Raises InputError where the output lies in the input, whose files it would then be."""
    if folder.resolve().is_relative_to(root.resolve()):
        raise InputError(f"--output {folder} lies inside the input {root}; choose a folder outside it.")


def open_folder(folder: Path, recipe: Mapping[str, Any], *, overwrite: bool) -> bool:
    """Makes `folder` ready for `recipe`. Returns True if it already holds the finished data.

    Raises:
        InputError: it cannot be written, or holds something else and `overwrite` is not asked for.
    """
    found = _found_recipe(folder)
    if overwrite and found is not None:
        remove_ours(folder)
        found = None
    if found is not None and recipe_hash(found) != recipe_hash(recipe):
        raise InputError(_refusal(folder, found, recipe))
    if found is not None and (folder / manifest.FILE).is_file():
        _check_whole(folder)
        shutil.rmtree(folder / PROGRESS, ignore_errors=True)
        return True
    if found is None and folder.is_dir() and any(path.name != PROGRESS for path in folder.iterdir()):
        raise InputError(f"--output {folder} is not empty and holds no data set; choose an empty or a new folder.")
    files.make_folder(folder / PROGRESS, "--output")
    files.write_json(folder / PROGRESS / RECIPE, recipe)
    for pattern in OURS:  # what a killed run left half-written
        for path in (*folder.glob(f".{pattern}.*.tmp"), *folder.glob(f"{PROGRESS}/.*.tmp")):
            path.unlink(missing_ok=True)
    return False


def finish(folder: Path) -> None:
    """Removes the notes of progress: the manifest is written."""
    shutil.rmtree(folder / PROGRESS)


def remove_ours(folder: Path) -> None:
    """Removes what a conversion writes, and the folder if nothing else is in it. The manifest goes first."""
    for pattern in OURS:
        for path in (*folder.glob(pattern), *folder.glob(f".{pattern}.*.tmp")):
            path.unlink(missing_ok=True)
    shutil.rmtree(folder / PROGRESS, ignore_errors=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _check_whole(folder: Path) -> None:
    try:
        manifest.read(folder)  # a missing or cut shard is named here
    except InputError as error:
        raise InputError(f"{error} To convert again into this folder, add --overwrite.") from error


def _found_recipe(folder: Path) -> Mapping[str, Any] | None:
    """The recipe of the data that lie in `folder`, finished or not; None if there are none."""
    for path in (folder / manifest.FILE, folder / PROGRESS / RECIPE):
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        return value.get("recipe", {}) if path.name == manifest.FILE else value
    return None


def _refusal(folder: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    keys = sorted(key for key in {*found, *wanted} if found.get(key) != wanted.get(key))
    changes = ", ".join(
        f"{key} has changed" if key == "input" else f"{key} was {found.get(key)}, now {wanted.get(key)}" for key in keys
    )
    return f"--output {folder} holds data made otherwise ({changes}); choose another --output, or add --overwrite."
