"""Shared set-up: TensorFlow quiet and on the CPU, and small data folders."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("MPLBACKEND", "Agg")

import numpy as np
import pytest

from ssl3d_tf import quiet

with quiet.greeting():
    import tensorflow as tf

from ssl3d_tf import train
from ssl3d_tf.command import configuration
from ssl3d_tf.data import synthetic
from ssl3d_tf.data.records import manifest as manifests
from ssl3d_tf.data.records import schema, writer
from ssl3d_tf.evaluation import overlays
from ssl3d_tf.evaluation import report as finetuning_report
from ssl3d_tf.search import report as search_report

# Two devices, for the tests of several replicas; everything else uses the first.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)


def two_replicas():
    """A strategy over two CPU devices; by copies, as the collectives of two strategies in one process get mixed up."""
    copies = tf.distribute.ReductionToOneDevice()
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"], cross_device_ops=copies)


def make_folder(folder, *, counts, shapes, dtype="uint8", codec="raw", channels=1, masks=True, label=lambda i: [i % 2]):
    """A data folder of random volumes; example i of a split has shapes[i % len(shapes)]; returns them by split."""
    folder.mkdir(parents=True, exist_ok=True)
    rng, splits, examples = np.random.default_rng(0), {}, {}
    rank = len(shapes[0])
    for split, count in counts.items():
        examples[split] = [
            schema.Example(
                id=f"{split}{i}",
                patient=f"p{i}",
                volume=rng.integers(1, 255, (*shapes[i % len(shapes)], channels)).astype(dtype),
                scale=[1 / 255] * channels,
                offset=[0.0] * channels,
                spacing_mm=[1.0] * rank,
                affine=np.eye(4),
                source={},
                mask=rng.integers(1, 3, shapes[i % len(shapes)]).astype("uint8") if masks else None,
                label=[float(value) for value in label(i)],
            )
            for i in range(count)
        ]
        halves = [examples[split][: count // 2], examples[split][count // 2 :]]  # two shards
        shards, entries = [], []
        for number, half in enumerate(halves):
            path = folder / f"{split}-{number}.tfrecord"
            payloads = [schema.encode(example, codec) for example in half]
            shard, locations = writer.write_shard(path, payloads)
            shards.append(shard)
            entries += [
                manifests.Entry(
                    e.id,
                    e.patient,
                    number,
                    *at,
                    e.volume.shape,
                    tuple(e.label),
                    counts=_counts(e),
                    stored=schema.stored(payload),
                )
                for e, at, payload in zip(half, locations, payloads, strict=True)
            ]
        splits[split] = manifests.Split(tuple(shards), tuple(entries))
    manifests.write(
        folder,
        manifests.Manifest(
            name="random",
            rank=rank,
            channels=tuple(f"channel{c}" for c in range(channels)),
            modality="MR",
            classes={},
            dtypes=(dtype,),
            mask_dtypes=("uint8",) if masks else (),
            codec=codec,
            label_size=len(label(0)),
            recipe={"made": "by conftest"},
            splits=splits,
        ),
    )
    return examples


def _counts(example):
    values, counts = np.unique([] if example.mask is None else example.mask, return_counts=True)
    return None if example.mask is None else dict(zip(map(str, values.tolist()), counts.tolist(), strict=True))


@pytest.fixture(scope="session")
def volumes_3d(tmp_path_factory):
    """(folder, examples by split): 14 training and 5 validation volumes of three shapes, some below 12 voxels."""
    folder = tmp_path_factory.mktemp("volumes_3d")
    return folder, make_folder(folder, counts={"train": 14, "val": 5}, shapes=[(14, 13, 16), (12, 12, 12), (9, 15, 12)])


SIDE = 16  # voxels, of the phantoms below
TINY = ("BATCH_SIZE=2", "FILTERS=2", "LEVELS=1", f"VIEW_SIZE={SIDE}")  # a network for them


@pytest.fixture(scope="session")
def phantoms_2d(tmp_path_factory):
    """A data folder of ten phantoms with masks and labels: six to train on, two to validate, two to test."""
    folder = tmp_path_factory.mktemp("phantoms_2d") / "data"
    synthetic.write_dataset(folder, shape=(SIDE, SIDE), counts={"train": 6, "val": 2, "test": 2})
    return folder


@pytest.fixture(scope="session")
def rotation(phantoms_2d, tmp_path_factory):
    """The workdir of a pretraining run of one step on them."""
    workdir = tmp_path_factory.mktemp("pretrained") / "rotation"
    train.pretrain(configuration.Sources(("gin/rotation_2d.gin",), (*TINY, "STEPS=1")), phantoms_2d, workdir)
    return workdir


@pytest.fixture
def undrawn(monkeypatch):
    """Finetuning and searches without pages and pictures: most of a tiny run's time, and tested on whole ones."""
    for each in (finetuning_report, search_report):
        monkeypatch.setattr(each, "write", lambda *_: None)
    monkeypatch.setattr(overlays, "draw", lambda *_, **__: None)
