"""Files in, data folder out: find, plan, write shards, publish."""

import functools
import time
from collections.abc import Sequence
from pathlib import Path

from ssl3d_tf.data.places import Place
from ssl3d_tf.data.records import manifest
from ssl3d_tf.errors import InputError
from tools.conversion import output, plan, publication, shards, workers
from tools.conversion.settings import Settings
from tools.readers import labels as texts
from tools.readers import layouts, remainder
from tools.readers.contract import Fault, Listing

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
    start = time.monotonic()
    listing = layouts.find(request)
    if not Path(request.input).is_file():  # one file names all that is read: what lies beside it does not matter
        output.check_apart(folder, listing.root)
    planned = plan.make(listing, settings)
    _announce(listing, planned)
    if strict:
        _refuse_faults(planned.faults)
    if output.open_folder(folder, planned.recipe, overwrite=overwrite):
        faults = publication.read_quarantine(folder)
        if strict:
            _refuse_faults(faults)
        return publication.Summary(manifest.read(folder), faults, False, time.monotonic() - start)
    try:
        planned, done = _write_shards(listing, planned, folder, make, strict)
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
    for note in planned.notes:
        print(f"note: {note}")


def _write_shards(
    listing: Listing, planned: plan.Plan, folder: Place, make: shards.Make, strict: bool
) -> tuple[plan.Plan, list[shards.Done]]:
    """Makes the shards that are not there, and the plan anew where it turns out that a split would be empty."""
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
    )
    kept = {job.file: shards.finished(folder, job, recipe) for job in planned.jobs}
    missing = [job for job in planned.jobs if kept[job.file] is None]
    if len(missing) < len(planned.jobs):
        print(f"{len(planned.jobs) - len(missing)} of {len(planned.jobs)} shards are there already and are kept.")
    made = {done.file: done for done in make(work, missing)}
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


def _refuse_faults(faults: Sequence[Fault]) -> None:
    if faults:
        path, reason, remedy = faults[0]
        raise InputError(f"--strict: {len(faults)} files cannot be used, the first is {path}: {reason}; {remedy}.")
