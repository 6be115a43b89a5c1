import numpy as np
import pytest

from ssl3d_tf.data import phantoms
from ssl3d_tf.errors import InputError

SHAPE = (12, 10, 8)


@pytest.mark.parametrize("shape", [(16, 16, 16), (9, 20, 33), (40, 24)])
def test_phantom_has_its_shape_type_and_range(shape):
    volume, mask = phantoms.phantom(3, seed=1, shape=shape)
    assert volume.shape == mask.shape == shape
    assert (volume.dtype, mask.dtype) == (np.float32, np.uint8)
    assert volume.min() >= 0
    assert 0.5 < volume.max() <= 1


def test_phantom_depends_on_index_and_seed_alone():
    first, again, other, reseeded = (
        phantoms.phantom(index, seed=seed, shape=SHAPE)[0] for index, seed in [(1, 0), (1, 0), (2, 0), (1, 9)]
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert (first != reseeded).any()


@pytest.mark.parametrize("shape", [(24, 24, 24), (48, 48)])
def test_every_class_occurs_and_half_have_a_lesion(shape):
    masks = [phantoms.phantom(index, seed=0, shape=shape)[1] for index in range(60)]
    share = [np.mean([value in mask for mask in masks]) for value in range(len(phantoms.CLASSES))]
    assert min(share[:-1]) > 0.9
    assert 0.3 < share[phantoms.LESION] < 0.7


def test_without_lesions_all_else_is_the_same():
    for index in range(8):
        sick, mask = phantoms.phantom(index, seed=0, shape=(24, 24, 24))
        sound, plain = phantoms.phantom(index, seed=0, shape=(24, 24, 24), lesion=False)
        assert phantoms.LESION not in plain
        assert (mask != plain).sum() == (mask == phantoms.LESION).sum()
        assert (np.abs(sick - sound) > 0).mean() < 0.1


def test_channels_are_other_contrasts_of_one_anatomy():
    one, mask = phantoms.scan(4, seed=0, shape=(24, 24, 24))
    many, same = phantoms.scan(4, seed=0, shape=(24, 24, 24), channels=5)
    np.testing.assert_array_equal(mask, same)
    np.testing.assert_array_equal(one[..., 0], many[..., 0])
    assert (many[..., 0] != many[..., 4]).any()
    assert many[mask == 2].mean(0).argmax() == 0


def test_organs_lie_where_they_belong():
    masks = np.stack([phantoms.phantom(index, seed=0, shape=(20, 20, 20))[1] for index in range(40)])
    where = {name: np.argwhere(masks == i)[:, 1:].mean(0) for i, name in enumerate(phantoms.CLASSES)}
    assert where["lungs"][0] + 3 < where["liver"][0]  # above
    assert where["spine"][1] > where["heart"][1] + 4  # behind
    assert where["liver"][2] + 1 < where["heart"][2]  # to the subject's right


def test_no_frame_tells_the_orientation():
    """The share of the body in each half of the frame varies more between subjects than it leans to one side."""
    bodies = np.stack([phantoms.phantom(index, seed=0, shape=(16, 16, 16))[1] > 0 for index in range(60)])
    for axis in (1, 2, 3):
        profile = bodies.mean(tuple({1, 2, 3} - {axis}))
        lean = profile[:, :8].sum(1) - profile[:, 8:].sum(1)
        assert abs(lean.mean()) < 0.5 * lean.std()


def test_bad_shapes_are_refused():
    for shape in [(16,), (16, 16, 4), (8, 8, 8, 8)]:
        with pytest.raises(InputError, match="two or three sides of at least 8"):
            phantoms.phantom(0, seed=0, shape=shape)
