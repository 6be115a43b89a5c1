"""The grid of finetuning runs as a whole: faults of one run, folds, probes, kinds of labels, devices, mistakes."""

import json
import os
import re
import shutil
import signal

import numpy as np
import pytest
import tensorflow as tf

from ssl3d_tf import finetune
from ssl3d_tf.command import configuration
from ssl3d_tf.data import folders, synthetic
from ssl3d_tf.data.records import manifest as manifests
from ssl3d_tf.errors import InputError
from ssl3d_tf.evaluation import tables
from ssl3d_tf.experiment import preparing, protocol, running, scoring
from ssl3d_tf.training import weights
from tests.conftest import SIDE, TINY, make_folder

pytestmark = pytest.mark.usefixtures("undrawn")

SHORT = (*TINY, "STEPS=2", "REPETITIONS=1")
SCRATCH = (*SHORT, "ARMS=('random',)")
PLAIN = {"segmentation": ("segmentation.task.transforms=[]",), "classification": ()}  # without augmentation


def run(folder, workdir, *params, encoders=(), task="segmentation"):
    sources = configuration.Sources((f"gin/finetune/{task}_2d.gin",), (*params, *PLAIN[task]))
    return finetune.run(sources, folder, encoders, workdir)


def plan(folder, workdir, *params):
    """The experiment of a configuration, from scratch, and its runs; nothing is written."""
    configuration.load(configuration.Sources(("gin/finetune/segmentation_2d.gin",), (*params, *PLAIN["segmentation"])))
    data, one_device = folders.open_folder(folder), tf.distribute.get_strategy()
    experiment = preparing.experiment_of(data, {}, workdir, distribution=one_device)
    return experiment, protocol.cells(experiment.plan, [])


def scores(workdir):
    """(arm, split, score, class, checkpoint) -> value."""
    return {(r.init, r.fraction, r.split, r.score, r.label_class, r.checkpoint): r.value for r in results(workdir)}


def results(workdir):
    return tables.read([workdir]).results


def poisoned(folder, model):
    """As `weights.load_encoder`, but a training that begins so overflows at once."""
    model.set_weights([np.full_like(value, np.inf) for value in model.get_weights()])
    return len(model.weights)


def test_one_failed_run_leaves_the_others_and_is_tried_again(phantoms_2d, rotation, tmp_path, capsys, monkeypatch):
    load = weights.load_encoder
    monkeypatch.setattr(weights, "load_encoder", lambda of, model: (poisoned if of == rotation else load)(of, model))
    params = (*SHORT, "ARMS=('random','pretrained')")
    assert run(phantoms_2d, tmp_path / "ft", *params, encoders=[rotation]) == 1
    # Whether NaN comes as far as the loss is the kernels' choice: the ReLU of some turns it into 0.
    fault = r"(a gradient is not finite|the loss is nan) at step 1, batch phantom_\d+, phantom_\d+: .*/kernel nan"
    said = capsys.readouterr()
    assert re.search(f"failed, the others go on: {fault}", said.err)
    assert re.search(r"\n\[run 2/2\] ", said.out)
    failed = tmp_path / "ft" / "runs" / "rotation-pretrained" / "100" / "0" / protocol.FAILED
    assert re.match(fault, json.loads(failed.read_text())["reason"])
    before = scores(tmp_path / "ft")
    assert {arm for arm, *_ in before} == {"random"}
    monkeypatch.setattr(weights, "load_encoder", load)
    assert run(phantoms_2d, tmp_path / "ft", *params, encoders=[rotation]) == 0
    assert not failed.exists()
    assert {arm for arm, *_ in scores(tmp_path / "ft")} == {"random", "pretrained"}
    assert before.items() <= scores(tmp_path / "ft").items()


