"""The jobs, as constants that every peer reads; imports nothing that a peer's environment may lack.

Volumes are cubes of SIDE voxels, one channel, int16 from 0 to 4095. A batch has BATCH volumes, float32, scaled by each
volume's own range to [0, 1]; the place of the channel axis is the library's.
"""

from typing import NamedTuple

SIDE, BATCH, TOP = 128, 4, 4095
GRID, CELL, PATCH = 126, 42, 39  # J1: the middle, cells per axis of it, patches that lie anywhere in their cell
CROP = 96
DEGREES, P_ROTATION = 15.0, 0.5
BRIGHTNESS, CONTRAST, P_INTENSITY = 0.125, (0.5, 1.5), 0.7
NOISE, P_NOISE = 0.1, 0.2
ZOOM = 0.2
CPC_SIDE, CPC_PATCH, CPC_CROP = 4, 32, 28  # patches per axis, their side, the crop that is put back in the middle


class Job(NamedTuple):
    """What it is, and the shape of a batch without its channel axis; −1 is any number."""

    about: str
    shape: tuple[int, ...]


JOBS = {
    "read": Job("whole volumes", (BATCH, SIDE, SIDE, SIDE)),
    "grid": Job(
        "3 × 3 × 3 cells of 42³ of the middle 126³, a patch of 39³ anywhere in each", (BATCH, 27, *(PATCH,) * 3)
    ),
    "exact": Job("random crop to 96³, flips, quarter turns in all planes", (BATCH, *(CROP,) * 3)),
    "augment": Job(
        "random crop to 96³, flips, rotation by ±15° (trilinear, p .5), brightness and contrast (p .7), noise (p .2)",
        (BATCH, *(CROP,) * 3),
    ),
    "turns": Job("whole volumes, quarter turns in one of three planes", (BATCH, SIDE, SIDE, SIDE)),
    "exemplar": Job(
        "whole volumes, flips, rotation by ±180° and zoom by .8 to 1.2 (trilinear), brightness and contrast (p .7)",
        (BATCH, SIDE, SIDE, SIDE),
    ),
    "cpc": Job(
        "64 patches of 32³ of a view cropped to 95 % and framed, each flipped (p .5), cropped to 28³ and framed; the "
        "published program copies them into 320 places of contexts, and into 64 of targets",
        (BATCH, -1, *(CPC_PATCH,) * 3),
    ),
}
