"""Labels by the nearest neighbours of frozen embeddings: what an encoder knows without any training on labels."""

import numpy as np

_NEIGHBOURS = 20
_TEMPERATURE = 0.07


def class_probabilities(
    known: np.ndarray, labels: np.ndarray, asked: np.ndarray, *, classes: int, number: int = _NEIGHBOURS
) -> np.ndarray:
    """`shares` of labels int [n] in 0..classes−1: float64 [m, classes], each row of sum 1."""
    return shares(known, np.eye(classes)[labels], asked, number=number)


def shares(known: np.ndarray, targets: np.ndarray, asked: np.ndarray, *, number: int = _NEIGHBOURS) -> np.ndarray:
    """The mean target of the nearest known embeddings by cosine, each of weight exp(cosine / .07).

    Wu et al., 2018, arXiv:1805.01978, section 3.4.

    Args:
        known: float [n, d]. targets: float [n, K]. asked: float [m, d].
        number: of neighbours, or all where there are fewer.

    Returns:
        float64 [m, K].
    """
    cosines = _on_sphere(asked) @ _on_sphere(known).T
    nearest = np.argsort(-cosines, axis=1, kind="stable")[:, : min(number, len(known))]
    closest = np.take_along_axis(cosines, nearest, axis=1)
    weights = np.exp((closest - closest[:, :1]) / _TEMPERATURE)
    return np.einsum("mn,mnk->mk", weights / weights.sum(axis=1, keepdims=True), targets[nearest])


def ordinal(probabilities: np.ndarray) -> np.ndarray:
    """Class shares [m, K] as answers to 'is it above 0, 1, …?': [m, K − 1]."""
    return 1.0 - np.cumsum(probabilities, axis=1)[:, :-1]


def _on_sphere(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values, np.float64)
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
