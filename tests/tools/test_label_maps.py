"""Label maps that only their values give away: they stop the conversion, and both flags of its line work."""

import re
import shlex

import nibabel
import numpy as np
import pytest
from PIL import Image

from ssl3d_tf.data.places import place
from ssl3d_tf.errors import InputError
from tests.tools.converting import convert, examples, run, settings
from tools.checks import facts, label_maps
from tools.conversion import conversion, plan
from tools.readers import files, layouts
from tools.readers.contract import plain_volume
from tools.voxels import ranges, regions

SHAPE = (15, 16, 17)


def scan(seed, shape=SHAPE):
    return np.random.default_rng(seed).normal(0, 200, shape).astype(np.int16)


def organs(seed, shape=SHAPE):
    values = np.zeros(shape, np.uint8)
    values[3 + seed % 3 : 9, 2:9, 5:12] = 1
    values[5:7, 4:8, 6:9] = 2
    return values


def atlas(seed, shape=(24, 25, 26), count=148, top=207):
    """`count` regions around points, numbered with gaps, in a ball."""
    random = np.random.default_rng(seed)
    numbers = np.sort(random.choice(np.arange(1, top + 1), count, replace=False))
    points = random.random((count, 3)) * shape
    places = np.indices(shape).reshape(3, -1).T
    nearest = ((places[:, None] - points) ** 2).sum(-1).argmin(1)
    is_inside = (((places / shape - 0.5) / 0.45) ** 2).sum(-1) < 1
    return np.where(is_inside, numbers[nearest], 0).reshape(shape).astype(np.int16)


def looks_like_one(values):
    voxels = np.asarray(values)[..., None]
    return regions.is_label_map(voxels, ranges.of(voxels))


def smooth(scale):
    """A scan without noise: a slope in every direction."""
    grid = np.indices((24, 25, 26)).astype(float)
    return (scale * (2 + np.sin(grid[0] / 9) + np.cos(grid[1] / 7) * np.sin(grid[2] / 8))).astype(np.uint8)


@pytest.mark.parametrize(
    "values",
    [
        organs(0),
        organs(1).astype(np.float32),
        organs(2) * 255,
        atlas(0),
        atlas(1).astype(np.float64),
        np.random.default_rng(0).integers(0, 2, SHAPE),
        organs(0)[5],
        np.pad(np.ones((2, 2, 2), int), 40),
    ],
)
def test_label_maps_look_like_label_maps(values):
    assert looks_like_one(values)


