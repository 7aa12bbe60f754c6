"""A cohort across centres: each centre freezes its own part and keeps it; the hub keeps the definition and what names the parts.

What leaves a centre names its version by a keyed hash. The version's own number, id and hash of members stay: a number that grows
tells that somebody came or went, and a hash of members can be compared, or guessed for a small set.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Engine, func, insert, select

from fairlead.cohort import CohortStore, Definition
from fairlead.database import database_errors, utc_now
from fairlead.errors import Conflict, EmptyCohort
from fairlead.extract import FieldCatalogue
from fairlead.federation.asking import CenterAnswer
from fairlead.federation.messages import Question
from fairlead.federation.secrets import Keyring
from fairlead.federation.signing import canonical, sha256_text
from fairlead.federation.tables import cohorts
from fairlead.index import Index
from fairlead.records import JsonObject

FREEZE: Final = "/v1/freeze"
NAMESPACE: Final = uuid.UUID("2b0f4c5e-6f0e-5a39-9a57-6f1f2f6b8c11")


@dataclass(frozen=True, slots=True)
class FrozenPart:
    """A centre's own version (``local``, for its audit) and the name under which the hub knows it."""

    name: str
    local: str | None


def freeze_part(
    definition: Definition, question: Question, *, index: Index, catalogue: FieldCatalogue, engine: Engine, ring: Keyring
) -> FrozenPart:
    """Freeze a centre's part of a cohort; a part with nobody in it gets a name like any other.

    The hub's own words (title, id, purpose) do not enter the centre's cohorts.
    """
    title = f"For {question.hub}: {sha256_text(canonical(question.definition))[:12]}"
    plain = replace(definition, title=title, id=None, description="", purpose=question.purpose)
    project = definition.projects[0] if len(definition.projects) == 1 else ""
    try:
        frozen = CohortStore(engine).freeze(plain, index=index, catalogue=catalogue, author=f"hub {question.hub}", project=project)
        local = f"{frozen.id}@{frozen.version}"
    except EmptyCohort:
        local = None
    # the nonce makes every name new: equal names would tell that nobody came or went since
    return FrozenPart(ring.forever("frozen", f"{local}\x00{question.nonce}").hex()[:32], local)


def keep_cohort(engine: Engine, document: JsonObject, answers: Sequence[CenterAnswer]) -> JsonObject:
    """Return the next version of a cohort across centres, kept at the hub: definition and the centres' references.

    Raises
    ------
    Conflict : no centre froze its part.
    """
    parts = [_part(one) for one in sorted(answers, key=lambda one: one.center) if one.answer.get("frozen")]
    if not parts:
        raise Conflict("No centre froze its part.", remedy="The centres' policies must allow it (`freeze: true` at the project).")
    title = str(document.get("title", ""))[:200]
    identity = str(uuid.uuid5(NAMESPACE, title.strip().casefold()))
    with database_errors(), engine.begin() as connection:
        asked = select(func.coalesce(func.max(cohorts.c.version), 0)).where(cohorts.c.id == identity)
        version = int(connection.execute(asked).scalar_one()) + 1
        kept: JsonObject = {"id": identity, "version": version, "title": title, "parts": parts, "definition": document}
        kept["definition_sha256"] = sha256_text(canonical(json.loads(json.dumps(document))))
        connection.execute(insert(cohorts), {**kept, "created_at": utc_now()})
    return kept


def _part(answer: CenterAnswer) -> JsonObject:
    """Return the reference to one centre's part: everything is from its signed answer."""
    told = ("frozen", "definition_sha256", "policy", "generation", "catalogue_sha256", "answered_at")
    return {"center": answer.center, "patients": answer.patients, "plus_minus": answer.plus_minus} | {
        name: answer.answer.get(name) for name in told
    }


def list_cohorts(engine: Engine) -> list[JsonObject]:
    """Return the versions across centres, oldest first."""
    with database_errors(), engine.connect() as connection:
        rows = connection.execute(select(cohorts).order_by(cohorts.c.created_at, cohorts.c.id, cohorts.c.version)).all()
    return [{name: getattr(row, name) for name in ("id", "version", "title", "definition_sha256", "parts")} for row in rows]
