"""tools.to_tfrecord: from files to a data folder, whatever stops it on the way."""

import functools
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel
import numpy as np
import pytest

from ssl3d_tf.data import files
from ssl3d_tf.data.records import manifest, reading
from ssl3d_tf.errors import InputError
from tests.tools.converting import command, contents, convert, examples, make_scans, run, settings
from tools.checks import exclusion, verification
from tools.conversion import plan, publication, shards, workers
from tools.overview import table
from tools.readers import layouts
from tools.readers.layouts import Request


def test_shards_are_of_even_size(tmp_path):
    limits = settings()._replace(records_per_shard=4, fractions=(1.0, 0.0, 0.0))
    planned = plan.make(layouts.find(Request(str(make_scans(tmp_path / "raw", count=9)))), limits)
    assert [len(job.items) for job in planned.jobs] == [3, 3, 3]


def test_voxels_masks_and_places_are_those_of_the_files(tmp_path):
    root = make_scans(tmp_path / "raw")
    convert(root, tmp_path / "out", settings(how="none"))
    made = examples(tmp_path / "out")["images/c3"]
    image = nibabel.as_closest_canonical(nibabel.load(root / "images/c3.nii.gz"))
    mask = nibabel.as_closest_canonical(nibabel.load(root / "masks/c3.nii.gz"))
    np.testing.assert_array_equal(made.volume[..., 0], np.asanyarray(image.dataobj))
    np.testing.assert_array_equal(made.mask, np.asanyarray(mask.dataobj))
    np.testing.assert_allclose(made.affine, image.affine)
    assert made.source["affine"] == np.diag([-1.0, 1, 2, 1]).tolist()
    assert (made.source["path"], made.source["orientation"]) == ("images/c3.nii.gz", "LAS")


def test_many_examples_are_listed_in_columns_with_the_same_facts(tmp_path, monkeypatch):
    root = make_scans(tmp_path / "raw")
    convert(root, tmp_path / "few")
    few = manifest.read(tmp_path / "few")
    monkeypatch.setattr(manifest, "MANY", 5)
    convert(root, tmp_path / "many")
    many = manifest.read(tmp_path / "many")
    assert "entries" not in json.loads((tmp_path / "few" / manifest.FILE).read_text())
    for name, split in few.splits.items():
        assert (split.shards, split.entries) == (many.splits[name].shards, (*many.splits[name].entries,))
    assert table.summarise(tmp_path / "few", few) == table.summarise(tmp_path / "many", many)
    assert not [*verification.verify(tmp_path / "many", many)]
    assert exclusion.contents([str(tmp_path / "many")]) == exclusion.contents([str(tmp_path / "few")])


def test_columns_go_on_are_complete_and_are_replaced_as_a_manifest_is(tmp_path, monkeypatch):
    root, out = make_scans(tmp_path / "raw"), tmp_path / "out"
    monkeypatch.setattr(manifest, "MANY", 5)
    convert(root, tmp_path / "whole")
    convert(root, out)
    assert not convert(root, out).is_new
    stop_before_manifest(root, out)
    (out / f".{manifest.COLUMNS}.1234.tmp").write_bytes(b"half")
    convert(root, out)
    assert contents(out) == contents(tmp_path / "whole")
    (out / manifest.COLUMNS).write_bytes(b"cut")
    with pytest.raises(InputError, match=r"put it back, or convert the data again. To convert again .* --overwrite"):
        convert(root, out)
    monkeypatch.setattr(manifest, "MANY", 6)
    convert(root, out, overwrite=True)
    assert manifest.COLUMNS not in contents(out)


def test_the_manifest_counts_what_is_there(tmp_path):
    summary = convert(make_scans(tmp_path / "raw"), tmp_path / "out")
    data = manifest.read(tmp_path / "out")
    entries = [entry for split in data.splits.values() for entry in split.entries]
    assert (len(entries), data.rank, data.dtypes, data.mask_dtypes) == (6, 3, ("uint16",), ("uint8",))
    assert all(sum(entry.counts.values()) == 8 * 9 * 10 for entry in entries)
    assert data.classes == {"0": "background", "1": "class 1", "2": "class 2"}
    assert data == summary.data
    assert not (tmp_path / "out" / ".progress").exists()


