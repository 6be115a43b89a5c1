"""Finetuning: arms that differ in what they should and in nothing else, grids that go on, and mistakes."""

import functools
import json
import re
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

import ssl3d_tf
from ssl3d_tf import finetune, train
from ssl3d_tf.command import configuration, run_folder
from ssl3d_tf.data import folders, pipeline, synthetic
from ssl3d_tf.errors import InputError
from ssl3d_tf.evaluation import tables
from ssl3d_tf.experiment import protocol
from ssl3d_tf.losses.overlap import dice_cross_entropy
from ssl3d_tf.models import decoders, unet
from ssl3d_tf.tasks import segmentation
from ssl3d_tf.training import contracts, loop, schedules
from ssl3d_tf.training.run import Every, Settings
from ssl3d_tf.training.updates import Update

pytestmark = pytest.mark.usefixtures("undrawn")  # but for the grid that several tests look at

SIZE = 16
TINY = (
    "STEPS=3",
    "BATCH_SIZE=2",
    "FILTERS=4",
    "LEVELS=1",
    f"VIEW_SIZE={SIZE}",
    "EVAL_EVERY=3",
    "SAVE_EVERY=1",
    "LOG_EVERY=1",
)
GRID = (*TINY, "REPETITIONS=1", "FRACTIONS=(50,100)", "WARMUP_STEPS=2", "EVAL_EVERY=2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("finetune") / "data"
    synthetic.write_dataset(root, shape=(SIZE + 2,) * 2, counts={"train": 6, "val": 2, "test": 3})
    return root


@pytest.fixture(scope="module")
def pretrained(folder, tmp_path_factory):
    """The workdir of a rotation run of three steps."""
    workdir = tmp_path_factory.mktemp("pretrained") / "rotation"
    train.pretrain(configuration.Sources(("gin/rotation_2d.gin",), TINY), folder, workdir)
    return workdir


@pytest.fixture(scope="module")
def grid(folder, pretrained, tmp_path_factory):
    """The workdir of a whole grid: scratch, pretrained and frozen with 50 % and 100 % of the labels."""
    workdir = tmp_path_factory.mktemp("grid") / "ft"
    assert run(folder, workdir, *GRID, encoders=[pretrained]) == 0
    return workdir


def run(folder, workdir, *params, encoders=(), task="segmentation"):
    sources = configuration.Sources((f"gin/finetune/{task}_2d.gin",), params)
    return finetune.run(sources, folder, list(encoders), workdir)


def test_a_model_says_all_that_it_takes_to_apply_it_and_loads_by_itself(folder, pretrained, grid):
    run_of = grid / "runs" / "rotation-pretrained" / "50" / "0"
    found, data = contracts.read_model(run_of), folders.open_folder(folder).manifest
    assert found == contracts.read_model(run_of / "model")
    assert found["recipe"] == data.recipe
    assert (found["rank"], found["channels"], found["task"]) == (2, list(data.channels), "segmentation")
    assert found["classes"] == data.classes
    assert (found["ignore_label"], found["regions"]) == (None, None)
    assert (found["view_size"], found["window"]) == (SIZE, {"overlap": 0.5, "flips": False, "batch_size": 4})
    assert found["run"] == {"encoder": "rotation", "init": "pretrained", "fraction": 50.0, "repetition": 0}
    assert found["encoder"]["sha256"] == contracts.read_contract(pretrained)["weights_sha256"]
    assert contracts.read_model(grid / "runs" / "scratch-random" / "50" / "0")["encoder"] is None
    model = ssl3d_tf.load_model(run_of)
    with np.load(run_of / "model" / found["weights"]) as stored:
        for variable in model.weights:
            np.testing.assert_array_equal(variable, stored[variable.path])
    assert model(np.zeros((1, SIZE + 3, SIZE, 1), np.float32)).shape == (1, SIZE + 3, SIZE, len(data.classes))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda about: about.pop("task"), r"model was made before 0\.3 .*finetune again"),
        (
            lambda about: [about.pop(name) for name in ("task", "classes")],
            "is a pretrained encoder, which says no class",
        ),
    ],
)
def test_a_folder_that_is_no_model_of_this_version_is_one_line(change, message, grid, tmp_path):
    shutil.copytree(grid / "runs" / "rotation-pretrained" / "50" / "0" / "model", tmp_path / "model")
    path = tmp_path / "model" / "contract.json"
    about = json.loads(path.read_text())
    change(about)
    path.write_text(json.dumps(about))
    with pytest.raises(InputError, match=message):
        ssl3d_tf.load_model(tmp_path)
    with pytest.raises(InputError, match=r"holds no encoder or model .*runs/ARM/FRACTION/REPETITION"):
        ssl3d_tf.load_model(tmp_path / "elsewhere")


