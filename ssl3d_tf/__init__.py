"""Self-supervised pretraining for 3D and 2D medical images in TensorFlow.

What programs of other people may rely on is in `__all__`; the rest may move. None of it is imported before it is used.
"""

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ssl3d_tf.data.datasets import dataset
    from ssl3d_tf.data.folders import open_folder as open_data
    from ssl3d_tf.errors import InputError
    from ssl3d_tf.training.contracts import read_contract as contract
    from ssl3d_tf.training.encoders import load_encoder, load_model

__version__ = "0.4.0"
__all__ = ["InputError", "__version__", "contract", "dataset", "load_encoder", "load_model", "open_data"]

_HOMES = {
    "InputError": ("ssl3d_tf.errors", "InputError"),
    "contract": ("ssl3d_tf.training.contracts", "read_contract"),
    "dataset": ("ssl3d_tf.data.datasets", "dataset"),
    "load_encoder": ("ssl3d_tf.training.encoders", "load_encoder"),
    "load_model": ("ssl3d_tf.training.encoders", "load_model"),
    "open_data": ("ssl3d_tf.data.folders", "open_folder"),
}

# oneDNN's kernels, three to five times as fast as Eigen's in 3D, which TensorFlow turns on by itself only on CPUs with
# VNNI or AMX. It reads this once, when it is imported; a user's own setting stands.
if "tensorflow" not in sys.modules:
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _HOMES[name]
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
