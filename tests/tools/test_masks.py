"""tools/checks/masks and masks_together: masks that are none, or that do not fit together, are told or refused."""

import io

import nibabel
import numpy as np
import pytest
from PIL import Image

from ssl3d_tf.data.places import place
from ssl3d_tf.errors import InputError
from tests.tools.converting import convert, examples, settings
from tools.checks import facts, masks_together
from tools.checks.findings import Case
from tools.checks.masks import Drawn
from tools.conversion import conversion
from tools.readers import files, layouts
from tools.readers.contract import UnusableFileError

SIZE = (22, 30)


def photo(seed, channels=(3,)):
    return np.random.default_rng(seed).integers(0, 256, (*SIZE, *channels)).astype(np.uint8)


def disc(seed, value=1):
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    return (value * ((rows - 10) ** 2 + (columns - 11 - seed) ** 2 < 40)).astype(np.uint8)


def save(path, values, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    (values if isinstance(values, Image.Image) else Image.fromarray(values)).save(path, **options)
    return path


def converted(root, draw, count=6, chosen=None):
    """Photographs with the masks that `draw` makes -> what was found of them, and the summary."""
    for number in range(count):
        save(root / f"raw/pictures/{number}.png", photo(number))
        save(root / f"raw/masks/{number}.png", draw(number))
    return convert(root / "raw", place(str(root / "out")), chosen)


def words(made):
    return {finding.word: finding.what for finding in made.found}


def with_palette(seed, *colours):
    picture = Image.fromarray(disc(seed))
    picture.putpalette([*(0, 0, 0), *colours])
    return picture


def test_palettes_that_differ_are_a_warning_and_equal_ones_none(tmp_path):
    made = converted(tmp_path / "a", lambda n: with_palette(n, 200, 10, 10) if n % 2 else with_palette(n, 10, 10, 200))
    assert words(made)["palettes"].startswith("mask value 1 is of colour #")
    assert all(colour in words(made)["palettes"] for colour in ("#c80a0a", "#0a0ac8"))
    assert "palettes" not in words(converted(tmp_path / "b", lambda n: with_palette(n, 200, 10, 10)))


@pytest.mark.parametrize("white", [255, 65535])
def test_one_region_that_is_one_or_white_is_a_warning_whose_flag_mends_it(tmp_path, white):
    def drawn(number):
        values = disc(number).astype(np.uint16 if white > 255 else np.uint8)
        return values * (white if number > 3 else 1)

    made = converted(tmp_path, drawn)
    assert words(made)["mixed masks"].startswith(f"the one region of masks is 1 in 4, {white} in 2")
    assert f"--relabel={white}:1 " in words(made)["mixed masks"]
    again = convert(tmp_path / "raw", place(str(tmp_path / "mended")), settings(relabel=((white, 1),)))
    assert "mixed masks" not in words(again)
    assert list(again.data.classes) == ["0", "1"]


def test_classes_of_one_file_each_are_no_mixture(tmp_path):
    assert "mixed masks" not in words(converted(tmp_path, lambda number: disc(number, 1 + number % 3)))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("under", [0, 255])
def test_labels_in_an_alpha_channel_are_refused(tmp_path, mode, under):
    alpha = disc(2, 255)
    channels = [np.full(SIZE, under, np.uint8)] * (len(mode) - 1)
    path = save(tmp_path / "m.png", np.stack([*channels, alpha], -1))
    with pytest.raises(UnusableFileError, match=r"its labels are in its alpha channel.*store them without alpha"):
        files.read_mask(path)


def test_an_alpha_channel_that_shows_the_labels_is_none_to_refuse(tmp_path):
    labels = disc(1, 255)
    path = save(tmp_path / "m.png", np.stack([labels] * 4, -1))
    np.testing.assert_array_equal(files.read_mask(path).voxels[..., 0], labels)
    hidden = np.stack([labels] * 3 + [255 - labels], -1)
    with pytest.raises(UnusableFileError, match="or hidden by it"):
        files.read_mask(save(tmp_path / "n.png", hidden))


def test_a_mask_that_jpeg_has_blurred_is_refused_and_one_that_it_kept_is_not(tmp_path):
    with pytest.raises(UnusableFileError, match=r"JPEG of \d+ grey levels: lossy .*store it as PNG"):
        files.read_mask(save(tmp_path / "m.jpg", disc(0, 255), quality=80))
    blocks = np.kron(np.array([[0, 255], [255, 0]], np.uint8), np.ones((8, 8), np.uint8))
    assert set(np.unique(files.read_mask(save(tmp_path / "k.jpg", blocks, quality=95)).voxels)) == {0, 255}


def test_a_scan_copied_over_its_mask_is_set_aside(tmp_path):
    made = converted(tmp_path, lambda number: photo(number)[..., 0] if number == 4 else disc(number))
    assert "grey mask" in words(made)  # of another picture than its own, it may be a map of probabilities
    root = tmp_path / "grey"
    for number in range(4):
        save(root / f"pictures/{number}.png", photo(number, ()))
        save(root / f"masks/{number}.png", photo(number, ()) if number == 1 else disc(number))
    (fault,) = convert(root, place(str(tmp_path / "second"))).faults
    assert (fault.path, fault.reason) == ("pictures/1.png", "its mask has the voxels of the scan itself")


def test_probabilities_in_bytes_are_a_warning(tmp_path):
    def soft(number):
        return (disc(number) * np.random.default_rng(number).random(SIZE) * 200).astype(np.uint8)

    assert words(converted(tmp_path, soft))["grey mask"].endswith("values that lie scattered, in no regions")


def test_probabilities_are_told_as_masks_and_among_scans(tmp_path):
    with pytest.raises(UnusableFileError, match=r"threshold it, at 0\.5 say: it may be a map of probabilities"):
        files.as_labels(disc(0)[..., None] * np.float32(0.8), "m")
    for number in range(4):
        scan(tmp_path / f"raw/{'k' * (number + 1)}.nii", (9, 10, 11), (1, 1, 1, 1))
        share = np.random.default_rng(number).random((9, 10, 11), np.float32)
        nibabel.save(nibabel.Nifti1Image(share, np.eye(4)), tmp_path / f"raw/grey{number}.nii")
    found = convert(tmp_path / "raw", place(str(tmp_path / "out"))).found
    assert [one.id for one in found if one.word == "range"] == [f"grey{number}" for number in range(4)]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"relabel": ((7, 2), (1, 3))}, "--relabel=7:2 changes nothing: no mask has 7"),
        ({"ignore": 9}, "no voxel of a mask has 9, the label to ignore"),
        ({"relabel": ((1, 9),), "ignore": 9}, "1 becomes 9, which is ignored"),
    ],
)
def test_flags_that_reach_no_mask_are_told(tmp_path, asked, said):
    ignore = asked.pop("ignore", None)
    made = converted(tmp_path, disc, chosen=settings(**asked)._replace(ignore_label=ignore))
    whole = [finding.what for finding in made.found if finding.id == "(all)"]
    assert any(what.startswith(said) for what in whole), whole
    assert said in (tmp_path / "out" / "summary.md").read_text()


