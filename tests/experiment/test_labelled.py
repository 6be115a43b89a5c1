"""Finetuning where some cases have no label, where class values have gaps, and where voxels are to be ignored."""

import json
import shutil

import numpy as np
import pytest

from ssl3d_tf import finetune
from ssl3d_tf.command import configuration
from ssl3d_tf.data import classes, folders
from ssl3d_tf.data.records import manifest as manifests
from ssl3d_tf.errors import InputError
from ssl3d_tf.evaluation import summary, tables
from ssl3d_tf.experiment import admission, scoring
from tests.tools.converting import convert, settings

SIZE = 12
TINY = ("STEPS=2", "BATCH_SIZE=2", "FILTERS=2", "LEVELS=1", f"VIEW_SIZE={SIZE}", "REPETITIONS=1", "ARMS=('random',)")
SPLITS = {"train": 6, "val": 3, "test": 4}
RNG = np.random.default_rng(0)
CASES = [(split, f"{split}{number}") for split, count in SPLITS.items() for number in range(count)]
MASKS = {name: RNG.integers(0, 3, (SIZE, SIZE)).astype(np.int32) for _, name in CASES}
SCANS = {name: (MASKS[name] * 60 + RNG.integers(0, 40, (SIZE, SIZE))).astype(np.uint8) for _, name in CASES}
LABELS = {name: number % 3 for number, (_, name) in enumerate(CASES)}


def make(root, *, masks=MASKS, labels=None, scans=SCANS, ignore=None):
    """A data folder of a table in which what is not in `masks` and `labels` is an empty cell."""
    (root / "raw").mkdir(parents=True)
    rows = ["path,mask,label,split"]
    for split, name in (case for case in CASES if case[1] in scans):
        np.save(root / f"raw/{name}.npy", scans[name])
        mask = masks.get(name)
        if mask is not None:
            np.save(root / f"raw/{name}_mask.npy", mask)
        cells = (f"{name}.npy", "" if mask is None else f"{name}_mask.npy", (labels or {}).get(name, ""), split)
        rows.append(",".join(map(str, cells)))
    (root / "raw/table.csv").write_text("\n".join(rows))
    convert(root / "raw", root / "data", settings()._replace(ignore_label=ignore))
    return root / "data"


def run(data, *params, task="segmentation", encoders=()):
    sources = configuration.Sources((f"gin/finetune/{task}_2d.gin",), (*TINY, *params))
    assert finetune.run(sources, data, encoders, data.parent / "ft") == 0
    return data.parent / "ft"


def numbers(workdir):
    """What results.csv and cases.csv say but for the names of classes."""
    found = tables.read([workdir])
    return [repr(row._replace(label_class="")) for row in (*found.results, *found.cases)]


def some(values, *, every=3):
    """Without every n-th."""
    return {name: value for number, (name, value) in enumerate(values.items()) if number % every}


# Unlabelled cases


def said_of(what):
    return (
        f"4 of 6 training scans have a {what}; 2 of 3 validation scans have a {what}; 2 of 4 test scans have a {what}."
    )


def test_cases_without_mask_change_no_number(undrawn, tmp_path):
    kept = some(MASKS)
    workdir = run(make(tmp_path / "all", masks=kept), "FRACTIONS=(50,)")
    splits = json.loads((workdir / "splits.json").read_text())["0"]
    assert {*splits["val"], *splits["test"]} == {name for name in kept if not name.startswith("train")}
    assert len(splits["train"]["50"]) == 2  # of the four that have one
    alone = make(tmp_path / "labelled", masks=kept, scans={name: SCANS[name] for name in kept})
    assert numbers(run(alone, "FRACTIONS=(50,)")) == numbers(workdir)


def test_the_labelled_cases_are_counted_once_and_in_the_report(tmp_path, capsys):
    workdir = run(make(tmp_path, masks={}, labels=some(LABELS)), task="classification")
    assert capsys.readouterr().out.count(said_of("label")) == 1
    assert said_of("label") in (workdir / "summary.md").read_text()
    assert said_of("label") in (workdir / "report.html").read_text()
    assert json.loads((workdir / "run.json").read_text())["labelled"]["val"] == "2 of 3 validation scans have a label"
    splits = json.loads((workdir / "splits.json").read_text())["0"]
    assert {*splits["train"]["100"], *splits["val"], *splits["test"]} == set(some(LABELS))


