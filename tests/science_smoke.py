"""Does every pretext task learn? Short runs on phantoms, each against chance: `make science-smoke`.

Not part of `pytest tests`: it takes minutes, and says something of the science and not of the code.
"""

import shutil
from typing import NamedTuple

import pytest

from ssl3d_tf import train
from ssl3d_tf.command import configuration
from ssl3d_tf.data import synthetic


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


def once(steps):
    """So many steps, evaluated and saved at the end alone."""
    return f"STEPS={steps}", f"EVAL_EVERY={steps}", f"SAVE_EVERY={steps}"
