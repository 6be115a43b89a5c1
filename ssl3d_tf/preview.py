"""What the network sees of a few examples, as a picture: python -m tools.inspect_records DATA --views=GIN --png=PNG."""

from pathlib import Path

from matplotlib.figure import Figure

from ssl3d_tf import quiet
from ssl3d_tf.command import configuration
from ssl3d_tf.data import files, folders
from ssl3d_tf.data.places import Place

with quiet.greeting():
    from ssl3d_tf.command import run_folder
    from ssl3d_tf.experiment import preparing, protocol, viewing
    from ssl3d_tf.training import run

EXAMPLES = 4


def draw(
    folder: Place, sources: configuration.Sources, png: Path, *, workdir: Path | None = None, neurological: bool = False
) -> None:
    """Writes the PNG of `figure`. Raises InputError likewise."""
    drawn = figure(folder, sources, workdir=workdir, neurological=neurological)
    with files.atomic(png) as file:
        drawn.savefig(file, format="png", dpi=110)


def figure(
    folder: Place, sources: configuration.Sources, *, workdir: Path | None = None, neurological: bool = False
) -> Figure:
    """The first training examples of a configuration: beside each crop the views made of it, in words what they are.

    Args:
        workdir: of a run, whose configuration is taken in place of `sources.files`, and whose network says what is
            hidden, where its task asks for that.
        neurological: the patient's left on the left; as of `upright.planes`.

    Raises:
        InputError: the configuration sets no task or does not fit the data, or there is no such run.
    """
    data = folders.open_folder(folder)
    count = min(EXAMPLES, len(data.manifest.split("train").entries))
    if workdir is not None:
        run_folder.trained(workdir)
        sources = sources._replace(files=(str(workdir / run_folder.CONFIG),))
    params = (*sources.params, f"BATCH_SIZE={count}", "VIEWS_ON='device'")
    configuration.load(sources._replace(params=params), read=preparing.READ)
    configuration.bind("DATA_SERVICE", ())  # views of a few examples are made here
    configuration.check_bound(run.Settings, "task", sources, remedy="give the file of one, gin/cpc_3d.gin, say")
    if configuration.is_bound(protocol.Plan, "scorer"):
        data = preparing.for_task(data)
    return viewing.figure(data, configuration.make(run.Settings), workdir, neurological=neurological)
