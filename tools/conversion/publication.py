"""What a conversion leaves beside its shards: quarantine, summary, contact sheet and, last of all, the manifest."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ssl3d_tf.data import files
from ssl3d_tf.data.places import Place
from ssl3d_tf.data.records import manifest
from ssl3d_tf.errors import InputError
from tools.checks import balance, findings
from tools.conversion import output, plan, shards
from tools.overview import contact_sheet
from tools.overview import summary as page
from tools.prepare import slices
from tools.readers import remainder
from tools.readers.contract import Fault, Item, Listing


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


def publish(listing: Listing, planned: plan.Plan, folder: Place, done: Sequence[shards.Done]) -> Summary:
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
    found = [*balance.find(_whole(listing, planned, data, cases)), *findings.find(cases)]
    left_out = [f"left out: {remainder.in_words(listing.left_out)}."] if listing.left_out else []
    with files.atomic(folder / output.QUARANTINE) as file:
        file.writelines((json.dumps(fault._asdict(), ensure_ascii=False) + "\n").encode() for fault in faults)
    with files.atomic(folder / output.SUMMARY) as file:
        notes = ((*left_out, *planned.notes), planned.readings)
        file.write(page.text(data, cases, found, faults=faults, dropped=dropped, notes=notes).encode())
    contact_sheet.write(folder / output.CONTACT_SHEET, folder, data, found)
    manifest.write(folder, data)
    output.finish(folder)
    return Summary(data, faults, True, 0.0, tuple(found), dropped)


def _whole(
    listing: Listing, planned: plan.Plan, data: manifest.Manifest, cases: Sequence[findings.Case]
) -> balance.Whole:
    items: dict[str, list[Item]] = {}
    for job in planned.jobs:
        items.setdefault(job.split, []).extend(job.items)
    wanted = [name for name, part in zip(manifest.SPLITS, planned.settings.fractions, strict=True) if part > 0]
    asked = planned.settings.options.relabel, planned.settings.ignore_label
    found = balance.Whole(items, wanted, cases, data.classes, data.label_classes, listing.doubts, *asked)
    return found._replace(declared=planned.declared)


def _manifest(listing: Listing, planned: plan.Plan, done: Sequence[shards.Done]) -> manifest.Manifest:
    split_of = {job.file: job.split for job in planned.jobs}
    splits = {name: _split(one for one in done if split_of[one.file] == name) for name in manifest.SPLITS}
    entries = [entry for split in splits.values() for entry in split.entries]
    names = listing.channels if len(listing.channels) == planned.kind.channels else ()
    return manifest.Manifest(
        name=planned.name,
        rank=2 if planned.settings.options.slices else planned.kind.rank,
        channels=names or manifest.unnamed(planned.kind.channels),
        modality=listing.modality,
        classes=_declared(listing, planned.settings.ignore_label) or _classes_seen(entries) or listing.label_classes,
        dtypes=tuple(sorted({name for one in done for name in one.dtypes})),
        mask_dtypes=tuple(sorted({name for one in done for name in one.mask_dtypes})),
        codec=planned.settings.codec,
        label_size=max((len(entry.label) for entry in entries if entry.label is not None), default=0),
        recipe=planned.recipe,
        splits=splits,
        ignore_label=planned.settings.ignore_label,
        label_classes=listing.label_classes,
        orientation=_orientation(planned, done),
    )


def _orientation(planned: plan.Plan, done: Sequence[shards.Done]) -> str:
    """RAS, to which volumes are turned whose files say how they lie; of slices of a plane the two axes left."""
    is_known = all(facts.orientation for one in done for facts in one.facts)
    return slices.orientation(planned.settings.options.slices) if is_known and planned.kind.rank == 3 else ""


def _split(done: Iterable[shards.Done]) -> manifest.Split:
    filled = [one for one in done if one.shard is not None]
    entries = tuple(entry._replace(shard=number) for number, one in enumerate(filled) for entry in one.entries)
    return manifest.Split(tuple(one.shard for one in filled if one.shard is not None), entries)


def _declared(listing: Listing, ignore: int | None) -> Mapping[str, str]:
    return {value: name for value, name in listing.classes.items() if value != str(ignore)}


def _classes_seen(entries: Sequence[manifest.Entry]) -> Mapping[str, str]:
    """Names for the mask values that occur, where the data set names none."""
    values = sorted({int(value) for entry in entries for value in entry.counts or ()})
    return {str(value): f"class {value}" if value else "background" for value in values}


def read_quarantine(folder: Place) -> tuple[Fault, ...]:
    """What an earlier run could not use."""
    lines = (folder / output.QUARANTINE).read_text(encoding="utf-8").splitlines()
    return tuple(Fault(**json.loads(line)) for line in lines)


def report(summary: Summary, folder: Place) -> str:
    """What a user wants to know at the end, in a few lines."""
    data = summary.data
    counts = {name: len(data.splits[name].entries) for name in manifest.SPLITS}
    size = sum(shard.bytes for split in data.splits.values() for shard in split.shards) / 1e6
    reasons = Counter(fault.reason for fault in summary.faults)
    without = [f"quarantined: {len(summary.faults)}, see {output.QUARANTINE}:"] if reasons else []
    without += [f"  {count} × {reason}" for reason, count in reasons.most_common(10)]
    if not summary.is_new:
        done = f"{folder} is already complete: {sum(counts.values())} examples {counts}, nothing to do."
        return "\n".join([done, *without])
    speed = f"{sum(counts.values()) / summary.seconds:.1f} volumes/s, {size / summary.seconds:.1f} MB/s"
    lines = [f"{sum(counts.values())} examples {counts}, {size:.1f} MB in {summary.seconds:.1f} s ({speed}): {folder}"]
    lines += without
    lines += [f"left out by --exclude_overlap: {len(summary.dropped)}."] if summary.dropped else []
    whole = [finding for finding in summary.found if finding.id == balance.WHOLE]
    lines += [f"warning: {finding.what}; {findings.REMEDIES[finding.word]}." for finding in whole]
    words = Counter(finding.word for finding in summary.found if finding.id != balance.WHOLE)
    lines += [f"warnings: {words.total()}, see {output.SUMMARY}:"] if words else []
    return "\n".join(lines + [f"  {count} × {word}" for word, count in words.most_common()])
