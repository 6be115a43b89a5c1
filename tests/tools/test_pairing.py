"""tools/readers/pairing: which files are label maps by their names, whose they are, and what is said of doubts."""

import re

import nibabel
import numpy as np
import pytest

from ssl3d_tf.data.records import manifest
from ssl3d_tf.errors import InputError
from tests.tools.converting import convert, examples, run
from tools.checks import sources
from tools.overview import table
from tools.readers import label_folders, label_names, layouts, pairing


def masks_of(*names, **rules):
    """Image -> mask of files of these names, and the strays."""
    found = pairing.pair([f"{name}.nii.gz" for name in sorted(names)], pairing.Rules(**rules))
    short = {image.removesuffix(".nii.gz"): mask.removesuffix(".nii.gz") for image, mask in found.masks.items()}
    assert set(found.masks) <= set(found.images)
    assert not set(found.masks.values()) & set(found.images)
    return short, [fault.path.removesuffix(".nii.gz") for fault in found.strays]


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("c/imaging", "c/segmentation"),
        ("Volume_12", "Segmentation_12"),
        ("img0007", "label0007"),
        ("p1_frame01", "p1_frame01_GT"),
        ("subject-3-T1", "subject-3-label"),
        ("ct_train_1001_image", "ct_train_1001_label"),
        ("s1/T1", "s1/aseg"),
        ("s1/T1w", "s1/seg-manual"),
        ("s1/brain", "s1/aparc+aseg"),
        ("sub-1_ses-2_run-1_T1w", "sub-1_ses-2_run-1_dseg"),
        ("T1/A_T1", "labels/A_T1_LPS_DLMUSE"),
        ("Images/a", "Ground Truth/a"),
        ("imagesTr/x", "labelsTr/x"),
        ("scans/x", "scans_masks/x"),
        ("ct/x", "lung_masks/x_mask"),
        ("train/images/x", "train/Masks/x"),
        ("images/train/x", "segmentation/train/x"),
        ("anat/x", "muse_out/x_DLMUSE"),
        ("image/x", "nodule_mask/x"),
        ("p 01", "P-01 (GT)"),
        ("p0/ct", "p0/contours/ctv"),
        ("p0/dicom/ct", "p0/contours/GTVp"),
        ("ct/p0", "contours/p0_ctv"),
        ("ct/p0", "drawn/p0_msk"),
        ("rawdata/sub-v1/sub-v1_ct", "derivatives/sub-v1/sub-v1_seg-vert_msk"),
        ("sub-1/ses-1/dwi/sub-1_ses-1_dwi", "derivatives/sub-1/ses-1/sub-1_ses-1_msk"),
        ("p0/T1", "derivatives/p0/msk"),
        ("images/FLARE_007_0000", "masks/FLARE_007"),
        ("source/crossmoda_7_ceT1", "source/crossmoda_7_Label"),
        ("sub-1/ses-1/anat/sub-1_ses-1_T1w", "derivatives/man/sub-1/ses-1/sub-1_ses-1_dseg"),
    ],
)
def test_a_mask_is_named_word_by_word_as_its_image_is(image, mask):
    assert masks_of(image, mask, "other/scan_99") == ({image: mask}, [])


@pytest.mark.parametrize(
    ("mask", "images"),
    [
        ("s_run-1_dseg", ["s_run-2_T1w"]),
        ("s_dseg", ["s_run-1_T1w", "s_run-2_T1w"]),
        ("s_dseg", ["s_run-1_T1w"]),
        ("s_space-MNI_seg", ["s_T1w"]),
        ("a_seg", ["a_followup_2"]),
        ("a_1_seg", ["a"]),
        ("x_T2_seg", ["x_T1"]),
        ("x_seg", ["x_T1", "x_FLAIR"]),
        ("labels/x", ["T1/x", "FLAIR/x"]),
        ("labelsTr/x", ["imagesTs/x"]),
        ("masks/train/x", ["images/val/x"]),
        ("visit2/001_seg", ["visit1/001"]),
        ("postop/p1_seg", ["preop/p1"]),
        ("case1/segmentation", ["case2/imaging"]),
        ("ct/segmentations/liver", ["ct/spleen_1"]),
        ("masks/FLARE_007", ["images/FLARE_007_0000", "images/FLARE_007_0001"]),
        ("derivatives/sub-1/sub-1_msk", ["sub-1/dwi/sub-1_dwi", "sub-1/anat/sub-1_FLAIR"]),
        ("study/anna/msk", ["study/bert/T1"]),
        ("rome/day1/p1_msk", ["oslo/day1/p1"]),
    ],
)
def test_a_mask_whose_words_differ_is_a_stray_and_no_scan(mask, images):
    found = pairing.pair([f"{name}.nii" for name in (*images, mask)])
    assert (found.images, found.masks) == (tuple(f"{name}.nii" for name in images), {})
    (stray,) = found.strays
    assert stray.path == f"{mask}.nii"
    assert stray.reason.startswith(pairing.STRAY)
    assert stray.remedy


