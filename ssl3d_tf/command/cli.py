"""What every command shares: flags in, one line per fault out, and an exit code that says which kind it was.

Exit codes: 0 done, 1 failure, 2 usage, 130 interrupted. A traceback is shown only with --verbosity=1.
No TensorFlow here: commands that do without it start quickly.
"""

import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from absl import app, flags, logging

from ssl3d_tf.errors import InputError


def run(main: Callable[[Sequence[str]], None]) -> NoReturn:
    """Parses the command line with absl and calls `main` with what is left of it (the command, then its arguments).

    `main` raises InputError for what the user can mend and absl's `app.UsageError` for a wrong use of the command;
    both, and faults of the file system, become one line on stderr.
    """
    app.run(lambda argv: _guarded(main, argv), flags_parser=_parse)
    raise AssertionError("absl.app.run returned")  # it ends in sys.exit: this is for the type checker


def flags_only(argv: Sequence[str]) -> None:
    """Raises app.UsageError where the command line holds more than flags."""
    if len(argv) > 1:
        raise app.UsageError(f"unknown argument '{argv[1]}': every option is a flag; see --help.")


def _parse(argv: Sequence[str]) -> list[str]:
    if {"--help", "-help", "-h"} & set(argv):
        app.usage(writeto_stdout=True)  # absl itself would exit with 1: asking for help is no failure
        sys.exit(0)
    try:
        rest = flags.FLAGS(list(argv))
    except flags.Error as error:
        _fail(error, 2)
    if not flags.FLAGS["verbosity"].present:
        logging.set_verbosity(logging.WARNING)  # absl's own default shows what libraries tell their developers
    return rest


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
        _fail(error, 1)


def _fail(error: Exception, code: int) -> NoReturn:
    text = str(error)
    if isinstance(error, InputError):
        text = text.partition("\n")[0]  # gin adds lines on where it was, which say nothing to a user
    print(" ".join(text.split()), file=sys.stderr)
    sys.exit(code)
