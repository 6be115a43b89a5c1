"""The project's networks in PyTorch, as gin/ configures them: the same layers in the same order, so the same weights.

Volumes are [batch, channels, *spatial], channels last or not in memory; patches [batch, patches, channels, *spatial].
Maps are flattened with channels last, so that a dense layer's weights are those of the project, transposed.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

_EPSILON = 1e-3  # of every norm
_GROUPS = 8
_CODE, _CONTEXT, _PROJECTION = 1024, 256, 128
_HEAD = (2048, 1024)


def block(channels: int, width: int) -> nn.Sequential:
    """Twice: convolution 3, ReLU, group norm."""
    layers: list[nn.Module] = []
    for inputs in (channels, width):
        layers += [nn.Conv3d(inputs, width, 3, padding=1), nn.ReLU(inplace=True)]
        layers += [nn.GroupNorm(min(_GROUPS, width), width, eps=_EPSILON)]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """[batch, channels, *spatial] -> maps, deepest first: the bottleneck, then every level's."""

    def __init__(self, channels: int, filters: int, levels: int) -> None:
        super().__init__()
        widths = [filters * 2**level for level in range(levels + 1)]
        self.blocks = nn.ModuleList(map(block, [channels, *widths], widths))
        self.width = widths[-1]

    def forward(self, volumes: Tensor) -> list[Tensor]:
        """All maps, each twice as long as the one before."""
        maps = [self.blocks[0](volumes)]
        for following in self.blocks[1:]:
            maps.append(following(nn.functional.max_pool3d(maps[-1], 2)))
        return maps[::-1]


class Encoder(nn.Module):
    """[batch, channels, *spatial] -> [batch, width, *spatial / 2^(levels + 1)]."""

    def __init__(self, channels: int, filters: int, levels: int) -> None:
        super().__init__()
        self.unet = UNet(channels, filters, levels)

    def forward(self, volumes: Tensor) -> Tensor:
        """The bottleneck, pooled once more."""
        return nn.functional.max_pool3d(self.unet(volumes)[0], 2)


class Decoder(nn.Module):
    """Logits at every voxel: [batch, channels, *spatial] -> [batch, classes, *spatial]."""

    def __init__(self, channels: int, filters: int, levels: int, classes: int) -> None:
        super().__init__()
        self.unet = UNet(channels, filters, levels)
        widths = [filters * 2**level for level in reversed(range(levels))]
        self.stages = nn.ModuleList(
            nn.ModuleList([nn.ConvTranspose3d(2 * width, width, 2, stride=2), block(2 * width, width)])
            for width in widths
        )
        self.logits = nn.Conv3d(filters, classes, 1)

    def forward(self, volumes: Tensor) -> Tensor:
        """Deepest first, joined with the skip of each level."""
        features, *skips = self.unet(volumes)
        for (up, joined), skip in zip(self.stages, skips, strict=True):
            features = joined(torch.cat([up(features), skip], dim=1))
        return self.logits(features)


def head(values: int, classes: int, dropout: float) -> nn.Sequential:
    """[examples, values] -> [examples, classes] by dense layers, each with ReLU, batch norm and dropout."""
    layers: list[nn.Module] = []
    for inputs, width in zip((values, *_HEAD), _HEAD, strict=False):
        layers += [nn.Linear(inputs, width), nn.ReLU(inplace=True)]
        layers += [nn.BatchNorm1d(width, eps=_EPSILON, momentum=0.01), nn.Dropout(dropout)]
    return nn.Sequential(*layers, nn.Linear(_HEAD[-1], classes))


def flat(features: Tensor) -> Tensor:
    """[batch, channels, *spatial] -> [batch, values], channels last."""
    return features.movedim(1, -1).flatten(1)


def embeddings(encoder: nn.Module, patches: Tensor) -> Tensor:
    """[batch, patches, channels, *spatial] -> [batch, patches, values]."""
    return flat(encoder(patches.flatten(0, 1))).unflatten(0, patches.shape[:2])


