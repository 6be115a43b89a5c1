"""Which images label maps are claimed for: by names, and among several modalities of one scan by the grid."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tools.readers import files, grids, label_folders, label_names, strays
from tools.readers.contract import Fault
from tools.readers.namesakes import File


class Claims(NamedTuple):
    """root: what paths are relative to. of: image -> the label maps that fit it. by_grid: label map -> the image."""

    root: Path
    of: dict[str, list[File]]
    by_grid: dict[str, str]

    def claim(self, label: File, fitting: Sequence[File]) -> list[Fault]:
        """Notes `label` for the image it fits, which may lie there in two formats; why not, where it fits more."""
        if len({files.stem_of(image.path) for image in fitting}) > 1:
            near = _on_one_grid(self.root, label, fitting) if _are_modalities(fitting) else []
            if len(near) != 1:
                one, other = [*near, *(image for image in fitting if image not in near)][:2]
                return [strays.of_several(label.path, one.path, other.path)]
            self.by_grid[label.path], fitting = near[0].path, near
        for image in fitting:
            self.of.setdefault(image.path, []).append(label)
        return []


def nothing(root: Path) -> Claims:
    """Before the first label map."""
    return Claims(root, {}, {})


def _are_modalities(images: Sequence[File]) -> bool:
    """Whether `images` are of one case and visit, and each of a modality of its own."""
    kinds = {frozenset().union(*(label_names.name(part).kinds for part in _parts(image))) for image in images}
    homes = [image.home for image in images]
    return len(kinds) == len(images) and not any(label_folders.contradict(homes[0], home) for home in homes[1:])


def _parts(image: File) -> tuple[str, ...]:
    return (*image.home.parts, files.stem_of(image.path.rpartition("/")[2]))


def _on_one_grid(root: Path, label: File, images: Sequence[File]) -> list[File]:
    """Those of `images` that have the shape and affine of `label`; none where one of them does not say its own."""
    own = files.grid(root / label.path)
    others = [files.grid(root / image.path) for image in images]
    if own is None:
        return []
    known = [(image, grid) for image, grid in zip(images, others, strict=True) if grid is not None]
    return [image for image, grid in known if grids.are_one(own, grid)] if len(known) == len(images) else []
