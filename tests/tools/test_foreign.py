"""tools/readers/foreign: files that are not what their names say are called what they are, with what helps."""

import gzip
import io
import tarfile

import nibabel
import numpy as np
import pytest

from tools.readers import files, layouts
from tools.readers.contract import UnusableFileError

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 12345\n"
PAGE = "<!DOCTYPE html>\n<html><head><title>Anmeldung für Ärzte</title>".encode() + b" " * 600 + b"</html>"


def zipped(content):
    return gzip.compress(content, mtime=0)  # tests are called by their parameters, alike in every process


def tar():
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("scan.nii"))
    return stream.getvalue()


def nifti():
    stream = io.BytesIO(nibabel.Nifti1Image(np.arange(1000, dtype=np.int16).reshape(10, 10, 10), np.eye(4)).to_bytes())
    return stream.getvalue()


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.npy", "a.npz", "a.png", "a.tif"])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty; copy or download it again"),
        (LFS, "it is a Git LFS pointer, in place of the file; fetch the file with git lfs pull"),
        (b"/annex/objects/MD5E-s12--abc.nii.gz\n", "git-annex pointer, .*datalad get"),
        (PAGE, "it is a web page; download the file itself"),
        (zipped(PAGE), "it is a web page|cannot be read"),  # of what is never compressed only the latter
        (b'{"message": "Not Found"}', 'it is a text that begins \'{"message": "Not Found"}\''),
        (b"Rar!\x1a\x07\x01\x00" + b"x" * 999, "it is a RAR archive; unpack it"),
        (tar(), "it is a tar archive; unpack it"),
        (b"\0" * 128 + b"DICM" + b"\1" * 999, "it is a DICOM file; give it the ending"),
        (bytes(2000), "its first 512 bytes are 0, as of a copy that was begun only"),
    ],
)
def test_it_is_called_what_it_is(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    for read in (files.probe, files.read):
        with pytest.raises(UnusableFileError, match=said):
            read(tmp_path / name)


def test_an_archive_by_the_name_of_a_scan_is_one(tmp_path):
    for name, content in (("a.nii.gz", zipped(tar())), ("b.nii.gz", b"PK\3\4" + b"x" * 999)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UnusableFileError, match=r"it is a (tar|ZIP) archive; unpack it"):
            files.probe(tmp_path / name)


@pytest.mark.parametrize("content", [zipped(nifti())[:-300], nifti()[:-300], zipped(nifti()[:200])])
def test_what_is_cut_short_is_still_said_to_be(tmp_path, content):
    (tmp_path / "a.nii.gz").write_bytes(content)
    with pytest.raises(UnusableFileError, match="copy it again"):
        files.read(tmp_path / "a.nii.gz")


def test_an_archive_of_arrays_that_is_damaged_is_no_archive_to_unpack(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.zeros((8, 8)))
    (tmp_path / "a.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:-60])
    with pytest.raises(UnusableFileError, match="it is damaged or cut short: copy it again"):
        files.read(tmp_path / "a.npz")


@pytest.mark.parametrize("quaternion", [(0.9, 0.9, 0.9), (np.nan, 0, 0), (1.001, 0, 0)])
def test_a_quaternion_that_is_no_rotation_is_told_with_what_mends_it(tmp_path, quaternion):
    image = nibabel.Nifti1Image(np.zeros((8, 8, 8), np.int16), np.eye(4))
    image.set_sform(np.eye(4), 0)
    image.set_qform(np.eye(4), 1)
    for name, part in zip("bcd", quaternion, strict=True):
        image.header[f"quatern_{name}"] = part
    (tmp_path / "a.nii").write_bytes(image.header.binaryblock + bytes(4) + bytes(8 * 8 * 8 * 2))
    for read in (files.probe, files.read):
        with pytest.raises(UnusableFileError, match=r"its qform is no rotation: .*; write a valid sform or qform into"):
            read(tmp_path / "a.nii")
    image.set_sform(np.eye(4), 1)  # which counts, where there is one
    (tmp_path / "a.nii").write_bytes(image.header.binaryblock + bytes(4) + bytes(8 * 8 * 8 * 2))
    assert files.read(tmp_path / "a.nii").voxels.shape == (8, 8, 8, 1)


def test_a_rotation_by_half_a_turn_is_one(tmp_path):
    turned = np.diag([-1.0, -1.0, 1.0, 1.0])
    image = nibabel.Nifti1Image(np.zeros((8, 8, 8), np.int16), turned)
    image.set_sform(turned, 0)
    image.set_qform(turned, 1)
    nibabel.save(image, tmp_path / "a.nii")
    assert files.read(tmp_path / "a.nii").origin["orientation"] == "LPS"


def test_the_others_of_a_folder_go_on(tmp_path):
    (tmp_path / "lfs.nii.gz").write_bytes(LFS)
    (tmp_path / "a.nii").write_bytes(nifti())
    assert [item.id for item in layouts.find(layouts.Request(str(tmp_path))).items] == ["a", "lfs"]


def test_a_link_of_git_annex_to_what_was_not_fetched_is_told(tmp_path):
    (tmp_path / "a.nii.gz").symlink_to(".git/annex/objects/W8/7K/MD5E-s12--abc/MD5E-s12--abc.nii.gz")
    with pytest.raises(UnusableFileError, match=r"it is a git-annex link to a file that is not here; .* datalad get"):
        files.probe(tmp_path / "a.nii.gz")
