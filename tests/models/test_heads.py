"""Heads: their sizes, float32 logits, and what they refuse."""

import keras
import numpy as np
import pytest

from ssl3d_tf.errors import InputError
from ssl3d_tf.models import heads


def _model(head, shape, units=3):
    features = keras.Input(shape)
    return keras.Model(features, head(features, units))


def test_rotation_3d_head_has_the_published_first_layer():
    model = _model(heads.big_fully(), (4, 4, 4, 256), units=10)
    assert model.get_layer("head_dense1").count_params() == 33_556_480


@pytest.mark.parametrize(
    ("head", "layers"),
    [
        (heads.big_fully(), [f"head_{name}{n}" for n in (1, 2) for name in ("dense", "norm", "dropout")] + ["logits"]),
        (heads.simple_multiclass(), ["head_dense1", "head_norm1", "head_dropout1", "logits"]),
        (heads.mlp((5,)), ["head_dense1", "head_dropout1", "logits"]),
        (heads.linear(), ["logits"]),
    ],
)
def test_heads_have_these_layers(head, layers):
    assert [layer.name for layer in _model(head, (6,)).layers[1:]] == layers


@pytest.mark.parametrize(("pooling", "inputs"), [(None, 4 * 4 * 5), ("avg", 5), ("max", 5)])
def test_maps_are_flattened_or_pooled(pooling, inputs):
    assert _model(heads.linear(pooling=pooling), (4, 4, 5)).get_layer("logits").kernel.shape == (inputs, 3)


def test_pooling_takes_maps_of_any_size():
    model = _model(heads.linear(pooling="avg"), (None, None, None, 5))
    assert model(np.ones((2, 3, 4, 5, 5), np.float32)).shape == (2, 3)


def test_logits_are_float32_in_mixed_precision():
    policy = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        model = _model(heads.mlp((8,)), (6,))  # not called: no CPU need compute in bfloat16
    finally:
        keras.mixed_precision.set_global_policy(policy)
    assert (model.get_layer("head_dense1").compute_dtype, model.output.dtype) == ("bfloat16", "float32")


def test_logits_are_no_probabilities():
    logits = _model(heads.mlp((8,)), (6,))(np.ones((2, 6), np.float32))
    assert not np.allclose(np.sum(logits, axis=1), 1)


def test_a_map_of_unknown_size_cannot_be_flattened():
    with pytest.raises(InputError, match="no fixed size to flatten"):
        _model(heads.linear(), (None, None, 5))


def test_an_unknown_pooling_lists_the_known_ones():
    with pytest.raises(InputError, match="avg, max or None"):
        _model(heads.linear(pooling="min"), (4, 4, 5))
