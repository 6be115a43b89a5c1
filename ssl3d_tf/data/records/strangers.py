"""What a folder may be that is no data folder, and which one to name instead: in one line, whatever was asked of it."""

import json
import shlex
from collections.abc import Sequence

from ssl3d_tf.data.places import Place

PROGRESS = ".progress"  # of a conversion that has not ended
_RUN = "run.json"  # of any command that trains
_SHOWN, _ASKED = 3, 64  # names; and of scans there may be a million, in a bucket that takes its time


def told(folder: Place, file: str) -> str:
    """The line of an error; `file` is what is missed there."""
    return f"{folder} holds no {file}{_reason(folder, file)}"


def _reason(folder: Place, file: str) -> str:
    named = "name the folder that `python -m tools.to_tfrecord` wrote."
    if folder.is_file():
        return f", as it is a file: {named}"
    if not folder.is_dir():
        return f", as there is no such folder: {named}"
    names = sorted(one.name for one in folder.iterdir())
    if _RUN in names:
        return f"; it is the folder of a run{_data_of(folder)}: name its data."
    if PROGRESS in names:
        return (
            "; it is of a conversion that has not ended: give its `python -m tools.to_tfrecord` again, which goes on."
        )
    if within := [name for name in names[:_ASKED] if (folder / name / file).is_file()]:
        return f"; {folder / within[0]} does: name that."
    if not names:
        return f", as it is empty: {named}"
    command = f"python -m tools.to_tfrecord --input={shlex.quote(str(folder))} --output=DATA"
    return f"; it holds {_listed(names)}: if those are scans, run `{command}`, and name DATA."


def _data_of(run: Place) -> str:
    """', on the data in DATA', as far as its record says so."""
    try:
        return f", on the data in {json.loads((run / _RUN).read_text(encoding='utf-8'))['data']['path']}"
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
