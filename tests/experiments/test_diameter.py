import csv

import pytest

from experiments import diameter
from tests.conftest import make_folder


def test_the_auc_is_of_the_test_split_alone(tmp_path):
    make_folder(tmp_path / "data", counts={"train": 3, "val": 2, "test": 4}, shapes=[(8, 8)])
    labels, sizes = {"test": [0, 1, 0, 1], "train": [1, 1, 0]}, {"test": [3, 9, 5, 4], "train": [1, 1, 9]}
    with (tmp_path / "nodules.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "diameter_mm"])
        for split, values in labels.items():
            rows.writerows([f"{split}{i}.nii.gz", label, sizes[split][i]] for i, label in enumerate(values))
    assert diameter.auc_of_diameter(tmp_path / "nodules.csv", tmp_path / "data") == (pytest.approx(0.75), 4)
