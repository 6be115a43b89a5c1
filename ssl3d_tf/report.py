"""python -m ssl3d_tf.report WORKDIR… [--output=report.html] [--figures=FOLDER]: what finetuning found.

Reads what `ssl3d_tf.finetune` left, of several workdirs together, and writes one page and, beside it, summary.md.
The csv files are enough; what else is missing, the page says.
"""

from collections.abc import Sequence

from absl import app, flags

from ssl3d_tf.command import cli
from ssl3d_tf.data.places import local
from ssl3d_tf.evaluation import report


def define_flags() -> None:
    """Declares the flags; called by the command, not at import, so that one process may import every command."""
    flags.DEFINE_string("output", None, f"The page, or a folder for {report.NAME}; default: the first WORKDIR.")
    flags.DEFINE_string("figures", None, "Folder for curves, differences and test cases as single PNG files.")


def main(argv: Sequence[str]) -> None:
    """Arguments -> one call of `report.write`."""
    workdirs = [local(name, "WORKDIR") for name in argv[1:]]
    if not workdirs:
        raise app.UsageError("name at least one finetuning workdir: python -m ssl3d_tf.report WORKDIR")
    output = local(flags.FLAGS.output, "--output") if flags.FLAGS.output else workdirs[0]
    output = output / report.NAME if output.is_dir() else output
    report.write(workdirs, output)
    if flags.FLAGS.figures:
        report.draw(workdirs, local(flags.FLAGS.figures, "--figures"))
    print(f"{output}: {output.stat().st_size / 1e6:.1f} MB; in words and tables: {output.parent / report.SUMMARY}.")


def command() -> None:
    """The command line."""
    cli.run(main, define_flags)


if __name__ == "__main__":
    command()
