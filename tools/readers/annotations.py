"""DICOM-SEG and RTSTRUCT: which images they are of, what they name, and the label map that they draw."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from pydicom.datadict import keyword_for_tag

from tools.readers import dicom, label_map, segmentation, structures
from tools.readers.contract import Segments, UnusableFileError, Volume

READERS: dict[str, ModuleType] = {
    "1.2.840.10008.5.1.4.1.1.66.4": segmentation,
    "1.2.840.10008.5.1.4.1.1.66.7": segmentation,  # label map
    "1.2.840.10008.5.1.4.1.1.481.3": structures,
}
REFERENCES = "ReferencedSOPInstanceUID", "ReferencedFrameOfReferenceUID", "FrameOfReferenceUID"


class Annotation(NamedTuple):
    """A file without its regions. series, instances: UIDs of the images it names. frames: of reference.

    names: of the regions. title: what a person called it.
    """

    instance: str
    series: frozenset[str]
    instances: frozenset[str]
    frames: frozenset[str]
    names: tuple[str, ...]
    title: str


def is_one(data: Any) -> bool:
    """Whether a data set is a DICOM-SEG or RTSTRUCT."""
    return str(data.get("SOPClassUID")) in READERS


def describe(data: Any) -> Annotation:
    """What the data set of a DICOM-SEG or RTSTRUCT says of itself.

    Raises:
        UnusableFileError: it has no region.
    """
    names = READERS[str(data.SOPClassUID)].names(data)
    if not names:
        raise UnusableFileError("it has no segment, and no closed contour", "leave it out")
    found = list(_references(data))
    titles = (data.get(key) for key in ("StructureSetLabel", "SeriesDescription", "ContentLabel"))
    return Annotation(
        str(data.get("SOPInstanceUID") or ""),
        frozenset(uid for key, uid in found if key == "SeriesInstanceUID"),
        frozenset(uid for key, uid in found if key == "ReferencedSOPInstanceUID"),
        frozenset(uid for key, uid in found if key.endswith("FrameOfReferenceUID")),
        names,
        next((str(title) for title in titles if title), ""),
    )


def read(path: Path, origin: Mapping[str, Any], segments: Segments, *, max_bytes: int) -> Volume:
    """The regions of the file `path` on the grid of the image of that `Volume.origin`.

    voxels: [*spatial, 1], the number of the segment in `segments` from 1, 0 elsewhere; turned to RAS+.

    Raises:
        UnusableFileError: it does not lie on that grid, two regions overlap, or it is damaged.
    """
    target = label_map.empty(origin, segments, max_bytes=max_bytes)
    try:
        with dicom.opened(path) as data:
            READERS[str(data.SOPClassUID)].draw(path, data, target)
    except UnusableFileError as error:
        raise UnusableFileError(f"its mask {path.name}: {error.reason}", error.remedy) from error
    return label_map.volume(target)


def _references(data: Any, depth: int = 0) -> Iterator[tuple[str, str]]:
    """(keyword, UID) of everything that is referred to, at any depth; not what the file itself is."""
    for tag in list(data.keys()):  # by tag: elements, contours among them, are only parsed when they are asked for
        keyword = keyword_for_tag(tag)
        if keyword in REFERENCES or (depth and keyword == "SeriesInstanceUID"):
            yield keyword, str(data[tag].value)
        elif keyword.endswith("Sequence"):
            for inner in data[tag].value:
                yield from _references(inner, depth + 1)
