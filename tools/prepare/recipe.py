"""What a manifest and a contract say of a conversion: how every volume was prepared, and how the next one is to be."""

from collections.abc import Mapping
from typing import Any

from ssl3d_tf.errors import InputError
from tools.prepare import intensity
from tools.prepare.packing import Options
from tools.readers.contract import Reading

_GIGABYTE = 1e9


def of_options(options: Options) -> dict[str, Any]:
    """`options` as the manifest holds them, of JSON's types; how files are read only where it is not the default."""
    return {
        "shape": options.shape and list(options.shape),
        "spacing_mm": options.spacing_mm and list(options.spacing_mm),
        "crop_foreground": options.crop_foreground,
        "intensity": str(options.intensity),
        "dtype": options.dtype,
        "relabel": [list(pair) for pair in options.relabel],
        "square": options.square,
        "antialias": options.antialias,
        "slices": options.slices,
        "max_gb": options.max_bytes / _GIGABYTE,
        **({} if options.keep_native_masks == "auto" else {"keep_native_masks": options.keep_native_masks}),
        **{name: value for name, value in options.reading._asdict().items() if value != getattr(Reading(), name)},
    }


def options(recipe: Mapping[str, Any], *, where: str) -> Options:
    """The options that prepare a scan as those were that `recipe` tells of: the inverse of `of_options`.

    What a recipe does not name, since it is older than the option, is that option's default, which is how it was made.

    Args:
        recipe: the `recipe` of a manifest or of a contract; what is not of the preparation is passed over.
        where: it was read from, for errors.

    Raises:
        InputError: it tells of no conversion, as that of phantoms that training made itself, or is damaged.
    """
    if "tool" not in recipe or "intensity" not in recipe:
        made = ", ".join(f"{name} {value}" for name, value in list(recipe.items())[:3])
        found = f"{where} says nothing of how files become volumes (recipe: {made or 'empty'})"
        raise InputError(f"{found}; only data of python -m tools.to_tfrecord do: train on such.")
    default = Options()
    try:
        return Options(
            shape=_numbers(recipe.get("shape"), int),
            spacing_mm=_numbers(recipe.get("spacing_mm"), float),
            crop_foreground=bool(recipe.get("crop_foreground", default.crop_foreground)),
            intensity=intensity.parse(str(recipe["intensity"])),
            dtype=str(recipe.get("dtype", default.dtype)),
            max_bytes=round(recipe.get("max_gb", default.max_bytes / _GIGABYTE) * _GIGABYTE),
            relabel=tuple((int(old), int(new)) for old, new in recipe.get("relabel", ())),
            square=bool(recipe.get("square", default.square)),
            slices=recipe.get("slices"),
            antialias=bool(recipe.get("antialias", default.antialias)),
            keep_native_masks=str(recipe.get("keep_native_masks", default.keep_native_masks)),
            reading=Reading(**{name: recipe[name] for name in Reading._fields if name in recipe}),
        )
    except (InputError, TypeError, ValueError) as error:
        raise InputError(f"the recipe in {where} is damaged ({str(error).rstrip('.')}); put back the copy.") from error


def _numbers(values: Any, kind: type) -> tuple[Any, ...] | None:
    return None if values is None else tuple(kind(value) for value in values)
