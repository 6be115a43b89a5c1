"""In which order examples come."""

import itertools

import numpy as np
import pytest

from ssl3d_tf.data import order


def taken(size, seed, number, *, first=0, batch_size=4, worker=0, workers=1):
    """[(k, index, whether it was verified)] of one worker."""
    examples = order.shuffled(size, seed, order.Share(first, batch_size, worker, workers))
    return [(int(k), int(index), bool(was)) for k, index, was in itertools.islice(examples.as_numpy_iterator(), number)]


def test_every_place_has_every_example_equally_often():
    size, epochs = 24, 2000
    found = np.array([index for _, index, _ in taken(size, 7, size * epochs)]).reshape(epochs, size)
    assert (np.sort(found) == np.arange(size)).all()
    counts = np.stack([np.bincount(found[:, place], minlength=size) for place in range(size)])
    chi2 = ((counts - epochs / size) ** 2 / (epochs / size)).sum() / (size - 1) ** 2
    assert chi2 == pytest.approx(1.0, abs=4 * np.sqrt(2 / (size - 1) ** 2))  # index_shuffle: 6


def test_companions_in_a_batch_are_equally_likely():
    size, epochs = 12, 3000
    found = np.array([index for _, index, _ in taken(size, 3, size * epochs)]).reshape(-1, 4)
    together = np.zeros((size, size))
    for batch in found:
        together[np.ix_(batch, batch)] += 1
    others = together[~np.eye(size, dtype=bool)] / (epochs * 3 / (size - 1))
    assert abs(others - 1).max() < 0.15  # .44 to 1.63 with index_shuffle


@pytest.mark.parametrize("first", [0, 8, 20, 40, 64])
def test_it_goes_on_from_any_place(first):
    whole = [row[:2] for row in taken(10, 5, 100)]
    assert [row[:2] for row in taken(10, 5, 30, first=first)] == whole[first : first + 30]


@pytest.mark.parametrize("workers", [2, 4])
def test_workers_share_every_batch(workers):
    whole = [row[:2] for row in taken(11, 5, 160)]
    shares = [taken(11, 5, 80 // workers, first=80, batch_size=8, worker=w, workers=workers) for w in range(workers)]
    assert sorted(row[:2] for share in shares for row in share) == whole[80:160]


@pytest.mark.parametrize(("first", "workers"), [(0, 1), (28, 1), (40, 2), (1000, 4)])
def test_every_process_verifies_every_record_it_reads_once(first, workers):
    for worker in range(workers):
        rows = taken(10, 5, 200, first=first, worker=worker, workers=workers)
        unverified = [index for _, index, was in rows if not was]
        assert sorted(unverified) == list(range(10))
        seen = set()
        for _, index, was in rows:
            assert was == (index in seen)
            seen.add(index)


def test_seeds_and_epochs_differ_and_repeat():
    first, again, other = (taken(10, seed, 20) for seed in (1, 1, 2))
    assert first == again
    assert first[:10] != other[:10]
    assert [row[1] for row in first[:10]] != [row[1] for row in first[10:]]
