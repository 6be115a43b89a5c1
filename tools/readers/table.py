"""Layout `csv`, of a .csv or .tsv file: one row per example, `path` and optionally `label`, `patient`, `mask`, `split`.

Paths are relative to the table and stay inside its folder, unless the user allows files anywhere. Labels are numbers
(several separated by ';') or class names, which are numbered in natural order. Empty cells, and words of
`labels.MISSING`, mean: not known. Several tables are one data set where the name of each says a split: train.csv,
test.csv.
"""

import csv
import itertools
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from ssl3d_tf.data.records.manifest import SPLITS
from ssl3d_tf.errors import InputError
from tools.readers import files, paths, split_words
from tools.readers import labels as texts
from tools.readers.contract import Item, Listing
from tools.readers.labels import Labels, known

SUFFIXES = (".csv", ".tsv")
SHEETS = (".xlsx", ".xls", ".ods")
COLUMNS = ("path", "label", "patient", "mask", "split")

Row = Mapping[str, str]
Check = Callable[[Path, str, str], str]  # (folder, path in a cell, where) -> the path, if it may be named
Table = tuple[Sequence[str], Sequence[Row]]  # columns, rows


def is_table(path: Path) -> bool:
    """Whether `path` is a .csv or .tsv file with a column `path`."""
    return is_named_so(path) and "path" in columns(path)


def is_named_so(path: Path) -> bool:
    """Whether `path` is a file that is called as tables are, in any case."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


def named_so(folder: Path) -> list[Path]:
    """The files in `folder` that are called as tables are."""
    return sorted(filter(is_named_so, folder.iterdir()))


def columns(path: Path) -> Sequence[str]:
    """Those of the table at `path`, of this layout's in small letters."""
    return _named(_lines(path, most=1))[0]


def first(path: Path) -> str:
    """The first file that the table at `path` names; '' for none."""
    rows = _named(_lines(path, most=2))[1]
    return rows[0]["path"] if rows else ""


def found_in(folder: Path) -> list[Path]:
    """The tables in `folder` or, where it holds none, in folders of it that are named as splits."""
    beside = [path for path in named_so(folder) if is_table(path)]
    splits = sorted(path for path in folder.iterdir() if split_words.split_of(path.name) and path.is_dir())
    return beside or [path for split in splits for path in named_so(split) if is_table(path)]


def find(tables: Sequence[Path], root: Path, *, allow_outside: bool = False) -> Listing:
    """Lists the rows of `tables`, which lie under `root`.

    Raises:
        InputError: no column `path`, a column or row twice, a row with too many cells, a path outside the folder, a
            label that is no label, another split, several tables of which not each is of another split.
    """
    of = _splits(tables, root)
    read = {path: _checked(path) for path in tables}
    cells = [known(row.get("label")) for _, rows in read.values() for row in rows]
    found = texts.read([cell for cell in cells if cell], f"column 'label' of {', '.join(map(str, tables))}")
    check = paths.anywhere if allow_outside else paths.checked
    items = [
        _item(path, root, number, row, labels=found, split=of[path], check=check)
        for path, (_, rows) in read.items()
        for number, row in enumerate(rows, start=2)
    ]
    twice, count = next(iter(Counter(item.id for item in items).most_common(1)), ("", 0))
    if count > 1:
        raise InputError(f"{' and '.join(map(str, tables))} lists '{twice}' more than once; keep one row per example.")
    given = tuple(path.relative_to(root).as_posix() for path in tables)
    notes = (*_notes(read, of, root), *_doubts(items))
    name = root.name
    return Listing("csv", root, name, tuple(items), notes=notes, label_classes=found.classes, given=given)


def _splits(tables: Sequence[Path], root: Path) -> dict[Path, str | None]:
    """The split that each table says by its name or its folder; of a single table in `root`, none."""
    if len(tables) == 1 and tables[0].parent == root:
        return {tables[0]: None}
    found = {path: split_words.split_of(path.stem) or _folder_split(path, root) for path in tables}
    if None in found.values() or len(set(found.values())) < len(found):
        names = ", ".join(path.relative_to(root).as_posix() for path in tables)
        raise InputError(
            f"{root} holds {len(tables)} tables ({names}), not one per split as train.csv and test.csv are; "
            "name the one to read with --input, or join them into one with a column split."
        )
    return found


def _folder_split(path: Path, root: Path) -> str | None:
    return None if path.parent == root else split_words.split_of(path.parent.name)


