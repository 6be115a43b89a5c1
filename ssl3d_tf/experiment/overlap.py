"""Test and validation scans that an encoder was pretrained on, told by their voxels: such a test says too much."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ssl3d_tf.data import mixing
from ssl3d_tf.data.folders import DataFolder
from ssl3d_tf.data.records.manifest import SPLITS
from ssl3d_tf.errors import InputError
from ssl3d_tf.training import contracts


def of(folder: Path, folds: Sequence[DataFolder]) -> dict[str, Any]:
    """What run.json says of the encoder in `folder` and the test and validation scans of all `folds`.

    Its contract says what it was trained on; an older one does not, and then its data do, if they are still there.

    Returns:
        'overlap': a line. 'test_scans_seen', 'val_scans_seen': how many, None where it cannot be told. A test scan
        whose labels a probe read has been seen too.
    """
    contract = contracts.read_contract(folder)
    where = " and ".join(map(_named, _all_data(contract)))
    try:
        seen = _trained_on(contract)
        tested, validated = (_scans(folds, split) for split in ("test", "val"))
    except _UntoldError as why:
        line = f"whether it was pretrained on test scans could not be checked: {why}"
        return {"overlap": line, "test_scans_seen": None, "val_scans_seen": None}
    counts = len(tested & seen), len(validated & seen)
    line = (
        f"{counts[0] or 'none'} of {len(tested)} test scans were in pretraining, {counts[1] or 'none'} of "
        f"{len(validated)} validation scans; it was trained on {len(seen)} scans, {where}"
    )
    probed = tested & frozenset((contract.get("probe") or {}).get("scans") or ())
    if probed:
        line += f"; PROBE chose its weights by the labels of {len(probed)} of the test scans"
    return {"overlap": line, "test_scans_seen": len(tested & seen | probed), "val_scans_seen": counts[1]}


class _UntoldError(Exception):
    """Why it cannot be told."""


def _trained_on(contract: Mapping[str, Any]) -> frozenset[str]:
    """With the scans of the run whose weights it began with, and so on."""
    known, data = contracts.trained_on(contract), contract.get("data") or {}
    if known is None and "trained_on" in contract:
        raise _UntoldError(f"its data, {_named(data)}, held no content hashes: convert them again, and pretrain again")
    own, before = _read(data) if known is None else known, contract.get("init")
    return own | _trained_on(before) if before else own


def _all_data(contract: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the encoder was trained on, and the run whose weights it began with, and so on."""
    before = contract.get("init")
    return [contract.get("data") or {}, *(_all_data(before) if before else ())]


def _named(data: Mapping[str, Any]) -> str:
    return f"'{data.get('name')}' in {data.get('path')}"


def _read(data: Mapping[str, Any]) -> frozenset[str]:
    try:
        then = mixing.open_folders(mixing.texts(data), unread=SPLITS)
    except InputError as error:
        raise _UntoldError(f"its data, {_named(data)}, cannot be read") from error
    if mixing.about(then)["sha256"] != data.get("sha256"):
        raise _UntoldError(f"its data, {_named(data)}, have changed since")
    return _known(contracts.contents(then.manifest, "train"), _named(data))


def _scans(folds: Sequence[DataFolder], split: str) -> frozenset[str]:
    found = [_known(contracts.contents(data.manifest, split), str(data.path)) for data in folds]
    return frozenset().union(*found)


def _known(scans: frozenset[str] | None, where: str) -> frozenset[str]:
    if scans is None:
        raise _UntoldError(f"the data, {where}, hold no content hashes; convert them again")
    return scans
