"""contract.json of an encoder: what may be fed to it, and what it is. Read without TensorFlow."""

import json
import os
from pathlib import Path
from typing import Any

from ssl3d_tf.data import mixing
from ssl3d_tf.data.folders import DataFolder
from ssl3d_tf.errors import InputError

ENCODER_FOLDER, DECODER_FOLDER, CONTRACT = "encoder", "decoder", "contract.json"


def read_contract(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads contract.json of an encoder folder, or of the pretraining workdir that holds it.

    Returns:
        'rank', 'channels', 'axes', 'recipe' (of the data: orientation, spacing_mm, intensity, …; what several folders
        agree on), 'modality', 'data' ('folders' of several), 'init' (whose weights it began with, if any),
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
        "modality": manifest.modality,
        "data": mixing.about(data),
        "gin": config,
    }
