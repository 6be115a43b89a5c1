"""README's story as it stands there: scans become records, an encoder, a result, and labels on new scans' own grids."""

import shlex
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest

from ssl3d_tf.data.records import manifest
from ssl3d_tf.evaluation import report, scores, tables
from ssl3d_tf.experiment import choosing
from tests.commands import in_process
from tests.commands.scans import VALUES, save, scan

README = Path(__file__).resolve().parents[2] / "README.md"
NETWORK = ("BATCH_SIZE=2", "FILTERS=4", "LEVELS=1", "VIEW_SIZE=16", "LOG_EVERY=40")
SMALLER = {  # what makes two minutes of two hours; nothing else is changed
    "tools.to_tfrecord": ("--workers=1", "--splits=0.6,0.2,0.2"),
    "ssl3d_tf.train": ("STEPS=2", "CODE_SIZE=8"),
    "ssl3d_tf.finetune": ("STEPS=60", "EVAL_EVERY=60", "SAVE_EVERY=60", "REPETITIONS=1", "LEARNING_RATE=0.02"),
    "ssl3d_tf.predict": (),
}
SCANNERS = tuple(zip(("RAS", "LPI", "PSR", "SLA", "AIL"), (1.0, 1.2, 0.9, 1.1, 1.3), strict=True))


def commands():
    """(module, arguments) of each line of the block."""
    block = README.read_text(encoding="utf-8").partition("## Your own scans\n\n```\n")[2].partition("```")[0]
    for line in block.splitlines():
        python, dash, module, *arguments = shlex.split(line, comments=True)
        assert (python, dash) == ("python", "-m")
        yield module, arguments


def smaller(module):
    """The arguments that are put behind README's."""
    if module in ("ssl3d_tf.train", "ssl3d_tf.finetune"):
        return [f"--gin_param={param}" for param in (*NETWORK, *SMALLER[module])]
    return SMALLER[module]


def make(folder, number):
    """Scan and mask of one patient, as one of five scanners leaves them; returns the mask in RAS+."""
    codes, mm = SCANNERS[number % len(SCANNERS)]
    made = scan((16 + number % 4, 20 - number % 3, 18), number)
    for kind, voxels in zip(("images", "masks"), made, strict=True):
        save(folder / kind / f"p{number}.nii.gz", voxels, codes, (mm, 1.0, mm))
    return made[1]


def scored(workdir, case):
    """The Dice of every class that the report's cases.csv has for the model that is predicted with."""
    run_of = choosing.find(workdir).contract["run"]
    rows = [row for row in tables.read([workdir]).cases if (row.case, row.score) == (case, "dice")]
    grid = tables.shown_grid(row.grid for row in rows)
    chosen = [row for row in rows if (row.encoder, row.init, row.grid) == (run_of["encoder"], run_of["init"], grid)]
    return {row.label_class: row.value for row in chosen}


def test_the_story_ends_in_masks_on_the_scans_own_grids_that_score_as_the_report_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    truth = {f"p{number}": make(Path("RAW"), number) for number in range(20)}
    told = dict(commands())
    for module in ("tools.to_tfrecord", "ssl3d_tf.train", "ssl3d_tf.finetune"):
        in_process.run(module, *told[module], *smaller(module))
    tested = [Path(entry.id).name for entry in manifest.read(Path("DATA")).split("test").entries][:2]
    voxels, truth["unseen"] = scan((26, 30, 12), 99)
    save(Path("NEW/unseen.nii.gz"), voxels, "PIR", (0.7, 0.7, 2.0))
    for name in tested:
        shutil.copy(f"RAW/images/{name}.nii.gz", f"NEW/{name}.nii.gz")
    in_process.run("ssl3d_tf.predict", *told["ssl3d_tf.predict"])
    assert Path("FT", report.NAME).is_file()
    axes = set()
    for name in ("unseen", *tested):
        there, here = nibabel.load(f"NEW/{name}.nii.gz"), nibabel.load(f"OUT/{name}.nii.gz")
        assert here.shape == there.shape
        np.testing.assert_array_equal(here.affine, there.affine)
        axes.add(nibabel.aff2axcodes(here.affine))
        found = np.asarray(nibabel.as_closest_canonical(here).dataobj)
        dice = {f"class {value}": scores.dice(truth[name] == value, found == value) for value in VALUES[1:]}
        assert min(dice.values()) > 0.5
        if name != "unseen":
            assert dice | {"mean": np.mean([*dice.values()])} == pytest.approx(
                scored(Path("FT"), f"images/{name}"), abs=1e-6
            )
    assert len(axes) == 3
