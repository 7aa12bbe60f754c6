"""Geometry and values that a header or metadata state wrongly: refused with the reason, or kept apart; never guessed."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from convert.builders import a_series, a_slice, save, some_pixels
from convert.test_labels import a_segmentation, mask
from fairlead.convert import ConvertOptions, convert, validate_store
from fairlead.convert.lattice import PlanePose, regular_runs

LEVELS = ((2, 16, 16), (2, 8, 8))


def planes(*depths: float) -> list[PlanePose]:
    return [PlanePose((0.0, 0.0, depth), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0), (0.5, 0.5)) for depth in depths]


@pytest.mark.parametrize(
    ("depths", "runs"),
    [
        ((-99.48, 103.02, 104.27, 105.52), [[0], [1, 2, 3]]),
        ((0, 1, 2, 100, 150), [[0, 1, 2], [3], [4]]),
        ((0, 1, 6, 11, 12), [[0, 1], [2], [3, 4]]),
        ((0, 2.5, 5, 6.25, 7.5), [[0, 1, 2], [3, 4]]),
        ((0, 5), [[0, 1]]),
        ((0, 2.5, 5, 7.5, 8.75, 10), [[0, 1, 2, 3], [4, 5]]),
    ],
)
def test_two_slices_far_apart_are_no_run_beside_nearer_ones(depths: tuple[float, ...], runs: list[list[int]]) -> None:
    assert regular_runs(planes(*depths)) == runs


def test_frames_at_other_depths_than_far_slices_are_a_store_of_their_own(tmp_path: Path) -> None:
    """Two slices 200 mm apart: two hundredths of their step would take in three slices of a segmentation."""
    save(tmp_path / "in/ct", a_series([[0.0, 0.0, 0.0], [0.0, 0.0, 200.0]]))
    frames = [(1, [0.0, 0.0, depth], mask(1)) for depth in (200.0, 201.25, 202.5)]
    save(tmp_path / "in/seg", [a_segmentation(frames)])
    report = convert(tmp_path / "in", tmp_path / "out")
    assert report.refused == ()
    assert sorted((store.kind, store.shape[0]) for store in report.stores) == [("CT", 2), ("SEG", 3)]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"PixelSpacing": [0, 0]}, "PixelSpacing is no pair of positive distances"),
        ({"PixelSpacing": [-0.5, 0.5]}, "PixelSpacing is no pair of positive distances"),
        ({"PixelSpacing": 0.5}, "PixelSpacing is no pair of positive distances"),
        ({"ImagePositionPatient": [1.0, 2.0]}, "ImagePositionPatient has not 3 values"),
        ({"ImageOrientationPatient": [1.0, 0.0, 0.0]}, "ImageOrientationPatient has not 6 values"),
        ({"RescaleSlope": "1e300"}, "makes values that float32 cannot hold"),
        ({"RescaleIntercept": "-1e300"}, "makes values that float32 cannot hold"),
        ({"RescaleSlope": "1e-300"}, "so small that all values would become one"),
    ],
)
def test_broken_places_and_scales_are_refused_with_the_reason(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        source = save(tmp_path / "in", [a_slice(0, (0.0, 0.0, 0.0), some_pixels(0), **changes)])
    report = convert(source, tmp_path / "out")
    assert report.stores == ()
    assert reason in report.refused[0].reason


@pytest.mark.parametrize("empty", ["PixelSpacing", "ImagePositionPatient"])
def test_what_is_not_stated_is_no_error(tmp_path: Path, empty: str) -> None:
    source = save(tmp_path / "in", [a_slice(0, (0.0, 0.0, 0.0), some_pixels(0), **{empty: None})])
    (store,) = convert(source, tmp_path / "out").stores
    assert store.geometry.verdict == "none"


def an_image(folder: Path, **changes: Any) -> Path:
    """Write a valid OME-Zarr 0.5 of two channels and two levels."""
    group = zarr.open_group(str(folder), mode="w", zarr_format=3)
    for number, shape in enumerate(LEVELS):
        array = group.create_array(str(number), shape=shape, chunks=shape, dtype="u2", dimension_names=("c", "y", "x"))
        array[:] = np.arange(np.prod(shape)).reshape(shape)
    datasets = [
        {"path": str(number), "coordinateTransformations": [{"type": "scale", "scale": [1.0, 2.0**number, 2.0**number]}]}
        for number in range(2)
    ]
    axes = [{"name": "c", "type": "channel"}, {"name": "y", "type": "space"}, {"name": "x", "type": "space"}]
    image = {"axes": axes, "datasets": datasets} | changes
    if "path" in changes:
        image["datasets"][1]["path"] = image.pop("path")
    group.attrs["ome"] = {"version": "0.5", "multiscales": [image]}
    return folder


@pytest.mark.parametrize("ngff", ["0.5", "0.6"])
@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"path": "0"}, "or one twice"), ({"axes": "zyx"}, "lack what an image needs")],
)
def test_metadata_that_contradict_the_arrays_are_refused(tmp_path: Path, ngff: str, changes: dict[str, Any], reason: str) -> None:
    source = an_image(tmp_path / "in.ome.zarr", **changes)
    report = convert(source, tmp_path / "out", options=ConvertOptions(ngff=ngff))
    assert report.stores == ()
    assert reason in report.refused[0].reason


@pytest.mark.parametrize("ngff", ["0.5", "0.6"])
def test_a_level_whose_size_contradicts_its_scale_is_refused(tmp_path: Path, ngff: str) -> None:
    source = an_image(tmp_path / "in.ome.zarr")
    root = source / "zarr.json"
    document = json.loads(root.read_text())
    document["attributes"]["ome"]["multiscales"][0]["datasets"][1]["coordinateTransformations"][0]["scale"] = [1.0, 4.0, 4.0]
    root.write_text(json.dumps(document))
    assert validate_store(source).valid
    (refusal,) = convert(source, tmp_path / "out", options=ConvertOptions(ngff=ngff)).refused
    assert "A level has 8 samples along y, but a scale for 4." in refusal.reason
