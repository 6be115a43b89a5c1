"""From every pretext task into a finetuning model: all weights arrive, or none and a list of the differences."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from ssl3d_tf import checkpoints, configuration, finetune, pipeline, protocol, synthetic, train
from ssl3d_tf.errors import InputError

VIEW = {2: 40, 3: 32}  # of pretraining; patch tasks show the encoder a part of it
WINDOW = 16  # of finetuning
NETWORK = ("FILTERS=2", "LEVELS=1", "DROPOUT=0.0")
TASKS = [
    *((f"{task}_{rank}d", rank) for task in ("cpc", "rotation", "rpl", "jigsaw", "exemplar") for rank in (2, 3)),
    ("released/cpc_3d", 3),
    ("released/jigsaw_2d", 2),
]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Has phantoms in 2/ and 3/."""
    root = tmp_path_factory.mktemp("loading")
    for rank, side in VIEW.items():
        synthetic.write_dataset(root / str(rank), shape=(side,) * rank, counts={"train": 4, "val": 2, "test": 2})
    return root


def pretrain(root, name, rank):
    params = (*NETWORK, norm_of(name), f"VIEW_SIZE={VIEW[rank]}", "STEPS=1", "BATCH_SIZE=2")
    workdir = root / name.replace("/", "_")
    train.pretrain(configuration.Sources((f"gin/{name}.gin",), params), root / str(rank), workdir)
    return workdir


def norm_of(name):
    return "NORM='batch'" if name.startswith("released") else "NORM='group'"


@pytest.fixture(scope="module")
def rotation(root):
    """The workdir of a rotation run in 3D."""
    return pretrain(root, "rotation_3d", 3)


def experiment(folder, encoder, workdir, *params, rank):
    """An experiment and its one run from that encoder, not begun."""
    params = (*NETWORK, f"VIEW_SIZE={WINDOW}", "BATCH_SIZE=2", "ARMS=('pretrained',)", *params)
    configuration.load(configuration.Sources((f"gin/finetune/segmentation_{rank}d.gin",), params))
    data, one_device = pipeline.open_folder(folder), tf.distribute.get_strategy()
    found = finetune.experiment_of(data, {"it": encoder}, workdir, distribution=one_device)
    return found, protocol.cells(found.plan, ["it"])[0]


def finetunes(folder, encoder, workdir, *params, rank=3):
    params = (*NETWORK, f"VIEW_SIZE={WINDOW}", "BATCH_SIZE=2", "STEPS=1", "ARMS=('pretrained',)", *params)
    sources = configuration.Sources((f"gin/finetune/classification_{rank}d.gin",), params)
    return finetune.run(sources, folder, [encoder], workdir)


@pytest.mark.parametrize(("name", "rank"), TASKS)
def test_every_weight_of_every_task_arrives_in_the_finetuning_model(name, rank, root, tmp_path):
    workdir = pretrain(root, name, rank)
    (path,) = (workdir / "encoder").glob("weights-*.npz")
    stored = dict(np.load(path))
    made, run = experiment(root / str(rank), workdir, tmp_path, norm_of(name), rank=rank)
    built = protocol.build(made, run, tmp_path, distribution=made.distribution)
    used = {variable.path: variable.numpy() for variable in built.model.weights if variable.path in stored}
    new = {variable.path: variable.numpy() for variable in made.encoder(1).weights}
    assert used.keys() == stored.keys() == new.keys()
    for path, value in stored.items():
        np.testing.assert_array_equal(used[path], value, err_msg=path)
        assert not np.array_equal(new[path], value), path


def test_the_number_of_loaded_weights_is_said_once_per_encoder(root, rotation, tmp_path, capsys):
    assert finetunes(root / "3", rotation, tmp_path / "ft", "REPETITIONS=2", "ARMS=('knn',)") == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "weights loaded" in line]
    assert lines == [f"encoder 'rotation_3d': 16 of 16 weights loaded (846 numbers) from {rotation / 'encoder'}"]


@pytest.mark.parametrize(
    ("params", "differences"),
    [
        (("FILTERS=4",), "FILTERS 2 there, 4 here"),
        (("LEVELS=2",), "LEVELS 1 there, 2 here"),
        (("NORM='batch'",), "NORM 'group' there, 'batch' here"),
        (("NORM='layer'",), "NORM 'group' there, 'layer' here"),  # the same weights, used otherwise
        (("ENCODER=@resnet.encoder",), "ENCODER @unet.encoder there, @resnet.encoder here"),
        (("FILTERS=4", "LEVELS=2"), "FILTERS 2 there, 4 here; LEVELS 1 there, 2 here"),
    ],
)
def test_another_network_is_refused_with_the_knobs_that_differ(params, differences, root, rotation, tmp_path):
    with pytest.raises(InputError) as caught:
        finetunes(root / "3", rotation, tmp_path / "ft", *params)
    where = f"encoder 'rotation_3d' in {rotation} is another network"
    assert str(caught.value) == f"{where}: {differences}; set them as there."
    assert not (tmp_path / "ft").exists()


def test_knobs_that_the_encoder_does_not_read_may_differ(root, rotation, tmp_path):
    made, _ = experiment(root / "3", rotation, tmp_path, "DROPOUT=0.5", rank=3)
    assert checkpoints.architecture_differences(checkpoints.read_contract(rotation), made.encoder(1)) == []


@pytest.mark.parametrize(
    ("changes", "differences"),
    [
        ({"channels": ["T1", "T2"]}, "channels ['T1', 'T2'] there, ['contrast 0'] here"),
        ({"rank": 2}, "spatial axes 2 there, 3 here"),
        ({"recipe": {"spacing_mm": [1, 1, 2]}}, "spacing_mm [1, 1, 2] there, None here"),
        ({"recipe": {"orientation": "SPL"}}, "orientation SPL there, None here"),
        ({"rank": 2, "channels": []}, "spatial axes 2 there, 3 here; channels [] there, ['contrast 0'] here"),
    ],
)
def test_an_encoder_of_other_input_is_refused_with_the_differences(changes, differences, root, rotation, tmp_path):
    copy = tmp_path / "other"
    shutil.copytree(rotation / "encoder", copy)
    contract = json.loads((copy / "contract.json").read_text())
    contract |= {**changes, "recipe": {**contract["recipe"], **changes.get("recipe", {})}}
    (copy / "contract.json").write_text(json.dumps(contract))
    with pytest.raises(InputError) as caught:
        finetunes(root / "3", copy, tmp_path / "ft")
    assert f"other input than {root / '3'}: {differences}; convert these data" in str(caught.value)
    assert not (tmp_path / "ft").exists()


def test_a_3d_encoder_does_not_go_into_2d(root, rotation, tmp_path):
    with pytest.raises(InputError, match=r"spatial axes 3 there, 2 here.*shape \[32, 32, 32\] there, \[40, 40\] here"):
        finetunes(root / "2", rotation, tmp_path / "ft", rank=2)
