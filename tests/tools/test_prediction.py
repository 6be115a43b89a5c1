"""tools/prediction: scans in and labels out, each on the axes of its own file."""

import nibabel
import numpy as np
import pytest

from ssl3d_tf.data.records import grids, manifest, reading
from ssl3d_tf.errors import InputError
from ssl3d_tf.evaluation import native
from tests.tools import converting
from tests.tools import dicom_files as made
from tests.tools.dicom_mask_files import write_seg
from tests.tools.test_dicom import oblique, sagittal, tilted
from tests.tools.test_dicom_masks import AXIAL, blobs, study
from tools.prediction import inputs, outputs, records
from tools.prepare import packing, recipe
from tools.prepare.intensity import Normalisation
from tools.readers import files, layouts, nifti_header
from tools.readers.contract import Kind, UnusableFileError

AS_READ = packing.Options(intensity=Normalisation("none"))


class Named:
    """A scan of that name and file."""

    def __init__(self, name, template=None):
        self.id, self.template = name, template


def find(root, kind=(3, 1), layout="auto"):
    return inputs.find(layouts.Request(str(root)), inputs.Prepared(AS_READ, Kind(*kind), layout))


def written(folder, scan):
    """The NIfTI file of where a scan is above 900."""
    example = scan.read()
    bright = (reading.intensities(example.volume, example)[..., 0] > 900).astype(np.uint16)
    assert bright.any()
    return nibabel.load(folder / outputs.labels(folder, scan, bright, example.source))


@pytest.mark.parametrize("affine", [oblique(), sagittal(), tilted()], ids=["oblique", "sagittal", "tilted"])
def test_labels_of_a_dicom_series_lie_on_its_slices(affine, tmp_path):
    voxels = np.random.default_rng(0).integers(-1000, 2000, (7, 6, 8)).astype(np.int16)
    made.write_series(tmp_path / "in", voxels, affine)
    (scan,), _ = find(tmp_path / "in")
    image = written(tmp_path, scan)
    np.testing.assert_array_equal(np.asarray(image.dataobj), voxels > 900)
    np.testing.assert_allclose(image.affine, affine, atol=1e-4)
    assert image.header.get_xyzt_units()[0] == "mm"


@pytest.mark.parametrize("codes", ["RAS", "LPI", "PSR", "ILA"])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_labels_of_nifti_have_its_header(codes, kind, tmp_path):
    voxels = np.random.default_rng(1).integers(0, 2000, (5, 6, 7, 1)).astype(np.int16)
    turn = nibabel.orientations.axcodes2ornt(codes)
    affine = np.diag([0.7, 2, 1.5, 1]) @ nibabel.orientations.inv_ornt_aff(turn, (5, 6, 7))
    image = kind(voxels, affine)
    image.header.set_xyzt_units("mm", "sec")
    image.header["cal_max"] = 5
    image.set_qform(affine, 2)
    nibabel.save(image, tmp_path / "a.nii.gz")
    (scan,), _ = find(tmp_path / "a.nii.gz")
    found = written(tmp_path, Renamed(scan))
    assert isinstance(found, kind)
    np.testing.assert_array_equal(np.asarray(found.dataobj), voxels[..., 0] > 900)
    header, there = found.header, nibabel.load(tmp_path / "a.nii.gz").header
    for name in ("get_sform", "get_qform", "get_xyzt_units"):
        np.testing.assert_array_equal(getattr(header, name)(), getattr(there, name)())
    assert (int(header["qform_code"]), int(header["sform_code"]), float(header["cal_max"])) == (2, 2, 0)
    assert found.get_data_dtype() == np.uint16
    assert found.dataobj.slope == 1


class Renamed:
    """A scan by another name, so that its labels are not its file."""

    def __init__(self, scan):
        self.id, self.template, self.read = "labels", scan.template, scan.read


def test_a_file_of_one_slice_gets_a_mask_of_one_slice(tmp_path):
    voxels = np.random.default_rng(2).integers(0, 2000, (5, 6)).astype(np.int16)
    for name, shape in (("flat", (5, 6)), ("thin", (5, 6, 1)), ("across", (5, 1, 6))):
        nibabel.save(nibabel.Nifti1Image(voxels.reshape(shape), np.diag([-1, 1, 2, 1])), tmp_path / f"{name}.nii")
        (scan,), _ = find(tmp_path / f"{name}.nii", kind=(2, 1))
        found = written(tmp_path, scan)
        assert found.shape == shape
        np.testing.assert_array_equal(np.asarray(found.dataobj), voxels.reshape(shape) > 900)


