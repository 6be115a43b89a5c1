"""What every command shares: flags in, one line per fault out, and an exit code that says which kind it was.

Exit codes: 0 done, 1 failure, 2 usage, 130 interrupted. A traceback is shown only with --verbosity=1.
No TensorFlow here: commands that do without it start quickly.
"""

import contextlib
import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import NoReturn

from absl import app, flags, logging

from ssl3d_tf.data import files
from ssl3d_tf.errors import InputError


def run(main: Callable[[Sequence[str]], None], define_flags: Callable[[], None] = lambda: None) -> NoReturn:
    """Parses the command line with absl and calls `main` with what is left of it (the command, then its arguments).

    The same for `python -m` and for the script that an installation makes of a command.

    Args:
        main: raises InputError for what the user can mend and absl's `app.UsageError` for a wrong use of the command;
            both, and faults of the file system, become one line on stderr. --help shows its module's docstring.
        define_flags: declares the command's flags, where importing its module does not.
    """
    before = set(flags.FLAGS)
    define_flags()
    own = set(flags.FLAGS) - before
    app.run(lambda argv: _guarded(main, argv), flags_parser=lambda argv: _parse(argv, main, own))
    raise AssertionError("absl.app.run returned")  # it ends in sys.exit: this is for the type checker


def flags_only(argv: Sequence[str]) -> None:
    """Raises app.UsageError where the command line holds more than flags."""
    if len(argv) > 1:
        raise app.UsageError(f"unknown argument '{argv[1]}': every option is a flag; see --help.")


def _parse(argv: Sequence[str], main: Callable[[Sequence[str]], None], own: Collection[str]) -> list[str]:
    if {"--help", "-help", "-h"} & set(argv):
        with contextlib.suppress(BrokenPipeError):  # of --help | head
            print(help_of(main, own or {flag.name for flag in flags.FLAGS.get_flags_for_module(argv[0])}), flush=True)
        sys.exit(0)  # absl itself would exit with 1: asking for help is no failure
    try:
        rest = flags.FLAGS(list(argv))
    except flags.Error as error:
        _fail(error, 2)
    for flag in (flags.FLAGS[name] for name in own):
        if flag.present > 1 and not isinstance(flag, flags.MultiFlag):
            _fail(app.UsageError(f"--{flag.name} is given {flag.present} times, and takes one value: give it once."), 2)
    if not flags.FLAGS["verbosity"].present:
        logging.set_verbosity(logging.WARNING)  # absl's own default shows what libraries tell their developers
    return rest


def help_of(main: Callable[[Sequence[str]], None], own: Collection[str]) -> str:
    """The docstring of main's module and those flags; absl's own help is that of __main__, a script's or a module's."""
    shown = flags.FlagValues()
    for name in own:
        shown[name] = flags.FLAGS[name]
    about = (sys.modules[main.__module__].__doc__ or "").strip()
    listed = shown.get_help("  ", include_special_flags=False)
    return f"{about}\n\nflags:\n{listed}\n  --verbosity: 1 shows tracebacks and what is logged. --helpfull: all flags."


def _guarded(main: Callable[[Sequence[str]], None], argv: Sequence[str]) -> None:
    try:
        main(argv)
    except KeyboardInterrupt:
        print("interrupted; run the same command again to go on.", file=sys.stderr)
        sys.exit(130)
    except app.UsageError as error:
        _fail(error, 2)
    except (InputError, OSError) as error:
        if flags.FLAGS.verbosity >= 1:
            raise
        _fail(files.full(_writes_to(), error) if files.is_full(error) else error, 1)
    except Exception as error:  # of a library that tells the file system's faults in its own way
        if flags.FLAGS.verbosity >= 1 or not files.is_full(error):
            raise
        _fail(files.full(_writes_to(), error), 1)


def _writes_to() -> Path:
    """The folder that the command writes to, as far as it is there: the error of a full disk names none."""
    given = (flags.FLAGS[name].value for name in ("output", "workdir") if name in flags.FLAGS)
    folder = Path(next((text for text in given if text), ".")).resolve()
    return next(path for path in (folder, *folder.parents) if path.exists())


def _fail(error: Exception, code: int) -> NoReturn:
    text = str(error)
    if isinstance(error, InputError):
        text = text.partition("\n")[0]  # gin adds lines on where it was, which say nothing to a user
    print(" ".join(text.split()), file=sys.stderr)
    sys.exit(code)
