"""Regions of a mask that are scored together: name -> the mask's values that belong to it."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

Regions: TypeAlias = Mapping[str, Sequence[int]]

# Whole tumour, tumour core, enhancing tumour; 1 necrotic core, 2 oedema, 3 enhancing (stored as 4 up to BraTS 2020).
# Menze et al., 2015, doi:10.1109/TMI.2014.2377694.
BRATS: Regions = {"brats_wt": (1, 2, 3), "brats_tc": (1, 3), "brats_et": (3,)}
