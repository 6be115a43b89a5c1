"""contact_sheet.png: the middle slice of up to 64 examples, drawn from the written records."""

from pathlib import Path

import numpy as np

from ssl3d_tf import files
from ssl3d_tf.records import manifest, reading
from tools import draw

EXAMPLES, COLUMNS, TILE_PX = 64, 8, 128


def write(path: Path, folder: Path, data: manifest.Manifest) -> None:
    """Draws examples spread evenly over all splits of `data`, which lie in `folder`."""
    entries = [(split, entry) for split in data.splits.values() for entry in split.entries]
    chosen = np.unique(np.linspace(0, len(entries) - 1, min(EXAMPLES, len(entries))).round().astype(int))
    tiles = []
    for split, entry in (entries[number] for number in chosen):
        example = reading.read_example(folder, split, entry)
        tiles.append(draw.tile(draw.planes(example)[0], entry.id, TILE_PX))
    with files.atomic(path) as file:
        draw.sheet(tiles, COLUMNS).save(file, format="PNG")
