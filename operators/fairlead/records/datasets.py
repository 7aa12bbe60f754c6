"""The one model that every FAIR view is rendered from."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from fairlead.records.base import Record, Sha256
from fairlead.records.cohorts import Counts
from fairlead.records.imaging import Concept, Refusal
from fairlead.records.stores import StoreReport


class Agent(Record):
    """A person or organisation responsible for a dataset."""

    name: str
    iri: str | None = None
    email: str | None = None
    homepage: str | None = None


class Approval(Record):
    """The steward's decision. Four eyes: ``requested_by`` and ``decided_by`` differ unless governance allows otherwise."""

    requested_by: str
    decided_by: str
    decided_at: datetime
    approved: bool
    reason: str = ""


class Distribution(Record):
    """One downloadable thing of a dataset; ``path`` is relative to the dataset's published folder."""

    id: str
    title: str
    path: str
    media_type: str
    conforms_to: str | None = None
    size_bytes: int
    sha256: Sha256
    store: StoreReport | None = None


class Tally(Record):
    """How the subjects or the series of a dataset are distributed: labels and whole percents.

    ``hidden_below`` is the governance threshold when there are too few people to show any cell.
    """

    name: str
    unit: Literal["subjects", "series"]
    cells: tuple[tuple[str, int], ...] = ()
    hidden_below: int = 0


class DatasetRecord(Record):
    """The one internal model that every FAIR view is rendered from. It holds no original UID and no patient-level row."""

    id: str
    version: int
    cohort: str
    title: str
    description: str
    publisher: Agent
    creators: tuple[Agent, ...]
    contact: Agent
    license: str
    access_rights: str
    keywords: tuple[str, ...]
    themes: tuple[str, ...]
    language: str = "en"
    issued: datetime
    modified: datetime
    counts: Counts
    modalities: tuple[Concept, ...] = ()
    body_parts: tuple[Concept, ...] = ()
    organisms: tuple[Concept, ...] = ()
    sentence: str = ""
    definition_sha256: Sha256
    members_sha256: Sha256
    deidentification: tuple[str, ...] = ()
    provenance: tuple[str, ...] = ()
    approval: Approval
    distributions: tuple[Distribution, ...]
    refused: tuple[Refusal, ...] = ()
    series: str = ""
    """IRI of a dataset series across centres that this dataset is one part of; empty for none."""
    tallies: tuple[Tally, ...] = ()
    """Distributions that single nobody out, for the datasheet."""
    counts_below: int = 0
    """The governance threshold when numbers of patients and studies are below it and stay in the house; 0 when all may be shown."""
