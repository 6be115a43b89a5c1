"""From measured values to stored numbers: one window per channel, and integers wherever nothing is lost by them.

Normalisation is clip to [low, high], subtract `shift`, divide by `width`. So what is stored can stay the file's own
integers, with the normalisation in `scale` and `offset`: stored · scale + offset = intensity.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from ssl3d_tf.errors import InputError
from tools.readers.contract import UnfitFileError
from tools.voxels import foreground, ranges
from tools.voxels.pieces import pieces
from tools.voxels.ranges import Range

PERCENTILES = (0.5, 99.5)
MOST_LOST, LEAST_LOST = 0.5, 0.1  # shares of a channel above a window: with more of it, that is one of other data
KINDS = ("auto", "none", "zscore", "minmax", "percentile", "percentile:body", "ct_window")


class Normalisation(NamedTuple):
    """How intensities are made. window: (low, high), for ct_window only."""

    kind: str
    window: tuple[float, float] | None = None

    def __str__(self) -> str:
        """As --intensity takes it, every digit of it: `parse` is its inverse."""
        return self.kind + (":" + ",".join(map(_exact, self.window)) if self.window else "")


def _exact(value: float) -> str:
    short = f"{value:g}"
    return short if float(short) == value else repr(value)


class Window(NamedTuple):
    """One channel's normalisation: (clip(value, low, high) − shift) / width. width 0: the channel is constant."""

    low: float
    high: float
    shift: float
    width: float


class Stored(NamedTuple):
    """volume: [*spatial, channels] in storage dtype; scale, offset: one number per channel."""

    volume: np.ndarray
    scale: tuple[float, ...]
    offset: tuple[float, ...]


def parse(text: str) -> Normalisation:
    """Reads the value of --intensity.

    Raises:
        InputError: no such kind, or a window that is none.
    """
    kind, _, numbers = text.partition(":")
    if text in KINDS[:-1]:
        return Normalisation(text)
    if kind != "ct_window" or not numbers:
        raise InputError(f"--intensity={text} must be one of {', '.join(KINDS[:-1])} or ct_window:LO,HI.")
    try:
        low, high = (float(number) for number in numbers.split(","))
    except ValueError:
        low = high = math.nan
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise InputError(f"--intensity={text} must name two numbers LO,HI with LO < HI, e.g. ct_window:-1000,400.")
    return Normalisation(kind, (low, high))


def store(
    voxels: np.ndarray, how: Normalisation, dtype: str = "auto", *, found: Sequence[Range] | None = None
) -> Stored:
    """Normalises `voxels` and packs them.

    dtype 'auto' is: without normalisation the smallest of uint8, int16 and uint16 that holds whole numbers as they
    are, else float32 (which rounds whole numbers beyond 2^24); with it uint16, or uint8 for 8-bit values. Integers
    are kept as they are if their range fits; other values are rounded to the nearest of 255 or 65535 steps.

    Args:
        voxels: [*spatial, channels], real and finite.
        found: their `ranges.of`, where it is known.

    Raises:
        UnfitFileError: a value exceeds the floating-point dtype asked for.
    """
    found = ranges.of(voxels) if found is None else found
    is_whole = _is_whole(voxels, found)
    name = _auto_dtype(voxels, found, is_whole, how) if dtype == "auto" else dtype
    volume = np.empty(voxels.shape, name)
    scales, offsets = [], []
    for number, channel in enumerate(np.moveaxis(voxels, -1, 0)):
        window = measure(channel, found[number], how)
        packing = _packing(found[number], window, channel.dtype, is_whole=is_whole, dtype=np.dtype(name))
        for piece in pieces(channel):
            volume[piece][..., number] = packing.values(channel[piece])
        scales.append(packing.scale)
        offsets.append(packing.offset)
    return Stored(volume, tuple(scales), tuple(offsets))


def measure(channel: np.ndarray, found: Range, how: Normalisation) -> Window:
    """The window of one channel, whose range is `found`.

    zscore takes mean and standard deviation over the voxels that are not zero, if there are any: zero is the
    background of skull-stripped and padded scans. percentile falls back to minimum and maximum where both percentiles
    are one value although the channel is not constant (a few bright voxels in an empty volume). percentile:body takes
    the upper one over the body alone, so that one tissue keeps its value however much air is around it.
    """
    if how.kind == "none":
        return Window(-math.inf, math.inf, 0.0, 1.0)
    if how.window is not None:
        low, high = how.window
        return Window(low, high, low, high - low)
    if how.kind == "zscore":
        return Window(-math.inf, math.inf, *_mean_and_deviation(channel))
    low, high = float(found.low), float(found.high)
    if how.kind.startswith("percentile"):
        percents = PERCENTILES if how.kind == "percentile" else foreground.body_percents(channel, PERCENTILES)
        robust = ranges.percentiles(channel, found, percents)
        low, high = robust if robust[0] < robust[1] else (low, high)
    return Window(low, high, low, high - low)


def lost(voxels: np.ndarray, found: Sequence[Range], how: Normalisation) -> str:
    """What to say where a fixed window, as of other data, ends below most of a channel, which becomes 1 there; or ''.

    Most is more than MOST_LOST of what is above the window's low end, and more than LEAST_LOST of all: air around a
    body may be most of a scan, and bright bones some of what is left.
    """
    if how.window is None:
        return ""
    low, high = how.window
    for (lowest, highest), channel in zip(found, np.moveaxis(voxels, -1, 0), strict=True):
        beyond = _above(channel, high) if highest > high else 0
        if beyond > LEAST_LOST * channel.size and beyond > MOST_LOST * _above(channel, low):
            values = f"its values are {lowest:.6g} to {highest:.6g}"
            return f"most of it is above {how} and became 1: {beyond / channel.size:.0%}, {values}"
    return ""


