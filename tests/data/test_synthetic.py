import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from ssl3d_tf.data import body, folders, phantoms, synthetic
from ssl3d_tf.data.records import manifest, occupancy, writer
from ssl3d_tf.errors import InputError

COUNTS = {"train": 34, "val": 3}
SHAPE = (12, 10, 8)


def _shards(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.tfrecord"))}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantoms")
    synthetic.write_dataset(folder, counts=COUNTS, shape=SHAPE, channels=2)
    return folder


def test_dataset_is_complete_and_read_back_exactly(data):
    made = manifest.read(data)
    assert {name: len(split.entries) for name, split in made.splits.items()} == COUNTS
    assert [shard.records for shard in made.splits["train"].shards] == [32, 2]
    payload = list(writer.read_shard(data / made.splits["train"].shards[1].file))[1]
    features = tf.train.Example.FromString(payload).features.feature
    stored = np.frombuffer(features["volume"].bytes_list.value[0], np.uint8).reshape(*SHAPE, 2)
    volume, mask = phantoms.scan(33, seed=0, shape=SHAPE, channels=2)
    np.testing.assert_allclose(stored * features["scale"].float_list.value[0], volume, atol=0.5 / 255 + 1e-6)
    assert features["mask"].bytes_list.value[0] == mask.tobytes()
    assert features["label"].float_list.value[0] == float(phantoms.LESION in mask)


def test_manifest_counts_every_voxel_and_no_subject_twice(data):
    entries = [entry for split in manifest.read(data).splits.values() for entry in split.entries]
    assert len({entry.patient for entry in entries}) == sum(COUNTS.values())
    for entry in entries:
        assert sum(entry.counts.values()) == np.prod(SHAPE)
        assert entry.label == (float(str(phantoms.LESION) in entry.counts),)


def test_where_bodies_are_is_told_as_the_masks_have_it(tmp_path):
    synthetic.write_dataset(tmp_path, counts={"train": 3}, shape=(32, 24, 16), channels=2)
    made = folders.open_folder(tmp_path)
    entries = made.manifest.splits["train"].entries
    body.check(made, entries, foreground=0.5)  # which old data do not pass
    for number, entry in enumerate(entries):
        _, mask = phantoms.scan(number, seed=0, shape=(32, 24, 16), channels=2)
        assert entry.body.air == (phantoms.AIR,) * 2
        found = occupancy.shares(entry.body.cells, mask.shape) / occupancy.FULL
        expected = (mask > 0).reshape(4, 8, 3, 8, 2, 8).mean(axis=(1, 3, 5))
        assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.95
        assert abs(found - expected).max() < 0.3


def test_equal_recipes_give_equal_bytes(data, tmp_path):
    synthetic.write_dataset(tmp_path / "new", counts=COUNTS, shape=SHAPE, channels=2)
    assert _shards(tmp_path / "new") == _shards(data)
    assert (tmp_path / "new" / manifest.FILE).read_bytes() == (data / manifest.FILE).read_bytes()


def test_more_training_subjects_change_no_other(data, tmp_path):
    synthetic.write_dataset(tmp_path, counts={"train": 35, "val": 3}, shape=SHAPE, channels=2)
    changed = {name for name, content in _shards(tmp_path).items() if content != _shards(data)[name]}
    assert changed == {"train-00001.tfrecord"}


def test_a_finished_dataset_is_left_alone(data):
    before = (data / manifest.FILE).stat().st_mtime_ns
    synthetic.write_dataset(data, counts=COUNTS, shape=SHAPE, channels=2)
    assert (data / manifest.FILE).stat().st_mtime_ns == before


def test_other_data_are_not_overwritten(data):
    with pytest.raises(InputError, match="choose another folder or remove it"):
        synthetic.write_dataset(data, counts=COUNTS, shape=SHAPE, channels=1)


def test_unknown_splits_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"no split \['valid'\]"):
        synthetic.write_dataset(tmp_path, counts={"valid": 1})


def test_making_phantoms_needs_no_tensorflow():
    code = "import sys, ssl3d_tf.data.synthetic; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
