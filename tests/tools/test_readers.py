"""tools/readers: what a file holds, where it lies in the patient, and why it may not be read."""

import gzip

import nibabel
import numpy as np
import pytest
from PIL import Image

from tools.readers import arrays, files
from tools.readers.contract import Kind, UnusableFileError


def save_nifti(path, voxels, affine=None, **header):
    image = nibabel.Nifti1Image(voxels, np.eye(4) if affine is None else affine)
    for name, value in header.items():
        image.header[name] = value
    nibabel.save(image, path)
    return path


def counted(shape, dtype=np.int16):
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, 1), (-1, -1, 1), (1, -1, -1)])
def test_nifti_is_turned_to_ras(tmp_path, signs):
    path = save_nifti(tmp_path / "a.nii.gz", counted((3, 4, 5)), np.diag([*signs, 1.0]) * [1, 2, 3, 1])
    expected = nibabel.as_closest_canonical(nibabel.load(path))
    read = files.read(path)
    np.testing.assert_array_equal(read.voxels[..., 0], np.asanyarray(expected.dataobj))
    np.testing.assert_allclose(read.affine, expected.affine)
    assert (read.spacing_mm, read.voxels.dtype) == ((1, 2, 3), np.int16)


def test_nifti_axes_are_permuted_with_the_affine(tmp_path):
    affine = np.array([[0, 0, 2.0, 1], [-1, 0, 0, 2], [0, 3, 0, 3], [0, 0, 0, 1]])
    read = files.read(save_nifti(tmp_path / "a.nii", counted((3, 4, 5)), affine))
    assert read.voxels.shape == (5, 3, 4, 1)
    assert read.origin["orientation"] == "PSR"
    old, new = np.array([1, 2, 3, 1]), np.array([3, 1, 2, 1])  # the second new axis runs backwards: 2 - 1
    np.testing.assert_allclose(affine @ old, read.affine @ new)
    assert read.voxels[3, 1, 2, 0] == counted((3, 4, 5))[1, 2, 3]


def test_voxels_lie_in_memory_as_they_are_indexed(tmp_path):
    voxels = counted((40, 5, 50), np.dtype(">i2"))  # more columns than are copied at a time, bytes the other way round
    read = files.read(save_nifti(tmp_path / "a.nii.gz", voxels, np.diag([-1.0, 1, 1, 1]))).voxels
    assert (read.flags.c_contiguous, read.dtype.isnative) == (True, True)
    np.testing.assert_array_equal(read[..., 0], voxels[::-1])


def test_nifti_slope_and_intercept_are_applied(tmp_path):
    image = nibabel.Nifti1Image(counted((2, 3, 4)), np.eye(4))
    image.header.set_slope_inter(2, -5)
    nibabel.save(image, tmp_path / "a.nii")
    assert not files.probe(tmp_path / "a.nii").is_8bit
    np.testing.assert_allclose(
        files.read(tmp_path / "a.nii").voxels, nibabel.load(tmp_path / "a.nii").get_fdata()[..., None]
    )


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((4, 5), (4, 5, 1)),
        ((4, 5, 1), (4, 5, 1)),
        ((4, 1, 5), (4, 5, 1)),
        ((3, 4, 5, 2), (3, 4, 5, 2)),
        ((3, 4, 5, 1, 2), (3, 4, 5, 2)),
        ((4, 5, 1, 3), (4, 5, 3)),
    ],
)
def test_nifti_ranks_and_channels(tmp_path, shape, expected):
    path = save_nifti(tmp_path / "a.nii", counted(shape))
    read = files.read(path)
    assert read.voxels.shape == expected
    assert files.probe(path).kind == Kind(len(expected) - 1, expected[-1])
    assert len(read.spacing_mm) == len(expected) - 1


def test_nifti_colours_are_channels(tmp_path):
    voxels = counted((2, 3, 4, 3), np.uint8).view([("R", "u1"), ("G", "u1"), ("B", "u1")])[..., 0]
    path = save_nifti(tmp_path / "a.nii", voxels)
    np.testing.assert_array_equal(files.read(path).voxels, counted((2, 3, 4, 3), np.uint8))


@pytest.mark.parametrize(
    ("voxels", "reason"),
    [
        (np.ones((2, 3, 4), np.complex64), "complex"),
        (np.full((2, 3, 4), np.nan, np.float32), "24 of 24 voxels are NaN or infinite"),
        (np.ones((4, 1, 1), np.int16), "fewer than two"),
        (np.ones((2, 3, 4, 2, 2), np.int16), "2 channel axes"),
    ],
)
def test_unusable_nifti_says_why(tmp_path, voxels, reason):
    path = save_nifti(tmp_path / "a.nii", voxels)
    with pytest.raises(UnusableFileError, match=reason):
        files.read(path)


