"""Files in, data folder out: find, plan, write shards, publish."""

import functools
import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ssl3d_tf.data import files
from ssl3d_tf.data.places import Place
from ssl3d_tf.data.records import manifest
from ssl3d_tf.errors import InputError
from tools import contact_sheet, findings, output, plan, shards, workers
from tools import summary as page
from tools.readers import layouts
from tools.readers.contract import Fault, Listing

_HERE: shards.Make = functools.partial(workers.run, workers=1)


class Summary(NamedTuple):
    """What a conversion did. is_new: False if the data were complete before.

    found: what looks wrong. dropped: what another data set has too, left out on request.
    """

    data: manifest.Manifest
    faults: tuple[Fault, ...]
    is_new: bool
    seconds: float
    found: tuple[findings.Finding, ...] = ()
    dropped: tuple[Fault, ...] = ()


def convert(
    request: layouts.Request,
    folder: Place,
    settings: plan.Settings,
    *,
    make: shards.Make = _HERE,
    strict: bool = False,
    overwrite: bool = False,
) -> Summary:
    """Converts the input of `request` into the data folder `folder`, with the processes or machines of `make`.

    Run again after it was stopped, it keeps the shards that are finished; the result is the same byte for byte,
    whoever makes the shards.

    Raises:
        InputError: nothing usable, an output that cannot be used, or with `strict` a file that cannot be used.
    """
    start = time.monotonic()
    listing = layouts.find(request)
    if not Path(request.input).is_file():  # one file names all that is read: what lies beside it does not matter
        output.check_apart(folder, listing.root)
    planned = plan.make(listing, settings)
    _announce(listing, planned)
    if strict:
        _refuse_faults(planned.faults)
    if output.open_folder(folder, planned.recipe, overwrite=overwrite):
        faults = _read_quarantine(folder)
        if strict:
            _refuse_faults(faults)
        return Summary(manifest.read(folder), faults, False, time.monotonic() - start)
    try:
        done = _write_shards(listing, planned, folder, make, strict)
        made = _publish(listing, planned, folder, done)
    except InputError as error:
        if not isinstance(error, workers.WorkerKilledError):
            output.remove_ours(folder)
        raise
    return made._replace(seconds=time.monotonic() - start)


def _announce(listing: Listing, planned: plan.Plan) -> None:
    items = sum(len(job.items) for job in planned.jobs)
    masks = sum(item.mask is not None for job in planned.jobs for item in job.items)
    print(f"layout {listing.layout}: {items} examples, {masks} with masks; {planned.kind}.")
    options = planned.settings.options
    print(f"intensity {options.intensity}.")
    if options.slices:
        print(f"each volume becomes all its {options.slices} slices, also those with an empty mask, of one patient.")
    for note in listing.notes:
        print(f"note: {note}")


def _write_shards(
    listing: Listing, planned: plan.Plan, folder: Place, make: shards.Make, strict: bool
) -> list[shards.Done]:
    recipe = plan.recipe_hash(planned.recipe)
    settings = planned.settings
    has_labels = any(item.label is not None for item in listing.items)
    classes = frozenset() if has_labels else frozenset(listing.classes)  # of labels, these say nothing about masks
    work = shards.Work(
        listing.root,
        folder.resolve(),
        settings.options,
        planned.kind,
        settings.codec,
        recipe,
        strict,
        classes,
        settings.excluded,
        settings.brick_shape,
    )
    kept = {job.file: shards.finished(folder, job, recipe) for job in planned.jobs}
    missing = [job for job in planned.jobs if kept[job.file] is None]
    if len(missing) < len(planned.jobs):
        print(f"{len(planned.jobs) - len(missing)} of {len(planned.jobs)} shards are there already and are kept.")
    made = {done.file: done for done in make(work, missing)}
    return [kept[job.file] or made[job.file] for job in planned.jobs]


