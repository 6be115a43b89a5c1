"""What a data folder holds, in numbers: split by split, for a person or as JSON."""

from typing import Any

import numpy as np

from ssl3d_tf.data.places import Place
from ssl3d_tf.data.records import columns, manifest, reading, schema

SAMPLE = 64  # examples per split that intensities are read from


def summarise(folder: Place, data: manifest.Manifest) -> dict[str, Any]:
    """The table's numbers, JSON-able. Intensities and grids are those of up to SAMPLE examples per split."""
    named = ["name", "rank", "channels", "modality", "classes", "ignore_label", "label_classes"]
    named += ["dtypes", "mask_dtypes", "codec", "label_size"]
    fields = data._asdict()
    filled = [name for name in manifest.SPLITS if name in data.splits and data.splits[name].entries]
    splits = {name: _summarise_split(folder, data.splits[name]) for name in filled}
    return {**{key: fields[key] for key in named}, "intensity_recipe": data.recipe.get("intensity"), "splits": splits}


def text(summary: dict[str, Any]) -> str:
    """`summary` as text."""
    head = f"{summary['name']}: {summary['rank']}D, channels {', '.join(summary['channels'])}"
    kinds = f"stored as {', '.join(summary['dtypes'])} ({summary['codec']}), intensity {summary['intensity_recipe']}"
    classes = ", ".join(f"{value} {name}" for value, name in sorted(summary["classes"].items(), key=_by_number))
    if summary["ignore_label"] is not None:
        classes += f"; {summary['ignore_label']} is ignored"
    labels = ", ".join(f"{value} {name}" for value, name in summary["label_classes"].items())
    rows = [["split", "examples", "masks", "labels", "shards", "MB", "shape min", "median", "max", "intensity"]]
    rows[0] += ["scored on"]
    for name, split in summary["splits"].items():
        shapes = ["×".join(map(str, split["shape"][key])) for key in ("min", "median", "max")]
        counts = [str(split[key]) for key in ("examples", "masks", "labels", "shards")]
        low, high = split["intensity"]
        rows.append([name, *counts, f"{split['bytes'] / 1e6:.1f}", *shapes, f"{low:.4g} to {high:.4g}"])
        rows[-1] += [f"{split['scored_on']} grid" if split["scored_on"] else "–"]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(
        [head, kinds, *([f"classes: {classes}"] if classes else []), *([f"labels: {labels}"] if labels else []), *lines]
    )


def _summarise_split(folder: Place, split: manifest.Split) -> dict[str, Any]:
    shapes = columns.dense(split.entries, "shape")
    step = -(-len(split.entries) // SAMPLE)
    found = [_look(reading.read_example(folder, split, entry)) for entry in split.entries[::step]]
    grids = {grid for *_, grid in found if grid}
    return {
        "examples": len(split.entries),
        "masks": int(columns.ragged(split.entries, "counts").has.sum()),
        "labels": int(columns.ragged(split.entries, "label").has.sum()),
        "shards": len(split.shards),
        "bytes": sum(shard.bytes for shard in split.shards),
        "shape": {
            "min": shapes.min(axis=0).tolist(),
            "median": np.percentile(shapes, 50, axis=0, method="lower").tolist(),
            "max": shapes.max(axis=0).tolist(),
        },
        "intensity": [min(low for low, *_ in found), max(high for _, high, _ in found)],
        "scored_on": "record" if "record" in grids else "native" if grids else None,
    }


def _look(example: schema.Example) -> tuple[float, float, str | None]:
    """Lowest and highest intensity, and on which grid its mask is scored; None where it has none to say."""
    is_said = example.mask is not None and not any(example.source.get("brick", {}).get("start", ()))
    return *_range(example), ("native" if reading.native(example) else "record") if is_said else None


def _range(example: schema.Example) -> tuple[float, float]:
    flat = example.volume.reshape(-1, example.volume.shape[-1])
    ends = reading.intensities(np.stack([flat.min(axis=0), flat.max(axis=0)]), example)
    return float(ends.min()), float(ends.max())


def _by_number(pair: tuple[str, str]) -> tuple[int, str]:
    """Orders classes by value: 2 before 10."""
    return len(pair[0]), pair[0]
