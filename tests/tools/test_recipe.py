"""tools/prepare/recipe: what a manifest says of a conversion prepares the next scan as those before it."""

import json

import pytest

from ssl3d_tf.data.records import manifest, schema
from ssl3d_tf.errors import InputError
from tests.tools import converting
from tools.prepare import intensity, recipe, slices
from tools.prepare.packing import Options
from tools.readers import arrays
from tools.readers.contract import Reading

MADE = {"tool": "ssl3d_tf", "intensity": "zscore"}
OTHERS = {  # of every option, each value that differs from the default
    "shape": [(64, 64, 48), (7, 9)],
    "spacing_mm": [(2.0,), (0.8, 0.1, 1 / 3)],
    "crop_foreground": [True],
    "intensity": [
        *(intensity.parse(kind) for kind in intensity.KINDS[:-1]),
        intensity.parse("ct_window:-1000,400"),
        intensity.parse("ct_window:-1234567.25,0.1234567890123"),
    ],
    "dtype": list(schema.DTYPES),
    "max_bytes": [0, 1, 123_456_789_123, 2**50 + 1],
    "relabel": [((4, 3),), ((0, 255), (1, 2))],
    "square": [True],
    "slices": list(slices.AXES),
    "antialias": [True],
    "keep_native_masks": ["always", "never"],
    "reading": [
        *(Reading(channels=name) for name in arrays.LAYOUTS[1:]),
        Reading(nan="min"),
        Reading("last", "0", "image"),
    ],
}


def read_back(options):
    """By way of JSON, with what else a manifest says beside it."""
    written = {"tool": "ssl3d_tf", "codec": "raw", "splits": [1, 0, 0], **recipe.of_options(options)}
    return recipe.options(json.loads(json.dumps(written)), where="RUN")


@pytest.mark.parametrize("name", Options._fields)
def test_options_come_back_from_a_recipe_as_they_were(name):
    for value in (getattr(Options(), name), *OTHERS[name]):
        options = Options(**{name: value})
        assert read_back(options) == options


def test_all_options_come_back_together():
    options = Options(**{name: values[-1] for name, values in OTHERS.items()})
    assert read_back(options) == options
    assert all(getattr(options, name) != getattr(Options(), name) for name in Options._fields)


def test_a_manifest_prepares_a_scan_as_it_was_stored(tmp_path):
    """The rule of --intensity=auto is the one that was used, and the dtype too."""
    chosen = converting.settings(spacing_mm=(1.5,), crop_foreground=True)
    converting.convert(converting.make_scans(tmp_path / "in", count=2), tmp_path / "out", chosen)
    found = recipe.options(manifest.read(tmp_path / "out").recipe, where="out")
    decided = intensity.Normalisation("percentile:body")
    assert found == chosen.options._replace(intensity=decided, dtype="uint16")


def test_an_older_recipe_was_made_with_the_defaults_of_what_it_does_not_name():
    assert recipe.options(MADE, where="RUN") == Options(intensity=intensity.Normalisation("zscore"))


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"generator": "phantoms", "version": 1, "intensity": "none", "channels": 1}, "generator phantoms"),
        ({}, "recipe: empty"),
        ({**MADE, "intensity": "bright"}, "damaged .*bright"),
        ({**MADE, "shape": 3}, "damaged"),
        ({**MADE, "relabel": [4, 3]}, "damaged"),
    ],
)
def test_what_tells_of_no_conversion_is_one_line(found, said):
    with pytest.raises(InputError, match=f"RUN.*{said}|{said}.*RUN") as error:
        recipe.options(found, where="RUN")
    assert "\n" not in str(error.value)
