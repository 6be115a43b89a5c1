"""Every gin file of pretraining: it trains, leaves what it should, and its encoder arrives whole in finetuning."""

import functools
import json
import re
import sys

import numpy as np
import pytest
import tensorflow as tf

from ssl3d_tf import train
from ssl3d_tf.command import configuration
from ssl3d_tf.data.folders import open_folder
from ssl3d_tf.errors import InputError
from ssl3d_tf.experiment import admission, preparing, protocol, running
from ssl3d_tf.training.run import Settings
from tests.conftest import make_folder

SIDE = 24  # of views: of three patches along an axis with 3 voxels between them, 5 are left, and one level needs 4
NETWORK = ("FILTERS=2", "LEVELS=1")
TINY = (*NETWORK, f"VIEW_SIZE={SIDE}", "STEPS=2", "LOG_EVERY=1", "EVAL_EVERY=1", "BATCH_SIZE=2")
GIN_FILES = sorted(
    path.relative_to(configuration.ROOT)
    for path in (configuration.ROOT / "gin").rglob("*_?d*.gin")
    if path.parent.name not in ("datasets", "finetune", "tune")
)
WITH_ADDONS = ("triplet",)  # what needs tensorflow-addons, which is for Python up to 3.11
FINETUNED = [path for path in GIN_FILES if path.stem[-2:] in ("2d", "3d")]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """rank -> data folder of 6 training, 8 validation and 2 test examples."""
    root, counts = tmp_path_factory.mktemp("gin_files"), {"train": 6, "val": 8, "test": 2}
    for rank in (2, 3):
        make_folder(root / str(rank), counts=counts, shapes=[(SIDE, SIDE + 1, SIDE + 2)[:rank]])
    return {rank: root / str(rank) for rank in (2, 3)}


@pytest.fixture(scope="module")
def trained(folders, tmp_path_factory):
    """path of a gin file -> (the last scores, the workdir) of two steps; each file is trained once."""

    @functools.cache
    def pretrain(path, *params):
        sources = configuration.Sources((str(path),), (*TINY, *params))
        workdir = tmp_path_factory.mktemp(path.stem) / "run"
        return train.pretrain(sources, folders[rank_of(path)], workdir), workdir

    return pretrain


def rank_of(path):
    return int(re.search(r"_(\d)d", path.stem)[1])


