"""From a configuration, data and encoders to an experiment that was checked, and its folder."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow as tf

from ssl3d_tf.command import configuration, run_folder
from ssl3d_tf.data import body, classes, files, folders, service
from ssl3d_tf.data.folders import DataFolder
from ssl3d_tf.data.places import Place
from ssl3d_tf.data.records import manifest as manifests
from ssl3d_tf.data.records import reading
from ssl3d_tf.errors import InputError
from ssl3d_tf.evaluation import runs, subsets
from ssl3d_tf.experiment import admission, overlap, peaks, protocol, running
from ssl3d_tf.experiment.protocol import Cell, Experiment
from ssl3d_tf.task import Task
from ssl3d_tf.training import strategies
from ssl3d_tf.training.run import Settings
from ssl3d_tf.training.schedules import Schedule

READ = ("SEED", "CLASSES", "CLASS_COUNTS", "IGNORE_LABEL", "LABEL_SIZE", "FOLDS")  # macros that this file reads itself


class Prepared(NamedTuple):
    """An experiment that was checked. free: as `configuration.load` returns it.

    data, encoders, labelled: what run.json says.
    """

    experiment: Experiment
    planned: Sequence[Cell]
    splits: dict[str, Any]
    free: frozenset[str]
    data: dict[str, Any]
    encoders: dict[str, Any]
    labelled: dict[str, str]


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
    remedy = "give the file of a downstream task, gin/finetune/segmentation_3d.gin, say"
    configuration.check_bound(protocol.Plan, "scorer", sources, remedy=remedy)
    if configuration.macro("PROBE", None) is not None:
        raise InputError(
            "PROBE is for pretraining, where it says which encoder is best; remove it: validation does here."
        )
    distribution = _distribution()
    (data, labelled), named = _selected(folders.open_folder(folder, unread=unread)), _named(encoders)
    experiment = experiment_of(data, named, workdir, distribution=distribution)
    _tell(experiment, labelled)
    planned = peaks.with_trials(experiment.plan, protocol.cells(experiment.plan, list(named)))
    if line := peaks.cost(experiment.plan, planned):
        print(line, flush=True)
    scorer = experiment.plan.scorer
    admission.check_data(experiment.data, scorer.probe, _learnt_from(configuration.value("pipeline.read.fields")))
    admission.check_regions(scorer.regions, experiment.data[0])
    first, view = experiment.data[0], configuration.macro("VIEW_SIZE")
    folders.note_padding(first, view)
    body.note(first, view, foreground=configuration.macro("FOREGROUND", 0.0))
    allowed = experiment.plan.allow_mismatch
    accepted = {name: admission.check_input(name, path, data, allowed=allowed) for name, path in named.items()}
    tested = _tested(experiment)
    return Prepared(
        experiment=experiment,
        planned=planned,
        splits=protocol.splits(experiment, planned),
        free=free,
        data={"path": str(folder), "name": data.manifest.name, "sha256": manifests.fingerprint(data.manifest)},
        encoders={
            name: {**admission.origin(path), **overlap.of(path, tested), "mismatch": accepted[name]}
            for name, path in named.items()
        },
        labelled=labelled,
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
        network = experiment.settings.encoder(channels)
        print(admission.check_weights(name, path, network), flush=True)
        if line := admission.unfinished(name, path):
            print(line, flush=True)
        if experiment.plan.transfer != "encoder":
            model = experiment.task_of("pretrained").build_model(network)
            print(admission.check_decoder(name, path, model, network), flush=True)
        begin = "warning: " if runs.has_seen(prepared.encoders[name]) else ""
        print(f"{begin}encoder '{name}': {prepared.encoders[name]['overlap']}.", flush=True)
    running.build(experiment, prepared.planned[0], workdir, distribution=experiment.distribution)
    configuration.check_all_used(prepared.free)
    made_by = service.addresses(configuration.macro("DATA_SERVICE", ()))
    notes = {"encoders": prepared.encoders, "labelled": prepared.labelled, "data_service": made_by}
    run_folder.claim(workdir, config, data=prepared.data, notes=notes)
    files.write_json(workdir / "splits.json", prepared.splits)
    with files.atomic(workdir / run_folder.OPERATIVE) as file:
        file.write(configuration.operative_text().encode())


def experiment_of(
    data: DataFolder, encoders: Mapping[str, Path], workdir: Path, *, distribution: tf.distribute.Strategy
) -> Experiment:
    """What the loaded configuration asks for, on these data and with these encoders, by name; writes nothing.

    Raises:
        InputError: SCORES, FOLDS or CLASSES do not fit the task or the data, or PEAKS are no learning rates.
    """
    data = _with_classes(data)
    plan, seed = configuration.make(protocol.Plan), configuration.macro("SEED")
    plan, schedules = _with_peaks(plan)
    if plan.scorer.probe is not None and not plan.scorer.probe.classes:
        data = data._replace(manifest=data.manifest._replace(classes={}))  # numbers, or several at once
    folds = subsets.folds(data.manifest, plan.folds, seed=seed) if plan.folds else [data.manifest]
    return Experiment(
        plan=protocol.with_fractions(plan, folds),
        workdir=workdir,
        data=[data._replace(manifest=fold) for fold in folds],
        encoders=encoders,
        settings=configuration.make(Settings),
        task_of=_task_of,
        distribution=distribution,
        seed=seed,
        schedules=schedules,
    )


def _with_peaks(plan: protocol.Plan) -> tuple[protocol.Plan, dict[float, Schedule]]:
    """The plan with peaks to choose from, and the schedule of each as LEARNING_RATE; one alone is just its value."""
    given = peaks.checked(plan.peaks)
    if len(given) == 1:
        configuration.bind("LEARNING_RATE", given[0])
    if len(given) < 2:
        return plan._replace(peaks=()), {}
    made = {}
    for peak in given:
        with configuration.bound("LEARNING_RATE", peak):
            settings = configuration.make(Settings)
        made[peak] = settings.schedule
    rates = {float(schedule(settings.steps // 2)) for schedule in made.values()}
    if len(rates) < len(given):
        raise InputError("PEAKS would all be one: this configuration's schedule does not read LEARNING_RATE; mend it.")
    return plan._replace(peaks=given), made


def _tested(experiment: Experiment) -> Sequence[DataFolder]:
    """The folds that some repetition tests."""
    return experiment.data[: experiment.plan.repetitions]


def _tell(experiment: Experiment, labelled: Mapping[str, str]) -> None:
    """Says how many cases are labelled, and which classes they have where that is not plain."""
    if labelled:
        print(f"{'; '.join(labelled.values())}.", flush=True)
    if line := classes.told(experiment.data[0].manifest, masks=experiment.plan.scorer.probe is None):
        print(f"note: {line}.", flush=True)


def _task_of(init: str) -> Task:
    """The task of an arm: 'linear' may have bindings of its own, in the scope of that name."""
    return configuration.make(Settings, scope=init).task


def _distribution() -> tf.distribute.Strategy:
    if configuration.macro("STRATEGY") == "multi_worker":
        raise InputError("STRATEGY 'multi_worker' is for pretraining; finetuning takes 'none' or 'mirrored'.")
    return configuration.make(strategies.devices)


def _named(encoders: Sequence[Path]) -> dict[str, Path]:
    named = {path.resolve().name: path for path in encoders}
    if len(named) < len(encoders):
        raise InputError(f"--encoder folders must differ in name, not only in place: {', '.join(map(str, encoders))}.")
    return named


def _selected(data: DataFolder) -> tuple[DataFolder, dict[str, str]]:
    """The cases that have the masks or labels that the task reads, and of each split how many those are, in words."""
    fields = configuration.value("pipeline.read.fields")
    folders.check_fields(data, fields)
    found, what = folders.labelled(data, fields), _learnt_from(fields)
    if not what:
        return found, {}
    said = {}
    for name, called in zip(manifests.SPLITS, ("training", "validation", "test"), strict=True):
        if name in data.manifest.splits:
            has, there = (_count(one, name) for one in (found, data))
            said[name] = f"{has} of {there} {called} scans have a {what}"
    if number := configuration.macro("FOLDS"):  # of the cases of all splits together
        has, there = (sum(_count(one, name) for name in said) for one in (found, data))
        said = {"folds": f"{has} of {there} scans, divided anew into {number} folds, have a {what}"}
    return found, said


def _count(data: DataFolder, split: str) -> int:
    """How many scans a split has."""
    return len(reading.cases(data.manifest.splits[split].entries))


def _learnt_from(fields: Sequence[str]) -> str:
    """'mask' or 'label', or '' where a task reads neither."""
    return next((name for name in ("mask", "label") if name in fields), "")


def _class_counts(data: DataFolder) -> tuple[int, ...] | None:
    """Training cases of each class of labels, from low to high; of folds, which are stratified, all; None: masks."""
    if _learnt_from(configuration.value("pipeline.read.fields")) != "label":
        return None
    names = manifests.SPLITS if configuration.macro("FOLDS") else ("train",)
    splits = [data.manifest.splits[name] for name in names if name in data.manifest.splits]
    labels = [entry.label[0] for split in splits for entry in split.entries if entry.label]
    return tuple(labels.count(int(value)) for value in sorted(data.manifest.classes, key=int))


def for_task(data: DataFolder) -> DataFolder:
    """The cases that the loaded downstream task learns from, with its classes, which its knobs then say too."""
    return _with_classes(_selected(data)[0])


def _with_classes(data: DataFolder) -> DataFolder:
    """The data with exactly the classes of the task, which CLASSES and what else the data say then say too."""
    has_masks = _learnt_from(configuration.value("pipeline.read.fields")) == "mask"
    ignore = classes.ignored(data.manifest, configuration.macro("IGNORE_LABEL"), str(data.path), masks=has_masks)
    manifest = data.manifest._replace(ignore_label=ignore)
    found = (classes.of_masks if has_masks else classes.of_labels)(manifest)
    named = classes.as_asked(found, configuration.macro("CLASSES"), ignore=ignore)
    values = tuple(named)
    configuration.bind("CLASSES", len(values) if values == tuple(range(len(values))) else values)
    configuration.bind("IGNORE_LABEL", manifest.ignore_label)
    data = data._replace(manifest=manifest._replace(classes={str(value): name for value, name in named.items()}))
    for name, value in {"CLASS_COUNTS": _class_counts(data), "LABEL_SIZE": manifest.label_size}.items():
        if configuration.macro(name) is None:
            configuration.bind(name, value)
    return data
