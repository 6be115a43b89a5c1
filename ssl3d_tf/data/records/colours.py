"""The colour of a class, the same one in every picture of it."""

import itertools
from collections.abc import Iterable

# Okabe & Ito, 2008, told apart with every kind of colour blindness; then of matplotlib's tab20, tab20b and tab20c those
# that lie furthest from all before: any two differ by 15 in CIELAB, and by 9 as protanopes and deuteranopes see them.
PALETTE = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#f0e442", "#c7e9c0", "#843c39", "#b5cf6b"),
    *("#9edae5", "#8c6d31", "#7b4173", "#74c476", "#e7969c", "#17becf", "#d62728", "#d6616b", "#bd9e39", "#8ca252"),
    *("#fdd0a2", "#a55194"),
)


def of_classes(values: Iterable[int]) -> dict[int, tuple[int, int, int]]:
    """Mask value -> red, green, blue in 0 … 255, without the background 0.

    Values up to the number of colours have their own, whatever others there are; larger ones, as of FreeSurfer, take
    those that are left, in order, and share colours only when all are taken.
    """
    known = sorted({value for value in values if value > 0})
    found = {value: PALETTE[value - 1] for value in known if value <= len(PALETTE)}
    left = [colour for colour in PALETTE if colour not in found.values()] or PALETTE
    found |= zip((value for value in known if value not in found), itertools.cycle(left), strict=False)
    return {value: _rgb(found[value]) for value in known}


def as_shares(colour: tuple[int, int, int]) -> tuple[float, float, float]:
    """0 … 255 -> 0 … 1."""
    red, green, blue = colour
    return red / 255, green / 255, blue / 255


def _rgb(text: str) -> tuple[int, int, int]:
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:], 16)
