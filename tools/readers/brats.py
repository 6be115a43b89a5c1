"""Layout `brats`: four modalities and a mask per case, in the names of any year (Menze et al. 2015; Bakas et al. 2017).

Channels are t1ce, flair, t1 and t2, the order of the published encoders. Cases without a mask (validation) are kept.
"""

import re
from pathlib import Path, PurePosixPath

from tools.readers import expected, files, paths
from tools.readers.contract import Fault, Item, Listing

TREE = (
    "CASE/CASE_t1ce.nii.gz",
    "CASE/CASE_flair.nii.gz",
    "CASE/CASE_t1.nii.gz",
    "CASE/CASE_t2.nii.gz",
    "CASE/CASE_seg.nii.gz",
)
CHANNELS = ("t1ce", "flair", "t1", "t2")
SINCE_2023 = {"t1c": "t1ce", "t2f": "flair", "t1n": "t1", "t2w": "t2"}
NAME = re.compile(rf"(.+)[_-]({'|'.join((*CHANNELS, *SINCE_2023, 'seg'))})")
CLASSES = {"0": "background", "1": "necrotic core", "2": "oedema", "3": "enhancing tumour"}
LATER_SCAN = re.compile(r"(BraTS-[A-Za-z]+-\d+)-\d{3}")  # since 2023: patient, then number of the scan


def find(root: Path) -> Listing:
    """Lists the cases under `root`, at any depth.

    Raises:
        InputError: no file is named as a modality.
    """
    tree = paths.walk(root)
    cases: dict[str, dict[str, str]] = {}
    for path in tree.paths:
        match = NAME.fullmatch(files.stem_of(PurePosixPath(path).name))
        if match:
            cases.setdefault(match[1], {})[SINCE_2023.get(match[2], match[2])] = path
    if not any(set(found) & set(CHANNELS) for found in cases.values()):
        raise expected.refusal(root, "brats", TREE)
    items, faults = [], list(tree.faults)
    for case, found in cases.items():
        missing = [name for name in CHANNELS if name not in found]
        if missing:
            faults.append(Fault(next(iter(found.values())), f"its {', '.join(missing)} is missing", "add the file"))
            continue
        first, *others = (found[name] for name in CHANNELS)
        later = LATER_SCAN.fullmatch(case)
        items.append(Item(case, first, later[1] if later else case, mask=found.get("seg"), channels=tuple(others)))
    return Listing(
        "brats",
        root,
        root.name,
        tuple(items),
        tuple(sorted(faults)),
        modality="MRI",
        channels=CHANNELS,
        classes=CLASSES,
    )