def lines(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("path", GIN_FILES, ids=str)
def test_every_gin_file_trains_two_steps_and_uses_every_binding(path, trained):
    if sys.version_info >= (3, 12) and path.stem.endswith(WITH_ADDONS):
        with pytest.raises(InputError, match="needs tensorflow-addons"):
            trained(path)
        return
    scores, workdir = trained(path)
    assert np.isfinite(scores["val_loss"])
    assert 0 <= scores["val_chance"] < 1
    assert (scores["val_chance"] == 0) == path.stem.startswith("masked")  # the mean explains nothing
    for name in ("config.gin", "operative_config.gin", "run.json", "encoder/contract.json"):
        assert (workdir / name).stat().st_size
    evaluations = [line for line in lines(workdir) if "val_loss" in line]
    assert [line["step"] for line in evaluations] == [1, 2]
    assert all(0 < line["val_embedding_std"] <= 1 and line["val_effective_rank"] >= 1 for line in evaluations)


@pytest.mark.parametrize("path", FINETUNED, ids=str)
def test_every_weight_of_every_task_arrives_in_the_finetuning_model(path, trained, folders, tmp_path):
    _, workdir = trained(path)
    (stored_in,) = (workdir / "encoder").glob("weights-*.npz")
    stored = dict(np.load(stored_in))
    norm = "NORM='batch'" if path.parent.name == "released" else "NORM='group'"
    made, run = experiment(folders[rank_of(path)], workdir, tmp_path, norm, rank=rank_of(path))
    built = running.build(made, run, tmp_path, distribution=made.distribution)
    used = {variable.path: variable.numpy() for variable in built.model.weights if variable.path in stored}
    new = {variable.path: variable.numpy() for variable in made.settings.encoder(1).weights}
    assert used.keys() == stored.keys() == new.keys()
    for name, value in stored.items():
        np.testing.assert_array_equal(used[name], value, err_msg=name)
        assert not np.array_equal(new[name], value), name


@pytest.mark.parametrize("path", [path for path in FINETUNED if "masked" in path.stem], ids=str)
def test_every_weight_of_a_decoder_arrives_but_the_output(path, trained, folders, tmp_path):
    _, workdir = trained(path)
    (stored_in,) = (workdir / "decoder").glob("weights-*.npz")
    stored = dict(np.load(stored_in))
    rank = rank_of(path)
    made, run = experiment(folders[rank], workdir, tmp_path, "TRANSFER='encoder_decoder'", rank=rank)
    built = running.build(made, run, tmp_path, distribution=made.distribution)
    encoder = {variable.path for variable in built.encoder.weights}
    rest = {variable.path: variable.numpy() for variable in built.model.weights if variable.path not in encoder}
    assert rest.keys() == stored.keys()
    for name, value in stored.items():
        if not name.startswith("logits"):
            np.testing.assert_array_equal(rest[name], value, err_msg=name)
    with pytest.raises(InputError, match=rf"is the encoder alone, .* give the run, {re.escape(str(workdir))}\.$"):
        admission.check_decoder("encoder", workdir / "encoder", built.model, built.encoder)
    told = admission.check_decoder("it", workdir, built.model, built.encoder)
    assert told == f"decoder of 'it': {len(stored) - 2} weights loaded; the 2 of the output are new"


def test_a_decoder_is_refused_where_none_was_trained(trained, folders, tmp_path):
    _, workdir = trained(path_of("rotation_3d"))
    made, run = experiment(folders[3], workdir, tmp_path, "TRANSFER='encoder_decoder'", rank=3)
    with pytest.raises(InputError, match=r"has no decoder/.*set TRANSFER='encoder'"):
        running.build(made, run, tmp_path, distribution=made.distribution)
    with pytest.raises(InputError, match="TRANSFER is 'both'; it must be one of encoder, encoder_decoder"):
        experiment(folders[3], workdir, tmp_path, "TRANSFER='both'", rank=3)


def experiment(folder, encoder, workdir, *params, rank):
    """An experiment and its one run from that encoder, not begun."""
    params = (*NETWORK, "VIEW_SIZE=16", "BATCH_SIZE=2", "ARMS=('pretrained',)", *params)
    configuration.load(configuration.Sources((f"gin/finetune/segmentation_{rank}d.gin",), params))
    data, one_device = open_folder(folder), tf.distribute.get_strategy()
    found = preparing.experiment_of(data, {"it": encoder}, workdir, distribution=one_device)
    return found, protocol.cells(found.plan, ["it"])[0]


THICK = ("VIEW_SIZE=(24, 24, 12)", "POOL=((2, 2, 1),)")
SEEN = {  # task -> sides of what its encoder sees
    **dict.fromkeys(("cpc_3d", "released/cpc_3d"), (6, 6, 3)),
    **dict.fromkeys(("rpl_3d", "jigsaw_3d"), (6, 6, 3)),
    **dict.fromkeys(("exemplar_3d", "masked_3d", "masked_genesis_3d"), (24, 24, 12)),
    **dict.fromkeys(("crops_vicreg_3d", "crops_masked_3d"), (16, 16, 8)),
}


@pytest.mark.parametrize("name", SEEN)
def test_every_task_but_rotation_takes_views_of_thick_slices(name, folders):
    configuration.load(configuration.Sources((f"gin/{name}.gin",), (*NETWORK, "BATCH_SIZE=2", *THICK)))
    settings = configuration.make(Settings)
    data = settings.train_data(open_folder(folders[3]), settings.task)
    inputs, targets = data.to_views(next(iter(data.dataset()))[1])
    assert tf.nest.flatten(inputs)[0].shape[-4:-1] == SEEN[name]
    loss = settings.task.loss_fn(targets, settings.task.build_model(settings.encoder(1))(inputs, training=True))
    assert loss.shape == (2,)
    assert np.isfinite(loss).all()


def test_rotation_keeps_its_cube_and_says_so():
    configuration.load(configuration.Sources(("gin/rotation_3d.gin",), (*NETWORK, *THICK)))
    said = r"VIEW_SIZE is \(24, 24, 12\); rotation turns its views, .*: give one number for all axes, 12, say, or take"
    with pytest.raises(InputError, match=said):
        configuration.make(Settings)


RECORDED = {  # validation loss behind two steps, of the version that knew cubes and poolings of all axes alone
    "cpc_3d": 3.488606631755829,
    "masked_3d": 1.2985774874687195,
    "crops_masked_3d": 2.478520154953003,
}


@pytest.mark.parametrize("name", RECORDED)
def test_cubes_are_trained_on_as_before_there_were_other_views(name, trained):
    scores, _ = trained(path_of(name))
    assert scores["val_loss"] == pytest.approx(RECORDED[name], rel=1e-4)


def test_a_cube_and_a_pooling_of_all_axes_may_be_written_axis_by_axis(trained):
    axis_by_axis = (f"VIEW_SIZE=({SIDE}, {SIDE}, {SIDE})", "POOL=((2, 2, 2),)")
    plain, told = (trained(path_of("masked_3d"), *params)[1] for params in ((), axis_by_axis))
    for folder in ("encoder", "decoder"):
        before, after = (dict(np.load(*(run / folder).glob("weights-*.npz"))) for run in (plain, told))
        assert before.keys() == after.keys()
        for weight, value in before.items():
            np.testing.assert_array_equal(after[weight], value, err_msg=weight)


def path_of(name):
    (path,) = (path for path in GIN_FILES if str(path) == f"gin/{name}.gin")
    return path


def test_the_contract_says_what_the_encoder_takes(trained):
    contract = json.loads((trained(path_of("rotation_3d"))[1] / "encoder" / "contract.json").read_text())
    assert contract["rank"] == 3
    assert contract["channels"] == ["channel0"]
    assert contract["axes"] == ["batch", "depth", "height", "width", "channels"]
    assert contract["input_shape"] == [SIDE, SIDE, SIDE, 1]
    assert "STEPS = 2" in contract["gin"]


def test_views_on_host_and_device_give_the_same_run(trained):
    runs = [lines(trained(path_of("cpc_3d"), *params)[1]) for params in ((), ("VIEWS_ON='host'",))]
    device, host = ([(line["step"], line.get("loss"), line.get("val_loss")) for line in run] for run in runs)
    np.testing.assert_allclose(np.array(host, float), np.array(device, float), rtol=1e-5)


def test_a_workdir_of_another_run_is_refused_with_the_difference(trained, folders, tmp_path):
    _, workdir = trained(path_of("rotation_3d"))
    sources = configuration.Sources(("gin/rotation_3d.gin",), (*TINY, "SEED=1"))
    with pytest.raises(InputError, match=r"another configuration \(-SEED = 0; \+SEED = 1\)"):
        train.pretrain(sources, folders[3], workdir)
    make_folder(tmp_path / "data", counts={"train": 6, "val": 2}, shapes=[(SIDE,) * 3])
    with pytest.raises(InputError, match="other data"):
        train.pretrain(configuration.Sources(("gin/rotation_3d.gin",), TINY), tmp_path / "data", workdir)
