"""Scores: against naive loops and scikit-learn; what is absent; that the area of a surface counts."""

import functools
import itertools

import numpy as np
import pytest
import surface_distance
from scipy import ndimage
from sklearn import metrics as sklearn

from ssl3d_tf.errors import InputError
from ssl3d_tf.evaluation import grading, scores, surfaces
from ssl3d_tf.losses.regions import BRATS

RNG = np.random.default_rng(0)
TRUTH, PREDICTED = RNG.integers(0, 4, (2, 5, 6, 7)).astype(np.uint8)
NOTHING = np.zeros((4, 5, 6), bool)
ONE = NOTHING.copy()
ONE[1, 2, 3] = True


def box(shape, *ranges):
    mask = np.zeros(shape, bool)
    mask[tuple(slice(*limits) for limits in ranges)] = True
    return mask


def blobs(shape, sigma=1.5, rng=RNG):
    """Two overlapping ragged shapes."""
    smooth = [ndimage.gaussian_filter(rng.normal(size=shape), sigma) for _ in range(3)]
    return smooth[0] + smooth[1] > 0.05, smooth[0] + smooth[2] > 0.05


# Overlap


def naive_counts(truth, predicted, values):
    shared = in_truth = in_prediction = 0
    for a, b in zip(truth.ravel(), predicted.ravel(), strict=True):
        shared += (a in values) and (b in values)
        in_truth += a in values
        in_prediction += b in values
    return shared, in_truth, in_prediction


def test_dice_and_jaccard_of_brats_regions_equal_loops():
    dice = scores.per_region(scores.dice, TRUTH, PREDICTED, regions=BRATS)
    jaccard = scores.per_region(scores.jaccard, TRUTH, PREDICTED, regions=BRATS)
    assert BRATS == {"brats_wt": (1, 2, 3), "brats_tc": (1, 3), "brats_et": (3,)}
    for name, values in BRATS.items():
        shared, truth, predicted = naive_counts(TRUTH, PREDICTED, values)
        assert dice[name] == pytest.approx(2 * shared / (truth + predicted))
        assert jaccard[name] == pytest.approx(shared / (truth + predicted - shared))


def test_every_region_has_its_place_even_if_it_is_nowhere():
    regions = {"a": (1,), "b": (2,), "c": (3,)}
    truth, predicted = np.array([0, 1, 1, 2]), np.array([0, 1, 0, 0])
    found = scores.per_region(scores.dice, truth, predicted, regions=regions)
    assert found == {"a": pytest.approx(2 / 3), "b": 0.0, "c": pytest.approx(np.nan, nan_ok=True)}
    assert scores.mean(found.values()) == pytest.approx(1 / 3)


def test_a_mean_of_nothing_is_nan():
    assert np.isnan(scores.mean([np.nan]))
    assert np.isnan(scores.mean([]))


@pytest.mark.parametrize("score", [scores.dice, scores.jaccard])
def test_overlap_is_one_when_equal_zero_when_one_is_empty_undefined_when_both_are(score):
    assert score(ONE, ONE) == 1
    assert score(ONE, NOTHING) == score(NOTHING, ONE) == 0
    assert np.isnan(score(NOTHING, NOTHING))


def test_pooled_scores_are_those_of_all_voxels_in_one_list():
    cases = [tuple(RNG.integers(0, 3, (2, side, 5))) for side in (3, 8, 1)]
    together = sum(scores.confusion(*case, classes=4) for case in cases)  # class 3 is nowhere
    truth, predicted = (np.concatenate([case[k].ravel() for case in cases]) for k in (0, 1))
    shares = sklearn.jaccard_score(truth, predicted, average=None)
    assert scores.pooled_jaccard(together) == pytest.approx(shares.mean())
    assert scores.pooled_dice(together) == pytest.approx((2 * shares / (1 + shares)).mean())
    np.testing.assert_allclose(scores.pooled_dice_per_class(together), [*(2 * shares / (1 + shares)), np.nan])


def test_values_that_are_no_class_are_refused():
    with pytest.raises(InputError, match=r"values 0\.\.3, there are 3 classes"):
        scores.confusion(TRUTH, PREDICTED, classes=3)


def test_masks_of_different_shape_are_refused():
    with pytest.raises(InputError, match="put the prediction on the mask's grid"):
        scores.per_region(scores.dice, TRUTH, PREDICTED[1:], regions=BRATS)


# Surfaces


def naive_surface(mask, spacing):
    """(place in mm, area) of every corner of a voxel face between inside and outside, one face at a time."""
    areas, rank = {}, mask.ndim
    padded = np.pad(mask, 1)
    for voxel in itertools.product(*(range(side - 1) for side in padded.shape)):
        for axis in range(rank):
            neighbour = tuple(np.add(voxel, np.eye(rank, dtype=int)[axis]))
            if padded[voxel] == padded[neighbour]:
                continue
            others = [other for other in range(rank) if other != axis]
            for corner in itertools.product((0, 1), repeat=rank - 1):
                place = np.array(neighbour)
                place[others] = np.array(voxel)[others] + corner
                area = np.prod([spacing[other] for other in others]) / 2 ** (rank - 1)
                areas[tuple(place * spacing)] = areas.get(tuple(place * spacing), 0) + area
    return np.array(list(areas)), np.array(list(areas.values()))


