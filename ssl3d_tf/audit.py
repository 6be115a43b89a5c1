"""python -m ssl3d_tf.audit: does a pretrained network, or its task, live on shortcuts?

    python -m ssl3d_tf.audit --workdir=RUN                  the network of RUN on inputs without anatomy
    python -m ssl3d_tf.audit --workdir=RUN --steps=300      and fresh networks, trained for 300 steps on each of them

The same command again goes on where it stopped. How to read the table: docs/pretraining_health.md.
"""

from collections.abc import Sequence

from absl import app, flags

from ssl3d_tf import quiet
from ssl3d_tf.command import cli
from ssl3d_tf.data.places import local

with quiet.greeting():
    from ssl3d_tf.experiment import auditing


def define_flags() -> None:
    """Declares the flags; called by the command, not at import, so that one process may import every command."""
    flags.DEFINE_string("workdir", None, "Folder of the run to audit, as given to ssl3d_tf.train.")
    flags.DEFINE_multi_string("data", [], "The data of that run, as it had them, where they are no longer there.")
    flags.DEFINE_multi_string("gin_import", [], "A module of yours that the run's configuration imports; may repeat.")
    flags.DEFINE_integer("steps", None, "Also trains fresh networks for that many steps, in RUN/audit/.", lower_bound=1)


def main(argv: Sequence[str]) -> None:
    """Flags -> table, audit.json and audit.png."""
    values = flags.FLAGS
    cli.flags_only(argv)
    if not values.workdir:
        raise app.UsageError("--workdir is missing; give the folder of a pretraining run.")
    auditing.audit(local(values.workdir, "--workdir"), values.data, steps=values.steps, imports=values.gin_import)


def command() -> None:
    """The command line."""
    cli.run(main, define_flags)


if __name__ == "__main__":
    command()
