"""OME-Zarr stores: identity is gone from every byte and every name, pixels and structure stay, and what cannot be cleaned is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import ome_zarr_models
import pytest
import zarr

from deidentify.ct_builders import KEY
from fairlead.deidentify import Profile, deidentify_folder, load_profile
from fairlead.files import relative_files
from fairlead.records import DeidentifyReport

QUIET = Profile(name="p", title="t", dciodvfy="off")
OME = (
    '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
    '<Experimenter ID="Experimenter:0" LastName="Mustermann" Email="e@muster.de"/>'
    '<Image ID="Image:0" Name="Mustermann liver"><AcquisitionDate>2020-02-29T10:00:00</AcquisitionDate>'
    '<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="4" SizeY="4" SizeZ="1" SizeC="1" SizeT="1">'
    '<Channel ID="Channel:0:0"/><MetadataOnly/></Pixels></Image></OME>'
)
WINDOW = {"min": 0, "max": 255, "start": 0, "end": 255}
MULTISCALES = [
    {
        "name": "Erika Mustermann liver",
        "axes": [{"name": "y", "type": "space", "unit": "micrometer"}, {"name": "x", "type": "space", "unit": "micrometer"}],
        "datasets": [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [0.5, 0.5]}]}],
        "metadata": {"method": "by Mustermann"},
        "version": "0.4",
    }
]
PIXELS = np.arange(16, dtype="uint8").reshape(4, 4)


def a_store(folder: Path, version: int = 3, **attributes: object) -> Path:
    """Write a small image with a person in all of its attributes."""
    store = folder / "Mustermann_Erika.ome.zarr"
    everything = {
        "multiscales": MULTISCALES,
        "omero": {"name": "Mustermann", "channels": [{"label": "DAPI Mustermann", "color": "FF0000", "window": WINDOW}]},
    }
    everything |= {"patient": "Mustermann", "_creator": {"name": "Mustermann"}} | attributes
    group = zarr.open_group(str(store), mode="w", zarr_format=version)  # type: ignore[arg-type]
    group.attrs.update(everything if version == 2 else {"ome": {"version": "0.5"} | everything, "notes": "Mustermann"})
    named = {"dimension_names": ["y", "x"]} if version == 3 else {"chunk_key_encoding": {"name": "v2", "separator": "/"}}
    group.create_array("0", shape=(4, 4), chunks=(2, 2), dtype="uint8", **named)[:] = PIXELS  # type: ignore[arg-type]
    (store / "OME").mkdir()
    (store / "OME" / "METADATA.ome.xml").write_text(OME)
    (store / "readme.txt").write_text("Mustermann")
    (store / "0" / "note").write_text("Mustermann")
    return store


def run(source: Path, out: Path, profile: Profile = QUIET) -> DeidentifyReport:
    return deidentify_folder(source, out, profile=profile, key=KEY)


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("how", ["store", "folder"])
def test_identity_is_gone_from_every_byte_and_name_and_pixels_stay(tmp_path: Path, version: int, how: str) -> None:
    store = a_store(tmp_path / "in", version)
    report = run(store if how == "store" else tmp_path / "in", tmp_path / "out")
    assert (report.files, report.written, report.residue) == (1, 1, ())
    (result,) = (tmp_path / "out" / "ome").iterdir()
    for name in relative_files(result):
        assert b"muster" not in (result / name).read_bytes().lower() + str(name).encode().lower()
    assert "muster" not in str(result).lower().removeprefix(str(tmp_path).lower())
    np.testing.assert_array_equal(zarr.open_array(str(result / "0"), mode="r")[:], PIXELS)
    assert ome_zarr_models.open_ome_zarr(zarr.open_group(str(result), mode="r")).ome_zarr_version == ("0.4" if version == 2 else "0.5")


def test_options_of_the_profile_hold(tmp_path: Path) -> None:
    run(a_store(tmp_path / "in"), tmp_path / "out", load_profile("research-longitudinal"))
    (result,) = (tmp_path / "out" / "ome").iterdir()
    attributes = json.loads((result / "zarr.json").read_text())["attributes"]
    assert attributes["ome"]["multiscales"][0]["name"] == "liver"
    assert attributes["ome"]["omero"]["channels"][0]["label"] == "DAPI"
    assert "profile research-longitudinal" in attributes["deidentified"]
    moved = (result / "OME" / "METADATA.ome.xml").read_text().split("<AcquisitionDate>")[1][:19]
    assert moved.endswith("T10:00:00")
    assert not moved.startswith("2020-02-29")


def test_a_second_run_writes_the_same_and_an_interrupted_one_leaves_nothing_to_see(tmp_path: Path) -> None:
    store = a_store(tmp_path / "in")
    run(store, tmp_path / "out")
    before = relative_files(tmp_path / "out")
    part = tmp_path / "out" / "ome" / ".i0.ome.zarr.0.part"
    (part / "0").mkdir(parents=True)
    (part / "0" / "c").write_bytes(b"half")
    os.utime(part, (0, 0))
    assert run(store, tmp_path / "out").written == 1
    assert relative_files(tmp_path / "out") == before


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda store: (store / "0").rename(store / "Mustermann"), "name of its own"),
        (lambda store: zarr.open_group(str(store)).create_array("1", shape=(2,), dtype="<U8"), "not of numbers"),
        (lambda store: (store / "zarr.json").write_text("{"), "cannot be read"),
        (lambda store: (store / "OME" / "METADATA.ome.xml").write_text("<OME"), "cannot be"),
        (lambda store: a_store(store.parent, multiscales=[MULTISCALES[0] | {"name": "label"}]), "label or overview"),
        (lambda store: a_store(store.parent, multiscales=[MULTISCALES[0] | {"datasets": [{"path": "Mustermann"}]}]), "name of its own"),
    ],
    ids=["folder", "text", "json", "xml", "label", "path"],
)
def test_what_cannot_be_cleaned_is_refused_whole(tmp_path: Path, spoil: object, reason: str) -> None:
    store = a_store(tmp_path / "in")
    spoil(store)  # type: ignore[operator]
    report = run(store, tmp_path / "out")
    assert [reason in refused.reason for refused in report.quarantined] == [True]
    assert "ustermann" not in report.quarantined[0].reason
    assert not (tmp_path / "out").exists()


def kind_of(store: Path) -> str:
    """Return what ome-zarr-models takes a store for."""
    try:
        return type(ome_zarr_models.open_ome_zarr(zarr.open_group(str(store), mode="r"))).__name__
    except Exception as error:  # every model has its own complaints
        return type(error).__name__


def test_every_sample_is_written_as_what_it_was_or_refused_with_a_reason(data: Path, tmp_path: Path) -> None:
    written = 0
    for source in sorted((data / "ome" / "zarr").glob("*.ome.zarr")):
        report = run(source, tmp_path / source.name)
        assert report.written + len(report.quarantined) == 1
        for result in tmp_path.glob(f"{source.name}/ome/*.ome.zarr"):
            written += 1
            assert kind_of(result) == kind_of(source)
    assert written >= 13
