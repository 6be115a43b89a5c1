"""The loop: exact restart, evaluation, signals, faults, several devices. Tiny networks on tiny volumes."""

import functools
import itertools
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from ssl3d_tf.data import folders, pipeline
from ssl3d_tf.errors import InputError
from ssl3d_tf.tasks import cpc, rotation
from ssl3d_tf.training import loop, schedules, strategies, weights
from ssl3d_tf.training.run import Every, Settings, is_unfinished
from ssl3d_tf.training.updates import Update
from tests.conftest import make_folder

SIZE = 8
HALF = ("mixed_float16", "mixed_bfloat16")
SCORES = ("loss", "accuracy", "chance", "val_loss", "val_accuracy")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("loop")
    make_folder(folder, counts={"train": 8, "val": 3}, shapes=[(SIZE,) * 3], masks=False)
    return folders.open_folder(folder)


def encoder(channels):
    inputs = keras.Input((None, None, None, channels))
    hidden = keras.layers.Conv3D(4, 3, 2, activation="relu", name="conv")(inputs)
    return keras.Model(inputs, keras.layers.BatchNormalization(name="norm")(hidden), name="encoder")


def top(features, units, dropout=0.5):
    pooled = keras.layers.GlobalAveragePooling3D()(features)
    return keras.layers.Dense(units, dtype="float32", name="out")(keras.layers.Dropout(dropout)(pooled))


def fit(workdir, data, *, top=top, encoder=encoder, threads=None, batch_size=4, view=None, **options):
    read = functools.partial(pipeline.read, rank=3, view_size=SIZE, batch_size=batch_size, seed=5, threads=threads)
    task = rotation.task(rank=3, view_size=SIZE, top=top)
    defaults = {
        "task": task if view is None else task._replace(make_views=view(task.make_views)),
        "encoder": encoder,
        "optimizer": keras.optimizers.Adam,
        "schedule": schedules.constant(1e-2),
        "train_data": functools.partial(read, split="train", training=True),
        "eval_data": functools.partial(read, split="val", training=False),
        "steps": 8,
        "every": Every(log=2, evaluate=4, save=3),
        "update": Update(seed=1),
    }
    workdir.mkdir(exist_ok=True)
    own = {name: options.pop(name) for name in list(options) if name in Settings._fields}
    return loop.fit(workdir, data, Settings(**{**defaults, **own}), **options)


def journal(workdir):
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [{name: line[name] for name in ("step", *SCORES) if name in line} for line in lines]


def stored(workdir):
    (path,) = (workdir / "encoder").glob("weights-*.npz")
    return dict(np.load(path))


class Killed(BaseException):
    """Stands for SIGKILL: nothing is saved on its way out."""


def train_split(data, task=None):
    task = task or rotation.task(rank=3, view_size=SIZE, top=top)
    return pipeline.read(data, task, split="train", training=True, rank=3, view_size=SIZE, batch_size=4, seed=5)


def dies_after(steps):
    """Training data whose process is killed after some steps."""

    def read(data, task):
        whole = train_split(data, task)

        def dataset(*args):
            yield from itertools.islice(whole.dataset(*args), steps)
            raise Killed

        return whole._replace(dataset=dataset)

    return read


def test_a_run_learns_something_and_leaves_its_products(data, tmp_path):
    scores = fit(tmp_path / "run", data, steps=4)
    assert scores.keys() == {"val_loss", "val_accuracy", "val_chance"}
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        ".lock",
        "checkpoints",
        "encoder",
        "metrics.jsonl",
        "tensorboard",
    }
    assert [line["step"] for line in journal(tmp_path / "run")] == [2, 4, 4]


@pytest.mark.parametrize("steps", [2, 5, 7])
def test_a_killed_run_goes_on_bit_for_bit(data, tmp_path, steps):
    fit(tmp_path / "whole", data)
    with pytest.raises(Killed):
        fit(tmp_path / "cut", data, train_data=dies_after(steps))
    fit(tmp_path / "cut", data)
    assert journal(tmp_path / "cut") == journal(tmp_path / "whole")
    assert_same_weights(tmp_path / "cut", tmp_path / "whole")


