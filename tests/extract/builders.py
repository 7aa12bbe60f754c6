"""Small DICOM series and OME documents made in code; every person in them is invented."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from fairlead.extract import FieldCatalogue, read_paths
from fairlead.files import sha256_file
from fairlead.records import ImagingRecord, ReceivedFile, Refusal, Route

KEY = bytes(range(32))
STUDY, SERIES = "1.2.826.0.1.3680043.8.498.1", "1.2.826.0.1.3680043.8.498.1.1"
AXIAL = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
ROUTE = Route(project="lung", center="north")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def an_instance(number: int = 1, **attributes: Any) -> Dataset:
    """Return a 4 × 4 MR slice of an invented patient; ``None`` removes an attribute."""
    dataset = Dataset()
    defaults: dict[str, Any] = {
        "SOPClassUID": MRImageStorage,
        "SOPInstanceUID": f"{SERIES}.{number}",
        "StudyInstanceUID": STUDY,
        "SeriesInstanceUID": SERIES,
        "Modality": "MR",
        "PatientName": "Quibbleworth^Zelda",
        "PatientID": "PID-774411",
        "PatientBirthDate": "19610413",
        "AccessionNumber": "ACC99127",
        "StudyDate": "20210315",
        "Rows": 4,
        "Columns": 4,
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "PixelRepresentation": 0,
        "PixelSpacing": [0.5, 0.25],
        "InstanceNumber": number,
        "ImageOrientationPatient": AXIAL,
        "ImagePositionPatient": [0.0, 0.0, 2.5 * (number - 1)],
        "PixelData": bytes(32),
    }
    with as_in_the_wild():
        for keyword, value in (defaults | attributes).items():
            if value is not None:
                setattr(dataset, keyword, value)
    return dataset


@contextmanager
def as_in_the_wild() -> Iterator[None]:
    """Let pydicom write values that break their VR, as real headers do; it warns, and tests make warnings errors."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Invalid value for VR", UserWarning)
        yield


def write(dataset: Dataset, file: Path) -> Path:
    """Write a Part 10 file."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID", MRImageStorage)
    meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID", "1.2.3")
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta = meta
    file.parent.mkdir(parents=True, exist_ok=True)
    with as_in_the_wild():
        dataset.save_as(file, enforce_file_format=True)
    return file


def write_series(folder: Path, instances: Sequence[Dataset]) -> Path:
    """Write instances as numbered files."""
    for number, dataset in enumerate(instances):
        write(dataset, folder / f"{number:03d}.dcm")
    return folder


def outcomes(path: Path | Sequence[Path], catalogue: FieldCatalogue) -> list[ImagingRecord | Refusal]:
    """Return everything that ``read_paths`` says."""
    paths = [path] if isinstance(path, Path) else list(path)
    return list(read_paths(paths, catalogue=catalogue, key=KEY, project=ROUTE.project, center=ROUTE.center))


def the_record(path: Path, catalogue: FieldCatalogue) -> ImagingRecord:
    """Return the one record of a path, which must give nothing else."""
    (record,) = outcomes(path, catalogue)
    assert isinstance(record, ImagingRecord), record
    return record


def the_refusal(path: Path, catalogue: FieldCatalogue) -> Refusal:
    """Return the one refusal of a path, which must give nothing else."""
    (refusal,) = outcomes(path, catalogue)
    assert isinstance(refusal, Refusal), refusal
    return refusal


def a_code(value: str, scheme: str, meaning: str) -> Dataset:
    """Return an item of a code sequence."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def an_item(**attributes: Any) -> Dataset:
    """Return a sequence item."""
    item = Dataset()
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return item


def items(*members: Dataset) -> Items:
    """Return a sequence."""
    return Items(members)


def received(file: Path, **changes: Any) -> ReceivedFile:
    """Return what the watcher would say about a file."""
    stated: Mapping[str, Any] = {
        "path": str(file),
        "name": file.name,
        "sha256": sha256_file(file) if file.is_file() else "ab" * 32,
        "size_bytes": file.stat().st_size,
        "route": ROUTE,
        "seen_at": NOON,
    }
    return ReceivedFile(**{**stated, **changes})


def an_ome_xml(
    *,
    schema: str = "2016-06",
    image: str = "",
    pixels: str = 'SizeX="8" SizeY="6" SizeZ="1" SizeC="1" SizeT="1" DimensionOrder="XYZCT" Type="uint8"',
    inside: str = "<MetadataOnly/>",
    after: str = "",
) -> str:
    """Return an OME-XML document with one image."""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/{schema}">'
        f'<Image ID="Image:0" Name="sample">{image}<Pixels ID="Pixels:0" {pixels}>{inside}</Pixels></Image>{after}</OME>'
    )


type Maker = Callable[..., Dataset]
