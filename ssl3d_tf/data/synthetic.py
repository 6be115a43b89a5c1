"""A data folder of phantoms, to try everything without patient data. Needs no TensorFlow."""

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from ssl3d_tf.data import files, phantoms
from ssl3d_tf.data.records import manifest, occupancy, schema, writer
from ssl3d_tf.data.records.entry import Body
from ssl3d_tf.errors import InputError

_GENERATOR = "ssl3d_tf.data.phantoms"
_SHARD_RECORDS = 32
_SPLIT_DISTANCE = 1_000_000  # subjects of the splits start this far apart, so that none can grow into another
_WHITE = 255  # stored, of an intensity of 1
_BODY_MM = 320.0  # what the frame measures on every side


def write_dataset(
    folder: Path,
    *,
    counts: Mapping[str, int] = MappingProxyType({"train": 64, "val": 16, "test": 16}),
    shape: Sequence[int] = (64, 64, 64),
    seed: int = 0,
    channels: int = 1,
) -> None:
    """Writes a data folder of phantoms, with masks and one label: whether there is a lesion (0 or 1).

    Equal arguments give equal bytes; adding subjects to a split changes no other. A folder that already holds the same
    phantoms is left as it is.

    Raises:
        InputError: an unknown split, a shape that cannot be drawn, or a folder that holds other data.
    """
    if unknown := counts.keys() - set(manifest.SPLITS):
        raise InputError(f"there is no split {sorted(unknown)} in counts; the splits are {manifest.SPLITS}.")
    recipe = {
        "generator": _GENERATOR,
        "version": phantoms.VERSION,
        "intensity": "none",
        "seed": seed,
        "shape": list(shape),
        "counts": dict(counts),
        "channels": channels,
    }
    if (folder / manifest.FILE).exists():
        _check_same(folder, recipe)
        return
    files.make_folder(folder, "the phantoms to")
    draw = functools.partial(_example, seed=seed, shape=shape, channels=channels)
    splits = {name: _write_split(folder, name, count, draw) for name, count in counts.items()}
    manifest.write(folder, _manifest(splits, recipe))


def _check_same(folder: Path, recipe: Mapping[str, Any]) -> None:
    found = manifest.read(folder).recipe
    if found != recipe:
        raise InputError(f"{folder} holds data made by {found}, not by {recipe}; choose another folder or remove it.")


def _write_split(folder: Path, name: str, count: int, draw: Callable[[int], schema.Example]) -> manifest.Split:
    first = manifest.SPLITS.index(name) * _SPLIT_DISTANCE
    shards: list[writer.Shard] = []
    entries: list[manifest.Entry] = []
    for start in range(0, count, _SHARD_RECORDS):
        drawn: list[manifest.Entry] = []
        examples = map(draw, range(first + start, first + min(start + _SHARD_RECORDS, count)))
        path = folder / f"{name}-{len(shards):05d}.tfrecord"
        shard, locations = writer.write_shard(path, _payloads(examples, drawn, len(shards)))
        shards.append(shard)
        entries += [entry._replace(**where._asdict()) for entry, where in zip(drawn, locations, strict=True)]
    return manifest.Split(tuple(shards), tuple(entries))


def _payloads(examples: Iterable[schema.Example], drawn: list[manifest.Entry], shard: int) -> Iterator[bytes]:
    """Encodes one example at a time and notes it in `drawn`, its place to be filled in."""
    for example in examples:
        payload, voxels = schema.encode(example), np.asarray(example.mask).ravel()
        counts = {str(value): int(number) for value, number in enumerate(np.bincount(voxels)) if number}
        shape, label = example.volume.shape, tuple(example.label or ())
        entry = manifest.Entry(example.id, example.patient, shard, 0, len(payload), shape, label, counts)
        entry = entry._replace(stored=schema.stored(payload), spacing_mm=tuple(example.spacing_mm))
        drawn.append(entry._replace(body=_body(example.volume)))
        yield payload


def _body(volume: np.ndarray) -> Body:
    """Of a volume as it is stored, uint8 [*spatial, channels]."""
    channels = volume.shape[-1]
    return Body((phantoms.AIR,) * channels, occupancy.text(volume, [phantoms.AIR * _WHITE] * channels))


def _example(index: int, *, seed: int, shape: Sequence[int], channels: int) -> schema.Example:
    volume, mask = phantoms.scan(index, seed=seed, shape=shape, channels=channels)
    spacing_mm = [_BODY_MM / side for side in shape]
    return schema.Example(
        id=f"phantom_{index:07d}",
        patient=f"phantom_{index:07d}",
        volume=np.rint(volume * _WHITE).astype(np.uint8),
        scale=[1.0 / _WHITE] * channels,
        offset=[0.0] * channels,
        spacing_mm=spacing_mm,
        affine=_affine(spacing_mm),
        source={"generator": _GENERATOR, "index": index, "seed": seed, "shape": list(shape)},
        mask=mask,
        label=[float(phantoms.LESION in mask)],
    )


def _affine(spacing_mm: Sequence[float]) -> np.ndarray:
    """Voxel index -> mm in RAS+ with the origin at index 0: head to feet, front to back, right to left all fall."""
    affine = np.eye(4)
    axes = (2, 1, 0) if len(spacing_mm) == 3 else (2, 0)  # where in (right, anterior, superior) each array axis points
    affine[:3, :3] = 0.0
    for column, (axis, step) in enumerate(zip(axes, spacing_mm, strict=True)):
        affine[axis, column] = -step
    if len(spacing_mm) == 2:
        affine[1, 2] = 1.0
    return affine


def _manifest(splits: Mapping[str, manifest.Split], recipe: Mapping[str, Any]) -> manifest.Manifest:
    return manifest.Manifest(
        name="phantoms",
        rank=len(recipe["shape"]),
        channels=tuple(f"contrast {channel}" for channel in range(recipe["channels"])),
        modality="phantom",
        classes={str(value): name for value, name in enumerate(phantoms.CLASSES)},
        dtypes=("uint8",),
        mask_dtypes=("uint8",),
        codec="raw",
        label_size=1,
        recipe=recipe,
        splits=splits,
    )
