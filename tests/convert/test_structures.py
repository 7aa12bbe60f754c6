"""Contours of structure sets become labels: voxels whose centre lies inside, on slices only, holes by the even-odd rule."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from skimage.draw import polygon2mask

from convert.builders import FRAME_OF_REFERENCE, SERIES, STUDY, a_series, axial_positions, save
from fairlead.convert import ConvertOptions, convert, validate_store
from fairlead.convert.contours import area
from fairlead.errors import UnsupportedInput

POSITIONS = axial_positions(4)
"""Toward the feet; the store counts from the last one."""


def item(**values: Any) -> Dataset:
    dataset = Dataset()
    for name, value in values.items():
        setattr(dataset, name, value)
    return dataset


def ring(slice_number: int, corners: list[tuple[float, float]], *, lift: float = 0.0) -> Dataset:
    """Return a closed contour through (row, column) places on a slice of the series."""
    x, y, z = POSITIONS[len(POSITIONS) - 1 - slice_number]
    points = [part for row, column in corners for part in (x + column * 0.75, y + row * 0.5, z + lift)]
    return item(ContourGeometricType="CLOSED_PLANAR", NumberOfContourPoints=len(corners), ContourData=points)


def box(top: float, left: float, bottom: float, right: float) -> list[tuple[float, float]]:
    return [(top, left), (top, right), (bottom, right), (bottom, left)]


def a_structure_set(contours: dict[str, list[Dataset]]) -> Dataset:
    dataset = a_series([[0.0, 0.0, 0.0]])[0]
    for name in [element.keyword for element in dataset if element.tag.group in {0x0028, 0x7FE0}]:
        delattr(dataset, name)
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.SeriesInstanceUID = "1.2.840.10008.5.1.4.1.1.481.3", f"{STUDY}.88", f"{STUDY}.8"
    dataset.Modality, dataset.StructureSetLabel = "RTSTRUCT", "Zqmiller"
    named = enumerate(contours, start=11)
    dataset.StructureSetROISequence = [
        item(ROINumber=number, ROIName=name, ReferencedFrameOfReferenceUID=FRAME_OF_REFERENCE) for number, name in named
    ]
    dataset.ROIContourSequence = [
        item(ReferencedROINumber=number, ROIDisplayColor=[255, number, 0], ContourSequence=rings)
        for number, rings in enumerate(contours.values(), start=11)
    ]
    dataset.RTROIObservationsSequence = [item(ReferencedROINumber=11, RTROIInterpretedType="ORGAN", ROIInterpreter="Zqmiller")]
    return dataset


def converted(folder: Path, contours: dict[str, list[Dataset]], **options: Any) -> Any:
    save(folder / "in", [*a_series(POSITIONS), a_structure_set(contours)])
    return convert(folder / "in", folder / "out", options=ConvertOptions(**({"rtstruct": "labels"} | options)))


def test_contours_become_labels_with_holes_colours_and_known_words(tmp_path: Path) -> None:
    liver = [ring(1, box(1.5, 2.5, 8.5, 9.5)), ring(1, box(3.5, 4.5, 5.5, 6.5)), ring(2, box(-9, -9, 90, 1.2))]
    report = converted(tmp_path, {"Liver": liver, "Zqmiller": [ring(1, box(0.5, 10.5, 2.5, 13.5))]})
    (store,) = report.stores
    assert (report.refused, len(store.labels), store.shape) == ((), 1, (4, 12, 16))
    folder = tmp_path / "out" / store.path / "labels" / store.labels[0]
    expected = np.zeros((4, 12, 16), np.uint8)
    expected[1, 2:9, 3:10], expected[1, 4:6, 5:7], expected[2, :, :2], expected[1, 1:3, 11:14] = 1, 0, 1, 2
    assert np.array_equal(zarr.open_array(str(folder / "0"))[:], expected)
    label = json.loads((folder / "zarr.json").read_text())["attributes"]["ome"]["image-label"]
    assert label["properties"] == [
        {"label-value": 1, "label": "Liver", "role": "ORGAN"},
        {"label-value": 2, "label": "structure 2"},
    ]
    assert label["colors"][1]["rgba"] == [255, 12, 0, 255]
    assert validate_store(tmp_path / "out" / store.path).valid
    written = b"".join(file.read_bytes() for file in (tmp_path / "out").rglob("zarr.json"))
    assert b"Zqmiller" not in written


def test_structures_that_overlap_open_another_label_image(tmp_path: Path) -> None:
    report = converted(tmp_path, {"Liver": [ring(0, box(1, 1, 5, 5))], "Tumor": [ring(0, box(2, 2, 4, 4))]})
    assert len(report.stores[0].labels) == 2


def test_contours_between_slices_are_refused_and_the_image_is_not(tmp_path: Path) -> None:
    report = converted(tmp_path, {"Liver": [ring(1, box(1, 1, 5, 5), lift=0.5), ring(2, box(1, 1, 5, 5), lift=0.05)]})
    assert report.stores[0].labels == ()
    assert report.refused[0].reason.startswith("1 of 2 contours do not lie on slices")


def test_structure_sets_stay_dicom_unless_labels_are_asked_for(tmp_path: Path) -> None:
    report = converted(tmp_path, {"Liver": [ring(1, box(1, 1, 5, 5))]}, rtstruct="keep")
    assert (report.stores[0].labels, len(report.refused)) == ((), 1)
    assert "--rtstruct labels" in report.refused[0].reason
    with pytest.raises(UnsupportedInput):
        convert(tmp_path / "in", tmp_path / "other", options=ConvertOptions(rtstruct="guess"))


def test_a_structure_set_without_its_image_or_with_broken_contours_is_refused(tmp_path: Path) -> None:
    alone = save(tmp_path / "alone", [a_structure_set({"Liver": [ring(1, box(1, 1, 5, 5))]})])
    assert "not among the sources" in convert(alone, tmp_path / "out", options=ConvertOptions(rtstruct="labels")).refused[0].reason
    broken = ring(1, box(1, 1, 5, 5))
    broken.ContourData = broken.ContourData[:6]
    assert "no three points" in converted(tmp_path, {"Liver": [broken]}).refused[0].reason
    assert SERIES not in str(list((tmp_path / "out").iterdir()))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(-6, 26), st.floats(-6, 30)), min_size=3, max_size=9))
def test_areas_equal_those_of_an_independent_rasteriser(corners: list[tuple[float, float]]) -> None:
    contour = np.asarray(corners)
    rows, columns = np.mgrid[:20, :24]
    clear = np.ones((20, 24), bool)
    for (r, c), (down, right) in zip(contour, np.roll(contour, -1, axis=0) - contour, strict=True):
        clear &= np.abs((rows - r) * right - (columns - c) * down) > 1e-9  # a centre on an edge: conventions and rounding differ
    assert np.array_equal(area([contour], 20, 24)[clear], polygon2mask((20, 24), contour)[clear])
