"""A finetuning workdir as ssl3d_tf.finetune would leave it, of made-up numbers: for the tests of its evaluation.

The score of a run rises with the logarithm of the labels; pretrained encoders start higher and gain less.
"""

import csv
import io
import json
import math

import numpy as np
from PIL import Image

ENCODERS = ("cpc_3d", "rotation_3d", "jigsaw_3d")
INITS = ("pretrained", "frozen", "linear", "knn")
FRACTIONS = (5.0, 10.0, 25.0, 50.0, 100.0)
GAIN = {"cpc_3d": 0.10, "rotation_3d": 0.0, "jigsaw_3d": 0.05}
LOSS_OF_INIT = {"pretrained": 0.0, "frozen": 0.03, "linear": 0.12, "knn": 0.15, "random": 0.0}
TRAIN_CASES = 200


def write(folder, *, repetitions=5, cases=40, encoders=ENCODERS, inits=INITS, extras=True, task="segmentation"):
    """Writes results.csv and cases.csv, and with `extras` everything else that a run leaves; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    arms = [("", "random"), *((encoder, init) for encoder in encoders for init in inits)]
    difficulty = rng.normal(0, 0.08, cases)
    results, per_case, predictions = [], [], []
    for fraction in FRACTIONS:
        for repetition in range(repetitions):
            luck = rng.normal(0, 0.02)  # of the drawn labels, the same for all arms
            for encoder, init in arms:
                run = (task, encoder, init, fraction, repetition)
                mean = _mean_score(encoder, init, fraction) + luck + rng.normal(0, 0.01)
                scores = np.clip(mean + difficulty + rng.normal(0, 0.05, cases), 0, 1)
                results += _results(run, scores, rng)
                per_case += [
                    (*run, f"case_{i:03d}", f"p{i // 2}", "dice", "mean", round(s, 4)) for i, s in enumerate(scores)
                ]
                predictions += _predictions(run, mean, cases, rng)
                if extras and init != "knn":
                    _leave_run(
                        folder / "runs" / f"{encoder or 'scratch'}-{init}" / f"{fraction:g}" / str(repetition), mean
                    )
    write_csv(folder / "results.csv", RESULT_COLUMNS, results)
    write_csv(folder / "cases.csv", CASE_COLUMNS, per_case)
    if extras:
        write_csv(folder / "predictions.csv", PREDICTION_COLUMNS, predictions)
        _leave_records(folder)
    return folder


RESULT_COLUMNS = "task,encoder,init,fraction,labelled,repetition,split,score,class,value,checkpoint"
CASE_COLUMNS = "task,encoder,init,fraction,repetition,case,patient,score,class,value"
PREDICTION_COLUMNS = "task,encoder,init,fraction,repetition,case,true,predicted"


def write_csv(path, columns, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns.split(","))
        writer.writerows(rows)


def _mean_score(encoder, init, fraction):
    share = math.log(fraction / 5) / math.log(20)
    return 0.55 + 0.25 * share + GAIN.get(encoder, 0.0) * (1 - share) - LOSS_OF_INIT[init]


def _results(run, scores, rng):
    task, encoder, init, fraction, repetition = run
    head = (task, encoder, init, fraction, round(TRAIN_CASES * fraction / 100), repetition)
    mean = float(np.mean(np.round(scores, 4)))
    rows = [(*head, "test", "dice", "mean", mean, "best"), (*head, "val", "dice", "mean", mean + 0.01, "best")]
    rows += [(*head, "test", "dice", name, mean + shift, "best") for name, shift in (("organ", 0.1), ("tumour", -0.1))]
    rows += [(*head, "test", "dice", "mean", mean - 0.01, "last")]
    return [*rows, (*head, "test", "hd95", "mean", 30 * (1 - mean) + rng.normal(0, 0.3), "best")]


def _predictions(run, mean, cases, rng):
    true = np.arange(cases) % 5
    slip = rng.choice([-1, 1], cases) * (rng.random(cases) > mean)
    return [
        (*run, f"case_{i:03d}", t, p) for i, (t, p) in enumerate(zip(true, np.clip(true + slip, 0, 4), strict=True))
    ]


def _leave_run(folder, mean):
    (folder / "overlays").mkdir(parents=True)
    lines = []
    for step in range(0, 401, 20):
        rise = 1 - math.exp(-step / 90)
        lines += [json.dumps({"step": step, "loss": 1 - mean * rise})]
        lines += [json.dumps({"step": step, "val_loss": 1.02 - mean * rise, "val_dice": mean * rise})]
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    for name, shift in (("best", 2), ("median", 6), ("worst", 14)):
        (folder / "overlays" / f"{name}.png").write_bytes(_overlay(shift))


def _overlay(shift):
    """Three planes of a ball, its outline, and a prediction that is `shift` pixels off."""
    y, x = np.mgrid[:96, :96]
    grey = (90 + 60 * np.sin(x / 9) * np.cos(y / 7)).astype(np.uint8)
    tile = np.stack([grey] * 3, axis=-1)
    for offset, colour in ((0, (86, 180, 233)), (shift, (230, 159, 0))):
        distance = np.hypot(y - 48, x - 48 - offset)
        tile[np.abs(distance - 24) < 1.2] = colour
    data = io.BytesIO()
    Image.fromarray(np.concatenate([tile] * 3, axis=1)).save(data, format="PNG")
    return data.getvalue()


def _leave_records(folder):
    record = {
        "command": "ssl3d_tf/finetune.py --gin_file=gin/finetune/segmentation_3d.gin --data=DATA --workdir=FT",
        "started": "2026-01-01T00:00:00+00:00",
        "python": "3.11.7",
        "packages": {"ssl3d_tf": "0.1.0", "tensorflow": "2.21.0", "keras": "3.12.0"},
        "commit": "0" * 40,
        "data": {"path": "DATA", "name": "phantoms", "sha256": "ab" * 32},
    }
    (folder / "run.json").write_text(json.dumps(record))
    (folder / "operative_config.gin").write_text("# Macros:\nSTEPS = 400\nBATCH_SIZE = 2\n")
    (folder / "splits.json").write_text(json.dumps({"0": {"train": {}, "test": [f"case_{i:03d}" for i in range(40)]}}))
