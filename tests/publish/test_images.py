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
from fairlead.receive import Ledger
from fairlead.records import ConvertReport, GeometryVerdict, Instance, Route, StoreReport, Validity
from publish.fakes import a_cohort, an_imaging_record

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


def frozen_rule(tmp_path: Path, capfd: pytest.CaptureFixture[str], *, rules: list | None = None) -> str:
    """Freeze a cohort of all microscopy and return its reference."""
    definition = {"schemaVersion": "1", "title": "Cells", "unit": "series", "include": {"field": "kind", "op": "=", "value": "ome-image"}}
    (tmp_path / "definition.yaml").write_text(yaml.safe_dump(definition | ({"rules": rules} if rules else {})))
    capfd.readouterr()
    assert run(["cohort", "freeze", str(tmp_path / "definition.yaml"), "--json"]) == 0
    frozen = json.loads(capfd.readouterr().out)
    return f"{frozen['id']}@{frozen['version']}"


def test_rule_names_and_words_to_match_are_not_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd):
    monkeypatch.setenv("FAIRLEAD_HOME", str(tmp_path / "home"))
    (tmp_path / "in").mkdir()
    tifffile.imwrite(tmp_path / "in" / "a.ome.tif", np.ones((8, 8), "uint8"), ome=True, metadata={"axes": "YX", "Name": "Zebra"})
    assert run(["ingest", str(tmp_path / "in"), "--json"]) == 0
    rules = [
        {"name": "All of Dr Mustermann, PID-4711", "where": {"any": [
            {"field": "series.size_x", "op": ">=", "value": 1}, {"field": "series.description", "op": "match", "value": "Krankenhaus"},
            {"field": "project", "op": "in", "value": ["default", "erika-study"]}]}},
    ]  # fmt: skip
    reference = frozen_rule(tmp_path, capfd, rules=rules)
    assert run(["publish", reference, "--approved-by", "stewart", "--requested-by", "clara", "--json"]) == 0
    folder = Path(json.loads(capfd.readouterr().out)["folder"])
    published = "".join(path.read_text("latin-1") for path in folder.rglob("*") if path.is_file())
    assert not [word for word in (*IDENTITIES, "erika-study", "All of") if word in published]
    assert "a named rule" in published
    assert "size x is at least 1" in published
    assert "a text match" in published


@pytest.mark.parametrize("name", ["label", "Macro image"])
def test_the_picture_of_a_slides_label_is_never_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd, name: str):
    monkeypatch.setenv("FAIRLEAD_HOME", str(tmp_path / "home"))
    (tmp_path / "in").mkdir()
    tifffile.imwrite(tmp_path / "in" / "ok.ome.tif", np.ones((8, 8), "uint8"), ome=True, metadata={"axes": "YX", "Name": "tissue"})
    with tifffile.TiffWriter(tmp_path / "in" / "slide.ome.tif", ome=True) as writer:
        for title in ("tissue", name):
            writer.write(np.full((8, 8), 3, "uint8"), metadata={"axes": "YX", "Name": title})
    assert run(["ingest", str(tmp_path / "in"), "--json"]) == 0
    assert run(["publish", frozen_rule(tmp_path, capfd), "--approved-by", "stewart", "--requested-by", "clara", "--json"]) == 0
    document = json.loads(capfd.readouterr().out)
    stores = list(Path(document["folder"], "images").iterdir())
    assert [int(np.asarray(zarr.open_array(store, path="0")[...]).max()) for store in stores] == [1]
    assert {item["code"] for item in document["refused"]} == {"quarantined"}
    assert "slide" not in json.dumps(document["refused"])


def test_the_tiffs_of_a_companion_are_compared_too(tmp_path: Path, settings, engine, monkeypatch: pytest.MonkeyPatch):
    from fairlead.publish import rooms as module

    companion, tiff = tmp_path / "set.companion.ome", tmp_path / "Mustermann.tif"
    tifffile.imwrite(tiff, np.ones((8, 8), "uint8"))
    companion.write_text(
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" '
        'Type="uint8" SizeX="8" SizeY="8" SizeZ="1" SizeC="1" SizeT="1"><Channel ID="Channel:0:0" SamplesPerPixel="1"/>'
        '<TiffData IFD="0" PlaneCount="1"><UUID FileName="Mustermann.tif">urn:uuid:1</UUID></TiffData></Pixels></Image></OME>'
    )
    real = module.deidentify_folder

    def meanwhile(*given, **named):
        report = real(*given, **named)
        tiff.write_bytes(tiff.read_bytes() + b"other")
        return report

    monkeypatch.setattr(module, "deidentify_folder", meanwhile)
    record = an_imaging_record(1, kind="ome-image", path=str(companion))
    with pytest.raises(CheckFailed, match="changed while"):
        Rooms(settings, engine).deidentify(a_cohort([record]), record, tmp_path / "out", profile="basic")


def test_a_series_whose_route_demands_another_profile_stays_behind(settings, engine, tmp_path):
    record = an_imaging_record(1)
    route = Route(project=record.core.project, center=record.core.center, deidentify_profile="strictest")
    instance = Instance(
        sop_instance_uid="1.2.3.1", sop_class_uid="1.2", transfer_syntax_uid="1.2.840.10008.1.2.1", sha256="a" * 64, size_bytes=1, path="x"
    )
    Ledger(engine).record_instance(instance, study_uid=record.core.study_uid, series_uid=record.core.series_uid, route=route)
    with pytest.raises(CheckFailed, match="demands the de-identification profile strictest"):
        Rooms(settings, engine).deidentify(a_cohort([record]), record, tmp_path / "out", profile="basic")


def test_an_identifier_of_one_dataset_is_none_of_another(settings, engine, data: Path, tmp_path: Path):
    import pydicom

    source = data / "dicom" / "ct" / "dcmqi_ct3slice"
    paths = tuple(str(path) for path in sorted(source.iterdir()))
    record = an_imaging_record(1)
    core = record.core.model_copy(update={"source": record.core.source.model_copy(update={"paths": paths})})
    record = record.model_copy(update={"core": core})
    found = []
    for reference in ("chest@1", "chest@2", "head@1"):
        Rooms(settings, engine).deidentify(a_cohort([record], reference=reference), record, tmp_path / reference, profile="basic")
        found.append({pydicom.dcmread(path).SOPInstanceUID for path in (tmp_path / reference).rglob("*.dcm")})
    assert found[0] == found[1]
    assert not found[0] & found[2]
