"""Converts medical images to sharded TFRecords with a manifest.

python -m tools.to_tfrecord --input RAW --output DATA [--layout auto] [--shape 64,64,64] [--workers 8]
"""

import functools
import os
from collections.abc import Sequence

from absl import app, flags

from ssl3d_tf.command import cli
from ssl3d_tf.data import places
from ssl3d_tf.data.records import schema
from ssl3d_tf.errors import InputError
from tools.checks import exclusion
from tools.conversion import cluster, conversion, like, presets, publication, settings, shards, workers
from tools.prepare import packing, slices
from tools.readers import arrays, dicom_masks, layouts, limits, patients


def define_flags() -> None:
    """Declares the flags; called by the command, not at import, so that tests may import every command at once."""
    flags.DEFINE_string("input", None, "File, folder or glob to convert.", required=True)
    flags.DEFINE_string("output", None, "Folder to write, or gs://; a new one, or one to go on with.", required=True)
    _define_layout_flags()
    flags.DEFINE_string("like", None, "Prepare as the data of this run, encoder/, model/ or data folder were.")
    flags.DEFINE_list("shape", None, "Resample to this many voxels, in stored axis order: D,H,W or H,W.")
    flags.DEFINE_list("spacing_mm", None, "Resample to this voxel size: one number, or one per axis.")
    flags.DEFINE_list("brick_shape", None, "Store larger volumes as overlapping bricks of D,H,W or H,W voxels.")
    flags.DEFINE_bool("crop_foreground", False, "Crop to the box around what stands out from the background.")
    flags.DEFINE_bool("square", False, "Lengthen the shorter axes by zeros, after the crop: keeps the aspect.")
    flags.DEFINE_bool("antialias", False, "Average over the voxels that become one, where resampling makes fewer.")
    flags.DEFINE_enum("slices", None, tuple(slices.AXES), "Store each volume's slices of this plane, as 2D examples.")
    flags.DEFINE_list("relabel", [], "Mask values to change, as OLD:NEW.")
    flags.DEFINE_integer("ignore_label", None, "Mask value, after --relabel, that is in no loss and no score.")
    flags.DEFINE_enum("keep_native_masks", "auto", packing.KEEP, "Masks on the files' grid too; auto: if another one.")
    flags.DEFINE_string("intensity", "auto", "auto, none, zscore, minmax, percentile[:body] or ct_window:LO,HI.")
    flags.DEFINE_enum("dtype", "auto", ("auto", *schema.DTYPES), "Storage dtype.")
    flags.DEFINE_enum("codec", "raw", schema.CODECS, "Compression of each record's voxels.")
    flags.DEFINE_list("splits", ["0.8", "0.1", "0.1"], "Fractions of patients for train, val and test.")
    flags.DEFINE_integer("records_per_shard", 32, "Records per file, at most.", lower_bound=1)
    flags.DEFINE_integer("workers", os.cpu_count() or 1, "Processes; 1 runs in this one.", lower_bound=1)
    flags.DEFINE_string("runner", None, "Apache Beam runner that makes the shards, such as FlinkRunner, not --workers.")
    flags.DEFINE_multi_string("runner_option", [], "Option of --runner, as NAME=VALUE; may repeat.")
    flags.DEFINE_multi_string("exclude_overlap", [], "Leave out the volumes of this data folder too; may repeat.")
    flags.DEFINE_float("max_gb", limits.MAX_BYTES / 1e9, "Set aside volumes of more gigabytes.", lower_bound=0.0)
    flags.DEFINE_enum("channels", "auto", arrays.LAYOUTS, "Axis of .npy and .npz arrays that holds channels.")
    flags.DEFINE_enum("nan", None, ("min", "0"), "Fill NaN with the smallest value of its channel, or with 0.")
    flags.DEFINE_enum("mask_grid", "header", ("header", "image"), "Masks lie as their header says, or on their image.")
    flags.DEFINE_bool("strict", False, "Fail if any file cannot be used, instead of leaving it out.")
    flags.DEFINE_bool("overwrite", False, "Replace other data in --output.")


def _define_layout_flags() -> None:
    """Those that say which files belong together."""
    flags.DEFINE_enum("layout", "auto", layouts.LAYOUTS, presets.layouts_help())
    flags.DEFINE_string("name", "", "Name of the data set; by default the input's.")
    flags.DEFINE_list("mask_suffix", None, "Endings of masks, such as _gt; by default known words (folder, bids).")
    flags.DEFINE_string("mask_folder", "", "Folder with the masks, named as the images are (folder, bids).")
    flags.DEFINE_enum("label_maps", "auto", ("auto", "scans"), "scans: those that fit no scan are scans (folder, csv).")
    flags.DEFINE_bool("allow_outside", False, "A csv may name files anywhere, also by absolute paths (csv).")
    flags.DEFINE_string("dicom_masks", "*", "Which DICOM-SEG and RTSTRUCT are masks: a pattern of path or title.")
    flags.DEFINE_list("segments", [], "Names of the segments or ROIs to take, the one on top last (dicom).")
    flags.DEFINE_string("patients_from", patients.NAMES, patients.HELP)
    flags.DEFINE_enum("labels_from", None, ("folder",), "Label images by their folders: train/benign/x.png.")


def main(argv: Sequence[str]) -> None:
    """Converts as the flags say and prints a summary."""
    values = flags.FLAGS
    cli.flags_only(argv)
    try:
        given = [name for name in values if values[name].present]
        asked = settings.parse(values.flag_values_dict()).options
        as_there = like.read(values.like, asked, given) if values.like else None
        preset = presets.defaults(values.layout, [*given, *(like.FLAGS if as_there else ())])
        alike = like.values(as_there.options) if as_there else {}
        for name, value in {**preset, **alike}.items():
            values.set_default(name, value)
        chosen, make, folder_out = settings.parse(values.flag_values_dict()), _make(values), places.place(values.output)
    except InputError as error:
        raise app.UsageError(str(error)) from error
    if preset:
        print(f"--layout={values.layout} sets {presets.shown(preset)}.")
    if as_there:
        print(f"--like={values.like} sets {presets.shown(alike)}.")
        chosen = chosen._replace(kind=as_there.kind)
    suffixes = None if values.mask_suffix is None else tuple(filter(None, values.mask_suffix))
    choice = dicom_masks.Choice(values.dicom_masks, tuple(values.segments))
    request = layouts.Request(
        values.input, values.layout, suffixes, values.mask_folder, values.label_maps, values.allow_outside, choice
    )
    request = request._replace(patients_from=values.patients_from, labels_from=values.labels_from or "")
    chosen = chosen._replace(excluded=exclusion.contents(values.exclude_overlap))
    summary = conversion.convert(
        request, folder_out, chosen, make=make, strict=values.strict, overwrite=values.overwrite
    )
    print(publication.report(summary, folder_out))


def _make(values: flags.FlagValues) -> shards.Make:
    """Who makes the shards."""
    if values.runner is None:
        if values.runner_option:
            raise InputError("--runner_option is of a --runner; name that too.")
        return functools.partial(workers.run, workers=values.workers)
    if values["workers"].present:
        raise InputError("--workers is of this machine; with --runner, say it in its options, as --runner_option.")
    return cluster.runner(values.runner, values.runner_option)


def command() -> None:
    """The command line."""
    cli.run(main, define_flags)


if __name__ == "__main__":
    command()
