"""Layout `csv`: one row per example, `path` and optionally `label`, `patient`, `mask`, `split`.

Paths are relative to the table and stay inside its folder, unless the user allows files anywhere. Labels are numbers
(several separated by ';') or class names, which are numbered in alphabetical order. Empty cells mean: not known.
"""

import csv
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from ssl3d_tf.data.records.manifest import SPLITS
from ssl3d_tf.errors import InputError
from tools.readers import files, paths
from tools.readers.contract import Item, Listing

COLUMNS = ("path", "label", "patient", "mask", "split")
MOST_CLASSES = 100  # more distinct whole numbers than this are measurements

Row = Mapping[str, str]
Labels = dict[str, tuple[float, ...]]  # text of the cell -> numbers


def is_table(path: Path) -> bool:
    """Whether `path` is a CSV file with a column `path`."""
    return path.suffix.lower() == ".csv" and path.is_file() and "path" in _read(path)[0]


def find(path: Path, *, allow_outside: bool = False) -> Listing:
    """Lists the rows of the table at `path`. allow_outside: they may name files anywhere, also by absolute paths.

    Raises:
        InputError: no column `path`, a row twice, a path outside the folder, a label that is no label, another split.
    """
    columns, rows = _read(path)
    if "path" not in columns:
        raise InputError(f"{path} has no column 'path'; its columns are {list(columns)}: name one of them path.")
    labels, classes = _labels(path, [row["label"] for row in rows if row.get("label")])
    items = [_item(path, number, row, labels, allow_outside=allow_outside) for number, row in enumerate(rows, start=2)]
    ids = [item.id for item in items]
    twice = next((name for name in ids if ids.count(name) > 1), None) if len(set(ids)) < len(ids) else None
    if twice is not None:
        raise InputError(f"{path} lists '{twice}' more than once; keep one row per example.")
    unused = sorted(set(columns) - set(COLUMNS))
    notes = (f"columns not used: {', '.join(unused)}.",) if unused else ()
    return Listing("csv", path.parent, path.parent.name, tuple(items), classes=classes, notes=notes)


def _read(path: Path) -> tuple[Sequence[str], list[dict[str, str]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restval="")
            rows = [{str(key): (value or "").strip() for key, value in row.items() if key} for row in reader]
            return reader.fieldnames or (), rows
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read ({error}); save it as comma-separated UTF-8.") from error


def _item(table: Path, number: int, row: Row, labels: Labels, *, allow_outside: bool) -> Item:
    where = f"row {number} of {table}"
    check = paths.anywhere if allow_outside else paths.checked
    image = check(table.parent, row["path"], where)
    mask = check(table.parent, row["mask"], where) if row.get("mask") else None
    split = row.get("split") or None
    if split not in (None, *SPLITS):
        raise InputError(f"{where} says split '{split}'; use one of {', '.join(SPLITS)}, or leave it empty.")
    name = files.stem_of(re.sub(r"^(\.\./)+", "", image))
    label = labels[row["label"]] if row.get("label") else None
    return Item(name, image, row.get("patient") or name, mask=mask, label=label, split=split)


def _labels(table: Path, cells: Sequence[str]) -> tuple[Labels, dict[str, str]]:
    texts = sorted(set(cells))
    try:
        labels: Labels = {text: tuple(float(part) for part in text.split(";")) for text in texts}
    except ValueError:
        names: Labels = {text: (float(number),) for number, text in enumerate(texts)}
        return names, {str(number): text for number, text in enumerate(texts)}
    sizes = {len(label) for label in labels.values()}
    if len(sizes) > 1 or not all(math.isfinite(value) for label in labels.values() for value in label):
        raise InputError(f"column 'label' of {table} must hold finite numbers, equally many in each row.")
    values = sorted({value for label in labels.values() for value in label})
    are_classes = sizes == {1} and len(values) <= MOST_CLASSES and all(v >= 0 and v.is_integer() for v in values)
    return labels, {f"{value:g}": f"class {value:g}" for value in values} if are_classes else {}