@pytest.mark.parametrize("name", ["x_masked", "unlabeled_3", "T1", "segovia_hospital_1", "patients_with_masks/p1"])
def test_scans_are_scans(name):
    assert pairing.pair([f"{name}.nii"]).images == (f"{name}.nii",)


def test_folders_of_label_maps_by_name():
    assert all(map(label_folders.is_label_folder, ("labels", "labelsTr", "GT", "Segmentation", "manual_masks")))
    assert label_folders.is_label_folder("t1_labels", {"t1"})
    assert not any(map(label_folders.is_label_folder, ("T1", "no_masks", "label0", "segmented_by_hand", "images")))


def test_several_masks_are_named_with_what_chooses_each():
    names = ["a.nii", "a_gt.nii", "a_auto_seg.nii"]
    with pytest.raises(InputError, match="2 label maps") as error:
        pairing.pair(names)
    flags = re.findall(r"--mask_suffix=(\S+) for ([^,]+?)[,.]?(?= |$)", str(error.value))
    assert len(flags) == 2
    for ending, path in flags:
        found = pairing.pair(names, pairing.Rules((ending,)))
        assert found.masks == {"a.nii": path}
        assert len(found.unchosen) == 1


def test_masks_of_one_name_in_two_folders_are_chosen_by_folder(tmp_path):
    for name in ("img/a", "gt/a", "auto_labels/a"):
        path = tmp_path / f"{name}.npy"
        path.parent.mkdir()
        path.touch()
    with pytest.raises(InputError, match="2 label maps") as error:
        layouts.find(layouts.Request(str(tmp_path)))
    folders = re.findall(r"--mask_folder=(\S+) for (\S+?)[,.]?(?= |$)", str(error.value))
    assert sorted(path for _, path in folders) == ["auto_labels/a.npy", "gt/a.npy"]
    for folder, path in folders:
        found = layouts.find(layouts.Request(str(tmp_path), mask_folder=folder))
        assert [(item.path, item.mask) for item in found.items] == [("img/a.npy", path)]
        assert "label maps that are not chosen as masks: 1" in found.notes[0]


def test_one_mask_in_two_formats_is_that_of_the_images_own():
    found = pairing.pair(["a.nii.gz", "a_seg.nii.gz", "a_seg.npy"])
    assert found.masks == {"a.nii.gz": "a_seg.nii.gz"}
    assert [fault.path for fault in found.strays] == ["a_seg.npy"]


def test_an_ending_may_be_any_word_and_then_is_the_only_one():
    names = ["p1/ct.nii", "p1/organs.nii", "p1/lung_mask.nii"]
    found = pairing.pair(names, pairing.Rules(("organs",)))
    assert (found.images, found.masks) == (("p1/ct.nii",), {"p1/ct.nii": "p1/organs.nii"})
    assert found.unchosen == ("p1/lung_mask.nii",)
    nothing = pairing.pair(names[::2], pairing.Rules(()))
    assert (nothing.images, nothing.masks, nothing.unchosen) == (("p1/ct.nii",), {}, ("p1/lung_mask.nii",))


