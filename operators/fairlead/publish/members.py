"""The members table: one line a published image, pseudonyms only."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Final

from fairlead.publish.staging import StagedStore
from fairlead.publish.vocabulary import concept_iri
from fairlead.records import Concept, ImagingRecord

COLUMNS: Final = (
    "image",
    "subject",
    "kind",
    "modality",
    "modality_iri",
    "body_part",
    "body_part_iri",
    "organism",
    "organism_iri",
    "store",
    "shape",
    "dtype",
)


def members_csv(stores: Sequence[StagedStore], records: Mapping[str, ImagingRecord]) -> str:
    """Return the table as CSV (RFC 4180), sorted by image; words of headers appear only where they have a meaning with an IRI."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for item in sorted(stores, key=lambda store: store.store.path):
        core = records[item.record_id].core
        writer.writerow(
            [
                item.pseudonym,
                item.subject,
                core.kind,
                *_meaning(core.modality or core.imaging_method),
                *_meaning(core.body_part),
                *_meaning(core.organism),
                item.store.path,
                "x".join(map(str, item.store.shape)),
                item.store.dtype,
            ]
        )
    return text.getvalue()


def _meaning(concept: Concept | None) -> tuple[str, str]:
    iri = concept_iri(concept.curie) if concept else None
    return (concept.label or concept.raw, iri) if concept and iri else ("", "")
