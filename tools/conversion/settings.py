"""What the user chooses that shapes the data: as values, and from the texts of the command line."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from ssl3d_tf.errors import InputError
from tools.prepare import intensity, packing
from tools.prepare.intensity import Normalisation
from tools.readers.contract import Kind, Reading

_T = TypeVar("_T")


class Settings(NamedTuple):
    """What the user chose that shapes the data. excluded: as `exclusion.contents` found it.

    ignore_label: mask value, as it is stored, that stands for "not known". kind: that volumes are to be, of --like.
    """

    options: packing.Options = packing.Options(intensity=Normalisation("auto"))
    name: str = ""
    codec: str = "raw"
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1)
    records_per_shard: int = 32
    excluded: Mapping[str, str] = {}
    brick_shape: tuple[int, ...] | None = None
    ignore_label: int | None = None
    kind: Kind | None = None


def parse(given: Mapping[str, Any]) -> Settings:
    """The settings from what was `given` to each flag of tools.to_tfrecord, by name; `excluded` is left empty.

    Raises:
        InputError: a text that says no value of its flag, or flags that exclude each other.
    """
    shape = _numbers("shape", given["shape"], int)
    spacing_mm = _numbers("spacing_mm", given["spacing_mm"], float)
    if shape and spacing_mm:
        raise InputError("--shape and --spacing_mm exclude each other; give one.")
    brick_shape = _numbers("brick_shape", given["brick_shape"], int)
    if min((*(shape or ()), *(spacing_mm or ()), *(brick_shape or ())), default=1) <= 0:
        raise InputError("--shape, --spacing_mm and --brick_shape must be positive.")
    fractions = _numbers("splits", given["splits"], float) or ()
    if len(fractions) != 3 or min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-6:
        raise InputError(f"--splits={','.join(given['splits'])} must be three fractions that add up to 1: 0.8,0.1,0.1.")
    options = packing.Options(
        shape,
        spacing_mm,
        given["crop_foreground"],
        intensity.parse(given["intensity"]),
        given["dtype"],
        round(given["max_gb"] * 1e9),
        _pairs(given["relabel"]),
        given["square"],
        given["slices"],
        given["antialias"],
        Reading(given["channels"], given["nan"] or "", given["mask_grid"]),
        given["keep_native_masks"],
    )
    return Settings(
        options,
        given["name"],
        given["codec"],
        (fractions[0], fractions[1], fractions[2]),
        given["records_per_shard"],
        brick_shape=brick_shape,
        ignore_label=_ignored(given["ignore_label"]),
    )


def _ignored(value: int | None) -> int | None:
    if value is not None and value <= 0:
        remedy = "use --relabel=0:255 --ignore_label=255, say, where 0 is what nobody labelled"
        raise InputError(
            f"--ignore_label={value} must be above 0, which is the background around every scan; {remedy}."
        )
    return value


def _pairs(texts: Sequence[str]) -> tuple[tuple[int, int], ...]:
    try:
        pairs = [(int(old), int(new)) for old, new in (text.split(":") for text in texts)]
    except ValueError as error:
        raise InputError(f"--relabel={','.join(texts)} must be pairs OLD:NEW of mask values, e.g. 4:3.") from error
    if any(min(pair) < 0 for pair in pairs):
        raise InputError(f"--relabel={','.join(texts)} must name values that masks may hold, from 0.")
    return tuple(pairs)


def _numbers(flag: str, texts: Sequence[str] | None, kind: Callable[[str], _T]) -> tuple[_T, ...] | None:
    try:
        return tuple(kind(text) for text in texts) if texts else None
    except ValueError as error:
        raise InputError(f"--{flag}={','.join(texts or ())} must be numbers separated by commas.") from error
