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
from PIL import Image

import ssl3d_tf
from ssl3d_tf import finetune, train
from ssl3d_tf.command import configuration
from ssl3d_tf.data.records import manifest, reading
from ssl3d_tf.errors import InputError
from ssl3d_tf.evaluation import native, overlays, report, scores, tables
from ssl3d_tf.evaluation.sliding_window import predict_volume
from ssl3d_tf.experiment import answers, choosing, ledger, prediction, scoring
from tests.commands import in_process
from tests.commands.scans import VALUES, save, scan
from tests.tools import converting
from tools.prediction import inputs, records
from tools.readers import layouts

ROOT = Path(__file__).resolve().parents[2]
SIZE = 16
SMALL = ("BATCH_SIZE=2", "FILTERS=4", "LEVELS=1", f"VIEW_SIZE={SIZE}", "LOG_EVERY=50", "ARMS=('random',)")
LEARNS = (
    *SMALL,
    *("STEPS=120", "EVAL_EVERY=60", "SAVE_EVERY=120", "LEARNING_RATE=0.02", "REPETITIONS=2", "SCORES=('dice',)"),
    *("segmentation.task.transforms=[]", "segmentation.task.intensity=None"),
)


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
    in_process.run("ssl3d_tf.predict", *arguments, *(f"--{name}={value}" for name, value in given.items()))


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock"
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
            if (out / ledger.DONE).is_file() or process.poll() is not None:
                break
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert (out / ledger.DONE).is_file()
    assert not (out / answers.EMBEDDINGS).exists()
    (out / f".a.nii.gz.{'0' * 16}.tmp").write_bytes(b"half")  # as a kill leaves behind
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.nii.gz")}
    run("--probabilities", "--embeddings", model=grid[1], input=new[0], output=out)
    assert contents(out) == contents(predicted)
    first = json.loads((out / ledger.DONE).read_text().splitlines()[0])["files"][0]
    assert before[out / first] == (out / first).stat().st_mtime_ns  # kept


