"""A network applied to one scan after the other: the next is read and the last is written while it computes.

What is done stands in predictions.jsonl, a line as soon as a scan's files are whole; so a run that was stopped goes on
with the others, and ends with the same files.
"""

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from tqdm import tqdm

from ssl3d_tf.data.records.schema import Example
from ssl3d_tf.errors import InputError
from ssl3d_tf.experiment import ledger
from ssl3d_tf.experiment.prediction import Said

SHOWN = 10  # faults on the screen
ALONE = 1 << 28  # bytes of what is said of a scan from which on it is written before the next is computed


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

    gone: lines of scans that are no longer in the input. seconds: of all. computing_s: of these, those of the network.
    """

    lines: list[dict[str, Any]]
    faults: list[dict[str, str]]
    kept: int
    gone: list[dict[str, Any]]
    seconds: float
    computing_s: float


def run(scans: Sequence[Scan], faults: Sequence[Mapping[str, str]], work: Work) -> Done:
    """Predicts every scan that is not done yet, or whose files have changed.

    Args:
        faults: lines of failed.jsonl on what was found to be unusable before: 'path', 'reason', 'remedy'.

    Raises:
        InputError: nothing could be predicted; says why of the first.
    """
    began, before = time.monotonic(), ledger.lines(work.folder)
    book = ledger.Book(work.folder, before, [dict(fault) for fault in faults])
    with (
        ThreadPoolExecutor(1) as reader,
        ThreadPoolExecutor(1) as writer,
        tqdm(total=len(scans), unit=" scans", disable=None, smoothing=0.1) as bar,
    ):
        pending: _Writing | None = None
        for scan, reading in _read_ahead(scans, before, reader):
            writing = _predicted(work, book, scan, reading, writer)
            del reading  # a future holds what it read
            _settle(book, pending)
            pending = writing
            if writing is not None and writing.is_large:
                _settle(book, pending)
                pending = None
            bar.update()
        _settle(book, pending)
    lines = book.close([scan.id for scan in scans])
    if not lines:
        raise none_of(book.faults)
    return Done(lines, book.faults, len(book.kept), book.gone, time.monotonic() - began, sum(book.computing_s))


def none_of(faults: Sequence[Mapping[str, str]]) -> InputError:
    """What to raise where every scan has failed; says why the first."""
    first = min(faults, key=lambda fault: fault["path"])
    return InputError(f"none of {len(faults)} scans can be predicted; {ledger.told(first)}")


def report(done: Done, folder: Path, tables: Sequence[str]) -> str:
    """What a user wants to know at the end. tables: files that are of all scans."""
    lines = [f"failed: {ledger.told(fault)}" for fault in done.faults[:SHOWN]]
    lines += [f"failed: {len(done.faults) - SHOWN} more, in {ledger.FAILED}"] if len(done.faults) > SHOWN else []
    if done.gone:
        names = ", ".join(line["case"] for line in done.gone[:SHOWN]) + ", …" * (len(done.gone) > SHOWN)
        lines.append(f"note: no longer in the input: {names}; what was predicted of them stays, see {ledger.GONE}.")
    lines += _notes(done.lines)
    share = f", {done.computing_s / done.seconds:.0%} of it in the network" if done.computing_s else ""
    counts = f"{len(done.lines)} scans predicted, {done.kept} of them before, {len(done.faults)} failed"
    return "\n".join(
        [*lines, f"{folder}: {counts}, in {done.seconds:.1f} s{share}; {', '.join([*tables, ledger.DONE])}."]
    )


def _notes(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """How scans were taken where that is worth a word; of those that are alike up to a colon, the first."""
    found: dict[str, list[tuple[str, str]]] = {}
    for line in lines:
        for note in line.get("notes", ()):
            found.setdefault(note.partition(":")[0], []).append((note, line["case"]))
    return [f"note: {who[0][0]} (scans: {len(who)}, such as '{who[0][1]}')." for who in found.values()]


class _Writing(NamedTuple):
    """What is being written of a scan. sha256: of its files."""

    scan: Scan
    sha256: str
    future: Future
    is_large: bool


def _read_ahead(
    scans: Sequence[Scan], before: Mapping[str, Mapping[str, Any]], reader: Executor
) -> Iterator[tuple[Scan, Future]]:
    """Every scan and what is being read of it, while the one after it waits its turn."""
    known = {name: line["sha256"] for name, line in before.items()}
    reading = reader.submit(_read, scans[0], known) if scans else None
    for scan, after in itertools.zip_longest(scans, scans[1:]):
        now, reading = reading, None if after is None else reader.submit(_read, after, known)
        assert now is not None  # there was a scan
        yield scan, now
        del now


def _read(scan: Scan, known: Mapping[str, str]) -> tuple[str, Example | None]:
    """Hash and content of a scan; None where it is done."""
    sha256 = scan.sha256()
    return sha256, None if known.get(scan.id) == sha256 else scan.read()


def _predicted(work: Work, book: ledger.Book, scan: Scan, reading: Future, writer: Executor) -> _Writing | None:
    """What is being written of a scan; None where it is kept, or has failed."""
    with book.faults_of(scan.id, scan.path):
        sha256, example = reading.result()
        if example is None:
            book.kept.append(scan.id)
            return None
        began = time.monotonic()
        said = work.say(example)
        book.computing_s.append(time.monotonic() - began)
        size = 0 if said.outputs is None else said.outputs.nbytes
        return _Writing(scan, sha256, writer.submit(_written, work, scan, example, said), size >= ALONE)
    return None


def _written(work: Work, scan: Scan, example: Example, said: Said) -> dict[str, Any]:
    """What predictions.jsonl says of a scan, with the hash of every file: one that is changed later is told."""
    line = work.write(scan, example, said)
    return {**line, "written": ledger.hashes(work.folder, line["files"])}


def _settle(book: ledger.Book, writing: _Writing | None) -> None:
    """Waits for what is being written, and notes it as done."""
    if writing is not None:
        with book.faults_of(writing.scan.id, writing.scan.path):
            about = {"case": writing.scan.id, "path": writing.scan.path, "sha256": writing.sha256}
            book.note({**about, **writing.future.result()})
