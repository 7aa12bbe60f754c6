"""Receivers on loopback for the C-STORE benchmarks, each started fresh in a folder of its own, and the images that are sent to them."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian

ROOT: Final = "1.2.826.0.1.3680043.8.498.4"
NAGLE_OFF: Final = {"TCP_NODELAY": "1"}
"""For DCMTK on both ends: with Nagle's algorithm each instance costs 40 ms and nothing else is measured."""


@dataclass
class Receiver:
    """One running receiver."""

    name: str
    port: int
    process: subprocess.Popen[str]

    def peak_mb(self) -> float:
        """Return the peak resident memory of the process, without children, in MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024


def free_port() -> int:
    """Return a port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


ORTHANC: Final = {
    "SyncStorageArea": True,  # fdatasync of each file before Success, its default; it syncs neither folder nor index, and has no option to
    "DicomAet": "FAIRLEAD",
    "DicomAlwaysAllowStore": True,
    "DicomThreadsCount": 16,
    "StorageCompression": False,
    "Plugins": [],
}
"""What matters here of Orthanc's configuration: the most durable that it offers."""


def _orthanc(folder: Path, port: int) -> list[str]:
    program = shutil.which("Orthanc") or "/usr/sbin/Orthanc"
    configuration = ORTHANC | {
        "StorageDirectory": str(folder),
        "IndexDirectory": str(folder),
        "HttpPort": free_port(),
        "DicomPort": port,
    }
    (folder / "orthanc.json").write_text(json.dumps(configuration))
    return [program, str(folder / "orthanc.json")]


def _storescp(*options: str) -> list[str]:
    return ["storescp", "-aet", "FAIRLEAD", *options]


@contextmanager
def receiver(name: str, folder: Path) -> Iterator[Receiver]:
    """Run ``fairlead``, ``orthanc``, ``storescp`` (with --fork), or ``storescp+B``; it listens when this yields."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    port = free_port()
    environment = (
        os.environ | NAGLE_OFF | {"FAIRLEAD_HOME": str(folder), "FAIRLEAD_NODE__PORT": str(port), "FAIRLEAD_LOG__LEVEL": "WARNING"}
    )
    command = {
        "fairlead": lambda: [sys.executable, "-m", "fairlead.cli", "node"],
        "orthanc": lambda: _orthanc(folder, port),
        "storescp": lambda: _storescp("--fork", "-od", str(folder), str(port)),
        "storescp+B": lambda: _storescp("+B", "-pdu", "131072", "-od", str(folder), str(port)),
    }[name]()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True)
    try:
        _await(port)
        yield Receiver(name, port, process)
    finally:
        process.terminate()
        process.wait(timeout=60)
        shutil.rmtree(folder, ignore_errors=True)


def _await(port: int) -> None:
    deadline = time.monotonic() + 60
    while subprocess.run(["echoscu", "-aec", "FAIRLEAD", "127.0.0.1", str(port)], capture_output=True, check=False).returncode:
        if time.monotonic() > deadline:
            raise SystemExit("a receiver did not start")
        time.sleep(0.1)


def send(port: int, *folders: Path) -> float:
    """Send each folder over an association of its own, at the same time; return the seconds until the last one is done."""
    begun = time.perf_counter()
    senders = [
        subprocess.Popen(
            ["dcmsend", "-aec", "FAIRLEAD", "--max-send-pdu", "131072", "+sd", "127.0.0.1", str(port), str(folder)],
            env=os.environ | NAGLE_OFF,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for folder in folders
    ]
    if any(sender.wait() for sender in senders):  # with a timeout, Python polls and sleeps
        raise SystemExit("a sender failed")
    return time.perf_counter() - begun


def write_series(folder: Path, number: int, *, instances: int, frames: int = 1) -> Path:
    """Write one CT series of 512 x 512 x 16 bit objects; return its folder."""
    target = folder / f"series-{number}"
    target.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(number).integers(0, 4096, (512, 512), dtype=np.uint16).tobytes()
    for at in range(1, instances + 1):
        image = Dataset()
        image.SOPClassUID = CTImageStorage if frames == 1 else EnhancedCTImageStorage
        image.SOPInstanceUID = f"{ROOT}.{number}.{at}"
        image.Modality, image.PatientName, image.PatientID, image.StudyDate = "CT", "Doe^Jane", "P-1", "20260101"
        image.StudyInstanceUID, image.SeriesInstanceUID, image.InstanceNumber = f"{ROOT}.0", f"{ROOT}.{number}", at
        image.Rows = image.Columns = 512
        image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 12, 11, 0
        image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
        if frames > 1:
            image.NumberOfFrames = frames
        image.PixelData = noise * frames
        image["PixelData"].VR = "OW"
        image.file_meta = FileMetaDataset()
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image.save_as(target / f"{at:05}.dcm", enforce_file_format=True)
    return target


def version(program: str) -> str:
    """Return the version that a peer names itself."""
    found = shutil.which(program) or f"/usr/sbin/{program}"
    said = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout
    return next(iter(re.findall(r"\d+\.\d+\.\d+", said)), "?")
