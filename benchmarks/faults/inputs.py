"""What the commands read: small scans, records and models, made once; every round gets a copy of its own."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from unittest import mock

import numpy as np

from benchmarks.faults import begun
from ssl3d_tf.data import synthetic
from ssl3d_tf.data.records import manifest

SIDE = 16  # voxels
NETWORK = ("BATCH_SIZE=2", "FILTERS=2", "LEVELS=1", f"VIEW_SIZE={SIDE}", "DROPOUT=0.2", "LOG_EVERY=1", "SAVE_EVERY=2")
_MODEL = (*NETWORK, "STEPS=2", "EVAL_EVERY=2", "ARMS=('random',)", "FRACTIONS=(100,)", "REPETITIONS=1")


def scans(folder: Path) -> None:
    """Arrays to convert."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for number in range(12):
        volume = rng.integers(0, 200, (SIDE, SIDE, SIDE)).astype("uint8")
        np.save(folder / f"scan_{number:02d}.npy", volume)


def records(folder: Path) -> None:
    """A data folder to train on."""
    synthetic.write_dataset(folder, shape=(SIDE, SIDE), counts={"train": 6, "val": 2, "test": 2})


def columns(folder: Path) -> None:
    """The same, its examples listed beside the manifest, as those of many are."""
    with mock.patch.object(manifest, "MANY", 0):
        records(folder)


def segmenter(folder: Path) -> None:
    """scans/ without labels, and model/, finetuned on such scans with masks."""
    rng, made, data = np.random.default_rng(0), folder / "made", folder / "data"
    for name in ("images", "masks"):
        (made / name).mkdir(parents=True)
    for number in range(8):
        image = rng.integers(0, 200, (SIDE, SIDE)).astype("uint8")
        np.save(made / "images" / f"scan_{number}.npy", image)
        np.save(made / "masks" / f"scan_{number}.npy", (image > 100).astype("uint8"))
    shutil.copytree(made / "images", folder / "scans")
    _run("tools.to_tfrecord", f"--input={made}", f"--output={data}", "--splits=0.5,0.25,0.25", "--workers=1")
    _finetune("segmentation_2d", data, folder / "model")
    for each in (made, data):
        shutil.rmtree(each)


def classifier(folder: Path) -> None:
    """scans/, a data folder, and model/, finetuned on it."""
    records(folder / "scans")
    _finetune("classification_2d", folder / "scans", folder / "model")


def _finetune(gin_file: str, data: Path, workdir: Path) -> None:
    knobs = [f"--gin_param={param}" for param in _MODEL]
    where = (f"--gin_file=gin/finetune/{gin_file}.gin", f"--data={data}", f"--workdir={workdir}")
    _run("ssl3d_tf.finetune", *where, *knobs)


def _run(module: str, *arguments: str) -> None:
    process = begun.start([sys.executable, "-m", module, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said = process.communicate()[1]
    if process.returncode:
        raise RuntimeError(f"{module} fails undisturbed: {_last(said.decode(errors='replace').splitlines())}")


def _last(lines: Sequence[str]) -> str:
    return lines[-1] if lines else "without a word"
