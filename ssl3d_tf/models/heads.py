"""Heads: builders of (features, units) -> float32 logits [batch, units], without softmax.

`features` is an encoder's output, a map [batch, *spatial, channels] of fixed size or a vector [batch, channels];
a map is flattened, or first pooled over all of its voxels.
"""

from collections.abc import Callable, Sequence

import keras

from ssl3d_tf.errors import InputError

Head = Callable[[keras.KerasTensor, int], keras.KerasTensor]

_POOLINGS = {"avg": "GlobalAveragePooling{}D", "max": "GlobalMaxPooling{}D"}


def big_fully(*, dropout: float = 0.5, pooling: str | None = None) -> Head:
    """Dense 2048 and 1024, each with ReLU, batch norm and dropout, then the output.

    Args:
        dropout: share of values dropped after each hidden layer.
        pooling: over all voxels before the first layer: 'avg', 'max', or None to flatten.
    """
    return _head((2048, 1024), pooling, dropout=dropout, batch_norm=True)


def simple_multiclass(*, dropout: float = 0.5, pooling: str | None = None) -> Head:
    """Dense 1024 with ReLU, batch norm and dropout, then the output; arguments as `big_fully`."""
    return _head((1024,), pooling, dropout=dropout, batch_norm=True)


def mlp(widths: Sequence[int] = (1024, 1024), *, dropout: float = 0.0, pooling: str | None = None) -> Head:
    """Dense layers of these widths with ReLU and dropout, no norm, then the output; arguments as `big_fully`."""
    return _head(widths, pooling, dropout=dropout, batch_norm=False)


def linear(*, pooling: str | None = None) -> Head:
    """The output alone; `pooling` as in `big_fully`."""
    return _head((), pooling, dropout=0.0, batch_norm=False)


def as_vector(features: keras.KerasTensor, pooling: str | None) -> keras.KerasTensor:
    """Pools or flattens a map to [batch, channels]; a vector stays as it is.

    Raises:
        InputError: no such pooling, or a map of unknown size that is not pooled.
    """
    rank = len(features.shape) - 2
    if pooling not in (None, *_POOLINGS):
        raise InputError(f"pooling is '{pooling}'; it must be one of {', '.join(_POOLINGS)} or None.")
    if rank == 0:
        return features
    if pooling:
        return getattr(keras.layers, _POOLINGS[pooling].format(rank))()(features)
    if None in features.shape[1:]:
        raise InputError(f"features {features.shape} have no fixed size to flatten; fix the view or set pooling.")
    return keras.layers.Flatten()(features)


def _head(widths: Sequence[int], pooling: str | None, *, dropout: float, batch_norm: bool) -> Head:
    def head(features: keras.KerasTensor, units: int) -> keras.KerasTensor:
        hidden = as_vector(features, pooling)
        for number, width in enumerate(widths, start=1):
            hidden = keras.layers.Dense(width, activation="relu", name=f"head_dense{number}")(hidden)
            if batch_norm:
                hidden = keras.layers.BatchNormalization(name=f"head_norm{number}")(hidden)
            hidden = keras.layers.Dropout(dropout, name=f"head_dropout{number}")(hidden)
        # float32 whatever the precision: bfloat16 logits round a softmax to two digits.
        return keras.layers.Dense(units, dtype="float32", name="logits")(hidden)

    return head
