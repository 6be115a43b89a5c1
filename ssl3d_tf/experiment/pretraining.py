"""One pretraining: a loaded configuration, its data and its folder -> one call of `loop.fit`."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow as tf

from ssl3d_tf.command import configuration, run_folder
from ssl3d_tf.data import body, folders, mixing, service, synthetic
from ssl3d_tf.data.folders import DataFolder
from ssl3d_tf.errors import InputError
from ssl3d_tf.experiment import extending, initial, protocol
from ssl3d_tf.experiment.initial import Init
from ssl3d_tf.training import checkpoints, contracts, loop, run, screen, strategies, workers

PHANTOMS = "gin/datasets/phantoms_{rank}d.gin"


class Start(NamedTuple):
    """How a run begins other than from nothing or where it stopped. extends: with other STEPS; init: with weights."""

    extends: bool = False
    init: Init | None = None


AS_EVER = Start()


def pretrain(
    sources: configuration.Sources,
    given: str | os.PathLike[str] | Sequence[str] | None,
    workdir: Path,
    start: Start = AS_EVER,
) -> dict[str, float]:
    """Trains a configuration on one data folder or several, or on phantoms; returns the last evaluation.

    Raises:
        InputError: configuration, data, folder and `start` do not fit each other.
    """
    earlier = extending.earlier(workdir, sources.imports) if start.extends else None
    paths = [given] if isinstance(given, str | os.PathLike) else given
    read = () if paths else ("PHANTOM_SIZE", "PHANTOMS")
    free = configuration.load(sources, dataset=None if paths else PHANTOMS, read=read)
    distribution = configuration.make(strategies.devices)
    _check_task(sources)
    data = mixing.open_folders(paths or [_phantoms()])
    settings, contract = configuration.make(run.Settings), contracts.of_run(data, configuration.text())
    contract["view_size"] = configuration.macro("VIEW_SIZE")
    notes = initial.notes(workdir, start.init)
    is_first = strategies.own_folder(workdir, distribution) == workdir
    if is_first:
        may_change = extending.MAY_CHANGE if earlier else ()
        run_folder.check(workdir, contract["gin"], data=contract["data"], may_change=may_change)
        if earlier:
            extending.check(workdir, earlier, settings)
        _tell(data)
    if start.init and not checkpoints.newest_step(workdir):
        settings = initial.with_weights(settings, start.init, data)
    claim = _claim(workdir, contract, notes) if is_first else _nothing

    def begin() -> None:
        about = {"configuration": contract["gin"], "data": contract["data"]["sha256"]}
        workers.check_alike(workers.meeting(distribution), step=checkpoints.newest_step(workdir), **about)
        claim()

    hooks = loop.Hooks(begin, (lambda: _check_config(workdir, free)) if is_first else _nothing)
    with workers.told_if_one_ends(distribution, lambda: checkpoints.newest_step(workdir)):
        scores = loop.fit(workdir, data, settings, distribution=distribution, contract=contract | notes, hooks=hooks)
    own = strategies.own_folder(workdir, distribution)
    print(_last_line(workdir, is_stopped=run.is_unfinished(own, settings.steps, settings.every)))
    return scores


def _last_line(workdir: Path, *, is_stopped: bool) -> str:
    is_there = (workdir / contracts.ENCODER_FOLDER / contracts.CONTRACT).is_file()
    if is_stopped:
        so_far = "encoder/ is the best so far" if is_there else "no encoder yet, as nothing was evaluated"
        return screen.stopped(workdir, so_far)
    return f"{workdir}: encoder/ is ready for finetuning; metrics.jsonl and tensorboard/ have the curves."


def _check_task(sources: configuration.Sources) -> None:
    configuration.check_bound(run.Settings, "task", sources, remedy="give the file of one, gin/cpc_3d.gin, say")
    if configuration.is_bound(protocol.Plan, "scorer"):
        remedy = "run it with python -m ssl3d_tf.finetune"
        raise InputError(f"{', '.join(sources.files)} is a downstream task: {remedy}.")


def _nothing() -> None:
    """What a process does that is not the first."""


def _claim(workdir: Path, contract: Mapping[str, Any], notes: Mapping[str, Any]) -> Callable[[], None]:
    def claim() -> None:
        devices = [device.name for device in tf.config.list_logical_devices()]
        made_by = service.addresses(configuration.macro("DATA_SERVICE", ()))
        said = {"seed": configuration.macro("SEED"), "devices": devices, "data_service": made_by, **notes}
        run_folder.claim(workdir, contract["gin"], data=contract["data"], notes=said)

    return claim


def _check_config(workdir: Path, free: frozenset[str]) -> None:
    configuration.check_all_used(free)
    (workdir / run_folder.OPERATIVE).write_text(configuration.operative_text(), encoding="utf-8")


def _tell(data: DataFolder) -> None:
    """Says what there is to know of the data before they are trained on."""
    if data.sources:
        print(mixing.told(data), flush=True)
    folders.note_padding(data, configuration.macro("VIEW_SIZE"))
    body.note(data, configuration.macro("VIEW_SIZE"), foreground=configuration.macro("FOREGROUND", 0.0))


def _phantoms() -> Path:
    rank, side, count = (configuration.macro(name) for name in ("RANK", "PHANTOM_SIZE", "PHANTOMS"))
    folder = Path("runs") / f"phantoms_{rank}d_{side}_{count}"
    size = " × ".join([str(side)] * rank)
    print(f"no --data: training on {count} phantoms of {size} voxels, in {folder}, with {PHANTOMS.format(rank=rank)}.")
    synthetic.write_dataset(folder, shape=(side,) * rank, counts={"train": count, "val": -(-count // 4)})
    return folder
