"""Scores on the grid that scans were read on: lower for thin structures, and equal where nothing was resampled."""

import nibabel
import numpy as np
import pytest
from scipy import ndimage

from ssl3d_tf import finetune
from ssl3d_tf.command import configuration
from ssl3d_tf.data import folders
from ssl3d_tf.data.records import reading
from ssl3d_tf.evaluation import native, scores, tables
from ssl3d_tf.experiment import per_grid, scoring
from ssl3d_tf.experiment.per_grid import MEAN
from tests.tools.converting import convert, settings

SPACING = (0.8, 0.8, 2.5)
CLASSES = {"organ": 1, "lesion": 4, "duct": 1002}
IGNORED = 7


def labels(shift, shape=(60, 60, 22)):
    """An organ and a lesion, spheres of 10 and 4 mm radius, and a duct of 2 mm radius, aslant; `shift` in mm."""
    x, y, z = (axis * mm for axis, mm in zip(np.indices(shape), SPACING, strict=True))
    found = np.zeros(shape, np.int16)
    found[(x - 16 - shift) ** 2 + (y - 17) ** 2 + (z - 28 - shift) ** 2 < 10**2] = CLASSES["organ"]
    found[(x - 36) ** 2 + (y - 14 + shift) ** 2 + (z - 20) ** 2 < 4**2] = CLASSES["lesion"]
    found[(x - 30 - 0.2 * z) ** 2 + (y - 36 - shift - 0.1 * z) ** 2 < 2**2] = CLASSES["duct"]
    return found


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """Scans of another orientation than RAS, one per split and two to test."""
    root, random = tmp_path_factory.mktemp("per_grid") / "raw", np.random.default_rng(0)
    affine = np.diag([-SPACING[0], SPACING[1], SPACING[2], 1])
    for split, shifts in {"train": [0], "val": [0.3], "test": [0.5, 1.1]}.items():
        (root / split).mkdir(parents=True)
        for number, shift in enumerate(shifts):
            mask = labels(shift)
            mask[:4, :4] = IGNORED
            scan = ((mask > 0) * 200 + random.integers(0, 40, mask.shape)).astype(np.int16)
            for name, voxels in ((f"{split}{number}", scan), (f"{split}{number}_mask", mask)):
                nibabel.save(nibabel.Nifti1Image(voxels, affine), root / split / f"{name}.nii.gz")
    return root


@pytest.fixture(scope="module")
def resampled(raw, tmp_path_factory):
    return opened(raw, tmp_path_factory.mktemp("resampled") / "data", spacing_mm=(2.0,))


def opened(raw, out, **options):
    convert(raw, out, settings(**options)._replace(ignore_label=IGNORED))
    return folders.open_folder(out)


def one_hot(mask, data):
    """Logits [*mask, classes] of a network that is sure, and right about this mask."""
    values = scoring._values(data)
    return 30 * (mask[..., None] == values).astype(np.float32)


def perfect(monkeypatch, data):
    """predict, and the volumes replaced by what it is to say."""
    monkeypatch.setattr(reading, "intensities", lambda _, example: one_hot(example.mask, data))
    return lambda tiles: tiles


def scorer(*names):
    return scoring.segmentation(view_size=16, names=names)


def by_grid(found):
    """{(score, class, grid): value} of a whole split."""
    return {(name, label, grid): value for name, label, value, grid in found.summary}


def test_a_perfect_prediction_of_records_is_none_of_thin_structures(resampled, monkeypatch):
    predict = perfect(monkeypatch, resampled)
    found = by_grid(scorer("dice", "hd95", "pooled_dice").score(predict, resampled, "test"))
    names = resampled.manifest.classes
    for name, low, high in (("organ", 0.94, 0.98), ("lesion", 0.82, 0.92), ("duct", 0.72, 0.85)):
        label = names[str(CLASSES[name])]
        assert found["dice", label, "record"] == 1
        assert found["hd95", label, "record"] == 0
        assert low < found["dice", label, "native"] < high, name
        assert 0 < found["hd95", label, "native"] < 2
    assert found["pooled_dice", "", "record"] == 1 > found["pooled_dice", "", "native"] > 0.7


