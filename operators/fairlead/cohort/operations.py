"""Set operations on frozen versions; the result is a definition with pinned references, frozen like any other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from fairlead.cohort.compile import compile_definition
from fairlead.cohort.diff import CohortDiff, submitted
from fairlead.cohort.members import Fingerprints, moved, regions
from fairlead.cohort.parse import parse_definition
from fairlead.cohort.store import CohortStore
from fairlead.errors import InvalidInput
from fairlead.extract import FieldCatalogue
from fairlead.index import And, Index, MembersOf, Not
from fairlead.records import CohortVersion, Grain, JsonObject


class SetOperation(StrEnum):
    """How two cohorts become one."""

    UNION = "union"
    INTERSECT = "intersect"
    SUBTRACT = "subtract"


def combine(operation: SetOperation, a: CohortVersion, b: CohortVersion, *, title: str) -> JsonObject:
    """Return the definition of a union, an intersection, or of ``a`` without ``b``.

    Members are series whatever a cohort counts first, so two that count different units make one that counts series.
    """
    unit = a.unit if a.unit is b.unit else Grain.SERIES
    first, second = {"cohort": a.ref}, {"cohort": b.ref}
    include: dict[SetOperation, JsonObject] = {
        SetOperation.UNION: {"any": [first, second]},
        SetOperation.INTERSECT: {"all": [first, second]},
        SetOperation.SUBTRACT: {"all": [first, {"not": second}]},
    }
    return {"schemaVersion": "1", "title": title, "unit": unit.value, "include": include[operation]}


@dataclass(frozen=True, slots=True)
class Region:
    """One region of a Venn diagram: in which of the versions, in the order they were given, and how many are in those and no other.

    ``patients`` is None where a version was frozen before patients were noted.
    """

    inside: tuple[bool, ...]
    series: int
    patients: int | None


def venn(store: CohortStore, refs: Sequence[str]) -> tuple[Region, ...]:
    """Return every region of two or three versions, from their fingerprints alone.

    Raises
    ------
    InvalidInput : another number of versions, or one twice.
    """
    if not 2 <= len(set(refs)) == len(refs) <= 3:
        raise InvalidInput(f"{len(refs)} versions were given.", remedy="Name two or three different ones.")
    prints = [store.prints(ref).prints for ref in refs]
    series = regions([one.ids for one in prints])
    noted = all(len(one.patients) == len(one.ids) for one in prints)
    patients = regions([one.patients for one in prints]) if noted else {}
    return tuple(
        Region(tuple(bool(bits >> place & 1) for place in range(len(refs))), number, patients.get(bits) if noted else None)
        for bits, number in series.items()
    )


def rerun(
    store: CohortStore, identity: str, *, index: Index, catalogue: FieldCatalogue, author: str
) -> tuple[CohortVersion, CohortVersion, CohortDiff]:
    """Freeze the newest definition of a cohort on the data of now; return the version before, the version now, and why they differ.

    When nothing changed both are the same version and the difference is empty.
    """
    before = store.get(identity)
    definition = parse_definition(submitted(before.definition), catalogue)
    after = store.freeze(
        definition,
        index=index,
        catalogue=catalogue,
        author=author,
        title=before.title,
        purpose=before.purpose,
        project=before.project,
    )
    return before, after, store.diff(before.ref, after.ref, index=index, catalogue=catalogue)


@dataclass(frozen=True, slots=True)
class Drift:
    """How far a cohort has moved since its newest version, without freezing anything."""

    ref: str
    added: int
    removed: int
    revised: int
    withdrawn: int
    patients: int

    @property
    def words(self) -> str:
        """One line for a monitor, such as ``+12 series, +3 patients since v3, 1 withdrawn``."""
        moved_by = f"+{self.added} −{self.removed} series, {self.patients:+d} patients since v{self.ref.rpartition('@')[2]}"
        return (
            moved_by + (f", {self.revised} revised" if self.revised else "") + (f", {self.withdrawn} withdrawn" if self.withdrawn else "")
        )


def drift(store: CohortStore, identity: str, *, index: Index, catalogue: FieldCatalogue) -> Drift:
    """Return how the data of now differ from the newest version of a cohort; for a DAG that runs every night."""
    before = store.summary(identity)
    criterion = compile_definition(parse_definition(submitted(before.definition), catalogue), store.resolve)
    found, gone = index.members(criterion), frozenset(store.withdrawn(before.ref))
    if left_out := store.withdrawn_of(found) - gone:  # the newest version was frozen without them: they are no news
        found = index.members(And((criterion, Not(MembersOf(left_out)))))
    now = moved(store.prints(before.ref).prints, Fingerprints.of(found.ids, found.revisions))
    return Drift(before.ref, len(now.joined), len(now.left), len(now.revised), len(gone), len(set(found.patients)) - before.counts.patients)
