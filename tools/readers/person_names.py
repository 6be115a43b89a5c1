"""Whom a path speaks of: a person by a word or by the number of a collection, or who is named beside a visit.

Beside a visit, an eye or a date stands who it is: before it (P012_v1, P012/2011-04-18/T1), or else in what is left
without it (baseline_012, site_a/visit1/012). What names a modality, a place or a step of processing is nobody.
"""

import functools
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import PurePosixPath

from tools.readers import label_names

_WORD = r"(?:sub|subj|subject|pat|patient|participant|person|volunteer)"
# Numbers of people in public collections: the same person in whatever folder. TCGA, CPTAC, ADNI, AIBL, PPMI, OASIS,
# UPENN-GBM, LIDC-IDRI, ABIDE (Pitt_0050003), and BraTS since 2023, whose last number is the scan.
_NUMBERS = (
    r"TCGA-[A-Z0-9]{2}-[A-Z0-9]{4}|C3[LN]-\d{5}|\d{3}_S_\d{4,5}|(?:AIBL|PPMI)_\d{1,6}|OAS[12]_\d{4}|OAS[34]\d{4}"
    r"|UPENN-GBM-\d{5}|LIDC-IDRI-\d{4}|(?<=[A-Z0-9]_)005[01]\d{3}|BraTS-[A-Z]+-\d{5}(?=-\d{3})"
)
NUMBER = re.compile(rf"(?<![A-Za-z0-9])(?:{_NUMBERS})(?![A-Za-z0-9])", re.IGNORECASE)
HASH = re.compile(r"(?<![A-Za-z0-9])(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{8,}(?![A-Za-z0-9])", re.IGNORECASE)
PERSON = re.compile(rf"(?<![A-Za-z0-9])(?:sub-[A-Za-z]*\d[A-Za-z0-9]*|{_WORD}[ _-]?\d+)", re.IGNORECASE)

_YEAR, _MONTH, _DAY = r"(?:19|20)\d\d", r"(?:0[1-9]|1[0-2])", r"(?:0[1-9]|[12]\d|3[01])"
_WRITTEN = rf"{_YEAR}(?P<sep>[-_.]?){_MONTH}(?P=sep){_DAY}"  # 2020-03-01, 20200301
_WRITTEN += rf"|(?:{_DAY}(?P<dot>[-_.]){_MONTH}|{_MONTH}(?P<dash>[-_.]){_DAY})(?:(?P=dot)|(?P=dash)){_YEAR}"
_HOUR, _SIXTY = r"(?:[01]\d|2[0-3])", r"[0-5]\d"
_TIME = (  # as scanners and ADNI write it behind a date: T101112, 101112, _14_20_32.0, _14h20
    rf"(?:[ _T-]{_HOUR}(?P<colon>[-_.:]){_SIXTY}(?P=colon){_SIXTY}|T?{_HOUR}{_SIXTY}{_SIXTY}(?:\d{{3}})?"
    rf"|T{_HOUR}[-_.:]?{_SIXTY}|[ _T-]?{_HOUR}h(?:{_SIXTY}(?:m(?:{_SIXTY}s?)?)?)?)(?:\.\d+)?"
)
_DATE = rf"(?:{_WRITTEN})(?:{_TIME})?"
_NAMED = r"(?:v|vis|visit|ses|sess|session|tp|timepoint|time|fu|exam|frame|day|week|month|year)"
_VISIT = rf"(?:{_NAMED}[ _-]?\d{{1,4}}|follow-?up(?:[ _-]?\d{{1,2}})?|baseline)"
_CARE = r"(?:pre|post)(?:[ _-]?(?:op|operative|surgery|treatment|therapy|tx|rt|contrast))?|bl"
_EYE = r"(?:l|r|left|right|od|os|lt|rt)"
LATER = re.compile(rf"(?:{_DATE}|{_VISIT}|{_CARE}|{_EYE})", re.IGNORECASE)
DATE = re.compile(rf"(?<!\d){_DATE}(?!\d)", re.IGNORECASE)
# A number behind a date, or in a folder below one, is a time of day or somebody: 20200301_080000, 2020-03-01/0930.
_DIGITS = r"\d\d(?P<gap>[-_.:]?)\d\d(?:(?P=gap)\d\d)?(?![A-Za-z0-9]|(?P=gap)\d\d)"
_CLOCK = re.compile(rf"(?<!\d)(?P<date>{_WRITTEN})[ _/-](?P<clock>{_DIGITS})")
_FULL, _ROUND = re.compile(rf"{_HOUR}{_SIXTY}{_SIXTY}"), re.compile(r"(?:0[6-9]|1\d|2[01])[0-5][05]")
FEWEST_IN_ORDER = 3  # numbers that may be told to run on
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
    r"|arm|fold|part|phase|round|release|version|task|(?:sub)?set|chunk|shard|plate|series)s?"
    r"(?:[ _.-]?(?:\d+|[A-Z]))?(?![A-Za-z0-9])",
    re.IGNORECASE,
)
_SEQUENCES = {"mp", "rage", "mprage", "mpr", "spgr", "fspgr", "ir", "fse", "tse", "gre", "epi", "dti", "bold", "func"}
_SEQUENCES |= {"anat", "fgatir", "asl", "tof", "brain", "head"}
_NOBODY = re.compile(r"(?:19|20)\d\d|b\d+|[123]\.?5?t|[234]d")  # years, diffusion weightings, field strengths, ranks
_COUNTER = re.compile(r"(?:.*/)?(?P<what>[^/]*?)[ _.-]*\(?(?P<number>\d{1,3})\)?")
_COUNTED = {"", "series", "run", "acq", "im", "slice", *label_names.IMAGES, *label_names.MODALITIES}
_STEPS = {"raw", "rawdata", "source", "sourcedata", "derivatives", "orig", "original", "proc", "processed", "preproc"}
_STEPS |= {"preprocessed", "preprocessing", "registered", "coregistered", "normalised", "normalized", "resampled"}
_STEPS |= {"skullstripped", "stripped", "bet", "defaced", "denoised", "cropped", "nifti", "nii"}
_DERIVED = "derivatives"
_DIGIT = re.compile(r"\d")
_COLLECTION = {"images", "imgs", "pictures", "photos", "files", "data", "dataset", "archive"}
_SEPARATORS = " _.-"
# Classes and groups of public sets: the numbers of people begin anew in each.
_GROUPS = {"benign", "malignant", "normal", "abnormal", "healthy", "ill", "sick", "diseased", "positive", "negative"}
_GROUPS |= {"pos", "neg", "control", "controls", "ctrl", "hc", "ad", "mci", "cn", "covid", "pneumonia", "tuberculosis"}
_GROUPS |= {"tumor", "tumour", "notumor", "cancer", "glioma", "meningioma", "pituitary", "male", "female", "yes", "no"}


