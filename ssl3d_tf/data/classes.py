"""Which values of masks or labels are classes, and their names: value -> name, rising, which is the network's order.

Values are those that are stored. What a manifest declares are classes; where it declares none, what its examples hold.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ssl3d_tf.data.records import columns, rows
from ssl3d_tf.data.records.manifest import Manifest
from ssl3d_tf.errors import InputError

BACKGROUND = 0  # of masks: what crops are padded with, and so a class of every task


def of_masks(manifest: Manifest) -> dict[int, str]:
    """The classes of the masks, background first, without the value to be ignored; empty where none is known."""
    held = _in_masks(manifest)
    declared = {value for value in map(_whole, manifest.classes) if value is not None} - {manifest.ignore_label}
    # Where there are labels too, it may be those that are declared.
    values = held if manifest.label_size and not held <= declared | {BACKGROUND} else declared or held
    if not values:
        return {}
    return _named(values | {BACKGROUND}, {str(BACKGROUND): "background", **manifest.classes})


def of_labels(manifest: Manifest) -> dict[int, str]:
    """The classes of the labels, of which the first number counts; whole numbers alone."""
    declared = manifest.label_classes or ({} if manifest.mask_dtypes else manifest.classes)  # else those of the masks
    values: Iterable[int | None] = set(map(_whole, declared)) or _in_labels(manifest)
    return _named({value for value in values if value is not None}, declared)


def as_asked(
    found: Mapping[int, str], asked: int | Sequence[int] | None, *, ignore: int | None = None
) -> dict[int, str]:
    """The classes of a task that `asked` for so many, or for these values; None is all that were found.

    A number that is not that of the classes found says that they are 0, 1, 2, …, whether or not the data hold them all.

    Raises:
        InputError: the value to `ignore` is one of them.
    """
    if asked is None or asked == len(found):
        return dict(found)
    values = range(asked) if isinstance(asked, int) else asked
    if ignore in values:
        raise InputError(
            f"CLASSES={asked} holds {ignore}, the value of masks to ignore; leave it out, or IGNORE_LABEL."
        )
    return {value: found.get(value, f"class {value}") for value in sorted(values)}


def ignored(manifest: Manifest, asked: int | None, where: str, *, masks: bool) -> int | None:
    """The value of masks that is no class: the one that the data declare, or that is `asked` for of others.

    Voxels of a declared value are in no count. So with another one in its place nobody would know of them any more.

    Args:
        asked: IGNORE_LABEL. where: the data, for errors. masks: whether the task reads them.

    Raises:
        InputError: it cannot be that one.
    """
    declared = manifest.ignore_label
    if asked is None or asked == declared:
        return declared
    said = f"IGNORE_LABEL={asked!r}"
    if type(asked) is not int or asked <= BACKGROUND:
        raise InputError(f"{said} must be a whole number above 0, which is the background around every scan.")
    if not masks:
        raise InputError(f"{said} is a value of masks, and this task reads labels; leave it out.")
    if declared is not None:
        found = f"{said}, but the data {where} ignore {declared} already, which would be neither class nor ignored"
        raise InputError(f"{found}; leave it out, or convert again with --relabel={asked}:{declared} to ignore both.")
    if (held := _in_masks(manifest)) and asked not in held:
        raise InputError(f"{said}, which no mask of {where} has: they hold {_listed(sorted(held))}; mend it.")
    return asked


def told(manifest: Manifest, *, masks: bool) -> str:
    """What is not plain of the classes that `manifest` has, of masks or else of labels, in a line; '' if all is."""
    values = sorted(map(int, manifest.classes))
    unseen = [value for value in values if value not in (_in_masks if masks else _in_labels)(manifest)]
    lines = []
    if values != list(range(len(values))):
        lines.append(f"{len(values)} classes, {_listed(values)}, to the network 0 to {len(values) - 1}")
    if unseen:
        lines.append(f"no scan has class {_listed(unseen)}")
    return "; ".join(lines)


def _listed(values: Sequence[int]) -> str:
    shown = [*map(str, values[:8]), "…", str(values[-1])] if len(values) > 10 else map(str, values)
    return ", ".join(shown)


def _in_masks(manifest: Manifest) -> set[int]:
    return {value for column in _columns(manifest, "counted") for value in np.unique(column.values).tolist()} - {
        manifest.ignore_label
    }


def _in_labels(manifest: Manifest) -> set[int | None]:
    found = _columns(manifest, "label")
    firsts = [column.values[(column.ends - column.lengths)[column.lengths > 0]] for column in found]
    return {_whole(value) for each in firsts for value in np.unique(each).tolist()}


def _columns(manifest: Manifest, name: str) -> list[rows.Ragged]:
    return [columns.ragged(split.entries, name) for split in manifest.splits.values()]


def _named(values: Iterable[int], names: Mapping[str, str]) -> dict[int, str]:
    found = {_whole(key): name for key, name in names.items()}
    twice = {name for name, count in Counter(found.values()).items() if count > 1}  # scores are by name
    named = {value: found.get(value, f"class {value}") for value in sorted(values)}
    return {value: f"{name} ({value})" if name in twice else name for value, name in named.items()}


def _whole(value: str | float) -> int | None:
    """A whole number from what a manifest has, or None where it is none."""
    number = float(value)
    return int(number) if math.isfinite(number) and number == int(number) else None
