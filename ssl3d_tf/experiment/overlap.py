"""Test scans that an encoder was pretrained on, told by the content of their voxels: such a test says too much."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ssl3d_tf.data import mixing
from ssl3d_tf.data.folders import DataFolder
from ssl3d_tf.data.records.manifest import SPLITS
from ssl3d_tf.errors import InputError
from ssl3d_tf.training import checkpoints


def of(folder: Path, folds: Sequence[DataFolder]) -> dict[str, Any]:
    """What run.json says of the encoder in `folder` and the test scans of all `folds`.

    Returns:
        'overlap': a line. 'test_scans_seen': how many, None where it cannot be told.
    """
    pretrained = _all_data(checkpoints.read_contract(folder))
    tested = {entry.content for data in folds for entry in data.manifest.split("test").entries}
    seen: set[str | None] = set()
    for data in pretrained:
        try:
            then = mixing.open_folders(mixing.texts(data), unread=SPLITS)
        except InputError:
            return _untold(f"its data, {_named(data)}, cannot be read")
        if mixing.about(then)["sha256"] != data.get("sha256"):
            return _untold(f"its data, {_named(data)}, have changed since")
        seen |= {entry.content for entry in then.manifest.split("train").entries}
    if None in tested | seen:
        return _untold("the data hold no content hashes; convert them again")
    count = len(tested & seen)
    line = f"{count or 'none'} of {len(tested)} test scans {'was' if count == 1 else 'were'} among the {len(seen)}"
    return {
        "overlap": f"{line} it was pretrained on, {' and '.join(map(_named, pretrained))}",
        "test_scans_seen": count,
    }


def _all_data(contract: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the encoder was trained on, and the run whose weights it began with, and so on."""
    before = contract.get("init")
    return [contract.get("data") or {}, *(_all_data(before) if before else ())]


def _named(data: Mapping[str, Any]) -> str:
    return f"'{data.get('name')}' in {data.get('path')}"


def _untold(why: str) -> dict[str, Any]:
    return {"overlap": f"whether it was pretrained on test scans could not be checked: {why}", "test_scans_seen": None}
