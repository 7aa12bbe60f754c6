"""The sample images: real, from installed packages, or the user's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from pydicom import dcmread

from fairlead.demo.samples import own_samples, packaged_samples
from fairlead.demo.sources import dicom_images, plane_digests, source_stacks
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


def test_the_yardstick_ignores_how_values_are_stored_but_not_the_values() -> None:
    image = np.arange(6, dtype=np.uint8).reshape(2, 3)
    assert plane_digests(image) == plane_digests(image.astype(np.int16)[None])
    assert plane_digests(image) != plane_digests(image + 1)
    assert plane_digests(image) != plane_digests(image.reshape(3, 2))
    assert len(plane_digests(np.zeros((3, 4, 5, 6)))) == 12


def test_slices_are_put_in_the_order_of_their_positions(folder: Path) -> None:
    samples = packaged_samples(folder)
    by_series: dict[str, list[Path]] = {}
    for path in samples.dicom:
        by_series.setdefault(str(dcmread(path, stop_before_pixels=True).SeriesInstanceUID), []).append(path)
    files = next(files for files in by_series.values() if len(files) == 5)  # the axial CT with 2.5 mm between its slices
    ordered = sorted(files, key=lambda path: float(dcmread(path).ImagePositionPatient[2]))
    expected = [dcmread(path) for path in ordered]
    heights = [float(dataset.ImagePositionPatient[2]) for dataset in expected]
    assert np.allclose(np.diff(heights), 2.5)
    ((_, stack),) = dicom_images(files)
    for plane, dataset in zip(stack, expected, strict=True):
        assert np.array_equal(plane, dataset.pixel_array.astype(int) * int(dataset.RescaleSlope) + int(dataset.RescaleIntercept))


def test_no_sample_is_an_empty_picture(folder: Path) -> None:
    samples = packaged_samples(folder)
    for path in samples.dicom:
        assert np.ptp(dcmread(path).pixel_array) > 0, path


def test_every_sample_with_pixels_is_a_source(folder: Path) -> None:
    samples = packaged_samples(folder)
    sources = source_stacks(samples.dicom, samples.ome, progress=Silent())
    cell = next(source for source in sources if source.name == "cell.ome.tiff")
    assert plane_digests(tifffile.imread(samples.ome[0])) == cell.planes
    assert max(len(source.planes) for source in sources) == 5  # the axial CT
