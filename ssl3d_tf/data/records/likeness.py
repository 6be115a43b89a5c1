"""Whether data are what an encoder was trained on: by what they are, however that was asked for."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ssl3d_tf.data.records import grids
from ssl3d_tf.data.records.manifest import Manifest, unnamed

RANK, CHANNELS = "spatial axes", "channels"  # never accepted: the network cannot take such data
NAMES, ORIENTATION, SPACING, SHAPE, INTENSITY = "channel_names", "orientation", "spacing", "shape", "intensity"
ACCEPTABLE = (NAMES, ORIENTATION, SPACING, SHAPE, INTENSITY)  # by name, in ALLOW_MISMATCH


def differences(contract: Mapping[str, Any], manifest: Manifest) -> dict[str, str]:
    """What of an encoder's input is not as in these data: RANK, CHANNELS or one of ACCEPTABLE -> both, in words.

    Voxels are compared as they are (`grids.fits`), unless both sets were resampled to the same shape; where their size
    is not known of both, as of arrays and of older data, what was asked for is compared. Orientations are compared
    where both are known, channels' names where both sets have been given some. Of several folders that it was trained
    on, one that is alike is enough.
    """
    several: Sequence[Mapping[str, Any]] = (contract.get("data") or {}).get("folders") or ({},)
    each = [_differences({**contract, **one}, manifest) for one in several]
    return min(each, key=len)


def _differences(contract: Mapping[str, Any], manifest: Manifest) -> dict[str, str]:
    rank = contract.get("rank")
    if rank != manifest.rank:
        return {RANK: f"{rank} there, {manifest.rank} here"}
    return dict((*_channels(contract, manifest), *_grid(contract, manifest), *_intensity(contract, manifest)))


def notes(contract: Mapping[str, Any], manifest: Manifest) -> list[str]:
    """What the user is to know of voxels that were compared with a range of sizes, or could not be compared."""
    there, here = grids.of_contract(contract), grids.of_manifest(manifest)
    if _is_of_one_shape(contract, manifest):
        return []
    if bool(there.spacing_mm) != bool(here.spacing_mm):
        return [f"size of voxels {there} there, {here} here, and so not compared"]
    if there.varies or here.varies:
        return [f"voxels are of many sizes, {there} there, {here} here; to_tfrecord --spacing_mm makes them of one"]
    return []


def _channels(contract: Mapping[str, Any], manifest: Manifest) -> Iterator[tuple[str, str]]:
    there, here = tuple(contract.get("channels") or ()), manifest.channels
    if len(there) != len(here):
        yield CHANNELS, f"{len(there)} there ({_listed(there)}), {len(here)} here ({_listed(here)})"
    elif there != here and unnamed(len(here)) not in (there, here):
        yield NAMES, f"{_listed(there)} there, {_listed(here)} here"


def _grid(contract: Mapping[str, Any], manifest: Manifest) -> Iterator[tuple[str, str]]:
    there, here = grids.of_contract(contract), grids.of_manifest(manifest)
    if there.orientation and here.orientation and there.orientation != here.orientation:
        yield ORIENTATION, f"{there.orientation} there, {here.orientation} here"
    if _is_of_one_shape(contract, manifest):
        return
    recipe = contract.get("recipe") or {}
    shapes = recipe.get("shape"), manifest.recipe.get("shape")
    fits = grids.fits(there, here)
    if fits is False:
        yield SPACING, f"{there} there, {here} here"
    if fits is None and shapes[0] != shapes[1]:
        yield SHAPE, f"{shapes[0]} there, {shapes[1]} here"
    asked = recipe.get("spacing_mm"), manifest.recipe.get("spacing_mm")
    if fits is None and asked[0] != asked[1]:
        yield SPACING, f"{there} there, {here} here"


def _is_of_one_shape(contract: Mapping[str, Any], manifest: Manifest) -> bool:
    """Whether both were resampled to as many voxels, whatever their size."""
    shape = (contract.get("recipe") or {}).get("shape")
    return shape is not None and shape == manifest.recipe.get("shape")


def _intensity(contract: Mapping[str, Any], manifest: Manifest) -> Iterator[tuple[str, str]]:
    there, here = (contract.get("recipe") or {}).get("intensity"), manifest.recipe.get("intensity")
    if there != here:
        yield INTENSITY, f"{there} there, {here} here"


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "none"
