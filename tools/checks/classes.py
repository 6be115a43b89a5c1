"""Classes that a data set declares against the values that its masks hold."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from tools.readers.contract import UnusableFileError


def check(counts: Mapping[str, int] | None, declared: Collection[str]) -> None:
    """Raises UnusableFileError where a mask of these voxel `counts` holds what is not `declared`, if anything is."""
    odd = [value for value in counts or () if value not in declared]
    if declared and odd:
        known = ", ".join(sorted(declared, key=int))
        raise UnusableFileError(
            f"its mask holds {', '.join(odd)}; declared are {known}", "mend the mask, or declare the class"
        )


def ignoring(
    asked: int | None, own: int | None, classes: Mapping[str, str], relabel: Sequence[tuple[int, int]]
) -> Iterator[str]:
    """Which value of masks is ignored, as lines: `own` of the data set, which calls it so, or the one `asked` for.

    relabel: pairs (mask value, the one stored instead): what the user says of `own` there needs no words.
    """
    if asked is not None and (name := classes.get(str(asked))):
        yield f"--ignore_label={asked} is '{name}' of the data set: it is no class, in no loss and no score."
    if own is not None and asked in (None, own):
        yield f"mask value {own}, 'ignore' in dataset.json, is in no loss and no score."
    elif own is not None and own not in dict(relabel):
        counts = f"--ignore_label={asked} counts, and not {own}, 'ignore' in dataset.json"
        yield f"{counts}: masks that hold {own} are set aside; --relabel={own}:{asked} ignores both."
