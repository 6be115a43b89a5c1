"""Label maps of another rank or other channels than their scans, as grey masks of photographs: one kind is set aside.

Whichever kind is more frequent is taken for the scans, so that masks that outnumber their photographs would be.
"""

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

import numpy as np

from tools.checks import label_maps, partners
from tools.readers import files
from tools.readers.contract import Item, Listing, UnusableFileError
from tools.voxels import ranges, regions

MOST = 16  # files of either kind that are looked at, spread over all


def check(listing: Listing, kept: Sequence[Item], others: Sequence[Item], *, max_bytes: int) -> None:
    """Looks at what is `kept` for converting, and at what is set aside for its kind beside scans without a mask.

    Raises:
        InputError: one looks like a label map of one of the other kind.
    """
    for labels, scans in ((kept, others), (others, [item for item in kept if not item.mask])):
        pairs = list(_pairs([item for item in labels if not item.mask and item.key is None], scans))
        for number in np.unique(np.linspace(0, len(pairs) - 1, min(MOST, len(pairs))).round().astype(int)):
            label, scan = pairs[number]
            if _is_label_map_of(listing, label, scan, max_bytes):
                raise label_maps.refusal(listing, label.path, scan.path)


def remedy(listing: Listing, kept: Sequence[Item], others: Sequence[Item]) -> str:
    """What makes the label maps of `kept` scans of what is set aside in `others`: flags that were tried, or a table."""
    label, scan = next(_pairs([item for item in others if item.key is None], kept), (None, None))
    return label_maps.as_masks(listing, label.path, scan.path) if label and scan else label_maps.TABLE


def _pairs(labels: Sequence[Item], scans: Sequence[Item]) -> Iterator[tuple[Item, Item]]:
    """Each of `labels` with the scan that it may be of: of its longest beginning, of its stem, or of its case."""
    by_stem = {_stem(item): item for item in scans}
    by_path = {files.stem_of(item.path): item for item in scans}
    among = partners.telling(item.path for item in (*labels, *scans))
    by_word: dict[str, list[Item]] = {}
    for scan in scans:
        for word in partners.words(scan.path, among, is_label_map=False):
            by_word.setdefault(word, []).append(scan)
    for label in labels:
        path = files.stem_of(label.path)
        beginnings = (path[:length] for length in range(len(path), len(path) - len(_stem(label)), -1))
        found = next((by_path[one] for one in beginnings if one in by_path), by_stem.get(_stem(label)))
        words = partners.words(label.path, among, is_label_map=True)
        near = (scan for word in words for scan in by_word.get(word, ())[:MOST])
        found = found or next((scan for scan in near if not partners.are_of_two_cases(scan.path, label.path)), None)
        if found is not None:
            yield label, found


def _stem(item: Item) -> str:
    return files.stem_of(PurePosixPath(item.path).name)


def _is_label_map_of(listing: Listing, label: Item, scan: Item, max_bytes: int) -> bool:
    """Not where one of them cannot be read, which is said elsewhere."""
    try:
        paths = (listing.root / item.path for item in (label, scan))
        volumes = [files.read(path, max_bytes=max_bytes).voxels for path in paths]
    except (UnusableFileError, MemoryError):
        return False
    is_alike = volumes[0].shape[:-1] == volumes[1].shape[: volumes[0].ndim - 1]
    return is_alike and regions.is_label_map(volumes[0], ranges.of(volumes[0]))
