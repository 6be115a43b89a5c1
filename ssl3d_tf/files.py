"""Files that are either whole or not there."""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from ssl3d_tf.errors import InputError


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[BinaryIO]:
    """Opens a temporary file beside `path`; synced and renamed to `path` at the end, removed on any error."""
    with draft(path) as file:
        yield file
    publish(file.name, path)


@contextlib.contextmanager
def draft(path: Path) -> Iterator[BinaryIO]:
    """Opens a temporary file beside `path` that stays, called `name`, to be published; removed on any error."""
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    os.close(handle)
    with _removed_on_error(temporary), open(temporary, "wb") as file:
        yield file


def publish(temporary: str, path: Path) -> None:
    """Syncs the draft `temporary` and renames it to `path`; removes it on any error."""
    with _removed_on_error(temporary):
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)


@contextlib.contextmanager
def _removed_on_error(temporary: str) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
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
