"""The comparison of a training step with PyTorch: the same network or no figures, and where the time goes."""

import numpy as np
import pytest

from benchmarks import kinds, step, step_data
from benchmarks.peers import step_ours, training

FOUND = step.Found(weights=1234, losses=(2.0, 1.5, 0.1, 0.01))


def row(milliseconds, *, batch_size=8):
    return step.Row(batch_size, tuple(milliseconds), tuple(2 * each for each in milliseconds), memory_mb=100.4)


def test_the_same_network_passes_the_gate():
    near = FOUND._replace(losses=[loss + 5e-4 for loss in FOUND.losses])
    assert step.gate(FOUND, FOUND) == step.gate(FOUND, near) == []


def test_another_number_of_weights_is_refused():
    assert step.gate(FOUND, FOUND._replace(weights=1235)) == ["it has 1,235 weights, not 1,234"]


@pytest.mark.parametrize("loss", [1.52, float("nan")])
def test_another_loss_is_refused_whatever_the_step(loss):
    wrong = step.gate(FOUND, FOUND._replace(losses=(2.0, loss, 0.1, 0.01)))
    assert wrong == [f"its loss at step 3 is {loss:.5f}, not 1.50000"]


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ("m/unet_3d_1/level0_conv1_1/Relu:_MklNativeFusedConv3D", "convolution"),
        ("gradient_tape/m/unet_3d_1/level0_conv1_1/BiasAdd/BiasAddGrad:BiasAddGrad", "convolution"),
        ("m/decoder_level1_up_1/conv_transpose:_MklNativeConv3DBackpropInputV2", "convolution"),
        ("gradient_tape/m/unet_3d_1/level0_norm2_1/mul_2/Mul:Mul", "norm"),
        ("norm_gradient_3/mul_1:Mul", "norm"),
        ("m/head_norm1_1/moments/mean:Mean", "norm"),
        ("gradient_tape/m/unet_3d_1/level0_pool_1/MaxPool3D/MaxPool3DGrad:_MklNativeMaxPool3DGrad", "pooling"),
        ("gradient_tape/m/head_dense1_1/MatMul/MatMul_1:_MklMatMul", "dense"),
        ("cpc_1/context_1/MatMul_3:_MklMatMul", "rnn"),
        ("adam_w/ResourceApplyAdam_24:ResourceApplyAdam", "optimizer"),
        ("L2Loss_24:L2Loss", "optimizer"),
        ("transpose:_MklTranspose", "reorder"),
        ("m/level0_conv1_1/convolution_mkl2tf:_MklToTf", "reorder"),
        ("sparse_softmax/SparseSoftmaxCrossEntropyWithLogits:SparseSoftmaxCrossEntropyWithLogits", "other"),
        ("ExecutorState::Process", None),
        ("KernelAndDeviceFunc::Run", None),
        ("ThreadpoolListener::Record", None),
    ],
)
def test_events_belong_to_a_kind_of_layer(event, kind):
    assert kinds.kind(event) == kind


def test_shares_add_up_and_leave_out_what_is_no_op():
    profile = {"a/level0_conv1/conv:Conv3D": 6.0, "a/level0_norm1/mul:Mul": 2.0, "ExecutorState::Process": 99.0}
    found = kinds.shares(profile)
    assert tuple(found) == kinds.KINDS
    assert (found["convolution"], found["norm"], sum(found.values())) == (0.75, 0.25, 1.0)


def test_nothing_profiled_has_no_shares():
    assert set(kinds.shares({}).values()) == {0.0}


def test_milliseconds_are_summed_over_threads_and_divided_by_steps():
    space = step_ours.xplane_pb2.XSpace()
    for name in ("/host:CPU", "/host:metadata"):
        plane = space.planes.add(name=name)
        plane.event_metadata[7].name = "a/mul:Mul"
        for _ in range(2):
            plane.lines.add().events.add(metadata_id=7, duration_ps=3 * 10**9)
    assert step_ours.milliseconds(space, steps=2) == {"a/mul:Mul": 3.0}


def test_the_table_has_the_ratio_to_the_better_pytorch():
    table = {
        "ssl3d_tf, float32": row([100, 110, 90]),
        "PyTorch, channels first": row([300, 310, 290]),
        "PyTorch, channels last": row([150, 165, 135]),
    }
    lines = step.lines("cpc_3d", table, {"convolution": 0.6, "other": 0.4})
    assert lines[0] == "\n**cpc_3d**, batch 8\n"
    assert lines[3] == "| ssl3d_tf, float32 | 100 | 90–110 | 80 | 200 | 100 | 1.50 |"
    assert lines[5] == "| PyTorch, channels last | 150 | 135–165 | 53.3 | 300 | 100 |  |"
    assert lines[-1] == "| cpc_3d | 60% | 40% |"


def test_ours_alone_has_no_ratio():
    assert step.lines("cpc_3d", {"ssl3d_tf, float32": row([100])}, {})[-1].endswith("| 200 | 100 |  |")


def test_steps_yield_a_loss_per_volume():
    steps = training.Steps(iter((3.0, 2.0)).__next__, 4, weights=5, device_mb=None)
    np.testing.assert_array_equal([next(steps), next(steps)], [[3.0] * 4, [2.0] * 4])
    assert (steps.weights(), steps.device_mb()) == (5, None)


def test_ours_trains_on_what_was_written(tmp_path, monkeypatch):
    monkeypatch.setitem(step_data.BATCHES, "tiny", {"rpl_3d": 2})
    small = ("BATCH_SIZE=2", "VIEW_SIZE=18", "FILTERS=2", "LEVELS=1", "NORM='instance'")
    monkeypatch.setattr(step_data, "_params", lambda *_, **__: [*small, "heads.big_fully.dropout=0.0"])
    step_data.write(tmp_path, step_data.Sized("rpl_3d", "tiny"), dropout=False)
    run = step_ours.batches("rpl_3d", tmp_path, "float32")
    first, *_, last = (next(run)[0] for _ in range(4))
    assert last < first
    assert run.weights() > 2048 * 1024
    assert any(kinds.kind(event) == "convolution" for event in run.profile())
