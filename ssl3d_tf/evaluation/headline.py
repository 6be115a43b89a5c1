"""The first sentences of report and summary: what pretraining gained, for who reads nothing else."""

from collections.abc import Iterator, Sequence

from ssl3d_tf.evaluation import figures, scales, summary
from ssl3d_tf.evaluation.comparison import Comparison
from ssl3d_tf.evaluation.tables import Arm


def lines(results: Sequence[Comparison]) -> list[str]:
    """A sentence per encoder, on the first score of every task, in the first way that encoders were used.

    'Pretrained by masked_3d, against scratch, segmentation: dice +0.031 [+0.012, +0.050] at 8 labelled cases,
    better; no difference shown at 20, 159 labelled cases.'
    """
    firsts = {result.task: result for result in reversed(results)}
    return [
        f"{_by(one, result)}: {'; '.join(_at(result, one))}."
        for result in reversed(firsts.values())
        for one in summary.compared(result)
        if one.init == figures.uses(result.arms)[0]
    ]


def _by(one: Arm, result: Comparison) -> str:
    used = "" if one.init == "pretrained" else f", {one.init}"
    lower = ", where lower is better" if scales.of(result.score).lower_is_better else ""
    return f"Pretrained by {one.encoder}{used}, against scratch, {result.task}{lower}"


def _at(result: Comparison, one: Arm) -> Iterator[str]:
    """What was found with how many labelled cases; those with no difference together, at the end."""
    unshown: dict[str, list[str]] = {}
    for fraction in result.fractions:
        mean, interval, verdict = summary.difference(result, one, fraction)
        count = f"{result.labelled[fraction]:g}"
        if verdict in ("better", "worse"):
            yield f"{result.score} {mean} {interval} at {count} labelled cases, {verdict}"
        elif verdict.endswith("only"):
            yield f"{result.score} {mean} at {count} labelled cases, {verdict}"
        else:
            unshown.setdefault(verdict or "not measured", []).append(count)
    for verdict, counts in unshown.items():
        yield f"{verdict} at {', '.join(counts)} labelled cases"
