"""Commands in README and docs are such as there are: their flags, files, knobs. First hour and tutorial are run."""

import importlib
import re
import runpy
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from absl import flags

import ssl3d_tf
from ssl3d_tf.command import configuration
from ssl3d_tf.errors import InputError
from tests.commands import in_process

ROOT = Path(__file__).resolve().parents[1]
READ_BY_COMMANDS = ("FOLDS", "SPACE", "MAX_TRIALS", "PRUNE_AFTER", "FRACTION", "TUNER")  # and by no binding
_SHORT = ("STEPS=2", "EVAL_EVERY=2", "SAVE_EVERY=2", "FILTERS=4", "LEVELS=1", "VIEW_SIZE=16", "BATCH_SIZE=2")
SMALLER = {  # what makes seconds of an hour: arguments behind those of the page
    "tools.phantoms": ("--count=9", "--size=16"),
    "tools.to_tfrecord": ("--workers=1",),
    "ssl3d_tf.train": tuple(f"--gin_param={knob}" for knob in (*_SHORT, "BLOCK=8")),
    "ssl3d_tf.finetune": tuple(f"--gin_param={knob}" for knob in (*_SHORT, "CASES=(1,2)")),
}
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs/results").glob("*.md"))]
COMMAND = re.compile(r"^(?:\$ )?(?:[A-Z_0-9]+=\S+ )*python -m ((?:ssl3d_tf|tools)\.\w+)\b(.*)$")


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def commands(text):
    """(module, arguments) of every command in the fenced blocks of a page and between its `backticks`."""
    lines = [line for block in blocks(text, r"\w*") for line in block.replace("\\\n", " ").splitlines()]
    lines += re.findall(r"`(python -m [^`]+)`", text.replace("\n", " "))
    for line in lines:
        if found := COMMAND.match(line.strip()):
            yield found[1], shlex.split(found[2], comments=True)


ALL = [
    pytest.param(module, arguments, id=f"{page.relative_to(ROOT)}: {module.rpartition('.')[2]}-{number}")
    for page in PAGES
    for number, (module, arguments) in enumerate(commands(page.read_text(encoding="utf-8")))
]


def flags_of(module):
    """Names of the flags of a command."""
    before, command = set(flags.FLAGS), importlib.import_module(module)
    (getattr(command, "define_flags", None) or command.finetune.define_flags)()
    own = set(flags.FLAGS) - before
    for name in own:
        delattr(flags.FLAGS, name)
    return own


def mistakes(module, arguments):
    """Flags, files and knobs that there are not."""
    given = [one for one in arguments if one.startswith("--") and "…" not in one]
    known = flags_of(module) | {"help", "verbosity"}
    names = {one[2:].partition("=")[0] for one in given}
    unknown = [name for name in names if name not in known and name.removeprefix("no") not in known]
    files = [one.partition("=")[2] for one in given if one.startswith("--gin_file=gin/")]
    absent = [file for file in files if not (ROOT / file).is_file() and not re.search(r"TASK|[{*]", file)]
    params = [one.partition("=")[2] for one in given if one.startswith("--gin_param=")]
    if files and params and not absent and all((ROOT / file).is_file() for file in files):
        try:
            configuration.load(configuration.Sources(tuple(files), tuple(params)), read=READ_BY_COMMANDS)
        except InputError as error:
            return [*unknown, str(error)]
    return [*unknown, *absent]


@pytest.mark.parametrize(("module", "arguments"), ALL)
def test_a_command_has_the_flags_files_and_knobs_that_it_is_given(module, arguments):
    assert mistakes(module, arguments) == []


def test_a_mistake_is_found():
    text = """```
python -m ssl3d_tf.train --gin_file=gin/cpc_3d.gin --datta=DATA   # a comment
python -m ssl3d_tf.train --gin_file=gin/cpc_4d.gin --gin_param=STEPS=4
python -m ssl3d_tf.finetune --gin_file=gin/finetune/segmentation_3d.gin \\
  --gin_param=STEPSS=4
```
"""
    first, second, third = (mistakes(*command) for command in commands(text))
    assert first == ["datta"]
    assert second == ["gin/cpc_4d.gin"]
    assert "STEPSS is set" in third[0]
    assert len(ALL) > 60


def test_the_first_hour_ends_in_masks_of_new_scans(tmp_path, monkeypatch):
    """By the page's commands alone, with fewer scans and steps."""
    monkeypatch.chdir(tmp_path)
    page = "".join(blocks((ROOT / "docs/first_hour.md").read_text(encoding="utf-8"), "bash"))
    ran = [(module, arguments) for module, arguments in commands(f"```\n{page}```\n")]
    assert page.count("python -m") == len(ran)
    for module, arguments in ran:
        in_process.run(module, *arguments, *SMALLER.get(module, ()))
    assert len(list(Path("OUT").glob("subject_00[0-8].nii.gz"))) == 9
    assert "against scratch" in Path("FT/report.html").read_text(encoding="utf-8")


def test_the_reference_is_made_from_the_code(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs")
    importlib.import_module("reference").write(tmp_path)
    pages = {path.stem: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert pages.keys() == {"commands", "files", "knobs"}
    for page, said in (("commands", "## ssl3d_tf.predict"), ("files", "**Brick.**"), ("knobs", "`VIEW_SIZE`")):
        assert said in pages[page]


TUTORIAL = ROOT / "docs/tutorial.py"


def test_the_tutorial_ends_in_masks_of_new_scans(tmp_path, monkeypatch):
    """As a plain script at its small size; what it runs by `python -m` runs in this process."""
    of_programs = subprocess.run

    def run(command, **given):
        is_ours = command[:2] == [sys.executable, "-m"]
        return in_process.run(*command[2:]) if is_ours else of_programs(command, **given)

    monkeypatch.setenv("TUTORIAL_SMALL", "1")
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "mkdtemp", lambda prefix: tmp_path)
    monkeypatch.setattr(subprocess, "run", run)
    names = runpy.run_path(str(TUTORIAL))
    assert names["found"].shape == names["truth"].shape == (3, 24, 24, 24)
    assert len(plt.get_fignums()) == TUTORIAL.read_text(encoding="utf-8").count("\nshow(") + 1  # and the map
    plt.close("all")
    assert "against scratch" in Path("FT/report.html").read_text(encoding="utf-8")


def test_the_tutorial_uses_what_programs_may_rely_on():
    used = set(re.findall(r"ssl3d_tf\.(\w+)\(", TUTORIAL.read_text(encoding="utf-8")))
    assert {"open_data", "dataset", "load_encoder"} <= used <= set(ssl3d_tf.__all__)
