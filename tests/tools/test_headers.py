"""What NIfTI headers and names say of size, place and kind, and what becomes of it where they say nothing."""

import gzip
import json
import shutil
import struct

import nibabel
import numpy as np
import pytest

from tests.tools.converting import convert, examples, settings
from tools.prepare import packing
from tools.readers import files, items, nifti
from tools.readers.contract import Item, Reading, UnusableFileError

LPS = np.array([[-0.9, 0, 0, 80.0], [0, -0.9, 0, 95], [0, 0, 3, -210], [0, 0, 0, 1]])


def counted(shape=(6, 7, 5), dtype=np.int16):
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def save(path, voxels=None, affine=LPS, *, unit=None, pixdim=None, codes=None, kind=nibabel.Nifti1Image):
    """An image whose header is then changed where it stands. codes: of qform and sform."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = kind(counted() if voxels is None else voxels, affine)
    if unit is not None:
        image.header.set_xyzt_units(unit)
    data = bytearray(image.to_bytes())
    is_first = kind is nibabel.Nifti1Image
    if pixdim is not None:
        struct.pack_into("<3f" if is_first else "<3d", data, 80 if is_first else 112, *pixdim)
    if codes is not None:
        struct.pack_into("<2h" if is_first else "<2i", data, 252 if is_first else 344, *codes)
    path.write_bytes(gzip.compress(data) if path.name.lower().endswith(".gz") else data)
    return path


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize(("unit", "factor"), [("meter", 1e-3), ("micron", 1e3), ("mm", 1), ("unknown", 1)])
def test_units_become_mm(tmp_path, kind, unit, factor):
    scaled = np.diag([factor, factor, factor, 1]) @ LPS
    read = files.read(save(tmp_path / "a.nii.gz", affine=scaled, unit=unit, kind=kind))
    np.testing.assert_allclose(read.spacing_mm, (0.9, 0.9, 3), rtol=1e-6)
    np.testing.assert_allclose(read.origin["affine"], LPS, rtol=1e-5)
    assert read.origin.get("unit") == {"meter": "metre", "micron": "micron"}.get(unit)


def test_units_are_told(tmp_path, capsys):
    for number in range(3):
        save(tmp_path / "raw" / f"s{number}.nii", counted() + number, LPS * [[1e3], [1e3], [1e3], [1]], unit="micron")
    convert(tmp_path / "raw", tmp_path / "out", settings(spacing_mm=(3.0,)))
    for said in (capsys.readouterr().out, (tmp_path / "out" / "summary.md").read_text()):
        assert "sizes and places are in micron" in said
        assert "s0" in said
    assert {example.volume.shape for example in examples(tmp_path / "out").values()} == {(2, 2, 5, 1)}


IMPOSSIBLE = [(0, 0, 0), (0.9, 0.9, 0), (0.9, -0.9, 3), (0.9, 0.9, 500), (1e-4, 1e-4, 1e-4), (2, np.nan, 2)]


@pytest.mark.parametrize("pixdim", IMPOSSIBLE)
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_without_form_codes_an_impossible_size_is_not_known(tmp_path, pixdim, kind):
    path = save(tmp_path / "a.nii", pixdim=pixdim, codes=(0, 0), kind=kind)
    read = files.read(path)
    assert (read.has_spacing, read.spacing_mm) == (False, (1, 1, 1))
    assert "does not say how large" in files.probe(path).notes[0]
    assert f"{pixdim[2]:g}" in files.probe(path).notes[0]


def test_without_form_codes_a_possible_size_is_known_and_the_orientation_said_to_be_assumed(tmp_path):
    path = save(tmp_path / "a.nii", pixdim=(0.9, 0.9, 3), codes=(0, 0))
    read = files.read(path)
    np.testing.assert_allclose(read.spacing_mm, (0.9, 0.9, 3))
    assert (read.has_spacing, read.origin["form"]) == (True, "none")
    assert "orientation was taken for LAS" in files.probe(path).notes[0]


def test_a_size_of_zero_is_unknown_although_the_directions_are(tmp_path):
    read = files.read(save(tmp_path / "a.nii", affine=np.diag([-2.0, -2, 2, 1]), pixdim=(2, 2, 0), codes=(1, 0)))
    assert (read.has_spacing, read.origin["orientation"]) == (False, "LPS")
    flat = files.read(save(tmp_path / "b.nii", counted((6, 7, 1)), pixdim=(2, 2, 0), codes=(1, 0)))
    assert flat.has_spacing  # the size of a single slice does not matter


def test_nan_is_named_as_such(tmp_path):
    path = save(tmp_path / "a.nii", pixdim=(2, 2, np.nan), codes=(1, 0))
    with pytest.raises(UnusableFileError, match="affine holds NaN or infinity: pixdim is 2 × 2 × nan"):
        files.probe(path)
    rows = bytearray(path.read_bytes())
    struct.pack_into("<2h", rows, 252, 0, 2)
    struct.pack_into("<4f", rows, 280, 1, np.nan, 0, 0)
    path.write_bytes(rows)
    with pytest.raises(UnusableFileError, match=r"affine holds NaN or infinity: \[\["):
        files.read(path)


def test_an_unknown_size_cannot_be_resampled_and_the_rest_goes_on(tmp_path):
    save(tmp_path / "raw" / "bad.nii", pixdim=(0, 0, 0), codes=(0, 0))
    save(tmp_path / "raw" / "good.nii", counted() + 1)
    done = convert(tmp_path / "raw", tmp_path / "out", settings(spacing_mm=(2.0,)))
    assert [(fault.path, "no voxel size" in fault.reason) for fault in done.faults] == [("bad.nii", True)]


@pytest.mark.parametrize(
    "options", [{"spacing_mm": (0.5,)}, {"shape": (900, 900, 900)}, {"shape": (100_000, 2, 2)}, {"square": True}]
)
def test_what_would_become_too_large_is_set_aside_before_memory_is_taken(tmp_path, options):
    shape = (6, 2, 400) if "square" in options else (20, 21, 22)
    save(tmp_path / "raw" / "bad.nii.gz", counted(shape), np.diag([150.0, 150, 150, 1]))
    if "shape" not in options:
        save(tmp_path / "raw" / "good.nii.gz", counted((5, 6, 7)), np.diag([1.0, 1, 1, 1]))
        done = convert(tmp_path / "raw", tmp_path / "out", settings(max_bytes=10**6, **options))
        assert [(fault.path, "more than --max_gb=0.001" in fault.reason) for fault in done.faults] == [
            ("bad.nii.gz", 1)
        ]
        return
    volume = files.read(tmp_path / "raw" / "bad.nii.gz")
    chosen = packing.Options(max_bytes=10**6, **options)
    with pytest.raises(UnusableFileError, match="--shape makes"):
        packing.pack(tmp_path / "raw", Item("bad", "bad.nii.gz", "bad"), volume, None, options=chosen, found=())


@pytest.mark.parametrize("reader", ["read", "read_mask"])
def test_memory_that_runs_out_is_one_files_fault(tmp_path, monkeypatch, reader):
    for number in range(3):
        save(tmp_path / "raw" / f"c{number}.nii", counted() + number)
        save(tmp_path / "raw" / f"c{number}_mask.nii", counted(dtype=np.uint8) % 2)
    read = files.nifti.read

    def short_of_memory(path, *arguments, **named):
        if path.name.startswith("c1") and ("mask" in path.name) == (reader == "read_mask"):
            raise MemoryError("Unable to allocate 11.0 GiB")
        return read(path, *arguments, **named)

    monkeypatch.setattr(files.nifti, "read", short_of_memory)
    done = convert(tmp_path / "raw", tmp_path / "out")
    assert [fault.path for fault in done.faults] == ["c1.nii"]
    assert "memory ran out" in done.faults[0].reason
    assert "11.0 GiB" in done.faults[0].reason
    assert len(examples(tmp_path / "out")) == 2


def mask_of(tmp_path, how=None, **header):
    """Image and mask of one scan, as loaded; the mask of other `header`, its 1 at the image's largest value."""
    voxels = counted()
    save(tmp_path / "a.nii.gz", voxels)
    save(tmp_path / "m.nii.gz", (voxels == voxels.max()).astype(np.uint8), **header)
    return items.load(tmp_path, Item("a", "a.nii.gz", "a", mask="m.nii.gz"), how=how or Reading())


