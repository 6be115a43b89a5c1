"""Layout `kaggle_retina`: fundus photographs graded 0-4 for diabetic retinopathy, as Kaggle gives them out.

Of EyePACS 2015 (trainLabels.csv: image, level) both eyes are of one patient; of APTOS 2019 (train.csv: id_code,
diagnosis) each image is. Images without a grade are left out, which a note says.
"""

import csv
import re
from pathlib import Path, PurePosixPath

from ssl3d_tf.errors import InputError
from tools.readers import expected, files, paths
from tools.readers.contract import Fault, Item, Listing

TREE = ("trainLabels.csv (image,level) or train.csv (id_code,diagnosis)", "IMAGE.png or .jpeg in any folder")
COLUMNS = (("image", "level"), ("id_code", "diagnosis"))
GRADES = {"0": "none", "1": "mild", "2": "moderate", "3": "severe", "4": "proliferative"}
EYE = re.compile(r"(.+)_(left|right)")


def find(root: Path) -> Listing:
    """Lists the images that the table in `root` grades.

    Raises:
        InputError: no or several such tables, or a grade that is none of 0-4.
    """
    tables = {path: _grades(path) for path in sorted(root.glob("*.csv"))}
    tables = {path: grades for path, grades in tables.items() if grades}
    if len(tables) != 1:
        raise expected.refusal(root, "kaggle_retina", TREE)
    ((table, grades),) = tables.items()
    tree = paths.walk(root)
    found: dict[str, list[str]] = {}
    for path in tree.paths:
        found.setdefault(files.stem_of(PurePosixPath(path).name), []).append(path)
    missing = [
        Fault(name, f"{table.name} grades it, but it is not there", "add it") for name in grades if name not in found
    ]
    twice = [
        Fault(found[name][1], f"it has the name of {found[name][0]}", "keep one")
        for name in grades
        if name in found and len(found[name]) > 1
    ]
    items = tuple(_item(name, found[name][0], grades[name]) for name in grades if name in found)
    others = len(set(found) - set(grades))
    notes = (f"{others} images without a grade are left out.",) if others else ()
    faults = tuple(sorted((*tree.faults, *missing, *twice)))
    return Listing(
        "kaggle_retina", root, root.name, items, faults, "fundus photograph", label_classes=GRADES, notes=notes
    )


def _item(name: str, path: str, grade: str) -> Item:
    eye = EYE.fullmatch(name)
    return Item(name, path, eye[1] if eye else name, label=(float(grade),))


def _grades(path: Path) -> dict[str, str]:
    """Image -> grade; nothing if the table has other columns."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            columns = next((pair for pair in COLUMNS if set(pair) <= set(reader.fieldnames or ())), None)
            rows = [(row[columns[0]], (row[columns[1]] or "").strip()) for row in reader] if columns else []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read ({error}); save it as comma-separated UTF-8.") from error
    for name, grade in rows:
        if grade not in GRADES:
            raise InputError(f"{path} grades '{name}' as '{grade}'; grades are 0 to 4: mend or remove the row.")
    return dict(rows)
