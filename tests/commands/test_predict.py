"""From new scans to labels on their own grids: what is written, that it is what was scored, restarts, mistakes."""

import csv
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel
import numpy as np
import pytest
from absl import flags

import ssl3d_tf
from ssl3d_tf import finetune, predict
from ssl3d_tf.command import configuration
from ssl3d_tf.data.records import manifest, reading
from ssl3d_tf.evaluation import native, overlays, report
from ssl3d_tf.evaluation.sliding_window import predict_volume
from ssl3d_tf.experiment import answers, applying, choosing, prediction, scoring
from tests.tools import converting
from tools.prediction import inputs, outputs
from tools.readers import layouts

ROOT = Path(__file__).resolve().parents[2]
SIZE, VALUES = 16, (0, 4, 1002)
SMALL = ("BATCH_SIZE=2", "FILTERS=4", "LEVELS=1", f"VIEW_SIZE={SIZE}", "LOG_EVERY=50", "ARMS=('random',)")
LEARNS = (
    *SMALL,
    *("STEPS=120", "EVAL_EVERY=60", "SAVE_EVERY=120", "LEARNING_RATE=0.02", "REPETITIONS=2", "SCORES=('dice',)"),
    *("segmentation.task.transforms=[]", "segmentation.task.intensity=None"),
)


def scan(shape, seed=0):
    """(intensities, mask): two boxes of classes 4 and 1002, each brighter than what is around it."""
    random, mask = np.random.default_rng(seed), np.zeros(shape, np.uint16)
    a, b, c = (side // 2 for side in shape)
    mask[1:a, 1:b, 1:c] = 4
    mask[a:-1, b:-1, c:-1] = 1002
    return (np.select([mask == 4, mask == 1002], [500, 1000], 0) + random.normal(0, 20, shape)).astype(np.int16), mask


def save(path, voxels, codes, spacing_mm=(1.0, 1.0, 1.0)):
    """A NIfTI file whose axes run as `codes` says, `voxels` being of RAS+; returns its image."""
    turn = nibabel.orientations.axcodes2ornt(codes)
    image = nibabel.Nifti1Image(voxels, np.diag([*spacing_mm, 1.0]) + np.outer([3, -7, 11, 0], [0, 0, 0, 1]))
    to = nibabel.orientations.ornt_transform(nibabel.orientations.axcodes2ornt("RAS"), turn)
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(image.as_reoriented(to), path)
    return nibabel.load(path)


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """Six labelled scans in RAS, of 20 × 18 × 16 voxels of 1 mm."""
    root = tmp_path_factory.mktemp("raw")
    for number in range(6):
        for folder, voxels in zip(("images", "masks"), scan((20, 18, 16), number), strict=True):
            save(root / folder / f"c{number}.nii.gz", voxels, "RAS")
    return root


@pytest.fixture(scope="module")
def grid(raw, tmp_path_factory):
    """(data, workdir): two repetitions from scratch on scans resampled to 1.25 mm, which learn the three classes."""
    root = tmp_path_factory.mktemp("grid")
    chosen = converting.settings(spacing_mm=(1.25,), how="minmax")._replace(fractions=(0.5, 0.25, 0.25))
    converting.convert(raw, root / "data", chosen)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "write", lambda *_: None)
        patch.setattr(overlays, "draw", lambda *_, **__: None)
        sources = configuration.Sources(("gin/finetune/segmentation_3d.gin",), LEARNS)
        assert finetune.run(sources, root / "data", [], root / "ft") == 0
    return root / "data", root / "ft"


@pytest.fixture(scope="module")
def new(tmp_path_factory):
    """Three scans of other orientation, voxel size and shape, by name, and their masks in RAS."""
    root = tmp_path_factory.mktemp("new")
    made = {
        "a": ("LPI", (1, 1, 1), (24, 20, 18)),
        "b/c": ("PSR", (0.8, 1.3, 2), (26, 19, 14)),
        "d": ("SLA", (2, 1, 1), (13, 22, 21)),
    }
    for name, (codes, spacing_mm, shape) in made.items():
        save(root / f"{name}.nii.gz", scan(shape, 9)[0], codes, spacing_mm)
    return root, {name: scan(shape, 9)[1] for name, (_, _, shape) in made.items()}


def run(*arguments, **given):
    """The command in this process, on flags that are its own while it runs."""
    before = set(flags.FLAGS)
    predict.define_flags()
    own = set(flags.FLAGS) - before
    try:
        flags.FLAGS(["predict", *arguments, *(f"--{name}={value}" for name, value in given.items())])
        predict.main(["predict"])
    finally:
        for name in own:
            delattr(flags.FLAGS, name)


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name[0] != "."
    }


