"""Mistakes of who predicts: each is one line, and nothing is written."""

import pytest

from ssl3d_tf.errors import InputError
from ssl3d_tf.experiment import choosing
from tests.commands.predicting import contents, run


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"model": "{new}"}, r"holds no encoder or model \(no contract.json in it\); give .*FRACTION/REPETITION"),
        (
            {"run": "runs/scratch-randm/100/0"},
            r"--run=runs/scratch-randm/100/0 is no run .*there are runs/scratch-random/100/",
        ),
        (
            {"model": "{ft}/runs/scratch-random/100/0", "run": "runs/x"},
            "is of the --workdir of finetuning.*leave it out",
        ),
        ({"input": "{new}/nothing"}, "--input .*nothing does not exist"),
        ({"input": "{empty}"}, "holds no file of a known kind"),
        (
            {"input": "{pictures}/raw/p0.png"},
            r"none of 1 scans .* p0.png: it is 2D with 1 channel, the model is for 3D",
        ),
        (
            {"input": "{pictures}/data"},
            "was made otherwise than the model's data: spatial axes 3 there, 2 here.*; give the scans",
        ),
        ({"output": "{new}/out"}, "lies inside the input"),
        ({"output": "{new}"}, "lies inside the input"),
        ({"output": "{pictures}/raw"}, r"holds p0.png and no predictions: take an empty or a new folder"),
        ({"output": "{predicted}"}, r"made otherwise \(probabilities True there, False here; embeddings .*--overwrite"),
        ({"output": "{predicted}", "run": "runs/scratch-random/100/0"}, None),
        ({"model": "{pictures}/ft", "input": "{pictures}/raw", "flips": "true"}, "--flips averages .* leave it out"),
        (
            {"model": "{pictures}/ft", "input": "{pictures}/raw", "ensemble": "true"},
            "--ensemble averages the repetitions",
        ),
        ({"ensemble": "true", "embeddings": "true"}, "embeddings of several networks have nothing in common"),
    ],
)
def test_a_mistake_is_one_line(given, message, grid, new, pictures, predicted, tmp_path):
    (tmp_path / "empty").mkdir()
    places = {"ft": grid[1], "new": new[0], "pictures": pictures, "predicted": predicted, "empty": tmp_path / "empty"}
    chosen = {"model": "{ft}", "input": "{new}", "output": str(tmp_path / "out"), **given}
    if message is None:  # another model than that of what is there
        contract = choosing.find(grid[1]).contract["run"]["repetition"]
        chosen["run"], message = f"runs/scratch-random/100/{1 - contract}", r"made otherwise \(weights \['.*--overwrite"
    before = contents(new[0])
    with pytest.raises(InputError, match=message) as caught:
        run(**{name: value.format(**places) for name, value in chosen.items()})
    assert "\n" not in str(caught.value)
    assert contents(new[0]) == before
    assert not (tmp_path / "out").exists()
    assert not (pictures / "raw" / ".lock").exists()
