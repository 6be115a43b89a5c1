"""python -m ssl3d_tf.train: pretrains an encoder as a gin file says.

    python -m ssl3d_tf.train --gin_file=gin/cpc_3d.gin                                     phantoms, runs/cpc_3d-1
    python -m ssl3d_tf.train --gin_file=gin/cpc_3d.gin --data=DATA --workdir=RUN           your volumes
    python -m ssl3d_tf.train --gin_file=gin/cpc_3d.gin --data=A --data=B:0.3 …             3 of 10 draws from B
    python -m ssl3d_tf.train --gin_file=gin/cpc_3d.gin --gin_param=BATCH_SIZE=8 …          another value of a knob
    python -m ssl3d_tf.train … --workdir=RUN --extend --gin_param=STEPS=20000              the same run, longer
    python -m ssl3d_tf.train … --workdir=RUN2 --init=RUN --init_part=encoder               a new run from its weights

The same command again goes on where the run stopped. Stopped by a signal (SIGTERM, SIGUSR1, Ctrl-C) it saves and exits
with 0, so that a queue goes on with it; the last line then says so: no other command should use the run before its end.
"""

from collections.abc import Sequence

from absl import app, flags

from ssl3d_tf import quiet
from ssl3d_tf.command import cli, configuration
from ssl3d_tf.data.places import local

with quiet.greeting():
    from ssl3d_tf.command import run_folder
    from ssl3d_tf.experiment.initial import PARTS, Init
    from ssl3d_tf.experiment.pretraining import Start, pretrain


def define_flags() -> None:
    """Declares the flags; called by the command, not at import, so that one process may import every command."""
    flags.DEFINE_multi_string("gin_file", [], "The configuration, such as gin/cpc_3d.gin; several, in order.")
    flags.DEFINE_multi_string("gin_param", [], "NAME=VALUE behind all files, such as STEPS=40; may repeat.")
    flags.DEFINE_multi_string("gin_import", [], "A module of yours that a gin file imports; may repeat.")
    flags.DEFINE_multi_string(
        "data", [], "Folder of tools.to_tfrecord, here or gs://; several, each with a share of the draws, A:0.3, if "
        "it is not to count by its size. Without it, phantoms are made.",
    )  # fmt: skip
    flags.DEFINE_string("workdir", None, "Folder of the run; an unfinished run in it goes on. Default: new, in runs/.")
    flags.DEFINE_bool("extend", False, "Goes on with the run in --workdir for more STEPS than it was begun for.")
    flags.DEFINE_string("init", None, "Folder of a run to begin with the weights of.")
    flags.DEFINE_enum("init_part", None, PARTS, "What of --init: the model with its head (as usual), or its encoder.")


def main(argv: Sequence[str]) -> None:
    """Flags and gin -> one pretraining."""
    values = flags.FLAGS
    cli.flags_only(argv)
    if not values.gin_file:
        raise app.UsageError("--gin_file is missing; try --gin_file=gin/cpc_3d.gin.")
    sources = configuration.Sources(tuple(values.gin_file), tuple(values.gin_param), tuple(values.gin_import))
    workdir = local(values.workdir, "--workdir") if values.workdir else run_folder.fresh(values.gin_file[0])
    if values.init_part and not values.init:
        raise app.UsageError("--init_part says which part of --init is taken: give --init=RUN with it.")
    init = Init(local(values.init, "--init"), values.init_part or PARTS[0]) if values.init else None
    pretrain(sources, values.data, workdir, Start(values.extend, init))


def command() -> None:
    """The command line."""
    cli.run(main, define_flags)


if __name__ == "__main__":
    command()