def test_another_number_of_threads_agrees(data, tmp_path):
    fit(tmp_path / "one", data, threads=1)
    fit(tmp_path / "two", data, threads=2)
    for one, two in zip(journal(tmp_path / "one"), journal(tmp_path / "two"), strict=True):
        np.testing.assert_allclose(list(one.values()), list(two.values()), rtol=1e-4)


def test_a_finished_run_does_nothing_more(data, tmp_path):
    fit(tmp_path / "run", data, steps=4)
    assert fit(tmp_path / "run", data, steps=4) == {}
    assert [line["step"] for line in journal(tmp_path / "run")] == [2, 4, 4]


def test_sigterm_saves_after_the_step_and_the_next_start_goes_on(data, tmp_path, capsys):
    fit(tmp_path / "whole", data)
    fit(tmp_path / "cut", data, hooks=loop.Hooks(on_first_step=lambda: os.kill(os.getpid(), signal.SIGTERM)))
    assert "SIGTERM: stopped after step 1 of 8, saved" in capsys.readouterr().out
    assert is_unfinished(tmp_path / "cut", 8, Every(log=2, evaluate=4, save=3, patience=1))
    fit(tmp_path / "cut", data)
    assert "Goes on at step 1 of 8" in capsys.readouterr().out
    assert journal(tmp_path / "cut") == journal(tmp_path / "whole")
    assert_same_weights(tmp_path / "cut", tmp_path / "whole")


def test_a_loss_that_is_not_finite_names_the_batch(data, tmp_path):
    with pytest.raises(InputError, match=r"loss is nan at step 1, batch train\d.*largest input nan.*LEARNING_RATE"):
        fit(tmp_path / "run", data, view=poison, encoder=without_norm)  # a ReLU would turn NaN into 0
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_a_fault_in_the_middle_names_its_own_batch_and_saves_nothing_after_it(data, tmp_path):
    order = [index.numpy() for index, _ in itertools.islice(train_split(data).dataset(), 5)]

    def poisoned(data, task):
        whole = train_split(data, task)

        def dataset(*args):
            for step, (index, (batch, params)) in enumerate(whole.dataset(*args), start=1):
                yield index, ({**batch, "scale": batch["scale"] * (np.nan if step == 5 else 1)}, params)

        return whole._replace(dataset=dataset)

    names = ", ".join(f"train{i}" for i in order[4])
    with pytest.raises(InputError, match=f"at step 5, batch {names}: largest input nan"):
        fit(tmp_path / "run", data, train_data=poisoned, encoder=without_norm, every=Every(100, 100, 2))
    assert {path.stem for path in (tmp_path / "run" / "checkpoints").glob("*.index")} == {"ckpt-2", "ckpt-4"}


def test_an_evaluation_is_one_pass_over_one_dataset(data, tmp_path):
    passes = []

    def counted(data, task):
        whole = pipeline.read(data, task, split="val", training=False, rank=3, view_size=SIZE, batch_size=2, seed=5)

        def batches():
            passes.append("begun")
            yield from whole.dataset()

        return whole._replace(dataset=batches)

    fit(tmp_path / "run", data, eval_data=counted)
    assert len(passes) == 2  # after steps 4 and 8


def test_batches_are_copied_ahead_unchanged():
    batches = tf.data.Dataset.range(3)
    assert list(strategies.to_device(batches)) == list(strategies.to_device(batches, "CPU:0")) == [0, 1, 2]


def test_skip_leaves_the_weights_as_they_are(data, tmp_path):
    fit(
        tmp_path / "run",
        data,
        update=Update(on_nonfinite="skip"),
        schedule=schedules.constant(1.0),
        view=poison,
        encoder=without_norm,
    )
    assert checkpoints_are_finite(tmp_path / "run")
    logged = [line["loss"] for line in journal(tmp_path / "run") if "loss" in line]
    assert logged
    assert np.isnan(logged).all()  # of no step


