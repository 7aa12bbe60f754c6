"""P9: de-identify one 0.53 MB CT, recursive, full table, gate included; peer: pydicom's read and write of the same file.

python benchmarks/deidentify.py [--rounds 9] [--files 20] [--json]

Median CPU per file of reading, judging, de-identifying, searching the output and writing it without fsync; dciodvfy, a process of its own,
is off. Peers that are not installed are named with the figures of 2026 (CPU ms per file of that size). Growth runs 1, 4 and 16 times the
files; memory is the peak of a fresh process that de-identifies a 400 MB multi-frame instance.

Budget: at most 4 ms CPU per file, linear, memory flat.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import pydicom
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from fairlead.deidentify import Deidentifier, Plan, Profile, deidentify_file, deidentify_folder

KEY: Final = bytes(range(32))
PROFILE: Final = Profile(name="p9", title="Basic, without dciodvfy", dciodvfy="off")
ROOT: Final = "1.2.826.0.1.3680043.8.498.7"
AS_MEASURED: Final = {"dicognito 0.19.0": 3.2, "dicom-anonymizer 2.1.0 (not recursive)": 4.5, "pydicom/deid 0.4.13 (no save)": 13.8}
BUDGET_MS: Final = 4.0
LARGE_BYTES: Final = 400 * 1024 * 1024


def a_ct(number: int, *, frames: int = 1) -> FileDataset:
    """Return a CT slice of 0.53 MB with about 80 attributes, sequences and a private block."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = FileDataset("", Dataset(), file_meta=meta, preamble=b"\0" * 128)
    file.SOPClassUID, file.SOPInstanceUID = CTImageStorage, f"{ROOT}.3.{number}"
    file.StudyInstanceUID, file.SeriesInstanceUID, file.FrameOfReferenceUID = f"{ROOT}.1", f"{ROOT}.2", f"{ROOT}.4"
    file.Modality, file.ImageType, file.BodyPartExamined = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"], "CHEST"
    file.PatientName, file.PatientID, file.PatientBirthDate, file.PatientSex, file.PatientAge = (
        "Doe^Jane",
        "MRN-4711",
        "19600101",
        "F",
        "061Y",
    )
    file.StudyDate = file.SeriesDate = file.AcquisitionDate = file.ContentDate = "20210315"
    file.StudyTime = file.SeriesTime = file.ContentTime = "101500"
    file.AccessionNumber, file.ReferringPhysicianName, file.InstitutionName = "ACC998877", "Roe^Richard", "North Hospital"
    file.Manufacturer, file.ManufacturerModelName, file.StationName = "ACME", "Ring 64", "CT01"
    file.StudyDescription, file.SeriesDescription, file.ProtocolName = "Chest CT", "Lung 1.0", "Chest routine"
    file.KVP, file.SliceThickness, file.ImagePositionPatient = "120", "1.0", [0, 0, number]
    file.ImageOrientationPatient, file.PixelSpacing, file.InstanceNumber = [1, 0, 0, 0, 1, 0], [0.7, 0.7], str(number)
    for place in (file, _nested(file)):
        block = place.private_block(0x0029, "ACME CSA", create=True)
        block.add_new(0x10, "OB", b"private header of 2 kB".ljust(2048, b"\0"))
    file.Rows = file.Columns = 512
    file.NumberOfFrames = str(frames)
    file.SamplesPerPixel, file.PhotometricInterpretation, file.PixelRepresentation = 1, "MONOCHROME2", 1
    file.BitsAllocated, file.BitsStored, file.HighBit = 16, 16, 15
    file.RescaleIntercept, file.RescaleSlope = "-1024", "1"
    return file


def _nested(file: Dataset) -> Dataset:
    item, code = Dataset(), Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "24627-2", "LN", "Chest CT"
    item.ScheduledProcedureStepDescription, item.RequestedProcedureID, item.ScheduledProtocolCodeSequence = "Chest", "R1", [code]
    file.RequestAttributesSequence = [item]
    references = []
    for number in range(4):
        reference = Dataset()
        reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = CTImageStorage, f"{ROOT}.3.{number}"
        references.append(reference)
    file.ReferencedImageSequence = references
    return item


