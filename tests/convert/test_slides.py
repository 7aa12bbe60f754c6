from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
import zarr
from PIL import Image, ImageCms
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import JPEGBaseline8Bit

from convert.builders import STUDY, a_series, highdicom_says, save
from fairlead.convert import ConvertOptions, convert, render_preview, validate_store
from fairlead.convert.icc import bare_profile

SLIDE_STORAGE = "1.2.840.10008.5.1.4.1.1.77.1.6"
TILE = 16
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
PROFILE += b"\0" * (len(PROFILE) % 2)


def attributes(group: Path) -> dict[str, Any]:
    return json.loads((group / "zarr.json").read_text())["attributes"]


def level(group: Path, number: int = 0) -> np.ndarray:
    return np.asarray(zarr.open_array(str(group / str(number)), mode="r")[:])


def item(**values: Any) -> Dataset:
    dataset = Dataset()
    for name, value in values.items():
        setattr(dataset, name, [value] if isinstance(value, Dataset) else value)
    return dataset


def pixels(rows: int, columns: int, *, seed: int = 0, samples: int = 3) -> np.ndarray:
    shape = (rows, columns, samples) if samples > 1 else (rows, columns)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def tiles_of(picture: np.ndarray) -> list[np.ndarray]:
    """Return the tiles row by row, edge tiles filled up."""
    filled = np.pad(picture, [(0, -size % TILE) for size in picture.shape[:2]] + [(0, 0)] * (picture.ndim - 2))
    return [
        filled[row : row + TILE, column : column + TILE]
        for row in range(0, filled.shape[0], TILE)
        for column in range(0, filled.shape[1], TILE)
    ]


def a_slide(tiles: list[np.ndarray], matrix: tuple[int, int], *, number: int = 0, spacing: float = 0.001, **changes: Any) -> Dataset:
    dataset = a_series([[0.0, 0.0, 0.0]])[0]
    for name in ("RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth", "ImagePositionPatient", "ImageOrientationPatient"):
        delattr(dataset, name)
    colour = tiles[0].ndim == 3
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.SeriesInstanceUID = SLIDE_STORAGE, f"{STUDY}.8.{number}", f"{STUDY}.8"
    dataset.Modality, dataset.ImageType = "SM", ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = (3, "RGB") if colour else (1, "MONOCHROME2")
    dataset.PlanarConfiguration = 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.Rows, dataset.Columns, dataset.NumberOfFrames = TILE, TILE, len(tiles)
    dataset.TotalPixelMatrixRows, dataset.TotalPixelMatrixColumns = matrix
    dataset.DimensionOrganizationType = "TILED_FULL"
    dataset.OpticalPathSequence = Sequence([item(OpticalPathIdentifier="1", ICCProfile=PROFILE)])
    measures = item(PixelSpacing=[spacing, spacing], SpacingBetweenSlices=0.002)
    dataset.SharedFunctionalGroupsSequence = Sequence([item(PixelMeasuresSequence=measures)])
    dataset.ImageOrientationSlide = [0, -1, 0, -1, 0, 0]
    dataset.PixelData = b"".join(tile.tobytes() for tile in tiles)
    for name, value in changes.items():
        setattr(dataset, name, value)
    return dataset


def sparse(dataset: Dataset, places: list[tuple[int, int, float, str]]) -> Dataset:
    """Turn a slide into TILED_SPARSE with (row, column, depth in mm, optical path) per tile."""
    dataset.DimensionOrganizationType = "TILED_SPARSE"
    dataset.PerFrameFunctionalGroupsSequence = Sequence(
        [
            item(
                PlanePositionSlideSequence=item(
                    RowPositionInTotalImagePixelMatrix=row + 1,
                    ColumnPositionInTotalImagePixelMatrix=column + 1,
                    ZOffsetInSlideCoordinateSystem=depth,
                ),
                OpticalPathIdentificationSequence=item(OpticalPathIdentifier=path),
            )
            for row, column, depth, path in places
        ]
    )
    return dataset


def written(tmp_path: Path, *slides: Dataset, **options: Any) -> tuple[Any, Path]:
    report = convert(save(tmp_path / "in", slides), tmp_path / "out", options=ConvertOptions(**options))
    return report, tmp_path / "out" / (report.stores[0].path if report.stores else "none")


