"""Layout `folder`: any mix of files; masks by name or by a parallel folder; folders named as splits keep them."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from tools.readers import files, paths, split_words
from tools.readers.contract import Fault, Item, Listing

MASK_SUFFIXES = ("_mask", "_seg", "_label", "_labels", "_segmentation")
# Folder of masks -> the folder of images beside it; '' is the folder around it.
PARALLEL: dict[str, tuple[str, ...]] = {
    "labelsTr": ("imagesTr",),
    "labelsTs": ("imagesTs",),
    **dict.fromkeys(("masks", "mask", "labels", "label", "segmentations"), ("images", "image", "")),
}

Key = tuple[str, str]  # folder, name without suffix


def find(root: Path, tree: paths.Tree, *, name: str, suffixes: Sequence[str], mask_folder: Path | None) -> Listing:
    """Lists the images of `tree`, each with its mask where there is one."""
    known = set(tree.paths)
    names = [path for path in tree.paths if not _has_header(path, known)]
    images, masks, faults = pair(names, suffixes)
    if mask_folder is not None:
        masks |= _masks_from(mask_folder, root, images, suffixes)
    repeated = {path for path, count in Counter(files.stem_of(path) for path in images).items() if count > 1}
    items = tuple(_item(path, masks.get(path), files.stem_of(path) in repeated) for path in images)
    return Listing("folder", root, name, items, tree.faults + tuple(faults))


def pair(names: Sequence[str], suffixes: Sequence[str]) -> tuple[list[str], dict[str, str], list[Fault]]:
    """Tells images from masks.

    Returns:
        The images; image -> its mask; masks without an image, and second masks.
    """
    folders = {parent.as_posix() for path in names for parent in PurePosixPath(path).parents}
    holding = {_key(path)[0] for path in names}
    homes = {folder: _image_folder(folder, folders, holding) for folder in holding}
    owners = {path: list(_owners(path, homes, suffixes)) for path in names}
    images = [path for path in names if not owners[path]]
    by_key: dict[Key, list[str]] = {}
    for path in images:
        by_key.setdefault(_key(path), []).append(path)
    masks: dict[str, str] = {}
    faults: list[Fault] = []
    for path, keys in owners.items():
        if keys:
            faults += _claim(path, [image for key in keys for image in by_key.get(key, ())], masks)
    return images, masks, faults


def _claim(mask: str, targets: Sequence[str], found: dict[str, str]) -> Iterator[Fault]:
    if not targets:
        yield Fault(mask, "it is named as a mask, but its image is not there", "add the image or mend --mask_suffix")
    for image in targets:
        if found.setdefault(image, mask) != mask:
            yield Fault(mask, f"{image} has another mask, {found[image]}", "keep one mask per image")


def _owners(path: str, homes: Mapping[str, str | None], suffixes: Sequence[str]) -> Iterator[Key]:
    """Where the image of the mask `path` would be; nothing if `path` is no mask."""
    folder, stem = _key(path)
    home = homes[folder]
    if home is not None:
        yield home, stem
    for suffix in suffixes:
        if stem.endswith(suffix) and len(stem) > len(suffix):
            yield folder if home is None else home, stem[: -len(suffix)]


def _image_folder(folder: str, folders: set[str], holding: set[str]) -> str | None:
    """The folder of images that the folder of masks `folder` belongs to; None if it holds images itself."""
    parts = PurePosixPath(folder).parts
    for number, part in enumerate(parts):
        shortened = [part[: -len(end)] for end in ("_labels", "_masks") if part.endswith(end)]
        for other in (*shortened, *PARALLEL.get(part, ())):
            beside = PurePosixPath(*parts[:number], other).as_posix()
            if beside in (folders if other else holding):
                return PurePosixPath(beside, *parts[number + 1 :]).as_posix()
    return None


def _masks_from(mask_folder: Path, root: Path, images: Sequence[str], suffixes: Sequence[str]) -> dict[str, str]:
    """Masks of the same relative name, with or without a suffix, under `mask_folder`."""
    stems = {files.stem_of(path): path for path in paths.walk(mask_folder).paths}
    place = PurePosixPath(Path(os.path.relpath(mask_folder, root)).as_posix())
    pairs = ((path, stems.get(files.stem_of(path) + suffix)) for path in images for suffix in ("", *suffixes))
    return {path: (place / mask).as_posix() for path, mask in pairs if mask is not None}


def _item(path: str, mask: str | None, is_repeated: bool) -> Item:
    name = path if is_repeated else files.stem_of(path)
    return Item(name, path, name, mask=mask, split=split_words.of_path(path))


def _has_header(path: str, names: set[str]) -> bool:
    return path.lower().endswith(".img") and path[:-4] + ".hdr" in names


def _key(path: str) -> Key:
    pure = PurePosixPath(path)
    return pure.parent.as_posix(), files.stem_of(pure.name)
