"""A tf.data service, which makes batches for others (`service.py`): a dispatcher and its one worker."""

import errno
import json
import os
import socket
from collections.abc import Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from ssl3d_tf import __version__
from ssl3d_tf.data import service
from ssl3d_tf.errors import InputError

_FORGET_S = 60  # after which what was begun for a process that is gone is given up


class Running(NamedTuple):
    """A service: its address, and its two servers, which serve as long as somebody holds them."""

    address: str
    worker: Any
    dispatcher: Any


def start(port: int, host: str, *, cores: int, kernels: Mapping[str, str]) -> Running:
    """Starts a service at two ports, `port` and the next one.

    Args:
        host: by which others reach this machine.

    Raises:
        InputError: a port is in use, or may not be used.
    """
    tf.config.set_visible_devices([], "GPU")  # or all its memory would be taken
    check_free(port)
    api, second = tf.data.experimental.service, port + 1
    dispatcher = api.DispatchServer(
        api.DispatcherConfig(
            port=port,
            protocol="grpc",
            job_gc_check_interval_ms=1000 * _FORGET_S // 2,
            job_gc_timeout_ms=1000 * _FORGET_S,
        )
    )
    worker = api.WorkerServer(api.WorkerConfig(f"localhost:{port}", f"{host}:{second}", port=second, protocol="grpc"))
    about = {"ssl3d_tf": __version__, "tensorflow": tf.__version__, "cores": cores, "kernels": dict(kernels)}
    known = tf.data.Dataset.from_tensors(json.dumps(about))
    api.register_dataset(f"grpc://localhost:{port}", known, compression=None, dataset_id=service.ABOUT)
    return Running(f"grpc://{host}:{port}", worker, dispatcher)


def check_free(first: int) -> None:
    """Raises InputError where one of two ports is taken: gRPC would share it, and answer every other question."""
    for port in (first, first + 1):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("", port))
            except OSError as error:
                why = "in use" if error.errno == errno.EADDRINUSE else os.strerror(error.errno or 0).lower()
                raise InputError(
                    f"--port: port {port} is {why}; a service takes two, give the first of others."
                ) from error
