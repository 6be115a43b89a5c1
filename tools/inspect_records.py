"""Shows what a data folder holds, checks it, and draws its examples.

python -m tools.inspect_records DATA [--verify] [--json]
python -m tools.inspect_records DATA --show ID --png FILE
python -m tools.inspect_records DATA --views gin/jigsaw_3d.gin --png FILE
"""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import app, flags

from ssl3d_tf.command import cli
from ssl3d_tf.data import files
from ssl3d_tf.data.places import Place, local, place
from ssl3d_tf.data.records import manifest, reading, schema, writer
from ssl3d_tf.errors import InputError
from tools import draw

SAMPLE = 64  # examples per split that intensities are read from
PLANE_PX = 320


def define_flags() -> None:
    """Declares the flags; called by the command only."""
    flags.DEFINE_bool("verify", False, "Read everything and compare it with checksums and manifest.")
    flags.DEFINE_string("show", "", "Draw the planes of the example with this id.")
    flags.DEFINE_multi_string("views", [], "Draw what the network sees with this gin file; several, in order.")
    flags.DEFINE_multi_string("gin_param", [], "NAME=VALUE for --views, such as VIEW_SIZE=32; may repeat.")
    flags.DEFINE_string("png", "", "Where --show or --views draws.")
    flags.DEFINE_bool("json", False, "Print JSON instead of a table.")


def main(argv: Sequence[str]) -> None:
    """Does what the flags say with the folder named as the one argument."""
    values = flags.FLAGS
    if len(argv) != 2:
        raise app.UsageError("name one data folder: python -m tools.inspect_records DATA")
    if bool(values.show) + bool(values.views) != bool(values.png):
        raise app.UsageError("--png FILE needs one of --show ID and --views GIN_FILE, and they need --png.")
    if values.gin_param and not values.views:
        raise app.UsageError("--gin_param is for --views; add --views=gin/jigsaw_3d.gin, say.")
    folder = place(argv[1])
    data = manifest.read(folder)
    if values.verify:
        faults = list(verify(folder, data))
        if faults:
            print("\n".join(faults), file=sys.stderr)
            sys.exit(1)
    if values.show:
        show(folder, data, values.show, local(values.png, "--png"))
    if values.views:
        show_views(folder, values.views, values.gin_param, local(values.png, "--png"))
    summary = summarise(folder, data)
    print(json.dumps(summary, indent=1) if values.json else table(summary))
    if values.verify and not values.json:
        print("verified: every checksum, id, offset and shape agrees with the manifest.")


def summarise(folder: Place, data: manifest.Manifest) -> dict[str, Any]:
    """The table's numbers, JSON-able. Intensities are those of up to SAMPLE examples per split."""
    named = ("name", "rank", "channels", "modality", "classes", "dtypes", "mask_dtypes", "codec", "label_size")
    fields = data._asdict()
    filled = [name for name in manifest.SPLITS if name in data.splits and data.splits[name].entries]
    splits = {name: _summarise_split(folder, data.splits[name]) for name in filled}
    return {**{key: fields[key] for key in named}, "intensity_recipe": data.recipe.get("intensity"), "splits": splits}


def table(summary: dict[str, Any]) -> str:
    """`summary` as text."""
    head = f"{summary['name']}: {summary['rank']}D, channels {', '.join(summary['channels'])}"
    kinds = f"stored as {', '.join(summary['dtypes'])} ({summary['codec']}), intensity {summary['intensity_recipe']}"
    classes = ", ".join(f"{value} {name}" for value, name in summary["classes"].items())
    rows = [["split", "examples", "masks", "labels", "shards", "MB", "shape min", "median", "max", "intensity"]]
    for name, split in summary["splits"].items():
        shapes = ["×".join(map(str, split["shape"][key])) for key in ("min", "median", "max")]
        counts = [str(split[key]) for key in ("examples", "masks", "labels", "shards")]
        low, high = split["intensity"]
        rows.append([name, *counts, f"{split['bytes'] / 1e6:.1f}", *shapes, f"{low:.4g} to {high:.4g}"])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([head, kinds, *([f"classes: {classes}"] if classes else []), *lines])


