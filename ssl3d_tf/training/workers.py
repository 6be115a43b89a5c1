"""Several processes that train one model: how they meet (TF_CONFIG), what they agree on, what is said if one ends.

Workers are in step, as each update takes the gradients of all. So they must also end, save and evaluate at the same
step: what one of them knows alone, such as a signal, is told to all before anything is done about it.
"""

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.compiler.xla.tsl.protobuf import (
    coordination_config_pb2 as coordination,
)  # no public way to the timeouts
from tensorflow.python.eager import context

from ssl3d_tf.errors import InputError

HEARTBEAT_S = 20  # after which a worker that says nothing counts as ended; TensorFlow's own is 100
ARRIVAL_S = 600  # in which all must have been started
_EXAMPLE = '{"cluster": {"worker": ["HOST0:2222", "HOST1:2222"]}, "task": {"type": "worker", "index": 0}}'
_REMEDY = f"give each process one such as {_EXAMPLE}, of another index; see docs/pretraining.md"
_TASK = re.compile(r"/job:worker(?:/replica:0)?/task:(\d+)")

# [n] numbers of this process -> float64 [devices, n], those of all, the same in each. All must ask as often.
Meet = Callable[[Sequence[float]], np.ndarray]


def join() -> tf.distribute.Strategy:
    """Waits for all workers of TF_CONFIG; to be called before TensorFlow does anything else.

    Raises:
        InputError: TF_CONFIG is not there or not right, its port is taken, or not all have come in time.
    """
    addresses, index = _cluster()
    print(f"worker {index} of {len(addresses)}, at {addresses[index]}: waits for {', '.join(addresses)}.", flush=True)
    context.context().configure_coordination_service(
        service_type="standalone",
        service_leader="/job:worker/replica:0/task:0",
        cluster_register_timeout_in_ms=1000 * ARRIVAL_S,
        heartbeat_timeout_in_ms=1000 * HEARTBEAT_S,
        coordinated_jobs=[coordination.CoordinatedJob(name="worker", num_tasks=len(addresses))],
    )
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except (tf.errors.OpError, RuntimeError) as error:
        why = str(error).strip().partition("\n")[0]
        remedy = f"is its port free, and was each of them started within {ARRIVAL_S // 60} minutes?"
        raise InputError(f"worker {index} cannot join {', '.join(addresses)} ({why}): {remedy}") from error


def _cluster() -> tuple[list[str], int]:
    """(addresses of all workers, which of them this process is)."""
    text = os.environ.get("TF_CONFIG", "")
    if not text:
        raise InputError(f"STRATEGY is 'multi_worker', and TF_CONFIG is not set: {_REMEDY}.")
    try:
        found = json.loads(text)
        jobs, task = found["cluster"], found["task"]
        addresses, index = [str(each) for each in jobs["worker"]], int(task["index"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"TF_CONFIG is {text} ({type(error).__name__}: {error}): {_REMEDY}.") from error
    if [*jobs] != ["worker"] or task.get("type") != "worker":
        raise InputError(f"TF_CONFIG has the jobs {', '.join(jobs)}, and here all are workers: {_REMEDY}.")
    if not 0 <= index < len(addresses) or len({*addresses}) < len(addresses):
        raise InputError(f"TF_CONFIG says index {index} of {', '.join(addresses)}, each of which is one: {_REMEDY}.")
    return addresses, index


def is_one_of_several(distribution: tf.distribute.Strategy) -> bool:
    """Whether other processes train with this one."""
    return isinstance(distribution, tf.distribute.MultiWorkerMirroredStrategy)


def alone(values: Sequence[float]) -> np.ndarray:
    """The `Meet` of a process that trains by itself."""
    return np.array([values], np.float64)


def meeting(distribution: tf.distribute.Strategy) -> Meet:
    """How the workers of a strategy tell each other what they know."""
    if not is_one_of_several(distribution):
        return alone

    def gather(values: tf.Tensor) -> tf.Tensor:
        return tf.distribute.get_replica_context().all_gather(values[None], axis=0)

    @tf.function(autograph=False)
    def meet(values: tf.Tensor) -> tf.Tensor:
        return distribution.experimental_local_results(distribution.run(gather, args=(values,)))[0]

    return lambda values: meet(tf.constant(values, tf.float64)).numpy()


def of_first(meet: Meet, scores: Mapping[str, float]) -> dict[str, float]:
    """The scores that the first worker found: where kernels differ, the last digits of others do."""
    return dict(zip(scores, meet([*scores.values()])[0].tolist(), strict=True))


def check_alike(meet: Meet, *, step: int, configuration: str, data: str) -> None:
    """Finds that all workers are about to train the same.

    Args:
        step: of the checkpoint that they begin with. configuration: its text. data: checksum.

    Raises:
        InputError: they are not, in every one of them.
    """
    remedies = {
        "step": "--workdir must be one folder that all of them see",
        "configuration": "give all of them the same command",
        "data": "give all of them the same --data",
    }
    mine = [step, *(int.from_bytes(_digest(text), "big") for text in (configuration, data))]
    for (what, remedy), found in zip(remedies.items(), meet(mine).T, strict=True):
        if len({*found}) > 1:
            steps = f" ({', '.join(f'{one:.0f}' for one in found)})" if what == "step" else ""
            raise InputError(f"the workers of TF_CONFIG do not begin with the same {what}{steps}: {remedy}.")


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:6]  # which float64 holds exactly


@contextlib.contextmanager
def told_if_one_ends(distribution: tf.distribute.Strategy, newest_step: Callable[[], int]) -> Iterator[None]:
    """Turns what TensorFlow says when another worker has ended into a line; at the end all wait for each other.

    Raises:
        InputError: another worker has ended before the work was done.
    """
    if not is_one_of_several(distribution):
        yield
        return
    try:
        yield
        meeting(distribution)([0])  # who ends while others still write would be missed by them
    except tf.errors.OpError as error:
        if not _is_of_another(error):
            raise
        saved = newest_step()
        then = f"they go on from step {saved}" if saved else "nothing was saved yet, so they begin anew"
        raise InputError(
            f"{_who(error)} has ended, or cannot be reached, which its own last line may explain: start all again as "
            f"before, {then}."
        ) from error


def _is_of_another(error: tf.errors.OpError) -> bool:
    lost: tuple[Any, ...] = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.DeadlineExceededError)
    return isinstance(error, lost) or "ollective" in str(error)


def _who(error: tf.errors.OpError) -> str:
    """Which worker an error is about; the first one, to whom all report, is known by its silence."""
    addresses, index = _cluster()
    named = {int(number) for number in _TASK.findall(str(error))} - {index}
    if not named and index and "connect" in str(error):
        named = {0}
    return f"worker {min(named)} ({addresses[min(named)]})" if named else "another worker of TF_CONFIG"
