"""--init: a run that begins with the weights of another, and says which of them it took."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import keras

from ssl3d_tf.command import configuration, run_folder
from ssl3d_tf.data import files
from ssl3d_tf.data.folders import DataFolder
from ssl3d_tf.data.records import likeness
from ssl3d_tf.errors import InputError
from ssl3d_tf.experiment import admission
from ssl3d_tf.training import checkpoints, contracts
from ssl3d_tf.training.run import Settings

PARTS = ("model", "encoder")


class Init(NamedTuple):
    """Whose weights: those of the run in that folder. part: its 'model', with the head, as in its newest checkpoint, or
    its 'encoder' alone, as it was when its validation was best.
    """

    run: Path
    part: str = "model"


def notes(workdir: Path, init: Init | None) -> dict[str, Any]:
    """What run.json and contract.json say of the weights that the run in `workdir` begins, or began, with.

    Raises:
        InputError: it began with other ones.
    """
    record = workdir / run_folder.RECORD
    if record.is_file() and run_folder.has_begun(workdir):
        before = files.read_json(record, "put a copy back, or take another folder").get("init")
        asked = init and {"run": str(init.run.resolve()), "part": init.part}
        began = before and {name: before[name] for name in ("run", "part")}
        if asked != began:
            raise InputError(
                f"the run in --workdir {workdir} began {_words(began)}, not {_words(asked)}: say so again."
            )
        return {"init": before} if before else {}
    return {"init": _about(init)} if init else {}


def _words(init: Mapping[str, str] | None) -> str:
    return f"with --init={init['run']} --init_part={init['part']}" if init else "without --init"


def _about(init: Init) -> dict[str, Any]:
    contract = contracts.read_contract(init.run)
    step = contract["step"] if init.part == "encoder" else checkpoints.newest_step(init.run)
    kept: dict[str, Any] = {name: contract[name] for name in ("weights_sha256", "data", "init") if name in contract}
    return {"run": str(init.run.resolve()), "part": init.part, "step": step, **kept}


def with_weights(settings: Settings, init: Init, data: DataFolder) -> Settings:
    """The settings, whose network is built with the weights of `init`; says what was taken and what was not.

    Raises:
        InputError: they are of another network, task, or number of axes or channels.
    """
    contract = contracts.read_contract(init.run)
    found = likeness.differences(contract, data.manifest)
    said = f"--init={init.run} was trained on other input than {data.path}: "
    said += "; ".join(f"{what} {values}" for what, values in found.items())
    if not found.keys() <= set(likeness.ACCEPTABLE):
        raise InputError(f"{said}.")
    if found:
        print(f"note: {said}.", flush=True)
    if init.part == "model":
        _check_task(init, contract)
        run_folder.trained(init.run)

    def encoder(channels: int) -> keras.Model:
        network = settings.encoder(channels)
        line = admission.check_weights(init.run.name, init.run, network)
        if init.part == "encoder":
            print(f"init: {line}; not taken: its head, optimizer and step.", flush=True)
        return network

    def build_model(network: keras.Model) -> keras.Model:
        model = settings.task.build_model(network)
        if init.part == "model":
            path = checkpoints.restore_model(init.run, model)
            taken = f"all {len(model.weights)} weights ({model.count_params():,} numbers), encoder and head"
            print(f"init: {taken}, from {path}; not taken: its optimizer and step.", flush=True)
        return model

    return settings._replace(encoder=encoder, task=settings.task._replace(build_model=build_model))


def _check_task(init: Init, contract: Mapping[str, Any]) -> None:
    there, here = (_task(text) for text in (contract.get("gin", ""), configuration.text()))
    if there != here:
        found = f"--init={init.run} learnt another task ({there} there, {here} here)"
        raise InputError(f"{found}: --init_part=encoder takes all but its head.")


def _task(config: str) -> str:
    name = "run.Settings.task = "
    return next((line.removeprefix(name) for line in config.splitlines() if line.startswith(name)), "none")
