"""Sets of permutations: valid, far apart, the same every time."""

import itertools

import numpy as np
import pytest

from ssl3d_tf.errors import InputError
from ssl3d_tf.views import permutations

SOURCES = [permutations.spread, permutations.uniform]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(("count", "length"), [(23, 4), (100, 8), (100, 9), (100, 27), (50, 125)])
def test_rows_are_distinct_permutations_other_than_the_identity(source, count, length):
    rows = source(count=count)(length)
    assert (rows.shape, rows.dtype) == ((count, length), np.int32)
    assert np.array_equal(np.sort(rows, axis=1), np.tile(np.arange(length), (count, 1)))
    assert len(np.unique(rows, axis=0)) == count
    assert np.any(rows != np.arange(length), axis=1).all()


@pytest.mark.parametrize(("count", "length", "least"), [(100, 27, 24), (1000, 27, 23), (100, 9, 6), (100, 8, 5)])
def test_greedy_choice_is_far_apart(count, length, least):
    rows = permutations.spread(count=count)(length)
    assert permutations.distances(rows)[0] >= least
    assert permutations.distances(np.vstack([np.arange(length), rows]))[0] >= least


def test_greedy_choice_is_farther_apart_than_a_random_one():
    greedy, random = (permutations.distances(source()(27)) for source in SOURCES)
    assert greedy[0] > random[0]
    assert greedy[1] > random[1]


def test_distances_equal_a_loop_over_all_pairs():
    rows = permutations.uniform(count=12)(9)
    pairs = [sum(a != b for a, b in zip(*pair, strict=True)) for pair in itertools.combinations(rows, 2)]
    assert permutations.distances(rows) == (min(pairs), pytest.approx(np.mean(pairs)))


@pytest.mark.parametrize("source", SOURCES)
def test_sets_depend_on_the_seed_alone(source):
    one, same, other = (source(count=20, seed=seed)(27) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_the_greedy_set_is_made_once_and_cannot_be_changed():
    rows = permutations.spread()(27)
    assert permutations.spread()(27) is rows
    with pytest.raises(ValueError, match="read-only"):
        rows[0, 0] = 1


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("count", [0, 24])
def test_more_than_there_are_is_refused(source, count):
    with pytest.raises(InputError, match=f"{count} permutations of 4 patches are asked for; take 1 to 23"):
        source(count=count)(4)
