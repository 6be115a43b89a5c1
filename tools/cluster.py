"""Shards on several machines: the work of `workers`, handed to a runner of Apache Beam."""

import functools
import importlib
from collections.abc import Iterator, Sequence

from ssl3d_tf.errors import InputError
from tools import shards
from tools.plan import Job
from tools.readers.contract import UnusableFileError
from tools.workers import WorkerKilledError

# By the name DirectRunner Beam starts Prism, a program that it downloads first; this one is part of the package.
_LOCAL = {"DirectRunner": "apache_beam.runners.portability.fn_api_runner.FnApiRunner"}


def run(work: shards.Work, jobs: Sequence[Job], *, runner: str, options: Sequence[str]) -> Iterator[shards.Done]:
    """Makes the shards of `jobs`; what the machines tell each other is names, and no volume.

    Args:
        work: its folders are seen under the same paths by all machines.
        runner: of Beam, such as DirectRunner, FlinkRunner, SparkRunner or DataflowRunner.
        options: of that runner, as NAME=VALUE.

    Raises:
        InputError: Beam is not installed, or has no such runner.
        WorkerKilledError: the runner failed; what is finished stays, to be gone on with.
        UnusableFileError: with `work.strict`, a file that cannot be used.
    """
    beam = _imported("apache_beam")
    chosen = _imported("apache_beam.options.pipeline_options").PipelineOptions([f"--{option}" for option in options])
    try:
        where = _imported("apache_beam.runners.runner").create_runner(_LOCAL.get(runner, runner))
    except (ValueError, ImportError, AttributeError) as error:
        raise InputError(f"--runner={runner} is none of Apache Beam's: {error}") from error
    print(f"{runner} makes {len(jobs)} shards.", flush=True)
    try:
        with beam.Pipeline(runner=where, options=chosen) as pipeline:
            make = functools.partial(_make, work._replace(strict=False))  # a raise would be tried again, and in vain
            pipeline | beam.Create(list(jobs)) | beam.Reshuffle() | beam.Map(make)
    except Exception as error:  # whatever a runner raises
        what = str(error).strip().splitlines() or [type(error).__name__]
        raise WorkerKilledError(f"{runner} failed ({what[0]}); run again to go on.") from error
    for done in (shards.noted(work.folder, job, work.recipe) for job in jobs):
        if done is None:
            raise WorkerKilledError(f"{runner} left a shard out in {work.folder}; is it a folder that all machines see?")
        if work.strict and done.faults:
            raise UnusableFileError(f"--strict: {done.faults[0].path}: {done.faults[0].reason}", done.faults[0].remedy)
        yield done


def _imported(name: str):
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InputError("--runner needs Apache Beam: pip install 'ssl3d_tf[beam]'.") from error


def _make(work: shards.Work, job: Job) -> None:
    shards.make(work, job, lambda size: None)
