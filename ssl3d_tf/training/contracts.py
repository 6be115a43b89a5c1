"""contract.json of an encoder: what may be fed to it, and what it is. Read without TensorFlow."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ssl3d_tf.data import files
from ssl3d_tf.data.folders import DataFolder
from ssl3d_tf.data.records import manifest as manifests
from ssl3d_tf.data.records.manifest import Manifest
from ssl3d_tf.errors import InputError

ENCODER_FOLDER, CONTRACT, TRAINED_ON = "encoder", "contract.json", "trained_on.txt"
_DIGITS = 16  # of a SHA-256 in hex: among 10^6 scans, two alike by chance in one of 10^7 data sets


def read_contract(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads contract.json of an encoder folder, or of the pretraining workdir that holds it.

    Returns:
        'rank', 'channels', 'axes', 'recipe' (of the data: orientation, spacing_mm, intensity, …), 'modality', 'data',
        'trained_on' (how many scans, of which `trained_on` tells the contents), 'input_shape', 'architecture' (of the
        network, as Keras writes it), 'weights' (a file), 'weights_sha256', 'step', 'scores', 'gin', and 'folder', where
        it was found. Of a finetuned model 'classes', number in the data -> name: its outputs are these numbers from low
        to high.

    Raises:
        InputError: there is none, or it cannot be read.
    """
    for candidate in (Path(folder) / CONTRACT, Path(folder) / ENCODER_FOLDER / CONTRACT):
        if candidate.is_file():
            try:
                return {**dict(json.loads(candidate.read_text(encoding="utf-8"))), "folder": str(candidate.parent)}
            except (TypeError, ValueError) as error:
                raise InputError(f"{candidate} is damaged ({error}); pretrain again.") from error
    raise InputError(f"{folder} holds no encoder (no {CONTRACT} in it); give the --workdir of a pretraining run.")


def of_run(data: DataFolder, config: str) -> dict[str, Any]:
    """What encoder/contract.json must say of its input, so that nobody feeds it something else."""
    manifest = data.manifest
    return {
        "rank": manifest.rank,
        "channels": list(manifest.channels),
        "axes": ["batch", *(("depth", "height", "width")[-manifest.rank :]), "channels"],
        "recipe": manifest.recipe,
        "modality": manifest.modality,
        "data": {"path": str(data.path), "name": manifest.name, "sha256": manifests.fingerprint(manifest)},
        "trained_on": contents(manifest, "train"),
        "gin": config,
    }


def contents(manifest: Manifest, split: str) -> frozenset[str] | None:
    """The scans of a split by the voxels that were read, whatever the conversion made of them; None where not known.

    The first digits of `Entry.content`, which is of the whole scan, in slices and bricks too.
    """
    found = {entry.content for entry in manifest.splits[split].entries} if split in manifest.splits else set()
    return None if None in found else frozenset(str(content)[:_DIGITS] for content in found)


def write(folder: Path, contract: Mapping[str, Any]) -> None:
    """Writes contract.json, and beside it trained_on.txt, a line per scan, where it is known what was trained on."""
    scans = contract.get("trained_on")
    if scans is not None:
        path, text = folder / TRAINED_ON, "".join(f"{scan}\n" for scan in sorted(scans)).encode()
        if not path.is_file() or path.read_bytes() != text:  # every evaluation may write, and they may be a million
            with files.atomic(path) as file:
                file.write(text)
        contract = {**contract, "trained_on": len(scans)}
    files.write_json(folder / CONTRACT, contract)


def trained_on(contract: Mapping[str, Any]) -> frozenset[str] | None:
    """The scans that an encoder was trained on, as `contents`; None where its contract does not know.

    Args:
        contract: from `read_contract`.

    Raises:
        InputError: trained_on.txt is missing or not what the contract says.
    """
    if contract.get("trained_on") is None:
        return None
    path = Path(contract["folder"]) / TRAINED_ON
    found = frozenset(path.read_text(encoding="utf-8").split()) if path.is_file() else frozenset()
    if len(found) != contract["trained_on"]:
        rule = f"{CONTRACT} beside it says {contract['trained_on']}"
        raise InputError(f"{path} has {len(found)} scans, {rule}: put back the copy, or pretrain again.")
    return found
