"""The folder of a run: what may be another when it goes on."""

import json

import pytest

from ssl3d_tf.command import run_folder
from ssl3d_tf.errors import InputError

DATA = {"path": "DATA", "sha256": "0" * 64}
LONG = """\
# Macros:
BATCH_SIZE = 4
DATA_SERVICE = \\
    ('grpc://a-name-that-is-too-long-for-a-line.example.org:5050',
     'grpc://another-name-that-is-too-long.example.org:5050')
SEED = 0
# Parameters for train/pipeline.read:
train/pipeline.read.data_service = %DATA_SERVICE
train/pipeline.read.split = 'train'
"""
SHORT = LONG[: LONG.index("DATA_SERVICE")] + "DATA_SERVICE = ()\n" + LONG[LONG.index("SEED") :]
OLDER = "\n".join(line for line in SHORT.splitlines() if "DATA_SERVICE" not in line) + "\n"


@pytest.fixture
def begun(tmp_path):
    """Claims a folder for a configuration, as of a run that has saved."""

    def claim(config, *services):
        run_folder.check(tmp_path, config, data=DATA)
        run_folder.claim(tmp_path, config, data=DATA, notes={"data_service": services})
        (tmp_path / "checkpoints").mkdir(exist_ok=True)
        return json.loads((tmp_path / run_folder.RECORD).read_text())

    return claim


@pytest.mark.parametrize("first", [SHORT, LONG, OLDER], ids=["without", "with", "of an older version"])
def test_who_makes_the_views_may_change_and_is_noted(begun, first, tmp_path):
    begun(first, "grpc://a:1")
    begun(LONG, "grpc://b:1")
    record = begun(SHORT)
    assert record["data_service"] == ["grpc://a:1", "grpc://b:1"]
    assert "extended" not in record
    assert (tmp_path / run_folder.CONFIG).read_text() == first


def test_what_stands_behind_a_long_value_may_not(begun):
    begun(LONG)
    with pytest.raises(InputError, match=r"another configuration \(-SEED = 0; \+SEED = 1\)"):
        begun(SHORT.replace("SEED = 0", "SEED = 1"))
