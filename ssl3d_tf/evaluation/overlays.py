"""Which test cases to look at, and one picture of each: where prediction and reference differ, in three planes."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ssl3d_tf.data import files
from ssl3d_tf.data.records.placement import PLANES
from ssl3d_tf.evaluation import drawing, runs, scales

_SHADE = 0.45  # how much of the prediction's colour covers the scan


def choose(cases: Sequence[tuple[str, str, str, float]], label: str) -> dict[str, str]:
    """Name of `runs.OVERLAYS` -> case, by the first score in `cases` (case, score, class, value) of class `label`.

    Empty where no case has a score; ties are in the order of the names of cases.
    """
    name = cases[0][1] if cases else ""
    found = [(value, case) for case, score, of, value in cases if (score, of) == (name, label) and not np.isnan(value)]
    ranked = [case for _, case in sorted(found, reverse=not scales.of(name).lower_is_better)]
    if not ranked:
        return {}
    return dict(zip(runs.OVERLAYS, (ranked[0], ranked[len(ranked) // 2], ranked[-1]), strict=True))


@drawing.style()
def draw(
    path: Path,
    *,
    title: str,
    volume: np.ndarray,
    truth: np.ndarray | None,
    predicted: np.ndarray,
    spacing_mm: Sequence[float],
    is_ras: bool,
    classes: Mapping[int, str],
) -> None:
    """Writes the PNG: the prediction as a shade, the reference as an outline, one colour per class.

    Args:
        volume: [*spatial], 2D or 3D. truth, predicted: int [*spatial]; None where there is no reference.
        is_ras: front and head are then up, the patient's right on the right, as in the contact sheet.
        classes: value of the mask -> name, without the background; other values are not drawn.
    """
    colours = {value: drawing.COLOURS[place % len(drawing.COLOURS)] for place, value in enumerate(classes)}
    low, high = np.percentile(volume, (0.5, 99.5))
    cuts = (
        [()]
        if volume.ndim == 2
        else [(slice(None),) * axis + (at,) for axis, at in enumerate(_centre([truth, predicted], classes))]
    )
    figure = Figure(figsize=(4.2, 4.6) if len(cuts) > 1 else (4.2, 4.4), layout="constrained")
    figure.suptitle(title, fontsize=9)
    panels = list(figure.subplots(2, 2).flat) if len(cuts) > 1 else [figure.subplots()]
    for ax in panels:
        ax.set_axis_off()
    for axis, (ax, cut) in enumerate(zip(panels, cuts, strict=False)):
        across = [mm for other, mm in enumerate(spacing_mm) if len(cuts) == 1 or other != axis]
        grey = np.clip((volume[cut] - low) / (high - low or 1), 0, 1)
        outlined = None if truth is None else truth[cut]
        _plane(ax, grey, outlined, predicted[cut], across, upright=is_ras, colours=colours)
        if len(cuts) > 1 and is_ras:
            ax.set_title(PLANES[axis], fontsize=8)
    handles = [Patch(color=colours[value], label=name) for value, name in classes.items()]
    handles += [Patch(facecolor="#888888", alpha=_SHADE, label="prediction")]
    handles += [] if truth is None else [Patch(fill=False, label="reference")]
    figure.legend(handles=handles, loc="lower right" if len(cuts) > 1 else "outside lower center", fontsize=8)
    with files.atomic(path) as file:
        figure.savefig(file, format="png", dpi=100, metadata={"Software": None})


def _plane(
    ax: Axes,
    grey: np.ndarray,
    truth: np.ndarray | None,
    predicted: np.ndarray,
    spacing_mm: Sequence[float],
    *,
    upright: bool,
    colours: Mapping[int, str],
) -> None:
    picture = np.repeat(grey[..., None], 3, axis=-1)
    for value in np.unique(predicted[np.isin(predicted, list(colours))]):
        inside = predicted == value
        picture[inside] = (1 - _SHADE) * picture[inside] + _SHADE * np.array(to_rgb(colours[int(value)]))
    # First RAS axis to the right, second upwards; of pictures, rows down and columns to the right.
    turned = (lambda image: image.swapaxes(0, 1)) if upright else (lambda image: image)
    ratio = spacing_mm[1] / spacing_mm[0]
    ax.imshow(
        turned(picture),
        origin="lower" if upright else "upper",
        aspect=ratio if upright else 1 / ratio,
        interpolation="nearest",
    )
    for value in () if truth is None else np.unique(truth[np.isin(truth, list(colours))]):
        ax.contour(turned(truth == value).astype(float), levels=[0.5], colors=[colours[int(value)]], linewidths=1.4)


def _centre(masks: Sequence[np.ndarray | None], classes: Iterable[int]) -> tuple[int, ...]:
    """The voxel in the middle of the foreground of the first mask that has any; of the volume where none has."""
    shape: tuple[int, ...] = ()
    for mask in (mask for mask in masks if mask is not None):
        shape, found = mask.shape, np.isin(mask, list(classes))
        if count := np.count_nonzero(found):  # axis by axis: places of all voxels would be several times the scan
            others = [tuple(other for other in range(mask.ndim) if other != axis) for axis in range(mask.ndim)]
            along = [np.count_nonzero(found, axis=axes) for axes in others]
            return tuple(int(np.rint(np.arange(len(each)) @ each / count)) for each in along)
    return tuple(side // 2 for side in shape)
