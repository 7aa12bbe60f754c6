"""The sample images: real, from installed packages, or the user's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from pydicom import dcmread

from fairlead.demo.samples import own_samples, packaged_samples
from fairlead.demo.sources import source_digests
from fairlead.demo.verify import voxel_digest
from fairlead.errors import InvalidInput
from fairlead.progress import Silent


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("samples")


def test_the_packages_hold_several_modalities_and_two_microscopy_images(folder: Path) -> None:
    samples = packaged_samples(folder)
    headers = [dcmread(path, stop_before_pixels=True) for path in samples.dicom]
    assert {header.Modality for header in headers} == {"CT", "MR", "CR"}
    assert len({header.SeriesInstanceUID for header in headers}) >= 3
    assert [path.name for path in samples.ome] == ["cell.ome.tiff", "ihc.ome.tiff"]


def test_wrapping_keeps_every_pixel_and_invents_no_size(folder: Path) -> None:
    import skimage

    samples = packaged_samples(folder)
    for path, name in zip(samples.ome, ("cell.png", "ihc.png"), strict=True):
        with Image.open(Path(skimage.__file__).parent / "data" / name) as picture, tifffile.TiffFile(path) as tiff:
            assert np.array_equal(tiff.asarray(), np.asarray(picture))
            assert tiff.ome_metadata is not None
            assert "PhysicalSize" not in tiff.ome_metadata


def test_collecting_twice_gives_the_same_files(folder: Path) -> None:
    assert packaged_samples(folder) == packaged_samples(folder)


def test_the_users_own_folder_is_sorted_by_kind(folder: Path, tmp_path: Path) -> None:
    samples = packaged_samples(folder)
    (tmp_path / "a.dcm").write_bytes(samples.dicom[0].read_bytes())
    (tmp_path / "b.ome.tiff").write_bytes(samples.ome[0].read_bytes())
    (tmp_path / "notes.txt").write_text("not an image")
    found = own_samples(tmp_path)
    assert found.dicom == (tmp_path / "a.dcm",)
    assert found.ome == (tmp_path / "b.ome.tiff",)


def test_a_folder_without_both_kinds_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not an image")
    with pytest.raises(InvalidInput, match="0 DICOM files and 0 OME files"):
        own_samples(tmp_path)


def test_the_yardstick_ignores_storage_type_and_singleton_axes_but_not_values() -> None:
    image = np.arange(6, dtype=np.uint8).reshape(2, 3)
    assert voxel_digest(image) == voxel_digest(image.astype(np.int16)[None])
    assert voxel_digest(image) != voxel_digest(image + 1)
    assert voxel_digest(image) != voxel_digest(image.reshape(3, 2))


def test_every_sample_with_pixels_has_a_digest(folder: Path) -> None:
    samples = packaged_samples(folder)
    digests = source_digests(samples.dicom, samples.ome, progress=Silent())
    cell = tifffile.imread(samples.ome[0])
    assert voxel_digest(cell) in digests
    assert voxel_digest(dcmread(samples.dicom[0]).pixel_array) in digests or len(digests) > len(samples.ome)
