"""What a layout looks like on disk, and what to say to whom it does not."""

from collections.abc import Sequence
from pathlib import Path

from ssl3d_tf.errors import InputError

SHOWN = 4  # entries of the folder that an error names


def refusal(root: Path, layout: str, tree: Sequence[str]) -> InputError:
    """The error for a folder `root` that is not laid out as `tree`, one line per path, says."""
    if not root.is_dir():
        return InputError(f"--layout={layout} expects a folder with {', '.join(tree)}, and {root} is a file.")
    names = sorted(path.name + "/" * path.is_dir() for path in root.iterdir())
    names = [name for name in names if not name.startswith(".")]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    found = ", ".join(names[:SHOWN]) + more if names else "nothing"
    return InputError(
        f"--layout={layout} expects {', '.join(tree)} in {root}, which holds {found}; "
        "name the folder around these, or use --layout=folder."
    )
