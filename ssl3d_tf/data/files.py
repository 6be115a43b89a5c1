"""Files that are either whole or not there."""

import contextlib
import errno
import fcntl
import json
import os
import platform
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from ssl3d_tf.data.places import Place
from ssl3d_tf.errors import InputError

LOCK = ".lock"
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


def is_full(error: Exception) -> bool:
    """Whether it says that a disk is full, or takes no file so large."""
    return _says(error, errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _says(error: Exception, *numbers: int) -> bool:
    """Libraries, TensorFlow among them, say it in their text alone."""
    is_said = any(os.strerror(number) in str(error) for number in numbers)
    return is_said or (isinstance(error, OSError) and error.errno in numbers)


def full(folder: Path, error: Exception) -> OSError:
    """What to raise where `is_full` is true: no fault of the input, so that nothing else is tried on that disk."""
    if _says(error, errno.EFBIG):
        return OSError(
            f"a file in {folder} would be larger than its disk, or `ulimit -f`, allows: raise that or take another "
            "disk, and the same command goes on."
        )
    free = shutil.disk_usage(folder).free
    return OSError(
        f"the disk of {folder} is full, {free / 1e6:.1f} MB are free: make room, and the same command goes on."
    )


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds a folder that one process at a time may write, until the end of the block or of the process.

    Raises:
        InputError: another process holds it; says which.
    """
    with (folder / LOCK).open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise InputError(f"{folder} is in use by {holder}: wait for its end, or stop it.") from error
        except OSError:  # a file system without locks
            yield
            return
        file.truncate(0)
        file.write(f"process {os.getpid()} on {platform.node()}, since {time.strftime('%F %T')}")
        file.flush()
        yield


def write_json(path: Place, value: Any) -> None:
    """Writes `value` as one readable JSON file, atomically."""
    with atomic(path) as file:
        file.write((json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode())


def read_json(path: Path, remedy: str) -> Any:
    """What a JSON file of ours holds.

    Raises:
        InputError: it cannot be read, or is damaged; with what to do.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): {remedy}.") from error
    except ValueError as error:
        raise InputError(f"{path} is damaged ({error}): {remedy}.") from error


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
