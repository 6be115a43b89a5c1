"""Scans of two boxes that any network learns, and files of them that lie as a scanner might have put them."""

import nibabel
import numpy as np

VALUES = (0, 4, 1002)


def scan(shape, seed=0):
    """(intensities, mask): two boxes of classes 4 and 1002, each brighter than what is around it."""
    random, mask = np.random.default_rng(seed), np.zeros(shape, np.uint16)
    a, b, c = (side // 2 for side in shape)
    mask[1:a, 1:b, 1:c] = 4
    mask[a:-1, b:-1, c:-1] = 1002
    return (np.select([mask == 4, mask == 1002], [500, 1000], 0) + random.normal(0, 20, shape)).astype(np.int16), mask


def save(path, voxels, codes, spacing_mm=(1.0, 1.0, 1.0)):
    """A NIfTI file whose axes run as `codes` says, `voxels` being of RAS+; returns its image."""
    turn = nibabel.orientations.axcodes2ornt(codes)
    image = nibabel.Nifti1Image(voxels, np.diag([*spacing_mm, 1.0]) + np.outer([3, -7, 11, 0], [0, 0, 0, 1]))
    to = nibabel.orientations.ornt_transform(nibabel.orientations.axcodes2ornt("RAS"), turn)
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(image.as_reoriented(to), path)
    return nibabel.load(path)
