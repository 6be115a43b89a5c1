"""Labels by a linear layer on frozen embeddings, fitted in one step: what of an encoder's knowledge lies open."""

import numpy as np

_PENALTY = 1.0  # on standardised embeddings: directions of less than their variance count less


def scores(known: np.ndarray, targets: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Ridge regression of the targets on the embeddings (Hoerl & Kennard, 1970, doi:10.1080/00401706.1970.10488634).

    Embeddings are standardised by the known ones; weights W minimise mean ‖X W − Y‖² + ‖W‖², Y centred. In closed form,
    so that the same embeddings give the same scores, whatever the number of classes, and nothing is tuned.

    Args:
        known: float [n, d]. targets: float [n, K], 1 or 0, or shares. asked: float [m, d].

    Returns:
        float64 [m, K]: the higher, the likelier; not in 0..1.
    """
    x, y, z = (np.asarray(values, np.float64) for values in (known, targets, asked))
    centre, spread = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-12)
    x, z, mean = (x - centre) / spread, (z - centre) / spread, y.mean(axis=0)
    n, d = x.shape
    if n < d:  # the same weights from a smaller system
        weights = x.T @ np.linalg.solve(x @ x.T + n * _PENALTY * np.eye(n), y - mean)
    else:
        weights = np.linalg.solve(x.T @ x + n * _PENALTY * np.eye(d), x.T @ (y - mean))
    return z @ weights + mean
