"""contact_sheet.png: the middle slice of up to 64 examples, drawn from the records; what looks wrong is framed."""

from collections.abc import Mapping, Sequence

import numpy as np

from ssl3d_tf.data import files
from ssl3d_tf.data.places import Place
from ssl3d_tf.data.records import manifest, reading
from tools.checks.findings import Finding
from tools.overview import draw

EXAMPLES, COLUMNS, TILE_PX = 64, 8, 128


def write(path: Place, folder: Place, data: manifest.Manifest, findings: Sequence[Finding] = ()) -> None:
    """Draws examples spread evenly over all splits of `data`, which lie in `folder`, those with findings first."""
    entries = [(split, entry) for split in data.splits.values() for entry in split.entries]
    words: dict[str, list[str]] = {}
    for finding in findings:
        words.setdefault(finding.id, []).append(finding.word)
    tiles, names = [], draw.names(data)
    ids = [entry.brick.of if entry.brick else entry.id for _, entry in entries]
    for number in _chosen(ids, words):
        split, entry = entries[number]
        picture = draw.planes(reading.read_example(folder, split, entry), names)[0]
        tiles.append(draw.tile(picture, entry.id, TILE_PX, mark=", ".join(words.get(ids[number], ()))))
    with files.atomic(path) as file:
        draw.sheet(tiles, COLUMNS, names).save(file, format="PNG")


def _chosen(ids: Sequence[str], marked: Mapping[str, object]) -> list[int]:
    """Which examples are drawn, in stored order: up to half of them marked ones, or more if there are no others."""
    with_mark = [number for number, name in enumerate(ids) if name in marked]
    others = [number for number, name in enumerate(ids) if name not in marked]
    most_marked = max(EXAMPLES // 2, EXAMPLES - len(others))
    shown = _spread(with_mark, most_marked)
    return sorted(shown + _spread(others, EXAMPLES - len(shown)))


def _spread(numbers: Sequence[int], most: int) -> list[int]:
    places = np.linspace(0, len(numbers) - 1, min(most, len(numbers))).round().astype(int)
    return [numbers[place] for place in np.unique(places)]