def test_every_level_of_a_real_slide_equals_wsidicom(data, tmp_path):
    from wsidicom import WsiDicom

    (store,) = convert(data / "dicom/sm/camelyon_jpeg", tmp_path).stores
    assert (store.shape, store.levels, store.axes, store.kind) == ((3, 700, 1152), 3, ("c", "y", "x"), "SM")
    with WsiDicom.open(data / "dicom/sm/camelyon_jpeg") as slide:
        for number, source in enumerate(slide.levels):
            expected = np.asarray(slide.read_region((0, 0), source.level, source.size.to_tuple()))
            assert np.array_equal(level(tmp_path / store.path, number).transpose(1, 2, 0), expected)
    assert validate_store(tmp_path / store.path).findings == ()


@pytest.mark.parametrize("name", ["highdicom_sm_image", "highdicom_sm_image_grayscale", "highdicom_sm_image_jpegls"])
def test_small_slides_equal_highdicoms_total_pixel_matrix(data, tmp_path, name):
    (store,) = convert(data / "dicom/sm" / f"{name}.dcm", tmp_path).stores
    expected = highdicom_says(data / "dicom/sm" / f"{name}.dcm", lambda image: image.get_total_pixel_matrix(apply_icc_profile=False))
    found = level(tmp_path / store.path)
    assert np.array_equal(found.transpose(1, 2, 0) if found.ndim == 3 else found, expected)


def test_levels_keep_the_spacing_they_state(tmp_path):
    full, small = pixels(40, 36), pixels(20, 18)
    _, path = written(tmp_path, a_slide(tiles_of(full), (40, 36)), a_slide(tiles_of(small), (20, 18), number=1, spacing=0.00195))
    image = attributes(path)["ome"]["multiscales"][0]
    scale, shift = image["datasets"][1]["coordinateTransformations"]
    assert scale["scale"] == pytest.approx([1, 0.00195, 0.00195])
    assert shift["translation"] == pytest.approx([0, 0.000475, 0.000475])
    assert np.array_equal(level(path, 1).transpose(1, 2, 0), small)


def test_a_slide_without_levels_gets_a_pyramid(tmp_path):
    report, path = written(tmp_path, a_slide(tiles_of(pixels(600, 300)), (600, 300)))
    assert report.stores[0].levels == 3
    assert level(path, 1).shape == (3, 300, 150)


def test_bytes_that_are_no_profile_are_left_out():
    assert [bare_profile(data) for data in (b"", b"profile ", PROFILE[:140], PROFILE[:36] + b"none" + PROFILE[40:])] == [None] * 4


def test_colour_profiles_go_beside_the_pixels_without_words(tmp_path):
    _, path = written(tmp_path, a_slide(tiles_of(pixels(16, 16)), (16, 16)))
    kept = (path / "icc/0.icc").read_bytes()
    picture = Image.fromarray(pixels(64, 64))
    as_said, as_kept = (
        ImageCms.profileToProfile(picture, io.BytesIO(profile), ImageCms.createProfile("LAB"), outputMode="LAB")
        for profile in (PROFILE, kept)
    )
    assert np.array_equal(np.asarray(as_said), np.asarray(as_kept))
    words = "sRGB".encode("utf-16-be")
    assert words in PROFILE
    assert words not in kept
    assert list(attributes(path)["dicom"]["slide"]["icc_profiles"]) == ["icc/0.icc"]


def test_optical_paths_become_channels_and_focal_planes_the_z_axis(tmp_path):
    picture = {(path, depth): pixels(16, 32, seed=7 * path + depth, samples=1) for path in (0, 1) for depth in (0, 1, 2)}
    tiles = [tile for path in (0, 1) for depth in (0, 1, 2) for tile in tiles_of(picture[path, depth])]
    paths = Sequence([item(OpticalPathIdentifier=name, IlluminationWaveLength=nm) for name, nm in (("A", 488.0), ("B", 561.0))])
    report, path = written(tmp_path, a_slide(tiles, (16, 32), OpticalPathSequence=paths, TotalPixelMatrixFocalPlanes=3))
    assert (report.stores[0].axes, report.stores[0].shape) == (("c", "z", "y", "x"), (2, 3, 16, 32))
    assert all(np.array_equal(level(path)[key], value) for key, value in picture.items())
    ome = attributes(path)["ome"]
    assert [channel["label"] for channel in ome["omero"]["channels"]] == ["488 nm", "561 nm"]
    assert ome["multiscales"][0]["datasets"][0]["coordinateTransformations"][0]["scale"] == [1, 0.002, 0.001, 0.001]


