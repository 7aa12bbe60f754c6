"""Hand-made records: what a publication of one CT series and one slide looks like."""

from __future__ import annotations

from datetime import UTC, datetime

from fairlead.records import Agent, Approval, Concept, Counts, DatasetRecord, Distribution

WHEN = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
PUBLISHER = Agent(
    name="Centre of Imaging", iri="https://example.org/centre", email="data@example.org", homepage="https://example.org/centre"
)


def a_distribution(number: int = 1, **changes: object) -> Distribution:
    """Return a distribution of one store."""
    fields: dict[str, object] = {
        "id": f"image-{number}",
        "title": f"Image {number}, OME-Zarr",
        "path": f"images/s{number}.ome.zarr",
        "media_type": "application/vnd.zarr",
        "conforms_to": "https://ngff.openmicroscopy.org/0.5/",
        "size_bytes": 1234,
        "sha256": "ab" * 32,
    }
    return Distribution(**(fields | changes))


def a_record(**changes: object) -> DatasetRecord:
    """Return a complete record of two images; ``changes`` replace fields."""
    fields: dict[str, object] = {
        "id": "ds-0011223344556677",
        "version": 1,
        "cohort": "chest@2",
        "title": "Chest CT and slides",
        "description": "Two imaging series.",
        "publisher": PUBLISHER,
        "creators": (PUBLISHER,),
        "contact": PUBLISHER,
        "license": "https://creativecommons.org/licenses/by/4.0/",
        "access_rights": "public",
        "keywords": ("CT", "chest"),
        "themes": ("http://publications.europa.eu/resource/authority/data-theme/HEAL",),
        "issued": WHEN,
        "modified": WHEN,
        "counts": Counts(patients=1, studies=1, series=2, images=30, size_bytes=2468),
        "modalities": (Concept(raw="CT", curie="DCM:CT", label="Computed Tomography"), Concept(raw="XX")),
        "body_parts": (Concept(raw="CHEST", curie="SCT:816094009", label="Chest"),),
        "organisms": (Concept(raw="Homo sapiens", curie="NCBITaxon:9606", label="Homo sapiens"),),
        "sentence": "Series with modality CT.",
        "definition_sha256": "cd" * 32,
        "members_sha256": "ef" * 32,
        "deidentification": ("113100", "113107"),
        "provenance": ("Received as DICOM.", "Converted to OME-Zarr 0.5."),
        "approval": Approval(requested_by="clara", decided_by="stewart", decided_at=WHEN, approved=True, reason="ethics vote 7"),
        "distributions": (
            a_distribution(1),
            a_distribution(
                2, id="members", title="Members, CSV", path="members.csv", media_type="text/csv", conforms_to=None, sha256="01" * 32
            ),
        ),
    }
    return DatasetRecord(**(fields | changes))
