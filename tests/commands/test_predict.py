"""From new scans to labels on their own grids: what is written, that it is what was scored, and by which run."""

import csv
import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest

import ssl3d_tf
from ssl3d_tf.data.records import manifest, reading
from ssl3d_tf.evaluation import native, scores, tables
from ssl3d_tf.evaluation.sliding_window import predict_volume
from ssl3d_tf.experiment import answers, choosing, prediction, scoring
from tests.commands.predicting import SIZE, run
from tests.commands.scans import VALUES
from tools.prediction import inputs
from tools.readers import layouts


def test_masks_lie_as_their_scans_do_and_hold_the_data_s_own_numbers(new, predicted):
    root, masks = new
    for name, truth in masks.items():
        there, here = (nibabel.load(folder / f"{name}.nii.gz") for folder in (root, predicted))
        assert here.shape == there.shape
        np.testing.assert_array_equal(here.affine, there.affine)
        for form in ("get_sform", "get_qform"):
            np.testing.assert_array_equal(getattr(here.header, form)(), getattr(there.header, form)())
        assert here.header.get_xyzt_units() == there.header.get_xyzt_units()
        assert here.get_data_dtype() == np.uint16
        found = np.asarray(nibabel.as_closest_canonical(here).dataobj)
        assert set(np.unique(found)) == set(VALUES)
        assert np.mean(found == truth) > 0.9  # were an axis turned, it would be 0.7 at most
        assert (predicted / f"{name}_overlay.png").read_bytes()[:4] == b"\x89PNG"


def test_probabilities_are_what_was_decided_by(new, predicted):
    for name in new[1]:
        labels = np.asarray(nibabel.load(predicted / f"{name}.nii.gz").dataobj)
        with np.load(predicted / f"{name}_probabilities.npz") as found:
            shares, classes = found["probabilities"], found["classes"]
        assert (shares.dtype, shares.shape) == (np.float16, (*labels.shape, 3))
        np.testing.assert_allclose(shares.sum(-1, dtype=np.float32), 1, atol=2e-3)
        top = np.sort(shares, axis=-1)
        is_plain = top[..., -1] - top[..., -2] > 1e-2
        assert is_plain.mean() > 0.5
        np.testing.assert_array_equal(classes[shares.argmax(-1)][is_plain], labels[is_plain])


def test_the_files_of_the_test_split_get_what_was_scored(raw, grid, tmp_path):
    data, workdir = grid
    split = manifest.read(data).split("test")
    for each in split.entries:
        shutil.copy(raw / "images" / f"{Path(each.id).name}.nii.gz", tmp_path / f"{Path(each.id).name}.nii.gz")
    run("--nooverlays", model=workdir, input=tmp_path, output=tmp_path.parent / "out_files")
    run("--nooverlays", model=workdir, input=data, output=tmp_path.parent / "out_records")
    best = choosing.find(workdir)
    network = scoring.prediction(ssl3d_tf.load_model(best.folders[0]))
    for entry in split.entries:
        example = reading.read_example(data, split, entry)
        assert example.source["resampled"]["factors"] == [1.25] * 3
        volume = reading.intensities(example.volume, example)
        logits = predict_volume(volume, network, size=(SIZE,) * 3, batch_size=best.contract["window"]["batch_size"])
        expected = native.labels(logits, example.source, values=VALUES)
        (one,) = (tmp_path.parent / "out_files").glob(f"{Path(entry.id).name}.nii.gz")
        np.testing.assert_array_equal(np.asarray(nibabel.load(one).dataobj), expected)
        other = nibabel.load(tmp_path.parent / "out_records" / f"{entry.id}.nii.gz")
        np.testing.assert_array_equal(np.asarray(other.dataobj), expected)
        np.testing.assert_array_equal(other.affine, nibabel.load(one).affine)
        truth = np.asarray(nibabel.load(raw / "masks" / one.name).dataobj)
        found = np.mean([scores.dice(truth == value, expected == value) for value in VALUES[1:]])
        assert found == pytest.approx(native_score(workdir, best, entry.id), abs=1e-6)


def native_score(workdir, chosen, case):
    """The mean Dice of a case on its own grid, as cases.csv has it for that run."""
    repetition = chosen.contract["run"]["repetition"]
    rows = [row for row in tables.read([workdir]).cases if (row.case, row.grid) == (case, tables.NATIVE)]
    (value,) = (
        row.value for row in rows if (row.repetition, row.score, row.label_class) == (repetition, "dice", "mean")
    )
    return value


def test_the_best_run_in_validation_is_taken_and_another_by_name(grid, capsys):
    _, workdir = grid
    with (workdir / "results.csv").open() as file:
        rows = [
            row
            for row in csv.DictReader(file)
            if (row["split"], row["checkpoint"], row["class"], row["grid"]) == ("val", "best", "mean", "native")
        ]
    best = max(rows, key=lambda row: float(row["value"]))
    found = choosing.find(workdir)
    assert found.folders == (workdir / "runs" / "scratch-random" / "100" / best["repetition"],)
    assert f"dice {float(best['value']):.4f} in validation, the best of 2 runs with 100 % of the labels" in found.why
    for name in ("runs/scratch-random/100/1", "scratch-random/100/1", str(workdir / "runs/scratch-random/100/1")):
        assert choosing.find(workdir, name).folders == (workdir / "runs/scratch-random/100/1",)
    of_run = choosing.find(workdir / "runs/scratch-random/100/1/model", ensemble=True)
    assert [each.name for each in of_run.folders] == ["1", "0"]


def test_of_a_grid_that_was_stopped_it_is_said_what_is_still_to_come(grid, tmp_path):
    stopped = shutil.copytree(grid[1], tmp_path / "ft")
    shutil.rmtree(stopped / "runs" / "scratch-random" / "100" / "1")
    splits = json.loads((stopped / "splits.json").read_text())
    splits["0"]["train"] = {"100": [], "200": []}
    (stopped / "splits.json").write_text(json.dumps(splits))
    said = "the best of one run with 100 % of the labels; those with 200 % are still to come"
    assert said in choosing.find(stopped).why


def test_an_ensemble_is_the_mean_of_its_probabilities(grid, new, tmp_path):
    chosen = choosing.find(grid[1], ensemble=True)
    found, _ = inputs.find(layouts.Request(str(new[0])), inputs.how(chosen.contract, "", {}))
    example = found[0].read()
    said = prediction.say(prediction.load(chosen), example)
    alone = [prediction.say(prediction.load(choosing.find(one)), example).outputs for one in chosen.folders]
    assert not said.are_logits
    np.testing.assert_allclose(said.outputs, np.mean([native.softmax(each) for each in alone], axis=0), atol=1e-6)
    assert np.abs(native.softmax(alone[0]) - native.softmax(alone[1])).max() > 0.01


def test_flips_average_over_mirrored_scans(grid, new):
    chosen = choosing.find(grid[1])
    found, _ = inputs.find(layouts.Request(str(new[0])), inputs.how(chosen.contract, "", {}))
    example = found[0].read()
    plain, flipped = (prediction.say(prediction.load(chosen, flips=flips), example).outputs for flips in (None, True))
    assert np.abs(plain - flipped).max() > 1e-3


def test_an_embedding_is_the_mean_over_windows_that_cover_the_scan(grid, new, predicted):
    with np.load(predicted / answers.EMBEDDINGS) as found:
        assert found["cases"].tolist() == sorted(new[1])
        assert found["embeddings"].shape == (3, 8)
        assert np.isfinite(found["embeddings"]).all()
        assert np.abs(found["embeddings"][0] - found["embeddings"][1]).max() > 1e-4
