"""Data folders behind a URL, on TensorFlow's file system in memory: the same bytes, and the same faults."""

import errno
import itertools

import numpy as np
import pytest

from ssl3d_tf.data import files
from ssl3d_tf.data.places import Remote, local, place, remove_tree
from ssl3d_tf.data.records import manifest, reading, writer
from ssl3d_tf.errors import InputError
from tests.data.test_pipeline import read, same, take
from tests.tools.converting import contents, convert, make_scans, settings
from tools.checks import exclusion, verification
from tools.conversion import workers
from tools.overview import table

_numbers = itertools.count()


@pytest.fixture
def there():
    """A new folder in memory."""
    folder = place(f"ram://bucket/test{next(_numbers)}")
    folder.mkdir()
    return folder


def bytes_in(folder):
    return {path.name: path.open("rb").read() for path in folder.iterdir()}


def test_paths_are_paths_and_urls_are_remote(tmp_path):
    assert place(str(tmp_path)) == place(f"file://{tmp_path}") == place(tmp_path) == tmp_path
    url = place("ram://bucket/a/")
    assert isinstance(url, Remote)
    assert str(url / "b") == "ram://bucket/a/b"
    assert ((url / "b").parent.name, place(url)) == ("a", url)


@pytest.mark.parametrize(
    ("text", "message"), [("s3://bucket/a", "no file system for s3://, only for gs://"), ("gs://", "names no bucket")]
)
def test_what_cannot_be_reached_is_told_with_a_remedy(text, message):
    with pytest.raises(InputError, match=message):
        place(text)


def test_what_must_be_here_may_not_be_a_url(tmp_path):
    assert local(str(tmp_path), "--workdir") == tmp_path
    with pytest.raises(InputError, match="--workdir gs://bucket/run must be a path of this machine"):
        local("gs://bucket/run", "--workdir")


def broken_off():
    yield b"half of the sec"
    raise KeyError


def test_a_file_is_whole_or_not_there(there):
    with files.atomic(there / "a") as file:
        file.write(b"first")
    with pytest.raises(KeyError):
        writer.write_shard(there / "a", broken_off())
    assert bytes_in(there) == {"a": b"first"}
    with files.atomic(there / "a"):
        pass
    assert ((there / "a").stat().st_size, (there / "a").is_file(), (there / "a").is_dir()) == (0, True, False)


def test_bytes_are_read_from_any_place(there):
    with (there / "a").open("wb") as file:
        file.write(bytes(range(256)) * 100)
    with (there / "a").open("rb") as file:
        file.seek(20_001)
        assert (file.read(2), file.tell()) == (bytes([33, 34]), 20_003)


def test_faults_are_those_of_a_path(there):
    for fails in (lambda path: path.open("rb").read(), Remote.unlink, Remote.stat, lambda path: list(path.iterdir())):
        with pytest.raises(FileNotFoundError, match=r"ram://bucket/test\d+/none") as caught:
            fails(there / "none")
        assert caught.value.errno == errno.ENOENT
    (there / "none").unlink(missing_ok=True)
    remove_tree(there / "none")
    files.write_json(there / "a.json", {})
    with pytest.raises(OSError, match="not empty"):
        there.rmdir()


def test_a_conversion_writes_the_same_bytes(there, tmp_path):
    root = make_scans(tmp_path / "raw")
    assert convert(root, there / "deep" / "out").is_new
    convert(root, tmp_path / "out")
    assert bytes_in(there / "deep" / "out") == contents(tmp_path / "out")
    assert not convert(root, there / "deep" / "out").is_new


def one_shard(work, jobs):
    yield from workers.run(work, jobs[:1], workers=1)
    raise workers.WorkerKilledError("killed")


def test_a_conversion_goes_on_where_it_was(there, tmp_path, capsys):
    root = make_scans(tmp_path / "raw")
    convert(root, tmp_path / "out")
    with pytest.raises(workers.WorkerKilledError):
        convert(root, there, make=one_shard)
    with (there / ".val-00000.tfrecord.1234.tmp").open("wb") as file:
        file.write(b"half")
    convert(root, there)
    assert "1 of 4 shards are there already and are kept." in capsys.readouterr().out
    assert bytes_in(there) == contents(tmp_path / "out")


def test_other_data_are_refused_and_replaced_on_request(there, tmp_path):
    root = make_scans(tmp_path / "raw")
    convert(root, there)
    with pytest.raises(InputError, match="intensity was percentile:body, now zscore"):
        convert(root, there, settings(how="zscore"))
    assert convert(root, there, settings(how="zscore"), overwrite=True).is_new
    files.write_json(there.parent / f"{there.name}-other" / "thesis.json", {})
    with pytest.raises(InputError, match="is not empty and holds no data set"):
        convert(root, there.parent / f"{there.name}-other")


def test_nothing_usable_leaves_nothing_there(there, tmp_path):
    (tmp_path / "raw").mkdir()
    np.save(tmp_path / "raw" / "a.npy", np.full((9, 9), np.inf))
    with pytest.raises(InputError, match="none of 1 files"):
        convert(tmp_path / "raw", there / "out")
    assert not (there / "out").is_dir()


@pytest.mark.parametrize("cache_gb", [0.0, 1.0])
def test_batches_are_those_of_a_local_folder(there, tmp_path, cache_gb):
    root = make_scans(tmp_path / "raw")
    for folder in (there, tmp_path / "out"):
        convert(root, folder)
    options = {"view_size": 8, "batch_size": 2, "cache_gb": cache_gb}
    batches = [take(read(folder, **options), 4) for folder in (str(there), tmp_path / "out")]
    assert same(*batches)


def test_a_folder_is_inspected_and_its_damage_found(there, tmp_path):
    data = convert(make_scans(tmp_path / "raw"), there).data
    assert list(verification.verify(there, data)) == []
    assert table.summarise(there, data)["splits"]["train"]["examples"] == len(data.splits["train"].entries)
    assert set(exclusion.contents([str(there)])) == {e.content for split in data.splits.values() for e in split.entries}
    shard = there / data.splits["val"].shards[0].file
    damaged = shard.open("rb").read()[:-1] + b"?"
    with files.atomic(shard) as file:
        file.write(damaged)
    assert "its content does not agree" in next(verification.verify(there, data))
    shard.unlink()
    with pytest.raises(InputError, match="is missing"):
        manifest.read(there)
    with pytest.raises(FileNotFoundError):
        reading.read_example(there, data.splits["val"], data.splits["val"].entries[0])
