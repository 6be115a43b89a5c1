"""The house as README shows it: floors, each of which imports only from those under it, read from the folders."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FLOORS = (  # of ssl3d_tf, from the ground up; commands, at the package's door, are above all
    {"task", "errors", "quiet"},
    {"views", "losses", "models"},
    {"tasks", "data", "command"},
    {"evaluation", "training"},
    {"experiment"},
    {"search"},
    {"train", "finetune", "tune", "predict", "export", "audit", "report", "quickstart", "preview", "serve", "__init__"}
    | {"records"},  # data/records by its name of before, which none of ours uses
)
FLOOR_OF = {name: number for number, names in enumerate(FLOORS) for name in names}
PACKAGE = ROOT / "ssl3d_tf"
SOURCES = [
    path
    for folder in ("ssl3d_tf", "tools", "benchmarks", "experiments")
    for path in sorted((ROOT / folder).rglob("*.py"))
]


def imports(path):
    """Full names of everything that a file imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def wing_of(name):
    """'ssl3d_tf.data.records.schema' -> 'data'; None for what is not of the package."""
    parts = name.split(".")
    return parts[1] if parts[0] == "ssl3d_tf" and len(parts) > 1 and parts[1] in FLOOR_OF else None


def own_wing(path):
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def wings_used():
    """Wing -> the other wings that it imports."""
    used = {name: set() for name in FLOOR_OF}
    for path in PACKAGE.rglob("*.py"):
        used[own_wing(path)] |= {wing_of(name) for name in imports(path)} - {None, own_wing(path)}
    return used


def test_at_the_door_stand_commands_the_contract_and_folders():
    assert {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()} == set(
        FLOOR_OF
    )


def test_imports_point_down():
    used = wings_used()
    for wing, others in used.items():
        for other in others:
            assert FLOOR_OF[other] <= FLOOR_OF[wing], f"{wing} imports {other}"
            assert wing not in used[other], f"{wing} and {other} import each other"


def test_a_wing_says_what_lives_there_and_hands_on_nothing():
    for path in [*PACKAGE.rglob("*/__init__.py"), *(ROOT / "tools").rglob("*/__init__.py")]:
        (statement,) = ast.parse(path.read_text(encoding="utf-8")).body
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path
        assert isinstance(statement, ast.Expr), path


def test_tasks_know_no_other_task_nor_pipeline_and_the_loop_knows_no_task():
    for path in (PACKAGE / "tasks").glob("*.py"):
        assert not [name for name in imports(path) if wing_of(name) in ("tasks", "data", "command")], path
    for path in [PACKAGE / "data" / "pipeline.py", *(PACKAGE / "training").glob("*.py")]:
        assert not [name for name in imports(path) if wing_of(name) == "tasks"], path


def test_only_commands_know_flags_and_gin():
    for path in PACKAGE.rglob("*.py"):
        known = {name.split(".")[0] for name in imports(path)}
        assert "absl" not in known or path.parent == PACKAGE or path.parent.name == "command", path
        assert "gin" not in known or path.parent.name == "command", path


def test_files_and_functions_stay_short():
    for path in [*PACKAGE.rglob("*.py"), *(ROOT / "tools").rglob("*.py")]:
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= (120 if path.parent == PACKAGE else 260), path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                assert not body or node.end_lineno - body[0].lineno < 42, f"{path}: {node.name}"


def test_a_reader_s_path_is_short():
    """gin/cpc_3d.gin and what it leads through, as README says."""
    path = ["gin/cpc_3d.gin", *(f"ssl3d_tf/{name}.py" for name in README_PATH)]
    assert sum(len((ROOT / name).read_text(encoding="utf-8").splitlines()) for name in path) <= 700


README_PATH = ("tasks/cpc", "data/pipeline", "training/steps", "training/loop")


def test_file_formats_are_known_to_tools_only():
    formats = {"nibabel", "pydicom", "SimpleITK"}
    others = ROOT / "benchmarks" / "peers" / "folders.py"  # writes what other libraries read
    for path in SOURCES:
        if not path.is_relative_to(ROOT / "tools") and path != others:
            assert not [name for name in imports(path) if name.split(".")[0] in formats], path


FREE = {"ssl3d_tf." + name for name in ("errors", "data.files", "data.places", "data.phantoms", "data.records")}


@pytest.mark.parametrize("path", [p for p in SOURCES if p.is_relative_to(ROOT / "tools")], ids=lambda p: p.stem)
def test_the_converter_does_without_tensorflow(path):
    late = {"ssl3d_tf.command.configuration", "ssl3d_tf.preview"}  # by inspect_records, where --views asks for them
    allowed = (
        FREE
        | {"ssl3d_tf.command.cli", "ssl3d_tf.command.home", "ssl3d_tf.__version__"}
        | (late if path.stem == "inspect_records" else set())
    )
    for name in imports(path):
        assert name.split(".")[0] not in ("tensorflow", "keras"), path
        if name.startswith("ssl3d_tf"):
            assert any(f"{name}.".startswith(f"{free}.") for free in allowed), f"{path} imports {name}"


def test_scores_do_without_tensorflow():
    for name in ("scores", "surfaces", "grading", "sliding_window"):
        path = PACKAGE / "evaluation" / f"{name}.py"
        assert not [each for each in imports(path) if each.split(".")[0] in ("tensorflow", "keras")], path


def test_gin_folder_does_not_shadow_the_library():
    assert not list((ROOT / "gin").rglob("__init__.py"))


def test_every_module_says_what_it_is():
    for path in SOURCES:
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), f"{path} has no docstring"


def test_every_test_is_beside_its_like():
    """tests/views/test_affine.py is of views/affine.py: a wing's tests are in the folder of its name."""
    wings = {wing for floor in FLOORS[1:-1] for wing in floor} | {"commands", "tools", "benchmarks", "experiments"}
    assert {path.name for path in (ROOT / "tests").iterdir() if (path / "__init__.py").exists()} == wings
