"""gin files and parameters -> one checked configuration. The only place that knows gin."""

import contextlib
import difflib
import logging
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, TypeVar

import gin
from gin import config as gin_config

from ssl3d_tf.command import gin_files, knobs, renamed
from ssl3d_tf.command.home import ROOT
from ssl3d_tf.errors import InputError

T = TypeVar("T")
_MACRO = re.compile(r"^([A-Z][A-Z0-9_]*) = (.*)$", re.MULTILINE)


class Sources(NamedTuple):
    """What a configuration is made of, in order: later bindings win. imports: modules that files may name."""

    files: tuple[str, ...]
    params: tuple[str, ...]
    imports: tuple[str, ...] = ()


def load(sources: Sources, *, dataset: str | None = None, read: Iterable[str] = ()) -> frozenset[str]:
    """Parses and locks the configuration; returns the names in it that a run need not use.

    Those are what base files set for whoever may need it, other than what `sources.params` ask for, and `read`.

    Args:
        dataset: a template such as 'gin/datasets/phantoms_{rank}d.gin', parsed behind the files and before the
            parameters, `rank` being the files' RANK.
        read: macros that the command itself reads.

    Raises:
        InputError: a file that is not there, a name that does not exist, a macro that nothing reads, a knob out of
            its range.
    """
    for file in sources.files:
        gin_files.check_imports(file, sources.imports)
    gin.clear_config()
    gin.add_config_file_search_path(str(ROOT))
    try:
        with _silent_search():
            parsed = [gin.parse_config_file(file) for file in sources.files]
            if dataset is not None:
                parsed.append(gin.parse_config_file(dataset.format(rank=macro("RANK"))))
        for param in sources.params:
            _parse_param(param)
        gin.finalize()
    except InputError:
        raise
    except Exception as error:  # gin raises whatever it meets: SyntaxError, ValueError, ImportError, OSError, …
        gin_files.check_names(sources.files)
        raise InputError(f"{', '.join((*sources.files, *sources.params))}: {_one_line(error)}") from error
    declared = frozenset(gin_files.declared(parsed))
    _check_macros(sources, declared, read)
    for (name, selector), values in gin_config._CONFIG.items():
        if selector == "gin.macro" and not _is_reference(values["value"], called=name not in knobs.FUNCTIONS):
            knobs.check(name, values["value"])
    return _free(sources, declared) | frozenset(read)


def macro(name: str, *default: Any):
    """The value of a macro. Raises InputError where the configuration has none of that name and there is no default."""
    try:
        return gin.query_parameter(f"%{name}")
    except ValueError as error:
        if default:
            return default[0]
        raise InputError(
            f"the configuration sets no {name}; add the --gin_file of a task, or include 'gin/base.gin'."
        ) from error


