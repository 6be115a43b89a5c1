"""The project's weights, in the order of its layers, into a network of PyTorch with the same layers in that order."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import nn


def load(network: nn.Module, weights: Sequence[np.ndarray]) -> None:
    """Copies every weight.

    Raises:
        ValueError: there are more or fewer, or one is of another shape.
    """
    own = list(network.parameters())
    given = list(_converted(weights))
    wrong = [f"{i}: {tuple(o.shape)}, not {g.shape}" for i, (o, g) in enumerate(zip(own, given)) if o.shape != g.shape]  # noqa: B905  # lengths are said below
    if wrong or len(own) != len(given):
        raise ValueError(f"{len(own)} weights for {len(given)}; of another shape: {wrong}")
    with torch.no_grad():
        for parameter, values in zip(own, given, strict=True):
            parameter.copy_(torch.from_numpy(np.ascontiguousarray(values)))


def _converted(weights: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    """[*kernel, in, out] -> [out, in, *kernel], also of transposed ones; [in, out] -> [out, in]; a GRU's two biases."""
    recurrent = {i + shift for i, values in enumerate(weights) if _is_gru_bias(values) for shift in (-2, -1, 0)}
    for i, values in enumerate(weights):
        turned = np.moveaxis(values, (-1, -2), (0, 1)) if values.ndim > 2 else values.T
        if i not in recurrent:
            yield turned
        elif _is_gru_bias(values):
            yield from (_reset_first(bias) for bias in values)
        else:
            yield _reset_first(turned)


def _is_gru_bias(values: np.ndarray) -> bool:
    return values.ndim == 2 and len(values) == 2


def _reset_first(gates: np.ndarray) -> np.ndarray:
    """Update, reset, new -> reset, update, new, along the first axis."""
    update, reset, new = np.split(gates, 3)
    return np.concatenate([reset, update, new])