def verify(folder: Place, data: manifest.Manifest) -> Iterator[str]:
    """Reads every record; yields one line per damaged shard, which names file and record."""
    for split in data.splits.values():
        for number, shard in enumerate(split.shards):
            entries = [entry for entry in split.entries if entry.shard == number]
            try:
                _verify_shard(folder / shard.file, shard, entries)
            except (InputError, ValueError) as error:
                yield str(error)


def show(folder: Place, data: manifest.Manifest, name: str, png: Path) -> None:
    """Draws the middle planes of the example called `name` side by side.

    Raises:
        InputError: there is no such example.
    """
    found = [(split, entry) for split in data.splits.values() for entry in split.entries if entry.id == name]
    if not found:
        ids = [entry.id for split in data.splits.values() for entry in split.entries[:3]]
        raise InputError(f"{folder} has no example '{name}'; it has {', '.join(ids)}, …")
    example = reading.read_example(folder, *found[0])
    pictures = draw.planes(example)
    captions = [f"{name}  {plane}" for plane in draw.PLANES] if len(pictures) == 3 else [name]
    tiles = [draw.tile(picture, text, PLANE_PX) for picture, text in zip(pictures, captions, strict=True)]
    with files.atomic(png) as file:
        draw.sheet(tiles, len(tiles)).save(file, format="PNG")


def show_views(folder: Place, gin_files: Sequence[str], params: Sequence[str], png: Path) -> None:
    """Draws what the network sees of a few training examples. Raises InputError, as `ssl3d_tf.preview.draw` does."""
    from ssl3d_tf import preview  # late: all else here does without TensorFlow, and starts ten times faster
    from ssl3d_tf.command import configuration

    preview.draw(folder, configuration.Sources(tuple(gin_files), tuple(params)), png)


def _summarise_split(folder: Place, split: manifest.Split) -> dict[str, Any]:
    shapes = np.array([entry.shape for entry in split.entries])
    step = -(-len(split.entries) // SAMPLE)
    ranges = [_range(reading.read_example(folder, split, entry)) for entry in split.entries[::step]]
    return {
        "examples": len(split.entries),
        "masks": sum(entry.counts is not None for entry in split.entries),
        "labels": sum(entry.label is not None for entry in split.entries),
        "shards": len(split.shards),
        "bytes": sum(shard.bytes for shard in split.shards),
        "shape": {
            "min": shapes.min(axis=0).tolist(),
            "median": np.percentile(shapes, 50, axis=0, method="lower").tolist(),
            "max": shapes.max(axis=0).tolist(),
        },
        "intensity": [min(low for low, _ in ranges), max(high for _, high in ranges)],
    }


def _range(example: schema.Example) -> tuple[float, float]:
    flat = example.volume.reshape(-1, example.volume.shape[-1])
    ends = reading.intensities(np.stack([flat.min(axis=0), flat.max(axis=0)]), example)
    return float(ends.min()), float(ends.max())


def _verify_shard(path: Place, shard: writer.Shard, entries: Sequence[manifest.Entry]) -> None:
    offset, count = 0, 0
    for payload in writer.read_shard(path):
        where = f"record {count} of {path}"
        if count >= len(entries):
            raise InputError(f"{where} is not in {manifest.FILE}; convert again.")
        example, entry = schema.decode(payload), entries[count]
        found = (example.id, example.patient, offset, len(payload), example.volume.shape)
        listed = (entry.id, entry.patient, entry.offset, entry.length, entry.shape)
        if found != listed:
            raise InputError(f"{where} is {found}, but {manifest.FILE} says {listed}; convert again.")
        offset, count = offset + writer.HEADER_BYTES + len(payload) + writer.FOOTER_BYTES, count + 1
    if count != len(entries) or count != shard.records:
        raise InputError(f"{path} holds {count} records, but {manifest.FILE} lists {len(entries)}; convert again.")
    if writer.file_crc32c(path) != shard.crc32c:
        raise InputError(f"{path} does not agree with its checksum in {manifest.FILE}; convert again.")


def command() -> None:
    """The command line."""
    cli.run(main, define_flags)


if __name__ == "__main__":
    command()
