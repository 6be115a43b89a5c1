"""Does every pretext task learn, and does one help? Short runs on phantoms: `make science-smoke`.

Not part of `pytest tests`: it takes minutes, and says something of the science and not of the code.
"""

import shutil
from typing import NamedTuple

import pytest

from ssl3d_tf import finetune, train
from ssl3d_tf.command import configuration
from ssl3d_tf.data import synthetic
from ssl3d_tf.evaluation import tables


class Expected(NamedTuple):
    """After so many steps at the sizes of gin/datasets/phantoms_*.gin: least accuracy on validation examples."""

    steps: int
    accuracy: float
    params: tuple[str, ...] = ()


EXPECTED = {  # about half of what they reach above chance
    "cpc_3d": Expected(100, 0.06),
    "cpc_2d": Expected(100, 0.025),
    "rotation_3d": Expected(100, 0.25),
    "rotation_2d": Expected(100, 0.6),
    "rpl_3d": Expected(100, 0.15),
    "rpl_2d": Expected(100, 0.28),
    "jigsaw_3d": Expected(100, 0.4),
    "jigsaw_2d": Expected(100, 0.25),
    "exemplar_3d": Expected(100, 0.17),
    "exemplar_2d": Expected(100, 0.04),
    "masked_3d": Expected(100, 0.18, ("BLOCK=8",)),
    "masked_genesis_2d": Expected(100, 0.15),
    "crops_3d": Expected(100, 0.17),
    "crops_2d": Expected(100, 0.04),
    "crops_vicreg_3d": Expected(100, 0.15),
    "crops_masked_3d": Expected(100, 0.12),
}


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory):
    """rank -> data folder."""
    root = tmp_path_factory.mktemp("phantoms")
    for rank, side, count in ((2, 64, 512), (3, 32, 96)):
        synthetic.write_dataset(root / str(rank), shape=(side,) * rank, counts={"train": count, "val": count // 4})
    yield {rank: root / str(rank) for rank in (2, 3)}
    shutil.rmtree(root)


@pytest.mark.parametrize("name", EXPECTED)
def test_the_task_beats_chance(name, phantoms, tmp_path):
    rank, expected = int(name[-2]), EXPECTED[name]
    files = (f"gin/{name}.gin", f"gin/datasets/phantoms_{rank}d.gin")
    sources = configuration.Sources(files, (*once(expected.steps), *expected.params))
    scores = train.pretrain(sources, phantoms[rank], tmp_path / "run")
    assert scores["val_chance"] < expected.accuracy  # the margin is one
    assert scores["val_accuracy"] > expected.accuracy


GAIN = 0.0  # MARGIN


def test_masked_reconstruction_beats_scratch_where_two_cases_are_labelled(tmp_path):
    """Of 1,024 phantoms two are labelled: encoder and decoder that reconstructed all of them, against new ones.

    Paired: both have the same two cases, steps, order and recipe. Three seeds, each with a pretraining of its own.
    """
    data = tmp_path / "data"
    synthetic.write_dataset(data, shape=(32, 32), counts={"train": 1024, "val": 16, "test": 32})
    differences = [gain(data, tmp_path / str(seed), seed) for seed in range(3)]
    print(f"masked - scratch, Dice: {', '.join(f'{value:+.3f}' for value in differences)}")
    assert sum(differences) / len(differences) > GAIN


def gain(data, workdir, seed):
    """Mean Dice of the test phantoms from two labelled ones, pretrained less scratch."""
    network = ("VIEW_SIZE=32", "FILTERS=8", "LEVELS=2", f"SEED={seed}")
    pretext = (*network, *once(1500), "BATCH_SIZE=32", "BLOCK=4", "WARMUP_STEPS=50")
    train.pretrain(configuration.Sources(("gin/masked_2d.gin",), pretext), data, workdir / "masked")
    arms = ("ARMS=('random', 'pretrained')", "TRANSFER='encoder_decoder'", "CASES=(2,)", "REPETITIONS=1")
    recipe = (*once(200), "BATCH_SIZE=8", "LEARNING_RATE=3e-3", "FLIP_P=0.0", "SCORES=('dice',)")
    sources = configuration.Sources(("gin/finetune/segmentation_2d.gin",), (*network, *arms, *recipe))
    assert finetune.run(sources, data, [workdir / "masked"], workdir / "finetuned") == 0
    key = ("test", "dice", "mean", "last")
    rows = tables.read([workdir / "finetuned"]).results
    dice = {row.init: row.value for row in rows if (row.split, row.score, row.label_class, row.checkpoint) == key}
    return dice["pretrained"] - dice["random"]


def once(steps):
    """So many steps, evaluated and saved at the end alone."""
    return f"STEPS={steps}", f"EVAL_EVERY={steps}", f"SAVE_EVERY={steps}"
