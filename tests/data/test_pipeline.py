import itertools
import re

import numpy as np
import pytest
import tensorflow as tf

from ssl3d_tf.data import folders, pipeline
from ssl3d_tf.data.records import fetching, parsing, schema
from ssl3d_tf.errors import InputError
from ssl3d_tf.task import Task
from ssl3d_tf.views import volumes
from tests.conftest import make_folder

SIZE = 12


def identity_task():
    """Inputs are the volumes plus one random number per example; nothing to learn."""

    def sample(seed):
        return {"number": tf.random.stateless_uniform([], seed)}

    def make_views(batch, params):
        return volumes.intensities(batch) + params["number"][:, None, None, None, None], params["number"]

    return Task(sample, sample, make_views, build_model=None, loss_fn=None, metrics={})


def read(folder, **options):
    defaults = {"split": "train", "training": True, "rank": 3, "view_size": SIZE, "batch_size": 4, "seed": 7}
    return pipeline.read(folders.open_folder(folder), identity_task(), **{**defaults, **options})


def take(data, steps, first_step=0):
    """[(index, inputs)] of some steps, views made wherever the data say."""
    batches = itertools.islice(data.dataset(first_step), steps)
    return [(index.numpy(), data.to_views(element)[0].numpy()) for index, element in batches]


def same(left, right):
    return all(np.array_equal(a, b) for pair in zip(left, right, strict=True) for a, b in zip(*pair, strict=True))


def test_every_epoch_has_every_example_once_in_another_order(volumes_3d):
    order = np.concatenate([index for index, _ in take(read(volumes_3d[0], batch_size=7), 6)]).reshape(3, 14)
    assert all(sorted(epoch) == list(range(14)) for epoch in order.tolist())
    assert len({tuple(epoch) for epoch in order.tolist()}) == 3


def test_restart_at_step_s_continues_the_same_batches(volumes_3d):
    whole = take(read(volumes_3d[0]), 9)
    assert same(whole[5:], take(read(volumes_3d[0]), 4, first_step=5))


@pytest.mark.parametrize("options", [{"threads": 1}, {"threads": 3}, {"views_on": "host"}, {"cache_gb": 1e-5}])
def test_threads_place_and_cache_change_nothing(volumes_3d, options):
    assert same(take(read(volumes_3d[0]), 5), take(read(volumes_3d[0], **options), 5))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("options", [{}, {"threads": 1}, {"views_on": "host"}])
def test_the_end_of_a_dataset_waits_for_no_autotuning(training, options, volumes_3d):
    dataset = read(volumes_3d[0], split="train" if training else "val", training=training, **options).dataset()
    assert not dataset.options().autotune.enabled


def fetched(folder, *, was_read, cache_bytes=0, fields=("volume", "mask", "label")):
    """Every example of the training split, read as in the first epoch or as later."""
    data = folders.open_folder(folder)
    split, layout = data.manifest.split("train"), parsing.layout(data.manifest)
    fetch = tf.function(fetching.by_index(data.path, split, layout, fields=fields, cache_bytes=cache_bytes))
    return [fetch(tf.constant(i, tf.int64), tf.constant(was_read)) for i in range(len(split.entries))]


@pytest.mark.parametrize("codec", schema.CODECS)
@pytest.mark.parametrize("dtype", schema.DTYPES)
def test_voxels_in_mapped_and_cached_shards_are_those_of_the_records(tmp_path, dtype, codec):
    shapes = [(6, 5, 7), (9, 4, 6)]
    made = make_folder(tmp_path, counts={"train": 5}, shapes=shapes, dtype=dtype, codec=codec, channels=2)["train"]
    one_shard = (tmp_path / "train-0.tfrecord").stat().st_size
    for was_read, cache_bytes in ((False, 0), (True, 0), (True, one_shard), (True, 10**9)):
        read = fetched(tmp_path, was_read=was_read, cache_bytes=cache_bytes)
        for example, found in zip(made, read, strict=True):
            np.testing.assert_array_equal(found["volume"], example.volume)
            assert found["volume"].dtype == dtype
            np.testing.assert_array_equal(found["mask"], example.mask)
            np.testing.assert_allclose([*found["scale"], *found["offset"]], [*example.scale, *example.offset])
            np.testing.assert_array_equal(found["label"], example.label)


def test_the_first_epoch_verifies_checksums_and_later_ones_see_the_file_itself(tmp_path):
    make_folder(tmp_path, counts={"train": 2}, shapes=[(4, 4, 4)])
    path = tmp_path / "train-0.tfrecord"
    path.write_bytes(path.read_bytes().replace(b"uint8", b"uint9"))  # nothing of the voxels
    with pytest.raises(tf.errors.DataLossError):
        fetched(tmp_path, was_read=False)
    assert fetched(tmp_path, was_read=True)[0]["volume"].shape == (4, 4, 4, 1)


