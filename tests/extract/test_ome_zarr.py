from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from extract.builders import KEY, received, the_record, the_refusal
from fairlead.errors import UnreadableImage, UnsupportedInput
from fairlead.extract import FieldCatalogue, read_file

AXES = [
    {"name": "c", "type": "channel"},
    {"name": "z", "type": "space", "unit": "micrometer"},
    {"name": "y", "type": "space", "unit": "nanometer"},
    {"name": "x", "type": "space", "unit": "millimeter"},
]
MULTISCALE = {
    "version": "0.4",
    "name": "sample",
    "axes": AXES,
    "datasets": [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1, 2, 500, 0.25]}]}],
}


def a_store(folder: Path, metadata: Any, array: Any = None, *, version: int = 2, chunk: bool = True) -> Path:
    level = folder / "0"
    level.mkdir(parents=True)
    if version == 2:
        (folder / ".zgroup").write_text('{"zarr_format": 2}')
        (folder / ".zattrs").write_text(metadata if isinstance(metadata, str) else json.dumps(metadata))
        (level / ".zarray").write_text(json.dumps(array or {"shape": [2, 3, 8, 9], "dtype": "<u2"}))
    else:
        (folder / "zarr.json").write_text(json.dumps({"zarr_format": 3, "node_type": "group", "attributes": {"ome": metadata}}))
        (level / "zarr.json").write_text(json.dumps(array or {"shape": [2, 3, 8, 9], "data_type": "uint16"}))
    if chunk:
        (level / "0").write_bytes(b"x")
    return folder


@pytest.mark.parametrize("version", [2, 3])
def test_a_single_image_becomes_a_record_from_its_metadata(tmp_path: Path, catalogue: FieldCatalogue, version: int) -> None:
    multiscale = MULTISCALE if version == 2 else {key: value for key, value in MULTISCALE.items() if key != "version"}
    metadata = {"multiscales": [multiscale], "omero": {"channels": [{"label": "DAPI"}, {"label": "GFP"}]}}
    store = a_store(tmp_path / "a.ome.zarr", metadata if version == 2 else {"version": "0.5", **metadata}, version=version)
    record = the_record(store, catalogue)
    geometry = record.core.geometry
    assert (geometry.size_x, geometry.size_y, geometry.size_z, geometry.size_c, geometry.size_t) == (9, 8, 3, 2, 1)
    assert (geometry.spacing_x_mm, geometry.spacing_y_mm, geometry.spacing_z_mm) == (0.25, 0.0005, 0.002)
    values = catalogue.values(record)
    assert values["ome.channel_name"] == ("DAPI", "GFP")
    assert (values["ome.pixel_type"], values["ome.schema"]) == (("uint16",), ("0.4" if version == 2 else "0.5",))
    assert (values["ome.format"], values["ome.dimension_order"], values["series.description"]) == (("OME-Zarr",), ("czyx",), ("sample",))


def test_a_scale_without_a_unit_is_no_length(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    axes = [{"name": name} for name in "czyx"]
    store = a_store(tmp_path / "a.zarr", {"multiscales": [{**MULTISCALE, "axes": axes}]})
    assert the_record(store, catalogue).core.geometry.spacing_x_mm is None


def test_a_store_without_chunks_is_flagged(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    store = a_store(tmp_path / "a.zarr", {"multiscales": [MULTISCALE]}, chunk=False)
    assert "no-chunks" in [finding.code for finding in the_record(store, catalogue).findings]


@pytest.mark.parametrize(
    ("metadata", "array", "error", "message"),
    [
        ({"plate": {}}, None, UnsupportedInput, "a collection .plate."),
        ({"bioformats2raw.layout": 3}, None, UnsupportedInput, "a collection .bioformats2raw."),
        ({"multiscales": [{**MULTISCALE, "version": "0.3"}]}, None, UnsupportedInput, "another version than 0.4 or 0.5"),
        ({"multiscales": [{**MULTISCALE, "version": ["0.4"]}]}, None, UnsupportedInput, "another version"),
        ({"multiscales": {}}, None, UnsupportedInput, "no multiscales"),
        ({}, None, UnsupportedInput, "no OME metadata"),
        ("[1]", None, UnreadableImage, "no JSON object"),
        ("{", None, UnreadableImage, "not JSON"),
        ('{"a":' * 50_000, None, UnreadableImage, "not JSON"),
        ({"multiscales": [{**MULTISCALE, "axes": None}]}, None, UnreadableImage, "states no axes"),
        ({"multiscales": [{**MULTISCALE, "axes": [{"name": "q"}]}]}, None, UnreadableImage, "not a selection"),
        ({"multiscales": [{**MULTISCALE, "axes": AXES[1:]}]}, None, UnreadableImage, "another number of dimensions"),
        ({"multiscales": [{**MULTISCALE, "datasets": []}]}, None, UnreadableImage, "lists no dataset"),
        ({"multiscales": [{**MULTISCALE, "datasets": [{"path": "7"}]}]}, None, UnreadableImage, "not there"),
        ({"multiscales": [{**MULTISCALE, "datasets": [{"path": "0"}, 5]}]}, None, UnreadableImage, "out of the folder"),
        ({"multiscales": [{**MULTISCALE, "datasets": [{"path": "../x"}]}]}, None, UnreadableImage, "out of the folder"),
        ({"multiscales": [{**MULTISCALE, "datasets": [{"path": "/etc"}]}]}, None, UnreadableImage, "out of the folder"),
        ({"multiscales": [MULTISCALE]}, {"shape": [0, 1, 2, 3], "dtype": "<u2"}, UnreadableImage, "no valid shape"),
    ],
)
def test_a_store_that_this_room_does_not_read_is_refused_by_name(
    tmp_path: Path, catalogue: FieldCatalogue, metadata: Any, array: Any, error: type[Exception], message: str
) -> None:
    store = a_store(tmp_path / "a.zarr", metadata, array)
    with pytest.raises(error, match=message):
        read_file(received(store), catalogue=catalogue, key=KEY)


def test_a_group_of_zarr_3_without_ome_is_refused(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    store = a_store(tmp_path / "a.zarr", None, version=3)
    assert the_refusal(store, catalogue).code == "unsupported"


def test_metadata_of_monstrous_size_is_refused(tmp_path: Path, catalogue: FieldCatalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairlead.extract.ome_zarr.JSON_LIMIT_BYTES", 10)
    store = a_store(tmp_path / "a.zarr", {"multiscales": [MULTISCALE]})
    assert "larger than" in the_refusal(store, catalogue).reason


@pytest.mark.parametrize(("dtype", "name"), [("<u2", "uint16"), ("|i1", "int8"), (">f4", "float32"), ("|b1", "bool"), ("odd", "odd")])
def test_the_pixel_type_has_one_name(tmp_path: Path, catalogue: FieldCatalogue, dtype: str, name: str) -> None:
    store = a_store(tmp_path / "a.zarr", {"multiscales": [MULTISCALE]}, {"shape": [2, 3, 8, 9], "dtype": dtype})
    assert catalogue.values(the_record(store, catalogue))["ome.pixel_type"] == (name,)
