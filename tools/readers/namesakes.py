"""Which images are named as a label map is: in the folders where they should lie, or of its case elsewhere."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from tools.readers import files, label_folders, label_names, strays
from tools.readers.contract import Fault
from tools.readers.label_names import Name

CHANNEL = re.compile(r"000\d")  # of nnU-Net: its images have it behind the name of the case, its label maps do not
MOST = 16  # images under one case: more are of several

Words = tuple[str, ...]


class File(NamedTuple):
    """path; folder and stem where its image is looked for, and what the stem says. has_suffix: one the user named."""

    path: str
    folder: PurePosixPath
    stem: str
    name: Name
    has_suffix: bool = False

    @property
    def home(self) -> PurePosixPath:
        """The folder it lies in."""
        return PurePosixPath(self.path).parent


Index = Mapping[tuple[PurePosixPath, Words], Sequence[File]]
Cases = Mapping[tuple[Words, frozenset[str]], Sequence[File]]


def index(images: Sequence[File]) -> Index:
    """Folder and words -> images of these words, or of these and then words that are no numbers; of any for none."""
    found: dict[tuple[PurePosixPath, Words], list[File]] = {}
    for image in images:
        whose = image.name.whose
        for count in range(len(whose) + 1):
            if count == 0 or _is_of_nobody(whose[count:]):
                found.setdefault((image.folder, whose[:count]), []).append(image)
    return found


def by_case(images: Sequence[File]) -> Cases:
    """Words of the name, and those of its folder or of one around it -> images."""
    found: dict[tuple[Words, frozenset[str]], list[File]] = {}
    for image in images:
        for case in dict.fromkeys(_cases(image.home)):
            found.setdefault((image.name.whose, case), []).append(image)
    return found


def alike(label: File, folders: Sequence[PurePosixPath], images: Index) -> list[File]:
    """The images in `folders` that are named as `label` is: best to the letter, else in every word, else in its own."""
    named = (image for folder in folders for image in images.get((folder, label.name.whose), ()))
    found = [image for image in named if not _contradict(label, image)]
    same = [image for image in found if image.stem == label.stem]
    kind = [image for image in found if _are_of_one_kind(label, image)]
    return same or [image for image in kind if image.name.whose == label.name.whose] or kind


def of_its_case(label: File, images: Cases, count: int | None = None) -> list[File]:
    """The images that are named word by word as `label` is, and lie in folders of its case, whatever else they say.

    count: so many of its words, where not all.
    """
    whose = label.name.whose[:count]
    for case in dict.fromkeys(_cases(label.folder)):
        found = images.get((whose, case), ()) if whose or case else ()
        if len(found) <= MOST and (kept := [image for image in found if _is_of_one_case(label, image)]):
            return kept
    return []


def stray(label: File, folders: Sequence[PurePosixPath], images: Index, cases: Cases) -> Fault:
    """Why `label` fits no image: the one of its name lies elsewhere, or its name is that of one and more."""
    whose = label.name.whose
    for count in range(len(whose), -1, -1):
        near = [image for folder in folders for image in images.get((folder, whose[:count]), ())]
        if count < len(whose):
            near += of_its_case(label, cases, count)
        for image in (image for image in near if image.name.whose == whose[:count]):
            if _contradict(label, image):
                return strays.of_elsewhere(label.path, image.path, (str(label.folder), str(image.home)))
            if count < len(whose) and _are_of_one_kind(label, image):
                ending = label_names.ending(files.stem_of(PurePosixPath(label.path).name), image.stem)
                return strays.of_a_part(label.path, image.path, whose[count:], ending)
    return strays.of_none(label.path)


def _is_of_nobody(words: Words) -> bool:
    """Whether `words` behind a name leave open whose it is: "run-2" or "12" would be another image's."""
    named = words[:-1] if words and CHANNEL.fullmatch(words[-1]) else words
    return all(word.isalpha() for word in named)


def _cases(folder: PurePosixPath) -> Iterator[frozenset[str]]:
    """The words of a folder, and of those around it: the deepest first."""
    yield from map(label_folders.case_words, (folder, *folder.parents))


def _is_of_one_case(label: File, image: File) -> bool:
    ours, theirs = label_folders.case_words(label.folder), label_folders.case_words(image.home)
    is_inside = ours <= theirs or theirs <= ours
    return is_inside and _are_of_one_kind(label, image) and not _contradict(label, image)


def _are_of_one_kind(label: File, image: File) -> bool:
    return label.name.kinds <= image.name.kinds or image.name.kinds <= label.name.kinds


def _contradict(label: File, image: File) -> bool:
    return label.folder != image.home and label_folders.contradict(label.folder, image.home)
