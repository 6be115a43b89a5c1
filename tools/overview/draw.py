"""Grey and colour pictures of stored examples, with mask outlines: for the contact sheet and for --show."""

from typing import NamedTuple

import numpy as np
from nibabel.orientations import aff2axcodes
from PIL import Image, ImageDraw

from ssl3d_tf.data.records import reading
from ssl3d_tf.data.records.schema import Example

OUTLINES = ((255, 80, 80), (80, 220, 80), (90, 150, 255), (255, 210, 60), (230, 100, 240), (80, 230, 230))
CAPTION_PX = 14
MARK = (255, 170, 0)  # frame and word of what looks wrong
MARK_PX = 3
SIDE = (255, 255, 255)  # letters: L, R and so on of the patient
SAMPLE = 100_000  # values that the display range is taken from
PLANES = ("axial", "coronal", "sagittal")


class Plane(NamedTuple):
    """pixels: uint8 [rows, columns, 3]. sides: of the patient, at the left and the right edge; none if not known."""

    pixels: np.ndarray
    sides: tuple[str, ...] = ()


def planes(example: Example, *, ignore_label: int | None = None) -> list[Plane]:
    """The three middle planes of a volume, or the image itself, with mask outlines.

    Volumes with an orientation are RAS+ and shown with front and head up; others as their axes lie. Where the mask has
    the `ignore_label` there is none.
    """
    spatial = example.volume.shape[:-1]
    is_ras = example.source.get("orientation") is not None
    cuts = [(slice(None),) * axis + (size // 2,) for axis, size in enumerate(spatial)] if len(spatial) == 3 else [()]
    low, high = _display_range(example)
    pictures = []
    for cut in reversed(cuts) if is_ras else cuts:
        values = np.clip((_shown(example.volume[cut], example) - low) / (high - low or 1), 0, 1)
        mask = None if example.mask is None else np.where(example.mask[cut] == ignore_label, 0, example.mask[cut])
        picture = _picture(values, mask, is_ras)
        across = next(axis for axis in range(len(spatial)) if cut[axis : axis + 1] in ((), (slice(None),)))
        pictures.append(Plane(picture, _sides(example, across) if is_ras else ()))
    return pictures


def _sides(example: Example, axis: int) -> tuple[str, ...]:
    """The sides of the patient that the first and the last voxel of a stored axis lie on."""
    (end,) = aff2axcodes(example.affine)[axis : axis + 1]
    return tuple(other for pair in ("LR", "PA", "IS") if end in pair for other in (pair.replace(end, ""), end))


def _display_range(example: Example) -> tuple[float, float]:
    """The 0.5th and 99.5th percentile of the intensities; the whole range where they are one value."""
    flat = example.volume.reshape(-1, example.volume.shape[-1])
    low, high = np.percentile(_shown(flat[:: max(1, example.volume.size // SAMPLE)], example), (0.5, 99.5))
    if high > low:
        return low, high
    ends = _shown(np.stack([flat.min(axis=0), flat.max(axis=0)]), example)
    return ends.min(), ends.max()


def _shown(stored: np.ndarray, example: Example) -> np.ndarray:
    """Intensities of the channels that are drawn: [..., 3 or 1]."""
    values = reading.intensities(stored, example)
    return values if values.shape[-1] == 3 else values[..., :1]


def tile(plane: Plane, caption: str, size: int, *, mark: str = "") -> Image.Image:
    """`plane` fitted into a square of `size` pixels, its sides lettered, with a caption below.

    With a `mark` it is framed and named so.
    """
    picture = plane.pixels
    canvas = Image.new("RGB", (size, size + CAPTION_PX))
    scale = size / max(picture.shape[:2])
    height, width = (max(1, round(extent * scale)) for extent in picture.shape[:2])
    fitted = Image.fromarray(picture).resize((width, height), Image.Resampling.NEAREST)
    canvas.paste(fitted, ((size - width) // 2, (size - height) // 2))
    drawing = ImageDraw.Draw(canvas)
    for side, place, anchor in zip(plane.sides, (2 + MARK_PX, size - 2 - MARK_PX), ("lm", "rm"), strict=False):
        drawing.text((place, size // 2), side, fill=SIDE, anchor=anchor, stroke_width=1, stroke_fill=(0, 0, 0))
    while len(caption) > 1 and drawing.textlength(caption) > size - 4:
        caption = caption[1:]  # the end of an id tells more than its beginning
    drawing.text((2, size + 1), caption, fill=(255, 255, 255))
    if mark:
        drawing.rectangle((0, 0, size - 1, size - 1), outline=MARK, width=MARK_PX)
        drawing.rectangle((0, 0, min(size - 1, drawing.textlength(mark) + 8), CAPTION_PX + 1), fill=MARK)
        drawing.text((4, 1), mark, fill=(0, 0, 0))
    return canvas


def sheet(tiles: list[Image.Image], columns: int) -> Image.Image:
    """All `tiles`, which are of one size, in rows."""
    width, height = tiles[0].size
    canvas = Image.new("RGB", (width * min(columns, len(tiles)), height * -(-len(tiles) // columns)))
    for number, one in enumerate(tiles):
        canvas.paste(one, (number % columns * width, number // columns * height))
    return canvas


def _picture(values: np.ndarray, mask: np.ndarray | None, is_ras: bool) -> np.ndarray:
    picture = np.broadcast_to(values * 255, (*values.shape[:2], 3)).astype(np.uint8)
    if mask is not None:
        edge = _edge(mask)
        picture[edge] = np.array(OUTLINES, np.uint8)[(mask[edge].astype(int) - 1) % len(OUTLINES)]
    # First RAS axis to the right, second upwards.
    return np.ascontiguousarray(picture.swapaxes(0, 1)[::-1]) if is_ras else picture


def _edge(mask: np.ndarray) -> np.ndarray:
    """Labelled pixels with a neighbour of another label."""
    padded = np.pad(mask, 1, mode="edge")
    neighbours = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    return (mask > 0) & np.any([mask != other for other in neighbours], axis=0)
