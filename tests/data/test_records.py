"""records/*: bytes that TensorFlow reads, damage that is named, and a manifest that says what is there."""

import gc
import json
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from ssl3d_tf.data import files
from ssl3d_tf.data.records import manifest, mapping, schema, writer
from ssl3d_tf.errors import InputError


def example(name="case", dtype="int16", **changes):
    volume = (np.arange(24).reshape(2, 3, 4, 1) - 12).astype(dtype)
    mask = (np.arange(24).reshape(2, 3, 4) % 3).astype(np.uint8)
    made = schema.Example(name, "p1", volume, [0.5], [-1.0], [1, 2, 3], np.eye(4), {"path": "ä.nii"}, mask, [1.0, 0.0])
    return made._replace(**changes)


def data_folder(folder):
    payloads = [schema.encode(example(f"case {number}")) for number in range(3)]
    shard, places = writer.write_shard(folder / "train-00000.tfrecord", payloads)
    entries = tuple(
        manifest.Entry(f"case {n}", "p1", 0, *place, (2, 3, 4, 1), (1.0, 0.0), {"0": 8, "1": 8, "2": 8})
        for n, place in enumerate(places)
    )
    splits = {"train": manifest.Split((shard,), entries), "val": manifest.Split((), ())}
    made = manifest.Manifest(
        "toy", 3, ("CT",), "CT", {"1": "liver"}, ("int16",), ("uint8",), "raw", 2, {"shape": None}, splits
    )
    manifest.write(folder, made)
    return made


def damage(path, position):
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


def edit(folder, change):
    path = folder / manifest.FILE
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def test_tensorflow_parses_what_encode_writes():
    feature = tf.train.Example.FromString(schema.encode(example())).features.feature
    assert feature["id"].bytes_list.value == [b"case"]
    assert feature["volume"].bytes_list.value == [example().volume.tobytes()]
    assert list(feature["shape"].int64_list.value) == [2, 3, 4, 1]
    assert list(feature["mask_shape"].int64_list.value) == [2, 3, 4]
    assert list(feature["scale"].float_list.value) == [0.5]
    assert list(feature["label"].float_list.value) == [1.0, 0.0]
    assert list(feature["affine"].float_list.value) == np.eye(4).ravel().tolist()
    assert json.loads(feature["source"].bytes_list.value[0]) == {"path": "ä.nii"}


def test_encode_equals_an_example_that_tensorflow_builds():
    made = example(mask=None)
    texts = {"id": b"case", "patient": b"p1", "dtype": b"int16", "codec": b"raw", "volume": made.volume.tobytes()}
    texts["source"] = json.dumps(made.source).encode()
    numbers = {"scale": [0.5], "offset": [-1.0], "spacing_mm": [1, 2, 3], "affine": np.eye(4).ravel(), "label": [1, 0]}
    features = {key: tf.train.Feature(bytes_list=tf.train.BytesList(value=[text])) for key, text in texts.items()}
    for key, values in numbers.items():
        features[key] = tf.train.Feature(float_list=tf.train.FloatList(value=values))
    features["shape"] = tf.train.Feature(int64_list=tf.train.Int64List(value=[2, 3, 4, 1]))
    expected = tf.train.Features(feature=features)
    assert tf.train.Example.FromString(schema.encode(made)).features == expected


def test_unlabelled_examples_have_no_mask_and_no_label():
    feature = tf.train.Example.FromString(schema.encode(example(mask=None, label=None))).features.feature
    assert not {"mask", "mask_dtype", "mask_shape", "label"} & set(feature)


@pytest.mark.parametrize("codec", schema.CODECS)
@pytest.mark.parametrize("dtype", schema.DTYPES)
def test_decode_inverts_encode(dtype, codec):
    made = example(dtype=dtype)
    read = schema.decode(schema.encode(made, codec))
    assert read.volume.dtype == made.volume.dtype
    np.testing.assert_array_equal(read.volume, made.volume)
    np.testing.assert_array_equal(read.mask, made.mask)
    assert (read.id, read.patient, read.scale, read.label) == ("case", "p1", (0.5,), (1.0, 0.0))
    assert read.source == made.source


@pytest.mark.parametrize("size", range(1, 70, 3))
def test_every_volume_of_a_shard_is_aligned(tmp_path, size):
    made = [example("x" * name, "uint8", volume=np.arange(size, dtype=np.uint8)[:, None]) for name in (1, 2, 70)]
    payloads = [schema.encode(each) for each in made]
    writer.write_shard(tmp_path / "a", payloads)
    content, begin = (tmp_path / "a").read_bytes(), 0
    for each, payload in zip(made, payloads, strict=True):
        at = begin + schema.HEADER_BYTES + schema.stored(payload).at
        assert at % schema.ALIGNMENT == 0
        assert content[at : at + size] == each.volume.tobytes()
        begin += schema.HEADER_BYTES + len(payload) + schema.FOOTER_BYTES


def test_where_voxels_are_stored_comes_back_from_the_manifest(tmp_path):
    entry = data_folder(tmp_path).splits["train"].entries[0]
    payload = schema.encode(example())
    stored = schema.stored(payload)
    assert payload[stored.at :][: stored.size] == example().volume.tobytes()
    assert payload[stored.mask_at :][: stored.mask_size] == example().mask.tobytes()
    assert manifest.entry_from_json(json.loads(json.dumps(entry._replace(stored=stored)))).stored == stored


def test_big_endian_and_fortran_order_are_stored_alike():
    volume = np.asfortranarray(example().volume.astype(">i2"))
    assert schema.encode(example(volume=volume)) == schema.encode(example())


@pytest.mark.parametrize("value", [0, 127, 128, 2**35, -1])
def test_integers_of_any_length_are_varints(value):
    feature = b"".join(schema._int_feature([value]))
    assert list(tf.train.Feature.FromString(feature).int64_list.value) == [value]


