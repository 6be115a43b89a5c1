"""Why a label map is stored with no scan, and what can be done: one line each, of a kind that can be counted."""

import shlex
from pathlib import PurePosixPath

from tools.readers import brats, files
from tools.readers.contract import Fault

STRAY = "it is a label map by its name or folder, but fits no scan"
SIDES = {"left", "right", "l", "r", "lt", "rt", "lh", "rh"}
PEOPLE = ("reader", "rater", "observer", "annotator", "expert", "doctor", "radiologist")
USUAL = "add its scan, name both alike, or list both in a csv with columns path and mask; or add --label_maps=scans"


def of_none(path: str) -> Fault:
    """No scan is named alike."""
    return Fault(path, STRAY, USUAL)


def of_several(path: str, one: str, other: str) -> Fault:
    """Two scans are."""
    remedy = f"name it as {one} or {other} is, or use a csv with columns path and mask"
    if all(brats.NAME.fullmatch(files.stem_of(PurePosixPath(name).name)) for name in (path, one, other)):
        remedy = f"--layout=brats makes the modalities of a case its channels, with one mask; or {remedy}"
    return Fault(path, f"{STRAY} alone, as several are named so", remedy)


def of_elsewhere(path: str, image: str, folders: tuple[str, str]) -> Fault:
    """One is named alike, and lies in another split, site or case. folders: of the label map, of the scan."""
    reason = f"{STRAY} of its folder: '{folders[0]}' and '{folders[1]}' are not of one split, site or case"
    return Fault(path, reason, f"put it beside its scan; if that is {image}, use a csv with columns path and mask")


def of_a_part(path: str, image: str, words: tuple[str, ...], ending: str) -> Fault:
    """Its name is that of a scan and some `words` more, so that it is the mask of a part of it."""
    reason = f"{STRAY} as a whole: {_kind(words)}"
    flag = f"--mask_suffix={shlex.quote(ending)}"
    join = "join such files into one label map, as values 1, 2, …"
    return Fault(path, reason, f"its scan seems to be {image}: {flag} takes this one of each scan; or {join}")


def _kind(words: tuple[str, ...]) -> str:
    said = " ".join(words)
    if SIDES.intersection(words):
        return f"'{said}' is one side"
    if any(word.startswith(PEOPLE) for word in words) or all(len(word) == 1 or word.isdecimal() for word in words):
        return f"'{said}' is one of several annotators or objects"
    return f"'{said}' is one part or kind of several"
