"""Places and turns in the words of whoever looks at them, by what lies at the two ends of every axis."""

import math

import numpy as np

from ssl3d_tf.task import Directions
from ssl3d_tf.views.patches import Grid
from ssl3d_tf.views.volumes import Turn


def from_middle(grid: Grid, number: int, directions: Directions) -> str:
    """Where the cell of patch `number` lies, seen from the middle: 'right-front-above'; of more 'right 2-above 1'."""
    cell = np.unravel_index(number, (grid.patches_per_side,) * grid.rank)
    half = grid.patches_per_side // 2
    steps = [(int(at) - half, start, end) for at, (_, start, end) in zip(cell, directions, strict=True)]
    words = [(end if step > 0 else start) + f" {abs(step)}" * (half > 1) for step, start, end in steps if step]
    return "-".join(words) or "middle"


def of_turn(turn: Turn, directions: Directions) -> str:
    """'rotated 90° about z: right → front', which is what lay at the end of an axis, and where it lies then."""
    rank = len(turn.axes)
    runs = [turn.axes.index(axis) for axis in range(rank)]  # along which axis of the result
    moved = [axis for axis in range(rank) if runs[axis] != axis or turn.flipped[axis]]
    if not moved:
        return "not rotated"
    angle, about = _angle(turn), ""
    if rank > len(moved):
        about = f" about {next(name for axis, (name, *_) in enumerate(directions) if axis not in moved)}"
        moved = moved[:1]  # the other one follows
    elif rank == 2:
        moved = moved[:1]
    else:
        about = " about a diagonal"
    if angle == 180 and len(moved) == 1:
        return f"rotated 180°{about}"
    places = [(axis, runs[axis], turn.flipped[runs[axis]]) for axis in moved]
    arrows = [f"{directions[old][2]} → {directions[new][1 if is_back else 2]}" for old, new, is_back in places]
    return f"rotated {angle}°{about}: {', '.join(arrows)}"


def _angle(turn: Turn) -> int:
    """Degrees in 0 … 180: the trace of a rotation is 2 cos of it, and 1 more in 3D."""
    trace = sum(1 - 2 * turn.flipped[axis] for axis, old in enumerate(turn.axes) if old == axis)
    return round(math.degrees(math.acos((trace - (len(turn.axes) - 2)) / 2)))
