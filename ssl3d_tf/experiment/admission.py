"""What a finetuning experiment is refused for before it begins: its data, their labels, and encoders made otherwise."""

import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from ssl3d_tf.command import configuration, run_folder
from ssl3d_tf.data import files
from ssl3d_tf.data.folders import DataFolder
from ssl3d_tf.data.records import likeness
from ssl3d_tf.data.records.manifest import SPLITS, Entry
from ssl3d_tf.errors import InputError
from ssl3d_tf.experiment.scoring import Probe
from ssl3d_tf.losses.regions import Regions
from ssl3d_tf.training import checkpoints, contracts, weights

ARCHITECTURE = ("ENCODER", "FILTERS", "LEVELS", "NORM", "POOL")  # knobs that are to be those of the pretraining run


def check_data(folds: Sequence[DataFolder], probe: Probe | None, what: str = "") -> None:
    """Finds that every split has cases, and that masks or labels hold nothing but classes.

    Args:
        folds: of the same cases. probe: of a task with labels. what: every case has, 'mask' or 'label'.

    Raises:
        InputError: a split is empty, a mask or a label holds what is no class.
    """
    for data in folds:
        for name in SPLITS:
            if name not in data.manifest.splits or not data.manifest.splits[name].entries:
                found = f"split '{name}' of {data.path} has no case{f' with a {what}' if what else ''}"
                raise InputError(f"{found}; {_refilled(data)}.")
    for split in folds[0].manifest.splits.values():
        for entry in split.entries:
            _check_mask(entry, folds[0]) if probe is None else _check_label(entry, folds[0], probe)


def _refilled(data: DataFolder) -> str:
    """What gives every split a case."""
    patients = {entry.patient for split in data.manifest.splits.values() for entry in split.entries}
    if len(patients) < len(SPLITS):
        return f"convert again with more patients: {len(patients)} cannot train, validate and test"
    return (
        "convert again with more of them or with other --splits (declared splits are changed where they are declared, "
        "in folders or a column split), or set FOLDS=3, which splits anew"
    )


def _check_mask(entry: Entry, data: DataFolder) -> None:
    known = set(data.manifest.classes)
    if known and (foreign := set(entry.counts or ()) - known - {str(data.manifest.ignore_label)}):
        found = f"the mask of '{entry.id}' in {data.path} holds {_shown(foreign)}, classes are {_shown(known)}"
        raise InputError(f"{found}; mend the mask, convert with --relabel, or set CLASSES.")


def _check_label(entry: Entry, data: DataFolder, probe: Probe) -> None:
    values = entry.label or ()
    if probe.kind == "multilabel":
        wrong, rule = [value for value in values if value not in (0, 1)], "each must be 0 or 1"
    elif probe.kind == "regression":
        wrong, rule = [value for value in values if value - value != 0], "each must be finite"
    else:
        wrong = [value for value in values[:1] if value not in probe.classes]
        count = len(probe.classes)
        if probe.classes == tuple(range(count)):
            rule = f"it must be a whole number in 0..{count - 1}, as there are {count} CLASSES"
        else:
            rule = f"it must be one of the CLASSES {_shown(probe.classes)}"
    if wrong:
        raise InputError(
            f"the label of '{entry.id}' in {data.path} is {wrong[0]:.9g}; {rule}: mend it and convert again."
        )


def _shown(values: Iterable[str | int]) -> str:
    return ", ".join(map(str, sorted(values, key=int)))


def check_regions(regions: Regions | None, data: DataFolder) -> None:
    """Raises InputError where a region that is scored has a value that is no class of the data."""
    known = {int(value) for value in data.manifest.classes}
    for name, values in (regions or {}).items():
        if foreign := set(values) - known:
            found = f"region '{name}' of scoring.segmentation.regions holds {_shown(foreign)}"
            raise InputError(
                f"{found}, classes of {data.path} are {_shown(known)}; mend it, or convert with --relabel."
            )


def check_input(name: str, folder: Path, data: DataFolder, *, allowed: Collection[str] = ()) -> dict[str, str]:
    """What of an encoder's input is not as in these data and is `allowed` to be, as `likeness.differences`.

    Raises:
        InputError: something is not as there and not allowed to be, or `allowed` holds what can never be.
    """
    allowed = (allowed,) if isinstance(allowed, str) else allowed or ()  # ('spacing') is a text to gin
    if foreign := sorted(set(allowed) - set(likeness.ACCEPTABLE)):
        raise InputError(f"ALLOW_MISMATCH holds {foreign[0]!r}; it may hold {', '.join(likeness.ACCEPTABLE)}.")
    contract = contracts.read_contract(folder)
    found = likeness.differences(contract, data.manifest)
    if refused := [what for what in found if what not in allowed]:
        different = "; ".join(f"{what} {found[what]}" for what in refused)
        said = f"encoder '{name}' was trained on other input than {data.path}: {different}"
        raise InputError(f"{said}; {_remedy(folder, contract, refused)}.")
    for note in likeness.notes(contract, data.manifest):
        print(f"note: encoder '{name}': {note}.", flush=True)
    return found


