"""What a search may try, which trials are worth going on with, and keras-tuner's searches over a cheap function."""

import ast
import errno
import math

import pytest

from ssl3d_tf.data import files
from ssl3d_tf.errors import InputError
from ssl3d_tf.search import space, trials, tuners
from ssl3d_tf.search.space import Choices, Numbers, text
from ssl3d_tf.search.trials import Evaluation, Objective

WRITES = 23  # of keras-tuner's state, in three trials
DICE, LOSS = Objective("val_dice", "max"), Objective("val_loss", "min")
SPACE = {"X": space.floats(0.01, 10, log=True), "N": space.integers(1, 4), "KIND": space.choices(["a", "b"])}


def curve(*values, first=10):
    """Evaluations of every tenth step, the loss being what the value lacks to 1."""
    return [Evaluation(first + 10 * i, 1 - value, value) for i, value in enumerate(values)]


def bowl(number, values):
    """Least at X = 1, N = 2, KIND b."""
    return math.log(float(values["X"])) ** 2 + (values["N"] - 2) ** 2 + (values["KIND"] == "'a'")


def searched(workdir, kind, *, stop_at=None, max_trials=8, seed=0, first=None, space=SPACE):
    """The trials of a search over the bowl; with `stop_at`, a fault ends it in that trial."""
    asked = []

    def train(number, values):
        if len(asked) == stop_at:
            raise KeyboardInterrupt
        asked.append({name: text(value) if isinstance(value, float) else value for name, value in values.items()})
        return bowl(number, values)

    made = tuners.tuner(
        workdir,
        train,
        kind=kind,
        space=space,
        first=first,
        objective=LOSS,
        max_trials=max_trials,
        max_rounds=9,
        seed=seed,
    )
    tuners.search(made, chief=False)
    return asked


@pytest.mark.parametrize(
    ("plain", "meant"),
    [
        ({"low": 1e-4, "high": 1e-2, "log": True}, Numbers(1e-4, 1e-2, log=True)),
        ({"low": 1, "high": 9, "step": 2}, Numbers(1, 9, step=2, whole=True)),
        ({"low": 0, "high": 0.5}, Numbers(0, 0.5)),
        ([8, 16], Choices(("8", "16"))),
        (("group", None, (1, 2), "@unet.encoder"), Choices(("'group'", "None", "(1, 2)", "@unet.encoder"))),
    ],
)
def test_plain_data_of_a_gin_file_become_a_space(plain, meant):
    assert space.parse({"KNOB": plain}) == {"KNOB": meant}


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        ({"low": 2, "high": 1}, "goes from 2 to 1; low and high must be numbers, and low the smaller one"),
        ({"low": 1, "high": 1}, "low the smaller one"),
        ({"low": "1", "high": 2}, "must be numbers"),
        ({"low": 0, "high": 1, "log": True}, "low must be above 0"),
        ({"low": 1, "high": 8, "step": 0.5}, "it must be whole"),
        ({"low": 1.0, "high": 8, "step": 1, "log": True}, "has step 1; it must be above 1"),
        ({"low": 1, "hihg": 8}, "must be a list, or have 'low' and 'high'"),
        ([3], "has the choices 3; there must be two or more"),
        ([3, 3], "two or more, each once"),
        ([print, 3], "functions stand in quotes"),
        (7, "must be a list"),
    ],
)
def test_what_cannot_be_searched_is_one_line(plain, message):
    with pytest.raises(InputError, match=f"SPACE: KNOB .*{message}.*[.]$"):
        space.parse({"KNOB": plain})


def test_an_empty_space_is_refused():
    with pytest.raises(InputError, match="must name one knob or more"):
        space.parse({})


def test_values_keep_six_digits_and_read_back_as_they_are():
    for value in (1 / 3, 1e-5, 2.0, 7):
        assert ast.literal_eval(space.text(value)) == pytest.approx(value, rel=1e-5)
    assert space.text(1 / 3) == "0.333333"


@pytest.mark.parametrize(("given", "held"), [("0.02", True), ("20.0", False), ("'a'", False), ("None", False)])
def test_a_space_knows_whether_it_holds_a_value(given, held):
    assert space.holds(SPACE["X"], given) is held
    assert not space.holds(SPACE["N"], "2.5")


def test_a_trial_counts_with_the_checkpoint_that_finetuning_keeps():
    found = [Evaluation(10, 0.5, 0.6), Evaluation(20, 0.3, 0.7), Evaluation(30, 0.4, 0.9)]
    assert trials.kept(found).step == 20