@pytest.mark.parametrize(
    "values",
    [
        scan(0),
        np.maximum(scan(0), 0),
        (np.abs(scan(1)) % 256).astype(np.uint8),
        np.where(np.random.default_rng(0).random(SHAPE) < 0.9, 0, np.abs(scan(2)) // 8),
        organs(0) * 0.7,
        organs(0).astype(int) - 1,
        np.full(SHAPE, 7),
        smooth(20),
        smooth(60),
        np.where(scan(0)[0] > 150, 255, np.where(scan(0)[0] < -100, 0, np.abs(scan(0)[0]) % 256)),
        np.pad(np.abs(scan(3)) % 256, 20, constant_values=255),
    ],
)
def test_scans_do_not(values):
    assert not looks_like_one(values)


def test_facts_say_so_and_channels_are_no_labels():
    one = plain_volume(organs(0)[..., None])
    assert facts.measure("a", one, ranges.of(one.voxels)).is_label_map
    two = plain_volume(np.stack([organs(0)] * 2, -1))
    assert not facts.measure("a", two, ranges.of(two.voxels)).is_label_map


def save(path, values, affine=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(values, np.diag([1.0, 1, 2, 1]) if affine is None else affine), path)


def cases(root, scans, labels, *, names=range(4)):
    """A scan and its label map of each of `names`."""
    for number, name in enumerate(names):
        save(root / scans.format(name), scan(number))
        save(root / labels.format(name), organs(number))


APART = {
    "no word of label maps": ("p{0}/ct.nii.gz", "p{0}/drawn/heart.nii.gz"),
    "folders of kinds": ("p{0}/dicom/ct.nii.gz", "p{0}/out/heart.nii.gz"),
    "folders of names": ("orig/IMD00{0}.nii.gz", "expert/IMD00{0}_lesion.nii.gz"),
    "derivatives": (
        "sub-{0}/ses-1/dwi/sub-{0}_ses-1_dwi.nii.gz",
        "derivatives/sub-{0}/ses-1/sub-{0}_ses-1_core.nii.gz",
    ),
    "two flags": ("bilder/Fall{0}.nii.gz", "umrisse/Fall{0}_Umriss.nii.gz"),
    "one word": ("ct/Pat00{0}.nii.gz", "roi/Pat00{0}Roi.nii.gz"),
    "several readers": ("orig/IMD00{0}.nii.gz", "expert/IMD00{0}_lesion_1.nii.gz"),
}


@pytest.mark.parametrize("names", APART.values(), ids=APART)
def test_a_label_map_apart_from_its_scan_stops_and_its_flags_pair_all(tmp_path, names):
    cases(tmp_path / "raw", *names)
    request = layouts.Request(str(tmp_path / "raw"))
    with pytest.raises(InputError, match="looks like a label map of") as error:
        conversion.convert(request, place(str(tmp_path / "out")), settings())
    label, image, flags = re.match(r"(\S+) looks .* of (\S+), not .* add (.+) if such files", str(error.value)).groups()
    masks = {names[0].format(number): names[1].format(number) for number in range(4)}
    assert masks[image] == label
    given = dict(flag.removeprefix("--").split("=", 1) for flag in shlex.split(flags))
    folder, suffixes = given.get("mask_folder", ""), (given["mask_suffix"],) if "mask_suffix" in given else None
    found = layouts.find(request._replace(mask_suffixes=suffixes, mask_folder=folder))
    assert {item.path: item.mask for item in found.items} == masks


@pytest.mark.parametrize(
    "names",
    [("ct/{0}.nii.gz", "drawn/of {0}.nii.gz"), ("images/img{0}.nii.gz", "drawn/outline{0}.nii.gz")],
)
def test_names_without_a_flag_that_pairs_them_stop_with_a_table(tmp_path, names):
    cases(tmp_path / "raw", *names, names=["011", "012", "013"] if "img" in names[0] else ["anna", "bert", "carl"])
    with pytest.raises(InputError, match=r"add a csv with columns path and mask if"):
        convert(tmp_path / "raw", place(str(tmp_path / "out")))


def test_a_label_map_of_another_patient_is_none(tmp_path):
    for number in range(3):
        save(tmp_path / f"raw/study7/sub-{number}/T1.nii.gz", scan(number))
        save(tmp_path / f"raw/study7/drawn/sub-{number + 3}_shape.nii.gz", organs(number))
    convert(tmp_path / "raw", place(str(tmp_path / "out")))
    assert len(examples(tmp_path / "out")) == 6


PAIRS = {
    "case folders": ("p{0}/ct.nii.gz", "p{0}/organs.nii.gz"),
    "stems": ("p{0}.nii.gz", "p{0}_vessels.nii.gz"),
    "folders beside": ("anat/p{0}.nii.gz", "atlas/p{0}.nii.gz"),
    "blanks": ("p{0}.nii.gz", "p{0}_two organs.nii.gz"),
}


@pytest.mark.parametrize("names", PAIRS.values(), ids=PAIRS)
@pytest.mark.parametrize("jobs", [1, 2])
def test_what_looks_like_a_label_map_stops_and_both_flags_go_on(tmp_path, names, jobs):
    for number in range(4):
        save(tmp_path / "raw" / names[0].format(number), scan(number))
        save(tmp_path / "raw" / names[1].format(number), organs(number))
    command = (f"--input={tmp_path / 'raw'}", f"--output={tmp_path / 'out'}", "--records_per_shard=2")
    stopped = run(*command, f"--workers={jobs}")
    assert stopped.returncode == 1
    (line,) = [line for line in stopped.stderr.splitlines() if "looks like a label map of" in line]
    assert not (tmp_path / "out").exists()
    masks, scans = shlex.split(re.sub(r".* add (.+) if such files are masks, or (\S+) if .*", r"\1 \2", line))
    assert scans == "--label_maps=scans"
    assert run(*command, masks).returncode == 0
    made = examples(tmp_path / "out")
    assert len(made) == 4
    assert all(example.mask is not None and example.mask.max() == 2 for example in made.values())
    assert run(*command, scans, "--overwrite").returncode == 0
    assert [example.mask for example in examples(tmp_path / "out").values()] == [None] * 8


def test_phantoms_are_scans_though_all_files_are_called_by_what_was_imaged(tmp_path):
    cases(tmp_path / "raw", "patients/case {0}x/ct.nii.gz", "phantoms/ph{0}/ct.nii.gz", names=range(5))
    convert(tmp_path / "raw", place(str(tmp_path / "out")))
    assert len(examples(tmp_path / "out")) == 10


@pytest.mark.parametrize("kind", ["alone", "another grid", "elsewhere", "with masks"])
def test_shapes_alone_are_scans(tmp_path, kind):
    for number in range(3):
        save(tmp_path / f"raw/shapes/s{number}.nii.gz", organs(number))
        if kind == "with masks":
            save(tmp_path / f"raw/shapes/s{number}_mask.nii.gz", organs(number))
            save(tmp_path / f"raw/shapes/t{number}.nii.gz", scan(number))
        elif kind != "alone":
            where = "shapes" if kind == "another grid" else "scans"
            save(tmp_path / f"raw/{where}/t{number}.nii.gz", scan(number, (15, 16, 18 - (kind == "elsewhere"))))
    done = run(f"--input={tmp_path / 'raw'}", f"--output={tmp_path / 'out'}", "--workers=1")
    assert done.returncode == 0, done.stderr
    assert len(examples(tmp_path / "out")) == (3 if kind == "alone" else 6)


def test_what_is_seen_first_does_not_matter(tmp_path):
    for number in range(4):
        save(tmp_path / f"raw/p{number}/ct.nii.gz", scan(number))
        save(tmp_path / f"raw/p{number}/organs.nii.gz", organs(number))
    listing = layouts.find(layouts.Request(str(tmp_path / "raw")))
    seen = label_maps.nothing_seen(listing)
    measured = {item.id: measured_of(tmp_path / "raw" / item.path, item.id) for item in listing.items}
    label_maps.check(listing, seen, [measured[f"p{number}/organs"] for number in range(4)])
    with pytest.raises(InputError, match=r"p2/organs\.nii\.gz looks like a label map of p2/ct\.nii\.gz"):
        label_maps.check(listing, seen, [measured["p2/ct"]])


def measured_of(path, name):
    volume = files.read(path)
    return facts.measure(name, volume, ranges.of(volume.voxels))


def test_the_flag_fits_whichever_scan_was_read_first(tmp_path):
    for number in range(3):
        save(tmp_path / f"raw/p{number}.nii.gz", scan(number))
        save(tmp_path / f"raw/p{number}_two organs.nii.gz", organs(number))
    listing = layouts.find(layouts.Request(str(tmp_path / "raw")))
    measured = [measured_of(tmp_path / f"raw/{name}.nii.gz", name) for name in ("p0", "p2_two organs")]
    with pytest.raises(InputError, match="add --mask_suffix='_two organs' if such files are masks"):
        label_maps.check(listing, label_maps.nothing_seen(listing), measured)


def set_aside(root, **chosen):
    """What is advised of files that are set aside for their kind; image -> mask."""
    listing = layouts.find(layouts.Request(str(root), **chosen))
    found = [
        re.search(r"set aside, .* are label maps, add (.*)\.$", note) for note in plan.make(listing, settings()).notes
    ]
    return [match[1] for match in found if match], {item.path: item.mask for item in listing.items}


@pytest.mark.parametrize(
    ("scan", "field", "vessels"),
    [
        (
            "training/images/{n}_training.png",
            "training/mask/{n}_training_mask.png",
            "training/1st_manual/{n}_manual1.png",
        ),
        ("images/{n}_h.png", "mask/{n}_h_mask.png", "manual1/{n}_h.png"),
    ],
)
def test_flags_for_what_is_set_aside_were_tried(tmp_path, scan, field, vessels):
    root = tmp_path / "raw"
    for n in range(21, 27):
        random = np.random.default_rng(n)
        picture = random.integers(0, 255, (16, 16, 3)).astype(np.uint8)
        drawn = np.zeros((16, 16), np.uint8)
        drawn[n % 7 : 12, 3:9] = 255
        for form, values in ((scan, picture), (field, np.full_like(drawn, 255)), (vessels, drawn)):
            path = root / form.format(n=n)
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(values).save(path)
    (advised,), masks = set_aside(root)
    assert masks[scan.format(n=21)] == field.format(n=21)
    flag, _, value = shlex.split(advised)[0].removeprefix("--").partition("=")
    chosen = {"mask_suffixes": [value]} if flag == "mask_suffix" else {flag: value}
    assert set_aside(root, **chosen) == ([], {scan.format(n=n): vessels.format(n=n) for n in range(21, 27)})


def test_what_no_flag_pairs_is_told_with_a_table(tmp_path):
    root = tmp_path / "raw"
    for n in range(6):
        random = np.random.default_rng(n)
        (root / "x").mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 255, (16, 16, 3)).astype(np.uint8)).save(root / f"x/colour{n}.png")
        if n < 3:
            Image.fromarray(random.integers(0, 255, (16, 16)).astype(np.uint8)).save(root / f"x/grey{n + 40}.png")
    assert set_aside(root)[0] == [label_maps.TABLE]


def test_the_flag_for_one_kind_of_mask_goes_with_that_given_for_another(tmp_path):
    root = tmp_path / "raw"
    for case in range(3):  # as Prostate158 has them
        for kind, region, shape in (("t2", "anatomy", SHAPE), ("adc", "tumor", (12, 13, 14))):
            (root / f"{case:03d}").mkdir(parents=True, exist_ok=True)
            for name, values in ((kind, scan(case, shape)), (f"{kind}_{region}_reader1", organs(case, shape))):
                nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), root / f"{case:03d}/{name}.nii.gz")
    given = None
    for advised in (["_tumor_reader1"], ["_anatomy_reader1", "_tumor_reader1"]):
        with pytest.raises(InputError, match=f"add --mask_suffix={','.join(advised)} if such files are masks"):
            conversion.convert(layouts.Request(str(root), mask_suffixes=given), tmp_path / "out", settings())
        given = ["_anatomy_reader1"]
    found = layouts.find(layouts.Request(str(root), mask_suffixes=advised))
    assert {item.mask is not None for item in found.items} == {True}
    assert len(found.items) == 6
