"""Files that are either whole or not there."""

import contextlib
import json
import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from ssl3d_tf.errors import InputError
from ssl3d_tf.places import Place, Remote

PlaceT = TypeVar("PlaceT", bound=Place)


@contextlib.contextmanager
def atomic(path: Place) -> Iterator[BinaryIO]:
    """Opens a temporary file beside `path`; synced and renamed to `path` at the end, removed on any error."""
    with _atomic_here(path) if isinstance(path, Path) else _atomic_there(path) as file:
        yield file


@contextlib.contextmanager
def _atomic_here(path: Path) -> Iterator[BinaryIO]:
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


@contextlib.contextmanager
def _atomic_there(path: Remote) -> Iterator[BinaryIO]:
    temporary = path.parent / f".{path.name}.{secrets.token_hex(4)}.tmp"
    try:
        with temporary.open("wb") as file:
            yield file
        temporary.replace(path)
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
