"""How much of the views is body, with FOREGROUND and without, as the audit says it."""

import functools
from types import SimpleNamespace

import pytest

from ssl3d_tf.data import folders, pipeline
from ssl3d_tf.experiment import showing
from ssl3d_tf.models import heads
from ssl3d_tf.tasks import relative_location, rotation
from tests import airy
from tests.conftest import make_folder

SIZE = 15


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return folders.open_folder(airy.make_airy(tmp_path_factory.mktemp("airy"), counts={"train": 8, "val": 2}))


def settings(task):
    read = functools.partial(pipeline.read, split="train", training=True, rank=3, view_size=SIZE, batch_size=8, seed=0)
    return SimpleNamespace(task=task, train_data=read)


def test_foreground_leaves_few_blank_patches_and_no_empty_view(data):
    task = relative_location.task(rank=3, view_size=SIZE, top=heads.linear(), queries_per_volume=26)
    without, there = showing.measured(data, settings(task), 0.6)
    assert (without.foreground, there.foreground, without.views, there.views) == (0.0, 0.6, 128, 128)
    assert without.body < 0.35 < 0.5 < there.body
    assert without.empty > 0.2 > there.empty == 0
    assert without.blank > 2 * there.blank > 0
    text = showing.lines([without, there], 0.6)
    assert text[1].split() == ["FOREGROUND", "of", "a", "view", "empty", "views", "blank", "patches"]
    assert text[3].split() == ["0.6", "(this", "run)", f"{there.body:.2f}", "0.00", f"{there.blank:.2f}"]


def test_a_run_without_is_compared_and_whole_views_have_no_patches(data):
    found = showing.measured(data, settings(rotation.task(rank=3, view_size=SIZE, top=heads.linear())), 0.0)
    assert [(row.foreground, row.blank) for row in found] == [(0.0, None), (0.5, None)]
    text = showing.lines(found, 0.0)
    assert [line.split()[:3] for line in text[2:]] == [["0", "(this", "run)"], ["0.5", "(to", "compare)"]]


def test_of_older_data_it_is_not_known(tmp_path):
    make_folder(tmp_path, counts={"train": 8}, shapes=[(SIZE,) * 3])
    found = showing.measured(folders.open_folder(tmp_path), settings(None), 0.0)
    assert found == []
    (line,) = showing.lines(found, 0.0)
    assert "the data do not say, as an older version" in line
