"""The command predict in this process, what it leaves, and the sizes of the models that it is tried with."""

import numpy as np
from PIL import Image

from tests.commands import in_process

SIZE = 16
SMALL = ("BATCH_SIZE=2", "FILTERS=4", "LEVELS=1", f"VIEW_SIZE={SIZE}", "LOG_EVERY=50", "ARMS=('random',)")
LEARNS = (
    *SMALL,
    *("STEPS=120", "EVAL_EVERY=60", "SAVE_EVERY=120", "LEARNING_RATE=0.02", "REPETITIONS=2", "SCORES=('dice',)"),
    *("segmentation.task.transforms=[]", "segmentation.task.intensity=None"),
)


def run(*arguments, **given):
    in_process.run("ssl3d_tf.predict", *arguments, *(f"--{name}={value}" for name, value in given.items()))


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


def picture(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(value).integers(0, 50, (20, 18)) + value
    Image.fromarray(pixels.astype(np.uint8)).save(path)
