"""JSON views as a gate, and numbers of people that stay in the house."""

from __future__ import annotations

import json
from typing import Any

import pytest
from rdflib import DCTERMS
from sqlalchemy import Engine

from fairlead.errors import ShapeViolation
from fairlead.publish import VIEWS, DatasetNode, DistributionNode, Exports, Site, document_of, render, serialise
from fairlead.publish.check_documents import SCHEMAS, findings, require_documents
from fairlead.publish.documents import OF_DATASET
from fairlead.records import Concept, Counts
from fairlead.settings import CatalogSettings, PidSettings, Settings
from publish.conftest import Clock, run
from publish.fakes import FakeUpstream, a_cohort, an_imaging_record
from publish.samples import a_record

SITE = Site("https://fdp.example.org", "local", CatalogSettings(publisher_iri="https://example.org/centre"))


def document(profile: str, **changes: object) -> dict[str, Any]:
    """Return a JSON view of the sample record."""
    return json.loads(json.dumps(document_of(DatasetNode(a_record(**changes)), profile, site=SITE)))


@pytest.mark.parametrize("profile", OF_DATASET)
def test_every_json_view_of_the_sample_may_be_published(profile: str):
    assert findings(profile, document(profile)) == []


@pytest.mark.parametrize(
    ("kind", "prefix", "pid"),
    [
        ("none", "", ""),
        ("doi", "10.5072", "https://doi.org/10.5072/ds-0011223344556677.v1"),
        ("handle", "21.T11148", "https://hdl.handle.net/21.T11148/ds-0011223344556677.v1"),
        ("ark", "12345", "https://n2t.net/ark:/12345/ds-0011223344556677.v1"),
    ],
)
def test_the_identifiers_that_the_centre_registers_stand_in_every_view(kind: str, prefix: str, pid: str):
    site = Site(SITE.base, SITE.catalog_id, SITE.words.model_copy(update={"pid": PidSettings(kind=kind, prefix=prefix)}))
    record = a_record()
    here, named = DatasetNode(record), pid or "https://fdp.example.org/dataset/ds-0011223344556677"
    kernel, image = (document_of(node, "fdo", site=site) for node in (here, DistributionNode(record, record.distributions[0])))
    assert (kernel["pid"], image["pid"]) == (pid, f"{pid}.image-1" if pid else "")
    assert {item["value"] for item in image["record"] if item["name"] == "wasDerivedFrom"} == {named}
    parts = {item["value"] for item in kernel["record"] if item["name"] == "hasPart"}
    assert (image["pid"] or "https://fdp.example.org/distribution/ds-0011223344556677.image-1") in parts
    assert {str(value) for value in render(here, "fdp", site=site).objects(None, DCTERMS.identifier)} >= {named}
    assert document_of(here, "schemaorg", site=site)["identifier"] == named
    cited = document_of(here, "datacite", site=site)
    assert (cited.get("doi") or cited["identifiers"][0]["identifier"]) == (pid.removeprefix("https://doi.org/") or named)
    assert findings("datacite", json.loads(json.dumps(cited))) == []


MANDATORY = {
    "schemaorg": "name description license url creator publisher identifier",
    "croissant": "name description license url creator datePublished conformsTo distribution recordSet",
    "datacite": "titles creators publisher publicationYear types identifiers schemaVersion",
    "fdo": "pid record",
    "fhir": "resourceType identifier status type membership",
    "beacon": "id name cohortType cohortDesign",
    "gide": "@context @graph",
}


@pytest.mark.parametrize(("profile", "name"), [(profile, name) for profile, names in MANDATORY.items() for name in names.split()])
def test_a_json_view_without_a_mandatory_property_is_refused_in_words(profile: str, name: str):
    given = document(profile)
    del given[name]
    assert [text for text in findings(profile, given) if name in text]


def test_every_json_view_has_a_schema():
    assert {*OF_DATASET, "micrate"} == set(SCHEMAS)


def test_rows_that_read_a_file_which_is_not_there_are_found():
    given = document("croissant")
    given["distribution"][0]["@id"] = "another"
    assert "field images/image reads members-table, which is no file of the dataset" in findings("croissant", given)


def test_a_member_in_a_group_is_refused():
    assert findings("fhir", document("fhir") | {"member": [{"entity": {"reference": "Patient/1"}}]})


def test_a_json_view_that_breaks_its_schema_blocks_publication():
    record = a_record(license="no IRI at all")
    with pytest.raises(
        ShapeViolation, match=r"The schemaorg view breaks its schema in 1 places: at license: 'no IRI at all' does not match"
    ):
        require_documents(record, site=SITE)


def test_nothing_is_published_when_a_json_view_fails(settings: Settings, engine: Engine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(SCHEMAS["beacon"]["properties"], "cohortType", {"const": "another"})
    from fairlead.publish import check_documents

    check_documents._validator.cache_clear()
    records = [an_imaging_record(1)]
    exports = Exports(settings, engine, upstream=FakeUpstream(a_cohort(records), records), clock=Clock())
    with pytest.raises(ShapeViolation, match="The beacon view breaks its schema"):
        run(exports, until="describe", views=("fdp",))
    check_documents._validator.cache_clear()
    assert not list(settings.published_folder.glob("*/*"))


FEW = {
    "access_rights": "restricted",
    "counts": Counts(patients=7341, studies=7342, series=2, images=30, size_bytes=2468),
    "counts_below": 9000,
}


@pytest.mark.parametrize("profile", [*VIEWS, *OF_DATASET])
def test_hidden_numbers_of_people_stand_in_no_view(profile: str):
    record = a_record(**FEW)
    if profile in VIEWS:
        text = serialise(render(record, profile, site=SITE), "text/turtle").decode()
    else:
        text = json.dumps(document_of(DatasetNode(record), profile, site=SITE))
    assert "7341" not in text
    assert "7342" not in text


def test_the_record_of_few_people_hides_how_many_unless_their_pictures_are_public(settings: Settings, engine: Engine):
    records = [an_imaging_record(1), an_imaging_record(2)]
    exports = Exports(settings, engine, upstream=FakeUpstream(a_cohort(records), records), clock=Clock())
    public = exports.publish(run(exports))
    assert (public.counts_below, "1 subject" in public.description) == (0, True)
    asked = run(exports, run_id="run-2", access_rights="restricted")
    record = exports.publish(asked)
    assert (record.counts_below, "fewer than 5 subjects" in record.description) == (5, True)
    assert "fewer than 5 subjects" in exports.summary(asked)


def test_a_concept_without_a_system_is_caught():
    given = document("fhir", modalities=(Concept(raw="CT", curie="DCM:CT", label="Computed Tomography"),))
    given["characteristic"][0]["valueCodeableConcept"]["coding"][0]["system"] = ""
    assert [text for text in findings("fhir", given) if text.startswith("at characteristic/0/valueCodeableConcept/coding/0/system")]
