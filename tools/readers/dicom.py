"""DICOM files as slices: where each lies in the patient, and its pixels in the units of the modality.

A file has one slice, or many (enhanced CT, MR and PET), whose places are in its functional groups. Patient names, birth
dates and ids are not kept: `patient` is a hash.
"""

import hashlib
import math
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pydicom
from pydicom.pixels import get_decoder
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from tools.readers import limits
from tools.readers.contract import UnusableFileError

MAGIC = b"DICM"
SUFFIXES = (".dcm", ".dicom", ".ima")
DEFLATED = "1.2.840.10008.1.2.1.99"  # all of the file is one stream, which would be unpacked to read a header
FIRST_GROUPS = 0x0002, 0x0008  # of a file's header and of its data set, which begins there where it has no preamble
FIRST_LENGTH = 1024  # bytes of the first element of a data set at most; real ones name a character set
VALUE_TYPES = frozenset(str(kind).encode() for kind in pydicom.valuerep.VR if len(kind) == 2)
GROUPS = "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"


class Slice(NamedTuple):
    """One slice, without its pixels.

    shape: rows, columns. position: centre of the first pixel, mm in LPS; None where the file has none, as of a plain
    radiograph. row, column: unit vectors along which column and row index grow. spacing_mm: between rows, between
    columns; None likewise. value = stored · slope + intercept. bits: stored. padding: smallest and largest stored value
    that mean "outside of what was scanned".
    """

    path: Path
    frame: int
    shape: tuple[int, int]
    position: tuple[float, ...] | None
    row: tuple[float, ...]
    column: tuple[float, ...]
    spacing_mm: tuple[float, float] | None
    slope: float
    intercept: float
    bits: int
    is_signed: bool
    is_inverted: bool
    padding: tuple[int, int] | None = None


class Header(NamedTuple):
    """What a file is of: `stack` tells volumes apart (a series, or one file of many frames); slices in file order.

    instance: SOPInstanceUID. frame_of_reference: UID of the patient's coordinates, '' where the file has none.
    """

    stack: str
    series: str
    instance: str
    frame_of_reference: str
    patient: str
    modality: str
    is_localizer: bool
    slices: tuple[Slice, ...]


def is_dicom(path: Path) -> bool:
    """Whether `path` holds DICOM by its first bytes, with or without a preamble, or by its name: a link to nowhere."""
    if not path.exists():
        return path.is_symlink() and path.suffix.lower() in SUFFIXES
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(132)
    return head[128:] == MAGIC or path.suffix.lower() in SUFFIXES or _begins_data_set(head)


def header(path: Path) -> Header:
    """Reads all but the pixels of `path`.

    Raises:
        UnusableFileError: as `header_of`, or it is damaged.
    """
    with opened(path, stop_before_pixels=True) as data:
        return header_of(path, data)


def header_of(path: Path, data: Any) -> Header:
    """What the data set `data` of `path` is of.

    Raises:
        UnusableFileError: no image of one grey value per pixel, or packed in a way that cannot be read.
    """
    check(path, data)
    frames = int(data.get("NumberOfFrames") or 1)
    series = str(data.get("SeriesInstanceUID") or path.parent)
    instance = str(data.get("SOPInstanceUID") or path.name)
    given = str(data.get("PatientID") or "")  # blank, what is of one study is of one patient at least
    known = given if given.strip() else str(data.get("StudyInstanceUID") or series)
    patient = f"{data.get('IssuerOfPatientID', '')}\0{known}"
    return Header(
        f"{series} {instance}" if frames > 1 else series,
        series,
        instance,
        str(data.get("FrameOfReferenceUID") or ""),
        hashlib.sha256(patient.encode()).hexdigest()[:16],
        str(data.get("Modality") or ""),
        any(word in ("LOCALIZER", "SCOUT") for word in _texts(data.get("ImageType"))),
        tuple(slice_of(path, data, frame) for frame in range(frames)),
    )


def pixels(slices: tuple[Slice, ...]) -> Iterator[tuple[int, np.ndarray, np.ndarray | None]]:
    """Number in `slices`, values [rows, columns] and where they are padding, a file at a time.

    Values are float64, or int64 where whole; None instead of padding where the file declares none.
    """
    for path in dict.fromkeys(one.path for one in slices):
        with opened(path) as data:
            check(path, data)
            frames = data.pixel_array.reshape(-1, *slices[0].shape)
            for number, one in enumerate(slices):
                if one.path == path:
                    stored = frames[one.frame]
                    low, high = one.padding or (0, 0)
                    padding = (stored >= low) & (stored <= high) if one.padding else None
                    yield number, _values(stored, one), padding


def _begins_data_set(head: bytes) -> bool:
    """Whether a file without a preamble begins with the first element of DICOM, in any of its encodings."""
    for order in "<>":
        group, _, length = struct.unpack(order + "HHI", head[:8].ljust(8, b"\0"))
        is_implicit = order == "<" and 0 < length <= FIRST_LENGTH and length % 2 == 0
        if group in FIRST_GROUPS and (head[4:6] in VALUE_TYPES or is_implicit):
            return True
    return False


def _values(stored: np.ndarray, one: Slice) -> np.ndarray:
    values = stored.astype(np.int64)
    if one.is_inverted:  # MONOCHROME1: the smallest number is white
        values = (-1 if one.is_signed else 2**one.bits - 1) - values
    is_whole = one.slope.is_integer() and one.intercept.is_integer()
    return values * (int(one.slope) if is_whole else one.slope) + (int(one.intercept) if is_whole else one.intercept)


