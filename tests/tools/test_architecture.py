"""tools/: floor upon floor, with the commands at the door (docs/records.md: the way of a volume)."""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FLOORS = {
    "voxels": 1,
    "original": 1,
    "readers": 2,
    "checks": 3,
    "prepare": 3,
    "overview": 4,
    "prediction": 4,
    "conversion": 5,
    "": 6,
}
MODULES = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in (ROOT / "tools").rglob("*.py")}


def folder(name):
    """'tools.readers.files' -> 'readers'; '' for a command."""
    return ".".join(name.split(".")[1:-1])


def imports(name):
    """What a module imports: full names, those of tools cut to the module."""
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (node.module if node.module in MODULES else f"{node.module}.{a.name}" for a in node.names)


@pytest.mark.parametrize("name", MODULES)
def test_folders_import_what_lies_on_lower_floors(name):
    others = {other for other in imports(name) if other.split(".")[0] == "tools"}
    assert others <= set(MODULES)
    floors = {other: FLOORS[folder(other)] for other in others if folder(other) != folder(name)}
    assert all(floor < FLOORS[folder(name)] for floor in floors.values()), floors


def test_no_module_imports_itself_by_way_of_others():
    graph = {name: [other for other in imports(name) if other in MODULES] for name in MODULES}
    assert len(list(graphlib.TopologicalSorter(graph).static_order())) == len(MODULES)


def test_commands_alone_know_flags_and_stand_at_the_door():
    known = {"absl.app", "absl.flags", "ssl3d_tf.command.cli"}
    commands = {name for name in MODULES if known & set(imports(name))}
    assert commands == {name for name in MODULES if folder(name) == "" and not name.endswith("__init__")}


def test_no_module_imports_tensorflow_or_gin():
    code = "import importlib, sys; [importlib.import_module(name) for name in sys.argv[1:]]"
    code += "; sys.exit(str({'tensorflow', 'keras', 'gin'} & set(sys.modules) or '') or None)"
    subprocess.run([sys.executable, "-c", code, *MODULES], check=True, cwd=ROOT)
