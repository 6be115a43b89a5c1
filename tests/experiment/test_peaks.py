"""The search for each arm's peak learning rate: as many trials for all, chosen in validation, and killed."""

import json
import re
from pathlib import Path

import pytest
import tensorflow as tf

from ssl3d_tf import finetune, tune
from ssl3d_tf.command import configuration
from ssl3d_tf.data import folders
from ssl3d_tf.errors import InputError
from ssl3d_tf.evaluation import tables, tried
from ssl3d_tf.evaluation.tables import SCRATCH, Arm
from ssl3d_tf.experiment import peaks, preparing, protocol, running
from ssl3d_tf.experiment.protocol import RESULT, Cell
from ssl3d_tf.training import contracts
from tests.conftest import TINY

pytestmark = pytest.mark.usefixtures("undrawn")

SHORT = (*TINY, "STEPS=2", "EVAL_EVERY=1", "LOG_EVERY=1")
PLAIN = "segmentation.task.transforms=[]"
GRID = (*SHORT, PLAIN, "ARMS=('random',)", "REPETITIONS=2", "PEAKS=(1e-3,1e-2)", "WARMUP_STEPS=0", "RAMP_STEPS=0")
GIN_FILE = "gin/finetune/segmentation_2d.gin"


class Killed(BaseException):
    """Stands for SIGKILL: nothing is saved on its way out."""


@pytest.fixture(scope="module")
def grid(phantoms_2d, tmp_path_factory):
    """The workdir of a whole search of scratch, and which runs were scored."""
    workdir, scored = tmp_path_factory.mktemp("grid") / "ft", []
    with pytest.MonkeyPatch.context() as patched:
        of_run = running._scores
        patched.setattr(running, "_scores", lambda *of: scored.append(of[-1].relative_to(workdir)) or of_run(*of))
        patched.setattr(running.report, "write", lambda *_: None)
        assert run(phantoms_2d, workdir, *GRID) == 0
    return workdir, scored


def run(folder, workdir, *params, encoders=(), task="segmentation"):
    sources = configuration.Sources((f"gin/finetune/{task}_2d.gin",), params)
    return finetune.run(sources, folder, list(encoders), workdir)


def planned(folder, encoder, workdir, *params):
    """The experiment of a configuration, and its runs with their trials; nothing is written."""
    configuration.load(configuration.Sources((GIN_FILE,), params))
    data, encoders = folders.open_folder(folder), {"rotation": encoder}
    found = preparing.experiment_of(data, encoders, workdir, distribution=tf.distribute.get_strategy())
    return found, peaks.with_trials(found.plan, protocol.cells(found.plan, list(encoders)))


ALL_ARMS = "ARMS=('random','pretrained','frozen')"


@pytest.mark.parametrize(("params", "deciding"), [((), {0}), (("FOLDS=4",), {0, 1})])
def test_all_arms_have_equal_steps_data_and_trials(phantoms_2d, rotation, tmp_path, params, deciding):
    given = (*GRID, ALL_ARMS, "CASES=(1,2)", "PEAKS=(1e-4,1e-3,1e-2)", *params)
    experiment, cells = planned(phantoms_2d, rotation, tmp_path, *given)
    arms = {cell.arm for cell in cells}
    assert arms == {SCRATCH, Arm("rotation", "pretrained"), Arm("rotation", "frozen")}
    shared = {}
    for cell in (cell for cell in cells if cell.peak is not None):
        settings, data = peaks.settings_of(experiment, cell), protocol.labelled(experiment, cell)
        ids = tuple(tuple(e.id for e in data.manifest.split(name).entries) for name in ("train", "val"))
        update = settings.update._replace(frozen_steps=None)  # which is what makes the arms
        rates = tuple(float(settings.schedule(step)) for step in range(settings.steps))
        same = (settings.steps, settings.every, update, settings.train_data.keywords["seed"], ids, rates)
        shared.setdefault((cell.fraction, cell.repetition, cell.peak), []).append((cell.arm, same))
    assert {key[1:] for key in shared} == {(r, peak) for r in deciding for peak in (1e-4, 1e-3, 1e-2)}
    for of_arms in shared.values():
        assert {arm for arm, _ in of_arms} == arms
        assert len(of_arms) == len(arms)
        assert len({same for _, same in of_arms}) == 1
    assert len({same[-1] for of_arms in shared.values() for _, same in of_arms}) == 3  # three learning rates


