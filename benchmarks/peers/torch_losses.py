"""The project's losses in PyTorch: (targets, outputs) -> the mean over the batch, as gin/ configures them."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize, one_hot

_TEMPERATURE = 0.1  # of CPC and exemplar
_SMOOTH = 1e-5


def classes(labels: Tensor, logits: Tensor) -> Tensor:
    """Softmax cross entropy: labels [...], logits [..., classes]."""
    return cross_entropy(logits.flatten(0, -2), labels.flatten().long())


def info_nce(_: Any, outputs: tuple[Tensor, Tensor]) -> Tensor:
    """Each prediction's true code among those of its step of every example and column."""
    predictions, codes = (normalize(values.float(), dim=-1).flatten(0, 1) for values in outputs)
    logits = torch.einsum("csd,ksd->csk", predictions, codes) / _TEMPERATURE
    true = torch.arange(len(logits), device=logits.device)[:, None].expand(logits.shape[:2])
    return cross_entropy(logits.flatten(0, 1), true.flatten())


def nt_xent(_: Any, projections: Tensor) -> Tensor:
    """Each view's other one among all other views of the batch."""
    views = normalize(projections.float(), dim=-1).flatten(0, 1)
    itself = torch.eye(len(views), dtype=torch.bool, device=views.device)
    cosines = (views @ views.T).masked_fill(itself, torch.finfo(views.dtype).min / 2)
    return cross_entropy(cosines / _TEMPERATURE, torch.arange(len(views), device=views.device) ^ 1)


def dice_cross_entropy(masks: Tensor, logits: Tensor) -> Tensor:
    """1 − soft Dice of each example's foreground + cross entropy: masks [batch, *spatial], classes second in logits."""
    logits, masks = logits.float(), masks.long()
    probabilities = logits.softmax(1).flatten(2)
    truth = one_hot(masks, logits.shape[1]).movedim(-1, 1).flatten(2).to(probabilities.dtype)
    shared, both = (truth * probabilities).sum(2), truth.sum(2) + probabilities.sum(2)
    dice = (2 * shared + _SMOOTH) / (both + _SMOOTH)
    return 1 - dice[:, 1:].mean() + cross_entropy(logits, masks)


LOSSES: dict[str, Callable[[Any, Any], Tensor]] = {
    "rotation_3d": classes,
    "rpl_3d": classes,
    "jigsaw_3d": classes,
    "cpc_3d": info_nce,
    "exemplar_3d": nt_xent,
    "segmentation_3d": dice_cross_entropy,
}