def test_encode_rejects_a_dtype_outside_the_schema():
    with pytest.raises(ValueError, match="float64"):
        schema.encode(example(volume=np.zeros((2, 2, 1))))


def test_decode_rejects_other_bytes():
    with pytest.raises(ValueError, match="not a record"):
        schema.decode(schema.encode(example())[:-40])


def test_the_smallest_mask_dtype_is_chosen():
    assert [schema.mask_dtype(value) for value in (255, 256, 65536)] == ["uint8", "uint16", "int32"]


def test_tfrecord_dataset_reads_our_shards(tmp_path):
    payloads = [schema.encode(example(str(number))) for number in range(5)]
    writer.write_shard(tmp_path / "a.tfrecord", payloads)
    assert list(tf.data.TFRecordDataset(str(tmp_path / "a.tfrecord")).as_numpy_iterator()) == payloads


def test_our_reader_reads_tensorflows_shards(tmp_path):
    with tf.io.TFRecordWriter(str(tmp_path / "a.tfrecord")) as file:
        file.write(b"one")
        file.write(b"")
    assert list(writer.read_shard(tmp_path / "a.tfrecord")) == [b"one", b""]


def test_records_are_read_at_their_offsets(tmp_path):
    shard, places = writer.write_shard(tmp_path / "a.tfrecord", [b"one", b"three", b""])
    assert [writer.read_record(tmp_path / "a.tfrecord", place.offset) for place in places] == [b"one", b"three", b""]
    assert shard.bytes == (tmp_path / "a.tfrecord").stat().st_size
    assert shard.crc32c == writer.file_crc32c(tmp_path / "a.tfrecord")


@pytest.mark.parametrize("position", [0, 9, 13, -1])
def test_a_flipped_byte_is_named(tmp_path, position):
    path = tmp_path / "a.tfrecord"
    writer.write_shard(path, [b"payload"])
    damage(path, position)
    with pytest.raises(InputError, match=r"record 0 of .*a\.tfrecord is damaged"):
        list(writer.read_shard(path))


def test_a_cut_shard_is_named(tmp_path):
    path = tmp_path / "a.tfrecord"
    writer.write_shard(path, [b"one", b"two"])
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(InputError, match="record 1 of"):
        list(writer.read_shard(path))


def test_a_failing_write_leaves_nothing(tmp_path):
    def payloads():
        yield b"one"
        raise InputError("stop")

    with pytest.raises(InputError, match="stop"):
        writer.write_shard(tmp_path / "a.tfrecord", payloads())
    assert not list(tmp_path.iterdir())


def test_manifest_round_trip(tmp_path):
    made = data_folder(tmp_path)
    assert manifest.read(tmp_path) == made
    assert manifest.fingerprint(manifest.read(tmp_path)) == manifest.fingerprint(made)


def test_an_empty_split_is_named(tmp_path):
    with pytest.raises(InputError, match=r"split 'val' of data set 'toy' has no example.*'train': 3"):
        data_folder(tmp_path).split("val")


def test_a_folder_without_manifest_is_named(tmp_path):
    with pytest.raises(InputError, match="holds no manifest"):
        manifest.read(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda value: value.update(schema_version=99), "another schema"),
        (lambda value: value.pop("rank"), "damaged"),
        (lambda value: value["splits"]["train"].pop("shards"), "damaged"),
        (lambda value: value["splits"]["train"]["shards"][0].update(bytes=1), "1 bytes"),
        (lambda value: value["splits"]["train"]["examples"][2].__setitem__(2, 7), "outside its shard"),
        (lambda value: value["splits"]["train"]["examples"][2].__setitem__(3, 1 << 40), "outside its shard"),
    ],
)
def test_a_faulty_manifest_is_named(tmp_path, change, message):
    data_folder(tmp_path)
    edit(tmp_path, change)
    with pytest.raises(InputError, match=message):
        manifest.read(tmp_path)


def test_text_that_is_no_json_is_named(tmp_path):
    (tmp_path / manifest.FILE).write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        manifest.read(tmp_path)


def test_a_missing_and_a_cut_shard_are_named(tmp_path):
    data_folder(tmp_path)
    shard = tmp_path / "train-00000.tfrecord"
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(InputError, match="bytes long, but"):
        manifest.read(tmp_path)
    shard.unlink()
    with pytest.raises(InputError, match="is missing, but"):
        manifest.read(tmp_path)


def test_the_record_header_is_little_endian(tmp_path):
    writer.write_shard(tmp_path / "a.tfrecord", [b"x" * 300])
    assert struct.unpack("<Q", (tmp_path / "a.tfrecord").read_bytes()[:8]) == (300,)


def test_a_draft_has_no_name_until_it_is_published(tmp_path):
    draft = files.beside(tmp_path / "a.tfrecord")
    with files.draft(draft) as file:
        file.write(b"one")
    assert not (tmp_path / "a.tfrecord").exists()
    files.publish(draft, tmp_path / "a.tfrecord")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.tfrecord", b"one")]


def test_shards_are_mapped_without_a_descriptor_each(tmp_path):
    for number in range(300):
        (tmp_path / str(number)).write_bytes(bytes([number % 256]) * 5000)
    before = len(os.listdir("/proc/self/fd"))
    mapped = [mapping._mapped(tmp_path / str(number), 5000) for number in range(300)]
    assert len(os.listdir("/proc/self/fd")) <= before + 1
    assert [int(content[0]) for content in mapped] == [number % 256 for number in range(300)]
    assert Path("/proc/self/maps").read_text().count(str(tmp_path)) == 300
    del mapped
    gc.collect()
    assert str(tmp_path) not in Path("/proc/self/maps").read_text()
