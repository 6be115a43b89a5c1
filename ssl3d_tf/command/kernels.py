"""Which kernels compute: oneDNN's, Eigen's or cuDNN's, for which instructions. They decide speed and last digits.

`ssl3d_tf/__init__.py` turns oneDNN's on. Two machines with other kernels agree to rounding, not to the bit, and on a
GPU two runs do, unless it is told to be deterministic.
"""

import os
import platform
from collections.abc import Mapping

import numpy as np
import tensorflow as tf
from tensorflow.python.util import _pywrap_util_port as ports  # the one place that knows whether oneDNN is on

# Of NumPy's names, those that change what oneDNN and XLA choose, the newest first.
_INSTRUCTIONS = (("AVX-512", {"AVX512_SKX", "X86_V4"}), ("AVX2", {"AVX2", "X86_V3"}), ("SVE", {"SVE"}))


def in_use() -> dict[str, str]:
    """'library' and 'instructions' of the kernels that networks of this process are computed by; for run.json."""
    if devices := tf.config.list_physical_devices("GPU"):
        about = tf.config.experimental.get_device_details(devices[0])
        capability = ".".join(map(str, about.get("compute_capability", ())))
        return {"library": "cuDNN", "instructions": f"{about.get('device_name', 'GPU')} {capability}".strip()}
    return of_cpu()


def of_cpu() -> dict[str, str]:
    """As `in_use`, of what this process computes on its CPU, as views of the input pipeline are."""
    if ports.IsMklEnabled():
        return {"library": "oneDNN", "instructions": _limit() or _instructions()}
    return {"library": "Eigen", "instructions": _instructions()}


def make_deterministic(wanted: bool) -> None:
    """Has every kernel of this process add up in the same order every time, or fail where it cannot.

    On a CPU they do so anyway. There is no way back.
    """
    if wanted:
        tf.config.experimental.enable_op_determinism()


def describe(kernels: Mapping[str, str]) -> str:
    """In words: 'oneDNN kernels (AVX2)'."""
    return f"{kernels['library']} kernels ({kernels['instructions']})"


def opening() -> str:
    """Those of this process in words, and what to do where they are slow for no reason."""
    found = in_use()
    late = found["library"] == "Eigen" and ports.IsX86Available() and "TF_ENABLE_ONEDNN_OPTS" not in os.environ
    return describe(found) + ", slow: import ssl3d_tf before tensorflow" * late


def _instructions() -> str:
    """The newest set that this CPU has."""
    extensions = np.show_config(mode="dicts")["SIMD Extensions"]
    have = {*extensions.get("baseline", ()), *extensions.get("found", ())}
    return next((name for name, names in _INSTRUCTIONS if have & names), platform.machine())


def _limit() -> str | None:
    """What oneDNN is held to by its own variable, if that is less than AVX-512."""
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper()
    return None if limit.startswith(("AVX512", "AVX10", "DEFAULT", "ALL")) else limit.replace("_", "-") or None