def is_named(folder: str) -> bool:
    """Whether a folder is named after a person, a visit or an eye."""
    return is_person(folder) or bool(LATER.fullmatch(folder))


def is_person(name: str) -> bool:
    """Whether a word or a number of a collection says that this is a person."""
    return bool(NUMBER.search(name) or PERSON.search(name))


def is_step(folder: str) -> bool:
    """Whether a folder is named after a step of processing, as 'rawdata' and 'skull-stripped'."""
    return re.sub(rf"[{_SEPARATORS}]", "", folder.lower()) in _STEPS


def with_times(stems: Iterable[str]) -> Mapping[str, str]:
    """Each of `stems` with the time of day behind its date as a part of that: 20200301T080000 for 20200301_080000.

    Such numbers are times where all of them can be: of six digits those that do not run on, as numbers of people do, of
    four those on five minutes of a day's work.
    """
    stems = list(stems)
    matches = [match for stem in stems for match in _CLOCK.finditer(stem)]
    clocks = {_digits(match) for match in matches if len(match["clock"]) < len("08-00-00")}
    full = {clock for clock in clocks if len(clock) == len("080000")}
    are_times = all(map(_FULL.fullmatch, full)) and not _run_on(full) and all(map(_ROUND.fullmatch, clocks - full))
    return {stem: _CLOCK.sub(_as_one, stem) if are_times else stem for stem in stems}


def _digits(match: re.Match[str]) -> str:
    return "".join(filter(str.isdecimal, match["clock"]))


def _as_one(match: re.Match[str]) -> str:
    return f"{match['date']}T{_digits(match):0<6}"


def _run_on(numbers: Collection[str]) -> bool:
    """Whether `numbers` are mostly each the last one and one more."""
    values = sorted(map(int, numbers))
    return len(values) >= FEWEST_IN_ORDER and values[-1] - values[0] < 2 * len(values)


def without_counters(names: Mapping[str, str], stems: Mapping[str, str]) -> dict[str, str]:
    """Without numbers beside dates that begin anew each day and so count scans: 2020-03-01_1, _2; 2020-03-02/T1_1.

    Args:
        names: id -> who is named beside the date. stems: id -> its path without suffix.
    """
    days: dict[tuple[str, str], dict[str, int]] = {}
    for one, name in names.items():
        date, match = DATE.search(stems[one]), _COUNTER.fullmatch(name)
        if date and match and match["what"].lower() in _COUNTED:
            days.setdefault((date[0], name.rpartition("/")[0]), {})[one] = int(match["number"])
    numbers = [sorted(set(of.values())) for of in days.values()]
    if all(of in (list(range(len(of))), list(range(1, len(of) + 1))) for of in numbers):
        return {one: name for one, name in names.items() if not any(one in of for of in days.values())}
    return dict(names)


def is_place(folder: str, *, whole: bool = False) -> bool:
    """Whether a folder is called as what many people are of: site_3, batch2. whole: and as nothing else."""
    return bool(_PLACE.fullmatch(folder) if whole else _PLACE.match(folder))


def is_collection(folder: str) -> bool:
    """Whether a folder is called as what holds images of many: images_001, HAM10000_images_part_1."""
    return not _COLLECTION.isdisjoint(re.findall("[a-z]+", folder.lower()))


def is_group(name: str) -> bool:
    """Whether a folder or a name is called as one of several groups of people: benign, control_012."""
    words = [word for word in label_names.words(name) if word.isalpha()]
    return bool(words) and _GROUPS.issuperset(words)


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
