"""--like: how a run's data, or a data folder, were prepared, so that others are prepared the same way."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

from ssl3d_tf.data.records import grids, manifest
from ssl3d_tf.errors import InputError
from tools.conversion import presets
from tools.conversion.presets import Values
from tools.prepare import recipe
from tools.prepare.packing import Options
from tools.readers.contract import Kind

CONTRACTS = ("contract.json", "encoder/contract.json", "model/contract.json", "runs/*/*/*/model/contract.json")
# What shapes the voxels that a network sees. What is not here is of the files (how arrays lie, what masks hold) or of
# storage, and stays as it is given.
FLAGS = ("shape", "spacing_mm", "crop_foreground", "square", "antialias", "slices", "intensity", "nan")


class Like(NamedTuple):
    """Data to be made like. where: what says it. options: how they were prepared. kind: of volumes before slicing."""

    where: Path
    options: Options
    kind: Kind


def read(folder: str, asked: Options, given: Collection[str]) -> Like:
    """What to do as in `folder`: a run's, its encoder/ or model/, or a data folder.

    Volumes that were neither resampled to a shape nor to a spacing have the median size of a voxel of those data as
    the spacing, where it is known: so what is converted by it is what they are.

    Args:
        asked: what the flags beside it say, of which those `given` by hand must not say otherwise.

    Raises:
        InputError: the folder says nothing of how its data were made, or a flag contradicts it.
    """
    found = next((path for pattern in CONTRACTS for path in sorted(Path(folder).glob(pattern))), None)
    like = _of_data(Path(folder)) if found is None else _of_contract(found)
    wanted, said = values(like.options), values(asked)
    for name in FLAGS:
        if name in given and said.get(name) != wanted.get(name):
            here, there = (
                presets.shown({name: one[name]}) if name in one else f"no --{name}" for one in (said, wanted)
            )
            raise InputError(f"{here} contradicts --like, {like.where}, which has {there}; leave one of the two out.")
    return like


def values(options: Options) -> Values:
    """`options` as the values of FLAGS, by hand; without those that are the flags' defaults."""
    sides = options.spacing_mm or ()
    is_one = len({*sides}) == 1 and not (options.slices and len(sides) == 2)  # of slices, whose distance is kept
    texts: dict[str, Any] = {
        "shape": [str(side) for side in options.shape or ()],
        "spacing_mm": [f"{mm:.6g}" for mm in (sides[:1] if is_one else sides)],
        "slices": options.slices,
        "intensity": str(options.intensity),
        "nan": options.reading.nan,
        **{name: getattr(options, name) for name in ("crop_foreground", "square", "antialias")},
    }
    return {name: value for name, value in texts.items() if value}


def _of_data(folder: Path) -> Like:
    path = folder / manifest.FILE
    if not path.is_file():
        remedy = "give a run, its encoder/ or model/, or a folder made by tools.to_tfrecord"
        raise InputError(f"--like={folder} holds neither a {CONTRACTS[0]} nor a {manifest.FILE}; {remedy}.")
    data = manifest.read(folder)
    return _like(path, data.recipe, grids.of_manifest(data), Kind(data.rank, len(data.channels)))


def _of_contract(path: Path) -> Like:
    try:
        contract = json.loads(path.read_text(encoding="utf-8"))
        kind = Kind(int(contract["rank"]), len(contract["channels"]))
        made, grid = contract["recipe"], grids.of_contract(contract)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is damaged ({type(error).__name__}: {error}); put back the copy.") from error
    return _like(path, made, grid, kind)


def _like(where: Path, made: Any, grid: grids.Grid, kind: Kind) -> Like:
    options = recipe.options(made, where=str(where))
    if options.shape is None and options.spacing_mm is None and grid.spacing_mm is not None:
        options = options._replace(spacing_mm=grid.spacing_mm)
    return Like(where, options, kind._replace(rank=3) if options.slices else kind)
