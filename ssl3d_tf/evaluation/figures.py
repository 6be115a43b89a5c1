"""The figures of a report, each a function from numbers to one matplotlib figure.

Colour and marker say the encoder, a panel the use of its weights; scratch is drawn dashed in every panel.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

from ssl3d_tf.evaluation import comparison, one_class, scales, statistics
from ssl3d_tf.evaluation.comparison import Comparison
from ssl3d_tf.evaluation.drawing import INK, colour_and_marker, style
from ssl3d_tf.evaluation.runs import Curve
from ssl3d_tf.evaluation.scales import Scale
from ssl3d_tf.evaluation.tables import SCRATCH, Arm

WIDTH = 9.6  # inches; the page scales it


@style()
def label_efficiency(result: Comparison) -> Figure:
    """Mean score over the number of labelled cases, a band for its 95 % interval."""
    figure, axes = _panels(result, height=3.3)
    for init, ax in axes.items():
        for one in _of_panel(result, init):
            keys = [key for key in result.fractions if (one, key) in result.estimates]
            found = [result.estimates[one, key] for key in keys]
            if not found:  # undefined in every run, as the AUC of one class is
                continue
            at = [result.labelled[key] for key in keys]
            colour, marker = colour_and_marker(one, _encoders(result.arms))
            low, high = zip(*(estimate.interval for estimate in found), strict=True)
            ax.fill_between(at, low, high, color=colour, alpha=0.16, linewidth=0)
            ax.plot(at, [estimate.mean for estimate in found], **_line(one, colour, marker))
        if result.constant is not None:
            ax.axhline(result.constant, color=INK, linewidth=1, linestyle=":", label=one_class.NAME)
        _labelled_axis(ax, result)
    first = next(iter(axes.values()))
    first.set_ylabel(result.score)
    _within(first, scales.of(result.score), axis="y")
    _legend(figure, result)
    return figure


@style()
def differences(result: Comparison) -> Figure:
    """Difference to scratch over the number of labelled cases, with 95 % intervals; 0 is scratch."""
    figure, axes = _panels(result, height=3.0)
    encoders = _encoders(result.arms)
    for init, ax in axes.items():
        ax.axhline(0, color=INK, linewidth=1, linestyle="--")
        shown = [one for one in _of_panel(result, init) if one != SCRATCH]
        for place, one in enumerate(shown):
            keys = [key for key in result.fractions if (one, key) in result.differences]
            found = [result.differences[one, key] for key in keys]
            if not found:  # of an experiment that is under way
                continue
            aside = 1.06 ** (place - (len(shown) - 1) / 2)  # so that intervals do not hide each other
            at = [result.labelled[key] * aside for key in keys]
            colour, marker = colour_and_marker(one, encoders)
            ax.vlines(at, *zip(*(estimate.interval for estimate in found), strict=True), color=colour, linewidth=1.6)
            ax.plot(at, [estimate.mean for estimate in found], color=colour, marker=marker, linestyle="none")
        _labelled_axis(ax, result)
    first = next(iter(axes.values()))
    first.set_ylabel(f"{result.score}, less scratch")
    _within(first, scales.of_difference(result.score), axis="y")
    _legend(figure, result)
    return figure


@style()
def learning_curves(curves: Mapping[tuple[Arm, float], Sequence[Curve]], arms: Sequence[Arm]) -> Figure:
    """Validation over steps: mean of the repetitions, a band from the lowest to the highest; one column a fraction."""
    fractions = _some(sorted({fraction for _, fraction in curves}))
    rows = uses([one for one in arms if any((one, fraction) in curves for fraction in fractions)])
    figure = Figure(figsize=(WIDTH, 0.9 + 1.9 * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), len(fractions), sharex=True, sharey="row", squeeze=False)
    for row, init in zip(grid, rows, strict=True):
        for ax, fraction in zip(row, fractions, strict=True):
            for one in arms:
                if one in (SCRATCH, Arm(one.encoder, init)) and (one, fraction) in curves:
                    _curve(ax, curves[one, fraction], one, _encoders(arms))
            ax.set_title(f"{init}, {fraction:.3g} % of labels" if init else f"{fraction:.3g} % of labels")
        name = next(iter(curves.values()))[0].name
        row[0].set_ylabel(name)
        _within(row[0], scales.of(name.removeprefix("val_")), axis="y")
    for ax in grid[-1]:
        ax.set_xlabel("step")
    handles, labels = _handles(grid.flat)
    figure.legend(handles, labels, loc="outside lower center", ncols=6)
    return figure


@style()
def boxes(result: Comparison) -> Figure:
    """Scores of the test cases, each averaged over the repetitions: median, quartiles, 1.5 quartile ranges, all."""
    fractions = _some(result.fractions, 2)
    figure = Figure(figsize=(WIDTH, 1.0 + 0.27 * len(result.arms)), layout="constrained")
    panels = figure.subplots(1, len(fractions), sharex=True, sharey=True, squeeze=False)[0]
    rng = np.random.default_rng(0)
    for ax, fraction in zip(panels, fractions, strict=True):
        for place, one in enumerate(result.arms):
            scores = statistics.mean_of_cases(result.values[one][result.fractions.index(fraction)].T)
            scores = scores[~np.isnan(scores)]
            colour, _ = colour_and_marker(one, _encoders(result.arms))
            ax.scatter(scores, place + rng.uniform(-0.2, 0.2, len(scores)), s=5, color=colour, alpha=0.45, linewidths=0)
            parts = ax.boxplot([scores], positions=[place], orientation="horizontal", widths=0.62, showfliers=False)
            for line in (line for lines in parts.values() for line in lines):
                line.set(color=colour, linewidth=1.3)
        ax.set_title(f"{fraction:.3g} % of labels")
        ax.set_xlabel(f"{result.score} of a test case")
        ax.locator_params(axis="x", nbins=6)
        ax.grid(visible=False, axis="y")
    _within(panels[0], scales.of(result.score), axis="x")
    panels[0].set_yticks(range(len(result.arms)), [comparison.name(one) for one in result.arms])
    panels[0].invert_yaxis()
    return figure


@style()
def confusion(counts: Mapping[str, np.ndarray], classes: Sequence[int]) -> Figure:
    """Matrices [true, predicted] side by side: the shade is the share of the true class, the number the count.

    Args:
        classes: what rows and columns are called.
    """
    columns = min(4, len(counts))
    rows = -(-len(counts) // columns)
    figure = Figure(figsize=(WIDTH * columns / 4, 2.6 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for ax, (title, matrix) in zip(grid.flat, counts.items(), strict=False):
        shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
        ax.pcolormesh(shares, cmap="Blues", vmin=0, vmax=1, edgecolors="white", linewidth=0.5)
        for (true, predicted), count in np.ndenumerate(matrix):
            ink = "white" if shares[true, predicted] > 0.55 else "#222222"
            ax.text(predicted + 0.5, true + 0.5, str(count), ha="center", va="center", color=ink, fontsize=8)
        ticks = np.arange(len(matrix))
        ax.set(xticks=ticks + 0.5, yticks=ticks + 0.5, xticklabels=classes, yticklabels=classes, aspect="equal")
        ax.set(title=title, xlabel="predicted", ylabel="true")
        ax.grid(visible=False)
        ax.invert_yaxis()
    for ax in list(grid.flat)[len(counts) :]:
        ax.set_visible(False)
    return figure


def _panels(result: Comparison, *, height: float) -> tuple[Figure, dict[str, Axes]]:
    inits = uses(result.arms)
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.subplots(1, len(inits), sharex=True, sharey=True, squeeze=False)[0]
    for init, ax in zip(inits, axes, strict=True):
        ax.set_title(init)
    return figure, dict(zip(inits, axes, strict=True))


def _labelled_axis(ax: Axes, result: Comparison) -> None:
    counts = [result.labelled[fraction] for fraction in result.fractions]
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(FixedLocator(counts))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xticks(counts, [f"{count:g}" for count in counts])
    ax.set_xlabel("labelled cases")


def _within(ax: Axes, scale: Scale, *, axis: str) -> None:
    """Ends an axis, and all that share it, where the score ends; what lies at the very end stays whole."""
    for line in (part for each in ax.figure.axes for part in (*each.lines, *each.collections)):
        line.set_clip_on(False)
    low, high = getattr(ax, f"get_{axis}lim")()
    if low < scale.high and high > scale.low:  # else it is no such score: everything is outside
        getattr(ax, f"set_{axis}lim")(max(low, scale.low), min(high, scale.high))


def _curve(ax: Axes, curves: Sequence[Curve], one: Arm, encoders: Sequence[str]) -> None:
    """Of one arm; the steps are those that all repetitions have."""
    steps = sorted(set.intersection(*(set(curve.steps) for curve in curves)))
    values = np.array([[dict(zip(curve.steps, curve.values, strict=True))[step] for step in steps] for curve in curves])
    colour, marker = colour_and_marker(one, encoders)
    ax.fill_between(steps, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.13, linewidth=0)
    ax.plot(steps, values.mean(axis=0), **_line(one, colour, marker if len(steps) == 1 else None))  # no line is seen


def _line(one: Arm, colour: str, marker: str | None) -> dict[str, Any]:
    label = "scratch" if one == SCRATCH else one.encoder or "random weights"
    return {"color": colour, "marker": marker, "linestyle": "--" if one == SCRATCH else "-", "label": label}


def _legend(figure: Figure, result: Comparison) -> None:
    shown = {("scratch" if one == SCRATCH else one.encoder or "random weights"): one for one in result.arms}
    handles = []
    for label, one in shown.items():
        colour, marker = colour_and_marker(one, _encoders(result.arms))
        handles.append(figure.axes[0].plot([], [], **_line(one, colour, marker) | {"label": label})[0])
    known = dict(zip(*figure.axes[0].get_legend_handles_labels()[::-1], strict=True))
    handles += [known[one_class.NAME]] if one_class.NAME in known else []
    figure.legend(handles=handles, loc="outside lower center", ncols=6)


def _handles(axes: Iterable[Axes]) -> tuple[list[Artist], list[str]]:
    found: dict[str, Artist] = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    return list(found.values()), list(found)


def _of_panel(result: Comparison, init: str) -> list[Arm]:
    return [one for one in result.arms if one == SCRATCH or one.init == init]


def uses(arms: Sequence[Arm]) -> list[str]:
    """Uses of the weights, without scratch; the nameless one where there is nothing else."""
    return list(dict.fromkeys(one.init for one in arms if one != SCRATCH)) or [""]


def _encoders(arms: Sequence[Arm]) -> list[str]:
    return list(dict.fromkeys(one.encoder for one in arms if one.encoder))


def _some(fractions: Sequence[float], count: int = 3) -> list[float]:
    """The smallest, the largest and those halfway, at most `count`."""
    places = np.unique(np.linspace(0, len(fractions) - 1, min(count, len(fractions))).round().astype(int))
    return [fractions[place] for place in places]