MOVED, TURNED, LARGER = LPS.copy(), LPS @ np.diag([1, -1, 1, 1]), LPS @ np.diag([1.0, 1, 1.5, 1])
MOVED[:3, 3] += (0, 12.5, 0)
TILTED = LPS.copy()
TILTED[:3, :3] = [[np.cos(0.2), -np.sin(0.2), 0], [np.sin(0.2), np.cos(0.2), 0], [0, 0, 1]] @ LPS[:3, :3]


@pytest.mark.parametrize(
    ("header", "what"),
    [
        ({"affine": MOVED}, r"origin 0 × 12\.5 × 0 mm away, corners up to 12\.5 mm"),
        ({"affine": TURNED}, "orientation LAS, the image has LPS"),
        ({"affine": LARGER}, r"spacing 0\.9 × 0\.9 × 4\.5 mm, the image has 0\.9 × 0\.9 × 3 mm"),
        ({"affine": TILTED}, r"directions 11\.5° apart"),
        ({"affine": np.eye(4)}, "orientation RAS, the image has LPS, spacing 1 × 1 × 1 mm"),
        ({"codes": (0, 0)}, "the mask has no form codes"),
        ({"pixdim": (0, 0, 0), "codes": (0, 0)}, "header of the mask gives no size"),
    ],
)
def test_in_what_a_mask_differs_is_named_and_can_be_accepted(tmp_path, header, what):
    with pytest.raises(UnusableFileError, match=f"lies on another grid: .*{what}.*--mask_grid=image"):
        mask_of(tmp_path, **header)
    volume, mask = mask_of(tmp_path, Reading(mask_grid="image"), **header)
    assert (mask.voxels == (volume.voxels == volume.voxels.max())).all()


