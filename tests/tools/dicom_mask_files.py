"""DICOM-SEG and RTSTRUCT for tests, of a series that `dicom_files` wrote."""

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from tests.tools import dicom_files

SEG, LABEL_MAP, STRUCTURES = (f"1.2.840.10008.5.1.4.1.1.{end}" for end in ("66.4", "66.7", "481.3"))
FRAME = "1.2.9"
FULL = 200  # MaximumFractionalValue


def of(**values):
    data = Dataset()
    for name, value in values.items():
        setattr(data, name, value)
    return data


def one(**values):
    return Sequence([of(**values)])


def refer(data, series, instances, frame):
    """What `data` says it is drawn on; series None: nothing but the frame of reference."""
    if frame:
        data.FrameOfReferenceUID = frame
    if series:
        items = Sequence([of(ReferencedSOPInstanceUID=uid) for uid in instances])
        data.ReferencedSeriesSequence = one(SeriesInstanceUID=series, ReferencedInstanceSequence=items)
    return data


def instances(folder):
    """UIDs of the files in `folder`."""
    return [pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID for path in sorted(folder.iterdir())]


def write_seg(path, regions, affine, *, kind="BINARY", series="1.2.3", images=(), frame=FRAME, order=None, **changes):
    """regions: name -> [columns, rows, slices], Boolean, or shares where `kind` is FRACTIONAL; without empty frames.

    order: a permutation of the frames.
    """
    names = list(regions)
    if kind == "LABELMAP":
        labels = sum(np.where(region, number, 0) for number, region in enumerate(regions.values(), 1))
        frames = [(0, place, labels[:, :, place].T.astype(np.uint8)) for place in range(labels.shape[2])]
    else:
        frames = [
            (number, place, region[:, :, place].T)
            for number, region in enumerate(regions.values(), 1)
            for place in range(region.shape[2])
            if region[:, :, place].any()
        ]
    frames = [frames[number] for number in (range(len(frames)) if order is None else order(len(frames)))]
    data = dicom_files.header(series="1.2.77", Modality="SEG", SegmentationType=kind, **changes)
    data.SOPClassUID = LABEL_MAP if kind == "LABELMAP" else SEG
    stored = np.stack([values for _, _, values in frames])
    if kind == "FRACTIONAL":
        stored, data.MaximumFractionalValue = (stored * FULL).round(), FULL
    dicom_files.set_pixels(data, stored.astype(np.uint8))
    if kind == "BINARY":
        bits = np.packbits(stored.astype(bool).ravel(), bitorder="little").tobytes()
        data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelData = 1, 1, 0, bits + b"\0" * (len(bits) % 2)
    _, turn, spacing = dicom_files.place(affine, 0)
    data.SharedFunctionalGroupsSequence = one(
        PixelMeasuresSequence=one(PixelSpacing=spacing), PlaneOrientationSequence=one(ImageOrientationPatient=turn)
    )
    data.PerFrameFunctionalGroupsSequence = Sequence([_frame(number, place, affine) for number, place, _ in frames])
    data.SegmentSequence = Sequence([of(SegmentNumber=n, SegmentLabel=name) for n, name in enumerate(names, 1)])
    return dicom_files.save(refer(data, series, images, frame), path)


def _frame(number, place, affine):
    group = of(PlanePositionSequence=one(ImagePositionPatient=dicom_files.place(affine, place)[0]))
    if number:
        group.SegmentIdentificationSequence = one(ReferencedSegmentNumber=number)
    return group


def write_structures(path, contours, *, series="1.2.3", images=(), frame=FRAME, kind="CLOSED_PLANAR", **changes):
    """contours: (name, points [n, 3] in mm, RAS); those of one name are one region."""
    data = dicom_files.header(series="1.2.88", Modality="RTSTRUCT", **changes)
    data.SOPClassUID = STRUCTURES
    names = list(dict.fromkeys(name for name, _ in contours))
    data.StructureSetROISequence = Sequence([of(ROINumber=n, ROIName=name) for n, name in enumerate(names, 7)])
    data.ROIContourSequence = Sequence()
    for number, name in enumerate(names, 7):
        drawn = [_contour(points, kind) for other, points in contours if other == name]
        data.ROIContourSequence.append(of(ReferencedROINumber=number, ContourSequence=Sequence(drawn)))
    referred = refer(Dataset(), series, images, None)
    if series:
        inner = of(RTReferencedSeriesSequence=one(SeriesInstanceUID=series))
        data.ReferencedFrameOfReferenceSequence = one(
            FrameOfReferenceUID=frame, RTReferencedStudySequence=Sequence([inner])
        )
    elif frame:
        data.ReferencedFrameOfReferenceSequence = one(FrameOfReferenceUID=frame)
    data.update(referred)
    return dicom_files.save(data, path)


def _contour(points, kind):
    lps = np.asarray(points) * [-1, -1, 1]
    return of(ContourGeometricType=kind, NumberOfContourPoints=len(lps), ContourData=lps.ravel().round(4).tolist())
