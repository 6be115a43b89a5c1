"""Scans of thick slices from files to masks on their own grid, with what the converter proposes."""

import json

import nibabel
import numpy as np
import pytest
from matplotlib.image import imread

import ssl3d_tf
from ssl3d_tf import finetune, preview, train
from ssl3d_tf.command import configuration
from ssl3d_tf.data import folders, places
from ssl3d_tf.data.records import manifest, planned
from ssl3d_tf.errors import InputError
from ssl3d_tf.experiment import choosing, prediction
from ssl3d_tf.training.run import Settings
from ssl3d_tf.views import shortcuts
from tests.commands import in_process
from tests.commands.scans import VALUES, save, scan
from tests.tools import converting

SHAPE, SPACING = (26, 22, 7), (1.0, 1.0, 6.0)
VIEW, POOL = (24, 16, 7), ((2, 2, 1),)
PARAMS = (f"VIEW_SIZE={VIEW}", f"POOL={POOL}", "LEVELS=1", "FILTERS=2", "BATCH_SIZE=2", "STEPS=2", "EVAL_EVERY=2")
TASK = ("gin/finetune/segmentation_3d.gin",)


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    root = tmp_path_factory.mktemp("raw")
    for number in range(6):
        for folder, voxels in zip(("images", "masks"), scan(SHAPE, number), strict=True):
            save(root / folder / f"c{number}.nii.gz", voxels, "RAS", SPACING)
    return root


@pytest.fixture(scope="module")
def runs(raw, tmp_path_factory):
    """(data, pretrained, finetuned): masked reconstruction with its decoder, probed on masks, and both finetuned."""
    root = tmp_path_factory.mktemp("thick")
    chosen = converting.settings(how="minmax")._replace(fractions=(0.5, 0.25, 0.25))
    converting.convert(raw, root / "data", chosen)
    sources = configuration.Sources(("gin/masked_3d.gin", "gin/probe/base.gin"), (*PARAMS, "BLOCK=8", "PROBE_CASES=2"))
    assert 0 <= train.pretrain(sources, root / "data", root / "run")["val_probe"] <= 1
    ours = ("ARMS=('pretrained',)", "REPETITIONS=1", "SCORES=('dice',)", "TRANSFER='encoder_decoder'")
    sources = configuration.Sources(TASK, (*PARAMS, *ours))
    assert finetune.run(sources, root / "data", [root / "run"], root / "ft") == 0
    return root / "data", root / "run", root / "ft"


def test_the_summary_proposes_what_suits_as_knobs_that_there_are(runs):
    page = (runs[0] / "summary.md").read_text()
    found = planned.of_manifest(manifest.read(runs[0]))
    assert (found.view, found.pool) == ((24, 20, 7), ((2, 2, 1),) * 2)
    lines = ("VIEW_SIZE=(24, 20, 7)", "LEVELS=2", "POOL=((2, 2, 1), (2, 2, 1))")
    assert " ".join(f'--gin_param="{line}"' for line in lines) in page
    assert "26 × 22 × 7 voxels, of 1 × 1 × 6 mm" in page
    configuration.load(configuration.Sources(("gin/masked_3d.gin",), tuple(found.params())))
    assert configuration.macro("VIEW_SIZE") == (24, 20, 7)


def test_the_contract_tells_the_view_and_rebuilds_the_network(runs):
    contract = json.loads((runs[1] / "encoder" / "contract.json").read_text())
    assert (contract["view_size"], contract["input_shape"]) == (list(VIEW), [None, None, None, 1])
    encoder = ssl3d_tf.load_encoder(runs[1])
    assert encoder.compute_output_shape((None, *VIEW, 1)) == (None, 6, 4, 7, 4)
    (scored,) = (runs[2] / "runs").glob("*/*/*/model")
    assert ssl3d_tf.load_model(scored)(np.zeros((1, 9, 11, 5, 1), np.float32)).shape == (1, 9, 11, 5, 3)


def test_masks_come_back_on_the_grid_of_the_scans(runs, raw, tmp_path):
    voxels, _ = scan((40, 30, 5), 9)  # larger than a view in its planes, and of fewer slices
    image = save(tmp_path / "new" / "a.nii.gz", voxels, "LPI", SPACING)
    flags = (f"--model={runs[2]}", f"--input={tmp_path / 'new'}", f"--output={tmp_path / 'out'}")
    in_process.run("ssl3d_tf.predict", *flags, "--nooverlays", "--embeddings")
    mask = nibabel.load(tmp_path / "out" / "a.nii.gz")
    assert mask.shape == image.shape
    np.testing.assert_array_equal(mask.affine, image.affine)
    assert set(np.unique(np.asarray(mask.dataobj))) <= set(VALUES)
    assert prediction.load(choosing.find(runs[2])).view == VIEW


@pytest.mark.parametrize(
    ("name", "params"),
    [("masked_3d", ("BLOCK=8",)), ("crops_3d", ()), ("finetune/segmentation_3d", ())],
)
def test_views_are_drawn_whatever_their_sides(runs, tmp_path, name, params):
    size = (f"VIEW_SIZE={VIEW}", f"POOL={POOL}", "LEVELS=1", "FILTERS=2", *params)
    preview.draw(places.place(runs[0]), configuration.Sources((f"gin/{name}.gin",), size), tmp_path / "views.png")
    assert imread(tmp_path / "views.png").std() > 0.05


@pytest.mark.parametrize("remove", shortcuts.REMOVALS.values(), ids=shortcuts.REMOVALS)
def test_anatomy_is_removed_from_such_views_too(runs, remove):
    params = (*PARAMS, "BLOCK=8")
    configuration.load(configuration.Sources(("gin/masked_3d.gin",), params))
    settings = configuration.make(Settings)
    data = settings.eval_data(folders.open_folder(runs[0]), remove(settings.task, (*VIEW, 1)))
    inputs, targets = data.to_views(next(iter(data.dataset()))[1])
    assert inputs.shape[1:] == targets.views.shape[1:] == (*VIEW, 1)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        (("POOL=None",), r"another network: POOL \(\(2, 2, 1\),\) there, None here; set them as there"),
        (("VIEW_SIZE=(24, 15, 7)",), "VIEW_SIZE 24×15×7: the encoder pools by 2×2×1, and 15 is no multiple of 2"),
        (("VIEW_SIZE=(24, 16)",), "2 numbers for 3 axes"),
        (
            ("VIEW_SIZE=(24, 0, 7)",),
            "VIEW_SIZE is .24, 0, 7.; it must be a whole number of at least 1, or one per axis",
        ),
        (("VIEW_SIZE='24,16,7'",), "VIEW_SIZE is '24,16,7'; it must be a whole number"),
        (("POOL='221'",), "POOL is '221'; for every level"),
        (("LEVELS=2",), "POOL has 1 level, LEVELS is 2"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(runs, tmp_path, params, said):
    sources = configuration.Sources(TASK, (*PARAMS, "ARMS=('pretrained',)", "REPETITIONS=1", *params))
    with pytest.raises(InputError, match=said) as caught:
        finetune.run(sources, runs[0], [runs[1]], tmp_path / "ft")
    assert "\n" not in str(caught.value).partition("\n  In call to")[0]  # gin's own, which the command line leaves out
    assert not (tmp_path / "ft" / "run.json").exists()
