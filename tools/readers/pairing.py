"""Which files are label maps, by their names, and which image each belongs to; doubts are said, not settled by chance.

A mask is named as its image is, word by word and number by number, but for words of label maps, images and modalities.
"""

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ssl3d_tf.errors import InputError
from tools.readers import claims, files, label_folders, label_names, namesakes, paths
from tools.readers.claims import Claims
from tools.readers.contract import Fault, Item
from tools.readers.namesakes import File
from tools.readers.strays import STRAY

SHOWN = 4  # candidates that an error names


class Rules(NamedTuple):
    """What the user said.

    suffixes: endings that the masks have: other label maps are left out; None goes by the words of their names.
    strays_are_scans: label maps that fit no scan are scans. root: what paths are relative to.
    """

    suffixes: tuple[str, ...] | None = None
    strays_are_scans: bool = False
    root: Path = Path()


DEFAULT = Rules()


class Pairs(NamedTuple):
    """images: in the order given; masks: image -> its mask; strays: label maps without an image, and why; unchosen:
    label maps of endings that the user did not name. further: image -> its other masks, x_mask_1 beside x_mask.
    by_grid: label map -> the one of several modalities that has its grid."""

    images: tuple[str, ...]
    masks: Mapping[str, str]
    strays: tuple[Fault, ...] = ()
    unchosen: tuple[str, ...] = ()
    further: Mapping[str, tuple[str, ...]] = {}
    by_grid: Mapping[str, str] = {}


def pair(names: Sequence[str], rules: Rules = DEFAULT) -> Pairs:
    """Tells images from label maps, and finds the mask of each image.

    Raises:
        InputError: an image has several masks to choose from.
    """
    found = [_file(path, rules) for path in names]
    homes = label_folders.by_name({one.folder for one in found})
    images, labels = _told_apart(found, homes)
    chosen = {one.folder for one in labels if one.has_suffix}
    alone = label_folders.of_labels_alone(
        {one.folder for one in labels}, {image.folder for image in images}, chosen=chosen
    )
    index = namesakes.index(images)
    claimed = claims.nothing(rules.root)
    left: list[Fault] = []
    lost: list[tuple[File, list[PurePosixPath]]] = []
    unchosen = []
    for label in labels:
        if not _is_chosen(label, rules, is_in_folder=label.folder in homes):
            unchosen.append(label)
            continue
        groups = homes.get(label.folder) or (alone.get(label.folder) if label.name.whose else None) or [[label.folder]]
        if fitting := next(filter(None, (namesakes.alike(label, group, index) for group in groups)), []):
            left += claimed.claim(label, fitting)
        else:
            lost.append((label, [folder for group in groups for folder in group]))
    left += _found_elsewhere(lost, images, index, claimed)
    masks, others = _settled(claimed.of, rules)
    further, left = _further(masks, [*left, *others])
    scans = {fault.path for fault in left} | {one.path for one in unchosen} if rules.strays_are_scans else set()
    kept = {image.path for image in images} | scans
    return Pairs(
        tuple(path for path in names if path in kept),
        masks,
        tuple(fault for fault in left if fault.path not in scans),
        tuple(one.path for one in unchosen if one.path not in scans),
        further,
        claimed.by_grid,
    )


def pair_with_folder(names: Sequence[str], mask_folder: Path, rules: Rules) -> Pairs:
    """Masks from `mask_folder`: of an image of the same relative name, else of the only one named alike.

    Raises:
        InputError: an image has several masks to choose from.
    """
    here = PurePosixPath(Path(os.path.relpath(os.path.realpath(mask_folder), os.path.realpath(rules.root))).as_posix())
    outside = [path for path in names if not PurePosixPath(path).is_relative_to(here)]
    found = [_file(path, rules) for path in outside]
    images, unchosen = _told_apart(found, label_folders.by_name({one.folder for one in found}))
    if rules.strays_are_scans:
        images, unchosen = found, []
    index = namesakes.index(images)
    anywhere = namesakes.index([image._replace(folder=PurePosixPath()) for image in images])
    cases = namesakes.by_case(images)
    claimed = claims.nothing(rules.root)
    left: list[Fault] = []
    others = [label.path for label in unchosen]
    for path in paths.walk(mask_folder).paths:
        label = _file(path, rules)
        if not _is_chosen(label, rules, is_in_folder=True):
            others.append((here / path).as_posix())
            continue
        fitting = namesakes.alike(label, [label.folder], index) or namesakes.of_its_case(label, cases)
        fitting = fitting or namesakes.alike(label, [PurePosixPath()], anywhere)
        named = label._replace(path=(here / path).as_posix())
        left += (
            claimed.claim(named, fitting) if fitting else [namesakes.stray(named, [PurePosixPath()], anywhere, cases)]
        )
    masks, second = _settled(claimed.of, rules)
    further, left = _further(masks, [*left, *second])
    return Pairs(tuple(image.path for image in images), masks, tuple(left), tuple(others), further, claimed.by_grid)


