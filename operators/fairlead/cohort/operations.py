"""Set operations on frozen versions; the result is a definition with pinned references, frozen like any other."""

from __future__ import annotations

from enum import StrEnum

from fairlead.cohort.diff import CohortDiff, diff_versions, submitted
from fairlead.cohort.parse import parse_definition
from fairlead.cohort.store import CohortStore
from fairlead.errors import InvalidDefinition
from fairlead.extract import FieldCatalogue
from fairlead.index import Index
from fairlead.records import CohortVersion, JsonObject


class SetOperation(StrEnum):
    """How two cohorts become one."""

    UNION = "union"
    INTERSECT = "intersect"
    SUBTRACT = "subtract"


def combine(operation: SetOperation, a: CohortVersion, b: CohortVersion, *, title: str) -> JsonObject:
    """Return the definition of a union, an intersection, or of ``a`` without ``b``.

    Raises
    ------
    InvalidDefinition : the two count different units.
    """
    if a.unit is not b.unit:
        raise InvalidDefinition(f"{a.ref} counts {a.unit.value}, {b.ref} counts {b.unit.value}.", remedy="Combine cohorts of one unit.")
    first, second = {"cohort": a.ref}, {"cohort": b.ref}
    include: dict[SetOperation, JsonObject] = {
        SetOperation.UNION: {"any": [first, second]},
        SetOperation.INTERSECT: {"all": [first, second]},
        SetOperation.SUBTRACT: {"all": [first, {"not": second}]},
    }
    return {"schemaVersion": "1", "title": title, "unit": a.unit.value, "include": include[operation]}


def rerun(
    store: CohortStore, identity: str, *, index: Index, catalogue: FieldCatalogue, author: str
) -> tuple[CohortVersion, CohortVersion, CohortDiff]:
    """Freeze the newest definition of a cohort on the data of now; return the version before, the version now, and why they differ.

    When nothing changed both are the same version and the difference is empty.
    """
    before = store.get(identity)
    definition = parse_definition(submitted(before.definition), catalogue)
    after = store.freeze(definition, index=index, catalogue=catalogue, author=author, title=before.title, purpose=before.purpose)
    return before, after, diff_versions(before, after, index=index, catalogue=catalogue, cohorts=store.resolve)
