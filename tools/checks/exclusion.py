"""Volumes that another data set has too: --exclude_overlap keeps them out, so that no test data are pretrained on."""

from collections.abc import Iterable, Mapping

from ssl3d_tf.data.places import place
from ssl3d_tf.data.records import columns, manifest
from ssl3d_tf.errors import InputError
from tools.readers.contract import UnusableFileError


class OverlapError(UnusableFileError):
    """A volume that is left out on request, which is no fault of its file."""


def contents(folders: Iterable[str]) -> dict[str, str]:
    """Content hash -> which example it is, of all splits of the data sets in `folders`.

    Raises:
        InputError: no data set, or one whose manifest holds no content hashes.
    """
    found: dict[str, str] = {}
    for folder in folders:
        if not (place(folder) / manifest.FILE).is_file():
            raise InputError(f"--exclude_overlap {folder} is no data folder: name one that tools.to_tfrecord wrote.")
        data = manifest.read(folder)
        for name, split in data.splits.items():
            if not columns.ragged(split.entries, "content").has.all():
                raise InputError(f"--exclude_overlap {folder} holds no content hashes; convert it again.")
            texts = (columns.of(split.entries).texts(key) for key in ("content", "id"))
            for content, example in zip(*texts, strict=True):
                found.setdefault(content, f"'{example}' in {name} of {data.name}")
    return found


def check(content: str, known: Mapping[str, str]) -> None:
    """Raises OverlapError where a volume of this content is among `known`."""
    if content in known:
        raise OverlapError(f"it has the voxels of {known[content]}", "leave out --exclude_overlap to keep it")
