"""Segmentations of slides, made and read by highdicom: on the level and the focal plane that they were drawn on."""

from __future__ import annotations

import gc
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pytest
from highdicom.seg import Segmentation, SegmentDescription
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.sr.codedict import codes

from convert.builders import save
from convert.test_slides import TILE, a_slide, attributes, item, level, pixels, sparse, tiles_of
from fairlead.convert import ConvertOptions, convert, validate_store

MATRIX = (32, 48)
PLANES = 3


def complete(slide: Dataset) -> Dataset:
    """Give a slide what highdicom copies from it."""
    for name in ("AccessionNumber", "StudyID", "ContainerIdentifier"):
        setattr(slide, name, "1")
    slide.PatientSex, slide.StudyTime = "O", ""
    slide.IssuerOfTheContainerIdentifierSequence, slide.ContainerTypeCodeSequence = Sequence(), Sequence()
    slide.SpecimenDescriptionSequence = Sequence([item(SpecimenIdentifier="s", SpecimenUID="1.2.3")])
    origin = item(XOffsetInSlideCoordinateSystem=10.0, YOffsetInSlideCoordinateSystem=20.0)
    slide.TotalPixelMatrixOriginSequence = Sequence([origin])
    slide.ImagedVolumeWidth, slide.ImagedVolumeHeight, slide.ImagedVolumeDepth = 1, 1, 0.01
    shared = slide.SharedFunctionalGroupsSequence[0]
    shared.PixelMeasuresSequence[0].SliceThickness = 0.001
    shared.OpticalPathIdentificationSequence = Sequence([item(OpticalPathIdentifier="1")])
    slide.NumberOfOpticalPaths = 1
    return slide


def flat(matrix: tuple[int, int] = MATRIX, **changes: Any) -> Dataset:
    return complete(a_slide(tiles_of(pixels(*matrix, samples=1)), matrix, **changes))


def deep(*, counted: bool) -> Dataset:
    """Return a slide of three focal planes, 2 µm apart: TILED_FULL, or TILED_SPARSE with depths in micrometres."""
    tiles = [tile for depth in range(PLANES) for tile in tiles_of(pixels(*MATRIX, seed=depth, samples=1))]
    slide = a_slide(tiles, MATRIX, TotalPixelMatrixFocalPlanes=PLANES)
    places = [(r, c, 2.0 * depth, "1") for depth in range(PLANES) for r in range(0, MATRIX[0], TILE) for c in range(0, MATRIX[1], TILE)]
    return slide if counted else sparse(slide, places)


@dataclass(frozen=True)
class Drawn:
    """A segmentation of a slide that highdicom made, and what it reads in it."""

    file: Dataset
    matrix: np.ndarray[Any, Any]


