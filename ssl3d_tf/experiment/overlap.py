"""Test scans that an encoder was pretrained on, told by the content of their voxels: such a test says too much."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ssl3d_tf.data.folders import DataFolder
from ssl3d_tf.data.records import manifest as manifests
from ssl3d_tf.data.records.manifest import SPLITS
from ssl3d_tf.errors import InputError
from ssl3d_tf.training import checkpoints


def of(folder: Path, folds: Sequence[DataFolder]) -> dict[str, Any]:
    """What run.json says of the encoder in `folder` and the test scans of all `folds`.

    Returns:
        'overlap': a line. 'test_scans_seen': how many, None where it cannot be told.
    """
    pretrained = checkpoints.read_contract(folder).get("data") or {}
    where = f"'{pretrained.get('name')}' in {pretrained.get('path')}"
    tested = {entry.content for data in folds for entry in data.manifest.split("test").entries}
    try:
        then = manifests.read(str(pretrained.get("path")), unread=SPLITS)
    except InputError:
        return _untold(f"its data, {where}, cannot be read")
    if manifests.fingerprint(then) != pretrained.get("sha256"):
        return _untold(f"its data, {where}, have changed since")
    seen = {entry.content for entry in then.split("train").entries}
    if None in tested | seen:
        return _untold("the data hold no content hashes; convert them again")
    count = len(tested & seen)
    line = f"{count or 'none'} of {len(tested)} test scans {'was' if count == 1 else 'were'} among the {len(seen)}"
    return {"overlap": f"{line} it was pretrained on, {where}", "test_scans_seen": count}


def _untold(why: str) -> dict[str, Any]:
    return {"overlap": f"whether it was pretrained on test scans could not be checked: {why}", "test_scans_seen": None}
