"""One split as a plain dataset: every volume in its intensities, with mask and label where there are any."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ssl3d_tf import dataset, open_data
from ssl3d_tf.data.records import manifest as manifests
from ssl3d_tf.data.records import schema, writer
from ssl3d_tf.errors import InputError
from tests.conftest import make_folder


@pytest.fixture(scope="module")
def alike(tmp_path_factory):
    """A folder of 2D pictures of one shape and two channels, compressed."""
    folder = tmp_path_factory.mktemp("alike")
    return folder, make_folder(folder, counts={"train": 6, "val": 2}, shapes=[(8, 10)], channels=2, codec="zlib")


def test_volumes_come_whole_in_their_intensities_with_mask_and_label(volumes_3d):
    folder, examples = volumes_3d
    found = list(dataset(folder, "train"))
    assert len(found) == len(examples["train"]) == dataset(folder, "train").cardinality()
    for one, example in zip(found, examples["train"], strict=True):
        assert one.keys() == {"id", "volume", "mask", "label"}
        assert one["id"].numpy().decode() == example.id
        np.testing.assert_allclose(one["volume"], np.float32(example.volume) / 255, rtol=1e-6)
        np.testing.assert_array_equal(one["mask"], example.mask)
        np.testing.assert_array_equal(one["label"], example.label)
        assert (one["volume"].dtype, one["mask"].dtype, one["label"].dtype) == (tf.float32, tf.int32, tf.float32)


def test_volumes_of_one_shape_batch_and_feed_keras(alike):
    folder, _ = alike
    scans = dataset(open_data(folder), "train")
    assert scans.element_spec["volume"].shape == (8, 10, 2)
    assert [batch["volume"].shape[0] for batch in scans.batch(4)] == [4, 2]
    model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(1)])
    model.compile(loss="mse")
    model.fit(
        scans.shuffle(6).map(lambda scan: (scan["volume"], scan["label"])).batch(2), epochs=2, shuffle=False, verbose=0
    )


def test_what_is_cut_from_the_centre_is_padded_with_its_minimum(volumes_3d):
    folder, examples = volumes_3d
    scans = dataset(folder, "train", view_size=12, fields=("mask",))
    assert scans.element_spec["volume"].shape == (12, 12, 12, 1)
    found, (first, _, third) = next(iter(scans.batch(14))), examples["train"][:3]
    assert found.keys() == {"id", "volume", "mask"}
    np.testing.assert_allclose(found["volume"][0], first.volume[1:13, :12, 2:14] / 255, rtol=1e-6)
    np.testing.assert_allclose(found["volume"][2][0], np.full((12, 12, 1), third.volume.min() / 255), rtol=1e-6)
    assert not np.any(found["mask"][2][0])
    np.testing.assert_array_equal(found["mask"][2][1:10], third.mask[:, 1:13])


def test_data_without_masks_and_labels_has_none(tmp_path):
    make_folder(tmp_path, counts={"train": 2}, shapes=[(4, 4)], masks=False, label=lambda i: [])
    assert next(iter(dataset(tmp_path, "train"))).keys() == {"id", "volume"}


def test_a_missing_mask_is_minus_one_and_a_missing_label_nan(tmp_path):
    examples = make_folder(tmp_path, counts={"train": 2}, shapes=[(4, 6)])["train"]
    bare = schema.encode(examples[1]._replace(mask=None, label=None))
    shard, (at,) = writer.write_shard(tmp_path / "bare.tfrecord", [bare])
    manifest = manifests.read(tmp_path)
    train = manifest.splits["train"]
    entry = manifests.Entry("bare", "p", 2, *at, examples[1].volume.shape, stored=schema.stored(bare))
    split = manifests.Split((*train.shards, shard), (*train.entries, entry))
    manifests.write(tmp_path, manifest._replace(splits={"train": split}))
    for options in ({}, {"view_size": 8}):
        *with_both, without = dataset(tmp_path, "train", **options)
        assert all(np.all(one["mask"] >= 0) and np.isfinite(one["label"]) for one in with_both)
        assert np.all(without["mask"] == -1)
        assert np.isnan(without["label"])
        assert without["mask"].shape == without["volume"].shape[:-1]


def test_damage_is_found_when_it_is_come_upon(tmp_path):
    make_folder(tmp_path, counts={"train": 4}, shapes=[(8, 8)])
    path = tmp_path / "train-1.tfrecord"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    scans = iter(dataset(tmp_path, "train"))
    with pytest.raises(tf.errors.DataLossError):
        list(scans)


@pytest.mark.parametrize(
    ("split", "options", "message"),
    [
        ("test", {}, "split 'test' of data set 'random' has no example"),
        ("train", {"view_size": 0}, "view_size is 0; it must be a whole number of at least 1, or one per axis"),
        ("train", {"fields": ("masks",)}, "fields has masks; it may have mask and label"),
    ],
)
def test_a_wrong_use_is_one_line(split, options, message, alike):
    with pytest.raises(InputError, match=message):
        dataset(alike[0], split, **options)