def naive_scores(truth, predicted, spacing, tolerance):
    """Hausdorff distance at 95 % and surface Dice as Nikolov et al. define them, over all pairs of elements."""
    (a, a_areas), (b, b_areas) = (naive_surface(mask, np.array(spacing)) for mask in (truth, predicted))
    pairs = np.linalg.norm(a[:, None] - b[None], axis=-1)
    directed = []
    for values, areas in ((pairs.min(axis=1), a_areas), (pairs.min(axis=0), b_areas)):
        order = np.argsort(values)
        reached = np.cumsum(areas[order]) >= 0.95 * areas.sum()
        directed.append(values[order][np.argmax(reached)])
    near = a_areas[pairs.min(axis=1) <= tolerance].sum() + b_areas[pairs.min(axis=0) <= tolerance].sum()
    return max(directed), near / (a_areas.sum() + b_areas.sum())


@pytest.mark.parametrize(("shape", "spacing"), [((8, 9, 7), (1.0, 0.5, 2.0)), ((20, 17), (0.7, 1.5))])
def test_surface_scores_equal_loops_over_faces_and_pairs(shape, spacing):
    truth, predicted = blobs(shape)
    hd95, nsd = naive_scores(truth, predicted, spacing, tolerance=0.8)
    assert surfaces.hd95(truth, predicted, spacing_mm=spacing) == pytest.approx(hd95)
    assert surfaces.nsd(truth, predicted, spacing_mm=spacing, tolerance_mm=0.8) == pytest.approx(nsd)


def reference(truth, predicted, spacing, tolerance):
    """(hd95, nsd, distances) of DeepMind's surface-distance (Nikolov et al., 2018, arXiv:1809.04430)."""
    found = surface_distance.compute_surface_distances(truth, predicted, spacing)
    hd95 = surface_distance.compute_robust_hausdorff(found, 95)
    return hd95, surface_distance.compute_surface_dice_at_tolerance(found, tolerance), found


# surface-distance 0.1 imports from scipy.ndimage.filters and .morphology, which SciPy 2 will not have.
with_reference = pytest.mark.filterwarnings("ignore:Please import .* from the `scipy.ndimage`:DeprecationWarning")


@with_reference
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (3.0, 0.8, 0.8), (1.0, 0.5, 2.0), (0.7, 1.5)])
def test_surface_scores_are_those_of_the_reference_but_for_the_areas_of_ragged_surfaces(spacing):
    off, rng = [], np.random.default_rng(0)
    for _ in range(12):
        truth, predicted = blobs((16, 18, 14) if len(spacing) == 3 else (40, 36), rng=rng)
        hd95, nsd, expected = reference(truth, predicted, spacing, tolerance=1.0)
        found = surfaces.distances(truth, predicted, spacing_mm=spacing)
        np.testing.assert_allclose(np.sort(found.from_truth), np.sort(expected["distances_gt_to_pred"]))
        np.testing.assert_allclose(np.sort(found.from_predicted), np.sort(expected["distances_pred_to_gt"]))
        ours = surfaces.nsd(truth, predicted, spacing_mm=spacing, tolerance_mm=1.0)
        off.append((surfaces.hd95(truth, predicted, spacing_mm=spacing) - hd95, ours - nsd))
    # It weighs elements by the area of marching cubes, we by that of voxel faces (DECISIONS.md).
    assert (np.abs(off).mean(axis=0) <= (0.1, 0.01)).all()


@with_reference
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (3.0, 0.8, 0.8)])
@pytest.mark.parametrize("shift", [(0, 2, 0), (3, 0, 0), (2, 3, -1)])
def test_hd95_of_a_shifted_box_is_exactly_that_of_the_reference(spacing, shift):
    sides = ((3, 9), (3, 10), (4, 12))
    truth = box((16,) * 3, *sides)
    predicted = box((16,) * 3, *((low + by, high + by) for (low, high), by in zip(sides, shift, strict=True)))
    hd95, nsd, _ = reference(truth, predicted, spacing, tolerance=1.0)
    assert surfaces.hd95(truth, predicted, spacing_mm=spacing) == hd95
    # It cuts edges off, which are a good part of so small a box.
    assert surfaces.nsd(truth, predicted, spacing_mm=spacing, tolerance_mm=1.0) == pytest.approx(nsd, abs=0.02)


def test_the_surface_of_a_box_is_its_area_in_square_mm():
    area = surfaces.surface(box((6, 6, 6), (1, 3), (2, 5), (0, 4)), (1.0, 2.0, 0.5)).sum()
    assert area == pytest.approx(2 * (2 * 6 + 2 * 2 + 6 * 2))  # sides of 2, 6 and 2 mm


def test_a_shifted_plane_is_as_far_away_as_it_was_shifted():
    truth, predicted = box((20, 30, 30), (0, 10), (0, 30), (0, 30)), box((20, 30, 30), (0, 13), (0, 30), (0, 30))
    assert surfaces.hd95(truth, predicted, spacing_mm=(2, 1, 1)) == 6.0


