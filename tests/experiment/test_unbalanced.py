"""Finetuning on labels of which some are rare: chance, weights, what naming one class scores, and the report of it."""

import json

import numpy as np
import pytest
import tensorflow as tf

from ssl3d_tf import finetune
from ssl3d_tf.command import configuration
from ssl3d_tf.errors import InputError
from ssl3d_tf.evaluation import tables
from ssl3d_tf.experiment import preparing
from tests.conftest import make_folder

SIZE = 12
TINY = ("STEPS=2", "BATCH_SIZE=2", "FILTERS=2", "LEVELS=1", f"VIEW_SIZE={SIZE}", "REPETITIONS=1", "ARMS=('random',)")
COUNTS = {"train": 8, "val": 4, "test": 6}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Class 1 is one case of four: 2 of 8 in training, 1 of 4, 2 of 6."""
    folder = tmp_path_factory.mktemp("unbalanced") / "data"
    make_folder(folder, counts=COUNTS, shapes=[(SIZE, SIZE)], label=lambda i: [i % 4 == 1])
    return folder


def run(data, workdir, *params, task="classification"):
    sources = configuration.Sources((f"gin/finetune/{task}_2d.gin",), (*TINY, *params))
    assert finetune.run(sources, data, [], workdir) == 0
    return workdir


def validation(workdir, name):
    (path, *_) = sorted(workdir.rglob("metrics.jsonl"))
    return [line[name] for line in map(json.loads, path.read_text().splitlines()) if name in line][-1]


def test_a_classification_has_chance_cases_and_a_report_without_empty_boxes(data, tmp_path, capsys):
    workdir = run(data, tmp_path / "ft", "LEARNING_RATE=0.0")
    assert validation(workdir, "val_chance") == 0.75
    found = tables.read([workdir])
    assert {row.score for row in found.results} == {"auc", "cat_accuracy", "balanced_accuracy"}
    assert {(row.case, row.patient) for row in found.cases} == {(f"test{i}", f"p{i}") for i in range(6)}
    right = {(row.repetition, row.case): float(row.true == row.predicted) for row in found.predictions}
    assert {(r.repetition, r.case): r.value for r in found.cases if r.score == "cat_accuracy"} == right
    page, summary = ((workdir / name).read_text() for name in ("report.html", "summary.md"))
    for absent in ("Best, median and worst", "Test cases</h3>", "No overlays", "No scores of single cases"):
        assert absent not in page
    assert "| the most frequent class alone | 0.667 |" in summary
    assert "Rests on 1 repetition and 6 test cases of 6 patients." in summary
    one = len({row.predicted for row in found.predictions}) == 1
    assert ("for all 6 test cases, which have 2; train longer" in capsys.readouterr().out) == one
    assert one  # weights that learnt nothing
    assert ("one class for every test case" in page) == ("one class for every test case" in summary) == one


@pytest.mark.parametrize("kind", ["nominal", "ordinal"])
@pytest.mark.parametrize(
    ("weights", "expected"),
    [("'none'", (1, 1)), ("(1, 3)", (1, 3)), ("'balanced'", (2 / 3, 2))],  # 6 and 2 of 8: 8 / (2 · 6), 8 / (2 · 2)
)
def test_weights_of_classes_are_in_the_loss(kind, weights, expected, data, tmp_path):
    params = (f"LABELS=@classification.{kind}()", "SCORES=('balanced_accuracy',)", f"CLASS_WEIGHTS={weights}")
    sources = configuration.Sources(("gin/finetune/classification_2d.gin",), (*TINY, *params))
    task = preparing.prepare(sources, data, [], tmp_path / "ft").experiment.task_of("random")
    losses = task.loss_fn(tf.constant([0, 1]), tf.zeros((2, 2 if kind == "nominal" else 1)))
    assert np.allclose(losses, np.log(2) * np.array(expected))


@pytest.mark.parametrize(
    ("params", "task", "message"),
    [
        (("CLASS_WEIGHTS='balanced'",), "segmentation", "CLASS_WEIGHTS, which this run does not use; remove it"),
        (("CLASS_WEIGHTS=(1,2,3)",), "classification", "or 2 numbers"),
        (
            ("LABELS=@classification.multilabel()", "SCORES=('auc',)", "CLASS_WEIGHTS='balanced'"),
            "classification",
            "CLASS_WEIGHTS, which this run does not use",
        ),
    ],
)
def test_weights_that_nothing_reads_or_that_fit_no_class_are_refused(params, task, message, data, tmp_path):
    with pytest.raises(InputError) as caught:
        run(data, tmp_path / "ft", *params, task=task)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
