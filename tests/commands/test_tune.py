"""Searches for knobs: on data whose test split is gone, what they leave, what fails and goes on, and mistakes."""

import csv
import json

import pytest

from ssl3d_tf import finetune, train, tune
from ssl3d_tf.command import configuration
from ssl3d_tf.data import folders, synthetic
from ssl3d_tf.errors import InputError
from ssl3d_tf.search import trials

pytestmark = pytest.mark.usefixtures("undrawn")  # but for the search that several tests look at

SIZE = 16
GIN_FILE = "gin/finetune/segmentation_2d.gin"
NETWORK = ("BATCH_SIZE=2", "FILTERS=2", "LEVELS=1", f"VIEW_SIZE={SIZE}", "STEPS=2", "EVAL_EVERY=1", "SAVE_EVERY=1")
TINY = (*NETWORK, "segmentation.task.transforms=[]")
RATES = "SPACE={'LEARNING_RATE': {'low': 1e-4, 'high': 1e-1, 'log': True}, 'DROPOUT': [0.0, 0.2]}"

SEARCH = (RATES, "MAX_TRIALS=2", "FRACTION=50")


def make(folder):
    synthetic.write_dataset(folder, shape=(SIZE, SIZE), counts={"train": 4, "val": 2, "test": 2})
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Phantoms whose test shards are deleted: nothing in this file reads them."""
    folder = make(tmp_path_factory.mktemp("tune") / "data")
    for shard in folders.open_folder(folder).manifest.split("test").shards:
        (folder / shard.file).unlink()
    return folder


@pytest.fixture(scope="module")
def searched(data, tmp_path_factory):
    """The workdir, called like a pattern, of a search of two trials with half of the labels, and its best trial."""
    workdir = tmp_path_factory.mktemp("searched") / "hp[1]"
    return workdir, run(data, workdir, *SEARCH)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    root = tmp_path_factory.mktemp("pretrained")
    sources = configuration.Sources(("gin/rotation_2d.gin",), NETWORK)
    train.pretrain(sources, make(root / "data"), root / "rotation")
    return root / "rotation"


def run(data, workdir, *params, encoders=()):
    return tune.run(configuration.Sources((GIN_FILE,), (*TINY, *params)), data, encoders, workdir)


def steps(workdir, trial):
    lines = (workdir / trials.FOLDER / trial.run / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["step"] for line in lines if "val_loss" in line]


def test_a_search_leaves_a_table_of_its_trials_and_a_page(searched):
    workdir, best = searched
    rows = list(csv.DictReader((workdir / trials.TABLE).read_text().splitlines()))
    assert [row["status"] for row in rows] == ["completed"] * 2
    assert max(float(row["val_dice"]) for row in rows) == pytest.approx(best.value, rel=1e-5)
    assert rows[0]["LEARNING_RATE"] == "0.001"  # the first trial has the knobs of the files
    assert "<svg" in (workdir / "report.html").read_text()
    assert "The test split was not read" in (workdir / "summary.md").read_text()


def test_all_trials_have_the_same_half_of_the_labels(searched, data):
    workdir, _ = searched
    train_ids = json.loads((workdir / "splits.json").read_text())["0"]["train"]["50"]
    assert len(train_ids) == 2
    assert "50 % of the training patients (2 cases)" in (workdir / "best.gin").read_text()


def test_best_gin_is_a_file_for_finetuning(searched, tmp_path):
    workdir, best = searched
    sources = configuration.Sources((GIN_FILE, str(workdir / "best.gin")), (*TINY, "ARMS=('random',)", "REPETITIONS=1"))
    assert finetune.run(sources, make(tmp_path / "data"), [], tmp_path / "ft") == 0
    assert best.knobs.items() <= configuration.macros().items()


def test_a_search_that_has_ended_runs_nothing_again(searched, data, capsys):
    workdir, best = searched
    assert run(data, workdir, *SEARCH) == best
    assert "[trial" not in capsys.readouterr().out


def test_trials_of_a_lost_state_of_keras_tuner_are_not_run_again(data, searched, tmp_path, capsys):
    workdir, best = searched
    (workdir / "keras_tuner" / "oracle.json").rename(tmp_path / "oracle.json")
    with pytest.raises(InputError, match="remove that folder"):
        run(data, workdir, *SEARCH)
    (workdir / "keras_tuner").rename(tmp_path / "keras_tuner")
    assert run(data, workdir, *SEARCH) == best
    assert "[trial" not in capsys.readouterr().out


def test_another_search_does_not_take_the_folder(searched, data):
    with pytest.raises(InputError, match="is a run of another configuration"):
        run(data, searched[0], *SEARCH, "MAX_TRIALS=4")


def test_trials_that_fail_are_recorded_and_the_others_go_on(data, tmp_path, capsys):
    space = "SPACE={'LEVELS': [1, 5], 'LEARNING_RATE': [1e-3, 1e30]}"
    best = run(data, tmp_path / "hp", space, "TUNER='grid'")
    found = trials.read(tmp_path / "hp")
    assert [trial.status for trial in found] == ["completed", "failed", "failed", "failed"]
    assert best.knobs == {"LEVELS": "1", "LEARNING_RATE": "0.001"}
    assert "the loss is nan" in found[1].reason
    assert "smaller than" in found[2].reason
    assert {line.partition(":")[0] for line in capsys.readouterr().err.splitlines()} == {
        f"trial 0{number} failed, the search goes on" for number in (1, 2, 3)
    }


def test_a_search_in_which_all_fail_has_no_best(data, tmp_path, capsys):
    assert run(data, tmp_path / "hp", "SPACE={'LEARNING_RATE': [1e30, 1e31]}", "TUNER='grid'") is None
    assert not (tmp_path / "hp" / trials.BEST).exists()
    assert "no trial succeeded; trials.csv says why" in capsys.readouterr().err


def test_a_hopeless_trial_is_stopped_early(data, tmp_path):
    params = ("SPACE={'LEARNING_RATE': [1e-2, 1e-7]}", "TUNER='grid'", "PRUNE_AFTER=1", "STEPS=5", "LEARNING_RATE=1e-2")
    run(data, tmp_path / "hp", *params, "OBJECTIVE=('val_loss', 'min')")
    whole, pruned = trials.read(tmp_path / "hp")
    assert (whole.status, whole.steps) == ("completed", 5)
    assert (pruned.status, pruned.steps) == ("pruned", steps(tmp_path / "hp", pruned)[-1])
    assert pruned.steps < 5
    assert pruned.value > whole.value


def test_hyperband_goes_on_with_the_better_trials_where_they_stopped(data, tmp_path):
    run(data, tmp_path / "hp", RATES, "TUNER='hyperband'", "MAX_TRIALS=4", "STEPS=3")
    found = trials.read(tmp_path / "hp")
    assert [trial.steps for trial in found] == [1, 1, 1, 3]
    promoted = found[-1]
    assert promoted.run == max(found[:3], key=lambda trial: trial.value).number
    assert steps(tmp_path / "hp", promoted) == [1, 2, 3]
    assert not list((tmp_path / "hp").rglob("checkpoints"))


def test_an_encoder_makes_it_a_search_for_finetuning_it(data, encoder, tmp_path):
    run(data, tmp_path / "hp", RATES, "MAX_TRIALS=1", encoders=[encoder])
    header = (tmp_path / "hp" / trials.BEST).read_text()
    assert "# arm: rotation pretrained, 100 % of the training patients (4 cases)" in header
    assert f"--encoder={encoder}" in header


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (("SPACE={}",), "SPACE is {}; it must name one knob or more"),
        (("SPACE={'LEARNING_RAT': [1, 2]}",), "LEARNING_RAT is set, but nothing in .* did you mean LEARNING_RATE"),
        (("SPACE={'unet.encoder.filters': [1, 2]}",), "it takes knobs, which are in capitals"),
        (("SPACE={'LEVELS': {'low': 3, 'high': 1}}",), "LEVELS goes from 3 to 1"),
        (("SPACE={'LEVELS': [0, 1]}",), "LEVELS is 0; it must be a whole number of at least 1"),
        (("SPACE={'DROPOUT': {'low': 0.0, 'high': 2.0}}",), "DROPOUT is 2.0; it must be"),
        (("SPACE={'SEED': [0, 1]}",), "SPACE has SEED, which must be the same in all trials"),
        (("SPACE={'STEPS': [1, 2]}", "TUNER='hyperband'"), "SPACE has STEPS"),
        (("SPACE={'LEVELS': [1, 2]}", "POOL=((2, 2, 1),)"), "SPACE has LEVELS, and POOL says how many there are"),
        (("SPACE={'VIEW_SIZE': [16, (16, 0, 8)]}",), r"VIEW_SIZE is \(16, 0, 8\); it must be a whole number"),
        (("SPACE={'PHANTOMS': [8, 9]}",), "PHANTOMS is set, but nothing in"),
        (("TUNER='bayes'",), "TUNER is 'bayes'; it must be one of random, bayesian"),
        (("MAX_TRIALS=0",), "MAX_TRIALS is 0"),
        (("FRACTION=200",), "FRACTION is 200; it must be a number above 0 and at most 100"),
        (("FRACTIONS=(50,100)",), "a search trains one arm"),
        (("ARMS=('random','pretrained')",), "need --encoder"),
        (("FOLDS=3",), "validates on the data's split"),
        (("OBJECTIVE=('val_dise', 'max')",), "NAME being val_loss or val_dice"),
        (("OBJECTIVE='val_dice'",), "must be .NAME, 'min' or 'max'."),
    ],
)
def test_mistakes_are_one_line_before_anything_is_written(data, params, message, tmp_path):
    with pytest.raises(InputError, match=message) as error:
        run(data, tmp_path / "hp", *params)
    assert "\n" not in str(error.value).partition("\n  In call to")[0]
    assert not (tmp_path / "hp").exists()


def test_the_architecture_of_an_encoder_is_not_searched(data, encoder, tmp_path):
    with pytest.raises(InputError, match="SPACE has FILTERS, which must be as in the pretraining run"):
        run(data, tmp_path / "hp", "SPACE={'FILTERS': [1, 2]}", encoders=[encoder])
