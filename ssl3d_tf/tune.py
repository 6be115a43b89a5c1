"""python -m ssl3d_tf.tune: searches for knobs of finetuning that do better in validation; the test split is not read.

    python -m ssl3d_tf.tune --gin_file=gin/finetune/segmentation_3d.gin --data=DATA --workdir=HP
    … --encoder=RUN                                      of a pretrained encoder instead of from scratch
    … --gin_param="SPACE={'LEVELS': [2, 3]}"             other knobs; gin/tune/base.gin says how, and what else
    python -m ssl3d_tf.finetune --gin_file=gin/finetune/segmentation_3d.gin --gin_file=HP/best.gin …

The same command again goes on where it stopped; stopped by a signal it saves, says so in its last line and exits with
0. Several processes share a search where each has the same command and KERASTUNER_ORACLE_IP and
KERASTUNER_ORACLE_PORT, and KERASTUNER_TUNER_ID is 'chief' in one that hands out the trials, and a name of its own in
every other. They may be on several machines that share the workdir.
"""

import functools
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import app, flags

from ssl3d_tf import quiet
from ssl3d_tf.command import cli, configuration
from ssl3d_tf.data.places import Place, local, place

with quiet.greeting():
    from ssl3d_tf import finetune
    from ssl3d_tf.command import run_folder
    from ssl3d_tf.experiment import preparing
    from ssl3d_tf.search import planning, tuning
    from ssl3d_tf.search.trials import Trial
    from ssl3d_tf.search.tuning import READ


def main(argv: Sequence[str]) -> None:
    """Flags and gin -> one search."""
    values = flags.FLAGS
    cli.flags_only(argv)
    for name in ("gin_file", "data"):
        if not getattr(values, name):
            raise app.UsageError(f"--{name} is missing; see python -m ssl3d_tf.tune --help.")
    sources = configuration.Sources(tuple(values.gin_file), tuple(values.gin_param), tuple(values.gin_import))
    workdir = local(values.workdir, "--workdir") if values.workdir else run_folder.fresh(values.gin_file[0])
    best = run(sources, place(values.data), [local(folder, "--encoder") for folder in values.encoder], workdir)
    sys.exit(0 if best else 1)


def run(sources: configuration.Sources, folder: Place, encoders: Sequence[Path], workdir: Path) -> Trial | None:
    """Searches, or goes on with it; returns the best trial, None where all failed.

    Raises:
        InputError: configuration, space, data and encoders do not fit each other, or the folder is another search's.
    """
    plan = planning.plan_of(sources, pretrained=bool(encoders))
    config = configuration.text()
    first = tuning.with_knobs(plan.sources, plan.first)
    prepared = preparing.prepare(first, folder, encoders, workdir, read=READ, unread=("test",))
    found = planning.search_of(plan, prepared, sources)

    from ssl3d_tf.search import tuners  # takes two seconds, which a mistyped command need not wait for

    chief = tuners.is_chief()
    preparing.occupy(workdir, prepared, config)
    for name, text in found.about.items():
        print(f"{name}: {text}", flush=True)
    settings = found.experiment.settings
    tuner = tuners.tuner(
        workdir,
        functools.partial(tuning.run_trial, found),
        kind=plan.tuner,
        space=plan.space,
        first=plan.first if plan.as_is else None,
        objective=found.objective,
        max_trials=plan.max_trials,
        max_rounds=-(-settings.steps // settings.every.evaluate),
        seed=found.experiment.seed,
    )
    tuners.search(tuner, chief=chief)
    return tuning.conclude(found)


def command() -> None:
    """The command line."""
    cli.run(main, finetune.define_flags)


if __name__ == "__main__":
    command()
