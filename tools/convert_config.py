"""Converts a JSON configuration of the published program into a gin file of ours.

    python -m tools.convert_config cpc_3d.json --output=cpc_3d.gin --examples=253

Says what became of every key: its binding, or why there is none. Unknown keys, which the published program swallowed,
are listed. docs/from_the_original.md has the whole table.
"""

from collections.abc import Sequence
from pathlib import Path

from absl import app, flags

from ssl3d_tf.command import cli
from ssl3d_tf.command.home import ROOT
from ssl3d_tf.data import files
from ssl3d_tf.errors import InputError
from tools.original import conversion, gin_file


def define_flags() -> None:
    """Declares the flags; called by the command only."""
    flags.DEFINE_string("output", None, "The gin file; default: the JSON file's name, with .gin.")
    flags.DEFINE_integer("examples", None, "Training volumes, to turn epochs into steps.", lower_bound=1)


def main(argv: Sequence[str]) -> None:
    """One JSON file -> one gin file, and on stdout what became of its keys."""
    values = flags.FLAGS
    if len(argv) != 2:
        raise app.UsageError("name one JSON file: python -m tools.convert_config old.json")
    source = Path(argv[1])
    output = Path(values.output) if values.output else source.with_suffix(".gin")
    if output.exists():
        raise InputError(f"{output} exists; give another --output.")
    converted = conversion.convert(conversion.read(source), examples=values.examples)
    with files.atomic(output) as file:
        file.write(gin_file.text(converted, source.name).encode())
    print("\n".join(gin_file.listing(converted)))
    if not (ROOT / converted.include).is_file():
        print(f"{converted.include} is not there: this version cannot run it.")
    print(f"\n{output}: python -m ssl3d_tf.{gin_file.command(converted)} --gin_file={output} --data=DATA --workdir=RUN")


def command() -> None:
    """The command line."""
    cli.run(main, define_flags)


if __name__ == "__main__":
    command()
