"""The ranges of the public knobs: every macro of that name is checked before anything is built or written."""

import math
from typing import Any, NamedTuple

from ssl3d_tf.errors import InputError


class Range(NamedTuple):
    """Numbers from `low` to `high`; `above` leaves `low` itself out; `whole` numbers only; `optional` allows None.

    per_axis: also a number for each axis, as many as there are.
    """

    low: float
    high: float = float("inf")
    above: bool = False
    whole: bool = True
    optional: bool = False
    per_axis: bool = False

    def holds(self, value: Any) -> bool:
        """Whether `value` is one of them."""
        if value is None:
            return self.optional
        if self.per_axis and isinstance(value, list | tuple):
            return len(value) > 1 and all(map(self._replace(per_axis=False).holds, value))
        if isinstance(value, bool) or not isinstance(value, int if self.whole else int | float):
            return False
        if not math.isfinite(value):
            return False
        return (value > self.low if self.above else value >= self.low) and value <= self.high

    def __str__(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        limits = f"{'above' if self.above else 'of at least'} {self.low:g}"
        most = f" and at most {self.high:g}" if self.high < float("inf") else ""
        return f"{kind} {limits}{most}{_PER_AXIS * self.per_axis}{', or None' * self.optional}"


_PER_AXIS = ", or one per axis, as (128, 128, 32)"
FUNCTIONS = {"ENCODER": "@unet.encoder", "PROBE": "@probing.knn"}  # knobs that are such: no number or text is one
_COUNT = Range(1)
_POSITIVE = Range(0, above=True, whole=False)
RANGES = {
    **dict.fromkeys(("STEPS", "BATCH_SIZE", "LOG_EVERY", "EVAL_EVERY", "SAVE_EVERY", "ACCUMULATE"), _COUNT),
    **dict.fromkeys(("VIEW_SIZE", "BLOCK"), Range(1, per_axis=True)),
    **dict.fromkeys(("FILTERS", "LEVELS", "PATCHES_PER_SIDE", "CODE_SIZE", "PERMUTATIONS"), _COUNT),
    **dict.fromkeys(("PHANTOMS", "PHANTOM_SIZE"), Range(8)),
    **dict.fromkeys(("PATIENCE", "CHANNELS"), Range(1, optional=True)),
    **dict.fromkeys(("CLIP_NORM", "CLIP_VALUE"), Range(0, above=True, whole=False, optional=True)),
    **dict.fromkeys(("WEIGHT_DECAY", "CACHE_GB", "LEARNING_RATE"), Range(0, whole=False)),
    **dict.fromkeys(("MAX_TRIALS", "PROBE_CASES"), _COUNT),
    "PRUNE_AFTER": Range(1, optional=True),
    "FRACTION": Range(0, 100, above=True, whole=False),
    "PATCH_JITTER": Range(0, optional=True),
    **dict.fromkeys(("WARMUP_STEPS", "RAMP_STEPS"), Range(0, whole=False)),
    "TEMPERATURE": _POSITIVE,
    **dict.fromkeys(("FLIP_P", "OVERLAP", "HIDDEN", "FOREGROUND"), Range(0, 1, whole=False)),
    "MASKED_WEIGHT": Range(0, whole=False),
    "DROPOUT": Range(0, 0.99, whole=False),
    "SEED": Range(0, 2**31 - 1),
    "RANK": Range(2, 3),
}


def check(name: str, value: Any) -> None:
    """Raises InputError where a knob of that name does not take `value`; other names take anything."""
    if name in FUNCTIONS and not (value is None and name == "PROBE"):
        raise InputError(
            f"{name} is {value!r}; it must be a function, with @ and without (), such as {FUNCTIONS[name]}."
        )
    if name in RANGES and not RANGES[name].holds(value):
        raise InputError(f"{name} is {value!r}; it must be {RANGES[name]}.")
