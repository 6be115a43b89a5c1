"""2D encoders of Keras Applications: all of them by name, of any size and number of channels, stored and loaded."""

import numpy as np
import pytest

from ssl3d_tf.errors import InputError
from ssl3d_tf.models import applications, geometry
from ssl3d_tf.training import weights

WEIGHTS = {  # without classifier, 3 channels, moving statistics included
    "DenseNet121": 7_037_504,
    "InceptionV3": 21_802_784,
    "ResNet50": 23_587_712,
    "ResNet50V2": 23_564_800,
    "ResNet101": 42_658_176,
    "ResNet101V2": 42_626_560,
    "ResNet152": 58_370_944,
    "InceptionResNetV2": 54_336_736,
}


def images(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("name", applications.NAMES)
def test_every_application_has_its_published_weights_under_unique_names(name):
    model = applications.encoder(3, name=name)
    assert model.count_params() == WEIGHTS[name]
    assert model.input_shape == (None, None, None, 3)
    assert len({weight.path for weight in model.weights}) == len(model.weights)


def test_names_are_those_that_were_published():
    assert set(applications.NAMES) == set(WEIGHTS)


@pytest.mark.parametrize(("name", "smallest", "features"), [("DenseNet121", 29, 1024), ("InceptionV3", 75, 2048)])
def test_what_one_build_stored_the_next_loads_down_to_the_smallest_input(name, smallest, features, tmp_path):
    first, second = (applications.encoder(2, name=name, pooling="none") for _ in range(2))
    assert [layer.name for layer in first.layers] == [layer.name for layer in second.layers]
    weights.save(tmp_path, first, step=1, contract={})
    assert weights.load_encoder(tmp_path, second) == len(first.weights)
    found = second(images(2, smallest, smallest + 3, 2), training=False)
    assert found.shape == (2, 1, 1, features)
    expected = first(images(2, smallest, smallest + 3, 2), training=False)
    np.testing.assert_allclose(expected, found, rtol=1e-4, atol=1e-5)
    with pytest.raises(
        InputError, match=rf"input {smallest - 1}×99 is smaller than {smallest} per axis.*; raise it\.$"
    ):
        geometry.feature_shape(first, (smallest - 1, 99), remedy="raise it.")


@pytest.mark.parametrize("wrong", [{"name": "VGG16"}, {"pooling": "min"}])
def test_a_wrong_option_is_named_with_its_alternatives(wrong):
    known = ", ".join(applications.NAMES) if "name" in wrong else "avg, max, none"
    with pytest.raises(InputError, match=f"{next(iter(wrong.values()))}.*must be one of {known}"):
        applications.encoder(3, **wrong)
