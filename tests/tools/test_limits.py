"""Files that lie, and paths that lead elsewhere: refused before memory is taken, in one line."""

import gzip
import io
import json
import struct
import zipfile
import zlib

import nibabel
import numpy as np
import pytest
from PIL import Image

from ssl3d_tf.errors import InputError
from tools.conversion import conversion
from tools.conversion.settings import Settings
from tools.prepare import packing
from tools.readers import files, layouts, limits, medmnist, paths
from tools.readers.contract import UnusableFileError

RULE = "promises|fit before|begin at byte|more than --max_gb|compressed otherwise|of format"


def nifti_bytes(*, shape=(4, 4, 4), **changes):
    """A NIfTI of zeros whose header says something else."""
    image = nibabel.Nifti1Image(np.zeros(shape, np.uint8), np.eye(4))
    data = bytearray(image.to_bytes())
    for at, form, value in changes.values():
        data[at : at + struct.calcsize(form)] = struct.pack(form, *value)
    return bytes(data)


HUGE = {"dim": (40, "<8h", (3, 32767, 32767, 32767, 1, 1, 1, 1))}


def npy_bytes(shape, dtype="<f4", values=b"\0" * 64):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
    return file.getvalue() + values


def write(path, data):
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_header_that_claims_terabytes_is_refused(tmp_path, name):
    path = write(tmp_path / name, nifti_bytes(**HUGE))
    for read in (files.probe, files.read, files.read_mask):
        with pytest.raises(UnusableFileError, match="promises 35181150961663 bytes of voxels, the file has"):
            read(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"flag": (348, "B", (1,)), "offset": (108, "<f", (2e9,))},
        {"flag": (348, "B", (1,)), "size": (352, "<i", (0,)), "offset": (108, "<f", (384.0,))},
        {"flag": (348, "B", (1,)), "size": (352, "<i", (2**31 - 16,)), "offset": (108, "<f", (384.0,))},
        {"offset": (108, "<f", (2e9,))},
    ],
)
def test_a_bomb_behind_the_header_is_not_unpacked(tmp_path, changes):
    path = write(tmp_path / "a.nii.gz", nifti_bytes(**changes) + b"\0" * 100)
    with pytest.raises(UnusableFileError, match=RULE):
        files.probe(path)


def test_header_extensions_that_fit_are_read(tmp_path):
    image = nibabel.Nifti1Image(np.ones((4, 4, 4), np.uint8), np.eye(4))
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"x" * 100))
    nibabel.save(image, tmp_path / "a.nii.gz")
    assert files.read(tmp_path / "a.nii.gz").voxels.sum() == 64


@pytest.mark.parametrize("shape", [(2**40, 2**20), (40, 40, 40), (-1, 5)])
def test_an_array_longer_than_its_file_is_refused(tmp_path, shape):
    write(tmp_path / "a.npy", npy_bytes(shape))
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("volume.npy", npy_bytes(shape))
    for name in ("a.npy", "a.npz"):
        with pytest.raises(UnusableFileError, match=r"promises|its shape is \(-1, 5\)"):
            files.probe(tmp_path / name)


def test_a_zip_member_that_claims_more_than_deflate_can_hold_is_refused():
    member = zipfile.ZipInfo("volume.npy")
    member.compress_type, member.file_size, member.compress_size = zipfile.ZIP_DEFLATED, 10**9, 1000
    with pytest.raises(UnusableFileError, match="promises 1000000000 bytes of voxels, the file has 1000"):
        limits.room(member)


@pytest.mark.parametrize("how", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compression_without_a_bound_is_refused(tmp_path, how):
    with zipfile.ZipFile(tmp_path / "a.npz", "w", how) as archive:
        archive.writestr("volume.npy", npy_bytes((4, 4)))
    with pytest.raises(UnusableFileError, match="compressed otherwise"):
        files.probe(tmp_path / "a.npz")


def test_an_array_header_of_gigabytes_is_not_read(tmp_path):
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**32 - 1) + b" " * 64)
    with pytest.raises(UnusableFileError, match=r"of format \(2, 0\)"):
        files.probe(tmp_path / "a.npy")


@pytest.mark.parametrize("name", ["a.nii.gz", "a.npy", "a.npz", "a.png", "a.tif"])
def test_volumes_and_masks_above_the_limit_are_set_aside(tmp_path, name):
    voxels = np.zeros((16, 16), np.uint8)
    if name.endswith("gz"):
        nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), tmp_path / name)
    elif name.endswith(("npy", "npz")):
        (np.save if name.endswith("npy") else np.savez)(tmp_path / name, voxels)
    else:
        Image.fromarray(voxels).save(tmp_path / name)
    assert files.read(tmp_path / name, max_bytes=256).voxels.shape == (16, 16, 1)
    for read in (files.probe, files.read, files.read_mask):
        with pytest.raises(UnusableFileError, match=r"2\.56e-07 GB of voxels, more than --max_gb=2\.55e-07; .*raise"):
            read(tmp_path / name, max_bytes=255)