def test_clipping_is_per_variable_norm_then_value():
    from ssl3d_tf.training.updates import clip

    gradients = [tf.constant([3.0, 4.0]), tf.constant([0.3])]
    clipped = clip(gradients, Update(clip_norm=1.0, clip_value=0.7))
    np.testing.assert_allclose(np.concatenate(clipped), [0.6, 0.7, 0.3], rtol=1e-6)


def test_accumulated_micro_batches_equal_the_whole_batch(data, tmp_path):
    plain = functools.partial(top, dropout=0.0)
    fit(tmp_path / "whole", data, top=plain, encoder=without_norm, optimizer=sgd)
    fit(tmp_path / "parts", data, top=plain, encoder=without_norm, optimizer=sgd, update=Update(seed=1, accumulate=2))
    expected, found = stored(tmp_path / "whole"), stored(tmp_path / "parts")
    assert all(np.allclose(expected[name], found[name], atol=1e-6) for name in expected)


def test_two_devices_give_the_weights_of_one(data, tmp_path):
    plain = functools.partial(top, dropout=0.0)
    options = {"top": plain, "encoder": without_norm, "optimizer": sgd, "update": Update(seed=1, clip_norm=0.1)}
    fit(tmp_path / "one", data, **options)
    fit(tmp_path / "two", data, **options, distribution=strategies.devices("mirrored"))
    expected, found = stored(tmp_path / "one"), stored(tmp_path / "two")
    assert all(np.allclose(expected[name], found[name], atol=1e-6) for name in expected)


def test_two_devices_share_the_candidates_of_cpc(data, tmp_path):
    task = cpc.task(rank=3, view_size=SIZE, patches_per_side=4, code_size=8, context_size=8)
    options = {"task": task, "encoder": pointwise, "optimizer": sgd, "steps": 4}
    one = fit(tmp_path / "one", data, **options)
    two = fit(tmp_path / "two", data, **options, distribution=strategies.devices("mirrored"))
    assert two == pytest.approx(one, rel=1e-5)
    assert [line["chance"] for line in journal(tmp_path / "two") if "chance" in line] == [pytest.approx(1 / 64)] * 2
    expected, found = stored(tmp_path / "one"), stored(tmp_path / "two")
    assert all(np.allclose(expected[name], found[name], atol=1e-5) for name in expected)


def test_mixed_precision_trains_and_keeps_float32_weights(data, tmp_path):
    # In a process of its own, for Eigen's kernels: they have half precision on every CPU, oneDNN's on few.
    code = "import sys; from tests.training import test_loop; test_loop.train_in_half_precision(*sys.argv[1:])"
    command = [sys.executable, "-c", code, str(data.path), str(tmp_path)]
    subprocess.run(command, env={**os.environ, "TF_ENABLE_ONEDNN_OPTS": "0"}, cwd=Path(__file__).parents[2], check=True)
    for precision in HALF:
        assert np.isfinite(journal(tmp_path / precision)[-1]["val_loss"])
        assert all(value.dtype == "float32" for value in stored(tmp_path / precision).values())


def train_in_half_precision(folder, root):
    for precision in HALF:
        data = folders.open_folder(Path(folder))
        fit(Path(root) / precision, data, steps=4, precision=precision, update=Update(clip_norm=1.0))


def test_patience_ends_the_run_early_and_says_so(data, tmp_path, capsys):
    still = {"encoder": without_norm, "schedule": schedules.constant(0.0)}
    fit(tmp_path / "run", data, **still, steps=40, every=Every(5, 5, 5, patience=2))
    assert journal(tmp_path / "run")[-1]["step"] == 15
    patient = [is_unfinished(tmp_path / "run", 40, Every(5, 5, 5, patience)) for patience in (None, 3, 2)]
    assert patient == [True, True, False]
    said = "PATIENCE: ended after step 15 of 40, no better val_loss in 2 evaluations; the best was at step 5."
    assert capsys.readouterr().out.splitlines()[-1] == said
    fit(tmp_path / "run", data, **still, steps=40, every=Every(5, 5, 5, patience=2))
    assert said in capsys.readouterr().out


