"""Layout `folder`: any mix of files; masks by name or by a parallel folder; folders named as splits keep them."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ssl3d_tf.errors import InputError
from tools.readers import files, pairing, paths, split_words
from tools.readers.contract import Item, Listing

LABELS_ALONE = re.compile(r"(labels?|masks?|segmentations?)(tr|ts)?|gt|dlmuse")  # as --input itself is called


def find(root: Path, tree: paths.Tree, *, name: str, rules: pairing.Rules, mask_folder: Path | None) -> Listing:
    """Lists the images of `tree`, each with its mask where there is one.

    Raises:
        InputError: an image has several masks to choose from, or all files are label maps by their names.
    """
    known = set(tree.paths)
    names = [path for path in tree.paths if not _has_header(path, known)]
    found = pairing.pair_with_folder(names, mask_folder, rules) if mask_folder else pairing.pair(names, rules)
    if names and not rules.strays_are_scans:
        _refuse_labels_alone(root, names, found)
    repeated = {path for path, count in Counter(files.stem_of(path) for path in found.images).items() if count > 1}
    items = tuple(_item(path, found.masks.get(path), files.stem_of(path) in repeated) for path in found.images)
    notes = []
    if found.unchosen:
        notes += [f"label maps that are not chosen as masks: {len(found.unchosen)}, the first {found.unchosen[0]}."]
    return Listing("folder", root, name, items, tree.faults + found.strays, notes=tuple(notes))


def _refuse_labels_alone(root: Path, names: Sequence[str], found: pairing.Pairs) -> None:
    """Raises InputError where `root` holds label maps and no scans."""
    if not found.images or (not found.masks and LABELS_ALONE.fullmatch(root.name.lower())):
        raise InputError(
            f"all {len(names)} files in {root} are label maps by their names, the first is {names[0]}; "
            "name the folder around them and their scans, or add --label_maps=scans if they are scans."
        )


def _item(path: str, mask: str | None, is_repeated: bool) -> Item:
    name = path if is_repeated else files.stem_of(path)
    return Item(name, path, name, mask=mask, split=split_words.of_path(path))


def _has_header(path: str, names: set[str]) -> bool:
    return files.suffix_of(path) in (".img", ".img.gz") and not names.isdisjoint(files.headers_of(path))
