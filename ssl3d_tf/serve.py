"""python -m ssl3d_tf.serve: makes views for a run on another machine, which names this one in DATA_SERVICE.

    python -m ssl3d_tf.serve --port=5050              on a machine with idle cores that sees DATA at the same path
    python -m ssl3d_tf.train … --data=DATA --gin_param="VIEWS_ON='host'" --gin_param="DATA_SERVICE='grpc://HOST:5050'"

The batches are the same, bit for bit, from as many services as you like. --port and the next port must be reachable
within the cluster only: whoever reaches them has this process run any TensorFlow graph, without a password.
SIGTERM or Ctrl-C ends it.
"""

import os
import socket
import time
from collections.abc import Sequence

from absl import flags

from ssl3d_tf import __version__, quiet
from ssl3d_tf.command import cli

with quiet.greeting():
    import tensorflow as tf

    from ssl3d_tf.command import kernels
    from ssl3d_tf.data import serving
    from ssl3d_tf.data.pipeline import cores
    from ssl3d_tf.training import signals


def define_flags() -> None:
    """Declares the flags; called by the command, not at import, so that one process may import every command."""
    flags.DEFINE_integer("port", 5050, "The first of two ports; the next one is the second.", 1, 65534)
    flags.DEFINE_string("host", None, "Name or address of this machine for those who train. Default: its host name.")


def main(argv: Sequence[str]) -> None:
    """Serves until a signal comes."""
    cli.flags_only(argv)
    values, here = flags.FLAGS, kernels.of_cpu()
    with signals.stop_requested() as stopped_by:
        running = serving.start(values.port, values.host or socket.gethostname(), cores=cores(), kernels=here)
        print(
            f"ssl3d_tf {__version__}, TensorFlow {tf.__version__}, {cores()} cores, {kernels.describe(here)}: makes "
            f"views for VIEWS_ON='host' with DATA_SERVICE='{running.address}'.\nwarning: ports {values.port} and "
            f"{values.port + 1} run any graph that they are sent, without a password: keep them within the cluster.",
            flush=True,
        )
        while not stopped_by():
            time.sleep(0.2)
        print(f"{stopped_by()}: ended.", flush=True)
    os._exit(0)  # TensorFlow's own end waits, at times for ever, for the batches that readers have asked for


def command() -> None:
    """The command line."""
    cli.run(main, define_flags)


if __name__ == "__main__":
    command()
