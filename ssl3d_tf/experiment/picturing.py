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
) -> None:
    """Draws a case: volume float [*spatial, channels], truth and prediction int [*spatial], all as they are stored."""
    overlays.draw(
        png,
        title=title,
        volume=volume[..., 0],
        truth=truth,
        predicted=predicted,
        spacing_mm=example.spacing_mm,
        is_ras=example.source.get("orientation") is not None,
        classes={int(value): label for value, label in data.manifest.classes.items() if int(value)},
    )


def told(cases: Sequence[tuple[str, str, str, float]], case: str) -> str:
    """What the first score of `cases`, (case, score, class, value), says of a case, by region."""
    first = cases[0][1]
    values = [f"{label} {value:.3f}" for found, name, label, value in cases if (found, name) == (case, first)]
    return f"{first}: {', '.join(values)}"
