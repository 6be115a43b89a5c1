"""In which order examples come."""

import itertools

import numpy as np
import pytest

from ssl3d_tf.data import order
from ssl3d_tf.data.folders import Part


def taken(size, seed, number, *, first=0, batch_size=4, worker=0, workers=1):
    """[(epoch, index, whether it was verified)] of one worker; size: of all, or (size, draws) of each part."""
    parts = [Part(size, 1)] if isinstance(size, int) else [Part(*part) for part in size]
    examples = order.shuffled(parts, seed, order.Share(first, batch_size, worker, workers)).as_numpy_iterator()
    return [(int(epoch), int(index), bool(was)) for epoch, index, was in itertools.islice(examples, number)]


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
    share = 8 // workers
    batches = [[row[:2] for rows in shares for row in rows[b * share : (b + 1) * share]] for b in range(10)]
    assert [row for batch in batches for row in batch] == whole[80:160]


@pytest.mark.parametrize("services", [1, 2, 3])
def test_services_take_turns_at_whole_batches_of_a_worker(services):
    share = order.Share(40, 8, 1, 2)
    whole = [row[:2] for row in taken(11, 5, 48, first=40, batch_size=8, worker=1, workers=2)]
    for service in range(services):
        own = share._replace(service=service, services=services)
        found = order.shuffled([Part(11, 1)], 5, own).take(8).as_numpy_iterator()
        batches = [whole[b * 4 : (b + 1) * 4] for b in range(service, 12, services)][:2]
        assert [(int(epoch), int(index)) for epoch, index, _ in found] == [row for batch in batches for row in batch]


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


MIX = [(10, 7), (4, 2), (50, 1)]  # three folders with shares of .7, .2 and .1


def test_every_block_of_a_mix_has_its_shares_exactly():
    which = np.digitize([index for _, index, _ in taken(MIX, 3, 600)], [10, 14])
    assert all(np.bincount(block).tolist() == [7, 2, 1] for block in which.reshape(-1, 10))
    assert len({tuple(block) for block in which.reshape(-1, 10)}) > 20  # the order within a block is drawn


def test_every_part_of_a_mix_has_epochs_of_its_own():
    rows = taken(MIX, 3, 1000)
    for low, high in ((0, 10), (10, 14), (14, 64)):
        own = [(epoch, index) for epoch, index, _ in rows if low <= index < high]
        size = high - low
        for epoch in range(len(own) // size):
            found = own[epoch * size : (epoch + 1) * size]
            assert sorted(found) == [(epoch, index) for index in range(low, high)]
    assert len({(epoch, index) for epoch, index, _ in rows}) == len(rows)  # never the same random choices twice


@pytest.mark.parametrize("first", [0, 4, 60, 64, 500])
def test_a_mix_goes_on_from_any_place_and_is_shared_by_workers(first):
    whole = [row[:2] for row in taken(MIX, 5, 640)]
    assert [row[:2] for row in taken(MIX, 5, 100, first=first)] == whole[first : first + 100]
    two = [taken(MIX, 5, 50, first=first, worker=worker, workers=2) for worker in range(2)]
    batches = [[row[:2] for rows in two for row in rows[2 * b : 2 * b + 2]] for b in range(25)]
    assert [row for batch in batches for row in batch] == whole[first : first + 100]


def test_every_order_within_a_part_is_as_likely():
    size, epochs = 6, 2000
    rows = taken([(size, 3), (5, 1)], 7, size * epochs * 4 // 3)
    found = np.array([index for _, index, _ in rows if index < size]).reshape(epochs, size)
    counts = np.stack([np.bincount(found[:, place], minlength=size) for place in range(size)])
    assert abs(counts / (epochs / size) - 1).max() < 0.25
