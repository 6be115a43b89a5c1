"""Classes that a data set declares against the values that its masks hold."""

from collections.abc import Collection, Mapping

from tools.readers.contract import UnusableFileError


def check(counts: Mapping[str, int] | None, declared: Collection[str]) -> None:
    """Raises UnusableFileError where a mask of these voxel `counts` holds what is not `declared`, if anything is."""
    odd = [value for value in counts or () if value not in declared]
    if declared and odd:
        known = ", ".join(sorted(declared, key=int))
        raise UnusableFileError(
            f"its mask holds {', '.join(odd)}; declared are {known}", "mend the mask, or declare the class"
        )
