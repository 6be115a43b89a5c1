"""Label maps among scans, by what is in them, where a scan on their grid lies in their folder, or is of their case."""

import os
import shlex
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from ssl3d_tf.errors import InputError
from tools.checks import partners
from tools.checks.facts import Facts
from tools.readers import files, label_names, pairing
from tools.readers.contract import Item, Listing

MOST = 16  # files of a kind at a place that are remembered
OTHER = {"label map": "scan", "scan": "label map"}

TABLE = "a csv with columns path and mask"

Place = tuple[object, ...]  # folder, stem or word, and grid


class Seen(NamedTuple):
    """Place -> kind -> the first of that kind there. among: what the words of their paths are told by."""

    places: dict[Place, dict[str, list[str]]]
    among: partners.Telling


def nothing_seen(listing: Listing) -> Seen:
    """Before the first file of `listing` is measured."""
    return Seen({}, partners.telling(item.path for item in listing.items))


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
        for place, is_certain in _places(item, facts, seen.among):
            here = seen.places.setdefault(place, {})
            others = here.get(OTHER[kind], [])
            near = (path for path in others if not partners.are_of_two_cases(path, item.path))
            if partner := next(near, others[0] if others and is_certain else None):
                raise refusal(listing, *((item.path, partner) if facts.is_label_map else (partner, item.path)))
            if len(here.setdefault(kind, [])) < MOST:
                here[kind].append(item.path)


def _places(item: Item, facts: Facts, among: partners.Telling) -> Iterator[tuple[Place, bool]]:
    """Where a partner of `item` would be too, and whether any file there is one, also one named as of another case."""
    folder, stem = os.path.split(files.stem_of(item.path))
    spacing_mm = facts.spacing_mm and tuple(round(value, 3) for value in facts.spacing_mm)
    is_named = bool(partners.words(stem, among, is_label_map=False))  # not as all are, by what was imaged: ct
    for where in (f"{folder}/", stem) if is_named else (f"{folder}/",):
        yield (where, facts.shape, spacing_mm, facts.orientation), True
    for word in partners.words(item.path, among, is_label_map=facts.is_label_map):
        yield (word, facts.shape), False


def refusal(listing: Listing, label: str, scan: str) -> InputError:
    """The error where `label`, listed as a scan, looks like a label map of `scan`: with a flag for either meaning."""
    return InputError(
        f"{label} looks like a label map of {scan}, not like a scan: few whole numbers, in pieces, on its grid; "
        f"add {as_masks(listing, label, scan)} if such files are masks, or --label_maps=scans if they are scans."
    )


def as_masks(listing: Listing, label: str, scan: str) -> str:
    """The flags that make `label` the mask of its scan; a table where none do."""
    if listing.layout == "csv":
        return "a column mask that names it in the row of its scan"
    if listing.layout != "folder":
        return TABLE
    names = sorted({name for item in listing.items for name in (item.path, item.mask or item.path)})
    stem, image = _stem(label), _stem(scan)
    others = [_stem(path) for path in names if path != label]
    image = max(filter(stem.startswith, {*others} - {stem}), key=len, default=image)  # `scan` is but one on its grid
    words = [word[0] for word in label_names.WORD.finditer(stem)]
    endings = (label_names.ending(stem, image), *(f"{sign}{words[-1]}" for sign in ("_", "-")), stem)
    endings = tuple(one for one in endings if stem.endswith(one) and _is_of_many(one, others))
    given = _given(listing)
    for suffixes in ((*given, ending) for ending in endings):
        if _fits(label, scan, _pair(pairing.pair, names, pairing.Rules(suffixes, root=listing.root))):
            return f"--mask_suffix={shlex.quote(','.join(suffixes))}"
    folder = listing.root.joinpath(*_apart(label, scan))
    for more in (None, *((one,) for one in endings)) if folder != listing.root and not given else ():
        rules = pairing.Rules(more, root=listing.root)
        if _fits(label, scan, _pair(pairing.pair_with_folder, names, folder, rules)):
            flag = f" --mask_suffix={shlex.quote(more[0])}" if more else ""
            return f"--mask_folder={shlex.quote(str(folder))}{flag}"
    return TABLE


def _given(listing: Listing) -> tuple[str, ...]:
    """The endings of masks that have them by --mask_suffix, as they are called by no word of label maps."""
    pairs = ((_stem(item.mask), _stem(item.path)) for item in listing.items if item.mask)
    return tuple(sorted({label_names.ending(*pair) for pair in pairs if not label_names.name(pair[0]).is_label}))


def _stem(path: str) -> str:
    return files.stem_of(PurePosixPath(path).name)


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


def _fits(label: str, scan: str, masks: Mapping[str, str]) -> bool:
    """Whether `label` is a mask, and of no file beside it where its scan lies elsewhere."""
    folders = [PurePosixPath(path).parent for path in (label, scan)]
    images = [image for image, mask in masks.items() if mask == label]
    return bool(images) and (folders[0] == folders[1] or all(PurePosixPath(one).parent != folders[0] for one in images))


def _apart(label: str, scan: str) -> tuple[str, ...]:
    """The folders of `label` down to the first that is not one of `scan`."""
    ours, others = PurePosixPath(label).parent.parts, PurePosixPath(scan).parent.parts
    same = next((n for n, (one, other) in enumerate(zip(ours, others, strict=False)) if one != other), len(others))
    return ours[: same + 1]
