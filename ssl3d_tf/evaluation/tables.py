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
PEAKS, STEPS = "peaks.csv", "steps.csv"
RECORD, NATIVE = GRIDS = ("record", "native")  # whose masks were compared: the record's, or the input's as it was read


class Arm(NamedTuple):
    """What one finetunes: the name of the pretext encoder, '' for none, and how its weights are used."""

    encoder: str
    init: str


SCRATCH = Arm("", "random")


class Result(NamedTuple):
    """One score of one run; fraction in percent of the training labels, label_class '' or 'mean' for the headline.

    grid: of GRIDS; tables of before there were two have no such column, and are of records. peak: of the learning
    rate, where the arm's was searched for, else ''.
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
    peak: str = ""


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


class Trial(NamedTuple):
    """What a run with one peak of the learning rate came to in validation, at the step with the lowest loss there.

    value, loss: NaN where it diverged. chosen: 1 or 0.
    """

    task: str
    encoder: str
    init: str
    fraction: float
    repetition: int
    peak: str
    score: str
    step: int
    value: float
    loss: float
    chosen: int


class Reached(NamedTuple):
    """When a run's validation was first as good as `target`, scratch's last of the same repetition; inf: never.

    ratio: of `steps` to `scratch_steps`, after which scratch itself was first that good.
    """

    task: str
    encoder: str
    init: str
    fraction: float
    repetition: int
    score: str
    target: float
    steps: float
    scratch_steps: float
    ratio: float


class Tables(NamedTuple):
    """Everything measured; all but `results` may be empty. `workdirs`: by task, those with results of it."""

    results: tuple[Result, ...]
    cases: tuple[CaseScore, ...]
    predictions: tuple[Prediction, ...]
    workdirs: dict[str, tuple[Path, ...]]
    trials: tuple[Trial, ...] = ()


Row = TypeVar("Row", Result, CaseScore, Prediction, Trial, Reached)
_COLUMNS = {"label_class": "class"}  # field -> column, where they differ
_LATER = {"patient": "", "grid": RECORD, "peak": ""}  # fields that older files lack, and what they are there
# All other fields say what was measured.
_MEASURED = frozenset({"value", "labelled", "true", "predicted", "patient", "step", "loss", "chosen"})


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
        _merge(workdirs, PEAKS, Trial),
    )


def write(path: Path, rows: Sequence[Row], kind: type[Row]) -> None:
    """Writes one of the files, all of it or nothing; equal rows make equal bytes."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([_COLUMNS.get(field, field) for field in kind._fields])
    writer.writerows(rows)
    with files.atomic(path) as file:
        file.write(text.getvalue().encode())


def arm(row: Result | CaseScore | Prediction | Trial | Reached) -> Arm:
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
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        header = next(reader, [])
        places = _places(path, header, kind)
        for cells in filter(None, reader):
            where = f"{path}, line {reader.line_num}"
            if len(cells) != len(header):
                raise InputError(f"{where}: {len(cells)} cells for {len(header)} columns; mend or remove the line.")
            found = {f: _convert(cells[place], kind.__annotations__[f], where) for f, place in places.items()}
            if found.get("grid", RECORD) not in GRIDS:
                raise InputError(f"{where}: grid is '{found['grid']}', it must be {' or '.join(GRIDS)}; mend the line.")
            yield kind._make({**_LATER, **found}[field] for field in kind._fields)


def _places(path: Path, header: Sequence[str], kind: type[Row]) -> dict[str, int]:
    """Where each field's column stands; any order will do, and those of a later version may be missing."""
    columns = {field: _COLUMNS.get(field, field) for field in kind._fields}
    needed = {column for field, column in columns.items() if field not in _LATER}
    for problem, names in (("lacks", needed - set(header)), ("has a foreign", set(header) - set(columns.values()))):
        if names:
            listed = ", ".join(f"'{name}'" for name in sorted(names))
            raise InputError(f"{path} {problem} column {listed}; its columns must be {','.join(columns.values())}.")
    return {field: header.index(column) for field, column in columns.items() if column in header}


def _convert(text: str, to: Callable[[str], object], where: str) -> object:
    if to is float and not text.strip():
        return math.nan  # an undefined score
    try:
        return to(text.strip())
    except ValueError as error:
        raise InputError(f"{where}: '{text}' is no {'whole ' if to is int else ''}number; mend the line.") from error


def _measured(row: Result | CaseScore | Prediction | Trial | Reached) -> str:
    pairs = zip(row._fields, row, strict=True)
    return ", ".join(f"{name} {value}" for name, value in pairs if name in _MEASURED)