@pytest.mark.parametrize(
    ("name", "value", "ending"),
    [("p.png", 3, ".png"), ("p.jpg", 40000, ".png"), ("p.png", 70000, ".npy"), ("a.npy", 3, ".npy"), ("", 3, ".png")],
)
def test_pictures_and_arrays_get_masks_of_their_size(name, value, ending, tmp_path):
    pixels = np.arange(30).reshape(5, 6)
    found = np.where(pixels > 9, value, 0).astype(np.int32 if value > 65535 else np.uint16)
    scan = Named("x/y", tmp_path / name if name else None)
    assert outputs.labels(tmp_path, scan, found, {"affine": None, "shape": [5, 6]}) == f"x/y{ending}"
    np.testing.assert_array_equal(files.read_mask(tmp_path / f"x/y{ending}").voxels[..., 0], found)


def test_pages_get_pages_and_volumes_of_arrays_arrays(tmp_path):
    found = np.arange(24, dtype=np.uint16).reshape(2, 3, 4) + 300
    for name, ending in (("pages.tiff", ".tif"), ("array.npz", ".npy")):
        written_as = outputs.labels(tmp_path, Named("pages", tmp_path / name), found, {"affine": None})
        assert written_as == f"pages{ending}"
        np.testing.assert_array_equal(files.read_mask(tmp_path / written_as).voxels[..., 0], found)


def test_a_name_stays_inside_the_output():
    assert [outputs.stem(Named(name)) for name in ("a/b.c", "/tmp/a", "../../a")] == ["a/b.c", "tmp/a", "a"]


@pytest.mark.parametrize(("qform", "sform"), [(1, 0), (0, 1), (2, 4)])
def test_from_records_labels_lie_in_the_space_that_the_header_named(qform, sform, tmp_path):
    affine, voxels = oblique(), np.zeros((9, 10, 11), np.int16)
    image = nibabel.Nifti1Image(voxels, None)
    image.header.set_qform(affine, qform)
    image.header.set_sform(affine if sform else None, sform)
    (tmp_path / "raw").mkdir()
    nibabel.save(image, tmp_path / "raw" / "a.nii.gz")
    converting.convert(tmp_path / "raw", tmp_path / "data", converting.settings(how="none"))
    (example,) = converting.examples(tmp_path / "data").values()
    name = outputs.labels(tmp_path, Named("a"), np.ones(example.volume.shape[:3], np.uint8), example.source)
    there, here = nibabel.load(tmp_path / "raw" / "a.nii.gz"), nibabel.load(tmp_path / name)
    assert [int(here.header[f"{form}_code"]) for form in ("qform", "sform")] == [qform, sform]
    np.testing.assert_array_equal(here.affine, there.affine)


def test_equal_labels_are_equal_bytes(tmp_path):
    found, source = np.zeros((4, 5, 6), np.uint8), {"affine": np.eye(4).tolist(), "shape": [4, 5, 6]}
    for name in ("a", "b"):
        outputs.labels(tmp_path, Named(name), found, source)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_masks_beside_the_scans_are_not_read(tmp_path):
    converting.make_scans(tmp_path / "raw", count=2)
    for mask in (tmp_path / "raw" / "masks").iterdir():
        mask.write_bytes(b"damaged")
    found, faults = find(tmp_path / "raw")
    assert (len(found), faults) == (2, [])
    assert found[0].read().mask is None


@pytest.mark.parametrize(
    ("kind", "reason", "remedy"),
    [
        ((3, 4), "it is 3D with 1 channel, the model is for 3D with 4 channels", "--layout=brats"),
        ((2, 1), "it is 3D with 1 channel, the model is for 2D with 1 channel", "give such scans"),
    ],
)
def test_what_is_of_another_kind_is_told_with_the_layout_that_joins_channels(kind, reason, remedy, tmp_path):
    converting.make_scans(tmp_path / "raw", count=2)
    found, faults = find(tmp_path / "raw", kind=kind, layout="brats")
    assert (found, len(faults)) == ([], 2)
    assert faults[0].reason == reason
    assert faults[0].remedy.endswith(remedy)


def test_a_file_that_vanishes_is_one_fault(tmp_path):
    converting.make_scans(tmp_path / "raw", count=1)
    (scan,), _ = find(tmp_path / "raw")
    (tmp_path / "raw" / "images" / "c0.nii.gz").unlink()
    with pytest.raises(UnusableFileError, match="it cannot be read: No such file"):
        scan.sha256()


