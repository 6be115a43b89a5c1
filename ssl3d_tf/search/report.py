"""What a search found, on one page and in words: report.html and summary.md of its workdir."""

import ast
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from ssl3d_tf.data import files
from ssl3d_tf.evaluation import drawing, page, summary
from ssl3d_tf.evaluation.drawing import COLOURS, INK, style
from ssl3d_tf.evaluation.figures import WIDTH
from ssl3d_tf.search import trials
from ssl3d_tf.search.space import Choices, Numbers, Space
from ssl3d_tf.search.trials import Objective, Trial

NAME, SUMMARY = "report.html", "summary.md"
_COLUMNS = 3
NOTE = (
    "The best of many trials is better in validation than it will be on other cases, as luck chose it too. "
    "The test split was not read: finetuning with best.gin shows what the knobs are worth."
)


def write(workdir: Path, space: Space, objective: Objective, about: Mapping[str, str]) -> None:
    """Writes both files of the trials in `workdir`; `about`: name -> text, what the search is."""
    found = trials.read(workdir)
    for name, text in ((NAME, render(found, space, objective, about)), (SUMMARY, words(found, objective, about))):
        with files.atomic(workdir / name) as file:
            file.write(text.encode())


def render(found: Sequence[Trial], space: Space, objective: Objective, about: Mapping[str, str]) -> str:
    """The page."""
    return page.page("Search report", _body(found, space, objective, about))


def words(found: Sequence[Trial], objective: Objective, about: Mapping[str, str]) -> str:
    """summary.md."""
    facts = [f"- {name}: {text}" for name, text in about.items()]
    table = summary.markdown_table(_table(found, objective))
    return "\n\n".join(["# Search: summary", "\n".join(facts), table, NOTE]) + "\n"


def counts(found: Sequence[Trial]) -> str:
    """'20, 14 completed, 5 pruned, 1 failed'."""
    states = (trials.COMPLETED, trials.PRUNED, trials.FAILED, trials.RUNNING)
    numbers = {state: sum(trial.status == state for trial in found) for state in states}
    return f"{len(found)}, {', '.join(f'{count} {state}' for state, count in numbers.items() if count)}"


@style()
def scatter(found: Sequence[Trial], space: Space, objective: Objective) -> Figure:
    """The objective over the number of the trial, then over each knob; pruned trials are open, the best is a star."""
    rows = -(-(1 + len(space)) // _COLUMNS)
    figure = Figure(figsize=(WIDTH, 0.4 + 2.5 * rows), layout="constrained")
    grid = figure.subplots(rows, _COLUMNS, sharey=True, squeeze=False)
    panels = list(grid.flat)
    ordered = trials.ranked(found, objective)
    _history(panels[0], sorted(ordered), objective)
    for ax, (name, values) in zip(panels[1:], space.items(), strict=False):
        _knob(ax, ordered, name, values)
    for ax in panels[1 + len(space) :]:
        ax.set_visible(False)
    for row in grid:
        row[0].set_ylabel(objective.name)
    return figure


def _body(found: Sequence[Trial], space: Space, objective: Objective, about: Mapping[str, str]) -> Iterator[str]:
    yield page.heading(1, "Search report")
    yield page.paragraph(NOTE, "soft")
    yield page.facts(about.items())
    if trials.ranked(found, objective):
        yield page.heading(2, "Trials")
        caption = (
            f"{objective.name} by trial and by knob. Star: the best. Open: stopped early. Line: the best so far. "
            "Each point is one run: differences of neighbours may be chance."
        )
        yield page.figure(drawing.svg(scatter(found, space, objective), caption), caption)
    yield page.heading(2, "All trials, the best first")
    yield page.table(_table(found, objective))


def _table(found: Sequence[Trial], objective: Objective) -> list[list[str]]:
    ordered = trials.ranked(found, objective)
    return trials.rows([*ordered, *(trial for trial in found if trial not in ordered)], objective)


def _history(ax: Axes, ordered: Sequence[Trial], objective: Objective) -> None:
    _points(ax, list(range(1, len(ordered) + 1)), ordered, trials.ranked(ordered, objective)[:1])
    best = [trials.ranked(ordered[: place + 1], objective)[0].value for place in range(len(ordered))]
    ax.step(range(1, len(best) + 1), best, where="post", color=INK, linewidth=1)
    ax.set_xlabel("trial")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))


def _knob(ax: Axes, ordered: Sequence[Trial], name: str, values: Numbers | Choices) -> None:
    ax.set_xlabel(name)
    if isinstance(values, Choices):
        _points(ax, [values.texts.index(trial.knobs[name]) for trial in ordered], ordered, ordered[:1])
        ax.set_xticks(range(len(values.texts)), [text.strip("'") for text in values.texts])
        ax.set_xlim(-0.5, len(values.texts) - 0.5)
        return
    if values.log:
        _log(ax, values)
    elif values.whole:
        ax.locator_params(axis="x", integer=True)
    _points(ax, [ast.literal_eval(trial.knobs[name]) for trial in ordered], ordered, ordered[:1])


def _log(ax: Axes, values: Numbers) -> None:
    """A logarithmic axis with numbers as they are written; within two decades between its powers of ten too."""
    ax.set_xscale("log")
    ax.set_xlim(values.low / 1.1, values.high * 1.1)
    steps = (1.0,) if values.high > 100 * values.low else (1.0, 2.0, 5.0)
    ax.xaxis.set_major_locator(LogLocator(subs=steps))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")


def _points(ax: Axes, at: Sequence[float], ordered: Sequence[Trial], best: Sequence[Trial]) -> None:
    for x, trial in zip(at, ordered, strict=True):
        if not math.isfinite(trial.value):
            continue
        fill = "none" if trial.status == trials.PRUNED else COLOURS[0]
        marker, size = ("*", 13) if trial in best else ("o", 5)
        colour = COLOURS[1] if trial in best else COLOURS[0]
        face = colour if trial in best else fill
        ax.plot([x], [trial.value], marker=marker, markersize=size, color=colour, markerfacecolor=face, linestyle="")
