"""Rows of the table of versions: what is read out of one and what is written into one, and the references that name one."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, or_, select

from fairlead import __version__
from fairlead.cohort.counting import Attrition
from fairlead.cohort.members import Fingerprints, pack_names, unpack_names
from fairlead.cohort.nodes import Definition
from fairlead.cohort.normal import definition_sha256, normal_form
from fairlead.cohort.sentence import sentence
from fairlead.cohort.tables import cohort_versions, cohorts
from fairlead.database import utc_now
from fairlead.errors import NotFound
from fairlead.extract import FieldCatalogue
from fairlead.index import Members
from fairlead.records import CohortSummary, CohortVersion, Counts, Grain, JsonObject

REFERENCE: Final = re.compile(r"([0-9a-fA-F-]{36})(?:@([1-9][0-9]{0,8}|latest))?")
SHA256: Final = re.compile(r"sha256:([0-9a-f]{64})")
NAMESPACE: Final = uuid.UUID("6f0c7cb6-6c4b-5d0e-9c0d-0d6f6e2b7a51")
COMPILER: Final = f"fairlead {__version__}, language 1"
"""What turned the definition into members."""


@dataclass(frozen=True, slots=True)
class Look:
    """Members, counts and attrition of one index generation."""

    generation: str
    members: Members
    counts: Counts
    attrition: tuple[Attrition, ...]


def cohort_id(title: str, project: str = "") -> str:
    """Return the id of a cohort whose definition states none: the same title in the same project is the same cohort.

    >>> cohort_id("Chest CT") == cohort_id(" chest ct ") != cohort_id("Chest CT", "lung")
    True
    """
    name = title.strip().casefold()
    return str(uuid.uuid5(NAMESPACE, f"{project}\n{name}" if project else name))


def members_sha256(ids: Sequence[str]) -> str:
    """Return the sha256 over sorted ids joined by newlines, UTF-8."""
    return hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()


PLAIN: Final = tuple(column for column in cohort_versions.c if column.name not in {"members", "fingerprints"})


def reference_of(ref: str) -> tuple[str, int | None]:
    """Return the id and the number, None for the newest."""
    found = REFERENCE.fullmatch(ref.strip())
    if found is None:
        raise no_cohort(ref)
    return found[1].lower(), None if found[2] in (None, "latest") else int(found[2])


def by_hash(connection: Connection, sha256: str) -> tuple[str, int] | None:
    """Return id and number of the newest version whose definition or members have this hash."""
    named = or_(cohort_versions.c.members_sha256 == sha256, cohort_versions.c.definition_sha256 == sha256)
    wanted = select(cohort_versions.c.cohort_id, cohort_versions.c.version).where(named)
    row = connection.execute(wanted.order_by(cohort_versions.c.created_at.desc(), cohort_versions.c.version.desc()).limit(1)).one_or_none()
    return None if row is None else (row.cohort_id, row.version)


KNOWN: Final = "`fairlead cohort list` shows the newest version of every cohort, `fairlead cohort show ID` the numbers of all."


def no_cohort(ref: str) -> NotFound:
    """Return the refusal of a reference that names nothing."""
    return NotFound(f"There is no cohort {ref[:60]!r}.", remedy=KNOWN)


def draft_of(definition: Definition, seen: Look, catalogue: FieldCatalogue, *, title: str, project: str) -> CohortVersion:
    """Return what was seen as a version that has no number yet."""
    texts = {"title": title, "description": definition.description, "purpose": definition.purpose}
    return CohortVersion.model_construct(  # the lists come from our own index: nothing to check in 300,000 names
        id=definition.id or cohort_id(title, project),
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
        compiler=COMPILER,
        project=project,
        purpose=definition.purpose,
    )


def one_version(connection: Connection, identity: str, number: int) -> CohortVersion | None:
    """Return one version, None when it is not there."""
    here = (cohort_versions.c.cohort_id == identity, cohort_versions.c.version == number)
    row = connection.execute(select(cohort_versions, cohorts.c.project).join(cohorts).where(*here)).one_or_none()
    return None if row is None else version_of(row)


def newest_summary(connection: Connection, identity: str) -> CohortSummary | None:
    """Return the newest version of a cohort without its members, None when it has none."""
    wanted: Select[Any] = select(*PLAIN, cohorts.c.project).join(cohorts).where(cohort_versions.c.cohort_id == identity)
    row = connection.execute(wanted.order_by(cohort_versions.c.version.desc()).limit(1)).one_or_none()
    return None if row is None else CohortSummary(**summary_of(row))


def may_say_the_same(newest: CohortSummary, draft: CohortSummary) -> bool:
    """Return whether only a revised member could tell the two apart."""
    return all(getattr(newest, name) == getattr(draft, name) for name in ("title", "definition_sha256", "members_sha256"))


def numbered(draft: CohortVersion, newest: CohortSummary | None) -> CohortVersion:
    """Return a draft under the next number, with the one before as its parent."""
    number = 1 if newest is None else newest.version + 1
    names: JsonObject = {"id": draft.id, "version": number}
    parent = {} if newest is None else {"parent": f"sha256:{newest.definition_sha256}"}
    return draft.model_copy(update={"version": number, "definition": draft.definition | names | parent})


def packed_columns(version: CohortVersion, seen: Look) -> dict[str, Any]:
    """Return the columns that take time to make, before the database is locked."""
    return {
        "members": pack_names(version.members, version.revisions),
        "fingerprints": Fingerprints.of(version.members, version.revisions, seen.members.patients).pack(),
        "attrition": [asdict(step) for step in seen.attrition],
    }


def plain_columns(version: CohortVersion) -> dict[str, Any]:
    """Return the columns that are small."""
    plain = version.model_dump(exclude={"id", "members", "revisions", "counts", "unit", "project"})
    return plain | version.counts.model_dump() | {"cohort_id": version.id, "unit": version.unit.value}


def version_of(row: Row[Any]) -> CohortVersion:
    """Return a version with its members."""
    members, revisions = unpack_names(row.members)
    checked = CohortSummary(**summary_of(row))
    return CohortVersion.model_construct(
        **{name: getattr(checked, name) for name in CohortSummary.model_fields}, members=members, revisions=revisions
    )


def summary_of(row: Row[Any]) -> dict[str, Any]:
    """Return the fields of a version without its members."""
    counts = Counts(**{name: getattr(row, name) for name in Counts.model_fields})
    same = {name: getattr(row, name) for name in CohortSummary.model_fields if name not in {"id", "unit", "counts"}}
    return same | {"id": row.cohort_id, "unit": Grain(row.unit), "counts": counts, "compiler": row.compiler or ""}
