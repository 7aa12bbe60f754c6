"""The real way on real files: archive, index, cohort, de-identification, conversion, publication, by the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
import yaml
import zarr
from sqlalchemy import Engine

from fairlead.cli import run
from fairlead.database import open_database
from fairlead.errors import CheckFailed
from fairlead.files import manifest_lines, manifest_sha256
from fairlead.publish import DatasetStore, Exports
from fairlead.publish.parameters import ExportParameters
from fairlead.publish.rooms import Rooms
from fairlead.settings import Settings
from publish.fakes import a_cohort, an_imaging_record

CT = "dicom/ct/dcmqi_ct3slice"
OME = "ome/tiff/multi-channel.ome.tif"
PATIENT_LIKE_NAME = "DOE_JANE_19570314.ome.tif"
IDENTIFYING = ("PatientID", "PatientName", "AccessionNumber", "InstitutionName", "StudyID")
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # engines of commands that ran to their end


@pytest.fixture
def home(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Path:
    """Return a home with a CT series and a microscopy file, indexed."""
    monkeypatch.setenv("FAIRLEAD_HOME", str(tmp_path / "home"))
    (tmp_path / "in").mkdir()
    shutil.copyfile(data / OME, tmp_path / "in" / PATIENT_LIKE_NAME)
    assert run(["ingest", str(data / CT), str(tmp_path / "in"), "--json"]) == 0
    capfd.readouterr()
    return tmp_path


@pytest.fixture
def cohort(home: Path, capfd: pytest.CaptureFixture[str]) -> str:
    """Return the reference of a frozen cohort of both."""
    definition = {"schemaVersion": "1", "title": "Abdomen and cells", "unit": "series"}
    definition["include"] = {
        "any": [{"field": "modality", "op": "in", "value": ["CT"]}, {"field": "kind", "op": "=", "value": "ome-image"}]
    }
    (home / "definition.yaml").write_text(yaml.safe_dump(definition))
    assert run(["cohort", "freeze", str(home / "definition.yaml"), "--json"]) == 0
    frozen = json.loads(capfd.readouterr().out)
    return f"{frozen['id']}@{frozen['version']}"


def published(capfd: pytest.CaptureFixture[str], *arguments: str) -> dict:
    """Run ``fairlead publish --json`` and return its document."""
    assert run(["publish", *arguments, "--approved-by", "stewart", "--requested-by", "clara", "--json"]) == 0
    return json.loads(capfd.readouterr().out)


def original_words(folder: Path) -> set[str]:
    """Return every UID, date and identity in the headers of DICOM files."""
    found: set[str] = {"DOE_JANE", "19570314"}
    for path in folder.iterdir():
        for element in pydicom.dcmread(path, stop_before_pixels=True).iterall():
            text = str(element.value)
            is_own_uid = element.VR == "UI" and not text.startswith("1.2.840.10008.")
            if (is_own_uid or element.VR in ("DA", "DT") or element.keyword in IDENTIFYING) and len(text) >= 5:
                found.add(text)
    return found


def test_a_cohort_becomes_a_dataset_whose_voxels_are_the_source(home: Path, cohort: str, data: Path, capfd):
    document = published(capfd, cohort, "--title", "Abdomen", "--license", "CC0-1.0")
    assert {"dataset", "version", "distributions", "records", "checks"} <= document.keys()
    assert (document["version"], document["counts"]["series"], document["refused"]) == (1, 2, [])
    assert all(document["checks"].values())
    stores = [Path(document["folder"], item["path"]) for item in document["distributions"] if item["path"].endswith(".zarr")]
    volume = next(array for array in (np.asarray(zarr.open_array(store, path="0")[...]) for store in stores) if array.ndim == 3)
    slices = sorted((pydicom.dcmread(path) for path in (data / CT).iterdir()), key=lambda item: float(item.ImagePositionPatient[2]))
    source = np.stack([item.pixel_array * item.RescaleSlope + item.RescaleIntercept for item in slices])
    assert np.array_equal(volume, source)


def test_nothing_of_the_source_identifies_in_what_was_published(home: Path, cohort: str, data: Path, capfd):
    folder = Path(published(capfd, cohort)["folder"])
    words = original_words(data / CT)
    assert len(words) > 5
    hits = [
        (word, path.name)
        for path in folder.rglob("*")
        if path.is_file()
        for word in words
        if word.encode() in path.read_bytes() or word in str(path)
    ]
    assert hits == []


@pytest.mark.parametrize("keyword", ["PatientID", "StudyInstanceUID", "file"])
def test_a_title_with_an_identity_of_the_headers_is_stopped_at_the_last_gate(home: Path, cohort: str, data: Path, capfd, keyword: str):
    header = pydicom.dcmread(next((data / CT).iterdir()), stop_before_pixels=True)
    word = "Doe_Jane_19570314" if keyword == "file" else str(header[keyword].value)
    assert len(word) > 3
    code = run(["publish", cohort, "--title", f"Scans {word}", "--approved-by", "stewart", "--requested-by", "clara", "--json"])
    captured = capfd.readouterr()
    if code == 0:  # the title was cleaned before
        assert word not in captured.out
        return
    assert "still holds" in captured.err
    assert word not in captured.err


def test_a_failed_check_of_what_was_published_ends_with_one(home: Path, cohort: str, capfd, monkeypatch: pytest.MonkeyPatch):
    import fairlead.publish

    monkeypatch.setattr(fairlead.publish, "verify_published", lambda folder, record: {"manifest": False, "voxels": True})
    assert run(["publish", cohort, "--approved-by", "stewart", "--requested-by", "clara", "--json"]) == 1
    captured = capfd.readouterr()
    assert json.loads(captured.out)["checks"] == {"manifest": False, "voxels": True}
    assert "does not pass manifest" in captured.err


def test_publishing_twice_changes_nothing(home: Path, cohort: str, capfd):
    first, second = published(capfd, cohort), published(capfd, cohort)
    assert (first["dataset"], first["version"], first["folder"]) == (second["dataset"], second["version"], second["folder"])


def test_a_microscopy_file_that_changed_is_left_out(home: Path, cohort: str, capfd):
    with (home / "in" / PATIENT_LIKE_NAME).open("ab") as handle:
        handle.write(b"more")
    document = published(capfd, cohort)
    assert [item["code"] for item in document["refused"]] == ["changed"]
    assert document["counts"]["series"] == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nobody@1"], "There is no cohort"),
        (["nobody"], "written ID@N"),
        (["nobody@1", "--access-rights", "open"], "access_rights"),
        (["nobody@1", "--license", "mine"], "licence"),
    ],
)
def test_bad_requests_end_with_one_and_say_why(home: Path, capfd, arguments: list[str], words: str):
    assert run(["publish", *arguments, "--approved-by", "stewart"]) == 1
    assert words in capfd.readouterr().err


@pytest.mark.parametrize("option", ["--requested-by", "--approved-by"])
def test_an_empty_name_is_nobody_and_never_the_user_of_the_process(home: Path, cohort: str, capfd, option: str):
    """A variable of the shell that is not set gives one."""
    names = {"--requested-by": "clara", "--approved-by": "stewart"} | {option: ""}
    assert run(["publish", cohort, *(word for pair in names.items() for word in pair)]) == 1
    said = capfd.readouterr().err
    assert "Nobody is named" in said
    assert option in said


def test_one_person_cannot_request_and_approve(home: Path, cohort: str, capfd):
    assert run(["publish", cohort, "--approved-by", "clara", "--requested-by", "clara"]) == 1
    assert "four eyes" in capfd.readouterr().err
    settings = Settings()
    engine = open_database(settings)
    assert [export.state for export in Exports(settings, engine).list()] == ["failed"]
    engine.dispose()


def test_a_withdrawn_dataset_is_gone_and_says_so(home: Path, cohort: str, capfd):
    document = published(capfd, cohort)
    assert run(["withdraw", document["dataset"], "--reason", "consent withdrawn", "--json"]) == 0
    said = json.loads(capfd.readouterr().out)
    assert (said["dataset"], said["state"], said["reason"]) == (document["dataset"], "withdrawn", "consent withdrawn")
    assert run(["withdraw", document["dataset"], "--reason", "consent withdrawn"]) == 0
    assert capfd.readouterr().out.endswith(f"is withdrawn since {said['withdrawn_at'][:10]}\n")
    assert run(["withdraw", document["dataset"], "--reason", "again"]) == 1
    assert f"was withdrawn before, on {said['withdrawn_at'][:10]}: consent withdrawn" in capfd.readouterr().err
    assert not Path(document["folder"]).exists()
    assert run(["publish", cohort, "--approved-by", "stewart", "--requested-by", "clara"]) == 1
    assert "was withdrawn" in capfd.readouterr().err


def test_another_licence_does_not_make_a_restricted_dataset_public(home: Path, cohort: str, capfd):
    published(capfd, cohort, "--access-rights", "restricted", "--title", "MR of knees")
    again = published(capfd, cohort, "--license", "CC0-1.0")
    assert (again["version"], again["title"]) == (2, "MR of knees")
    record = Path(again["records"]["fdp"]).read_text()
    assert "access-right/RESTRICTED" in record
    assert "publicdomain/zero/1.0" in record
    assert "access-right/PUBLIC" not in record


def test_an_interrupted_command_goes_on_where_it_stopped(home: Path, cohort: str, capfd):
    from fairlead.commands.publish import run_id_of
    from fairlead.publish import ExportParameters

    settings = Settings()
    engine: Engine = open_database(settings)
    exports = Exports(settings, engine)
    parameters = ExportParameters(cohort=cohort)
    begun = exports.request(parameters, requested_by="clara", run_id=run_id_of(exports, parameters, requested_by="clara"))
    published(capfd, cohort)
    assert [(export.id, export.state) for export in exports.list()] == [(begun.id, "published")]
    engine.dispose()


def test_people_read_the_result_in_words(home: Path, cohort: str, capfd):
    assert run(["publish", cohort, "--approved-by", "stewart", "--requested-by", "clara"]) == 0
    out = capfd.readouterr().out
    assert "Abdomen and cells, version 1: 2 series of 2 subjects" in out
    assert "shacl-fdp ok" in out


def test_restricted_pixels_are_published_but_not_advertised(home: Path, cohort: str, capfd):
    document = published(capfd, cohort, "--access-rights", "restricted")
    settings = Settings()
    engine = open_database(settings)
    assert DatasetStore(settings, engine).get(document["dataset"]).access_rights == "restricted"
    assert "downloadURL" not in Path(document["records"]["fdp"]).read_text()
    engine.dispose()


def test_a_folder_read_in_place_is_compared_as_a_whole(settings: Settings, engine: Engine, tmp_path: Path):
    store = tmp_path / "cells.ome.zarr"
    store.mkdir()
    (store / "zarr.json").write_text("{}")
    record = an_imaging_record(1, kind="ome-image", path=str(store))
    core = record.core.model_copy(update={"generation": manifest_sha256(manifest_lines(store))})
    indexed = record.model_copy(update={"core": core})
    rooms = Rooms(settings, engine)
    assert rooms.is_unchanged(indexed)
    (store / "zarr.json").write_text("{ }")
    assert not rooms.is_unchanged(indexed)


NAMED = """<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Experimenter ID="Experimenter:0" LastName="Zqmiller"/>
<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="16" SizeY="16" SizeZ="1" SizeC="1" SizeT="1">
<MetadataOnly/></Pixels></Image></OME>"""


def a_store(folder: Path, *, name: str, values: np.ndarray) -> Path:
    """Write a valid NGFF 0.5 image without compression, so that what lies in its chunks is legible."""
    zarr.create_array(str(folder / "0"), data=values, chunks=values.shape, compressors=None, dimension_names=["y", "x"])
    axes = [{"name": name, "type": "space"} for name in "yx"]
    datasets = [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1.0, 1.0]}]}]
    ome = {"version": "0.5", "multiscales": [{"name": name, "axes": axes, "datasets": datasets}]}
    (folder / "zarr.json").write_text(json.dumps({"zarr_format": 3, "node_type": "group", "attributes": {"ome": ome}}))
    return folder


def test_an_ome_zarr_is_deidentified_before_it_is_converted(settings: Settings, engine: Engine, tmp_path: Path):
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    record = an_imaging_record(1, kind="ome-image")
    parameters = ExportParameters(cohort="cells@1")
    clean = a_store(tmp_path / "cells.ome.zarr", name="cells", values=values)
    (report,) = Rooms(settings, engine).convert(record, [clean], out=tmp_path / "out", parameters=parameters).stores
    assert np.array_equal(zarr.open_array(str(tmp_path / "out" / report.path / "0"), mode="r")[:], values)
    assert not list(tmp_path.glob(".safe-*"))
    said = np.frombuffer(b"operator: Zqmiller".ljust(256, b"\0"), np.uint8).reshape(16, 16)
    planted = a_store(tmp_path / "other.ome.zarr", name="cells", values=said)
    (planted / "OME").mkdir()
    (planted / "OME/METADATA.ome.xml").write_text(NAMED)
    with pytest.raises(CheckFailed, match="a chunk of the store holds it as text"):
        Rooms(settings, engine).convert(record, [planted], out=tmp_path / "second", parameters=parameters)


def test_pseudonyms_are_stable_over_versions_and_not_linkable_between_cohorts(settings: Settings, engine: Engine):
    rooms, record = Rooms(settings, engine), an_imaging_record(1)
    first, second, other = (a_cohort([record], reference=name) for name in ("chest@1", "chest@2", "head@1"))
    assert rooms.pseudonyms(first, record) == rooms.pseudonyms(second, record)
    assert not set(rooms.pseudonyms(first, record)) & set(rooms.pseudonyms(other, record))
