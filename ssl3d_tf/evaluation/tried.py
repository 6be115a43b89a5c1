"""Which peak learning rate each arm chose in validation, of how many, in words."""

from collections.abc import Sequence

from ssl3d_tf.evaluation import comparison, tables
from ssl3d_tf.evaluation.tables import Arm, Tables, Trial


def lines(found: Tables, task: str) -> list[str]:
    """'Peak learning rate: scratch 0.001 of 3 tried; …', or by number of labels where it differs; none of no search."""
    groups: dict[Arm, list[Trial]] = {}
    for row in found.trials:
        if row.task == task:
            groups.setdefault(tables.arm(row), []).append(row)
    told = [f"{comparison.name(one)} {_chosen(rows)}{_of(rows)}" for one, rows in groups.items()]
    return [f"Peak learning rate, chosen in validation: {'; '.join(told)}."] if told else []


def _chosen(rows: Sequence[Trial]) -> str:
    by_fraction: dict[float, list[str]] = {}
    for row in (row for row in rows if row.chosen):
        by_fraction.setdefault(row.fraction, []).append(row.peak)
    shown = {fraction: " and ".join(sorted(set(peaks), key=float)) for fraction, peaks in by_fraction.items()}
    if len(set(shown.values())) == 1:
        return next(iter(shown.values()))
    return ", ".join(f"{peaks} at {fraction:.3g} %" for fraction, peaks in shown.items())


def _of(rows: Sequence[Trial]) -> str:
    diverged = sum(not row.score for row in rows)
    more = f", {diverged} of {len(rows)} trials diverged" if diverged else ""
    return f" of {len({row.peak for row in rows})} tried{more}"
