"""The scene of NGFF 0.6: images of one frame of reference in one coordinate system, checked by both validators."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from ome_zarr_models.v06.scene import Scene

from convert.builders import CORONAL, FRAME_OF_REFERENCE, a_series, along, axial_positions, save
from fairlead.cli import run
from fairlead.convert import ConvertOptions, convert, validate_store

OTHER = "1.2.826.0.1.3680043.8.498.99"


def a_folder(folder: Path) -> Path:
    """Return two volumes of one frame of reference, axial and coronal, and one of another."""
    save(folder / "axial", numbered(a_series(axial_positions(4)), "81"))
    save(folder / "coronal", numbered(a_series(along((0, 1, 0)), ImageOrientationPatient=list(CORONAL)), "82"))
    save(folder / "other", numbered(a_series(axial_positions(3), FrameOfReferenceUID=OTHER), "83"))
    return folder


def numbered(series: list[Any], uid: str) -> list[Any]:
    for dataset in series:
        dataset.SeriesInstanceUID = f"{FRAME_OF_REFERENCE}.{uid}"
        dataset.SOPInstanceUID = f"{FRAME_OF_REFERENCE}.{uid}.{dataset.InstanceNumber}"
    return series


def scene_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "zarr.json").read_text())["attributes"]["ome"]["scene"]


def test_images_that_share_a_frame_of_reference_share_a_system(tmp_path):
    report = convert(a_folder(tmp_path / "in"), tmp_path / "out", options=ConvertOptions(ngff="0.6", scene=True))
    assert len(report.stores) == 3
    scene = scene_of(tmp_path / "out")
    (system,) = scene["coordinateSystems"]
    assert [axis["orientation"]["value"] for axis in system["axes"]] == ["right-to-left", "anterior-to-posterior", "inferior-to-superior"]
    steps = scene["coordinateTransformations"]
    joined = {store.path for store in report.stores if store.shape[0] != 3}
    assert {step["input"]["path"] for step in steps} == joined
    assert {(step["type"], step["input"]["name"], step["output"]["name"]) for step in steps} == {("identity", "patient", system["name"])}


def test_the_validators_accept_the_scene_and_what_is_in_it(tmp_path, capsys):
    assert run(["convert", str(a_folder(tmp_path / "in")), str(tmp_path / "out"), "--ngff", "0.6"]) == 0
    assert validate_store(tmp_path / "out").findings == ()
    model = Scene.from_zarr(zarr.open_group(str(tmp_path / "out"), mode="r"))
    assert len(model.attributes.ome.get_group_paths()) == 2
    capsys.readouterr()
    assert run(["validate", str(tmp_path / "out"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["profile"] == "OME-NGFF 0.6"


def test_one_point_of_the_patient_is_one_point_of_the_scene(tmp_path):
    report = convert(a_folder(tmp_path / "in"), tmp_path / "out", options=ConvertOptions(ngff="0.6", scene=True))
    for store in report.stores:
        image = json.loads((tmp_path / "out" / store.path / "zarr.json").read_text())["attributes"]["ome"]["multiscales"][0]
        matrix = np.asarray(image["coordinateTransformations"][0]["affine"])
        voxel = np.asarray([1, 2, 3])
        patient = matrix @ [*(voxel * np.asarray(store.geometry.spacing_mm)), 1]
        assert np.allclose(patient, (np.asarray(store.geometry.affine) @ [*voxel, 1])[:3], atol=1e-6)


def test_later_runs_join_what_is_there_and_leave_what_is_alone(tmp_path):
    source = a_folder(tmp_path / "in")
    convert(source / "axial", tmp_path / "out", options=ConvertOptions(ngff="0.6", scene=True))
    assert not (tmp_path / "out/zarr.json").exists()
    convert(source / "coronal", tmp_path / "out", options=ConvertOptions(ngff="0.6", scene=True))
    assert len(scene_of(tmp_path / "out")["coordinateTransformations"]) == 2


@pytest.mark.parametrize("ngff", ["0.5", "0.6"])
def test_a_folder_with_a_scene_is_converted_image_by_image(tmp_path, ngff):
    convert(a_folder(tmp_path / "in"), tmp_path / "out", options=ConvertOptions(ngff="0.6", scene=True))
    report = convert(tmp_path / "out", tmp_path / "again", options=ConvertOptions(ngff=ngff))
    assert report.refused == ()
    assert len(report.stores) == 3
    assert not (tmp_path / "again/zarr.json").exists()


def test_a_foreign_group_is_not_overwritten(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/zarr.json").write_text('{"zarr_format": 3, "node_type": "group", "attributes": {"theirs": 1}}')
    convert(a_folder(tmp_path / "in"), tmp_path / "out", options=ConvertOptions(ngff="0.6", scene=True))
    assert "theirs" in (tmp_path / "out/zarr.json").read_text()
