"""Accuracy and chance over what is asked: the rest is in no mean, and where all is asked no bit changes."""

import numpy as np
import pytest
import tensorflow as tf

from ssl3d_tf.losses import batches, classification, contrast, labels, metrics, questions
from tests.conftest import two_replicas

RNG = np.random.default_rng(0)
LABELS = tf.constant(RNG.integers(0, 5, (4, 7)), tf.int32)
LOGITS = tf.constant(RNG.normal(size=(4, 7, 5)), tf.float32)
ASKED = np.array([[1, 1, 0, 0, 1, 0, 1], [0] * 7, [1] * 7, [0, 0, 0, 0, 0, 0, 1]], bool)
SOME, ALL = labels.asked(LABELS, ASKED), labels.asked(LABELS, np.ones_like(ASKED))


def test_accuracy_is_of_the_examples_that_are_asked_anything():
    right = LOGITS.numpy().argmax(-1) == LABELS.numpy()
    expected = np.mean([right[i][ASKED[i]].mean() for i in (0, 2, 3)])
    found = questions.accuracy(SOME, LOGITS).numpy()
    assert np.nanmean(found) == pytest.approx(expected)
    assert np.isnan(found).tolist() == [False, True, False, False]


def test_chance_stays_what_it_is_or_is_of_the_classes_that_are_asked_for():
    assert np.nanmean(questions.chance(SOME, LOGITS)) == pytest.approx(1 / 5)
    among = np.mean([1 / (5 * 4 / 7), 1 / 5, 1 / (5 * 1 / 7)])
    assert np.nanmean(questions.chance_of_those(SOME, LOGITS)) == pytest.approx(among)


def test_of_a_batch_without_a_question_there_is_nothing():
    none = labels.asked(LABELS, np.zeros_like(ASKED))
    for score in (questions.accuracy, questions.chance, questions.chance_of_those):
        assert np.isnan(score(none, LOGITS)).all()


@pytest.mark.parametrize("parts", [1, 2, 4])
def test_however_examples_are_batched_means_are_of_those_that_are_asked(parts):
    loss = classification.softmax_cross_entropy(SOME, LOGITS)
    scores = tf.stack([loss, questions.accuracy(SOME, LOGITS), tf.fill([4], float("nan"))], axis=1)
    mean = batches.means(tf.add_n([batches.tallied(part) for part in tf.split(scores, parts)]) / parts)
    np.testing.assert_allclose(mean, [np.mean(loss), np.nanmean(scores[:, 1]), np.nan], rtol=1e-6)


def test_a_loss_that_is_no_number_is_not_left_out():
    scores = tf.constant([[np.nan, 0.5], [1.0, 0.25]])
    np.testing.assert_array_equal(batches.means(batches.tallied(scores)), [np.nan, 0.375])


def scored(asked):
    with tf.GradientTape() as tape:
        tape.watch(LOGITS)
        loss = classification.softmax_cross_entropy(asked, LOGITS)
    return loss, tape.gradient(loss, LOGITS)


def test_where_all_is_asked_every_bit_is_as_without():
    for one, other in zip(scored(LABELS), scored(ALL), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(questions.accuracy(ALL, LOGITS), metrics.accuracy(LABELS, LOGITS))
    for score in (questions.chance, questions.chance_of_those):
        np.testing.assert_array_equal(score(ALL, LOGITS), metrics.chance(LABELS, LOGITS))
        np.testing.assert_array_equal(score(LABELS, LOGITS), metrics.chance(LABELS, LOGITS))


def codes(batch=3, columns=4, steps=2, size=5):
    drawn = RNG.normal(size=(2, batch, columns, steps, size)).astype(np.float32)
    return {"predictions": tf.constant(drawn[0]), "codes": tf.constant(drawn[1])}


def test_codes_of_blank_patches_are_neither_asked_for_nor_candidates():
    outputs, present = codes(), RNG.random((3, 4, 2)) < 0.6
    objective = contrast.info_nce(similarity=contrast.dot, temperature=1.0)
    targets = {"present": tf.constant(present), "asked": tf.constant(present)}
    predictions, every = (outputs[name].numpy().reshape(12, 2, 5) for name in ("predictions", "codes"))
    loss, chance, there = np.zeros((12, 2)), np.zeros((12, 2)), present.reshape(12, 2)
    for place, step in np.ndindex(12, 2):
        logits = every[there[:, step], step] @ predictions[place, step]
        own = every[place, step] @ predictions[place, step]
        loss[place, step], chance[place, step] = np.log(np.exp(logits).sum()) - own, 1 / len(logits)
    expected, among = ([values.reshape(3, 4, 2)[i][present[i]].mean() for i in range(3)] for values in (loss, chance))
    np.testing.assert_allclose(objective.loss_fn(targets, outputs), expected, rtol=1e-5)
    np.testing.assert_allclose(objective.metrics["chance"](targets, outputs), among, rtol=1e-5)


def test_where_every_code_is_present_every_bit_is_as_without():
    outputs, objective = codes(), contrast.info_nce(exclude_neighbours=1)
    everything = {name: tf.ones((3, 4, 2), tf.bool) for name in ("present", "asked")}
    for score in (objective.loss_fn, *objective.metrics.values()):
        np.testing.assert_array_equal(score({}, outputs), score(everything, outputs))


def test_of_several_replicas_all_present_codes_are_candidates():
    whole, strategy, present = codes(batch=4), two_replicas(), tf.constant(RNG.random((4, 4, 2)) < 0.6)
    score = contrast.info_nce().loss_fn

    def part(values, context):
        return tf.split(values, 2)[context.replica_id_in_sync_group]

    given = strategy.experimental_distribute_values_from_function(
        lambda context: {name: part(values, context) for name, values in {**whole, "present": present}.items()}
    )
    apart = tf.function(lambda made: strategy.run(lambda one: score({**one, "asked": one["present"]}, one), (made,)))
    joined = tf.concat(strategy.experimental_local_results(apart(given)), axis=0)
    np.testing.assert_allclose(joined, score({"present": present, "asked": present}, whole), rtol=1e-5)


def test_a_batch_of_blank_patches_has_no_gradient_and_no_infinity():
    outputs, objective = codes(), contrast.info_nce()
    nothing = {name: tf.zeros((3, 4, 2), tf.bool) for name in ("present", "asked")}
    with tf.GradientTape() as tape:
        tape.watch(outputs["predictions"])
        loss = objective.loss_fn(nothing, outputs)
    assert loss.numpy().tolist() == [0, 0, 0]
    assert not tape.gradient(loss, outputs["predictions"]).numpy().any()
    assert all(np.isnan(score(nothing, outputs)).all() for score in objective.metrics.values())
