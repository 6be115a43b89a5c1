"""What a layout stands for beside its files: defaults of other flags, as the data's papers have them.

A flag given by hand wins. Of flags that exclude each other, the one given by hand does away with the preset's.
"""

from collections.abc import Collection, Mapping

from tools.readers import layouts

Values = Mapping[str, str | bool | list[str]]

FUNDUS: Values = {
    "crop_foreground": True,
    "square": True,
    "shape": ["224", "224"],
    "antialias": True,
    "intensity": "ct_window:0,255",
}
PRESETS: Mapping[str, Values] = {
    "brats": {"crop_foreground": True, "intensity": "zscore", "relabel": ["4:3"]},
    "msd_pancreas": {"crop_foreground": True, "spacing_mm": ["2"], "intensity": "ct_window:-150,250"},
    "ukb_brain": {"crop_foreground": True, "intensity": "zscore"},
    "ukb_retina": FUNDUS,
    "kaggle_retina": FUNDUS,
}
EXCLUSIVE = {"shape": "spacing_mm", "spacing_mm": "shape"}


def defaults(layout: str, given: Collection[str]) -> Values:
    """Values of the flags that `layout` sets and that are not `given` by hand."""
    preset = PRESETS.get(layout, {})
    return {name: value for name, value in preset.items() if name not in given and EXCLUSIVE.get(name) not in given}


def shown(values: Values) -> str:
    """`values` as one would give them by hand."""
    texts = {name: ",".join(value) if isinstance(value, list) else str(value).lower() for name, value in values.items()}
    return " ".join(f"--{name}={text}" for name, text in sorted(texts.items()))


def layouts_help() -> str:
    """Help on --layout: the tree of each and what it sets."""
    lines = ["What the input is; auto finds folder, medmnist, csv, dicom, nnunet, msd or bids, and says which."]
    for name, tree in layouts.TREES.items():
        sets = shown(defaults(name, ()))
        lines += [f"{name}: " + "; ".join(tree) + (f". Sets {sets}" if sets else "")]
    return "\n".join(lines)
