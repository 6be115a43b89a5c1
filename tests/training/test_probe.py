"""A probe in the loop: it says which encoder is kept and when a run ends, and a restart comes to the same."""

import json
import math

import numpy as np
import pytest
import tensorflow as tf

from ssl3d_tf.data import folders
from ssl3d_tf.training import contracts, schedules
from ssl3d_tf.training.run import Every, Probe
from tests.conftest import make_folder
from tests.training import test_loop as looped

ABOUT = {"name": "distance", "of": "label", "patients": {"train": 3, "val": 2}, "path": "DATA"}
ABOUT |= {"differs": {"spacing": "1 mm there, 2 mm here"}}
EVERY = Every(log=2, evaluate=2, save=3)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("probe")
    make_folder(folder, counts={"train": 8, "val": 3}, shapes=[(looped.SIZE,) * 3], masks=False)
    return folders.open_folder(folder)


def falling(data):
    """A probe to which the encoder is the better the nearer it is to where it began."""

    def score(encoder):
        return -float(tf.norm(encoder.get_layer("conv").kernel - first_kernel()))

    return Probe(score, ABOUT)


def first_kernel():
    tf.keras.utils.set_random_seed(1)  # as `run.build` does, by `Update.seed` of `looped.fit`
    return looped.without_norm(1).get_layer("conv").kernel.numpy()


def evaluations(workdir):
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if "val_loss" in line]


def fit(workdir, data, **options):
    """As `looped.fit`, of volumes as bright as their label is high, so that the pretext score improves."""
    given = {"top": plain, "every": EVERY, "encoder": looped.without_norm, "schedule": schedules.constant(3e-2)}
    return looped.fit(workdir, data, view=telling, **{**given, **options})


def telling(make_views):
    def make(batch, params):
        views, labels = make_views(batch, params)
        return tf.ones_like(views) * tf.reshape(tf.cast(labels, tf.float32) - 4.5, (-1, 1, 1, 1, 1)), labels

    return make


def plain(features, units):
    return looped.top(features, units, dropout=0.0)


def test_the_encoder_that_a_probe_chooses_is_not_the_last_where_the_pretext_alone_improves(data, tmp_path, capsys):
    fit(tmp_path / "loss", data)
    scores = fit(tmp_path / "probe", data, probe=falling)
    assert (
        "The best encoder is by val_probe: distance on the labels of 3 training patients, asked of 2 validation "
        "patients of DATA, which differ: spacing 1 mm there, 2 mm here."
    ) in capsys.readouterr().out
    found = evaluations(tmp_path / "probe")
    assert [line["val_loss"] for line in found] == [line["val_loss"] for line in evaluations(tmp_path / "loss")]
    assert found[-1]["val_loss"] < found[0]["val_loss"]
    probed = [line["val_probe"] for line in found]
    assert probed[0] == max(probed)
    assert probed[-1] < probed[0]
    assert all(line["probe_seconds"] > 0 for line in found)
    assert scores["val_probe"] == probed[-1]
    by_loss, by_probe = (contracts.read_contract(tmp_path / name) for name in ("loss", "probe"))
    assert (by_loss["best_by"], by_loss["step"]) == ("val_loss", min(found, key=lambda line: line["val_loss"])["step"])
    assert (by_probe["best_by"], by_probe["step"], by_probe["probe"]) == ("val_probe", 2, ABOUT)
    assert by_loss["step"] != by_probe["step"]
    assert by_probe["scores"]["val_probe"] == probed[0]
    assert "probe" not in by_loss


def test_a_killed_run_with_a_probe_goes_on_bit_for_bit(data, tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    fit(whole, data, probe=falling)
    with pytest.raises(looped.Killed):
        fit(cut, data, probe=falling, train_data=looped.dies_after(5))
    fit(cut, data, probe=falling)
    assert looped.journal(cut) == looped.journal(whole)
    left, right = ([line["val_probe"] for line in evaluations(folder)] for folder in (cut, whole))
    assert left == right
    looped.assert_same_weights(cut, whole)
    assert contracts.read_contract(cut)["step"] == contracts.read_contract(whole)["step"] == 2


def test_patience_is_with_the_probe(data, tmp_path):
    fit(tmp_path / "run", data, probe=falling, every=EVERY._replace(patience=2))
    assert [line["step"] for line in evaluations(tmp_path / "run")] == [2, 4, 6]


def test_a_probe_without_a_number_is_told(data, tmp_path, capsys):
    fit(tmp_path / "run", data, probe=lambda data: Probe(lambda encoder: math.nan, ABOUT))
    assert "warning: no val_probe was a number; encoder/ has the last weights, marked so." in capsys.readouterr().out
    found = contracts.read_contract(tmp_path / "run")
    assert (found["step"], found["is_best"]) == (8, False)
    assert all(np.isnan(line["val_probe"]) for line in evaluations(tmp_path / "run"))