def test_native_scores_are_those_of_the_files_and_of_scipy(raw, resampled, monkeypatch):
    """Put back by an implementation that is not ours, from the affines of record and file alone."""
    found = scorer("dice", "hd95").score(perfect(monkeypatch, resampled), resampled, "test")
    mine = {
        (case, label): value for case, name, label, value, grid in found.cases if (name, grid) == ("dice", "native")
    }
    split = resampled.manifest.split("test")
    for (entry,) in reading.cases(split.entries):
        example = reading.read_case(resampled.path, split, (entry,))
        file = nibabel.load(raw / example.source["mask"])
        to_record = np.linalg.inv(example.affine.astype(float)) @ file.affine
        shares = [
            ndimage.affine_transform(
                (example.mask == value).astype(float), to_record[:3, :3], to_record[:3, 3],
                output_shape=file.shape, order=1, mode="nearest",
            )
            for value in scoring._values(resampled)
        ]  # fmt: skip
        truth = np.asarray(file.dataobj)
        predicted = np.where(truth == IGNORED, IGNORED, scoring._values(resampled)[np.argmax(shares, axis=0)])
        for value in CLASSES.values():
            expected = scores.dice(truth == value, predicted == value)
            assert mine[example.id, resampled.manifest.classes[str(value)]] == pytest.approx(expected, abs=2e-3)


def test_distances_are_of_the_voxels_of_the_file(resampled):
    split = resampled.manifest.split("test")
    example = reading.read_case(resampled.path, split, split.entries[:1])
    found = per_grid.masks(example, one_hot(example.mask, resampled), values=scoring._values(resampled), ignore=IGNORED)
    assert found["native"].spacing_mm == pytest.approx(SPACING)
    assert found["record"].spacing_mm == pytest.approx((2, 2, 2))
    assert found["native"].truth.shape == (60, 60, 22)
    assert ((found["native"].predicted == IGNORED) == (found["native"].truth == IGNORED)).all()


@pytest.mark.parametrize("options", [{}, {"spacing_mm": SPACING}], ids=["as it is", "its own spacing"])
def test_where_nothing_was_resampled_both_scores_are_equal_and_computed_once(raw, tmp_path, monkeypatch, options):
    data = opened(raw, tmp_path / "data", **options)
    calls = []
    monkeypatch.setattr(native, "labels", calls.append)
    monkeypatch.setattr(scores, "per_region", counted(scores.per_region, calls))
    random = np.random.default_rng(0)
    found = scorer("dice", "nsd").score(lambda tiles: tiles + random.random((*tiles.shape[:-1], 4)), data, "val")
    table = by_grid(found)
    assert {key: value for key, value in table.items() if key[-1] == "record"}
    for (name, label, grid), value in table.items():
        assert grid in ("record", "native")
        assert str(table[name, label, "native"]) == str(value)
    assert len(calls) == 2  # one case, two scores


def counted(function, calls):
    def call(*args, **kwargs):
        calls.append(function)
        return function(*args, **kwargs)

    return call


def test_cropped_scans_are_scored_whole(raw, tmp_path, monkeypatch):
    data = opened(raw, tmp_path / "data", crop_foreground=True, square=True)
    found = by_grid(scorer("dice").score(perfect(monkeypatch, data), data, "test"))
    label = data.manifest.classes[str(CLASSES["duct"])]
    assert found["dice", label, "record"] == found["dice", label, "native"] == 1
    split = data.manifest.split("test")
    example = reading.read_case(data.path, split, split.entries[:1])
    masks = per_grid.masks(example, one_hot(example.mask, data), values=scoring._values(data), ignore=IGNORED)
    assert masks["native"].truth.shape == (60, 60, 22) != masks["record"].truth.shape


def test_no_mean_is_over_two_grids(raw, resampled, tmp_path, monkeypatch):
    data = opened(raw, tmp_path / "data", spacing_mm=(2.0,), keep_native_masks="never")
    found = scorer("dice", "pooled_jaccard").score(perfect(monkeypatch, data), data, "test")
    assert {grid for *_, grid in found.summary} == {grid for *_, grid in found.cases} == {"record"}
    read = reading.read_case
    keeps = lambda folder, split, entries: read(folder, split, entries)._replace(  # noqa: E731
        **({"native_mask": None} if entries[0].id.endswith("0") else {})
    )
    monkeypatch.setattr(reading, "read_case", keeps)
    mixed = scorer("dice", "pooled_jaccard").score(perfect(monkeypatch, resampled), resampled, "test")
    assert {grid for *_, grid in mixed.summary} == {"record"}
    assert {case for case, *_, grid in mixed.cases if grid == "native"} == {"test/test1"}
    assert {label for _, _, label, *_ in mixed.cases} >= {MEAN}


