"""Hostile metadata in every group of a store, and what is left of it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import zarr

from fairlead.convert import validate_store
from fairlead.publish.neutral import label_names, name_neutrally
from fairlead.publish.residue import texts_of
from publish.fakes import write_store

NAMES = re.compile("SENTINEL[A-Z]*")


def spoiled(folder: Path) -> Path:
    """Return an image with a label image, and a name in every place that NGFF and its readers leave open."""
    write_store(folder)
    root = json.loads((folder / "zarr.json").read_text())
    ome = root["attributes"]["ome"]
    ome["multiscales"][0] |= {"name": "SENTINELNAME", "type": "SENTINELTYPE", "metadata": {"by": "SENTINELMETADATA"}}
    ome["omero"] = {
        "name": "SENTINELOMERO",
        "channels": [{"label": "SENTINELCHANNEL", "color": "00FF00", "window": {"start": 0, "end": 1, "min": 0, "max": 1}}],
    }
    root["attributes"] |= {"SENTINELKEY": "SENTINELVALUE"}
    (folder / "zarr.json").write_text(json.dumps(root))
    labels = zarr.open_group(folder / "labels", mode="w", zarr_format=3)
    labels.attrs["ome"] = {"version": "0.5", "labels": ["SENTINELLABEL"], "SENTINELNOTE": "x"}
    label = folder / "labels" / "SENTINELLABEL"
    write_store(label)
    shutil.rmtree(label / "0")
    zarr.open_group(label, mode="a").create_array(
        "0", data=np.ones((2, 3, 4), "uint8"), dimension_names=("z", "y", "x"), attributes={"note": "SENTINELARRAY"}
    )
    image = json.loads((label / "zarr.json").read_text())
    image["attributes"]["ome"]["image-label"] = {
        "source": {"image": "../../"},
        "colors": [{"label-value": 1, "rgba": [1, 2, 3, 4]}],
        "properties": [{"label-value": 1, "who": "SENTINELPROPERTY"}],
    }
    (label / "zarr.json").write_text(json.dumps(image))
    (folder / "SENTINEL.txt").write_text("SENTINELFILE")
    (folder / "OME").mkdir()
    (folder / "OME" / "METADATA.ome.xml").write_text("<OME>SENTINELXML</OME>")
    return folder


def found(store: Path) -> set[str]:
    """Return every planted name in names and contents of files."""
    return {
        word
        for path in store.rglob("*")
        for text in (path.as_posix(), path.read_text("latin-1") if path.is_file() else "")
        for word in NAMES.findall(text)
    }


def test_no_name_stays_in_any_group_and_the_store_is_still_valid(tmp_path: Path):
    store = spoiled(tmp_path / "a.ome.zarr")
    assert len(found(store)) > 8
    name_neutrally(store, "i1", clean=lambda text: "", foreign=True)
    assert found(store) == set()
    assert label_names(store) == ("label-1",)
    assert [finding for finding in validate_store(store).findings if finding.severity == "error"] == []
    assert int(np.asarray(zarr.open_array(store / "labels" / "label-1" / "0")[...]).sum()) == 24


def test_wells_of_a_plate_have_neutral_names_too(tmp_path: Path):
    plate = tmp_path / "p.ome.zarr"
    group = zarr.open_group(plate, mode="w", zarr_format=3)
    wells = [{"path": "A/1", "rowIndex": 0, "columnIndex": 0}]
    group.attrs["ome"] = {
        "version": "0.5",
        "plate": {
            "name": "SENTINELPLATE", "columns": [{"name": "1"}], "rows": [{"name": "A"}], "wells": wells, "version": "0.5",
            "acquisitions": [{"id": 1, "name": "SENTINELRUN", "description": "SENTINELTEXT"}],
        },
    }  # fmt: skip
    well = zarr.open_group(plate / "A" / "1", mode="w", zarr_format=3)
    well.attrs["ome"] = {"version": "0.5", "well": {"images": [{"path": "0", "acquisition": 1}]}, "SENTINEL": 1}
    spoiled(plate / "A" / "1" / "0")
    name_neutrally(plate, "i1", clean=lambda text: "", foreign=True)
    assert found(plate) == set()
    kept = json.loads((plate / "zarr.json").read_text())["attributes"]["ome"]["plate"]
    assert (kept["name"], kept["acquisitions"], kept["wells"]) == ("i1", [{"id": 1, "name": "Acquisition 1"}], wells)


def test_a_row_called_after_somebody_is_not_repeated(tmp_path: Path):
    plate = tmp_path / "p.ome.zarr"
    zarr.open_group(plate, mode="w", zarr_format=3).attrs["ome"] = {"version": "0.5", "plate": {"rows": [{"name": "SENTINELROW"}]}}
    name_neutrally(plate, "i1", clean=lambda text: "", foreign=True)
    assert found(plate) == set()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", '{"deep": [{"x": "Mueller"}]}'),
        ("a.ttl", '<x> <y> "Mueller"@de .'),
        ("a.csv", "image,Mueller\r\n"),
        ("Mueller.png", ""),
        ("a.jsonld", '{"@graph": [{"@value": "Mueller"}]}'),
    ],
)
def test_the_last_gate_reads_what_files_say_and_how_they_are_called(tmp_path: Path, name: str, content: str):
    (tmp_path / name).write_text(content)
    assert "Mueller" in texts_of(tmp_path)
