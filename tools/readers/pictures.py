"""Pictures (.png, .jpg, .tif): 2D, or 3D where a TIFF has several pages. What their pixels mean is in `pixels`."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from tools.readers import limits, pixels
from tools.readers.contract import Kind, Probe, UnusableFileError, Volume, plain_volume

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
# Bytes that one byte of the file can become. 24: one bit per pixel, read as a colour. A TIFF says how it is compressed;
# a blank line of a fax is one bit.
MOST_TIMES = {"PNG": limits.DEFLATE_MOST * 24, "JPEG": limits.DEFLATE_MOST, "raw": 24, "TIFF": 50_000}
VALUE_BYTES = {"I": 4, "F": 4, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}  # others 1
RARE = 0.01  # of the pixels of a JPEG: values between those that were drawn
FIRST = "a JPEG of several pictures: the first was read, as viewers show it"


def probe(path: Path) -> Probe:
    """Reads the header of `path`."""
    with pixels.open_picture(path) as picture:
        mode, pages, (width, height) = pixels.mode_of(picture), _count(picture), picture.size
        is_deep, kind_of_file = pixels.is_deep(picture), _format(picture)
        is_picture = not pixels.is_signed_byte(picture)  # whose black is no 0
        most = MOST_TIMES.get(picture.info.get("compression", ""), MOST_TIMES[kind_of_file])
    kind = Kind(3 if pages > 1 else 2, Image.getmodebands(mode))
    voxel_bytes = pages * height * width * kind.channels * (2 if is_deep else VALUE_BYTES.get(mode, 1))
    limits.check_promise(voxel_bytes, path.stat().st_size, most=most)
    is_8bit = mode in pixels.BYTE_MODES and not is_deep
    return Probe(kind, is_8bit=is_8bit, is_picture=is_picture, voxel_bytes=voxel_bytes)


def read(path: Path, max_bytes: int) -> Volume:
    """Reads `path`: [H, W, channels], or [pages, H, W, channels]; one channel, or red, green and blue."""
    return _read(path, max_bytes, pixels.colours)


def read_labels(path: Path, max_bytes: int) -> Volume:
    """Reads a label map: a palette's indices are the labels, and grey stored as colours is grey.

    `origin` has the `colours` of its values in the palette, if it has one.
    """
    volume = _read(path, max_bytes, pixels.labels)
    if not is_grey(volume.voxels):
        raise UnusableFileError("the mask holds colours", "store one integer per pixel: grey levels or a palette")
    values, counts = np.unique(volume.voxels[..., 0], return_counts=True)
    with pixels.open_picture(path) as picture:
        if _format(picture) == "JPEG" and len(values) > 2 and counts.min() < RARE * counts.sum():
            blurred = f"it is a JPEG of {len(values)} grey levels: lossy compression has changed its labels"
            raise UnusableFileError(blurred, "threshold it, and store it as PNG")
        colours = pixels.colours_of(picture, values.tolist())
    origin = {**volume.origin, **({"colours": colours} if colours else {})}
    return volume._replace(voxels=volume.voxels[..., :1], origin=origin)


def is_grey(voxels: np.ndarray) -> bool:
    """Whether all channels of `voxels` [*spatial, channels] are equal."""
    return not any((voxels[..., number] != voxels[..., 0]).any() for number in range(1, voxels.shape[-1]))


def _read(path: Path, max_bytes: int, decode: Callable[[Image.Image, Path, int], np.ndarray]) -> Volume:
    """[H, W, channels], or [pages, H, W, channels] where there are several."""
    limits.check_size(probe(path).voxel_bytes, max_bytes)
    pages: list[np.ndarray] = []
    notes: dict[str, int] = {}
    with pixels.open_picture(path) as picture:
        size, mode = picture.size, picture.mode
        for number in range(_count(picture)):
            picture.seek(number)
            if picture.size != size:  # before it is decoded: its size was not counted in the header's
                raise UnusableFileError("its pages differ in size", "store pages of one size, or single pictures")
            if picture.mode != mode:
                raise UnusableFileError(f"its pages are partly {mode}, partly {picture.mode}", "store them as one kind")
            turn = pixels.tag_of_turn(picture)
            pages.append(decode(picture, path, number))
            notes |= pixels.said(picture, turn)
        notes |= {FIRST: 0} if picture.format == "MPO" and getattr(picture, "n_frames", 1) > 1 else {}
    voxels = np.stack(pages) if len(pages) > 1 else pages[0]
    return plain_volume(voxels.reshape(*voxels.shape[: 2 + (len(pages) > 1)], -1))._replace(notes=notes)


def _count(picture: Image.Image) -> int:
    """Pages: those of a TIFF; of a JPEG its first picture.

    Raises:
        UnusableFileError: it is an animation.
    """
    frames = getattr(picture, "n_frames", 1)
    if frames > 1 and picture.format == "PNG":
        raise UnusableFileError(f"it is an animation of {frames} pictures", "store them one by one, or as TIFF pages")
    return frames if picture.format == "TIFF" else 1


def _format(picture: Image.Image) -> str:
    return "JPEG" if picture.format == "MPO" else picture.format or "TIFF"  # a JPEG of several pictures
