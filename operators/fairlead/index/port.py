"""The index port: what every engine promises. The promise is tests/conformance/index_contract.py."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from fairlead.index.criteria import Criterion
from fairlead.records import Counts, ImagingRecord, Refusal, Scalar


@dataclass(frozen=True, slots=True)
class PutReport:
    """What a batch did to the index; ``seen = added + changed + unchanged + len(refused)``. A refusal's source is the record's id."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    refused: tuple[Refusal, ...] = ()


@dataclass(frozen=True, slots=True)
class Members:
    """Who matches, as parallel tuples sorted by id. ``revisions`` are content hashes, so that a later look tells who was revised."""

    ids: tuple[str, ...]
    revisions: tuple[str, ...]
    patients: tuple[str, ...]
    studies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FacetValue:
    """One bucket: a value of the field, or None for records that do not state it."""

    value: Scalar | None
    label: str
    patients: int
    series: int


type Values = Mapping[str, tuple[Scalar | None, ...]]
"""One value a member by field, in the order of the members."""

type Facets = Mapping[str, tuple[FacetValue, ...]]


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """What the index holds now."""

    backend: str
    records: int
    generation: str


class Index(Protocol):
    """Searchable imaging records, one per DICOM series or OME image; never holds pixel data."""

    def put(self, records: Iterable[ImagingRecord]) -> PutReport:
        """Add or replace by id; a record with the same content is left alone, one that the engine refuses does not stop the others.

        Input that breaks off leaves nothing behind. An engine that fails half-way (ServiceUnreachable) may keep a part of the
        batch: putting it again completes it and counts that part as unchanged.
        """
        ...

    def remove(self, ids: Iterable[str]) -> int:
        """Remove by id and return how many were there."""
        ...

    def get(self, record_id: str) -> ImagingRecord:
        """Return one record; raise NotFound."""
        ...

    def read(self, ids: Iterable[str]) -> Iterator[ImagingRecord]:
        """Yield the records of those ids that are there, in the order of the ids; some hundred are in memory at a time."""
        ...

    def members(self, criterion: Criterion) -> Members:
        """Return every record for which the criterion is true."""
        ...

    def described(self, criterion: Criterion, fields: Sequence[str]) -> tuple[Members, Values]:
        """Return who matches, and the least stated value of each field for each of them, both from one point in time.

        Raises
        ------
        UnsupportedInput : a field is a text, which nobody keeps in columns.
        """
        ...

    def patients(self, criterion: Criterion) -> frozenset[str]:
        """Return the keys of the patients who have a matching record, without naming the records."""
        ...

    def count(self, criterion: Criterion) -> Counts:
        """Return exact numbers at the four grains."""
        ...

    def facets(self, criterion: Criterion, fields: Sequence[str]) -> Facets:
        """Return value counts per field, each counted without the field's own conditions."""
        ...

    def missing(self, criterion: Criterion, fields: Sequence[str]) -> Mapping[str, int]:
        """Return, per field, how many of the matching records do not state it."""
        ...

    def sample(self, criterion: Criterion, size: int, *, seed: int = 0) -> tuple[ImagingRecord, ...]:
        """Return ``size`` of the matching records (all, if fewer), drawn evenly; equal content and seed, equal sample on every engine.

        Raises
        ------
        InvalidInput : ``size`` is negative or above 10,000.
        """
        ...

    def extremes(self, criterion: Criterion, field: str, size: int) -> tuple[tuple[ImagingRecord, ...], tuple[ImagingRecord, ...]]:
        """Return up to ``size`` of the matching records with the least values of a field, least first, and with the greatest.

        Of several values of one record the least, or the greatest, stands for it; equal values come in the same order on every engine.

        Raises
        ------
        UnsupportedInput : the field is no number and no date. InvalidInput : ``size`` is negative or above 10,000.
        """
        ...

    def page(self, criterion: Criterion, *, offset: int, limit: int) -> tuple[ImagingRecord, ...]:
        """Return ``limit`` of the matching records from ``offset`` on, in the order of patient, study and id.

        Raises
        ------
        InvalidInput : the page does not lie within the first 10,000 records.
        """
        ...

    def generation(self) -> str:
        """Return the sha256 over the sorted (id, content hash) pairs: equal content, equal generation, also after a rebuild."""
        ...

    def clear(self) -> None:
        """Remove everything."""
        ...

    def status(self) -> IndexStatus:
        """Return backend, number of records and generation."""
        ...