def test_of_a_whole_experiment_the_models_are_named(grid):
    found = [re.escape(f"{grid}/runs/{name}") for name in ("rotation-frozen/100/0", "scratch-random/50/0")]
    with pytest.raises(InputError, match=rf"one of its 6 finetuned models: {found[0]}, .*, {found[1]}\.$"):
        ssl3d_tf.load_model(grid)
    with pytest.raises(InputError, match=r"is of finetuning; give a pretraining run, of ssl3d_tf\.train\.$"):
        run_folder.trained(grid)


def fit(workdir, folder, *, steps=6, frozen_steps=2, seed=3, **encoder_options):
    """Segmentation with a frozen encoder at first; returns the weights before and after."""
    data, options = folders.open_folder(folder), {"filters": 4, "levels": 1, "norm": "batch", "dropout": 0.5}
    task = segmentation.task(
        rank=2, view_size=SIZE, classes=8, head=decoders.unet_2d_upconv(), loss=dice_cross_entropy, metrics={}
    )
    read = functools.partial(pipeline.read, rank=2, view_size=SIZE, batch_size=2, seed=5, fields=("volume", "mask"))
    built = {}

    def encoder(channels):
        built["encoder"] = unet.encoder(channels, rank=2, **{**options, **encoder_options})
        built["before"] = [value.numpy().copy() for value in built["encoder"].weights]
        return built["encoder"]

    workdir.mkdir(exist_ok=True)
    settings = Settings(
        task=task,
        encoder=encoder,
        optimizer=keras.optimizers.Adam,
        schedule=schedules.constant(1e-2),
        train_data=functools.partial(read, split="train", training=True),
        eval_data=functools.partial(read, split="val", training=False),
        steps=steps,
        every=Every(log=1, evaluate=steps, save=1),
        update=Update(seed=seed, frozen_steps=frozen_steps),
        keeps="model",
    )
    loop.fit(workdir, data, settings)
    return built["before"], [value.numpy() for value in built["encoder"].weights]


def last_weights(workdir):
    """Of encoder and head, and what their optimizers know, after the last step."""
    reader = tf.train.load_checkpoint(str(workdir / "checkpoints"))
    names = [name for name in reader.get_variable_to_shape_map() if name.startswith(("model", "optimizers"))]
    return {name: reader.get_tensor(name) for name in names}


def test_a_frozen_encoder_stays_bit_for_bit_the_same(folder, tmp_path):
    before, after = fit(tmp_path / "run", folder, frozen_steps=None)
    for one, other in zip(before, after, strict=True):  # moving statistics of batch norm among them
        np.testing.assert_array_equal(one, other)


def test_an_encoder_learns_after_its_warm_up_and_not_before(folder, tmp_path):
    before, still = fit(tmp_path / "short", folder, steps=2)
    np.testing.assert_array_equal(
        np.concatenate([v.ravel() for v in before]), np.concatenate([v.ravel() for v in still])
    )
    before, after = fit(tmp_path / "long", folder, steps=3)
    changed = [not np.array_equal(one, other) for one, other in zip(before, after, strict=True)]
    assert all(changed)


@pytest.fixture(scope="module")
def whole(folder, tmp_path_factory):
    """The weights of a run that was never stopped."""
    workdir = tmp_path_factory.mktemp("whole") / "run"
    fit(workdir, folder)
    return last_weights(workdir)


@pytest.mark.parametrize("stop", [1, 2, 4])
def test_a_run_stopped_before_at_and_after_the_warm_ups_end_goes_on_exactly(folder, whole, tmp_path, stop):
    fit(tmp_path / "parts", folder, steps=stop)
    fit(tmp_path / "parts", folder)
    parts = last_weights(tmp_path / "parts")
    assert whole.keys() == parts.keys()
    assert sum(value.size for value in whole.values()) > 2 * 1808  # all weights, and moments of nearly all
    for name, value in whole.items():
        np.testing.assert_array_equal(value, parts[name], err_msg=name)


def test_a_grid_fills_its_tables_and_its_report(folder, grid):
    found = tables.read([grid])
    runs = {(row.init, row.fraction, row.repetition) for row in found.results}
    assert len(runs) == 3 * 2
    assert {row.checkpoint for row in found.results} == {"best", "last"}
    assert {row.split for row in found.results} == {"val", "test"}
    assert {row.case for row in found.cases} == {
        entry.id for entry in folders.open_folder(folder).manifest.split("test").entries
    }
    page = (grid / "report.html").read_text(encoding="utf-8")
    assert page.count("<img") == 3 * 4  # scratch, pretrained; 50, 100 %
    assert len(list(grid.glob("runs/*/*/*/overlays/*.png"))) == 3 * len(runs)
    splits = json.loads((grid / "splits.json").read_text())["0"]
    assert set(splits["train"]["50"]) < set(splits["train"]["100"])


