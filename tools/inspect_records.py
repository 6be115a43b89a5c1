"""Shows what a data folder holds, checks it, and draws its examples.

python -m tools.inspect_records DATA [--verify [--input RAW]] [--json]
python -m tools.inspect_records DATA --show ID --png FILE
python -m tools.inspect_records DATA --views gin/jigsaw_3d.gin --png FILE
python -m tools.inspect_records DATA --workdir RUN --png FILE
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import app, flags

from ssl3d_tf.command import cli
from ssl3d_tf.data.places import Place, local, place
from ssl3d_tf.data.records import manifest
from tools.checks import sources, verification
from tools.conversion import publication
from tools.overview import planes, table
from tools.readers import layouts


def define_flags() -> None:
    """Declares the flags; called by the command only."""
    flags.DEFINE_bool("verify", False, "Read everything and compare it with checksums and manifest.")
    flags.DEFINE_string("input", "", "With --verify: what it was made from; names what changed, is gone or new.")
    flags.DEFINE_string("show", "", "Draw the planes of the example with this id.")
    flags.DEFINE_multi_string("views", [], "Draw what the network sees with this gin file; several, in order.")
    flags.DEFINE_string(
        "workdir", "", "Instead of --views: of a pretraining run, which reconstructs what its task hides."
    )
    flags.DEFINE_multi_string("gin_param", [], "NAME=VALUE for --views, such as VIEW_SIZE=32; may repeat.")
    flags.DEFINE_multi_string("gin_import", [], "A module of yours that a gin file of --views imports; may repeat.")
    flags.DEFINE_string("png", "", "Where --show, --views or --workdir draws.")
    flags.DEFINE_bool("neurological", False, "Draw the patient's left on the left; by default on the right.")
    flags.DEFINE_bool("json", False, "Print JSON instead of a table.")


def main(argv: Sequence[str]) -> None:
    """Does what the flags say with the folder named as the one argument."""
    values = flags.FLAGS
    check(values, argv)
    folder = place(argv[1])
    data = manifest.read(folder)
    if values.verify:
        faults = list(verification.verify(folder, data))
        if values.input and not faults:
            faults = changes(folder, data, values.input)
        if faults:
            print("\n".join(faults), file=sys.stderr)
            sys.exit(1)
    if values.show:
        planes.write(local(values.png, "--png"), folder, data, values.show, neurological=values.neurological)
    if values.views or values.workdir:
        workdir = local(values.workdir, "--workdir") if values.workdir else None
        png = local(values.png, "--png")
        show_views(
            folder,
            values.views,
            values.gin_param,
            values.gin_import,
            png=png,
            workdir=workdir,
            neurological=values.neurological,
        )
    if values.png and not values.json:
        print(f"drawn: {values.png}")
    summary = table.summarise(folder, data)
    print(json.dumps(summary, indent=1) if values.json else table.text(summary))
    if values.verify and not values.json:
        print("verified: every checksum, id, offset and shape agrees with the manifest.")
    if values.verify and values.input and not values.json:
        print("verified: the files it was made from are as they were.")


def check(values: flags.FlagValues, argv: Sequence[str]) -> None:
    """Raises app.UsageError where flags do not belong together, or no folder is named."""
    if len(argv) != 2:
        raise app.UsageError("name one data folder: python -m tools.inspect_records DATA")
    if bool(values.show) + bool(values.views) + bool(values.workdir) != bool(values.png):
        rule = "one of --show ID, --views GIN_FILE and --workdir RUN, which has a configuration of its own"
        raise app.UsageError(f"--png FILE needs {rule}; and each of them needs --png.")
    if values.input and not values.verify:
        raise app.UsageError("--input is for --verify; add it.")
    if values.gin_param and not values.views:
        raise app.UsageError("--gin_param is for --views; add --views=gin/jigsaw_3d.gin, say.")
    if values.neurological and not values.png:
        raise app.UsageError("--neurological turns a picture; add --png=FILE, and --show, --views or --workdir.")


def changes(folder: Place, data: manifest.Manifest, raw: str) -> list[str]:
    """What of the files in `raw` is not as it was when `folder` was made from them. Raises InputError as layouts do."""
    listing = layouts.find(layouts.Request(raw, data.recipe["layout"]))
    quarantined = [fault.path for fault in publication.read_quarantine(folder)]
    return list(sources.differences(folder, data, listing, quarantined))


def show_views(
    folder: Place,
    gin_files: Sequence[str],
    params: Sequence[str],
    imports: Sequence[str],
    *,
    png: Path,
    workdir: Path | None = None,
    neurological: bool = False,
) -> None:
    """Draws what the network sees of a few training examples. Raises InputError, as `ssl3d_tf.preview.draw` does."""
    from ssl3d_tf import preview  # late: all else here does without TensorFlow, and starts ten times faster
    from ssl3d_tf.command import configuration

    sources = configuration.Sources(tuple(gin_files), tuple(params), tuple(imports))
    preview.draw(folder, sources, png, workdir=workdir, neurological=neurological)


def command() -> None:
    """The command line."""
    cli.run(main, define_flags)


if __name__ == "__main__":
    command()