def drawn(slide: Dataset, masks: np.ndarray[Any, Any], organisation: str = "TILED_SPARSE") -> Drawn:
    """Let highdicom make a segmentation, one mask per segment; it never closes its tables, so they are collected here."""
    described = [SegmentDescription(number + 1, f"s{number}", codes.SCT.Tissue, codes.SCT.Tissue, "MANUAL") for number in range(len(masks))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = Segmentation(
            [slide], np.stack(list(masks), -1)[np.newaxis], "BINARY", described, highdicom.UID(), 1, highdicom.UID(), 1, "m", "m", "1",
            "1", tile_pixel_array=True, tile_size=(TILE, TILE), dimension_organization_type=organisation, omit_empty_frames=False,
        )  # fmt: skip
        file, matrix = Dataset(), made.get_total_pixel_matrix(combine_segments=True).copy()
        file.update(made)
        file.file_meta = made.file_meta
        del made
        gc.collect()
    return Drawn(file, matrix)


def on_planes(parts: dict[float, Drawn]) -> Dataset:
    """Return one object with the frames of several, each at its depth in micrometres; a frame of 256 bits is whole bytes."""
    made = next(iter(parts.values())).file
    data, groups = b"".join(part.file.PixelData for part in parts.values()), []
    for depth, part in parts.items():
        for group in part.file.PerFrameFunctionalGroupsSequence:
            group.PlanePositionSlideSequence[0].ZOffsetInSlideCoordinateSystem = depth
            groups.append(group)
    made.PerFrameFunctionalGroupsSequence, made.NumberOfFrames, made.PixelData = Sequence(groups), len(groups), data
    return made


def a_mask(seed: int, matrix: tuple[int, int] = MATRIX) -> np.ndarray[Any, Any]:
    return (np.random.default_rng(seed).random(matrix) > 0.6).astype(np.uint8)


def the_label(folder: Path, number: int = 0) -> np.ndarray[Any, Any]:
    (label,) = (folder / "labels").glob("segmentation-*")
    return level(label, number)


def converted(tmp_path: Path, *datasets: Dataset, **options: Any) -> tuple[Any, Path]:
    report = convert(save(tmp_path / "in", datasets), tmp_path / "out", options=ConvertOptions(**options))
    assert report.refused == ()
    assert all(validate_store(tmp_path / "out" / store.path).valid for store in report.stores)
    return report, tmp_path / "out" / report.stores[0].path


@pytest.mark.parametrize("organisation", ["TILED_FULL", "TILED_SPARSE"])
def test_counted_and_stated_tiles_equal_highdicoms_total_pixel_matrix(tmp_path: Path, organisation: str) -> None:
    slide, masks = flat(), np.stack([a_mask(1), a_mask(2) & (1 - a_mask(1))])
    source = drawn(slide, masks, organisation)
    report, folder = converted(tmp_path, slide, source.file)
    assert len(report.stores) == 1
    assert np.array_equal(the_label(folder), source.matrix)
    assert np.array_equal(source.matrix, masks[0] + 2 * masks[1])


@pytest.mark.parametrize("counted", [True, False])
def test_labels_lie_on_the_focal_plane_that_their_frames_state(tmp_path: Path, counted: bool) -> None:
    parts = {depth: drawn(flat(), a_mask(int(depth) + 1)[np.newaxis]) for depth in (4.0, 0.0)}
    report, folder = converted(tmp_path, deep(counted=counted), on_planes(parts))
    (store,) = report.stores
    assert (store.axes, store.shape) == (("z", "y", "x"), (PLANES, *MATRIX))
    assert attributes(folder)["ome"]["multiscales"][0]["datasets"][0]["coordinateTransformations"][0]["scale"] == [0.002, 0.001, 0.001]
    assert attributes(folder)["dicom"]["slide"]["focal_planes_mm"] == [0.0, 0.002, 0.004]
    found = the_label(folder)
    assert np.array_equal(found[0], parts[0.0].matrix)
    assert not found[1].any()
    assert np.array_equal(found[2], parts[4.0].matrix)


def test_a_depth_between_focal_planes_is_a_store_of_its_own(tmp_path: Path) -> None:
    parts = {depth: drawn(flat(), a_mask(int(depth))[np.newaxis]) for depth in (1.0, 3.0)}
    report, _ = converted(tmp_path, deep(counted=True), on_planes(parts))
    own = next(store for store in report.stores if store.kind == "SEG")
    group = tmp_path / "out" / own.path
    assert (own.axes, own.shape) == (("z", "y", "x"), (2, *MATRIX))
    assert attributes(group)["ome"]["multiscales"][0]["datasets"][0]["coordinateTransformations"][0]["scale"] == [0.002, 0.001, 0.001]
    assert np.array_equal(the_label(group), [a_mask(1), a_mask(3)])


@pytest.mark.parametrize(
    ("x_mm", "orientation", "on_it"),
    [(10.0003, None, True), (15.0, None, False), (10.0, [1.0, 0.0, 0.0, 0.0, -1.0, 0.0], False)],
)
def test_a_matrix_of_the_same_size_elsewhere_on_the_glass_is_another_one(
    tmp_path: Path, x_mm: float, orientation: list[float] | None, on_it: bool
) -> None:
    """Pixels are a thousandth of a millimetre: five millimetres beside, or turned, the segmentation belongs to another scan."""
    file = drawn(flat(), a_mask(1)[np.newaxis]).file
    file.TotalPixelMatrixOriginSequence[0].XOffsetInSlideCoordinateSystem = x_mm
    file.ImageOrientationSlide = orientation or file.ImageOrientationSlide
    report, _ = converted(tmp_path, flat(), file)
    assert [bool(store.labels) for store in report.stores if store.kind == "SM"] == [on_it]
    assert [store.kind for store in report.stores if store.kind == "SEG"] == ([] if on_it else ["SEG"])


@pytest.mark.parametrize("ngff", ["0.5", "0.6"])
def test_labels_of_a_lower_level_keep_its_sampling_and_place(tmp_path: Path, ngff: str) -> None:
    """Level 1 has twice the spacing: its first sample lies half a fine sample further in, as that of the image's level 1."""
    low = flat((16, 24), spacing=0.002, number=1)
    source = drawn(low, a_mask(5, (16, 24))[np.newaxis])
    report, folder = converted(tmp_path, flat(), low, source.file, ngff=ngff)
    (store,) = report.stores
    assert np.array_equal(the_label(folder), source.matrix)
    (label,) = (folder / "labels").glob("segmentation-*")
    image, labels = (attributes(group)["ome"]["multiscales"][0]["datasets"] for group in (folder, label))
    assert len(labels) == len(image) == store.levels
    assert steps(labels[0]) == pytest.approx([0.002, 0.002, 0.0005, 0.0005])
    assert steps(labels[0]) == pytest.approx(steps(image[1]))


def steps(dataset: dict[str, Any]) -> list[float]:
    """Return scale and translation of a level in the form of any version."""
    (*listed,) = dataset["coordinateTransformations"]
    if listed[0]["type"] == "sequence":
        listed = listed[0]["transformations"]
    return [*listed[0]["scale"], *(listed[1]["translation"] if len(listed) > 1 else [0.0, 0.0])]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"TotalPixelMatrixFocalPlanes": 2**31}, "focal planes"),
        ({"TotalPixelMatrixFocalPlanes": 2}, "its total pixel matrix"),
        ({"TotalPixelMatrixRows": 10**9}, "its total pixel matrix"),
    ],
)
def test_counts_that_contradict_each_other_are_refused(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    source = drawn(flat(), a_mask(1)[np.newaxis], "TILED_FULL")
    for name, value in change.items():
        setattr(source.file, name, value)
    (refusal,) = convert(save(tmp_path / "in", [source.file]), tmp_path / "out").refused
    assert reason in refusal.reason