def test_an_encoder_that_was_trained_on_is_not_mixed_with_its_former_self(phantoms_2d, rotation, tmp_path):
    params = (*SHORT, "ARMS=('knn',)")
    copy = shutil.copytree(rotation, tmp_path / "rotation")
    assert run(phantoms_2d, tmp_path / "ft", *params, encoders=[copy], task="classification") == 0
    path = copy / "encoder" / "contract.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "weights_sha256": "other"}))
    with pytest.raises(InputError, match=r"has runs of encoder 'rotation' with other weights, from .*another folder"):
        run(phantoms_2d, tmp_path / "ft", *params, encoders=[copy], task="classification")


def test_runs_that_the_machine_fails_leave_the_others(phantoms_2d, tmp_path):
    faults = {  # cases trained on -> what happens, and how it is told
        2: (tf.errors.ResourceExhaustedError(None, None, "OOM when allocating"), "out of memory: lower BATCH_SIZE"),
        3: (MemoryError(), "out of memory: lower BATCH_SIZE"),
        4: (tf.errors.InternalError(None, None, "at node:\n  a file\nfailed\n\t [[node]]"), "InternalError: failed"),
    }
    experiment, planned = plan(phantoms_2d, tmp_path / "ft", *SCRATCH, "STEPS=1", "FRACTIONS=(34,50,67,100)")

    def score(model, data, split):
        labelled = len(data.manifest.split("train").entries)
        if labelled in faults:
            raise faults[labelled][0]
        return scoring.Scores([("dice", "mean", 0.5)], [], [])

    failing = experiment._replace(plan=experiment.plan._replace(scorer=scoring.Scorer(score)))
    assert running.run_all(failing, planned) == 3
    assert {row.fraction for row in results(tmp_path / "ft")} == {100}
    for percent, (_, told) in zip((34, 50, 67), faults.values(), strict=True):
        failed = tmp_path / "ft" / "runs" / "scratch-random" / str(percent) / "0" / protocol.FAILED
        assert json.loads(failed.read_text())["reason"].startswith(told)


def test_a_fault_of_the_program_ends_the_grid(phantoms_2d, tmp_path):
    experiment, planned = plan(phantoms_2d, tmp_path / "ft", *SCRATCH)

    def score(model, data, split):
        raise TypeError("a bug")

    failing = experiment._replace(plan=experiment.plan._replace(scorer=scoring.Scorer(score)))
    with pytest.raises(TypeError, match="a bug"):
        running.run_all(failing, planned)


# Labels


def test_folds_test_every_case_once_also_where_the_data_have_no_test_split(rotation, tmp_path):
    synthetic.write_dataset(tmp_path / "data", shape=(SIDE, SIDE), counts={"train": 9})
    copy = pretrained_on(tmp_path / "data", rotation, tmp_path / "rotation")
    params = (*SHORT, "REPETITIONS=3", "FOLDS=3", "ARMS=('knn',)")
    assert run(tmp_path / "data", tmp_path / "ft", *params, encoders=[copy], task="classification") == 0
    tested = [row.case for row in tables.read([tmp_path / "ft"]).predictions]
    assert sorted(tested) == [f"phantom_{number:07d}" for number in range(9)]
    splits = json.loads((tmp_path / "ft" / "splits.json").read_text())
    for fold in splits.values():
        assert not set(fold["train"]["100"]) & {*fold["val"], *fold["test"]}


def pretrained_on(folder, encoder, copy):
    """A copy of a pretraining run that says it was trained on data like those in `folder`."""
    shutil.copytree(encoder, copy)
    path = copy / "encoder" / "contract.json"
    recipe = manifests.read(folder).recipe
    path.write_text(json.dumps({**json.loads(path.read_text()), "recipe": dict(recipe)}))
    return copy


