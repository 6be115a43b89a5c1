"""Which DICOM-SEG or RTSTRUCT is the mask of which series, and what number each region has in the data set."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from ssl3d_tf.errors import InputError
from tools.readers.annotations import Annotation
from tools.readers.contract import Fault, Segments, UnusableFileError
from tools.readers.dicom import Header

SHOWN = 12  # names in a line


class Choice(NamedTuple):
    """What the user said. files: a pattern for path or title of those to read; segments: names, the last on top.

    is_read: false where scans alone are wanted, so that no mask is looked at, nor any a fault.
    """

    files: str = "*"
    segments: tuple[str, ...] = ()
    is_read: bool = True


EVERYTHING, NOTHING = Choice(), Choice(is_read=False)


class Masks(NamedTuple):
    """of: stack -> the paths of its masks, one if all is well. faults: those without an image."""

    of: Mapping[str, tuple[str, ...]]
    segments: Segments
    faults: tuple[Fault, ...] = ()
    notes: tuple[str, ...] = ()


class _Index(NamedTuple):
    """UID -> stacks, in order."""

    instances: dict[str, dict[str, None]]
    series: dict[str, dict[str, None]]
    frames: dict[str, dict[str, None]]


def pair(found: Mapping[str, Annotation], images: Mapping[str, Sequence[Header]], choice: Choice) -> Masks:
    """Gives the annotations `found` (by path) to the stacks `images` that they refer to.

    Raises:
        InputError: `choice` names what is not there.
    """
    if not choice.is_read:
        return Masks({}, Segments(()), (), ())
    chosen = {path: one for path, one in found.items() if _is_chosen(path, one, choice.files)}
    if not chosen and (found or choice != EVERYTHING):
        some = "; ".join(f"{path} '{one.title}'" for path, one in list(found.items())[:SHOWN]) or "there is none"
        raise InputError(f"--dicom_masks={choice.files} matches none of {len(found)} SEG and RTSTRUCT files: {some}.")
    index = _index(images)
    of: dict[str, tuple[str, ...]] = defaultdict(tuple)
    faults, names = list[Fault](), set[str]()
    for path, one in chosen.items():
        stacks = _stacks(one, index)
        try:
            _check(one, stacks, images)
        except UnusableFileError as error:
            faults.append(Fault(path, error.reason, error.remedy))
            continue
        names.update(one.names)
        for stack in stacks:
            of[stack] += (path,)
    left = len(found) - len(chosen)
    notes = [f"{len(chosen) - len(faults)} of {len(found)} SEG and RTSTRUCT files are masks."] if found else []
    notes += [f"--dicom_masks={choice.files} leaves out the other {left}."] if left else []
    return Masks(of, _segments(names, choice), tuple(faults), (*notes, *_left_out(names, choice), *_twins(names)))


def only(masks: Sequence[str], found: Mapping[str, Annotation]) -> str | None:
    """The one mask among `masks`, if there is any.

    Raises:
        UnusableFileError: there are several.
    """
    if len(masks) > 1:
        shown = ", ".join(f"{path} '{found[path].title}'" for path in masks)
        raise UnusableFileError(
            f"it has {len(masks)} masks: {shown}", "choose by --dicom_masks=PATTERN of path or title"
        )
    return masks[0] if masks else None


def _is_chosen(path: str, one: Annotation, pattern: str) -> bool:
    return any(fnmatchcase(text.lower(), pattern.lower()) for text in (path, one.title))


def _index(images: Mapping[str, Sequence[Header]]) -> _Index:
    index = _Index({}, {}, {})
    for stack, headers in images.items():
        for header in headers:
            for stacks, uid in zip(index, (header.instance, header.series, header.frame_of_reference), strict=True):
                stacks.setdefault(uid, {})[stack] = None
    return index


def _stacks(one: Annotation, index: _Index) -> list[str]:
    """Those of which it names an instance; else the series; where it names neither, those of its frame of reference."""
    frames = () if one.series or one.instances else one.frames
    for uids, stacks in zip((one.instances, one.series, frames), index, strict=True):
        named = {stack: None for uid in sorted(uids) for stack in stacks.get(uid, ())}
        if named:
            return list(named)
    return []


def _check(one: Annotation, stacks: Sequence[str], images: Mapping[str, Sequence[Header]]) -> None:
    if not stacks:
        ends = ", ".join(sorted(f"…{uid[-8:]}" for uid in one.series or one.instances or one.frames)[:3]) or "no image"
        raise UnusableFileError(f"it refers to {ends}, which is not among the images here", "add the series it is of")
    if len(stacks) > 1 and not (one.series or one.instances):
        reason = f"it names no series, and {len(stacks)} have its frame of reference"
        raise UnusableFileError(reason, "keep the series it was drawn on, or convert that folder alone")
    frames = {header.frame_of_reference for stack in stacks for header in images[stack]} - {""}
    if one.frames and frames and not frames & one.frames:
        remedy = "export it anew from the program it was drawn in"
        raise UnusableFileError("its frame of reference is not that of the images it refers to", remedy)


def _segments(names: set[str], choice: Choice) -> Segments:
    missing = [name for name in choice.segments if name not in names]
    if missing:
        there = ", ".join(sorted(names)[:SHOWN]) or "none"
        raise InputError(f"--segments names '{missing[0]}', which no mask has; there are {there}.")
    return Segments(choice.segments or tuple(sorted(names)), bool(choice.segments))


def _left_out(names: set[str], choice: Choice) -> Iterator[str]:
    others = sorted(names - set(choice.segments))
    if choice.segments and others:
        yield f"--segments leaves out {', '.join(others[:SHOWN])}{' …' * (len(others) > SHOWN)}."


def _twins(names: set[str]) -> Iterator[str]:
    spellings = defaultdict(list)
    for name in sorted(names):
        spellings[" ".join(name.casefold().replace("_", " ").split())].append(name)
    for same in spellings.values():
        if len(same) > 1:
            shown = ", ".join(f"'{name}'" for name in same)
            yield f"WARNING: {shown} are different classes; where they are one organ, --relabel=OLD:NEW makes them one."
