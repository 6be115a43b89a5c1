"""Folders for TensorFlow to read from and to remove from, where it takes a name for a pattern.

tf.train.Checkpoint.restore, CheckpointManager, tf.saved_model.load and tf.io.gfile.glob match *, ?, [ and \\ in the
folders of a path too. So `run[1]` would never be found again, and of `run*` the files of `run1` would be removed.
"""

import functools
import os
import tempfile
from pathlib import Path

from ssl3d_tf.errors import InputError

PATTERN = frozenset("*?[\\")


def is_pattern(path: Path) -> bool:
    """Whether TensorFlow would take the whole path for a pattern."""
    return not PATTERN.isdisjoint(os.path.abspath(path))


def folder(path: Path) -> Path:
    """A path to the folder `path` that holds no pattern: itself, or a link to it that lasts as long as the process.

    Raises:
        InputError: the system's folder for temporary files is called like a pattern too.
    """
    return _link(os.path.abspath(path))[0] if is_pattern(path) else path


@functools.cache
def _link(path: str) -> tuple[Path, tempfile.TemporaryDirectory]:
    """The link, and the folder that it lies in, which goes with the process: the cache holds it until then."""
    where = tempfile.gettempdir()
    if is_pattern(Path(where)):
        found = f"{path} holds one of * ? [ \\, which TensorFlow takes for a pattern, and so does the temporary {where}"
        raise InputError(f"{found}; rename one of the two, or set TMPDIR to another folder.")
    held = tempfile.TemporaryDirectory(prefix="ssl3d-tf-")
    link = Path(held.name) / "folder"
    link.symlink_to(path, target_is_directory=True)
    return link, held