def test_a_class_that_resampling_took_from_all_records_ends_no_run(resampled, monkeypatch):
    read = reading.read_case

    def with_another(*args):
        example = read(*args)
        mask = example.native_mask.copy()
        mask[30, 30, 10] = 99
        return example._replace(native_mask=mask)

    monkeypatch.setattr(reading, "read_case", with_another)
    found = by_grid(scorer("dice", "pooled_dice").score(perfect(monkeypatch, resampled), resampled, "test"))
    assert found["pooled_dice", "", "native"] > 0.7


def test_pictures_are_of_the_cases_by_their_native_score(resampled, monkeypatch, tmp_path):
    how, predict = scorer("dice"), perfect(monkeypatch, resampled)
    found = how.score(predict, resampled, "test")
    how.draw(predict, resampled, found, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"best.png", "median.png", "worst.png"}
    before = (tmp_path / "best.png").read_bytes()
    scoring.segmentation(view_size=16, neurological=True).draw(predict, resampled, found, tmp_path)
    assert (tmp_path / "best.png").read_bytes() != before  # left and right exchanged


def test_a_stack_is_scored_by_all_of_its_slices_together(raw, tmp_path, monkeypatch):
    """As of the same files in 3D, where slices by themselves score otherwise: those without a structure have none."""
    random = np.random.default_rng(0)
    wrong = {}

    def perturbed(_, example):
        logits = one_hot(example.mask, sliced)
        at, volume = example.source["slice"]["number"], example.source["slice"]["of"]
        if at % 3 == 0:
            logits[...] = one_hot(np.zeros_like(example.mask), sliced)
        predicted = scoring._values(sliced)[np.argmax(logits, -1)]
        wrong.setdefault(volume, {})[at] = np.where(example.mask == IGNORED, IGNORED, predicted)
        return logits + 1e-3 * random.random(logits.shape)

    sliced, whole = opened(raw, tmp_path / "slices", slices="axial"), opened(raw, tmp_path / "whole")
    monkeypatch.setattr(reading, "intensities", perturbed)
    found = scorer("dice", "stack_dice").score(lambda tiles: tiles, sliced, "test")
    stacks = {(case, label): value for case, name, label, value, _ in found.cases if name == "stack_dice"}
    split = whole.manifest.split("test")
    assert {case for case, _ in stacks} == {entry.id for entry in split.entries}
    for entry in split.entries:
        truth = reading.read_case(whole.path, split, [entry]).mask
        predicted = np.stack([wrong[entry.id][at] for at in range(truth.shape[-1])], axis=-1)
        for value, label in ((value, whole.manifest.classes[str(value)]) for value in CLASSES.values()):
            assert stacks[entry.id, label] == pytest.approx(scores.dice(truth == value, predicted == value))
    of_all = by_grid(found)
    assert of_all["stack_dice", MEAN, "native"] == pytest.approx(
        np.mean([value for (_, label), value in stacks.items() if label == MEAN])
    )
    assert abs(of_all["stack_dice", MEAN, "native"] - of_all["dice", MEAN, "native"]) > 0.01


def test_a_volume_that_is_no_slice_is_its_own_stack(raw, tmp_path):
    data = opened(raw, tmp_path / "data")
    found = by_grid(scorer("dice", "stack_dice").score(lambda tiles: np.repeat(tiles, 4, -1) % 7, data, "val"))
    stacks, cases = (
        {key[1:]: value for key, value in found.items() if key[0] == name} for name in ("stack_dice", "dice")
    )
    assert stacks == pytest.approx(cases, nan_ok=True)


def test_tables_and_report_have_stacks_by_patient(raw, tmp_path):
    opened(raw, tmp_path / "data", slices="axial", shape=(16, 16))
    tiny = ("STEPS=1", "BATCH_SIZE=2", "FILTERS=2", "LEVELS=1", "VIEW_SIZE=16", "REPETITIONS=1", "ARMS=('random',)")
    sources = configuration.Sources(("gin/finetune/segmentation_2d.gin",), (*tiny, "SCORES=('stack_dice',)"))
    assert finetune.run(sources, tmp_path / "data", [], tmp_path / "ft") == 0
    found = tables.read([tmp_path / "ft"])
    assert {(row.case, row.score) for row in found.cases} == {
        ("test/test0", "stack_dice"),
        ("test/test1", "stack_dice"),
    }
    assert {row.patient for row in found.cases} == {"test/test0", "test/test1"}
    assert {row.grid for row in found.cases} == {"record", "native"}
    summary = (tmp_path / "ft" / "summary.md").read_text()
    assert "segmentation: stack_dice (higher is better)" in summary
    assert "Rests on 1 repetition and 2 test cases of 2 patients." in summary
