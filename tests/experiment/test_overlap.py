"""experiment/overlap: test scans that an encoder was pretrained on are counted, or it is said why they cannot be."""

import json
import shutil

import pytest

from ssl3d_tf.data import folders
from ssl3d_tf.data.records import manifest as manifests
from ssl3d_tf.data.records.manifest import Entry, Split
from ssl3d_tf.evaluation import sections
from ssl3d_tf.experiment import overlap


def write(folder, name, **contents):
    """A data folder without voxels: split -> content of each example."""
    splits = {
        split: Split(
            (),
            tuple(
                Entry(f"{split}{n}", f"{split}{n}", 0, 0, 0, (4, 4, 1), content=content)
                for n, content in enumerate(found)
            ),
        )
        for split, found in contents.items()
    }
    folder.mkdir()
    data = manifests.Manifest(name, 2, ("c",), "", {}, ("uint8",), (), "raw", 0, {"name": name}, splits)
    return folders.DataFolder(folder, data), data


@pytest.fixture
def pretrained(tmp_path, monkeypatch):
    """A function: contents of the pretraining data -> the folder of an encoder made of them."""

    def make(**contents):
        _, data = write(tmp_path / "A", "unlabelled", **contents)
        monkeypatch.setattr(manifests, "_check_shards", lambda *_: None)
        manifests.write(tmp_path / "A", data)
        about = {"path": str(tmp_path / "A"), "name": data.name, "sha256": manifests.fingerprint(data)}
        (tmp_path / "enc").mkdir()
        (tmp_path / "enc" / "contract.json").write_text(json.dumps({"data": about}))
        return tmp_path / "enc"

    return make


@pytest.fixture
def tested(tmp_path):
    return write(tmp_path / "B", "labelled", train=["x"], val=["v"], test=["a", "b", "c"])[0]


@pytest.mark.parametrize(
    ("train", "count", "begin"),
    [
        (["a", "c", "y", "z"], 2, "2 of 3 test scans were among the 4 it was pretrained on, 'unlabelled' in "),
        (["c"], 1, "1 of 3 test scans was among the 1 "),
        (["y", "x"], 0, "none of 3 test scans were among the 2 "),
    ],
)
def test_test_scans_that_were_pretrained_on_are_counted(pretrained, tested, train, count, begin):
    found = overlap.of(pretrained(train=train, val=["b"], test=["b"]), [tested])
    assert found["test_scans_seen"] == count
    assert found["overlap"].startswith(begin)


def test_scans_of_every_fold_are_tested(pretrained, tested):
    folds = [tested, write(tested.path.parent / "C", "other", train=["a"], val=["b"], test=["x"])[0]]
    assert overlap.of(pretrained(train=["x", "a"]), folds)["test_scans_seen"] == 2


def test_data_that_are_gone_changed_or_without_hashes_are_said(pretrained, tested):
    encoder = pretrained(train=["a"])
    home = tested.path.parent / "A"
    text = (home / manifests.FILE).read_text()
    (home / manifests.FILE).write_text(text.replace('"recipe": {', '"recipe": {"more": 1, '))
    assert "have changed since" in overlap.of(encoder, [tested])["overlap"]
    shutil.rmtree(home)
    found = overlap.of(encoder, [tested])
    assert found["test_scans_seen"] is None
    assert found["overlap"].startswith("whether it was pretrained on test scans could not be checked: its data, ")
    assert found["overlap"].endswith("cannot be read")


def test_data_without_hashes_are_said(pretrained, tested):
    assert "no content hashes" in overlap.of(pretrained(train=["a", None]), [tested])["overlap"]


@pytest.mark.parametrize(("seen", "is_noted"), [(0, False), (3, True), (None, True)])
def test_the_report_stands_out_where_a_test_says_too_much(tmp_path, seen, is_noted):
    encoders = {"cpc": {"path": "RUN", "sha256": "0", "overlap": "what was found", "test_scans_seen": seen}}
    (tmp_path / "run.json").write_text(json.dumps({"encoders": encoders}))
    page = "".join(sections.origin(tmp_path))
    assert ('<p class="note">Encoder &#x27;cpc&#x27;: what was found.</p>' in page) == is_noted
