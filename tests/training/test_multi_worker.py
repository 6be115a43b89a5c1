"""Two processes that train one model, as users start them: the same losses as one, and they end and go on together."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from ssl3d_tf.command import configuration
from ssl3d_tf.command.home import ROOT
from ssl3d_tf.data import synthetic
from ssl3d_tf.errors import InputError
from ssl3d_tf.experiment import pretraining
from ssl3d_tf.training import strategies, workers

STEPS = 16
KNOBS = (
    *("BATCH_SIZE=4", "FILTERS=2", "LEVELS=1", "VIEW_SIZE=16", "NORM='none'", f"STEPS={STEPS}", "WARMUP_STEPS=2"),
    *("LOG_EVERY=1", "SAVE_EVERY=5", "EVAL_EVERY=8", "PATCHES_PER_SIDE=4", "CODE_SIZE=8"),
)
SOURCES = configuration.Sources(("gin/cpc_2d.gin",), KNOBS)
COMMAND = "from ssl3d_tf.training import workers; workers.HEARTBEAT_S = 10; from ssl3d_tf import train; train.command()"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("several") / "data"
    synthetic.write_dataset(folder, shape=(16, 16), counts={"train": 12, "val": 4})
    return folder


class Two:
    """Two workers of the command in one workdir, begun."""

    def __init__(self, data, workdir, *more):
        self.logs = [workdir.parent / f"{workdir.name}-{time.monotonic_ns()}-{index}" for index in range(2)]
        flags = ["--gin_file=gin/cpc_2d.gin", f"--data={data}", f"--workdir={workdir}"]
        flags += [f"--gin_param={knob}" for knob in (*KNOBS, "STRATEGY='multi_worker'")]
        addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
        self.processes = []
        for index, log in enumerate(self.logs):
            task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
            environment = {**os.environ, "TF_CONFIG": json.dumps(task), "CUDA_VISIBLE_DEVICES": "-1"}
            own = more[index] if more else []
            with log.open("w") as file:
                command = [sys.executable, "-c", COMMAND, *flags, *own]
                self.processes.append(
                    subprocess.Popen(command, cwd=ROOT, env=environment, stdout=file, stderr=subprocess.STDOUT)
                )

    def signal(self, index, number, *, after_step):
        """Sends a signal to a worker once both have done a step."""
        began = time.monotonic()
        while not all(f"step {after_step}/" in text for text in self.said()):
            assert all(process.poll() is None for process in self.processes), self.said()
            assert time.monotonic() - began < 300
            time.sleep(0.02)
        self.processes[index].send_signal(number)

    def ended(self):
        """Exit codes, and seconds until the last of them."""
        began = time.monotonic()
        try:
            return [process.wait(300) for process in self.processes], time.monotonic() - began
        finally:
            for process in self.processes:
                process.kill()

    def said(self):
        return [log.read_text() for log in self.logs]


def free_ports(count):
    held = [socket.socket() for _ in range(count)]
    for each in held:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


def log_of(workdir):
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in ("examples_per_s", "stall_fraction")} for line in lines]


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """Workdir of a run of two that nobody disturbed."""
    workdir = tmp_path_factory.mktemp("whole") / "run"
    two = Two(data, workdir)
    assert two.ended()[0] == [0, 0], two.said()
    return workdir


def test_two_processes_have_the_losses_of_one(data, whole, tmp_path):
    pretraining.pretrain(SOURCES, data, tmp_path / "one")
    for one, two in zip(log_of(tmp_path / "one"), log_of(whole), strict=True):
        assert one.keys() == two.keys()
        np.testing.assert_allclose([*one.values()], [*two.values()], rtol=2e-3, atol=1e-6)


def test_they_end_together_and_go_on_bit_for_bit(data, whole, tmp_path):
    workdir = tmp_path / "run"
    two = Two(data, workdir)
    two.signal(1, signal.SIGTERM, after_step=2)
    assert two.ended()[0] == [0, 0]
    stops = [re.search(r"SIGTERM: stopped after step (\d+) of 16, saved", text) for text in two.said()]
    assert stops[0].group() == stops[1].group()
    two = Two(data, workdir)
    two.signal(1, signal.SIGKILL, after_step=(stopped := int(stops[0].group(1))) + 2)
    codes, seconds = two.ended()
    assert codes == [1, -signal.SIGKILL]
    assert seconds < 60
    saved = max(int(path.stem[5:]) for path in (workdir / "checkpoints").glob("*.index"))
    *_, last = two.said()[0].splitlines()
    assert re.fullmatch(
        rf"worker 1 \(127\.0\.0\.1:\d+\) has ended, or .*: start all again as before, they go on from step {saved}\.",
        last,
    )
    two = Two(data, workdir)
    assert two.ended()[0] == [0, 0]
    assert saved >= stopped
    assert f"Goes on at step {saved} of 16" in two.said()[1]
    assert log_of(workdir) == log_of(whole)


def test_workers_of_different_commands_are_refused_by_all(data, tmp_path):
    two = Two(data, tmp_path / "run", ["--gin_param=SEED=1"], [])
    assert two.ended()[0] == [1, 1]
    for text in two.said():
        assert text.splitlines()[-1] == (
            "the workers of TF_CONFIG do not begin with the same configuration: give all of them the same command."
        )
    assert {path.name for path in (tmp_path / "run").rglob("*")} <= {".worker-1", ".lock"}  # it is nobody's run yet


def test_workers_that_begin_at_different_steps_are_refused():
    with pytest.raises(InputError, match=r"same step \(4, 0\): --workdir must be one folder that all of them see"):
        workers.check_alike(lambda mine: np.array([mine, [0, *mine[1:]]]), step=4, configuration="a", data="b")
    workers.check_alike(lambda mine: np.array([mine, mine]), step=4, configuration="a", data="b")


def test_what_the_first_worker_scored_counts():
    assert workers.of_first(lambda mine: np.array([[1.5, 2.5], mine]), {"a": 1.0, "b": 2.0}) == {"a": 1.5, "b": 2.5}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "STRATEGY is 'multi_worker', and TF_CONFIG is not set: give each process one such as"),
        ("{", r"TF_CONFIG is \{ \(JSONDecodeError"),
        ('{"cluster": {"worker": ["a:1"]}}', "KeyError: 'task'"),
        ('{"cluster": {"chief": ["a:1"], "worker": ["b:1"]}, "task": {"type": "worker", "index": 0}}', "chief, worker"),
        ('{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 2}}', "index 2 of a:1, b:1"),
        ('{"cluster": {"worker": ["a:1", "a:1"]}, "task": {"type": "worker", "index": 0}}', "index 0 of a:1, a:1"),
    ],
)
def test_a_tf_config_that_is_not_right_is_one_line(text, message, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if text is not None:
        monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(InputError, match=message):
        strategies.devices("multi_worker")
