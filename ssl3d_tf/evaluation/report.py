"""The finetuning report: one page of several workdirs, and beside it summary.md; read from the csv files alone."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ssl3d_tf.data import files
from ssl3d_tf.evaluation import comparison, drawing, figures, headline, page, reaching, runs, sections, summary, tables
from ssl3d_tf.evaluation.comparison import Comparison
from ssl3d_tf.evaluation.tables import Reached, Tables

NAME, SUMMARY = "report.html", "summary.md"
_SHARE = 1 / 20  # of the time, at most, goes into pages that are written over


class Findings(NamedTuple):
    """What page and summary both say: all comparisons, the first sentences, and by task what `reaching.rows` found."""

    results: Sequence[Comparison]
    first: Sequence[str]
    reached: Mapping[str, Sequence[Reached]]


def write(workdirs: Sequence[Path], output: Path) -> None:
    """Writes the page to `output`, and summary.md beside it.

    Raises:
        InputError: no results.csv, or tables that do not fit: `tables.read`.
    """
    found = tables.read(workdirs)
    results = comparison.compare_all(found)
    findings = Findings(results, headline.lines(results), reaching.by_task(found))
    files.make_folder(output.resolve().parent, "--output")
    texts = render(found, findings, workdirs), summary.text(found, *findings)
    for path, text in zip((output, output.parent / SUMMARY), texts, strict=True):
        with files.atomic(path) as file:
            file.write(text.encode())


def growing(workdirs: Sequence[Path], output: Path) -> Callable[[bool], None]:
    """(is_last) -> `write`, of tables that grow: the first and last page, and between them as many as cost little."""
    took, since = 0.0, time.monotonic()

    def written(is_last: bool) -> None:
        nonlocal took, since
        began = time.monotonic()
        if is_last or took <= (began - since) * _SHARE:
            write(workdirs, output)
            since = time.monotonic()
            took = since - began

    return written


def draw(workdirs: Sequence[Path], folder: Path) -> None:
    """Writes TASK-SCORE-curve.png, …-difference.png where there is scratch to compare with, …-cases.png of masks."""
    files.make_folder(folder, "--figures")
    for result in comparison.compare_all(tables.read(workdirs)):
        stem = f"{result.task}-{result.score}"
        drawing.png(figures.label_efficiency(result), folder / f"{stem}-curve.png")
        if result.differences:
            drawing.png(figures.differences(result), folder / f"{stem}-difference.png")
        if sections.has_cases(result):
            drawing.png(figures.boxes(result), folder / f"{stem}-cases.png")


def render(found: Tables, findings: Findings, workdirs: Sequence[Path]) -> str:
    """The page; equal files make equal pages."""
    return page.page("Finetuning report", _body(found, findings, workdirs))


def _body(found: Tables, findings: Findings, workdirs: Sequence[Path]) -> Iterator[str]:
    yield page.heading(1, "Finetuning report")
    yield page.paragraph(
        "What pretraining is worth with few labels: arms, fractions of labels and repetitions, on one test set.",
        "soft",
    )
    tasks = list(found.workdirs)
    entries = [(f"task-{number}", task) for number, task in enumerate(tasks)]
    yield page.contents([*entries, ("method", "method"), ("origin", "origin"), ("numbers", "all numbers")])
    for line in runs.seen(workdirs):
        yield page.paragraph(line, "note")
    for line in findings.first:
        yield page.paragraph(line, "lead")
    if not findings.results:
        yield page.paragraph("There are no results of the test split and the best checkpoint yet.", "note")
    for anchor, task in entries:
        yield page.heading(2, task, anchor)
        results = [result for result in findings.results if result.task == task]
        yield from sections.task(found, task, results, findings.reached[task])
    yield page.heading(2, "Method", "method")
    yield page.paragraph(summary.METHOD)
    yield page.heading(2, "Origin", "origin")
    for workdir in workdirs:
        yield from sections.origin(workdir)
    yield page.heading(2, "All numbers", "numbers")
    yield sections.numbers(found)


if __name__ == "__main__":
    raise SystemExit("python -m ssl3d_tf.evaluation.report is python -m ssl3d_tf.report since version 0.2.")
