"""Which files belong to --input, and that none of them lies elsewhere."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ssl3d_tf.errors import InputError
from tools.readers import files
from tools.readers.contract import Fault


class Tree(NamedTuple):
    """Files of known suffix under a folder, as sorted relative posix paths; `ignored` counts those of other kinds."""

    paths: tuple[str, ...]
    faults: tuple[Fault, ...]
    ignored: int


def walk(root: Path, is_known: Callable[[Path], object] = lambda path: files.suffix_of(path.name)) -> Tree:
    """Lists `root`. Hidden files are left out; links are followed only to files within `root`.

    A link to nowhere is listed by its name, so that it is told of when it is read; a folder that cannot be is a fault.
    """
    found: list[str] = []
    faults: list[Fault] = []
    ignored, unlisted = 0, list[OSError]()
    for folder, folders, names in os.walk(root, onerror=unlisted.append):
        relative = Path(folder).relative_to(root)
        faults += [link_fault(relative / name) for name in folders if os.path.islink(os.path.join(folder, name))]
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if not (relative / name).as_posix().isprintable():
                shown = ascii((relative / name).as_posix())[1:-1]
                faults.append(Fault(shown, "its name holds characters that cannot be written", "rename it"))
            elif name.startswith("."):
                continue
            elif is_inside(root, root / relative / name) and is_known(root / relative / name):
                found.append((relative / name).as_posix())
            elif is_inside(root, root / relative / name) or not files.suffix_of(name):
                ignored += 1
            else:
                faults.append(link_fault(relative / name))
    faults += [_unlisted(root, error) for error in unlisted]
    return Tree(tuple(sorted(found)), tuple(sorted(faults)), ignored)


def is_inside(root: Path, path: Path) -> bool:
    """Whether every file of the volume at `path`, with every link followed, lies under `root`."""
    real = Path(os.path.realpath(root))
    return all(Path(os.path.realpath(part)).is_relative_to(real) for part in files.parts(path))


def checked(root: Path, relative: str, where: str) -> str:
    """`relative` as a normalised posix path under `root`.

    Raises:
        InputError: it is absolute, leaves `root` or is of no known kind.
    """
    normal = os.path.normpath(relative) if relative.isprintable() and relative else ""
    if not normal or os.path.isabs(normal) or not is_inside(root, root / normal):
        remedy = "use a path relative to it (--allow_outside lets a csv name files anywhere)"
        raise InputError(f"{where} names {relative!r}, which is not inside {root}; {remedy}.")
    return _known(normal, relative, where)


def anywhere(root: Path, path: str, where: str) -> str:
    """`path`, absolute or relative to `root`, as a normalised posix path relative to `root`: '../' leads out of it.

    Raises:
        InputError: it holds characters that cannot be written, or is of no known kind.
    """
    if not path or not path.isprintable():
        raise InputError(f"{where} names {path!r}, which is no path; mend it.")
    real = os.path.realpath(root)  # where '../' of the path made here starts from, should root be a link
    return _known(os.path.relpath(os.path.join(real, path), real), path, where)


def _known(normal: str, given: str, where: str) -> str:
    if not files.suffix_of(normal):
        raise InputError(f"{where} names '{given}', of no known kind; known are {' '.join(files.SUFFIXES)}.")
    return normal.replace(os.sep, "/")


def link_fault(path: Path) -> Fault:
    """Of a link, relative to --input, that leads out of it."""
    return Fault(path.as_posix(), "it is a symbolic link that is not followed", "put the files themselves into --input")


def _unlisted(root: Path, error: OSError) -> Fault:
    name = Path(error.filename).relative_to(root).as_posix()
    return Fault(name, f"the folder cannot be listed: {error.strerror}", "let this user read it")
