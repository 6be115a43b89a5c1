"""What the single runs of a finetuning workdir left beside the tables: learning curves, overlays and records."""

import contextlib
import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ssl3d_tf.evaluation.tables import Arm

OVERLAYS = ("best", "median", "worst")


class Run(NamedTuple):
    """runs/ENCODER-INIT/FRACTION/REPETITION, the encoder of no pretraining being 'scratch'."""

    arm: Arm
    fraction: float
    repetition: int
    path: Path


class Curve(NamedTuple):
    """What a run measured in validation: the name, and its value by step."""

    name: str
    steps: tuple[int, ...]
    values: tuple[float, ...]


def find(workdirs: Iterable[Path]) -> list[Run]:
    """All runs of these workdirs by arm, fraction and repetition; folders of other names are passed over."""
    return sorted(run for workdir in workdirs for run in _find(workdir / "runs"))


def planned(workdir: Path) -> set[tuple[float, int]]:
    """(fraction, repetition) of every run that was to be, by splits.json; none where that is not there."""
    try:
        found = json.loads((workdir / "splits.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return set()
    return {(float(fraction), int(number)) for number, split in found.items() for fraction in split["train"]}


def curve(run: Run) -> Curve | None:
    """The first val_ metric of a run's metrics.jsonl, or its val_loss, or None where there is none."""
    lines = [line for line in json_lines(run.path / "metrics.jsonl") if isinstance(line.get("step"), int)]
    name = _shown(lines)
    if not name:
        return None
    points = [(line["step"], float(line[name])) for line in lines if name in line]
    return Curve(name, *(tuple(column) for column in zip(*points, strict=True)))


def kept(folder: Path) -> tuple[str, int, float, float] | None:
    """(name, step, value, loss) of the evaluation in a run's log whose weights are kept, by the name of `curve`.

    None where no validation loss was a number.
    """
    lines = [line for line in json_lines(folder / "metrics.jsonl") if math.isfinite(line.get("val_loss", math.nan))]
    if not lines:
        return None
    best = min(lines, key=lambda line: line["val_loss"])
    name = _shown(lines)
    return name, best["step"], best[name], best["val_loss"]


def overlays(run: Run) -> dict[str, Path]:
    """The pictures of a run's best, median and worst case that are there."""
    paths = {name: run.path / "overlays" / f"{name}.png" for name in OVERLAYS}
    return {name: path for name, path in paths.items() if path.is_file()}


def record(workdir: Path) -> dict[str, Any]:
    """run.json, or nothing where it is missing or damaged."""
    with contextlib.suppress(OSError, ValueError):
        found = json.loads((workdir / "run.json").read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else {}
    return {}


def mismatches(workdirs: Iterable[Path]) -> list[str]:
    """A sentence on each encoder that was pretrained on other input than these workdirs have, as ALLOW_MISMATCH let."""
    encoders = [each for workdir in workdirs for each in (record(workdir).get("encoders") or {}).items()]
    found = [(name, encoder.get("mismatch") or {}) for name, encoder in encoders]
    lines = [(name, "; ".join(map(" ".join, sorted(mismatch.items())))) for name, mismatch in found if mismatch]
    return [
        f"Encoder '{name}' was pretrained on other input, accepted by ALLOW_MISMATCH: {what}." for name, what in lines
    ]


def seen(workdirs: Iterable[Path]) -> list[str]:
    """A sentence on each encoder that was, or may have been, pretrained on scans that it is tested or chosen by."""
    encoders = [each for workdir in workdirs for each in (record(workdir).get("encoders") or {}).items()]
    found = [f"Encoder '{name}': {encoder['overlap']}." for name, encoder in encoders if has_seen(encoder)]
    return list(dict.fromkeys(found))


def has_seen(encoder: Mapping[str, Any]) -> bool:
    """Whether an encoder of run.json was, or may have been, pretrained on test or validation scans."""
    return any(encoder.get(f"{split}_scans_seen", 0) != 0 for split in ("test", "val"))


def sha256(path: Path) -> str | None:
    """Of a file, or None where it is missing."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def _shown(lines: Iterable[Mapping[str, Any]]) -> str:
    """The first val_ metric, or val_loss, or ''."""
    names = dict.fromkeys(name for line in lines for name in line if name.startswith("val_"))
    return min(names, key=lambda one: one == "val_loss", default="")


def _find(folder: Path) -> Iterator[Run]:
    for path in folder.glob("*/*/*"):
        encoder, _, init = path.parts[-3].rpartition("-")
        with contextlib.suppress(ValueError):
            yield Run(Arm("" if encoder == "scratch" else encoder, init), float(path.parts[-2]), int(path.name), path)


def json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSON-lines file; a kill can cut the last line short."""
    if not path.is_file():
        return
    for text in path.read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(ValueError):
            yield json.loads(text)