def test_a_mask_is_cut_and_resampled_with_its_image(tmp_path):
    root = tmp_path / "raw"
    root.mkdir()
    for number in range(3):
        voxels = np.zeros((12, 12, 12), np.float32)
        voxels[2:10, 3:9, 4:12] = 50 + number
        np.save(root / f"{number}.npy", voxels)
        np.save(root / f"{number}_seg.npy", (voxels > 0) * 2.0)
    convert(root, tmp_path / "out", settings(shape=(16, 12, 16), crop_foreground=True, how="minmax"))
    made = examples(tmp_path / "out")["0"]
    assert made.source["crop_box"] == [[2, 10], [3, 9], [4, 12]]
    assert made.mask.shape == (16, 12, 16)
    assert (made.mask == 2).all()


def test_a_prediction_finds_its_way_back(tmp_path):
    root = make_scans(tmp_path / "raw", 3)
    convert(root, tmp_path / "out", settings(spacing_mm=(1.5,), crop_foreground=True))
    made = examples(tmp_path / "out")["images/c0"]
    world = made.affine @ [1, 2, 3, 1]
    file = np.linalg.inv(np.array(made.source["affine"])) @ world
    assert (file[:3] > 0).all()
    assert (file[:3] < made.source["shape"]).all()


def test_any_number_of_workers_writes_the_same_bytes(tmp_path):
    root = make_scans(tmp_path / "raw")
    assert run("--input", root, "--output", tmp_path / "one", "--workers=1", "--records_per_shard=2").returncode == 0
    assert run("--input", root, "--output", tmp_path / "two", "--workers=2", "--records_per_shard=2").returncode == 0
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


@pytest.mark.parametrize("how", ["--workers=1", "--workers=2", "--runner=DirectRunner"])
def test_a_killed_conversion_goes_on_to_the_same_bytes(tmp_path, how):
    root = make_scans(tmp_path / "raw", 16, (40, 40, 40))
    options = ("--input", root, "--records_per_shard=1", how, "--output")
    run(*options, tmp_path / "whole")
    killed = subprocess.Popen(command(*options, tmp_path / "out"), stdout=subprocess.DEVNULL)
    progress = tmp_path / "out" / ".progress"
    while killed.poll() is None and len(list(progress.glob("*.tfrecord.json"))) < 2:
        time.sleep(0.005)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not (tmp_path / "out" / manifest.FILE).exists()
    assert "are kept" in run(*options, tmp_path / "out").stdout
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def after_a_killed_worker(work, jobs):
    (work.folder / ".train-00000.tfrecord.1234.tmp").write_bytes(b"half")
    yield from workers.run(work, jobs, workers=1)


def test_what_a_killed_worker_left_is_gone_at_the_end(tmp_path):
    convert(make_scans(tmp_path / "raw"), tmp_path / "out", make=after_a_killed_worker)
    assert not list((tmp_path / "out").glob(".*"))


def test_a_shard_that_was_damaged_meanwhile_is_made_again(tmp_path):
    root = make_scans(tmp_path / "raw")
    convert(root, tmp_path / "whole")
    convert(root, tmp_path / "out")
    stop_before_manifest(root, tmp_path / "out")
    shard = tmp_path / "out" / "train-00000.tfrecord"
    shard.write_bytes(shard.read_bytes()[:-1] + b"?")
    convert(root, tmp_path / "out")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def stop_before_manifest(root, out):
    """Leaves `out` as a run that was killed just before its end would."""
    for path in out.iterdir():
        path.unlink()
    (out / "contact_sheet.png").mkdir()  # cannot be replaced by a file: the run ends with an OSError
    (out / ".progress").mkdir()
    (out / ".progress" / "recipe.json").write_text(
        json.dumps(dict(plan.make(layouts.find(Request(str(root))), settings()).recipe))
    )
    with pytest.raises(OSError, match="contact_sheet"):
        convert(root, out)
    (out / "contact_sheet.png").rmdir()


