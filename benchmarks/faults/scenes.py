"""The commands that faults befall: small ones, whose results can be compared bit for bit."""

import csv
import json
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.faults import inputs
from benchmarks.faults.inputs import NETWORK

PRETRAINING = (*NETWORK, "STEPS=12", "WARMUP_STEPS=3", "EVAL_EVERY=4")
GRID = (*NETWORK, "STEPS=4", "EVAL_EVERY=2", "ARMS=('random',)", "FRACTIONS=(50,100)", "REPETITIONS=1")
SEARCH = (*NETWORK, "STEPS=4", "EVAL_EVERY=2", "MAX_TRIALS=2", "SPACE={'LEARNING_RATE': [1e-3, 1e-2]}")
SEGMENTATION = "--gin_file=gin/finetune/segmentation_2d.gin"
_MODEL = ("data/model/*.csv", "data/model/runs/**/model/*", "data/model/runs/**/result.json")
_PREDICTIONS = ("work/*.json*", "work/*.np?", "work/*.png", "work/*.csv")


class Scene(NamedTuple):
    """A command that reads `data` and writes `work`, both in a folder of a round.

    make_input: makes what it reads in a folder, `data`. arguments: (data, work) -> its command line. result: what of
    `work` is to be the same, whatever befell it. targets: globs of the files that may be damaged, with a copy to put
    back; under data/ and work/. left_out: folder of a round -> the line by which the command that ended there last said
    what of its input it goes without, '' if nothing.
    """

    name: str
    make_input: Callable[[Path], None]
    arguments: Callable[[Path, Path], list[str]]
    result: Callable[[Path], Mapping[str, Any]]
    targets: tuple[str, ...]
    left_out: Callable[[Path], str] = lambda _: ""


def scenes() -> tuple[Scene, ...]:
    """All of them."""
    shards, manifest, columns = "data/*.tfrecord", "data/manifest.json", "data/entries.npz"
    runs = ("work/runs/**/checkpoints/ckpt-*", "work/runs/**/result.json")
    return (
        Scene("conversion", inputs.scans, _conversion, _converted,
              ("work/*.tfrecord", "work/*.json", "data/*.npy"), _quarantined),
        Scene("pretraining", inputs.columns, _command("train", "--gin_file=gin/rotation_2d.gin", PRETRAINING),
              _pretrained, (shards, manifest, columns, "work/checkpoints/*", "work/config.gin", "work/run.json")),
        Scene("grid", inputs.records, _command("finetune", SEGMENTATION, GRID), _tables,
              (shards, manifest, "work/*.csv", *runs)),
        Scene("search", inputs.records, _command("tune", SEGMENTATION, SEARCH), _trials,
              (shards, manifest, "work/trials.csv", "work/keras_tuner/**/*.json", "work/trials/**/ckpt-*")),
        Scene("masks", inputs.segmenter, _prediction("--probabilities", "--embeddings"), _predicted,
              ("data/scans/*", *_MODEL, *_PREDICTIONS), _failed),
        Scene("classes", inputs.classifier, _prediction("--embeddings"), _predicted,
              ("data/scans/*", *_MODEL, *_PREDICTIONS), _failed),
    )  # fmt: skip


def _conversion(data: Path, work: Path) -> list[str]:
    options = ["--records_per_shard=2", "--splits=0.6,0.2,0.2", "--workers=2"]
    return [sys.executable, "-m", "tools.to_tfrecord", f"--input={data}", f"--output={work}", *options]


def _command(name: str, gin_file: str, params: tuple[str, ...]) -> Callable[[Path, Path], list[str]]:
    knobs = [f"--gin_param={param}" for param in params]
    return lambda data, work: [
        *(sys.executable, "-m", f"ssl3d_tf.{name}", gin_file, f"--data={data}", f"--workdir={work}"), *knobs
    ]  # fmt: skip


def _prediction(*options: str) -> Callable[[Path, Path], list[str]]:
    return lambda data, work: [
        *(sys.executable, "-m", "ssl3d_tf.predict", f"--model={data / 'model'}", f"--input={data / 'scans'}"),
        *(f"--output={work}", *options),
    ]


def _converted(work: Path) -> dict[str, bytes]:
    """Every file but pictures and what tells how long it took."""
    kept = [path for path in work.iterdir() if path.suffix == ".tfrecord" or path.name == "manifest.json"]
    return {path.name: path.read_bytes() for path in kept}


def _predicted(work: Path) -> dict[str, bytes]:
    """Every file, but for what says in which folders model and scans lie."""
    return {path.name: path.read_bytes() for path in work.iterdir() if path.name not in (".lock", "prediction.json")}


def _quarantined(folder: Path) -> str:
    return _left_out(folder, "quarantined: ", "quarantine.jsonl")


def _failed(folder: Path) -> str:
    return _left_out(folder, "failed: ", "failed.jsonl")


def _left_out(folder: Path, begins: str, name: str) -> str:
    """Both the screen and the note must say so."""
    line = re.search(f"^{begins}.*", (folder / "out").read_text(encoding="utf-8"), re.MULTILINE)
    note = folder / "work" / name
    return line.group() if line and note.is_file() and note.read_text(encoding="utf-8") else ""


def _pretrained(work: Path) -> dict[str, Any]:
    (path,) = (work / "encoder").glob("weights-*.npz")
    with np.load(path) as archive:
        weights = {name: archive[name].tobytes() for name in archive.files}
    lines = [json.loads(line) for line in (work / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    speed = {"examples_per_s", "stall_fraction"}
    return {"weights": weights, "log": [{k: v for k, v in line.items() if k not in speed} for line in lines]}


def _tables(work: Path) -> dict[str, bytes]:
    found = [*work.glob("*.csv"), work / "splits.json"]
    return {path.name: path.read_bytes() for path in found}


def _trials(work: Path) -> dict[str, Any]:
    rows = list(csv.DictReader((work / "trials.csv").read_text(encoding="utf-8").splitlines()))
    best = (work / "best.gin").read_text(encoding="utf-8").splitlines()
    return {
        "trials": [{name: value for name, value in row.items() if name != "seconds"} for row in rows],
        "best": [line for line in best if not line.startswith("#")],
    }
