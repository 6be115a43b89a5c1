"""python -m experiments.diameter nodules.csv DATA: how well diameter alone tells malignant nodules, on the test split.

Prints the AUC, which an encoder has to beat: who sees size, knows much.
"""

import csv
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ssl3d_tf.data.records import manifest
from ssl3d_tf.evaluation import grading


def auc_of_diameter(table: Path, data: Path) -> tuple[float, int]:
    """AUC of the column `diameter_mm` for the column `label` of the test split of `data`, and of how many nodules."""
    with table.open(encoding="utf-8", newline="") as file:
        rows = {row["path"].removesuffix(".nii.gz"): row for row in csv.DictReader(file)}
    tested = [rows[entry.id] for entry in manifest.read(data).split("test").entries]
    truth, diameters = (np.array([float(row[name]) for row in tested]) for name in ("label", "diameter_mm"))
    return grading.auc(truth.astype(int), diameters), len(tested)


def main(arguments: Sequence[str]) -> None:
    """Prints one line."""
    value, count = auc_of_diameter(*map(Path, arguments))
    print(f"diameter alone: AUC {value:.3f} on {count} test nodules")


if __name__ == "__main__":
    main(sys.argv[1:])