def test_tiles_of_a_sparse_slide_go_where_they_say_and_the_rest_is_said_to_be_white(tmp_path):
    tiles = tiles_of(pixels(32, 32))
    report, path = written(tmp_path, sparse(a_slide([tiles[3], tiles[0]], (32, 32)), [(16, 16, 0.0, "1"), (0, 0, 0.0, "1")]))
    found = level(path).transpose(1, 2, 0)
    assert np.array_equal(found[16:, 16:], tiles[3])
    assert np.array_equal(found[:16, :16], tiles[0])
    assert (found[:16, 16:] == 255).all()
    assert report.stores[0].dropped == ("2 tiles were not acquired and are white",)


def test_parts_of_a_concatenation_are_one_level(tmp_path):
    picture = pixels(32, 32)
    tiles = tiles_of(picture)
    parts = [
        a_slide(tiles[start : start + 2], (32, 32), number=start, ConcatenationUID=f"{STUDY}.9", ConcatenationFrameOffsetNumber=start)
        for start in (0, 2)
    ]
    report, path = written(tmp_path, *parts)
    assert report.stores[0].instances == 2
    assert np.array_equal(level(path).transpose(1, 2, 0), picture)


def test_bands_that_cut_tiles_lose_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("fairlead.convert.writer.SLAB_2D", 8)
    picture = pixels(70, 50)
    _, path = written(tmp_path, a_slide(tiles_of(picture), (70, 50)))
    assert np.array_equal(level(path).transpose(1, 2, 0), picture)


@pytest.mark.parametrize("kind", ["LABEL", "OVERVIEW"])
def test_label_and_overview_images_are_never_converted(tmp_path, kind):
    slide = a_slide(tiles_of(pixels(16, 16)), (16, 16), ImageType=["ORIGINAL", "PRIMARY", kind, "NONE"])
    report, _ = written(tmp_path, slide)
    assert report.stores == ()
    assert "never converted" in report.refused[0].reason


def test_a_slide_that_would_grow_too_much_is_refused_with_both_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr("fairlead.convert.slides.SMALL_BYTES", 0)
    tile = np.full((TILE, TILE, 3), 200, np.uint8)
    coded = imagecodecs.jpeg8_encode(tile, 90)
    slide = a_slide([tile] * 64, (128, 128), PhotometricInterpretation="YBR_FULL_422")
    slide.PixelData, slide.file_meta.TransferSyntaxUID = encapsulate([coded] * 64), JPEGBaseline8Bit
    slide["PixelData"].VR = "OB"
    refused, _ = written(tmp_path, slide, max_expansion=1.01)
    assert "times its files" in refused.refused[0].reason
    assert "--max-expansion" in refused.refused[0].reason
    accepted, _ = written(tmp_path, slide, max_expansion=20)
    assert len(accepted.stores) == 1


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (lambda d: setattr(d, "PixelData", d.PixelData[:-800]), "cut short"),
        (lambda d: setattr(d, "TotalPixelMatrixRows", 64), "do not fill"),
        (lambda d: setattr(d, "TotalPixelMatrixRows", 0), "no size"),
        (lambda d: setattr(d, "NumberOfFrames", 5), "do not fill"),
        (lambda d: setattr(d, "DimensionOrganizationType", "TILED_SPARSE"), "functional groups for 0"),
        (lambda d: sparse(d, [(0, 0, 0.0, "1")] * 4), "at one place"),
        (lambda d: sparse(d, [(0, 99, 0.0, "1")] * 4), "outside"),
        (lambda d: setattr(d, "BitsAllocated", 32), "not converted"),
        (lambda d: delattr(d, "TotalPixelMatrixRows"), "cannot be read"),
        (lambda d: d.OpticalPathSequence.append(item(OpticalPathIdentifier="2")), "do not fill"),
    ],
)
def test_a_broken_slide_is_refused_with_its_reason(tmp_path, broken, reason):
    slide = a_slide(tiles_of(pixels(32, 32)), (32, 32))
    broken(slide)
    report, _ = written(tmp_path, slide)
    assert report.stores == ()
    assert reason in report.refused[0].reason


def test_a_damaged_tile_refuses_the_slide_and_leaves_nothing(data, tmp_path):
    source = pydicom.dcmread(data / "dicom/sm/camelyon_jpeg/level2.dcm")
    source.PixelData = source.PixelData[:200] + bytes(len(source.PixelData) - 200)
    (tmp_path / "in").mkdir()
    source.save_as(tmp_path / "in/a.dcm")
    report = convert(tmp_path / "in", tmp_path / "out")
    assert report.stores == ()
    assert list((tmp_path / "out").iterdir()) == []


def test_a_slide_has_a_preview(data, tmp_path):
    (store,) = convert(data / "dicom/sm/camelyon_jpeg", tmp_path).stores
    render_preview(tmp_path / store.path, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 5000
