"""The middle planes of one example side by side, drawn from its record."""

from ssl3d_tf.data import files
from ssl3d_tf.data.places import Place
from ssl3d_tf.data.records import columns, manifest, reading
from ssl3d_tf.errors import InputError
from tools.overview import draw

PLANE_PX = 320


def write(path: Place, folder: Place, data: manifest.Manifest, name: str, *, neurological: bool = False) -> None:
    """Draws the middle planes of the example called `name` side by side, in the convention of `upright`.

    Raises:
        InputError: there is no such example.
    """
    found = [
        (split, split.entries[row])
        for split in data.splits.values()
        for row, there in enumerate(columns.of(split.entries).texts("id"))
        if there == name
    ]
    if not found:
        ids = [entry.id for split in data.splits.values() for entry in split.entries[:3]]
        raise InputError(f"{folder} has no example '{name}'; it has {', '.join(ids)}, …")
    example = reading.read_example(folder, *found[0])
    names = draw.names(data)
    pictures = draw.planes(example, names, neurological=neurological)
    tiles = [draw.tile(picture, f"{name}  {picture.name}".strip(), PLANE_PX) for picture in pictures]
    with files.atomic(path) as file:
        draw.sheet(tiles, len(tiles), names).save(file, format="PNG")
