"""Stores before the official JSON Schemas of NGFF: ours pass, what contradicts the specification does not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import zarr
from jsonschema import Draft202012Validator
from ome_zarr.io import parse_url
from ome_zarr.reader import Reader

from convert.builders import a_series, axial_positions, save
from fairlead.convert import ConvertOptions, convert, validate_store
from fairlead.convert.official import FOLDER, OFFICIAL, official_errors

PLATE = {"rows": [{"name": "A"}], "columns": [{"name": "1"}], "wells": [{"path": "A/1", "rowIndex": 0, "columnIndex": 0}]}


def errors(attributes: dict[str, Any], version: str) -> list[str]:
    return [error.message for error in official_errors(attributes, version)]


def attributes_of(store: Path) -> dict[str, Any]:
    return json.loads((store / "zarr.json").read_text())["attributes"]["ome"]


def test_the_schemas_are_whole_and_name_their_licence():
    assert OFFICIAL == ("0.4", "0.5", "0.6")
    assert "CC-BY-4.0" in (FOLDER / "NOTICE.txt").read_text()
    files = sorted(FOLDER.rglob("*.schema"))
    assert len(files) == 24
    for file in files:
        Draft202012Validator.check_schema(json.loads(file.read_text()))


@pytest.mark.parametrize("version", ["0.5", "0.6"])
def test_our_metadata_pass_and_lose_no_required_key_unnoticed(tmp_path, version):
    source = save(tmp_path / "in", a_series(axial_positions(3)))
    (store,) = convert(source, tmp_path / "out", options=ConvertOptions(ngff=version)).stores
    ome = attributes_of(tmp_path / "out" / store.path)
    assert errors(ome, version) == []
    for key in ("axes", "datasets") if version == "0.5" else ("coordinateSystems", "datasets"):
        kept = {name: value for name, value in ome["multiscales"][0].items() if name != key}
        assert any(key in message for message in errors(ome | {"multiscales": [kept]}, version))


@pytest.mark.parametrize(
    ("attributes", "version", "message"),
    [
        ({"version": "0.5", "plate": {**PLATE, "wells": []}}, "0.5", "should be non-empty"),
        ({"version": "0.5", "well": {"images": [{"path": "not a name"}]}}, "0.5", "does not match"),
        ({"version": "0.6", "scene": {"coordinateTransformations": []}}, "0.6", "should be non-empty"),
        ({"plate": {**PLATE, "rows": [{"name": "A B"}]}}, "0.4", "does not match"),
        ({"version": "0.5", "bioformats2raw.layout": 2}, "0.5", "is not one of"),
        ({"version": "0.5", "image-label": {"colors": [{"rgba": [0, 0, 0, 300]}]}}, "0.5", "300 is greater than the maximum"),
    ],
)
def test_groups_of_every_kind_are_judged(attributes, version, message):
    assert any(message in said for said in errors(attributes, version))


@pytest.mark.parametrize("name", ["fiji_2d_testing_2d_dataset_v4", "fiji_4d_testing_xyzc_4d_dataset_v5", "cardio_left_v0.4", "plate_0.4"])
def test_stores_of_others_pass(data, name):
    result = validate_store(data / "ome/zarr" / f"{name}.ome.zarr")
    assert [finding for finding in result.findings if finding.validator == "schema"] == []


def test_the_reader_of_ome_zarr_py_sees_image_labels_and_scale(data, tmp_path):
    report = convert([data / "dicom/ct", data / "dicom/seg"], tmp_path, options=ConvertOptions(geometry="annotate"))
    store = next(store for store in report.stores if len(store.labels) == 4)
    location = parse_url(str(tmp_path / store.path), mode="r")
    assert location is not None
    image, *others = list(Reader(location)())
    assert image.data[0].shape == store.shape
    scale = image.metadata["coordinateTransformations"][0][0]["scale"]
    assert scale == pytest.approx(store.geometry.spacing_mm)
    assert [axis["name"] for axis in image.metadata["axes"]] == list(store.axes)
    labels = zarr.open_group(str(tmp_path / store.path / "labels"), mode="r").attrs["ome"]["labels"]
    assert sorted(labels) == sorted(store.labels)
    assert any("labels" in str(node.zarr) for node in others)
