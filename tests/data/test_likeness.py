"""data/records/likeness: data fit an encoder by what they are, not by how they were asked for."""

import pytest

from ssl3d_tf.data.folders import DataFolder
from ssl3d_tf.data.records import likeness
from ssl3d_tf.training import contracts
from tests.data.test_grids import manifest_of

ONE, TWO = (1.0, 1.0, 1.0), (2.0, 2.0, 2.0)


def data(*sides, channels=("MR",), orientation="RAS", **recipe):
    return manifest_of(*sides, recipe=recipe, orientation=orientation)._replace(channels=channels)


def differences(there, here):
    contract = contracts.of_run(DataFolder("there", there), "")
    return likeness.differences(contract, here)


def test_two_millimetres_are_two_millimetres_whoever_resampled_them():
    assert differences(data(TWO), data(TWO, spacing_mm=[2])) == {}
    assert differences(data(TWO, spacing_mm=[2]), data((2.04, 2.0, 1.96))) == {}
    assert differences(data(TWO), data(TWO, shape=[64, 64, 64])) == {}


def test_one_millimetre_is_not_two():
    assert differences(data(ONE), data(TWO)) == {"spacing": "1 × 1 × 1 mm there, 2 × 2 × 2 mm here"}
    assert differences(data(TWO, spacing_mm=[2]), data(ONE)) == {"spacing": "2 × 2 × 2 mm there, 1 × 1 × 1 mm here"}


def test_of_one_shape_by_both_the_voxels_need_not_be_of_one_size():
    assert differences(data(ONE, shape=[8, 8, 8]), data(TWO, shape=[8, 8, 8])) == {}
    assert set(differences(data(ONE, shape=[8, 8, 8]), data(TWO, shape=[9, 8, 8]))) == {"spacing"}


def test_where_voxels_are_not_known_what_was_asked_for_is_compared():
    older = data(None, spacing_mm=[2])
    assert differences(older, data(TWO)) == {}  # what was asked for is what they are
    assert set(differences(older, data(ONE))) == {"spacing"}
    assert differences(data(None), data(None)) == {}
    assert differences(data(None), older) == {"spacing": "not known there, 2 × 2 × 2 mm here"}
    assert differences(data(None, shape=[8, 8, 8]), data(None)) == {"shape": "[8, 8, 8] there, None here"}


def test_what_is_not_compared_and_what_varies_is_told():
    contract = contracts.of_run(DataFolder("there", data(TWO)), "")
    assert likeness.notes(contract, data(TWO)) == []
    assert likeness.notes(contract, data(None)) == [
        "size of voxels 2 × 2 × 2 mm there, not known here, and so not compared"
    ]
    (said,) = likeness.notes(contract, data(*((2.0 + step / 40, 2.0, 2.0) for step in range(-20, 21))))
    assert said.startswith(
        "voxels are of many sizes, 2 × 2 × 2 mm there, 1.55–2.45 × 2 × 2 mm here; to_tfrecord --spac"
    )
    resampled = contracts.of_run(DataFolder("there", data(None, shape=[8, 8, 8])), "")
    assert likeness.notes(resampled, data(TWO, shape=[8, 8, 8])) == []


@pytest.mark.parametrize(
    ("there", "here", "expected"),
    [
        (("MRI",), ("T1",), {"channel_names": "MRI there, T1 here"}),
        (("MRI",), ("channel 0",), {}),
        (("channel 0",), ("T1",), {}),
        (("T1", "T2"), ("T2", "T1"), {"channel_names": "T1, T2 there, T2, T1 here"}),
        (("channel 0", "channel 1"), ("T1", "T2"), {}),
        (("T1", "T2"), ("channel 0",), {"channels": "2 there (T1, T2), 1 here (channel 0)"}),
    ],
)
def test_channels_count_always_and_their_names_where_both_have_been_given(there, here, expected):
    assert differences(data(ONE, channels=there), data(ONE, channels=here)) == expected


def test_orientation_counts_where_both_are_known_and_the_rule_of_intensity_always():
    assert differences(data(ONE, orientation="RAS"), data(ONE, orientation="")) == {}
    found = differences(
        data(ONE, orientation="RA", intensity="zscore"), data(ONE, orientation="RS", intensity="minmax")
    )
    assert found == {"orientation": "RA there, RS here", "intensity": "zscore there, minmax here"}


def test_of_another_rank_nothing_else_is_compared():
    assert differences(data(ONE)._replace(rank=2), data(TWO)) == {"spatial axes": "2 there, 3 here"}
    assert not {likeness.RANK, likeness.CHANNELS} & {*likeness.ACCEPTABLE}
