"""The comparison with other libraries: its gate lets only the job through; what is measured is never asserted."""

import json
import subprocess
import sys

import numpy as np
import pytest

from benchmarks.peers import folders, gate, jobs, processes, with_numpy, with_original, with_ours
from ssl3d_tf.command import configuration

HERE = {with_ours: tuple(jobs.JOBS), with_numpy: ("read", "grid", "exact", "turns"), with_original: ("grid", "cpc")}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Phantoms and ramps, 12 of each."""
    folder = tmp_path_factory.mktemp("peers")
    for kind in ("ramps", "phantoms12"):
        folders.made(folder / kind, count=12, ramps=kind == "ramps")
    return folder


def taken(peer, job, folder, count):
    batches = iter(peer.batches(job, folder, peer.VARIANTS[0]))
    return gate.without_channels(np.stack([np.array(next(batches)) for _ in range(count)]), job)


def ramps(side, number, *, change=lambda ramp: ramp):
    """[number, 4, side, side, side] along axis 0, 1, 2, 0, ..."""
    volumes = [folders.volume(index, side=jobs.SIDE, ramps=True) / np.float32(jobs.TOP) for index in range(12)]
    changed = [change(volumes[index % 12])[:side, :side, :side] for index in range(4 * number)]
    return np.reshape(changed, (number, 4, side, side, side)).astype(np.float32)


@pytest.mark.parametrize(
    ("peer", "job"), [(peer, job) for peer, own in HERE.items() for job in own if job != "read"], ids=str
)
def test_peers_do_their_jobs(root, peer, job):
    assert gate.faults(job, taken(peer, job, root / "ramps", gate.BATCHES[job]), np.array([])) == []


@pytest.mark.parametrize("peer", [with_ours, with_numpy, with_original], ids=str)
def test_reading_hands_out_the_volumes_themselves(root, peer):
    volumes = np.array([np.load(path) for path in sorted((root / "phantoms12" / "float32").iterdir())])
    assert gate.faults("read", taken(peer, "read", root / "phantoms12", 12), volumes) == []


def test_the_gate_stops_what_is_not_shuffled_or_not_scaled(root):
    volumes = np.array([np.load(path) for path in sorted((root / "phantoms12" / "float32").iterdir())])
    in_order = np.tile(volumes, (4, 1, 1, 1)).reshape(12, 4, *volumes.shape[1:])
    assert any("shuffled" in fault for fault in gate.faults("read", in_order, volumes))
    assert any("differs" in fault for fault in gate.faults("read", in_order * 2, volumes))


@pytest.mark.parametrize(("job", "shape"), [("turns", (1, 4, 128, 128, 128)), ("grid", (1, 4, 27, 39, 39, 39))])
@pytest.mark.parametrize("place", [-1, -4])
def test_the_channel_may_be_last_or_before_space(job, shape, place):
    with_channel = np.expand_dims(np.zeros(shape, np.float32), place)
    assert gate.without_channels(with_channel, job).shape == gate.without_channels(np.zeros(shape), job).shape == shape


def test_the_gate_stops_another_shape_or_dtype():
    assert "not float32" in gate.faults("turns", ramps(96, 1), np.array([]))[0]
    assert "not float32" in gate.faults("turns", ramps(128, 1).astype(np.float64), np.array([]))[0]


def test_the_gate_stops_crops_that_are_not_flipped_or_always_at_one_place():
    found = gate.faults("exact", ramps(96, 24), np.array([]))
    assert any("down" in fault for fault in found)
    assert any("crops begin" in fault for fault in found)


def test_the_gate_stops_what_is_neither_rotated_nor_noisy():
    found = " ".join(gate.faults("augment", ramps(96, 12), np.array([])))
    assert all(word in found for word in ("flipped", "rotated", "contrast", "noisy"))


def test_the_gate_stops_an_exemplar_that_stays_as_it_is():
    assert any("rotated" in fault for fault in gate.faults("exemplar", ramps(128, 3), np.array([])))


def test_the_gate_stops_cpc_without_frames_or_flips():
    patches = ramps(32, 3)[:, :, None]
    found = " ".join(gate.faults("cpc", patches, np.array([])))
    assert all(word in found for word in ("without a frame", "flipped"))


def test_the_gate_stops_patches_outside_their_cells(root):
    patches = taken(with_numpy, "grid", root / "ramps", 6)
    assert gate.faults("grid", patches, np.array([])) == []
    assert any("begin" in fault for fault in gate.faults("grid", patches[:, :, ::-1], np.array([])))


def test_the_process_tree_has_its_children():
    with subprocess.Popen(["sh", "-c", "sleep 30 & wait"]) as process:
        try:
            while len(processes.tree(process.pid)) < 2:
                pass
            assert processes.memory_mb(process.pid) > 0
        finally:
            for pid in reversed(processes.tree(process.pid)):
                subprocess.run(["kill", str(pid)], check=True)


# The command without waiting for a quiet machine, as tests that run beside this one never make it.
HURRIED = """
from benchmarks.peers import __main__ as command
command._REST_MOST_S = 0
command.define_flags()
command.cli.run(command.main)
"""


def test_the_command_prints_a_table_and_refuses_an_unknown_job(root, tmp_path):
    options = [f"--folder={root}", "--volumes=12", "--rounds=1", "--seconds=0.05", f"--json={tmp_path / 'out.json'}"]
    run = {"cwd": configuration.ROOT, "capture_output": True, "text": True, "check": False}
    unknown = subprocess.run([sys.executable, "-m", "benchmarks.peers", *options, "--jobs=J9"], **run)
    assert "--jobs has 'J9'" in unknown.stderr
    chosen = ["--jobs=turns", "--peers=ssl3d_tf,NumPy"]
    done = subprocess.run([sys.executable, "-c", HURRIED, *options, *chosen], **run)
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "out.json").read_text())["jobs"]["turns"]
    assert list(rows) == ["ssl3d_tf, from disk", "ssl3d_tf, CACHE_GB=1", "NumPy, memory map, 2 threads"]
    assert all(row["rates"][0] > 0 and row["memory_mb"] > 0 for row in rows.values())
