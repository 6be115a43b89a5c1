"""Scoring of whole cases: independent of the batch, one case in memory at a time, pictures of the ones to look at."""

import tracemalloc

import numpy as np
import pytest

from ssl3d_tf.data import folders, synthetic
from ssl3d_tf.experiment import scoring
from ssl3d_tf.experiment.scoring import MEAN

SIZE = 16


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("scoring") / "data"
    synthetic.write_dataset(root, shape=(SIZE + 5,) * 3, counts={"train": 1, "val": 1, "test": 4})
    return folders.open_folder(root)


def bright(tiles):
    """Logits of 8 classes: one where it is bright, else the background."""
    logits = np.zeros((*tiles.shape[:-1], 8), np.float32)
    logits[..., 0], logits[..., 1] = 0.5, tiles[..., 0]
    return logits


def scorer(**settings):
    return scoring.segmentation(view_size=SIZE, names=("dice", "hd95", "nsd", "pooled_dice"), **settings)


def test_scores_do_not_depend_on_how_many_windows_go_at_a_time(data):
    one, three = (scorer(batch_size=number).score(bright, data, "test") for number in (1, 3))
    assert str(one) == str(three)  # as text, in which NaN equals NaN


def test_memory_does_not_grow_with_the_number_of_cases(data):
    def peak(times):
        split = data.manifest.split("test")
        many = split._replace(entries=split.entries * times)
        manifest = data.manifest._replace(splits={**data.manifest.splits, "test": many})
        tracemalloc.start()
        scorer().score(bright, data._replace(manifest=manifest), "test")
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    peak(1)
    assert peak(8) < 1.1 * peak(1)


def test_the_best_the_median_and_the_worst_case_are_drawn(data, tmp_path):
    how = scorer()
    found = how.score(bright, data, "test")
    how.draw(bright, data, found, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.png", "median.png", "worst.png"]
    assert {name for _, name, label, *_ in found.cases if label == MEAN} == {"dice", "hd95", "nsd"}
