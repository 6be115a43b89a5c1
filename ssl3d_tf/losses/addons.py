"""The pieces of tensorflow-addons in use; nothing else imports it.

Its package imports parts of Keras 2 that are gone. So its submodules are imported under a bare package of that name,
with a stand-in for the one type they name in annotations. DECISIONS.md says when this goes.
"""

import functools
import importlib
import importlib.util
import sys
import types
from collections.abc import Callable

import tensorflow as tf

from ssl3d_tf.errors import InputError

_ENGINE = "keras.src.engine"  # of Keras 2


@functools.cache
def triplet_semihard_loss() -> Callable[..., tf.Tensor]:
    """(labels [n], embeddings [n, d], margin) -> scalar. Schroff et al., 2015, arXiv:1503.03832, section 3.2.

    Raises:
        InputError: tensorflow-addons is not installed.
    """
    return _module("losses.triplet").triplet_semihard_loss


def _module(name: str) -> types.ModuleType:
    found = importlib.util.find_spec("tensorflow_addons")
    if found is None or not found.submodule_search_locations:
        version = ".".join(map(str, sys.version_info[:2]))
        raise InputError(
            f"triplet_semihard needs tensorflow-addons, which is for Python up to 3.11; this is {version} without it: "
            "use Python 3.11, or pairs.nt_xent or pairs.triplet."
        )
    _stand_in("tensorflow_addons", __path__=list(found.submodule_search_locations))
    keras_tensor = _stand_in(f"{_ENGINE}.keras_tensor", KerasTensor=tf.Tensor)
    _stand_in(_ENGINE, __path__=[], keras_tensor=keras_tensor)
    return importlib.import_module(f"tensorflow_addons.{name}")


def _stand_in(name: str, **content: object) -> types.ModuleType:
    """The module of that name, made with this content where there is none yet."""
    if name not in sys.modules:
        sys.modules[name] = types.ModuleType(name)
        vars(sys.modules[name]).update(content)
    return sys.modules[name]
