"""Masks on the grid that was read, beside resampled ones: kept where the two differ, and read by scores only."""

import nibabel
import numpy as np
import pytest
import tensorflow as tf

from ssl3d_tf.data.records import manifest, parsing, placement, reading, schema, writer
from ssl3d_tf.errors import InputError
from tests.tools.converting import contents, convert, examples, make_scans, run, settings
from tools.checks import verification
from tools.overview import table


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    return make_scans(tmp_path_factory.mktemp("native") / "raw")


def masks(raw):
    """By id, as they are in RAS+: the files run from right to left."""
    paths = {f"images/c{number}": raw / "masks" / f"c{number}.nii.gz" for number in range(6)}
    return {name: np.asarray(nibabel.load(path).dataobj)[::-1].astype(int) for name, path in paths.items()}


def test_a_resampled_mask_is_kept_as_it_was_read(raw, tmp_path):
    convert(raw, tmp_path / "data", settings(spacing_mm=(1.5,), relabel=((2, 1002),)))
    for name, made in examples(tmp_path / "data").items():
        placed, native = reading.native(made)
        expected = np.where(masks(raw)[name] == 2, 1002, masks(raw)[name])
        assert native.dtype == made.mask.dtype == np.uint16
        np.testing.assert_array_equal(native, expected)
        assert made.mask.shape == placed.stored != placed.shape == native.shape


def test_bricks_keep_it_once_and_a_case_has_it(raw, tmp_path):
    convert(raw, tmp_path / "data", settings(spacing_mm=(1.5,))._replace(brick_shape=(4, 4, 8)))
    data = manifest.read(tmp_path / "data")
    split = data.splits["train"]
    for entries in reading.cases(split.entries):
        assert len(entries) > 1
        kept = [reading.read_example(tmp_path / "data", split, entry).native_mask is not None for entry in entries]
        assert kept == [True] + [False] * (len(entries) - 1)
        case = reading.read_case(tmp_path / "data", split, entries)
        np.testing.assert_array_equal(reading.native(case)[1], masks(raw)[case.id])
    assert not list(verification.verify(tmp_path / "data", data))


def test_slices_have_theirs_where_they_are_slices_of_the_input(raw, tmp_path):
    convert(raw, tmp_path / "in", settings(slices="axial", shape=(5, 6)))
    for name, made in examples(tmp_path / "in").items():
        case, number = name[: -len("_axial000")], int(name[-3:])
        np.testing.assert_array_equal(reading.native(made)[1], masks(raw)[case][:, :, number])
    convert(raw, tmp_path / "across", settings(slices="axial", spacing_mm=(1.5,)))
    assert all(made.native_mask is reading.native(made) is None for made in examples(tmp_path / "across").values())


def test_data_on_their_own_grid_are_what_they_were(raw, tmp_path):
    def folder(name, **options):
        convert(raw, tmp_path / name, settings(**options))
        return {key: value for key, value in contents(tmp_path / name).items() if key.endswith(".tfrecord")}

    assert folder("auto") == folder("never", keep_native_masks="never")
    assert folder("auto spacing", spacing_mm=(1.0, 1.0, 2.0)) == folder(
        "never spacing", spacing_mm=(1.0, 1.0, 2.0), keep_native_masks="never"
    )
    assert "keep_native_masks" not in manifest.read(tmp_path / "auto").recipe
    assert folder("always", keep_native_masks="always") != folder("auto again")
    for name, made in examples(tmp_path / "always").items():
        np.testing.assert_array_equal(made.native_mask, masks(raw)[name])


def test_none_is_kept_where_the_user_says_so_and_other_data_are_refused(raw, tmp_path):
    convert(raw, tmp_path / "data", settings(shape=(5, 5, 5), keep_native_masks="never"))
    assert all(made.native_mask is reading.native(made) is None for made in examples(tmp_path / "data").values())
    assert (
        table.summarise(tmp_path / "data", manifest.read(tmp_path / "data"))["splits"]["test"]["scored_on"] == "record"
    )
    with pytest.raises(InputError, match="keep_native_masks was never, now None"):
        convert(raw, tmp_path / "data", settings(shape=(5, 5, 5)))