def test_a_cut_nifti_is_noticed_before_memory_is_asked_for(tmp_path):
    path = save_nifti(tmp_path / "a.nii", counted((8, 8, 8)))
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(UnusableFileError, match="promises 1024 bytes"):
        files.probe(path)


def test_a_gzipped_nifti_that_is_whole_but_short_is_refused(tmp_path):
    path = save_nifti(tmp_path / "a.nii.gz", counted((8, 8, 8)))
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-100]))
    with pytest.raises(UnusableFileError, match="promises 1024 bytes of voxels, the file has 924"):
        files.read(path)


def test_a_lone_header_names_its_other_half(tmp_path):
    nibabel.save(nibabel.Nifti1Pair(counted((2, 3, 4)), np.eye(4)), tmp_path / "a.img")
    assert files.read(tmp_path / "a.hdr").voxels.shape == (2, 3, 4, 1)
    (tmp_path / "a.img").unlink()
    with pytest.raises(UnusableFileError, match=r"a\.img is missing"):
        files.probe(tmp_path / "a.hdr")


@pytest.mark.parametrize(
    ("shape", "kind"), [((4, 5), (2, 1)), ((4, 5, 3), (2, 3)), ((4, 5, 6), (3, 1)), ((4, 5, 6, 2), (3, 2))]
)
def test_array_ranks(tmp_path, shape, kind):
    np.save(tmp_path / "a.npy", np.asfortranarray(counted(shape, ">i4")))
    np.savez(tmp_path / "a.npz", counted(shape))
    for name in ("a.npy", "a.npz"):
        assert files.probe(tmp_path / name).kind == kind
        np.testing.assert_array_equal(files.read(tmp_path / name).voxels.reshape(shape), counted(shape))


def test_pickles_are_never_loaded(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"a": 1}, None], object), allow_pickle=True)
    with pytest.raises(UnusableFileError, match="dtype object"):
        files.probe(tmp_path / "a.npy")
    with pytest.raises(UnusableFileError, match="never unpickled"):
        files.read(tmp_path / "a.npy")


def test_an_npz_of_several_arrays_needs_a_known_name(tmp_path):
    np.savez(tmp_path / "a.npz", volume=counted((3, 4)), other=counted((1, 1)))
    assert files.read(tmp_path / "a.npz").voxels.shape == (3, 4, 1)
    np.savez(tmp_path / "a.npz", x=counted((3, 4)), y=counted((1, 1)))
    with pytest.raises(UnusableFileError, match="call the volume one of"):
        files.probe(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("L", (2, 1)), ("RGB", (2, 3)), ("RGBA", (2, 3)), ("P", (2, 3)), ("1", (2, 1)), ("I;16", (2, 1))],
)
def test_picture_modes(tmp_path, mode, expected):
    Image.new(mode, (5, 4)).save(tmp_path / "a.png")
    assert files.probe(tmp_path / "a.png").kind == expected
    assert files.read(tmp_path / "a.png").voxels.shape == (4, 5, expected[1])


def test_tiff_pages_are_depth(tmp_path):
    pages = [Image.fromarray(np.full((4, 5), number, np.uint8)) for number in range(3)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    read = files.read(tmp_path / "a.tif")
    assert read.voxels.shape == (3, 4, 5, 1)
    assert read.voxels[:, 0, 0, 0].tolist() == [0, 1, 2]


def test_palette_masks_are_read_as_indices(tmp_path):
    picture = Image.fromarray(counted((2, 3), np.uint8), "L").convert("P")
    picture.putpalette([200, 0, 0] * 256)
    picture.save(tmp_path / "a.png")
    np.testing.assert_array_equal(files.read_mask(tmp_path / "a.png").voxels[..., 0], np.arange(6).reshape(2, 3))


def test_masks_hold_whole_numbers():
    assert files.as_labels(np.array([[[0.0], [2.0]]]), "m").dtype == np.uint8
    for values, reason in (([[[0.5]]], "not whole"), ([[[np.nan]]], "not whole"), ([[[-1]]], "use labels")):
        with pytest.raises(UnusableFileError, match=reason):
            files.as_labels(np.array(values), "m")
    with pytest.raises(UnusableFileError, match="2 channels"):
        files.as_labels(np.zeros((3, 3, 2), int), "m")


def test_suffixes_are_known_by_their_end():
    assert (files.suffix_of("a.b.NII.GZ"), files.stem_of("a.b.NII.GZ"), files.suffix_of("a.txt")) == (
        ".nii.gz",
        "a.b",
        "",
    )
    assert set(arrays.SUFFIXES) < set(files.SUFFIXES)


def test_reading_ahead_leaves_missing_files_to_the_reader(tmp_path):
    files.read_ahead(save_nifti(tmp_path / "a.nii", counted((2, 3, 4))), tmp_path / "gone.nii", tmp_path / "b.hdr")
