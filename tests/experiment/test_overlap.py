"""experiment/overlap: test scans that an encoder was pretrained on are counted, or it is said why they cannot be."""

import json
import re
import shutil

import pytest

from ssl3d_tf.command import configuration
from ssl3d_tf.data import folders
from ssl3d_tf.data.records import manifest as manifests
from ssl3d_tf.data.records.manifest import Entry, Split
from ssl3d_tf.errors import InputError
from ssl3d_tf.evaluation import report, runs
from ssl3d_tf.experiment import overlap, preparing
from ssl3d_tf.training import contracts
from tests.evaluation import finetuning_workdir as made
from tests.experiment import test_labelled as labelled


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
    """A function: contents of the pretraining data -> the folder of an encoder made of them; `old` knows data alone."""

    def make(*, old=False, **splits):
        home, data = write(tmp_path / "A", "unlabelled", **splits)
        monkeypatch.setattr(manifests, "_check_shards", lambda *_: None)
        manifests.write(tmp_path / "A", data)
        contract = contracts.of_run(home, "")
        if old:
            del contract["trained_on"]
        (tmp_path / "enc").mkdir()
        contracts.write(tmp_path / "enc", contract)
        return tmp_path / "enc"

    return make


@pytest.fixture
def tested(tmp_path):
    return write(tmp_path / "B", "labelled", train=["x"], val=["v"], test=["a", "b", "c"])[0]


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize(
    ("train", "tests", "validations", "line"),
    [
        (["a", "c", "y", "z"], 2, 0, "2 of 3 test scans were in pretraining, none of 1 validation scans; it was"),
        (
            ["c", "v"],
            1,
            1,
            "1 of 3 test scans were in pretraining, 1 of 1 validation scans; it was trained on 2 scans,",
        ),
        (["y", "x"], 0, 0, "none of 3 test scans were in pretraining, none of 1 validation scans; "),
    ],
)
def test_scans_that_were_pretrained_on_are_counted(pretrained, tested, train, tests, validations, line, old):
    encoder = pretrained(train=train, val=["b"], test=["b"], old=old)
    found = overlap.of(encoder, [tested])
    assert (found["test_scans_seen"], found["val_scans_seen"]) == (tests, validations)
    assert found["overlap"].startswith(line)
    assert runs.has_seen(found) == bool(tests or validations)


def test_an_encoder_knows_without_its_data(pretrained, tested):
    encoder = pretrained(train=["a", "y"])
    shutil.rmtree(tested.path.parent / "A")
    assert overlap.of(encoder, [tested])["test_scans_seen"] == 1


def test_test_scans_whose_labels_chose_the_encoder_are_counted(pretrained, tested):
    encoder = pretrained(train=["a", "y"])
    path = encoder / contracts.CONTRACT
    path.write_text(json.dumps({**json.loads(path.read_text()), "probe": {"scans": ["a", "b", "v"]}}))
    found = overlap.of(encoder, [tested])
    assert (found["test_scans_seen"], found["val_scans_seen"]) == (2, 0)  # to validate by them is what they are for
    assert found["overlap"].startswith("1 of 3 test scans were in pretraining")
    assert found["overlap"].endswith("; PROBE chose its weights by the labels of 2 of the test scans")


def test_scans_of_every_fold_are_tested(pretrained, tested):
    folds = [tested, write(tested.path.parent / "C", "other", train=["a"], val=["b"], test=["x"])[0]]
    found = overlap.of(pretrained(train=["x", "a"]), folds)
    assert (found["test_scans_seen"], found["val_scans_seen"]) == (2, 0)


@pytest.mark.parametrize(("repetitions", "tested"), [(3, r"6 of 13"), (1, r"\d of [45]")])
def test_folds_are_compared_as_far_as_they_are_tested(repetitions, tested, tmp_path):
    data = labelled.make(tmp_path, masks={}, labels=labelled.LABELS)
    (tmp_path / "enc").mkdir()
    contracts.write(tmp_path / "enc", {**contracts.of_run(folders.open_folder(data), ""), "weights_sha256": "0"})
    params = (*labelled.TINY, "ARMS=('frozen',)", "FOLDS=3", f"REPETITIONS={repetitions}")
    sources = configuration.Sources(("gin/finetune/classification_2d.gin",), params)
    prepared = preparing.prepare(sources, data, [tmp_path / "enc"], tmp_path / "ft")
    assert re.match(rf"{tested} test scans were in pretraining", prepared.encoders["enc"]["overlap"])


def test_a_scan_in_slices_is_one_scan(pretrained, tested):
    found = overlap.of(pretrained(train=["a", "a", "a", "y"]), [tested])
    assert (found["test_scans_seen"], found["overlap"].count("trained on 2 scans")) == (1, 1)


def test_data_of_an_old_encoder_that_are_gone_or_changed_are_said(pretrained, tested):
    encoder = pretrained(train=["a"], old=True)
    home = tested.path.parent / "A"
    text = (home / manifests.FILE).read_text()
    (home / manifests.FILE).write_text(text.replace('"recipe": {', '"recipe": {"more": 1, '))
    assert "have changed since" in overlap.of(encoder, [tested])["overlap"]
    shutil.rmtree(home)
    found = overlap.of(encoder, [tested])
    assert found["test_scans_seen"] is None
    assert runs.has_seen(found)
    assert found["overlap"].startswith("whether it was pretrained on test scans could not be checked: its data, ")
    assert found["overlap"].endswith("cannot be read")


@pytest.mark.parametrize("old", [False, True])
def test_data_without_hashes_are_said(pretrained, tested, old):
    found = overlap.of(pretrained(train=["a", None], old=old), [tested])
    assert "no content hashes" in found["overlap"]
    assert found["test_scans_seen"] is None


def test_a_list_of_scans_that_is_gone_or_cut_is_refused(pretrained, tested):
    encoder = pretrained(train=["a", "y"])
    (encoder / contracts.TRAINED_ON).write_text("a\n")
    with pytest.raises(InputError, match=r"trained_on\.txt has 1 scans, contract\.json beside it says 2: put back"):
        overlap.of(encoder, [tested])
    (encoder / contracts.TRAINED_ON).unlink()
    with pytest.raises(InputError, match="has 0 scans"):
        overlap.of(encoder, [tested])


def test_many_scans_leave_the_contract_short(pretrained):
    encoder = pretrained(train=[f"{n:064x}"[::-1] for n in range(5000)])
    assert (encoder / "contract.json").stat().st_size < 2000
    assert (encoder / contracts.TRAINED_ON).stat().st_size == 5000 * 17
    assert contracts.read_contract(encoder)["trained_on"] == 5000


@pytest.mark.parametrize(("seen", "is_noted"), [(0, False), (3, True), (None, True)])
def test_page_and_summary_begin_with_a_test_that_says_too_much(tmp_path, seen, is_noted):
    made.write(tmp_path, repetitions=1, cases=4, encoders=["cpc"], inits=["frozen"], extras=False)
    said = {"path": "RUN", "sha256": "0", "overlap": "what was found", "test_scans_seen": seen, "val_scans_seen": seen}
    (tmp_path / "run.json").write_text(json.dumps({"encoders": {"cpc": said}}))
    report.write([tmp_path], tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text().partition("</nav>")[2]
    summary = (tmp_path / "summary.md").read_text()
    begin = '\n<p class="note">Encoder &#x27;cpc&#x27;: what was found.</p>'
    assert page.startswith(begin) == is_noted
    assert summary.startswith("# Finetuning: summary\n\n**Encoder 'cpc': what was found.**") == is_noted
