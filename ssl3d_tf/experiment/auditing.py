"""Does a pretrained network, or its task, live on shortcuts? The same network on inputs with and without anatomy."""

import functools
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

from ssl3d_tf.command import configuration, run_folder
from ssl3d_tf.data import files, folders, mixing, shares
from ssl3d_tf.data.records import grids, upright
from ssl3d_tf.data.records import manifest as manifests
from ssl3d_tf.errors import InputError
from ssl3d_tf.experiment import showing
from ssl3d_tf.task import Inputs, Outputs, Task
from ssl3d_tf.training import checkpoints, faults, loop, screen, strategies, validation
from ssl3d_tf.training.run import Settings, build
from ssl3d_tf.views import pictures, shortcuts, sizes

REAL = "real"
READING = (
    "Without anatomy accuracy should be near chance: where 'as trained' is well above, the network uses a shortcut, "
    "where 'fresh' (with --steps) is, the task allows one. On 'real' it should be above 'without learning', where "
    "there is that row; see docs/pretraining_health.md."
)


class Audit(NamedTuple):
    """What the rows of the table share. settings, foreground: of the run. tasks: 'real' and one per removal."""

    workdir: Path
    data: folders.DataFolder
    distribution: tf.distribute.Strategy
    settings: Settings
    tasks: Mapping[str, Task]
    foreground: float


class Row(NamedTuple):
    """One line of the table: after how many steps which accuracy on which inputs."""

    network: str
    steps: int
    accuracy: dict[str, float]
    chance: float


def audit(
    workdir: Path,
    moved: Sequence[str | os.PathLike[str]] = (),
    *,
    steps: int | None = None,
    imports: Sequence[str] = (),
) -> list[Row]:
    """Audits the run in `workdir` on its own data, or on the same data `moved`; writes audit.json and audit.png.

    Raises:
        InputError: no run there, no checkpoint yet, its data gone, or other data.
    """
    found = _open(workdir, moved, steps, imports)
    _draw(found)
    with faults.readable_errors(found.data, workdir):
        rows = [_row(found, "as trained", dict.fromkeys(found.tasks, workdir))]
        if guess := found.settings.task.guess:
            rows.append(_guessed(found, guess))
        if steps is not None:
            fresh = {name: _trained(found, name, steps) for name in found.tasks}
            rows.append(_row(found, "fresh, trained on each", fresh))
        shown = showing.measured(found.data, found.settings, found.foreground)
    _report(found, rows, shown)
    return rows


def _open(workdir: Path, moved: Sequence[str | os.PathLike[str]], steps: int | None, imports: Sequence[str]) -> Audit:
    record = run_folder.trained(workdir)
    params = () if steps is None else (f"STEPS={steps}",)
    sources = configuration.Sources((str(workdir / run_folder.CONFIG),), params, tuple(imports))
    configuration.load(sources, read=("RANK", "VIEW_SIZE"))
    configuration.bind("DATA_SERVICE", ())  # which may be gone, and makes the same batches
    distribution = configuration.make(strategies.devices)
    data = _data(workdir, record["data"], moved)
    settings = configuration.make(Settings)._replace(probe=None)  # whose data may be gone
    sides = sizes.sides(configuration.macro("VIEW_SIZE"), configuration.macro("RANK"))
    view = (*sides, len(data.manifest.channels))
    removed = {name: remove(settings.task, view) for name, remove in shortcuts.REMOVALS.items()}
    foreground = configuration.macro("FOREGROUND", 0.0)  # which older runs do not have
    return Audit(workdir, data, distribution, settings, {REAL: settings.task, **removed}, foreground)


def _data(workdir: Path, recorded: Mapping[str, Any], moved: Sequence[str | os.PathLike[str]]) -> folders.DataFolder:
    asked = moved or mixing.texts(recorded)
    gone = [each.path for each in shares.wanted(asked) if not (each.path / manifests.FILE).is_file()]
    if gone and not moved:
        where = f"no longer in {gone[0]}; say with --data where they are"
        raise InputError(f"the data of the run in {workdir} are {where}.")
    data = mixing.open_folders(asked)
    if (found := mixing.about(data))["sha256"] != recorded["sha256"]:
        now, then = (f"{one['path']}, {one['sha256'][:12]}" for one in (found, recorded))
        raise InputError(f"{now}, is not what {workdir} was trained on ({then}); give that with --data.")
    return data


