"""Files that are either whole or not there."""

import contextlib
import json
import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from ssl3d_tf.data.places import Place
from ssl3d_tf.errors import InputError

PlaceT = TypeVar("PlaceT", bound=Place)


@contextlib.contextmanager
def atomic(path: Place) -> Iterator[BinaryIO]:
    """Opens a temporary file beside `path`; synced and renamed to `path` at the end, removed on any error."""
    temporary = beside(path)
    with draft(temporary) as file:
        yield file
    publish(temporary, path)


def beside(path: Place) -> Place:
    """A new name for what is to become `path`."""
    return path.parent / f".{path.name}.{secrets.token_hex(8)}.tmp"


@contextlib.contextmanager
def draft(temporary: Place) -> Iterator[BinaryIO]:
    """Opens `temporary` to be written; it is removed on any error."""
    with _removed_on_error(temporary), temporary.open("wb") as file:
        yield file


def publish(temporary: Place, path: Place) -> None:
    """Syncs a draft and renames it to `path`; removes it on any error. What lies behind a URL is synced when closed."""
    with _removed_on_error(temporary):
        if isinstance(temporary, Path):
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            temporary.chmod(0o644)
        temporary.replace(path)


@contextlib.contextmanager
def _removed_on_error(temporary: Place) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def write_json(path: Place, value: Any) -> None:
    """Writes `value` as one readable JSON file, atomically."""
    with atomic(path) as file:
        file.write((json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode())


def make_folder(path: PlaceT, what: str) -> PlaceT:
    """Makes `path` with its parents and, on this machine, tries to write in it.

    Raises:
        InputError: it is a file, or cannot be made or written.
    """
    try:
        if isinstance(path, Path):
            path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=path):
                pass
        else:
            path.mkdir()
    except OSError as error:
        raise InputError(f"cannot write {what} {path}: {error.strerror}; choose a folder you may write to.") from error
    return path
