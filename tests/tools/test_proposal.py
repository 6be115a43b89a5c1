"""summary.md proposes views and spacing where the data ask for others than are taken anyway."""

import pytest

from ssl3d_tf.data.records import manifest, planned
from tests.commands.scans import save, scan
from tests.tools import converting


def converted(root, shapes_and_spacings, **options):
    """summary.md of scans of these shapes and spacings, and what is planned for them."""
    for number, (shape, spacing_mm) in enumerate(shapes_and_spacings):
        save(root / "raw" / f"c{number}.nii.gz", scan(shape, number)[0], "RAS", spacing_mm)
    converting.convert(root / "raw", root / "out", converting.settings(how="minmax", **options))
    return (root / "out" / "summary.md").read_text(), planned.of_manifest(manifest.read(root / "out"))


THICK = [((24, 20, 8), (1.0, 1.0, 5.0))] * 4
MIXED = [*THICK, *[((24, 20, 16), (1.0, 1.0, 2.5))] * 4]


def test_where_voxels_vary_it_says_to_what_size_they_may_be_resampled(tmp_path):
    page, found = converted(tmp_path, MIXED)
    assert found.resample
    assert "--spacing_mm=1,1,2.5" in page
    assert found.shape == (24, 20, 16)  # once they are of one size
    assert '"VIEW_SIZE=(24, 20, 16)"' in page


@pytest.mark.parametrize("options", [{"spacing_mm": (1.0, 1.0, 2.5)}, {"shape": (24, 20, 16)}])
def test_what_was_resampled_is_not_to_be_resampled_again(tmp_path, options):
    page, found = converted(tmp_path, MIXED, **options)
    assert not found.resample
    assert "--spacing_mm" not in page
    assert found.shape == (24, 20, 16)


def test_slices_get_no_proposal(tmp_path):
    page, found = converted(tmp_path, THICK, slices="axial")
    assert found is None
    assert "Views that fit" not in page


def test_where_the_cube_that_is_taken_anyway_suits_nothing_is_said(tmp_path, monkeypatch):
    cubes = [((20, 18, 22), (1.0, 1.0, 1.0))] * 4
    page, _ = converted(tmp_path, cubes)
    assert '--gin_param="VIEW_SIZE=(20, 16, 20)" --gin_param="LEVELS=2"' in page
    monkeypatch.setattr(planned, "CUBE", 16)
    monkeypatch.setattr(planned, "LEVELS", 2)
    page, found = converted(tmp_path / "again", cubes)
    assert found.is_default
    assert "Views that fit" not in page
