"""python -m ssl3d_tf.predict: a finetuned model on new scans: labels on each scan's own grid, classes, embeddings.

    python -m ssl3d_tf.predict --model=FT --input=NEW --output=OUT          the best run in validation: OUT/CASE.nii.gz
    … --run=runs/scratch-random/100/0                                       another run of FT
    … --ensemble --flips --probabilities                                    repetitions averaged; float16 per class
    python -m ssl3d_tf.predict --model=RUN --input=NEW --output=OUT --embeddings      of a pretrained encoder

NEW is what tools.to_tfrecord takes, without labels, or a data folder that it made. The same command again goes on where
it stopped. Exit code 1 only where nothing could be predicted: what a scan failed for is in OUT/failed.jsonl.
"""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import app, flags

from ssl3d_tf import quiet
from ssl3d_tf.command import cli
from ssl3d_tf.data import files, places
from ssl3d_tf.data.records import manifest
from tools.conversion import output
from tools.prediction import inputs, outputs, records
from tools.readers import arrays, layouts

with quiet.greeting():
    from ssl3d_tf.experiment import answers, applying, choosing, ledger, prediction
    from ssl3d_tf.training import contracts

FORMATS = answers.Formats(outputs.stem, outputs.labels, outputs.probabilities)


def define_flags() -> None:
    """Declares the flags; called by the command, not at import, so that one process may import every command."""
    flags.DEFINE_string("model", None, "--workdir of ssl3d_tf.finetune, or of one run in it; or of a pretraining run.")
    flags.DEFINE_string("input", None, "Scans: a file, folder or glob, as of tools.to_tfrecord, or a data folder.")
    flags.DEFINE_string("output", None, "Folder to write; a new one, or one to go on with.")
    flags.DEFINE_string("run", "", "Which run of --model, such as runs/ARM/100/0; by default the best in validation.")
    flags.DEFINE_bool("ensemble", False, "Average over all repetitions of that run's arm and share of the labels.")
    flags.DEFINE_bool("flips", None, "Average over all mirrored scans; by default as the experiment scored.")
    flags.DEFINE_bool("probabilities", False, "Write the probability of every class, CASE_probabilities.npz.")
    flags.DEFINE_bool("embeddings", False, "Write what the encoder makes of every scan, embeddings.npz.")
    flags.DEFINE_bool("overlays", True, "Draw every segmentation, CASE_overlay.png.")
    flags.DEFINE_bool("neurological", False, "Draw the patient's left on the left; by default on the right.")
    flags.DEFINE_bool("overwrite", False, "Replace the predictions of another model or options in --output.")
    flags.DEFINE_enum("layout", "auto", layouts.LAYOUTS, "What the input is, as of tools.to_tfrecord.")
    flags.DEFINE_list("mask_suffix", None, "Endings of masks, such as _gt, which are no scans (folder, bids).")
    flags.DEFINE_enum("label_maps", "auto", ("auto", "scans"), "scans: those that fit no scan are scans (folder, csv).")
    flags.DEFINE_enum("channels", None, arrays.LAYOUTS, "Axis of arrays with channels; by default the model's.")
    flags.DEFINE_enum("nan", None, ("min", "0"), "What NaN becomes; by default as in the model's data.")
    flags.DEFINE_float("max_gb", None, "Leave out scans of more gigabytes; by default as in the model's data.", 0.0)


def main(argv: Sequence[str]) -> None:
    """Finds model and scans, predicts, and says where what is."""
    values = flags.FLAGS
    cli.flags_only(argv)
    for name in ("model", "input", "output"):
        if not getattr(values, name):
            raise app.UsageError(f"--{name} is missing; see python -m ssl3d_tf.predict --help.")
    chosen = choosing.find(places.local(values.model, "--model"), values.run, ensemble=values.ensemble)
    print(chosen.why, flush=True)
    scans, faults = find(values, chosen.contract)
    print(f"{len(scans)} scans to predict in {values.input}" + f", {len(faults)} unusable" * bool(faults), flush=True)
    folder, about = places.local(values.output, "--output"), describe(values, chosen)
    ledger.check(folder, about, overwrite=values.overwrite)
    if not scans and not ledger.is_begun(folder):  # else what it holds of these scans is no longer true
        raise applying.none_of(faults)
    network = prediction.load(chosen, flips=values.flips, embeddings=values.embeddings)
    with files.locked(files.make_folder(folder, "--output")):
        ledger.occupy(folder, about, overwrite=values.overwrite)
        write = functools.partial(answers.write, network, folder, FORMATS, wanted_of(values))
        done = applying.run(scans, faults, applying.Work(folder, functools.partial(prediction.say, network), write))
        tables = answers.tables(network, done.lines, folder)
    print(applying.report(done, folder, tables))


def find(values: flags.FlagValues, contract: dict[str, Any]) -> tuple[Sequence[applying.Scan], list[dict[str, str]]]:
    """The scans of --input, prepared already or in files, and what is unusable among them."""
    given = places.place(values.input)
    if (given / manifest.FILE).is_file():
        return records.find(given, contract), []
    prepared = inputs.how(contract, f"{contract['folder']}/{contracts.CONTRACT}", values.flag_values_dict())
    suffixes = None if values.mask_suffix is None else tuple(filter(None, values.mask_suffix))
    request = layouts.Request(values.input, values.layout, suffixes, label_maps=values.label_maps)
    found, faults = inputs.find(request, prepared)
    if found and not Path(values.input).is_file():  # which names all that is read
        output.check_apart(places.local(values.output, "--output"), found[0].root)
    return found, [fault._asdict() for fault in faults]


def wanted_of(values: flags.FlagValues) -> answers.Wanted:
    """What is written of a segmentation."""
    return answers.Wanted(values.probabilities, values.overlays, values.neurological)


def describe(values: flags.FlagValues, chosen: choosing.Chosen) -> dict[str, Any]:
    """What prediction.json says: with which weights and how these predictions are made."""
    options = ("probabilities", "embeddings", "layout", "channels", "nan")
    return {
        "model": [str(each) for each in chosen.folders],
        "classes": chosen.contract.get("classes"),
        "weights": [contracts.read_contract(each)["weights_sha256"] for each in chosen.folders],
        "input": str(Path(values.input).resolve()),
        "flips": prediction.flips_of(chosen.contract, values.flips),
        "overlays": answers.convention(wanted_of(values), chosen.contract.get("task", "")),
        **{name: values[name].value for name in options},
    }


def command() -> None:
    """The command line."""
    cli.run(main, define_flags)


if __name__ == "__main__":
    command()