def _remedy(folder: Path, contract: Mapping[str, Any], refused: Sequence[str]) -> str:
    """What makes data fit an encoder that they do not fit for these reasons."""
    convert = "convert them as those were, python -m tools.to_tfrecord --input=RAW --output=NEW --like="
    convert += shlex.quote(str(folder))
    if refused == [likeness.RANK] and contract.get("rank") == 2 and (contract.get("recipe") or {}).get("slices"):
        return convert
    if likeness.RANK in refused or likeness.CHANNELS in refused:
        return "take another encoder, or pretrain on data like these"
    accept = f'--gin_param="ALLOW_MISMATCH={tuple(refused)}" accepts that'
    return accept if refused == [likeness.NAMES] else f"{convert}; or {accept}"


def check_weights(name: str, folder: Path, network: keras.Model) -> str:
    """Loads the weights into the encoder of this configuration; returns the line that says how many.

    Raises:
        InputError: they are of another network: says which knobs differ, or else which weights.
    """
    contract = contracts.read_contract(folder)
    try:
        loaded = weights.load_encoder(folder, network)
        if options := weights.architecture_differences(contract, network):
            raise InputError(f"the encoder in {folder} does not fit: {'; '.join(options)}.")
    except InputError as error:
        differences = configuration.differences(contract.get("gin", ""), ARCHITECTURE)
        if not differences:
            raise
        found = f"encoder '{name}' in {folder} is another network: {'; '.join(differences)}"
        raise InputError(f"{found}; set them as there.") from error
    return (
        f"encoder '{name}': {loaded} of {len(network.weights)} weights loaded "
        f"({network.count_params():,} numbers) from {contract['folder']}"
    )


def check_decoder(name: str, folder: Path, model: keras.Model, encoder: keras.Model) -> str:
    """Loads into `model` what the run in `folder` trained beside the encoder; returns the line that says how many.

    Raises:
        InputError: the run kept no decoder, or that of another network.
    """
    loaded = weights.load_decoder(folder, model, encoder)
    contract = contracts.read_contract(folder / contracts.DECODER_FOLDER)
    if options := weights.architecture_differences(contract, model):
        raise InputError(f"the decoder in {folder} does not fit: {'; '.join(options)}.")
    new = len(model.weights) - len(encoder.weights) - loaded
    return f"decoder of '{name}': {loaded} weights loaded; the {new} of the output are new"


def unfinished(name: str, folder: Path) -> str:
    """A line where the run of an encoder has not come to its end; '' where it has, or PATIENCE may have ended it."""
    run = Path(contracts.read_contract(folder)["folder"]).parent
    done, config = checkpoints.newest_step(run), run / run_folder.CONFIG
    if not done or not config.is_file():  # an encoder without its run
        return ""
    macros = configuration.macros_of(config.read_text(encoding="utf-8"))
    steps = macros.get("STEPS", "")
    if not steps.isdecimal() or done >= int(steps) or macros.get("PATIENCE", "None") != "None":
        return ""
    return f"warning: encoder '{name}' is of a run at step {done} of {steps}: the command of {run} goes on."


def origin(folder: Path) -> dict[str, str]:
    """Where an encoder lies and which it is, for run.json."""
    return {"path": str(folder), "sha256": contracts.read_contract(folder)["weights_sha256"]}


def check_same_encoders(workdir: Path, encoders: Mapping[str, Mapping[str, str]]) -> None:
    """Raises InputError where runs of the folder used other weights by the same name, as of a run that has gone on."""
    record = workdir / run_folder.RECORD
    before = files.read_json(record, "put a copy back").get("encoders", {}) if record.is_file() else {}
    for name in sorted(before.keys() & encoders.keys()):
        if run_folder.has_begun(workdir) and before[name]["sha256"] != encoders[name]["sha256"]:
            found = f"--workdir {workdir} has runs of encoder '{name}' with other weights"
            raise InputError(f"{found}, from {before[name]['path']}: take another folder.")