@pytest.fixture(scope="module")
def predicted(grid, new, tmp_path_factory):
    """OUT of the best run on the three new scans, with everything that it can write."""
    out = tmp_path_factory.mktemp("predicted") / "out"
    run("--probabilities", "--embeddings", model=grid[1], input=new[0], output=out)
    return out


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


def test_the_best_run_in_validation_is_taken_and_another_by_name(grid, capsys):
    _, workdir = grid
    with (workdir / "results.csv").open() as file:
        rows = [
            row
            for row in csv.DictReader(file)
            if (row["split"], row["checkpoint"], row["class"]) == ("val", "best", "mean")
        ]
    best = max(rows, key=lambda row: float(row["value"]))
    found = choosing.find(workdir)
    assert found.folders == (workdir / "runs" / "scratch-random" / "100" / best["repetition"],)
    assert f"dice {float(best['value']):.4f} in validation, the best of 2 runs with 100 % of the labels" in found.why
    for name in ("runs/scratch-random/100/1", "scratch-random/100/1", str(workdir / "runs/scratch-random/100/1")):
        assert choosing.find(workdir, name).folders == (workdir / "runs/scratch-random/100/1",)
    of_run = choosing.find(workdir / "runs/scratch-random/100/1/model", ensemble=True)
    assert [each.name for each in of_run.folders] == ["1", "0"]


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


def test_killed_and_run_again_the_files_are_the_same(grid, new, predicted, tmp_path):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "ssl3d_tf.predict", f"--model={grid[1]}", f"--input={new[0]}", f"--output={out}"]
    command += ["--probabilities", "--embeddings"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(1200):
            if (out / applying.DONE).is_file() or process.poll() is not None:
                break
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert (out / applying.DONE).is_file()
    assert not (out / answers.EMBEDDINGS).exists()
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.nii.gz")}
    run("--probabilities", "--embeddings", model=grid[1], input=new[0], output=out)
    assert contents(out) == contents(predicted)
    first = json.loads((out / applying.DONE).read_text().splitlines()[0])["files"][0]
    assert before[out / first] == (out / first).stat().st_mtime_ns  # kept


def test_one_unreadable_scan_is_told_and_the_others_go_on(grid, new, tmp_path, capsys):
    root, out = tmp_path / "new", tmp_path / "out"
    shutil.copytree(new[0], root)
    broken = root / "d.nii.gz"
    broken.write_bytes(broken.read_bytes()[:-2000])
    save(root / "four.nii.gz", np.zeros((8, 8, 8, 4), np.int16), "RAS")
    run("--nooverlays", model=grid[1], input=root, output=out)
    lines = [json.loads(line) for line in (out / applying.FAILED).read_text().splitlines()]
    assert [line["path"] for line in lines] == ["d.nii.gz", "four.nii.gz"]
    assert "it is 3D with 4 channels, the model is for 3D with 1 channel" in lines[1]["reason"]
    told = capsys.readouterr().out
    assert "failed: d.nii.gz: " in told
    assert "2 scans predicted, 0 of them before, 2 failed" in told
    shutil.copy(new[0] / "d.nii.gz", broken)
    (root / "four.nii.gz").unlink()
    run("--nooverlays", model=grid[1], input=root, output=out)
    assert "3 scans predicted, 2 of them before, 0 failed" in capsys.readouterr().out
    assert not (out / applying.FAILED).exists()
    assert [json.loads(line)["case"] for line in (out / applying.DONE).read_text().splitlines()] == ["a", "b/c", "d"]
    shutil.copy(new[0] / "a.nii.gz", broken)  # another scan by the same name
    run("--nooverlays", model=grid[1], input=root, output=out)
    assert nibabel.load(out / "d.nii.gz").shape == nibabel.load(new[0] / "a.nii.gz").shape


def test_pictures_and_arrays_get_masks_of_their_size(tmp_path):
    pixels = np.arange(30, dtype=np.uint8).reshape(5, 6)
    for name, value, ending in (
        ("p.png", 3, ".png"),
        ("p.png", 40000, ".png"),
        ("p.png", 70000, ".npy"),
        ("a.npy", 3, ".npy"),
    ):
        found = np.where(pixels > 9, value, 0).astype(np.int32 if value > 65535 else np.uint16)
        written = outputs.labels(tmp_path, Named("x/y", tmp_path / name), found, {"affine": None, "shape": [5, 6]})
        assert written == f"x/y{ending}"
        from tools.readers import files as readers

        np.testing.assert_array_equal(readers.read_mask(tmp_path / written).voxels[..., 0], found)


class Named:
    """A scan of that name and file."""

    def __init__(self, name, template):
        self.id, self.template = name, template
