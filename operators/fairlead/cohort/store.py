"""Frozen cohorts in the database: the definition, who was in it, and what that rested on. Nothing here is ever changed."""

from __future__ import annotations

import hashlib
import re
import uuid
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Engine, Row, func, insert, select, tuple_
from sqlalchemy.exc import IntegrityError

from fairlead.cohort.compile import compile_definition
from fairlead.cohort.counting import Attrition, attrition, last_step_before_nothing
from fairlead.cohort.nodes import Definition, cohorts_used
from fairlead.cohort.normal import definition_sha256, normal_form
from fairlead.cohort.sentence import sentence
from fairlead.cohort.tables import cohort_versions, cohorts
from fairlead.database import database_errors, utc_now
from fairlead.errors import Conflict, EmptyCohort, InvalidDefinition, NotFound
from fairlead.extract import FieldCatalogue
from fairlead.index import Index, Members
from fairlead.records import CohortSummary, CohortVersion, Counts, Grain, JsonObject

REFERENCE: Final = re.compile(r"([0-9a-fA-F-]{36})(?:@([1-9][0-9]{0,8}|latest))?")
NAMESPACE: Final = uuid.UUID("6f0c7cb6-6c4b-5d0e-9c0d-0d6f6e2b7a51")
TRIES: Final = 5


@dataclass(frozen=True, slots=True)
class Look:
    """Members, counts and attrition of one index generation."""

    generation: str
    members: Members
    counts: Counts
    attrition: tuple[Attrition, ...]


def cohort_id(title: str) -> str:
    """Return the id of a cohort whose definition states none: the same title is the same cohort.

    >>> cohort_id("Chest CT") == cohort_id(" chest ct ")
    True
    """
    return str(uuid.uuid5(NAMESPACE, title.strip().casefold()))


def members_sha256(ids: Sequence[str]) -> str:
    """Return the sha256 over sorted ids joined by newlines, UTF-8."""
    return hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()


