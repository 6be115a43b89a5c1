"""Every key of the published program's JSON configurations, what it is here, or why it is nothing.

The published program: HealthML/self-supervised-3d-tasks, with Taleb et al., 2020, arXiv:2006.03829. The table in
docs/from_the_original.md is `table()`.
"""

from typing import NamedTuple

TRAIN, FINETUNE, BOTH, NOBODY = "pretraining", "finetuning", "both", "nobody"
NONE = "–"  # no counterpart: the remark says why


class Key(NamedTuple):
    """A key, who read it, the binding of ours, and what to know."""

    name: str
    read_by: str
    ours: str
    remark: str


_FOLDERS = "python -m tools.to_tfrecord makes the data folder that --data names"
_SPLITS = "tools.to_tfrecord --splits, by patient; validation and test stay the same for all fractions"
_TABLE = "tools.to_tfrecord reads a csv with the columns path, label, patient"
_HEAD = "the head is that of the included file"
_LOADER = "a file's reader is found by its content"
_NAMELESS = "read by nobody there either"
_EPOCHS = "epochs × ⌈--examples / BATCH_SIZE⌉; a fraction of the labels gets as many steps, not fewer"

KEYS = (
    Key("algorithm", BOTH, "`include 'gin/released/NAME_2d.gin'`, `…_3d.gin`", "in finetuning: the run in --encoder"),
    Key("data_is_3D", BOTH, "which file is included", "RANK is set there"),
    Key("dataset_name", BOTH, NONE, "no code depends on it; gin/datasets has the published sizes"),
    Key("data_dir", BOTH, NONE, _FOLDERS),
    Key("data_dir_train", FINETUNE, NONE, _FOLDERS),
    Key("data_dir_test", FINETUNE, NONE, _FOLDERS),
    Key("csv_file", FINETUNE, NONE, _TABLE),
    Key("csv_file_train", FINETUNE, NONE, _TABLE),
    Key("csv_file_test", FINETUNE, NONE, _TABLE),
    Key("data_dim", BOTH, "`VIEW_SIZE`", "volumes of any shape: smaller ones are padded, larger ones cropped"),
    Key("number_channels", BOTH, "`CHANNELS`", "data of another number are refused"),
    Key("batch_size", BOTH, "`BATCH_SIZE`", "volumes; CPC counted contexts, 2n² per volume in 3D and 2n in 2D"),
    Key("lr", BOTH, "`LEARNING_RATE`", "constant in gin/released, half a cosine elsewhere"),
    Key("epochs", TRAIN, "`STEPS`", "epochs × ⌈--examples / BATCH_SIZE⌉"),
    Key("train_val_split", TRAIN, NONE, "tools.to_tfrecord --splits"),
    Key("val_split", FINETUNE, NONE, _SPLITS),
    Key("patches_per_side", BOTH, "`PATCHES_PER_SIDE`", "CPC, jigsaw and RPL; in finetuning the encoder knows"),
    Key("patch_jitter", BOTH, "`PATCH_JITTER`", "jigsaw and RPL; negative, an overlap, has no counterpart there"),
    Key("crop_size", BOTH, "`cpc.task.view_crop`", "CPC, as a share of data_dim"),
    Key("code_size", BOTH, "`cpc.task.code_size`, `CODE_SIZE`", "CPC, exemplar"),
    Key("sample_neg_examples_from", BOTH, NONE, "exemplar's negative is another volume of the batch"),
    Key(
        "encoder_architecture", BOTH, "`ENCODER`, `applications.encoder.name`", "2D; null is the U-Net, with batch norm"
    ),
    Key("enc_filters", BOTH, "`FILTERS`", "U-Net"),
    Key("num_layers", BOTH, "`LEVELS`", "U-Net"),
    Key(
        "pooling",
        BOTH,
        "`unet.encoder.pooling`, `applications.encoder.pooling`",
        "null is 'none'; of pretraining only: heads average",
    ),
    Key("model_params", BOTH, "`NORM`, `DROPOUT`", "U-Net; dropout_change_per_layer has no counterpart"),
    Key("top_architecture", BOTH, "`TASK.task.top`", "rotation, RPL and jigsaw"),
    Key("train_data_generator_args", BOTH, "see below", "its keys one by one"),
    Key("val_data_generator_args", BOTH, "see below", "its keys one by one"),
    Key("test_data_generator_args", FINETUNE, "see below", "its keys one by one"),
    Key("save_checkpoint_every_n_epochs", TRAIN, "`SAVE_EVERY`", "epochs × ⌈--examples / BATCH_SIZE⌉"),
    Key("base_workspace", TRAIN, NONE, "--workdir"),
    Key("model_checkpoint", FINETUNE, NONE, "--encoder takes the --workdir of a pretraining run"),
    Key(
        "prediction_architecture", FINETUNE, "`include 'gin/finetune/…'`; `classification.task.top`", "unet_… segments"
    ),
    Key("num_classes", FINETUNE, NONE, "taken from the data"),
    Key("n_prediction_layers", FINETUNE, NONE, _HEAD),
    Key("dim_prediction_layers", FINETUNE, NONE, _HEAD),
    Key("dropout_rate", FINETUNE, NONE, _HEAD),
    Key("epochs_initialized", FINETUNE, "`ARMS`, 'pretrained'; `STEPS`", _EPOCHS),
    Key("epochs_frozen", FINETUNE, "`ARMS`, 'frozen'; `STEPS`", "all arms train the same number of steps"),
    Key("epochs_random", FINETUNE, "`ARMS`, 'random'; `STEPS`", "all arms train the same number of steps"),
    Key("epochs_warmup", FINETUNE, "`WARMUP_STEPS`", "epochs × ⌈--examples / BATCH_SIZE⌉"),
    Key("repetitions", FINETUNE, "`REPETITIONS`", "each draws other labels; there only the weights differed"),
    Key("exp_splits", FINETUNE, "`FRACTIONS`", "percent"),
    Key("do_cross_val", FINETUNE, "`FOLDS`", "as many as repetitions; the next fold validates, by patient"),
    Key("loss", FINETUNE, "`LOSS`; `LABELS`", "of masks; of whole images, multilabel grades being ordinal"),
    Key("metrics", FINETUNE, NONE, "a task logs its own metrics"),
    Key("scores", FINETUNE, "`SCORES`", "dice and jaccard per case, and pooled as there; every class by itself"),
    Key("clipnorm", FINETUNE, "`CLIP_NORM`", "of each variable, before CLIP_VALUE"),
    Key("clipvalue", FINETUNE, "`CLIP_VALUE`", ""),
    Key("sample_classes_uniform", FINETUNE, NONE, "it put copies of a case into training and test"),
    Key("shuffle_before_split", FINETUNE, NONE, "splits are by hash of the patient"),
    Key("log_level", BOTH, NONE, "--verbosity"),
    Key("use_gpu", BOTH, NONE, "CUDA_VISIBLE_DEVICES; several: STRATEGY = 'mirrored'"),
    Key("root_config_file", BOTH, NONE, "the run keeps config.gin"),
    Key("embed_dim", NOBODY, NONE, _NAMELESS),
    Key("load_weights", NOBODY, NONE, _NAMELESS),
    Key("train3D", NOBODY, NONE, f"{_NAMELESS}; it was data_is_3D"),
    Key("n_channels", NOBODY, NONE, f"{_NAMELESS}; it was number_channels"),
    Key("split_per_side", NOBODY, NONE, f"{_NAMELESS}; it was patches_per_side"),
    Key("patch_dim", NOBODY, NONE, _NAMELESS),
)
# Keys of train_, val_ and test_data_generator_args.
GENERATOR_KEYS = (
    Key("augment", BOTH, NONE, "augmentation belongs to the task, not to the reader"),
    Key("augment_zoom_only", BOTH, NONE, "augmentation belongs to the task, not to the reader"),
    Key("shuffle", BOTH, NONE, "training always shuffles, evaluation never does"),
    Key("suffix", FINETUNE, NONE, _LOADER),
    Key("multilabel", FINETUNE, "`LABELS`", "grades stay whole numbers; the loss makes cumulative targets of them"),
    Key("label_stem", FINETUNE, NONE, "tools.to_tfrecord --layout finds masks"),
    Key("patch_size", BOTH, NONE, "VIEW_SIZE"),
    Key("patches_per_scan", BOTH, NONE, "one crop of VIEW_SIZE per volume and epoch"),
    Key("n_classes", BOTH, NONE, "taken from the data"),
    Key("batch_size", BOTH, NONE, "BATCH_SIZE"),
)


def table() -> str:
    """All keys as a Markdown table."""
    rows = ["| key | read by | here | remark |", "|---|---|---|---|"]
    rows += [f"| `{key.name}` | {key.read_by} | {key.ours} | {key.remark} |" for key in KEYS]
    rows += [
        f"| `…_data_generator_args.{key.name}` | {key.read_by} | {key.ours} | {key.remark} |" for key in GENERATOR_KEYS
    ]
    return "\n".join(rows)
