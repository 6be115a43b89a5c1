"""What a header may claim is checked against what the file can hold, before memory is taken for it."""

import gzip
import struct
import zipfile
from pathlib import Path

from tools.readers.contract import UnusableFileError

MAX_BYTES = 4 * 10**9  # of one volume's voxels, unless --max_gb says otherwise
DEFLATE_MOST = 1032  # bytes that one byte of zip or gzip can become (zlib, technical details)
HEAD = 544  # bytes of a NIfTI-2 header and of what says whether extensions follow
EXTENSIONS_MOST = 1 << 24  # bytes between a NIfTI header and its voxels; real ones hold a few kB of text
NIFTI_SIZES = {struct.pack(order + "i", size): (order, size) for order in "<>" for size in (348, 540)}


def check_size(size: int, max_bytes: int) -> None:
    """Raises UnusableFileError where a volume of `size` bytes exceeds the limit."""
    if size > max_bytes:
        raise UnusableFileError(
            f"its header promises {size / 1e9:.3g} GB of voxels, more than --max_gb={max_bytes / 1e9:g}",
            "it is damaged, or crop it, or raise --max_gb",
        )


def check_promise(promised: int, stored: int, *, most: int = 1) -> None:
    """Raises UnusableFileError where `stored` bytes, each of which becomes `most` at most, cannot hold `promised`."""
    if promised > stored * most:
        raise UnusableFileError(
            f"its header promises {promised} bytes of voxels, the file has {stored}", "copy it again"
        )


def room(member: zipfile.ZipInfo) -> int:
    """Bytes that can be read from a member of an archive.

    Raises:
        UnusableFileError: it claims more than it can hold, or is compressed in a way without such a limit.
    """
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UnusableFileError(f"{member.filename} is compressed otherwise than numpy does", "use np.savez_compressed")
    most = DEFLATE_MOST if member.compress_type == zipfile.ZIP_DEFLATED else 1
    check_promise(member.file_size, member.compress_size, most=most)
    return member.file_size


def is_gzip(path: Path) -> bool:
    """Whether the file is compressed, whatever its name says."""
    with path.open("rb", buffering=0) as file:
        return file.read(2) == b"\x1f\x8b"


def nifti_head(path: Path) -> bytes:
    """The first bytes of a NIfTI or Analyze header, inflated: the whole header, if it is no other file.

    Raises:
        UnusableFileError: the extensions of a compressed one are longer than the space before its voxels. nibabel
            reads each at the length it claims, and to the end of the stream for a length below 8.
    """
    if not is_gzip(path):
        with path.open("rb", buffering=0) as file:
            return file.read(HEAD)
    with gzip.open(path) as file:  # which reads no further than it must
        head = file.read(HEAD)
        order, size = NIFTI_SIZES.get(head[:4], ("", 0))
        if not size or not any(head[size : size + 1]):
            return head  # no NIfTI header, which is for nibabel to say, or no extensions
        (end,) = struct.unpack_from(order + ("f" if size == 348 else "q"), head, 108 if size == 348 else 168)
        at, length = size + 4, 16
        while at + 16 <= end and length >= 16 and end <= EXTENSIONS_MOST:
            file.seek(at)
            (length,) = struct.unpack(order + "i", file.read(4))
            at += length
        if not at <= end <= EXTENSIONS_MOST or length < 16:
            raise UnusableFileError("its header extensions do not fit before its voxels", "copy it again")
        return head