def test_the_median_rule_stops_the_worse_half_and_nobody_before_enough_have_come_so_far():
    others = [curve(0.2, 0.5, 0.8), curve(0.3, 0.6, 0.7), curve(0.1, 0.4, 0.9)]
    assert not trials.hopeless(curve(0.2), others, DICE, after=3)  # the median of .2, .3 and .1
    assert trials.hopeless(curve(0.2, 0.45), others, DICE, after=3)  # of .5, .6 and .4
    assert not trials.hopeless(curve(0.2, 0.45), others, DICE, after=4)
    assert not trials.hopeless(curve(0.2, 0.45), [other[:1] for other in others], DICE, after=1)
    assert not trials.hopeless([], others, DICE, after=1)


@pytest.mark.parametrize("kind", space.TUNERS)
def test_a_search_asks_for_the_same_trials_again(kind, tmp_path):
    whole = searched(tmp_path / "one", kind, max_trials=11)
    assert whole == searched(tmp_path / "other", kind, max_trials=11)
    assert len(whole) == 11
    assert kind == "grid" or whole != searched(tmp_path / "seed", kind, max_trials=11, seed=1)


@pytest.mark.parametrize("kind", space.TUNERS)
def test_a_search_that_was_stopped_asks_for_what_it_would_have(kind, tmp_path):
    whole = searched(tmp_path / "whole", kind, max_trials=11)
    for stop_at in (0, 10):
        with pytest.raises(KeyboardInterrupt):
            searched(tmp_path / f"{stop_at}", kind, max_trials=11, stop_at=stop_at)
        assert searched(tmp_path / f"{stop_at}", kind, max_trials=11) == whole[stop_at:]


@pytest.mark.parametrize("kind", space.TUNERS)
def test_the_first_trial_is_the_one_asked_for(kind, tmp_path):
    asked = searched(tmp_path, kind, max_trials=2, first={"X": "0.5", "N": "3", "KIND": "'b'"})
    assert [asked[0][name] for name in SPACE] == ["0.5", 3, "'b'"]
    assert asked[1] != asked[0]


def test_a_grid_ends_with_its_last_combination(tmp_path):
    small = {**SPACE, "X": space.choices([1, 2])}
    asked = searched(tmp_path, "grid", max_trials=99, space=small)
    assert len(asked) == len({tuple(values.values()) for values in asked}) == 2 * 4 * 2


def test_a_damaged_state_is_one_line_with_its_remedy(tmp_path):
    searched(tmp_path, "random", max_trials=2)
    (tmp_path / tuners.FOLDER / "oracle.json").write_text('{"ongoing')
    with pytest.raises(InputError, match="remove that folder and run the same command"):
        searched(tmp_path, "random", max_trials=2)


def test_half_an_environment_of_a_shared_search_is_refused(monkeypatch):
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    with pytest.raises(InputError, match="KERASTUNER_TUNER_ID, KERASTUNER_ORACLE_PORT is not set"):
        tuners.is_chief()


@pytest.mark.parametrize("kind", space.TUNERS)
def test_a_search_goes_on_from_every_write_on_which_the_disk_was_full(kind, tmp_path, monkeypatch):
    whole, publish = searched(tmp_path / "whole", kind, max_trials=3), files.publish
    for number in range(WRITES + 1):
        left = iter(range(number))

        def publish_while_there_is_room(temporary, path, left=left):
            if next(left, None) is None:
                temporary.unlink()
                raise OSError(errno.ENOSPC, "No space left on device")
            publish(temporary, path)

        monkeypatch.setattr(files, "publish", publish_while_there_is_room)
        workdir = tmp_path / f"{number}"
        if number == WRITES:
            assert searched(workdir, kind, max_trials=3) == whole
            break
        with pytest.raises(OSError, match="No space left"):
            searched(workdir, kind, max_trials=3)
        monkeypatch.setattr(files, "publish", publish)
        rest = searched(workdir, kind, max_trials=3)
        assert rest == whole[len(whole) - len(rest) :]


def test_what_ends_a_trial_without_its_doing_ends_the_search_and_is_told_as_it_was(tmp_path, monkeypatch):
    full = OSError("the disk of /x is full")

    def fails(*_):
        raise full

    monkeypatch.setattr(f"{__name__}.bowl", fails)
    with pytest.raises(OSError, match="the disk of /x is full") as caught:
        searched(tmp_path, "random")
    assert caught.value is full
