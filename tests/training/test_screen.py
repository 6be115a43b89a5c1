import pytest

from ssl3d_tf.training import journal, screen
from ssl3d_tf.training.journal import Journal


def test_a_line_of_training_says_what_a_person_asks_for():
    values = {"loss": 2.34567, "accuracy": 0.123, "chance": 0.1, "examples_per_s": 312.3, "stall_fraction": 0.02}
    assert screen.training(values) == "loss 2.346, accuracy 0.123 (chance 0.100), 312 examples/s"
    waits = screen.training(values | {"stall_fraction": 0.43, "skipped": 2, "lr": 1e-3, "gradient_norm": 5.0})
    assert waits.endswith("312 examples/s, 43% of the time waiting for data, 2 updates left out")


def test_steps_without_content_are_told_in_words_and_left_out_ones_in_numbers():
    nan = float("nan")
    values = {"loss": nan, "accuracy": nan, "chance": nan, "examples_per_s": 312.3, "stall_fraction": 0.0}
    assert screen.training(values) == "nothing in these steps had content to learn from, 312 examples/s"
    assert screen.training(values | {"skipped": 3}).startswith("loss nan, accuracy nan")
    assert screen.training(values | {"accuracy": 0.1}).startswith("loss nan, accuracy 0.100")  # a fault, which shows
    found = {f"val_{name}": nan for name in ("loss", "accuracy", "chance")}
    shown = screen.validation(found, best=0.9, best_step=40, is_best=False)
    assert shown == "validation: nothing in these examples had content to be asked about, best 0.9 at step 40"


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


def test_a_line_says_how_long_the_rest_takes(tmp_path, capsys, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(journal.time, "perf_counter", lambda: clock[0])

    def steps(log, *seconds):
        for each in seconds:
            clock[0] += each
            log.advance()

    with Journal(tmp_path, first_step=10, steps=40) as log:
        steps(log, 100, 8, 9, 3, *[2] * 6)  # the first builds the graph of steps, a few more settle
        clock[0] += 50  # the first evaluation builds its own
        log.write(20, {"val_loss": 1.0}, "validation: loss 1")
        log.write(20, {"loss": 1.0, "examples_per_s": 1.0, "stall_fraction": 0.0})
        steps(log, *[2] * 10)
        clock[0] += 10
        log.write(30, {"val_loss": 1.0}, "validation: loss 1")
        steps(log, *[2] * 10)
        log.write(40, {"val_loss": 1.0}, "validation: loss 1")
    assert capsys.readouterr().out.splitlines() == [
        "2 s per step: about 0:00:44 for the 22 steps left, evaluations apart.",
        "step 20/40  validation: loss 1; about 0:00:40 left",
        "step 20/40  loss 1, 1 examples/s",
        "step 30/40  validation: loss 1; about 0:00:30 left",
        "step 40/40  validation: loss 1",
    ]


def test_the_time_left_is_told_from_the_second_run_on():
    """As the first of a process begins with TensorFlow's start."""
    assert screen.time_left([], 3) == screen.time_left([100.0], 2) == screen.time_left([100.0, 110.0], 0) == ""
    assert screen.time_left([100.0, 110.0, 130.0], 4) == "; about 0:01:00 left"
