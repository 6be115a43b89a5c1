"""DICOM files for tests: a volume with an affine as a series of slices, or as one file of many frames."""

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian, generate_uid

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def header(series="1.2.3", patient="P1", **changes):
    """A data set without pixels and place, of 16 bits and one grey value."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, generate_uid()
    data.SeriesInstanceUID, data.PatientID, data.PatientName, data.PatientBirthDate = (
        series,
        patient,
        "Doe^J",
        "19700101",
    )
    data.Modality, data.SamplesPerPixel, data.PhotometricInterpretation = "CT", 1, "MONOCHROME2"
    for name, value in changes.items():
        setattr(data, name, value)
    return data


def set_pixels(data, stored):
    """stored: [rows, columns] or [frames, rows, columns], int16, uint16 or uint8."""
    data.Rows, data.Columns = stored.shape[-2:]
    data.BitsAllocated = data.BitsStored = 8 * stored.dtype.itemsize
    data.HighBit, data.PixelRepresentation = data.BitsStored - 1, int(stored.dtype.kind == "i")
    data.PixelData = stored.tobytes()
    if stored.ndim == 3:
        data.NumberOfFrames = len(stored)
    return data


def place(affine, number):
    """(position, orientation, spacing) of slice `number` of a volume [columns, rows, slices] with `affine` in RAS+."""
    lps = RAS_TO_LPS @ affine
    sizes = np.linalg.norm(lps[:3, :2], axis=0)
    orientation = (lps[:3, :2] / sizes).T.ravel()
    position = (lps @ [0, 0, number, 1])[:3]
    return position.round(6).tolist(), orientation.round(9).tolist(), sizes[::-1].round(6).tolist()


def save(data, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    with pydicom.config.disable_value_validation():
        data.save_as(path, enforce_file_format=True)
    return path


def write_series(folder, voxels, affine, *, skip=(), suffix="", **changes):
    """voxels: [columns, rows, slices]. File names and InstanceNumber run against the position."""
    for number in range(voxels.shape[2]):
        if number not in skip:
            data = set_pixels(header(**changes), np.ascontiguousarray(voxels[:, :, number].T))
            data.ImagePositionPatient, data.ImageOrientationPatient, data.PixelSpacing = place(affine, number)
            data.InstanceNumber = voxels.shape[2] - number
            save(data, folder / f"IM{voxels.shape[2] - number:03d}{suffix}")


def write_enhanced(path, voxels, affine, **changes):
    """The same in one file, of shared and per-frame functional groups; frames run against the position."""
    data = header(**changes)
    data.SOPClassUID = EnhancedCTImageStorage
    numbers = range(voxels.shape[2])[::-1]
    set_pixels(data, np.ascontiguousarray(voxels[:, :, ::-1].T))
    shared, measures, turn = Dataset(), Dataset(), Dataset()
    _, turn.ImageOrientationPatient, measures.PixelSpacing = place(affine, 0)
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = Sequence([measures]), Sequence([turn])
    data.SharedFunctionalGroupsSequence = Sequence([shared])
    data.PerFrameFunctionalGroupsSequence = Sequence([_frame(place(affine, number)[0]) for number in numbers])
    return save(data, path)


def _frame(position):
    group, where = Dataset(), Dataset()
    where.ImagePositionPatient = position
    group.PlanePositionSequence = Sequence([where])
    return group
