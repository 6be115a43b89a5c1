"""Test and validation scans that an encoder was pretrained on, told by their voxels: such a test says too much."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ssl3d_tf.data.folders import DataFolder
from ssl3d_tf.data.records import manifest as manifests
from ssl3d_tf.data.records.manifest import SPLITS
from ssl3d_tf.errors import InputError
from ssl3d_tf.training import checkpoints, contracts


def of(folder: Path, folds: Sequence[DataFolder]) -> dict[str, Any]:
    """What run.json says of the encoder in `folder` and the test and validation scans of all `folds`.

    Its contract says what it was trained on; an older one does not, and then its data do, if they are still there.

    Returns:
        'overlap': a line. 'test_scans_seen', 'val_scans_seen': how many, None where it cannot be told.
    """
    contract = checkpoints.read_contract(folder)
    pretrained = contract.get("data") or {}
    where = f"'{pretrained.get('name')}' in {pretrained.get('path')}"
    try:
        seen = _trained_on(contract, pretrained, where)
        tested, validated = (_scans(folds, split) for split in ("test", "val"))
    except _UntoldError as why:
        line = f"whether it was pretrained on test scans could not be checked: {why}"
        return {"overlap": line, "test_scans_seen": None, "val_scans_seen": None}
    counts = len(tested & seen), len(validated & seen)
    line = (
        f"{counts[0] or 'none'} of {len(tested)} test scans were in pretraining, {counts[1] or 'none'} of "
        f"{len(validated)} validation scans; it was trained on {len(seen)} scans, {where}"
    )
    return {"overlap": line, "test_scans_seen": counts[0], "val_scans_seen": counts[1]}


class _UntoldError(Exception):
    """Why it cannot be told."""


def _trained_on(contract: Mapping[str, Any], pretrained: Mapping[str, Any], where: str) -> frozenset[str]:
    if (known := contracts.trained_on(contract)) is not None:
        return known
    if "trained_on" in contract:
        raise _UntoldError(f"its data, {where}, held no content hashes: convert them again, and pretrain again")
    try:
        then = manifests.read(str(pretrained.get("path")), unread=SPLITS)
    except InputError as error:
        raise _UntoldError(f"its data, {where}, cannot be read") from error
    if manifests.fingerprint(then) != pretrained.get("sha256"):
        raise _UntoldError(f"its data, {where}, have changed since")
    return _known(contracts.contents(then, "train"), where)


def _scans(folds: Sequence[DataFolder], split: str) -> frozenset[str]:
    found = [_known(contracts.contents(data.manifest, split), str(data.path)) for data in folds]
    return frozenset().union(*found)


def _known(scans: frozenset[str] | None, where: str) -> frozenset[str]:
    if scans is None:
        raise _UntoldError(f"the data, {where}, hold no content hashes; convert them again")
    return scans
