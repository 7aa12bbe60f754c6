"""Dose grids and parametric maps: planes by offsets, values by scaling, real numbers as they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import zarr
from pydicom.dataset import Dataset

from convert.builders import a_slice, save, some_pixels
from fairlead.convert import convert


def level(store: Path) -> np.ndarray:
    return np.asarray(zarr.open_array(str(store / "0"), mode="r")[:])


def a_dose(offsets: list[float], **changes: Any) -> Dataset:
    planes = np.stack([some_pixels(number) for number in range(len(offsets))]).astype("<u4")
    dataset = a_slice(0, [10.0, 20.0, 30.0], planes[0])
    del dataset.RescaleSlope, dataset.RescaleIntercept, dataset.WindowCenter, dataset.WindowWidth
    dataset.SOPClassUID, dataset.Modality = "1.2.840.10008.5.1.4.1.1.481.2", "RTDOSE"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 32, 32, 31
    dataset.NumberOfFrames, dataset.GridFrameOffsetVector = len(offsets), offsets
    dataset.DoseGridScaling, dataset.DoseUnits, dataset.DoseType = "0.001", "GY", "PHYSICAL"
    dataset.PixelData = planes.tobytes()
    for name, value in changes.items():
        setattr(dataset, name, value)
    return dataset


def test_the_real_dose_equals_stored_values_times_scaling(data, tmp_path):
    file = data / "dicom/rt/rtdose.dcm"
    (store,) = convert(file, tmp_path).stores
    stored = pydicom.dcmread(file, force=True)
    assert (store.kind, store.shape, store.geometry.verdict) == ("RTDOSE", (15, 10, 10), "regular")
    assert store.geometry.spacing_mm == (5.0, 10.0, 10.0)
    assert np.allclose(level(tmp_path / store.path), stored.pixel_array * float(stored.DoseGridScaling), rtol=1e-6)


@pytest.mark.parametrize("offsets", [[0.0, 2.0, 4.0], [30.0, 32.0, 34.0]], ids=["relative", "absolute"])
def test_both_ways_of_giving_offsets_lead_to_the_same_place(tmp_path, offsets):
    (store,) = convert(save(tmp_path / "in", [a_dose(offsets)]), tmp_path / "out").stores
    assert store.geometry.affine is not None
    assert [row[3] for row in store.geometry.affine[:3]] == [10.0, 20.0, 30.0]
    assert [row[0] for row in store.geometry.affine[:3]] == [0.0, 0.0, 2.0]
    facts = json.loads((tmp_path / "out" / store.path / "zarr.json").read_text())["attributes"]["dicom"]["facts"]
    assert (facts["DoseUnits"], facts["DoseType"]) == ("GY", "PHYSICAL")


def test_offsets_toward_the_feet_are_turned_toward_the_head(tmp_path):
    (store,) = convert(save(tmp_path / "in", [a_dose([0.0, -2.0, -4.0])]), tmp_path / "out").stores
    expected = np.stack([some_pixels(number) for number in (2, 1, 0)]) * 0.001
    assert np.allclose(level(tmp_path / "out" / store.path), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"GridFrameOffsetVector": [0.0, 2.0]}, "3 planes, but 2 offsets"),
        ({"DoseGridScaling": "0"}, "what its values mean"),
        ({"GridFrameOffsetVector": [7.0, 9.0, 11.0]}, "neither relative nor patient z"),
        ({"GridFrameOffsetVector": [0.0, 2.0, 9.0]}, "spacing varies"),
    ],
)
def test_a_dose_that_cannot_be_placed_or_scaled_is_refused(tmp_path, changes, reason):
    report = convert(save(tmp_path / "in", [a_dose([0.0, 2.0, 4.0], **changes)]), tmp_path / "out")
    assert report.stores == ()
    assert reason in report.refused[0].reason


def test_a_parametric_map_keeps_its_real_numbers(data, tmp_path):
    file = data / "dicom/pm/parametric_map_float.dcm"
    (store,) = convert(file, tmp_path).stores
    assert (store.dtype, store.geometry.verdict) == ("float32", "single")
    assert np.array_equal(level(tmp_path / store.path), pydicom.dcmread(file).pixel_array.reshape(128, 128))


def test_a_parametric_map_is_scaled_by_its_real_world_mapping(data, tmp_path):
    dataset = pydicom.dcmread(data / "dicom/pm/parametric_map_float.dcm")
    mapping = dataset.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
    mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept = 2.0, 5.0
    (tmp_path / "in").mkdir()
    dataset.save_as(tmp_path / "in/a.dcm")
    (store,) = convert(tmp_path / "in", tmp_path / "out").stores
    assert np.allclose(level(tmp_path / "out" / store.path), dataset.pixel_array.reshape(128, 128) * 2 + 5)