def test_inspection_says_on_which_grid_masks_are_scored(raw, tmp_path):
    for name, options in (("same", {}), ("other", {"square": True})):
        convert(raw, tmp_path / name, settings(**options))
        summary = table.summarise(tmp_path / name, manifest.read(tmp_path / name))
        assert {split["scored_on"] for split in summary["splits"].values()} == {"native"}
        assert "scored on" in table.text(summary)
        assert "native grid" in table.text(summary)


def test_a_misspelt_choice_is_one_line(raw, tmp_path):
    done = run("--input", raw, "--output", tmp_path / "data", "--keep_native_masks=yes")
    assert done.returncode != 0
    assert "keep_native_masks" in done.stderr


def record(**changes):
    volume, mask = np.arange(24, dtype=np.uint8).reshape(2, 3, 4, 1), np.ones((2, 3, 4), np.uint8)
    resampled = {"from": [4, 6, 8], "to": [2, 3, 4], "factors": [2.0, 2.0, 2.0]}
    source = {"shape": [4, 6, 8], "orientation": None, "resampled": resampled, "crop_box": None}
    native = np.arange(192).reshape(4, 6, 8).astype(np.uint16)
    made = schema.Example("a", "p", volume, [1.0], [0.0], (1, 1, 1), np.eye(4), source, mask, native_mask=native)
    return made._replace(**changes)


@pytest.mark.parametrize("codec", schema.CODECS)
def test_training_finds_its_voxels_and_does_not_look_at_it(codec):
    payload, without = (schema.encode(one, codec) for one in (record(), record(native_mask=None)))
    np.testing.assert_array_equal(schema.decode(payload).native_mask, record().native_mask)
    features = tf.train.Example.FromString(payload).features.feature
    assert list(features["native_mask_shape"].int64_list.value) == [4, 6, 8]
    found, stored = schema.stored(payload), schema.stored(without)
    for part in ("at", "mask_at"):
        size = getattr(found, part.replace("at", "size"))
        begin, other = getattr(found, part), getattr(stored, part)
        assert payload[begin : begin + size] == without[other : other + size]
    assert (schema.HEADER_BYTES + found.at) % schema.ALIGNMENT == 0
    layout = parsing.Layout(3, 1, ("uint8",), ("uint8",), codec, 0)
    parsed, expected = (parsing.parse(one, layout, fields=("volume", "mask")) for one in (payload, without))
    assert sorted(parsed) == ["mask", "offset", "scale", "volume"]
    assert all(np.array_equal(parsed[name], expected[name]) for name in parsed)


def test_a_mask_of_another_shape_than_the_source_says_is_noticed(tmp_path):
    payload = schema.encode(record(native_mask=np.zeros((4, 6, 7), np.uint8)))
    shard, (place,) = writer.write_shard(tmp_path / "train-00000.tfrecord", [payload])
    entry = manifest.Entry("a", "p", 0, *place, (2, 3, 4, 1))
    data = manifest.Manifest(
        "a", 3, ("a",), "", {}, ("uint8",), ("uint8",), "raw", 0, {}, {"train": manifest.Split((shard,), (entry,))}
    )
    (line,) = verification.verify(tmp_path, data)
    assert line.endswith("has a native mask of (4, 6, 7), its source says (4, 6, 8); convert again.")
    assert placement.of(record().source, (2, 3, 4)).shape == (4, 6, 8)


def test_a_native_mask_outside_the_schema_is_refused():
    with pytest.raises(ValueError, match="native_mask dtype int64"):
        schema.encode(record(native_mask=np.zeros((4, 6, 8), np.int64)))
