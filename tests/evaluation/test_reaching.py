"""Steps until scratch's final validation score: by hand, over repetitions, and where it is not reached."""

import json
import math

import numpy as np
import pytest

from ssl3d_tf.evaluation import reaching, statistics, tables
from ssl3d_tf.evaluation.runs import Curve
from ssl3d_tf.evaluation.tables import SCRATCH, Arm, Result

PRETRAINED = Arm("masked", "pretrained")


def log(workdir, arm, repetition, values, *, name="val_dice", fraction=5):
    """A run that logged these values after 10, 20, … steps; the loss falls in any case."""
    folder = workdir / "runs" / f"{arm.encoder or 'scratch'}-{arm.init}" / f"{fraction:g}" / str(repetition)
    folder.mkdir(parents=True)
    lines = [{"step": 10 * n, "val_loss": 1 / n, name: value} for n, value in enumerate(values, start=1)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return Result("organ", *arm, fraction, 2, repetition, "test", "dice", "mean", 0.5, "best")


def test_the_first_evaluation_as_good_as_scratch_s_last_is_counted_for_both(tmp_path):
    scored = [
        log(tmp_path, SCRATCH, 0, [0.1, 0.6, 0.4, 0.5]),
        log(tmp_path, PRETRAINED, 0, [0.5, 0.4, 0.6, 0.7]),
    ]
    rows = {tables.arm(row): row[4:] for row in reaching.rows(scored, [tmp_path])}
    assert rows == {
        SCRATCH: (0, "val_dice", 0.5, 20.0, 20.0, 1.0),  # and not 40: it was that good before
        PRETRAINED: (0, "val_dice", 0.5, 10.0, 20.0, 0.5),
    }


def test_of_a_loss_lower_is_better():
    curve = Curve("val_loss", (1, 2, 3), (0.9, 0.5, 0.1))
    assert reaching.steps_to(curve, 0.5) == 2
    assert reaching.steps_to(curve._replace(name="val_mse"), 0.1) == 3
    assert reaching.steps_to(curve, 0.05) == math.inf
    assert reaching.steps_to(curve._replace(name="val_dice"), 0.5) == 1


def test_only_scored_runs_with_scratch_beside_them_count(tmp_path):
    scored = [log(tmp_path, SCRATCH, 0, [0.1, 0.5]), log(tmp_path, PRETRAINED, 0, [0.5, 0.5])]
    log(tmp_path, PRETRAINED, 1, [0.1])  # under way
    scored.append(log(tmp_path, PRETRAINED, 2, [0.5]))
    scored.append(log(tmp_path, PRETRAINED, 0, [0.5], fraction=10))
    assert len(reaching.rows(scored, [tmp_path])) == 2
    assert reaching.table(reaching.rows(scored[:1], [tmp_path])) == []


def test_scratch_that_ends_without_a_number_is_no_aim(tmp_path):
    scored = [log(tmp_path, SCRATCH, 0, [0.5, math.nan]), log(tmp_path, PRETRAINED, 0, [0.5, 0.6])]
    assert reaching.rows(scored, [tmp_path]) == []


def rows(steps, own):
    runs = [("organ", *PRETRAINED, 5.0, repetition, "val_dice", 0.5) for repetition in range(len(steps))]
    return [tables.Reached(*run, one, of, one / of) for run, one, of in zip(runs, steps, own, strict=True)]


def test_the_ratio_is_a_geometric_mean_with_student_s_interval_over_repetitions():
    steps, own = [100.0, 200.0, 100.0], [400.0, 400.0, 200.0]
    found = reaching.saved(rows(steps, own))
    assert found.ratio == pytest.approx((0.25 * 0.5 * 0.5) ** (1 / 3))
    logs = np.log(np.divide(steps, own))
    half = 4.302652729911275 * logs.std(ddof=1) / math.sqrt(3)  # t of 2 degrees of freedom
    assert math.log(found.interval.high / found.interval.low) == pytest.approx(2 * half, rel=0.1)
    assert found.interval == pytest.approx(
        tuple(map(math.exp, statistics.interval(statistics.spread(logs[:, None])))), rel=1e-12
    )
    assert reaching.told(found).startswith("133 of 333: × 0.40 [0.")
    assert reaching.told(reaching.saved(rows([100.0], [400.0]))) == "100 of 400: × 0.25"


def test_what_is_not_reached_is_told_and_has_no_mean():
    assert reaching.told(reaching.saved(rows([100.0, math.inf], [400.0, 400.0]))) == (
        "not reached in 1 of 2, else 100 of 400"
    )
    assert reaching.told(reaching.saved(rows([math.inf, math.inf], [400.0, 400.0]))) == "not reached in 2 of 2"
    assert reaching.told(reaching.saved([])) == "–"


def test_the_table_has_a_row_for_every_arm_but_scratch():
    found = rows([100.0], [400.0])
    other = [found[0]._replace(fraction=10.0, init="frozen", steps=math.inf, ratio=math.inf)]
    assert reaching.table([*found, *other, found[0]._replace(encoder="", init="random")]) == [
        ["", "5 %", "10 %"],
        ["masked, pretrained", "100 of 400: × 0.25", "–"],
        ["masked, frozen", "–", "not reached in 1 of 1"],
    ]


def test_the_file_says_inf_where_it_is_not_reached(tmp_path):
    tables.write(tmp_path / tables.STEPS, rows([math.inf], [400.0]), tables.Reached)
    head, line = (tmp_path / tables.STEPS).read_text().splitlines()
    assert head == "task,encoder,init,fraction,repetition,score,target,steps,scratch_steps,ratio"
    assert line == "organ,masked,pretrained,5.0,0,val_dice,0.5,inf,400.0,inf"
