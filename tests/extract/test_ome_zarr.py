from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from extract.builders import KEY, an_ome_xml, received, the_record, the_refusal
from fairlead.errors import FairleadError, UnreadableImage, UnsupportedInput
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
        ({"plate": {"version": "0.4"}}, None, UnreadableImage, "no list of the wells"),
        ({"plate": {"version": "0.4", "wells": []}}, None, UnreadableImage, "lists no image"),
        ({"plate": {"version": "0.4", "wells": [{"path": "../A"}]}}, None, UnreadableImage, "out of the folder"),
        ({"plate": {"version": "0.4", "wells": [{"path": 7}]}}, None, UnreadableImage, "out of the folder"),
        ({"plate": {"version": "0.4", "wells": [{"path": "A/1"}]}}, None, UnsupportedInput, "no multiscales"),
        ({"well": {"version": "0.4", "images": [{"path": "/0"}]}}, None, UnreadableImage, "out of the folder"),
        ({"well": {"version": "0.4", "images": "0"}}, None, UnreadableImage, "no list of the images"),
        ({"bioformats2raw.layout": 3}, None, UnsupportedInput, "no multiscales"),
        ({"image-label": {}}, None, UnsupportedInput, "no multiscales"),
        ({"multiscales": [{**MULTISCALE, "version": "0.9"}]}, None, UnsupportedInput, "another version than 0.1 to 0.6"),
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
    monkeypatch.setattr("fairlead.extract.zarr_groups.JSON_LIMIT_BYTES", 10)
    store = a_store(tmp_path / "a.zarr", {"multiscales": [MULTISCALE]})
    assert "larger than" in the_refusal(store, catalogue).reason


@pytest.mark.parametrize(("dtype", "name"), [("<u2", "uint16"), ("|i1", "int8"), (">f4", "float32"), ("|b1", "bool"), ("odd", "odd")])
def test_the_pixel_type_has_one_name(tmp_path: Path, catalogue: FieldCatalogue, dtype: str, name: str) -> None:
    store = a_store(tmp_path / "a.zarr", {"multiscales": [MULTISCALE]}, {"shape": [2, 3, 8, 9], "dtype": dtype})
    assert catalogue.values(the_record(store, catalogue))["ome.pixel_type"] == (name,)


NAMES = ["c", "z", "y", "x"]
SYSTEM_06 = {
    "name": "sample",
    "coordinateSystems": [{"name": "scanner", "axes": AXES[::-1]}, {"name": "intrinsic", "axes": AXES}],
    "datasets": [
        {
            "path": "0",
            "coordinateTransformations": [
                {
                    "type": "sequence",
                    "input": {"path": "0"},
                    "output": {"name": "intrinsic"},
                    "transformations": [
                        {"type": "scale", "scale": [1, 2, 500, 0.25]},
                        {"type": "translation", "translation": [0, 1, 1, 1]},
                    ],
                }
            ],
        }
    ],
}


@pytest.mark.parametrize(
    ("version", "multiscale", "array", "order", "spacing"),
    [
        ("0.1", {"datasets": [{"path": "0"}]}, [1, 2, 3, 8, 9], "tczyx", None),
        ("0.2", {"datasets": [{"path": "0"}]}, [1, 2, 3, 8, 9], "tczyx", None),
        ("0.3", {"axes": NAMES, "datasets": [{"path": "0"}]}, [2, 3, 8, 9], "czyx", None),
        ("0.4", MULTISCALE, [2, 3, 8, 9], "czyx", 0.25),
        ("0.5", MULTISCALE, [2, 3, 8, 9], "czyx", 0.25),
        ("0.6", SYSTEM_06, [2, 3, 8, 9], "czyx", 0.25),
    ],
)
def test_every_version_of_the_format_says_the_same(
    tmp_path: Path, catalogue: FieldCatalogue, version: str, multiscale: dict[str, Any], array: list[int], order: str, spacing: float | None
) -> None:
    if version < "0.5":
        store = a_store(tmp_path / "a.zarr", {"multiscales": [{**multiscale, "version": version}]}, {"shape": array, "dtype": "<u2"})
    else:
        store = a_store(tmp_path / "a.zarr", {"version": version, "multiscales": [multiscale]}, version=3)
    record = the_record(store, catalogue)
    values, geometry = catalogue.values(record), record.core.geometry
    assert (values["ome.schema"], values["ome.dimension_order"]) == ((version,), (order,))
    assert (geometry.size_x, geometry.size_z, geometry.size_c, geometry.spacing_x_mm) == (9, 3, 2, spacing)


