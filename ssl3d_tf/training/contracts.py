"""contract.json of an encoder or a finetuned model: what may be fed to it, and what it is. Read without TensorFlow."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ssl3d_tf.data import files, mixing
from ssl3d_tf.data.folders import DataFolder
from ssl3d_tf.data.records import columns, grids
from ssl3d_tf.data.records.manifest import Manifest
from ssl3d_tf.errors import InputError

ENCODER_FOLDER, DECODER_FOLDER, MODEL_FOLDER, CONTRACT = "encoder", "decoder", "model", "contract.json"
TRAINED_ON = "trained_on.txt"
SHOWN = 6  # models that an error names
_DIGITS = 16  # of a SHA-256 in hex: among 10^6 scans, two alike by chance in one of 10^7 data sets


def read_contract(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads contract.json of an encoder or model folder, or of the run that holds it.

    Returns:
        'rank', 'channels', 'axes', 'recipe' (every option the data were made with, or those that several folders agree
        on; 'intensity' is the rule that was used), 'grid' (what they are: `grids.Grid`), 'modality', 'data' ('folders'
        of several), 'init' (whose weights it began with, if any),
        'trained_on' (how many scans, of which `trained_on` tells the contents),
        'input_shape', 'architecture' (of the network, as Keras writes it), 'weights' (a file), 'weights_sha256',
        'step', 'scores', 'best_by' (which of them says that these weights are the best), 'probe' (`run.Probe.about`, if
        there was one), 'gin', and 'folder', where it was found. Of a finetuned model also what `read_model` says.

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
    if models := sorted(Path(folder).glob(f"runs/*/*/*/{MODEL_FOLDER}/{CONTRACT}")):
        names = [path.parent.parent.as_posix() for path in models]
        what = f"one of its {len(names)} finetuned models: {', '.join(names[:SHOWN])}{', …' * (len(names) > SHOWN)}"
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
        "trained_on": contents(manifest, "train"),
        "gin": config,
    }


def contents(manifest: Manifest, split: str) -> frozenset[str] | None:
    """The scans of a split by the voxels that were read, whatever the conversion made of them; None where not known.

    The first digits of `Entry.content`, which is of the whole scan, in slices and bricks too.
    """
    entries = columns.of(manifest.splits[split].entries if split in manifest.splits else ())
    if not columns.ragged(entries, "content").has.all():
        return None
    return frozenset(content[:_DIGITS] for content in entries.texts("content"))


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
