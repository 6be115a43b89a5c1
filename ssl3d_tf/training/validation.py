"""One pass over the held-out split, and the weights that did best in it so far."""

import functools
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ssl3d_tf.data.records import grids, upright
from ssl3d_tf.models import decoders
from ssl3d_tf.training import checkpoints, contracts, health, run, screen, strategies, weights, workers
from ssl3d_tf.training.journal import Journal
from ssl3d_tf.training.run import Run
from ssl3d_tf.views import pictures


class Evaluation(NamedTuple):
    """One pass over the held-out split.

    scores: 'val_loss' and the task's metrics. embeddings: [n, d] of the first inputs in pretraining, else None; labels
    say more about them in finetuning. inputs: of the first batch.
    """

    scores: dict[str, float]
    embeddings: np.ndarray | None
    inputs: Any


def evaluate(run: Run) -> Evaluation:
    """Mean scores over every example of the held-out split, with the same random choices every time.

    A metric that is NaN of an example is not of it; where none is of any, nothing was asked, and the loss is NaN too.
    """
    total, count, inputs = np.zeros(len(run.names)), np.zeros(len(run.names)), None
    embeddings: list[np.ndarray] = []
    embeds = contracts.ENCODER_FOLDER in run.settings.keeps
    for _, element in strategies.to_device(run.held_out.dataset()):
        seen = run.measure(element, embeds and sum(map(len, embeddings)) < health.LIMIT)
        each = seen.scores.numpy()
        has = np.c_[np.ones(len(each), bool), ~np.isnan(each[:, 1:])]
        total, count = total + np.where(has, each, 0).sum(axis=0), count + has.sum(axis=0)
        embeddings += [] if seen.embeddings is None else [seen.embeddings.numpy()]
        inputs = seen.inputs if inputs is None else inputs
    if len(count) > 1 and not count[1:].any():
        total[0] = np.nan
    means = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    scores = {f"val_{name}": value for name, value in zip(run.names, means.tolist(), strict=True)}
    return Evaluation(scores, np.concatenate(embeddings) if embeds else None, inputs)


def keep_best(built: Run, done: int, journal: Journal, contract: Mapping[str, Any]) -> dict[str, float]:
    """Evaluates and logs after step `done`, and keeps the weights if they are the best so far; returns the scores.

    The best are those of the lowest validation loss, or of the highest 'val_probe' where there is a probe. At the end
    of a run without a best evaluation, as none was a number, the last weights are kept, marked so.
    """
    with checkpoints.averaged_weights(built.parts):
        found, embeddings, inputs = evaluate(built)
        found, seconds = _probed(built, found)
        scores = workers.of_first(built.meet, found)
        spread = {} if embeddings is None else health.report(embeddings)
        by, sign = run.best_by(built), 1 if built.probe is None else -1
        fault = sign * scores[by]
        is_best = fault < float(built.progress.best)
        if is_best:
            built.progress.best.assign(fault)
            built.progress.best_step.assign(done)
        best, best_step = sign * float(built.progress.best), int(built.progress.best_step)
        line = screen.validation(scores, best=best, best_step=best_step, is_best=is_best)
        journal.write(done, scores | {f"val_{name}": value for name, value in spread.items()} | seconds, line)
        if _is_unasked(built, scores):
            journal.say(
                "warning: nothing was asked of any validation example, as too many of its patches are air: set "
                "FOREGROUND or enlarge VIEW_SIZE, or take another task."
            )
        if spread and (warning := health.warning(spread)):
            journal.say(warning)
        ends = done == built.settings.steps or run.hopeless(built, done)
        if is_best or (ends and not int(built.progress.best_step)):
            _keep(built, done, {**run.about(built, contract, scores), "is_best": is_best})
            if not is_best:
                kept = "/, ".join(built.settings.keeps)
                what = "validation loss" if by == "val_loss" else by
                journal.say(f"warning: no {what} was a number; {kept}/ has the last weights, marked so.")
    if said := run.ended(built, done):
        journal.say(said)
    _draw(built, done, journal, contract, inputs)
    return scores


def _is_unasked(built: Run, scores: Mapping[str, float]) -> bool:
    metrics = [scores[f"val_{name}"] for name in built.names[1:]]
    return bool(metrics) and bool(np.isnan([*metrics, scores["val_loss"]]).all())


def _draw(built: Run, done: int, journal: Journal, contract: Mapping[str, Any], inputs: Any) -> None:
    """The first views as people look at scans, as far as the data's contract says how they lie."""
    rank, grid = len(built.encoder.input_shape) - 2, grids.of_contract(contract)
    plane, *_ = upright.planes(grid.orientation, rank)
    look = functools.partial(upright.to_scale, plane, spacing_mm=grid.spacing_mm)
    journal.picture(done, titled("views", plane), pictures.contact_sheet(inputs, rank, look=look))


def titled(what: str, plane: upright.Plane) -> str:
    """'views (axial: R on the left, before turns)', as a task may turn what it shows; `what` where it is not known."""
    return f"{what} ({plane}, before turns)" if str(plane) else what


def _probed(built: Run, scores: dict[str, float]) -> tuple[dict[str, float], dict[str, float]]:
    """The scores with 'val_probe', and the seconds it took, where there is a probe."""
    if built.probe is None:
        return scores, {}
    began = time.perf_counter()
    value = built.probe.score(built.encoder)
    return {**scores, "val_probe": value}, {"probe_seconds": time.perf_counter() - began}


def _keep(built: Run, done: int, about: Mapping[str, Any]) -> None:
    """Writes the weights that are wanted, each part in a folder; the encoder last, as it is asked for."""
    for folder in sorted(built.settings.keeps, key=lambda one: one == contracts.ENCODER_FOLDER):
        network, without = built.model, None
        if folder == contracts.ENCODER_FOLDER:
            network = built.encoder
        elif folder == contracts.DECODER_FOLDER:
            network, without = decoders.within(built.model), built.encoder
        weights.save(built.folder / folder, network, without=without, step=done, contract=about)
