"""What the converter notes of body and air: by the whole scan, of volumes and bricks, in text and columns."""

import numpy as np
import pytest

from ssl3d_tf.data.records import columns, manifest, occupancy
from ssl3d_tf.data.records.reading import read_example
from tests.tools.converting import contents, convert, settings
from tools.conversion import shards, workers
from tools.prepare import occupied

SHAPE = (40, 32, 24)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Four scans with a body in one corner, and as many voxels of faint noise."""
    root, rng = tmp_path_factory.mktemp("scans"), np.random.default_rng(0)
    for number in range(4):
        voxels = rng.integers(0, 20, SHAPE)
        voxels[: 16 + 8 * (number % 2), :16, :12] += 700
        np.save(root / f"s{number}.npy", voxels.astype(np.int16))
    return root


def entries(folder):
    return [entry for split in manifest.read(folder).splits.values() for entry in split.entries]


def test_cells_are_how_full_of_body_they_are(root, tmp_path):
    convert(root, tmp_path / "data")
    found = {entry.id: entry for entry in entries(tmp_path / "data")}
    shares = occupancy.shares(found["s0"].body.cells, SHAPE)
    assert shares.shape == (5, 4, 3)
    expected = np.zeros((5, 4, 3), int)
    expected[:2, :2, 0], expected[:2, :2, 1] = 15, 8  # half of 15, rounded
    np.testing.assert_array_equal(shares, expected)
    (air,) = found["s0"].body.air
    assert 0.03 < air < 0.06  # of the range from 0 to 1 that intensities have


def test_air_is_what_the_stored_voxels_say(root, tmp_path):
    convert(root, tmp_path / "data")
    for split in manifest.read(tmp_path / "data").splits.values():
        for entry in split.entries:
            example = read_example(tmp_path / "data", split, entry)
            above = example.volume * np.float32(example.scale) + np.float32(example.offset) > entry.body.air
            shares = occupancy.shares(entry.body.cells, SHAPE)
            assert above.mean() == pytest.approx(shares.mean() / occupancy.FULL, abs=0.01)


def test_what_is_air_is_told_by_the_whole_scan(root, tmp_path):
    convert(root, tmp_path / "bricks", settings()._replace(brick_shape=(24, 24, 24)))
    bricks = {entry.id: entry.body for entry in entries(tmp_path / "bricks")}
    assert {body.air for name, body in bricks.items() if name.startswith("s0#")} == {bricks["s0#0"].air}
    assert set(bricks["s0#3"].cells) == {"0"}  # noise alone, and known for it


def test_volumes_of_one_value_have_no_body():
    for dtype in ("uint8", "float32"):
        flat = np.full((9, 9, 1), 3, dtype)
        assert set(occupancy.text(flat, occupied.air(flat))) == {"0"}


def test_more_air_around_a_body_is_the_same_air():
    body = np.random.default_rng(0).integers(300, 900, (20, 20, 20, 1))
    levels = [occupied.air(np.pad(body, [(pad, pad)] * 3 + [(0, 0)]).astype(np.uint16))[0] for pad in (2, 20)]
    assert levels[1] == pytest.approx(levels[0], rel=0.1)


def test_a_conversion_gone_on_with_ends_the_same(root, tmp_path, monkeypatch):
    convert(root, tmp_path / "whole", settings())
    made = []

    def stopped(work, jobs):
        for done in workers.run(work, jobs[:1], workers=1):
            made.append(done)
            yield done
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(root, tmp_path / "again", settings(), make=stopped)
    assert made
    assert (tmp_path / "again" / shards.PROGRESS).is_dir()
    convert(root, tmp_path / "again", settings())
    assert contents(tmp_path / "again") == contents(tmp_path / "whole")


def test_columns_hold_it_too(root, tmp_path, monkeypatch):
    convert(root, tmp_path / "text")
    monkeypatch.setattr(manifest, "MANY", 1)
    convert(root, tmp_path / "columns")
    assert (tmp_path / "columns" / manifest.COLUMNS).is_file()
    texts, held = ([entry.body.cells for entry in entries(tmp_path / name)] for name in ("text", "columns"))
    assert texts == held
    found = manifest.read(tmp_path / "columns").split("train").entries
    np.testing.assert_allclose(columns.ragged(found, "air").values, [e.body.air[0] for e in found])
