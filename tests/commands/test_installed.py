"""What `pip install .` leaves: the commands, their gin files and tools, where there is no checkout."""

import configparser
import json
import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("ssl3d_tf", "tools", "gin", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")
SMALL = ("STEPS=3", "BATCH_SIZE=2", "FILTERS=2", "LEVELS=1", "PHANTOMS=8")


def run(*command, cwd):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run([*map(str, command)], cwd=cwd, env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a source distribution, as a package index would hand it out; without the network."""
    folder = tmp_path_factory.mktemp("sources")
    for path in [path for part in PARTS for path in [ROOT / part, *(ROOT / part).rglob("*")] if path.is_file()]:
        if "__pycache__" not in path.parts:
            (folder / path.relative_to(ROOT)).parent.mkdir(parents=True, exist_ok=True)
            (folder / path.relative_to(ROOT)).write_bytes(path.read_bytes())
    run(sys.executable, "-c", "from setuptools import build_meta; build_meta.build_sdist('dist')", cwd=folder)
    (sdist,) = (folder / "dist").glob("*.tar.gz")
    offline = ("--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
    run(sys.executable, "-m", "pip", "wheel", *offline, "--wheel-dir=wheels", sdist, cwd=folder)
    (found,) = (folder / "wheels").glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """An environment with the wheel, and what it requires from here, inside somebody's own git repository."""
    folder = tmp_path_factory.mktemp("elsewhere")
    run("git", "init", "--quiet", cwd=folder)
    run("git", "-c", "user.name=n", "-c", "user.email=e", "commit", "--quiet", "--allow-empty", "-mempty", cwd=folder)
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv", cwd=folder)
    python = folder / "venv" / "bin" / "python"
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip())
    paths = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    (site / "requirements.pth").write_text("\n".join(paths))
    options = ("--no-deps", "--no-index", "--disable-pip-version-check")
    run(sys.executable, "-m", "pip", f"--python={python}", "install", *options, wheel, cwd=folder)
    return SimpleNamespace(python=python, bin=python.parent, site=site, folder=folder)


def test_it_trains_with_its_own_gin_files_and_knows_no_foreign_commit(installed, tmp_path):
    where = "import ssl3d_tf.command.home as home, tools; print(home.__file__, tools.__file__, home.ROOT, sep='\\n')"
    for line in run(installed.python, "-c", where, cwd=tmp_path).split():
        assert Path(line).is_relative_to(installed.site)
    params = [f"--gin_param={param}" for param in SMALL]
    run(installed.python, "-m", "ssl3d_tf.train", "--gin_file=gin/cpc_3d.gin", *params, cwd=installed.folder)
    workdir = installed.folder / "runs" / "cpc_3d-1"
    assert (workdir / "encoder" / "contract.json").is_file()
    assert json.loads((workdir / "run.json").read_text())["commit"] is None


def test_a_script_and_its_module_are_the_same_command(installed, tmp_path):
    shown = run(installed.python, "-m", "tools.to_tfrecord", "--help", cwd=tmp_path)
    assert run(installed.bin / "ssl3d-to-tfrecord", "--help", cwd=tmp_path) == shown
    assert shown.startswith("Converts medical images")
    assert "--records_per_shard:" in shown
    assert "--pdb" not in shown


def test_convert_config_finds_the_files_it_includes(installed, tmp_path):
    (tmp_path / "old.json").write_text(json.dumps({"algorithm": "cpc", "data_is_3D": True}))
    assert "is not there" not in run(installed.bin / "ssl3d-convert-config", "old.json", cwd=tmp_path)


def test_the_wheel_holds_what_the_folders_hold(wheel):
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    sources = {path.relative_to(ROOT) for part in ("ssl3d_tf", "tools") for path in (ROOT / part).rglob("*.py")}
    shared = {Path("ssl3d_tf/share") / path.relative_to(ROOT) for path in (ROOT / "gin").rglob("*.gin")}
    assert names - {"ssl3d_tf/py.typed"} == {path.as_posix() for path in sources | shared}, (
        "name every folder in `packages` of setup.cfg"
    )


def test_every_command_has_a_script():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    lines = config["options.entry_points"]["console_scripts"].strip().split("\n")
    scripts = dict(re.fullmatch(r"ssl3d-([\w-]+) = ([\w.]+):command", line).groups() for line in lines)
    assert all(name.replace("-", "_") == module.rpartition(".")[2] for name, module in scripts.items())
    files = [path for part in ("ssl3d_tf", "tools") for path in (ROOT / part).rglob("*.py")]
    commands = [path for path in files if "\ndef command() -> None:" in path.read_text(encoding="utf-8")]
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts) for path in commands}
    assert set(scripts.values()) == modules - {"tools.phantoms"}  # which is for `make demo`