def test_flags_that_reach_one_are_not(tmp_path):
    made = converted(tmp_path, lambda n: disc(n, 5 if n == 3 else 1), chosen=settings()._replace(ignore_label=5))
    assert not {"unused", "ignored"} & set(words(made))


def case(split, name, has_mask):
    counts = {"0": 90, "1": 20} if has_mask else None
    return Case(split, facts.Facts(name, name, (4, 4), None, None, 0, 1, (), 0.5, counts, drawn=Drawn()))


@pytest.mark.parametrize(("train", "test", "is_told"), [(2, 9, True), (9, 5, False), (7, 1, False)])
def test_masks_that_lie_in_one_split_are_told(train, test, is_told):
    cases = [case("train", f"a{n}", n < train) for n in range(40)] + [
        case("test", f"b{n}", n < test) for n in range(10)
    ]
    told = [what for word, what in masks_together.find(cases, relabel=(), ignore=None) if word == "uneven masks"]
    assert told == ([f"train has few of the masks: {train} of 40 in train, {test} of 10 in test"] if is_told else [])


def scan(path, shape, size_mm, unit="mm"):
    image = nibabel.Nifti1Image(
        np.random.default_rng(len(path.name)).integers(0, 99, shape, np.int16), np.diag(size_mm)
    )
    image.header.set_xyzt_units(unit)
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(image, path)


