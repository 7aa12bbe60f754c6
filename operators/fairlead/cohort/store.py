"""Frozen cohorts in the database: the definition, who was in it, and what that rested on. Nothing here is ever changed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

import numpy as np
from sqlalchemy import ColumnElement, Connection, Engine, Select, and_, func, insert, select, tuple_
from sqlalchemy.exc import IntegrityError

from fairlead.cohort.audit import append
from fairlead.cohort.compile import compile_definition
from fairlead.cohort.counting import Attrition, attrition, last_step_before_nothing
from fairlead.cohort.diff import CohortDiff, Sides, compare
from fairlead.cohort.members import Fingerprints, FrozenMembers, prints_of, unpack_names
from fairlead.cohort.nodes import Definition, cohorts_used
from fairlead.cohort.tables import cohort_versions, cohorts, withdrawals, withdrawn_members
from fairlead.cohort.texts import MAX_WORDS, checked_text
from fairlead.cohort.version_rows import (
    KNOWN,
    PLAIN,
    SHA256,
    Look,
    by_hash,
    draft_of,
    may_say_the_same,
    newest_summary,
    no_cohort,
    numbered,
    one_version,
    packed_columns,
    plain_columns,
    reference_of,
    summary_of,
    version_of,
)
from fairlead.database import database_errors, utc_now
from fairlead.errors import Conflict, EmptyCohort, InvalidDefinition, NotFound, NotPermitted
from fairlead.extract import FieldCatalogue
from fairlead.index import All, And, Criterion, Index, Members, MembersOf, Not
from fairlead.records import CohortSummary, CohortVersion

TRIES: Final = 5
WITHDRAWN: Final = "withdrawn"
HELD: Final = 8
"""How many versions a process keeps at hand: they never change."""


type Subjects = Mapping[str, Collection[str]]
"""Withdrawn record ids under ``series``, keys of withdrawn patients under ``patient``."""


class CohortStore:
    """Every frozen version of every cohort."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._ids = lru_cache(HELD)(lambda ref: frozenset(self.get(ref).members))
        self._prints = lru_cache(HELD)(self._read_prints)

    def freeze(
        self,
        definition: Definition,
        *,
        index: Index,
        catalogue: FieldCatalogue,
        author: str,
        title: str | None = None,
        purpose: str = "",
        project: str = "",
        clock: Callable[[], datetime] = utc_now,
    ) -> CohortVersion:
        """Freeze the members as the next version; when definition, members and title are those of the newest, return that one.

        Who was withdrawn is left out, as a step of the attrition. ``project`` is who may see the cohort.

        Raises
        ------
        EmptyCohort : nobody matches; the message names the rule that removed the last.
        InvalidDefinition : the definition refers to ``@latest`` of another cohort; Conflict : the index never stood still.
        NotPermitted : the definition states the id of another project's cohort; InvalidInput : title, author or purpose are no such texts.
        """
        named = checked_text(title or definition.title, "title")
        told = {
            "author": checked_text(author, "author"),
            "purpose": checked_text(purpose or definition.purpose, "purpose", maximum=MAX_WORDS),
        }
        seen = self._seen(definition, index)
        draft = draft_of(definition, seen, catalogue, title=named, project=project)
        made = {**told, "created_at": clock(), "project": project}
        return self._keep(draft.model_copy(update=made), seen)

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
            criterion = compile_definition(definition, self.resolve)
            members = index.members(criterion)
            table, counts = attrition(definition, index, self.resolve)
            gone = self.withdrawn_of(members)
            if gone:
                criterion = And((criterion, Not(MembersOf(gone))))
                members, counts = index.members(criterion), index.count(criterion)
                table = (*table, Attrition(WITHDRAWN, counts.patients, counts.series))
            if index.generation() == before and counts.series == len(members.ids):  # two answers about one state, not two
                return Look(before, members, counts, table)
        raise Conflict("The index changes faster than it can be read.", remedy="Freeze again when the present ingest is done.")

    def withdrawn_subjects(self) -> Subjects:
        """Return whose consent was withdrawn: record ids under ``series``, keys of patients under ``patient``."""
        subjects: dict[str, set[str]] = {"series": set(), "patient": set()}
        with database_errors(), self.engine.connect() as connection:
            for row in connection.execute(select(withdrawals.c.kind, withdrawals.c.subject)):
                subjects[row.kind].add(row.subject)
        return subjects

    def consenting(self) -> Criterion:
        """Return who may be counted and shown: everybody but the withdrawn, who stay in the index until they leave the archive."""
        subjects = self.withdrawn_subjects()
        if not any(subjects.values()):
            return All()
        return Not(MembersOf(frozenset(subjects["series"]), patients=frozenset(subjects["patient"])))

    def withdrawn_of(self, members: Members) -> frozenset[str]:
        """Return those records whose consent, or whose patient's, was withdrawn."""
        subjects = self.withdrawn_subjects()
        if not any(subjects.values()):
            return frozenset()
        pairs = zip(members.ids, members.patients, strict=True)
        return frozenset(one for one, patient in pairs if one in subjects["series"] or patient in subjects["patient"])

    def _keep(self, draft: CohortVersion, seen: Look) -> CohortVersion:
        packed = packed_columns(draft, seen)
        for _ in range(TRIES):
            try:
                with database_errors(), self.engine.begin() as connection:
                    return self._kept(connection, draft, packed)
            except IntegrityError:  # somebody froze or was audited at the same moment: look again at what is newest
                continue
        raise Conflict("Others freeze this cohort faster than it can be written.", remedy="Freeze again.")

    def _kept(self, connection: Connection, draft: CohortVersion, packed: Mapping[str, Any]) -> CohortVersion:
        newest = newest_summary(connection, draft.id)
        if newest is not None and newest.project != draft.project:
            raise NotPermitted("There is a cohort of this id in another project.", remedy="Leave `id` out of the definition.")
        if newest is not None and may_say_the_same(newest, draft):
            known = one_version(connection, newest.id, newest.version)
            if known is not None and known.revisions == draft.revisions:
                return known
        if newest is None:
            values = {"id": draft.id, "created_at": draft.created_at, "created_by": draft.author, "project": draft.project}
            connection.execute(insert(cohorts), values)
        version = numbered(draft, newest)
        connection.execute(insert(cohort_versions), {**plain_columns(version), **packed})
        told = {"definition": version.definition_sha256, "members": version.members_sha256}
        append(connection, draft.author, "freeze", version.ref, at=draft.created_at, detail=told)
        return version

    # --- reading -----------------------------------------------------------------------------------------------------

    def get(self, ref: str) -> CohortVersion:
        """Return ``ID@N``, the newest version for ``ID`` and ``ID@latest``, or the newest of a hash; raise NotFound.

        A hash is ``sha256:`` and that of a definition or of members, as ``fairlead cohort show`` prints them: the same everywhere.
        """
        identity, number = self._named(ref)
        with database_errors(), self.engine.connect() as connection:
            version = self._newest(connection, identity) if number is None else one_version(connection, identity, number)
        if version is None:
            raise no_cohort(ref)
        return version

    def list(self) -> tuple[CohortSummary, ...]:
        """Return the newest version of every cohort, newest first; member lists are not read."""
        newest = select(cohort_versions.c.cohort_id, func.max(cohort_versions.c.version)).group_by(cohort_versions.c.cohort_id)
        return self._summaries(tuple_(cohort_versions.c.cohort_id, cohort_versions.c.version).in_(newest))

    def versions(self, identity: str) -> tuple[CohortSummary, ...]:
        """Return every version of one cohort, newest first, without member lists; raise NotFound when there is none."""
        found = self._summaries(cohort_versions.c.cohort_id == identity)
        if not found:
            raise NotFound(f"There is no cohort {identity[:60]!r}.", remedy=KNOWN)
        return found

    def resolve(self, ref: str) -> frozenset[str]:
        """Return the record ids of a version; a pinned one is kept at hand, because it never changes."""
        return frozenset(self.get(ref).members) if ref.endswith("@latest") or "@" not in ref else self._ids(ref)

    def summary(self, ref: str) -> CohortSummary:
        """Return what :meth:`get` returns without its members; NotFound otherwise."""
        identity, number = self._named(ref)
        here = [cohort_versions.c.cohort_id == identity]
        here += [] if number is None else [cohort_versions.c.version == number]
        found = self._summaries(and_(*here), limit=1)
        if not found:
            raise no_cohort(ref)
        return found[0]

    def prints(self, ref: str) -> FrozenMembers:
        """Return the members of a version as they are compared, kept at hand; raise NotFound."""
        identity, number = self._named(ref)  # a whole row is megabytes to SQLite, which walks through the members in it
        return self._prints(self.summary(ref).ref if number is None else f"{identity}@{number}")

    def _read_prints(self, ref: str) -> FrozenMembers:
        identity, number = reference_of(ref)
        here = (cohort_versions.c.cohort_id == identity, cohort_versions.c.version == number)
        columns = select(cohort_versions.c.fingerprints, cohort_versions.c.series)
        with database_errors(), self.engine.connect() as connection:
            row = connection.execute(columns.where(*here)).one_or_none()
        if row is None:
            raise no_cohort(ref)

        def load() -> tuple[tuple[str, ...], tuple[str, ...]]:
            """Return the names of the members and their digests, as they were frozen."""
            with database_errors(), self.engine.connect() as connection:
                return unpack_names(connection.execute(select(cohort_versions.c.members).where(*here)).scalar_one())

        packed = row.fingerprints
        if packed is None or not Fingerprints.fit(packed, row.series):  # before fingerprints, or numbers of a moment that never was
            return FrozenMembers(Fingerprints.of(*load()), load)
        return FrozenMembers(Fingerprints.unpack(packed, row.series), load)

    def diff(self, older: str, newer: str, *, index: Index | None = None, catalogue: FieldCatalogue | None = None) -> CohortDiff:
        """Return what changed between two versions; names are read only when somebody asks for them."""
        a, b = self.summary(older), self.summary(newer)
        sides = Sides(self.prints(a.ref), self.prints(b.ref), frozenset(self.withdrawn(a.ref)))
        return compare(a, b, sides, index=index, catalogue=catalogue, cohorts=self.resolve)

    def withdrawn(self, ref: str) -> tuple[str, ...]:
        """Return the members of a version that were withdrawn since, sorted.

        Beside those that are marked also those whom a withdrawal of the same moment as the freeze could not see yet to mark.
        """
        identity, number = reference_of(ref)
        here = (withdrawn_members.c.cohort_id == identity, withdrawn_members.c.version == number)
        with database_errors(), self.engine.connect() as connection:
            marked = set(connection.execute(select(withdrawn_members.c.record_id).where(*here)).scalars())
        return tuple(sorted(marked | set(self.holding(ref, self.withdrawn_subjects()))))

    def holding(self, ref: str, subjects: Subjects) -> tuple[str, ...]:
        """Return the members of a version that are meant, by their fingerprints; names are read only where there are some."""
        if not any(subjects.values()):
            return ()
        frozen = self.prints(ref)
        meant = np.isin(frozen.prints.ids, prints_of(subjects.get("series", ())))
        if len(frozen.prints.patients):
            meant |= np.isin(frozen.prints.patients, prints_of(subjects.get("patient", ())))
        return tuple(sorted(frozen.names[0][place] for place in frozen.prints.places[meant].tolist()))

    def exportable(self, ref: str) -> CohortVersion:
        """Return a version without the members that were withdrawn since: what an export may hold."""
        version = self.get(ref)
        gone = frozenset(self.withdrawn(version.ref))
        kept = [pair for pair in zip(version.members, version.revisions, strict=True) if pair[0] not in gone]
        left = {"members": tuple(one for one, _ in kept), "revisions": tuple(revision for _, revision in kept)}
        return version.model_copy(update=left) if gone else version

    def attrition(self, ref: str) -> tuple[Attrition, ...]:
        """Return the attrition that was written down when the version was frozen."""
        version = self.get(ref)
        here = (cohort_versions.c.cohort_id == version.id, cohort_versions.c.version == version.version)
        with database_errors(), self.engine.connect() as connection:
            stored = connection.execute(select(cohort_versions.c.attrition).where(*here)).scalar_one()
        return tuple(Attrition(**step) for step in stored)

    def _named(self, ref: str) -> tuple[str, int | None]:
        hashed = SHA256.fullmatch(ref.strip())
        if hashed is None:
            return reference_of(ref)
        with database_errors(), self.engine.connect() as connection:
            found = by_hash(connection, hashed[1])
        if found is None:
            raise no_cohort(ref)
        return found

    def _summaries(self, which: ColumnElement[bool], limit: int | None = None) -> tuple[CohortSummary, ...]:
        order = (cohort_versions.c.created_at.desc(), cohort_versions.c.version.desc())
        wanted: Select[Any] = select(*PLAIN, cohorts.c.project).join(cohorts).where(which).order_by(*order).limit(limit)
        with database_errors(), self.engine.connect() as connection:
            return tuple(CohortSummary(**summary_of(row)) for row in connection.execute(wanted))

    @staticmethod
    def _newest(connection: Connection, identity: str) -> CohortVersion | None:
        wanted = select(cohort_versions, cohorts.c.project).join(cohorts).where(cohort_versions.c.cohort_id == identity)
        row = connection.execute(wanted.order_by(cohort_versions.c.version.desc()).limit(1)).one_or_none()
        return None if row is None else version_of(row)
