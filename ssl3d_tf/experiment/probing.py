"""PROBE: what an encoder knows of labels while it is pretrained, from a few labelled cases, scored on validation.

A pretext score can rise for long after the encoder has stopped to become more useful, or fall while it still does. A
probe asks the question that matters on few labels, trains nothing that the encoder keeps, and opens no test split.
"""

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from ssl3d_tf.data import classes, folders
from ssl3d_tf.data.folders import DataFolder
from ssl3d_tf.data.pipeline import Data
from ssl3d_tf.data.records import likeness
from ssl3d_tf.data.records import manifest as manifests
from ssl3d_tf.errors import InputError
from ssl3d_tf.evaluation import grading, neighbours, places, ridge, scores, subsets
from ssl3d_tf.task import Batch, Inputs, Params, Task
from ssl3d_tf.training import contracts
from ssl3d_tf.training.run import Probe
from ssl3d_tf.views import volumes

_OF, _SPLITS = ("label", "mask"), ("train", "val")
_LIMIT = 4096  # places of all masks of a split that are looked at
_ORDER = 0  # of the patients, by `subsets.patient_order`: the same ones for every seed of a run

Fit = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]  # known [n, d], targets [n, K], asked [m, d] -> [m, K]


class _Asked(NamedTuple):
    """What is asked. of: of _OF. values: of the classes that are told apart, of masks without the background.

    differs: from what is trained on, by `likeness.differences`.
    """

    data: DataFolder
    of: str
    values: np.ndarray
    differs: dict[str, str]


def knn(
    folder: DataFolder,
    *,
    read: Callable[..., Data],
    data: str | None = None,
    cases: int = 8,
    of: str | None = None,
    number: int = 20,
) -> Probe:
    """The nearest neighbours among embeddings of labelled training cases vote, as in the arm of that name.

    Of labels, an embedding is that of the centre crop, averaged over the encoder's map, and the question which class it
    is; of masks, it is each place of the map, and the questions which classes lie in its block. The score is the mean
    over classes of the AUC over all validation cases, or their places: 1 is best, chance is .5, however rare a class.

    Args:
        folder: what is trained on. read: `pipeline.read` for evaluation.
        data: folder with labels or masks, whose splits 'train' and 'val' are read; None: what is trained on.
        cases: labelled training patients, of the mix of labels that all have.
        of: 'label' or 'mask'; None: what there is, of both the label. number: of neighbours.

    Raises:
        InputError: no labels or masks, none of two classes, too few patients, or another input than the encoder's.
    """
    fit = functools.partial(neighbours.shares, number=number)
    return _probe(_asked(folder, data, of), fit, cases, read=read, name="knn")


def linear(
    folder: DataFolder, *, read: Callable[..., Data], data: str | None = None, cases: int = 8, of: str | None = None
) -> Probe:
    """As `knn`, by a linear layer on the embeddings, fitted by `ridge.scores`."""
    return _probe(_asked(folder, data, of), ridge.scores, cases, read=read, name="linear")


def _probe(asked: _Asked, fit: Fit, cases: int, *, read: Callable[..., Data], name: str) -> Probe:
    few = asked._replace(data=_few(asked.data, cases))
    for split in _SPLITS:
        _check_classes(few, split)
    task = _task(few.of)
    fixed = {"training": False, "fields": ("volume", few.of), "cache_gb": 0.0}  # which is that of training
    known, held_out = (read(few.data, task, split=split, **fixed) for split in _SPLITS)
    graph_of = functools.cache(_graph)

    def score(encoder: keras.Model) -> float:
        (seen, targets), (asked_of, truth) = (_embedded(few, each, graph_of(encoder)) for each in (known, held_out))
        if not (np.isfinite(seen).all() and np.isfinite(asked_of).all()):
            return math.nan
        found = fit(seen, targets.astype(np.float64), asked_of)
        value = scores.mean(grading.auc(*of_class) for of_class in zip(truth.T, found.T, strict=True))
        if math.isnan(value):
            raise InputError(f"PROBE: every {few.of} of split 'val' in {few.data.path} says the same; give other data.")
        return value

    return Probe(score, _about(few, name))


def _opened(data: str) -> DataFolder:
    try:
        return folders.open_folder(data, unread=("test",))
    except InputError as error:
        raise InputError(str(error).replace("--data", "PROBE_DATA")) from error


def _asked(folder: DataFolder, data: str | None, of: str | None) -> _Asked:
    source = _opened(data) if data else folder
    manifest, where = source.manifest, f"data set '{source.manifest.name}' in {source.path}"
    has = [name for name, there in zip(_OF, (manifest.label_size, manifest.mask_dtypes), strict=True) if there]
    if of not in (None, *_OF):
        raise InputError(f"PROBE_OF is {of!r}; it must be {' or '.join(map(repr, _OF))}, or None.")
    if source.sources or not has or (of or has[0]) not in has:
        lacks = (
            "is several, whose labels may mean different things"
            if source.sources
            else f"has no {of or 'label or mask'}"
        )
        raise InputError(f"PROBE reads labels or masks, and {where} {lacks}: name a folder with them by PROBE_DATA.")
    differs = likeness.differences(contracts.of_run(folder, ""), manifest)
    if unfit := [f"{name} {differs[name]}" for name in (likeness.RANK, likeness.CHANNELS) if name in differs]:
        raise InputError(f"PROBE_DATA {source.path} is not like what is trained on: {', '.join(unfit)}; convert anew.")
    asked_of = of or has[0]
    found = folders.labelled(source, ("volume", asked_of))
    named = (classes.of_labels if asked_of == "label" else classes.of_masks)(found.manifest)
    values = [value for value in named if asked_of == "label" or value != classes.BACKGROUND]
    return _Asked(found, asked_of, np.array(values, int), differs)


