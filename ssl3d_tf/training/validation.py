"""One pass over the held-out split, and the weights that did best in it so far."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ssl3d_tf.training import checkpoints, contracts, health, run, strategies, weights, workers
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
    """Mean scores over every example of the held-out split, with the same random choices every time."""
    total, count, inputs = np.zeros(len(run.names)), 0, None
    embeddings: list[np.ndarray] = []
    embeds = contracts.ENCODER_FOLDER in run.settings.keeps
    for _, element in strategies.to_device(run.held_out.dataset()):
        seen = run.measure(element, embeds and sum(map(len, embeddings)) < health.LIMIT)
        scores = seen.scores.numpy()
        total, count = total + scores.sum(axis=0), count + len(scores)
        embeddings += [] if seen.embeddings is None else [seen.embeddings.numpy()]
        inputs = seen.inputs if inputs is None else inputs
    means = {f"val_{name}": value for name, value in zip(run.names, (total / count).tolist(), strict=True)}
    return Evaluation(means, np.concatenate(embeddings) if embeds else None, inputs)


def keep_best(built: Run, done: int, journal: Journal, contract: Mapping[str, Any]) -> dict[str, float]:
    """Evaluates and logs after step `done`, and keeps the weights if they are the best so far; returns the scores.

    At the end of a run without a best evaluation, as no loss was a number, the last weights are kept, marked so.
    """
    with checkpoints.averaged_weights(built.parts):
        found, embeddings, inputs = evaluate(built)
        scores = workers.of_first(built.meet, found)
        spread = {} if embeddings is None else health.report(embeddings)
        journal.write(done, scores | {f"val_{name}": value for name, value in spread.items()}, show=True)
        if spread and (warning := health.warning(spread)):
            journal.say(warning)
        is_best = scores["val_loss"] < float(built.progress.best)
        if is_best:
            built.progress.best.assign(scores["val_loss"])
            built.progress.best_step.assign(done)
        ends = done == built.settings.steps or run.hopeless(built, done)
        if is_best or (ends and not int(built.progress.best_step)):
            _keep(built, done, {**run.about(built, contract, scores), "is_best": is_best})
            if not is_best:
                kept = "/, ".join(built.settings.keeps)
                journal.say(f"warning: no validation loss was a number; {kept}/ has the last weights, marked so.")
    journal.picture(done, "views", pictures.contact_sheet(inputs, rank=len(built.encoder.input_shape) - 2))
    return scores


def _keep(built: Run, done: int, about: Mapping[str, Any]) -> None:
    """Writes the weights that are wanted, each part in a folder; the encoder last, as it is asked for."""
    for folder in sorted(built.settings.keeps, key=lambda one: one == contracts.ENCODER_FOLDER):
        network = built.encoder if folder == contracts.ENCODER_FOLDER else built.model
        without = built.encoder if folder == contracts.DECODER_FOLDER else None
        weights.save(built.folder / folder, network, without=without, step=done, contract=about)
