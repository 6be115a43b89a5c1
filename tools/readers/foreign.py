"""What a file really is that its name promises to be a scan: told by its first bytes, when no reader can read it."""

import codecs
import zlib
from pathlib import Path
from typing import NamedTuple

from tools.readers import limits

HEAD = 512  # bytes that are looked at
SHOWN = 40  # characters of a text


class Foreign(NamedTuple):
    """reason, remedy: as of an UnusableFileError."""

    reason: str
    remedy: str


PAGE = Foreign("it is a web page", "download the file itself: the page may say to log in, or that there is none")
POINTER = Foreign("it is a Git LFS pointer, in place of the file", "fetch the file with git lfs pull")
ANNEXED = Foreign("it is a git-annex pointer, in place of the file", "fetch the file with git annex get or datalad get")
ARCHIVE = "unpack it, and give the files in it"
FITTING = "give it the ending of what it is, if that is read, or store it as what its name says"
BEGINNINGS = (  # what stands at a byte of what; longer names first where one begins like another
    (0, b"version https://git-lfs", POINTER),
    (0, b"/annex/objects/", ANNEXED),
    (0, b"PK\3\4", Foreign("it is a ZIP archive", ARCHIVE)),
    (0, b"7z\xbc\xaf\x27\x1c", Foreign("it is a 7z archive", ARCHIVE)),
    (0, b"Rar!", Foreign("it is a RAR archive", ARCHIVE)),
    (0, b"\xfd7zXZ", Foreign("it is compressed by xz", ARCHIVE)),
    (0, b"BZh", Foreign("it is compressed by bzip2", ARCHIVE)),
    (0, b"\x28\xb5\x2f\xfd", Foreign("it is compressed by Zstandard", ARCHIVE)),
    (257, b"ustar", Foreign("it is a tar archive", ARCHIVE)),
    (128, b"DICM", Foreign("it is a DICOM file", FITTING)),
    (0, b"\x93NUMPY", Foreign("it is a NumPy array", FITTING)),
    (0, b"\x89PNG", Foreign("it is a PNG picture", FITTING)),
    (0, b"\xff\xd8\xff", Foreign("it is a JPEG picture", FITTING)),
    (0, b"\x89HDF", Foreign("it is an HDF5 file", FITTING)),
    (0, b"%PDF", Foreign("it is a PDF document", FITTING)),
    (0, b"NRRD", Foreign("it is an NRRD file", FITTING)),
)
OWN = {".npz": b"PK\3\4", ".npy": b"\x93NUMPY", ".png": b"\x89PNG", ".jpg": b"\xff\xd8\xff", ".jpeg": b"\xff\xd8\xff"}


def told(path: Path) -> Foreign | None:
    """What the file at `path` is, compressed or not, if that is plain and not what its name says."""
    size = path.stat().st_size
    if not size:
        return Foreign("it is empty", "copy or download it again")
    head = _head(path)
    own = OWN.get(path.suffix.lower())
    if own is not None and head.startswith(own):
        return None
    for at, beginning, foreign in BEGINNINGS:
        if head[at : at + len(beginning)] == beginning:
            return foreign
    if head and not any(head):
        return Foreign(f"its first {len(head)} bytes are 0, as of a copy that was begun only", "copy it again")
    return _of_text(head)


def _head(path: Path) -> bytes:
    """The first bytes, inflated where they are compressed; none where that fails."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    if not limits.is_gzip(path):
        return head
    try:
        return zlib.decompressobj(wbits=31).decompress(head, HEAD)
    except zlib.error:
        return b""


def _of_text(head: bytes) -> Foreign | None:
    try:
        text = " ".join(codecs.getincrementaldecoder("utf-8-sig")().decode(head).split())  # a character may be cut
    except UnicodeDecodeError:
        return None
    if not text or not text.isprintable():
        return None
    if "<html" in text.lower() or text.lower().startswith("<!doctype html"):
        return PAGE
    return Foreign(
        f"it is a text that begins '{text[:SHOWN]}'", "download or copy the file itself: this may say why not"
    )
