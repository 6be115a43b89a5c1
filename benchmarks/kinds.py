"""What kind of layer the ops of a training step belong to, by the names that TensorFlow's profiler gives them."""

import re
from collections.abc import Mapping

KINDS = ("convolution", "reorder", "norm", "pooling", "dense", "rnn", "optimizer", "other")
_EVENT = re.compile(r"(?P<path>[^:]+):(?P<op>\w+)")
# By op, then by the layer in its path; the first that fits. Bias and ReLU belong to their layer.
_BY_OP = (
    ("reorder", re.compile(r"Reorder|MklToTf|Transpose$")),
    ("optimizer", re.compile(r"ResourceApply|L2Loss")),  # norms of gradients are taken for the update
    ("convolution", re.compile(r"Conv\dD")),
    ("pooling", re.compile(r"(Max|Avg)Pool")),
)
_BY_PATH = (
    ("optimizer", re.compile(r"(^|/)adam_w")),
    ("rnn", re.compile(r"(^|/)context(_\d+)?(/|$)")),
    ("norm", re.compile(r"_norm\d|norm_gradient")),
    ("convolution", re.compile(r"_conv\d|_up(_\d+)?/|_join")),
    ("dense", re.compile(r"(^|/)(head_dense\d|logits|code|predictions)(_\d+)?/")),
)


def kind(event: str) -> str | None:
    """'path/of/the/layer/name:Op' -> one of KINDS; None for what is no op."""
    found = _EVENT.fullmatch(event)
    if not found or event.startswith("Iterator"):
        return None
    for name, pattern in _BY_OP:
        if pattern.search(found["op"]):
            return name
    for name, pattern in _BY_PATH:
        if pattern.search(found["path"]):
            return name
    return "dense" if "MatMul" in found["op"] else "other"


def shares(milliseconds: Mapping[str, float]) -> dict[str, float]:
    """Event -> its time, to each kind's share of the time of all ops; they add up to 1."""
    sums = dict.fromkeys(KINDS, 0.0)
    for event, spent in milliseconds.items():
        if found := kind(event):
            sums[found] += spent
    total = sum(sums.values()) or 1.0
    return {name: spent / total for name, spent in sums.items()}
