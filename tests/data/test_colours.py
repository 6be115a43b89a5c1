"""Colours of classes: each its own, the same one everywhere, told apart by everybody."""

import itertools

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb

from ssl3d_tf.data.records import colours

# What protanopes and deuteranopes see of linear RGB: Machado et al., 2009, severity 1.
SEEN = {
    "all": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def lab(linear):
    """CIELAB of linear RGB."""
    x, y, z = np.cbrt(XYZ @ np.clip(linear, 1e-3, 1) / (0.9505, 1, 1.089))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize(("eyes", "apart"), [("all", 15), ("protan", 9), ("deutan", 9)])
def test_any_two_of_more_than_twenty_are_told_apart(eyes, apart):
    shares = np.array([to_rgb(colour) for colour in colours.PALETTE])
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    seen = [lab(np.array(SEEN[eyes]) @ one) for one in linear]
    assert len(seen) > 20
    assert min(np.linalg.norm(one - other) for one, other in itertools.combinations(seen, 2)) > apart


def test_those_behind_okabe_and_ito_are_matplotlib_s():
    known = {to_hex(one) for name in ("tab20", "tab20b", "tab20c") for one in matplotlib.color_sequences[name]}
    assert set(colours.PALETTE[7:]) <= known


def test_a_value_keeps_its_colour_whatever_others_there_are():
    some, others = colours.of_classes([0, 1, 7]), colours.of_classes(range(20))
    assert some == {value: others[value] for value in (1, 7)}
    assert len(set(others.values())) == len(others) == 19


def test_large_values_take_what_is_left_and_the_background_none():
    found = colours.of_classes([0, 2, 41, 255, 1001])
    assert list(found) == [2, 41, 255, 1001]
    assert len(set(found.values())) == 4
    assert len(colours.of_classes(range(1, 100))) == 99
