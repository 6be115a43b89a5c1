# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Tutorial: from scans to masks, with an encoder in between
#
# You have many scans and few labels. An *encoder* is first pretrained on the scans alone, on a task that needs no labels,
# and then *finetuned* on the few that are labelled. Is it worth it? In five minutes on two CPU cores you will pretrain,
# look into what was learnt, finetune beside training from scratch, and have masks of scans that no network has seen.
#
# The scans are phantoms, so that nothing is downloaded; put your own folder in their place. Every step is a command that
# you could as well type into a terminal: `python -m ssl3d_tf.train …`.

# %%
import os
import subprocess
import sys
import tempfile

import matplotlib.pyplot as plt
import nibabel
import numpy as np

import ssl3d_tf

SMALL = "TUTORIAL_SMALL" in os.environ  # seconds, not minutes, to see that it runs
os.chdir(tempfile.mkdtemp(prefix="tutorial-"))


def python_m(module, *arguments):
    """`python -m module arguments`, as in a terminal."""
    subprocess.run([sys.executable, "-m", module, *arguments], check=True)


def show(picture):
    """A PNG file, as wide as the page."""
    pixels = plt.imread(picture)
    plt.figure(figsize=(12, 12 * pixels.shape[0] / pixels.shape[1]))
    plt.imshow(pixels, cmap="gray")
    plt.axis("off")


# %% [markdown]
# ## Scans become records
#
# A folder `images/` and a folder `masks/` with the same names is all that the converter wants. It turns every scan to one
# orientation, normalises it, splits by patient, and writes the records that training reads.

# %%
count, side = (12, 16) if SMALL else (60, 32)
python_m("tools.phantoms", "--output=RAW", f"--count={count}", f"--size={side}")
python_m("tools.to_tfrecord", "--input=RAW", "--output=DATA", "--splits=0.6,0.2,0.2")

# %% [markdown]
# Look before you train: the contact sheet has three planes of each scan, `DATA/summary.md` has counts, ranges and warnings.

# %%
show("DATA/contact_sheet.png")

# %%
data = ssl3d_tf.open_data("DATA")
print({name: len(split.entries) for name, split in data.manifest.splits.items()})
print(data.manifest.classes)

# %% [markdown]
# ## What the network will see
#
# *Masked reconstruction* hides three quarters of the blocks of a scan and asks for what was there. Nobody has to draw
# anything for that, and yet who answers must know where a liver lies. Each row is a scan: as it is, what is shown of it, what
# counts, and what is wanted.

# %%
steps = 2 if SMALL else 300
knobs = [f"--gin_param={knob}" for knob in (f"VIEW_SIZE={side}", "FILTERS=8", "LEVELS=2")]
task = ["gin/masked_3d.gin", *knobs, "--gin_param=BLOCK=8"]
python_m("tools.inspect_records", "DATA", f"--views={task[0]}", *task[1:], "--png=views.png")
show("views.png")

# %% [markdown]
# ## Pretraining
#
# `accuracy` is the share of what was hidden that the network explains: 0 is as good as the mean of the scan, 1 is perfect.

# %%
schedule = [f"--gin_param=STEPS={steps}", f"--gin_param=EVAL_EVERY={steps // 2}"]
python_m("ssl3d_tf.train", f"--gin_file={task[0]}", *task[1:], *schedule, "--data=DATA", "--workdir=RUN")

# %% [markdown]
# What it makes of validation scans: the fourth column is wanted, the fifth is the network's.

# %%
python_m("tools.inspect_records", "DATA", "--workdir=RUN", "--png=seen.png")
show("seen.png")

# %% [markdown]
# ## What does it know?
#
# The encoder is a `keras.Model` that turns a scan into a coarse map of features: here one vector for each block of 8³ voxels.

# %%
encoder = ssl3d_tf.load_encoder("RUN")
scans = [*ssl3d_tf.dataset("DATA", "val", view_size=side).as_numpy_iterator()]
features = encoder.predict(np.stack([scan["volume"] for scan in scans]), verbose=0)
print(features.shape, "features of", len(scans), "validation scans")

# %% [markdown]
# As a map: every block is a point, placed by the two directions in which features vary most, and coloured by the organ in
# its middle. The network has never been told of an organ; where colours keep together, it found them by itself.

# %%
middles = (slice(4, None, 8),) * 3
organs = np.stack([scan["mask"][middles] for scan in scans])
inside = organs > 1  # neither air nor soft tissue
points = features[inside] - features[inside].mean(axis=0)
points = points @ np.linalg.svd(points, full_matrices=False)[2][:2].T

plt.figure(figsize=(8, 6))
for value in np.unique(organs[inside]):
    plt.scatter(*points[organs[inside] == value].T, s=6, label=data.manifest.classes[str(value)])
plt.legend()

# %% [markdown]
# ## Finetuning
#
# The same network learns to segment from 2 and from 8 labelled scans: once from random weights, once from the pretrained ones.
# Both have the same cases in the same order, so that what differs is where they began; and everything twice, with other cases.

# %%
compared = ("ARMS=('random','pretrained')", "CASES=(2,8)", "REPETITIONS=2", "TRANSFER='encoder_decoder'")
plan = [f"--gin_param={knob}" for knob in (*compared, "LEARNING_RATE=0.003")]
segmentation = ["--gin_file=gin/finetune/segmentation_3d.gin", *knobs, *schedule, *plan]
python_m("ssl3d_tf.finetune", *segmentation, "--data=DATA", "--encoder=RUN", "--workdir=FT")

# %% [markdown]
# `FT/report.html` is the whole answer. In short: the Dice of test scans over the number of labelled scans, with 95 % intervals.

# %%
python_m("ssl3d_tf.report", "FT", "--figures=FIGURES")
print(os.listdir("FIGURES"))

# %% [markdown]
# ## Masks of new scans
#
# Scans of another size, that no network has seen. Their masks are written on their own grid.

# %%
python_m("tools.phantoms", "--output=NEW", "--count=3", f"--size={side + 8}", "--seed=7")
python_m("ssl3d_tf.predict", "--model=FT", "--input=NEW/images", "--output=OUT")
show("OUT/subject_000_overlay.png")

# %% [markdown]
# As these are phantoms, the truth is known: the Dice of each organ of each new scan.

# %%
for name in sorted(os.listdir("NEW/masks")):
    truth, found = (np.asarray(nibabel.load(f"{folder}/{name}").dataobj) for folder in ("NEW/masks", "OUT"))
    for value, organ in list(data.manifest.classes.items())[1:]:
        true, mine = truth == int(value), found == int(value)
        if true.any():
            print(f"{name}  {organ:12}  {2 * (true & mine).sum() / (true.sum() + mine.sum()):.2f}")
