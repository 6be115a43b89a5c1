"""What is said of one scan: in how much memory, of several networks, and what a picture of it costs."""

import tracemalloc

import numpy as np
import pytest

from ssl3d_tf.data.records.schema import Example
from ssl3d_tf.errors import InputError
from ssl3d_tf.evaluation import native, overlays
from ssl3d_tf.experiment import answers, applying, prediction

SHAPE, READ = (144, 160, 96), (180, 200, 60)
CONTRACT = {
    "task": "segmentation",
    "rank": 3,
    "recipe": {},
    "classes": {"0": "background", "7": "bright"},
    "view_size": 48,
    "input_shape": [None, None, None, 1],
    "window": {"overlap": 0.5, "flips": False, "batch_size": 2},
}
LOGITS = np.prod(SHAPE) * 2 * 4  # bytes


def brighter_than(level):
    """A network: the second class where it is brighter than that."""
    return lambda tiles: np.concatenate([np.zeros_like(tiles), tiles - level], -1)


def network(*levels):
    return prediction.Network(CONTRACT, tuple(brighter_than(level) for level in levels), None, flips=False)


@pytest.fixture(scope="module")
def example():
    """Noise of 0..1, resampled from another grid."""
    factors = [read / stored for read, stored in zip(READ, SHAPE, strict=True)]
    return Example(
        id="a",
        patient="a",
        volume=np.random.default_rng(0).integers(0, 65535, (*SHAPE, 1)).astype(np.uint16),
        scale=[1 / 65535],
        offset=[0.0],
        spacing_mm=[1.0] * 3,
        affine=np.eye(4),
        source={
            "shape": list(READ),
            "orientation": "RAS",
            "resampled": {"from": READ, "to": SHAPE, "factors": factors},
        },
    )


def peak(function):
    """(what it returns, bytes of arrays and objects at the most, beside those that there were)."""
    tracemalloc.start()
    try:
        found = function()
        return found, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("levels", "most"), [((0.5,), 2.2), ((0.4, 0.6), 3.0)])
def test_a_scan_takes_little_more_than_its_logits(levels, most, example):
    said, bytes_at_most = peak(lambda: prediction.say(network(*levels), example))
    assert said.outputs.nbytes == LOGITS
    assert bytes_at_most < most * LOGITS


def test_what_is_written_takes_little_beside_the_logits(example, tmp_path, monkeypatch):
    monkeypatch.setattr(native, "SLAB", 1 << 14)  # as small beside this scan as it is beside a large one
    said, kept = prediction.say(network(0.5), example), {}

    def keep(name, *found):
        kept[name] = found
        return name

    formats = answers.Formats(
        stem=lambda scan: scan.id,
        labels=lambda folder, scan, found, source: keep("labels", found.shape, set(np.unique(found))),
        probabilities=lambda folder, scan, found, source, values: keep("shares", found, values),
    )
    wanted = answers.Wanted(probabilities=True)
    line, bytes_at_most = peak(lambda: answers.write(network(0.5), tmp_path, formats, wanted, example, example, said))
    assert bytes_at_most < 1.8 * LOGITS
    assert line == {"files": ["labels", "a_overlay.png", "shares"], "resampled": example.source["resampled"]}
    assert kept["labels"] == (READ, {0, 7})
    shares, values = kept["shares"]
    assert (shares.dtype, shares.shape, values) == (np.float16, (*READ, 2), [0, 7])
    np.testing.assert_allclose(shares.sum(-1, dtype=np.float32), 1, atol=2e-3)


def test_several_networks_are_averaged_as_probabilities(example):
    small = example._replace(volume=example.volume[:50, :50, :50], source={})
    said = prediction.say(network(0.2, 0.9), small)
    alone = [native.softmax(prediction.say(network(level), small).outputs) for level in (0.2, 0.9)]
    assert not said.are_logits
    np.testing.assert_allclose(said.outputs, np.mean(alone, axis=0), atol=1e-6)


def test_what_was_cropped_away_is_background_also_in_probabilities(example, tmp_path):
    box = [[10, 60], [5, 55], [0, 50]]
    small = example._replace(
        volume=example.volume[:50, :50, :50],
        source={"shape": [70, 60, 50], "orientation": "RAS", "crop_box": box, "resampled": None},
    )
    kept = {}
    formats = answers.Formats(
        stem=lambda scan: scan.id,
        labels=lambda folder, scan, found, source: kept.setdefault("labels", found) is None or "l",
        probabilities=lambda folder, scan, found, source, values: kept.setdefault("shares", found) is None or "s",
    )
    wanted = answers.Wanted(probabilities=True, overlays=False)
    answers.write(network(0.5), tmp_path, formats, wanted, small, small, prediction.say(network(0.5), small))
    outside = np.ones((70, 60, 50), bool)
    outside[10:60, 5:55] = False
    assert (kept["labels"][outside] == 0).all()
    assert (kept["shares"][outside] == (1, 0)).all()
    assert (kept["shares"][~outside] != (1, 0)).all(-1).mean() > 0.9


def test_pictures_are_of_the_convention_that_is_asked_for(example, tmp_path, monkeypatch):
    small, found = example._replace(volume=example.volume[:9, :9, :9], source={"orientation": "RAS"}), []
    monkeypatch.setattr(overlays, "draw", lambda *_, **given: found.append((given["neurological"], given["source"])))
    formats = answers.Formats(lambda scan: scan.id, lambda *_: "labels", lambda *_: "shares")
    said = prediction.say(network(0.5), small)
    for asked in (answers.Wanted(), answers.Wanted(neurological=True)):
        answers.write(network(0.5), tmp_path, formats, asked, small, small, said)
    assert found == [(False, small.source), (True, small.source)]


def test_a_folder_says_how_its_pictures_are_turned():
    said = [answers.convention(answers.Wanted(neurological=which), "segmentation") for which in (False, True)]
    assert said == ["radiological", "neurological"]
    assert answers.convention(answers.Wanted(overlays=False), "segmentation") is False
    turned = answers.Wanted(neurological=True)
    for wanted, task in ((turned._replace(overlays=False), "segmentation"), (turned, "")):
        with pytest.raises(InputError, match=r"--neurological turns .*: leave it out"):
            answers.convention(wanted, task)


def test_a_picture_without_a_reference_has_the_prediction_alone(tmp_path):
    volume, predicted = np.random.default_rng(0).random((9, 8, 7)), np.zeros((9, 8, 7), np.uint8)
    predicted[2:5, 2:5, 2:5] = 1
    lying = {"spacing_mm": (1, 1, 1), "source": {"orientation": "RAS"}}
    shared = {"title": "a", "volume": volume, "classes": {1: "one"}, **lying}
    for name, truth in (("alone", None), ("empty", np.zeros_like(predicted)), ("both", predicted)):
        overlays.draw(tmp_path / name, truth=truth, predicted=predicted, **shared)
    pictures = [(tmp_path / name).read_bytes() for name in ("alone", "empty", "both")]
    assert len(set(pictures)) == 3  # the legend of the second names a reference, the third outlines one


def test_how_scans_were_taken_is_said_once_for_all_that_are_alike(tmp_path):
    notes = ["no size: pixdim is 0"], ["no size: pixdim is 7"], []
    lines = [{"case": str(number), "files": [], "notes": each} for number, each in enumerate(notes)]
    said = applying.report(applying.Done([*lines, {"case": "x", "files": []}], [], 0, [], 1.0, 0.0), tmp_path, [])
    assert said.splitlines()[0] == "note: no size: pixdim is 0 (scans: 2, such as '0')."