def test_folds_are_of_the_labelled_cases(tmp_path, undrawn, capsys):
    of_training = {name: label for name, label in LABELS.items() if name.startswith("train")}
    data = make(tmp_path, masks={}, labels=of_training)  # none in validation and test
    workdir = run(data, "FOLDS=3", "REPETITIONS=3", task="classification")
    tested = [row.case for row in tables.read([workdir]).predictions]
    assert sorted(tested) == sorted(of_training)
    said = "6 of 13 scans, divided anew into 3 folds, have a label"
    assert f"\n{said}.\n" in capsys.readouterr().out
    assert json.loads((workdir / "run.json").read_text())["labelled"] == {"folds": said}
    assert summary.labelled_lines(tables.read([workdir]), "classification") == [f"{said}."]


def test_a_split_without_a_labelled_case_is_refused_with_the_remedy(tmp_path):
    data = make(tmp_path, masks={name: mask for name, mask in MASKS.items() if not name.startswith("val")})
    with pytest.raises(
        InputError, match=r"^split 'val' of .* has no case with a mask; .* FOLDS=3, which splits anew\.$"
    ):
        run(data)


def test_of_too_few_patients_no_folds_are_proposed(tmp_path):
    data = folders.open_folder(make(tmp_path))
    first = data.manifest.split("train").entries[0]
    splits = {
        name: split._replace(entries=[first] if name == "train" else []) for name, split in data.manifest.splits.items()
    }
    alone = data._replace(manifest=data.manifest._replace(splits=splits))
    with pytest.raises(InputError, match=r"'val' of .* no case; convert again with more patients: 1 cannot train, "):
        admission.check_data([alone], None)


def test_a_training_split_without_a_labelled_case_is_refused_and_the_remedy_works(tmp_path, undrawn):
    data = make(tmp_path, masks={}, labels={name: label for name, label in LABELS.items() if name.startswith("test")})
    with pytest.raises(
        InputError, match=r"^split 'train' of .* has no case with a label; .* where they are declared, in "
    ):
        run(data, task="classification")
    workdir = run(data, "FOLDS=3", task="classification")
    assert json.loads((workdir / "run.json").read_text())["labelled"]["folds"].startswith("4 of 13 scans")


def test_a_label_that_is_no_number_is_none(tmp_path, undrawn):
    data = make(tmp_path, masks={}, labels=LABELS)
    path = data / manifests.FILE
    value = json.loads(path.read_text())
    value["splits"]["train"]["examples"][0][6] = [float("nan")]
    path.write_text(json.dumps(value))
    record = json.loads((run(data, task="classification") / "run.json").read_text())
    assert record["labelled"]["train"] == "5 of 6 training scans have a label"


# Values with gaps


def test_masks_with_other_numbers_have_the_same_scores(tmp_path, undrawn, capsys):
    plain = run(make(tmp_path / "plain"), "SCORES=('dice','hd95','nsd','pooled_dice')")
    assert "to the network" not in capsys.readouterr().out
    stored = np.array([0, 17, 40000])
    data = make(tmp_path / "gaps", masks={name: stored[mask] for name, mask in MASKS.items()})
    gaps = run(data, "SCORES=('dice','hd95','nsd','pooled_dice')")
    assert numbers(gaps) == numbers(plain)
    assert {row.label_class for row in tables.read([gaps]).cases} == {"class 17", "class 40000", "mean"}
    assert "note: 3 classes, 0, 17, 40000, to the network 0 to 2." in capsys.readouterr().out
    (contract,) = gaps.glob("runs/*/*/*/model/contract.json")
    named = {"0": "background", "17": "class 17", "40000": "class 40000"}
    assert json.loads(contract.read_text())["classes"] == named


def test_regions_are_of_stored_values(tmp_path, undrawn):
    stored = np.array([0, 1, 4])
    data = make(tmp_path, masks={name: stored[mask] for name, mask in MASKS.items()})
    regions = "scoring.segmentation.regions={'whole': (1, 4), 'core': (4,)}"
    found = {row.label_class for row in tables.read([run(data, regions)]).cases}
    assert found == {"whole", "core", "mean"}
    with pytest.raises(InputError, match=r"region 'core' .* holds 3, classes of .* are 0, 1, 4; mend it"):
        run(data, "scoring.segmentation.regions={'core': (3,)}")


@pytest.mark.parametrize("kind", ["nominal", "ordinal"])
def test_labels_with_other_numbers_have_the_same_scores(kind, tmp_path, undrawn):
    scores = "('auc','cat_accuracy')" if kind == "nominal" else "('cat_acc_kaggle','qw_kappa_kaggle')"
    params = (f"LABELS=@classification.{kind}()", f"SCORES={scores}")
    plain = run(make(tmp_path / "plain", masks={}, labels=LABELS), *params, task="classification")
    stored = {name: 3 + 2 * label for name, label in LABELS.items()}
    gaps = run(make(tmp_path / "gaps", masks={}, labels=stored), *params, task="classification")
    assert numbers(gaps) == numbers(plain)
    predictions = [tables.read([workdir]).predictions for workdir in (plain, gaps)]
    for before, after in zip(*predictions, strict=True):
        assert (after.true, after.predicted) == (3 + 2 * before.true, 3 + 2 * before.predicted)