def test_evaluation_is_one_dataset_verified_when_it_is_built(tmp_path):
    made = make_folder(tmp_path, counts={"val": 2}, shapes=[(SIZE,) * 3])
    held_out = read(tmp_path, split="val", training=False, batch_size=2)
    assert held_out.dataset() is held_out.dataset()
    assert same(take(held_out, 1), take(held_out, 1))
    path = tmp_path / "val-0.tfrecord"
    path.write_bytes(path.read_bytes().replace(b"uint8", b"uint9"))  # nothing of the voxels, which are mapped
    assert np.array_equal(held_out.ids, [example.id for example in made["val"]])
    assert len(take(held_out, 1)[0][1]) == 2
    with pytest.raises(InputError, match=r"the record at byte 0 of .*val-0\.tfrecord is damaged"):
        read(tmp_path, split="val", training=False, batch_size=2).dataset()


def test_the_cache_is_of_all_splits_together(tmp_path):
    make_folder(tmp_path, counts={"train": 4, "val": 2, "test": 2}, shapes=[(SIZE,) * 3])
    manifest = folders.open_folder(tmp_path).manifest
    sizes = {name: sum(shard.bytes for shard in manifest.split(name).shards) for name in ("train", "val", "test")}
    left = [fetching.cache_left(manifest, name, cache_gb=(sizes["train"] + 10) / 1e9) for name in sizes]
    assert left == [sizes["train"] + 10, 10, 0]


@pytest.mark.parametrize(("fields", "lacking"), [(("volume", "mask"), "mask"), (("volume", "label"), "label")])
def test_an_example_without_what_the_task_reads_is_named(volumes_3d, fields, lacking):
    data = folders.open_folder(volumes_3d[0])
    first, second, *rest = (split := data.manifest.split("train")).entries
    bare = second._replace(label=None, counts=None, stored=second.stored._replace(mask_dtype=None))
    splits = {"train": split._replace(entries=(first, bare, *rest))}
    data = data._replace(manifest=data.manifest._replace(splits=splits))
    options = {"split": "train", "training": True, "rank": 3, "view_size": SIZE, "batch_size": 4, "seed": 7}
    with pytest.raises(InputError, match=f"example 'train1' of .* has no {lacking}"):
        pipeline.read(data, identity_task(), **options, fields=fields)


def test_shards_are_not_written_into_the_graphs_that_read_them(volumes_3d):
    data = folders.open_folder(volumes_3d[0])
    split, layout = data.manifest.split("train"), parsing.layout(data.manifest)
    fetch = tf.function(fetching.by_index(data.path, split, layout, cache_bytes=10**9))
    graph = fetch.get_concrete_function(tf.TensorSpec([], tf.int64), tf.TensorSpec([], tf.bool)).graph
    text = graph.as_graph_def().SerializeToString()
    for shard in split.shards:
        assert (data.path / shard.file).read_bytes()[-2000:-1000] not in text


def test_another_seed_gives_other_batches_and_draws(volumes_3d):
    (first, one), (second, other) = take(read(volumes_3d[0]), 1)[0], take(read(volumes_3d[0], seed=8), 1)[0]
    assert not np.array_equal(first, second)
    assert not np.array_equal(one, other)


def test_draws_do_not_depend_on_the_batch_size(volumes_3d):
    by_index = {}
    for index, inputs in take(read(volumes_3d[0], batch_size=2), 7):
        by_index |= dict(zip(index.tolist(), inputs, strict=True))
    for index, inputs in take(read(volumes_3d[0], batch_size=7), 2):
        assert all(np.array_equal(by_index[i], x) for i, x in zip(index.tolist(), inputs, strict=True))


def test_workers_share_every_batch(volumes_3d):
    data = read(volumes_3d[0])
    whole = take(data, 3)
    parts = [[index.numpy() for index, _ in itertools.islice(data.dataset(0, w, 2, 2), 3)] for w in range(2)]
    for step, (index, _) in enumerate(whole):
        assert np.array_equal(index, np.concatenate([parts[0][step], parts[1][step]]))


def test_evaluation_is_one_pass_in_stored_order_with_the_same_draws(volumes_3d):
    data = read(volumes_3d[0], split="val", training=False)
    first, second = take(data, 99), take(data, 99)
    assert np.concatenate([index for index, _ in first]).tolist() == [0, 1, 2, 3, 4]
    assert same(first, second)


def test_evaluation_crops_the_centre_and_pads_with_the_minimum(volumes_3d):
    folder, examples = volumes_3d
    data = read(folder, split="val", training=False, fields=("volume", "mask"))
    _, (batch, _) = next(iter(data.dataset()))
    large, small = examples["val"][0], examples["val"][2]
    assert np.array_equal(batch["volume"][0], large.volume[1:13, 0:12, 2:14])
    assert np.array_equal(batch["mask"][0], large.mask[1:13, 0:12, 2:14])
    assert np.array_equal(batch["volume"][2, 1:10], small.volume[:, 1:13])
    assert np.all(batch["volume"][2, 10:] == small.volume.min())
    assert np.all(batch["mask"][2, :1] == 0)


