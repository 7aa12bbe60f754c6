"""P12 and P13: a whole slide of 8192² in 5 levels, and an OME-TIFF of 3 × 24 × 1024² in 16 bits, to verified OME-Zarr 0.5.

python benchmarks/convert_microscopy.py [--what slide|ometiff] [--rounds 2] [--json]

Peers: for the slide, wsidicom reading the base level and ome-zarr write_image making the pyramid again; for the OME-TIFF, tifffile and
ome-zarr write_image. Every run is a process of its own, A B A B; medians of wall and CPU seconds without imports, peak of resident memory.
The peers verify nothing.

Budget: the slide's levels reused, at least 100 MB/s decoded, at most 400 MB; the OME-TIFF at least 3 times write_image.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np

ROOT: Final = "1.2.826.0.1.3680043.8.498.9"
SIDE: Final = 8192
TILE: Final = 512
LEVELS: Final = 5


def write_slide(folder: Path) -> None:
    """Write a TILED_FULL pyramid of JPEG tiles, one instance per level."""
    import imagecodecs
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.encaps import encapsulate_extended
    from pydicom.uid import JPEGBaseline8Bit, VLWholeSlideMicroscopyImageStorage

    folder.mkdir(parents=True)
    random = np.random.default_rng(9)
    spots = [imagecodecs.jpeg8_encode(_tissue(random), 85) for _ in range(16)]
    for level in range(LEVELS):
        side = SIDE >> level
        count = (side // TILE) ** 2
        file = Dataset()
        file.file_meta = FileMetaDataset()
        file.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
        file.file_meta.MediaStorageSOPClassUID = file.SOPClassUID = VLWholeSlideMicroscopyImageStorage
        file.file_meta.MediaStorageSOPInstanceUID = file.SOPInstanceUID = f"{ROOT}.{level + 10}"
        file.StudyInstanceUID, file.SeriesInstanceUID, file.FrameOfReferenceUID = f"{ROOT}.1", f"{ROOT}.2", f"{ROOT}.3"
        file.Modality, file.ImageType = "SM", ["DERIVED" if level else "ORIGINAL", "PRIMARY", "VOLUME", "RESAMPLED" if level else "NONE"]
        file.PatientName = file.PatientID = file.StudyDate = file.StudyTime = file.AccessionNumber = file.StudyID = ""
        file.SeriesNumber, file.InstanceNumber, file.NumberOfFrames = 1, level + 1, count
        file.Rows, file.Columns, file.TotalPixelMatrixRows, file.TotalPixelMatrixColumns = TILE, TILE, side, side
        file.SamplesPerPixel, file.PhotometricInterpretation, file.PlanarConfiguration = 3, "YBR_FULL_422", 0
        file.BitsAllocated, file.BitsStored, file.HighBit, file.PixelRepresentation = 8, 8, 7, 0
        file.DimensionOrganizationType, file.LossyImageCompression, file.TotalPixelMatrixFocalPlanes = "TILED_FULL", "01", 1
        file.ImagedVolumeWidth = file.ImagedVolumeHeight = SIDE * 0.00025
        file.ImagedVolumeDepth, file.FocusMethod, file.ExtendedDepthOfField, file.SpecimenLabelInImage = 0.001, "AUTO", "NO", "NO"
        file.ImageOrientationSlide, file.VolumetricProperties, file.BurnedInAnnotation = [0, -1, 0, -1, 0, 0], "VOLUME", "NO"
        origin, path, shared, measures = Dataset(), Dataset(), Dataset(), Dataset()
        origin.XOffsetInSlideCoordinateSystem = origin.YOffsetInSlideCoordinateSystem = 10.0
        path.OpticalPathIdentifier = "1"
        measures.PixelSpacing, measures.SliceThickness = [0.00025 * 2**level] * 2, 0.001
        shared.PixelMeasuresSequence = [measures]
        file.TotalPixelMatrixOriginSequence, file.OpticalPathSequence, file.NumberOfOpticalPaths = [origin], [path], 1
        file.SharedFunctionalGroupsSequence = [shared]
        file.PixelData, file.ExtendedOffsetTable, file.ExtendedOffsetTableLengths = encapsulate_extended(
            [spots[(7 * number) % len(spots)] for number in range(count)]
        )
        file["PixelData"].VR = "OB"
        file.save_as(folder / f"level{level}.dcm", enforce_file_format=True)


def _tissue(random: np.random.Generator) -> np.ndarray[Any, Any]:
    rough = random.integers(120, 240, (TILE // 8, TILE // 8, 3)).repeat(8, 0).repeat(8, 1)
    return np.clip(rough + random.normal(0, 6, rough.shape), 0, 255).astype(np.uint8)


def write_ometiff(folder: Path) -> None:
    """Write one tiled OME-TIFF."""
    import tifffile

    folder.mkdir(parents=True)
    random = np.random.default_rng(5)
    y, x = np.mgrid[0:1024, 0:1024]
    base = 400 + 300 * np.sin(x / 40) * np.cos(y / 30)
    stack = np.stack([[base + 40 * c + 5 * z + random.normal(0, 15, base.shape) for z in range(24)] for c in range(3)]).astype(np.uint16)
    metadata = {"axes": "CZYX", "PhysicalSizeX": 0.3, "PhysicalSizeY": 0.3, "PhysicalSizeZ": 1.0}
    tifffile.imwrite(folder / "a.ome.tif", stack, tile=(256, 256), metadata=metadata)


def ours(source: Path, out: Path) -> None:
    """Convert with verification."""
    from fairlead.convert import convert

    report = convert(source, out)
    assert len(report.stores) == 1
    assert report.stores[0].verified_voxels


def slide_again(source: Path, out: Path) -> None:
    """Read the base level and make the pyramid again."""
    import zarr
    from ome_zarr.writer import write_image
    from wsidicom import WsiDicom

    with WsiDicom.open(source) as slide:
        size = slide.levels[0].size
        values = np.asarray(slide.read_region((0, 0), 0, size.to_tuple())).transpose(2, 0, 1)
    write_image(values, zarr.open_group(str(out), mode="w"), axes="cyx")


def ometiff_again(source: Path, out: Path) -> None:
    """Read all planes and write them with ome-zarr."""
    import tifffile
    import zarr
    from ome_zarr.writer import write_image

    write_image(tifffile.imread(source / "a.ome.tif"), zarr.open_group(str(out), mode="w"), axes="czyx")


CASES: Final[dict[str, dict[str, Any]]] = {
    "slide": {"write": write_slide, "mb": 3 * sum((SIDE >> level) ** 2 for level in range(LEVELS)) / 1e6, "peer": "wsidicom + ome-zarr"},
    "ometiff": {"write": write_ometiff, "mb": 3 * 24 * 1024**2 * 2 / 1e6, "peer": "tifffile + ome-zarr"},
}
RUNS: Final = {"fairlead": ours, "wsidicom + ome-zarr": slide_again, "tifffile + ome-zarr": ometiff_again}
IMPORTS: Final = {
    "fairlead": ["fairlead.convert"],
    "wsidicom + ome-zarr": ["wsidicom", "ome_zarr.writer"],
    "tifffile + ome-zarr": ["tifffile", "ome_zarr.writer"],
}


def child(name: str, source: str, out: str) -> None:
    """Run one contender and print wall, CPU and peak memory."""
    warnings.simplefilter("ignore")
    for module in IMPORTS[name]:  # before the clock starts
        import_module(module)
    before = resource.getrusage(resource.RUSAGE_SELF)
    began = time.perf_counter()
    RUNS[name](Path(source), Path(out))
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


def compare(what: str, rounds: int, scratch: Path) -> dict[str, Any]:
    """Run A B A B and return medians and ratios."""
    case = CASES[what]
    case["write"](scratch / what)
    runs: dict[str, list[dict[str, float]]] = {"fairlead": [], case["peer"]: []}
    for _ in range(rounds):
        for name, found in runs.items():
            found.append(run(name, scratch / what, scratch))
    found = {name: {key: statistics.median(one[key] for one in many) for key in many[0]} for name, many in runs.items()}
    us, peer = found["fairlead"], found[case["peer"]]
    return {
        "what": what,
        "mb_decoded": case["mb"],
        "runs": found,
        "wall_ratio": peer["wall_s"] / us["wall_s"],
        "cpu_ratio": peer["cpu_s"] / us["cpu_s"],
        "mb_per_s": case["mb"] / us["wall_s"],
        "mb_per_cpu_s": case["mb"] / us["cpu_s"],
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--what", choices=list(CASES))
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(*arguments.child)
        return
    for what in [arguments.what] if arguments.what else list(CASES):
        with tempfile.TemporaryDirectory() as scratch:
            found = compare(what, arguments.rounds, Path(scratch))
        if arguments.json:
            print(json.dumps(found))
            continue
        for name, numbers in found["runs"].items():
            print(f"{name:22} {numbers['wall_s']:6.2f} s  {numbers['cpu_s']:6.2f} CPU s  {numbers['peak_mb']:6.0f} MB")
        print({key: round(value, 2) if isinstance(value, float) else value for key, value in found.items() if key != "runs"})


if __name__ == "__main__":
    main()
