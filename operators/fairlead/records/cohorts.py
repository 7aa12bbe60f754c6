"""Counts and frozen versions of cohorts."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from fairlead.records.base import JsonObject, Record, Sha256


class Grain(StrEnum):
    """What is counted."""

    PATIENT = "patient"
    STUDY = "study"
    SERIES = "series"
    IMAGE = "image"


class Counts(Record):
    """Exact numbers at the four grains, and bytes."""

    patients: int
    studies: int
    series: int
    images: int
    size_bytes: int


class CohortSummary(Record):
    """What a list of cohorts shows of a version: everything but who is in it.

    ``members_sha256`` is the sha256 of the sorted record ids joined by newlines, UTF-8; ``catalogue_sha256`` is the field
    catalogue they were read with; ``project`` is who may see it, empty for the installation's own.
    """

    id: str
    version: int
    title: str
    unit: Grain
    definition: JsonObject
    definition_sha256: Sha256
    members_sha256: Sha256
    counts: Counts
    sentence: str
    index_generation: str
    author: str
    purpose: str = ""
    created_at: datetime
    catalogue_sha256: str = ""
    compiler: str = ""
    project: str = ""

    @property
    def ref(self) -> str:
        """The pinned reference, ``ID@N``."""
        return f"{self.id}@{self.version}"


class CohortVersion(CohortSummary):
    """An immutable version: the definition, what it meant on the day, and exactly who was in it.

    ``members`` are record ids, sorted; ``revisions`` are their content hashes, in the same order.
    """

    members: tuple[str, ...]
    revisions: tuple[Sha256, ...] = ()
