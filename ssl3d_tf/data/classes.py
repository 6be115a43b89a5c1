"""Which values of masks or labels are classes, and their names: value -> name, rising, which is the network's order.

Values are those that are stored. What a manifest declares are classes; where it declares none, what its examples hold.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ssl3d_tf.data.records import columns, rows
from ssl3d_tf.data.records.manifest import Manifest

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


def as_asked(found: Mapping[int, str], asked: int | Sequence[int] | None) -> dict[int, str]:
    """The classes of a task that `asked` for so many, or for these values; None is all that were found.

    A number that is not that of the classes found says that they are 0, 1, 2, …, whether or not the data hold them all.
    """
    if asked is None or asked == len(found):
        return dict(found)
    values = range(asked) if isinstance(asked, int) else asked
    return {value: found.get(value, f"class {value}") for value in sorted(values)}


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
