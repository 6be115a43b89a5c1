"""A network applied to one scan after the other: the next is read and the last is written while it computes.

What is done stands in predictions.jsonl, a line as soon as a scan's files are whole; so a run that was stopped goes on
with the others, and ends with the same files.
"""

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import tensorflow as tf
from tqdm import tqdm

from ssl3d_tf.data import files
from ssl3d_tf.data.records.schema import Example
from ssl3d_tf.errors import InputError
from ssl3d_tf.evaluation.runs import json_lines
from ssl3d_tf.experiment.prediction import Said

ABOUT, DONE, FAILED = "prediction.json", "predictions.jsonl", "failed.jsonl"
ALONE = 1 << 28  # bytes of what is said of a scan from which on it is written before the next is computed
_NOT_COMPARED = ("model", "classes")  # of prediction.json: what the weights' hashes say
_FAULTS = (InputError, MemoryError, tf.errors.ResourceExhaustedError)  # of one scan; the others go on


class Scan(Protocol):
    """What is to be predicted. id: its name. path: where it lies, for people."""

    @property
    def id(self) -> str: ...
    @property
    def path(self) -> str: ...

    def sha256(self) -> str:
        """Of its files."""

    def read(self) -> Example:
        """The scan as the network's data were made. Raises InputError where it cannot be used."""


class Work(NamedTuple):
    """What is done with every scan. say: as `prediction.say`. write: (scan, example, what was said) -> what
    predictions.jsonl says of it, among it 'files', those that it wrote in `folder`, each whole or not there.
    """

    folder: Path
    say: Callable[[Example], Said]
    write: Callable[[Scan, Example, Said], Mapping[str, Any]]


class Done(NamedTuple):
    """lines: of predictions.jsonl, in the order of the scans. faults: of failed.jsonl. kept: how many were there.

    seconds: of all. computing_s: of these, those of the network.
    """

    lines: list[dict[str, Any]]
    faults: list[dict[str, str]]
    kept: int
    seconds: float
    computing_s: float


def occupy(folder: Path, about: Mapping[str, Any], *, overwrite: bool) -> None:
    """Makes `folder` that of these predictions, unless it is already; to be called while it is locked.

    Args:
        about: what prediction.json says: 'input', the hashes of the weights, options; with others it is another's.

    Raises:
        InputError: it holds something else, and `overwrite` is not asked for or does not know what it is.
    """
    path, now = folder / ABOUT, json.loads(json.dumps(about))
    if path.is_file():
        before = json.loads(path.read_text(encoding="utf-8"))
        differences = [name for name in now if name not in _NOT_COMPARED and now[name] != before.get(name)]
        if differences and not overwrite:
            said = "; ".join(f"{name} {before.get(name)} there, {now[name]} here" for name in differences)
            remedy = "take another folder, or replace them by --overwrite"
            raise InputError(f"--output {folder} holds predictions made otherwise ({said}): {remedy}.")
        if overwrite:
            _remove(folder, [*_lines(folder).values()])
    elif others := sorted(each.name for each in folder.iterdir() if not each.name.startswith(".")):
        raise InputError(f"--output {folder} holds {others[0]} and no predictions: take an empty or a new folder.")
    files.write_json(path, now)


def run(scans: Sequence[Scan], faults: Sequence[Mapping[str, str]], work: Work) -> Done:
    """Predicts every scan that is not done yet, or whose files have changed.

    Args:
        faults: lines of failed.jsonl on what was found to be unusable before: 'path', 'reason', 'remedy'.

    Raises:
        InputError: nothing could be predicted; says why of the first.
    """
    began, before = time.monotonic(), _lines(work.folder)
    book = _Book(work.folder, before, [dict(fault) for fault in faults])
    _write_lines(work.folder / DONE, [*before.values()])  # without what a kill cut short
    with (
        ThreadPoolExecutor(1) as reader,
        ThreadPoolExecutor(1) as writer,
        tqdm(total=len(scans), unit=" scans", disable=None, smoothing=0.1) as bar,
    ):
        pending: _Writing | None = None
        for scan, reading in _read_ahead(scans, before, reader):
            writing = _predicted(work, book, scan, reading, writer)
            del reading  # a future holds what it read
            book.settle(pending)
            pending = writing
            if writing is not None and writing.is_large:
                book.settle(pending)
                pending = None
            bar.update()
        book.settle(pending)
    lines = book.close(scans)
    if not lines:
        first = book.faults[0]
        raise InputError(f"none of {len(book.faults)} scans can be predicted; {told(first)}")
    return Done(lines, book.faults, len(book.kept), time.monotonic() - began, sum(book.computing_s))


