"""python -m ssl3d_tf.train: pretrains an encoder as a gin file says.

    python -m ssl3d_tf.train --gin_file=gin/cpc_3d.gin                                     phantoms, runs/cpc_3d-1
    python -m ssl3d_tf.train --gin_file=gin/cpc_3d.gin --data=DATA --workdir=RUN           your volumes
    python -m ssl3d_tf.train --gin_file=gin/cpc_3d.gin --gin_param=BATCH_SIZE=8 …          another value of a knob

The same command again goes on where the run stopped.
"""

from collections.abc import Sequence
from pathlib import Path

from absl import app, flags

from ssl3d_tf import quiet
from ssl3d_tf.command import cli, configuration
from ssl3d_tf.data import folders, synthetic
from ssl3d_tf.data.places import Place, local, place

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
    flags.DEFINE_string("data", None, "Folder made by tools.to_tfrecord, here or gs://; without it, phantoms are made.")
    flags.DEFINE_string("workdir", None, "Folder of the run; an unfinished run in it goes on. Default: new, in runs/.")


def main(argv: Sequence[str]) -> None:
    """Flags and gin -> one call of `loop.fit`."""
    values = flags.FLAGS
    cli.flags_only(argv)
    if not values.gin_file:
        raise app.UsageError("--gin_file is missing; try --gin_file=gin/cpc_3d.gin.")
    sources = configuration.Sources(tuple(values.gin_file), tuple(values.gin_param), tuple(values.gin_import))
    workdir = local(values.workdir, "--workdir") if values.workdir else run_folder.fresh(values.gin_file[0])
    pretrain(sources, place(values.data) if values.data else None, workdir)


def pretrain(sources: configuration.Sources, folder: Place | None, workdir: Path) -> dict[str, float]:
    """Trains a configuration on a data folder, or on phantoms without one; returns the last evaluation."""
    free = configuration.load(
        sources, dataset=None if folder else PHANTOMS, read=() if folder else ("PHANTOM_SIZE", "PHANTOMS")
    )
    distribution = configuration.make(strategies.devices)
    configuration.check_bound(run.Settings, "task", sources)
    data = folders.open_folder(folder or _phantoms())
    config = configuration.text()
    contract = contracts.of_run(data, config)
    is_first = strategies.own_folder(workdir, distribution) == workdir
    if is_first:
        run_folder.check(workdir, config, data=contract["data"])
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
