"""python -m ssl3d_tf.train: pretrains an encoder as a gin file says.

    python -m ssl3d_tf.train --gin_file=gin/cpc_3d.gin                                     phantoms, runs/cpc_3d-1
    python -m ssl3d_tf.train --gin_file=gin/cpc_3d.gin --data=DATA --workdir=RUN           your volumes
    python -m ssl3d_tf.train --gin_file=gin/cpc_3d.gin --data=A --data=B:0.3 …             3 of 10 draws from B
    python -m ssl3d_tf.train --gin_file=gin/cpc_3d.gin --gin_param=BATCH_SIZE=8 …          another value of a knob

The same command again goes on where the run stopped.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from absl import app, flags

from ssl3d_tf import quiet
from ssl3d_tf.command import cli, configuration
from ssl3d_tf.data import folders, mixing, synthetic
from ssl3d_tf.data.places import local

with quiet.greeting():
    import tensorflow as tf

    from ssl3d_tf.command import run_folder
    from ssl3d_tf.training import checkpoints, contracts, loop, run, strategies


PHANTOMS = "gin/datasets/phantoms_{rank}d.gin"


def define_flags() -> None:
    """Declares the flags; called by the command, not at import, so that one process may import every command."""
    flags.DEFINE_multi_string("gin_file", [], "The configuration, such as gin/cpc_3d.gin; several, in order.")
    flags.DEFINE_multi_string("gin_param", [], "NAME=VALUE behind all files, such as STEPS=40; may repeat.")
    flags.DEFINE_multi_string("gin_import", [], "A module of yours that a gin file imports; may repeat.")
    flags.DEFINE_multi_string(
        "data", [], "Folder of tools.to_tfrecord, here or gs://; several, each with a share of the draws, A:0.3, if "
        "it is not to count by its size. Without it, phantoms are made.",
    )  # fmt: skip
    flags.DEFINE_string("workdir", None, "Folder of the run; an unfinished run in it goes on. Default: new, in runs/.")


def main(argv: Sequence[str]) -> None:
    """Flags and gin -> one call of `loop.fit`."""
    values = flags.FLAGS
    cli.flags_only(argv)
    if not values.gin_file:
        raise app.UsageError("--gin_file is missing; try --gin_file=gin/cpc_3d.gin.")
    sources = configuration.Sources(tuple(values.gin_file), tuple(values.gin_param), tuple(values.gin_import))
    workdir = local(values.workdir, "--workdir") if values.workdir else run_folder.fresh(values.gin_file[0])
    pretrain(sources, values.data, workdir)


def pretrain(
    sources: configuration.Sources, given: str | os.PathLike[str] | Sequence[str] | None, workdir: Path
) -> dict[str, float]:
    """Trains a configuration on one data folder or several, or on phantoms; returns the last evaluation."""
    paths = [given] if isinstance(given, str | os.PathLike) else given
    free = configuration.load(
        sources, dataset=None if paths else PHANTOMS, read=() if paths else ("PHANTOM_SIZE", "PHANTOMS")
    )
    distribution = configuration.make(strategies.devices)
    configuration.check_bound(run.Settings, "task", sources)
    data = mixing.open_folders(paths or [_phantoms()])
    config = configuration.text()
    contract = contracts.of_run(data, config)
    is_first = strategies.own_folder(workdir, distribution) == workdir
    if is_first:
        run_folder.check(workdir, config, data=contract["data"])
        if data.sources:
            print(mixing.told(data), flush=True)
        folders.note_padding(data, configuration.macro("VIEW_SIZE"))

    def claim() -> None:
        names = [device.name for device in tf.config.list_logical_devices()]
        if is_first:
            notes = {"seed": configuration.macro("SEED"), "devices": names}
            run_folder.claim(workdir, config, data=contract["data"], notes=notes)

    def check_config() -> None:
        configuration.check_all_used(free)
        (workdir / run_folder.OPERATIVE).write_text(configuration.operative_text(), encoding="utf-8")

    hooks = loop.Hooks(on_built=claim, on_first_step=check_config)
    settings = configuration.make(run.Settings)
    scores = loop.fit(workdir, data, settings, distribution=distribution, contract=contract, hooks=hooks)
    is_there = (workdir / checkpoints.ENCODER_FOLDER / checkpoints.CONTRACT).is_file()
    found = "encoder/ is ready for finetuning" if is_there else "no encoder yet, as nothing was evaluated"
    print(f"{workdir}: {found}; metrics.jsonl and tensorboard/ have the curves.")
    return scores


def _phantoms() -> Path:
    rank, side, count = (configuration.macro(name) for name in ("RANK", "PHANTOM_SIZE", "PHANTOMS"))
    folder = Path("runs") / f"phantoms_{rank}d_{side}_{count}"
    size = " × ".join([str(side)] * rank)
    print(f"no --data: training on {count} phantoms of {size} voxels, in {folder}, with {PHANTOMS.format(rank=rank)}.")
    synthetic.write_dataset(folder, shape=(side,) * rank, counts={"train": count, "val": -(-count // 4)})
    return folder


def command() -> None:
    """The command line."""
    cli.run(main, define_flags)


if __name__ == "__main__":
    command()
