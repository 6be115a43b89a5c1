"""A trained network in a folder for other programs, with its contract, and tried out before it is called done."""

import contextlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from ssl3d_tf.data import files
from ssl3d_tf.data.places import remove_tree
from ssl3d_tf.errors import InputError
from ssl3d_tf.models import portable
from ssl3d_tf.training.contracts import CONTRACT
from ssl3d_tf.training.formats import FORMATS, INPUT, Predict
from ssl3d_tf.views import sizes

TOLERANCE = 1e-3  # of the largest output: what rounding may add up to, and a fault does not stay under
_SIDE = 32  # voxels, of a trial where an old contract does not say what the network has seen
_NOT_NEEDED = ("folder", "architecture", "weights")  # of the contract: what the export is instead


def export(
    model: keras.Model, contract: Mapping[str, Any], name: str, output: Path, *, overwrite: bool = False
) -> dict[str, Any]:
    """Writes `model` and its contract into the folder `output`, which is there at once or not at all.

    contract.json gains 'export': 'format', 'files', 'input' and 'output' (name and shape, None for any size),
    'multiple_of' (what each side is to be), 'needs' (modules that are to be imported first), 'packages', and
    'max_abs_difference', by which what was written, read again by that format's own reader, differs from `model`,
    beside 'max_abs_output'.

    Args:
        model: as `encoders.load_model` and `encoders.load_encoder` return it.
        contract: its contract. name: of FORMATS. overwrite: whether another export in `output` may go.

    Returns:
        What contract.json says under 'export'.

    Raises:
        InputError: `output` cannot be used, a package is missing, or what was written computes something else.
    """
    check_output(output, overwrite=overwrite)
    made, result = FORMATS[name], "logits" if "task" in contract else "features"
    network = made.network(model)
    about = {"format": name, **_interface(name, model, network, result), "packages": _packages()}
    kept = {key: value for key, value in contract.items() if key not in _NOT_NEEDED}
    with _whole(output) as folder:
        made.write(network, result, {**kept, "export": about}, folder)
        about |= _compared(model, made.read(folder, result), _trials(contract, about), name)._asdict()
        about["files"] = sorted({path.name for path in folder.iterdir()} | {CONTRACT})
        files.write_json(folder / CONTRACT, {**kept, "export": about})
    return about


def check_output(output: Path, *, overwrite: bool) -> None:
    """Raises InputError where `output` is a file, or holds something that is not to be replaced."""
    if output.exists() and not output.is_dir():
        raise InputError(f"--output {output} is a file; give a new folder.")
    if not output.is_dir() or not any(output.iterdir()):
        return
    if (own := _files(output)) is None:
        raise InputError(f"--output {output} holds other files and no export; give a new folder.")
    if foreign := sorted({path.name for path in output.iterdir()} - own):
        raise InputError(f"--output {output} holds {foreign[0]} beside an export; move it away, or give a new folder.")
    if not overwrite:
        raise InputError(f"--output {output} holds an export already; give a new folder, or add --overwrite.")


def _files(folder: Path) -> set[str] | None:
    """What an export in `folder` consists of; None where there is none."""
    with contextlib.suppress(OSError, ValueError, AttributeError, KeyError, TypeError):
        return set(json.loads((folder / CONTRACT).read_text(encoding="utf-8"))["export"]["files"])
    return None


@contextlib.contextmanager
def _whole(output: Path) -> Iterator[Path]:
    """A folder beside `output`, which takes its place at the end and is removed on any error."""
    draft = files.make_folder(output.parent / f".{output.name}.{os.getpid()}.tmp", "--output")
    try:
        yield draft
        remove_tree(output)
        draft.rename(output)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _interface(name: str, model: keras.Model, network: keras.Model, result: str) -> dict[str, Any]:
    wanted, by_itself = portable.multiples(model), portable.multiples(network)
    return {
        "input": {"name": INPUT, "shape": list(network.input_shape), "dtype": "float32"},
        "output": {"name": result, "shape": list(network.output_shape), "dtype": "float32"},
        "multiple_of": [n // done for n, done in zip(wanted, by_itself, strict=True)],
        "needs": portable.foreign(network) if name == "keras" else [],
    }


def _packages() -> dict[str, str]:
    return {"tensorflow": tf.__version__, "keras": keras.__version__}


class _Compared(NamedTuple):
    """max_abs_difference: the largest one between two outputs. max_abs_output: the largest of the model's own."""

    max_abs_difference: float = 0.0
    max_abs_output: float = 0.0


def _compared(model: keras.Model, predict: Predict, trials: Iterable[np.ndarray], name: str) -> _Compared:
    largest = _Compared()
    for volumes in trials:
        expected, found = np.asarray(model(volumes, training=False)), predict(volumes)
        if found.shape != expected.shape:
            said = f"shape {found.shape} for {expected.shape}"
        else:
            now = _Compared(float(np.abs(found - expected).max()), float(np.abs(expected).max()))
            largest = _Compared(*map(max, largest, now))
            if now.max_abs_difference <= TOLERANCE * now.max_abs_output:
                continue
            said = f"max |difference| {now.max_abs_difference:.2g} of outputs up to {now.max_abs_output:.2g}"
        raise InputError(
            f"--format={name} computes something else than the model ({said}, of volumes {volumes.shape})."
        )
    return largest


def _trials(contract: Mapping[str, Any], about: Mapping[str, Any]) -> Iterator[np.ndarray]:
    """Two volumes of the size of training, lengthened to what fits, and where any size fits one of another."""
    random, (_, *free, channels) = np.random.default_rng(0), about["input"]["shape"]
    view = contract.get("input_shape") or [None] * len(free)
    trained = sizes.sides(contract.get("view_size", _SIDE), len(free))
    known = (fixed or seen or side for fixed, seen, side in zip(free, view, trained, strict=False))
    sides = [-(-side // n) * n for side, n in zip(known, about["multiple_of"], strict=True)]
    yield random.random((2, *sides, channels), np.float32)
    if None in free:
        others = [
            side + n * axis if size is None else side
            for axis, (side, n, size) in enumerate(zip(sides, about["multiple_of"], free, strict=True), start=1)
        ]
        yield random.random((1, *others, channels), np.float32)
