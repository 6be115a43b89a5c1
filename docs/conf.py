"""The documentation as a site: the pages of this folder, and a reference made from the code when it is built."""

import os
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path[:0] = [str(DOCS), str(DOCS.parent)]  # the checkout that is documented, whatever is installed

project, author, copyright = "ssl3d_tf", "the authors of ssl3d_tf", "the authors of ssl3d_tf, Apache-2.0"
extensions = ["myst_nb"]
myst_heading_anchors = 3
html_theme, html_title = "furo", "ssl3d_tf"
exclude_patterns = ["_build", "conf.py", "reference.py"]
# tutorial.py is run when its code has changed, and shown with what it printed and drew.
nb_custom_formats = {".py": ["jupytext.reads", {"fmt": "py:percent"}]}
nb_execution_mode, nb_execution_timeout, nb_execution_raise_on_error = "cache", 1200, True
nb_execution_cache_path = str(DOCS / "_build" / ("tutorial-small" if "TUTORIAL_SMALL" in os.environ else "tutorial"))
nitpicky = True
smartquotes = False  # they make one dash of the two of a flag


def setup(app):
    """The reference is made anew at every build; pages that are read in the repository too name its root files."""
    import reference  # beside this file; sphinx puts no folder of ours on the path by itself

    reference.write(DOCS / "reference")
    app.connect("source-read", lambda _, name, text: text.__setitem__(0, _within(text[0])))


def _within(text: str) -> str:
    return text.replace("../DECISIONS.md", "decisions.md").replace("../README.md", "index.md")
