"""The volumes of the comparison, in the format each library reads best, all from the same arrays."""

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import nibabel
import numpy as np

from benchmarks.peers.jobs import SIDE, TOP
from ssl3d_tf.data import phantoms
from ssl3d_tf.data.records import manifest as manifests
from ssl3d_tf.data.records import schema, writer

FORMATS = "nii_gz", "nii", "int16", "float32", "records"


class Made(NamedTuple):
    """What a format took: seconds to write, None where it was there already, and its bytes."""

    seconds: float | None
    size: int


def made(folder: Path, *, count: int, ramps: bool = False, formats: Sequence[str] = FORMATS) -> dict[str, Made]:
    """Makes the formats that are not there; `ramps` as of `volume`."""
    missing = [kind for kind in formats if not (folder / kind).exists()]
    volumes = [volume(index, side=SIDE, ramps=ramps) for index in range(count)] if missing else []
    seconds = {kind: _written(folder / kind, volumes) for kind in missing}
    sizes = {kind: sum(path.stat().st_size for path in (folder / kind).iterdir()) for kind in formats}
    return {kind: Made(seconds.get(kind), sizes[kind]) for kind in formats}


def volume(index: int, *, side: int, ramps: bool) -> np.ndarray:
    """int16 [side, side, side], values from 0 to 4095: a phantom, or a ramp along axis 0, 1, 2, 0, ...

    A ramp shows what was done to it.
    """
    if ramps:
        found = np.moveaxis(np.broadcast_to(np.linspace(0.0, 1.0, side), (side,) * 3), -1, index % 3)
    else:
        drawn = phantoms.phantom(index, seed=0, shape=(side,) * 3)[0]
        found = (drawn - drawn.min()) / np.ptp(drawn)
    return np.rint(found * TOP).astype(np.int16)


def _written(target: Path, volumes: Sequence[np.ndarray]) -> float:
    part = target.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    began = time.perf_counter()
    _write(part, target.name, volumes)
    part.rename(target)
    return time.perf_counter() - began


def _write(folder: Path, kind: str, volumes: Sequence[np.ndarray]) -> None:
    if kind == "records":
        _write_records(folder, volumes)
        return
    for index, voxels in enumerate(volumes):
        if kind == "int16":
            np.save(folder / f"{index:03d}.npy", voxels)
        elif kind == "float32":
            np.save(folder / f"{index:03d}.npy", voxels.astype(np.float32) / TOP)
        else:
            suffix = kind.replace("_", ".")
            nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), folder / f"{index:03d}.{suffix}")


def _write_records(folder: Path, volumes: Sequence[np.ndarray]) -> None:
    names = [f"{index:03d}" for index in range(len(volumes))]
    examples = (
        schema.Example(name, name, voxels[..., None].astype(np.uint16), [1 / TOP], [0.0], [1.0] * 3, np.eye(4), {})
        for name, voxels in zip(names, volumes, strict=True)
    )
    payloads = [schema.encode(example) for example in examples]
    shard, places = writer.write_shard(folder / "train-00000.tfrecord", payloads)
    entries = tuple(
        manifests.Entry(name, name, 0, *at, (*volumes[0].shape, 1), stored=schema.stored(payload))
        for name, at, payload in zip(names, places, payloads, strict=True)
    )
    split = {"train": manifests.Split((shard,), entries)}
    recipe = {"made": "benchmarks/peers"}
    manifests.write(
        folder, manifests.Manifest("peers", 3, ("phantom",), "", {}, ("uint16",), (), "raw", 0, recipe, split)
    )
