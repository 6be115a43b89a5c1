"""A run that goes on differently: over several folders, for more steps, or from the weights of another run."""

import json

import numpy as np
import pytest
import tensorflow as tf
from absl import app
from absl.testing import flagsaver

from ssl3d_tf import train
from ssl3d_tf.command import configuration
from ssl3d_tf.data import folders
from ssl3d_tf.errors import InputError
from ssl3d_tf.experiment import admission, extending, initial, overlap
from ssl3d_tf.experiment.initial import Init
from ssl3d_tf.experiment.pretraining import Start
from ssl3d_tf.training import schedules
from tests.commands.test_train import final_weights, losses
from tests.data.test_mixing import make

SIZES = ("BATCH_SIZE=2", "FILTERS=2", "LEVELS=1", "VIEW_SIZE=8", "WARMUP_STEPS=2", "DROPOUT=0.2")
EVERY = ("LOG_EVERY=2", "EVAL_EVERY=2", "SAVE_EVERY=2")


def pretrain(given, workdir, *params, gin_file="gin/rotation_2d.gin", **start):
    return train.pretrain(configuration.Sources((gin_file,), (*SIZES, *EVERY, *params)), given, workdir, Start(**start))


def record(workdir, name="run.json"):
    return json.loads((workdir / name).read_text())


def same(left, right):
    return all(np.array_equal(left[name], right[name]) for name in left.keys() | right.keys())


def last_layer(workdir, step):
    found = tf.train.load_checkpoint(str(workdir / "checkpoints" / f"ckpt-{step}"))
    return found.get_tensor("model/_operations/9/_kernel/.ATTRIBUTES/VARIABLE_VALUE")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    return make(root / "A"), make(root / "B", train=4)


@pytest.fixture(scope="module")
def short(data, tmp_path_factory):
    """A run of four steps, evaluated at its end."""
    workdir = tmp_path_factory.mktemp("short") / "run"
    pretrain(data[0], workdir, "STEPS=4", "EVAL_EVERY=4")
    return workdir


@pytest.fixture(scope="module")
def mixed(data, tmp_path_factory):
    """A run of two steps over two folders."""
    workdir = tmp_path_factory.mktemp("mixed") / "run"
    pretrain([str(data[0]), f"{data[1]}:0.25"], workdir, "STEPS=2")
    return workdir


def test_several_folders_are_recorded_and_told_when_they_are_others(data, mixed):
    for found in (record(mixed), record(mixed / "encoder", "contract.json")):
        assert [(one["label"], one["share"]) for one in found["data"]["folders"]] == [("A", ""), ("B", "1/4")]
        assert found["data"]["path"] == f"{data[0]} + {data[1]}:1/4"
    with pytest.raises(InputError, match=r"a run on other data \(now .*B:1/5, .*; then .*B:1/4, "):
        pretrain([str(data[0]), f"{data[1]}:0.2"], mixed, "STEPS=2")


def test_scans_of_all_folders_count_as_seen_and_each_fits_the_encoder(data, mixed, tmp_path):
    contents = {("test", 0): "A-train-0", ("test", 1): "B-train-3"}
    tested = folders.open_folder(make(tmp_path / "C", test=3, contents=contents))
    assert overlap.of(mixed, [tested])["test_scans_seen"] == 2
    for each in data:
        admission.check_input("mixed", mixed, folders.open_folder(each))
    other = folders.open_folder(make(tmp_path / "D", recipe={"intensity": "window"}))
    with pytest.raises(InputError, match=r"intensity None there, window here"):
        admission.check_input("mixed", mixed, other)


def test_an_extended_run_is_one_that_was_longer_from_the_start(data, short, tmp_path):
    longer = ("STEPS=8", "RESTARTS=(4,)")
    pretrain(data[0], tmp_path / "whole", *longer)
    pretrain(data[0], tmp_path / "cut", "STEPS=4")
    pretrain(data[0], tmp_path / "cut", *longer, extends=True)
    assert losses(tmp_path / "cut") == losses(tmp_path / "whole")
    assert same(final_weights(tmp_path / "cut"), final_weights(tmp_path / "whole"))
    (extended,) = record(tmp_path / "cut")["extended"]
    assert {"-STEPS = 4", "+STEPS = 8", "-RESTARTS = ()", "+RESTARTS = (4,)"} <= set(extended["changes"])
    assert pretrain(data[0], tmp_path / "cut", *longer) == {}  # the same command again, now that it is that run


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (("STEPS=8",), r'another learning rate .*: --gin_param="RESTARTS=\(4,\)" keeps the schedule of the first 4'),
        (("STEPS=8", "RESTARTS=(3,)"), r"step 2 of the 4 that .* another learning rate"),
        (("STEPS=3",), r"STEPS 3 is less than the 4 of "),
        (("STEPS=8", "RESTARTS=(4,)", "BATCH_SIZE=4"), r"another configuration .*--extend changes STEPS, RESTARTS"),
        (("STEPS=8", "RESTARTS=(9,)"), r"RESTARTS \(9,\) must rise, from above 0 to below STEPS 8"),
    ],
)
def test_what_would_change_the_first_part_is_refused(params, message, data, short):
    before = {path: path.read_bytes() for path in short.rglob("*") if path.is_file() and path.name != ".lock"}
    with pytest.raises(InputError, match=message):
        pretrain(data[0], short, *params, extends=True)
    assert before == {path: path.read_bytes() for path in before}


