import re

import pytest

from ssl3d_tf.training import screen
from ssl3d_tf.training.journal import Journal


def test_a_line_of_training_says_what_a_person_asks_for():
    values = {"loss": 2.34567, "accuracy": 0.123, "chance": 0.1, "examples_per_s": 312.3, "stall_fraction": 0.02}
    assert screen.training(values) == "loss 2.346, accuracy 0.123 (chance 0.100), 312 examples/s"
    waits = screen.training(values | {"stall_fraction": 0.43, "skipped": 2, "lr": 1e-3, "gradient_norm": 5.0})
    assert waits.endswith("312 examples/s, 43% of the time waiting for data, 2 updates left out")


def test_of_many_classes_the_first_are_shown_and_the_rest_is_counted():
    scores = {f"val_dice_{one}": one / 10 for one in range(1, 7)}
    shown = screen.validation({"val_loss": 1.0, **scores}, best=1.0, best_step=5, is_best=True)
    assert shown == (
        "validation: loss 1, dice_1 0.100, dice_2 0.200, dice_3 0.300, dice_4 0.400 and 2 more in metrics.jsonl, "
        "the best so far"
    )


@pytest.mark.parametrize(("best_step", "end"), [(40, ", best 0.9 at step 40"), (0, "")])  # 0: no loss was a number
def test_an_evaluation_says_when_it_was_best(best_step, end):
    shown = screen.validation({"val_loss": float("nan")}, best=0.9, best_step=best_step, is_best=False)
    assert shown == f"validation: loss nan{end}"


def test_a_line_says_how_long_the_rest_takes(tmp_path, capsys):
    with Journal(tmp_path, first_step=10, steps=20) as journal:
        for _ in range(8):
            journal.advance()
        journal.write(12, {"loss": 1.0, "examples_per_s": 1.0, "stall_fraction": 0.0})
        journal.write(18, {"val_loss": 1.0}, "validation: loss 1")
        journal.write(20, {"val_loss": 1.0}, "validation: loss 1")
    *_, brief, evaluation, last = capsys.readouterr().out.splitlines()
    assert brief == "step 12/20  loss 1, 1 examples/s"
    assert re.fullmatch(r"step 18/20  validation: loss 1; about 0:00:0\d left", evaluation)
    assert last == "step 20/20  validation: loss 1"
