"""tools.inspect_records: what a data folder holds, and whether it still does."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssl3d_tf import train
from ssl3d_tf.command import configuration
from ssl3d_tf.data.records import manifest
from ssl3d_tf.errors import InputError
from tools import inspect_records
from tools.checks import verification
from tools.conversion import conversion
from tools.conversion.settings import Settings
from tools.overview import planes, table
from tools.readers.layouts import Request


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "raw").mkdir()
    for number in range(6):
        voxels = np.random.default_rng(number).integers(0, 99, (8, 9 + number, 10)).astype(np.int16)
        np.save(tmp_path / "raw" / f"c{number}.npy", voxels)
        np.save(tmp_path / "raw" / f"c{number}_mask.npy", (voxels > 50).astype(np.uint8))
    conversion.convert(Request(str(tmp_path / "raw")), tmp_path / "data", Settings())
    return tmp_path / "data"


def run(*arguments):
    options = [sys.executable, "-m", "tools.inspect_records", *map(str, arguments)]
    return subprocess.run(options, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])


def test_the_summary_counts_and_measures(folder):
    summary = table.summarise(folder, manifest.read(folder))
    splits = summary["splits"].values()
    assert sum(split["examples"] for split in splits) == sum(split["masks"] for split in splits) == 6
    assert max(split["shape"]["max"] for split in splits) == [8, 14, 10, 1]
    assert all(split["intensity"] == pytest.approx([0, 1]) for split in splits)


def test_the_table_and_json_show_the_same(folder):
    shown, value = run(folder), json.loads(run(folder, "--json").stdout)
    assert list(value["splits"]) == ["train", "val", "test"]
    assert "stored as uint16 (raw), intensity percentile" in shown.stdout
    assert all(name in shown.stdout for name in ("train", "val", "test", "0 background"))


def test_whole_data_are_verified(folder):
    done = run(folder, "--verify")
    assert (done.returncode, done.stderr) == (0, "")
    assert "verified" in done.stdout


def test_a_flipped_byte_names_file_and_record(folder):
    shard = folder / "train-00000.tfrecord"
    place = manifest.read(folder).split("train").entries[1]
    data = bytearray(shard.read_bytes())
    data[place.offset + 500] ^= 4
    shard.write_bytes(data)
    done = run(folder, "--verify")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert f"record 1 of {shard} is damaged" in done.stderr


def test_a_manifest_that_tells_otherwise_is_noticed(folder):
    path = folder / manifest.FILE
    path.write_text(path.read_text().replace('"c1"', '"c9"'))
    (fault,) = verification.verify(folder, manifest.read(folder))
    assert "c1" in fault
    assert "c9" in fault


def test_records_swapped_for_other_whole_ones_are_noticed(folder):
    data = manifest.read(folder)
    shard = data.splits["train"].shards[0]._replace(crc32c="00000000")
    split = data.splits["train"]._replace(shards=(shard,))
    (fault,) = verification.verify(folder, data._replace(splits={"train": split}))
    assert "does not agree with its checksum" in fault


def test_an_example_is_drawn_in_three_planes(folder, tmp_path):
    planes.write(tmp_path / "c0.png", folder, manifest.read(folder), "c0")
    with Image.open(tmp_path / "c0.png") as picture:
        colours = np.asarray(picture)
    assert colours.shape[1] == 3 * planes.PLANE_PX
    assert np.ptp(colours, axis=-1).max() > 100  # the mask's outline


def test_an_unknown_id_is_refused(folder, tmp_path):
    with pytest.raises(InputError, match="no example 'nobody'"):
        planes.write(tmp_path / "a.png", folder, manifest.read(folder), "nobody")


@pytest.mark.parametrize(("arguments", "code"), [((), 2), (("/nope",), 1), ((".", "--show=a"), 2), ((".", "x"), 2)])
def test_faults_are_one_line_and_an_exit_code(arguments, code):
    done = run(*arguments)
    assert (done.returncode, len(done.stderr.splitlines())) == (code, 1)


def test_the_contact_sheet_has_a_tile_per_example(folder):
    with Image.open(folder / "contact_sheet.png") as picture:
        assert picture.size == (6 * 128, 128 + 14)


BLOCKS = {"masked": ("BLOCK=4",), "crops_masked": ("BLOCK=4",)}


@pytest.mark.parametrize("task", ["jigsaw", "rotation", "exemplar", "masked", "crops", "crops_masked"])
def test_views_are_drawn_beside_what_they_are_made_of(task, volumes_3d, tmp_path):
    png = tmp_path / "views.png"
    inspect_records.show_views(
        volumes_3d[0], [f"gin/{task}_3d.gin"], ["VIEW_SIZE=12", *BLOCKS.get(task, ())], [], png=png
    )
    drawn = np.asarray(Image.open(png).convert("L"))
    assert drawn.shape[1] == 1320
    assert len(np.unique(drawn)) > 50


def test_views_of_finetuning_are_drawn_with_their_masks_in_colour(folder, tmp_path):
    params = ["VIEW_SIZE=8", "LEVELS=1", "FLIP_P=0"]
    inspect_records.show_views(folder, ["gin/finetune/segmentation_3d.gin"], params, [], png=tmp_path / "views.png")
    drawn = np.asarray(Image.open(tmp_path / "views.png").convert("RGB")).astype(int)
    coloured = np.ptp(drawn, axis=-1) > 20
    assert coloured.any()
    assert not coloured[:, : drawn.shape[1] // 3].any()  # the crops


def test_of_a_run_what_is_hidden_is_drawn_as_it_reconstructs_it(volumes_3d, tmp_path):
    folder, workdir, sizes = volumes_3d[0], tmp_path / "run", []
    params = ("STEPS=1", "BATCH_SIZE=2", "FILTERS=2", "LEVELS=1", "VIEW_SIZE=12", "BLOCK=4")
    train.pretrain(configuration.Sources(("gin/masked_3d.gin",), params), folder, workdir)
    for gin_files, of_run in ((["gin/masked_3d.gin"], None), ([], workdir)):
        inspect_records.show_views(
            folder, gin_files, params if gin_files else (), [], png=tmp_path / "x.png", workdir=of_run
        )
        with Image.open(tmp_path / "x.png") as picture:
            sizes.append(picture.size)
    assert sizes[0][1] > sizes[1][1]  # of one width, with a fourth kind beside three: so less high


def test_a_folder_of_scans_is_told_from_one_of_records(folder):
    done = run(folder.parent / "raw")
    assert (done.returncode, len(done.stderr.strip().splitlines())) == (1, 1)
    assert "holds c0.npy, c0_mask.npy, c1.npy and 9 more: if those are scans, run `python -m tools" in done.stderr
    assert "--data" not in done.stderr


def test_views_of_no_run_are_refused(folder, tmp_path):
    with pytest.raises(InputError, match="holds no run"):
        inspect_records.show_views(folder, [], [], [], png=tmp_path / "x.png", workdir=tmp_path)


def test_views_that_cannot_be_made_are_one_line(folder, tmp_path):
    done = run(folder, "--views=gin/jigsaw_2d.gin", f"--png={tmp_path / 'x.png'}")
    assert (done.returncode, len(done.stderr.strip().splitlines())) == (1, 1)
    assert "take the 3d gin file" in done.stderr
    assert not (tmp_path / "x.png").exists()


@pytest.mark.parametrize(
    "options",
    [
        ("--views=gin/cpc_3d.gin",),
        ("--png=x.png",),
        ("--gin_param=STEPS=4",),
        ("--neurological",),
        ("--workdir=RUN", "--views=gin/cpc_3d.gin", "--png=x.png"),
    ],
)
def test_flags_that_belong_together_are_asked_for_together(folder, options):
    done = run(folder, *options)
    assert done.returncode == 2
    assert "--views" in done.stderr
