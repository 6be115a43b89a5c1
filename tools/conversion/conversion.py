"""Files in, data folder out: find, plan, write shards, publish."""

import contextlib
import functools
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ssl3d_tf.data import files
from ssl3d_tf.data.places import Place
from ssl3d_tf.data.records import manifest
from ssl3d_tf.errors import InputError
from tools.checks import label_maps, other_kinds, sources
from tools.checks.facts import Facts
from tools.conversion import output, plan, publication, shards, workers
from tools.conversion.settings import Settings
from tools.readers import labels as texts
from tools.readers import layouts, remainder
from tools.readers.contract import Fault, Listing

LOOKED_AT = ("folder", "csv")  # layouts of which names alone say what is a scan
Look = Callable[[Sequence[Facts]], None]

_HERE: shards.Make = functools.partial(workers.run, workers=1)


def convert(
    request: layouts.Request,
    folder: Place,
    settings: Settings,
    *,
    make: shards.Make = _HERE,
    strict: bool = False,
    overwrite: bool = False,
) -> publication.Summary:
    """Converts the input of `request` into the data folder `folder`, with the processes or machines of `make`.

    Run again after it was stopped, it keeps the shards that are finished; the result is the same byte for byte,
    whoever makes the shards.

    Raises:
        InputError: nothing usable, an output that cannot be used, or with `strict` a file that cannot be used.
    """
    with contextlib.ExitStack() as held:
        return _convert(request, folder, settings, make=make, strict=strict, overwrite=overwrite, held=held)


def _convert(
    request: layouts.Request,
    folder: Place,
    settings: Settings,
    *,
    make: shards.Make,
    strict: bool,
    overwrite: bool,
    held: contextlib.ExitStack,
) -> publication.Summary:
    start = time.monotonic()
    listing = layouts.find(request)
    if not Path(request.input).is_file():  # one file names all that is read: what lies beside it does not matter
        output.check_apart(folder, listing.root)
    planned = plan.make(listing, settings)
    _announce(listing, planned)
    if strict:
        _refuse_faults(planned.faults)
    stamps = sources.stamps(listing)
    if output.open_folder(folder, planned.recipe, overwrite=overwrite, held=held):
        faults = publication.read_quarantine(folder)
        if strict:
            _refuse_faults(faults)
        data = manifest.read(folder)
        _refuse_changes(listing, data, folder, stamps)
        return publication.Summary(data, faults, False, time.monotonic() - start)
    try:
        _forget_changed(listing, planned, folder, stamps)
        are_told_apart = listing.layout not in LOOKED_AT or request.label_maps == "scans"
        look = (
            _pass if are_told_apart else functools.partial(label_maps.check, listing, label_maps.nothing_seen(listing))
        )
        if planned.others and not are_told_apart:
            kept = [item for job in planned.jobs for item in job.items]
            other_kinds.check(listing, kept, planned.others, max_bytes=planned.settings.options.max_bytes)
        planned, done = _write_shards(listing, planned, folder, make, strict, look=look)
        files.write_json(folder / sources.FILE, stamps)
        made = publication.publish(listing, planned, folder, done)
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
    if listing.left_out:
        print(f"left out of {listing.root}: {remainder.in_words(listing.left_out)}.")
    labels = [item.label for job in planned.jobs for item in job.items]
    if any(label is not None for label in labels):
        print(f"labels: {texts.in_words(listing.label_classes, labels)}.")
    for note in (*planned.notes, *planned.readings):
        print(f"note: {note}")


def _write_shards(
    listing: Listing, planned: plan.Plan, folder: Place, make: shards.Make, strict: bool, *, look: Look
) -> tuple[plan.Plan, list[shards.Done]]:
    """Makes the shards that are not there, and the plan anew where it turns out that a split would be empty.

    Args:
        look: is shown the facts of each as it comes.
    """
    recipe = plan.recipe_hash(planned.recipe)
    settings = planned.settings
    work = shards.Work(
        listing.root,
        folder.resolve(),
        settings.options,
        planned.kind,
        settings.codec,
        recipe,
        strict,
        frozenset(listing.classes),
        settings.excluded,
        settings.brick_shape,
        settings.ignore_label,
    )
    kept = {job.file: shards.finished(folder, job, recipe) for job in planned.jobs}
    missing = [job for job in planned.jobs if kept[job.file] is None]
    if len(missing) < len(planned.jobs):
        print(f"{len(planned.jobs) - len(missing)} of {len(planned.jobs)} shards are there already and are kept.")
    for done in filter(None, kept.values()):
        look(done.facts)
    made: dict[str, shards.Done] = {}
    with contextlib.closing(make(work, missing)) as making:  # stopped here, no worker is to write any more
        for done in making:
            look(done.facts)
            made[done.file] = done
    return _refill(planned, [kept[job.file] or made[job.file] for job in planned.jobs], work, make)


def _refill(
    planned: plan.Plan, done: Sequence[shards.Done], work: shards.Work, make: shards.Make
) -> tuple[plan.Plan, list[shards.Done]]:
    """Makes the shards again that `plan.refilled` changes; noted as of another recipe, they are never kept."""
    usable = {facts.id for one in done for facts in one.facts}
    again = plan.refilled(planned, usable)
    changed = [job for job, before in zip(again.jobs, planned.jobs, strict=True) if job != before]
    for note in again.notes[len(planned.notes) :]:
        print(f"note: {note}")
    made = {one.file: one for one in make(work._replace(recipe=f"{work.recipe} refilled"), changed)} if changed else {}
    return again, [made.get(one.file, one) for one in done]


def _refuse_changes(listing: Listing, data: manifest.Manifest, folder: Place, stamps: sources.Stamps) -> None:
    """Raises InputError where files of finished data have changed. A new time alone is noted, and no change."""
    touched = sources.touched(listing.items, sources.read_stamps(folder / sources.FILE), stamps)
    changed = list(sources.changed(folder, data, listing.root, touched))
    if changed:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        raise InputError(
            f"--output {folder} was made before {changed[0]}{more} changed; add --overwrite to convert again."
        )
    if touched:
        files.write_json(folder / sources.FILE, stamps)


def _forget_changed(listing: Listing, planned: plan.Plan, folder: Place, stamps: sources.Stamps) -> None:
    """Has shards made again that hold files which changed after an earlier run began."""
    noted = folder / shards.PROGRESS / sources.FILE
    touched = set(sources.touched(listing.items, sources.read_stamps(noted), stamps))
    for job in planned.jobs:
        if not touched.isdisjoint(job.items):
            shards.forget(folder, job)
    files.write_json(noted, stamps)


def _pass(measured: Sequence[Facts]) -> None:
    """Looks for nothing: layouts other than those of LOOKED_AT say themselves what is a scan."""


def _refuse_faults(faults: Sequence[Fault]) -> None:
    if faults:
        path, reason, remedy = faults[0]
        raise InputError(f"--strict: {len(faults)} files cannot be used, the first is {path}: {reason}; {remedy}.")