def test_complete_data_say_again_what_they_go_without(tmp_path):
    root = make_scans(tmp_path / "raw")
    next(root.glob("images/*")).with_name("x0.nii.gz").symlink_to("nowhere")
    first, again = convert(root, tmp_path / "out"), convert(root, tmp_path / "out")
    for summary in (first, again):
        told = publication.report(summary, tmp_path / "out")
        assert "quarantined: 1, see quarantine.jsonl:\n  1 × x0.nii.gz is a link to a file that does not exist" in told


def test_complete_data_are_left_alone(tmp_path):
    root = make_scans(tmp_path / "raw")
    convert(root, tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    again = convert(root, tmp_path / "out")
    assert not again.is_new
    assert "already complete" in publication.report(again, tmp_path / "out")
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}


def test_data_made_otherwise_are_replaced_only_on_request(tmp_path):
    root = make_scans(tmp_path / "raw")
    convert(root, tmp_path / "out")
    with pytest.raises(InputError, match=r"otherwise \(intensity was percentile:body, now zscore\).*--overwrite"):
        convert(root, tmp_path / "out", settings(how="zscore"))
    assert convert(root, tmp_path / "out", settings(how="zscore"), overwrite=True).is_new
    (root / "images" / "c0.nii.gz").unlink()
    with pytest.raises(InputError, match="input has changed"):
        convert(root, tmp_path / "out", settings(how="zscore"))


def test_unusable_files_are_set_aside_with_reason_and_remedy(tmp_path):
    root = make_scans(tmp_path / "raw")
    path = root / "images" / "c1.nii.gz"
    path.write_bytes(path.read_bytes()[:-400])
    np.save(root / "images" / "flat.npy", np.zeros((9, 9)))
    np.save(root / "images" / "nan.npy", np.full((9, 9, 9), np.nan))
    np.save(root / "masks" / "c2.npy", np.zeros((3, 3, 3), int))
    summary = convert(root, tmp_path / "out")
    lines = [json.loads(line) for line in (tmp_path / "out" / "quarantine.jsonl").read_text().splitlines()]
    assert [line["path"] for line in lines] == ["images/c1.nii.gz", "images/flat.npy", "images/nan.npy", "masks/c2.npy"]
    assert all(line["reason"] and line["remedy"] for line in lines)
    assert sum(len(split.entries) for split in summary.data.splits.values()) == 5
    assert "quarantined: 4" in publication.report(summary, tmp_path / "out")


@pytest.mark.parametrize("jobs", [1, 2])
def test_strict_publishes_nothing_if_a_file_is_unusable(tmp_path, jobs):
    root = make_scans(tmp_path / "raw")
    (root / "images" / "c1.nii.gz").write_bytes((root / "images" / "c1.nii.gz").read_bytes()[:-400])
    with pytest.raises(InputError, match=r"--strict: images/c1\.nii\.gz"):
        convert(root, tmp_path / "out", make=functools.partial(workers.run, workers=jobs), strict=True)
    assert not (tmp_path / "out").exists()


def test_masks_on_another_grid_are_set_aside(tmp_path):
    root = make_scans(tmp_path / "raw")
    nibabel.save(nibabel.Nifti1Image(np.zeros((8, 9, 10), np.uint8), np.eye(4)), root / "masks" / "c0.nii.gz")
    (fault,) = convert(root, tmp_path / "out").faults
    assert "another grid" in fault.reason


def test_the_output_may_not_lie_in_the_input_or_hold_other_files(tmp_path):
    root = make_scans(tmp_path / "raw")
    with pytest.raises(InputError, match="inside the input"):
        convert(root, root / "out")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.doc").touch()
    with pytest.raises(InputError, match="not empty"):
        convert(root, tmp_path / "out", overwrite=True)


