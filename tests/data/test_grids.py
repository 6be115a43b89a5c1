"""data/records/grids: the voxels of a data set as they are, from its manifest and from a contract."""

import json

import pytest

from ssl3d_tf.data.records import grids
from ssl3d_tf.data.records.grids import Grid
from ssl3d_tf.data.records.manifest import Entry, Manifest, Split


def manifest_of(*sides, recipe=None, split="train", orientation=""):
    """Of one example per spacing."""
    entries = tuple(Entry(f"e{n}", "p", 0, 0, 1, (4, 4, 4, 1), spacing_mm=mm) for n, mm in enumerate(sides))
    splits = {name: Split((), entries if name == split else ()) for name in ("train", "val", "test")}
    return Manifest("d", 3, ("MR",), "", {}, (), (), "raw", 0, recipe or {}, splits, orientation=orientation)


def test_the_median_is_what_most_scans_have_and_one_odd_scan_widens_nothing():
    found = grids.of_manifest(manifest_of(*[(1.0, 1.0, 2.5)] * 30, (4.0, 4.0, 4.0), orientation="RAS"))
    assert found == Grid((1.0, 1.0, 2.5), (1.0, 1.0, 2.5), (1.0, 1.0, 2.5), "RAS")
    assert (str(found), found.varies) == ("1 × 1 × 2.5 mm", False)


def test_scans_of_many_sizes_are_told_as_such():
    found = grids.of_manifest(manifest_of(*((0.6 + step / 100, 1.0, 1.0) for step in range(41))))
    assert (str(found), found.varies) == ("0.62–0.98 × 1 × 1 mm", True)


def test_a_data_set_without_training_split_is_measured_over_what_it_has():
    assert grids.of_manifest(manifest_of((2.0, 2.0, 2.0), split="test")).spacing_mm == (2.0, 2.0, 2.0)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [(None, "not known"), ([2], "2 × 2 × 2 mm"), ([1, 1, 2], "1 × 1 × 2 mm"), ([1, 1], "not known")],
)
def test_of_older_data_it_is_what_was_asked_for(asked, expected):
    """Two sides in 3D are those of slices, whose contract has another rank."""
    assert str(grids.of_manifest(manifest_of(None, recipe={"spacing_mm": asked}))) == expected
    assert str(grids.of_contract({"rank": 3, "recipe": {"spacing_mm": asked}})) == expected


def test_a_contract_says_it_as_the_manifest_does():
    for manifest in (manifest_of((1.0, 1.0, 1.5), (2.0, 1.0, 1.5), orientation="RAS"), manifest_of(None)):
        found = grids.of_manifest(manifest)
        assert grids.of_contract(json.loads(json.dumps({"grid": found._asdict()}))) == found


@pytest.mark.parametrize(
    ("here", "expected"), [((1.0, 1, 1), True), ((1.049, 1, 0.951), True), ((1.06, 1, 1), False), ((1, 1, 0.94), False)]
)
def test_five_per_cent_of_a_side_are_the_same_voxel(here, expected):
    there = Grid(*[(1.0, 1.0, 1.0)] * 3)
    assert grids.fits(there, Grid(*[here] * 3)) is expected


def test_what_an_encoder_has_seen_of_many_sizes_fits_it():
    there = Grid((0.8, 1.0, 1.0), (0.6, 1.0, 1.0), (1.2, 1.0, 1.0))
    assert grids.fits(there, Grid(*[(0.6, 1.0, 1.0)] * 3)) is True
    assert grids.fits(there, Grid(*[(1.5, 1.0, 1.0)] * 3)) is False
    assert grids.fits(there, Grid()) is grids.fits(Grid(), there) is None
