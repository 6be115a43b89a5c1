"""The pixels of one page of a picture, every mode as the file means it: all bits, upright, black is 0.

Pillow reduces colours of 16 bits to 8, and leaves some turns and inversions to its caller: those are done here.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image

from tools.readers import foreign
from tools.readers.contract import UnusableFileError

FORMATS = ("PNG", "JPEG", "TIFF")  # by content; Pillow knows others that call programs (EPS) or are rarely tested
# Mode in the file -> mode read. Alpha is dropped: it says where to draw, not what was seen. Missing are colours that
# need a profile to be shown (CMYK, LAB).
MODES = {"1": "L", "L": "L", "LA": "L", "P": "RGB", "PA": "RGB", "RGB": "RGB", "RGBA": "RGB"}
MODES |= {"YCbCr": "RGB", "I": "I", "F": "F", "I;16": "I;16", "I;16B": "I;16B", "I;16L": "I;16L", "I;16N": "I;16N"}
BYTE_MODES = ("L", "RGB")
BITS, PHOTOMETRIC, ORIENTATION, SAMPLE_FORMAT = 258, 262, 274, 339  # TIFF tags
WHITE_IS_ZERO, UNSIGNED, SIGNED = 0, 1, 2
# How Pillow unpacks colours of 16 bits: the high byte of each. Unpacked as if the bytes stood the other way round, the
# low ones come. Grey with alpha has no such twin: as four colours of 8 bits its bytes come one by one.
NATIVE = ("L", "B") if sys.byteorder == "little" else ("B", "L")
HALVES: dict[str, tuple[str, ...]] = {"LA;16B": ("RGBA",)}
for _name in ("RGB;16", "RGBX;16", "RGBA;16"):
    HALVES |= {_name + "L": (_name + "L", _name + "B"), _name + "B": (_name + "B", _name + "L")}
    HALVES[_name + "N"] = (_name + NATIVE[0], _name + NATIVE[1])
LOW_BITS = {"L;2": 85, "L;2I": 85, "L;4": 17, "L;4I": 17}  # what Pillow multiplies greys of 2 and 4 bits by
TURNS: Mapping[int, Callable[[np.ndarray], np.ndarray]] = {
    2: np.fliplr,
    3: lambda pixels: pixels[::-1, ::-1],
    4: np.flipud,
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: np.rot90,
}
HIDES = "an alpha channel hides pixels; it was dropped, and the colours under it were read"
TURNED = "turned upright, as its EXIF orientation says"
FLIPPED = "turned by 180° or mirrored, as its EXIF orientation says"


def open_picture(path: Path) -> Image.Image:
    """Opens `path`, whose header is read, but no pixel.

    Raises:
        UnusableFileError: it is of another format than its name says.
    """
    Image.MAX_IMAGE_PIXELS = None  # --max_gb is the limit, as for every other format
    try:
        picture = Image.open(path, formats=FORMATS)
    except Image.UnidentifiedImageError as error:
        raise UnusableFileError(*_unknown(path)) from error
    if picture.format == "TIFF":  # else Pillow maps it into memory with the sides of the turned picture, in pieces
        picture.filename = ""
    return picture


def is_deep(picture: Image.Image) -> bool:
    """Whether its channels have 16 bits, of which Pillow would keep 8."""
    return _raw_mode(picture) in HALVES


def is_signed_byte(picture: Image.Image) -> bool:
    """Whether its 8 bits are -128 to 127, which Pillow reads as 0 to 255."""
    return picture.mode == "L" and _sample_format(picture) == SIGNED


def mode_of(picture: Image.Image) -> str:
    """The mode to read `picture` in.

    Raises:
        UnusableFileError: no mode keeps what it shows.
    """
    if picture.mode == "CMYK":
        raise UnusableFileError("its colours are those of print (CMYK)", "export it as RGB, with its colour profile")
    if picture.mode not in MODES:
        raise UnusableFileError(f"its pixel mode is {picture.mode}", "store it as grey, RGB, 16-bit or float")
    bits = max(_tags(picture).get(BITS, (8,)))
    if picture.mode in ("RGB", "RGBA", "LA", "P", "YCbCr") and bits > 8 and not is_deep(picture):
        raise UnusableFileError(f"of its {bits} bits per colour 8 would be read", "store grey, or RGB pixel by pixel")
    if picture.mode in ("F", "I") and _tags(picture).get(PHOTOMETRIC) == WHITE_IS_ZERO:
        raise UnusableFileError("its white is 0, and it has no largest value", "store it with black as 0")
    return "L" if _raw_mode(picture) == "LA;16B" else MODES[picture.mode]


def colours(picture: Image.Image, path: Path, page: int) -> np.ndarray:
    """The pixels of `picture`, at its page number `page`: [H, W], or [H, W, 3] of red, green and blue."""
    mode, raw = mode_of(picture), _raw_mode(picture)
    is_negative = picture.mode.startswith("I;16") and _tags(picture).get(PHOTOMETRIC) == WHITE_IS_ZERO
    is_large = picture.mode == "I" and raw == "I;32N" and _sample_format(picture) == UNSIGNED  # read as signed
    if raw in HALVES:
        pixels = _deep(path, page, raw)
    else:
        pixels = np.asarray(picture.convert(mode) if picture.mode != mode else picture)
        pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    pixels = np.uint16(2**16 - 1) - pixels if is_negative else pixels
    pixels = pixels.view(np.int8) if is_signed_byte(picture) else pixels
    return upright(pixels.view(np.uint32) if is_large else pixels, picture)


def labels(picture: Image.Image, path: Path, page: int) -> np.ndarray:
    """As `colours`, of a label map: a palette's indices, and greys of few bits as they are stored.

    Raises:
        UnusableFileError: what is labelled is said by an alpha channel, or hidden by it.
    """
    pixels = _labels(picture, path, page)
    if has_alpha(picture) and _is_said_by(upright(np.asarray(picture.convert("RGBA"))[..., 3], picture), pixels):
        raise UnusableFileError("its labels are in its alpha channel, or hidden by it", "store them without alpha")
    return pixels


def _is_said_by(alpha: np.ndarray, labels: np.ndarray) -> bool:
    """Whether what is labelled is what an `alpha` channel shows, or is hidden by it."""
    return bool(alpha.min() < alpha.max() and ((labels == labels.flat[0]).all() or labels[alpha == 0].any()))


def colours_of(picture: Image.Image, values: Sequence[int]) -> dict[str, str]:
    """Value -> '#rrggbb' in the palette of a label map; nothing where it has none."""
    palette = picture.getpalette("RGB") or []
    known = (value for value in values if 3 * value + 3 <= len(palette))
    return {str(value): "#" + bytes(palette[3 * value : 3 * value + 3]).hex() for value in known}


def _labels(picture: Image.Image, path: Path, page: int) -> np.ndarray:
    raw = _raw_mode(picture)
    if picture.mode not in ("1", "P", "PA") or raw in HALVES:
        pixels = colours(picture, path, page)
        return pixels // LOW_BITS[raw] if raw in LOW_BITS else pixels
    pixels = np.asarray(picture)
    return upright(pixels[..., 0] if picture.mode == "PA" else pixels, picture)


def upright(pixels: np.ndarray, picture: Image.Image) -> np.ndarray:
    """`pixels` [H, W, …] turned as viewers turn them. Pillow itself turns TIFF."""
    turn = None if picture.format == "TIFF" else TURNS.get(_orientation(picture))
    return pixels if turn is None else np.ascontiguousarray(turn(pixels))


def said(picture: Image.Image, tagged: int) -> Mapping[str, int]:
    """What is worth telling of how a picture, now decoded, was read. tagged: its `tag_of_turn` before that."""
    turn = max(tagged, _orientation(picture))
    is_hidden = "transparency" in picture.info or (has_alpha(picture) and np.asarray(picture)[..., -1].min() < 255)
    turned = {} if turn not in TURNS else {FLIPPED: 0} if turn in (2, 3, 4) else {TURNED: 0}
    return {**({HIDES: 0} if is_hidden else {}), **turned}


def has_alpha(picture: Image.Image) -> bool:
    """Whether it says how much of each pixel is to be seen."""
    return picture.mode in ("LA", "PA", "RGBA") or "transparency" in picture.info


def tag_of_turn(picture: Image.Image) -> int:
    """How a TIFF, not yet decoded, is to be turned, as EXIF numbers it; 1 of other pictures, which say so later."""
    return _tags(picture).get(ORIENTATION, 1)


def _orientation(picture: Image.Image) -> int:
    return picture.getexif().get(ExifTags.Base.Orientation, 1)


def _deep(path: Path, page: int, raw: str) -> np.ndarray:
    """uint16 [H, W] or [H, W, 3]: both bytes of every value."""
    halves = [_unpacked(path, page, half) for half in HALVES[raw]]
    high, low = halves if len(halves) == 2 else (halves[0][..., 0], halves[0][..., 1])
    values = high.astype(np.uint16) << 8 | low
    return values[..., :3] if values.ndim == 3 else values


def _unpacked(path: Path, page: int, raw: str) -> np.ndarray:
    with open_picture(path) as picture:
        picture.seek(page)
        tiles: list[Any] = [*picture.tile]  # type: ignore[attr-defined]  # of every picture that comes from a file
        for number, tile in enumerate(tiles):
            args = raw if isinstance(tile.args, str) else (raw, *(tile.args or ())[1:])
            tiles[number] = tile._replace(args=args)
        picture.tile = tiles  # type: ignore[attr-defined]
        return np.array(picture)


def _raw_mode(picture: Image.Image) -> str:
    """How the file's bytes are unpacked; '' where nothing is left to be decoded."""
    tiles = getattr(picture, "tile", [])
    args = tiles[0].args if tiles else ""
    return args if isinstance(args, str) else str((args or ("",))[0])


def _tags(picture: Image.Image) -> Mapping:
    return getattr(picture, "tag_v2", {})


def _sample_format(picture: Image.Image) -> int:
    return _tags(picture).get(SAMPLE_FORMAT, (UNSIGNED,))[0]


def _unknown(path: Path) -> tuple[str, str]:
    """Why Pillow does not know the file: reason and remedy."""
    with path.open("rb") as file:
        head = file.read(12)
    kinds = {b"GIF8": "a GIF", b"BM": "a BMP", b"RIFF": "a WebP", b"II": "a TIFF", b"MM": "a TIFF", b"\x89PNG": "a PNG"}
    kind = next((kind for start, kind in kinds.items() if head.startswith(start)), "no PNG, JPEG or TIFF")
    if kind in ("a TIFF", "a PNG"):
        return f"it is {kind} of a kind that cannot be read, or damaged", "store it as grey or RGB of 8 or 16 bits"
    if kind == "no PNG, JPEG or TIFF" and (other := foreign.told(path)):
        return other
    return f"cannot identify image file: it is {kind}, whatever its name says", "export it as PNG, JPEG or TIFF"
