"""Seeded builders of DICOM series: what a scanner would send, in the cases that tools get wrong."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage

SERIES = "1.2.826.0.1.3680043.8.498.1"
STUDY = "1.2.826.0.1.3680043.8.498.2"
FRAME_OF_REFERENCE = "1.2.826.0.1.3680043.8.498.3"
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
OBLIQUE = (0.8, 0.6, 0.0, 0.0, 0.0, -1.0)
SECRETS = ("Doe^Jane", "PID-4711", "19700131", "20240229", "Dr^Who", "General Hospital")


def a_slice(number: int, position: Sequence[float], pixels: np.ndarray[Any, Any], **changes: Any) -> Dataset:
    """Return one CT slice with identities in it, so that tests can look for them afterwards."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = f"{SERIES}.{number + 1}"
    dataset.SeriesInstanceUID, dataset.StudyInstanceUID, dataset.FrameOfReferenceUID = SERIES, STUDY, FRAME_OF_REFERENCE
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate, dataset.StudyDate = SECRETS[:4]
    dataset.ReferringPhysicianName, dataset.InstitutionName = SECRETS[4:]
    dataset.Modality, dataset.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.ImagePositionPatient, dataset.ImageOrientationPatient = list(position), list(AXIAL)
    dataset.PixelSpacing = [0.5, 0.75]
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, -1024
    dataset.WindowCenter, dataset.WindowWidth = 40, 400
    dataset.InstanceNumber = number + 1
    dataset.PixelData = pixels.astype("<u2").tobytes()
    for name, value in changes.items():
        setattr(dataset, name, value)
    return dataset


def some_pixels(number: int, *, rows: int = 12, columns: int = 16, high: int = 4096) -> np.ndarray[Any, Any]:
    """Return reproducible noise that differs from slice to slice."""
    return np.random.default_rng(number).integers(0, high, (rows, columns))


def save(folder: Path, datasets: Iterable[Dataset]) -> Path:
    """Write the datasets under names that do not follow their order."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, dataset in enumerate(datasets):
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.save_as(folder / f"{number * 7919 % 997:03d}-{number}.dcm", enforce_file_format=True)
    return folder


def a_series(positions: Sequence[Sequence[float]], **changes: Any) -> list[Dataset]:
    """Return one slice per position, all with the same changes."""
    return [a_slice(number, position, some_pixels(number), **changes) for number, position in enumerate(positions)]


def axial_positions(count: int = 6, *, gap: float = 1.25, origin: Sequence[float] = (-100.0, -80.0, 300.0)) -> list[list[float]]:
    """Return positions going toward the feet, as many scanners number them."""
    return [[origin[0], origin[1], origin[2] - number * gap] for number in range(count)]


def along(direction: Sequence[float], count: int = 6, *, gap: float = 1.25) -> list[list[float]]:
    """Return positions at an even step along any direction."""
    step = np.asarray(direction, float) / np.linalg.norm(direction) * gap
    return [[float(part) for part in np.asarray([-50.0, -60.0, 70.0]) + number * step] for number in range(count)]


def as_mr(datasets: list[Dataset]) -> list[Dataset]:
    """Turn slices into MR without rescale."""
    for dataset in datasets:
        dataset.SOPClassUID, dataset.Modality = MRImageStorage, "MR"
        del dataset.RescaleSlope, dataset.RescaleIntercept
    return datasets


def highdicom_says(file: Path, ask: Callable[[Any], np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    """Return what highdicom reads; it never closes its sqlite tables, so they are collected here with their warnings off."""
    import highdicom

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read = highdicom.seg.segread if "seg" in file.name or file.parent.name == "seg" else highdicom.imread
        answer = ask(read(file)).copy()
        gc.collect()
    return answer