def _above(channel: np.ndarray, value: float) -> int:
    return sum(int(np.count_nonzero(channel[piece] > value)) for piece in pieces(channel))


def normalise(channel: np.ndarray, window: Window) -> np.ndarray:
    """Applies `window`; a constant channel becomes zeros."""
    if window.width == 0:
        return np.zeros(channel.shape, np.float32)
    fine = np.float32 if channel.dtype in (np.float16, np.float32) else np.float64
    values = np.clip(channel.astype(fine), window.low, window.high)
    return (values - window.shift) / window.width


def _mean_and_deviation(channel: np.ndarray) -> tuple[float, float]:
    """Of the voxels that are not zero; of all if there are none."""
    has_inside = any(channel[piece].any() for piece in pieces(channel))

    def inside(piece: slice) -> np.ndarray:
        values = channel[piece].astype(np.float64)
        return values[values != 0] if has_inside else values

    count = sum(inside(piece).size for piece in pieces(channel))
    mean = sum(float(inside(piece).sum()) for piece in pieces(channel)) / count
    variance = sum(float(np.square(inside(piece) - mean).sum()) for piece in pieces(channel)) / count
    return mean, math.sqrt(variance)


def _auto_dtype(voxels: np.ndarray, found: Sequence[Range], is_whole: bool, how: Normalisation) -> str:
    if how.kind != "none":
        return "uint8" if voxels.dtype.itemsize == 1 else "uint16"
    if is_whole:
        for name in ("uint8", "int16", "uint16"):
            if all(np.iinfo(name).min <= low and high <= np.iinfo(name).max for low, high in found):
                return name
    return "float32"


class _Packing(NamedTuple):
    """How one channel is stored. values: a piece of it -> stored numbers, of any dtype that holds them."""

    values: Callable[[np.ndarray], np.ndarray]
    scale: float
    offset: float


def _packing(found: Range, window: Window, source: np.dtype, *, is_whole: bool, dtype: np.dtype) -> _Packing:
    """For a channel of dtype `source` and range `found`, to be stored as `dtype`."""
    ends = np.array(found, source)  # normalising is monotonic, so these become the ends of what is stored
    if dtype.kind == "f":
        return _as_floats(ends, window, dtype)
    if window.width == 0:
        return _Packing(np.zeros_like, 1.0, 0.0)
    info = np.iinfo(dtype)
    low, high = (min(max(value, window.low), window.high) for value in found)
    if is_whole and float(low).is_integer() and float(high).is_integer() and high - low <= info.max - info.min:
        keeps_values = window.shift == 0 and info.min <= low and high <= info.max
        base = 0 if keeps_values else int(low) - info.min
        values = partial(_shifted, low=int(low), high=int(high), base=base, dtype=dtype)
        return _Packing(values, 1 / window.width, (base - window.shift) / window.width)
    return _quantised(ends, window, info)


def _shifted(piece: np.ndarray, *, low: int, high: int, base: int, dtype: np.dtype) -> np.ndarray:
    """clip(piece, low, high) − base: whole numbers that fit `dtype`, so that its wrapping arithmetic is exact."""
    clipped = np.clip(piece, low, high)
    whole = clipped if clipped.dtype.kind in "iu" else clipped.astype(np.int64)
    return whole.astype(dtype) - np.array(base).astype(dtype)


def _as_floats(ends: np.ndarray, window: Window, dtype: np.dtype) -> _Packing:
    peak = float(np.abs(normalise(ends, window)).max())
    if peak > float(np.finfo(dtype).max):
        raise UnfitFileError(f"its intensity {peak:g} exceeds {dtype}", "choose --intensity or another --dtype")
    return _Packing(lambda piece: normalise(piece, window), 1.0, 0.0)


def _quantised(ends: np.ndarray, window: Window, info: np.iinfo) -> _Packing:
    """Rounds to the steps of `info`; the steps span all values even after scale and offset are rounded to float32."""
    low, high = (float(value) for value in normalise(ends, window))
    steps = int(info.max) - int(info.min)
    bottom = -_rounded_up(-low)
    scale = _rounded_up((high - bottom) / steps) or 1.0

    def rounded(piece: np.ndarray) -> np.ndarray:
        return (np.rint((normalise(piece, window) - bottom) / scale) + info.min).clip(info.min, info.max)

    return _Packing(rounded, scale, bottom - info.min * scale)


def _rounded_up(value: float) -> float:
    """The smallest float32 that is not below `value`."""
    near = np.float32(value)
    return float(near if float(near) >= value else np.nextafter(near, np.float32(np.inf)))


def _is_whole(voxels: np.ndarray, found: Sequence[Range]) -> bool:
    """Whether every value is a whole number, and small enough to be computed with."""
    if voxels.dtype.kind in "bi" or (voxels.dtype.itemsize < 8 and voxels.dtype.kind == "u"):
        return True
    if any(high >= 2**31 or low <= -(2**31) for low, high in found):
        return False
    return all((voxels[piece] == np.rint(voxels[piece])).all() for piece in pieces(voxels))
