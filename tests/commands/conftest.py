"""Models of three classes and of pictures, new scans and what is predicted of them, for all tests of predict."""

import pytest

from ssl3d_tf import finetune
from ssl3d_tf.command import configuration
from ssl3d_tf.evaluation import overlays, report
from tests.commands.predicting import LEARNS, SMALL, picture, run
from tests.commands.scans import save, scan
from tests.tools import converting


@pytest.fixture(scope="session")
def raw(tmp_path_factory):
    """Six labelled scans in RAS, of 20 × 18 × 16 voxels of 1 mm."""
    root = tmp_path_factory.mktemp("raw")
    for number in range(6):
        for folder, voxels in zip(("images", "masks"), scan((20, 18, 16), number), strict=True):
            save(root / folder / f"c{number}.nii.gz", voxels, "RAS")
    return root


@pytest.fixture(scope="session")
def grid(raw, tmp_path_factory):
    """(data, workdir): two repetitions from scratch on scans resampled to 1.25 mm, which learn the three classes."""
    root = tmp_path_factory.mktemp("grid")
    chosen = converting.settings(spacing_mm=(1.25,), how="minmax")._replace(fractions=(0.5, 0.25, 0.25))
    converting.convert(raw, root / "data", chosen)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "write", lambda *_: None)
        patch.setattr(overlays, "draw", lambda *_, **__: None)
        sources = configuration.Sources(("gin/finetune/segmentation_3d.gin",), LEARNS)
        assert finetune.run(sources, root / "data", [], root / "ft") == 0
    return root / "data", root / "ft"


@pytest.fixture(scope="session")
def new(tmp_path_factory):
    """Three scans of other orientation, voxel size and shape, by name, and their masks in RAS."""
    root = tmp_path_factory.mktemp("new")
    made = {
        "a": ("LPI", (1, 1, 1), (24, 20, 18)),
        "b/c": ("PSR", (0.8, 1.3, 2), (26, 19, 14)),
        "d": ("SLA", (2, 1, 1), (13, 22, 21)),
    }
    for name, (codes, spacing_mm, shape) in made.items():
        save(root / f"{name}.nii.gz", scan(shape, 9)[0], codes, spacing_mm)
    return root, {name: scan(shape, 9)[1] for name, (_, _, shape) in made.items()}


@pytest.fixture(scope="session")
def predicted(grid, new, tmp_path_factory):
    """OUT of the best run on the three new scans, with everything that it can write."""
    out = tmp_path_factory.mktemp("predicted") / "out"
    run("--probabilities", "--embeddings", model=grid[1], input=new[0], output=out)
    return out


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """(data, workdir): pictures labelled 3 and 7, and a classifier of two steps."""
    root = tmp_path_factory.mktemp("pictures")
    rows = ["path,label"]
    for number in range(8):
        picture(root / "raw" / f"p{number}.png", 20 * number)
        rows.append(f"p{number}.png,{3 if number % 2 else 7}")
    (root / "raw" / "table.csv").write_text("\n".join(rows))
    converting.convert(root / "raw", root / "data", converting.settings()._replace(fractions=(0.5, 0.25, 0.25)))
    params = (*SMALL, "STEPS=2", "REPETITIONS=1", "SCORES=('cat_accuracy',)", "classification.task.transforms=[]")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "write", lambda *_: None)
        sources = configuration.Sources(("gin/finetune/classification_2d.gin",), params)
        assert finetune.run(sources, root / "data", [], root / "ft") == 0
    return root
