"""Predicting by models of another kind: of slices of volumes, of pictures with labels, an encoder alone."""

import csv

import nibabel
import numpy as np
import pytest
from PIL import Image

import ssl3d_tf
from ssl3d_tf import finetune, train
from ssl3d_tf.command import configuration
from ssl3d_tf.data.records import reading
from ssl3d_tf.errors import InputError
from ssl3d_tf.evaluation import native, tables
from ssl3d_tf.evaluation.sliding_window import predict_volume
from ssl3d_tf.experiment import answers, choosing, prediction, scoring
from tests.commands.predicting import SIZE, SMALL, picture, run
from tests.commands.scans import VALUES
from tests.tools import converting
from tools.prediction import inputs, records
from tools.readers import layouts


def test_a_model_of_slices_predicts_volumes_slice_by_slice(raw, new, tmp_path, undrawn):
    chosen = converting.settings(slices="coronal", how="minmax")._replace(fractions=(0.5, 0.25, 0.25))
    converting.convert(raw, tmp_path / "data", chosen)
    sources = configuration.Sources(("gin/finetune/segmentation_2d.gin",), (*SMALL, "STEPS=1", "REPETITIONS=1"))
    assert finetune.run(sources, tmp_path / "data", [], tmp_path / "ft") == 0
    run("--embeddings", "--nooverlays", model=tmp_path / "ft", input=new[0], output=tmp_path / "out")
    there, here = (nibabel.load(folder / "b" / "c.nii.gz") for folder in (new[0], tmp_path / "out"))
    np.testing.assert_array_equal(here.affine, there.affine)
    network = scoring.prediction(ssl3d_tf.load_model(tmp_path / "ft/runs/scratch-random/100/0"))
    found, _ = inputs.find(layouts.Request(str(new[0])), inputs.how(choosing.find(tmp_path / "ft").contract, "", {}))
    example = found[1].read()
    assert example.source["resampled"]  # to the voxels of the data, which were not
    volume, logits = reading.intensities(example.volume, example), []
    for number in range(volume.shape[1]):
        logits.append(predict_volume(volume[:, number], network, size=(SIZE,) * 2, batch_size=4))
    expected = native.labels(np.stack(logits, 1), example.source, values=VALUES)
    np.testing.assert_array_equal(np.asarray(nibabel.as_closest_canonical(here).dataobj), expected)
    (first, *_) = records.find(tmp_path / "data", choosing.find(tmp_path / "ft").contract)
    (whole,) = (one for one in inputs.find(layouts.Request(str(raw)), found[0].how)[0] if one.id == first.id)
    np.testing.assert_array_equal(first.read().volume, whole.read().volume)
    picture(tmp_path / "flat" / "p.png", 0)
    with pytest.raises(InputError, match=r"it is 2D .* the model is for 3D .*of coronal slices of volumes"):
        run(model=tmp_path / "ft", input=tmp_path / "flat", output=tmp_path / "other")


def test_classes_of_pictures_are_a_table_and_those_that_were_scored(pictures, tmp_path):
    run(model=pictures / "ft", input=pictures / "raw", output=tmp_path / "out")
    with (tmp_path / "out" / answers.PREDICTIONS).open() as file:
        rows = {row["case"]: row for row in csv.DictReader(file)}
    assert list(rows) == [f"p{number}" for number in range(8)]
    for row in rows.values():
        shares = {value: float(row[f"probability_{value}"]) for value in (3, 7)}
        assert sum(shares.values()) == pytest.approx(1, abs=1e-6)
        assert (row["class"], row["name"]) == (str(max(shares, key=shares.get)), f"class {row['class']}")
    tested = tables.read([pictures / "ft"]).predictions
    assert tested
    assert all(rows[row.case]["class"] == str(row.predicted) for row in tested)
    run(model=pictures / "ft", input=pictures / "data", output=tmp_path / "records")
    with (tmp_path / "records" / answers.PREDICTIONS).open() as file:
        assert {row["case"]: row for row in csv.DictReader(file)} == rows


def test_every_kind_of_label_has_its_columns(tmp_path):
    def table(labels, values):
        network = prediction.Network(
            {"task": "classification", "labels": labels, "classes": {"1": "low"}, "recipe": {}}, (), None, False
        )
        answers.tables(network, [{"case": "a", "values": values}], tmp_path)
        return [line.split(",") for line in (tmp_path / answers.PREDICTIONS).read_text().splitlines()]

    head, row = table({"kind": "ordinal", "values": [1, 2, 5]}, [[0.25, 0.5]])
    assert head == ["case", "class", "name", "probability_1", "probability_2", "probability_5"]
    assert row == ["a", "1", "low", "0.75", "0.0", "0.25"]
    assert table({"kind": "multilabel", "values": []}, [[0.75, 0.5]]) == [
        ["case", "label_0", "label_1", "probability_0", "probability_1"],
        ["a", "1", "0", "0.75", "0.5"],
    ]
    assert table({"kind": "regression", "values": []}, [[-1.5]]) == [["case", "value_0"], ["a", "-1.5"]]


def test_an_encoder_alone_gives_embeddings_and_nothing_else(pictures, tmp_path):
    sources = configuration.Sources(("gin/rotation_2d.gin",), (*SMALL[:-1], "STEPS=1"))
    train.pretrain(sources, pictures / "data", tmp_path / "run")
    with pytest.raises(InputError, match=r"is a pretrained encoder, which knows no classes: add --embeddings"):
        run(model=tmp_path / "run", input=pictures / "raw", output=tmp_path / "out")
    run("--embeddings", model=tmp_path / "run", input=pictures / "raw", output=tmp_path / "out")
    with np.load(tmp_path / "out" / answers.EMBEDDINGS) as found:
        embeddings = dict(zip(found["cases"].tolist(), found["embeddings"], strict=True))
    assert not (tmp_path / "out" / answers.PREDICTIONS).exists()
    pixels = np.asarray(Image.open(pictures / "raw" / "p4.png"), np.float32)[None, ..., None] / 255
    encoder = ssl3d_tf.load_encoder(tmp_path / "run")
    parts = [encoder(pixels[:, a : a + SIZE, b : b + SIZE]).numpy().mean((0, 1, 2)) for a in (0, 4) for b in (0, 2)]
    np.testing.assert_allclose(embeddings["p4"], np.mean(parts, axis=0), atol=1e-5)