def test_nothing_usable_leaves_nothing(tmp_path):
    (tmp_path / "raw").mkdir()
    np.save(tmp_path / "raw" / "a.npy", np.full((9, 9), np.inf))
    with pytest.raises(InputError, match=r"none of 1 files can be used; a\.npy: 81 of 81 voxels"):
        convert(tmp_path / "raw", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_tables_give_labels_and_patients(tmp_path):
    (tmp_path / "raw").mkdir()
    rows = [f"{n}.npy,{n % 2},p{n // 2}" for n in range(12)]
    for number in range(12):
        np.save(tmp_path / "raw" / f"{number}.npy", np.full((5, 6), number, np.uint8))
    (tmp_path / "raw" / "t.csv").write_text("\n".join(["path,label,patient", *rows]))
    data = convert(tmp_path / "raw", tmp_path / "out").data
    splits = {entry.patient: name for name, split in data.splits.items() for entry in split.entries}
    assert (data.label_size, dict(data.classes), len(splits)) == (1, {"0": "class 0", "1": "class 1"}, 6)
    assert all(splits[entry.patient] == name for name, split in data.splits.items() for entry in split.entries)


def test_medmnist_colours_keep_their_balance(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (4, 6, 7, 3)).astype(np.uint8)
    np.savez(tmp_path / "m.npz", train_images=images, train_labels=np.ones((4, 1)))
    data = convert(tmp_path / "m.npz", tmp_path / "out").data
    made = examples(tmp_path / "out")["train_000002"]
    np.testing.assert_allclose(reading.intensities(made.volume, made), images[2] / 255, atol=1e-6)
    assert (data.dtypes, data.recipe["intensity"], made.label) == (("uint8",), "ct_window:0,255", (1.0,))


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--input=/nope", "--output=out"), 1, "does not exist"),
        (("--inptu=x", "--input=/nope", "--output=out"), 2, "Did you mean: input"),
        (("--input=x",), 2, "--output must have a value"),
        (("--input=x", "--output=out", "--layout=dcm"), 2, "auto|folder|medmnist|csv|dicom"),
        (("--input=x", "--output=out", "--relabel=4"), 2, "pairs OLD:NEW"),
        (("--input=x", "--output=out", "--splits=.5,.6,0"), 2, "add up to 1"),
        (("--input=x", "--output=out", "--ignore_label=0"), 2, "use --relabel=0:255 --ignore_label=255, say"),
        (("--input=x", "--output=out", "--shape=8,8,8", "--spacing_mm=1"), 2, "exclude each other"),
        (("--input=x", "--output=out", "--intensity=ct_window:9"), 2, "LO < HI"),
        (("--input=x", "--output=out", "stray"), 2, "unknown argument 'stray'"),
    ],
)
def test_faults_are_one_line_and_an_exit_code(arguments, code, message):
    done = run(*arguments)
    assert (done.returncode, len(done.stderr.splitlines()), done.stdout) == (code, 1, "")
    assert message in done.stderr


def heed_interrupts():
    """What a shell does not for what it runs in the background, this suite perhaps."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("how", ["--workers=1", "--runner=DirectRunner"])
def test_an_interrupt_is_one_line(tmp_path, how):
    root = make_scans(tmp_path / "raw", 60, (72, 72, 72))  # seconds of work, to be stopped within
    options = command("--input", root, "--output", tmp_path / "out", "--records_per_shard=1", how)
    running = subprocess.Popen(
        options, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, preexec_fn=heed_interrupts
    )
    while not list((tmp_path / "out" / ".progress").glob("*.tfrecord.json")):
        time.sleep(0.005)
    running.send_signal(signal.SIGINT)
    assert running.communicate()[1].splitlines() == ["interrupted; run the same command again to go on."]
    assert running.returncode == 130


def test_tensorflow_is_not_imported():
    code = "import sys, tools.to_tfrecord, tools.inspect_records; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[2]).returncode == 0


def test_two_conversions_never_work_in_one_folder(tmp_path):
    root, progress = make_scans(tmp_path / "raw"), tmp_path / "out" / shards.PROGRESS
    progress.mkdir(parents=True)
    half = tmp_path / "out" / ".train-00000.tfrecord.0123.tmp"
    half.write_text("what the other one writes")
    for overwrite in (False, True):
        with files.locked(progress), pytest.raises(InputError, match=r"\.progress is in use by process \d+ on "):
            convert(root, tmp_path / "out", overwrite=overwrite)
    assert half.exists()
    convert(root, tmp_path / "out")  # once that one has ended
    assert not half.exists()
    assert not progress.exists()
