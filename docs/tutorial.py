# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Tutorial: many scans, few labels
#
# An *encoder* is pretrained on scans alone, by a task that needs no labels, and *finetuned* on the few
# scans that are labelled. Is that worth it? In five minutes on two CPU cores you will pretrain one, look into
# it, finetune it beside the same network from scratch, and have masks of scans that neither has seen.
#
# The scans are phantoms, so that nothing is downloaded; put a folder of your own in their place. Every step is
# a command, which a terminal takes as well: `python -m ssl3d_tf.train …`.

# %%
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import nibabel
import numpy as np

import ssl3d_tf

SMALL = "TUTORIAL_SMALL" in os.environ  # seconds, not minutes: only to see that it runs
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # TensorFlow says nothing of its own
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
# A folder `images/` and a folder `masks/` with the same names is all that the converter wants. It turns every
# scan to one orientation, normalises it, splits by patient, and writes the records that training reads.

# %%
count, side = (20, 16) if SMALL else (60, 32)
python_m("tools.phantoms", "--output=RAW", f"--count={count}", f"--size={side}")
python_m("tools.to_tfrecord", "--input=RAW", "--output=DATA", "--splits=0.6,0.2,0.2")

# %% [markdown]
# Look before you train. The contact sheet shows every scan with its mask; `DATA/summary.md` has counts, ranges
# and warnings.

# %%
show("DATA/contact_sheet.png")

# %%
data = ssl3d_tf.open_data("DATA")
print({name: len(split.entries) for name, split in data.manifest.splits.items()})
print(data.manifest.classes)

# %% [markdown]
# ## What the network will see
#
# *Masked reconstruction* hides three quarters of the blocks of a scan and asks for what was there. Nobody had to
# draw anything, and yet the answer takes some knowledge of where things lie. Each row is a scan: as it is, what
# is shown of it, what counts, and what is wanted.

# %%
steps = 2 if SMALL else 300
network = [f"--gin_param={knob}" for knob in (f"VIEW_SIZE={side}", "FILTERS=8", "LEVELS=2")]
blocks = [*network, "--gin_param=BLOCK=8"]
python_m("tools.inspect_records", "DATA", "--views=gin/masked_3d.gin", *blocks, "--png=views.png")
show("views.png")

# %% [markdown]
# ## Pretraining
#
# `accuracy` is here the share of what was hidden that the network explains: 0 is as good as the mean, 1 is perfect.
# Stopped at any time, the same command goes on.

# %%
schedule = [f"--gin_param=STEPS={steps}", f"--gin_param=EVAL_EVERY={steps // 2}"]
files = ["--gin_file=gin/masked_3d.gin", "--data=DATA", "--workdir=RUN"]
python_m("ssl3d_tf.train", *files, *blocks, *schedule)

# %% [markdown]
# The same picture with the trained network's answer behind what is wanted.

# %%
python_m("tools.inspect_records", "DATA", "--workdir=RUN", "--png=seen.png")
show("seen.png")

# %% [markdown]
# ## A map of what it knows
#
# The encoder is a `keras.Model`. It turns a scan into a coarse map of features, here a vector for each block of
# 8³ voxels.

# %% tags=["remove-stderr"]
encoder = ssl3d_tf.load_encoder("RUN")
scans = [*ssl3d_tf.dataset("DATA", "val", view_size=side).as_numpy_iterator()]
volumes = np.stack([scan["volume"] for scan in scans])
body = np.stack([scan["mask"][4::8, 4::8, 4::8] > 0 for scan in scans])  # the middles of blocks
print(encoder.predict(volumes, verbose=0).shape, "features of", len(scans), "validation scans")

# %% [markdown]
# Every block of the body is a point below, placed by the two directions in which features vary most, coloured by
# where in the scan it lies along each axis. Nobody told the network of places. But a map is easily admired: the
# one of a network with random weights, above, has much of the same order, as the rim of a body looks unlike its
# inside to anybody. What an encoder is worth only labels can say.

# %%
untrained = encoder.from_config(encoder.get_config())
_, rows = plt.subplots(2, 3, figsize=(12, 8))
for row, name, of in zip(rows, ("random weights", "pretrained"), (untrained, encoder), strict=True):
    points = of.predict(volumes, verbose=0)[body]
    points = (points - points.mean(axis=0)) / (points.std(axis=0) + 1e-6)
    points = points @ np.linalg.svd(points, full_matrices=False)[2][:2].T
    for axis, place in enumerate(np.argwhere(body).T[1:]):
        row[axis].scatter(*points.T, c=place, s=6)
        row[axis].set_title(f"{name}: place along axis {axis}")

# %% [markdown]
# ## Finetuning
#
# The same network learns to segment from 8 labelled scans: from random weights, and from the pretrained ones. Both
# have the same cases in the same order, so that what differs is where they began; and all is done three times,
# each with another eight.

# %%
steps = 2 if SMALL else 200
times = "REPETITIONS=1" if SMALL else "REPETITIONS=3"
plan = ("ARMS=('random','pretrained')", "TRANSFER='encoder_decoder'", "CASES=(8,)", times)
schedule = (f"STEPS={steps}", f"EVAL_EVERY={steps // 2}", "LEARNING_RATE=0.003")
files = ["--gin_file=gin/finetune/segmentation_3d.gin", "--data=DATA", "--encoder=RUN", "--workdir=FT"]
python_m("ssl3d_tf.finetune", *files, *network, *(f"--gin_param={knob}" for knob in (*plan, *schedule)))

# %% [markdown]
# `FT/report.html` is the whole answer, with curves and every test case. In words and tables it begins so:

# %%
print("\n".join(Path("FT/summary.md").read_text().splitlines()[:20]))

# %% [markdown]
# The second table is what pretraining adds, with its 95 % interval over patients and repetitions. Where it contains
# 0 no difference is shown, which is not to say that there is none: three repetitions of half a minute are few. Give
# real data room by `STEPS` and `REPETITIONS`, and several numbers of labels by `CASES=(2,8,32)`.
#
# ## Masks of new scans
#
# Scans of another size, which no network has seen. Each mask is written on the grid of its scan.

# %%
python_m("tools.phantoms", "--output=NEW", "--count=3", f"--size={side + 8}", "--seed=7")
python_m("ssl3d_tf.predict", "--model=FT", "--input=NEW/images", "--output=OUT")
show("OUT/subject_000_overlay.png")

# %% [markdown]
# Of phantoms the truth is known, so here is the Dice of all three scans together. Class 1 is soft tissue, then come
# spine, lungs, heart, liver, kidneys and lesions: what is small or looks like its neighbours takes longer to learn.

# %%
names = sorted(os.listdir("NEW/masks"))
truth, found = (np.stack([nibabel.load(f"{of}/{name}").dataobj for name in names]) for of in ("NEW/masks", "OUT"))
for value in range(1, truth.max() + 1):
    both = ((truth == value) & (found == value)).sum()
    print(data.manifest.classes[str(value)], f"{2 * both / ((truth == value).sum() + (found == value).sum()):.2f}")

# %% [markdown]
# ## And then
#
# The [first hour](first_hour.md) does the same with your scans in a terminal, [Pretraining](pretraining.md) says
# which task is for what, [Finetuning](finetuning.md) how it is compared, and [How do I…](how_do_i.md) the rest.