def test_equal_masks_have_distance_zero_and_all_surface_in_common():
    truth, _ = blobs((9, 8, 10))
    assert surfaces.hd95(truth, truth, spacing_mm=(1, 2, 3)) == 0
    assert surfaces.nsd(truth, truth, spacing_mm=(1, 2, 3), tolerance_mm=0) == 1


def test_surface_scores_do_not_depend_on_which_is_which_nor_on_the_empty_space_around():
    truth, predicted = blobs((9, 8, 10))
    for score in (surfaces.hd95, functools.partial(surfaces.nsd, tolerance_mm=1.0)):
        value = score(truth, predicted, spacing_mm=(1, 2, 3))
        assert score(predicted, truth, spacing_mm=(1, 2, 3)) == pytest.approx(value)
        assert score(np.pad(truth, 5), np.pad(predicted, 5), spacing_mm=(1, 2, 3)) == pytest.approx(value)


def test_empty_masks_have_the_worst_distance_or_none():
    hd95 = functools.partial(surfaces.hd95, spacing_mm=(3, 1, 2))
    nsd = functools.partial(surfaces.nsd, spacing_mm=(3, 1, 2), tolerance_mm=1)
    assert hd95(ONE, NOTHING) == hd95(NOTHING, ONE) == pytest.approx(np.sqrt(12**2 + 5**2 + 12**2))
    assert nsd(ONE, NOTHING) == nsd(NOTHING, ONE) == 0
    assert np.isnan(hd95(NOTHING, NOTHING))
    assert np.isnan(nsd(NOTHING, NOTHING))


def test_spacing_must_have_one_length_per_axis():
    with pytest.raises(InputError, match="mask of 3 axes"):
        surfaces.hd95(ONE, ONE, spacing_mm=(1, 1))


# Grading


LABELS, GUESSES = RNG.integers(0, 5, 60), RNG.integers(0, 5, 60)


def test_kappa_and_accuracy_are_those_of_scikit_learn():
    assert grading.qw_kappa(LABELS, GUESSES) == pytest.approx(
        sklearn.cohen_kappa_score(LABELS, GUESSES, weights="quadratic")
    )
    assert grading.cat_accuracy(LABELS, GUESSES) == pytest.approx(sklearn.accuracy_score(LABELS, GUESSES))


def test_kappa_is_one_when_right_below_zero_when_reversed_and_undefined_for_one_grade():
    assert grading.qw_kappa([0, 1, 2], [0, 1, 2]) == 1
    assert grading.qw_kappa([0, 1, 2], [2, 1, 0]) == -1
    assert np.isnan(grading.qw_kappa([1, 1], [1, 1]))


def test_ordinal_predictions_are_the_number_of_leading_yeses():
    probabilities = [[0.1, 0.2], [0.9, 0.1], [0.9, 0.8], [0.2, 0.9]]
    assert grading.grades(np.array(probabilities)).tolist() == [0, 1, 2, 0]


def test_samples_without_a_yes_count():
    labels = np.array([0, 1, 2, 3, 4, 2, 3, 4])
    probabilities = (np.arange(4) < labels[:, None]).astype(float)
    probabilities[5:] = 0  # three of eight are wrong; the published score is 1
    assert grading.cat_acc_kaggle(labels, probabilities) == 5 / 8
    expected = sklearn.cohen_kappa_score(labels, [0, 1, 2, 3, 4, 0, 0, 0], weights="quadratic")
    assert grading.qw_kappa_kaggle(labels, probabilities) == pytest.approx(expected)


def test_binary_accuracy_is_over_all_labels():
    assert grading.bin_accuracy(np.array([[1, 0], [1, 1]]), np.array([[0.9, 0.2], [0.4, 0.8]])) == 0.75


def test_auc_is_that_of_scikit_learn_with_ties():
    labels, values = RNG.integers(0, 2, 50), np.round(RNG.random(50), 1)
    assert grading.auc(labels, values) == pytest.approx(sklearn.roc_auc_score(labels, values))


def test_auc_of_classes_is_the_macro_mean_of_one_against_the_rest():
    values = RNG.random((60, 5))
    values /= values.sum(axis=1, keepdims=True)
    expected = sklearn.roc_auc_score(LABELS, values, multi_class="ovr", average="macro")
    assert grading.auc(LABELS, values) == pytest.approx(expected)


def test_auc_leaves_classes_out_that_nobody_has():
    values = RNG.random((60, 5))
    with_two_more = np.concatenate([values, RNG.random((60, 2))], axis=1)
    assert grading.auc(LABELS, with_two_more) == pytest.approx(grading.auc(LABELS, values))
    assert np.isnan(grading.auc(np.ones(4), np.arange(4)))


def test_outputs_that_are_no_grades_are_refused():
    with pytest.raises(InputError, match="whole numbers"):
        grading.qw_kappa([0, 1], [0.2, 1.0])
    with pytest.raises(InputError, match="one length"):
        grading.cat_accuracy([0, 1], [0, 1, 1])
