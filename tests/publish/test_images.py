"""Files with several images, and what people write into the names of images, channels and files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaml
import zarr

from fairlead.cli import run
from fairlead.errors import CheckFailed
from fairlead.publish.making import by_sources, stores_of
from fairlead.publish.rooms import Rooms
from fairlead.publish.staging import SafeMember
from fairlead.records import ConvertReport, GeometryVerdict, StoreReport, Validity
from publish.fakes import an_imaging_record

IDENTITIES = ("Erika", "Mustermann", "19570314", "PID-4711", "Krankenhaus")
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # engines of commands that ran to their end


def a_store(number: int | None, path: str = "a.ome.zarr") -> StoreReport:
    """Return a report of one small store."""
    return StoreReport(
        path=path,
        source="x",
        kind="OME",
        shape=(1, 1),
        dtype="uint8",
        axes=("y", "x"),
        geometry=GeometryVerdict(verdict="none", reason=""),
        levels=1,
        size_bytes=1,
        manifest_sha256="0" * 64,
        verified_voxels=True,
        valid=Validity(ome_zarr_models=True, json_schema=True),
        image_index=number,
    )


def a_report(*stores: StoreReport) -> ConvertReport:
    """Return what a conversion made."""
    return ConvertReport(stores=stores, refused=(), seconds=0.0, peak_rss_mb=1.0)


def an_image(number: int):
    """Return the record of one image of a file."""
    record = an_imaging_record(1, kind="ome-image")
    source = record.core.source.model_copy(update={"image_index": number})
    return record.model_copy(update={"core": record.core.model_copy(update={"source": source})})


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_the_image_is_chosen_by_its_number_and_not_by_its_place(order: tuple[int, ...]):
    stores = {number: a_store(number, f"{number}.ome.zarr") for number in order}
    assert stores_of(an_image(1), a_report(*stores.values())) == (stores[1],)


def test_the_only_store_that_is_left_is_not_taken_for_another_image():
    with pytest.raises(CheckFailed, match="does not hold this image"):
        stores_of(an_image(1), a_report(a_store(0)))


def test_a_file_with_one_image_needs_no_number():
    store = a_store(None)
    assert stores_of(an_image(0), a_report(store)) == (store,)


def test_a_series_has_all_its_stores():
    stores = (a_store(None, "1.ome.zarr"), a_store(None, "2.ome.zarr"))
    assert stores_of(an_imaging_record(1), a_report(*stores)) == stores


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Path:
    """Return what is published of a file with two images whose every name identifies somebody."""
    monkeypatch.setenv("FAIRLEAD_HOME", str(tmp_path / "home"))
    file = tmp_path / "in" / "Mustermann_Erika_19570314.ome.tif"
    file.parent.mkdir()
    with tifffile.TiffWriter(file, ome=True) as writer:
        for value in (7, 9):
            names = ["DAPI Erika Mustermann", "GFP 488 PID-4711", "Krankenhaus"]
            metadata = {"axes": "CYX", "Name": f"Erika Mustermann {value}", "Channel": {"Name": names}}
            writer.write(np.full((3, 8, 8), value, dtype="uint8"), metadata=metadata, photometric="minisblack")
    assert run(["ingest", str(file.parent), "--json"]) == 0
    definition = {"schemaVersion": "1", "title": "Cells", "unit": "series", "include": {"field": "kind", "op": "=", "value": "ome-image"}}
    (tmp_path / "definition.yaml").write_text(yaml.safe_dump(definition))
    capfd.readouterr()
    assert run(["cohort", "freeze", str(tmp_path / "definition.yaml"), "--json"]) == 0
    frozen = json.loads(capfd.readouterr().out)
    reference = f"{frozen['id']}@{frozen['version']}"
    assert run(["publish", reference, "--approved-by", "stewart", "--requested-by", "clara", "--json"]) == 0
    return Path(json.loads(capfd.readouterr().out)["folder"])


def test_a_file_is_converted_once_and_says_nothing_of_anybody(published: Path):
    stores = sorted((published / "images").iterdir())
    values = {int(np.unique(np.asarray(zarr.open_array(store, path="0")[...]))[0]) for store in stores}
    assert (len(stores), values) == (2, {7, 9})
    attributes = json.loads((stores[0] / "zarr.json").read_text())["attributes"]["ome"]
    assert [channel["label"] for channel in attributes["omero"]["channels"]] == ["DAPI", "GFP 488", "Channel 3"]
    files = [path for path in published.rglob("*") if path.is_file()]
    hits = [(word, path.name) for path in files for word in IDENTITIES if word.encode() in path.read_bytes() or word in str(path)]
    assert hits == []


def test_each_file_is_converted_once_however_many_images_are_members():
    members = [SafeMember(record_id=str(n), pseudonym=str(n), subject="s", instances=1, sources=("a.ome.tif",)) for n in range(3)]
    assert [(sources, len(found)) for sources, found in by_sources(members)] == [(("a.ome.tif",), 3)]


@pytest.mark.parametrize(
    ("label", "public"),
    [("DAPI", "DAPI"), ("Alexa Fluor 488", "Alexa Fluor 488"), ("Hoechst, Müller", "Hoechst"), ("PID-4711", ""), ("GFP 1957-03-14", "GFP")],
)
def test_only_harmless_words_of_a_name_stay(settings, engine, label: str, public: str):
    assert Rooms(settings, engine).clean(label) == public
