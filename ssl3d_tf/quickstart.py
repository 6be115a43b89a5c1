"""python -m ssl3d_tf.quickstart: from files to pretrained encoders, small, on phantoms, with the commands shown."""

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from ssl3d_tf.command import cli
from ssl3d_tf.data import files
from ssl3d_tf.data.places import local

TASKS = ("rotation_3d", "cpc_3d")


def define_flags() -> None:
    """Declares the flags; called by the command, not at import, so that one process may import every command."""
    flags.DEFINE_string("workdir", "runs/quickstart", "Folder for everything it makes; again, it goes on from there.")


def main(argv: Sequence[str]) -> None:
    """Runs the commands of the README one after the other and ends with a table."""
    cli.flags_only(argv)
    folder = files.make_folder(local(flags.FLAGS.workdir, "--workdir"), "--workdir")
    print(
        f"128 phantom scans -> TFRecords -> an encoder by each of {' and '.join(TASKS)}, all in {folder}: "
        "two minutes on two CPU cores.",
        flush=True,
    )
    raw, data = folder / "raw", folder / "data"
    if not (data / "manifest.json").exists():
        _run("tools.phantoms", f"--output={raw}", "--count=128", "--size=32")
        _run("tools.to_tfrecord", f"--input={raw}", f"--output={data}", "--splits=0.75,0.2,0.05")
    rows = [_pretrain(name, data, folder / name) for name in TASKS]
    print("\nPretext accuracy on scans the encoder has not seen:")
    print(f"{'task':14}{'accuracy':>10}{'chance':>10}{'minutes':>10}")
    for name, scores, minutes in rows:
        print(f"{name:14}{scores['val_accuracy']:10.2f}{scores['val_chance']:10.2f}{minutes:10.1f}")
    print(f"\nThe encoders are in {folder}/*/encoder; see the curves with: tensorboard --logdir {folder}")


def _pretrain(name: str, data: Path, workdir: Path) -> tuple[str, dict[str, float], float]:
    """Trains one task; returns its name, the last evaluation in metrics.jsonl and the minutes it took."""
    began = time.monotonic()
    files_of = [f"--gin_file=gin/{name}.gin", "--gin_file=gin/datasets/phantoms_3d.gin"]
    _run("ssl3d_tf.train", *files_of, f"--data={data}", f"--workdir={workdir}")
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return name, [line for line in lines if "val_loss" in line][-1], (time.monotonic() - began) / 60


def _run(module: str, *arguments: str) -> None:
    """Shows a command, runs it, and ends with its exit code where it fails."""
    command = ["-m", module, *arguments]
    print(f"\n$ python {shlex.join(command)}", flush=True)
    process = subprocess.Popen([sys.executable, *command])
    try:
        code = process.wait()
    except KeyboardInterrupt:
        process.wait()  # it was told too, and saves
        raise
    if code:
        sys.exit(code)


def command() -> None:
    """The command line."""
    cli.run(main, define_flags)


if __name__ == "__main__":
    command()
