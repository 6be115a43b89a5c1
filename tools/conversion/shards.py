"""One shard, from the files of its items to a finished TFRecord file and a note of progress. Runs in a worker."""

import itertools
import json
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ssl3d_tf.data import files
from ssl3d_tf.data.places import Place
from ssl3d_tf.data.records import schema, strangers, writer
from ssl3d_tf.data.records.entry import Brick, Entry, entry_from_json, entry_to_json
from tools.checks import classes, exclusion, masks
from tools.checks import facts as measuring
from tools.checks.facts import Facts
from tools.conversion.plan import Job
from tools.prepare import bricks, intensity, occupied, packing, slices
from tools.readers import files as readers
from tools.readers import items
from tools.readers.contract import Fault, Item, Kind, UnusableFileError
from tools.voxels import ranges

PROGRESS = strangers.PROGRESS

Report = Callable[[int], None]  # called after every item with the bytes it added


class Work(NamedTuple):
    """What is the same for every shard.

    recipe: its hash. strict: stop at the first file that cannot be used. classes: values that masks may hold; none
    declared if empty. excluded: content hash -> example of another data set that is to be left out. brick_shape: larger
    volumes are cut into bricks of it. ignore_label: mask value that is counted nowhere.
    """

    root: Path
    folder: Place
    options: packing.Options
    kind: Kind
    codec: str
    recipe: str
    strict: bool = False
    classes: frozenset[str] = frozenset()
    excluded: Mapping[str, str] = {}
    brick_shape: tuple[int, ...] | None = None
    ignore_label: int | None = None


class Draft(NamedTuple):
    """A shard that is written, but neither synced nor called by its name: `done` holds once it is.

    temporary: its file.
    """

    temporary: Place
    done: "Done"


class Done(NamedTuple):
    """A finished shard. shard: None if none of its items was usable. Entries count their shard as 0.

    faults: what could not be used. dropped: what is in `Work.excluded`. facts: of the examples.
    """

    file: str
    shard: writer.Shard | None
    entries: tuple[Entry, ...]
    faults: tuple[Fault, ...]
    dtypes: tuple[str, ...]
    mask_dtypes: tuple[str, ...]
    dropped: tuple[Fault, ...] = ()
    facts: tuple[Facts, ...] = ()


# Makes the shards of jobs, in any order, in some processes or on some machines.
Make = Callable[[Work, Sequence[Job]], Generator[Done, None, None]]


def make(work: Work, job: Job, report: Report) -> Draft:
    """Writes the shard of `job`.

    Raises:
        UnusableFileError: with `work.strict`, a file that cannot be used.
    """
    made: list[Entry] = []
    facts: list[Facts] = []
    faults: list[Fault] = []
    dropped: list[Fault] = []
    dtypes: set[str] = set()
    mask_dtypes: set[str] = set()

    def payloads() -> Iterator[bytes]:
        for item, following in itertools.zip_longest(job.items, job.items[1:]):
            _read_ahead(work.root, following)
            try:
                example, measured = _in_memory(work, item)
            except UnusableFileError as error:
                is_overlap = isinstance(error, exclusion.OverlapError)
                if work.strict and not is_overlap:
                    raise UnusableFileError(f"--strict: {item.path}: {error.reason}", error.remedy) from error
                (dropped if is_overlap else faults).append(Fault(item.path, error.reason, error.remedy))
                report(0)
                continue
            facts.append(measured)
            dtypes.add(example.volume.dtype.name)
            mask_dtypes.update(() if example.mask is None else (example.mask.dtype.name,))
            size, air = 0, occupied.air(example.volume)
            for part in _parts(work, example):
                payload, body = schema.encode(part, work.codec), occupied.body(part, air)
                made.append(_entry(work, part, measured)._replace(stored=schema.stored(payload), body=body))
                size += len(payload)
                yield payload
                del payload
            del example, part  # a generator keeps what it names, and the next volume is about to be read
            report(size)

    temporary = files.beside(work.folder / job.file)
    with files.draft(temporary) as file:
        shard, places = writer.write_records(file, job.file, payloads())
    entries = tuple(e._replace(offset=p.offset, length=p.length) for e, p in zip(made, places, strict=True))
    kept = shard if entries else None
    names = tuple(sorted(dtypes)), tuple(sorted(mask_dtypes))
    return Draft(temporary, Done(job.file, kept, entries, tuple(faults), *names, tuple(dropped), tuple(facts)))