@pytest.mark.parametrize(
    ("labels", "params"),
    [
        (lambda i: [i % 3], ("LABELS=@classification.ordinal()", "SCORES=('qw_kappa_kaggle','cat_acc_kaggle')")),
        (
            lambda i: [i % 2, i % 3 > 0],
            (
                "LABELS=@classification.multilabel()",
                "SCORES=('bin_accuracy','auc')",
            ),
        ),
        (lambda i: [i / 4 - 1], ("LABELS=@classification.regression()", "SCORES=('mse',)")),
        (
            lambda i: [i / 4, -i],
            ("LABELS=@classification.regression()", "SCORES=('mse',)"),
        ),
    ],
    ids=["ordinal", "multilabel", "regression", "two numbers"],
)
def test_every_kind_of_label_has_its_scores(labels, params, tmp_path):
    make_folder(tmp_path / "data", counts={"train": 6, "val": 3, "test": 6}, shapes=[(SIDE, SIDE)], label=labels)
    assert run(tmp_path / "data", tmp_path / "ft", *SCRATCH, *params, task="classification") == 0
    found = {row.score: row.value for row in results(tmp_path / "ft") if row.split == "test"}
    assert repr(tuple(found)).replace(" ", "") in params[-1] + ","
    assert all(np.isfinite(value) for value in found.values())


ORDINAL = ("LABELS=@classification.ordinal()", "SCORES=('qw_kappa_kaggle',)")
MULTILABEL = ("LABELS=@classification.multilabel()", "SCORES=('auc',)")
REGRESSION = ("LABELS=@classification.regression()", "SCORES=('mse',)")


@pytest.mark.parametrize(
    ("label", "params", "message"),
    [
        ([4], ("CLASSES=3",), r"'test4' in .* is 4; it must be a whole number in 0\.\.2, as there are 3 CLASSES"),
        ([0.5], ("CLASSES=3",), r"is 0\.5; it must be a whole number"),
        ([-1], ("CLASSES=3", *ORDINAL), "is -1; it must be a whole number"),
        ([1, 2], MULTILABEL, "is 2; each must be 0 or 1"),
        ([float("inf")], REGRESSION, "is inf; each must be finite"),
        (
            [7],
            ("CLASSES=(0,3,9)",),
            r"'test4' in .* is 7; it must be one of the CLASSES 0, 3, 9: mend it and convert again\.",
        ),
    ],
)
def test_a_label_that_is_no_class_is_refused(label, params, message, tmp_path):
    counts, others = {"train": 4, "val": 2, "test": 5}, [0] * len(label)
    make_folder(tmp_path / "data", counts=counts, shapes=[(SIDE, SIDE)], label=lambda i: label if i == 4 else others)
    with pytest.raises(InputError, match=message):
        run(tmp_path / "data", tmp_path / "ft", *SCRATCH, *params, task="classification")


# Devices


def test_a_result_is_the_same_on_two_devices_and_with_views_made_on_the_host(phantoms_2d, rotation, tmp_path):
    grid = (*SHORT, "WARMUP_STEPS=1", "LOG_EVERY=1", "ARMS=('pretrained',)", "SCORES=('dice','hd95')")
    run(phantoms_2d, tmp_path / "one", *grid, encoders=[rotation])
    for name, param in (("two", "STRATEGY='mirrored'"), ("host", "VIEWS_ON='host'")):
        run(phantoms_2d, tmp_path / name, *grid, param, encoders=[rotation])
        assert scores(tmp_path / name) == pytest.approx(scores(tmp_path / "one"), abs=1e-4)
        assert losses(tmp_path / "one") == pytest.approx(losses(tmp_path / name), abs=1e-4)


