"""Files that are either whole or not there."""

import contextlib
import json
import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from ssl3d_tf.errors import InputError


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[BinaryIO]:
    """Opens a temporary file beside `path`; synced and renamed to `path` at the end, removed on any error."""
    temporary = beside(path)
    with draft(temporary) as file:
        yield file
    publish(temporary, path)


def beside(path: Path) -> Path:
    """A new name for what is to become `path`."""
    return path.parent / f".{path.name}.{secrets.token_hex(8)}.tmp"


@contextlib.contextmanager
def draft(temporary: Path) -> Iterator[BinaryIO]:
    """Opens `temporary` to be written; it is removed on any error."""
    with _removed_on_error(temporary), temporary.open("wb") as file:
        yield file


def publish(temporary: Path, path: Path) -> None:
    """Syncs a draft and renames it to `path`; removes it on any error."""
    with _removed_on_error(temporary):
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)


@contextlib.contextmanager
def _removed_on_error(temporary: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    """Writes `value` as one readable JSON file, atomically."""
    with atomic(path) as file:
        file.write((json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode())


def make_folder(path: Path, what: str) -> Path:
    """Makes `path` with its parents and tries to write in it.

    Raises:
        InputError: it is a file, or cannot be made or written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise InputError(f"cannot write {what} {path}: {error.strerror}; choose a folder you may write to.") from error
    return path