def finish(work: Work, draft: Draft) -> Done:
    """Syncs and names a shard, and then notes it as progress."""
    done = draft.done
    if done.shard is None:
        draft.temporary.unlink()
        (work.folder / done.file).unlink(missing_ok=True)  # of an earlier plan, where it held what can be used
    else:
        files.publish(draft.temporary, work.folder / done.file)
    files.write_json(_note(work.folder, done.file), {"recipe": work.recipe, **_to_json(done)})
    return done


def noted(folder: Place, job: Job, recipe: str) -> Done | None:
    """What was noted about the shard of `job`, if it is of that recipe."""
    try:
        value = json.loads(_note(folder, job.file).read_text(encoding="utf-8"))
        return _from_json(value) if value["recipe"] == recipe else None
    except (OSError, ValueError, KeyError, TypeError):  # no note, or a damaged one: the shard is made again
        return None


def forget(folder: Place, job: Job) -> None:
    """Has the shard of `job` made again."""
    _note(folder, job.file).unlink(missing_ok=True)


def finished(folder: Place, job: Job, recipe: str) -> Done | None:
    """What an earlier run noted about the shard of `job`, if recipe and checksum still agree."""
    done = noted(folder, job, recipe)
    if done is None or done.shard is None:
        return done
    path = folder / job.file
    return done if path.is_file() and writer.file_crc32c(path) == done.shard.crc32c else None


def _parts(work: Work, example: schema.Example) -> Iterator[schema.Example]:
    if work.options.slices is not None:
        return slices.cut(example, work.options.slices)
    return bricks.cut(example, work.brick_shape)


def _read_ahead(root: Path, item: Item | None) -> None:
    if item is not None and item.key is None:  # rows of an archive are read one after the other anyway
        readers.read_ahead(*(root / name for name in item.files))


def _in_memory(work: Work, item: Item) -> tuple[schema.Example, Facts]:
    """As `_convert`; what does not fit into memory is the fault of one file, and the others go on."""
    try:
        return _convert(work, item)
    except MemoryError as error:
        what = " ".join(str(error).split()) or "no more was said"
        remedy = "use fewer --workers or a smaller --shape, or lower --max_gb and convert what is larger elsewhere"
        raise UnusableFileError(f"memory ran out while it was converted ({what})", remedy) from error


def _convert(work: Work, item: Item) -> tuple[schema.Example, Facts]:
    """The way of one volume: reader -> checks -> prepare; `make` writes what comes of it."""
    options = work.options
    volume, mask = items.load(work.root, item, kind=work.kind, max_bytes=options.max_bytes, how=options.reading)
    found = ranges.of(volume.voxels)
    facts = measuring.measure(item.id, volume, found)
    exclusion.check(facts.content, work.excluded)
    if mask is not None:
        masks.check(volume, mask, is_label_map=facts.is_label_map)
    example = packing.pack(work.root, item, volume, mask, options=options, found=found)
    counts = measuring.mask_counts(example.mask, ignore=work.ignore_label)
    classes.check(counts, work.classes)
    if mask is not None and example.mask is not None:
        facts = facts._replace(drawn=masks.measure(mask, example.mask, counts or {}, relabel=options.relabel))
    lost = intensity.lost(volume.voxels, found, options.intensity)
    return example, facts._replace(counts=counts, stored=example.volume.shape[:-1], lost=lost)


def _entry(work: Work, example: schema.Example, facts: Facts) -> Entry:
    label = None if example.label is None else tuple(example.label)
    brick = Brick(**example.source["brick"]) if "brick" in example.source else None
    is_part = brick is not None or "slice" in example.source
    counts = measuring.mask_counts(example.mask, ignore=work.ignore_label) if is_part else facts.counts
    entry = Entry(example.id, example.patient, 0, 0, 0, example.volume.shape, label, counts, facts.content, brick)
    has_spacing = facts.spacing_mm is not None
    return entry._replace(spacing_mm=tuple(float(f"{mm:.6g}") for mm in example.spacing_mm) if has_spacing else None)


def _note(folder: Place, file: str) -> Place:
    return folder / PROGRESS / f"{file}.json"


def _to_json(done: Done) -> dict[str, Any]:
    entries = [entry_to_json(entry) for entry in done.entries]
    return {**done._asdict(), "shard": done.shard and done.shard._asdict(), "entries": entries}


def _from_json(value: dict[str, Any]) -> Done:
    return Done(
        value["file"],
        value["shard"] and writer.Shard(**value["shard"]),
        tuple(entry_from_json(fields) for fields in value["entries"]),
        tuple(Fault(*fields) for fields in value["faults"]),
        tuple(value["dtypes"]),
        tuple(value["mask_dtypes"]),
        tuple(Fault(*fields) for fields in value["dropped"]),
        tuple(measuring.from_json(fields) for fields in value["facts"]),
    )
