"""Layout `folder`: any mix of files; masks by name or by a parallel folder; folders named as splits keep them."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from ssl3d_tf.errors import InputError
from tools.readers import files, label_folders, pairing, paths, split_words
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
    items = tuple(_item(path, found, files.stem_of(path) in repeated) for path in found.images)
    notes = [*_doubts(found)]
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


def _doubts(found: pairing.Pairs) -> Iterator[str]:
    """What was taken for a mask although a user may mean otherwise."""
    if found.further:
        image, names = min(found.further.items())
        shown = f"{found.masks[image]} and {', '.join(names)}"
        yield f"{len(found.further)} scans have several masks, such as {shown}: together they are one, of one class."
    if found.by_grid:
        label, image = min(found.by_grid.items())
        named = f"{len(found.by_grid)} masks that by their names are of several scans"
        yield f"{named} go to the one on whose grid they lie, such as {label} of {image}."
    pairs = ((mask, image) for image, mask in found.masks.items() if not mask.startswith("../"))
    apart = [pair for pair in pairs if label_folders.are_apart(*(PurePosixPath(path).parent for path in pair))]
    if apart:
        shown = f"{apart[0][0]} of {apart[0][1]}, go by the names of files, those of their folders differ"
        yield f"{len(apart)} masks, such as {shown}: check them, or list scans and masks in a csv."


def _item(path: str, found: pairing.Pairs, is_repeated: bool) -> Item:
    name = path if is_repeated else files.stem_of(path)
    further = found.further.get(path, ())
    return Item(name, path, name, mask=found.masks.get(path), split=split_words.of_path(path), further=further)


def _has_header(path: str, names: set[str]) -> bool:
    return files.suffix_of(path) in (".img", ".img.gz") and not names.isdisjoint(files.headers_of(path))
