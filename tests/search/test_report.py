import numpy as np
import pytest

from ssl3d_tf.evaluation import drawing
from ssl3d_tf.search import report, trials
from ssl3d_tf.search.space import Choices, Numbers
from ssl3d_tf.search.trials import Objective, Trial

SPACE = {
    "LEARNING_RATE": Numbers(2e-4, 8e-4, log=True),
    "WEIGHT_DECAY": Numbers(1e-6, 1e-2, log=True),
    "FILTERS": Numbers(4, 9, whole=True),
    "unet.encoder.pooling": Choices(("'max'", "'avg'")),
}


@pytest.fixture(scope="module")
def figure():
    rng = np.random.default_rng(0)
    found = [
        Trial(
            str(number),
            trials.PRUNED if number % 3 == 2 else trials.COMPLETED,
            {
                "LEARNING_RATE": f"{rng.uniform(2e-4, 8e-4):.3g}",
                "WEIGHT_DECAY": f"{10 ** rng.uniform(-6, -2):.3g}",
                "FILTERS": str(rng.integers(4, 10)),
                "unet.encoder.pooling": ("'max'", "'avg'")[number % 2],
            },
            "run",
            value=rng.uniform(0.5, 0.8),
        )
        for number in range(5)
    ]
    drawn = report.scatter(found, SPACE, Objective("val_dice", "max"))
    drawn.canvas.draw()
    return drawn


def ticks(ax):
    low, high = ax.get_xlim()
    return [
        text.get_text()
        for place, text in zip(ax.get_xticks(), ax.get_xticklabels(), strict=True)
        if low <= place <= high
    ]


def test_trials_are_whole_numbers(figure):
    assert ticks(figure.axes[0]) == ["1", "2", "3", "4", "5"]


def test_a_logarithmic_axis_within_a_decade_has_numbers_as_they_are_written(figure):
    assert ticks(figure.axes[1]) == ["0.0002", "0.0005"]
    assert ticks(figure.axes[2]) == ["1e-06", "1e-05", "0.0001", "0.001", "0.01"]


def test_nothing_raw_is_on_the_page(figure):
    svg = drawing.svg(figure, "val_dice by trial")
    assert "mathdefault" not in svg
    assert "$" not in svg
