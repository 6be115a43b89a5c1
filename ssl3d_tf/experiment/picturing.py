"""A picture of one test case: what the model says beside the reference, and its first score."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ssl3d_tf.data.folders import DataFolder
from ssl3d_tf.data.records.schema import Example
from ssl3d_tf.evaluation import overlays


def overlay(
    png: Path,
    title: str,
    data: DataFolder,
    example: Example,
    truth: np.ndarray,
    *,
    volume: np.ndarray,
    predicted: np.ndarray,
    neurological: bool = False,
) -> None:
    """Draws a case: volume float [*spatial, channels], truth and prediction int [*spatial], all as they are stored.

    neurological: as `upright` has it.
    """
    overlays.draw(
        png,
        title=title,
        volume=volume[..., 0],
        truth=truth,
        predicted=predicted,
        spacing_mm=example.spacing_mm,
        source=example.source,
        classes={int(value): label for value, label in data.manifest.classes.items() if int(value)},
        neurological=neurological,
    )


def told(cases: Sequence[tuple[str, str, str, float]], case: str) -> str:
    """What the first score of `cases`, (case, score, class, value), says of a case, by region."""
    first = cases[0][1]
    values = [f"{label} {value:.3f}" for found, name, label, value in cases if (found, name) == (case, first)]
    return f"{first}: {', '.join(values)}"