@contextmanager
def opened(path: Path, *, stop_before_pixels: bool = False) -> Iterator[Any]:
    """The data set of `path`, whose oddities are no news to anyone; whatever damage raises as UnusableFileError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with path.open("rb") as file:
                head = file.read(FIRST_LENGTH)
            is_plain = head[128:132] == MAGIC
            if _syntax(path) == DEFLATED if is_plain else DEFLATED.encode() in head:
                raise UnusableFileError("it is deflated as a whole", "store it uncompressed, e.g. with dcmconv")
            data = pydicom.dcmread(path, stop_before_pixels=stop_before_pixels, force=not is_plain)
            if "TransferSyntaxUID" not in data.file_meta:  # as of files without a preamble
                data.file_meta.TransferSyntaxUID = _guessed_syntax(data)
            yield data
    except UnusableFileError:
        raise
    except Exception as error:  # what a damaged file makes pydicom raise has no list
        reason = " ".join(str(error).replace(str(path.parent) + "/", "").split()) or type(error).__name__
        raise UnusableFileError(f"{path.name} cannot be read: {reason}", "it is damaged: copy it again") from error


def _guessed_syntax(data: Any) -> UID:
    is_implicit, is_little = data.original_encoding
    return ImplicitVRLittleEndian if is_implicit else ExplicitVRLittleEndian if is_little else ExplicitVRBigEndian


def _syntax(path: Path) -> str:
    return str(pydicom.filereader.read_file_meta_info(path).get("TransferSyntaxUID", ""))


def check(path: Path, data: Any) -> None:
    """Raises UnusableFileError where the pixels cannot be read, before memory is taken for them."""
    is_seg = data.get("Modality") == "SEG"  # whose values are no intensities, and whose colours are those of labels
    rows, columns, bits = (int(data.get(name) or 0) for name in ("Rows", "Columns", "BitsAllocated"))
    if not (rows and columns) or bits not in ((1, 8, 16) if is_seg else (8, 16, 32)):
        what = data.get("Modality") or "no modality"
        raise UnusableFileError(f"{path.name} holds no image of 8, 16 or 32 bits ({what})", "leave it out")
    colours, greys = data.get("PhotometricInterpretation"), ("MONOCHROME", *(("PALETTE",) if is_seg else ()))
    if int(data.get("SamplesPerPixel") or 1) != 1 or not str(colours).startswith(greys):
        raise UnusableFileError(f"its pixels are {colours}, not grey", "export it as pictures: .png")
    if "ModalityLUTSequence" in data:
        raise UnusableFileError("its values come from a lookup table", "export it as NIfTI")
    syntax, most = data.file_meta.TransferSyntaxUID, 1
    if syntax.is_compressed:
        most = limits.DEFLATE_MOST
        if not get_decoder(syntax).is_available:
            remedy = "install pylibjpeg with its plugins, or decompress it, e.g. with dcmdjpeg"
            raise UnusableFileError(f"it is compressed as {syntax.name}", remedy)
    frames = int(data.get("NumberOfFrames") or 1)
    limits.check_promise(-(-rows * columns * frames * bits // 8), path.stat().st_size, most=most)


def slice_of(path: Path, data: Any, frame: int) -> Slice:
    """Where one frame of the data set of `path` lies; the first frame is 0."""
    orientation = _numbers(_find(data, frame, "PlaneOrientationSequence", "ImageOrientationPatient"), 6)
    spacing = _find(data, frame, "PixelMeasuresSequence", "PixelSpacing") or data.get("ImagerPixelSpacing")
    sizes = _numbers(spacing, 2)
    slope = _find(data, frame, "PixelValueTransformationSequence", "RescaleSlope")
    signed = bool(data.get("PixelRepresentation", 0))
    lies = orientation and (GROUPS[1] in data or int(data.get("NumberOfFrames") or 1) == 1)  # else one place for all
    return Slice(
        path,
        frame,
        (int(data.Rows), int(data.Columns)),
        _numbers(_find(data, frame, "PlanePositionSequence", "ImagePositionPatient"), 3) if lies else None,
        orientation[:3] if orientation else (1.0, 0.0, 0.0),
        orientation[3:] if orientation else (0.0, 1.0, 0.0),
        (sizes[0], sizes[1]) if sizes and min(sizes) > 0 else None,
        1.0 if slope is None else float(slope),
        float(_find(data, frame, "PixelValueTransformationSequence", "RescaleIntercept") or 0),
        int(data.get("BitsStored") or data.BitsAllocated),
        signed,
        data.PhotometricInterpretation == "MONOCHROME1",
        _padding(data, signed),
    )


def _padding(data: Any, is_signed: bool) -> tuple[int, int] | None:
    """Some writers store negative padding as an unsigned number, or vice versa. Lossy compression smears it."""
    ends = [data.get(name) for name in ("PixelPaddingValue", "PixelPaddingRangeLimit")]
    span = 1 << int(data.BitsAllocated)
    lowest = -span // 2 if is_signed else 0
    values = [(int(end) - lowest) % span + lowest for end in ends if end is not None]
    is_exact = len(values) == 2 or data.get("LossyImageCompression") != "01"
    return (min(values), max(values)) if ends[0] is not None and is_exact else None


def _texts(value: Any) -> list[str]:
    return [str(part).upper() for part in ([value] if isinstance(value, str) else value or ())]


def _find(data: Any, frame: int, sequence: str, name: str) -> Any:
    """`name` of one frame: from its own functional group, the one that all frames share, or the file."""
    for group, place in ((GROUPS[1], frame), (GROUPS[0], 0)):
        groups = data.get(group) or ()
        if place < len(groups) and groups[place].get(sequence):
            return groups[place][sequence][0].get(name)
    return data.get(name)


def _numbers(value: Any, count: int) -> tuple[float, ...] | None:
    numbers = tuple(float(number) for number in value) if value else ()
    return numbers if len(numbers) == count and all(map(math.isfinite, numbers)) else None
