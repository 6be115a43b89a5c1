"""A pretrained encoder by itself: the same network with the same numbers, and no code from its folder."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from ssl3d_tf import contract, load_encoder
from ssl3d_tf.errors import InputError
from ssl3d_tf.models import applications, resnet, unet
from ssl3d_tf.training import contracts, weights

OF_0_1 = Path(__file__).with_name("contract-0.1.json")


def save(folder, encoder):
    """As the loop saves it, with weights that are not those of a new layer."""
    rng = np.random.default_rng(0)
    for variable in encoder.weights:
        variable.assign(tf.cast(np.abs(rng.normal(1, 0.1, variable.shape)), variable.dtype))
    weights.save(folder / "encoder", encoder, step=3, contract={"rank": len(encoder.input_shape) - 2})
    return folder


def volumes(encoder, side):
    return np.random.default_rng(1).normal(size=(2, *(side,) * (len(encoder.input_shape) - 2), 2)).astype("float32")


def assert_same(found, encoder, side=16):
    assert json.loads(found.to_json()) == json.loads(encoder.to_json())
    assert [variable.path for variable in found.weights] == [variable.path for variable in encoder.weights]
    inputs = volumes(encoder, side)
    np.testing.assert_array_equal(found(inputs), encoder(inputs))


@pytest.mark.parametrize("rank", [2, 3])
@pytest.mark.parametrize("norm", ["batch", "group", "instance", "layer", "none"])
def test_a_u_net_and_a_resnet_of_any_norm_are_the_same_to_the_bit(rank, norm, tmp_path):
    options = {"rank": rank, "norm": norm, "filters": 4}
    for encoder in (unet.encoder(2, levels=1, **options), resnet.encoder(2, stem="small", **options)):
        assert_same(load_encoder(save(tmp_path / encoder.name, encoder)), encoder)


def test_an_application_is_the_same_to_the_bit(tmp_path):
    encoder = applications.encoder(2, name="DenseNet121")
    assert_same(load_encoder(save(tmp_path, encoder)), encoder, side=32)


def test_an_encoder_of_mixed_precision_loads_as_float32(tmp_path):
    options = {"rank": 3, "filters": 4, "levels": 1, "norm": "group"}
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        mixed = unet.encoder(2, **options)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert {layer.compute_dtype for layer in mixed.layers[1:]} == {"bfloat16"}
    found = load_encoder(save(tmp_path, mixed))
    assert {layer.compute_dtype for layer in found.layers} == {"float32"}
    plain = unet.encoder(2, **options)
    weights.load_encoder(tmp_path, plain)
    assert_same(found, plain)


def test_an_encoder_of_version_0_1_loads(tmp_path):
    encoder = unet.encoder(2, rank=3, filters=2, levels=1, norm="group", dropout=0.5)
    path = save(tmp_path, encoder) / "encoder" / "contract.json"
    old = json.loads(OF_0_1.read_text())
    path.write_text(json.dumps({**json.loads(path.read_text()), "architecture": old["architecture"]}))
    assert_same(load_encoder(tmp_path), encoder)


def test_what_it_is_for_is_in_its_contract(tmp_path):
    save(tmp_path, unet.encoder(2, rank=2, filters=2, levels=1))
    assert contract(tmp_path)["rank"] == contract(str(tmp_path / "encoder"))["rank"] == 2
    with pytest.raises(InputError, match=r"holds no encoder.*--workdir"):
        contract(tmp_path / "elsewhere")


def changed(folder, change):
    """The encoder's folder, with `change` made to the configuration of its first convolution."""
    path = save(folder, unet.encoder(2, rank=2, filters=2, levels=1)) / "encoder" / "contract.json"
    about = json.loads(path.read_text())
    conv = next(layer for layer in about["architecture"]["config"]["layers"] if layer["class_name"] == "Conv2D")
    change(conv)
    path.write_text(json.dumps(about))
    return folder


@pytest.mark.parametrize(
    "change",
    [
        {"module": "os", "class_name": "system"},
        {"module": "mine.layers", "class_name": "Conv2D", "registered_name": "mine>Conv2D"},
        {"class_name": "Lambda", "config": {"function": {"class_name": "__lambda__", "config": {"value": "…"}}}},
        {"class_name": "TFSMLayer", "config": {"filepath": "elsewhere"}},
        {"module": "kerasy.layers"},
    ],
)
def test_what_is_not_known_is_neither_imported_nor_run(change, tmp_path):
    with pytest.raises(InputError, match="is not known: import the module that registers it"):
        load_encoder(changed(tmp_path, lambda conv: conv.update(change)))


def test_a_layer_of_ones_own_loads_where_it_is_registered(tmp_path):
    @keras.saving.register_keras_serializable(package="test_encoders")
    class Twice(keras.layers.Layer):
        def call(self, inputs):
            return 2 * inputs

    images = keras.Input((None, None, 2))
    encoder = keras.Model(images, Twice(name="twice")(keras.layers.Conv2D(3, 3, name="conv")(images)))
    assert_same(load_encoder(save(tmp_path, encoder)), encoder)


def test_damage_is_one_line(tmp_path):
    with pytest.raises(InputError, match=r"cannot be built"):
        load_encoder(changed(tmp_path / "a", lambda conv: conv["config"].update(filters="many")))
    with pytest.raises(InputError, match=r"level0_conv1/kernel is \(3, 3, 2, 2\) in the file"):
        load_encoder(changed(tmp_path / "b", lambda conv: conv["config"].update(kernel_size=[5, 5])))


@pytest.mark.parametrize("damage", [lambda content: content[:-100], lambda content: content[:-1] + b"x", lambda _: b""])
def test_weights_that_are_not_those_of_the_contract_are_refused(tmp_path, damage):
    made = unet.encoder(1, rank=2, filters=2, levels=1)
    weights.save(tmp_path, made, step=3, contract={})
    load_encoder(tmp_path)
    path = tmp_path / "weights-3.npz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=r"weights-3.npz is not what contract.json beside it describes"):
        load_encoder(tmp_path)


def test_the_scans_it_was_trained_on_lie_beside_the_contract_and_an_old_one_has_none(tmp_path):
    made, scans = unet.encoder(1, rank=2, filters=2, levels=1), frozenset({"b" * 16, "a" * 16})
    weights.save(tmp_path, made, step=3, contract={"trained_on": scans})
    weights.save(tmp_path, made, step=4, contract={"trained_on": scans})
    assert (tmp_path / "trained_on.txt").read_text() == f"{'a' * 16}\n{'b' * 16}\n"
    assert contracts.trained_on(contract(tmp_path)) == scans
    assert contract(tmp_path)["trained_on"] == 2
    assert contracts.trained_on(json.loads(OF_0_1.read_text())) is None


@pytest.mark.parametrize("text", ["[1]", "null", "3", "{"])
def test_a_contract_that_is_none_is_one_line(tmp_path, text):
    (tmp_path / "contract.json").write_text(text)
    with pytest.raises(InputError, match=r"contract.json is damaged"):
        load_encoder(tmp_path)
