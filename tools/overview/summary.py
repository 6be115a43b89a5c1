"""summary.md: what a data set holds and what looks wrong in it, on a page."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from ssl3d_tf.data.records import planned, reading
from ssl3d_tf.data.records.manifest import SPLITS, Entry, Manifest
from tools.checks.findings import REMEDIES, Case, Finding
from tools.checks.notes import Note, of_volumes
from tools.readers import labels
from tools.readers.contract import Fault

MOST = 100  # lines of a table; more of one kind are counted


def text(
    data: Manifest,
    cases: Sequence[Case],
    findings: Sequence[Finding],
    *,
    faults: Sequence[Fault],
    dropped: Sequence[Fault],
    notes: tuple[Sequence[str], Sequence[Note]] = ((), ()),
) -> str:
    """The page. notes: lines, and those of headers; those of volumes are in `cases`.

    faults: what is in quarantine.jsonl; dropped: what --exclude_overlap left out.
    """
    head = f"{data.rank}D, {', '.join(data.channels)}; {', '.join(data.dtypes)}; intensity {data.recipe['intensity']}"
    parts = [
        f"# {data.name}\n\n{head}.",
        "\n".join(f"- {note}" for note in notes[0]),
        _section("Splits", ("", *SPLITS), _splits(data)),
        _section("As in the files", ("", "smallest", "median", "largest"), _ranges(cases)),
        _proposal(data),
        _section("Orientations", ("in the file", "examples"), _orientations(cases)),
        _section("How files were read", ("what", "examples", "such as", "voxels"), _noted(notes[1], cases)),
        _section("Classes", ("value", "name", "share of voxels", *(f"in {name}" for name in SPLITS)), _classes(data)),
        _section("Labels", ("value", "name", *(f"in {name}" for name in SPLITS)), _labels(data)),
        _section("Warnings", ("warning", "example", "what", "remedy"), _warnings(findings)),
        _section("Left out, as another data set has them", ("file", "reason"), _listed(dropped)),
        _section("Quarantined, see quarantine.jsonl", ("files", "reason"), _reasons(faults)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _section(title: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A headed table; for warnings, that there are none is said, other empty tables are left out."""
    lines = [" | ".join(str(cell).replace("|", "\\|") for cell in row) for row in rows]
    if not lines:
        return "## Warnings\n\nNone." if title == "Warnings" else ""
    table = "\n".join(f"| {line} |" for line in (" | ".join(header), " | ".join(["---"] * len(header)), *lines))
    return f"## {title}\n\n{table}"


def _splits(data: Manifest) -> Iterator[Sequence[object]]:
    splits = [data.splits[name] for name in SPLITS]
    yield ("examples", *(len(split.entries) for split in splits))
    if any(entry.brick for split in splits for entry in split.entries):
        yield ("volumes", *(len(reading.cases(split.entries)) for split in splits))
    yield ("patients", *(len({entry.patient for entry in split.entries}) for split in splits))
    yield ("with a mask", *(sum(entry.counts is not None for entry in split.entries) for split in splits))
    yield ("with a label", *(sum(entry.label is not None for entry in split.entries) for split in splits))
    yield ("MB", *(f"{sum(shard.bytes for shard in split.shards) / 1e6:.1f}" for split in splits))


def _ranges(cases: Sequence[Case]) -> Iterator[Sequence[object]]:
    yield ("shape", *_spread([case.facts.shape for case in cases]))
    spacings = [case.facts.spacing_mm for case in cases if case.facts.spacing_mm is not None]
    if spacings:
        yield ("spacing (mm)", *_spread(spacings))
    yield ("lowest value", *_spread([(case.facts.low,) for case in cases]))
    yield ("highest value", *_spread([(case.facts.high,) for case in cases]))


