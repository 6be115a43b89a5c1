"""What a NIfTI header says of size and place before nibabel mends it: units, form codes, and the sizes as written.

nibabel takes every unit for millimetres, a size of 0 for 1 and a negative one for positive; here that is said.
"""

from typing import Any, NamedTuple

import numpy as np
from nibabel.nifti1 import header_dtype
from nibabel.nifti2 import header_dtype as header_dtype_2

from tools.readers.contract import UnusableFileError
from tools.readers.limits import NIFTI_SIZES

SMALLEST_MM, LARGEST_MM = 1e-3, 100  # of a voxel in a scan; without form codes, others are no sizes but defaults
UNITS = {1: ("metre", 1000.0), 2: ("mm", 1.0), 3: ("micron", 1e-3)}  # others: not said, taken as mm
TIMES = {8: "s", 16: "ms", 24: "µs"}
MAGIC = (b"n+1", b"ni1", b"n+2", b"ni2")
CODES = frozenset(range(5))  # of forms: none, the scanner's space, another scan's, Talairach's, MNI's
QUATERNION = 3 * float(np.finfo(np.float32).eps)  # that it may be above 1 by rounding, as nibabel has it
USUAL = (1, 1)  # both in the space of the scanner


class Place(NamedTuple):
    """What a header says of size and place. affine: 4 × 4 in mm; without a known size, of voxels of 1.

    has_size, has_form: whether it says how large its voxels are, and how they lie. unit: as in UNITS, '' if not said.
    notes: what the user is to know. codes: qform's and sform's, of what they lie in, such as 4 of MNI space.
    """

    affine: np.ndarray
    has_size: bool = True
    has_form: bool = True
    unit: str = ""
    notes: tuple[str, ...] = ()
    codes: tuple[int, int] = USUAL

    @property
    def origin(self) -> dict[str, Any]:
        """What a record's source says of it: its unit, if not mm, and its form codes, if not the usual, or none."""
        unit = {} if self.unit in ("", "mm") else {"unit": self.unit}
        if not self.has_form:
            return {**unit, "form": "none"}
        return unit if self.codes == USUAL or not CODES.issuperset(self.codes) else {**unit, "codes": list(self.codes)}


def place(head: bytes, affine: np.ndarray, shape: tuple[int, ...]) -> Place:
    """The place of an image of `shape` whose header begins with `head`. affine: nibabel's, from sform, qform or sizes.

    An Analyze header has sizes in mm, and neither units nor codes: it lies as nibabel takes it.

    Raises:
        UnusableFileError: the affine is made from sizes that are NaN or infinite.
    """
    raw = _fields(head)
    if raw is None:
        return Place(affine)
    is_nifti = bytes(raw["magic"])[:3] in MAGIC
    unit, factor = UNITS.get(int(raw["xyzt_units"]) & 7, ("", 1.0)) if is_nifti else ("", 1.0)
    scaled = np.diag([factor, factor, factor, 1.0]) @ affine
    notes = (f"sizes and places are in {unit}; they were read as mm",) if factor != 1 else ()
    codes = (int(raw["qform_code"]), int(raw["sform_code"])) if is_nifti else USUAL
    has_form = max(codes) > 0
    sizes = np.array([float(raw["pixdim"][axis + 1]) for axis, size in enumerate(shape[:3]) if size > 1]) * factor
    if (is_nifti and raw["sform_code"] > 0) or _are_sizes(sizes, has_form=has_form):
        notes = (*notes, *(() if has_form else (NO_FORM,)))
        return Place(scaled, has_form=has_form, unit=unit, notes=notes, codes=codes)
    shown = " × ".join(f"{size / factor:g}" for size in sizes)
    if not np.isfinite(sizes).all() and has_form:
        raise UnusableFileError(f"its affine holds NaN or infinity: pixdim is {shown}", "write the true sizes into it")
    return Place(_of_unit_voxels(affine), False, has_form, unit, (*notes, f"{NO_SIZE}: pixdim is {shown}"), codes)


def check_turn(head: bytes) -> None:
    """Raises UnusableFileError where an image lies by a qform that is no rotation: b² + c² + d² of it is above 1.

    nibabel takes the sform where there is one.
    """
    raw = _fields(head)
    if raw is None or bytes(raw["magic"])[:3] not in MAGIC or raw["sform_code"] > 0 or raw["qform_code"] <= 0:
        return
    parts = np.array([raw[f"quatern_{name}"] for name in "bcd"], np.float64)
    if not parts @ parts <= 1 + QUATERNION:
        shown = f"{', '.join(f'{part:.6g}' for part in parts)}, whose squares are {parts @ parts:.4g} together"
        reason = f"its qform is no rotation: the quaternion is {shown}, more than 1"
        raise UnusableFileError(reason, "write a valid sform or qform into its header")


NO_FORM = "no form codes in the header: the size is known, the orientation was taken for LAS, as nibabel does"
NO_SIZE = "the header does not say how large its voxels are"


def time_step(head: bytes) -> str:
    """'2 s' where the header says that the fourth axis is time, and how long a step of it is; else ''."""
    raw = _fields(head)
    if raw is None or bytes(raw["magic"])[:3] not in MAGIC:
        return ""
    unit, step = TIMES.get(int(raw["xyzt_units"]) & 0x38, ""), float(raw["pixdim"][4])
    is_time = np.isfinite(step) and step > 0 and (unit or step != 1)  # 1 is what programs write that know nothing
    return f"{step:g} {unit or '(no unit)'}" if is_time else ""


def _are_sizes(sizes: np.ndarray, *, has_form: bool) -> bool:
    """Whether `sizes`, in mm, can be sizes. With a form code a sign is harmless, and so is an odd size."""
    if has_form:
        return bool(np.isfinite(sizes).all() and (sizes != 0).all())
    return bool(((sizes >= SMALLEST_MM) & (sizes <= LARGEST_MM)).all())


def _of_unit_voxels(affine: np.ndarray) -> np.ndarray:
    """The affine's directions, with voxels of size 1 around its origin; along the axes where it has none."""
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.isfinite(affine).all() or not lengths.all():
        return np.diag([-1.0, 1.0, 1.0, 1.0])  # LAS, as nibabel takes it
    unit = np.eye(4)
    unit[:3, :3] = affine[:3, :3] / lengths
    return unit


def _fields(head: bytes) -> np.void | None:
    """The header as it is written; None where it is none of NIfTI or Analyze."""
    order, size = NIFTI_SIZES.get(head[:4], ("", 0))
    dtype = header_dtype if size == 348 else header_dtype_2
    if not size or len(head) < dtype.itemsize:
        return None
    return np.frombuffer(head[: dtype.itemsize], dtype.newbyteorder("<" if order == "<" else ">"))[0]
