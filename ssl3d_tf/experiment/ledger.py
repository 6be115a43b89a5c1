"""The folder of predictions: with which weights and options they are made, which are done, and what failed."""

import contextlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from ssl3d_tf.data import files
from ssl3d_tf.errors import InputError
from ssl3d_tf.evaluation import runs

ABOUT, DONE, FAILED = "prediction.json", "predictions.jsonl", "failed.jsonl"
GONE = "gone.jsonl"  # lines of scans that are no longer in the input, whose files are still there
_NOT_COMPARED = ("model", "classes")  # of prediction.json: what the weights' hashes say
_HALF = re.compile(r"\..+\.[0-9a-f]{16}\.tmp")  # as `files.beside` calls what is half-written
_FAULTS = (InputError, MemoryError, tf.errors.ResourceExhaustedError)  # of one scan; the others go on


def check(folder: Path, about: Mapping[str, Any], *, overwrite: bool) -> None:
    """Finds that `folder` may become that of these predictions, or already is; writes nothing.

    Args:
        about: what prediction.json says: 'input', the hashes of the weights, options; with others it is another's.

    Raises:
        InputError: it holds something else, and `overwrite` is not asked for or does not know what it is; or a file of
            it is no longer as it was written.
    """
    if is_begun(folder):
        before, now = files.read_json(folder / ABOUT, "put a copy back, or take another folder"), _as_json(about)
        differences = [name for name in now if name not in _NOT_COMPARED and now[name] != before.get(name)]
        if differences and not overwrite:
            said = "; ".join(f"{name} {before.get(name)} there, {now[name]} here" for name in differences)
            remedy = "take another folder, or replace them by --overwrite"
            raise InputError(f"--output {folder} holds predictions made otherwise ({said}): {remedy}.")
        if not overwrite:
            _check_as_written(folder)
    elif there := [name for name in (DONE, GONE) if (folder / name).is_file()]:
        lacks = f"{there[0]} but no {ABOUT}, which says by what it was made"
        raise InputError(f"--output {folder} holds {lacks}: put a copy of that back, or take another folder.")
    elif folder.is_dir() and (others := sorted(each.name for each in folder.iterdir() if each.name[0] != ".")):
        raise InputError(f"--output {folder} holds {others[0]} and no predictions: take an empty or a new folder.")


def occupy(folder: Path, about: Mapping[str, Any], *, overwrite: bool) -> None:
    """Makes `folder` that of these predictions, as `check` allows; to be called while it is locked."""
    check(folder, about, overwrite=overwrite)
    if overwrite and is_begun(folder):
        _remove(folder, [*lines(folder).values()])
    for path in (path for path in folder.rglob(".*.tmp") if _HALF.fullmatch(path.name)):  # what a kill left
        path.unlink(missing_ok=True)
    files.write_json(folder / ABOUT, _as_json(about))


def is_begun(folder: Path) -> bool:
    """Whether it holds predictions."""
    return (folder / ABOUT).is_file()


def _check_as_written(folder: Path) -> None:
    """Raises InputError where a file is damaged, or was edited: neither is a prediction, nor ours to write over."""
    changed = [
        name
        for line in lines(folder).values()
        for name, digest in hashes(folder, line["files"]).items()
        if line.get("written", {}).get(name, digest) != digest
    ]
    if changed:
        more = f", and {len(changed) - 1} more" if len(changed) > 1 else ""
        remedy = "remove it to have it predicted again, or move it elsewhere to keep it"
        raise InputError(f"--output {folder} is not as it was left: {changed[0]} was changed{more}; {remedy}.")


def _as_json(about: Mapping[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(about))


class Book:
    """What is done and what failed, in memory and on disk.

    lines: of DONE, by the name of the scan. faults: what failed before anything is predicted.
    """

    def __init__(self, folder: Path, lines: dict[str, dict[str, Any]], faults: list[dict[str, str]]) -> None:
        self.folder, self.lines, self.faults = folder, lines, faults
        failed = {fault["path"] for fault in faults}
        _remove(folder, [lines.pop(name) for name, line in [*lines.items()] if line["path"] in failed], whole=False)
        self.kept: list[str] = []
        self.gone: list[dict[str, Any]] = []
        self.computing_s: list[float] = []
        _write_lines(folder / DONE, [*lines.values()])  # without what a kill cut short

    @contextlib.contextmanager
    def faults_of(self, case: str, path: str) -> Iterator[None]:
        """Notes a fault of one scan, whose former files are then no longer true, and goes on."""
        try:
            yield
        except _FAULTS as error:
            _remove(self.folder, [self.lines.pop(case)] if case in self.lines else [], whole=False)
            self.faults.append({"path": path, **_fault(error)})

    def note(self, line: dict[str, Any]) -> None:
        """Notes a scan as done."""
        self.lines[line["case"]] = line
        with (self.folder / DONE).open("a", encoding="utf-8") as file:
            file.write(_text(line))

    def close(self, cases: Sequence[str]) -> list[dict[str, Any]]:
        """Writes its files in the order of the scans, whenever which was predicted; returns the lines of these."""
        done = [self.lines[name] for name in cases if name in self.lines]
        written, known = {name for line in done for name in line["files"]}, set(cases)
        others = [line for name, line in sorted(self.lines.items()) if name not in known]
        self.gone = [line for line in others if written.isdisjoint(line["files"])]
        _write_lines(self.folder / GONE, self.gone)
        _write_lines(self.folder / DONE, done)
        _write_lines(self.folder / FAILED, sorted(self.faults, key=lambda fault: fault["path"]))
        return done


def told(fault: Mapping[str, str]) -> str:
    """A line of failed.jsonl in words."""
    return f"{fault['path']}: {fault['reason']}; {fault['remedy']}."


def _fault(error: Exception) -> dict[str, str]:
    """What a line of failed.jsonl says of an error beside the path."""
    if not isinstance(error, InputError):
        return {"reason": "memory ran out", "remedy": "predict it by itself, or crop it"}
    reason, _, remedy = str(error).rstrip(".").partition("; ")  # of a file its reader's own two
    return {"reason": getattr(error, "reason", reason), "remedy": getattr(error, "remedy", remedy)}


def lines(folder: Path) -> dict[str, dict[str, Any]]:
    """What is done by the name of the scan, if all its files are there; also of scans that are gone from the input."""
    found = {line["case"]: line for name in (GONE, DONE) for line in runs.json_lines(folder / name) if "case" in line}
    return {name: line for name, line in found.items() if all((folder / each).is_file() for each in line["files"])}


def hashes(folder: Path, names: Iterable[str]) -> dict[str, str | None]:
    """SHA-256 of each file of `folder`; None of one that is not there."""
    return {name: runs.sha256(folder / name) for name in names}


def _write_lines(path: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    if not lines:
        path.unlink(missing_ok=True)
        return
    with files.atomic(path) as file:
        file.writelines(_text(line).encode() for line in lines)


def _text(line: Mapping[str, Any]) -> str:
    return json.dumps(line, ensure_ascii=False, sort_keys=True) + "\n"


def _remove(folder: Path, lines: Sequence[Mapping[str, Any]], *, whole: bool = True) -> None:
    """Removes the files of these scans; `whole`: and what is of all of them."""
    for name in [name for line in lines for name in line["files"]] + ([DONE, GONE, FAILED] if whole else []):
        (folder / name).unlink(missing_ok=True)
