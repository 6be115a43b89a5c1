"""Views made by services, as users start them: the same batches as without, and one line where one is lost."""

import itertools
import json
import re
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from ssl3d_tf.command import configuration
from ssl3d_tf.command.home import ROOT
from ssl3d_tf.data import folders, mixing, pipeline, remote, service, serving, synthetic
from ssl3d_tf.errors import InputError
from ssl3d_tf.experiment import auditing, pretraining
from ssl3d_tf.training import journal
from tests.conftest import make_folder, two_replicas
from tests.data.test_pipeline import SIZE, identity_task

KNOBS = (
    *(
        "BATCH_SIZE=4",
        "FILTERS=2",
        "LEVELS=1",
        "VIEW_SIZE=16",
        "NORM='none'",
        "STEPS=24",
        "LOG_EVERY=1",
        "SAVE_EVERY=4",
    ),
    *("EVAL_EVERY=12", "PATCHES_PER_SIDE=4", "CODE_SIZE=8", "VIEWS_ON='host'", "ACCUMULATE=2"),
)


class Serving:
    """`python -m ssl3d_tf.serve` on loopback, begun; on the two ports from `port` on."""

    def __init__(self, port, folder):
        self.address, self.log = f"grpc://localhost:{port}", folder / f"{port}-{time.monotonic_ns()}"
        command = [sys.executable, "-m", "ssl3d_tf.serve", f"--port={port}", "--host=localhost"]
        with self.log.open("w") as file:
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT)

    def wait(self):
        """Until it serves."""
        while "without a password" not in self.log.read_text():
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.05)
        return self

    def end(self, number=signal.SIGTERM):
        """Exit code, and what it said."""
        self.process.send_signal(number)
        return self.process.wait(60), self.log.read_text()


def free_port():
    """The first of two that nobody has."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("", 0))
            port = first.getsockname()[1]
            try:
                second.bind(("", port + 1))
            except OSError:
                continue
            return port


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Two services; what they say is looked at in the end."""
    begun = [Serving(free_port(), tmp_path_factory.mktemp("serving")) for _ in range(2)]
    yield [one.wait() for one in begun]
    for one in begun:
        if one.process.returncode is None:
            code, said = one.end()
            assert code == 0
            first, warning, last = said.splitlines()
            assert first.endswith(f"makes views for VIEWS_ON='host' with DATA_SERVICE='{one.address}'.")
            assert "run any graph that they are sent, without a password" in warning
            assert last == "SIGTERM: ended."


def read(data, **options):
    sizes = {"rank": 3, "view_size": SIZE, "batch_size": 4, "seed": 7, "split": "train", "training": True}
    return pipeline.read(data, identity_task(), **{**sizes, "views_on": "host", **options})


def taken(data, steps, *place):
    return [(index.numpy(), views.numpy()) for index, (views, _) in itertools.islice(data.dataset(*place), steps)]


def same(left, right):
    return len(left) == len(right) and all(map(np.array_equal, itertools.chain(*left), itertools.chain(*right)))


@pytest.mark.parametrize(("count", "place"), [(1, (5,)), (2, (3, 1, 2, 2))])
def test_the_batches_are_those_made_here(volumes_3d, two, count, place, monkeypatch):
    monkeypatch.chdir(volumes_3d[0].parent)  # a service is in another folder
    data = folders.open_folder(volumes_3d[0].name)
    own, others = read(data), read(data, data_service=[one.address for one in two[:count]])
    assert same(taken(own, 12, *place), taken(others, 12, *place))


def test_several_folders_are_mixed_as_here(volumes_3d, two, tmp_path, monkeypatch):
    make_folder(tmp_path / "other", counts={"train": 5, "val": 2}, shapes=[(13, 12, 12)])
    monkeypatch.chdir(tmp_path)
    data = mixing.open_folders([str(volumes_3d[0]), "other:0.4"])
    others = read(data, data_service=tuple(one.address for one in two))
    assert same(taken(read(data), 9, 1), taken(others, 9, 1))


def test_large_views_made_one_by_one_are_the_same(two, tmp_path):
    make_folder(tmp_path, counts={"train": 2}, shapes=[(64, 64, 64)])
    data, large = folders.open_folder(tmp_path), {"view_size": 64, "batch_size": 2}
    assert same(taken(read(data, **large), 3), taken(read(data, data_service=two[0].address, **large), 3))


def test_two_devices_get_their_shares(volumes_3d, two):
    data, strategy = folders.open_folder(volumes_3d[0]), two_replicas()

    def steps(**options):
        made = read(data, **options)
        batches = strategy.distribute_datasets_from_function(lambda _: made.dataset(2, 0, 1, 2))
        return [[one.numpy() for one in index.values] for index, _ in itertools.islice(batches, 5)]

    assert same(steps(), steps(data_service=[one.address for one in two]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data_service": "localhost:5050"}, r"DATA_SERVICE has 'localhost:5050'; an address is grpc://HOST:PORT, as"),
        ({"data_service": ("grpc://a:1", "grpc://a:1")}, r"DATA_SERVICE has grpc://a:1 2 times: give each"),
        ({"data_service": (5050,)}, r"DATA_SERVICE has 5050; an address"),
        ({"data_service": "grpc://a:1", "views_on": "device"}, r"VIEWS_ON is 'device': set it to 'host'\.$"),
        (
            {"data_service": "grpc://a:1", "cache_gb": 1.0},
            r"CACHE_GB is 1, and with DATA_SERVICE .*: set it to 0\.0\.$",
        ),
        ({"data_service": "grpc://a:1", "training": False}, r"DATA_SERVICE is for batches of training: bind train/"),
    ],
)
def test_what_cannot_be_is_one_line(volumes_3d, options, message):
    with pytest.raises(InputError, match=message):
        read(folders.open_folder(volumes_3d[0]), **options)


