"""Shards on several machines: the work of `workers`, handed to a runner of Apache Beam."""

import contextlib
import difflib
import functools
import importlib
import io
import logging
from collections.abc import Generator, Iterator, Sequence
from typing import Any

from absl import logging as verbosity

from ssl3d_tf.errors import InputError
from tools.conversion import shards
from tools.conversion.plan import Job
from tools.conversion.workers import WorkerKilledError
from tools.readers.contract import UnusableFileError

# By the name DirectRunner Beam starts Prism, a program that it downloads first; this one is part of the package.
_LOCAL = {"DirectRunner": "apache_beam.runners.portability.fn_api_runner.FnApiRunner"}


def runner(name: str, options: Sequence[str]) -> shards.Make:
    """A runner of Beam, such as DirectRunner, FlinkRunner, SparkRunner or DataflowRunner, that makes shards.

    Args:
        options: of that runner, as NAME=VALUE.

    Raises:
        InputError: Beam is not installed, or has no such runner or option; here, before anything is written.
    """
    _imported("apache_beam")
    chosen = _options(options, is_local=name in _LOCAL)
    return functools.partial(_run, name, _runner(name), chosen)


def _run(
    name: str, where: Any, options: Any, work: shards.Work, jobs: Sequence[Job]
) -> Generator[shards.Done, None, None]:
    """Makes the shards of `jobs`; what the machines tell each other is names, and no volume.

    Args:
        work: its folders are seen under the same paths by all machines.

    Raises:
        WorkerKilledError: the runner failed; what is finished stays, to be gone on with.
        UnusableFileError: with `work.strict`, a file that cannot be used.
    """
    beam = _imported("apache_beam")
    print(f"{name} makes {len(jobs)} shards.", flush=True)
    make = functools.partial(_make, work._replace(strict=False))  # a raise would be tried again, and in vain
    try:
        with _untold_twice(), beam.Pipeline(runner=where, options=options) as pipeline:
            _ = pipeline | beam.Create(list(jobs)) | beam.Reshuffle() | "shards" >> beam.Map(make)
    except Exception as error:  # whatever a runner raises
        if any(isinstance(cause, KeyboardInterrupt) for cause in _causes(error)):
            raise KeyboardInterrupt from error
        what = " ".join(str(error).split()) or type(error).__name__
        raise WorkerKilledError(f"{name} failed ({what}); mend that, and run again to go on.") from error
    for job in jobs:
        done = _made(work, job, name)
        if work.strict and done.faults:
            fault = done.faults[0]
            raise UnusableFileError(f"--strict: {fault.path}: {fault.reason}", fault.remedy)
        yield done


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _make(work: shards.Work, job: Job) -> None:
    shards.finish(work, shards.make(work, job, lambda size: None))


def _made(work: shards.Work, job: Job, name: str) -> shards.Done:
    """What some machine noted about a shard, which must be here as well."""
    done, path = shards.noted(work.folder, job, work.recipe), work.folder / job.file
    if done is None or (done.shard is not None and not path.is_file()):
        raise WorkerKilledError(
            f"{name} made {job.file}, but not in {work.folder} as this machine sees it; choose an --output that all "
            "machines see under this path, and run again."
        )
    return done


def _options(options: Sequence[str], *, is_local: bool) -> Any:
    """Beam's PipelineOptions. Other machines' job servers know options that Beam does not; it warns of those."""
    module = _imported("apache_beam.options.pipeline_options")
    chosen = module.PipelineOptions([f"--{option}" for option in options])
    said = io.StringIO()
    try:
        with _quiet(logging.WARNING), contextlib.redirect_stderr(said):  # argparse tells that, and exits
            known = set(chosen.get_all_options())
            unknown = set(chosen.get_all_options(retain_unknown_options=True)) - known
    except SystemExit as error:
        why = said.getvalue().strip().splitlines()[-1].rpartition("error: ")[2]
        raise InputError(f"--runner_option={','.join(options)}: {why}.") from error
    if is_local and unknown:
        near = difflib.get_close_matches(min(unknown), known, 3, 0)
        raise InputError(f"--runner_option={min(unknown)} is unknown to Apache Beam; near are {', '.join(near)}.")
    return chosen


def _runner(name: str) -> Any:
    try:
        return _imported("apache_beam.runners.runner").create_runner(_LOCAL.get(name, name))
    except (ValueError, ImportError, AttributeError) as error:
        raise InputError(f"--runner={name} is no runner of Apache Beam as it is installed: {error}") from error


def _imported(name: str) -> Any:
    try:
        with _quiet(logging.WARNING):  # of what is not installed, and not asked for
            return importlib.import_module(name)
    except ImportError as error:
        raise InputError("--runner needs Apache Beam: pip install -e '.[beam]'.") from error


@contextlib.contextmanager
def _quiet(level: int) -> Iterator[None]:
    before = logging.root.manager.disable
    logging.disable(level)
    try:
        yield
    finally:
        logging.disable(before)


@contextlib.contextmanager
def _untold_twice() -> Iterator[None]:
    """Beam in this process logs, with a traceback, what it raises here as well; --verbosity=1 shows it."""
    log = logging.getLogger("apache_beam.runners.common")
    before = log.level
    if verbosity.get_verbosity() < verbosity.INFO:
        log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(before)
