"""From measured values to stored numbers: one window per channel, and integers wherever nothing is lost by them.

Normalisation is clip to [low, high], subtract `shift`, divide by `width`. So what is stored can stay the file's own
integers, with the normalisation in `scale` and `offset`: stored · scale + offset = intensity.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ssl3d_tf.errors import InputError
from tools.readers.contract import UnusableFileError

PERCENTILES = (0.5, 99.5)
KINDS = ("auto", "none", "zscore", "minmax", "percentile", "ct_window")
STORED_RANGE = 65535  # steps of 16 bits, the finest integers stored


class Normalisation(NamedTuple):
    """How intensities are made. window: (low, high), for ct_window only."""

    kind: str
    window: tuple[float, float] | None = None

    def __str__(self) -> str:
        return self.kind + (":" + ",".join(f"{value:g}" for value in self.window) if self.window else "")


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
    if kind not in KINDS or (kind == "ct_window") != bool(numbers):
        raise InputError(f"--intensity={text} must be one of {', '.join(KINDS[:-1])} or ct_window:LO,HI.")
    if kind != "ct_window":
        return Normalisation(kind)
    try:
        low, high = (float(number) for number in numbers.split(","))
    except ValueError:
        low = high = math.nan
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise InputError(f"--intensity={text} must name two numbers LO,HI with LO < HI, e.g. ct_window:-1000,400.")
    return Normalisation(kind, (low, high))


def store(voxels: np.ndarray, how: Normalisation, dtype: str = "auto") -> Stored:
    """Normalises `voxels` and packs them.

    dtype 'auto' is: without normalisation the smallest of uint8, int16 and uint16 that holds whole numbers as they
    are, else float32 (which rounds whole numbers beyond 2^24); with it uint16, or uint8 for 8-bit values. Integers
    are kept as they are if their range fits; other values are rounded to the nearest of 255 or 65535 steps.

    Args:
        voxels: [*spatial, channels], real and finite.

    Raises:
        UnusableFileError: a value exceeds the floating-point dtype asked for.
    """
    whole = _as_integers(voxels)
    windows = [measure(channel, how) for channel in np.moveaxis(voxels, -1, 0)]
    name = _auto_dtype(voxels, whole, how) if dtype == "auto" else dtype
    if name.startswith("float"):
        return _store_floats(voxels, windows, name)
    source = voxels if whole is None else whole
    packed = [_pack(channel, window, np.dtype(name)) for channel, window in zip(_split(source), windows, strict=True)]
    volume = np.stack([values for values, _, _ in packed], axis=-1)
    return Stored(volume, tuple(scale for _, scale, _ in packed), tuple(offset for _, _, offset in packed))


def measure(channel: np.ndarray, how: Normalisation) -> Window:
    """The window of one channel.

    zscore takes mean and standard deviation over the voxels that are not zero, if there are any: zero is the
    background of skull-stripped and padded scans. percentile falls back to minimum and maximum where both percentiles
    are one value although the channel is not constant (a few bright voxels in an empty volume).
    """
    if how.kind == "none":
        return Window(-math.inf, math.inf, 0.0, 1.0)
    if how.window is not None:
        low, high = how.window
        return Window(low, high, low, high - low)
    if how.kind == "zscore":
        inside = channel[channel != 0]
        inside = (inside if inside.size else channel.ravel()).astype(np.float64)
        return Window(-math.inf, math.inf, float(inside.mean()), float(inside.std()))
    low, high = float(channel.min()), float(channel.max())
    if how.kind == "percentile":
        # 'nearest' picks values that occur: integers then stay integers.
        robust = [float(value) for value in np.percentile(channel, PERCENTILES, method="nearest")]
        low, high = robust if robust[0] < robust[1] else (low, high)
    return Window(low, high, low, high - low)


def normalise(channel: np.ndarray, window: Window) -> np.ndarray:
    """Applies `window`; a constant channel becomes zeros."""
    if window.width == 0:
        return np.zeros(channel.shape, np.float32)
    fine = np.float32 if channel.dtype in (np.float16, np.float32) else np.float64
    values = np.clip(channel.astype(fine), window.low, window.high)
    return (values - window.shift) / window.width


def _auto_dtype(voxels: np.ndarray, whole: np.ndarray | None, how: Normalisation) -> str:
    if how.kind != "none":
        return "uint8" if voxels.dtype.itemsize == 1 else "uint16"
    if whole is not None:
        for name in ("uint8", "int16", "uint16"):
            if np.iinfo(name).min <= whole.min() and whole.max() <= np.iinfo(name).max:
                return name
    return "float32"


def _store_floats(voxels: np.ndarray, windows: Sequence[Window], name: str) -> Stored:
    intensities = np.stack([normalise(*pair) for pair in zip(_split(voxels), windows, strict=True)], axis=-1)
    peak = float(np.abs(intensities).max())
    if peak > float(np.finfo(name).max):
        raise UnusableFileError(f"its intensity {peak:g} exceeds {name}", "choose --intensity or another --dtype")
    return Stored(intensities.astype(name), (1.0,) * len(windows), (0.0,) * len(windows))


def _pack(channel: np.ndarray, window: Window, dtype: np.dtype) -> tuple[np.ndarray, float, float]:
    if window.width == 0:
        return np.zeros(channel.shape, dtype), 1.0, 0.0
    info = np.iinfo(dtype)
    if channel.dtype.kind in "iu":
        low, high = (min(max(int(value), window.low), window.high) for value in (channel.min(), channel.max()))
        if float(low).is_integer() and float(high).is_integer() and high - low <= info.max - info.min:
            keeps_values = window.shift == 0 and info.min <= low and high <= info.max
            base = 0 if keeps_values else int(low) - info.min
            stored = np.clip(channel, int(low), int(high)) - base
            return stored.astype(dtype), 1 / window.width, (base - window.shift) / window.width
    return _quantise(normalise(channel, window), info)


def _quantise(values: np.ndarray, info: np.iinfo) -> tuple[np.ndarray, float, float]:
    """Rounds to the steps of `info`; the steps span `values` even after scale and offset are rounded to float32."""
    low, high = float(values.min()), float(values.max())
    steps = int(info.max) - int(info.min)
    bottom = -_rounded_up(-low)
    scale = _rounded_up((high - bottom) / steps) or 1.0
    stored = np.rint((values - bottom) / scale) + info.min
    return stored.clip(info.min, info.max).astype(info.dtype), scale, bottom - info.min * scale


def _rounded_up(value: float) -> float:
    """The smallest float32 that is not below `value`."""
    near = np.float32(value)
    return float(near if float(near) >= value else np.nextafter(near, np.float32(np.inf)))


def _as_integers(voxels: np.ndarray) -> np.ndarray | None:
    """`voxels` as int64 or narrower if every value is whole and small enough, else None."""
    if voxels.dtype.kind in "bi" or (voxels.dtype.itemsize < 8 and voxels.dtype.kind == "u"):
        return voxels.astype(np.int32) if voxels.dtype.itemsize < 4 else voxels.astype(np.int64)
    if float(voxels.max()) >= 2**31 or float(voxels.min()) <= -(2**31):
        return None
    whole = np.rint(voxels)
    return whole.astype(np.int64) if (whole == voxels).all() else None


def _split(voxels: np.ndarray) -> list[np.ndarray]:
    return [voxels[..., number] for number in range(voxels.shape[-1])]
