"""python -m ssl3d_tf.finetune: what a pretrained encoder is worth, beside training from scratch.

    python -m ssl3d_tf.finetune --gin_file=gin/finetune/segmentation_3d.gin --data=DATA --encoder=RUN --workdir=FT
    … --encoder=RUN1 --encoder=RUN2 --gin_param=FRACTIONS=(5,25,100)         several encoders, several fractions

The same command again goes on where it stopped; stopped by a signal it saves, says so in its last line and exits with
0. FT/report.html shows the result.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from absl import app, flags

from ssl3d_tf import quiet
from ssl3d_tf.command import cli, configuration
from ssl3d_tf.data.places import Place, local, place

with quiet.greeting():
    from ssl3d_tf.command import run_folder
    from ssl3d_tf.evaluation import report
    from ssl3d_tf.experiment import peaks, preparing, running


def define_flags() -> None:
    """Declares the flags; called by the command, not at import, so that one process may import every command."""
    flags.DEFINE_multi_string("gin_file", [], "The configuration, such as gin/finetune/segmentation_3d.gin.")
    flags.DEFINE_multi_string("gin_param", [], "NAME=VALUE behind all files, such as STEPS=40; may repeat.")
    flags.DEFINE_multi_string("gin_import", [], "A module of yours that a gin file imports; may repeat.")
    flags.DEFINE_string("data", None, "Folder made by tools.to_tfrecord, with masks or labels.")
    flags.DEFINE_multi_string("encoder", [], "--workdir of a pretraining run, by whose name it is shown; may repeat.")
    flags.DEFINE_string("workdir", None, "Folder of the experiment; an unfinished one in it goes on.")


def main(argv: Sequence[str]) -> None:
    """Flags and gin -> all runs of the experiment, one after the other, and its report."""
    values = flags.FLAGS
    cli.flags_only(argv)
    for name in ("gin_file", "data"):
        if not getattr(values, name):
            raise app.UsageError(f"--{name} is missing; see python -m ssl3d_tf.finetune --help.")
    sources = configuration.Sources(tuple(values.gin_file), tuple(values.gin_param), tuple(values.gin_import))
    workdir = local(values.workdir, "--workdir") if values.workdir else run_folder.fresh(values.gin_file[0])
    failed = run(sources, place(values.data), [local(folder, "--encoder") for folder in values.encoder], workdir)
    sys.exit(1 if failed else 0)


def run(sources: configuration.Sources, folder: Place, encoders: Sequence[Path], workdir: Path) -> int:
    """Runs an experiment, or goes on with it; returns how many of its runs failed.

    Raises:
        InputError: configuration, data and encoders do not fit each other, or the folder is another experiment's.
    """
    prepared = preparing.prepare(sources, folder, encoders, workdir)
    preparing.occupy(workdir, prepared, configuration.text())
    failed = running.run_all(prepared.experiment, prepared.planned)
    counted = peaks.counted(prepared.planned)
    print(f"\n{workdir}: {report.NAME}, {report.SUMMARY} and results.csv; {counted}, of which {failed} failed.")
    return failed


def command() -> None:
    """The command line."""
    cli.run(main, define_flags)


if __name__ == "__main__":
    command()