def _row(audit: Audit, network: str, where: Mapping[str, Path]) -> Row:
    """The networks in these folders, each on the validation inputs it is named after."""
    accuracy: dict[str, float] = {}
    for name, folder in where.items():
        settings = audit.settings._replace(task=audit.tasks[name])
        built = build(folder, audit.data, settings, distribution=audit.distribution)
        with checkpoints.averaged_weights(built.parts):
            scores = validation.evaluate(built).scores
        accuracy[name] = scores["val_accuracy"]
    return Row(network, int(built.progress.step), accuracy, scores["val_chance"])


def _guessed(audit: Audit, guess: Callable[[Inputs], Outputs]) -> Row:
    """What a guess scores on each kind of input: on the real ones a network must be above it to know any anatomy."""
    accuracy: dict[str, float] = {}
    chance = 0.0
    for name, task in audit.tasks.items():
        held_out = audit.settings.eval_data(audit.data, task)
        scores = []
        for _, element in held_out.dataset():
            inputs, targets = held_out.to_views(element)
            outputs = guess(inputs)
            scores.append([task.metrics[metric](targets, outputs) for metric in ("accuracy", "chance")])
        accuracy[name], chance = np.nanmean(np.concatenate(scores, axis=1), axis=1).tolist()
    return Row("without learning", 0, accuracy, chance)


def _trained(audit: Audit, name: str, steps: int) -> Path:
    """The folder of a fresh network of the run's configuration, trained on inputs of that name."""
    folder = files.make_folder(audit.workdir / "audit" / f"{name}-{steps}", "--workdir")
    every = audit.settings.every._replace(patience=None)
    settings = audit.settings._replace(task=audit.tasks[name], every=every)
    print(f"\n{name}: a fresh network in {folder}", flush=True)
    loop.fit(folder, audit.data, settings, distribution=audit.distribution)
    if not (folder / "checkpoints" / f"ckpt-{steps}.index").exists():
        print(screen.stopped(audit.workdir / "audit"), flush=True)
        sys.exit(0)
    return folder


def _report(audit: Audit, rows: Sequence[Row], shown: Sequence[showing.Shown]) -> None:
    examples = len(audit.data.manifest.split("val").entries)
    names = list(audit.tasks)
    print(f"\nPretext accuracy of {audit.workdir}, {examples} validation examples:")
    print(f"{'network':24}{'steps':>8}{'chance':>10}" + "".join(f"{name:>11}" for name in names))
    for row in rows:
        numbers = "".join(f"{row.accuracy[name]:11.3f}" for name in names)
        print(f"{row.network:24}{row.steps:8}{row.chance:10.3f}{numbers}")
    print(READING)
    print("\n".join(["", *showing.lines(shown, audit.foreground)]))
    report = {**run_folder.about(), "validation_examples": examples, "rows": [row._asdict() for row in rows]}
    report["views"] = [row._asdict() for row in shown]
    files.write_json(audit.workdir / "audit.json", report)
    print(f"{audit.workdir}: audit.json has the table, audit.png what the network saw.")


def _draw(audit: Audit) -> None:
    """audit.png: the first validation views, one row per kind of input."""
    rank, grid = audit.data.manifest.rank, grids.of_manifest(audit.data.manifest)
    plane, *_ = upright.planes(grid.orientation, rank)
    look = functools.partial(upright.to_scale, plane, spacing_mm=grid.spacing_mm)
    figure = Figure(figsize=(10, 1.6 * len(audit.tasks)), layout="constrained")
    for axes, (name, task) in zip(figure.subplots(len(audit.tasks)), audit.tasks.items(), strict=True):
        held_out = audit.settings.eval_data(audit.data, task)
        _, element = next(iter(held_out.dataset()))
        inputs, _ = held_out.to_views(element)
        sheet = pictures.contact_sheet(inputs, rank, look=look, rows=1)
        axes.imshow(sheet, cmap="gray", vmin=0, vmax=1)
        axes.set_title(validation.titled(name, plane), loc="left", fontsize=9)
        axes.axis("off")
    figure.savefig(audit.workdir / "audit.png", dpi=120)
