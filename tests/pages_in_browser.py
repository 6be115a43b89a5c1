"""Do the pages fit a screen of 390 and of 1280 pixels? In headless Chromium: `make pages`, with pictures in runs/pages.

Not part of `pytest tests`, as it needs `chromium` on the PATH (Debian: apt install chromium).
"""

import html
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ssl3d_tf.evaluation import report
from tests.evaluation import finetuning_workdir as made

PICTURES = Path("runs") / "pages"
QUIET = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
# Measured in a frame, as a window of Chromium is never narrower than 500 pixels.
FRAME = """<body style="margin:0"><iframe style="width:{width}px;height:6000px;border:0" srcdoc="{page}"></iframe>
<script>onload = () => {{
  const page = document.querySelector("iframe").contentDocument, small = [...page.querySelectorAll("figure svg text")]
  document.title = "width " + page.documentElement.scrollWidth +
    " letters " + Math.min(...small.map(one => one.getBoundingClientRect().height))
}}</script>"""


def chromium(*arguments, folder):
    assert shutil.which("chromium"), "chromium is not on the PATH: apt install chromium"
    command = ["chromium", *QUIET, f"--user-data-dir={folder}", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = made.write(tmp_path_factory.mktemp("pages") / "segmentation")
    report.write([folder], folder / "report.html")
    return {"finetuning": (folder / "report.html").read_text(encoding="utf-8")}


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", ["finetuning"])
def test_a_page_is_no_wider_than_the_screen_and_its_letters_can_be_read(name, width, pages, tmp_path):
    frame = tmp_path / "frame.html"
    frame.write_text(FRAME.format(width=width, page=html.escape(pages[name])), encoding="utf-8")
    PICTURES.mkdir(parents=True, exist_ok=True)
    picture = PICTURES.resolve() / f"{name}-{width}.png"
    chromium(f"--window-size={max(500, width)},6000", f"--screenshot={picture}", frame, folder=tmp_path / "a")
    found = re.search(r"<title>width (\d+) letters ([\d.]+)", chromium("--dump-dom", frame, folder=tmp_path / "b"))
    assert int(found[1]) <= width
    assert float(found[2]) >= 8
