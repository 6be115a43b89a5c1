"""The folder of one run: claimed by a configuration and a data set, and described well enough to be made again."""

import datetime
import difflib
import itertools
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from ssl3d_tf.command import kernels, renamed
from ssl3d_tf.command.home import ROOT
from ssl3d_tf.data import files
from ssl3d_tf.errors import InputError

CONFIG, OPERATIVE, RECORD = "config.gin", "operative_config.gin", "run.json"
PLACES = ("DATA_SERVICE", "train/pipeline.read.data_service")  # of a configuration: where, and not what, is computed
PACKAGES = ("tensorflow", "keras", "numpy", "gin-config", "tensorflow-addons", "keras-tuner")


def fresh(gin_file: str) -> Path:
    """A new folder runs/NAME-NUMBER for a run of that gin file."""
    name = Path(gin_file).stem
    return next(path for number in itertools.count(1) if not (path := Path("runs") / f"{name}-{number}").exists())


def check(workdir: Path, config: str, *, data: dict[str, Any], may_change: Sequence[str] = ()) -> None:
    """Finds that `workdir` may become the run of this configuration and data, or already is; writes nothing.

    A run without a checkpoint has nothing to lose: its folder may be taken again with another configuration.

    Args:
        config: text of the configuration. data: with 'path' and 'sha256'. may_change: macros that may be others.

    Raises:
        InputError: it is another run's, or holds something else.
    """
    if not workdir.exists():
        return
    if not workdir.is_dir():
        raise InputError(f"--workdir {workdir} is a file; give a folder.")
    before, record = workdir / CONFIG, workdir / RECORD
    if before.exists() and record.exists():
        if has_begun(workdir):
            _same_config(workdir, before.read_text(encoding="utf-8"), config, may_change)
            _same_data(workdir, _record(record)["data"], data)
    elif any(path for path in workdir.iterdir() if not path.name.startswith(".") and path != record):
        raise InputError(f"--workdir {workdir} holds other files and is no run of this program; take an empty folder.")


def claim(workdir: Path, config: str, *, data: dict[str, Any], notes: dict[str, Any]) -> None:
    """Makes a folder that `check` found fit the run of this configuration and data; `notes` is said in run.json too.

    Where a run goes on with other kernels than before, this is said, and in run.json too; and there, where it was
    extended, what of its configuration is another, and all services that have made views of it.
    """
    files.make_folder(workdir, "--workdir")
    if has_begun(workdir):
        _note_kernels(workdir / RECORD)
        _note_extension(workdir, config)
        _note_services(workdir / RECORD, notes.get("data_service", ()))
        return
    files.write_json(workdir / RECORD, {**about(), **notes, "data": data})
    with files.atomic(workdir / CONFIG) as file:
        file.write(config.encode())


def has_begun(workdir: Path) -> bool:
    """Whether there is something to lose: a checkpoint, the runs of an experiment or the trials of a search."""
    return any((workdir / name).exists() for name in ("checkpoints", "runs", "trials"))


def trained(workdir: Path) -> dict[str, Any]:
    """What run.json says of a run that has a checkpoint: 'data' with 'path' and 'sha256', 'seed', 'packages', …

    Raises:
        InputError: no run in the folder, or no checkpoint yet.
    """
    if not ((workdir / CONFIG).is_file() and (workdir / RECORD).is_file()):
        raise InputError(f"--workdir {workdir} holds no run: no {CONFIG} and {RECORD}; give that of ssl3d_tf.train.")
    if (workdir / "runs").is_dir():
        raise InputError(f"--workdir {workdir} is of finetuning; give a pretraining run, of ssl3d_tf.train.")
    if not (workdir / "checkpoints" / "checkpoint").is_file():
        raise InputError(f"the run in --workdir {workdir} has no checkpoint yet: let it train until SAVE_EVERY.")
    return _record(workdir / RECORD)


