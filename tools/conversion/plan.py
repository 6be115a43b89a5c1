"""Everything about a conversion that is decided before a voxel is read, and therefore the same on every run."""

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from ssl3d_tf import __version__
from ssl3d_tf.data.records.manifest import SPLITS
from ssl3d_tf.data.records.schema import SCHEMA_VERSION
from ssl3d_tf.errors import InputError
from tools.checks import classes, other_kinds
from tools.checks.notes import Note
from tools.checks.notes import of_headers as notes_of
from tools.conversion import greys, splits
from tools.conversion.settings import Settings
from tools.prepare import recipe as recipes
from tools.prepare.intensity import Normalisation
from tools.prepare.packing import Options
from tools.readers import files
from tools.readers.contract import Fault, Item, Kind, Listing, Probe, UnusableFileError
from tools.readers.items import probe
from tools.readers.nifti import TIME

MANY = 0.2  # of the files, of another kind than most
PICTURE_WINDOW = Normalisation("ct_window", (0.0, 255.0))  # [0, 1], and colours keep their balance
CALIBRATED, UNCALIBRATED = Normalisation("percentile"), Normalisation("percentile:body")


class Job(NamedTuple):
    """One shard to write: its file name and the items in it, in order."""

    file: str
    split: str
    items: tuple[Item, ...]


class Plan(NamedTuple):
    """The whole conversion. `settings.options.intensity` is decided; `recipe` is for the manifest.

    notes: lines for the user. readings: what is to be known of how files are read, by their headers. others: set aside
    for their rank or channels. declared: split -> how many examples the data set itself puts there, usable or not.
    """

    name: str
    kind: Kind
    settings: Settings
    jobs: tuple[Job, ...]
    faults: tuple[Fault, ...]
    recipe: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    readings: tuple[Note, ...] = ()
    others: tuple[Item, ...] = ()
    declared: Mapping[str, int] = {}


def make(listing: Listing, settings: Settings) -> Plan:
    """Reads every header, leaves out what does not fit, decides splits and shards.

    Raises:
        InputError: nothing usable, two examples of one id, or a patient in two splits.
    """
    twice = [name for name, count in Counter(item.id for item in listing.items).items() if count > 1]
    if twice:
        raise InputError(f"two examples of {listing.root} are called '{twice[0]}'; rename one.")
    probes, faults = _probe_all(listing, settings.options)
    probes = greys.told_from_colours(listing.root, probes, settings.options)
    items, odd, kind = _of_one_kind(probes)
    faults = sorted({*listing.faults, *faults, *odd})
    if kind is None:
        first = f"; {faults[0].path}: {faults[0].reason}; {faults[0].remedy}" if faults else ""
        raise InputError(f"none of {len(faults)} files in {listing.root} can be used{first}.")
    if settings.kind not in (None, kind):
        raise InputError(f"{listing.root} is {kind}, and --like {settings.kind}; no option makes these of those.")
    kept = {item: probes[item] for item in items}
    are_named = len(listing.channels) == kind.channels  # channels, whatever a header says of time
    readings = tuple(note for note in notes_of(kept) if not (are_named and note.what.startswith(TIME)))
    readings += _of_intensity(settings, kept)
    ignored, relabel = (settings.ignore_label, listing.ignore_label), settings.options.relabel
    ignoring = tuple(classes.ignoring(*ignored, listing.classes, relabel))
    settings = _decided(settings, [*kept.values()], listing, kind)
    declared = Counter(item.split for item in listing.items if item.split is not None)
    chosen = splits.assign(items, settings.fractions, declared=declared)
    jobs = tuple(_jobs(items, chosen, settings))
    recipe, others = _recipe(listing, settings), tuple(item for item in probes if item not in kept)
    notes = (*listing.notes, *ignoring, *splits.taken(items, chosen), *_of_other_kinds(listing, items, others, kind))
    return Plan(settings.name, kind, settings, jobs, tuple(faults), recipe, notes, readings, others, declared)


def refilled(planned: Plan, usable: Collection[str]) -> Plan:
    """The plan with a patient in each split that would stay empty because only these examples (ids) are `usable`.

    Jobs that it does not touch stay the same: their shards are kept.
    """
    items = [item for job in planned.jobs for item in job.items]
    chosen = {item.patient: job.split for job in planned.jobs for item in job.items}
    moved = splits.moved(items, usable, chosen, planned.settings.fractions, declared=planned.declared)
    jobs = []
    for job in planned.jobs:
        members = [item for item in job.items if item.patient not in moved]
        if job.file == _file(job.split, 0):
            members += [item for item in items if moved.get(item.patient) == job.split]
        jobs.append(job._replace(items=tuple(sorted(members, key=lambda item: item.id))))
    notes = tuple(
        f"no example of {split} can be used: patient '{patient}' is moved there from {chosen[patient]}."
        for patient, split in sorted(moved.items())
    )
    return planned._replace(jobs=tuple(jobs), notes=planned.notes + notes)


def recipe_hash(recipe: Mapping[str, Any]) -> str:
    """SHA-256 of a recipe: equal for equal input and options."""
    return _hash(recipe)


def _probe_all(listing: Listing, options: Options) -> tuple[dict[Item, Probe], list[Fault]]:
    probes: dict[Item, Probe] = {}
    faults: list[Fault] = []
    arrays: dict[tuple[str, str | None], Probe] = {}  # one header speaks for all rows of an array
    for item in listing.items:
        try:
            where = (item.path, item.key)
            if where in arrays:
                found = arrays[where]
            else:
                found = probe(listing.root, item, max_bytes=options.max_bytes, how=options.reading)
            probes[item] = found
            if item.key is not None:
                arrays[where] = found
        except UnusableFileError as error:
            faults.append(Fault(item.path, error.reason, error.remedy))
    return probes, faults