def test_a_cut_note_is_one_line(grid, new, predicted, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(predicted, out)
    (out / ledger.ABOUT).write_text('{"weights": ')
    with pytest.raises(InputError, match=r"prediction.json is damaged \(.*\): put a copy back, or take another folder"):
        run("--probabilities", "--embeddings", model=grid[1], input=new[0], output=out)


def test_one_unreadable_scan_is_told_and_the_others_go_on(grid, new, tmp_path, capsys):
    root, out = tmp_path / "new", tmp_path / "out"
    shutil.copytree(new[0], root)
    broken = root / "d.nii.gz"
    broken.write_bytes(broken.read_bytes()[:-2000])
    save(root / "four.nii.gz", np.zeros((8, 8, 8, 4), np.int16), "RAS")
    run("--nooverlays", model=grid[1], input=root, output=out)
    lines = [json.loads(line) for line in (out / ledger.FAILED).read_text().splitlines()]
    assert [line["path"] for line in lines] == ["d.nii.gz", "four.nii.gz"]
    assert "it is 3D with 4 channels, the model is for 3D with 1 channel" in lines[1]["reason"]
    told = capsys.readouterr().out
    assert "failed: d.nii.gz: " in told
    assert "2 scans predicted, 0 of them before, 2 failed" in told
    shutil.copy(new[0] / "d.nii.gz", broken)
    (root / "four.nii.gz").unlink()
    run("--nooverlays", model=grid[1], input=root, output=out)
    assert "3 scans predicted, 2 of them before, 0 failed" in capsys.readouterr().out
    assert not (out / ledger.FAILED).exists()
    assert [json.loads(line)["case"] for line in (out / ledger.DONE).read_text().splitlines()] == ["a", "b/c", "d"]
    shutil.copy(new[0] / "a.nii.gz", broken)  # another scan by the same name
    run("--nooverlays", model=grid[1], input=root, output=out)
    assert nibabel.load(out / "d.nii.gz").shape == nibabel.load(new[0] / "a.nii.gz").shape
    broken.write_bytes(b"no header")
    run("--nooverlays", model=grid[1], input=root, output=out)
    assert not (out / "d.nii.gz").exists()  # it was of another file than the one that is there
    assert [json.loads(line)["case"] for line in (out / ledger.DONE).read_text().splitlines()] == ["a", "b/c"]


def test_where_no_scan_is_left_none_of_their_predictions_is(grid, new, tmp_path):
    root, out = tmp_path / "new", tmp_path / "out"
    root.mkdir()
    shutil.copy(new[0] / "a.nii.gz", root)
    run("--nooverlays", model=grid[1], input=root, output=out)
    (root / "a.nii.gz").write_bytes(b"no header")
    with pytest.raises(InputError, match=r"none of 1 scans can be predicted; a\.nii\.gz: .*[^.]\.$"):
        run("--nooverlays", model=grid[1], input=root, output=out)
    assert not (out / "a.nii.gz").exists()
    assert not (out / ledger.DONE).exists()
    assert json.loads((out / ledger.FAILED).read_text())["path"] == "a.nii.gz"


def test_what_is_said_is_of_the_input_as_it_is_and_nothing_else_is_removed(grid, new, tmp_path, capsys):
    root, out = tmp_path / "new", tmp_path / "out"
    shutil.copytree(new[0], root)
    for name in ("p.nii", "p.nii.gz"):
        save(root / name, scan((18, 17, 16))[0], "RAS")
        run("--nooverlays", "--embeddings", model=grid[1], input=root, output=out)
    # 'p' has become 'p.nii' beside 'p.nii.gz'
    (root / "d.nii.gz").rename(tmp_path / "d.nii.gz")
    run("--nooverlays", "--embeddings", model=grid[1], input=root, output=out)
    told = capsys.readouterr().out.splitlines()
    assert "note: no longer in the input: d, p; what was predicted of them stays, see gone.jsonl." in told
    done, gone = (
        [json.loads(line)["case"] for line in (out / name).read_text().splitlines()]
        for name in (ledger.DONE, ledger.GONE)
    )
    assert (done, gone) == (["a", "b/c", "p.nii", "p.nii.gz"], ["d", "p"])
    with np.load(out / answers.EMBEDDINGS) as found:
        assert found["cases"].tolist() == done
    assert (out / "d.nii.gz").is_file()
    (tmp_path / "d.nii.gz").rename(root / "d.nii.gz")
    run("--nooverlays", "--embeddings", model=grid[1], input=root, output=out)
    assert "5 scans predicted, 5 of them before, 0 failed" in capsys.readouterr().out  # kept all the while
    run("--nooverlays", "--overwrite", model=grid[1], input=root, output=out)
    assert not (out / ledger.GONE).exists()
    assert not (out / "p.nii.gz").exists()


def test_a_file_that_is_no_longer_as_it_was_written_is_told_and_not_written_over(grid, new, tmp_path):
    root, out = tmp_path / "new", tmp_path / "out"
    root.mkdir()
    shutil.copy(new[0] / "a.nii.gz", root)
    run("--nooverlays", model=grid[1], input=root, output=out)
    whole = (out / "a.nii.gz").read_bytes()
    (out / "a.nii.gz").write_bytes(whole[:-9])
    rule = "is not as it was left: a.nii.gz was changed; remove it to have it predicted again, or move it elsewhere"
    with pytest.raises(InputError, match=rule):
        run("--nooverlays", model=grid[1], input=root, output=out)
    assert (out / "a.nii.gz").read_bytes() == whole[:-9]
    (out / "a.nii.gz").unlink()
    run("--nooverlays", model=grid[1], input=root, output=out)
    assert (out / "a.nii.gz").read_bytes() == whole


# 2D: slices of volumes, pictures with labels, an encoder alone


def test_a_model_of_slices_predicts_volumes_slice_by_slice(raw, new, tmp_path, undrawn):
    chosen = converting.settings(slices="coronal", how="minmax")._replace(fractions=(0.5, 0.25, 0.25))
    converting.convert(raw, tmp_path / "data", chosen)
    sources = configuration.Sources(("gin/finetune/segmentation_2d.gin",), (*SMALL, "STEPS=1", "REPETITIONS=1"))
    assert finetune.run(sources, tmp_path / "data", [], tmp_path / "ft") == 0
    run("--embeddings", "--nooverlays", model=tmp_path / "ft", input=new[0], output=tmp_path / "out")
    there, here = (nibabel.load(folder / "b" / "c.nii.gz") for folder in (new[0], tmp_path / "out"))
    np.testing.assert_array_equal(here.affine, there.affine)
    network = scoring.prediction(ssl3d_tf.load_model(tmp_path / "ft/runs/scratch-random/100/0"))
    found, _ = inputs.find(layouts.Request(str(new[0])), inputs.how(choosing.find(tmp_path / "ft").contract, "", {}))
    example = found[1].read()
    assert example.source["resampled"]  # to the voxels of the data, which were not
    volume, logits = reading.intensities(example.volume, example), []
    for number in range(volume.shape[1]):
        logits.append(predict_volume(volume[:, number], network, size=(SIZE,) * 2, batch_size=4))
    expected = native.labels(np.stack(logits, 1), example.source, values=VALUES)
    np.testing.assert_array_equal(np.asarray(nibabel.as_closest_canonical(here).dataobj), expected)
    (first, *_) = records.find(tmp_path / "data", choosing.find(tmp_path / "ft").contract)
    (whole,) = (one for one in inputs.find(layouts.Request(str(raw)), found[0].how)[0] if one.id == first.id)
    np.testing.assert_array_equal(first.read().volume, whole.read().volume)
    picture(tmp_path / "flat" / "p.png", 0)
    with pytest.raises(InputError, match=r"it is 2D .* the model is for 3D .*of coronal slices of volumes"):
        run(model=tmp_path / "ft", input=tmp_path / "flat", output=tmp_path / "other")


def picture(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(value).integers(0, 50, (20, 18)) + value
    Image.fromarray(pixels.astype(np.uint8)).save(path)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """(data, workdir): pictures labelled 3 and 7, and a classifier of two steps."""
    root = tmp_path_factory.mktemp("pictures")
    rows = ["path,label"]
    for number in range(8):
        picture(root / "raw" / f"p{number}.png", 20 * number)
        rows.append(f"p{number}.png,{3 if number % 2 else 7}")
    (root / "raw" / "table.csv").write_text("\n".join(rows))
    converting.convert(root / "raw", root / "data", converting.settings()._replace(fractions=(0.5, 0.25, 0.25)))
    params = (*SMALL, "STEPS=2", "REPETITIONS=1", "SCORES=('cat_accuracy',)", "classification.task.transforms=[]")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "write", lambda *_: None)
        sources = configuration.Sources(("gin/finetune/classification_2d.gin",), params)
        assert finetune.run(sources, root / "data", [], root / "ft") == 0
    return root


def test_classes_of_pictures_are_a_table_and_those_that_were_scored(pictures, tmp_path):
    run(model=pictures / "ft", input=pictures / "raw", output=tmp_path / "out")
    with (tmp_path / "out" / answers.PREDICTIONS).open() as file:
        rows = {row["case"]: row for row in csv.DictReader(file)}
    assert list(rows) == [f"p{number}" for number in range(8)]
    for row in rows.values():
        shares = {value: float(row[f"probability_{value}"]) for value in (3, 7)}
        assert sum(shares.values()) == pytest.approx(1, abs=1e-6)
        assert (row["class"], row["name"]) == (str(max(shares, key=shares.get)), f"class {row['class']}")
    tested = tables.read([pictures / "ft"]).predictions
    assert tested
    assert all(rows[row.case]["class"] == str(row.predicted) for row in tested)
    run(model=pictures / "ft", input=pictures / "data", output=tmp_path / "records")
    with (tmp_path / "records" / answers.PREDICTIONS).open() as file:
        assert {row["case"]: row for row in csv.DictReader(file)} == rows


def test_every_kind_of_label_has_its_columns(tmp_path):
    def table(labels, values):
        network = prediction.Network(
            {"task": "classification", "labels": labels, "classes": {"1": "low"}, "recipe": {}}, (), None, False
        )
        answers.tables(network, [{"case": "a", "values": values}], tmp_path)
        return [line.split(",") for line in (tmp_path / answers.PREDICTIONS).read_text().splitlines()]

    head, row = table({"kind": "ordinal", "values": [1, 2, 5]}, [[0.25, 0.5]])
    assert head == ["case", "class", "name", "probability_1", "probability_2", "probability_5"]
    assert row == ["a", "1", "low", "0.75", "0.0", "0.25"]
    assert table({"kind": "multilabel", "values": []}, [[0.75, 0.5]]) == [
        ["case", "label_0", "label_1", "probability_0", "probability_1"],
        ["a", "1", "0", "0.75", "0.5"],
    ]
    assert table({"kind": "regression", "values": []}, [[-1.5]]) == [["case", "value_0"], ["a", "-1.5"]]


def test_an_encoder_alone_gives_embeddings_and_nothing_else(pictures, tmp_path):
    sources = configuration.Sources(("gin/rotation_2d.gin",), (*SMALL[:-1], "STEPS=1"))
    train.pretrain(sources, pictures / "data", tmp_path / "run")
    with pytest.raises(InputError, match=r"is a pretrained encoder, which knows no classes: add --embeddings"):
        run(model=tmp_path / "run", input=pictures / "raw", output=tmp_path / "out")
    run("--embeddings", model=tmp_path / "run", input=pictures / "raw", output=tmp_path / "out")
    with np.load(tmp_path / "out" / answers.EMBEDDINGS) as found:
        embeddings = dict(zip(found["cases"].tolist(), found["embeddings"], strict=True))
    assert not (tmp_path / "out" / answers.PREDICTIONS).exists()
    pixels = np.asarray(Image.open(pictures / "raw" / "p4.png"), np.float32)[None, ..., None] / 255
    encoder = ssl3d_tf.load_encoder(tmp_path / "run")
    parts = [encoder(pixels[:, a : a + SIZE, b : b + SIZE]).numpy().mean((0, 1, 2)) for a in (0, 4) for b in (0, 2)]
    np.testing.assert_allclose(embeddings["p4"], np.mean(parts, axis=0), atol=1e-5)


# Mistakes


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"model": "{new}"}, r"holds no encoder or model \(no contract.json in it\); give .*FRACTION/REPETITION"),
        (
            {"run": "runs/scratch-randm/100/0"},
            r"--run=runs/scratch-randm/100/0 is no run .*there are runs/scratch-random/100/",
        ),
        (
            {"model": "{ft}/runs/scratch-random/100/0", "run": "runs/x"},
            "is of the --workdir of finetuning.*leave it out",
        ),
        ({"input": "{new}/nothing"}, "--input .*nothing does not exist"),
        ({"input": "{empty}"}, "holds no file of a known kind"),
        (
            {"input": "{pictures}/raw/p0.png"},
            r"none of 1 scans .* p0.png: it is 2D with 1 channel, the model is for 3D",
        ),
        (
            {"input": "{pictures}/data"},
            "was made otherwise than the model's data: spatial axes 3 there, 2 here.*; give the scans",
        ),
        ({"output": "{new}/out"}, "lies inside the input"),
        ({"output": "{new}"}, "lies inside the input"),
        ({"output": "{pictures}/raw"}, r"holds p0.png and no predictions: take an empty or a new folder"),
        ({"output": "{predicted}"}, r"made otherwise \(probabilities True there, False here; embeddings .*--overwrite"),
        ({"output": "{predicted}", "run": "runs/scratch-random/100/0"}, None),
        ({"model": "{pictures}/ft", "input": "{pictures}/raw", "flips": "true"}, "--flips averages .* leave it out"),
        (
            {"model": "{pictures}/ft", "input": "{pictures}/raw", "ensemble": "true"},
            "--ensemble averages the repetitions",
        ),
        ({"ensemble": "true", "embeddings": "true"}, "embeddings of several networks have nothing in common"),
    ],
)
def test_a_mistake_is_one_line(given, message, grid, new, pictures, predicted, tmp_path):
    (tmp_path / "empty").mkdir()
    places = {"ft": grid[1], "new": new[0], "pictures": pictures, "predicted": predicted, "empty": tmp_path / "empty"}
    chosen = {"model": "{ft}", "input": "{new}", "output": str(tmp_path / "out"), **given}
    if message is None:  # another model than that of what is there
        contract = choosing.find(grid[1]).contract["run"]["repetition"]
        chosen["run"], message = f"runs/scratch-random/100/{1 - contract}", r"made otherwise \(weights \['.*--overwrite"
    before = contents(new[0])
    with pytest.raises(InputError, match=message) as caught:
        run(**{name: value.format(**places) for name, value in chosen.items()})
    assert "\n" not in str(caught.value)
    assert contents(new[0]) == before
    assert not (tmp_path / "out").exists()
    assert not (pictures / "raw" / ".lock").exists()


def test_overwrite_replaces_predictions_and_nothing_else(grid, new, tmp_path):
    out = tmp_path / "out"
    run(model=grid[1], input=new[0], output=out)
    (out / "mine.txt").write_text("kept")
    run("--overwrite", "--nooverlays", "--probabilities", model=grid[1], input=new[0], output=out)
    assert "mine.txt" in contents(out)
    assert "a_probabilities.npz" in contents(out)
    assert "a_overlay.png" not in contents(out)