def losses(workdir):
    (path,) = workdir.rglob("metrics.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [line.get("loss", line.get("val_loss")) for line in lines]


def test_numbers_of_patients_may_stand_for_fractions(phantoms_2d, tmp_path):
    experiment, planned = plan(phantoms_2d, tmp_path, *SCRATCH, "CASES=(1,5)")
    trains = [protocol.labelled(experiment, cell).manifest.split("train").entries for cell in planned]
    patients = [{entry.patient for entry in train} for train in trains]
    assert list(map(len, patients)) == [1, 5]
    assert patients[0] < patients[1]
    experiment, planned = plan(
        phantoms_2d, tmp_path, *TINY, "ARMS=('random',)", "CASES=(3,)", "FOLDS=3", "REPETITIONS=3"
    )
    trains = [protocol.labelled(experiment, cell).manifest.split("train").entries for cell in planned]
    assert [len({entry.patient for entry in train}) for train in trains] == [3, 3, 3]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (("PRECISION='mixed_bfloat16'",), "PRECISION 'mixed_bfloat16' needs a GPU"),
        (("STRATEGY='multi_worker'",), "STRATEGY 'multi_worker' is for pretraining; finetuning takes 'none' or"),
        (("STRATEGY='mirrored'", "BATCH_SIZE=3"), "BATCH_SIZE is 3, on 2 devices"),
        (("STEPSS=3",), "did you mean STEPS?"),
        (("CODE_SIZE=3",), "CODE_SIZE is set, but nothing in"),
        (("resnet.encoder.depth=34",), r"resnet.encoder, which this run does not use; remove it"),
        (("VIEW_SIZE=1",), "raise VIEW_SIZE or lower LEVELS"),
        (
            ("CASES=(2,9)",),
            "CASES is (2, 9); they are numbers of training patients, as (1, 2), of which there are 6",
        ),
        (("CASES=5",), "CASES is 5; they are numbers of training patients"),
        (
            ("CASES=(2,)", "FRACTIONS=(50,100)"),
            "FRACTIONS is (50, 100) and CASES (2,); both say how many scans are labelled: leave one at",
        ),
        (("RAMP_STEPS=-1",), "RAMP_STEPS is -1; it must be a number of at least 0"),
    ],
)
def test_a_mistake_is_one_line_before_the_first_step(params, message, phantoms_2d, tmp_path, capsys):
    with pytest.raises(InputError) as caught:
        run(phantoms_2d, tmp_path / "ft", *SCRATCH, *params)
    assert message in str(caught.value).splitlines()[0]
    assert not (tmp_path / "ft").exists()
    assert "step" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["gin/rotation_2d.gin", "gin/datasets/phantoms_2d.gin"])
def test_a_file_without_a_downstream_task_is_one_line(name, phantoms_2d, tmp_path):
    with pytest.raises(InputError, match=rf"{name} sets no scorer: give the file of a downstream task, gin/finetune/"):
        finetune.run(configuration.Sources((name,), ()), phantoms_2d, [], tmp_path / "ft")


def test_a_signal_while_a_run_is_scored_keeps_what_is_scored(phantoms_2d, tmp_path, capsys):
    whole, planned = plan(phantoms_2d, tmp_path / "whole", *SCRATCH, "STEPS=2", "EVAL_EVERY=1", "FRACTIONS=(100,)")
    assert running.run_all(whole, planned) == 0
    cut, planned = plan(phantoms_2d, tmp_path / "cut", *SCRATCH, "STEPS=2", "EVAL_EVERY=1", "FRACTIONS=(100,)")
    scored, sent = [], []

    def score(predict, data, split):
        if scored == ["val"] and not sent:
            sent.append(os.kill(os.getpid(), signal.SIGTERM))
        found = cut.plan.scorer.score(predict, data, split)
        scored.append(split)
        return found

    stopping = cut._replace(plan=cut.plan._replace(scorer=scoring.Scorer(score)))
    with pytest.raises(SystemExit) as ended:
        running.run_all(stopping, planned)
    assert ended.value.code == 0
    assert scored == ["val"]
    said, last = capsys.readouterr().out.splitlines()[-2:]
    assert said == "SIGTERM: stopped while it was scored; the same command goes on."
    assert last.startswith(f"{tmp_path / 'cut'}: stopped before its end; exit code 0 says that it is saved")
    assert running.run_all(stopping, planned) == 0
    assert scored.count("val") <= 2  # of the last, scored before, and perhaps of the best checkpoint
    (result,) = (tmp_path / "cut").rglob("result.json")
    (expected,) = (tmp_path / "whole").rglob("result.json")
    assert result.read_text() == expected.read_text()
    assert not list((tmp_path / "cut").rglob(running.PARTS))
