"""What the name of a file says: whether it is a label map, and whose.

The words are those of public data sets and tools: Decathlon, nnU-Net, KiTS, LiTS, ACDC, BTCV, BIDS,
ISLES, VerSe, FreeSurfer, DLMUSE, and the target volumes of radiotherapy.
"""

import functools
import re
from typing import NamedTuple

LABEL = re.compile(
    r".*(seg|segs|mask|masks|msks?|label|labels|labelmaps?|segmentations?|parcellations?|groundtruths?|contours?)"
    r"|gts?|truth|annots?|annotations?|delineations?|[cgip]tv[a-z]?\d*|aparc|wmparc|dlmuse|muse|dlicv"
)
# How label maps were made: says nothing of whose they are.
MAKERS = {"manual", "auto", "automatic", "final", "corrected", "gold", "expert", "ground", "map"}
IMAGES = {"image", "images", "imaging", "img", "imgs", "volume", "volumes", "vol", "scan", "scans", "orig", "ana"}
# What was imaged, and how it was turned: named by an image, by its label map, or by both. Among them are the words of
# PI-CAI, Prostate158, autoPET, HECKTOR, ISLES, crossMoDA and CHAOS.
CT = {"ct", "cta", "cbct", "ctp", "ncct", "cect", "ctres"}
MR = {"mr", "mri", "t1", "t1w", "t1c", "t1n", "t1ce", "cet1", "hrt1", "t1gd", "t1post", "t1map", "t1dual", "inphase"}
MR |= {"t2", "t2w", "t2f", "cet2", "hrt2", "t2star", "t2map", "t2spir", "outphase", "flair", "pd", "pdw", "stir", "dce"}
MR |= {"adc", "dwi", "hbv", "swi", "ktrans", "ce", "gd", "b0", "b50", "b100", "b400", "b500", "b800", "b1000", "b1500"}
US, PET, PERFUSION = {"us"}, {"pet", "pt", "suv"}, {"cbf", "cbv", "rcbf", "rcbv", "mtt", "ttp", "tmax"}
VIEWS = {"ax", "axial", "tra", "cor", "coronal", "sag", "sagittal", "lps", "ras", "lpi", "rpi"}
MODALITIES = CT | MR | US | PET | PERFUSION | VIEWS
# Keys of BIDS: "run-2" is one word.
ENTITY = re.compile(
    r"(?:sub|ses|sample|task|tracksys|acq|ce|trc|stain|rec|dir|run|mod|echo|flip|inv|mt|part|proc|hemi|space|split|recording"
    r"|chunk|seg|res|den|label|desc|from|to|mode|atlas|cohort)-[a-z0-9+]+"
)
WORD = re.compile(rf"(?<![a-z0-9]){ENTITY.pattern}(?![a-z0-9-])|[^_\-. ()]+")
NUMBERED = re.compile(r"([a-z]+)(\d+)")  # img0001, label0001
FURTHER = re.compile(r"(.*[A-Za-z])[ _.-]?\(?\d+\)?")


class Name(NamedTuple):
    """What a stem says. whose: its words but for those below, in order; kinds: the words of MODALITIES in it."""

    whose: tuple[str, ...]
    kinds: frozenset[str]
    is_label: bool


@functools.lru_cache(maxsize=1 << 14)
def name(stem: str) -> Name:
    """What `stem` says, in any case and with any separators."""
    found = words(stem)
    is_label = any(is_label_word(word) for word in found)
    dropped = IMAGES | MODALITIES | (MAKERS if is_label else set())
    whose = tuple(word for word in found if word not in dropped and not is_label_word(word))
    return Name(whose, frozenset(found) & MODALITIES, is_label)


def whole(stem: str) -> str:
    """'x_mask' of 'x_mask_1', which may be the second mask of one image; '' of other stems."""
    match = FURTHER.fullmatch(stem)
    return match[1] if match and is_label_word(words(match[1])[-1]) else ""


def ending(label: str, image: str = "") -> str:
    """What tells the stem `label` from the stem `image`, to be given as --mask_suffix: '_gt' of 'p1_gt' and 'p1'."""
    rest = label.removeprefix(image)
    if image and label.startswith(image) and not (image[-1:] + rest[:1]).isalpha():  # 'ctv' of 'ct' ends in no 'v'
        return rest
    known = name(image or label).whose
    ends = [match.end() for match in WORD.finditer(label.lower()) if match[0] in known]
    return label[ends[-1] :] if ends else label


def words(stem: str) -> list[str]:
    """The words of `stem` in lower case; a word of ours and its number are two."""
    found: list[str] = []
    for word in WORD.findall(stem.lower()):
        match = NUMBERED.fullmatch(word)
        found += match.groups() if match and (match[1] in IMAGES or is_label_word(match[1])) else [word]
    return found


def is_label_word(word: str) -> bool:
    """Whether `word` is of label maps."""
    return bool(LABEL.fullmatch(word)) or word.startswith(("label-", "seg-"))
