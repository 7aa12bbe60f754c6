"""P5: the headers of a CT series become one ``ImagingRecord``; peer: pydicom's loop over the same files.

python benchmarks/extract.py [--json] [--files 300] [--rounds 7]

The series is written first (512 × 512 × 16 bit, about 100 attributes, sequences, a private block; slices differ as a scanner's do).
Two peers: ``dcmread`` of every file, which decodes no value, and the same with every value decoded, which is what comparing all
instances of a series needs. Growth runs 75, 300 and 1,200 headers with small pixels; memory is the peak of Python's allocations.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import statistics
import sys
import tempfile
import time
import tracemalloc
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pydicom
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from fairlead.extract import FieldCatalogue, load_catalogue, read_series
from fairlead.records import Instance, ReceivedSeries, Route
from fairlead.resources import configs_folder

ROOT: Final = "1.2.826.0.1.3680043.8.498.5"
KEY: Final = bytes(range(32))
NOON: Final = datetime(2026, 1, 1, 12, tzinfo=UTC)
TEXTS: Final = {
    "SpecificCharacterSet": "ISO_IR 100", "Modality": "CT", "Manufacturer": "ACME", "ManufacturerModelName": "Ring 64",
    "InstitutionName": "North", "StudyDescription": "Chest", "SeriesDescription": "Lung 1.0", "StationName": "CT01",
    "PatientName": "Doe^Jane", "PatientID": "P-1", "PatientBirthDate": "19600101", "PatientSex": "F", "PatientAge": "061Y",
    "StudyDate": "20210315", "SeriesDate": "20210315", "AcquisitionDate": "20210315", "ContentDate": "20210315",
    "StudyTime": "101500", "SeriesTime": "101600", "AccessionNumber": "A1", "ReferringPhysicianName": "Roe^Richard",
    "BodyPartExamined": "CHEST", "ScanOptions": "HELIX", "SliceThickness": "1.0", "KVP": "120", "DataCollectionDiameter": "500",
    "SoftwareVersions": "4.2", "ProtocolName": "Chest", "ReconstructionDiameter": "350", "GantryDetectorTilt": "0", "TableHeight": "150",
    "RotationDirection": "CW", "FilterType": "BODY", "ConvolutionKernel": "L", "PatientPosition": "HFS", "StudyID": "1",
    "SeriesNumber": "4", "AcquisitionNumber": "1", "PhotometricInterpretation": "MONOCHROME2", "RescaleIntercept": "-1024",
    "RescaleSlope": "1", "RescaleType": "HU", "PositionReferenceIndicator": "SN", "BurnedInAnnotation": "NO",
}  # fmt: skip
LISTS: Final = {
    "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
    "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
    "PixelSpacing": [0.7, 0.7],
    "WindowCenter": [-600, 40],
    "WindowWidth": [1600, 400],
}


def an_instance(number: int, *, edge: int) -> Dataset:
    """Return slice ``number`` of an invented series."""
    dataset = Dataset()
    for keyword, value in (TEXTS | LISTS).items():
        setattr(dataset, keyword, value)
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, f"{ROOT}.1.1.{number}"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID = f"{ROOT}.1", f"{ROOT}.1.1", f"{ROOT}.2"
    dataset.InstanceNumber, dataset.SliceLocation = number, number * 1.25
    dataset.ImagePositionPatient = [-179.5, -179.5, number * 1.25]
    dataset.AcquisitionTime = dataset.ContentTime = f"1016{number % 60:02d}.{number % 1000:03d}"
    dataset.XRayTubeCurrent, dataset.Exposure, dataset.CTDIvol = 200 + number % 50, 100 + number % 25, 5.5
    dataset.SamplesPerPixel, dataset.Rows, dataset.Columns = 1, edge, edge
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "51185008", "SCT", "Chest"
    request = Dataset()
    request.RequestedProcedureDescription, request.ScheduledProcedureStepID = "CT chest", "S1"
    dataset.ProcedureCodeSequence, dataset.RequestAttributesSequence = Sequence([code]), Sequence([request])
    block = dataset.private_block(0x01F1, "ACME PRIVATE", create=True)
    for element in range(0x10, 0x30):
        block.add_new(element, "DS", f"{element}.5")
    dataset.PixelData = bytes(edge * edge * 2)
    return dataset


def write_series(folder: Path, count: int, *, edge: int) -> ReceivedSeries:
    """Write a series and return what the ledger would say about it."""
    instances = []
    for number in range(1, count + 1):
        dataset, file = an_instance(number, edge=edge), folder / f"{number:05d}.dcm"
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.file_meta = meta
        dataset.save_as(file, enforce_file_format=True)
        sha256 = hashlib.sha256(str(number).encode()).hexdigest()
        stated = {"sop_class_uid": CTImageStorage, "transfer_syntax_uid": ExplicitVRLittleEndian, "size_bytes": file.stat().st_size}
        instances.append(Instance(sop_instance_uid=dataset.SOPInstanceUID, sha256=sha256, path=file.name, **stated))
    route = Route(project="bench", center="here")
    times = {"first_received_at": NOON, "last_received_at": NOON}
    return ReceivedSeries(
        study_uid=f"{ROOT}.1", series_uid=f"{ROOT}.1.1", generation="ab" * 32, instances=tuple(instances), route=route, **times
    )


def read_all(folder: Path) -> None:
    """Peer: read every file, decode nothing."""
    for file in sorted(folder.iterdir()):
        pydicom.dcmread(file)


def decode_all(folder: Path) -> None:
    """Peer: read every file and decode every value."""
    for file in sorted(folder.iterdir()):
        for element in pydicom.dcmread(file).iterall():
            _ = element.value


def cpu_ms(work: Callable[[], object]) -> float:
    """Return the processor time of one run, in milliseconds."""
    before = time.process_time()
    work()
    return (time.process_time() - before) * 1000


def compare(catalogue: FieldCatalogue, *, files: int, rounds: int) -> dict[str, Any]:
    """Run us and both peers in turn, and return medians and ratios."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        series = write_series(folder, files, edge=512)
        runs: dict[str, Callable[[], object]] = {
            "fairlead": lambda: read_series(series, archive=folder, catalogue=catalogue, key=KEY),
            "dcmread": lambda: read_all(folder),
            "dcmread_decoded": lambda: decode_all(folder),
        }
        times: dict[str, list[float]] = {name: [] for name in runs}
        for turn in range(rounds + 1):
            for label, work in runs.items():
                spent = cpu_ms(work)
                if turn:  # the first is the warm-up
                    times[label].append(spent)
    medians = {label: statistics.median(found) for label, found in times.items()}
    ratios = {f"ratio_{label}": medians[label] / medians["fairlead"] for label in medians if label != "fairlead"}
    return {"files": files, "cpu_ms": medians, **ratios}