def test_the_limit_quarantines_and_the_run_goes_on(tmp_path):
    (tmp_path / "raw").mkdir()
    for name, size in (("large", 20), ("small", 8), ("other", 8)):
        np.save(tmp_path / "raw" / f"{name}.npy", np.arange(size**2, dtype=np.uint8).reshape(size, size))
    settings = Settings(packing.Options(max_bytes=100))
    done = conversion.convert(layouts.Request(str(tmp_path / "raw")), tmp_path / "out", settings)
    assert [(fault.path, fault.reason[:28]) for fault in done.faults] == [("large.npy", "its header promises 4e-07 GB")]


def test_labels_and_rows_of_a_lying_archive_are_not_listed(tmp_path):
    images = npy_bytes((4, 5, 5), "|u1", bytes(100))
    for labels in (npy_bytes((4, 10**12), "|u1"), npy_bytes((10**12,), "|u1"), npy_bytes((4, 4), "|O")):
        with zipfile.ZipFile(tmp_path / "m.npz", "w") as archive:
            archive.writestr("train_images.npy", images)
            archive.writestr("train_labels.npy", labels)
        with pytest.raises(InputError, match=r"m\.npz cannot be read"):
            medmnist.find(tmp_path / "m.npz")


def test_a_picture_is_what_its_name_says(tmp_path):
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "a.gif")
    (tmp_path / "a.gif").rename(tmp_path / "a.png")
    with pytest.raises(UnusableFileError, match="cannot identify image file"):
        files.probe(tmp_path / "a.png")


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_a_picture_larger_than_its_file_can_be_is_refused(tmp_path, name):
    Image.fromarray(np.zeros((8, 12), np.uint8)).save(tmp_path / name)
    data = bytearray((tmp_path / name).read_bytes())
    if name == "a.png":
        struct.pack_into(">II", data, 16, 30_000, 30_000)
        struct.pack_into(">I", data, 29, zlib.crc32(data[12:29]))
    else:
        for tag in (256, 257):  # width, height: a tag of one long, its value 8 bytes behind
            struct.pack_into("<I", data, data.index(struct.pack("<HHI", tag, 4, 1)) + 8, 30_000)
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UnusableFileError, match="promises 900000000 bytes of voxels, the file has"):
        files.probe(tmp_path / name)


def test_pages_larger_than_the_first_are_not_decoded(tmp_path):
    pages = [Image.new("L", (size, size)) for size in (8, 300)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(UnusableFileError, match="pages differ in size"):
        files.read(tmp_path / "a.tif")


def test_the_other_half_of_a_pair_may_not_lie_elsewhere(tmp_path):
    (tmp_path / "raw").mkdir()
    nibabel.save(nibabel.Nifti1Pair(np.ones((4, 4, 4), np.int16), np.eye(4)), tmp_path / "a.img")
    (tmp_path / "a.img").rename(tmp_path / "raw" / "a.img")
    (tmp_path / "raw" / "a.hdr").symlink_to(tmp_path / "a.hdr")
    tree = paths.walk(tmp_path / "raw")
    assert (tree.paths, [fault.path for fault in tree.faults]) == ((), ["a.hdr", "a.img"])


def test_links_in_a_circle_are_set_aside(tmp_path):
    (tmp_path / "a.npy").symlink_to(tmp_path / "a.npy")
    with pytest.raises(UnusableFileError, match="does not exist"):
        files.probe(tmp_path / "a.npy")
    assert paths.walk(tmp_path).paths == ("a.npy",)


@pytest.mark.parametrize("path", ["/etc/a.nii", "../a.nii", "x/../../a.nii", "a\0.nii", "link/a.nii"])
def test_neither_csv_nor_json_leads_out_of_the_input(tmp_path, path):
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "link").symlink_to(tmp_path)
    write(tmp_path / "a.nii", nifti_bytes())
    (raw / "t.csv").write_text(f"path,mask\n{path},\n")
    with pytest.raises(InputError, match=r"not inside|contains NUL"):  # the latter by csv before Python 3.11
        layouts.find(layouts.Request(str(raw), "csv"))
    (raw / "dataset.json").write_text(json.dumps({"training": [{"image": "b.nii", "label": path}]}))
    with pytest.raises(InputError, match="not inside"):
        layouts.find(layouts.Request(str(raw), "msd"))


def test_json_nested_too_deeply_is_one_line(tmp_path):
    (tmp_path / "dataset.json").write_text("[" * 100_000)
    with pytest.raises(InputError, match=r"dataset\.json cannot be read"):
        layouts.find(layouts.Request(str(tmp_path)))
