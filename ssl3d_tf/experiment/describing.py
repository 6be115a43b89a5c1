"""What model/contract.json of a finetuned network says, so that it can be applied to new scans with nothing else."""

from typing import Any

from ssl3d_tf.command import configuration
from ssl3d_tf.experiment import admission, peaks, protocol
from ssl3d_tf.experiment.protocol import Cell, Experiment
from ssl3d_tf.training import contracts


def contract(experiment: Experiment, cell: Cell) -> dict[str, Any]:
    """What is known of the model of a run before it is trained; the loop adds architecture, weights and scores.

    Beside what `contracts.of_run` says of the data: 'classes', number in the data -> name, 'values', these numbers by
    the network's channels, and 'ignore_label';
    'task', 'view_size' and how the task is applied (`scoring.Scorer.applied`); 'run', which of the experiment it is;
    'encoder', the name, path and SHA-256 of the pretrained one that it began from, or None; where it was searched for,
    'peak_learning_rate'.
    """
    data = protocol.labelled(experiment, cell)
    origin, peak = experiment.encoders.get(cell.arm.encoder), peaks.of(experiment, cell)
    return {
        **contracts.of_run(data, configuration.text()),
        "classes": dict(data.manifest.classes),
        "values": sorted(map(int, data.manifest.classes)),
        "ignore_label": data.manifest.ignore_label,
        "view_size": configuration.macro("VIEW_SIZE"),
        **experiment.plan.scorer.applied,
        "experiment": experiment.plan.name,
        "run": {**cell.arm._asdict(), "fraction": cell.fraction, "repetition": cell.repetition},
        "encoder": None if origin is None else {"name": cell.arm.encoder, **admission.origin(origin)},
        **({} if peak is None else {"peak_learning_rate": peak}),
    }
