"""Colours and markers of the report's lines."""

from ssl3d_tf.evaluation import drawing
from ssl3d_tf.evaluation.tables import Arm


def test_a_seventh_encoder_has_the_first_one_s_colour_but_a_marker_of_its_own():
    encoders = [f"run{number}" for number in range(12)]
    found = [drawing.colour_and_marker(Arm(name, "pretrained"), encoders) for name in encoders]
    assert len(set(found)) == 12
    assert found[0][0] == found[6][0]
