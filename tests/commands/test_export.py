"""Exported networks give the same numbers where this package is not: by TensorFlow, Keras or onnxruntime alone."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
from absl import app, flags

from ssl3d_tf import export
from ssl3d_tf.errors import InputError
from ssl3d_tf.models import decoders, unet
from ssl3d_tf.training import exporting, formats, weights
from ssl3d_tf.training.encoders import load_encoder, load_model
from tests.commands import in_process
from tests.models.test_portable import CLASSES, classifier, trained, u_net

HAS_ONNX = importlib.util.find_spec("tf2onnx") and importlib.util.find_spec("onnxruntime")
FORMATS = ["savedmodel", "keras", pytest.param("onnx", marks=pytest.mark.skipif(not HAS_ONNX, reason="no [onnx]"))]
CONTRACT = {"channels": ["MR"], "recipe": {"intensity": "zscore"}, "data": {"sha256": "d"}, "grid": None}
OF_MODEL = {"task": "segmentation", "classes": {"0": "background", "4": "organ", "1002": "lesion"}, "view_size": 16}

ELSEWHERE = {  # six lines and fewer; `folder`, `volumes` and `outputs` are given and wanted
    "savedmodel": """
import tensorflow as tf
network = tf.saved_model.load(folder)
outputs = [*network.signatures["serving_default"](volumes=tf.constant(volumes)).values()][0].numpy()""",
    "keras": """
import keras
network = keras.models.load_model(folder + "/model.keras")
outputs = network.predict(volumes, verbose=0)""",
    "onnx": """
import onnxruntime
network = onnxruntime.InferenceSession(folder + "/model.onnx")
outputs = network.run(None, {"volumes": volumes})[0]""",
}
ALONE = """
import sys
sys.modules["ssl3d_tf"] = None  # whoever imports it fails
import numpy
for folder, file in zip(sys.argv[1::2], sys.argv[2::2]):
    volumes = numpy.load(file)
    {code}
    numpy.save(file, outputs)
