"""Commands in this process: flags as on a command line, which are gone when it has ended."""

import importlib

from absl import flags


def run(module, *arguments):
    """`python -m module arguments`; returns where it would end with an exit code of 0.

    Raises:
        InputError, absl's flags.Error and app.UsageError: as the command does. SystemExit: of another code.
    """
    command, before = importlib.import_module(module), set(flags.FLAGS)
    command.define_flags()
    own = set(flags.FLAGS) - before
    try:
        command.main(flags.FLAGS([module, *arguments]))
    except SystemExit as end:
        if end.code:
            raise
    finally:
        for name in own:
            delattr(flags.FLAGS, name)
