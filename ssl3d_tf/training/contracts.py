"""contract.json of an encoder or a finetuned model: what may be fed to it, and what it is. Read without TensorFlow."""

import json
import os
from pathlib import Path
from typing import Any

from ssl3d_tf.data import mixing
from ssl3d_tf.data.folders import DataFolder
from ssl3d_tf.data.records import grids
from ssl3d_tf.errors import InputError

ENCODER_FOLDER, DECODER_FOLDER, MODEL_FOLDER, CONTRACT = "encoder", "decoder", "model", "contract.json"


def read_contract(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads contract.json of an encoder or model folder, or of the run that holds it.

    Returns:
        'rank', 'channels', 'axes', 'recipe' (every option the data were made with, or those that several folders agree
        on; 'intensity' is the rule that was used), 'grid' (what they are: `grids.Grid`), 'modality', 'data' ('folders'
        of several), 'init' (whose weights it began with, if any),
        'input_shape', 'architecture' (of the network, as Keras writes it), 'weights' (a file), 'weights_sha256',
        'step', 'scores', 'gin', and 'folder', where it was found. Of a finetuned model also what `read_model` says.

    Raises:
        InputError: there is none, or it cannot be read.
    """
    for candidate in (Path(folder) / name / CONTRACT for name in (".", ENCODER_FOLDER, MODEL_FOLDER)):
        if candidate.is_file():
            try:
                return {**dict(json.loads(candidate.read_text(encoding="utf-8"))), "folder": str(candidate.parent)}
            except (TypeError, ValueError) as error:
                raise InputError(f"{candidate} is damaged ({error}); train again.") from error
    what = "the --workdir of a pretraining run, or runs/ARM/FRACTION/REPETITION in one of finetuning"
    raise InputError(f"{folder} holds no encoder or model (no {CONTRACT} in it); give {what}.")


def read_model(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """As `read_contract`, of a finetuned model: contract.json says all that it takes to apply it.

    Returns:
        Also 'task', 'segmentation' or 'classification'; 'view_size', voxels; 'classes', number in the data -> name, and
        'ignore_label'; 'encoder', 'name', 'path' and 'sha256' of the pretrained one or None; 'experiment' and 'run',
        'encoder', 'init', 'fraction', 'repetition' of it. Of segmentation 'window', its 'overlap', 'flips' and
        'batch_size', and 'regions', or None: its outputs are logits of the classes from low to high. Of classification
        'labels', their 'kind', 'nominal', 'ordinal', 'multilabel' or 'regression', and 'values', the classes' numbers.

    Raises:
        InputError: there is none, it cannot be read, is an encoder's, or was made by a version that did not say it.
    """
    found = read_contract(folder)
    if "task" in found:
        return found
    where = Path(found["folder"])
    if "classes" in found:
        raise InputError(
            f"{where} was made before 0.3 and does not say how to apply it; finetune again in another --workdir."
        )
    raise InputError(f"{where} is a pretrained encoder, which says no class; finetune it first, or take load_encoder.")


def of_run(data: DataFolder, config: str) -> dict[str, Any]:
    """What contract.json must say of the network's input, so that nobody feeds it something else."""
    manifest = data.manifest
    return {
        "rank": manifest.rank,
        "channels": list(manifest.channels),
        "axes": ["batch", *(("depth", "height", "width")[-manifest.rank :]), "channels"],
        "recipe": manifest.recipe,
        "grid": grids.of_manifest(manifest)._asdict(),
        "modality": manifest.modality,
        "data": mixing.about(data),
        "gin": config,
    }