def test_bricks_and_slices_come_back_as_the_volume_that_they_are_of(tmp_path):
    converting.make_scans(tmp_path / "raw", count=4)
    for name, chosen in (
        ("bricks", converting.settings()._replace(brick_shape=(5, 5, 5))),
        ("slices", converting.settings(slices="sagittal")),
    ):
        chosen = chosen._replace(fractions=(0.5, 0.25, 0.25))
        converting.convert(tmp_path / "raw", tmp_path / name, chosen)
        data = manifest.read(tmp_path / name)
        contract = {"rank": data.rank, "channels": ["x"], "recipe": data.recipe}
        how = inputs.how(contract, "RUN", {})
        in_files = {scan.id: scan for scan in inputs.find(layouts.Request(str(tmp_path / "raw")), how)[0]}
        stored = records.find(tmp_path / name, contract)
        assert {scan.id for scan in stored} == set(in_files)
        for scan in stored:
            one, other = scan.read(), in_files[scan.id].read()
            np.testing.assert_array_equal(one.volume, other.volume)
            assert (one.scale, one.offset) == (pytest.approx(other.scale), pytest.approx(other.offset))
            assert one.source["affine"] == other.source["affine"]
            assert list(one.spacing_mm) == pytest.approx(list(other.spacing_mm))
        assert len({scan.sha256() for scan in stored}) == 4


def test_a_data_folder_is_the_model_s_by_what_its_volumes_are(tmp_path):
    """Of scans in voxels of 1 × 1 × 2 mm: who asks for these has the same data, who asks for 2 mm has others."""
    converting.make_scans(tmp_path / "raw", count=2)
    contract = None
    for name, spacing_mm in (("model", None), ("same", (1.0, 1.0, 2.0)), ("other", (2.0,))):
        converting.convert(tmp_path / "raw", tmp_path / name, converting.settings(spacing_mm=spacing_mm))
        data = manifest.read(tmp_path / name)
        grid = grids.of_manifest(data)._asdict()
        contract = contract or {"rank": 3, "channels": list(data.channels), "recipe": data.recipe, "grid": grid}
    assert len(records.find(tmp_path / "same", contract)) == 2
    with pytest.raises(InputError, match=r"spacing 1 × 1 × 2 mm there, 2 × 2 × 2 mm here; give the scans"):
        records.find(tmp_path / "other", contract)
    with pytest.raises(InputError, match=r"crop_foreground True there, False here; give the scans"):
        records.find(tmp_path / "same", {**contract, "recipe": {**contract["recipe"], "crop_foreground": True}})


def test_flags_of_reading_go_before_those_of_the_model_s_data():
    made_with = converting.settings(spacing_mm=(2.0,), relabel=((4, 3),)).options
    contract = {"rank": 3, "channels": ["x"], "recipe": {"tool": "x", **recipe.of_options(made_with)}}
    found = inputs.how(contract, "RUN", {"channels": "last", "nan": None, "max_gb": 1.5}).options
    assert (found.spacing_mm, found.reading.channels, found.reading.nan) == ((2.0,), "last", "")
    assert (found.max_bytes, found.relabel) == (1_500_000_000, ())


def test_a_scan_that_is_called_as_another_s_picture_is_refused(tmp_path):
    for name in ("p", "p_overlay"):
        np.save(tmp_path / f"{name}.npy", np.zeros((4, 5, 6)))
    with pytest.raises(InputError, match=r"p_overlay.npy would be written over what p.npy leaves; rename one"):
        find(tmp_path)


def test_a_scan_of_other_voxels_is_read_on_those_of_data_that_were_not_resampled(tmp_path):
    scans = {"same": (1, 1, 2.04), "finer": (0.5, 0.5, 1), "unknown": None}
    for name, spacing_mm in scans.items():
        voxels = np.random.default_rng(0).integers(0, 2000, (8, 10, 6)).astype(np.int16)
        if spacing_mm is None:
            np.save(tmp_path / f"{name}.npy", voxels)
        else:
            nibabel.Nifti1Image(voxels, np.diag([*spacing_mm, 1])).to_filename(tmp_path / f"{name}.nii.gz")
    sides = (1.0, 1.0, 2.0)
    prepared = inputs.Prepared(AS_READ, Kind(3, 1), "auto", grids.Grid(sides, sides, sides, "RAS"))
    found, _ = inputs.find(layouts.Request(str(tmp_path)), prepared)
    examples = {scan.id: scan.read() for scan in found}
    shapes = {name: example.volume.shape[:-1] for name, example in examples.items()}
    assert shapes == {"same": (8, 10, 6), "finer": (4, 5, 3), "unknown": (8, 10, 6)}
    assert native.labels(np.ones((4, 5, 3, 2)), examples["finer"].source, values=(0, 1)).shape == (8, 10, 6)
    axial = prepared._replace(
        options=AS_READ._replace(slices="axial"), grid=grids.Grid(sides[:2], sides[:2], sides[:2])
    )
    found, _ = inputs.find(layouts.Request(str(tmp_path)), axial)
    assert {scan.id: scan.read().volume.shape[:-1] for scan in found if scan.id != "unknown"} == {
        "same": (8, 10, 6),
        "finer": (4, 5, 6),
    }


