"""Whom a path speaks of: a person by a word or by the number of a collection, or who is named beside a visit.

Beside a visit, an eye or a date stands who it is: before it (P012_v1, P012/2011-04-18/T1), or else in what is left
without it (baseline_012, site_a/visit1/012). What names a modality, a place or a step of processing is nobody.
"""

import functools
import re
from collections.abc import Collection, Sequence
from pathlib import PurePosixPath

from tools.readers import label_names

_WORD = r"(?:sub|subj|subject|pat|patient|participant|person|volunteer)"
# Numbers of people in public collections: the same person in whatever folder. TCGA, CPTAC, ADNI, AIBL, PPMI, OASIS,
# UPENN-GBM, LIDC-IDRI, and BraTS since 2023, whose last number is the scan.
_NUMBERS = (
    r"TCGA-[A-Z0-9]{2}-[A-Z0-9]{4}|C3[LN]-\d{5}|\d{3}_S_\d{4,5}|(?:AIBL|PPMI)_\d{1,6}|OAS[12]_\d{4}|OAS[34]\d{4}"
    r"|UPENN-GBM-\d{5}|LIDC-IDRI-\d{4}|BraTS-[A-Z]+-\d{5}(?=-\d{3})"
)
NUMBER = re.compile(rf"(?<![A-Za-z0-9])(?:{_NUMBERS})(?![A-Za-z0-9])", re.IGNORECASE)
PERSON = re.compile(rf"(?<![A-Za-z0-9])(?:sub-[A-Za-z]*\d[A-Za-z0-9]*|{_WORD}[ _-]?\d+)", re.IGNORECASE)

_DAY = r"(?:19|20)\d\d(?P<sep>[-_.]?)(?:0[1-9]|1[0-2])(?P=sep)(?:0[1-9]|[12]\d|3[01])"
_HOUR, _SIXTY = r"(?:[01]\d|2[0-3])", r"[0-5]\d"
_TIME = (  # as scanners and ADNI write it behind a date: T101112, 101112, _14_20_32.0
    rf"(?:[ _T-]{_HOUR}(?P<colon>[-_.:]){_SIXTY}(?P=colon){_SIXTY}|T?{_HOUR}{_SIXTY}{_SIXTY})(?:\.\d+)?"
)
_DATE = rf"{_DAY}(?:{_TIME})?"
_NAMED = r"(?:v|vis|visit|ses|sess|session|tp|timepoint|time|fu|exam|frame|day|week|month|year)"
_VISIT = rf"(?:{_NAMED}[ _-]?\d{{1,4}}|follow-?up(?:[ _-]?\d{{1,2}})?|baseline)"
_CARE = r"(?:pre|post)(?:[ _-]?(?:op|operative|surgery|treatment|therapy|tx|rt|contrast))?|bl"
_EYE = r"(?:l|r|left|right|od|os|lt|rt)"
LATER = re.compile(rf"(?:{_DATE}|{_VISIT}|{_CARE}|{_EYE})", re.IGNORECASE)
DATE = re.compile(rf"(?<!\d){_DATE}(?!\d)", re.IGNORECASE)
_END = r"(?![A-Za-z0-9])"
_STARTS = r"(?<![A-Za-z0-9])"
# At its start a name has a side of somebody only where a number follows: left_012, but left_atrium_012.
_SIDE = rf"(?:(?<=[ _.-]){_EYE}|^{_EYE}(?=$|[ _.-]+[A-Za-z]{{0,2}}\d))"
_LATER_IN = re.compile(
    rf"(?:{_STARTS}(?:{_DATE}|{_VISIT}|{_CARE})|(?<=\d){_VISIT}|{_SIDE}){_END}",
    re.IGNORECASE,
)
# Visits only behind somebody, as P012_m06, OAS1_0012_MR2, P012_scan2, P012_slice017.
_WEAK = r"(?:(?:mri?|ct|pet|scan|retest|rep|sl|slice)[ _-]?\d{1,4}|(?:m|mo|y|yr|w|wk|d)\d{1,4}|t[03-9]|retest|rescan)"
_WEAK_IN = re.compile(rf"{_STARTS}{_WEAK}{_END}", re.IGNORECASE)