def told(fault: Mapping[str, str]) -> str:
    """A line of failed.jsonl in words."""
    return f"{fault['path']}: {fault['reason']}; {fault['remedy']}."


def _fault(error: Exception) -> dict[str, str]:
    """What a line of failed.jsonl says of an error beside the path."""
    if not isinstance(error, InputError):
        return {"reason": "memory ran out", "remedy": "predict it by itself, or crop it"}
    reason, _, remedy = str(error).rstrip(".").partition("; ")  # of a file its reader's own two
    return {"reason": getattr(error, "reason", reason), "remedy": getattr(error, "remedy", remedy)}


class _Writing(NamedTuple):
    """What is being written of a scan. sha256: of its files."""

    scan: Scan
    sha256: str
    future: Future
    is_large: bool


class _Book:
    """What is done and what failed, in memory and on disk."""

    def __init__(self, folder: Path, lines: dict[str, dict[str, Any]], faults: list[dict[str, str]]) -> None:
        self.folder, self.lines, self.faults = folder, lines, faults
        self.kept: list[str] = []
        self.computing_s: list[float] = []

    @contextlib.contextmanager
    def faults_of(self, scan: Scan) -> Iterator[None]:
        """Notes a fault of one scan, whose former files are then no longer true, and goes on."""
        try:
            yield
        except _FAULTS as error:
            _remove(self.folder, [self.lines.pop(scan.id)] if scan.id in self.lines else [], whole=False)
            self.faults.append({"path": scan.path, **_fault(error)})

    def settle(self, writing: _Writing | None) -> None:
        """Waits for what is being written, and notes it as done."""
        if writing is None:
            return
        with self.faults_of(writing.scan):
            found = {"case": writing.scan.id, "sha256": writing.sha256, **writing.future.result()}
            self.lines[writing.scan.id] = found
            with (self.folder / DONE).open("a", encoding="utf-8") as file:
                file.write(_text(found))

    def close(self, scans: Sequence[Scan]) -> list[dict[str, Any]]:
        """Writes both files in the order of the scans, whenever which was predicted; returns the lines of these."""
        ids = [scan.id for scan in scans if scan.id in self.lines]
        others = [line for name, line in self.lines.items() if name not in set(ids)]  # of scans that are gone
        _write_lines(self.folder / DONE, [self.lines[name] for name in ids] + others)
        _write_lines(self.folder / FAILED, sorted(self.faults, key=lambda fault: fault["path"]))
        return [self.lines[name] for name in ids]


def _read_ahead(
    scans: Sequence[Scan], before: Mapping[str, Mapping[str, Any]], reader: Executor
) -> Iterator[tuple[Scan, Future]]:
    """Every scan and what is being read of it, while the one after it waits its turn."""
    known = {name: line["sha256"] for name, line in before.items()}
    following = [*scans[1:], None]
    reading = reader.submit(_read, scans[0], known) if scans else None
    for scan, after in zip(scans, following, strict=True):
        now, reading = reading, None if after is None else reader.submit(_read, after, known)
        assert now is not None  # there was a scan
        yield scan, now
        del now


def _read(scan: Scan, known: Mapping[str, str]) -> tuple[str, Example | None]:
    """Hash and content of a scan; None where it is done."""
    sha256 = scan.sha256()
    return sha256, None if known.get(scan.id) == sha256 else scan.read()


def _predicted(work: Work, book: _Book, scan: Scan, reading: Future, writer: Executor) -> _Writing | None:
    """What is being written of a scan; None where it is kept, or has failed."""
    with book.faults_of(scan):
        sha256, example = reading.result()
        if example is None:
            book.kept.append(scan.id)
            return None
        began = time.monotonic()
        said = work.say(example)
        book.computing_s.append(time.monotonic() - began)
        size = 0 if said.outputs is None else said.outputs.nbytes
        return _Writing(scan, sha256, writer.submit(work.write, scan, example, said), size >= ALONE)
    return None


def _lines(folder: Path) -> dict[str, dict[str, Any]]:
    """What is done by the name of the scan, if all its files are there."""
    found = {line["case"]: line for line in json_lines(folder / DONE) if "case" in line}
    return {name: line for name, line in found.items() if all((folder / each).is_file() for each in line["files"])}


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
    for name in [name for line in lines for name in line["files"]] + ([DONE, FAILED] if whole else []):
        (folder / name).unlink(missing_ok=True)