def growth(catalogue: FieldCatalogue) -> dict[str, Any]:
    """Return processor time and peak allocations at 75, 300 and 1,200 headers, and the exponent of time."""
    found: dict[int, tuple[float, float]] = {}
    for count in (75, 300, 1200):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            series = write_series(folder, count, edge=16)

            def work(series: ReceivedSeries = series, folder: Path = folder) -> object:
                return read_series(series, archive=folder, catalogue=catalogue, key=KEY)

            spent = statistics.median(cpu_ms(work) for _ in range(5))
            tracemalloc.start()
            work()
            found[count] = (spent, tracemalloc.get_traced_memory()[1] / 1024)
            tracemalloc.stop()
    exponent = math.log(found[1200][0] / found[75][0]) / math.log(16)
    return {"cpu_ms": {n: t for n, (t, _) in found.items()}, "peak_kb": {n: kb for n, (_, kb) in found.items()}, "exponent": exponent}


def main() -> int:
    """Run, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--files", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    catalogue = load_catalogue(configs_folder() / "fields.yaml")
    result = compare(catalogue, files=options.files, rounds=options.rounds) | {"growth": growth(catalogue), "pydicom": pydicom.__version__}
    if options.json:
        sys.stdout.write(json.dumps(result, indent=2) + "\n")
        return 0
    lines = [f"{label:<16} {spent:8.1f} ms CPU" for label, spent in result["cpu_ms"].items()]
    lines += [f"{name:<24} {result[name]:.1f}" for name in result if name.startswith("ratio_")]
    lines += [f"growth 75 → 1,200 files: exponent {result['growth']['exponent']:.2f}; peak KB {result['growth']['peak_kb']}"]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
