"""Layouts `ukb_brain` and `ukb_retina`: bulk fields of UK Biobank, unzipped (Alfaro-Almagro et al. 2018).

Brain: T1 (field 20252) and T2 FLAIR (20253), which UK Biobank registered to it, inside its brain mask; the tissues of
FAST are the mask where they lie there. Retina: left (21015) and right (21016) fundus photographs. The patient is the
participant.
"""

import re
from pathlib import Path

from tools.readers import expected, files, paths
from tools.readers.contract import Fault, Item, Listing

BRAIN_TREE = (
    "EID_20252_2_0/T1/T1.nii.gz",
    "EID_20252_2_0/T1/T1_brain_mask.nii.gz",
    "EID_20252_2_0/T1/T1_fast/T1_brain_pveseg.nii.gz (optional)",
    "EID_20253_2_0/T2_FLAIR/T2_FLAIR.nii.gz",
)
RETINA_TREE = ("EID_21015_0_0.png", "EID_21016_0_0.png")
BRAIN = re.compile(r"(?:.*/)?(\d+)_2025[23]_(\d+_\d+)/(.+)")
FUNDUS = re.compile(r"(\d+)_(21015|21016)_\d+_\d+")
PARTS = {
    "T1/T1": "T1",
    "T2_FLAIR/T2_FLAIR": "T2_FLAIR",
    "T1/T1_brain_mask": "brain mask",
    "T1/T1_fast/T1_brain_pveseg": "tissue",
}
TISSUES = {"0": "background", "1": "cerebrospinal fluid", "2": "grey matter", "3": "white matter"}


def find_brain(root: Path) -> Listing:
    """Lists the visits under `root`.

    Raises:
        InputError: no folder is named as those of the fields.
    """
    tree = paths.walk(root)
    visits: dict[tuple[str, str], dict[str, str]] = {}
    for path in tree.paths:
        match = BRAIN.fullmatch(files.stem_of(path))
        if match and match[3] in PARTS:
            visits.setdefault((match[1], match[2]), {})[PARTS[match[3]]] = path
    if not visits:
        raise expected.refusal(root, "ukb_brain", BRAIN_TREE)
    items, faults = [], list(tree.faults)
    for (participant, visit), found in visits.items():
        missing = [part for part in ("T1", "T2_FLAIR", "brain mask") if part not in found]
        if missing:
            faults.append(Fault(next(iter(found.values())), f"its {', '.join(missing)} is missing", "unzip all fields"))
            continue
        name = f"{participant}_{visit}"
        other, inside = (found["T2_FLAIR"],), found["brain mask"]
        items.append(Item(name, found["T1"], participant, found.get("tissue"), channels=other, inside=inside))
    classes = TISSUES if any(item.mask for item in items) else {}
    channels = ("T1", "T2 FLAIR")
    return Listing("ukb_brain", root, root.name, tuple(items), tuple(sorted(faults)), "MRI", channels, classes)


def find_retina(root: Path) -> Listing:
    """Lists the fundus photographs under `root`.

    Raises:
        InputError: no file is named as those of the fields.
    """
    tree = paths.walk(root)
    items = []
    for path in tree.paths:
        match = FUNDUS.fullmatch(files.stem_of(Path(path).name))
        if match:
            items.append(Item(match[0], path, match[1]))
    if not items:
        raise expected.refusal(root, "ukb_retina", RETINA_TREE)
    return Listing("ukb_retina", root, root.name, tuple(items), tree.faults, "fundus photograph")
