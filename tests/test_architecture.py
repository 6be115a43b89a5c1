"""Imports point down only (docs: how the code is laid out)."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LAYERS = {
    0: {"errors", "files", "cli", "quiet", "task", "records", "volumes", "cropping", "patches", "permutations"}
    | {"separable", "affine", "filters", "addons", "losses", "overlap", "regions", "metrics", "schedules"}
    | {"places", "synthetic", "phantoms", "strategies", "kernels", "signals", "pictures", "journal", "search"}
    | {"optimizers", "leftovers"},
    1: {"augment", "contrast", "pairs", "models", "pipeline", "health", "shortcuts"},
    2: {"tasks", "steps", "faults", "checkpoints", "loop", "evaluation", "scoring", "protocol", "trials", "tuners"},
    3: {"knobs", "configuration", "run_folder", "train", "finetune", "admission", "quickstart", "views", "audit"}
    | {"tune", "tuning"},
}
LAYER_OF = {name: layer for layer, names in LAYERS.items() for name in names}
SOURCES = [path for folder in ("ssl3d_tf", "tools", "benchmarks") for path in sorted((ROOT / folder).rglob("*.py"))]


def imports(path):
    """Full names of everything that a file imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part_of(name):
    """'ssl3d_tf.data.records.schema' -> 'records'; None for what is not of the package."""
    parts = name.split(".")
    return parts[1] if parts[0] == "ssl3d_tf" and len(parts) > 1 and parts[1] in LAYER_OF else None


@pytest.mark.parametrize("path", [p for p in SOURCES if p.parts[-2] != "tools"], ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_down(path):
    own = part_of(".".join(path.relative_to(ROOT).with_suffix("").parts))
    for name in imports(path):
        part = part_of(name)
        if own and part and part != own:
            assert LAYER_OF[part] <= LAYER_OF[own], f"{own} imports {part}"
        if own == "tasks":
            assert part not in ("pipeline", "loop", "tasks"), name
            assert not name.startswith("gin"), name
        if own in ("loop", "pipeline"):
            assert part != "tasks", name


def test_only_the_top_layer_knows_gin_and_flags():
    allowed = LAYERS[3] | {"cli", "report"}  # evaluation/report.py is a command too, with flags and without gin
    for path in SOURCES:
        if path.is_relative_to(ROOT / "ssl3d_tf") and path.stem not in allowed:
            assert not [name for name in imports(path) if name.split(".")[0] in ("gin", "absl")], path


def test_file_formats_are_known_to_tools_only():
    formats = {"nibabel", "pydicom", "SimpleITK"}
    others = ROOT / "benchmarks" / "peers" / "folders.py"  # writes what other libraries read
    for path in SOURCES:
        if not path.is_relative_to(ROOT / "tools") and path != others:
            assert not [name for name in imports(path) if name.split(".")[0] in formats], path


def test_the_converter_does_without_tensorflow():
    free = {"errors", "files", "places", "cli", "home", "phantoms"}
    late = {"ssl3d_tf.command.configuration", "ssl3d_tf.preview"}  # by inspect_records, where --views asks for them
    for path in SOURCES:
        for name in set(imports(path)) - (late if path.stem == "inspect_records" else set()):
            if path.is_relative_to(ROOT / "tools"):
                parts = name.split(".")
                assert parts[0] not in ("tensorflow", "keras"), path
                allowed = part_of(name) in free or parts[:2] == ["ssl3d_tf", "records"] or parts[0] != "ssl3d_tf"
                assert allowed or name == "ssl3d_tf.__version__", f"{path} imports {name}"


def test_scores_do_without_tensorflow():
    for name in ("scores", "surfaces", "grading", "sliding_window"):
        path = ROOT / "ssl3d_tf" / "evaluation" / f"{name}.py"
        assert not [each for each in imports(path) if each.split(".")[0] in ("tensorflow", "keras")], path


def test_gin_folder_does_not_shadow_the_library():
    assert not list((ROOT / "gin").rglob("__init__.py"))


def test_every_module_says_what_it_is():
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        assert not text or ast.get_docstring(ast.parse(text)), f"{path} has no docstring"