def _notes(read: Mapping[Path, Table], of: Mapping[Path, str | None], root: Path) -> Iterator[str]:
    if len(read) > 1:
        each = (f"{path.relative_to(root).as_posix()} is {of[path]}" for path in read)
        yield f"{len(read)} tables are read as splits: {', '.join(each)}."
    unused = sorted({column for columns, _ in read.values() for column in columns} - set(COLUMNS))
    if unused:
        yield f"columns not used: {', '.join(unused)}."
    for path, (_, rows) in read.items():
        other = [word for row in rows if (word := known(row.get("split"))) and split_words.split_of(word) != of[path]]
        if of[path] and other:
            yield f"{len(other)} rows of {path.name}, {of[path]} by its name, say split '{other[0]}': so it is."
    for column in COLUMNS[1:]:
        cells = [row.get(column, "") for _, rows in read.values() for row in rows]
        words = Counter(cell for cell in cells if cell and texts.is_missing(cell))
        if words:
            shown = ", ".join(f"'{word}' ({count})" for word, count in sorted(words.items()))
            yield f"column '{column}': {shown} taken as not known; rename what is a value of its own."


def _named(lines: Sequence[Sequence[str]]) -> Table:
    """Columns, those of this layout in small letters, and rows."""
    columns, *rows = lines or [[]]
    named = [column.lower() if column.lower() in COLUMNS else column for column in columns]
    return named, [dict(zip(named, [*row, *[""] * len(named)], strict=False)) for row in rows]


def _checked(path: Path) -> Table:
    """Columns and rows. Raises InputError for a column that is there twice, or a row of more cells than columns."""
    lines = _lines(path)
    columns, rows = _named(lines)
    if "path" not in columns:
        raise InputError(f"{path} has no column 'path'; its columns are {list(columns)}: name one of them path.")
    if twice := [column for column, count in Counter(columns).items() if column and count > 1]:
        raise InputError(f"{path} has column '{twice[0]}' twice; rename one.")
    for number, row in enumerate(lines[1:], start=2):
        if any(row[len(columns) :]):
            what = f"row {number} of {path} has {len(row)} cells, its header {len(columns)}"
            raise InputError(f"{what}; put quotes around a cell that holds the separator, such as a decimal comma.")
    return columns, rows


def _doubts(items: Sequence[Item]) -> Iterator[str]:
    """What is no fault for sure: masks of several scans, patients that differ in case only."""
    shared = [mask for mask, count in Counter(item.mask for item in items if item.mask).items() if count > 1]
    if shared:
        yield f"{len(shared)} masks are those of several scans, the first is {shared[0]}."
    patients = {item.patient for item in items}
    alike = sorted(name for name in patients if name.lower() != name and name.lower() in patients)
    if alike:
        yield f"patients '{alike[0]}' and '{alike[0].lower()}' differ in case only, and are two."


def _lines(path: Path, most: int | None = None) -> list[list[str]]:
    """The cells of every line that is not empty, whatever separates them; of the first `most`."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            separator = _separator(file.readline(), "\t,;" if path.suffix.lower() == ".tsv" else ",;\t")
            file.seek(0)
            lines = (line for line in csv.reader(file, delimiter=separator) if any(line))
            return [[cell.strip() for cell in line] for line in itertools.islice(lines, most)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read ({error}); save it as comma-separated UTF-8.") from error


def _separator(header: str, known: str) -> str:
    """The first of `known`, or what Excel and others write, where that is what stands around the word path."""
    named = (one for one in known if "path" in (cell.strip().strip('"').lower() for cell in header.split(one)))
    return next(named, known[0])


def _item(table: Path, root: Path, number: int, row: Row, *, labels: Labels, split: str | None, check: Check) -> Item:
    """The row. Where neither table nor column says a split, the folders of its path may, as in layout folder."""
    where = f"row {number} of {table}"
    image, mask = (_path(table, root, row, column, where, check=check) for column in ("path", "mask"))
    if word := known(row.get("split")):
        split = split_words.split_of(word)
        if split is None:
            raise InputError(f"{where} says split '{word}'; use one of {', '.join(SPLITS)}, or leave it empty.")
    elif split is None and "split" not in row:
        split = split_words.of_path(str(image))
    name = files.stem_of(re.sub(r"^(\.\./)+", "", str(image)))
    label = labels.numbers.get(known(row.get("label")))
    return Item(name, str(image), known(row.get("patient")) or name, mask=mask, label=label, split=split)


def _path(table: Path, root: Path, row: Row, column: str, where: str, *, check: Check) -> str | None:
    """The file that a cell names, relative to `root`; None where the cell says none and need not."""
    cell = row.get(column, "")
    if column != "path" and not known(cell):
        return None
    if "\\" in cell and not (table.parent / cell).exists():  # a table from Windows
        cell = cell.replace("\\", "/")
    inside = check(table.parent, cell, where)
    return Path(os.path.relpath(table.parent / inside, root)).as_posix()
