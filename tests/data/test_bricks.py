"""Volumes that are stored as bricks, and put together again."""

import nibabel
import numpy as np
import pytest

from ssl3d_tf.data.folders import DataFolder
from ssl3d_tf.data.records import manifest, reading, schema
from ssl3d_tf.errors import InputError
from ssl3d_tf.experiment import scoring
from tools import bricks, conversion, plan, prepare
from tools.intensity import Normalisation
from tools.readers.layouts import Request


def example(shape=(10, 7, 12), channels=2):
    volume = np.random.default_rng(0).integers(0, 255, (*shape, channels), np.uint8)
    affine = np.array([[2.0, 0, 0, 1], [0, 3, 0, 2], [0, 0, 4, 3], [0, 0, 0, 1]])
    return schema.Example("a", "p", volume, [1.0], [0.0], (2.0, 3.0, 4.0), affine, {}, mask=volume[..., 0])


def convert(folder, **changes):
    """A volume of 20 × 12 × 9 voxels per split and its mask, and a small one; returns the data folder."""
    random, affine = np.random.default_rng(0), np.diag([1.0, 1, 2, 1])
    for split in manifest.SPLITS:
        for name, shape in (("large", (20, 12, 9)), ("small", (8, 8, 8))):
            (folder / "raw" / split).mkdir(parents=True, exist_ok=True)
            for end, top in (("", 900), ("_mask", 3)):
                voxels = random.integers(0, top, shape).astype(np.int16)
                nibabel.save(nibabel.Nifti1Image(voxels, affine), folder / "raw" / split / f"{name}{end}.nii.gz")
    settings = plan.Settings(prepare.Options(intensity=Normalisation("none")), **changes)
    out = folder / f"out{len(list(folder.iterdir()))}"
    conversion.convert(Request(str(folder / "raw")), out, settings)
    return DataFolder(path=out, manifest=manifest.read(out))


@pytest.mark.parametrize(
    ("size", "side", "expected"), [(8, 8, [0]), (9, 8, [0, 1]), (20, 8, [0, 6, 12]), (5, 1, [0, 1, 2, 3, 4])]
)
def test_bricks_reach_both_borders_and_overlap_by_a_quarter(size, side, expected):
    assert bricks.starts(size, side) == expected


def test_a_volume_within_the_shape_stays_whole():
    whole = example()
    assert list(bricks.cut(whole, (10, 8, 12))) == list(bricks.cut(whole, None)) == [whole]


def test_every_voxel_of_a_brick_is_where_its_affine_says():
    whole = example()
    parts = list(bricks.cut(whole, (8, 8, 8)))
    assert [part.id for part in parts] == ["a#0", "a#1", "a#2", "a#3"]
    assert {part.volume.shape for part in parts} == {(8, 7, 8, 2)}
    for part in parts:
        at = np.linalg.inv(whole.affine) @ part.affine @ [1, 2, 3, 1]
        np.testing.assert_array_equal(part.volume[1, 2, 3], whole.volume[tuple(at[:3].round().astype(int))])


def test_cases_are_put_together_as_they_were(tmp_path):
    whole, cut = convert(tmp_path), convert(tmp_path, brick_shape=(8, 8, 8))
    for split in manifest.SPLITS:
        part = cut.manifest.splits[split]
        groups = reading.cases(part.entries)
        assert [len(group) for group in groups] == [12, 1]
        for group, entry in zip(groups, whole.manifest.splits[split].entries, strict=True):
            there = reading.read_case(cut.path, part, group)
            here = reading.read_example(whole.path, whole.manifest.splits[split], entry)
            for one, other in zip(here, there, strict=True):
                np.testing.assert_equal(one, other)
    assert "| volumes | 2 | 2 | 2 |" in (cut.path / "summary.md").read_text()


def test_segmentation_scores_cases_and_not_bricks(tmp_path):
    whole, cut = convert(tmp_path), convert(tmp_path, brick_shape=(8, 8, 8))
    pairs = zip(scoring._cases(whole, "test"), scoring._cases(cut, "test"), strict=True)
    for (case, mask, volume), (case_cut, mask_cut, volume_cut) in pairs:
        assert case.id == case_cut.id
        np.testing.assert_array_equal(mask, mask_cut)
        np.testing.assert_array_equal(volume, volume_cut)


def test_bricks_share_their_volumes_patient_split_and_content(tmp_path):
    data = convert(tmp_path, brick_shape=(8, 8, 8)).manifest
    entries = data.splits["train"].entries
    assert len({entry.id for entry in entries}) == 13
    assert {entry.patient for entry in entries} == {"train/large", "train/small"}
    assert len({entry.content for entry in entries}) == 2
    assert all(sum(entry.counts.values()) == np.prod(entry.shape[:-1]) for entry in entries)
    assert "## Warnings\n\nNone." in (tmp_path / "out1" / "summary.md").read_text()


def test_a_brick_of_another_rank_is_refused(tmp_path):
    with pytest.raises(InputError, match="--brick_shape=8,8 names 2 axes, but the data are 3D"):
        convert(tmp_path, brick_shape=(8, 8))
