"""The csv files that finetuning leaves, read strictly and put together over several workdirs."""

import csv
import io
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from ssl3d_tf.data import files
from ssl3d_tf.errors import InputError

RESULTS, CASES, PREDICTIONS = "results.csv", "cases.csv", "predictions.csv"
RECORD, NATIVE = GRIDS = ("record", "native")  # whose masks were compared: the record's, or the input's as it was read


class Arm(NamedTuple):
    """What one finetunes: the name of the pretext encoder, '' for none, and how its weights are used."""

    encoder: str
    init: str


SCRATCH = Arm("", "random")


class Result(NamedTuple):
    """One score of one run; fraction in percent of the training labels, label_class '' or 'mean' for the headline.

    grid: of GRIDS; tables of before there were two have no such column, and are of records.
    """

    task: str
    encoder: str
    init: str
    fraction: float
    labelled: int
    repetition: int
    split: str
    score: str
    label_class: str
    value: float
    checkpoint: str
    grid: str = RECORD


class CaseScore(NamedTuple):
    """One score of one test case, by the best checkpoint of a run.

    patient: whose the case is, '' where that is not known. value: of a score that only a list of cases has, such as the
    AUC, the case's pseudo-value, as `grading.of_each` says.
    """

    task: str
    encoder: str
    init: str
    fraction: float
    repetition: int
    case: str
    patient: str
    score: str
    label_class: str
    value: float
    grid: str = RECORD


class Prediction(NamedTuple):
    """What a run's best checkpoint made of one test case."""

    task: str
    encoder: str
    init: str
    fraction: float
    repetition: int
    case: str
    true: int
    predicted: int


class Tables(NamedTuple):
    """Everything measured; `cases` and `predictions` may be empty. `workdirs`: by task, those with results of it."""

    results: tuple[Result, ...]
    cases: tuple[CaseScore, ...]
    predictions: tuple[Prediction, ...]
    workdirs: dict[str, tuple[Path, ...]]


Row = TypeVar("Row", Result, CaseScore, Prediction)
_COLUMNS = {"label_class": "class"}  # field -> column, where they differ
_LATER = {"patient": "", "grid": RECORD}  # columns that older files lack, and what they would say
_MEASURED = frozenset({"value", "labelled", "true", "predicted", "patient"})  # all other fields say what was measured


def read(workdirs: Sequence[Path]) -> Tables:
    """Reads and merges the tables of all workdirs; equal rows, such as the same scratch runs, count once.

    Raises:
        InputError: no results.csv, a missing or foreign column, a value of the wrong kind, or two values of one thing.
    """
    for workdir in workdirs:
        if not (workdir / RESULTS).is_file():
            raise InputError(f"{workdir} has no {RESULTS}; name the --workdir of a finetuning run.")
    found = {workdir: _merge([workdir], RESULTS, Result) for workdir in workdirs}
    tasks = list(dict.fromkeys(row.task for rows in found.values() for row in rows))
    by_task = {task: tuple(w for w, rows in found.items() if any(row.task == task for row in rows)) for task in tasks}
    return Tables(
        _merge(workdirs, RESULTS, Result),
        _merge(workdirs, CASES, CaseScore),
        _merge(workdirs, PREDICTIONS, Prediction),
        by_task,
    )


def write(path: Path, rows: Sequence[Row], kind: type[Row]) -> None:
    """Writes one of the files, all of it or nothing; equal rows make equal bytes."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([_COLUMNS.get(field, field) for field in kind._fields])
    writer.writerows(rows)
    with files.atomic(path) as file:
        file.write(text.getvalue().encode())


def arm(row: Result | CaseScore | Prediction) -> Arm:
    """The arm that a row belongs to."""
    return Arm(row.encoder, row.init)


def shown_grid(grids: Iterable[str]) -> str:
    """The one that is shown of those a score is there on."""
    return NATIVE if NATIVE in grids else RECORD


def _merge(workdirs: Sequence[Path], name: str, kind: type[Row]) -> tuple[Row, ...]:
    """Rows of all files of that name, in order of the files; files may be missing."""
    found: dict[tuple, Row] = {}
    for path in (workdir / name for workdir in workdirs if (workdir / name).is_file()):
        for row in _rows(path, kind):
            key = tuple(value for field, value in zip(kind._fields, row, strict=True) if field not in _MEASURED)
            if repr(found.setdefault(key, row)) != repr(row):  # repr: NaN is not equal to itself
                what = ", ".join(str(part) for part in key if part != "")
                both = f"{_measured(row)} and, in another row of {name}, {_measured(found[key])}"
                raise InputError(f"{path} says of {what}: {both}; remove one, or report the workdirs one by one.")
    return tuple(found.values())


def _rows(path: Path, kind: type[Row]) -> Iterator[Row]:
    columns = [_COLUMNS.get(field, field) for field in kind._fields]
    converters = list(kind.__annotations__.values())
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        header = next(reader, [])
        places = _places(path, header, columns)
        for cells in filter(None, reader):
            where = f"{path}, line {reader.line_num}"
            if len(cells) != len(header):
                raise InputError(f"{where}: {len(cells)} cells for {len(header)} columns; mend or remove the line.")
            found = [_LATER[name] if at < 0 else cells[at] for name, at in zip(columns, places, strict=True)]
            values = [_convert(cell, to, where) for cell, to in zip(found, converters, strict=True)]
            if "grid" in columns and (grid := values[columns.index("grid")]) not in GRIDS:
                raise InputError(f"{where}: grid is '{grid}', it must be {' or '.join(GRIDS)}; mend the line.")
            yield kind._make(values)


def _places(path: Path, header: Sequence[str], columns: Sequence[str]) -> list[int]:
    """Where each column stands, −1 for one of `_LATER` that is not there; any order will do."""
    lacks, foreign = set(columns) - set(header) - set(_LATER), set(header) - set(columns)
    for problem, names in (("lacks", lacks), ("has a foreign", foreign)):
        if names:
            listed = ", ".join(f"'{name}'" for name in sorted(names))
            raise InputError(f"{path} {problem} column {listed}; its columns must be {','.join(columns)}.")
    return [header.index(column) if column in header else -1 for column in columns]


def _convert(text: str, to: Callable[[str], object], where: str) -> object:
    if to is float and not text.strip():
        return math.nan  # an undefined score
    try:
        return to(text.strip())
    except ValueError as error:
        raise InputError(f"{where}: '{text}' is no {'whole ' if to is int else ''}number; mend the line.") from error


def _measured(row: Result | CaseScore | Prediction) -> str:
    pairs = zip(row._fields, row, strict=True)
    return ", ".join(f"{name} {value}" for name, value in pairs if name in _MEASURED)