def refused(data, address, message):
    with pytest.raises(InputError, match=f"^DATA_SERVICE {address} {message}") as raised:
        read(data, data_service=address)
    assert "\n" not in str(raised.value)


def test_an_address_where_nobody_is_or_somebody_else_is_one_line(volumes_3d, two, monkeypatch):
    monkeypatch.setattr(service, "ARRIVAL_S", 1)
    data = folders.open_folder(volumes_3d[0])
    refused(
        data, f"grpc://localhost:{free_port()}", r"does not answer within 1 seconds: is python -m ssl3d_tf.serve --port"
    )
    with socket.create_server(("", 0)) as other:
        refused(data, f"grpc://localhost:{other.getsockname()[1]}", "does not answer within 1 seconds")
    api = tf.data.experimental.service
    stranger = api.DispatchServer(api.DispatcherConfig(port=0, protocol="grpc"))
    refused(data, stranger.target, "is a tf.data service, but none of python -m ssl3d_tf.serve: start that")
    about = tf.data.Dataset.from_tensors("{}")
    api.register_dataset(stranger.target, about, compression=None, dataset_id=service.ABOUT)
    monkeypatch.setattr(service, "ANSWER_S", 1)  # it has no worker, which is as if that could not be reached
    refused(data, stranger.target, r"answers, but hands out nothing: its second port .* --host=NAME")


def test_another_version_is_refused(volumes_3d, two, monkeypatch):
    monkeypatch.setattr(service, "__version__", "0.0")
    here = rf"this machine ssl3d_tf 0\.0 and tensorflow {re.escape(tf.__version__)}: install the same on both\.$"
    refused(folders.open_folder(volumes_3d[0]), two[0].address, rf"has ssl3d_tf \S+ and tensorflow \S+, {here}")


def test_data_that_it_does_not_see_or_that_differ_are_refused(two, tmp_path, monkeypatch):
    make_folder(tmp_path / "data", counts={"train": 4}, shapes=[(SIZE,) * 3])
    data, address = folders.open_folder(tmp_path / "data"), two[0].address
    monkeypatch.setattr(service, "_content", lambda path: b"of this machine")
    refused(data, address, f"has other data in {tmp_path}/data: copy them anew; without")
    (tmp_path / "data").rename(tmp_path / "moved")
    refused(data, address, rf"does not see {tmp_path}/data \(.*manifest.json.*\): the data must lie there at the same")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures") / "data"
    synthetic.write_dataset(folder, shape=(16, 16), counts={"train": 12, "val": 4})
    return folder


def pretrain(data, workdir, *knobs):
    pretraining.pretrain(configuration.Sources(("gin/cpc_2d.gin",), (*KNOBS, *knobs)), data, workdir)
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in ("examples_per_s", "stall_fraction")} for line in lines]


def test_a_run_whose_service_is_silent_ends_in_a_line_and_goes_on_without_it(pictures, two, tmp_path, monkeypatch):
    monkeypatch.setattr(remote, "SILENCE_S", 1)
    monkeypatch.setattr(remote, "_ANSWER_S", 1)
    steps, advance, lost = itertools.count(1), journal.Journal.advance, two[1]

    def advance_and_stop(self):
        advance(self)
        if next(steps) == 6:
            lost.process.send_signal(signal.SIGSTOP)  # its port stays open

    with monkeypatch.context() as striking:
        striking.setattr(journal.Journal, "advance", advance_and_stop)
        began = time.monotonic()
        try:
            with pytest.raises(InputError) as raised:
                pretrain(pictures, tmp_path / "run", f"DATA_SERVICE=('{two[0].address}', '{lost.address}')")
        finally:
            lost.process.send_signal(signal.SIGCONT)
    assert str(raised.value) == (
        f"DATA_SERVICE {lost.address} does not answer any more: mend that, and the same command goes on from the last "
        "save; without DATA_SERVICE the same batches are made here."
    )
    assert time.monotonic() - began < 60
    opened = auditing._open(tmp_path / "run", (), None, ())  # of the run's own configuration
    assert opened.settings.train_data(opened.data, opened.settings.task).services == ()
    assert pretrain(pictures, tmp_path / "run", "DATA_SERVICE=()") == pretrain(pictures, tmp_path / "whole")
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["data_service"] == [two[0].address, lost.address]
    assert "extended" not in record
    del raised


def test_a_service_that_was_started_anew_is_told(volumes_3d, two, tmp_path):
    data = read(folders.open_folder(volumes_3d[0]), data_service=two[1].address)
    batches = iter(data.dataset())
    next(batches)
    assert two[1].end(signal.SIGKILL)[0] == -signal.SIGKILL
    anew = Serving(int(two[1].address.rpartition(":")[2]), tmp_path)
    with pytest.raises(tf.errors.FailedPreconditionError):
        for _ in batches:
            pass
    anew.wait()
    with pytest.raises(InputError, match=rf"^DATA_SERVICE {two[1].address} (has ended or was started anew|does not)"):
        service.check(data.services)
    assert anew.end(signal.SIGINT)[0] == 0


def test_a_port_that_is_taken_is_one_line(two):
    port = int(two[0].address.rpartition(":")[2])
    for first in (port, port - 1):
        with pytest.raises(
            InputError, match=rf"^--port: port {port} is in use; a service takes two, give the first of"
        ):
            serving.check_free(first)