def _proposal(data: Manifest) -> str:
    """The knobs that suit the volumes, where those of gin/base.gin suit others, as commands to paste."""
    found = planned.of_manifest(data)
    if found is None or (found.is_default and not found.resample):
        return ""
    voxels = "" if found.spacing_mm is None else f", of {' × '.join(f'{mm:g}' for mm in found.spacing_mm)} mm"
    about = f"The median of the training volumes has {' × '.join(map(str, found.shape))} voxels{voxels}"
    lines = [f"{about}{', once they are of one size' if found.resample else ''}."]
    if found.resample:
        spacing = ",".join(f"{mm:g}" for mm in found.spacing_mm or ())
        lines += ["Voxels differ from scan to scan; to resample all to one size, convert again:"]
        lines += [f"```shell\npython -m tools.to_tfrecord --input=RAW --output=DATA --spacing_mm={spacing}\n```"]
    if not found.is_default:
        levels = len(found.pool)
        block = [] if levels == planned.LEVELS else [f"BLOCK={2**levels}"]  # else a small view is one block
        params = " ".join(f'--gin_param="{line}"' for line in (*found.params(), *block))
        command = "python -m ssl3d_tf.train --gin_file=gin/masked_3d.gin --data=DATA --workdir=RUN"
        what = f"A view that they fill, of {planned.CUBE}³ voxels at most, pooled until they are about cubes"
        where = "with this file and those of finetuning"
        where += f"{', which have no BLOCK' * bool(block)}; rotation takes cubes, and tasks of patches fewer LEVELS"
        lines += [f"{what}; {where}:", f"```shell\n{command} \\\n  {params}\n```"]
    return "## Views that fit\n\n" + "\n\n".join(lines)


def _spread(rows: Sequence[Sequence[float]]) -> list[str]:
    values = np.percentile(np.array(rows, float), (0, 50, 100), axis=0, method="lower")
    return [" × ".join(f"{number:.4g}" for number in row) for row in values]


def _noted(notes: Sequence[Note], cases: Sequence[Case]) -> Iterator[Sequence[object]]:
    for note in (*notes, *of_volumes([case.facts for case in cases])):
        yield (note.what, note.examples, note.such_as, note.voxels or "all")


def _orientations(cases: Sequence[Case]) -> Iterator[Sequence[object]]:
    found = Counter(case.facts.orientation for case in cases if case.facts.orientation is not None)
    yield from sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))


def _classes(data: Manifest) -> Iterator[Sequence[object]]:
    counts = [[entry.counts for entry in data.splits[name].entries if entry.counts is not None] for name in SPLITS]
    total = sum((Counter(one) for split in counts for one in split), Counter())
    for value in sorted(total, key=int):
        having = [sum(value in one for one in split) for split in counts]
        yield (value, data.classes.get(value, ""), f"{total[value] / total.total():.3%}", *having)
    if data.ignore_label is not None:
        yield (data.ignore_label, "ignored: in no loss and no score", *("" for _ in (0, *counts)))


def _labels(data: Manifest) -> Iterator[Sequence[object]]:
    """Volumes by class and split; of several numbers per label, those where each is 1. Nothing of measurements."""
    found = [{_whole(entry): entry.label for entry in data.splits[name].entries if entry.label} for name in SPLITS]
    for value, name in data.label_classes.items():
        yield (value, name, *(sum(labels.key(label[0]) == value for label in one.values()) for one in found))
    if not data.label_classes and data.label_size > 1:
        for number in range(data.label_size):
            yield (number, "is 1", *(sum(label[number] == 1 for label in one.values()) for one in found))


def _whole(entry: Entry) -> str:
    return entry.brick.of if entry.brick else entry.id


def _warnings(findings: Sequence[Finding]) -> Iterator[Sequence[object]]:
    for word, remedy in REMEDIES.items():
        found = [finding for finding in findings if finding.word == word]
        yield from ((word, finding.id, finding.what, remedy) for finding in found[:MOST])
        if len(found) > MOST:
            yield (word, f"and {len(found) - MOST} more", "", remedy)


def _listed(dropped: Sequence[Fault]) -> Iterator[Sequence[object]]:
    yield from ((fault.path, fault.reason) for fault in dropped[:MOST])
    if len(dropped) > MOST:
        yield (f"and {len(dropped) - MOST} more", "")


def _reasons(faults: Sequence[Fault]) -> Iterator[Sequence[object]]:
    yield from ((count, reason) for reason, count in Counter(fault.reason for fault in faults).most_common(MOST))
