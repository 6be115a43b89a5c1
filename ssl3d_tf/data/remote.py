"""Elements of a data set that another process makes, and a word where it is gone.

tf.data waits for a service that is gone for ever and without a word: here it is asked for whenever an element is late.
"""

import contextlib
import functools
import os
import re
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf
from tensorflow.python.eager import cancellation  # no public way to end an op that waits

from ssl3d_tf.errors import InputError

SILENCE_S = 10  # after which a service that is waited for is asked whether it is still there
_ANSWER_S = 15  # in which it must say so
_AGAIN_S = 0.2
_AHEAD = 2  # batches asked for at a time, each of which takes memory here and there
_SETTINGS = b"\x04"  # type of the first frame of both sides (RFC 9113, sections 3.4 and 6.5)
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0" + _SETTINGS + b"\0\0\0\0\0"
REMEDY = "without DATA_SERVICE the same batches are made here"


def answers(address: str, within_s: float) -> bool:
    """Whether a process behind grpc://HOST:PORT talks HTTP/2, as gRPC does: a port that is merely open does not."""
    host, _, port = address.removeprefix("grpc://").rpartition(":")
    end = time.monotonic() + within_s
    while (left := end - time.monotonic()) > 0:
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), left) as connection:
            connection.sendall(_PREFACE)
            if connection.makefile("rb").read(4)[3:] == _SETTINGS:
                return True
        time.sleep(_AGAIN_S)
    return False


def made_at(address: str, dataset: tf.data.Dataset) -> tf.data.Dataset:
    """The same data set in the same order, made by a service of one worker."""
    # Uncompressed, as floating-point voxels hardly get smaller.
    how = {"compression": None, "max_outstanding_requests": _AHEAD}
    return dataset.apply(tf.data.experimental.service.distribute("parallel_epochs", address, **how))


def taking(dataset: tf.data.Dataset) -> tuple[Callable[[], Any], Callable[[], None]]:
    """(returns the next element, ends that at once with a CancelledError)."""
    manager = cancellation.CancellationManager()
    with tf.device("CPU:0"):
        iterator = iter(dataset)
        graph = tf.function(iterator.get_next, autograph=False).get_concrete_function()
    return functools.partial(_taken, manager.get_cancelable_function(graph), iterator), manager.start_cancel


def _taken(take: Callable[[], Any], _iterator: Iterator[Any]) -> Any:
    """The next element of an iterator that is held here, as a graph holds none."""
    return take()


def all_of(dataset: tf.data.Dataset, within_s: float) -> list[Any]:
    """All elements, as NumPy has them. Raises CancelledError if that takes longer."""
    take, cancel = taking(dataset)
    found, timer = [], threading.Timer(within_s, cancel)
    timer.start()
    try:
        with contextlib.suppress(tf.errors.OutOfRangeError):
            while True:
                found.append(take().numpy())
    finally:
        timer.cancel()
    return found


def received(address: str, dataset: tf.data.Dataset, faults: list[InputError]) -> tf.data.Dataset:
    """As `made_at`, but endless; instead of an element that will never come it raises, and `faults` gets the reason."""

    def elements() -> Iterator[Any]:
        take, cancel = taking(made_at(address, dataset))
        while True:
            try:
                with _asked_for(address, cancel):
                    element = take()
            except tf.errors.OpError as error:
                _hang_up(address)
                faults.append(_lost(address, error))
                return  # what a generator raises is logged in forty lines
            yield element

    made = tf.data.Dataset.from_generator(elements, output_signature=dataset.element_spec)
    return made.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))


def told(error: tf.errors.OpError) -> str:
    """What an error says, without where in a graph it was."""
    said = error.message.partition("\n\t [[")[0].strip().splitlines()[-1:]
    return re.sub(r"^\{\{.*?\}\} ", "", "".join(said)).strip().rstrip(".")


@contextlib.contextmanager
def _asked_for(address: str, cancel: Callable[[], None]) -> Iterator[None]:
    """Calls `cancel` if what is done inside takes long and the service does not answer."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(SILENCE_S):
            if not answers(address, _ANSWER_S):
                cancel()
                return

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        done.set()


def _hang_up(address: str) -> None:
    """Closes what is open to a service: TensorFlow lets go of no iterator that waits for an answer."""
    first = int(address.rpartition(":")[2])
    for number in map(int, os.listdir("/dev/fd")):
        with contextlib.suppress(OSError):
            if not stat.S_ISSOCK(os.fstat(number).st_mode):
                continue
            with socket.socket(fileno=os.dup(number)) as connection:
                if connection.getpeername()[1] in (first, first + 1):
                    connection.shutdown(socket.SHUT_RDWR)


def _lost(address: str, error: tf.errors.OpError) -> InputError:
    """Why an element does not come."""
    reasons = {
        tf.errors.CancelledError: "does not answer any more",
        tf.errors.NotFoundError: f"has ended or was started anew ({told(error)})",
    }
    why = reasons.get(type(error), f"has failed ({told(error)})")
    return InputError(
        f"DATA_SERVICE {address} {why}: mend that, and the same command goes on from the last save; {REMEDY}."
    )
