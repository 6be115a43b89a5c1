"""python -m ssl3d_tf.finetune: what a pretrained encoder is worth, beside training from scratch.

    python -m ssl3d_tf.finetune --gin_file=gin/finetune/segmentation_3d.gin --data=DATA --encoder=RUN --workdir=FT
    … --encoder=RUN1 --encoder=RUN2 --gin_param=FRACTIONS=(5,25,100)         several encoders, several fractions

The same command again goes on where it stopped. FT/report.html shows the result.
"""

import math
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from absl import app, flags

from ssl3d_tf import quiet
from ssl3d_tf.command import cli, configuration
from ssl3d_tf.data import files
from ssl3d_tf.data.places import Place, local, place
from ssl3d_tf.errors import InputError

with quiet.greeting():
    import gin
    import tensorflow as tf

    from ssl3d_tf import train
    from ssl3d_tf.command import run_folder
    from ssl3d_tf.data import pipeline
    from ssl3d_tf.data.records import manifest as manifests
    from ssl3d_tf.evaluation import report, subsets
    from ssl3d_tf.experiment import admission, protocol
    from ssl3d_tf.task import Task
    from ssl3d_tf.training import loop

    tf.get_logger().setLevel("ERROR")

READ = (*train.READ_HERE, "SEED", "CLASSES", "LABEL_SIZE")  # macros that this file reads itself


def define_flags() -> None:
    """Declares the flags; called by the command, not at import, so that one process may import every command."""
    flags.DEFINE_multi_string("gin_file", [], "The configuration, such as gin/finetune/segmentation_3d.gin.")
    flags.DEFINE_multi_string("gin_param", [], "NAME=VALUE behind all files, such as STEPS=40; may repeat.")
    flags.DEFINE_string("data", None, "Folder made by tools.to_tfrecord, with masks or labels.")
    flags.DEFINE_multi_string("encoder", [], "--workdir of a pretraining run, by whose name it is shown; may repeat.")
    flags.DEFINE_string("workdir", None, "Folder of the experiment; an unfinished one in it goes on.")


def main(argv: Sequence[str]) -> None:
    """Flags and gin -> all runs of the experiment, one after the other, and its report."""
    values = flags.FLAGS
    cli.flags_only(argv)
    for name in ("gin_file", "data"):
        if not getattr(values, name):
            raise app.UsageError(f"--{name} is missing; see python -m ssl3d_tf.finetune --help.")
    sources = configuration.Sources(tuple(values.gin_file), tuple(values.gin_param))
    workdir = local(values.workdir, "--workdir") if values.workdir else run_folder.fresh(values.gin_file[0])
    failed = run(sources, place(values.data), [local(folder, "--encoder") for folder in values.encoder], workdir)
    sys.exit(1 if failed else 0)


def run(sources: configuration.Sources, folder: Place, encoders: Sequence[Path], workdir: Path) -> int:
    """Runs an experiment, or goes on with it; returns how many of its runs failed.

    Raises:
        InputError: configuration, data and encoders do not fit each other, or the folder is another experiment's.
    """
    prepared = prepare(sources, folder, encoders, workdir)
    occupy(workdir, prepared, configuration.text())
    failed = run_all(prepared.experiment, prepared.planned)
    done = len(prepared.planned) - failed
    print(f"\n{workdir}: {report.NAME}, {report.SUMMARY} and results.csv; {done} runs, {failed} failed.")
    return failed


class Prepared(NamedTuple):
    """An experiment that was checked. free: as `configuration.load` returns it. data, encoders: what run.json says."""

    experiment: protocol.Experiment
    planned: Sequence[protocol.Cell]
    splits: dict[str, Any]
    free: frozenset[str]
    data: dict[str, Any]
    encoders: dict[str, Any]


def prepare(
    sources: configuration.Sources,
    folder: Place,
    encoders: Sequence[Path],
    workdir: Path,
    *,
    read: Iterable[str] = (),
    unread: Collection[str] = (),
) -> Prepared:
    """Loads a configuration and finds that data and encoders fit it; writes nothing.

    Args:
        read: macros that the command itself reads, beside those read here. unread: splits that it never opens.

    Raises:
        InputError: configuration, data and encoders do not fit each other.
    """
    free = configuration.load(sources, read=(*READ, *read))
    distribution = _distribution()
    data, named = pipeline.open_folder(folder, unread=unread), _named(encoders)
    experiment = experiment_of(data, named, workdir, distribution=distribution)
    planned = protocol.cells(experiment.plan, list(named))
    admission.check_data(experiment.data, experiment.plan.scorer.probe)
    for name, path in named.items():
        admission.check_input(name, path, data)
    return Prepared(
        experiment=experiment,
        planned=planned,
        splits=protocol.splits(experiment, planned),
        free=free,
        data={"path": str(folder), "name": data.manifest.name, "sha256": manifests.fingerprint(data.manifest)},
        encoders={name: admission.origin(path) for name, path in named.items()},
    )


