"""Bundles of records that are stored: all or none, or those that can be when the client wants that, with an outcome for each.

Source: FDP 2.0 draft, bulk ingestion (BLK-05 to BLK-08); RFC 7240 for ``Prefer``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from rdflib import Graph
from sqlalchemy import Connection

from fairlead.catalog.accounts import User
from fairlead.catalog.bodies import MAX_BUNDLE
from fairlead.catalog.bundle_parts import Part, take_apart
from fairlead.catalog.entries import Entry, EntryState
from fairlead.catalog.reading import read_trig
from fairlead.catalog.writer import Sent, Writer
from fairlead.catalog.writing import RefusedRecord, words_of
from fairlead.errors import FairleadError, InvalidInput, ServiceUnreachable
from fairlead.records import JsonObject

MAX_REFUSED: Final = 20_000
"""Statements of refused records until the rest of a bundle is refused unread: reports cost more than all that can be stored."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A bundle and how it is to be stored: from whom, below which record, published at once or as drafts, in part or not."""

    body: bytes
    user: User
    container: str
    top: str
    publish: bool = False
    lenient: bool = False


@dataclass(slots=True)
class Outcome:
    """What became of a bundle: each record by its name in the bundle."""

    created: list[tuple[str, Entry, str]] = field(default_factory=list)
    refused: list[JsonObject] = field(default_factory=list)
    stored: bool = False

    def report(self) -> JsonObject:
        """Return the report: address or reason of every record (BLK-05, BLK-07)."""
        made = [{"graph": name, "iri": iri, "outcome": "created", "state": _state(entry)} for name, entry, iri in self.created]
        total = len(made) + len(self.refused)
        kept = made if self.stored else []
        return {"stored": len(kept), "refused": len(self.refused), "total": total, "records": [*kept, *self.refused]}


def _state(entry: Entry) -> str:
    return "PUBLISHED" if entry.is_visible else entry.state.value.upper()


def store_bundle(writer: Writer, wanted: Wanted, *, also: Callable[[Connection, Outcome], None] | None = None) -> Outcome:
    """Store a bundle in one transaction, with whatever ``also`` writes; when a record is refused and all were wanted, nothing is.

    Raises
    ------
    InvalidInput : the document is no bundle.
    ServiceUnreachable : the database does not answer.
    """
    outcome = _judged(writer, wanted)
    if outcome.created and (wanted.lenient or not outcome.refused):
        new = [(entry, words_of(entry.graph(), iri)) for _, entry, iri in outcome.created]
        outcome.stored = True

        def settle(connection: Connection, stored: Sequence[Entry]) -> None:
            """Take over the states that the records got, then write the rest."""
            outcome.created = [(name, entry, iri) for (name, _, iri), entry in zip(outcome.created, stored, strict=True)]
            if also is not None:
                also(connection, outcome)

        writer.documents.entries.add_all(new, also=settle)
    return outcome


def _judged(writer: Writer, wanted: Wanted) -> Outcome:
    graphs = read_trig(wanted.body, base=wanted.container, limit=MAX_BUNDLE)
    parts, faults = take_apart(graphs, base=writer.documents.site.base, container=wanted.container, top=wanted.top)
    outcome = Outcome(refused=[_refusal(fault.name, fault.error) for fault in faults])
    near: dict[str, Graph] = {}
    inside, spent = {part.iri for part in parts}, 0
    for part in parts:
        try:
            if spent > MAX_REFUSED:
                raise InvalidInput("The record was not looked at: those before it are refused.", remedy="Correct those first.")
            entry, graph = _drafted(writer, wanted, part, inside, near)
        except ServiceUnreachable:
            raise  # no record's fault
        except FairleadError as error:
            spent += len(part.graph)
            outcome.refused.append(_refusal(part.name, error))
        else:
            near[part.iri] = graph
            state = EntryState.PUBLISHED if wanted.publish else EntryState.DRAFT
            outcome.created.append((part.name, replace(entry, state=state), part.iri))
    return outcome


def _drafted(writer: Writer, wanted: Wanted, part: Part, inside: set[str], near: dict[str, Graph]) -> tuple[Entry, Graph]:
    """Return a record of the bundle as it would be stored; raise what says why it cannot be."""
    if part.parent in inside and part.parent not in near:
        raise InvalidInput("The record of this bundle that it is part of is refused.", remedy="Correct that one.")
    if part.parent not in inside and part.parent.rstrip("/") != wanted.top.rstrip("/"):
        raise InvalidInput("The record is part of something outside of this bundle.", remedy="Send it to the container of that.")
    sent = Sent(b"", "", wanted.user, part.parent, part.graph, near)
    drafted = writer.drafted(sent, part.kind, identifier=part.id)
    if wanted.publish and part.parent not in inside:
        writer.require_place(drafted[0].parent, wanted.user)
    return drafted


def _refusal(name: str, error: FairleadError) -> JsonObject:
    found: dict[str, Any] = {"graph": name, "outcome": "rejected", "code": error.code, "title": error.message, "detail": error.remedy}
    if isinstance(error, RefusedRecord) and error.report is not None:
        found["report"] = error.report.document.serialize(format="turtle")
    return found