def _few(data: DataFolder, cases: int) -> DataFolder:
    """The data with that many training patients."""
    entries = data.manifest.split("train").entries
    patients = subsets.patient_order(entries, seed=_ORDER, repetition=0)
    if cases > len(patients):
        raise InputError(
            f"PROBE_CASES is {cases}, and split 'train' of {data.path} has {len(patients)} labelled patients; lower it."
        )
    chosen = set(patients[:cases])
    kept = tuple(entry for entry in entries if entry.patient in chosen)
    splits = {**data.manifest.splits, "train": data.manifest.splits["train"]._replace(entries=kept)}
    return data._replace(manifest=data.manifest._replace(splits=splits), parts=())


def _check_classes(few: _Asked, split: str) -> None:
    """Finds that there is something to tell apart, as far as the manifest says, and nothing that is no class."""
    entries, known = few.data.manifest.split(split).entries, set(few.values.tolist())
    if few.of == "label":
        held = {entry.label[0] for entry in entries if entry.label}
    else:
        held = {int(value) for entry in entries for value, count in (entry.counts or {}).items() if count}
        held -= {classes.BACKGROUND, few.data.manifest.ignore_label}
    where, least = f"split '{split}' of {few.data.path}", 2 if few.of == "label" else 1
    if foreign := sorted(held - known):
        raise InputError(
            f"PROBE tells classes apart, and a {few.of} in {where} is {foreign[0]:.9g}; PROBE_DATA has others."
        )
    if len(held) < least:
        raise InputError(
            f"PROBE tells classes apart, and the {len(entries)} examples in {where} that it reads have {len(held)} in "
            f"their {few.of}s; it takes {least}: raise PROBE_CASES, or name other data by PROBE_DATA."
        )


def _about(few: _Asked, name: str) -> dict[str, Any]:
    """What contract.json says of it. scans: whose labels it reads, as `contracts.contents`."""
    manifest = few.data.manifest
    scans = [contracts.contents(manifest, split) for split in _SPLITS]
    return {
        "name": name,
        "of": few.of,
        "classes": few.values.tolist(),
        "patients": {split: len({entry.patient for entry in manifest.split(split).entries}) for split in _SPLITS},
        "path": str(few.data.path),
        "sha256": manifests.fingerprint(manifest),
        "differs": few.differs,
        "scans": None if None in scans else sorted(frozenset().union(*(each or () for each in scans))),
    }


def _task(of: str) -> Task:
    """Views of volumes as they are, and what is asked of them."""

    def make_views(batch: Batch, params: Params) -> tuple[Inputs, tf.Tensor]:
        return volumes.intensities(batch), batch[of]

    return Task(
        sample=lambda seed: (),
        sample_eval=lambda seed: (),
        make_views=make_views,
        build_model=lambda encoder: encoder,
        loss_fn=lambda targets, outputs: tf.zeros(tf.shape(targets)[:1]),
        metrics={},
    )


def _graph(encoder: keras.Model) -> Callable[[tf.Tensor], tf.Tensor]:
    return tf.function(lambda views: tf.cast(encoder(views, training=False), tf.float32), autograph=False)


def _embedded(few: _Asked, data: Data, embed: Callable[[tf.Tensor], tf.Tensor]) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings float32 [n, d] of one split, in stored order, and which classes they are of, bool [n, K]."""
    rows: list[tuple[np.ndarray, np.ndarray]] = []
    for number, (_, element) in enumerate(data.dataset()):
        views, stored = data.to_views(element)
        maps, told = embed(views).numpy(), stored.numpy()
        if few.of == "label":
            rows.append((maps.mean(axis=tuple(range(1, maps.ndim - 1))), told[:, :1].astype(int) == few.values))
        else:
            rows += _of_places(few, maps, told, most=max(_LIMIT // len(data.ids), 1), seed=number)
    embeddings, classes_of = zip(*rows, strict=True)
    return np.concatenate(embeddings), np.concatenate(classes_of)


def _of_places(few: _Asked, maps: np.ndarray, masks: np.ndarray, *, most: int, seed: int) -> Iterator[tuple]:
    """Scan by scan the embeddings of some places [P, d], and which classes lie there [P, K]."""
    if maps.ndim != masks.ndim + 1:
        raise InputError("PROBE of masks needs a map, and this ENCODER gives one vector per view: PROBE_OF='label'.")
    found, is_known = places.presence(masks, maps.shape[1:-1], few.values, ignore=few.data.manifest.ignore_label)
    for features, present, known in zip(maps, found, is_known, strict=True):
        told = present[known]
        chosen = places.some(told, most, seed)
        yield features[known][chosen], told[chosen]
