"""PROBE as configured: known answers, what it reads, exact restarts in pretraining, and what is refused."""

import functools
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from ssl3d_tf import finetune, train
from ssl3d_tf.command import configuration
from ssl3d_tf.data import folders, mixing, pipeline, synthetic
from ssl3d_tf.errors import InputError
from ssl3d_tf.experiment import probing
from ssl3d_tf.training import contracts, validation
from tests.conftest import make_folder

SIZE = 16
SMALL = ("BATCH_SIZE=2", "FILTERS=2", "LEVELS=2", f"VIEW_SIZE={SIZE}", "STEPS=2", "EVAL_EVERY=1", "SAVE_EVERY=1")
GIN_FILE, PROBE_FILE = "gin/rotation_2d.gin", "gin/probe/base.gin"
COUNTS = {"train": 8, "val": 8, "test": 1}
BUILDERS = pytest.mark.parametrize("build", [probing.knn, probing.linear])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("probing") / "data"
    synthetic.write_dataset(root, shape=(SIZE, SIZE), counts={"train": 8, "val": 6, "test": 2})
    return root


@pytest.fixture
def noise(tmp_path):
    """Random volumes whose labels are 0, 1, 0, …; masks have 1 and 2 everywhere."""
    make_folder(tmp_path / "noise", counts=COUNTS, shapes=[(SIZE, SIZE)])
    return folders.open_folder(tmp_path / "noise")


def read(**changes):
    fixed = {"split": "val", "training": False, "rank": 2, "view_size": SIZE, "batch_size": 3, "seed": 0}
    return functools.partial(pipeline.read, **{**fixed, **changes})


def telling(change):
    """As `read`, but the views are what `change` makes of (views, labels or masks)."""

    def read_told(data, task, **given):
        found = read()(data, task, **given)
        return found._replace(to_views=lambda element: change(*task.make_views(*element)))

    return read_told


def identity(factor=1):
    """An encoder whose map is its input, or the mean of its blocks."""
    inputs = keras.Input((None, None, 1))
    return keras.Model(inputs, keras.layers.AveragePooling2D(factor)(inputs) if factor > 1 else inputs * 1.0)


def of_two(inputs):
    """Features in the plane, so that cosines tell them apart: [b, h, w, 2] of a number in [b, h, w, 1]."""
    return tf.concat([inputs, 1 - inputs], axis=-1)


def plane():
    inputs = keras.Input((None, None, 2))
    return keras.Model(inputs, inputs * 1.0)


@BUILDERS
def test_an_encoder_that_shows_the_label_scores_one_and_one_of_noise_about_half(build, noise):
    def shown(views, labels):
        return of_two(tf.ones_like(views) * tf.reshape(labels, (-1, 1, 1, 1))), labels

    assert build(noise, read=telling(shown), of="label").score(plane()) == 1.0
    assert 0.1 < build(noise, read=read(), of="label").score(identity()) < 0.9


@BUILDERS
def test_an_encoder_that_shows_the_mask_scores_one_and_a_blind_one_half(build, folder):
    data = folders.open_folder(folder)
    names = [int(value) for value in data.manifest.classes]

    def shown(views, masks):
        return tf.one_hot(masks, len(names)), masks

    def blind(views, masks):
        return tf.ones_like(views), masks

    inputs = keras.Input((None, None, len(names)))
    seeing = build(data, read=telling(shown), of="mask", cases=4)
    assert seeing.score(keras.Model(inputs, inputs * 1.0)) > 0.99
    assert build(data, read=telling(blind), of="mask", cases=4).score(identity(4)) == pytest.approx(0.5)
    assert seeing.about["classes"] == names[1:]


def test_a_few_patients_are_read_and_no_test_shard_is_needed(noise):
    for path in noise.path.glob("test*.tfrecord"):
        path.unlink()
    found = probing.knn(noise, read=read(), data=str(noise.path), cases=4, of="label")
    assert found.about["patients"] == {"train": 4, "val": 8}
    assert found.about["path"] == str(noise.path)
    assert 0 <= found.score(identity()) <= 1
    seen = []

    def counted(data, task, **given):
        seen.append((given["split"], [entry.label[0] for entry in data.manifest.split(given["split"]).entries]))
        return read()(data, task, **given)

    probing.knn(noise, read=counted, cases=4, of="label")
    assert [(split, sorted(labels)) for split, labels in seen] == [
        ("train", [0, 0, 1, 1]),  # of the mix that all have
        ("val", [0, 0, 0, 0, 1, 1, 1, 1]),
    ]


def test_a_collapsed_encoder_scores_half_and_a_broken_one_has_no_score(noise):
    probe = probing.knn(noise, read=read(), of="label")
    inputs = keras.Input((None, None, 1))
    assert probe.score(keras.Model(inputs, inputs * 0.0)) == 0.5
    assert np.isnan(probe.score(keras.Model(inputs, inputs * np.nan)))


# In pretraining


class Killed(BaseException):
    """Stands for SIGKILL: nothing is saved on its way out."""


def pretrain(folder, workdir, *params):
    return train.pretrain(configuration.Sources((GIN_FILE, PROBE_FILE), (*SMALL, *params)), folder, workdir)


