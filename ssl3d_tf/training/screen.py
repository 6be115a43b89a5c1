"""What a person reads of a run's numbers at a glance, one short line; all of them are in metrics.jsonl."""

import datetime
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

_SHOWN = 4  # scores in a line
_NOT_SCORES = {"loss", "skipped", "examples_per_s", "stall_fraction", "lr", "gradient_norm"}
_HEALTH = {"embedding_std", "effective_rank"}  # a warning says where they are bad
_STALLED = 0.1  # share of the time without data that is worth a word


def training(values: Mapping[str, float]) -> str:
    """'loss 2.3, accuracy .12 (chance .10), 310 examples/s', of what is logged between evaluations."""
    speed = f", {values['examples_per_s']:.3g} examples/s"
    waits = f", {stalled:.0%} of the time waiting for data" if (stalled := values["stall_fraction"]) > _STALLED else ""
    skipped = f", {values['skipped']} updates left out" if "skipped" in values else ""
    unasked = "" if skipped else "nothing in these steps had content to learn from"
    return scores(values, unasked) + speed + waits + skipped


def validation(values: Mapping[str, float], *, best: float, best_step: int, is_best: bool) -> str:
    """'validation: loss 2.3, accuracy .12 (chance .10), the best so far', of scores that have 'val_' before them."""
    found = {name.removeprefix("val_"): value for name, value in values.items()}
    shown = scores(found, "nothing in these examples had content to be asked about")
    if is_best:
        return f"validation: {shown}, the best so far"
    return f"validation: {shown}" + (f", best {best:.4g} at step {best_step}" if best_step else "")


def scores(values: Mapping[str, float], unasked: str = "") -> str:
    """'loss 2.3, accuracy .12 (chance .10)': the loss, and the first scores, with what chance would reach.

    unasked: what is said instead where neither loss nor any score is a number, as nothing was asked
    (`losses/questions.py`); empty where that may have another reason.
    """
    named = [name for name in values if name not in _NOT_SCORES | _HEALTH | {"chance"}]
    if unasked and named and all(math.isnan(values[name]) for name in ("loss", *named)):
        return unasked
    shown = [f"loss {values['loss']:.4g}"]
    for name in named[:_SHOWN]:
        by_chance = f" (chance {values['chance']:.3f})" if name == "accuracy" and "chance" in values else ""
        shown.append(f"{name} {values[name]:.3f}{by_chance}")
    left = len(named) - _SHOWN
    return ", ".join(shown) + (f" and {left} more in metrics.jsonl" if left > 0 else "")


def stopped(folder: Path, so_far: str = "") -> str:
    """The last line of a command that a signal stopped; so_far: what there is for others."""
    rule = "exit code 0 says that it is saved: give the same command again, before any that needs its result"
    return f"{folder}: stopped before its end{so_far and f', {so_far}'}; {rule}."


def clock(seconds: float) -> str:
    """'0:12:34', of how long something takes."""
    return str(datetime.timedelta(seconds=round(seconds)))


def time_left(ended: Sequence[float], left: int) -> str:
    """'; about 0:12:34 left', at the pace of the runs behind the first, in which TensorFlow starts; '' without one.

    Args:
        ended: clock, s, at the end of each run of this process. left: how many there are to do.
    """
    if len(ended) < 2 or not left:
        return ""
    return f"; about {clock((ended[-1] - ended[0]) / (len(ended) - 1) * left)} left"
