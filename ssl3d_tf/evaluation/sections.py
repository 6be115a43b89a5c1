"""The sections of the report: what each shows, and what it says where something is missing."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ssl3d_tf.evaluation import (
    comparison,
    drawing,
    figures,
    page,
    reaching,
    runs,
    scales,
    statistics,
    summary,
    tables,
    tried,
)
from ssl3d_tf.evaluation.comparison import Comparison
from ssl3d_tf.evaluation.runs import Run
from ssl3d_tf.evaluation.tables import SCRATCH, Arm, Reached, Tables

MOST_PICTURES = 30
MOST_CLASSES = 12  # of a confusion matrix that can be read


def task(found: Tables, name: str, results: Sequence[Comparison], reached: Sequence[Reached]) -> Iterator[str]:
    """Everything on one task: first what was found, then what it rests on.

    Args:
        results: its scores. reached: as `reaching.rows` of it.
    """
    if not results:
        yield page.paragraph(f"No test scores of {name}.", "note")
        return
    absent, _ = comparison.missing_runs(found, name)
    yield page.paragraph(summary.runs_line(found, name), "note" if absent else "soft")
    for line in (*summary.labelled_lines(found, name), *tried.lines(found, name)):
        yield page.paragraph(line, "soft")
    for line in (*runs.mismatches(found.workdirs[name]), *summary.one_class_lines(found, name)):
        yield page.paragraph(line, "note")
    for result in results:
        yield from _score(result)
    of_task = runs.find(found.workdirs[name])
    yield from _learning(of_task, results[0])
    yield from _reaching(reached)
    if any(scales.of(result.score).of_masks for result in results):  # labels of whole images have neither
        yield from _cases(results)
        yield from _overlays(of_task, results[0])
    yield from _confusion(found, results[0])


def origin(workdir: Path) -> Iterator[str]:
    """How a workdir was made: command, versions, data, configuration."""
    yield page.heading(3, str(workdir))
    record = runs.record(workdir)
    yield page.facts(_flat(record)) if record else page.paragraph("run.json is missing: versions unknown.", "note")
    hashes = [(f"{name}, sha256", runs.sha256(workdir / name)) for name in ("splits.json", tables.RESULTS)]
    yield page.facts((name, digest or "missing") for name, digest in hashes)
    config = workdir / "operative_config.gin"
    if config.is_file():
        yield page.folded("operative_config.gin", page.text_file(config.read_text(encoding="utf-8", errors="replace")))
    else:
        yield page.paragraph("operative_config.gin is missing: configuration unknown.", "note")


def numbers(found: Tables) -> str:
    """Every score of every arm, class, split and checkpoint, folded."""
    groups: dict[tuple, list[float]] = {}
    for row in found.results:
        key = (row.task, comparison.name(tables.arm(row)), row.fraction, row.split, row.score, row.label_class)
        groups.setdefault((*key, row.checkpoint, row.grid), []).append(row.value)
    rows = [["arm", "task", "% of labels", "split", "score", "class", "checkpoint", "grid", "mean", "sd", "runs"]]
    for (of, arm, fraction, split, score, label, checkpoint, grid), values in groups.items():
        mean_sd = (f"{value:.4f}" for value in statistics.mean_sd(np.array(values)))
        rows.append([arm, of, f"{fraction:.3g}", split, score, label, checkpoint, grid, *mean_sd, str(len(values))])
    return page.folded(f"{len(rows) - 1} means over repetitions, of {tables.RESULTS}", page.table(rows))


def _score(result: Comparison) -> Iterator[str]:
    yield page.heading(3, summary.heading(result))
    yield page.bullets(summary.in_words(result))
    caption = "Mean over repetitions by number of labelled cases; the bands are its 95 % intervals."
    if result.constant is not None:
        caption += " Dotted: what naming the most frequent class of the test cases for all of them scores."
    yield _drawn(figures.label_efficiency(result), " ".join([caption, *summary.on_grid(result)]))
    yield page.table(summary.score_rows(result))
    if result.differences:
        yield _drawn(
            figures.differences(result), "Difference to scratch, paired, with 95 % intervals; dashed: no difference."
        )
        head, *rows = summary.difference_rows(result)
        yield page.difference_table(
            ["less scratch", *head[1:]], zip([row[0] for row in rows], _cells(result), strict=True)
        )
    yield page.paragraph(summary.basis(result), "soft")


def _cells(result: Comparison) -> list[list[tuple[str, str, str]]]:
    return [
        [summary.difference(result, one, key) for key in summary.columns(result)] for one in summary.compared(result)
    ]


def _learning(found: Sequence[Run], result: Comparison) -> Iterator[str]:
    yield page.heading(3, "Learning curves")
    curves: dict[tuple[Arm, float], list[runs.Curve]] = {}
    for run in found:
        if run.arm in result.arms and (curve := runs.curve(run)):
            curves.setdefault((run.arm, run.fraction), []).append(curve)
    if not curves:
        yield page.paragraph("No curves: there is no runs/*/metrics.jsonl with validation.", "note")
        return
    caption = "Validation by step: mean over repetitions, band from the lowest to the highest repetition."
    yield _drawn(figures.learning_curves(curves, result.arms), caption)
    yield from _note_absent(result, {one for one, _ in curves}, "curves")


def _reaching(reached: Sequence[Reached]) -> Iterator[str]:
    """Nothing where no run has one from scratch beside it."""
    if rows := reaching.table(reached):
        yield page.heading(3, reaching.TITLE)
        yield page.paragraph(reaching.CAPTION, "soft")
        yield page.table(rows)


def _cases(results: Sequence[Comparison]) -> Iterator[str]:
    yield page.heading(3, "Test cases")
    with_cases = [result for result in results if has_cases(result)]
    if not with_cases:
        yield page.paragraph(f"No scores of single cases: there is no {tables.CASES}, or none of these scores.", "note")
    for result in with_cases:
        caption = (
            f"{result.score} of every test case, averaged over repetitions: median, quartiles, whiskers to the last "
            "case within 1.5 quartile ranges."
        )
        yield _drawn(figures.boxes(result), " ".join([caption, *summary.on_grid(result)]))


def has_cases(result: Comparison) -> bool:
    """Whether a single case has such a score, and it is known."""
    return scales.of(result.score).of_masks and any(estimate.cases for estimate in result.estimates.values())


def _overlays(found: Sequence[Run], result: Comparison) -> Iterator[str]:
    """Of the first repetition, of scratch and of the first use of each encoder, with fewest and most labels."""
    yield page.heading(3, "Best, median and worst test case")
    first = figures.uses(result.arms)[0]
    ends = dict.fromkeys((result.fractions[0], result.fractions[-1]))
    arms = [one for one in result.arms if one == SCRATCH or one.init == first]
    chosen = [
        run
        for fraction in ends
        for one in arms
        for run in [run for run in found if (run.arm, run.fraction) == (one, fraction)][:1]
        if runs.overlays(run)
    ]
    if not chosen:
        yield page.paragraph("No overlays: there are no pictures in runs/*/overlays.", "note")
        return
    shown = chosen[: MOST_PICTURES // len(runs.OVERLAYS)]
    yield page.paragraph("Prediction and reference in three planes, of the first repetition.", "soft")
    yield page.pictures(["", *runs.OVERLAYS], [(_title(run), _row(run)) for run in shown])
    if len(chosen) > len(shown):
        yield page.paragraph(f"{len(chosen) - len(shown)} more runs have overlays in runs/*/overlays.", "soft")


def _row(run: Run) -> list[str]:
    found = runs.overlays(run)
    return [page.picture(found[name], f"{name} case") if name in found else "missing" for name in runs.OVERLAYS]


def _confusion(found: Tables, result: Comparison) -> Iterator[str]:
    """Nothing where the task has no predictions of single cases, as segmentation."""
    rows = [row for row in found.predictions if row.task == result.task]
    if not rows:
        return
    yield page.heading(3, "Confusion")
    classes = sorted({value for row in rows for value in (row.true, row.predicted)})
    if len(classes) > MOST_CLASSES:
        count = f"{tables.PREDICTIONS} has {len(classes)} classes"
        yield page.paragraph(f"{count}: no matrix of them could be read.", "note")
        return
    for fraction in dict.fromkeys((result.fractions[0], result.fractions[-1])):
        counts: dict[str, np.ndarray] = {}
        for one in result.arms:
            pairs = [(r.true, r.predicted) for r in rows if (tables.arm(r), r.fraction) == (one, fraction)]
            if pairs:
                matrix = np.zeros((len(classes), len(classes)), int)
                np.add.at(matrix, tuple(np.searchsorted(classes, pairs).T), 1)
                counts[comparison.name(one)] = matrix
        if counts:
            caption = f"{fraction:.3g} % of labels, all repetitions together; shaded by the share of the true class."
            yield _drawn(figures.confusion(counts, classes), caption)


def _note_absent(result: Comparison, present: set[Arm], what: str) -> Iterator[str]:
    absent = [comparison.name(one) for one in result.arms if one not in present]
    if absent:
        yield page.paragraph(f"No {what} of {'; '.join(absent)}.", "soft")


def _drawn(figure: Any, caption: str) -> str:
    return page.figure(drawing.svg(figure, caption), caption)


def _title(run: Run) -> str:
    return f"{comparison.name(run.arm)}, {run.fraction:.3g} %"


def _flat(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in record.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        elif value is not None:
            yield f"{prefix}{key}", str(value)