def a_plate(folder: Path, *, missing: bool = False) -> Path:
    wells = {"A/1": ["0", "1"], "B/2": ["0"]}
    plate = {"name": "Screen 7", "version": "0.4", "wells": [{"path": path} for path in wells] + [{"path": "C/3"}] * missing}
    folder.mkdir()
    (folder / ".zattrs").write_text(json.dumps({"plate": plate}))
    for path, fields in wells.items():
        for field in fields:
            a_store(folder / path / field, {"multiscales": [MULTISCALE]})
        (folder / path / ".zattrs").write_text(json.dumps({"well": {"version": "0.4", "images": [{"path": field} for field in fields]}}))
    return folder


def test_a_plate_gives_a_record_for_every_field(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    records = read_file(received(a_plate(tmp_path / "plate.ome.zarr")), catalogue=catalogue, key=KEY)
    facts = [[catalogue.values(record)[name][0] for name in ("ome.plate", "ome.well", "ome.image_path")] for record in records]
    assert facts == [["Screen 7", "A1", "A/1/0"], ["Screen 7", "A1", "A/1/1"], ["Screen 7", "B2", "B/2/0"]]
    assert [record.core.source.image_index for record in records] == [0, 1, 2]
    assert len({record.id for record in records}) == 3
    assert len({record.core.study_uid for record in records}) == 1


def test_an_image_that_is_listed_twice_is_one_record(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    plate = a_plate(tmp_path / "plate.ome.zarr")
    wells = [{"path": path} for path in ("A/1", "A/1", "./A/1", "A//1", "B/2")]
    (plate / ".zattrs").write_text(json.dumps({"plate": {"version": "0.4", "wells": wells}}))
    again = {"version": "0.4", "images": [{"path": "0"}, {"path": "0"}, {"path": "./0"}]}
    (plate / "B" / "2" / ".zattrs").write_text(json.dumps({"well": again}))
    records = read_file(received(plate), catalogue=catalogue, key=KEY)
    assert [catalogue.values(record)["ome.image_path"] for record in records] == [("A/1/0",), ("A/1/1",), ("B/2/0",)]


def test_a_well_without_its_plate_is_read_too(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    records = read_file(received(a_plate(tmp_path / "plate.ome.zarr") / "A" / "1"), catalogue=catalogue, key=KEY)
    assert [catalogue.values(record)["ome.image_path"] for record in records] == [("0",), ("1",)]


def test_a_field_that_is_not_there_is_told_by_the_others(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    records = read_file(received(a_plate(tmp_path / "plate.ome.zarr", missing=True)), catalogue=catalogue, key=KEY)
    assert [record.core.source.image_index for record in records] == [0, 1, 2]
    assert all("missing-images" in [finding.code for finding in record.findings] for record in records)


def test_a_collection_without_end_is_refused(tmp_path: Path, catalogue: FieldCatalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairlead.extract.zarr_groups.MAX_IMAGES", 2)
    assert "more than 2 images" in the_refusal(a_plate(tmp_path / "plate.ome.zarr"), catalogue).reason


@pytest.mark.parametrize("listed", [True, False])
def test_a_bioformats2raw_collection_is_answered_by_its_ome_xml_too(tmp_path: Path, catalogue: FieldCatalogue, listed: bool) -> None:
    store = tmp_path / "a.zarr"
    for number in (0, 1):
        a_store(store / str(number), {"multiscales": [MULTISCALE]})
    (store / "OME").mkdir()
    (store / ".zattrs").write_text('{"bioformats2raw.layout": 3}')
    (store / "OME" / ".zattrs").write_text(json.dumps({"series": ["1", "0"]} if listed else {}))
    text = an_ome_xml().replace("</OME>", an_ome_xml(inside='<Channel ID="Channel:0" Fluor="GFP"/>').partition('2016-06">')[2])
    (store / "OME" / "METADATA.ome.xml").write_text(text)
    records = read_file(received(store), catalogue=catalogue, key=KEY)
    dyes = {catalogue.values(record)["ome.image_path"][0]: catalogue.values(record).get("ome.fluorophore") for record in records}
    assert dyes == ({"1": None, "0": ("GFP",)} if listed else {"0": None, "1": ("GFP",)})
    assert all(record.core.geometry.size_x == 9 for record in records)


@pytest.mark.parametrize("text", ["<broken", "<a/>", an_ome_xml().replace("Pixels", "Dots")])
def test_ome_xml_of_a_collection_that_cannot_be_read_adds_nothing(tmp_path: Path, catalogue: FieldCatalogue, text: str) -> None:
    store = tmp_path / "a.zarr"
    a_store(store / "0", {"multiscales": [MULTISCALE]})
    (store / "OME").mkdir()
    (store / ".zattrs").write_text('{"bioformats2raw.layout": 3}')
    (store / "OME" / "METADATA.ome.xml").write_text(text)
    assert the_record(store, catalogue).core.geometry.size_x == 9


def test_label_images_are_named(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    store = a_store(tmp_path / "a.zarr", {"multiscales": [MULTISCALE]})
    (store / "labels").mkdir()
    (store / "labels" / ".zattrs").write_text('{"labels": ["nuclei", 7, "cells"]}')
    assert catalogue.values(the_record(store, catalogue))["ome.labels"] == ("cells", "nuclei")
    (store / "labels" / ".zattrs").write_text("[")
    assert "ome.labels" not in catalogue.values(the_record(store, catalogue))


KEYS = [
    *("multiscales", "version", "axes", "datasets", "path", "plate", "well", "wells", "images", "bioformats2raw.layout", "series", "name"),
    *("coordinateSystems", "coordinateTransformations", "type", "scale", "transformations", "output", "omero", "channels", "label", "unit"),
]
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 3) | st.floats() | st.sampled_from(["0", "..", "0.4", "0.6", "x", "A/1", "intrinsic"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)


def spoilt(document: Any, at: int, junk: Any) -> Any:
    """Return a document with one of its values, in the order of a walk, replaced."""
    places: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        for key in list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
            places.append((value, key))
            walk(value[key])

    document = json.loads(json.dumps(document))
    walk(document)
    owner, key = places[at % len(places)]
    owner[key] = junk
    return document


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(at=st.integers(0, 100), junk=JUNK, which=st.sampled_from(["0.4", "0.6", "plate", "any"]))
def test_no_metadata_is_ever_more_than_a_refusal(
    tmp_path_factory: pytest.TempPathFactory, catalogue: FieldCatalogue, *, at: int, junk: Any, which: str
) -> None:
    folder = tmp_path_factory.mktemp("store") / "a.zarr"
    if which == "plate":
        store = a_plate(folder)
        (store / ".zattrs").write_text(json.dumps(spoilt(json.loads((store / ".zattrs").read_text()), at, junk)))
    elif which == "0.6":
        store = a_store(folder, spoilt({"version": "0.6", "multiscales": [SYSTEM_06]}, at, junk), version=3)
    else:
        store = a_store(folder, spoilt({"multiscales": [MULTISCALE]}, at, junk) if which == "0.4" else {"multiscales": junk, "plate": junk})
    with suppress(FairleadError):
        assert read_file(received(store), catalogue=catalogue, key=KEY)
