"""From pretraining into a finetuning model: all weights, or none and a list of the differences."""

import json
import shutil

import pytest

from ssl3d_tf import finetune, train
from ssl3d_tf.command import configuration
from ssl3d_tf.data import synthetic
from ssl3d_tf.errors import InputError
from ssl3d_tf.evaluation import tables
from ssl3d_tf.training import contracts, weights
from tests.command.test_gin_files import experiment

VIEW = 16
NETWORK = ("FILTERS=2", "LEVELS=1", "DROPOUT=0.0", f"VIEW_SIZE={VIEW}", "BATCH_SIZE=2", "STEPS=1")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Has phantoms in 2/ and 3/."""
    root = tmp_path_factory.mktemp("loading")
    for rank in (2, 3):
        synthetic.write_dataset(root / str(rank), shape=(VIEW,) * rank, counts={"train": 4, "val": 2, "test": 2})
    return root


@pytest.fixture(scope="module")
def rotation(root):
    """The workdir of a rotation run in 3D."""
    train.pretrain(configuration.Sources(("gin/rotation_3d.gin",), NETWORK), root / "3", root / "rotation_3d")
    return root / "rotation_3d"


def finetunes(folder, encoder, workdir, *params, rank=3):
    params = (*NETWORK, "ARMS=('pretrained',)", *params)
    sources = configuration.Sources((f"gin/finetune/classification_{rank}d.gin",), params)
    return finetune.run(sources, folder, [encoder], workdir)


@pytest.mark.usefixtures("undrawn")
def test_the_number_of_loaded_weights_is_said_once_per_encoder(root, rotation, tmp_path, capsys):
    assert finetunes(root / "3", rotation, tmp_path / "ft", "REPETITIONS=2", "ARMS=('knn',)") == 0
    assert {row.repetition for row in tables.read([tmp_path / "ft"]).results} == {0, 1}
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
    assert weights.architecture_differences(contracts.read_contract(rotation), made.settings.encoder(1)) == []


@pytest.mark.parametrize(
    ("changes", "differences"),
    [
        ({"channels": ["T1", "T2"]}, "channels 2 there (T1, T2), 1 here (contrast 0); take another encoder"),
        ({"channels": []}, "channels 0 there (none), 1 here (contrast 0); take another encoder"),
        ({"rank": 2}, "spatial axes 2 there, 3 here; take another encoder"),
        (
            {"recipe": {"intensity": "zscore"}},
            "intensity zscore there, none here; convert them as those were, python -m",
        ),
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
    assert f"other input than {root / '3'}: {differences}" in str(caught.value)
    assert not (tmp_path / "ft").exists()


@pytest.fixture
def coarser(root, rotation, tmp_path):
    """The encoder of phantoms in voxels of twice the side."""
    contract = contracts.read_contract(shutil.copytree(rotation / "encoder", tmp_path / "coarser"))
    for name in ("spacing_mm", "low_mm", "high_mm"):
        contract["grid"][name] = [2 * mm for mm in contract["grid"][name]]
    contract["recipe"]["shape"] = [VIEW // 2] * 3
    (tmp_path / "coarser" / "contract.json").write_text(json.dumps(contract))
    return tmp_path / "coarser"


def test_an_encoder_of_other_voxels_is_refused_with_the_conversion_that_makes_them_fit(root, coarser, tmp_path):
    with pytest.raises(InputError) as caught:
        finetunes(root / "3", coarser, tmp_path / "ft", "ALLOW_MISMATCH=('intensity',)")
    assert str(caught.value) == (
        f"encoder 'coarser' was trained on other input than {root / '3'}: spacing 40 × 40 × 40 mm there, "
        "20 × 20 × 20 mm here; convert them as those were, python -m tools.to_tfrecord --input=RAW --output=NEW "
        f"--like={coarser}; or --gin_param=\"ALLOW_MISMATCH=('spacing',)\" accepts that."
    )


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("given", ["('spacing',)", "'spacing'"])
def test_what_is_accepted_by_name_is_noted(given, root, coarser, tmp_path):
    assert finetunes(root / "3", coarser, tmp_path / "ft", "ARMS=('knn',)", f"ALLOW_MISMATCH={given}") == 0
    record = json.loads((tmp_path / "ft" / "run.json").read_text())
    assert record["encoders"]["coarser"]["mismatch"] == {"spacing": "40 × 40 × 40 mm there, 20 × 20 × 20 mm here"}


def test_what_cannot_be_accepted_is_told(root, rotation, tmp_path):
    with pytest.raises(InputError, match="ALLOW_MISMATCH holds 'channels'; it may hold channel_names, orientation, sp"):
        finetunes(root / "3", rotation, tmp_path / "ft", "ALLOW_MISMATCH=('spacing', 'channels')")


def test_a_3d_encoder_does_not_go_into_2d(root, rotation, tmp_path):
    with pytest.raises(InputError, match="spatial axes 3 there, 2 here; take another encoder"):
        finetunes(root / "2", rotation, tmp_path / "ft", rank=2)
