"""P10 and P11: 300 CT files (157 MB) to a verified OME-Zarr 0.5 pyramid; peer: highdicom (geometry, voxels) and ome-zarr write_image.

python benchmarks/convert_ct.py [--syntax explicit|jpegls|rle|htj2k] [--rounds 2] [--slices 300] [--growth] [--json]

Every run is a process of its own, in the order A B A B; medians of wall and CPU seconds (start of Python and imports not counted) and the
peak of resident memory. "floor" is blosc-zstd-1 with bitshuffle over the voxels and their pyramid, in one thread, with blosc's own
choice of blocks, in turn with the others. "write" is our writer alone, voxels in memory to a verified, validated, published store.
``--growth`` converts a quarter, half and whole of the slices and prints the exponent. The peer verifies nothing.

Budget: at least 7 times the fastest peer (compressed: 3 times), at most 500 MB, CPU at most 2.2 times the floor for the write.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np

SYNTAXES: Final = {
    "explicit": "1.2.840.10008.1.2.1",
    "jpegls": "1.2.840.10008.1.2.4.80",
    "rle": "1.2.840.10008.1.2.5",
    "htj2k": "1.2.840.10008.1.2.4.201",
}
ROOT: Final = "1.2.826.0.1.3680043.8.498.8"
SIDE: Final = 512


def volume(slices: int) -> np.ndarray[Any, Any]:
    """Return a smooth body with noise, stored values of 12 bits: compresses about as real CT does."""
    random = np.random.default_rng(8)
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    body = np.where(x**2 + y**2 < 0.7, 1040 + 120 * np.sin(6 * x) * np.cos(5 * y), 24)
    noise = random.normal(0, 12, (8, SIDE, SIDE))
    return np.stack([np.clip(body + noise[k % 8] + 20 * math.sin(k / 9), 0, 4095) for k in range(slices)]).astype(np.uint16)


def write_series(folder: Path, voxels: np.ndarray[Any, Any], syntax: str) -> None:
    """Write one file per slice, names not in slice order."""
    import imagecodecs
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.encaps import encapsulate
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

    folder.mkdir(parents=True)
    for number, plane in enumerate(voxels):
        file = Dataset()
        file.file_meta = FileMetaDataset()
        file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        file.file_meta.MediaStorageSOPClassUID = file.SOPClassUID = CTImageStorage
        file.file_meta.MediaStorageSOPInstanceUID = file.SOPInstanceUID = f"{ROOT}.{number + 10}"
        file.StudyInstanceUID, file.SeriesInstanceUID, file.FrameOfReferenceUID = f"{ROOT}.1", f"{ROOT}.2", f"{ROOT}.3"
        file.Modality, file.PatientName, file.PatientID, file.StudyDate, file.StudyTime = "CT", "", "", "", ""
        file.PatientBirthDate = file.PatientSex = file.AccessionNumber = file.StudyID = file.ReferringPhysicianName = ""
        file.ImageType, file.SeriesNumber, file.InstanceNumber = ["ORIGINAL", "PRIMARY", "AXIAL"], 1, number + 1
        file.ImagePositionPatient, file.ImageOrientationPatient = [-180, -180, 1.25 * number], [1, 0, 0, 0, 1, 0]
        file.PixelSpacing, file.SliceThickness, file.RescaleSlope, file.RescaleIntercept = [0.703125, 0.703125], 1.25, 1, -1024
        file.Rows, file.Columns, file.SamplesPerPixel, file.PhotometricInterpretation = SIDE, SIDE, 1, "MONOCHROME2"
        file.BitsAllocated, file.BitsStored, file.HighBit, file.PixelRepresentation = 16, 12, 11, 0
        file.WindowCenter, file.WindowWidth, file.PositionReferenceIndicator, file.RescaleType = 40, 400, "", "HU"
        file.PixelData = plane.tobytes()
        if syntax in {"jpegls", "rle"}:
            file.compress(SYNTAXES[syntax], generate_instance_uid=False)
        elif syntax == "htj2k":
            file.PixelData = encapsulate([imagecodecs.htj2k_encode(plane, reversible=True)])
            file["PixelData"].VR = "OB"
            file.file_meta.TransferSyntaxUID = SYNTAXES["htj2k"]
        file.save_as(folder / f"{number * 7919 % 99991:05d}.dcm", enforce_file_format=True)


def ours(source: Path, out: Path) -> None:
    """Convert with verification."""
    from fairlead.convert import convert

    report = convert(source, out)
    assert len(report.stores) == 1
    assert report.stores[0].verified_voxels


def highdicom_ome_zarr(source: Path, out: Path) -> None:
    """Read the volume with highdicom, write it with ome-zarr, both as their documentation shows."""
    import highdicom
    import zarr
    from ome_zarr.writer import write_image
    from pydicom import dcmread

    volume = highdicom.get_volume_from_series([dcmread(file) for file in sorted(source.iterdir())])
    values = volume.array.astype(np.int16)
    spacing = [float(step) for step in volume.spacing]
    write_image(values, zarr.open_group(str(out), mode="w"), axes="zyx", scale=dict(zip("zyx", spacing, strict=True)))


class InMemory:
    """Voxels that are there already."""

    def __init__(self, values: np.ndarray[Any, Any]) -> None:
        self.values = values

    def read(self, level: int, lead: tuple[int, ...], start: int, stop: int) -> np.ndarray[Any, Any]:
        """Return slices; every page of them is touched by the writer anyway."""
        return self.values[start:stop]


def write_only(source: Path, out: Path) -> None:
    """Write the store of ``convert`` from voxels in memory."""
    from fairlead.convert.plan import Axis, Channel, ImagePlan
    from fairlead.convert.stores import write_store
    from fairlead.progress import Silent
    from fairlead.records import GeometryVerdict

    values = _voxels(source)
    axes = tuple(Axis(name, size, 1.0, "millimeter") for name, size in zip("zyx", values.shape, strict=True))
    geometry = GeometryVerdict(verdict="none", reason="A benchmark.")
    plan = ImagePlan(
        name="a", source="a", kind="CT", axes=axes, dtype=values.dtype, voxels=InMemory(values), geometry=geometry, channels=(Channel(),)
    )
    report, _ = write_store(plan, out, ngff="0.5", progress=Silent())
    assert report.verified_voxels


def compress_only(source: Path, out: Path) -> None:
    """Compress every level in 64-voxel cubes in one thread, nothing else: the floor of the write."""
    import numcodecs

    codec = numcodecs.Blosc("zstd", 1, numcodecs.Blosc.BITSHUFFLE)
    numcodecs.blosc.use_threads = False
    for cube in _cubes(source):
        codec.encode(cube)


@cache
def _cubes(source: Path) -> list[np.ndarray[Any, Any]]:
    """Return the cubes of all levels, one after the other in memory."""
    found, level = [], _voxels(source)
    while True:
        for k, j, i in np.ndindex(*(-(-size // 64) for size in level.shape)):
            found.append(np.ascontiguousarray(level[64 * k : 64 * k + 64, 64 * j : 64 * j + 64, 64 * i : 64 * i + 64]))
        if max(level.shape) <= 64:
            return found
        level = level[::2, ::2, ::2]


@cache
def _voxels(source: Path) -> np.ndarray[Any, Any]:
    loaded: np.ndarray[Any, Any] = np.load(source.parent / "voxels.npy")
    return loaded


OUR_IMPORTS: Final = ["fairlead.convert", "ome_zarr_models"]
IMPORTS: Final = {
    "fairlead": OUR_IMPORTS,
    "highdicom + ome-zarr": ["highdicom", "ome_zarr.writer"],
    "write": OUR_IMPORTS,
    "floor": ["numcodecs"],
}
CONTENDERS: Final = {"fairlead": ours, "highdicom + ome-zarr": highdicom_ome_zarr, "write": write_only, "floor": compress_only}


def child(name: str, source: str, out: str) -> None:
    """Run one contender and print wall, CPU and peak memory."""
    warnings.simplefilter("ignore")
    for module in IMPORTS[name]:  # before the clock starts
        import_module(module)
    if name == "write":
        _voxels(Path(source))
    if name == "floor":
        _cubes(Path(source))
    before = resource.getrusage(resource.RUSAGE_SELF)
    began = time.perf_counter()
    CONTENDERS[name](Path(source), Path(out))
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    peak = next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    print(json.dumps({"wall_s": wall, "cpu_s": cpu, "peak_mb": int(peak) / 1024}))


def run(name: str, source: Path, scratch: Path) -> dict[str, float]:
    """Run a contender in a fresh process."""
    with tempfile.TemporaryDirectory(dir=scratch) as out:
        command = [sys.executable, __file__, "--child", name, str(source), f"{out}/store"]
        answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
    return dict(json.loads(answer))


def compare(syntax: str, slices: int, rounds: int, scratch: Path) -> dict[str, Any]:
    """Run A B A B and return medians and ratios."""
    voxels = volume(slices)
    write_series(scratch / syntax, voxels, syntax)
    np.save(scratch / "voxels.npy", (voxels.astype(np.int32) - 1024).astype(np.int16))
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
    for _ in range(rounds):
        for name, found in runs.items():
            found.append(run(name, scratch / syntax, scratch))
    found = {name: {key: statistics.median(one[key] for one in many) for key in many[0]} for name, many in runs.items()}
    us, peer, floor = found["fairlead"], found["highdicom + ome-zarr"], found["floor"]["cpu_s"]
    return {
        "syntax": syntax,
        "slices": slices,
        "mb": voxels.nbytes / 1e6,
        "runs": found,
        "wall_ratio": peer["wall_s"] / us["wall_s"],
        "cpu_ratio": peer["cpu_s"] / us["cpu_s"],
        "floor_cpu_s": floor,
        "write_over_floor": found["write"]["cpu_s"] / floor,
    }


def growth(slices: int, scratch: Path) -> dict[str, Any]:
    """Return seconds and memory at a quarter, half and all of the work, and the exponent of CPU."""
    sizes = [slices // 4, slices // 2, slices]
    found = []
    for size in sizes:
        write_series(scratch / f"growth-{size}", volume(size), "explicit")
        found.append(run("fairlead", scratch / f"growth-{size}", scratch))
    exponent = math.log(found[-1]["cpu_s"] / found[0]["cpu_s"]) / math.log(sizes[-1] / sizes[0])
    return {"slices": sizes, "cpu_s": [one["cpu_s"] for one in found], "peak_mb": [one["peak_mb"] for one in found], "exponent": exponent}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--syntax", choices=list(SYNTAXES), default="explicit")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--growth", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(*arguments.child)
        return
    with tempfile.TemporaryDirectory() as scratch:
        if arguments.growth:
            found = growth(arguments.slices, Path(scratch))
        else:
            found = compare(arguments.syntax, arguments.slices, arguments.rounds, Path(scratch))
    if arguments.json:
        print(json.dumps(found))
        return
    for name, numbers in found.get("runs", {}).items():
        print(f"{name:22} {numbers['wall_s']:6.2f} s  {numbers['cpu_s']:6.2f} CPU s  {numbers['peak_mb']:6.0f} MB")
    print({key: round(value, 2) if isinstance(value, float) else value for key, value in found.items() if key != "runs"})


if __name__ == "__main__":
    main()