def _publish(listing: Listing, planned: plan.Plan, folder: Place, done: Sequence[shards.Done]) -> Summary:
    """Writes quarantine, summary, contact sheet and, last, the manifest."""
    faults = tuple(sorted({*planned.faults, *(fault for one in done for fault in one.faults)}))
    dropped = tuple(sorted(fault for one in done for fault in one.dropped))
    data = _manifest(listing, planned, done)
    if not any(split.entries for split in data.splits.values()):
        first = (*faults, *dropped)[0]
        count = len(faults) + len(dropped)
        raise InputError(f"none of {count} files can be used; {first.path}: {first.reason}; {first.remedy}.")
    splits = {job.file: job.split for job in planned.jobs}
    cases = [findings.Case(splits[one.file], facts) for one in done for facts in one.facts]
    found = findings.find(cases)
    with files.atomic(folder / output.QUARANTINE) as file:
        file.writelines((json.dumps(fault._asdict(), ensure_ascii=False) + "\n").encode() for fault in faults)
    with files.atomic(folder / output.SUMMARY) as file:
        file.write(page.text(data, cases, found, faults=faults, dropped=dropped).encode())
    contact_sheet.write(folder / output.CONTACT_SHEET, folder, data, found)
    manifest.write(folder, data)
    output.finish(folder)
    return Summary(data, faults, True, 0.0, tuple(found), dropped)


def _manifest(listing: Listing, planned: plan.Plan, done: Sequence[shards.Done]) -> manifest.Manifest:
    split_of = {job.file: job.split for job in planned.jobs}
    splits = {name: _split(one for one in done if split_of[one.file] == name) for name in manifest.SPLITS}
    entries = [entry for split in splits.values() for entry in split.entries]
    names = listing.channels if len(listing.channels) == planned.kind.channels else ()
    return manifest.Manifest(
        name=planned.name,
        rank=2 if planned.settings.options.slices else planned.kind.rank,
        channels=names or tuple(f"channel {number}" for number in range(planned.kind.channels)),
        modality=listing.modality,
        classes=listing.classes or _classes_seen(entries),
        dtypes=tuple(sorted({name for one in done for name in one.dtypes})),
        mask_dtypes=tuple(sorted({name for one in done for name in one.mask_dtypes})),
        codec=planned.settings.codec,
        label_size=max((len(entry.label) for entry in entries if entry.label is not None), default=0),
        recipe=planned.recipe,
        splits=splits,
    )


def _split(done: Iterable[shards.Done]) -> manifest.Split:
    filled = [one for one in done if one.shard is not None]
    entries = tuple(entry._replace(shard=number) for number, one in enumerate(filled) for entry in one.entries)
    return manifest.Split(tuple(one.shard for one in filled if one.shard is not None), entries)


def _classes_seen(entries: Sequence[manifest.Entry]) -> Mapping[str, str]:
    """Names for the mask values that occur, where the data set names none."""
    values = sorted({int(value) for entry in entries for value in entry.counts or ()})
    return {str(value): f"class {value}" if value else "background" for value in values}


def _refuse_faults(faults: Sequence[Fault]) -> None:
    if faults:
        path, reason, remedy = faults[0]
        raise InputError(f"--strict: {len(faults)} files cannot be used, the first is {path}: {reason}; {remedy}.")


def _read_quarantine(folder: Place) -> tuple[Fault, ...]:
    lines = (folder / output.QUARANTINE).read_text(encoding="utf-8").splitlines()
    return tuple(Fault(**json.loads(line)) for line in lines)


def report(summary: Summary, folder: Place) -> str:
    """What a user wants to know at the end, in a few lines."""
    data = summary.data
    counts = {name: len(data.splits[name].entries) for name in manifest.SPLITS}
    size = sum(shard.bytes for split in data.splits.values() for shard in split.shards) / 1e6
    if not summary.is_new:
        return f"{folder} is already complete: {sum(counts.values())} examples {counts}, nothing to do."
    speed = f"{sum(counts.values()) / summary.seconds:.1f} volumes/s, {size / summary.seconds:.1f} MB/s"
    lines = [f"{sum(counts.values())} examples {counts}, {size:.1f} MB in {summary.seconds:.1f} s ({speed}): {folder}"]
    reasons = Counter(fault.reason for fault in summary.faults)
    lines += [f"quarantined: {len(summary.faults)}, see {output.QUARANTINE}:"] if reasons else []
    lines += [f"  {count} × {reason}" for reason, count in reasons.most_common(10)]
    lines += [f"left out by --exclude_overlap: {len(summary.dropped)}."] if summary.dropped else []
    words = Counter(finding.word for finding in summary.found)
    lines += [f"warnings: {len(summary.found)}, see {output.SUMMARY}:"] if words else []
    return "\n".join(lines + [f"  {count} × {word}" for word, count in words.most_common()])