assert not [name for name in sys.modules if name.startswith("ssl3d_tf.")]
"""
# Keras 3.15, where it stores a variable's numbers by NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")


def save(folder, model, **contract):
    rank = len(model.input_shape) - 2
    axes = ["batch", *("depth", "height", "width")[-rank:], "channels"]
    contract = {**CONTRACT, "rank": rank, "axes": axes, "input_shape": [*(16,) * rank, 1], **contract}
    weights.save(folder, model, step=1, contract=contract)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """model/ is of a U-Net with decoder, classes/ of a classifier of fixed size, run/ has encoder/."""
    root = tmp_path_factory.mktemp("export")
    save(root / "model", trained(lambda: u_net(3)), **OF_MODEL, input_shape=[None, None, None, 1])  # as finetuning does
    labels = {"task": "classification", "labels": {"kind": "nominal", "values": [0, 1, 2]}, "classes": {}}
    save(root / "classes", trained(classifier), **labels)
    save(root / "run" / "encoder", trained(lambda: unet.encoder(1, rank=2, filters=4, levels=1, norm="group")))
    return root


@pytest.fixture(scope="module")
def exported(root):
    """(name of the model, format) -> its folder, made once."""

    def made(name, kind):
        folder = root / f"{name}-{kind}"
        if not folder.exists():
            export.run(root / name, "", kind, folder)
        return folder

    return made


def alone(kind, asked, where):
    """Outputs of a process that has no ssl3d_tf, in a folder of its own; asked: (folder of an export, volumes)."""
    files = [where / f"{number}.npy" for number in range(len(asked))]
    for file, (_, volumes) in zip(files, asked, strict=True):
        np.save(file, volumes)
    code = ALONE.format(code=ELSEWHERE[kind].strip().replace("\n", "\n    "))
    pairs = [text for (folder, _), file in zip(asked, files, strict=True) for text in (folder, file)]
    made = subprocess.run([sys.executable, "-c", code, *pairs], cwd=where, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return [np.load(file) for file in files]


@pytest.mark.parametrize("kind", FORMATS)
def test_it_gives_the_same_numbers_without_this_package(kind, root, exported, tmp_path):
    """In any batch and, where the network takes any, in any size: of Keras in multiples of what contract.json says."""
    asked, expected, random = [], [], np.random.default_rng(5)
    for name, load in (("model", load_model), ("classes", load_model), ("run", load_encoder)):
        folder, model = exported(name, kind), load(root / name)
        rank, n = len(model.input_shape) - 2, 2 if (name, kind) == ("model", "keras") else 1
        assert json.loads((folder / "contract.json").read_text())["export"]["multiple_of"] == [n] * rank
        for sizes in (
            [(1, 16, 16, 16), (3, 16, 16, 16)] if name == "classes" else [(1, 16, 16, 16), (2, 7 * n, 9 * n, 8)]
        ):
            asked.append((folder, random.random((*sizes[: rank + 1], 1), np.float32)))
            expected.append(np.asarray(model(asked[-1][1])))
    for found, wanted in zip(alone(kind, asked, tmp_path), expected, strict=True):
        np.testing.assert_allclose(
            found, wanted, rtol=0, atol=(0 if kind == "savedmodel" else 1e-5) * np.abs(wanted).max()
        )


def test_it_is_tried_on_what_it_was_trained_on_and_on_another_size():
    def shapes(sides, n, **contract):
        about = {"multiple_of": n, "input": {"shape": [None, *sides, 1]}}
        return [volumes.shape for volumes in exporting._trials(contract, about)]

    free = [None, None]
    any_size = [1, 1]
    assert shapes(free, any_size, input_shape=[20, 20, 1]) == [(2, 20, 20, 1), (1, 21, 22, 1)]
    assert shapes(free, [8, 8], input_shape=[None, None, 1], view_size=20) == [(2, 24, 24, 1), (1, 32, 40, 1)]
    assert shapes(free, [8, 2], input_shape=[None, None, 1], view_size=18) == [(2, 24, 18, 1), (1, 32, 22, 1)]
    assert shapes([16, 18], any_size, input_shape=[16, 18, 1]) == [(2, 16, 18, 1)]
    assert shapes(free, any_size) == [(2, 32, 32, 1), (1, 33, 34, 1)]  # of version 0.1


@pytest.mark.parametrize("kind", FORMATS)
def test_the_contract_goes_with_it(kind, exported):
    found = json.loads((exported("model", kind) / "contract.json").read_text())
    about = found["export"]
    assert {name: found[name] for name in OF_MODEL} == OF_MODEL
    assert found["recipe"] == CONTRACT["recipe"]
    assert about["format"] == kind
    assert about["input"] == {"name": "volumes", "shape": [None, None, None, None, 1], "dtype": "float32"}
    assert about["output"]["name"] == "logits"
    assert about["output"]["shape"][-1] == CLASSES
    assert about["max_abs_difference"] < 1e-4 * about["max_abs_output"]
    assert about["needs"] == []
    assert not {"folder", "architecture", "weights"} & set(found)


def test_onnx_holds_the_contract_and_names_its_axes(exported):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("tf2onnx")
    made = onnx.load(exported("model", "onnx") / "model.onnx")
    (held,) = [json.loads(each.value) for each in made.metadata_props if each.key == "contract"]
    beside = json.loads((exported("model", "onnx") / "contract.json").read_text())
    measured = {name: beside["export"].pop(name) for name in ("max_abs_difference", "max_abs_output")}
    assert set(beside["export"].pop("files")) == {path.name for path in exported("model", "onnx").iterdir()}
    assert held == beside
    assert min(measured.values()) > 0
    axes = [size.dim_param or size.dim_value for size in made.graph.input[0].type.tensor_type.shape.dim]
    assert axes == ["batch", "depth", "height", "width", 1]


def test_an_export_stays_unless_it_is_to_be_replaced(root, exported, tmp_path):
    folder = shutil.copytree(exported("model", "keras"), tmp_path / "out")
    with pytest.raises(InputError, match=f"--output {folder} holds an export already; give a new folder, or add --ove"):
        export.run(root / "classes", "", "keras", folder)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"holds notes.txt beside an export; move it away"):
        export.run(root / "classes", "", "keras", folder, overwrite=True)
    (folder / "notes.txt").unlink()
    export.run(root / "classes", "", "keras", folder, overwrite=True)
    assert json.loads((folder / "contract.json").read_text())["task"] == "classification"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").touch()
    with pytest.raises(InputError, match="holds other files and no export; give a new folder"):
        export.run(root / "model", "", "keras", tmp_path / "other", overwrite=True)
    with pytest.raises(InputError, match=r"mine.txt is a file; give a new folder"):
        export.run(root / "model", "", "keras", tmp_path / "other" / "mine.txt")


def test_what_computes_something_else_is_refused_and_leaves_nothing(root, tmp_path, monkeypatch):
    made = formats.FORMATS["keras"]

    def darker(folder, result):
        predict = made.read(folder, result)
        return lambda volumes: 0.9 * predict(volumes)

    monkeypatch.setattr(exporting, "FORMATS", {"keras": made._replace(read=darker)})
    with pytest.raises(InputError, match=r"--format=keras computes something else than the model \(max \|difference"):
        export.run(root / "model", "", "keras", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_killed_export_leaves_what_was_there(root, exported, tmp_path, monkeypatch):
    folder = shutil.copytree(exported("model", "keras"), tmp_path / "out")
    before = (folder / "contract.json").read_bytes()

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(exporting, "_compared", killed)
    with pytest.raises(KeyboardInterrupt):
        export.run(root / "classes", "", "keras", folder, overwrite=True)
    assert (folder / "contract.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_without_onnx_the_extra_is_named(root, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(InputError, match=r"--format=onnx needs .*: pip install 'ssl3d_tf\[onnx\]'"):
        export.run(root / "model", "", "onnx", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def run(*arguments):
    in_process.run("ssl3d_tf.export", *arguments)


def test_the_command_says_what_goes_in_what_comes_out_and_how_near_it_is(root, tmp_path, capsys):
    run(f"--model={root / 'model'}", "--format=keras", f"--output={tmp_path / 'out'}")
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [
        f"model: {root / 'model'}, as named by --model.",
        "input 'volumes': any × any × any × any × 1, float32.",
        f"output 'logits': any × any × any × any × {CLASSES}, float32.",
    ]
    assert lines[3] == "its sides must be multiples of 2 × 2 × 2: a Keras file cannot lengthen them itself."
    assert lines[4].startswith(f"{tmp_path / 'out'}: keras and contract.json; differs by ")


def test_of_thick_slices_every_axis_has_a_multiple_of_its_own(tmp_path, capsys):
    def thick():
        encoder = unet.encoder(1, rank=3, filters=2, levels=2, norm="group", pool=((2, 2, 1), (2, 2, 2)))
        return decoders.unet_3d_upconv(norm="group")(encoder, CLASSES)

    save(tmp_path / "model", trained(thick), **OF_MODEL, input_shape=[None, None, None, 1])
    run(f"--model={tmp_path / 'model'}", "--format=keras", f"--output={tmp_path / 'out'}")
    assert "its sides must be multiples of 4 × 4 × 2: a Keras file" in capsys.readouterr().out
    assert json.loads((tmp_path / "out" / "contract.json").read_text())["export"]["multiple_of"] == [4, 4, 2]
    found, volumes = keras.models.load_model(tmp_path / "out" / "model.keras"), np.ones((1, 8, 4, 2, 1), np.float32)
    np.testing.assert_allclose(found(volumes), load_model(tmp_path / "model")(volumes), atol=1e-4)


def test_a_folder_that_tensorflow_takes_for_a_pattern_is_written_and_said(root, tmp_path, capsys):
    run(f"--model={root / 'classes'}", "--format=savedmodel", f"--output={tmp_path / 'out[1]'}")
    assert f"note: TensorFlow takes {tmp_path / 'out[1]'} for a pattern" in capsys.readouterr().out
    (tmp_path / "out[1]").rename(tmp_path / "out")
    assert keras.layers.TFSMLayer(str(tmp_path / "out"), call_endpoint="serving_default")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--model=nowhere", "--format=keras", "--output=out"], "nowhere holds no encoder"),
        (["--model=nowhere", "--format=keras"], "--output is missing"),
        (["--format=keras", "--output=out"], "--model is missing"),
        (["--model=nowhere", "--output=out"], "--format is missing"),
        (["--model=nowhere", "--format=tflite", "--output=out"], "value should be one of <savedmodel|keras|onnx>"),
        (["--model=nowhere", "--format=keras", "--output=gs://b/out"], "--output"),
    ],
)
def test_a_mistake_is_one_line(arguments, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((InputError, app.UsageError, flags.Error), match=re.escape(said)) as caught:
        run(*arguments)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
