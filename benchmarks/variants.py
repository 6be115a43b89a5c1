"""One configuration in every precision, over all devices and deterministic: does it end with the same loss, how fast?

python benchmarks/variants.py                                       rotation on phantoms, 300 steps each
python benchmarks/variants.py --task=cpc_3d --gin_param=STEPS=100

A GPU has all of them; a CPU computes in float32 alone. 'deterministic' comes last, as there is no way back from it.
"""

import contextlib
import io
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as a script, from any folder

from ssl3d_tf import quiet
from ssl3d_tf.command import cli, configuration
from ssl3d_tf.errors import InputError

with quiet.greeting():
    import keras

    from ssl3d_tf import train
    from ssl3d_tf.command import kernels

VARIANTS = {
    "float32": (),
    "mixed_bfloat16": ("PRECISION='mixed_bfloat16'",),
    "mixed_float16": ("PRECISION='mixed_float16'",),
    "mirrored": ("STRATEGY='mirrored'",),
    "deterministic": ("DETERMINISTIC=True",),
}
_FOLDER = Path("runs") / "variants"


def define_flags() -> None:
    """Declares the flags; called by the command, not at import, so that one process may import every command."""
    flags.DEFINE_string("task", "rotation_3d", "A pretraining configuration, on phantoms.")
    flags.DEFINE_multi_string("gin_param", ["STEPS=300"], "NAME=VALUE, for all of them; may repeat.")


def main(argv: Sequence[str]) -> None:
    """Prints a line per variant: losses at the end, and volumes per second."""
    cli.flags_only(argv)
    print(f"{kernels.opening()}, {flags.FLAGS.task}, {' '.join(flags.FLAGS.gin_param)}", flush=True)
    print(f"{'variant':16}{'loss':>10}{'val_loss':>10}{'volumes/s':>11}")
    shutil.rmtree(_FOLDER, ignore_errors=True)
    for name, params in VARIANTS.items():
        print(f"{name:16}{_trained(name, params)}", flush=True)


def _trained(name: str, params: Sequence[str]) -> str:
    keras.backend.clear_session()
    sources = configuration.Sources((f"gin/{flags.FLAGS.task}.gin",), (*flags.FLAGS.gin_param, *params))
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            train.pretrain(sources, None, _FOLDER / name)
    except InputError as error:
        return f"  not run: {error}"
    lines = [json.loads(line) for line in (_FOLDER / name / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    trained, evaluated = (
        [line for line in lines if "loss" in line][-1],
        [line for line in lines if "val_loss" in line][-1],
    )
    return f"{trained['loss']:10.4f}{evaluated['val_loss']:10.4f}{trained['examples_per_s']:11.1f}"


if __name__ == "__main__":
    define_flags()
    cli.run(main)