def test_views_may_have_a_size_per_axis(volumes_3d):
    folder, examples = volumes_3d
    data = read(folder, split="val", training=False, fields=("volume", "mask"), view_size=(12, 6, 16))
    _, (batch, _) = next(iter(data.dataset()))
    large, small = examples["val"][0], examples["val"][2]
    assert np.array_equal(batch["volume"][0], large.volume[1:13, 3:9])
    assert np.array_equal(batch["mask"][0], large.mask[1:13, 3:9])
    assert np.array_equal(batch["volume"][2, 1:10, :, 2:14], small.volume[:, 4:10])
    assert np.all(batch["volume"][2, ..., :2, 0] == small.volume.min())
    assert same(take(read(folder), 3), take(read(folder, view_size=(SIZE,) * 3), 3))
    with pytest.raises(InputError, match=r"VIEW_SIZE is \(12, 6\), 2 numbers for 3 axes"):
        read(folder, view_size=(12, 6))


def test_random_crops_reach_both_ends(volumes_3d):
    folder, examples = volumes_3d
    data, starts = read(folder, fields=("volume",)), set()
    for index, (batch, _) in itertools.islice(data.dataset(), 60):
        for i, volume in zip(index.numpy(), batch["volume"].numpy(), strict=True):
            whole = examples["train"][i].volume
            if whole.shape[0] == 14:
                starts |= {s for s in range(3) if np.array_equal(whole[s : s + 12, :12, :12], volume)} | {
                    s for s in range(3) if np.array_equal(whole[s : s + 12, 1:13, 4:16], volume)
                }
    assert {0, 2} <= starts


@pytest.mark.parametrize("codec", ["raw", "zlib"])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "float16", "float32"])
def test_every_dtype_and_codec_is_read_back(tmp_path, dtype, codec):
    examples = make_folder(tmp_path, counts={"val": 2}, shapes=[(5, 6)], dtype=dtype, codec=codec, channels=2)
    data = folders.open_folder(tmp_path)
    task = identity_task()._replace(make_views=lambda batch, params: (volumes.intensities(batch), params))
    loaded = pipeline.read(
        data, task, split="val", training=False, rank=2, view_size=5, batch_size=2, seed=0, fields=("volume", "label")
    )
    _, element = next(iter(loaded.dataset()))
    expected = np.stack([e.volume[:, 0:5] for e in examples["val"]]).astype("float32") / 255
    np.testing.assert_allclose(loaded.to_views(element)[0], expected, rtol=1e-3 if dtype == "float16" else 1e-6)
    assert element[0]["label"].numpy().ravel().tolist() == [0.0, 1.0]


def test_intensity_is_scaled_per_channel():
    stored = tf.constant([[[[2, 2]]]], tf.uint8)
    result = volumes.to_intensity(stored, (tf.constant([[0.5, 2.0]]), tf.constant([[1.0, -1.0]])))
    assert result.numpy().ravel().tolist() == [2.0, 3.0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rank": 2}, "3D"),
        ({"channels": 2}, "CHANNELS is 2"),
        ({"batch_size": 15}, "BATCH_SIZE 15 exceeds the 14"),
        ({"split": "test"}, "split 'test'"),
        ({"views_on": "gpu"}, "VIEWS_ON"),
    ],
)
def test_what_does_not_fit_is_one_clear_error(volumes_3d, options, message):
    with pytest.raises(InputError, match=message):
        read(volumes_3d[0], **options)


def test_a_damaged_record_stops_the_reading(tmp_path):
    make_folder(tmp_path, counts={"train": 4}, shapes=[(8, 8, 8)])
    shard = tmp_path / "train-0.tfrecord"
    content = bytearray(shard.read_bytes())
    content[300] ^= 1
    shard.write_bytes(content)
    with pytest.raises(tf.errors.DataLossError):
        list(read(tmp_path, view_size=8, batch_size=4).dataset().take(1))


def test_how_much_of_a_view_is_padding_is_said_with_the_knob(volumes_3d, capsys):
    data = folders.open_folder(volumes_3d[0])
    folders.note_padding(data, 9)
    assert capsys.readouterr().out == ""
    folders.note_padding(data, 13)
    assert re.match(
        r"\d+ of 14 training volumes are smaller .* 13 .*: padded; \d+% of an average view is padding, ",
        capsys.readouterr().out,
    )
    folders.note_padding(data, 24)
    assert "; a smaller VIEW_SIZE, 1" in capsys.readouterr().out