def test_extending_nothing_is_refused(data, tmp_path):
    with pytest.raises(InputError, match="holds no run"):
        pretrain(data[0], tmp_path / "none", "STEPS=8", extends=True)


def test_a_restart_leaves_every_rate_before_it_as_it_was_to_the_bit():
    short, long = schedules.warmup_cosine(1e-3, 7, 130), schedules.warmup_cosine(1e-3, 7, 400, restarts=(130, 300))
    assert extending.first_difference(short, long, 130) is None
    assert extending.first_difference(short, schedules.warmup_cosine(1e-3, 7, 131), 130) == 1
    assert [float(long(130 + step)) for step in range(9)] == [
        float(schedules.warmup_cosine(1e-3, 7, 170)(step)) for step in range(9)
    ]
    assert float(long(300)) == float(long(0))


@pytest.mark.parametrize("part", initial.PARTS)
def test_a_run_begins_with_the_weights_of_another(part, data, short, tmp_path, capsys):
    params = ("STEPS=2", "BATCH_SIZE=4", "LEARNING_RATE=0", "DROPOUT=0")
    pretrain(data[0], tmp_path / part, *params, init=Init(short, part))
    assert same(final_weights(tmp_path / part), final_weights(short))  # nothing learnt: it has what it began with
    told = capsys.readouterr().out
    assert told.count("init: ") == 1
    assert {"model": "all 30 weights", "encoder": "16 of 16 weights loaded"}[part] in told
    assert {"model": "not taken: its optimizer", "encoder": "not taken: its head, optimizer"}[part] in told
    for found in (record(tmp_path / part), record(tmp_path / part / "encoder", "contract.json")):
        assert (found["init"]["run"], found["init"]["part"], found["init"]["step"]) == (str(short), part, 4)
        assert found["init"]["data"]["path"] == str(data[0])
    assert np.array_equal(last_layer(tmp_path / part, 2), last_layer(short, 4)) == (part == "model")


def test_a_run_goes_on_as_it_began_and_other_scans_of_its_weights_count_as_seen(data, short, tmp_path):
    pretrain(data[1], tmp_path / "whole", "STEPS=2", init=Init(short))
    with pytest.raises(InputError, match=r"began with --init=.* --init_part=model, not without --init: say so again"):
        pretrain(data[1], tmp_path / "whole", "STEPS=2")
    with pytest.raises(InputError, match=r"began with .*model, not with .*encoder"):
        pretrain(data[1], tmp_path / "whole", "STEPS=2", init=Init(short, "encoder"))
    assert pretrain(data[1], tmp_path / "whole", "STEPS=2", init=Init(short)) == {}
    tested = folders.open_folder(make(tmp_path / "C", test=2, contents={("test", 0): "A-train-0"}))
    assert overlap.of(tmp_path / "whole", [tested])["test_scans_seen"] == 1


def test_weights_of_another_network_task_or_input_are_one_line(data, short, tmp_path):
    with pytest.raises(InputError, match=r"is another network: FILTERS 2 there, 4 here; set them as there"):
        pretrain(data[0], tmp_path / "a", "STEPS=2", "FILTERS=4", init=Init(short, "encoder"))
    with pytest.raises(
        InputError, match=r"another task \(@rotation.task\(\) there, @.*exemplar.task\(\) here\): --init_"
    ):
        pretrain(data[0], tmp_path / "b", "STEPS=2", gin_file="gin/exemplar_2d.gin", init=Init(short))
    two = make(tmp_path / "two", channels=2)
    with pytest.raises(InputError, match=r"other input than .*two: channels 1 there \(channel0\), 2 here"):
        pretrain(two, tmp_path / "c", "STEPS=2", init=Init(short, "encoder"))
    with pytest.raises(InputError, match="holds no encoder"):
        pretrain(data[0], tmp_path / "d", "STEPS=2", init=Init(tmp_path / "nowhere"))
    assert not any((tmp_path / name).exists() for name in "abcd")


def test_a_part_of_nothing_is_wrong_use(monkeypatch):
    with flagsaver.flagsaver():
        monkeypatch.setattr(
            "absl.flags.FLAGS",
            type("Values", (), {"gin_file": ["x"], "gin_param": [], "gin_import": [], "workdir": "w", "data": [],
                                "init": None, "init_part": "encoder", "extend": False})(),
        )  # fmt: skip
        with pytest.raises(app.UsageError, match="--init_part says which part of --init"):
            train.main(["train"])
