"""Views made on other machines: batches from tf.data services (`serving.py`), the same as without them.

Of n services the j-th makes the batches j, j + n, …, each from its place in the order on, so that nothing has to be
put in order and a restart needs no state. A service is sent the graph of its batches, and reads the records itself.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from ssl3d_tf import __version__
from ssl3d_tf.data import places, remote
from ssl3d_tf.data.folders import DataFolder
from ssl3d_tf.data.order import Share
from ssl3d_tf.data.records import fetching
from ssl3d_tf.data.records import manifest as manifests
from ssl3d_tf.errors import InputError

ABOUT = "ssl3d_tf"  # name of the data set by which a service says what it is
ARRIVAL_S = 30  # in which a service must have been started
ANSWER_S = 20  # in which it must answer what it is asked before the first batch
_ADDRESS = re.compile(r"grpc://[^\s/:]+:(\d+)")


class Service(NamedTuple):
    """One that answered, and what it says of itself. kernels: as `kernels.of_cpu` has it. faults: why it is lost."""

    address: str
    cores: int
    kernels: Mapping[str, str]
    faults: list[InputError]


def addresses(given: str | Sequence[str]) -> tuple[str, ...]:
    """The value of DATA_SERVICE, which may be one address.

    Raises:
        InputError: something else than addresses, or one of them twice.
    """
    each = (given,) if isinstance(given, str) else tuple(given or ())
    for one in each:
        if not isinstance(one, str) or not _ADDRESS.fullmatch(one):
            raise InputError(
                f"DATA_SERVICE has {one!r}; an address is grpc://HOST:PORT, as python -m ssl3d_tf.serve says."
            )
        if each.count(one) > 1:
            raise InputError(f"DATA_SERVICE has {one} {each.count(one)} times: give each service once.")
    return each


def connect(
    given: str | Sequence[str], data: DataFolder, *, training: bool, views_on: str, cache_gb: float
) -> tuple[Service, ...]:
    """The services of DATA_SERVICE, each found to be of this version and to see the training data.

    Raises:
        InputError: one is not there, is something else or sees other data; or nothing is made in the input pipeline.
    """
    if not (asked := addresses(given)):
        return ()
    if not training:
        raise InputError("DATA_SERVICE is for batches of training: bind train/pipeline.read.data_service alone.")
    if views_on != "host":
        raise InputError(
            f"DATA_SERVICE moves what VIEWS_ON='host' makes, and VIEWS_ON is '{views_on}': set it to 'host'."
        )
    if cache_gb:
        raise InputError(f"CACHE_GB is {cache_gb:g}, and with DATA_SERVICE nothing is read here: set it to 0.0.")
    return tuple(_connect(address, data) for address in asked)


def spread(
    batches: Callable[[Share, int], tf.data.Dataset], share: Share, services: Sequence[Service], *, per_step: int
) -> tf.data.Dataset:
    """The batches of a share, made by services in turn.

    Args:
        batches: (share, CPU cores of who makes them) -> them. per_step: how many of them a step takes.
    """
    own = (share._replace(service=number, services=len(services)) for number in range(len(services)))
    made = [_received(one, batches(part, one.cores)) for one, part in zip(services, own, strict=True)]
    turns = tf.data.Dataset.from_tensor_slices(np.repeat(np.arange(len(made)), per_step)).repeat()
    return tf.data.Dataset.choose_from_datasets(made, turns).prefetch(1)


def check(services: Sequence[Service]) -> None:
    """Raises InputError where one was lost."""
    for fault in (fault for one in services for fault in one.faults):
        raise fault


def _received(service: Service, batches: tf.data.Dataset) -> tf.data.Dataset:
    _await(service.address)  # again, as a network was built meanwhile: to name it a data set would wait for ever
    return remote.received(service.address, batches, service.faults)


def _await(address: str) -> None:
    if not remote.answers(address, ARRIVAL_S):
        port = address.rpartition(":")[2]
        raise InputError(
            f"DATA_SERVICE {address} does not answer within {ARRIVAL_S} seconds: is python -m ssl3d_tf.serve "
            f"--port={port} running there, and are both its ports open to this machine? {remote.REMEDY.capitalize()}."
        )


def _connect(address: str, data: DataFolder) -> Service:
    _await(address)
    try:
        said = json.loads(_answer(address, lambda: _about(address))[0])
    except tf.errors.NotFoundError as error:
        raise InputError(
            f"DATA_SERVICE {address} is a tf.data service, but none of python -m ssl3d_tf.serve: start that."
        ) from error
    here = {"ssl3d_tf": __version__, "tensorflow": tf.__version__}
    there = {name: said.get(name) for name in here}
    if here != there:
        both = [" and ".join(f"{name} {version}" for name, version in each.items()) for each in (there, here)]
        raise InputError(f"DATA_SERVICE {address} has {both[0]}, this machine {both[1]}: install the same on both.")
    _check_data(address, data)
    return Service(address, said["cores"], said["kernels"], [])


def _about(address: str) -> tf.data.Dataset:
    service, text = tf.data.experimental.service, tf.TensorSpec([], tf.string)
    return service.from_dataset_id("parallel_epochs", address, dataset_id=ABOUT, element_spec=text)


def _answer(address: str, ask: Callable[[], tf.data.Dataset]) -> list[bytes]:
    """What a service makes of a finite data set.

    Raises:
        InputError: it hands out nothing, or fails. NotFoundError: it knows no such data set, or sees no such file.
    """
    try:
        return remote.all_of(ask(), ANSWER_S)
    except tf.errors.CancelledError as error:
        raise InputError(
            f"DATA_SERVICE {address} answers, but hands out nothing: its second port must be open too, under the name "
            "that it goes by; start it with --host=NAME, as this machine knows it."
        ) from error
    except tf.errors.NotFoundError:
        raise
    except tf.errors.OpError as error:
        raise InputError(
            f"DATA_SERVICE {address} cannot be used, as it says {remote.told(error)!r}: is it the port that "
            "python -m ssl3d_tf.serve names?"
        ) from error


def _check_data(address: str, data: DataFolder) -> None:
    """Finds that a service sees the same manifests, which hold checksums of all shards, and the first record."""
    folders = [places.place(source.path) for source in data.sources] or [data.path.resolve()]
    files = tf.data.Dataset.from_tensor_slices([str(folder / manifests.FILE) for folder in folders])
    record = fetching.record_by_index(data.path.resolve(), data.manifest.split(manifests.SPLITS[0]))
    is_read = tf.data.Dataset.range(1).map(lambda index: tf.strings.substr(record(index), 0, 0))
    named = ", ".join(map(str, folders))
    try:
        found = _answer(address, lambda: remote.made_at(address, files.map(tf.io.read_file).concatenate(is_read)))
    except tf.errors.NotFoundError as error:
        raise InputError(
            f"DATA_SERVICE {address} does not see {named} ({remote.told(error)}): the data must lie there at the "
            f"same path; {remote.REMEDY}."
        ) from error
    if found[:-1] != [_content(folder / manifests.FILE) for folder in folders]:
        raise InputError(f"DATA_SERVICE {address} has other data in {named}: copy them anew; {remote.REMEDY}.")


def _content(path: places.Place) -> bytes:
    with path.open("rb") as file:
        return file.read()