def test_encoder_holds_the_moving_average_where_there_is_one(data, tmp_path):
    averaging = functools.partial(keras.optimizers.Adam, use_ema=True, ema_momentum=0.5)
    fit(tmp_path / "plain", data, steps=4)
    fit(tmp_path / "average", data, steps=4, optimizer=averaging)
    assert not np.allclose(stored(tmp_path / "plain")["conv/kernel"], stored(tmp_path / "average")["conv/kernel"])


def test_an_encoder_is_loaded_whole_or_not_at_all(data, tmp_path):
    fit(tmp_path / "run", data, steps=2)
    fresh = encoder(1)
    assert weights.load_encoder(tmp_path / "run", fresh) == 6
    assert np.array_equal(fresh.get_layer("conv").kernel, stored(tmp_path / "run")["conv/kernel"])
    with pytest.raises(InputError, match=r"conv/kernel is \(3, 3, 3, 1, 4\) in the file and \(3, 3, 3, 2, 4\)"):
        weights.load_encoder(tmp_path / "run", encoder(2))
    with pytest.raises(InputError, match="norm/gamma is not in the model"):
        weights.load_encoder(tmp_path / "run", without_norm(1))


def test_a_checkpoint_of_another_model_is_refused(data, tmp_path):
    fit(tmp_path / "run", data, steps=2)
    with pytest.raises(InputError, match="does not fit this model"):
        fit(tmp_path / "run", data, steps=4, encoder=without_norm)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "STEPS 0"),
        ({"precision": "float64"}, "PRECISION 'float64'"),
        ({"update": Update(on_nonfinite="ignore")}, "ON_NONFINITE is 'ignore'"),
    ],
)
def test_options_out_of_range_are_one_clear_error(data, tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        fit(tmp_path / "run", data, **options)


def test_a_batch_that_devices_cannot_share_is_refused(data, tmp_path):
    with pytest.raises(InputError, match="BATCH_SIZE is 3, on 2 devices"):
        fit(tmp_path / "run", data, distribution=strategies.devices("mirrored"), batch_size=3)


def test_an_unknown_strategy_is_refused():
    with pytest.raises(InputError, match="STRATEGY is 'two'"):
        strategies.devices("two")


def assert_same_weights(left, right):
    expected, found = stored(left), stored(right)
    assert expected.keys() == found.keys()
    assert all(np.array_equal(expected[name], found[name]) for name in expected)


def poison(make_views):
    return lambda batch, params: make_views({**batch, "scale": batch["scale"] * float("nan")}, params)


def checkpoints_are_finite(workdir):
    reader = tf.train.load_checkpoint(str(workdir / "checkpoints"))
    names = [name for name in reader.get_variable_to_shape_map() if name.startswith("model") and "OBJECT" not in name]
    return all(np.all(np.isfinite(reader.get_tensor(name))) for name in names)


def without_norm(channels):
    inputs = keras.Input((None, None, None, channels))
    return keras.Model(inputs, keras.layers.Conv3D(4, 3, 2, name="conv")(inputs), name="encoder")


def pointwise(channels):
    inputs = keras.Input((None, None, None, channels))
    return keras.Model(inputs, keras.layers.Conv3D(4, 1, activation="relu", name="conv")(inputs), name="encoder")


def sgd():
    return keras.optimizers.SGD()


def test_after_a_few_steps_the_rest_is_estimated(data, tmp_path, capsys):
    fit(tmp_path / "run", data, steps=10)
    assert re.search(r"s per step: about \d:\d\d:\d\d for the 2 steps left", capsys.readouterr().out)