def about() -> dict[str, Any]:
    """What ran, with what, on what, when: for run.json and reports."""
    return {
        "command": shlex.join(sys.argv),
        "started": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "kernels": kernels.in_use(),
        "packages": {name: _version(name) for name in ("ssl3d_tf", *PACKAGES)},
        "commit": _commit(),
    }


def _record(path: Path) -> dict[str, Any]:
    return files.read_json(path, "put a copy back, or take another folder")


def _note_kernels(path: Path) -> None:
    record, now = _record(path), kernels.in_use()
    before = [record.get("kernels"), *record.get("went_on_with", ())][-1]
    if before in (None, now):  # None: a run of before kernels were noted
        return
    print(
        f"note: ran with {kernels.describe(before)}, goes on with {kernels.describe(now)}: from here on the numbers "
        "agree to rounding with those of a run that was never moved, not bit for bit.",
        flush=True,
    )
    files.write_json(path, {**record, "went_on_with": [*record.get("went_on_with", ()), now]})


def _note_extension(workdir: Path, config: str) -> None:
    before, record = (workdir / CONFIG).read_text(encoding="utf-8"), workdir / RECORD
    if _without(before, PLACES) == _without(config, PLACES):
        return
    said = _record(record)
    now = {"command": shlex.join(sys.argv), "changes": _changes(before, config)}
    files.write_json(record, {**said, "extended": [*said.get("extended", ()), now]})
    with files.atomic(workdir / CONFIG) as file:
        file.write(config.encode())


def _note_services(path: Path, asked: Sequence[str]) -> None:
    record = _record(path)
    before = record.get("data_service", [])
    if new := [address for address in asked if address not in before]:
        files.write_json(path, {**record, "data_service": [*before, *new]})


def _changes(before: str, now: str) -> list[str]:
    lines = difflib.unified_diff(before.splitlines(), now.splitlines(), n=0, lineterm="")
    return [line for line in lines if line[:1] in "+-" and line[:3] not in ("+++", "---")]


def _same_config(workdir: Path, before: str, now: str, may_change: Sequence[str]) -> None:
    before, now = (_without(text, (*may_change, *PLACES)) for text in (before, now))
    if before == now:
        return
    if names := renamed.told(before):
        raise InputError(
            f"--workdir {workdir} is a run of ssl3d_tf 0.1, and since then {names}: take another folder, or go on "
            "with version 0.1; its encoder can be used as it is."
        )
    changes = _changes(before, now)
    shown = "; ".join(" ".join(line.split()) for line in changes[:8]) + (" …" if len(changes) > 8 else "")
    own = f"or go on with its own, --gin_file={workdir / CONFIG} alone"
    if may_change:
        own += f"; --extend changes {', '.join(may_change)} only"
    raise InputError(f"--workdir {workdir} is a run of another configuration ({shown}): take another folder, {own}.")


def _without(config: str, names: Sequence[str]) -> str:
    """The text of a configuration without the lines that give those macros and parameters a value."""
    kept, drops = [], False
    for line in config.splitlines():
        name, is_one, _ = line.partition(" = ")
        if is_one or not line.startswith(" "):  # else it goes on with a value that is too long for a line
            drops = name in names
        if not drops:
            kept.append(line)
    return "\n".join(kept)


def _same_data(workdir: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    if before["sha256"] != now["sha256"]:
        found = f"now {now['path']}, {now['sha256'][:12]}; then {before['path']}, {before['sha256'][:12]}"
        raise InputError(f"--workdir {workdir} is a run on other data ({found}): take another folder.")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """The commit of the source tree, with '+' where files differ from it; None outside a checkout.

    Git would also tell that of a repository around the package, as where an environment lies in somebody's own.
    """
    if not (ROOT / ".git").exists():  # a file in a worktree
        return None
    try:
        run = subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--dirty=+", "--match="],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return None
    return run.stdout.strip()
