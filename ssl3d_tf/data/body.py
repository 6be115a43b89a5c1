"""Where examples have body, by what the manifest says: what is air in them, and where a view may begin.

`FOREGROUND` is the share of a view, padding included, that is to be body. It is told by cells
(`records/occupancy.py`), in whole numbers, so that it is decided alike on every machine: as float64, which holds them
exactly and is what matrices of numbers are multiplied in everywhere.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from ssl3d_tf.data.folders import DataFolder
from ssl3d_tf.data.records import columns, mapping, occupancy
from ssl3d_tf.data.records.entry import Entry
from ssl3d_tf.errors import InputError
from ssl3d_tf.views import sizes
from ssl3d_tf.views.sizes import Size

AIR, CELLS = "air", "cells"  # of an example
_PLACES = 17  # tried along an axis: both ends, and the middle between them
_LOOKED_AT = 64  # examples, of which it is told how many cannot hold a share

Known = Callable[[tf.Tensor], Mapping[str, tf.Tensor]]


def by_index(data: DataFolder, entries: Sequence[Entry], *, foreground: float) -> Known:
    """Returns index (int64 scalar) -> what is known of that example, usable in a graph.

    Returns:
        air: float32 [channels], intensity up to which there is air; −∞ of an example that does not say it; not there if
        none does. cells: float64 [*(MOST,) * rank] in 0..FULL, how full they are, 0 behind the last; with `foreground`.

    Raises:
        InputError: as `check`.
    """
    check(data, entries, foreground)
    found = columns.of(entries)
    known = columns.ragged(found, AIR)
    if not known.has.any():
        return lambda index: {}
    air = np.full((len(known.lengths), int(known.lengths.max())), -np.inf, np.float32)
    air[known.has] = known.values.reshape(-1, air.shape[1])
    with tf.device("CPU:0"):  # where the input pipeline runs
        levels, cells = mapping.tensor(air), _cells(found) if foreground else None

    def example(index: tf.Tensor) -> dict[str, tf.Tensor]:
        return {AIR: tf.gather(levels, index)} | ({CELLS: cells(index)} if cells else {})

    return example


def _cells(entries: columns.Columns) -> Callable[[tf.Tensor], tf.Tensor]:
    """index -> float64 [*(MOST,) * rank]."""
    digits, shapes = columns.ragged(entries, CELLS), columns.dense(entries, "shape")[:, :-1]
    text, ends = mapping.tensor(digits.values), mapping.tensor(digits.ends)
    numbers = mapping.tensor(np.minimum(occupancy.MOST, -(-shapes // occupancy.CELL)).astype(np.int32))

    def example(index: tf.Tensor) -> tf.Tensor:
        number, end = tf.gather(numbers, index), tf.gather(ends, index)
        size = tf.cast(tf.reduce_prod(number), tf.int64)
        codes = tf.cast(tf.slice(text, [end - size], [size]), tf.float64)
        values = codes - ord("0") - tf.where(codes < ord("a"), tf.zeros_like(codes), ord("a") - ord("9") - 1)
        missing = tf.pad((occupancy.MOST - number)[:, None], ((0, 0), (1, 0)))
        return tf.ensure_shape(tf.pad(tf.reshape(values, number), missing), (occupancy.MOST,) * shapes.shape[1])

    return example


def check(data: DataFolder, entries: Sequence[Entry], foreground: float) -> None:
    """Raises InputError where views cannot be drawn so: it is no share, or the data do not say where body is."""
    if not 0 <= foreground <= 1:
        raise InputError(f"FOREGROUND is {foreground}; it must be a share of the view, from 0, which is off, to 1.")
    if foreground and not (has := columns.ragged(entries, AIR).has).all():
        first = entries[int(has.argmin())].id
        remedy = "convert them again with --overwrite, of phantoms remove the folder, or set FOREGROUND=0"
        where = f"the data in {data.path} do not say where example '{first}' has body"
        made = "as those that an older version or no conversion made"
        raise InputError(f"FOREGROUND is {foreground:g}, but {where}, {made}: {remedy}.")


def start(
    cells: tf.Tensor, spatial: tf.Tensor, size: Sequence[int], *, foreground: float, seed: tf.Tensor | None
) -> tf.Tensor:
    """Where a view begins that holds the share `foreground` of body, or as much as any: int32 [rank].

    It is one of a lattice of places over all that fit: any of those that hold enough, each as likely, on a lattice of
    its own for every seed; without a seed the one nearest to the centre.

    Args:
        cells: as `by_index` gives it. spatial: int32 [rank], sides of the volume; shorter ones than
            those of the view are padded. size: of the view, [rank]; both in voxels.
    """
    room = tf.maximum(spatial - tf.constant(size, tf.int32), 0)
    places, keys = _lattice(room, seed)
    held, wanted = _held(cells, spatial, size, places), tf.constant(_wanted(size, foreground), tf.float64)
    enough = held >= tf.minimum(wanted, tf.reduce_max(held))
    best = tf.argmax(tf.reshape(tf.where(enough, keys, keys.dtype.min), [-1]))
    chosen = tf.unravel_index(best, tf.constant([_PLACES] * len(size), tf.int64))
    return tf.gather(places, chosen, axis=1, batch_dims=1)


def note(data: DataFolder, view_size: Size, *, foreground: float) -> None:
    """Says how many training volumes have no view that holds the share, so that it is always their best one.

    Of many examples some are looked at, evenly spread over all.
    """
    entries = data.manifest.split("train").entries
    if not foreground or not columns.ragged(entries, AIR).has.all():  # which `check` tells
        return
    size, cells = sizes.sides(view_size, data.manifest.rank), _cells(columns.of(entries))
    shapes = tf.constant(columns.dense(entries, "shape")[:, :-1], tf.int32)

    def most(index: tf.Tensor) -> tf.Tensor:
        places, _ = _lattice(tf.maximum(shapes[index] - tf.constant(size), 0), None)
        return tf.reduce_max(_held(cells(index), shapes[index], size, places))

    step = -(-len(entries) // _LOOKED_AT)
    found = np.array([most(tf.constant(number, tf.int64)) for number in range(0, len(entries), step)])
    too_little = found[found < _wanted(size, foreground)]
    if len(too_little):
        share = too_little.mean() / _wanted(size, 1.0)
        print(
            f"{len(too_little)} of {len(found)} training volumes have no view of {sizes.text(size)} voxels that is "
            f"FOREGROUND {foreground:g} body; their fullest, {share:.2f} on average, is always taken: a smaller "
            "FOREGROUND or VIEW_SIZE has more to draw from.",
            flush=True,
        )


def _wanted(size: Sequence[int], foreground: float) -> int:
    """Voxels of a view, in fifteenths as `_held` counts them, that the share is; rounded, as .3 is not 3 tenths."""
    return math.ceil(round(foreground * occupancy.FULL * math.prod(size), 3))


def _held(cells: tf.Tensor, spatial: tf.Tensor, size: Sequence[int], places: tf.Tensor) -> tf.Tensor:
    """Voxels of body, in fifteenths, in views that begin at `places`, int32 [rank, n]: float64 [*(n,) * rank]."""
    held = cells
    for axis, length in enumerate(size):  # each contracts the first axis that is left, and adds one behind
        held = tf.tensordot(held, _shared(places[axis], length, spatial[axis]), ((0,), (1,)))
    return held


def _lattice(room: tf.Tensor, seed: tf.Tensor | None) -> tuple[tf.Tensor, tf.Tensor]:
    """int32 [rank, places] from 0 to `room`, and a key for each place of the lattice: the highest one is taken."""
    rank, number = room.shape[0], tf.range(_PLACES)
    if seed is None:
        places = room[:, None] * number // (_PLACES - 1)
        apart = tf.unstack(tf.square(2 * places - room[:, None]))
        return places, -sum(tf.reshape(one, (-1, *(1,) * (rank - 1 - axis))) for axis, one in enumerate(apart))
    of_places, of_keys = tf.unstack(tf.random.split(seed, 2))
    steps = tf.cast(number, tf.float32) + tf.random.stateless_uniform((rank, _PLACES), of_places)
    places = tf.cast(steps * (tf.cast(room[:, None] + 1, tf.float32) / _PLACES), tf.int32)
    keys = tf.random.stateless_uniform((_PLACES,) * rank, of_keys, None, None, tf.int32)
    return tf.minimum(places, room[:, None]), keys  # the product of numbers just below may round up


def _shared(places: tf.Tensor, length: int, side: tf.Tensor) -> tf.Tensor:
    """Voxels along an axis that a view at each place shares with each cell: float64 [places, MOST]."""
    number = tf.minimum(occupancy.MOST, -(-side // occupancy.CELL))
    edges = side * tf.minimum(tf.range(occupancy.MOST + 1), number) // number
    ends = tf.minimum(places[:, None] + length, edges[1:])
    return tf.cast(tf.maximum(ends - tf.maximum(places[:, None], edges[:-1]), 0), tf.float64)
