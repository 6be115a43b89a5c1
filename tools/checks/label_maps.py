"""Label maps among scans, by what is in them, where a scan on their grid lies in the same folder or has their name."""

import os
import shlex
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from ssl3d_tf.errors import InputError
from tools.checks.facts import Facts
from tools.readers import files, label_names, pairing
from tools.readers.contract import Item, Listing

# Folder or stem, shape, spacing and orientation -> of scans and of label maps, the first.
Seen = dict[tuple[object, ...], dict[str, str]]


def check(listing: Listing, seen: Seen, measured: Sequence[Facts]) -> None:
    """Adds the `measured` scans of `listing` to what was `seen` of it.

    Raises:
        InputError: one without a mask looks like a label map of another.
    """
    items = {item.id: item for item in listing.items} if measured else {}
    for facts in measured:
        item = items[facts.id]
        if facts.is_label_map and item.mask:
            continue  # shapes with masks: neither is a surprise
        kind = "label map" if facts.is_label_map else "scan"
        for place in _places(item, facts):
            here = seen.setdefault(place, {})
            here.setdefault(kind, item.path)
            if len(here) > 1:
                raise refusal(listing, here["label map"], here["scan"])


def _places(item: Item, facts: Facts) -> Iterator[tuple[object, ...]]:
    folder, stem = os.path.split(files.stem_of(item.path))
    spacing_mm = facts.spacing_mm and tuple(round(value, 3) for value in facts.spacing_mm)
    for where in (f"{folder}/", stem):
        yield where, facts.shape, spacing_mm, facts.orientation


def refusal(listing: Listing, label: str, scan: str) -> InputError:
    """The error where `label`, listed as a scan, looks like a label map of `scan`: with a flag for either meaning."""
    return InputError(
        f"{label} looks like a label map of {scan}, not like a scan: few whole numbers, in pieces, on its grid; "
        f"add {_as_masks(listing, label, scan)} if such files are masks, or --label_maps=scans if they are scans."
    )


def _as_masks(listing: Listing, label: str, scan: str) -> str:
    """The flag that makes `label` the mask of its scan; a table where none does."""
    if listing.layout == "csv":
        return "a column mask that names it in the row of its scan"
    names = sorted({name for item in listing.items for name in (item.path, item.mask or item.path)})
    stem, image = (files.stem_of(PurePosixPath(path).name) for path in (label, scan))
    stems = {files.stem_of(PurePosixPath(path).name) for path in names} - {stem}
    image = max(filter(stem.startswith, stems), key=len, default=image)  # `scan` is but the first on its grid
    words = [word[0] for word in label_names.WORD.finditer(stem)]
    for ending in (label_names.ending(stem, image), *(f"{sign}{words[-1]}" for sign in ("_", "-")), stem):
        rules = pairing.Rules((ending,), root=listing.root)
        is_ending = stem.endswith(ending) and _is_of_many(ending, stems)
        if is_ending and label in _pair(pairing.pair, names, rules).values():
            return f"--mask_suffix={shlex.quote(ending)}"
    folder = listing.root.joinpath(*_apart(label, scan))
    rules = pairing.Rules(root=listing.root)
    if folder != listing.root and label in _pair(pairing.pair_with_folder, names, folder, rules).values():
        return f"--mask_folder={shlex.quote(str(folder))}"
    return "a csv with columns path and mask"


def _is_of_many(ending: str, others: Collection[str]) -> bool:
    """Whether it is no ending of one case alone, as one with a number mostly is; '' is none at all."""
    has_digit = any(character.isdigit() for character in ending)
    return bool(ending) and (not has_digit or any(other.endswith(ending) for other in others))


def _pair(how: Callable[..., pairing.Pairs], *arguments: object) -> Mapping[str, str]:
    """Image -> mask; none where it would be refused."""
    try:
        return how(*arguments).masks
    except InputError:
        return {}


def _apart(label: str, scan: str) -> tuple[str, ...]:
    """The folders of `label` down to the first that is not one of `scan`."""
    ours, others = PurePosixPath(label).parent.parts, PurePosixPath(scan).parent.parts
    same = next((n for n, (one, other) in enumerate(zip(ours, others, strict=False)) if one != other), len(others))
    return ours[: same + 1]
