"""Layouts of published data sets: a miniature of each becomes the right records; others are refused."""

import json

import nibabel
import numpy as np
import pytest
from PIL import Image

from ssl3d_tf.data.records import manifest, reading
from ssl3d_tf.errors import InputError
from tests.tools.converting import convert, examples, run, settings
from tools.conversion import conversion, presets
from tools.overview import draw
from tools.prepare import geometry
from tools.prepare.intensity import parse
from tools.readers import layouts
from tools.readers.contract import plain_volume

SHAPE = (10, 9, 8)
AFFINE = np.diag([-1.0, -1.0, 2.0, 1.0])
BOX = np.s_[2:8, 3:7, 1:6]


def save(path, values, affine=AFFINE):
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(values, affine), path)


def picture(path, size=(40, 20)):
    """A bright disk on black, `size` columns and rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows, columns = np.mgrid[: size[1], : size[0]]
    disk = (rows - size[1] / 2 + 0.5) ** 2 + (columns - size[0] / 2 + 0.5) ** 2 < 8**2
    Image.fromarray((disk[..., None] * np.array([200, 100, 50])).astype(np.uint8)).save(path)


def inner(seed, shape=SHAPE, box=BOX):
    values = np.zeros(shape, np.int16)
    values[box] = np.random.default_rng(seed).integers(100, 900, values[box].shape)
    return values


def labels(top=4):
    values = np.zeros(SHAPE, np.uint8)
    values[BOX] = np.random.default_rng(9).integers(0, top + 1, values[BOX].shape)
    values[3, 4, 2] = top
    return values


def make_brats(root, names=("_t1ce", "_flair", "_t1", "_t2", "_seg"), case="BraTS20_001"):
    for seed, name in enumerate(names[:4]):
        save(root / case / f"{case}{name}.nii.gz", inner(seed))
    save(root / case / f"{case}{names[4]}.nii.gz", labels())


def make_msd(root):
    value = {"name": "Pancreas", "modality": {"0": "CT"}, "labels": {"0": "background", "1": "pancreas", "2": "cancer"}}
    value["training"] = [{"image": f"./imagesTr/p{n}.nii.gz", "label": f"./labelsTr/p{n}.nii.gz"} for n in range(3)]
    for number in range(3):
        save(root / f"imagesTr/p{number}.nii.gz", inner(number) - 500)
        save(root / f"labelsTr/p{number}.nii.gz", labels(2))
    (root / "dataset.json").write_text(json.dumps(value))


def make_nnunet(root, **changes):
    value = {
        "channel_names": {"0": "T2", "1": "ADC"},
        "labels": {"background": 0, "tumour": 1},
        "file_ending": ".nii.gz",
    }
    for case in ("a_1", "b_2"):
        for channel in (0, 1):
            save(root / f"imagesTr/{case}_{channel:04d}.nii.gz", inner(channel))
        save(root / f"labelsTr/{case}.nii.gz", labels(1))
    save(root / "imagesTs/c_3_0000.nii.gz", inner(0))
    (root / "dataset.json").write_text(json.dumps(value | changes))


def make_bids(root):
    for subject, session in (("01", "_ses-a"), ("01", "_ses-b"), ("02", "_ses-a")):
        folder = root / f"sub-{subject}" / session[1:] / "anat"
        save(folder / f"sub-{subject}{session}_T1w.nii.gz", inner(0))
        save(folder / f"sub-{subject}{session}_acq-fast_T2w.nii.gz", inner(1)) if session == "_ses-a" else None
    save(root / "derivatives/fs/sub-02/ses-a/anat/sub-02_ses-a_dseg.nii.gz", labels(2))
    save(root / "derivatives/fs/sub-01/ses-a/anat/sub-01_ses-a_space-MNI_dseg.nii.gz", labels(2))
    save(root / "sub-01/ses-a/func/sub-01_ses-a_task-rest_bold.nii.gz", inner(0))
    (root / "dataset_description.json").write_text("{}")


def make_ukb_brain(root):
    for participant in ("1000001", "1000002"):
        t1 = root / f"{participant}_20252_2_0/T1"
        save(t1 / "T1.nii.gz", inner(0) + 7)
        save(t1 / "T1_brain_mask.nii.gz", (inner(0) > 0).astype(np.uint8))
        save(t1 / "T1_fast/T1_brain_pveseg.nii.gz", labels(3))
        save(root / f"{participant}_20253_2_0/T2_FLAIR/T2_FLAIR.nii.gz", inner(1) + 3)


def preset(layout, **options):
    """The settings of a preset, as the command makes them."""
    values = presets.defaults(layout, ())
    pairs = tuple(tuple(map(int, pair.split(":"))) for pair in values.get("relabel", ()))
    found = {name: values[name] for name in ("crop_foreground", "square", "antialias") if name in values}
    found |= {"shape": tuple(map(int, values["shape"]))} if "shape" in values else {}
    found |= {"spacing_mm": tuple(map(float, values["spacing_mm"]))} if "spacing_mm" in values else {}
    made = settings(relabel=pairs, **(found | options))
    return made._replace(options=made.options._replace(intensity=parse(values["intensity"])))


def listed(root, layout="auto"):
    return layouts.find(layouts.Request(str(root), layout))


def made(root, out, layout, chosen=None):
    conversion.convert(layouts.Request(str(root), layout), out, chosen or preset(layout))
    return examples(out)


def test_brats_has_four_channels_one_box_and_labels_without_a_gap(tmp_path):
    make_brats(tmp_path / "raw")
    (example,) = made(tmp_path / "raw", tmp_path / "out", "brats").values()
    assert example.volume.shape == (6, 4, 5, 4)
    np.testing.assert_array_equal(example.mask, np.minimum(labels()[BOX][::-1, ::-1], 3))
    data = manifest.read(tmp_path / "out")
    assert (data.channels, data.classes["3"]) == (("t1ce", "flair", "t1", "t2"), "enhancing tumour")
    values = reading.intensities(example.volume, example)
    np.testing.assert_allclose(values[example.mask > 0].reshape(-1, 4).mean(axis=0), 0, atol=0.4)


def test_brats_of_2023_groups_the_scans_of_a_patient(tmp_path):
    names = ("-t1c", "-t2f", "-t1n", "-t2w", "-seg")
    for scan in ("000", "001"):
        make_brats(tmp_path, names, f"BraTS-GLI-00005-{scan}")
    items = listed(tmp_path, "brats").items
    assert {item.patient for item in items} == {"BraTS-GLI-00005"}
    assert [items[0].path[-10:], items[0].channels[0][-10:]] == ["t1c.nii.gz", "t2f.nii.gz"]


def test_a_case_without_a_modality_is_quarantined(tmp_path):
    make_brats(tmp_path)
    (tmp_path / "BraTS20_001/BraTS20_001_t1.nii.gz").unlink()
    assert [fault.reason for fault in listed(tmp_path, "brats").faults] == ["its t1 is missing"]


def test_a_channel_on_another_grid_is_quarantined(tmp_path):
    make_brats(tmp_path / "raw")
    make_brats(tmp_path / "raw", case="other")
    save(tmp_path / "raw/other/other_t2.nii.gz", inner(0), np.diag([-1.0, -1, 3, 1]))
    made(tmp_path / "raw", tmp_path / "out", "brats")
    line = json.loads((tmp_path / "out/quarantine.jsonl").read_text())
    assert line["reason"].startswith("its channel other/other_t2.nii.gz lies on another grid")


def test_pancreas_slices_keep_their_patient_and_every_mask(tmp_path):
    make_msd(tmp_path / "raw")
    found = made(tmp_path / "raw", tmp_path / "out", "msd_pancreas", settings(slices="axial", shape=(5, 6), how="none"))
    assert len(found) == 3 * 8
    assert {example.patient for example in found.values()} == {"p0", "p1", "p2"}
    assert found["p1_axial003"].volume.shape == (5, 6, 1)
    assert any(not example.mask.any() for example in found.values())
    data = manifest.read(tmp_path / "out")
    assert data.rank == 2
    for split in data.splits.values():
        assert all(sum(entry.counts.values()) == 30 for entry in split.entries)


@pytest.mark.parametrize(("plane", "axis"), [("sagittal", 0), ("coronal", 1), ("axial", 2)])
def test_slices_are_those_of_the_volume_and_know_where_they_lie(tmp_path, plane, axis):
    save(tmp_path / "raw/a.nii.gz", inner(0))
    (volume,) = made(tmp_path / "raw", tmp_path / "whole", "folder", settings(how="none")).values()
    found = made(tmp_path / "raw", tmp_path / "out", "folder", settings(how="none", slices=plane))
    for number, example in enumerate(found.values()):
        np.testing.assert_array_equal(example.volume, volume.volume.take(number, axis))
        place = np.insert([1, 2], axis, number)
        np.testing.assert_allclose(example.affine @ [1, 2, 0, 1], volume.affine @ [*place, 1])
        assert example.spacing_mm == tuple(np.delete(volume.spacing_mm, axis))


def test_slices_need_an_orientation(tmp_path):
    (tmp_path / "raw").mkdir()
    np.save(tmp_path / "raw/a.npy", inner(0))
    with pytest.raises(InputError, match="does not say how it lies; store it as NIfTI"):
        convert(tmp_path / "raw", tmp_path / "out", settings(slices="axial"))


def test_pancreas_has_a_window_and_a_spacing(tmp_path):
    make_msd(tmp_path / "raw")
    found = made(tmp_path / "raw", tmp_path / "out", "msd_pancreas")
    assert all(np.allclose(example.spacing_mm, 2) for example in found.values())
    assert manifest.read(tmp_path / "out").recipe["intensity"] == "ct_window:-150,250"
    assert {value for example in found.values() for value in np.unique(example.mask)} <= {0, 1, 2}


def test_nnunet_cases_have_all_channels(tmp_path):
    make_nnunet(tmp_path)
    found = listed(tmp_path)
    assert (found.layout, found.channels, dict(found.classes)) == (
        "nnunet",
        ("T2", "ADC"),
        {"0": "background", "1": "tumour"},
    )
    assert [(item.id, item.channels, item.mask) for item in found.items] == [
        ("a_1", ("imagesTr/a_1_0001.nii.gz",), "labelsTr/a_1.nii.gz"),
        ("b_2", ("imagesTr/b_2_0001.nii.gz",), "labelsTr/b_2.nii.gz"),
    ]
    assert found.notes == ("1 images of imagesTs, without masks, are left out.",)


def test_nnunet_of_version_1_and_regions_name_their_classes(tmp_path):
    make_nnunet(tmp_path, labels={"0": "background", "1": "liver"}, channel_names={}, modality={"0": "CT", "1": "PET"})
    assert (listed(tmp_path).classes["1"], listed(tmp_path).channels) == ("liver", ("CT", "PET"))
    make_nnunet(tmp_path, labels={"background": 0, "whole": [1, 2, 3], "core": [2, 3]})
    assert dict(listed(tmp_path).classes) == {"0": "background", "1": "class 1", "2": "class 2", "3": "class 3"}


@pytest.mark.parametrize("declared", [{"background": 0, "lesion": 1, "ignore": 4}, {"0": "background", "4": "ignore"}])
def test_what_nnunet_ignores_is_no_class_and_no_mistake(declared, tmp_path):
    make_nnunet(tmp_path / "raw", labels=declared)
    for case in ("a_1", "b_2"):
        save(tmp_path / f"raw/labelsTr/{case}.nii.gz", np.where(labels(1) == 1, 4, 0).astype(np.uint8))
    convert(tmp_path / "raw", tmp_path / "out")
    said = "mask value 4, 'ignore' in dataset.json, is in no loss and no score."
    assert f"- {said}\n" in (tmp_path / "out/summary.md").read_text()
    found = manifest.read(tmp_path / "out")
    assert (found.ignore_label, found.recipe["ignore_label"], "4" in found.classes) == (4, 4, False)
    assert not (tmp_path / "out/quarantine.jsonl").read_text()
    assert all(entry.counts.keys() == {"0"} for split in found.splits.values() for entry in split.entries)
    assert {int(example.mask.max()) for example in examples(tmp_path / "out").values()} == {4}  # stored as it was
    assert "ignored: in no loss and no score" in (tmp_path / "out/summary.md").read_text()
    (pictured,) = [one for name, one in examples(tmp_path / "out").items() if name == "a_1"]
    shown, plain = (draw.planes(one, draw.names(found)) for one in (pictured, pictured._replace(mask=None)))
    assert all(np.array_equal(one.pixels, other.pixels) for one, other in zip(shown, plain, strict=True))


@pytest.mark.parametrize("value", [0, -1, [4, 5], "four"])
def test_nnunet_ignores_one_value_above_the_background(value, tmp_path):
    make_nnunet(tmp_path, labels={"background": 0, "lesion": 1, "ignore": value})
    with pytest.raises(InputError, match=r"'ignore' in 'labels' of .* it must be one whole number above 0\.$"):
        listed(tmp_path)


def test_a_value_to_ignore_is_that_after_relabelling_and_wins_over_the_data_set_s(tmp_path):
    make_nnunet(tmp_path / "raw", labels={"background": 0, "tumour": 1, "void": 200, "ignore": 7})
    chosen = settings(relabel=((0, 200),))._replace(ignore_label=200)
    convert(tmp_path / "raw", tmp_path / "out", chosen)
    found = manifest.read(tmp_path / "out")
    assert (found.ignore_label, found.classes.keys()) == (200, {"0", "1"})
    assert {value for split in found.splits.values() for entry in split.entries for value in entry.counts} == {"1"}


@pytest.mark.parametrize(
    ("asked", "relabel", "said"),
    [
        (4, (), ["mask value 4, 'ignore' in dataset.json, is in no loss and no score."]),
        (3, (), ["--ignore_label=3 counts, and not 4, 'ignore' in dataset.json: masks that hold 4 are set aside;"]),
        (3, ((4, 3),), []),
        (1, ((4, 1),), ["--ignore_label=1 is 'tumour' of the data set: it is no class, in no loss and no score."]),
    ],
)
def test_which_value_is_ignored_is_said_where_user_and_data_set_differ(tmp_path, capsys, asked, relabel, said):
    make_nnunet(tmp_path / "raw", labels={"background": 0, "tumour": 1, "ignore": 4})
    save(tmp_path / "raw/labelsTr/a_1.nii.gz", np.where(labels(1) == 1, 4, 0).astype(np.uint8))
    summary = convert(tmp_path / "raw", tmp_path / "out", settings(relabel=relabel)._replace(ignore_label=asked))
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note: ") and "ignore" in line]
    assert len(told) == len(said)
    assert all(line.startswith(f"note: {start}") for line, start in zip(told, said, strict=True))
    assert summary.data.ignore_label == asked
    assert [fault.path for fault in summary.faults] == ["imagesTr/a_1_0000.nii.gz"] * ("set aside" in "".join(said))


def test_what_nnunet_declares_and_nobody_has_is_said(tmp_path):
    declared = {"background": 0, "whole": [1, 2], "core": [2], "cyst": 3, "void": 5}
    make_nnunet(tmp_path / "raw", labels=declared, numTraining=5)
    chosen = settings(relabel=((5, 1),))
    summary = convert(tmp_path / "raw", tmp_path / "out", chosen)
    assert list(summary.data.classes.values()) == ["class 1", "core", "background", "cyst", "void"]
    whole = {one.word: one.what for one in summary.found if one.id == "(all)"}
    assert whole["absent class"] == "no mask has 2 'core', 3 'cyst'"
    assert whole["other count"] == "'numTraining' of dataset.json is 5, and 2 cases are there"
    text = (tmp_path / "out/summary.md").read_text()
    assert "regions of dataset.json are no classes and are not kept" in text
    assert "scoring.segmentation.regions = {'whole': (1, 2)}, as in gin/finetune/brats.gin." in text
    make_nnunet(tmp_path / "raw", numTraining=2)
    quiet = convert(tmp_path / "raw", tmp_path / "out", overwrite=True)
    assert not {one.word for one in quiet.found} & {"absent class", "other count"}


def test_nnunet_cases_without_a_channel_are_quarantined(tmp_path):
    make_nnunet(tmp_path)
    (tmp_path / "imagesTr/a_1_0001.nii.gz").unlink()
    assert [fault.reason for fault in listed(tmp_path).faults] == ["its channel _0001 is missing, the data set has 2"]


def test_bids_takes_the_most_frequent_kind_by_subject(tmp_path):
    make_bids(tmp_path)
    found = listed(tmp_path)
    assert (found.layout, found.notes[0]) == ("bids", "T1w images are taken; left out: 2 T2w.")
    assert [(item.id, item.patient) for item in found.items] == [
        ("sub-01_ses-a_T1w", "sub-01"),
        ("sub-01_ses-b_T1w", "sub-01"),
        ("sub-02_ses-a_T1w", "sub-02"),
    ]
    assert [bool(item.mask) for item in found.items] == [False, False, True]


def test_ukb_brains_are_stripped_and_stay_aligned(tmp_path):
    make_ukb_brain(tmp_path / "raw")
    example = made(tmp_path / "raw", tmp_path / "out", "ukb_brain")["1000001_2_0"]
    assert (example.volume.shape, example.patient) == ((6, 4, 5, 2), "1000001")
    np.testing.assert_array_equal(example.mask, labels(3)[BOX][::-1, ::-1])
    plain = made(tmp_path / "raw", tmp_path / "plain", "ukb_brain", settings(how="none"))["1000001_2_0"]
    brain = (inner(0) > 0)[::-1, ::-1]
    for channel, added in enumerate((7, 3)):
        expected = np.where(brain, inner(channel)[::-1, ::-1] + added, 0)
        np.testing.assert_array_equal(plain.volume[..., channel], expected)


@pytest.mark.parametrize("columns", ["image,level", "id_code,diagnosis"])
def test_kaggle_grades_belong_to_images_and_eyes_to_patients(tmp_path, columns):
    for name in ("10_left", "10_right", "16_left", "unseen"):
        picture(tmp_path / "raw/train" / f"{name}.png")
    (tmp_path / "raw/trainLabels.csv").write_text(f"{columns}\n10_left,0\n10_right,4\n16_left,2\nlost_left,1\n")
    found = listed(tmp_path / "raw", "kaggle_retina")
    assert [(item.patient, item.label) for item in found.items] == [("10", (0.0,)), ("10", (4.0,)), ("16", (2.0,))]
    assert [fault.path for fault in found.faults] == ["lost_left"]
    assert found.notes == ("1 images without a grade are left out.",)


def test_fundus_pictures_are_cropped_to_the_circle_and_square(tmp_path):
    picture(tmp_path / "raw/1000001_21015_0_0.png")
    picture(tmp_path / "raw/1000001_21016_0_0.png", size=(20, 12))  # cut above and below
    found = made(tmp_path / "raw", tmp_path / "out", "ukb_retina")
    assert {example.patient for example in found.values()} == {"1000001"}
    assert all(example.volume.shape == (224, 224, 3) for example in found.values())
    whole, cut = found.values()
    assert (whole.volume[112, 2:-2, 0] > 100).all()
    assert not cut.volume[:20].any()
    assert (cut.volume[112, 4:-4, 0] > 100).all()


def test_antialiasing_means_over_what_becomes_one_pixel():
    values = np.random.default_rng(0).random((12, 20, 1)).astype(np.float32)
    volume = plain_volume(values)
    small = geometry.resample(volume, geometry.grid_of_shape(volume, (4, 5)), antialias=True).voxels
    np.testing.assert_allclose(small[..., 0], values.reshape(4, 3, 5, 4).mean(axis=(1, 3)), rtol=1e-5)
    large = geometry.grid_of_shape(volume, (24, 20))
    plain, smooth = (geometry.resample(volume, large, antialias=each).voxels for each in (False, True))
    np.testing.assert_array_equal(plain, smooth)


def test_grades_that_are_none_are_refused(tmp_path):
    (tmp_path / "train.csv").write_text("id_code,diagnosis\na,7\n")
    with pytest.raises(InputError, match="grades 'a' as '7'; grades are 0 to 4"):
        listed(tmp_path, "kaggle_retina")


@pytest.mark.parametrize("layout", sorted(layouts.TREES))
def test_what_is_laid_out_otherwise_is_refused_with_expected_and_found(tmp_path, layout):
    (tmp_path / "stray.txt").touch()
    (tmp_path / "other").mkdir()
    with pytest.raises(InputError) as error:
        listed(tmp_path, layout)
    assert layouts.TREES[layout][0] in str(error.value)
    assert "which holds other/, stray.txt" in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_flags_given_by_hand_win(tmp_path):
    assert presets.defaults("msd_pancreas", ["shape", "intensity"]) == {"crop_foreground": True}
    make_brats(tmp_path / "raw")
    out = tmp_path / "out"
    done = run(
        f"--input={tmp_path / 'raw'}", f"--output={out}", "--layout=brats", "--intensity=minmax", "--nocrop_foreground"
    )
    assert done.stdout.startswith("--layout=brats sets --relabel=4:3.\n"), done.stdout + done.stderr
    recipe = manifest.read(out).recipe
    assert (recipe["intensity"], recipe["crop_foreground"], recipe["relabel"]) == ("minmax", False, [[4, 3]])


def test_help_shows_the_tree_and_the_defaults_of_every_preset():
    text = " ".join(run("--help").stdout.split())
    for name in presets.PRESETS:
        assert f"{name}: {layouts.TREES[name][0]}" in text
        assert presets.shown(presets.defaults(name, ())) in text