def test_the_cost_is_said_before(phantoms_2d, rotation, tmp_path):
    experiment, cells = planned(phantoms_2d, rotation, tmp_path, *GRID)
    assert peaks.cost(experiment.plan, cells) == (
        "PEAKS: 2 learning rates are tried by each arm and number of labels in the first repetition, with equal steps: "
        "2 runs and 2 trials. The best trial of each search becomes its run, so that 3 are trained, 2 without PEAKS."
    )
    experiment, cells = planned(phantoms_2d, rotation, tmp_path, *GRID, "PEAKS=()")
    assert peaks.cost(experiment.plan, cells) == ""
    assert not [cell for cell in cells if cell.peak]


def values(folder):
    """Of the trials in the log of that run: (val_dice, loss) where the loss was lowest."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    best = min((line for line in lines if "val_loss" in line), key=lambda line: line["val_loss"])
    return best["val_dice"], best["val_loss"]


def test_the_best_in_validation_is_taken_and_the_other_repetitions_take_its_peak(grid):
    workdir, _ = grid
    trials = tables.read([workdir]).trials
    assert [(row.repetition, row.peak) for row in trials] == [(0, "0.001"), (0, "0.01")]
    (chosen,), (lost,) = ([row for row in trials if row.chosen == is_chosen] for is_chosen in (1, 0))
    assert chosen.value > lost.value
    assert values(Cell(SCRATCH, 100, 0).folder(workdir)) == (chosen.value, chosen.loss)
    left = Cell(SCRATCH, 100, 0, float(lost.peak)).folder(workdir)
    assert values(left) == (lost.value, lost.loss)
    assert not (left / "model").exists()
    assert not (left / "checkpoints").exists()
    assert not Cell(SCRATCH, 100, 0, float(chosen.peak)).folder(workdir).exists()  # it is the run now
    rows = tables.read([workdir]).results
    assert {(row.repetition, row.peak) for row in rows} == {(0, chosen.peak), (1, chosen.peak)}
    for repetition in (0, 1):
        of_run = Cell(SCRATCH, 100, repetition).folder(workdir)
        assert contracts.read_contract(of_run)["peak_learning_rate"] == float(chosen.peak)
        assert rate_of(of_run)[0] == pytest.approx(float(chosen.peak))


def rate_of(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line["lr"] for line in lines if "lr" in line]


def test_trials_are_never_tested(grid):
    workdir, scored = grid
    assert [path.parts[0] for path in scored] == ["runs"] * 2
    assert not list((workdir / "trials").rglob(RESULT))


def test_a_run_is_as_with_that_learning_rate(grid, phantoms_2d, rotation, tmp_path):
    workdir, _ = grid
    (peak,) = {row.peak for row in tables.read([workdir]).results}
    assert run(phantoms_2d, tmp_path / "as", *GRID, f"LEARNING_RATE={peak}", "PEAKS=None", "REPETITIONS=1") == 0
    found, expected = (
        json.loads((Cell(SCRATCH, 100, 0).folder(root) / RESULT).read_text())["scores"]
        for root in (workdir, tmp_path / "as")
    )
    assert found == expected
    for given in (peak, f"({peak},)"):  # one alone is no search
        experiment, (cell, *_) = planned(phantoms_2d, rotation, tmp_path, *GRID, f"PEAKS={given}")
        assert cell.peak is None
        assert float(peaks.settings_of(experiment, cell).schedule(0)) == pytest.approx(float(peak))


def test_a_search_killed_again_and_again_ends_with_the_same_tables(grid, phantoms_2d, tmp_path, monkeypatch):
    once = (*GRID, "REPETITIONS=1")

    def dies(*_, **__):
        raise Killed

    for moment in ((peaks, "note"), (peaks, "_told"), (Path, "rename")):  # trained, chosen, about to move
        with monkeypatch.context() as patched:
            patched.setattr(*moment, dies)
            with pytest.raises(Killed):
                run(phantoms_2d, tmp_path / "ft", *once)
    assert run(phantoms_2d, tmp_path / "ft", *once) == 0
    killed, whole = (tables.read([root]) for root in (tmp_path / "ft", grid[0]))
    assert repr(killed.trials) == repr(whole.trials)
    for one, other in ((killed.results, whole.results), (killed.cases, whole.cases)):
        assert one == tuple(row for row in other if row.repetition == 0)
        assert one


def test_a_trial_that_diverges_loses_and_is_told(phantoms_2d, tmp_path, capsys):
    overflows = ("REPETITIONS=1", "NORM='none'", "CLIP_NORM=None", "CLIP_VALUE=None", "PEAKS=(1e-3,1e30)")
    assert run(phantoms_2d, tmp_path / "ft", *GRID, *overflows) == 0
    said = capsys.readouterr().out
    assert "diverged, the other learning rates decide: " in said
    assert re.findall(r"^\[.*?\]", said, re.MULTILINE) == ["[trial 1/2]", "[trial 2/2]", "[run 1/1]"]
    assert "results.csv; 1 run and 2 trials, of which 0 failed.\n" in said  # as the opening has it
    assert "peak learning rate 0.001 of 2 tried, by val_dice: 0.001 " in said
    assert tried.lines(tables.read([tmp_path / "ft"]), "segmentation") == [
        "Peak learning rate, chosen in validation: scratch 0.001 of 2 tried, 1 of 2 trials diverged."
    ]
    with pytest.raises(InputError, match="all 2 PEAKS diverged, the first as the loss is inf; give lower ones"):
        peaks._best([peaks.Tried(1.0, reason="the loss is inf"), peaks.Tried(2.0, reason="no number")])


def test_a_trial_that_fails_otherwise_is_needed_and_tried_again(phantoms_2d, tmp_path, capsys, monkeypatch):
    train = running.train

    def fails(experiment, cell, folder):
        if cell.peak:
            raise InputError("no memory")
        return train(experiment, cell, folder)

    with monkeypatch.context() as patched:
        patched.setattr(running, "train", fails)
        assert run(phantoms_2d, tmp_path / "ft", *GRID) == 4  # the trials, the run that is to be the best, and the next
    said = capsys.readouterr().err
    assert "0.001 failed, and all are needed; the same command tries it again." in said
    assert "no learning rate is chosen yet by scratch random, repetition 0" in said
    experiment, (first, *_) = planned(phantoms_2d, tmp_path, tmp_path / "ft", *GRID)
    assert not peaks.is_done(experiment, first)


@pytest.mark.parametrize("given", ["(1e-3,1e-3)", "(0,1e-3)", "'high'", "(True,)", "(1e-3,float)", "(1e-3,None)"])
def test_what_is_no_learning_rate_is_one_line(given, phantoms_2d, tmp_path):
    with pytest.raises(InputError, match=r"PEAKS") as caught:
        run(phantoms_2d, tmp_path / "ft", *GRID, f"PEAKS={given}")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "ft").exists()


def test_a_schedule_that_does_not_read_them_is_told(phantoms_2d, tmp_path):
    with pytest.raises(InputError, match=r"PEAKS would all be one: .* does not read LEARNING_RATE"):
        run(phantoms_2d, tmp_path / "ft", *GRID, "schedules.two_ramps.peak=1e-3")


def test_labels_by_neighbours_need_no_learning_rate(phantoms_2d, rotation, tmp_path):
    experiment, cells = planned(phantoms_2d, rotation, tmp_path, *GRID, "ARMS=('knn','frozen')")
    assert {cell.arm.init for cell in cells if cell.peak} == {"frozen"}
    assert peaks.settings_of(experiment, Cell(Arm("rotation", "knn"), 100, 0))


def test_a_search_for_knobs_takes_none(phantoms_2d, tmp_path):
    sources = configuration.Sources((GIN_FILE,), (*SHORT, "PEAKS=(1e-3,1e-2)", "MAX_TRIALS=1"))
    with pytest.raises(InputError, match=r"PEAKS is \(0\.001, 0\.01\), a search of its own, for finetune: leave it"):
        tune.run(sources, phantoms_2d, [], tmp_path / "hp")


def test_arms_in_words_where_labels_differ():
    trial = tables.Trial("organ", "", "random", 5.0, 0, "0.001", "val_dice", 2, 0.5, 0.5, 1)
    other = trial._replace(fraction=100.0, peak="0.0003")
    lost = [trial._replace(peak="0.0003", chosen=0), other._replace(peak="0.001", chosen=0)]
    found = tables.Tables((), (), (), {}, (trial, other, *lost))
    assert tried.lines(found, "organ") == [
        "Peak learning rate, chosen in validation: scratch 0.001 at 5 %, 0.0003 at 100 % of 2 tried."
    ]
    assert tried.lines(found, "other") == []
