"""This project: records by index, `pipeline.read` with views on the host."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import tensorflow as tf

from benchmarks.peers.jobs import (
    BATCH,
    BRIGHTNESS,
    CONTRAST,
    CPC_SIDE,
    CROP,
    DEGREES,
    GRID,
    NOISE,
    P_INTENSITY,
    P_NOISE,
    P_ROTATION,
    SIDE,
    ZOOM,
)
from ssl3d_tf.data import folders, pipeline
from ssl3d_tf.task import Batch, Op, Params, Seed, Task, Volumes
from ssl3d_tf.tasks import cpc, rotation
from ssl3d_tf.views import affine, augment, patches, volumes
from ssl3d_tf.views.volumes import Turn

VARIANTS = ("from disk", "CACHE_GB=1")


def batches(job: str, folder: Path, variant: str) -> Iterator[tf.Tensor]:
    """Endless batches [4, ..., 1] or [4, 27, ..., 1], shuffled anew every epoch."""
    view_size, task = {
        "read": (SIDE, _changing(augment.identity())),
        "grid": (GRID, _grid()),
        "exact": (CROP, _turning((*volumes.all_turns(3), *map(_mirrored, volumes.all_turns(3))))),
        "augment": (CROP, _changing(_augment())),
        "turns": (SIDE, _turning(rotation.about_axes())),
        "exemplar": (SIDE, _changing(_exemplar())),
        "cpc": (SIDE, _cpc()),
    }[job]
    data = folders.open_folder(folder / "records")
    read = pipeline.read(
        data,
        task,
        split="train",
        training=True,
        rank=3,
        view_size=view_size,
        batch_size=BATCH,
        seed=0,
        views_on="host",
        cache_gb=1.0 if "CACHE" in variant else 0.0,
    )
    return (views[0] for _, views in read.dataset())


def _task(sample: Callable[[Seed], Params], views: Callable[[Batch, Params], Volumes]) -> Task:
    """What the pipeline asks for, and nothing to train."""

    def make_views(batch: Batch, params: Params) -> tuple[Volumes, tuple]:
        return views(batch, params), ()

    return Task(sample, sample, make_views, build_model=_nothing, loss_fn=_nothing, metrics={})


def _nothing(*_: object) -> None:
    raise NotImplementedError


def _changing(op: Op) -> Task:
    return _task(op.sample, lambda batch, params: op.apply(volumes.intensities(batch), params))


def _grid() -> Task:
    """The random crop of 126³ stands for the middle one."""
    cells = patches.grid(GRID, 3, rank=3, jitter=3)

    def views(batch: Batch, offsets: Params) -> Volumes:
        return patches.extract(batch["volume"], cells, offsets, scaling=volumes.scaling(batch))

    return _task(lambda seed: patches.sample_offsets(cells, seed), views)


def _augment() -> Op:
    rotations = affine.rotations(rank=3, degrees=DEGREES, p=P_ROTATION)
    return augment.chain(
        [
            augment.affine(transforms=[affine.flips(rank=3), rotations]),
            augment.intensity(brightness=BRIGHTNESS, contrast=CONTRAST, p=P_INTENSITY),
            augment.noise(deviation=NOISE, p=P_NOISE),
        ]
    )


def _mirrored(turn: Turn) -> Turn:
    """Flips and all turns together are all 48 of both, each as likely: one copy instead of two."""
    return Turn(turn.axes, (not turn.flipped[0], *turn.flipped[1:]))


def _turning(table: Sequence[Turn]) -> Task:
    def sample(seed: Seed) -> Params:
        return tf.random.stateless_uniform([], seed, 0, len(table), tf.int32)

    def views(batch: Batch, label: Params) -> Volumes:
        return volumes.rotate_cube(batch["volume"], label, table, scaling=volumes.scaling(batch))

    return _task(sample, views)


def _cpc() -> Task:
    """As released."""
    made = cpc.task(
        rank=3,
        view_size=SIDE,
        patches_per_side=CPC_SIDE,
        framing=patches.padding(),
        view_crop=0.95,
        standardise_patches=False,
    )
    return made._replace(make_views=lambda batch, params: (made.make_views(batch, params)[0], ()))


def _exemplar() -> Op:
    transforms = [
        affine.flips(rank=3),
        affine.rotations(rank=3, degrees=180.0, p=1.0),
        affine.zoom(rank=3, factor=(1 - ZOOM, 1 + ZOOM), p=1.0),
    ]
    intensity = augment.intensity(brightness=BRIGHTNESS, contrast=CONTRAST, p=P_INTENSITY)
    return augment.chain([augment.affine(transforms=transforms), intensity])
