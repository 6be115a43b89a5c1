"""contract.json of an encoder: what may be fed to it, and what it is. Read without TensorFlow."""

import json
import os
from pathlib import Path
from typing import Any

from ssl3d_tf.data.folders import DataFolder
from ssl3d_tf.data.records import grids
from ssl3d_tf.data.records import manifest as manifests
from ssl3d_tf.errors import InputError

ENCODER_FOLDER, CONTRACT = "encoder", "contract.json"


def read_contract(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads contract.json of an encoder folder, or of the pretraining workdir that holds it.

    Returns:
        'rank', 'channels', 'axes', 'recipe' (every option the data were made with; 'intensity' is the rule that was
        used), 'grid' (what they are: `grids.Grid`), 'modality', 'data',
        'input_shape', 'architecture' (of the network, as Keras writes it), 'weights' (a file), 'weights_sha256',
        'step', 'scores', 'gin', and 'folder', where it was found. Of a finetuned model 'classes', number in the data ->
        name: its outputs are these numbers from low to high.

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
        "grid": grids.of_manifest(manifest)._asdict(),
        "modality": manifest.modality,
        "data": {"path": str(data.path), "name": manifest.name, "sha256": manifests.fingerprint(manifest)},
        "gin": config,
    }
