"""Converts medical images to sharded TFRecords with a manifest.

python -m tools.to_tfrecord --input RAW --output DATA [--layout auto] [--shape 64,64,64] [--workers 8]
"""

import functools
import os
from collections.abc import Callable, Sequence
from typing import TypeVar

from absl import app, flags

from ssl3d_tf.command import cli
from ssl3d_tf.data import places
from ssl3d_tf.data.records import schema
from ssl3d_tf.errors import InputError
from tools import cluster, conversion, exclusion, intensity, plan, prepare, presets, shards, slices, workers
from tools.readers import folder, layouts, limits

_T = TypeVar("_T")


def define_flags() -> None:
    """Declares the flags; called by the command, not at import, so that tests may import every command at once."""
    flags.DEFINE_string("input", None, "File, folder or glob to convert.", required=True)
    flags.DEFINE_string("output", None, "Folder to write, or gs://; a new one, or one to go on with.", required=True)
    flags.DEFINE_enum("layout", "auto", layouts.LAYOUTS, _layouts())
    flags.DEFINE_string("name", "", "Name of the data set; by default the input's.")
    flags.DEFINE_list("mask_suffix", list(folder.MASK_SUFFIXES), "Endings that tell masks from images (folder).")
    flags.DEFINE_string("mask_folder", "", "Folder with the masks, named as the images are (folder).")
    flags.DEFINE_list("shape", None, "Resample to this many voxels, in stored axis order: D,H,W or H,W.")
    flags.DEFINE_list("spacing_mm", None, "Resample to this voxel size: one number, or one per axis.")
    flags.DEFINE_list("brick_shape", None, "Store larger volumes as overlapping bricks of D,H,W or H,W voxels.")
    flags.DEFINE_bool("crop_foreground", False, "Crop to the box around what stands out from the background.")
    flags.DEFINE_bool("square", False, "Lengthen the shorter axes by zeros, after the crop: keeps the aspect.")
    flags.DEFINE_bool("antialias", False, "Average over the voxels that become one, where resampling makes fewer.")
    flags.DEFINE_enum("slices", None, tuple(slices.AXES), "Store each volume's slices of this plane, as 2D examples.")
    flags.DEFINE_list("relabel", [], "Mask values to change, as OLD:NEW.")
    flags.DEFINE_string("intensity", "auto", "auto, none, zscore, minmax, percentile or ct_window:LO,HI.")
    flags.DEFINE_enum("dtype", "auto", ("auto", *schema.DTYPES), "Storage dtype.")
    flags.DEFINE_enum("codec", "raw", schema.CODECS, "Compression of each record's voxels.")
    flags.DEFINE_list("splits", ["0.8", "0.1", "0.1"], "Fractions of patients for train, val and test.")
    flags.DEFINE_integer("records_per_shard", 32, "Records per file, at most.", lower_bound=1)
    flags.DEFINE_integer("workers", os.cpu_count() or 1, "Processes; 1 runs in this one.", lower_bound=1)
    flags.DEFINE_string("runner", None, "Apache Beam runner that makes the shards, such as FlinkRunner, not --workers.")
    flags.DEFINE_multi_string("runner_option", [], "Option of --runner, as NAME=VALUE; may repeat.")
    flags.DEFINE_multi_string("exclude_overlap", [], "Leave out the volumes of this data folder too; may repeat.")
    flags.DEFINE_float("max_gb", limits.MAX_BYTES / 1e9, "Set aside volumes of more gigabytes.", lower_bound=0.0)
    flags.DEFINE_bool("strict", False, "Fail if any file cannot be used, instead of leaving it out.")
    flags.DEFINE_bool("overwrite", False, "Replace other data in --output.")


def main(argv: Sequence[str]) -> None:
    """Converts as the flags say and prints a summary."""
    values = flags.FLAGS
    cli.flags_only(argv)
    try:
        preset = presets.defaults(values.layout, [name for name in values if values[name].present])
        for name, value in preset.items():
            values.set_default(name, value)
        settings, make, folder_out = _settings(values), _make(values), places.place(values.output)
    except InputError as error:
        raise app.UsageError(str(error)) from error
    if preset:
        print(f"--layout={values.layout} sets {presets.shown(preset)}.")
    request = layouts.Request(values.input, values.layout, tuple(filter(None, values.mask_suffix)), values.mask_folder)
    settings = settings._replace(excluded=exclusion.contents(values.exclude_overlap))
    summary = conversion.convert(
        request, folder_out, settings, make=make, strict=values.strict, overwrite=values.overwrite
    )
    print(conversion.report(summary, folder_out))


def _settings(values: flags.FlagValues) -> plan.Settings:
    shape = _numbers("shape", values.shape, int)
    spacing_mm = _numbers("spacing_mm", values.spacing_mm, float)
    if shape and spacing_mm:
        raise InputError("--shape and --spacing_mm exclude each other; give one.")
    brick_shape = _numbers("brick_shape", values.brick_shape, int)
    if min((*(shape or ()), *(spacing_mm or ()), *(brick_shape or ())), default=1) <= 0:
        raise InputError("--shape, --spacing_mm and --brick_shape must be positive.")
    fractions = _numbers("splits", values.splits, float) or ()
    if len(fractions) != 3 or min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-6:
        raise InputError(f"--splits={','.join(values.splits)} must be three fractions that add up to 1: 0.8,0.1,0.1.")
    options = prepare.Options(
        shape,
        spacing_mm,
        values.crop_foreground,
        intensity.parse(values.intensity),
        values.dtype,
        round(values.max_gb * 1e9),
        _pairs(values.relabel),
        values.square,
        values.slices,
        values.antialias,
    )
    return plan.Settings(
        options,
        values.name,
        values.codec,
        (fractions[0], fractions[1], fractions[2]),
        values.records_per_shard,
        brick_shape=brick_shape,
    )


def _make(values: flags.FlagValues) -> shards.Make:
    """Who makes the shards."""
    if values.runner is None:
        if values.runner_option:
            raise InputError("--runner_option is of a --runner; name that too.")
        return functools.partial(workers.run, workers=values.workers)
    if values["workers"].present:
        raise InputError("--workers is of this machine; with --runner, say it in its options, as --runner_option.")
    return cluster.runner(values.runner, values.runner_option)


def _layouts() -> str:
    """Help on --layout: the tree of each and what it sets."""
    lines = ["What the input is; auto finds folder, medmnist, csv, dicom, nnunet, msd or bids, and says which."]
    for name, tree in layouts.TREES.items():
        sets = presets.shown(presets.defaults(name, ()))
        lines += [f"{name}: " + "; ".join(tree) + (f". Sets {sets}" if sets else "")]
    return "\n".join(lines)


def _pairs(texts: Sequence[str]) -> tuple[tuple[int, int], ...]:
    try:
        pairs = [(int(old), int(new)) for old, new in (text.split(":") for text in texts)]
    except ValueError as error:
        raise InputError(f"--relabel={','.join(texts)} must be pairs OLD:NEW of mask values, e.g. 4:3.") from error
    if any(min(pair) < 0 for pair in pairs):
        raise InputError(f"--relabel={','.join(texts)} must name values that masks may hold, from 0.")
    return tuple(pairs)


def _numbers(flag: str, texts: Sequence[str] | None, kind: Callable[[str], _T]) -> tuple[_T, ...] | None:
    try:
        return tuple(kind(text) for text in texts) if texts else None
    except ValueError as error:
        raise InputError(f"--{flag}={','.join(texts or ())} must be numbers separated by commas.") from error


def command() -> None:
    """The command line."""
    cli.run(main, define_flags)


if __name__ == "__main__":
    command()