def note(items: Sequence[Item], faults: Sequence[Fault]) -> str:
    """How many of `items` have a mask, with an example of either side; '' where nothing is left over."""
    without = [item.path for item in items if item.mask is None]
    strays = [fault.path for fault in faults if fault.reason.startswith(STRAY)]
    if not strays and len(without) in (0, len(items)):
        return ""
    text = f"{len(items) - len(without)} of {len(items)} scans have a mask"
    text += f"; without: {without[0]}" if without else ""
    return text + (f"; label maps that fit no scan: {len(strays)}, the first {strays[0]}." if strays else ".")


def several(image: str, candidates: Mapping[str, str], root: Path) -> InputError:
    """The error for an `image` with several `candidates` for its mask: path -> what --mask_suffix chooses it by."""
    flags = {path: f"--mask_suffix={shlex.quote(ending)}" for path, ending in candidates.items()}
    if len(set(flags.values())) < len(flags):
        folders = [PurePosixPath(path).parts[:-1] for path in candidates]
        depth = next((n for n, parts in enumerate(zip(*folders, strict=False)) if len(set(parts)) > 1), None)
        if depth is None:
            shown = ", ".join(list(candidates)[:SHOWN])
            return InputError(f"{image} has {len(candidates)} label maps named as its mask: {shown}; keep one of them.")
        for path in candidates:
            top = root.joinpath(*PurePosixPath(path).parts[: depth + 1])
            flags[path] = f"--mask_folder={shlex.quote(str(top))}"
    more = f" and {len(flags) - SHOWN} more" if len(flags) > SHOWN else ""
    shown = ", ".join(f"{flag} for {path}" for path, flag in list(flags.items())[:SHOWN])
    return InputError(f"{image} has {len(flags)} label maps to choose its mask from; add {shown}{more}.")


def _file(path: str, rules: Rules) -> File:
    pure = PurePosixPath(path)
    stem = files.stem_of(pure.name)
    fits = [suffix for suffix in rules.suffixes or () if stem.endswith(suffix)]
    rest = stem[: -len(max(fits, key=len))] if fits else stem
    return File(path, pure.parent, rest, label_names.name(rest), bool(fits))


def _told_apart(found: Sequence[File], homes: label_folders.Homes) -> tuple[list[File], list[File]]:
    """Images, and label maps by name, folder or ending."""
    are_labels = [one.folder in homes or one.name.is_label or one.has_suffix for one in found]
    images = [one for one, is_label in zip(found, are_labels, strict=True) if not is_label]
    return images, [one for one, is_label in zip(found, are_labels, strict=True) if is_label]


def _is_chosen(label: File, rules: Rules, *, is_in_folder: bool) -> bool:
    """Whether `label` may be a mask: where the user names endings, those, and what is named as its image is."""
    return (
        rules.suffixes is None
        or label.has_suffix
        or (bool(rules.suffixes) and is_in_folder and not label.name.is_label)
    )


def _found_elsewhere(
    lost: Sequence[tuple[File, Sequence[PurePosixPath]]],
    images: Sequence[File],
    index: namesakes.Index,
    claimed: Claims,
) -> list[Fault]:
    """Claims images without a mask of the same case, in folders apart; why not. lost: label maps, where was looked."""
    cases = namesakes.by_case([image for image in images if image.path not in claimed.of])
    left = []
    for label, folders in lost:
        fitting = namesakes.of_its_case(label, cases)
        left += claimed.claim(label, fitting) if fitting else [namesakes.stray(label, folders, index, cases)]
    return left


def _further(masks: Mapping[str, str], left: Sequence[Fault]) -> tuple[dict[str, tuple[str, ...]], list[Fault]]:
    """Image -> its other masks, which are called as its mask with a number behind; and what is left then."""
    owners = {files.stem_of(mask): image for image, mask in masks.items()}
    of = {fault.path: owners.get(label_names.whole(files.stem_of(fault.path))) for fault in left}
    further: dict[str, tuple[str, ...]] = {}
    for path, image in of.items():
        if image is not None:
            further[image] = (*further.get(image, ()), path)
    return further, [fault for fault in left if of[fault.path] is None]


def _settled(claims: Mapping[str, Sequence[File]], rules: Rules) -> tuple[dict[str, str], list[Fault]]:
    """Image -> its mask; of one mask in two formats that of the image's own, the other is a stray."""
    masks, left = {}, []
    for image, candidates in claims.items():
        chosen = [one for one in candidates if one.has_suffix] or list(candidates)
        if len({files.stem_of(one.path) for one in chosen}) == 1:
            chosen = [one for one in chosen if files.suffix_of(one.path) == files.suffix_of(image)] or chosen
        if len(chosen) > 1:
            stem = files.stem_of(PurePosixPath(image).name)
            ends = {one.path: label_names.ending(files.stem_of(PurePosixPath(one.path).name), stem) for one in chosen}
            raise several(image, ends, rules.root)
        masks[image] = chosen[0].path
        others = [one.path for one in candidates if one is not chosen[0]]
        left += [Fault(path, f"{STRAY}: {image} has {chosen[0].path}", "keep one of them") for path in others]
    return masks, left