@pytest.mark.parametrize("task", ["segmentation", "classification"])
def test_the_3d_configurations_run_and_use_every_binding(task, tmp_path):
    synthetic.write_dataset(tmp_path / "data", shape=(SIZE + 2,) * 3, counts={"train": 4, "val": 2, "test": 3})
    params = (*TINY, "STEPS=1", "REPETITIONS=1", "ARMS=('random',)", "FRACTIONS=(100,)")
    sources = configuration.Sources((f"gin/finetune/{task}_3d.gin",), params)
    assert finetune.run(sources, tmp_path / "data", [], tmp_path / "ft") == 0
    assert tables.read([tmp_path / "ft"]).results


def test_arms_of_a_repetition_share_cases_order_and_head(grid):
    losses = {}
    for init in ("pretrained", "frozen"):  # a loss is of the weights before its step: here both encoders are frozen
        path = grid / "runs" / f"rotation-{init}" / "100" / "0" / "metrics.jsonl"
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        losses[init] = [line["loss"] for line in lines if "loss" in line]
    assert len(losses["frozen"]) == 3
    assert losses["pretrained"] == pytest.approx(losses["frozen"], rel=1e-5)


def test_a_stopped_grid_goes_on_to_the_same_tables(folder, pretrained, grid, tmp_path):
    workdir = shutil.copytree(grid, tmp_path / "ft")
    names = (tables.RESULTS, tables.CASES, tables.PREDICTIONS)
    whole = [(workdir / name).read_bytes() for name in names]
    shutil.rmtree(workdir / "runs" / "rotation-pretrained" / "50")
    (workdir / "runs" / "scratch-random" / "100" / "0" / protocol.RESULT).unlink()
    (workdir / tables.RESULTS).unlink()
    run(folder, workdir, *GRID, encoders=[pretrained])
    assert [(workdir / name).read_bytes() for name in names] == whole


def test_the_folder_of_another_experiment_is_refused_with_the_difference(folder, pretrained, grid):
    with pytest.raises(InputError, match=r"of another configuration .*SEED"):
        run(folder, grid, *GRID, "SEED=7", encoders=[pretrained])


def test_labels_of_whole_images_have_linear_and_nearest_neighbour_probes(folder, pretrained, tmp_path):
    params = (*TINY, "REPETITIONS=1", "ARMS=('random','linear','knn')")
    assert run(folder, tmp_path / "ft", *params, encoders=[pretrained], task="classification") == 0
    found = tables.read([tmp_path / "ft"])
    assert {row.init for row in found.results} == {"random", "linear", "knn"}
    assert {row.score for row in found.results} == {"auc", "cat_accuracy", "balanced_accuracy"}
    assert len(found.predictions) == 3 * 3
    assert all(row.true in (0, 1) and row.predicted in (0, 1) for row in found.predictions)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (("ARMS=('scratch',)",), "ARMS holds scratch; there are random, pretrained"),
        ((), "which need --encoder"),
        (("ARMS=('random',)", "SCORES=('dize',)"), "SCORES holds dize"),
        (("ARMS=('random',)", "REPETITIONS=0"), "REPETITIONS 0"),
        (("ARMS=('random',)", "FRACTIONS=(5,100)"), "5 % of 6 patients is none; FRACTIONS must be 8.33 or more"),
    ],
)
def test_a_mistake_is_one_line_before_anything_is_written(folder, tmp_path, params, message):
    with pytest.raises(InputError, match=message) as caught:
        run(folder, tmp_path / "ft", *TINY, *params)
    assert message in str(caught.value).splitlines()[0]
    assert not (tmp_path / "ft").exists()


def test_an_encoder_of_other_input_is_refused_with_the_differences(folder, pretrained, tmp_path):
    copy = tmp_path / "other"
    shutil.copytree(pretrained, copy)
    path = copy / "encoder" / "contract.json"
    contract = json.loads(path.read_text())
    contract["channels"], contract["recipe"]["intensity"] = ["T1", "T2"], "zscore"
    path.write_text(json.dumps(contract))
    with pytest.raises(InputError, match=r"channels 2 there \(T1, T2\), 1 here.*intensity zscore there, none here"):
        run(folder, tmp_path / "ft", *TINY, encoders=[copy])