def write_series(folder: Path, count: int) -> list[Path]:
    """Write so many slices."""
    pixels = os.urandom(512 * 512 * 2)
    for number in range(count):
        file = a_ct(number)
        file.PixelData = pixels
        dcmwrite(folder / f"{number:04d}.dcm", file, enforce_file_format=True)
    return sorted(folder.iterdir())


def write_large(file: Path) -> None:
    """Write one instance of 400 MB, its pixels a hole in the file."""
    frames = LARGE_BYTES // (512 * 512 * 2)
    header = BytesIO()
    dcmwrite(header, a_ct(0, frames=frames), enforce_file_format=True)
    with file.open("wb") as handle:
        handle.write(header.getvalue() + b"\xe0\x7f\x10\x00OW\0\0" + LARGE_BYTES.to_bytes(4, "little"))
        handle.truncate(len(header.getvalue()) + 12 + LARGE_BYTES)


def ours(files: list[Path], out: Path) -> None:
    """De-identify file by file in this process."""
    deidentifier = Deidentifier(PROFILE, KEY)
    for file in files:
        (out / file.name).write_bytes(deidentify_file(file, deidentifier).content)


def peer(files: list[Path], out: Path) -> None:
    """Read and write with pydicom, nothing changed: the floor of every tool that is built on it."""
    for file in files:
        dcmread(file).save_as(out / file.name)


def cpu_ms(work: Callable[[list[Path], Path], None], files: list[Path], out: Path) -> float:
    """Return CPU milliseconds per file."""
    begun = time.process_time()
    work(files, out)
    return 1000 * (time.process_time() - begun) / len(files)


def peak_mb(source: Path, out: Path) -> float:
    """Return the peak resident memory of a fresh process that de-identifies ``source``."""
    done = subprocess.run([sys.executable, __file__, "--child", str(source), str(out)], capture_output=True, text=True, check=True)
    return float(done.stdout)


def child(source: Path, out: Path) -> None:
    """De-identify in this process and print its peak memory in MB."""
    report = deidentify_folder(source, out, profile=PROFILE, key=KEY)
    if report.written != 1:
        raise SystemExit(f"nothing written: {report.quarantined[0].reason}")
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def measure(folder: Path, *, count: int, rounds: int) -> dict[str, Any]:
    """Measure everything, ours and the peer in turns."""
    (folder / "in").mkdir()
    (folder / "out").mkdir()
    files = write_series(folder / "in", count * 16)
    pairs = [(cpu_ms(ours, files[:count], folder / "out"), cpu_ms(peer, files[:count], folder / "out")) for _ in range(rounds)]
    us, them = (statistics.median(column) for column in zip(*pairs, strict=True))
    growth = [cpu_ms(ours, files[: count * times], folder / "out") * count * times for times in (1, 4, 16)]
    begun = time.perf_counter()
    deidentify_folder(folder / "in", folder / "all", profile=PROFILE, key=KEY, plan=Plan(workers=os.cpu_count() or 1))
    wall = time.perf_counter() - begun
    write_large(folder / "large.dcm")
    return {
        "ours_cpu_ms": round(us, 2), "pydicom_read_write_cpu_ms": round(them, 2), "ratio": round(us / them, 2), "budget_cpu_ms": BUDGET_MS,
        "growth_exponent": round(math.log(growth[2] / growth[0]) / math.log(16), 3),
        "folder_files_per_s": round(len(files) / wall, 1), "workers": os.cpu_count(),
        "peak_rss_mb_small": round(peak_mb(files[0], folder / "small"), 1),
        "peak_rss_mb_400mb": round(peak_mb(folder / "large.dcm", folder / "big"), 1),
        "peers_as_measured_cpu_ms": AS_MEASURED, "pydicom": pydicom.__version__,
    }  # fmt: skip


def main() -> int:
    """Print the figures; exit status 1 above the budget."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--files", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", nargs=2, type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(*arguments.child)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), count=arguments.files, rounds=arguments.rounds)
    if arguments.json:
        print(json.dumps(result, indent=2))
    else:
        for name, value in result.items():
            print(f"{name:28} {value}")
    return 0 if result["ours_cpu_ms"] <= BUDGET_MS else 1


if __name__ == "__main__":
    sys.exit(main())