def test_a_tiny_turn_is_the_same_grid(tmp_path):
    tilted = LPS.copy()
    tilted[:3, :3] = [[1, -3e-4, 0], [3e-4, 1, 0], [0, 0, 1]] @ LPS[:3, :3]
    volume, mask = mask_of(tmp_path, affine=tilted)
    assert (mask.voxels == (volume.voxels == volume.voxels.max())).all()


def test_a_mask_of_another_shape_is_never_accepted(tmp_path):
    save(tmp_path / "a.nii.gz")
    save(tmp_path / "m.nii.gz", counted((6, 6, 5), np.uint8))
    item = Item("a", "a.nii.gz", "a", mask="m.nii.gz")
    for how in (Reading(), Reading(mask_grid="image")):
        with pytest.raises(UnusableFileError, match="shape 6 × 6 × 5, the image has 6 × 7 × 5; resample the mask"):
            items.load(tmp_path, item, how=how)


def test_a_mask_without_a_place_is_not_laid_on_a_turned_image_in_silence(tmp_path):
    voxels = counted()
    save(tmp_path / "a.nii.gz", voxels)
    np.save(tmp_path / "m.npy", voxels == voxels.max())
    item = Item("a", "a.nii.gz", "a", mask="m.npy")
    with pytest.raises(UnusableFileError, match="the mask is of a format that does not say where it lies"):
        items.load(tmp_path, item)
    volume, mask = items.load(tmp_path, item, how=Reading(mask_grid="image"))
    assert (mask.voxels == (volume.voxels == volume.voxels.max())).all()


@pytest.mark.parametrize(
    ("name", "made_as"),
    [("A.NII.GZ", ".nii.gz"), ("A.Nii", ".nii"), ("a.nii.gz", ".nii"), ("a.nii", ".nii.gz"), ("a.Nii.gz", ".nii.gz")],
)
def test_a_nifti_is_read_whatever_its_name_says(tmp_path, name, made_as):
    for kind in (nibabel.Nifti1Image, nibabel.Nifti2Image):
        shutil.move(save(tmp_path / f"made{made_as}", kind=kind), tmp_path / name)
        assert files.probe(tmp_path / name).kind == (3, 1)
        np.testing.assert_array_equal(files.read(tmp_path / name).voxels[..., 0], counted()[::-1, ::-1])


@pytest.mark.parametrize("spelt", [str, str.upper])
@pytest.mark.parametrize("packed", ["", ".gz"])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Pair, nibabel.Spm99AnalyzeImage])
def test_pairs_are_read_compressed_and_in_capitals(tmp_path, spelt, packed, kind):
    (tmp_path / "raw").mkdir()
    nibabel.save(kind(counted(), np.diag([-1.0, 1, 1, 1])), tmp_path / "old.img")
    for suffix in (".hdr", ".img"):
        data = (tmp_path / f"old{suffix}").read_bytes()
        (tmp_path / "raw" / spelt(f"old{suffix}{packed}")).write_bytes(gzip.compress(data) if packed else data)
    convert(tmp_path / "raw", tmp_path / "out", settings(how="none"))
    (made,) = examples(tmp_path / "out").values()
    assert made.id == spelt("old")
    np.testing.assert_array_equal(made.volume[..., 0], counted()[::-1])


def test_what_a_mac_leaves_behind_is_not_listed(tmp_path):
    save(tmp_path / "raw" / "a b" / "scän (1).nii.gz")
    for name in ("._scän (1).nii.gz", "__MACOSX/._x.nii", ".DS_Store"):
        path = tmp_path / "raw" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"\0\5\x16\7" * 9)
    done = convert(tmp_path / "raw", tmp_path / "out")
    assert (list(examples(tmp_path / "out")), done.faults) == (["a b/scän (1)"], ())