def test_the_folder_of_an_ending_may_be_called_as_it_likes():
    cases = {"training": "21", "test": "01"}  # of DRIVE
    images = {f"{split}/images/{n}_{split}": f"{split}/1st_manual/{n}_manual1" for split, n in cases.items()}
    masks = [f"{split}/mask/{n}_{split}_mask" for split, n in cases.items()]
    assert masks_of(*images, *images.values(), *masks, suffixes=("_manual1",)) == (images, [])
    assert masks_of("postop/7_x", "preop/7", suffixes=("_y",))[0] == {}


def test_of_two_words_with_one_ending_the_whole_word_is_chosen():
    names = [f"s/{name}.nii" for name in ("T1", "aparc+aseg", "aseg", "brain")]
    for ending in ("aseg", "aparc+aseg"):
        found = pairing.pair(names, pairing.Rules((ending,)))
        assert found.masks == {"s/T1.nii": f"s/{ending}.nii"}
        assert found.images == ("s/T1.nii", "s/brain.nii")


def test_label_maps_that_fit_no_scan_are_scans_where_the_user_says_so():
    found = pairing.pair(["GT_1.nii", "a.nii", "a_seg.nii"], pairing.Rules(strays_are_scans=True))
    assert (found.images, found.masks, found.strays) == (("GT_1.nii", "a.nii"), {"a.nii": "a_seg.nii"}, ())


