"""Training steps as what worker.py times: an endless iterator of losses, one step each, one number per volume."""

from collections.abc import Callable

import numpy as np


class Steps:
    """One network in training, on one batch.

    Args:
        step: does one and returns its loss.
        weights: number of all that are trained.
        device_mb: peak memory of a GPU so far, 10⁶ bytes; None on a CPU.
    """

    def __init__(
        self, step: Callable[[], float], batch_size: int, *, weights: int, device_mb: Callable[[], float] | None
    ) -> None:
        self._step, self._batch_size, self._weights, self._device_mb = step, batch_size, weights, device_mb

    def __iter__(self) -> "Steps":
        return self

    def __next__(self) -> np.ndarray:
        return np.full(self._batch_size, self._step(), np.float32)

    def weights(self) -> int:
        """How many numbers are trained."""
        return self._weights

    def device_mb(self) -> float | None:
        """Peak memory of a GPU so far, 10⁶ bytes; None on a CPU."""
        return self._device_mb() if self._device_mb else None
