"""CPC: the published index tables, every patch encoded once, both objectives against naive loops."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ssl3d_tf.errors import InputError
from ssl3d_tf.losses import contrast
from ssl3d_tf.models import pyramid, unet
from ssl3d_tf.tasks import cpc
from ssl3d_tf.views import patches
from tests.conftest import two_replicas

_RELEASED = {"framing": patches.padding(), "view_crop": 0.95, "standardise_patches": False}
_SMALL = {"code_size": 8, "context_size": 8}


def _task(rank=3, *, view_size=32, n=4, **options):
    return cpc.task(rank=rank, view_size=view_size, patches_per_side=n, **{**_SMALL, **options})


def _encoder(rank=3, **options):
    return unet.encoder(1, rank=rank, **{"filters": 2, "levels": 1, "norm": "group", **options})


def _volumes(rank=3, *, view_size=32):
    return tf.random.stateless_uniform((2, *(view_size,) * rank, 1), (3, rank))


def _params(sample):
    return tf.nest.map_structure(lambda *drawn: tf.stack(drawn), *(sample(tf.constant([5, i])) for i in range(2)))


def _views(task, volumes, sample):
    return task.make_views({"volume": volumes}, _params(sample))


def _outputs(seed=0, *, batch=3, columns=(4, 4), steps=2, size=5):
    drawn = np.random.default_rng(seed).normal(size=(2, batch, *columns, steps, size)).astype(np.float32)
    return {"predictions": tf.constant(drawn[0]), "codes": tf.constant(drawn[1])}


def test_2d_pyramids_of_5_are_the_published_ones():
    context, targets = pyramid.layout(5, rank=2)[2:]
    zero = 25
    assert context[0].tolist() == [zero, 0, 1, 5]
    assert context[2].tolist() == [1, 2, 3, 7]
    assert targets[[0, 2]].tolist() == [[15, 20], [17, 22]]


def test_2d_pyramid_of_7_is_the_published_one():
    context, targets = pyramid.layout(7, rank=2)[2:]
    zero = 49
    assert context[0].tolist() == [zero, zero, 0, 1, 2, zero, 7, 8, 14]
    assert targets[0].tolist() == [28, 35, 42]


def test_3d_pyramid_of_4_is_the_published_one():
    context, targets = pyramid.layout(4, rank=3)[2:]
    assert context[0].tolist() == [5, 4, 5, 1, 0, 1, 5, 4, 5, 16]
    assert targets[0].tolist() == [32, 48]


@pytest.mark.parametrize(
    ("rank", "n", "terms", "steps"),
    [(2, 4, 4, 1), (2, 5, 4, 2), (2, 7, 9, 3), (3, 4, 10, 2), (3, 5, 10, 3), (3, 6, 35, 3)],
)
def test_pyramids_have_the_published_sizes(rank, n, terms, steps):
    layout = pyramid.layout(n, rank=rank)
    assert (layout.context.shape, layout.targets.shape) == ((n ** (rank - 1), terms), (n ** (rank - 1), steps))


@pytest.mark.parametrize("rank", [2, 3])
@pytest.mark.parametrize("n", [4, 5, 6, 7, 8])
def test_context_and_targets_share_no_row(rank, n):
    layout = pyramid.layout(n, rank=rank)
    row = n ** (rank - 1)
    assert set(layout.context[layout.context < n**rank] // row).isdisjoint((layout.targets // row).ravel())


@pytest.mark.parametrize("n", [2, 3])
def test_grids_without_a_row_to_spare_are_refused(n):
    with pytest.raises(InputError, match=f"PATCHES_PER_SIDE is {n}; CPC needs at least 4"):
        _task(n=n)


@pytest.mark.parametrize(("view_size", "n", "side"), [(224, 5, 74), (128, 5, 42), (128, 4, 50), (384, 7, 96)])
def test_2d_patches_overlap_as_published(view_size, n, side):
    task = _task(2, view_size=view_size, n=n)
    inputs, _ = _views(task, _volumes(2, view_size=view_size), task.sample_eval)
    assert inputs.shape == (2, n**2, side, side, 1)


def test_evaluation_sees_the_patches_as_they_are():
    task, volumes = _task(standardise_patches=False), _volumes()
    inputs, _ = _views(task, volumes, task.sample_eval)
    np.testing.assert_array_equal(inputs, patches.extract(volumes, patches.grid(32, 4, rank=3)))


def test_released_training_patches_are_flipped_cropped_and_framed():
    task, volumes = _task(**{**_RELEASED, "view_crop": 1.0}), _volumes()
    inputs, whole = (_views(task, volumes, sample)[0].numpy() for sample in (task.sample, task.sample_eval))
    crops = {image[:7, :7, :7].tobytes() for patch in whole[0, :1] for image in _crops_and_flips(patch)}
    assert inputs[0, 0, :7, :7, :7].tobytes() in crops
    assert not inputs[:, :, 7].any()


def _crops_and_flips(patch):
    for flipped in (patch, patch[::-1]):
        yield from (flipped[i : i + 7, j : j + 7, k : k + 7] for i, j, k in np.ndindex(2, 2, 2))


def test_about_half_of_the_patches_are_flipped():
    task = _task(crop=1.0, standardise_patches=False)
    inputs, whole = (_views(task, _volumes(), sample)[0].numpy() for sample in (task.sample, task.sample_eval))
    flipped = np.all(inputs == whole[:, :, ::-1], axis=(2, 3, 4, 5))
    assert np.all(flipped | np.all(inputs == whole, axis=(2, 3, 4, 5)))
    assert 0.3 < flipped.mean() < 0.7


def test_released_view_is_cropped_and_framed():
    task = _task(crop=1.0, flip=0.0, **_RELEASED)
    inputs, _ = _views(task, tf.ones((2, 32, 32, 32, 1)), task.sample)
    assert tf.reduce_sum(inputs) == 2 * 30**3


@pytest.mark.parametrize("share", [0.0, 1.2])
def test_crops_outside_their_range_are_refused(share):
    with pytest.raises(InputError, match=f"crop is {share}"):
        _task(crop=share)


def test_patches_smaller_than_the_down_sampling_are_refused():
    with pytest.raises(InputError, match=r"8×8×8 is smaller than 16 per axis.*raise VIEW_SIZE"):
        _task().build_model(_encoder(levels=3))


def test_context_network_has_the_published_size():
    model = cpc.task(rank=3, view_size=64, patches_per_side=4).build_model(_encoder())
    assert model.get_layer("context").count_params() == 984_576


def test_a_prediction_depends_on_its_pyramid_and_nothing_else():
    task = _task()
    model, inputs = task.build_model(_encoder()), _views(task, _volumes(), task.sample_eval)[0]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        prediction = tf.reduce_sum(model(inputs)["predictions"][0, 0, 0] ** 2)
    used = np.any(tape.gradient(prediction, inputs).numpy(), axis=(2, 3, 4, 5))
    assert np.flatnonzero(used[0]).tolist() == [0, 1, 4, 5, 16]
    assert not used[1].any()


def test_codes_are_those_of_the_lower_rows():
    task = _task()
    model, inputs = task.build_model(_encoder()), _views(task, _volumes(), task.sample_eval)[0].numpy()
    before = model(inputs)["codes"].numpy()
    inputs[0, 32 + 4 * 1 + 3] += 1.0  # row 2, column (1, 3)
    changed = np.any(model(inputs)["codes"].numpy() != before, axis=-1)
    assert np.argwhere(changed).tolist() == [[0, 1, 3, 0]]


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("options", [{}, {"objective": contrast.released_bce(), **_RELEASED}])
def test_compiled_step_equals_eager(jit_compile, options):
    task = _task(patch_jitter=2, intensity_jitter=0.1, channel_drop=0.5, **options)
    model, params = task.build_model(_encoder()), _params(task.sample)

    def losses(volumes):
        inputs, targets = task.make_views({"volume": volumes}, params)
        return task.loss_fn(targets, model(inputs))

    compiled = tf.function(losses, jit_compile=jit_compile)(_volumes())
    assert (compiled.shape, compiled.dtype) == ((2,), tf.float32)
    np.testing.assert_allclose(compiled, losses(_volumes()), rtol=1e-4)


def test_model_can_be_rebuilt_from_its_configuration():
    model = _task().build_model(_encoder())
    twin = keras.Model.from_config(model.get_config())
    twin.set_weights([np.asarray(weight.value.numpy()) for weight in model.weights])
    inputs = np.random.default_rng(0).normal(size=(1, 64, 8, 8, 8, 1)).astype(np.float32)
    np.testing.assert_allclose(model(inputs)["predictions"], twin(inputs)["predictions"], atol=1e-5)


@pytest.mark.parametrize(("similarity", "temperature"), [(contrast.cosine, 0.1), (contrast.dot, 2.0)])
def test_info_nce_equals_a_loop_over_all_candidates(similarity, temperature):
    outputs = _outputs()
    predictions, codes = (outputs[name].numpy().reshape(3 * 16, 2, 5) for name in ("predictions", "codes"))
    if similarity is contrast.cosine:
        predictions, codes = (v / np.linalg.norm(v, axis=-1, keepdims=True) for v in (predictions, codes))
    expected, right = np.zeros((2, 3 * 16, 2))
    for place, step in np.ndindex(3 * 16, 2):
        logits = codes[:, step] @ predictions[place, step] / temperature
        expected[place, step] = np.log(np.exp(logits).sum()) - logits[place]
        right[place, step] = logits.argmax() == place
    loss_fn, metrics, _ = contrast.info_nce(similarity=similarity, temperature=temperature)
    np.testing.assert_allclose(loss_fn({}, outputs), expected.reshape(3, -1).mean(1), rtol=1e-5)
    np.testing.assert_allclose(metrics["accuracy"]({}, outputs), right.reshape(3, -1).mean(1))


def test_chance_is_one_among_all_columns_of_the_batch():
    metrics = contrast.info_nce().metrics
    np.testing.assert_allclose(metrics["chance"]({}, _outputs()), [1 / 48] * 3)
    np.testing.assert_allclose(metrics["chance_loss"]({}, _outputs()), [np.log(48)] * 3, rtol=1e-6)


def test_true_codes_are_recognised():
    codes = _outputs()["codes"]
    loss_fn, metrics, _ = contrast.info_nce(temperature=0.001)
    outputs = {"predictions": codes, "codes": codes}
    assert np.all(loss_fn({}, outputs) < 1e-3)
    assert np.all(metrics["accuracy"]({}, outputs) == 1)


def test_excluded_neighbours_are_no_candidates():
    codes = _outputs(columns=(4,))["codes"].numpy()
    toward_neighbour = codes + 2 * np.concatenate([codes[:, 1:], codes[:, :1]], axis=1)
    outputs = {"predictions": tf.constant(toward_neighbour), "codes": tf.constant(codes)}
    without, all_codes = (contrast.info_nce(exclude_neighbours=distance).metrics for distance in (1, 0))
    assert np.mean(all_codes["accuracy"]({}, outputs)) < np.mean(without["accuracy"]({}, outputs))
    np.testing.assert_allclose(without["chance"]({}, outputs), [(2 / 10 + 2 / 11) / 4] * 3, rtol=1e-6)


@pytest.mark.parametrize("draw", [0.0, 0.3, 0.999999])
def test_released_loss_scores_the_true_and_one_wrong_column(draw):
    outputs, draws = _outputs(), np.full((3, 16), draw, np.float32)
    predictions, codes = (outputs[name].numpy().reshape(48, -1) for name in ("predictions", "codes"))
    expected = np.zeros(48)
    for place in range(48):
        wrong = [other for other in range(48) if other != place][int(draw * 47)]
        positive, negative = (np.mean(predictions[place] * codes[which]) for which in (place, wrong))
        expected[place] = np.log1p(np.exp(-positive)) / 2 + np.log1p(np.exp(negative)) / 2
    loss = contrast.released_bce().loss_fn({"negative": tf.constant(draws)}, outputs)
    np.testing.assert_allclose(loss, expected.reshape(3, 16).mean(1), rtol=1e-5)


def test_candidates_come_from_all_replicas():
    whole, strategy = _outputs(batch=4), two_replicas()
    parts = strategy.experimental_distribute_values_from_function(
        lambda context: {name: tf.split(values, 2)[context.replica_id_in_sync_group] for name, values in whole.items()}
    )
    loss_fn, metrics, _ = contrast.info_nce(exclude_neighbours=1)
    for score in (loss_fn, *metrics.values()):
        apart = tf.function(lambda outputs, score=score: strategy.run(score, args=({}, outputs)))(parts)
        joined = tf.concat(strategy.experimental_local_results(apart), axis=0)
        np.testing.assert_allclose(joined, score({}, whole), rtol=1e-5)


def test_gradients_flow_back_to_all_replicas():
    whole, strategy = _outputs(batch=4), two_replicas()
    loss_fn = contrast.info_nce().loss_fn

    def gradient(predictions, codes):
        with tf.GradientTape() as tape:
            tape.watch(codes)
            loss = tf.reduce_sum(loss_fn({}, {"predictions": predictions, "codes": codes}))
        return tape.gradient(loss, codes)

    parts = (
        strategy.experimental_distribute_values_from_function(
            lambda context, name=name: tf.split(whole[name], 2)[context.replica_id_in_sync_group]
        )
        for name in ("predictions", "codes")
    )
    apart = tf.function(lambda *given: strategy.run(gradient, args=given))(*parts)
    joined = tf.concat(strategy.experimental_local_results(apart), axis=0)
    np.testing.assert_allclose(joined, gradient(**whole), rtol=1e-4, atol=1e-5)
