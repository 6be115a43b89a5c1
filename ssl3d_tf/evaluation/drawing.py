"""matplotlib figures as inline SVG that takes the colours of ink and paper from the page it stands in, and as PNG."""

import html
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ssl3d_tf.data import files
from ssl3d_tf.evaluation.tables import SCRATCH, Arm

INK, FAINT = "#010203", "#010204"  # stand-ins, replaced by the page's own
_SHADE = 0.45  # how much of a class's colour covers the scan
# Okabe & Ito, 2008: told apart with every kind of colour blindness; each has a marker of its own too.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
MARKERS = ("o", "s", "^", "D", "v", "P")
_GREY = "#888888"
_RC: dict[Any, Any] = {
    "text.parse_math": False,  # a $ in a name is a $
    "svg.fonttype": "none",
    "svg.hashsalt": "ssl3d_tf",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
    "axes.titlecolor": INK,
}


@contextmanager
def style() -> Iterator[None]:
    """The style of the report, for a block or, as a decorator, for a function that draws."""
    with matplotlib.rc_context(_RC):
        yield


def svg(figure: Figure, label: str) -> str:
    """An <svg> element as wide as its place, `label` for who cannot see it; equal figures give equal text."""
    buffer = io.StringIO()
    with style():
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*"', "<g", text)  # the same in every figure, and read by nobody
    text = re.sub(r' width="[\d.]+pt"| height="[\d.]+pt"', "", text, count=2)
    text = text.replace("font-family: 'DejaVu Sans'; ", "")  # the page's, which has others to fall back to
    text = text.replace(INK, "currentColor").replace(FAINT, "var(--faint)")
    return text.replace("<svg", f'<svg role="img" aria-label="{html.escape(label)}"', 1)


def png(figure: Figure, path: Path) -> None:
    """Writes the figure on white paper; equal figures give equal files."""
    for line in figure.findobj(Line2D):
        if line.get_color() == FAINT:
            line.set_color("#d8dee4")
    with files.atomic(path) as file:
        figure.savefig(file, format="png", dpi=100, metadata={"Software": None})


def colour_and_marker(one: Arm, encoders: Sequence[str]) -> tuple[str, str]:
    """Of an arm, by the place of its encoder among all; no encoder has neither."""
    if one == SCRATCH:
        return INK, "x"
    if one.encoder not in encoders:
        return _GREY, "."
    place = encoders.index(one.encoder)
    again = place // len(COLOURS)  # the colours: then with other markers
    return COLOURS[place % len(COLOURS)], MARKERS[(place + again) % len(MARKERS)]


def shade(picture: np.ndarray, inside: np.ndarray, colour: Sequence[float]) -> None:
    """Covers a part of a picture, [*plane, 3] where it lies, with a colour of its range, so that the scan still shows.

    inside: bool [*plane].
    """
    picture[inside] = (1 - _SHADE) * picture[inside] + _SHADE * np.array(colour)
