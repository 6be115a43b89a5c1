"""python -m ssl3d_tf.train: pretrains an encoder as a gin file says.

    python -m ssl3d_tf.train --gin_file=gin/cpc_3d.gin                                     phantoms, runs/cpc_3d-1
    python -m ssl3d_tf.train --gin_file=gin/cpc_3d.gin --data=DATA --workdir=RUN           your volumes
    python -m ssl3d_tf.train --gin_file=gin/cpc_3d.gin --gin_param=BATCH_SIZE=8 …          another value of a knob

The same command again goes on where the run stopped.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import app, flags

from ssl3d_tf import cli, configuration, quiet, run_folder, synthetic

with quiet.greeting():
    import gin
    import tensorflow as tf

    from ssl3d_tf import loop, pipeline
    from ssl3d_tf.records import manifest as manifests

    tf.config.list_physical_devices()  # looks for GPUs, and says where there is none
    tf.get_logger().setLevel("ERROR")

PHANTOMS = "gin/datasets/phantoms_{rank}d.gin"

FLAGS = flags.FLAGS
flags.DEFINE_multi_string("gin_file", [], "The configuration, such as gin/cpc_3d.gin; more files set more, in order.")
flags.DEFINE_multi_string("gin_param", [], "NAME=VALUE behind all files, such as STEPS=40; may repeat.")
flags.DEFINE_string("data", None, "Folder made by tools.to_tfrecord; without it, phantoms are made and used.")
flags.DEFINE_string("workdir", None, "Folder of the run; an unfinished run in it goes on. Default: a new one in runs/.")


def main(argv: Sequence[str]) -> None:
    """Flags and gin -> one call of `loop.fit`."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected argument {argv[1]}; options begin with --.")
    if not FLAGS.gin_file:
        raise app.UsageError("--gin_file is missing; try --gin_file=gin/cpc_3d.gin.")
    sources = configuration.Sources(tuple(FLAGS.gin_file), tuple(FLAGS.gin_param))
    workdir = Path(FLAGS.workdir) if FLAGS.workdir else run_folder.fresh(FLAGS.gin_file[0])
    pretrain(sources, Path(FLAGS.data) if FLAGS.data else None, workdir)


def pretrain(sources: configuration.Sources, folder: Path | None, workdir: Path) -> dict[str, float]:
    """Trains a configuration on a data folder, or on phantoms without one; returns the last evaluation."""
    declared = configuration.load(sources, dataset=None if folder else PHANTOMS)
    data = pipeline.open_folder(folder or _phantoms())
    config = configuration.text()
    contract = _contract(data, config)
    run_folder.claim(workdir, config, data=contract["data"])

    def check_config() -> None:
        configuration.check_all_used(declared)
        (workdir / run_folder.OPERATIVE).write_text(configuration.operative_text(), encoding="utf-8")

    fit = gin.get_configurable(loop.fit)
    scores = fit(workdir, data, contract=contract, on_first_step=check_config)
    print(f"{workdir}: encoder/ is ready for finetuning, metrics.jsonl and tensorboard/ have the curves.")
    return scores


def _phantoms() -> Path:
    rank, side = configuration.macro("RANK"), configuration.macro("PHANTOM_SIZE")
    folder = Path("runs") / f"phantoms_{rank}d_{side}"
    size = " × ".join([str(side)] * rank)
    print(f"no --data: training on phantoms of {size} voxels, kept in {folder}, with {PHANTOMS.format(rank=rank)}.")
    synthetic.write_dataset(folder, shape=(side,) * rank)
    return folder


def _contract(data: pipeline.DataFolder, config: str) -> dict[str, Any]:
    """What encoder/contract.json must say of its input, so that nobody feeds it something else."""
    manifest = data.manifest
    return {
        "rank": manifest.rank,
        "channels": list(manifest.channels),
        "axes": ["batch", *(("depth", "height", "width")[-manifest.rank :]), "channels"],
        "recipe": manifest.recipe,
        "modality": manifest.modality,
        "data": {"path": str(data.path), "name": manifest.name, "sha256": manifests.fingerprint(manifest)},
        "gin": config,
    }


if __name__ == "__main__":
    cli.run(main)
