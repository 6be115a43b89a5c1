"""Data folders to measure on."""

import os
from pathlib import Path

import numpy as np

from ssl3d_tf.data import phantoms
from ssl3d_tf.data.records import manifest as manifests
from ssl3d_tf.data.records import schema, writer


def phantom_folder(count: int, side: int) -> Path:
    """`count` records of 8 different phantoms, 8 bits, in shards of 32: drawing each would take too long."""
    folder = Path("runs") / f"throughput_{side}_{count}"
    if (folder / manifests.FILE).exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    drawn = [phantoms.phantom(index, seed=0, shape=(side,) * 3)[0] for index in range(8)]
    shards, entries = [], []
    for number, first in enumerate(range(0, count, 32)):
        names = [f"phantom{index}" for index in range(first, min(first + 32, count))]
        payloads = [schema.encode(_example(name, drawn[index % 8])) for index, name in enumerate(names)]
        shard, places = writer.write_shard(folder / f"train-{number:05d}.tfrecord", payloads)
        shards.append(shard)
        entries += [
            manifests.Entry(name, name, number, *at, (side,) * 3 + (1,), stored=schema.stored(payload))
            for name, at, payload in zip(names, places, payloads, strict=True)
        ]
    split = manifests.Split(tuple(shards), tuple(entries))
    _write_manifest(folder, {"train": split, "val": split})
    return folder


def _example(name: str, volume: np.ndarray) -> schema.Example:
    stored = (volume[..., None] * 255).astype("uint8")
    return schema.Example(name, name, stored, [1 / 255], [0.0], [1.0] * 3, np.eye(4), {})


def _write_manifest(folder: Path, splits: dict[str, manifests.Split]) -> None:
    recipe = {"made": "benchmarks/throughput.py"}
    manifests.write(
        folder,
        manifests.Manifest("throughput", 3, ("phantom",), "", {}, ("uint8",), (), "raw", 0, recipe, splits),
    )


def repeated(folder: Path, times: int) -> Path:
    """A data folder in which every example occurs `times` times, over the same shards."""
    if times == 1:
        return folder
    manifest = manifests.read(folder)
    target = Path("runs") / f"{folder.name}_x{times}"
    target.mkdir(parents=True, exist_ok=True)
    split = manifest.split("train")
    for shard in split.shards:
        if not (target / shard.file).exists():
            os.symlink((folder / shard.file).resolve(), target / shard.file)
    entries = [entry._replace(id=f"{entry.id}_{time}") for time in range(times) for entry in split.entries]
    manifests.write(target, manifest._replace(splits={"train": manifests.Split(split.shards, tuple(entries))}))
    return target