def _of_one_kind(probes: Mapping[Item, Probe]) -> tuple[list[Item], list[Fault], Kind | None]:
    """Keeps the items of the most frequent rank and channel count; of two equally frequent kinds, the larger."""
    counts = Counter(probe.kind for probe in probes.values())
    if not counts:
        return [], [], None
    kind = max(counts, key=lambda found: (counts[found], found))
    reason = "it is {}, most of the data set is {}"
    remedy = "convert files of another kind into a data set of their own"
    odd = [Fault(i.path, reason.format(p.kind, kind), remedy) for i, p in probes.items() if p.kind != kind]
    return [item for item, probe in probes.items() if probe.kind == kind], odd, kind


def _of_other_kinds(listing: Listing, kept: Sequence[Item], others: Sequence[Item], kind: Kind) -> Iterator[str]:
    """A line where many files are set aside for their kind: it may be that the others are not the scans."""
    count = len(kept) + len(others)
    if len(others) >= MANY * count:
        told = f"{len(others)} of {count} files are set aside, such as {others[0].path}, as the others are {kind}"
        yield f"{told}: if those are label maps, add {other_kinds.remedy(listing, kept, others)}."


def _decided(settings: Settings, probes: Sequence[Probe], listing: Listing, kind: Kind) -> Settings:
    """Fills in intensity, dtype and name where they are left to the data; checks --shape and --spacing_mm."""
    options = settings.options
    given = {"--shape": options.shape, "--spacing_mm": options.spacing_mm, "--brick_shape": settings.brick_shape}
    for flag, numbers in given.items():
        of_slices = {2} if options.slices and flag != "--brick_shape" else set()
        fitting = {kind.rank} | of_slices | ({1} if flag == "--spacing_mm" else set())
        if numbers and len(numbers) not in fitting:
            values = ",".join(f"{number:g}" for number in numbers)
            raise InputError(
                f"{flag}={values} names {len(numbers)} axes, but the data are {kind.rank}D; give one each."
            )
    if options.slices and (kind.rank == 2 or settings.brick_shape):
        raise InputError(f"--slices={options.slices} cuts whole 3D volumes; leave it out for {kind} or --brick_shape.")
    if options.intensity.kind == "auto":
        are_pictures = all(probe.is_8bit and probe.is_picture for probe in probes)
        chosen = PICTURE_WINDOW if are_pictures else CALIBRATED if listing.modality.upper() == "CT" else UNCALIBRATED
        options = options._replace(intensity=chosen)
    if options.dtype == "auto" and options.intensity.kind != "none":
        # One dtype for the whole data set, so that its volumes can be batched as they are stored.
        is_exact = all(probe.is_8bit for probe in probes) and not (options.shape or options.spacing_mm)
        options = options._replace(dtype="uint8" if is_exact else "uint16")
    ignore = listing.ignore_label if settings.ignore_label is None else settings.ignore_label
    return settings._replace(options=options, name=settings.name or listing.name, ignore_label=ignore)


def _of_intensity(settings: Settings, probes: Mapping[Item, Probe]) -> tuple[Note, ...]:
    """That a few files change the rule of --intensity=auto for all."""
    odd = [item.id for item, probe in probes.items() if not (probe.is_8bit and probe.is_picture)]
    if settings.options.intensity.kind != "auto" or not odd or len(odd) == len(probes):
        return ()
    what = "no picture of 8 bits, so that --intensity=auto is percentile for all, and not 0 to 255 for pictures"
    return (Note(f"{what}; ct_window:0,255 is that rule, or convert these apart", len(odd), min(odd)),)


def _jobs(items: Sequence[Item], chosen: Mapping[str, str], settings: Settings) -> list[Job]:
    """Shards of even size, none above the limit: workers then end together."""
    jobs = []
    for split in SPLITS:
        members = [item for item in items if chosen[item.patient] == split]
        count = -(-len(members) // settings.records_per_shard)
        ends = [len(members) * number // count for number in range(count + 1)] if count else []
        for number, (start, stop) in enumerate(pairwise(ends)):
            jobs.append(Job(_file(split, number), split, tuple(members[start:stop])))
    return jobs


def _file(split: str, number: int) -> str:
    return f"{split}-{number:05d}.tfrecord"


def _recipe(listing: Listing, settings: Settings) -> dict[str, Any]:
    return {
        "tool": f"ssl3d_tf {__version__}, schema {SCHEMA_VERSION}",
        "input": _fingerprint(listing),
        "layout": listing.layout,
        **listing.asked,
        "name": settings.name,
        **recipes.of_options(settings.options),
        "ignore_label": settings.ignore_label,
        "brick_shape": settings.brick_shape and list(settings.brick_shape),
        "exclude_overlap": _hash(sorted(settings.excluded)) if settings.excluded else None,
        "codec": settings.codec,
        "splits": list(settings.fractions),
        "salt": splits.SALT,
        "records_per_shard": settings.records_per_shard,
    }


def _fingerprint(listing: Listing) -> str:
    """SHA-256 over what was listed and the size of every file: notices changed input without reading it."""
    names = {name for item in listing.items for name in item.files}
    sizes = {name: _sizes(listing.root / name) for name in sorted(names)}
    listed = [list(item if item.further else item[:-1]) for item in listing.items]  # data made before stay complete
    value = [
        listed,
        sizes,
        dict(listing.classes),
        dict(listing.label_classes),
        listing.channels,
        listing.modality,
        [list(f) for f in listing.faults],
    ]
    return _hash(value)


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _sizes(path: Path) -> list[int]:
    return [part.stat().st_size for part in files.parts(path) if part.is_file()]