def test_a_scan_of_which_resampling_leaves_one_voxel_is_set_aside_and_a_flat_one_told(tmp_path):
    for name, unit in (("a", "mm"), ("bb", "micron"), ("ccc", "mm")):
        scan(tmp_path / f"raw/{name}.nii", (12, 14, 16), (2, 2, 2, 1), unit)
    scan(tmp_path / "raw/dddd.nii", (12, 14, 16), (2, 2, 0.1, 1))
    made = convert(tmp_path / "raw", place(str(tmp_path / "out")), settings(spacing_mm=(3.0,)))
    (fault,) = made.faults
    assert (fault.path, fault.reason) == (
        "bb.nii",
        "--spacing_mm=3 makes one voxel of all of it: 12 × 14 × 16 voxels of 0.002 × 0.002 × 0.002 mm",
    )
    assert "its unit in the header" in fault.remedy
    assert [(one.id, one.what) for one in made.found if one.word == "flat"] == [
        ("dddd", "12 × 14 × 16 voxels became 8 × 9 × 1")
    ]


def test_photographs_whose_grey_masks_outnumber_them_stop_and_both_flags_go_on(tmp_path):
    for number in range(5):
        save(tmp_path / f"raw/eye{number}.png", photo(number))
        for reader in ("1stAB", "2ndCD"):
            save(tmp_path / f"raw/eye{number}_{reader}.png", disc(number + (reader == "2ndCD"), 255))
    with pytest.raises(InputError, match=r"eye1_1stAB.* a label map of eye1\.png, .*--mask_suffix=_1stAB if"):
        convert(tmp_path / "raw", place(str(tmp_path / "out")))
    assert not (tmp_path / "out").exists()
    chosen = layouts.Request(str(tmp_path / "raw"), mask_suffixes=("_1stAB",))
    conversion.convert(chosen, place(str(tmp_path / "masks")), settings())
    assert [example.mask is not None for example in examples(tmp_path / "masks").values()] == [True] * 5
    conversion.convert(chosen._replace(label_maps="scans"), place(str(tmp_path / "scans")), settings())
    assert len(examples(tmp_path / "scans")) == 5


def test_masks_fewer_than_their_photographs_and_soft_ones_stop_too(tmp_path):
    for number in range(6):
        save(tmp_path / f"a/skin{number}.png", photo(number))
    blurred = io.BytesIO()
    Image.fromarray(disc(3, 255)).save(blurred, "JPEG", quality=75)
    (tmp_path / "a/skin3.jpg").write_bytes(blurred.getvalue())
    with pytest.raises(InputError, match=r"skin3\.jpg looks like a label map of skin3\.png"):
        convert(tmp_path / "a", place(str(tmp_path / "out")))
    for number in range(6):
        save(tmp_path / f"b/gland{number}.png", photo(number, ()))
        Image.open(blurred).save(tmp_path / f"b/gland{number}_umriss.jpg", quality=75)
    with pytest.raises(InputError, match=r"_umriss\.jpg looks like a label map of .*--mask_suffix=_umriss"):
        convert(tmp_path / "b", place(str(tmp_path / "out")))


def test_photographs_of_two_kinds_are_no_label_maps(tmp_path):
    for number in range(4):
        save(tmp_path / f"raw/colour{number}.png", photo(number))
        save(tmp_path / f"raw/grey{number}_flash.png", photo(number, ()))
    assert len(examples_of(tmp_path)) == 4


def examples_of(root):
    convert(root / "raw", place(str(root / "out")))
    return examples(root / "out")


def test_label_maps_among_the_scans_of_a_table_stop_until_it_says_what_they_are(tmp_path):
    rows = []
    for number in range(4):
        for kind, values in (("xr", photo(number, ())), ("lung", disc(number))):
            save(tmp_path / f"raw/{kind}/k{number}.png", values)
            rows.append(f"{kind}/k{number}.png")
    (tmp_path / "raw/all.csv").write_text("path\n" + "\n".join(rows) + "\n")
    with pytest.raises(InputError, match=r"lung/k.\.png looks like .*add a column mask that names it in the row"):
        convert(tmp_path / "raw", place(str(tmp_path / "out")))
    (tmp_path / "raw/all.csv").write_text("path,mask\n" + "".join(f"xr/k{n}.png,lung/k{n}.png\n" for n in range(4)))
    assert all(example.mask is not None for example in examples_of(tmp_path).values())