def occupy(workdir: Path, prepared: Prepared, config: str) -> None:
    """Builds everything once, and then makes `workdir` the folder of this experiment, configured by `config`.

    Raises:
        InputError: something cannot be built, is configured and not used, or the folder is another experiment's.
    """
    experiment, channels = prepared.experiment, len(prepared.experiment.data[0].manifest.channels)
    run_folder.check(workdir, config, data=prepared.data)
    admission.check_same_encoders(workdir, prepared.encoders)
    for name, path in experiment.encoders.items():
        print(admission.check_weights(name, path, experiment.encoder(channels)), flush=True)
    protocol.build(experiment, prepared.planned[0], workdir, distribution=experiment.distribution)
    configuration.check_all_used(prepared.free)
    run_folder.claim(workdir, config, data=prepared.data, notes={"encoders": prepared.encoders})
    files.write_json(workdir / "splits.json", prepared.splits)
    with files.atomic(workdir / run_folder.OPERATIVE) as file:
        file.write(configuration.operative_text().encode())


def run_all(experiment: protocol.Experiment, planned: Sequence[protocol.Cell]) -> int:
    """Runs what is planned, with tables and report after each; returns how many failed."""
    workdir, failed = experiment.workdir, 0
    for number, cell in enumerate(planned, start=1):
        what = f"{cell.arm.encoder or 'scratch'} {cell.arm.init}, {cell.fraction:g} %, repetition {cell.repetition}"
        print(f"\n[{number}/{len(planned)}] {what}", flush=True)
        try:
            if not protocol.run(experiment, cell):
                sys.exit(0)  # a signal stopped it, which it has said
        except (InputError, tf.errors.OpError) as error:  # anything else is a fault of the program, and ends it
            failed += 1
            line = reason(error)
            print(f"failed, the others go on: {line}", file=sys.stderr, flush=True)
            files.write_json(cell.folder(workdir) / protocol.FAILED, {"reason": line})
        if protocol.write_tables(experiment, planned):
            report.write([workdir], workdir / report.NAME)
    return failed


def reason(error: Exception) -> str:
    """One line: of what TensorFlow and Keras say in many, the kind and the last that is no place in the graph."""
    if isinstance(error, InputError):
        return str(error).splitlines()[0]
    lines = [line.strip() for line in getattr(error, "message", str(error)).splitlines()]
    told = [line for line in lines if line and not line.startswith("[[")]
    return f"{type(error).__name__}: {(told or ['no reason given'])[-1][:200]}"


def _distribution() -> tf.distribute.Strategy:
    if configuration.macro("STRATEGY") == "multi_worker":
        raise InputError("STRATEGY 'multi_worker' is for pretraining; finetuning takes 'none' or 'mirrored'.")
    return train.devices()


def experiment_of(
    data: pipeline.DataFolder, encoders: Mapping[str, Path], workdir: Path, *, distribution: tf.distribute.Strategy
) -> protocol.Experiment:
    """What the loaded configuration asks for, on these data and with these encoders, by name; writes nothing.

    Raises:
        InputError: SCORES, FOLDS or CLASSES do not fit the task or the data.
    """
    if configuration.macro("CLASSES") is None:
        configuration.bind("CLASSES", _classes(data))
    if configuration.macro("LABEL_SIZE") is None:
        configuration.bind("LABEL_SIZE", data.manifest.label_size)
    plan = gin.get_configurable(protocol.Plan)()
    settings = gin.get_bindings(loop.fit)
    settings.pop("task")
    seed = configuration.macro("SEED")
    folds = subsets.folds(data.manifest, plan.folds, seed=seed) if plan.folds else [data.manifest]
    return protocol.Experiment(
        plan=plan,
        workdir=workdir,
        data=[data._replace(manifest=fold) for fold in folds],
        encoders=encoders,
        encoder=settings.pop("encoder"),
        settings=settings,
        task_of=_task_of,
        distribution=distribution,
        seed=seed,
    )


def _task_of(init: str) -> Task:
    """The task of an arm: 'linear' may have bindings of its own, in the scope of that name."""
    with gin.config_scope(init):
        return gin.get_bindings(loop.fit)["task"]


def _named(encoders: Sequence[Path]) -> dict[str, Path]:
    named = {path.resolve().name: path for path in encoders}
    if len(named) < len(encoders):
        raise InputError(f"--encoder folders must differ in name, not only in place: {', '.join(map(str, encoders))}.")
    return named


def _classes(data: pipeline.DataFolder) -> int:
    """How many the task has: the named ones, or 1 + the highest label where the names are those of masks."""
    manifest, fields = data.manifest, gin.query_parameter("pipeline.read.fields")
    pipeline.check_fields(data, fields)
    if manifest.classes and ("mask" in fields or not manifest.mask_dtypes):
        return 1 + max(map(int, manifest.classes))
    entries = [entry for split in manifest.splits.values() for entry in split.entries]
    labels = [value for entry in entries for value in entry.label or () if math.isfinite(value)]
    return 1 + int(max(labels, default=0))


def command() -> None:
    """The command line."""
    cli.run(main, define_flags)


if __name__ == "__main__":
    command()
