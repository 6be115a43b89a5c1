"""What was called otherwise in version 0.1, as configurations and run folders of that time still call it."""

import re

_WINGS = {
    "training": "loop steps checkpoints journal schedules signals strategies health faults optimizers leftovers",
    "data": "pipeline cropping phantoms synthetic places files records",
    "command": "cli configuration knobs run_folder kernels",
    "views": "augment affine filters patches permutations separable volumes shortcuts pictures",
    "losses": "overlap contrast pairs metrics regions addons",
    "search": "tuners trials tuning",
    "experiment": "protocol admission scoring",
}
MODULES = {f"ssl3d_tf.{name}": f"ssl3d_tf.{wing}.{name}" for wing, names in _WINGS.items() for name in names.split()}
MODULES |= {
    "ssl3d_tf.loop": "ssl3d_tf.training.run",  # of which gin files need the settings
    "ssl3d_tf.steps": "ssl3d_tf.training.updates",
    "ssl3d_tf.losses": "ssl3d_tf.losses.classification",
    "ssl3d_tf.search": "ssl3d_tf.search.space",
}
_STAY = {"ssl3d_tf.losses", "ssl3d_tf.search"}  # of which modules are imported now: they are wings
BINDINGS = {"loop.fit": "run.Settings", "loop.Every": "run.Every", "steps.Update": "updates.Update"}
_IMPORT = re.compile(r"^(?:from (ssl3d_tf) import (\w+)|(?:from|import) (ssl3d_tf\.\w+))", re.MULTILINE)
_BINDING = re.compile(r"^(?:\w+/)*(" + "|".join(map(re.escape, BINDINGS)) + r")\.", re.MULTILINE)


def found(text: str) -> dict[str, str]:
    """Names of 0.1 in the text of a gin file or of one binding -> what they are called now."""
    modules = [
        f"{package}.{name}" if name else part for package, name, part in _IMPORT.findall(text) if part not in _STAY
    ]
    names = {name: MODULES[name] for name in modules if name in MODULES}
    return names | {name: BINDINGS[name] for name in _BINDING.findall(text)}


def told(text: str) -> str:
    """'ssl3d_tf.loop is ssl3d_tf.training.loop' and so on of every name of 0.1 in a text; '' where there is none."""
    return ", ".join(f"{before} is {now}" for before, now in found(text).items())