def test_neighbours_vote_on_labels_with_gaps(tmp_path, undrawn):
    from ssl3d_tf import train

    stored = {name: (-1, 2, 9)[label] for name, label in LABELS.items()}
    data = make(tmp_path, masks={}, labels=stored)
    train.pretrain(configuration.Sources(("gin/rotation_2d.gin",), TINY[:-2]), data, tmp_path / "rotation")
    workdir = run(data, "ARMS=('knn',)", task="classification", encoders=[tmp_path / "rotation"])
    found = tables.read([workdir]).predictions
    assert {row.case: row.true for row in found} == {n: v for n, v in stored.items() if n.startswith("test")}
    assert {row.predicted for row in found} <= {-1, 2, 9}


# Voxels to ignore

VOID = 9


def unknown(mask, share=0.4):
    return np.where(RNG.random(mask.shape) < share, VOID, mask)


@pytest.fixture(scope="module")
def partly(tmp_path_factory):
    """Data in whose masks some voxels, and in one of the test all, are not known."""
    masks = {name: unknown(mask, 1.0 if name == "test0" else 0.4) for name, mask in MASKS.items()}
    return make(tmp_path_factory.mktemp("partly"), masks=masks, ignore=VOID), masks


def test_a_value_to_ignore_is_no_class_of_the_data(partly):
    data, masks = partly
    found = manifests.read(data)
    assert (found.ignore_label, found.classes.keys()) == (VOID, {"0", "1", "2"})
    assert json.loads((data / manifests.FILE).read_text())["ignore_label"] == VOID
    counts = {entry.id: entry.counts for split in found.splits.values() for entry in split.entries}
    assert counts["test0"] == {}
    assert counts["val1"] == {str(v): int((masks["val1"] == v).sum()) for v in (0, 1, 2)}


def test_scores_do_not_change_with_what_is_predicted_where_the_class_is_not_known(partly):
    folder, masks = partly
    data = folders.open_folder(folder)
    how = scoring.segmentation(
        view_size=SIZE, names=("dice", "jaccard", "hd95", "nsd", "pooled_dice", "pooled_jaccard")
    )
    scans = np.stack([SCANS[name].ravel() - SCANS[name].mean() for _, name in CASES])

    def mask_of(tile):
        """That of the scan like it."""
        likeness = scans @ tile.ravel() / np.linalg.norm(scans, axis=1)
        return masks[CASES[int(likeness.argmax())][1]]

    def scored(in_the_dark):
        """Of a model that knows every mask but for an error, and says `in_the_dark` where that is not known."""

        def predict(tiles):
            truth = np.stack([mask_of(tile) for tile in tiles[..., 0]])
            said = np.where(truth == VOID, in_the_dark, truth)
            said[:, 3:5, 3:5] = np.where(truth[:, 3:5, 3:5] == VOID, in_the_dark, 2)
            return np.eye(3, dtype=np.float32)[said]

        return how.score(predict, data, "test")

    found = [scored(value) for value in (0, 1, 2)]
    assert repr(found[0]) == repr(found[1]) == repr(found[2])
    values = {(case, score, of): value for case, score, of, value, _ in found[0].cases}
    assert all(np.isnan(value) for (case, _, _), value in values.items() if case == "test0")
    assert 0.5 < values["test1", "dice", "class 1"] <= 1
    assert all(np.isfinite(value) for _, _, value, _ in found[0].summary)


def test_finetuning_has_no_class_for_what_is_not_known(partly, tmp_path, undrawn):
    data = shutil.copytree(partly[0], tmp_path / "data")
    workdir = run(data)
    (contract,) = workdir.glob("runs/*/*/*/model/contract.json")
    value = json.loads(contract.read_text())
    assert value["classes"].keys() == {"0", "1", "2"}
    assert value["architecture"]["config"]["layers"][-1]["config"].get("filters", 3) == 3
    assert {row.label_class for row in tables.read([workdir]).cases} == {"class 1", "class 2", "mean"}


def test_a_value_may_be_ignored_of_data_that_do_not_say_so(partly, tmp_path, undrawn):
    said = run(shutil.copytree(partly[0], tmp_path / "said" / "data"))
    plain = make(tmp_path / "plain", masks=partly[1])
    assert manifests.read(plain).ignore_label is None
    assert "ignore_label" not in json.loads((plain / manifests.FILE).read_text())
    assert classes.of_masks(manifests.read(plain)).keys() == {0, 1, 2, VOID}
    assert numbers(run(plain, f"IGNORE_LABEL={VOID}")) == numbers(said)
