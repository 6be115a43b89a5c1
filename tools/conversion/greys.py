"""Pictures stored in colours that are all grey: one channel, as they would be had they been saved well."""

from collections.abc import Mapping
from pathlib import Path

from tools.prepare.packing import Options
from tools.readers import files, pictures
from tools.readers.contract import Item, Kind, Probe, UnusableFileError
from tools.readers.items import COLOURS

NOTE = "stored in colours that are all equal: taken for grey, one channel"


def told_from_colours(root: Path, probes: Mapping[Item, Probe], options: Options) -> dict[Item, Probe]:
    """`probes`, where colour pictures with equal channels are of one channel, if the data set is one of grey pictures.

    Only pixels tell. They are looked at until more pictures have turned out coloured than are stored as grey: of a data
    set of colours that is the first one, and it stays as it is.
    """
    grey = sum(probe.is_picture and probe.kind.channels == 1 for probe in probes.values())
    coloured, found = 0, dict(probes)
    for item, probe in probes.items():
        if not probe.is_picture or probe.kind.channels != COLOURS or item.key is not None or item.channels:
            continue
        if _is_grey(root / item.path, options):
            found[item] = probe._replace(kind=Kind(probe.kind.rank, 1), notes=(*probe.notes, NOTE))
        else:
            coloured += 1
        if coloured > grey:
            return dict(probes)
    return found


def _is_grey(path: Path, options: Options) -> bool:
    """Not if it cannot be read, which is said when it is converted."""
    try:
        return pictures.is_grey(files.read(path, max_bytes=options.max_bytes, how=options.reading).voxels)
    except (UnusableFileError, MemoryError):
        return False
