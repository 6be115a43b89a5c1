"""python -m ssl3d_tf.export: a finetuned model or a pretrained encoder for programs that do not have this package.

    python -m ssl3d_tf.export --model=FT --format=savedmodel --output=OUT       the best run in validation
    … --model=FT --run=runs/scratch-random/100/0 --format=onnx                  another run of FT, for onnxruntime
    … --model=RUN --format=keras                                                the encoder of a pretraining run

OUT/contract.json says what may be fed to it and what comes of it; docs/export.md shows how each is loaded.
"""

from collections.abc import Sequence
from pathlib import Path

from absl import app, flags

from ssl3d_tf import quiet
from ssl3d_tf.command import cli
from ssl3d_tf.data.places import local

with quiet.greeting():
    from ssl3d_tf.experiment import choosing
    from ssl3d_tf.training import encoders, exporting, literal


def define_flags() -> None:
    """Declares the flags; called by the command, not at import, so that one process may import every command."""
    flags.DEFINE_string("model", None, "--workdir of ssl3d_tf.finetune, or of one run in it; or of a pretraining run.")
    flags.DEFINE_string("run", "", "Which run of --model, such as runs/ARM/100/0; by default the best in validation.")
    flags.DEFINE_enum("format", None, tuple(exporting.FORMATS), "For TensorFlow, for Keras, or for onnxruntime.")
    flags.DEFINE_string("output", None, "Folder to write: a new one.")
    flags.DEFINE_bool("overwrite", False, "Replace the export in --output.")


def main(argv: Sequence[str]) -> None:
    """Finds the model, writes it, and says by how much what was written differs from it."""
    values = flags.FLAGS
    cli.flags_only(argv)
    for name in ("model", "format", "output"):
        if not getattr(values, name):
            raise app.UsageError(f"--{name} is missing; see python -m ssl3d_tf.export --help.")
    output = local(values.output, "--output")
    run(local(values.model, "--model"), values.run, values.format, output, overwrite=values.overwrite)


def run(model: Path, run: str, name: str, output: Path, *, overwrite: bool = False) -> None:
    """Exports the model that `model` stands for, as `choosing.find`, to the folder `output`."""
    exporting.check_output(output, overwrite=overwrite)
    chosen = choosing.find(model, run)
    print(chosen.why, flush=True)
    load = encoders.load_model if "task" in chosen.contract else encoders.load_encoder
    about = exporting.export(load(chosen.folders[0]), chosen.contract, name, output, overwrite=overwrite)
    for what in ("input", "output"):
        shape = " × ".join("any" if size is None else str(size) for size in about[what]["shape"])
        print(f"{what} '{about[what]['name']}': {shape}, {about[what]['dtype']}.")
    if max(about["multiple_of"]) > 1:
        sides = " × ".join(map(str, about["multiple_of"]))
        print(f"its sides must be multiples of {sides}: a Keras file cannot lengthen them itself.")
    for module in about["needs"]:
        print(f"note: nobody can load it without {module}: import that first, or take another --format.")
    if name == "savedmodel" and literal.is_pattern(output):
        print(f"note: TensorFlow takes {output} for a pattern and finds nothing there: move it to load it elsewhere.")
    differs, largest = about["max_abs_difference"], about["max_abs_output"]
    print(f"{output}: {name} and contract.json; differs by {differs:.2g} at most, of outputs up to {largest:.2g}.")


def command() -> None:
    """The command line."""
    cli.run(main, define_flags)


if __name__ == "__main__":
    command()
