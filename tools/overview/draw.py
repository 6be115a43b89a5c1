"""Grey and colour pictures of stored examples, with mask outlines: for the contact sheet and for --show."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from ssl3d_tf.data.records import colours, reading, upright
from ssl3d_tf.data.records.manifest import Manifest
from ssl3d_tf.data.records.schema import Example

CAPTION_PX = 14
MARK = (255, 170, 0)  # frame and word of what looks wrong
MARK_PX = 3
PAPER, GAP_PX = (58, 58, 62), 2  # around pictures: black would look like air
SIDE = (255, 255, 255)  # letters: L, R and so on of the patient
SAMPLE = 100_000  # values that the display range is taken from
MOST_CLASSES = 40  # of a legend


class Plane(NamedTuple):
    """A picture of one plane.

    pixels: uint8 [rows, columns, 3]. sides: of the patient, at the left and the right edge; none if not known. name:
    'axial' and so on, '' if not known. mm: height and width of a pixel.
    """

    pixels: np.ndarray
    sides: tuple[str, ...] = ()
    name: str = ""
    mm: tuple[float, float] = (1.0, 1.0)


def planes(example: Example, classes: Iterable[int], *, neurological: bool = False) -> list[Plane]:
    """The three middle planes of a volume, or the image itself, as `upright` has them, with mask outlines.

    Args:
        classes: values of the masks of all of the data, as of `names`; others are not outlined.
    """
    rank = example.volume.ndim - 1
    low, high = _display_range(example)
    palette = colours.of_classes(classes)
    pictures = []
    for plane in upright.of_record(example.source, rank, neurological=neurological):
        values = np.clip((_shown(upright.cut(plane, example.volume), example) - low) / (high - low or 1), 0, 1)
        picture = np.broadcast_to(values * 255, (*values.shape[:2], 3)).astype(np.uint8)
        if example.mask is not None:
            _outline(picture, upright.cut(plane, example.mask), palette)
        height, width = (example.spacing_mm[axis] for axis in plane.axes())
        pictures.append(Plane(picture, plane.sides, plane.name, (height, width)))
    return pictures


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
    canvas = Image.new("RGB", (size, size + CAPTION_PX), PAPER)
    extents = [count * mm for count, mm in zip(plane.pixels.shape, plane.mm, strict=False)]
    height, width = (max(1, round(extent / max(extents) * (size - 2 * GAP_PX))) for extent in extents)
    fitted = Image.fromarray(plane.pixels).resize((width, height), Image.Resampling.NEAREST)
    canvas.paste(fitted, ((size - width) // 2, (size - height) // 2))
    drawing = ImageDraw.Draw(canvas)
    edges = ((size - width) // 2 + 2 + MARK_PX, (size + width) // 2 - 2 - MARK_PX)
    for side, place, anchor in zip(plane.sides, edges, ("lm", "rm"), strict=False):
        drawing.text((place, size // 2), side, fill=SIDE, anchor=anchor, stroke_width=1, stroke_fill=(0, 0, 0))
    while len(caption) > 1 and drawing.textlength(caption) > size - 4:
        caption = caption[1:]  # the end of an id tells more than its beginning
    drawing.text((2, size + 1), caption, fill=(255, 255, 255))
    if mark:
        drawing.rectangle((0, 0, size - 1, size - 1), outline=MARK, width=MARK_PX)
        drawing.rectangle((0, 0, min(size - 1, drawing.textlength(mark) + 8), CAPTION_PX + 1), fill=MARK)
        drawing.text((4, 1), mark, fill=(0, 0, 0))
    return canvas


def legend(names: Mapping[int, str], width: int) -> Image.Image:
    """Names of the classes, by mask value, each beside its colour, in lines of so many pixels; empty of one class."""
    keys = [(" ".join(names[value].split()), colour) for value, colour in colours.of_classes(names).items()]
    if len(keys) > MOST_CLASSES:
        keys = [*keys[:MOST_CLASSES], (f"and {len(keys) - MOST_CLASSES} more", PAPER)]
    canvas = Image.new("RGB", (width, CAPTION_PX * len(keys)), PAPER)
    drawing, left, top = ImageDraw.Draw(canvas), 2, 0
    for name, colour in keys:
        room = 2 * CAPTION_PX + int(drawing.textlength(name))
        left, top = (2, top + CAPTION_PX) if left > 2 and left + room > width else (left, top)
        drawing.rectangle((left, top + 3, left + 8, top + 10), fill=colour)
        drawing.text((left + CAPTION_PX, top + 1), name, fill=(255, 255, 255))
        left += room
    return canvas.crop((0, 0, width, top + CAPTION_PX if len(keys) > 1 else 0))


def names(data: Manifest) -> dict[int, str]:
    """Mask value -> name of the classes that are drawn: none where there are no masks, but labels of whole scans."""
    known = {int(value): name for value, name in data.classes.items() if data.mask_dtypes}
    return {value: name for value, name in known.items() if value not in (0, data.ignore_label)}


def sheet(tiles: list[Image.Image], columns: int, names: Mapping[int, str]) -> Image.Image:
    """All `tiles`, which are of one size, in rows, and below them the legend of these classes."""
    width, height = tiles[0].size
    wide, high = width * min(columns, len(tiles)), height * -(-len(tiles) // columns)
    below = legend(names, wide)
    canvas = Image.new("RGB", (wide, high + below.height), PAPER)
    canvas.paste(below, (0, high))
    for number, one in enumerate(tiles):
        canvas.paste(one, (number % columns * width, number // columns * height))
    return canvas


def _outline(picture: np.ndarray, mask: np.ndarray, palette: Mapping[int, tuple[int, int, int]]) -> None:
    edge = _edge(mask)
    for value, colour in palette.items():
        picture[edge & (mask == value)] = colour


def _edge(mask: np.ndarray) -> np.ndarray:
    """Labelled pixels with a neighbour of another label."""
    padded = np.pad(mask, 1, mode="edge")
    neighbours = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    return (mask > 0) & np.any([mask != other for other in neighbours], axis=0)
