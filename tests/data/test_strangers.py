"""A folder that is no data folder: said to be what it is, with the one to name."""

import json

import pytest

from ssl3d_tf.data.records import manifest
from ssl3d_tf.errors import InputError
from tools.conversion import shards

RUN = json.dumps({"data": {"path": "/scans/data"}})
CASES = {
    "nowhere": ({}, ", as there is no such folder: name the folder that `python -m tools.to_tfrecord` wrote."),
    "file": ({"": "x"}, ", as it is a file: name the folder that `python -m tools.to_tfrecord` wrote."),
    "empty": ({"/": ""}, ", as it is empty: name the folder that `python -m tools.to_tfrecord` wrote."),
    "run": ({"/run.json": RUN}, "; it is the folder of a run, on the data in /scans/data: name its data."),
    "of run": ({"/run.json": "{"}, "; it is the folder of a run: name its data."),
    "begun": (
        {f"/{shards.PROGRESS}/recipe.json": "{}", "/train-00000.tfrecord": ""},
        "; it is of a conversion that has not ended: give its `python -m tools.to_tfrecord` again, which goes on.",
    ),
    "above": ({"/raw/a.nii": "", "/data/manifest.json": "{}"}, "; {}/data does: name that."),
    "few": (
        {"/a.nii": "", "/b.nii": ""},
        "; it holds a.nii, b.nii: if those are scans, run `python -m tools.to_tfrecord --input={} --output=DATA`, "
        "and name DATA.",
    ),
    "many": (
        {f"/{number}.nii": "" for number in range(9)},
        "; it holds 0.nii, 1.nii, 2.nii and 6 more: if those are scans, run `python -m tools.to_tfrecord --input={} "
        "--output=DATA`, and name DATA.",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_line_says_what_it_is_and_what_to_name(name, tmp_path):
    inside, expected = CASES[name]
    folder = tmp_path / name.replace(" ", "-")
    for path, text in inside.items():
        if path == "/":
            folder.mkdir()
            continue
        file = folder.parent / f"{folder.name}{path}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    with pytest.raises(InputError) as caught:
        manifest.read(folder)
    assert str(caught.value) == f"{folder} holds no manifest.json{expected.replace('{}', str(folder))}"
