"""What programs of other people may rely on: names, types, what it costs to import, and the README's lines."""

import ast
import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import ssl3d_tf
from ssl3d_tf import train
from ssl3d_tf.command import configuration
from ssl3d_tf.data import synthetic

ROOT = Path(__file__).resolve().parents[1]


def test_every_public_name_is_there_and_listed():
    assert set(ssl3d_tf._HOMES) | {"__version__"} == set(ssl3d_tf.__all__)
    for name in ssl3d_tf.__all__:
        assert getattr(ssl3d_tf, name)
        assert name in dir(ssl3d_tf)
    from ssl3d_tf.data.folders import open_folder
    from ssl3d_tf.errors import InputError

    assert (ssl3d_tf.open_data, ssl3d_tf.InputError) == (open_folder, InputError)


def test_programs_of_before_find_records_by_their_name_of_then():
    from ssl3d_tf.data.records import manifest as now
    from ssl3d_tf.records import manifest as then

    assert then is now


def test_another_name_is_none():
    with pytest.raises(AttributeError, match="module 'ssl3d_tf' has no attribute 'load_encoders'"):
        ssl3d_tf.load_encoders  # noqa: B018


def test_type_checkers_are_told_of_what_is_imported_late():
    told = re.search(r"if TYPE_CHECKING:\n((?: .*\n)+)", Path(ssl3d_tf.__file__).read_text(encoding="utf-8"))[1]
    lines = ast.parse(textwrap.dedent(told)).body
    assert {one.asname or one.name: (line.module, one.name) for line in lines for one in line.names} == ssl3d_tf._HOMES


def test_the_package_and_a_contract_cost_no_tensorflow(tmp_path):
    (tmp_path / "contract.json").write_text(json.dumps({"rank": 3}))
    code = "import os, sys, ssl3d_tf\n"
    code += "print(ssl3d_tf.contract(sys.argv[1])['rank'], 'tensorflow' in sys.modules, 'keras' in sys.modules)"
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["3", "False", "False"]


def test_the_lines_of_the_readme_run(tmp_path):
    data, run = tmp_path / "data", tmp_path / "run"
    synthetic.write_dataset(data, shape=(32,) * 3, counts={"train": 4, "val": 2})
    params = ("STEPS=1", "BATCH_SIZE=2", "FILTERS=2", "LEVELS=1", "VIEW_SIZE=16")
    train.pretrain(configuration.Sources(("gin/rotation_3d.gin",), params), data, run)
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("### In your own Keras\n")[2]
    code = re.search(r"```python\n(.*?)```", section, re.DOTALL)[1]
    names: dict = {}
    exec(code.replace('"RUN"', repr(str(run))).replace('"DATA"', repr(str(data))), names)
    assert names["features"].shape == (4, 8, 8, 8, 4)
