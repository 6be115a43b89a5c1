"""--data=A --data=B:0.3: which folders, and how many of every block of draws come from each."""

import math
import os
import re
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from ssl3d_tf.data.folders import Part
from ssl3d_tf.data.places import Place, place
from ssl3d_tf.data.records import manifest as manifests
from ssl3d_tf.errors import InputError

LONGEST_BLOCK = 10_000  # draws
_WITH_SHARE = re.compile(r"(.+):([^:/]+(?:/\d+)?)")


class Wanted(NamedTuple):
    """A folder and its share of the draws of training; None: what is left, with others that have none, by size."""

    path: Place
    share: Fraction | None


def wanted(data: Sequence[str | os.PathLike[str]]) -> list[Wanted]:
    """What the values of --data say, each 'A' or 'A:0.3'; a folder that is called 'A:0.3' is that folder.

    Raises:
        InputError: no share, shares that do not add up, a folder given twice.
    """
    given = [_wanted(os.fspath(each)) for each in data]
    count, most = Counter(str(each.path.resolve()) for each in given).most_common(1)[0][::-1]
    if count > 1:
        raise InputError(f"--data names {most} {count} times: name it once, with a share if it is to count for more.")
    shares = [each.share for each in given if each.share]
    total, all_have = sum(shares), len(shares) == len(given)
    if shares and (total != 1 if all_have else total >= 1):
        listed = " ".join(f"--data={os.fspath(each)}" for each in data)
        rule = "to 1, unless one folder has none and gets the rest" if all_have else "to less than 1, as some have none"
        raise InputError(f"{listed}: the shares add up to {total}; they must add up {rule}.")
    return given


def _wanted(text: str) -> Wanted:
    found = _WITH_SHARE.fullmatch(text)
    if found is None or Path(text).is_dir():
        return Wanted(place(text), None)
    path, share = place(found[1]), _fraction(found[2])
    if share is None and not (path / manifests.FILE).is_file():
        return Wanted(place(text), None)
    if share is None or not 0 < share <= 1:
        raise InputError(f"--data={text}: a share is above 0 and at most 1, such as {path}:0.3 or {path}:1/3.")
    return Wanted(path, share)


def _fraction(text: str) -> Fraction | None:
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        return None


def parts(sizes: Sequence[int], shares: Sequence[Fraction | None]) -> tuple[Part, ...]:
    """How the examples of folders of these sizes are drawn: those without a share first, as one; () if none has one.

    Raises:
        InputError: shares that only very long blocks hold exactly, or one of nothing.
    """
    if not any(shares):
        return ()
    named = [(size, share) for size, share in zip(sizes, shares, strict=True) if share]
    rest = [size for size, share in zip(sizes, shares, strict=True) if not share]
    left = 1 - sum(share for _, share in named)
    drawn = [(sum(rest), left), *named] if rest else named
    block = math.lcm(*(share.denominator for _, share in drawn))
    if block > LONGEST_BLOCK:
        raise InputError(
            f"--data: only a block of {block} draws has these shares; {LONGEST_BLOCK} at most: round them."
        )
    for size, share in drawn:
        if not size:
            raise InputError(f"--data: a share of {share} is to come from no training example: leave that folder out.")
    return tuple(Part(size, int(share * block)) for size, share in drawn)