class Rotation(nn.Module):
    """Volumes -> logits [batch, classes]."""

    def __init__(self, encoder: nn.Module, *, values: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head(values, classes, dropout)

    def forward(self, volumes: Tensor) -> Tensor:
        """Flattens what is encoded."""
        return self.head(flat(self.encoder(volumes)))


class RelativeLocation(nn.Module):
    """Patches, the middle first -> logits [batch, queries, classes]."""

    def __init__(self, encoder: nn.Module, *, values: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head(2 * values, classes, dropout)

    def forward(self, patches: Tensor) -> Tensor:
        """The middle beside every query."""
        codes = embeddings(self.encoder, patches)
        queries = codes[:, 1:]
        pairs = torch.cat([codes[:, :1].expand_as(queries), queries], dim=-1)
        return self.head(pairs.flatten(0, 1)).unflatten(0, pairs.shape[:2])


class Jigsaw(nn.Module):
    """Patches and permutations [batch, puzzles, patches] -> logits [batch, puzzles, classes]."""

    def __init__(self, encoder: nn.Module, *, patches: int, values: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head(patches * values, classes, dropout)

    def forward(self, patches: Tensor, orders: Tensor) -> Tensor:
        """Every slot's embedding, side by side."""
        codes = embeddings(self.encoder, patches)
        laid_out = codes[torch.arange(len(codes), device=codes.device)[:, None, None], orders.long()]
        return self.head(laid_out.flatten(0, 1).flatten(1)).unflatten(0, orders.shape[:2])


class Cpc(nn.Module):
    """Patches -> predictions and codes, [batch, columns, steps, code] each; wiring as `pyramid.Layout`."""

    def __init__(self, encoder: nn.Module, *, values: int, context: Sequence, targets: Sequence) -> None:
        super().__init__()
        self.encoder, self.code = encoder, nn.Linear(values, _CODE)
        self.gru = nn.GRU(_CODE, _CONTEXT, batch_first=True)
        self.predictions = nn.Linear(_CONTEXT, len(targets[0]) * _CODE)
        self.register_buffer("read", torch.tensor(context))
        self.register_buffer("predicted", torch.tensor(targets))

    def forward(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Every patch is encoded once; a column's context is the last state over its terms."""
        codes = self.code(embeddings(self.encoder, patches))
        _, last = self.gru(codes[:, self.read].flatten(0, 1))
        true = codes[:, self.predicted]
        return self.predictions(last[0]).reshape(true.shape), true


class Exemplar(nn.Module):
    """Views [batch, 2, channels, *spatial] -> projections [batch, 2, code]."""

    def __init__(self, encoder: nn.Module, *, channels: int) -> None:
        super().__init__()
        self.encoder, self.projection = encoder, nn.Linear(channels, _PROJECTION)

    def forward(self, views: Tensor) -> Tensor:
        """Means over all voxels, projected."""
        features = self.encoder(views.flatten(0, 1)).mean(dim=(2, 3, 4))
        return self.projection(features).unflatten(0, views.shape[:2])


def network(task: str, sizes: Mapping[str, Any]) -> nn.Module:
    """Of that pretext task, or of segmentation; `sizes` are what benchmarks/step.py says of the project's network."""
    unet = (1, sizes["filters"], sizes["levels"])
    if task == "segmentation_3d":
        return Decoder(*unet, sizes["classes"])
    return _PRETEXT[task](Encoder(*unet), sizes)


_PRETEXT: dict[str, Callable[[nn.Module, Mapping[str, Any]], nn.Module]] = {
    "rotation_3d": lambda encoder, sizes: Rotation(encoder, **_pick(sizes, "values", "classes", "dropout")),
    "rpl_3d": lambda encoder, sizes: RelativeLocation(encoder, **_pick(sizes, "values", "classes", "dropout")),
    "jigsaw_3d": lambda encoder, sizes: Jigsaw(encoder, patches=27, **_pick(sizes, "values", "classes", "dropout")),
    "cpc_3d": lambda encoder, sizes: Cpc(encoder, **_pick(sizes, "values", "context", "targets")),
    "exemplar_3d": lambda encoder, sizes: Exemplar(encoder, channels=encoder.unet.width),
}


def _pick(sizes: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: sizes[name] for name in names}