class CohortStore:
    """Every frozen version of every cohort."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def freeze(
        self,
        definition: Definition,
        *,
        index: Index,
        catalogue: FieldCatalogue,
        author: str,
        title: str | None = None,
        purpose: str = "",
        clock: Callable[[], datetime] = utc_now,
    ) -> CohortVersion:
        """Freeze the members as the next version; when definition, members and title are those of the newest, return that one.

        Raises
        ------
        EmptyCohort : nobody matches; the message names the rule that removed the last.
        InvalidDefinition : the definition refers to ``@latest`` of another cohort; Conflict : the index never stood still.
        """
        seen = self._seen(definition, index)
        draft = _draft(definition, seen, catalogue, title=(title or definition.title).strip())
        made = {"author": author, "purpose": purpose or definition.purpose, "created_at": clock()}
        return self._keep(draft.model_copy(update=made), seen.attrition)

    def _seen(self, definition: Definition, index: Index) -> Look:
        for ref in cohorts_used(definition):
            if ref.endswith("@latest"):
                raise InvalidDefinition(f"The definition refers to {ref}.", remedy="Name a version: only drafts may follow the latest.")
        seen = self._look(definition, index)
        if not seen.members.ids:
            rule = last_step_before_nothing(seen.attrition)
            raise EmptyCohort(f"Nobody is in this cohort: nothing is left after the step {rule!r}.")
        return seen

    def _look(self, definition: Definition, index: Index) -> Look:
        for _ in range(TRIES):
            before = index.generation()
            members = index.members(compile_definition(definition, self.resolve))
            table, counts = attrition(definition, index, self.resolve)
            if index.generation() == before:
                return Look(before, members, counts, table)
        raise Conflict("The index changes faster than it can be read.", remedy="Freeze again when the present ingest is done.")

    def _keep(self, draft: CohortVersion, table: Sequence[Attrition]) -> CohortVersion:
        try:
            with database_errors(), self.engine.begin() as connection:
                newest = self._newest(connection, draft.id)
                if newest is not None and _says_the_same(newest, draft):
                    return newest
                if newest is None:
                    values = {"id": draft.id, "created_at": draft.created_at, "created_by": draft.author}
                    connection.execute(insert(cohorts), values)
                version = _numbered(draft, newest)
                connection.execute(insert(cohort_versions), _columns(version) | {"attrition": [asdict(step) for step in table]})
                return version
        except IntegrityError as error:
            raise Conflict("Somebody else froze this cohort at the same moment.", remedy="Freeze again.") from error

    # --- reading -----------------------------------------------------------------------------------------------------

    def get(self, ref: str) -> CohortVersion:
        """Return ``ID@N``, or the newest version for ``ID`` and ``ID@latest``; raise NotFound."""
        found = REFERENCE.fullmatch(ref.strip())
        version = None
        if found is not None:
            identity, number = found[1].lower(), found[2]
            with database_errors(), self.engine.connect() as connection:
                version = self._newest(connection, identity) if number in (None, "latest") else _one(connection, identity, int(number))
        if version is None:
            raise NotFound(f"There is no cohort {ref[:60]!r}.", remedy="`fairlead cohort list` shows every ID@N.")
        return version

    def list(self) -> tuple[CohortSummary, ...]:
        """Return the newest version of every cohort, newest first; member lists are not read."""
        newest = select(cohort_versions.c.cohort_id, func.max(cohort_versions.c.version)).group_by(cohort_versions.c.cohort_id)
        return self._summaries(tuple_(cohort_versions.c.cohort_id, cohort_versions.c.version).in_(newest))

    def versions(self, identity: str) -> tuple[CohortSummary, ...]:
        """Return every version of one cohort, newest first, without member lists; raise NotFound when there is none."""
        found = self._summaries(cohort_versions.c.cohort_id == identity)
        if not found:
            raise NotFound(f"There is no cohort {identity[:60]!r}.", remedy="`fairlead cohort list` shows every ID@N.")
        return found

    def resolve(self, ref: str) -> frozenset[str]:
        """Return the record ids of a version."""
        return frozenset(self.get(ref).members)

    def attrition(self, ref: str) -> tuple[Attrition, ...]:
        """Return the attrition that was written down when the version was frozen."""
        version = self.get(ref)
        here = (cohort_versions.c.cohort_id == version.id, cohort_versions.c.version == version.version)
        with database_errors(), self.engine.connect() as connection:
            stored = connection.execute(select(cohort_versions.c.attrition).where(*here)).scalar_one()
        return tuple(Attrition(**step) for step in stored)

    def _summaries(self, which: ColumnElement[bool]) -> tuple[CohortSummary, ...]:
        order = (cohort_versions.c.created_at.desc(), cohort_versions.c.version.desc())
        wanted = select(*(column for column in cohort_versions.c if column.name != "members")).where(which).order_by(*order)
        with database_errors(), self.engine.connect() as connection:
            return tuple(CohortSummary(**_summary(row)) for row in connection.execute(wanted))

    @staticmethod
    def _newest(connection: Connection, identity: str) -> CohortVersion | None:
        wanted = select(cohort_versions).where(cohort_versions.c.cohort_id == identity).order_by(cohort_versions.c.version.desc()).limit(1)
        row = connection.execute(wanted).one_or_none()
        return None if row is None else _version(row)


def _draft(definition: Definition, seen: Look, catalogue: FieldCatalogue, *, title: str) -> CohortVersion:
    texts = {"title": title, "description": definition.description, "purpose": definition.purpose}
    return CohortVersion(
        id=definition.id or cohort_id(title),
        version=1,
        title=title,
        unit=definition.unit,
        definition=normal_form(definition) | {key: text for key, text in texts.items() if text},
        definition_sha256=definition_sha256(definition),
        members=seen.members.ids,
        members_sha256=members_sha256(seen.members.ids),
        counts=seen.counts,
        sentence=sentence(definition, catalogue),
        index_generation=seen.generation,
        author="",
        created_at=utc_now(),
        revisions=seen.members.revisions,
        catalogue_sha256=catalogue.sha256,
    )


def _one(connection: Connection, identity: str, number: int) -> CohortVersion | None:
    here = (cohort_versions.c.cohort_id == identity, cohort_versions.c.version == number)
    row = connection.execute(select(cohort_versions).where(*here)).one_or_none()
    return None if row is None else _version(row)


def _says_the_same(newest: CohortVersion, draft: CohortVersion) -> bool:
    told = ("title", "definition_sha256", "members_sha256", "revisions")
    return all(getattr(newest, name) == getattr(draft, name) for name in told)


def _numbered(draft: CohortVersion, newest: CohortVersion | None) -> CohortVersion:
    number = 1 if newest is None else newest.version + 1
    names: JsonObject = {"id": draft.id, "version": number}
    parent = {} if newest is None else {"parent": f"sha256:{newest.definition_sha256}"}
    return draft.model_copy(update={"version": number, "definition": draft.definition | names | parent})


def _columns(version: CohortVersion) -> dict[str, Any]:
    lines = "\n".join(f"{record_id}\t{revision}" for record_id, revision in zip(version.members, version.revisions, strict=True))
    plain = version.model_dump(exclude={"id", "members", "revisions", "counts", "unit"})
    packed = {"cohort_id": version.id, "unit": version.unit.value, "members": zlib.compress(lines.encode())}
    return plain | version.counts.model_dump() | packed


def _version(row: Row[Any]) -> CohortVersion:
    lines = [line.split("\t") for line in zlib.decompress(row.members).decode().splitlines()]
    members, revisions = tuple(record_id for record_id, _ in lines), tuple(revision for _, revision in lines)
    return CohortVersion(**_summary(row), members=members, revisions=revisions)


def _summary(row: Row[Any]) -> dict[str, Any]:
    counts = Counts(**{name: getattr(row, name) for name in Counts.model_fields})
    same = {name: getattr(row, name) for name in CohortSummary.model_fields if name not in {"id", "unit", "counts"}}
    return same | {"id": row.cohort_id, "unit": Grain(row.unit), "counts": counts}
