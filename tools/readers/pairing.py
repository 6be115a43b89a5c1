"""Which files are label maps, by their names, and which image each belongs to; doubts are said, not settled by chance.

A mask is named as its image is, word by word and number by number, but for words of label maps, images and modalities.
"""

import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ssl3d_tf.errors import InputError
from tools.readers import files, label_folders, label_names, paths, strays
from tools.readers.contract import Fault, Item
from tools.readers.label_names import Name
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
    label maps of endings that the user did not name. further: image -> its other masks, x_mask_1 beside x_mask."""

    images: tuple[str, ...]
    masks: Mapping[str, str]
    strays: tuple[Fault, ...] = ()
    unchosen: tuple[str, ...] = ()
    further: Mapping[str, tuple[str, ...]] = {}


class _File(NamedTuple):
    """path; folder and stem where its image is looked for, and what the stem says. has_suffix: one the user named."""

    path: str
    folder: PurePosixPath
    stem: str
    name: Name
    has_suffix: bool = False


_Index = Mapping[tuple[PurePosixPath, tuple[str, ...]], Sequence[_File]]


def pair(names: Sequence[str], rules: Rules = DEFAULT) -> Pairs:
    """Tells images from label maps, and finds the mask of each image.

    Raises:
        InputError: an image has several masks to choose from.
    """
    found = [_file(path, rules) for path in names]
    homes = label_folders.by_name({one.folder for one in found})
    images, labels = _told_apart(found, homes)
    alone = label_folders.of_labels_alone({one.folder for one in labels}, {image.folder for image in images})
    index = _index(images)
    claims: dict[str, list[_File]] = {}
    left: list[Fault] = []
    unchosen = []
    for label in labels:
        if not _is_chosen(label, rules, is_in_folder=label.folder in homes):
            unchosen.append(label)
            continue
        groups = homes.get(label.folder) or (alone.get(label.folder) if label.name.whose else None) or [[label.folder]]
        fitting = _first(_alike(label, group, index) for group in groups)
        left += _claim(label, fitting, claims) if fitting else [_stray(label, groups, index)]
    masks, others = _settled(claims, rules)
    further, left = _further(masks, [*left, *others])
    scans = {fault.path for fault in left} | {one.path for one in unchosen} if rules.strays_are_scans else set()
    kept = {image.path for image in images} | scans
    return Pairs(
        tuple(path for path in names if path in kept),
        masks,
        tuple(fault for fault in left if fault.path not in scans),
        tuple(one.path for one in unchosen if one.path not in scans),
        further,
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
    index, anywhere = _index(images), _index([image._replace(folder=PurePosixPath()) for image in images])
    claims: dict[str, list[_File]] = {}
    left: list[Fault] = []
    others = [label.path for label in unchosen]
    for path in paths.walk(mask_folder).paths:
        label = _file(path, rules)
        if not _is_chosen(label, rules, is_in_folder=True):
            others.append((here / path).as_posix())
            continue
        fitting = _alike(label, [label.folder], index) or _alike(label, [PurePosixPath()], anywhere)
        named = label._replace(path=(here / path).as_posix())
        left += _claim(named, fitting, claims) if fitting else [_stray(named, [[PurePosixPath()]], anywhere)]
    masks, second = _settled(claims, rules)
    further, left = _further(masks, [*left, *second])
    return Pairs(tuple(image.path for image in images), masks, tuple(left), tuple(others), further)


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


def _file(path: str, rules: Rules) -> _File:
    pure = PurePosixPath(path)
    stem = files.stem_of(pure.name)
    fits = [suffix for suffix in rules.suffixes or () if stem.endswith(suffix)]
    rest = stem[: -len(max(fits, key=len))] if fits else stem
    return _File(path, pure.parent, rest, label_names.name(rest), bool(fits))


def _told_apart(found: Sequence[_File], homes: label_folders.Homes) -> tuple[list[_File], list[_File]]:
    """Images, and label maps by name, folder or ending."""
    are_labels = [one.folder in homes or one.name.is_label or one.has_suffix for one in found]
    images = [one for one, is_label in zip(found, are_labels, strict=True) if not is_label]
    return images, [one for one, is_label in zip(found, are_labels, strict=True) if is_label]


def _is_chosen(label: _File, rules: Rules, *, is_in_folder: bool) -> bool:
    """Whether `label` may be a mask: where the user names endings, those, and what is named as its image is."""
    return (
        rules.suffixes is None
        or label.has_suffix
        or (bool(rules.suffixes) and is_in_folder and not label.name.is_label)
    )


def _index(images: Sequence[_File]) -> _Index:
    """Folder and words -> images of these words, or of these and then words that are no numbers; of any for none."""
    index: dict[tuple[PurePosixPath, tuple[str, ...]], list[_File]] = {}
    for image in images:
        whose = image.name.whose
        for count in range(len(whose) + 1):
            # "run-2" or "12" would be another image's
            if count == 0 or all(word.isalpha() for word in whose[count:]):
                index.setdefault((image.folder, whose[:count]), []).append(image)
    return index


def _alike(label: _File, folders: Sequence[PurePosixPath], index: _Index) -> list[_File]:
    """The images in `folders` that are named as `label` is: best to the letter, else in every word, else in its own."""
    named = (image for folder in folders for image in index.get((folder, label.name.whose), ()))
    found = [image for image in named if not _contradict(label, image)]
    same = [image for image in found if image.stem == label.stem]
    kind = [image for image in found if _of_one_kind(label.name.kinds, image.name.kinds)]
    return same or [image for image in kind if image.name.whose == label.name.whose] or kind


def _contradict(label: _File, image: _File) -> bool:
    home = PurePosixPath(image.path).parent
    return label.folder != home and label_folders.contradict(label.folder, home)


def _stray(label: _File, groups: Sequence[Sequence[PurePosixPath]], index: _Index) -> Fault:
    """Why `label` fits no image: the one of its name lies elsewhere, or its name is that of one and more."""
    whose = label.name.whose
    folders = [folder for group in groups for folder in group]
    for count in range(len(whose), -1, -1):
        near = [image for folder in folders for image in index.get((folder, whose[:count]), ())]
        for image in (image for image in near if image.name.whose == whose[:count]):
            if _contradict(label, image):
                parted = str(label.folder), str(PurePosixPath(image.path).parent)
                return strays.of_elsewhere(label.path, image.path, parted)
            if count < len(whose) and _of_one_kind(label.name.kinds, image.name.kinds):
                ending = label_names.ending(label.stem, image.stem)
                return strays.of_a_part(label.path, image.path, whose[count:], ending)
    return strays.of_none(label.path)


def _further(masks: Mapping[str, str], left: Sequence[Fault]) -> tuple[dict[str, tuple[str, ...]], list[Fault]]:
    """Image -> its other masks, which are called as its mask with a number behind; and what is left then."""
    owners = {files.stem_of(mask): image for image, mask in masks.items()}
    of = {fault.path: owners.get(label_names.whole(files.stem_of(fault.path))) for fault in left}
    further: dict[str, tuple[str, ...]] = {}
    for path, image in of.items():
        if image is not None:
            further[image] = (*further.get(image, ()), path)
    return further, [fault for fault in left if of[fault.path] is None]


def _of_one_kind(one: frozenset[str], other: frozenset[str]) -> bool:
    return one <= other or other <= one


def _first(groups: Iterable[list[_File]]) -> list[_File]:
    return next(filter(None, groups), [])


def _claim(label: _File, fitting: Sequence[_File], claims: dict[str, list[_File]]) -> list[Fault]:
    """Notes `label` for the image it fits, which may lie there in two formats; why not, where it fits more."""
    if len({files.stem_of(image.path) for image in fitting}) > 1:
        return [strays.of_several(label.path, fitting[0].path, fitting[1].path)]
    for image in fitting:
        claims.setdefault(image.path, []).append(label)
    return []


def _settled(claims: Mapping[str, Sequence[_File]], rules: Rules) -> tuple[dict[str, str], list[Fault]]:
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
