"""The middle planes of one example side by side, drawn from its record."""

from ssl3d_tf.data import files
from ssl3d_tf.data.places import Place
from ssl3d_tf.data.records import columns, manifest, reading
from ssl3d_tf.errors import InputError
from tools.overview import draw

PLANE_PX = 320


def write(path: Place, folder: Place, data: manifest.Manifest, name: str) -> None:
    """Draws the middle planes of the example called `name` side by side.

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
    pictures = draw.planes(example, ignore_label=data.ignore_label)
    captions = [f"{name}  {plane}" for plane in draw.PLANES] if len(pictures) == 3 else [name]
    tiles = [draw.tile(picture, text, PLANE_PX) for picture, text in zip(pictures, captions, strict=True)]
    with files.atomic(path) as file:
        draw.sheet(tiles, len(tiles)).save(file, format="PNG")