@pytest.mark.parametrize("nan", ["min", "0"])
def test_nan_is_filled_on_request_and_counted(tmp_path, nan):
    voxels = counted((6, 7, 5, 2), np.float32) + 50
    voxels[:2, 0] = np.nan
    save(tmp_path / "raw" / "a.nii.gz", voxels, np.diag([1.0, 1, 1, 1]))
    with pytest.raises(Exception, match="20 of 420 voxels are NaN or infinite; --nan=min or --nan=0"):
        convert(tmp_path / "raw", tmp_path / "none")
    convert(tmp_path / "raw", tmp_path / "out", settings(how="none", reading=Reading(nan=nan)))
    (made,) = examples(tmp_path / "out").values()
    filled = np.nanmin(voxels, axis=(0, 1, 2)) if nan == "min" else [0, 0]
    np.testing.assert_array_equal(made.volume, np.where(np.isnan(voxels), filled, voxels))
    assert f"| NaN was filled, --nan={nan} | 1 | a | 20 |" in (tmp_path / "out" / "summary.md").read_text()
    assert made.source["notes"] == {f"NaN was filled, --nan={nan}": 20}
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["recipe"]["nan"] == nan


def test_infinity_and_nothing_but_nan_are_not_filled(tmp_path):
    for value, reason in ((np.inf, "1 of them infinite"), (np.nan, "are NaN or infinite; --nan")):
        voxels = np.full((3, 4, 5), value, np.float32)
        voxels[1:] = 1 if value == np.inf else value
        voxels[0, 1:] = voxels[1, 1:]
        voxels[0, 0, 1:] = voxels[1, 0, 1:]
        path = save(tmp_path / "a.nii", voxels)
        with pytest.raises(UnusableFileError, match=reason):
            files.read(path, how=Reading(nan="min"))


def test_labels_are_rounded_as_far_as_storing_them_moves_them(tmp_path):
    labels = counted((4, 5, 6)) % 7
    for factor in (1 + 2e-8, 1 - 1e-4, 1 + 1.4e-4):
        mask = files.read_mask(save(tmp_path / "m.nii", (labels * factor).astype(np.float32), np.eye(4)))
        np.testing.assert_array_equal(mask.voxels[..., 0], labels)
        assert mask.voxels.dtype == np.uint8
    labels = labels // 3 * 5 % 10  # of two values, which scaling to 255 steps keeps
    image = nibabel.Nifti1Image(labels.astype(float), np.eye(4))
    image.set_data_dtype(np.uint8)
    nibabel.save(image, tmp_path / "scaled.nii.gz")
    np.testing.assert_array_equal(files.read_mask(tmp_path / "scaled.nii.gz").voxels[..., 0], labels)
    with pytest.raises(UnusableFileError, match=r"holds 4\.95, which is not whole to 0\.001"):
        files.read_mask(save(tmp_path / "m.nii", (labels * 0.99).astype(np.float32), np.eye(4)))


@pytest.mark.parametrize(("shift", "is_told"), [(0.0, False), (0.05, False), (3.0, True)])
def test_two_affines_of_a_header_that_disagree_are_told(tmp_path, shift, is_told):
    image = nibabel.Nifti1Image(np.zeros((8, 9, 7), np.int16), np.diag([1.0, 1.0, 2.0, 1.0]))
    other = np.diag([1.0, 1.0, 2.0, 1.0])
    other[0, 3] += shift
    image.set_sform(image.affine, 1)
    image.set_qform(other, 1)
    nibabel.save(image, tmp_path / "a.nii")
    notes = nifti.probe(tmp_path / "a.nii").notes
    assert any("sform and qform" in note for note in notes) == is_told


@pytest.mark.parametrize(
    ("unit", "step", "shown"), [("sec", 2.5, "2.5 s"), ("msec", 700, "700 ms"), ("unknown", 3, "3 (no unit)")]
)
def test_a_fourth_axis_of_time_is_told(tmp_path, unit, step, shown):
    image = nibabel.Nifti1Image(counted((6, 7, 5, 4)), LPS)
    image.header.set_xyzt_units("mm", unit)
    image.header["pixdim"][4] = step
    nibabel.save(image, tmp_path / "bold.nii.gz")
    said = f"the fourth axis is time by its header, and was taken for channels, a step of {shown}: 4 channels"
    assert [note for note in files.probe(tmp_path / "bold.nii.gz").notes if note.startswith(said)]


@pytest.mark.parametrize(("shape", "step"), [((6, 7, 5, 1), 2), ((6, 7, 5, 4), 0), ((6, 7, 5, 4), 1)])
def test_one_moment_or_no_step_is_no_time(tmp_path, shape, step):
    image = nibabel.Nifti1Image(counted(shape), LPS)
    image.header["pixdim"][4] = step
    nibabel.save(image, tmp_path / "one.nii")
    assert not [note for note in files.probe(tmp_path / "one.nii").notes if "time" in note]