def make(root, *names):
    """Empty files."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_label_maps_alone_are_refused(tmp_path):
    make(tmp_path, "labelsTr/a.nii", "labelsTr/b.nii", "x/a_seg.nii")
    for name in ("labelsTr", "x"):
        with pytest.raises(InputError, match=r"label maps by their names.*--label_maps=scans"):
            layouts.find(layouts.Request(str(tmp_path / name)))
        assert layouts.find(layouts.Request(str(tmp_path / name), label_maps="scans")).items


def test_a_mask_folder_that_pairs_a_part_says_how_many_and_shows_both_sides(tmp_path):
    make(tmp_path, "in/sub-01/T1.nii", "in/sub-02/T1.nii", "gold/sub-01/T1_lab.nii", "gold/sub-2/T1_lab.nii")
    asked = layouts.Request(str(tmp_path / "in"), mask_suffixes=("_lab",), mask_folder=str(tmp_path / "gold"))
    found = layouts.find(asked)
    assert [item.mask for item in found.items] == ["../gold/sub-01/T1_lab.nii", None]
    first = "without: sub-02/T1.nii; label maps that fit no scan: 1, the first ../gold/sub-2/T1_lab.nii."
    assert f"1 of 2 scans have a mask; {first}" in found.notes


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"mask_suffixes": ("_lab",)}, r"--mask_suffix=_lab gives none of 2 .* named as a\.nii, no file is named so"),
        ({"mask_folder": "gold"}, r"--mask_folder=.*gold gives none of 2 .* a\.nii, .* named as \.\./gold/c\.nii"),
        ({"mask_folder": "none"}, "is no folder"),
    ],
)
def test_a_flag_that_pairs_nothing_stops(tmp_path, changes, words):
    make(tmp_path, "in/a.nii", "in/b.nii", "gold/c.nii")
    changes = {key: str(tmp_path / value) if key == "mask_folder" else value for key, value in changes.items()}
    with pytest.raises(InputError, match=words):
        layouts.find(layouts.Request(str(tmp_path / "in"), **changes))


def test_masks_of_a_kind_that_is_not_read_are_told_as_that(tmp_path):
    make(tmp_path, "images/21_training.tif", "1st_manual/21_manual1.gif")
    for chosen in ({"mask_suffixes": ["_manual1"]}, {"mask_folder": str(tmp_path / "1st_manual")}):
        with pytest.raises(InputError, match=r"1 GIF named so are not read; convert them to one of \.nii\.gz"):
            layouts.find(layouts.Request(str(tmp_path), **chosen))


def test_flags_that_a_layout_does_not_heed_are_refused(tmp_path):
    (tmp_path / "t.csv").write_text("path\na.nii\n")
    with pytest.raises(InputError, match="--mask_suffix is for --layout=folder or bids, this input is csv"):
        layouts.find(layouts.Request(str(tmp_path), mask_suffixes=("_x",)))
    with pytest.raises(InputError, match="--allow_outside is for --layout=csv, this input is folder"):
        layouts.find(layouts.Request(str(make(tmp_path / "f", "a.nii")), allow_outside=True))


def test_a_table_may_name_files_anywhere_where_the_user_says_so(tmp_path):
    share = tmp_path / "share"
    for number in range(3):
        save(share / f"scans/p{number}.nii.gz", noise(number))
        save(share / f"gold/p{number}.nii.gz", noise(number) % 2)
    rows = [f"{share}/scans/p0.nii.gz,{share}/gold/p0.nii.gz", "../share/scans/p1.nii.gz,../share/gold/p1.nii.gz"]
    rows += [f"{share}/scans/p2.nii.gz,"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "t.csv").write_text("path,mask\n" + "\n".join(rows) + "\n")
    (tmp_path / "link").symlink_to(tmp_path / "mine" / "deep", target_is_directory=True)
    (tmp_path / "mine" / "deep").mkdir()
    with pytest.raises(InputError, match=r"not inside .*--allow_outside"):
        layouts.find(layouts.Request(str(tmp_path / "mine")))
    done = run(f"--input={tmp_path / 'mine'}", f"--output={tmp_path / 'out'}", "--allow_outside", "--workers=1")
    assert "3 examples, 2 with masks" in done.stdout
    assert "note: 2 of 3 scans have a mask; without: ../share/scans/p2.nii.gz." in done.stdout
    made = examples(tmp_path / "out")
    assert set(made) == {f"share/scans/p{number}" for number in range(3)}
    assert all(str(tmp_path) not in str(example.source) for example in made.values())
    (tmp_path / "link" / "t.csv").write_text(
        (tmp_path / "mine" / "t.csv").read_text().replace("../share", "../../share")
    )
    found = layouts.find(layouts.Request(str(tmp_path / "link"), allow_outside=True))
    assert all((found.root / name).is_file() for item in found.items for name in item.files)


def noise(seed, shape=(8, 9, 10)):
    return np.random.default_rng(seed).integers(0, 900, shape).astype(np.int16)


def save(path, values, affine=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4) if affine is None else affine), path)


@pytest.mark.parametrize(
    ("mask", "image"),
    [
        ("clinic1_gt/p7", "clinic2/p7"),
        ("wardA_masks/p7", "wardB/p7"),
        ("training_labels/7", "testing_images/7"),
        ("2019_seg/k", "2020/k"),
    ],
)
def test_folders_that_contradict_pair_nothing_and_are_named(mask, image):
    found = pairing.pair([f"{mask}.nii", f"{image}.nii"])
    assert (found.images, found.masks) == ((f"{image}.nii",), {})
    (stray,) = found.strays
    assert stray.reason.startswith(pairing.STRAY)
    assert all(repr(name.split("/")[0]) in stray.reason for name in (mask, image))
    assert "csv with columns path and mask" in stray.remedy


def test_one_name_in_two_splits_is_that_of_the_mask_s_own():
    names = ["train_pics/a", "test_pics/a", "train_masks/a", "test_masks/a"]
    assert masks_of(*names) == ({"test_pics/a": "test_masks/a", "train_pics/a": "train_masks/a"}, [])
    assert masks_of(*names[:3])[0] == {"train_pics/a": "train_masks/a"}


def test_a_mask_folder_of_other_cases_gives_none(tmp_path):
    make(tmp_path, "pics/K1/s.nii", "pics/K2/t.nii", "pics/Rome/u.nii")
    make(tmp_path, "gold/K8/s.nii", "gold/K2/t.nii", "gold/Oslo/u.nii")
    found = layouts.find(layouts.Request(str(tmp_path), mask_folder=str(tmp_path / "gold")))
    masks = {item.path: item.mask for item in found.items}
    assert masks == {"pics/K1/s.nii": None, "pics/K2/t.nii": "gold/K2/t.nii", "pics/Rome/u.nii": "gold/Oslo/u.nii"}
    assert [fault.path for fault in found.faults] == ["gold/K8/s.nii"]
    assert "'K8' and 'pics/K1' are not of one" in found.faults[0].reason
    assert "1 masks, such as gold/Oslo/u.nii of pics/Rome/u.nii, go by the names of files" in found.notes[0]


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        ("q_rh_label", "'rh' is one side"),
        ("q_seg_rater2", "'rater2' is one of several annotators"),
        ("q_gt_B", "'b' is one of several annotators"),
        ("q_cyst_seg", "'cyst' is one part"),
    ],
)
def test_masks_of_parts_and_people_are_told_as_what_they_are_and_the_flag_takes_them(mask, words):
    names = ["q.nii", f"{mask}.nii"]
    (stray,) = pairing.pair(names).strays
    assert words in stray.reason
    ending = re.search(r"--mask_suffix=(\S+) takes", stray.remedy)[1]
    assert pairing.pair(names, pairing.Rules((ending,))).masks == {"q.nii": f"{mask}.nii"}


@pytest.mark.parametrize(("kinds", "is_brats"), [(("t1", "flair"), True), (("t1", "pet"), False)])
def test_a_mask_of_several_scans_says_which_and_what_takes_them_together(kinds, is_brats):
    names = [f"case_1/case_1_{kind}.nii.gz" for kind in kinds]
    (stray,) = pairing.pair([*names, "case_1/case_1_seg.nii.gz"]).strays
    assert stray.reason.endswith("but fits no scan alone, as several are named so")  # the same of every case
    assert all(name in stray.remedy for name in names)
    assert stray.remedy.startswith("--layout=brats ") is is_brats


def test_folders_of_sides_are_chosen_by_folder():
    names = ["xray/p1.png", "hand_masks/left_mask/p1.png", "hand_masks/right_mask/p1.png"]
    with pytest.raises(InputError, match=r"2 label maps .*--mask_folder=hand_masks/left_mask for"):
        pairing.pair(names)


def test_a_second_mask_of_an_image_is_joined_with_its_first(tmp_path):
    whole, part = np.zeros((8, 9, 10), np.uint8), np.zeros((8, 9, 10), np.uint8)
    whole[:3], part[6:] = 1, 1
    for name in ("cyst (1)", "cyst (2)", "cyst (3)"):
        save(tmp_path / f"raw/{name}.nii.gz", noise(len(name)))
        save(tmp_path / f"raw/{name}_seg.nii.gz", whole)
    save(tmp_path / "raw/cyst (2)_seg_1.nii.gz", part)
    save(tmp_path / "raw/cyst (3)_seg_2.nii.gz", part * 2)
    done = run(f"--input={tmp_path / 'raw'}", f"--output={tmp_path / 'out'}", "--workers=1")
    said = "2 scans have several masks, such as cyst (2)_seg.nii.gz and cyst (2)_seg_1.nii.gz: together they are one"
    assert f"note: {said}, of one class." in done.stdout
    assert "hold 1, 2: not one class" in done.stdout
    made = examples(tmp_path / "out")
    assert {name: int(example.mask.sum()) for name, example in made.items()} == {"cyst (1)": 270, "cyst (2)": 450}
    assert list(made["cyst (2)"].source["further_masks"]) == ["cyst (2)_seg_1.nii.gz"]
    data = manifest.read(tmp_path / "out")
    listing = layouts.find(layouts.Request(str(tmp_path / "raw")))
    told = ["cyst (3).nii.gz"]
    assert list(sources.differences(tmp_path / "out", data, listing, told)) == []
    save(tmp_path / "raw/cyst (2)_seg_1.nii.gz", whole)
    assert ["has changed" in line for line in sources.differences(tmp_path / "out", data, listing, told)] == [True]
    one = run(f"--input={tmp_path / 'raw'}", f"--output={tmp_path / 'two'}", "--workers=1", "--mask_suffix=_seg")
    assert "label maps that are not chosen as masks: 2" in one.stdout
    assert manifest.read(tmp_path / "two").recipe["input"] != data.recipe["input"]


def make_bids(root, *names):
    """A BIDS folder of empty images and, under derivatives/, label maps; its listing."""
    root.mkdir(exist_ok=True)
    (root / "dataset_description.json").write_text("{}")
    for name in names:
        home = "" if name.endswith(("T1w", "FLAIR")) else "derivatives/hand/"
        make(root, f"{home}{name.split('_')[0]}/anat/{name}.nii.gz")
    return layouts.find(layouts.Request(str(root)))


def test_in_bids_every_entity_of_the_scan_agrees(tmp_path):
    scans = ["sub-1_acq-a_run-01_T1w", "sub-1_acq-a_run-2_T1w", "sub-1_acq-b_run-1_T1w", "sub-2_T1w"]
    found = make_bids(tmp_path, *scans, "sub-1_acq-a_run-1_desc-hand_dseg", "sub-1_dseg", "sub-2_space-T1w_dseg")
    masks = {item.id: item.mask and item.mask.split("/")[-1] for item in found.items}
    assert masks == {
        "sub-1_acq-a_run-01_T1w": "sub-1_acq-a_run-1_desc-hand_dseg.nii.gz",
        "sub-1_acq-a_run-2_T1w": None,
        "sub-1_acq-b_run-1_T1w": None,
        "sub-2_T1w": "sub-2_space-T1w_dseg.nii.gz",
    }
    assert [fault.path.split("/")[-1] for fault in found.faults] == ["sub-1_dseg.nii.gz"]
    assert "2 of 4 scans have a mask; without: sub-1/anat/sub-1_acq-a_run-2_T1w.nii.gz" in found.notes[-1]


def test_in_bids_several_masks_are_named_and_one_is_chosen(tmp_path):
    with pytest.raises(InputError, match="2 label maps") as error:
        make_bids(tmp_path, "sub-1_T1w", "sub-1_atlas-a_dseg", "sub-1_dseg", "sub-1_desc-brain_mask")
    flags = re.findall(r"--mask_suffix=(\S+) for (\S+?)[,.]?(?= |$)", str(error.value))
    assert len(flags) == 2
    for ending, path in [*flags, ("_desc-brain_mask", "derivatives/hand/sub-1/anat/sub-1_desc-brain_mask.nii.gz")]:
        (item,) = layouts.find(layouts.Request(str(tmp_path), mask_suffixes=(ending,))).items
        assert item.mask == path


def test_in_bids_pipelines_of_one_name_are_chosen_by_folder(tmp_path):
    make(tmp_path, "derivatives/auto/sub-1/anat/sub-1_dseg.nii.gz")
    with pytest.raises(InputError, match=r"--mask_folder=\S+/derivatives/auto for"):
        make_bids(tmp_path, "sub-1_T1w", "sub-1_dseg")
    (item,) = layouts.find(layouts.Request(str(tmp_path), mask_folder=str(tmp_path / "derivatives/auto"))).items
    assert item.mask == "derivatives/auto/sub-1/anat/sub-1_dseg.nii.gz"


def test_in_bids_label_maps_are_never_the_most_frequent_kind_of_image(tmp_path):
    make(tmp_path, *(f"sub-1/anat/sub-1_label-{name}_mask.nii.gz" for name in "abc"))
    found = make_bids(tmp_path, "sub-1_FLAIR")
    assert [item.id for item in found.items] == ["sub-1_FLAIR"]
    assert "other spaces and kinds left out: 3" in found.notes[0]


def test_strays_are_on_the_screen_and_in_the_summary(tmp_path):
    root = tmp_path / "raw"
    for case in ("a", "b"):
        save(root / f"imagesTr/{case}_0000.nii.gz", noise(ord(case)))
    for case in ("a", "lost"):
        save(root / f"labelsTr/{case}.nii.gz", noise(1) % 2)
    (root / "dataset.json").write_text('{"channel_names": {"0": "CT"}, "labels": {"background": 0, "organ": 1}}')
    said = "1 of 2 scans have a mask; without: imagesTr/b_0000.nii.gz; label maps that fit no scan: 1, the first"
    done = run(f"--input={root}", f"--output={tmp_path / 'out'}", "--workers=1")
    assert f"note: {said} labelsTr/lost.nii.gz." in done.stdout
    assert f"- {said} labelsTr/lost.nii.gz." in (tmp_path / "out" / "summary.md").read_text()
    cases = '[{"image": "imagesTr/a_0000.nii.gz", "label": "labelsTr/a.nii.gz"}, {"image": "imagesTr/b_0000.nii.gz"}]'
    (root / "dataset.json").write_text(f'{{"training": {cases}}}')
    found = layouts.find(layouts.Request(str(root), "msd"))
    assert found.notes == (f"{said} labelsTr/lost.nii.gz.",)


def test_many_files_are_paired_in_little_time():
    names = sorted(f"site/{kind}_{number}.nii" for kind in ("ct", "seg") for number in range(20_000))
    assert len(pairing.pair(names).masks) == 20_000


def test_t1_and_regions_of_dlmuse_become_scans_and_masks(tmp_path):
    affine = np.array([[0, 0, 1.0, -90], [-1.0, 0, 0, 90], [0, 1.0, 0, -90], [0, 0, 0, 1]])  # PSR
    values = np.array([0, 4, 11, 207])
    for number in range(5):
        save(tmp_path / f"raw/T1/s{number}.nii.gz", noise(number), affine)
        save(tmp_path / f"raw/labels/s{number}_DLMUSE.nii.gz", values[noise(number) % 4].astype(np.int16), affine)
    convert(tmp_path / "raw", tmp_path / "out")
    made, data = examples(tmp_path / "out"), manifest.read(tmp_path / "out")
    shown = table.text(table.summarise(tmp_path / "out", data))
    assert "classes: 0 background, 4 class 4, 11 class 11, 207 class 207" in shown
    assert set(made) == {f"T1/s{number}" for number in range(5)}
    for number in range(5):
        example = made[f"T1/s{number}"]
        assert example.source["orientation"] == "PSR"
        np.testing.assert_array_equal(example.mask, values[noise(number).transpose(2, 0, 1)[:, ::-1] % 4])


def test_a_label_map_apart_takes_no_scan_that_has_its_own_and_two_of_them_are_to_be_chosen_from():
    names = ["sub-1/sub-1_T1w", "sub-1/sub-1_seg", "derivatives/sub-1/sub-1_msk"]
    assert masks_of(*names) == ({names[0]: names[1]}, [names[2]])
    with pytest.raises(InputError, match=r"2 label maps .*--mask_folder=derivatives/a for"):
        masks_of(names[0], "derivatives/a/sub-1/sub-1_msk", "derivatives/b/sub-1/sub-1_msk")


def test_a_part_apart_is_told_with_the_ending_that_pairs_it(tmp_path):
    make(tmp_path, *(f"sub-{n}/dwi.nii" for n in range(3)), *(f"derivatives/sub-{n}/lesion-msk.nii" for n in range(3)))
    request = layouts.Request(str(tmp_path))
    (ending,) = {re.search(r"--mask_suffix=(\S+) takes", each.remedy)[1] for each in layouts.find(request).faults}
    found = layouts.find(request._replace(mask_suffixes=(ending,)))
    assert [item.mask for item in found.items] == [f"derivatives/sub-{n}/lesion-msk.nii" for n in range(3)]
    folder = request._replace(mask_folder=str(tmp_path / "derivatives"))
    with pytest.raises(InputError, match=r"gives none of 3 .* --mask_suffix=lesion-msk takes this one"):
        layouts.find(folder)
    assert layouts.find(folder._replace(mask_suffixes=(ending,))).items == found.items


def test_what_fits_nothing_is_told_with_a_table():
    (stray,) = pairing.pair(["a/ct_7.nii", "b/c_9_msk.nii"]).strays
    assert "csv with columns path and mask" in stray.remedy
    assert "--mask_" not in stray.remedy


def test_the_ending_tells_a_label_map_from_its_image():
    assert label_names.ending("ctv", "ct") == "ctv"
    assert label_names.ending("Pat7Roi", "Pat7") == "Roi"
    assert label_names.ending("p1_organs", "p1") == "_organs"
    assert label_names.ending("p1_organs", "p1_ct") == "_organs"
    assert label_names.ending("organs", "ct") == "organs"