def make(configurable: Callable[..., T], *, scope: str | None = None) -> T:
    """Calls it with the arguments that the configuration binds, those of `scope` before those of no scope.

    Raises:
        InputError: an argument is missing or none that it takes.
    """
    try:
        with gin.config_scope(scope):
            return gin.get_configurable(configurable)()
    except (TypeError, ValueError, AttributeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise InputError(f"the configuration does not fit together: {reason}; --verbosity=1 shows where.") from error


def check_bound(configurable: Callable, name: str, sources: Sources, *, remedy: str) -> None:
    """Raises InputError where the configuration says nothing of an argument that a file of its own must give."""
    if not is_bound(configurable, name):
        raise InputError(f"{', '.join(sources.files)} sets no {name}: {remedy}.")


def is_bound(configurable: Callable, name: str) -> bool:
    """Whether the configuration says anything of that argument."""
    try:
        return name in gin.get_bindings(configurable, resolve_references=False)
    except ValueError:  # no file imports its module
        return False


def value(name: str) -> Any:
    """What a binding such as 'pipeline.read.fields' gives."""
    return gin.query_parameter(name)


def bind(name: str, value: Any) -> None:
    """Gives a macro the value that the data say."""
    with gin.unlock_config():
        gin.bind_parameter(f"{name}/gin.macro.value", value)


@contextlib.contextmanager
def bound(name: str, value: Any) -> Iterator[None]:
    """Inside, a macro has that value."""
    before = macro(name)
    bind(name, value)
    try:
        yield
    finally:
        bind(name, before)


def text() -> str:
    """The whole configuration, as a gin file that makes it again."""
    return gin.config_str(max_line_length=120)


def operative_text() -> str:
    """What was used of it so far, defaults included."""
    return gin.operative_config_str(max_line_length=120)


def macros() -> dict[str, str]:
    """Macro -> its value as the text of a gin file; of values over several lines the first."""
    return macros_of(text())


def macros_of(text: str) -> dict[str, str]:
    """As `macros`, of the text of another configuration."""
    return dict(_MACRO.findall(text))


def differences(before: str, names: Iterable[str]) -> list[str]:
    """Which of those macros have another value than in the text of another configuration."""
    there, here = macros_of(before), macros()
    return [
        f"{name} {there[name]} there, {here[name]} here" for name in names if there.get(name, here[name]) != here[name]
    ]


def check_all_used(free: frozenset[str]) -> None:
    """Compares what is configured with what was called; to be asked once everything was built.

    Args:
        free: what `load` returned.

    Raises:
        InputError: a knob that the run does not read, or a binding of something that it does not call.
    """
    unused = sorted(_names(gin_config._CONFIG) - _names(gin_config._OPERATIVE_CONFIG) - free)
    if unused:
        raise InputError(f"the configuration sets {', '.join(unused)}, which this run does not use; remove it.")


@contextlib.contextmanager
def _silent_search() -> Iterator[None]:
    """gin logs an error for every place where it looks for a file in vain before it finds it."""
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _parse_param(param: str) -> None:
    name = param.partition("=")[0].strip()
    if "=" not in param:
        raise InputError(f"--gin_param={param} must be NAME=VALUE, as in --gin_param=STEPS=40.")
    try:
        gin.parse_config(param)
    except Exception as error:
        if names := renamed.told(param):
            raise InputError(f"--gin_param={param}: since ssl3d_tf 0.2 {names}.") from error
        hint = _several(param) or _did_you_mean(name, [*_macros(), *_parameters()])
        raise InputError(f"--gin_param={param}: {_one_line(error)}{hint}") from error


def _several(param: str) -> str:
    name, _, text = param.partition("=")
    bare = re.fullmatch(r"\s*[\d.]+(\s*,\s*[\d.]+)+\s*", text)
    return f" several numbers stand in parentheses: {name}=({text.strip()})." if bare else ""


def _is_reference(value: Any, *, called: bool) -> bool:
    """Whether `value` is a function, such as @unet.encoder; `called`: or what one returns, such as @cpc.task()."""
    return isinstance(value, gin_config.ConfigurableReference) and (called or not value.evaluate)


def _names(config: Iterable[tuple[str, str]]) -> frozenset[str]:
    """Of a gin configuration: the macros, and the full names of everything else that has bindings."""
    return frozenset(scope.split("/")[-1] if selector == "gin.macro" else selector for scope, selector in config)


def _free(sources: Sources, declared: frozenset[str]) -> frozenset[str]:
    asked_for = {
        found["macro"] or found["configurable"] for param in sources.params if (found := gin_files.BINDING.match(param))
    }
    names = _names(gin_config._CONFIG)
    return frozenset(name for name in names if _is_among(declared, name) and not _is_among(asked_for, name))


def _is_among(short_names: Iterable[str], name: str) -> bool:
    return any(f".{name}".endswith(f".{short}") for short in short_names)


def _check_macros(sources: Sources, declared: frozenset[str], also_read: Iterable[str]) -> None:
    """Every macro must be read by something; those that base files declare for all tasks, only where asked for."""
    read = {reference.scopes[-1] for reference in _macro_references()} | set(also_read)
    asked_for = {param.partition("=")[0].strip() for param in sources.params}
    for name in _macros():
        if name not in read and (name not in declared or name in asked_for):
            files = ", ".join(dict.fromkeys(sources.files))
            raise InputError(f"{name} is set, but nothing in {files} reads it:{_remedy(name, read)}")


def _remedy(name: str, read: Iterable[str]) -> str:
    if any(parameter.endswith("Settings.task") for parameter in _parameters()):
        files = gin_files.naming(name)
        its = f" it is a knob of {', '.join(files[:2])}{' and others' if len(files) > 2 else ''}: remove it here."
        return _did_you_mean(name, read) or (its if files else " remove it.")
    return " the file of a task is missing; give it too, gin/cpc_3d.gin, say, or one in gin/finetune/."


def _macros() -> list[str]:
    return [scope for scope, selector in gin_config._CONFIG if selector == "gin.macro"]


def _parameters() -> list[str]:
    return [f"{selector}.{name}" for (_, selector), values in gin_config._CONFIG.items() for name in values]


def _macro_references() -> Iterable[gin_config.ConfigurableReference]:
    return (ref for ref in gin_config.iterate_references(gin_config._CONFIG) if ref.selector == "gin.macro")


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, sorted(set(known)), n=1)
    return f" did you mean {close[0]}?" if close and close[0] != name else ""


def _one_line(error: BaseException) -> str:
    told = " ".join(str(error).split()) or type(error).__name__
    return re.sub(r"malformed node or string.*? Failed to parse", "text wants quotes; failed to parse", told)