_PLACE = re.compile(
    r"(?<![A-Za-z])(?:site|cent(?:er|re)|hospital|clinic|ward|scanner|study|trial|project|cohort|data(?:set)?|batch|group"
    r"|arm|fold|part|phase|round|release|version|task)s?(?:[ _.-]?(?:\d+|[A-Z]))?(?![A-Za-z0-9])",
    re.IGNORECASE,
)
_SEQUENCES = {"mp", "rage", "mprage", "mpr", "spgr", "fspgr", "ir", "fse", "tse", "gre", "epi", "dti", "bold", "func"}
_SEQUENCES |= {"anat", "fgatir", "asl", "tof", "sag", "ax", "cor", "axial", "sagittal", "coronal", "brain", "head"}
_NOBODY = re.compile(r"(?:19|20)\d\d|b\d+|[123]\.?5?t|[234]d")  # years, diffusion weightings, field strengths, ranks
_STEPS = {"raw", "rawdata", "source", "sourcedata", "derivatives", "orig", "original", "proc", "processed", "preproc"}
_STEPS |= {"preprocessed", "preprocessing", "registered", "coregistered", "normalised", "normalized", "resampled"}
_STEPS |= {"skullstripped", "stripped", "bet", "defaced", "denoised", "cropped", "nifti", "nii"}
_DERIVED = "derivatives"
_DIGIT = re.compile(r"\d")
_SEPARATORS = " _.-"


def is_named(folder: str) -> bool:
    """Whether a folder is named after a person, a visit or an eye."""
    return is_person(folder) or bool(LATER.fullmatch(folder))


def is_person(name: str) -> bool:
    """Whether a word or a number of a collection says that this is a person."""
    return bool(NUMBER.search(name) or PERSON.search(name))


def is_step(folder: str) -> bool:
    """Whether a folder is named after a step of processing, as 'rawdata' and 'skull-stripped'."""
    return re.sub(rf"[{_SEPARATORS}]", "", folder.lower()) in _STEPS


def is_place(folder: str) -> bool:
    """Whether a folder is called as what many people are of: site_3, batch2."""
    return bool(_PLACE.match(folder))


def is_somebody(parts: Sequence[str]) -> bool:
    """Whether a word of `parts` that may be a person has a number."""
    return any(_DIGIT.search(word) for part in parts if _DIGIT.search(part) for word in _who(part))


def trimmed(parts: Sequence[str]) -> list[str]:
    """Without empty parts, and without the last ones that say what was imaged only: P012/T1."""
    kept = [stripped for part in parts if (stripped := part.strip(_SEPARATORS))]
    while len(kept) > 1 and not _who(kept[-1]):
        kept.pop()
    return kept


def of_path(stem: str, classes: Collection[str] = (), *, before: bool = True) -> str | None:
    """The patient that a path without suffix names, with the folders above; None where it names none.

    Args:
        classes: folders that are labels. before: take who stands before a visit, not all that is left without it.
    """
    *above, last = PurePosixPath(stem).parts
    parts = [*(folder for folder in above if folder not in classes), last]
    if match := NUMBER.search("/".join(parts)):
        return match[0]
    for number, part in enumerate(parts):
        if match := PERSON.search(part):
            person = _without_visits(part[: match.start()]).lstrip(_SEPARATORS) + match[0]
            return _joined([*_telling(parts[:number], is_bids=person.startswith("sub-")), person])
    return _beside_visit([*_telling(parts[:-1]), last], before=before)


def _telling(folders: Sequence[str], *, is_bids: bool = False) -> list[str]:
    """Folders without those of visits and steps of processing, in BIDS (derivatives/PIPELINE/sub-01) of pipelines."""
    lower = [folder.lower() for folder in folders]
    end = lower.index(_DERIVED) if is_bids and _DERIVED in lower else len(folders)
    return [folder for folder in folders[:end] if not is_step(folder)]


def _beside_visit(parts: Sequence[str], *, before: bool) -> str | None:
    """Who is named beside the first visit in `parts`, folders and a name: before it, or without it."""
    for number, part in enumerate(parts):
        is_folder = number + 1 < len(parts)
        match = _LATER_IN.search(part) or _WEAK_IN.search(part, 0 if is_folder else 1)
        if match is None:
            continue
        start = part[: match.start()]
        if before and is_somebody(earlier := trimmed([*parts[:number], start])):
            return _joined(earlier)
        if not _LATER_IN.search(part):
            continue
        rest = trimmed([*parts[:number], start + part[match.end() :].lstrip(_SEPARATORS), *parts[number + 1 :]])
        if match[0] == part or is_somebody(rest):
            return _beside_visit(rest, before=before) or (_joined(rest) if any(map(_who, rest)) else None)
        if start:
            return _joined([*parts[:number], start])
    return None


def _without_visits(text: str) -> str:
    return _LATER_IN.sub("", text)


def _joined(parts: Sequence[str]) -> str:
    stripped = (part.strip(_SEPARATORS) for part in parts if not LATER.fullmatch(part))
    return "/".join(part for part in stripped if part)


@functools.lru_cache(maxsize=1 << 14)
def _who(part: str) -> list[str]:
    words = label_names.name(_PLACE.sub(" ", part)).whose
    return [word for word in words if word not in _SEQUENCES and not _NOBODY.fullmatch(word)]
