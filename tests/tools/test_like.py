"""--like: other data become what those of a run or of a data folder are, and no flag beside it says otherwise."""

import json

import nibabel
import numpy as np
import pytest

from ssl3d_tf.data.folders import DataFolder
from ssl3d_tf.data.records import likeness, manifest
from ssl3d_tf.errors import InputError
from ssl3d_tf.training import contracts
from tests.tools.converting import convert, run, settings
from tools.conversion import like, presets
from tools.conversion.settings import Settings
from tools.prepare.intensity import Normalisation
from tools.prepare.packing import Options
from tools.readers.contract import Kind


def scans(root, mm, *, count=3, shape=(9, 8, 10)):
    """Noise in voxels of `mm` × `mm` × 2 mm."""
    root.mkdir()
    random = np.random.default_rng(0)
    for number in range(count):
        image = nibabel.Nifti1Image(random.integers(0, 900, shape).astype(np.int16), np.diag([-mm, mm, 2, 1]))
        nibabel.save(image, root / f"c{number}.nii.gz")
    return root


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """coarse/ and fine/ are scans; data/ is coarse/ converted, run/ has an encoder's contract of it, ft/ a model's."""
    root = tmp_path_factory.mktemp("like")
    scans(root / "coarse", 2.0), scans(root / "fine", 1.0)
    convert(root / "coarse", root / "data")
    for folder in (root / "run" / "encoder", root / "ft" / "runs" / "a-frozen" / "5" / "0" / "model"):
        folder.mkdir(parents=True)
        contracts.write(folder, contract_of(root / "data"))
    return root


def contract_of(folder):
    return contracts.of_run(DataFolder(folder, manifest.read(folder)), "")


def alike(where, **by_hand):
    """What --like=`where` has conversion do, beside options by hand."""
    return like.read(str(where), Options(intensity=Normalisation("auto"))._replace(**by_hand), by_hand)


@pytest.mark.parametrize("where", ["data", "run", "run/encoder", "ft"])
def test_what_is_to_be_done_is_found_wherever_it_is_said(where, root):
    """The data were not resampled: it is the size of their voxels, and the rule that 'auto' was."""
    found = alike(root / where)
    assert like.values(found.options) == {"spacing_mm": ["2"], "intensity": "percentile:body"}
    assert found.kind == Kind(3, 1)


def test_data_become_what_those_of_a_run_are(root, tmp_path):
    made = run("--input", root / "fine", "--output", tmp_path / "out", f"--like={root / 'run'}", "--relabel=4:3")
    assert f"--like={root / 'run'} sets --intensity=percentile:body --spacing_mm=2.\n" in made.stdout
    data, contract = manifest.read(tmp_path / "out"), contract_of(root / "data")
    assert likeness.differences(contract, data) == {}
    assert (data.recipe["spacing_mm"], data.recipe["relabel"]) == ([2.0], [[4, 3]])
    convert(root / "fine", tmp_path / "own")
    assert set(likeness.differences(contract, manifest.read(tmp_path / "own"))) == {"spacing"}


def test_a_flag_of_the_command_that_contradicts_is_one_line_and_nothing_is_written(root, tmp_path):
    flags = (f"--like={root / 'data'}", "--layout=msd_pancreas", "--spacing_mm=1")
    made = run("--input", root / "fine", "--output", tmp_path / "out", *flags)
    where = root / "data" / "manifest.json"
    said = f"--spacing_mm=1 contradicts --like, {where}, which has --spacing_mm=2; leave one of the two out."
    assert (made.returncode, made.stderr.strip().splitlines()[-1]) == (2, said)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("by_hand", "said"),
    [
        ({"shape": (8, 8, 8)}, "--shape=8,8,8 contradicts --like, {}, which has no --shape"),
        ({"intensity": Normalisation("auto")}, "--intensity=auto contradicts --like, {}, which has --intensity=perc"),
        ({"slices": "axial"}, "--slices=axial contradicts --like, {}, which has no --slices"),
        ({"square": True}, "--square=true contradicts --like, {}, which has no --square"),
        ({"spacing_mm": (2.0, 2.0, 1.0)}, "--spacing_mm=2,2,1 contradicts --like, {}, which has --spacing_mm=2"),
    ],
)
def test_what_contradicts_is_told_with_both_values(by_hand, said, root):
    with pytest.raises(InputError) as caught:
        alike(root / "data", **by_hand)
    assert str(caught.value).startswith(said.format(root / "data" / "manifest.json"))


def test_what_says_the_same_by_hand_goes_with_it(root):
    assert alike(root / "data", spacing_mm=(2.0, 2.0, 2.0), square=False) == alike(root / "data")


def test_what_layouts_set_gives_way(root):
    assert presets.defaults("brats", like.FLAGS) == {"relabel": ["4:3"]}


def test_slices_are_cut_as_there_and_keep_their_distance(root, tmp_path):
    convert(root / "fine", tmp_path / "cut", settings(slices="axial", spacing_mm=(1.5, 1.5)))
    found = alike(tmp_path / "cut")
    assert like.values(found.options)["spacing_mm"] == ["1.5", "1.5"]
    convert(root / "coarse", tmp_path / "again", Settings(found.options, kind=found.kind))
    data = manifest.read(tmp_path / "again")
    assert likeness.differences(contract_of(tmp_path / "cut"), data) == {}
    assert data.orientation == "RA"
    assert sum(len(split.entries) for split in data.splits.values()) == 3 * 10


def test_scans_of_another_number_of_channels_are_refused_before_they_are_read(root, tmp_path):
    found = alike(root / "data")._replace(kind=Kind(3, 2))
    with pytest.raises(InputError, match="is 3D with 1 channel, and --like 3D with 2 channels"):
        convert(root / "fine", tmp_path / "out", Settings(found.options, kind=found.kind))


@pytest.mark.parametrize(
    ("contract", "said"),
    [
        ({"rank": 3, "channels": ["a"], "recipe": {"generator": "phantoms"}}, "says nothing of how files become"),
        ({"rank": 3}, "is damaged .KeyError: 'channels'"),
        ([], "is damaged"),
    ],
)
def test_a_contract_that_says_nothing_is_one_line(contract, said, tmp_path):
    (tmp_path / "contract.json").write_text(json.dumps(contract))
    with pytest.raises(InputError, match=said):
        alike(tmp_path)


def test_a_folder_of_neither_is_one_line(tmp_path):
    with pytest.raises(InputError, match=f"--like={tmp_path} holds neither a contract.json nor a manifest.json; give"):
        alike(tmp_path)
