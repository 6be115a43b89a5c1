"""Where data lie: a path of this machine or, behind a scheme such as gs://, what TensorFlow's file systems reach.

TensorFlow is imported for the latter only, and then once per process.
"""

import dataclasses
import errno
import functools
import io
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from ssl3d_tf import quiet
from ssl3d_tf.errors import InputError

_MARK = "://"
_OURS = ("", "file")  # schemes of this machine's own file system


class Stat(NamedTuple):
    """What is known of a file or folder."""

    st_size: int
    is_folder: bool


@dataclasses.dataclass(frozen=True)
class Remote(os.PathLike):
    """A URL that tf.io.gfile reaches, with what data folders need of pathlib.Path. Faults are OSErrors, as a Path's."""

    url: str

    def __fspath__(self) -> str:
        return self.url

    __str__ = __fspath__

    def __truediv__(self, name: str) -> "Remote":
        # A whole address stands for itself, as with a Path: cast, as it may be a Path.
        return cast(Remote, place(name)) if _MARK in name else Remote(f"{self.url.rstrip('/')}/{name}")

    @property
    def name(self) -> str:
        """The last part."""
        return self.url.rstrip("/").rpartition("/")[2]

    @property
    def parent(self) -> "Remote":
        """All but the last part."""
        return Remote(self.url.rstrip("/").rpartition("/")[0])

    def resolve(self) -> "Remote":
        """A URL is the same from everywhere."""
        return self

    def stat(self) -> Stat:
        """Size and kind. Raises FileNotFoundError where there is nothing."""
        with _os_errors(self):
            found = _gfile().stat(self.url)
        return Stat(found.length, found.is_directory)

    def is_file(self) -> bool:
        """Whether there is a file."""
        try:
            return not self.stat().is_folder
        except FileNotFoundError:
            return False

    def is_dir(self) -> bool:
        """Whether there is a folder, or anything that lies in it."""
        with _os_errors(self):
            return _gfile().isdir(self.url)

    def iterdir(self) -> Iterator["Remote"]:
        """What lies in the folder."""
        with _os_errors(self):
            names = _gfile().listdir(self.url)
        return (self / name.rstrip("/") for name in names)

    def mkdir(self) -> None:
        """Makes the folder, with its parents, if it is not there."""
        # Folders of a bucket need no parents, and where there is no bucket TensorFlow looks for one for ever.
        make = _gfile().mkdir if self.url.startswith("gs://") else _gfile().makedirs
        with suppress(FileExistsError), _os_errors(self):
            make(self.url)

    def rmdir(self) -> None:
        """Removes the folder. Raises OSError where something lies in it."""
        if any(self.iterdir()):
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), self.url)
        with _os_errors(self):
            _gfile().rmtree(self.url)

    def unlink(self, missing_ok: bool = False) -> None:
        """Removes the file."""
        try:
            with _os_errors(self):
                _gfile().remove(self.url)
        except FileNotFoundError:
            if not missing_ok:
                raise

    def replace(self, target: os.PathLike[str]) -> None:
        """Renames the file, over what has that name."""
        with _os_errors(self):
            _gfile().rename(self.url, os.fspath(target), overwrite=True)

    def open(self, mode: str) -> BinaryIO:
        """Opens the file to be read ('rb') or written ('wb')."""
        raw = _Raw(self, mode)
        return cast(BinaryIO, io.BufferedReader(raw) if mode == "rb" else io.BufferedWriter(raw))

    def read_text(self, encoding: str) -> str:
        """All of a text file."""
        with self.open("rb") as file:
            return file.read().decode(encoding)


Place = Path | Remote


def place(text: str | os.PathLike[str]) -> Place:
    """The place called `text`, which may be a path or a URL.

    Raises:
        InputError: TensorFlow has no file system of that scheme, or nothing stands behind it.
    """
    url = os.fspath(text)
    scheme, mark, path = url.partition(_MARK)
    if not mark or scheme in _OURS:
        return Path(path or url)
    known = sorted({*_gfile().get_registered_schemes()} - {*_OURS})
    if scheme not in known:
        schemes = ", ".join(f"{name}://" for name in known)
        raise InputError(
            f"{url}: this TensorFlow has no file system for {scheme}://, only for {schemes}; mount the bucket and name "
            "the folder (docs/records.md)."
        )
    if not path.strip("/"):
        raise InputError(f"{url} names no bucket; name one, and a folder in it: {scheme}://BUCKET/DATA.")
    return Remote(url)


def local(text: str, what: str) -> Path:
    """The path called `text`.

    Raises:
        InputError: it is a URL, and `what` must lie on this machine.
    """
    if _MARK in text:
        raise InputError(f"{what} {text} must be a path of this machine, or a bucket that is mounted.")
    return Path(text)


def remove_tree(folder: Place) -> None:
    """Removes a folder and all that lies in it, if it is there."""
    if isinstance(folder, Path):
        shutil.rmtree(folder, ignore_errors=True)
    elif folder.is_dir():
        with _os_errors(folder):
            _gfile().rmtree(folder.url)


class _Raw(io.RawIOBase):
    """A file of tf.io.gfile as Python's own classes for buffering want it."""

    def __init__(self, path: Remote, mode: str):
        self._path, self._mode = path, mode
        self._file = _gfile().GFile(path.url, mode)
        if mode == "wb":
            self.write(b"")  # or a file that stays empty would not be made

    def readable(self) -> bool:
        return self._mode == "rb"

    def writable(self) -> bool:
        return self._mode == "wb"

    def seekable(self) -> bool:
        return self.readable()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        with _os_errors(self._path):
            self._file.seek(offset, whence)
            return self._file.tell()

    def readinto(self, buffer: Any) -> int:
        with _os_errors(self._path):
            data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def write(self, data: Any) -> int:
        with _os_errors(self._path):
            self._file.write(bytes(data))
        return len(data)

    def close(self) -> None:
        if not self.closed:
            try:
                with _os_errors(self._path):
                    self._file.close()  # object stores upload here
            finally:
                super().close()


@contextmanager
def _os_errors(path: Remote) -> Iterator[None]:
    errors = _tensorflow().errors
    numbers = {
        errors.NOT_FOUND: errno.ENOENT,
        errors.PERMISSION_DENIED: errno.EACCES,
        errors.UNAUTHENTICATED: errno.EACCES,
        errors.ALREADY_EXISTS: errno.EEXIST,
    }
    try:
        yield
    except errors.OpError as error:
        raise OSError(numbers.get(error.error_code, errno.EIO), " ".join(error.message.split()), path.url) from error


def _gfile() -> Any:
    return _tensorflow().io.gfile


@functools.cache
def _tensorflow() -> Any:
    with quiet.greeting():
        import tensorflow
    return tensorflow
