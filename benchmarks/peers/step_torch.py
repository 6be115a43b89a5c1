"""One training step in PyTorch; a variant is a memory format, and on a GPU also a precision and a compiler."""

import contextlib
import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.peers import torch_losses, torch_networks, torch_weights
from benchmarks.peers.training import Steps

EPSILON = 1e-7  # of Keras' AdamW, which takes it before the correction of bias, a difference below rounding


def batches(job: str, folder: Path, variant: str) -> Steps:
    """Steps of that task on the weights and the batch in the folder."""
    sizes = json.loads((folder / "sizes.json").read_text())
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    layout = torch.channels_last_3d if "channels last" in variant else torch.contiguous_format
    network = torch_networks.network(job, sizes)
    with np.load(folder / "weights.npz") as saved:
        torch_weights.load(network, [saved[name] for name in saved.files])
    network = network.to(device, memory_format=layout).train()
    inputs, targets = _batch(folder, layout, device)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=sizes["learning_rate"], eps=EPSILON, weight_decay=0.0, fused=True
    )
    forward = torch.compile(network) if "compiled" in variant else network
    loss_fn, half = torch_losses.LOSSES[job], "bfloat16" in variant

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.type, torch.bfloat16) if half else contextlib.nullcontext():
            outputs = forward(*inputs)
        loss = loss_fn(targets, outputs)
        loss.backward()
        optimizer.step()
        return loss.item()

    return Steps(
        step,
        sizes["batch_size"],
        weights=sum(parameter.numel() for parameter in network.parameters()),
        device_mb=(lambda: torch.cuda.max_memory_allocated() / 1e6) if device.type == "cuda" else None,
    )


def _batch(folder: Path, layout: torch.memory_format, device: torch.device) -> tuple[list[Tensor], Tensor | None]:
    """Inputs and, where there are any, targets; the channel axis moves before those of space."""
    with np.load(folder / "batch.npz") as saved:
        arrays = {name: torch.from_numpy(saved[name]).to(device) for name in saved.files}
    inputs = [_channels_first(values, layout) for name, values in arrays.items() if name.startswith("input")]
    return inputs, arrays.get("target0")


def _channels_first(values: Tensor, layout: torch.memory_format) -> Tensor:
    """[batch, (patches,) *spatial, channels] -> [batch, (patches,) channels, *spatial]; orders stay as they are."""
    if values.dim() < 5:
        return values
    moved = values.movedim(-1, -4)
    return moved.contiguous() if values.dim() == 6 else moved.contiguous(memory_format=layout)
