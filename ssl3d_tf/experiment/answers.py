"""What was said of a scan, put down: labels and probabilities on its own grid, a picture, rows of tables."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ssl3d_tf.data import files
from ssl3d_tf.data.records.schema import Example
from ssl3d_tf.errors import InputError
from ssl3d_tf.evaluation import grading, native, overlays
from ssl3d_tf.experiment.applying import Scan
from ssl3d_tf.experiment.prediction import Network, Said, probable

PREDICTIONS, EMBEDDINGS = "predictions.csv", "embeddings.npz"


class Formats(NamedTuple):
    """How arrays become files. stem: scan -> the name of its files in a folder, without an ending.

    labels: (folder, scan, int [*native], source) -> name of the file that was written. probabilities: (folder, scan,
    float16 [*native, classes], source, class values) -> likewise.
    """

    stem: Callable[[Any], str]
    labels: Callable[[Path, Any, np.ndarray, Mapping[str, Any]], str]
    probabilities: Callable[[Path, Any, np.ndarray, Mapping[str, Any], Sequence[int]], str]


class Wanted(NamedTuple):
    """What is written of a segmentation beside the labels; neurological: how overlays are turned, as `upright` says."""

    probabilities: bool = False
    overlays: bool = True
    neurological: bool = False


def convention(wanted: Wanted, task: str) -> str | bool:
    """What prediction.json says of overlays: how they are turned, or whether any was asked for of another `task`.

    Raises:
        InputError: they are to be turned, and none is drawn.
    """
    is_drawn = wanted.overlays and task == "segmentation"
    if wanted.neurological and not is_drawn:
        raise InputError("--neurological turns the pictures of segmentations, and none is drawn here: leave it out.")
    return ("neurological" if wanted.neurological else "radiological") if is_drawn else wanted.overlays


def write(
    network: Network, folder: Path, formats: Formats, wanted: Wanted, scan: Scan, example: Example, said: Said
) -> dict[str, Any]:
    """Writes what was said of a scan; returns its line of predictions.jsonl.

    Raises:
        InputError: there is no way back to the grid that it was read on.
    """
    line: dict[str, Any] = {"files": []}
    if said.outputs is not None:
        line["files"] = _segmented(network, folder, formats, wanted, scan, example, said)
    if resampled := example.source.get("resampled"):
        line["resampled"] = resampled
    if notes := example.source.get("notes"):
        line["notes"] = list(notes)
    if said.values is not None:
        line["values"] = said.values.tolist()
    if said.embedding is not None:
        line["embedding"] = said.embedding.tolist()
    return line


def tables(network: Network, lines: Sequence[Mapping[str, Any]], folder: Path) -> list[str]:
    """predictions.csv and embeddings.npz of all scans, in their order, of what there is; returns which."""
    written = []
    if network.task == "classification":
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(["case", *_columns(network.contract["labels"], len(lines[0]["values"][0]))])
        table.writerows([name, *row] for line in lines for name, row in _rows(network, line))
        with files.atomic(folder / PREDICTIONS) as file:
            file.write(text.getvalue().encode())
        written.append(PREDICTIONS)
    if network.embed is not None:
        found = np.array([line["embedding"] for line in lines], np.float32)
        with files.atomic(folder / EMBEDDINGS) as file:
            np.savez(file, cases=np.array([line["case"] for line in lines]), embeddings=found)
        written.append(EMBEDDINGS)
    return written


def _segmented(
    network: Network, folder: Path, formats: Formats, wanted: Wanted, scan: Scan, example: Example, said: Said
) -> list[str]:
    outputs, names = said.outputs, {int(value): name for value, name in network.contract["classes"].items()}
    assert outputs is not None  # as of every segmentation
    values = sorted(names)
    found = native.labels(outputs, example.source, values=values, are_logits=said.are_logits)
    written = [formats.labels(folder, scan, found, example.source)]
    del found
    if wanted.overlays:
        name = f"{formats.stem(scan)}_overlay.png"
        overlays.draw(
            folder / name,
            title=scan.id,
            volume=example.volume[..., 0],
            truth=None,
            predicted=native.labels(outputs, {}, values=values),
            spacing_mm=example.spacing_mm,
            source=example.source,
            classes={value: name for value, name in names.items() if value},
            neurological=wanted.neurological,
        )
        written.append(name)
    if wanted.probabilities:
        if said.are_logits:
            probable(outputs)
        shares = native.probabilities(outputs, example.source, dtype=np.float16)
        written.append(formats.probabilities(folder, scan, shares, example.source, values))
    return written


def _columns(labels: Mapping[str, Any], units: int) -> list[str]:
    if labels["kind"] == "regression":
        return [f"value_{number}" for number in range(units)]
    if labels["kind"] == "multilabel":
        return [f"{what}_{number}" for what in ("label", "probability") for number in range(units)]
    return ["class", "name", *(f"probability_{value}" for value in labels["values"])]


def _rows(network: Network, line: Mapping[str, Any]) -> list[tuple[str, list[Any]]]:
    """(case, the other columns), of slices a row each."""
    labels, values = network.contract["labels"], np.array(line["values"])
    plane = network.plane
    names = [line["case"]] if plane is None else [f"{line['case']}_{plane}{n:03d}" for n in range(len(values))]
    return list(zip(names, _decided(labels, network.contract["classes"], values), strict=True))


def _decided(labels: Mapping[str, Any], names: Mapping[str, str], values: np.ndarray) -> list[list[Any]]:
    kind = labels["kind"]
    if kind == "regression":
        return values.tolist()
    if kind == "multilabel":
        return [[*(row > 0.5).astype(int).tolist(), *row.tolist()] for row in values]
    chosen = [labels["values"][place] for place in grading.DECIDED[kind](values)]
    shares = values if kind == "nominal" else _shares(values)
    return [[value, names.get(str(value), ""), *row] for value, row in zip(chosen, shares.tolist(), strict=True)]


def _shares(above: np.ndarray) -> np.ndarray:
    """Answers to 'is it above the first grade, the second, …?', [n, K − 1], as probabilities of the K grades.

    What is asked behind a smaller answer counts no more than that, as where grades are decided: they add up to 1.
    """
    falling = np.minimum.accumulate(above, axis=1)
    edges = np.concatenate([np.ones((len(above), 1)), falling, np.zeros((len(above), 1))], axis=1)
    return edges[:, :-1] - edges[:, 1:]