def of_model(*, grid=None, **changes):
    return inputs.Prepared(AS_READ._replace(**changes), Kind(3, 1), "auto", grid or grids.Grid())


def read(path, prepared):
    """The one scan there."""
    (scan,), _ = inputs.find(layouts.Request(str(path)), prepared)
    return scan.read()


def headless(path):
    """A NIfTI file that says neither how large its voxels are nor how they lie."""
    image = nibabel.Nifti1Image(np.arange(512, dtype=np.int16).reshape(8, 8, 8), None)
    image.header["pixdim"][1:4] = 0
    nibabel.save(image, path)
    return path


def without_size(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(512, dtype=np.int16).reshape(8, 8, 8))
    return tmp_path / "a.npy", headless(tmp_path / "b.nii.gz")


def test_without_a_voxel_size_nothing_is_resampled_to_one_and_the_remedy_is_of_the_file(tmp_path):
    for path in without_size(tmp_path):
        with pytest.raises(UnusableFileError, match=r"were resampled to 1\.5 mm; write their size into its header"):
            read(path, of_model(spacing_mm=(1.5,)))
        assert read(path, of_model(shape=(4, 4, 4))).volume.shape == (4, 4, 4, 1)  # whatever the size


def test_without_a_voxel_size_it_is_taken_for_the_model_s_and_that_is_noted(tmp_path):
    one = (1.0, 1.0, 2.0)
    for path in without_size(tmp_path):
        example = read(path, of_model(grid=grids.Grid(one, one, one)))
        assert example.volume.shape == (8, 8, 8, 1)
        taken = "it does not say how large its voxels are; taken for those of the model's data: 1 × 1 × 2 mm"
        assert taken in example.source["notes"]


def test_what_a_header_leaves_open_is_noted(tmp_path):
    voxels = np.arange(512, dtype=np.int16).reshape(8, 8, 8)
    image = nibabel.Nifti1Image(voxels, None)
    image.header["pixdim"][1:4] = 1, 1, 2
    nibabel.save(image, tmp_path / "a.nii.gz")
    assert nifti_header.NO_FORM in read(tmp_path / "a.nii.gz", of_model()).source["notes"]
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), tmp_path / "a.nii.gz")
    assert "notes" not in read(tmp_path / "a.nii.gz", of_model()).source


def test_remedies_are_those_that_predicting_has(tmp_path):
    nibabel.save(nibabel.Nifti1Image(np.ones((8, 8, 8), np.int16), np.diag([300, 300, 300, 1])), tmp_path / "a.nii.gz")
    for options in ({"spacing_mm": (1.0,), "max_bytes": 10**6}, {"spacing_mm": (9999.0,)}):
        with pytest.raises(UnusableFileError) as caught:
            read(tmp_path / "a.nii.gz", of_model(**options))
        assert caught.value.remedy == inputs.UNFIT


def test_what_a_fixed_window_loses_most_of_is_noted(tmp_path):
    window = {"intensity": Normalisation("ct_window", (0.0, 255.0))}
    scans = {"a": 16, "b": 1}
    for name, factor in scans.items():
        np.save(tmp_path / f"{name}.npy", np.arange(512).reshape(8, 8, 8) % 256 * factor)
    lost = "most of it is above ct_window:0,255 and became 1: 94%, its values are 0 to 4080"
    assert lost in read(tmp_path / "a.npy", of_model(**window)).source["notes"]
    assert "notes" not in read(tmp_path / "b.npy", of_model(**window)).source


def test_a_blank_scan_is_noted(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((8, 8, 8), np.int16))
    said = "one value in channel 0: what is said of it means nothing"
    assert said in read(tmp_path / "a.npy", of_model()).source["notes"]


def test_a_label_map_without_a_scan_is_told_to_be_no_loss(tmp_path):
    for name in ("a", "b_mask"):
        np.save(tmp_path / f"{name}.npy", np.zeros((8, 8, 8), np.int16))
    (scan,), (fault,) = find(tmp_path)
    assert (scan.id, fault.path, fault.remedy) == ("a", "b_mask.npy", inputs.STRAY)
    request = layouts.Request(str(tmp_path), label_maps="scans")  # as that remedy says
    found, _ = inputs.find(request, inputs.Prepared(AS_READ, Kind(3, 1), "auto"))
    assert [scan.id for scan in found] == ["a", "b_mask"]


def test_no_mask_of_a_series_is_read_however_many_there_are(tmp_path):
    study(tmp_path)
    for number in (1, 2):
        write_seg(tmp_path / f"seg{number}.dcm", blobs(), AXIAL, SOPInstanceUID=f"1.9.{number}")
    assert "it has 2 masks" in layouts.find(layouts.Request(str(tmp_path))).faults[0].reason
    (scan,), faults = find(tmp_path)
    assert (faults, scan.read().mask) == ([], None)