def probes(workdir):
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [(line["step"], line["val_probe"], line["val_loss"]) for line in lines if "val_probe" in line]


def test_a_killed_pretraining_comes_to_the_same_encoder(folder, tmp_path, monkeypatch):
    params = ("PROBE=@probing.knn", "PROBE_OF='mask'", "PROBE_CASES=4")
    scores = pretrain(folder, tmp_path / "whole", *params)
    evaluate, calls = validation.evaluate, []

    def dies(built):
        calls.append(built)
        if len(calls) == 2:
            raise Killed
        return evaluate(built)

    with monkeypatch.context() as patched:
        patched.setattr(validation, "evaluate", dies)
        with pytest.raises(Killed):
            pretrain(folder, tmp_path / "cut", *params)
    pretrain(folder, tmp_path / "cut", *params)
    assert probes(tmp_path / "cut") == probes(tmp_path / "whole")
    whole, cut = (contracts.read_contract(tmp_path / name) for name in ("whole", "cut"))
    assert (whole["weights_sha256"], whole["step"]) == (cut["weights_sha256"], cut["step"])
    best = max(probes(tmp_path / "whole"), key=lambda found: found[1])  # the first of equals
    assert (whole["best_by"], whole["step"], whole["scores"]["val_probe"]) == ("val_probe", *best[:2])
    assert whole["probe"]["of"] == "mask"
    assert scores["val_probe"] == probes(tmp_path / "whole")[-1][1]


# Mistakes


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (("PROBE='knn'",), "PROBE is 'knn'; it must be a function, with @ and without (), such as @probing.knn."),
        (("PROBE=@probing.knn", "PROBE_OF='lable'"), "PROBE_OF is 'lable'; it must be 'label' or 'mask', or None."),
        (("PROBE=@probing.knn", "PROBE_CASES=9"), "PROBE_CASES is 9, and split 'train' of"),
        (("PROBE=@probing.linear", "PROBE_CASES=0"), "PROBE_CASES is 0; it must be a whole number of at least 1"),
        (
            ("PROBE=@probing.linear", "PROBE_CASES=1"),
            "that it reads have 1 in their labels; it takes 2: raise PROBE_CASES",
        ),
        (("PROBE=@probing.knn", "PROBE_DATA='nowhere'"), "nowhere holds no manifest.json"),
        (("PROBE_CASE=4",), "did you mean PROBE_CASES?"),
    ],
)
def test_a_mistake_is_one_line_before_the_first_step(params, message, folder, tmp_path, capsys):
    with pytest.raises(InputError) as caught:
        pretrain(folder, tmp_path / "run", *params)
    assert message in str(caught.value).splitlines()[0]  # behind it gin says which call it was
    assert "step 1/" not in capsys.readouterr().out


def test_finetuning_takes_none(folder, tmp_path):
    sources = configuration.Sources(("gin/finetune/segmentation_2d.gin", PROBE_FILE), ())
    with pytest.raises(InputError, match="PROBE is for pretraining"):
        finetune.run(sources, folder, [], tmp_path / "ft")


@pytest.mark.parametrize(
    ("made", "given", "message"),
    [
        ({"masks": False}, {"of": "mask"}, "has no mask: name a folder with them by PROBE_DATA"),
        ({"masks": False, "label": lambda i: []}, {}, "has no label or mask: name a folder"),
        ({"label": lambda i: [1]}, {}, "have 1 in their labels; it takes 2"),
        ({"label": lambda i: [i % 3 + 0.5]}, {}, r"a label in split 'train' of .* is 0\.5; PROBE_DATA has others"),
        ({"channels": 2}, {"data": "made"}, "is not like what is trained on: channels 1 there .* 2 here"),
    ],
)
def test_data_that_cannot_be_asked_are_one_line(made, given, message, noise, tmp_path):
    make_folder(tmp_path / "made", counts=COUNTS, shapes=[(SIZE, SIZE)], **made)
    if "data" in given:
        with pytest.raises(InputError, match=message):
            probing.knn(noise, read=read(), data=str(tmp_path / "made"))
        return
    with pytest.raises(InputError, match=message):
        probing.knn(folders.open_folder(tmp_path / "made"), read=read(), **given)


def test_several_folders_need_one_that_is_named(noise, folder, tmp_path):
    make_folder(tmp_path / "other", counts=COUNTS, shapes=[(SIZE, SIZE)])
    several = mixing.open_folders([noise.path, tmp_path / "other"])
    with pytest.raises(InputError, match="is several, whose labels may mean different things: name a folder"):
        probing.knn(several, read=read())
    found = probing.knn(several, read=read(), data=str(noise.path))
    assert found.about["path"] == str(noise.path)


def test_masks_need_a_map_and_something_that_differs(folder, noise):
    inputs = keras.Input((SIZE, SIZE, 1))
    vector = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(inputs))
    with pytest.raises(InputError, match="this ENCODER gives one vector per view: PROBE_OF='label'"):
        probing.knn(folders.open_folder(folder), read=read(), of="mask").score(vector)
    with pytest.raises(InputError, match=r"every mask of split 'val' in .* says the same; give other data"):
        probing.knn(noise, read=read(), of="mask").score(identity(SIZE))
