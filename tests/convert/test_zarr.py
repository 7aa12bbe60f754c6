"""OME-Zarr in, OME-Zarr out: copied when valid, upgraded when old, with labels, plates and collections."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from ome_zarr_models import open_ome_zarr

from fairlead.convert import ConvertOptions, convert, validate_store

whole = partial(convert, options=ConvertOptions(whole_plates=True))

SCALE_2D = [{"type": "scale", "scale": [0.5, 0.5]}]
YX = [{"name": "y", "type": "space", "unit": "micrometer"}, {"name": "x", "type": "space", "unit": "micrometer"}]


def ome(group: Path) -> dict[str, Any]:
    return json.loads((group / "zarr.json").read_text())["attributes"]["ome"]


def level(group: Path, number: int | str = 0) -> np.ndarray:
    return np.asarray(zarr.open_array(str(group / str(number)), mode="r")[:])


def picture(seed: int = 0, shape: tuple[int, ...] = (6, 8)) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 200, shape, dtype=np.uint8)


def a_group(path: Path, attributes: dict[str, Any], *, version: int = 3) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    if version == 3:
        (path / "zarr.json").write_text(json.dumps({"zarr_format": 3, "node_type": "group", "attributes": attributes}))
    else:
        (path / ".zgroup").write_text('{"zarr_format": 2}')
        (path / ".zattrs").write_text(json.dumps(attributes))
    return path


def an_image(path: Path, attributes: dict[str, Any], *levels: np.ndarray, version: int = 3) -> Path:
    a_group(path, attributes, version=version)
    for number, values in enumerate(levels):
        names = {"dimension_names": "tczyx"[-values.ndim :]} if version == 3 else {}
        zarr.create_array(str(path / str(number)), data=values, zarr_format=version, chunks=values.shape, **names)  # type: ignore[arg-type]
    return path


def image_05(name: str = "x") -> dict[str, Any]:
    datasets = [{"path": "0", "coordinateTransformations": SCALE_2D}]
    return {"ome": {"version": "0.5", "multiscales": [{"name": name, "axes": YX, "datasets": datasets}]}}


def files(store: Path) -> dict[str, bytes]:
    return {path.relative_to(store).as_posix(): path.read_bytes() for path in store.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["fiji_2d_testing_2d_dataset_v5.ome.zarr", "fiji_4d_testing_xyzc_4d_dataset_v5.ome.zarr"])
def test_chunks_of_a_valid_store_are_published_again_byte_for_byte(data, tmp_path, name):
    source = data / "ome/zarr" / name
    (store,) = convert(source, tmp_path).stores
    mine, theirs = files(tmp_path / store.path), files(source)
    assert mine.keys() == theirs.keys()
    assert {path: mine[path] for path in mine if "/c/" in path} == {path: theirs[path] for path in theirs if "/c/" in path}
    assert "name" not in ome(tmp_path / store.path)["multiscales"][0]


def test_what_metadata_do_not_name_stays_behind(tmp_path):
    attributes = image_05() | {"operator": "Doe^Jane"}
    source = an_image(tmp_path / "in.zarr", attributes, picture())
    a_group(source / "tables", {"patient": "Doe^Jane"})
    (store,) = convert(source, tmp_path / "out").stores
    copied = files(tmp_path / "out" / store.path)
    assert not [path for path, content in copied.items() if b"Doe" in content or path.startswith("tables")]
    assert store.dropped == (
        "names, free text or attributes of other programs in 1 groups and arrays",
        "1 files that the metadata do not name",
    )
    assert copied["0/c/0/0"] == files(source)["0/c/0/0"]


def test_a_damaged_chunk_of_a_valid_store_is_refused(tmp_path):
    source = an_image(tmp_path / "in.zarr", image_05(), picture())
    (source / "0/c/0/0").write_bytes(b"rubbish")
    report = convert(source, tmp_path / "out")
    assert "cannot be decoded" in report.refused[0].reason
    assert list((tmp_path / "out").iterdir()) == []


def test_labels_of_older_versions_come_along(data, tmp_path):
    source = data / "ome/zarr/cardio_left_v0.4.ome.zarr"
    (store,) = convert(source, tmp_path).stores
    names = json.loads((source / "labels/.zattrs").read_text())["labels"]
    assert list(store.labels) == names
    label = tmp_path / store.path / "labels" / names[0]
    assert np.array_equal(level(label), level(source / "labels" / names[0]))
    assert ome(label)["image-label"]["source"] == {"image": "../../"}
    assert open_ome_zarr(zarr.open_group(str(tmp_path / store.path), mode="r")).labels.label_paths == names


@pytest.mark.parametrize(("version", "axes"), [("0.1", None), ("0.2", None), ("0.3", ["t", "c", "z", "y", "x"])])
def test_versions_before_scales_are_upgraded(tmp_path, version, axes):
    values = picture(shape=(1, 2, 3, 6, 8))
    multiscale = {"version": version, "datasets": [{"path": "0"}, {"path": "1"}]} | ({"axes": axes} if axes else {})
    source = an_image(tmp_path / "in.zarr", {"multiscales": [multiscale]}, values, values[..., ::2, ::2], version=2)
    (store,) = convert(source, tmp_path / "out").stores
    found = ome(tmp_path / "out" / store.path)
    assert (found["version"], store.axes, store.levels) == ("0.5", tuple("tczyx"), 2)
    assert found["multiscales"][0]["datasets"][1]["coordinateTransformations"][0]["scale"] == [1, 1, 1, 2, 2]
    assert np.array_equal(level(tmp_path / "out" / store.path, 1), values[..., ::2, ::2])


def test_what_we_write_as_06_can_be_read_again(data, tmp_path):
    (first,) = convert(data / "ome/tiff/cardio_left_pyramid.ome.tif", tmp_path / "one", options=ConvertOptions(ngff="0.6")).stores
    (second,) = convert(tmp_path / "one" / first.path, tmp_path / "two").stores
    (direct,) = convert(data / "ome/tiff/cardio_left_pyramid.ome.tif", tmp_path / "three").stores
    one, two = ome(tmp_path / "two" / second.path), ome(tmp_path / "three" / direct.path)
    assert one["multiscales"][0]["datasets"] == two["multiscales"][0]["datasets"]
    assert [channel.pop("label") for channel in one["omero"]["channels"]] == ["DAPI", "channel 2", "channel 3"]
    assert [channel.pop("label") for channel in two["omero"]["channels"]][:2] == ["DAPI", "nanog"]
    assert one["omero"]["channels"] == two["omero"]["channels"]


@pytest.mark.parametrize(
    ("name", "wells", "images"), [("plate_0.4", ["A/1", "B/2"], 2), ("ngff-challenge_hcs_v04", ["A/1", "A/2", "B/1", "B/2"], 8)]
)
def test_a_plate_stays_a_plate(data, tmp_path, name, wells, images):
    source = data / "ome/zarr" / f"{name}.ome.zarr"
    (store,) = whole(source, tmp_path).stores
    path = tmp_path / store.path
    assert (store.kind, store.instances) == ("HCS", images)
    assert [well["path"] for well in ome(path)["plate"]["wells"]] == wells
    for well in wells:
        for field in ome(path / well)["well"]["images"]:
            place = f"{well}/{field['path']}"
            assert np.array_equal(level(path / place), level(source / place))
    assert "name" not in ome(path)["plate"]
    group = open_ome_zarr(zarr.open_group(str(path), mode="r"))
    assert type(group).__name__ == "HCS"
    assert validate_store(path).valid


def test_a_plate_of_version_05_is_copied_whole(data, tmp_path):
    (first,) = whole(data / "ome/zarr/plate_0.4.ome.zarr", tmp_path / "one").stores
    (second,) = whole(tmp_path / "one" / first.path, tmp_path / "two").stores
    assert second.manifest_sha256 == first.manifest_sha256
    assert (second.kind, second.instances) == ("HCS", 2)


def test_images_of_a_collection_are_numbered_as_it_lists_them(tmp_path):
    source = a_group(tmp_path / "in.zarr", {"ome": {"version": "0.5", "bioformats2raw.layout": 3}})
    a_group(source / "OME", {"ome": {"version": "0.5", "series": ["1", "0"]}})
    (source / "OME/METADATA.ome.xml").write_text("<OME><Experimenter LastName='Doe'/></OME>")
    for number in (0, 1):
        an_image(source / str(number), image_05(), picture(number))
    report = convert(source, tmp_path / "out", options=ConvertOptions(keep_names=True))
    assert [(store.path, store.image_index) for store in report.stores] == [("in-0.ome.zarr", 0), ("in-1.ome.zarr", 1)]
    assert np.array_equal(level(tmp_path / "out/in-0.ome.zarr"), picture(1))
    assert not list((tmp_path / "out").rglob("*.xml"))


@pytest.mark.filterwarnings("ignore:Found an empty list of filters")  # this old writer's metadata, read here without our room
def test_the_first_layout_of_bioformats2raw_is_found_inside_its_folder(data, tmp_path):
    (store,) = convert(data / "ome/zarr/viv_bioformats.zarr", tmp_path).stores
    assert np.array_equal(level(tmp_path / store.path), level(data / "ome/zarr/viv_bioformats.zarr/data.zarr/0"))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda d: d["plate"]["wells"][0].update(path="../../etc"), "leads out"),
        (lambda d: d["plate"]["wells"][0].update(path="C/7"), "do not hold together"),
        (lambda d: d["plate"].pop("rows"), "do not hold together"),
        (lambda d: d["plate"].update(wells=[]), "holds 0 images"),
    ],
)
def test_a_plate_that_does_not_hold_together_is_refused(data, tmp_path, change, reason):
    import shutil

    source = tmp_path / "in.ome.zarr"
    shutil.copytree(data / "ome/zarr/plate_0.4.ome.zarr", source)
    attributes = json.loads((source / ".zattrs").read_text())
    change(attributes)
    (source / ".zattrs").write_text(json.dumps(attributes))
    assert reason in whole(source, tmp_path / "out").refused[0].reason


def test_validation_looks_into_labels_and_wells(data, tmp_path):
    (store,) = whole(data / "ome/zarr/plate_0.4.ome.zarr", tmp_path).stores
    victim = tmp_path / store.path / "B/2/0/labels" / ome(tmp_path / store.path / "B/2/0/labels")["labels"][0]
    (victim / "0/zarr.json").write_text("{}")
    findings = validate_store(tmp_path / store.path).findings
    assert any(finding.severity == "error" and finding.path.startswith("B/2/0/labels/") for finding in findings)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (["attributes"], 7.0),
        (["attributes", "ome"], []),
        (["attributes", "ome", "multiscales"], {}),
        (["attributes", "ome", "multiscales", 0], "x"),
        (["attributes", "ome", "multiscales", 0, "datasets"], []),
        (["attributes", "ome", "multiscales", 0, "datasets", 0, "path"], "."),
        (["attributes", "ome", "multiscales", 0, "datasets", 0, "coordinateTransformations"], [{"type": "scale", "scale": ["wide", 1]}]),
        (["attributes", "ome", "multiscales", 0, "datasets", 0, "coordinateTransformations"], [{"type": "rotation"}]),
        (["attributes", "ome", "multiscales", 0, "axes"], [None, None]),
    ],
)
def test_nonsense_in_the_metadata_is_refused_in_words(tmp_path, place, value):
    source = an_image(tmp_path / "in.zarr", image_05(), picture())
    document = json.loads((source / "zarr.json").read_text())
    target = document
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = value
    (source / "zarr.json").write_text(json.dumps(document))
    report = convert(source, tmp_path / "out")
    assert report.stores == ()
    assert report.refused[0].code in {"unreadable-image", "unsupported"}
    assert not validate_store(source).valid


def test_levels_that_differ_in_type_are_refused(tmp_path):
    multiscale = {"version": "0.2", "datasets": [{"path": "0"}, {"path": "1"}]}
    levels = [picture(shape=(1, 1, 1, 6, 8)), picture(shape=(1, 1, 1, 3, 4)).astype(np.uint16)]
    source = an_image(tmp_path / "in.zarr", {"multiscales": [multiscale]}, *levels, version=2)
    assert "differ in type" in convert(source, tmp_path / "out").refused[0].reason


@pytest.mark.parametrize("valid", [True, False])
def test_further_multiscales_of_a_group_are_counted_not_lost_in_silence(tmp_path, valid):
    """Also of a valid image, whose chunks are copied."""
    root = tmp_path / "a.ome.zarr"
    group = zarr.open_group(str(root), mode="w", zarr_format=3)
    group.create_array("0", shape=(6, 8), chunks=(6, 8), dtype="u1", dimension_names=["y", "x"] if valid else None)[:] = 7
    datasets = [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1.0, 1.0]}]}]
    scale = {"axes": [{"name": name, "type": "space"} for name in "yx"], "datasets": datasets}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [scale, scale, scale]}
    (store,) = convert(root, tmp_path / "out").stores
    assert "2 further multiscales of the same group" in store.dropped


@pytest.mark.parametrize(
    ("names", "refused"),
    [(["y", "z", "x"], True), (["c", "y", "x"], True), (["Z", "Y", "X"], False), (["dim_0", None, "dim_2"], False), (None, False)],
)
def test_an_array_that_calls_its_axes_otherwise_is_refused(tmp_path, names, refused):
    root = tmp_path / "a.ome.zarr"
    group = zarr.open_group(str(root), mode="w", zarr_format=3)
    group.create_array("0", shape=(4, 6, 8), chunks=(4, 6, 8), dtype="u1", dimension_names=names)[:] = 7
    datasets = [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1.0, 1.0, 1.0]}]}]
    axes = [{"name": name, "type": "space"} for name in "zyx"]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": datasets}]}
    report = convert(root, tmp_path / "out")
    assert [len(report.stores), len(report.refused)] == [not refused, refused]
    assert not refused or "that the array itself calls" in report.refused[0].reason


@pytest.mark.parametrize("ngff", ["0.5", "0.6"])
def test_a_translation_of_the_source_is_kept_in_every_version(tmp_path, ngff):
    root = tmp_path / "a.ome.zarr"
    array = zarr.open_group(str(root), mode="w", zarr_format=2).create_array("0", shape=(8, 8), chunks=(8, 8), dtype="u1")
    array[:] = np.arange(64).reshape(8, 8)
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "yx"]
    steps = [{"type": "scale", "scale": [2, 3]}, {"type": "translation", "translation": [10, 20]}]
    scales = [{"version": "0.4", "axes": axes, "datasets": [{"path": "0", "coordinateTransformations": steps}]}]
    (root / ".zattrs").write_text(json.dumps({"multiscales": scales}))
    (store,) = convert(root, tmp_path / "out", options=ConvertOptions(ngff=ngff)).stores
    ome = json.loads((tmp_path / "out" / store.path / "zarr.json").read_text())["attributes"]["ome"]
    (told,) = ome["multiscales"][0]["datasets"]
    assert '"translation": [10.0, 20.0]' in json.dumps(told)
