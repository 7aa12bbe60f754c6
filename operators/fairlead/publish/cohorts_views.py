"""Two views of a dataset for those who exchange cohorts: a FHIR R5 ``Group`` and a GA4GH Beacon v2 cohort.

Both say how many there are and by what they were chosen, and list nobody: members of a published dataset have no identity outside it.
Sources: https://hl7.org/fhir/R5/group.html, https://docs.genomebeacons.org/schemas-md/cohorts_defaultSchema/.
"""

from __future__ import annotations

from typing import Any, Final

from fairlead.publish.addresses import Site
from fairlead.publish.counting import shown_counts
from fairlead.publish.vocabulary import CONCEPTS, concept_iri
from fairlead.records import Concept, DatasetRecord, JsonObject

SYSTEMS: Final = {
    "DCM": "http://dicom.nema.org/resources/ontology/DCM",
    "SCT": "http://snomed.info/sct",
    "SNOMED": "http://snomed.info/sct",
    "NCBITaxon": "http://purl.obolibrary.org/obo/ncbitaxon.owl",
    "FBbi": "http://purl.obolibrary.org/obo/fbbi.owl",
}
"""FHIR code systems of our prefixes."""


def fhir_group(record: DatasetRecord, *, site: Site) -> JsonObject:
    """Return the dataset's subjects as a FHIR R5 Group of conceptual membership, with modality, body part and organism."""
    characteristics = [
        _characteristic(name, concept)
        for name, concepts in (("modality", record.modalities), ("body-site", record.body_parts), ("organism", record.organisms))
        for concept in concepts
        if concept_iri(concept.curie)
    ]
    document: dict[str, Any] = {
        "resourceType": "Group",
        "id": record.id,
        "url": site.dataset(record.id),
        "identifier": [{"system": "urn:ietf:rfc:3986", "value": site.pid(record) or site.dataset(record.id)}],
        "version": str(record.version),
        "name": record.title,
        "title": record.title,
        "status": "active",
        "experimental": False,
        "date": record.modified.isoformat(timespec="seconds"),
        "publisher": record.publisher.name,
        "description": record.description,
        "type": "person" if record.deidentification else "specimen",
        "membership": "definitional",
    }
    if "patients" in shown_counts(record):
        document["quantity"] = record.counts.patients
    if record.contact.email:
        document["contact"] = [{"name": record.contact.name, "telecom": [{"system": "email", "value": record.contact.email}]}]
    return document | ({"characteristic": characteristics} if characteristics else {})


def _characteristic(name: str, concept: Concept) -> JsonObject:
    prefix, _, code = (concept.curie or "").partition(":")
    coding = {"system": SYSTEMS.get(prefix, CONCEPTS.get(prefix, "")), "code": code, "display": concept.label or concept.raw}
    return {"code": {"text": name}, "valueCodeableConcept": {"coding": [coding]}, "exclude": False}


def beacon_cohort(record: DatasetRecord, *, site: Site) -> JsonObject:
    """Return the dataset as an entry of a Beacon v2 ``cohorts`` answer; the criteria are in words, as they were published."""
    codes = [{"id": concept.curie, "label": concept.label or concept.raw} for concept in record.modalities if concept_iri(concept.curie)]
    parts = [{"id": concept.curie, "label": concept.label or concept.raw} for concept in record.body_parts if concept_iri(concept.curie)]
    criteria: dict[str, Any] = {"description": record.sentence or record.description}
    data_types = [{"id": "OGMS:0000020", "label": "imaging finding"}] if record.deidentification else []
    document: dict[str, Any] = {
        "id": record.id,
        "name": record.title,
        "cohortType": "study-defined",
        "cohortDesign": {"id": "OBI:0002471", "label": "data set study design"},
        "inclusionCriteria": criteria,
        "cohortDataTypes": data_types,
        "info": {"dataset": site.dataset(record.id), "modalities": codes, "bodyParts": parts, "series": record.counts.series},
    }
    if record.counts_below:  # Beacon has no word for "fewer than"
        document["info"]["fewerThan"] = record.counts_below
        return document
    event = {"eventNum": 1, "eventSize": record.counts.studies, "eventCases": record.counts.patients}
    return document | {"cohortSize": record.counts.patients, "collectionEvents": [event]}
