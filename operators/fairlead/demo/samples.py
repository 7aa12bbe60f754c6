"""Real sample images from packages that are installed with the ``demo`` extra; nothing here is synthetic.

- pydicom ``data/test_files/dicomdirtests``: CT, MR and CR series of three test patients, among them an axial CT of five
  slices 2.5 mm apart. Their publisher reduced every matrix to 16 × 16, so the pictures are coarse.
- pydicom ``CT_small.dcm`` and ``MR_small.dcm``: one CT slice of 128 × 128 and one MR slice of 64 × 64.
- scikit-image ``cell.png`` (phase microscopy of a cell) and ``ihc.png`` (immunohistochemistry of colon): real pixels that
  we wrap as OME-TIFF. Their physical pixel size is not published with them, so none is written.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Final

from fairlead.errors import InvalidInput, UnsupportedInput
from fairlead.files import relative_files

PYDICOM_FOLDERS: Final = ("77654033", "98892001", "98892003")
PYDICOM_FILES: Final = ("CT_small.dcm", "MR_small.dcm")
OME_SUFFIXES: Final = (".ome.tif", ".ome.tiff", ".companion.ome")
PREAMBLE_BYTES: Final = 128


@dataclass(frozen=True, slots=True)
class Samples:
    """Files to send by C-STORE, and files to drop in the watched folder."""

    dicom: tuple[Path, ...]
    ome: tuple[Path, ...]


def packaged_samples(folder: Path) -> Samples:
    """Return the packaged samples, unpacked or wrapped below ``folder`` where needed.

    Raises
    ------
    UnsupportedInput : the ``demo`` extra is not installed.
    """
    try:
        pydicom_data = _package_folder("pydicom") / "data" / "test_files"
        pictures = _package_folder("skimage") / "data"
    except ImportError as error:
        raise UnsupportedInput(f"The sample data is not installed ({error.name}).", remedy="Run: pip install 'fairlead[demo]'") from error
    dicom = [path for name in PYDICOM_FOLDERS for path in _files(pydicom_data / "dicomdirtests" / name)]
    dicom += [pydicom_data / name for name in PYDICOM_FILES]
    ome = (
        _wrapped(pictures / "cell.png", folder / "cell.ome.tiff", channels=("phase",)),
        _wrapped(pictures / "ihc.png", folder / "ihc.ome.tiff", channels=("RGB",)),
    )
    return Samples(tuple(dicom), ome)


def own_samples(folder: Path) -> Samples:
    """Return the user's own files below ``folder``: DICOM Part 10 files and OME files; the rest is left alone.

    Raises
    ------
    InvalidInput : nothing usable is there.
    """
    files = list(_files(folder))
    ome = tuple(path for path in files if path.name.lower().endswith(OME_SUFFIXES))
    dicom = tuple(path for path in files if path not in set(ome) and _is_part10(path) and path.name != "DICOMDIR")
    if not dicom or not ome:
        raise InvalidInput(
            f"{folder} holds {len(dicom)} DICOM files and {len(ome)} OME files; the demo needs both kinds.",
            remedy="Give a folder with DICOM Part 10 files and *.ome.tif(f) files, or leave --data out.",
        )
    return Samples(dicom, ome)


def _files(folder: Path) -> Iterator[Path]:
    yield from (folder / path for path in relative_files(folder))


def _package_folder(package: str) -> Path:
    file = import_module(package).__file__
    if file is None:
        raise ImportError(name=package)
    return Path(file).parent


def _is_part10(path: Path) -> bool:
    with path.open("rb") as handle:
        return handle.read(PREAMBLE_BYTES + 4)[PREAMBLE_BYTES:] == b"DICM"


def _wrapped(source: Path, target: Path, *, channels: tuple[str, ...]) -> Path:
    if target.exists():
        return target
    import numpy as np
    import tifffile
    from PIL import Image

    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name("." + target.name)  # hidden until complete; the suffix must stay, tifffile goes by it
    with Image.open(source) as picture:
        pixels = np.asarray(picture)
    is_rgb = pixels.ndim == 3
    tifffile.imwrite(
        part,
        pixels,
        ome=True,
        photometric="rgb" if is_rgb else "minisblack",
        metadata={"axes": "YXS" if is_rgb else "YX", "Name": source.stem, "Channel": {"Name": list(channels)}},
    )
    part.replace(target)
    return target
