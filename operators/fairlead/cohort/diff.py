"""What differs between two frozen versions, in words and member by member, each with its cause."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from fairlead.cohort.compile import Resolve, compile_definition, no_cohorts
from fairlead.cohort.leaves import Reading
from fairlead.cohort.members import Fingerprints, FrozenMembers, moved, prints_of
from fairlead.cohort.normal import canonical_bytes
from fairlead.cohort.parse import parse_definition
from fairlead.cohort.sentence import phrase
from fairlead.cohort.tree import read_node
from fairlead.errors import UnsupportedInput
from fairlead.extract import FieldCatalogue
from fairlead.index import Index
from fairlead.records import CohortSummary, CohortVersion, Grain, JsonObject

type Change = Literal["added", "removed", "revised"]
type Cause = Literal["definition", "data", "mapping", "withdrawn"]
CAUSES: Final[tuple[Cause, ...]] = ("definition", "data", "mapping", "withdrawn")


@dataclass(frozen=True, slots=True)
class MemberChange:
    """One member that differs."""

    id: str
    change: Change
    cause: Cause

    @property
    def uid(self) -> str:
        """The last part of the id: the series UID, or the name of an OME image."""
        return self.id.split(":", 2)[-1]


@dataclass(frozen=True)
class CohortDiff:
    """All differences. ``exact`` is false when the index has moved on since the second version was frozen.

    ``numbers`` are known at once; ``members`` reads the names of who differs when somebody asks.
    """

    numbers: Mapping[tuple[Change, Cause], int]
    definition_changes: tuple[str, ...]
    exact: bool
    load: Callable[[], tuple[MemberChange, ...]]

    @cached_property
    def members(self) -> tuple[MemberChange, ...]:
        """Every member that differs, sorted by id."""
        return self.load()

    def count(self, change: Change) -> int:
        """Return how many members changed in this way."""
        return sum(number for (kind, _), number in self.numbers.items() if kind == change)

    def causes(self) -> dict[str, int]:
        """Return how many changes each cause explains."""
        return {cause: sum(number for (_, why), number in self.numbers.items() if why == cause) for cause in CAUSES}

    def as_json(self) -> JsonObject:
        """Return the document of the contract."""
        return {
            "added": self.count("added"),
            "removed": self.count("removed"),
            "revised": self.count("revised"),
            "causes": self.causes(),
            "definition_changes": list(self.definition_changes),
            "members": [{"uid": member.uid, "id": member.id, "change": member.change, "cause": member.cause} for member in self.members],
            "exact": self.exact,
        }


@dataclass(frozen=True, slots=True)
class Sides:
    """The two versions as they are compared, and which members of the older one were withdrawn."""

    a: FrozenMembers
    b: FrozenMembers
    withdrawn: frozenset[str] = frozenset()

    @classmethod
    def of(cls, a: CohortVersion, b: CohortVersion) -> Sides:
        """Return two versions that are in memory."""
        return cls(_frozen(a), _frozen(b))


def _frozen(version: CohortVersion) -> FrozenMembers:
    return FrozenMembers(Fingerprints.of(version.members, version.revisions), lambda: (version.members, version.revisions))


def diff_versions(
    a: CohortVersion,
    b: CohortVersion,
    *,
    index: Index | None = None,
    catalogue: FieldCatalogue | None = None,
    cohorts: Resolve = no_cohorts,
) -> CohortDiff:
    """Return what changed from ``a`` to ``b``; see :func:`compare`."""
    return compare(a, b, Sides.of(a, b), index=index, catalogue=catalogue, cohorts=cohorts)


def compare(
    a: CohortSummary,
    b: CohortSummary,
    sides: Sides,
    *,
    index: Index | None = None,
    catalogue: FieldCatalogue | None = None,
    cohorts: Resolve = no_cohorts,
) -> CohortDiff:
    """Return what changed from ``a`` to ``b``.

    When only one of definition and data changed, that is the cause. When both did, the older definition is asked again
    on the data of now: a member that it would have gained or lost too is owed to the data, any other to the definition.
    A member that was withdrawn left for that reason.

    Raises
    ------
    UnsupportedInput : both changed and there is no index to ask.
    """
    blame = _Blame(a, b, index, catalogue, cohorts)
    found = moved(sides.a.prints, sides.b.prints)
    parts: list[_Part] = [("added", sides.b, found.joined, blame.causes(sides.b.prints.ids[found.joined], joined=True))]
    left = blame.causes(sides.a.prints.ids[found.left], joined=False)
    if sides.withdrawn:
        left[np.isin(sides.a.prints.ids[found.left], prints_of(sides.withdrawn))] = CAUSES.index("withdrawn")
    parts.append(("removed", sides.a, found.left, left))
    parts.append(("revised", sides.a, found.revised, np.full(len(found.revised), CAUSES.index("data"), dtype=np.int64)))
    return CohortDiff(_numbers(parts), definition_changes(a, b, catalogue), blame.exact, lambda: _named(parts))


type _Part = tuple[Change, FrozenMembers, NDArray[np.int64], NDArray[np.int64]]
"""A kind of change, whose rows are meant, the rows, and the number of the cause of each."""


def _numbers(parts: Sequence[_Part]) -> dict[tuple[Change, Cause], int]:
    counted = {(change, cause): int(np.count_nonzero(why == n)) for change, _, _, why in parts for n, cause in enumerate(CAUSES)}
    return {key: number for key, number in counted.items() if number}


def _named(parts: Sequence[_Part]) -> tuple[MemberChange, ...]:
    named = [
        MemberChange(side.names[0][place], change, CAUSES[cause])
        for change, side, rows, why in parts
        if len(rows)
        for place, cause in zip(side.prints.places[rows].tolist(), why.tolist(), strict=True)
    ]
    return tuple(sorted(named, key=lambda member: member.id))


class _Blame:
    """Finds causes; asks the index at most once."""

    def __init__(self, a: CohortSummary, b: CohortSummary, index: Index | None, catalogue: FieldCatalogue | None, cohorts: Resolve) -> None:
        self._a, self._index, self._catalogue, self._cohorts = a, index, catalogue, cohorts
        self._same_definition = a.definition_sha256 == b.definition_sha256
        self._same_data = a.index_generation == b.index_generation
        both = not self._same_definition and not self._same_data
        self.exact = not both or (index is not None and index.generation() == b.index_generation)

    def causes(self, ids: NDArray[np.uint64], *, joined: bool) -> NDArray[np.int64]:
        """Return the number of the cause of each record that joined or left."""
        definition, data, mapping = (CAUSES.index(cause) for cause in ("definition", "data", "mapping"))
        if not len(ids):
            return np.zeros(0, dtype=np.int64)
        if self._same_definition:
            return np.full(len(ids), mapping if self._same_data else data, dtype=np.int64)
        if self._same_data:
            return np.full(len(ids), definition, dtype=np.int64)
        return np.where(np.isin(ids, self._older) == joined, data, definition)

    @cached_property
    def _older(self) -> NDArray[np.uint64]:
        """Who the older definition finds now."""
        if self._index is None or self._catalogue is None:
            raise UnsupportedInput("Definition and data both changed; causes need the index.", remedy="Give the index and the catalogue.")
        definition = parse_definition(submitted(self._a.definition), self._catalogue)
        return prints_of(self._index.members(compile_definition(definition, self._cohorts)).ids)


def submitted(definition: JsonObject) -> JsonObject:
    """Return a frozen definition as it may be submitted again: without the numbers that freezing gave."""
    return {key: value for key, value in definition.items() if key not in {"version", "parent"}}


def definition_changes(a: CohortSummary, b: CohortSummary, catalogue: FieldCatalogue | None = None) -> tuple[str, ...]:
    """Return the differences of two frozen definitions in words; JSON stands in where there is no catalogue."""
    words = changes_in_words(a.definition, b.definition, catalogue)
    return (*words, f"title was {a.title!r}") if a.title != b.title else words


def changes_in_words(old: JsonObject, new: JsonObject, catalogue: FieldCatalogue | None = None) -> tuple[str, ...]:
    """Return the differences of two definitions in the normal form, titles and texts apart."""
    before, after = Grain(old["unit"]), Grain(new["unit"])
    words: list[str] = [f"counts {after.value}, was {before.value}"] if before is not after else []
    for name, unit in (("centers", "centre"), ("projects", "project")):
        was, now = (definition.get("scope", {}).get(name, []) for definition in (old, new))
        words += [f"scope {unit} added: {one}" for one in now if one not in was]
        words += [f"scope {unit} removed: {one}" for one in was if one not in now]
    old_parts, new_parts = _conjuncts(old["include"]), _conjuncts(new["include"])
    words += [f"condition removed: {_worded(part, before, catalogue)}" for part in _only(old_parts, new_parts)]
    words += [f"condition added: {_worded(part, after, catalogue)}" for part in _only(new_parts, old_parts)]
    for key, what in (("rules", "rule"), ("exclude", "exclusion")):
        words += _rule_changes(old.get(key, []), new.get(key, []), what, lambda where: _worded(where, after, catalogue))
    return tuple(words)


def _conjuncts(include: JsonObject) -> list[JsonObject]:
    found: list[JsonObject] = include["all"] if set(include) == {"all"} else [include]
    return found


def _only(these: Iterable[JsonObject], those: Iterable[JsonObject]) -> list[JsonObject]:
    known = {canonical_bytes(one) for one in those}
    return [one for one in these if canonical_bytes(one) not in known]


def _rule_changes(old: Sequence[JsonObject], new: Sequence[JsonObject], what: str, worded: Any) -> list[str]:
    before, after = ({rule["name"]: rule["where"] for rule in rules} for rules in (old, new))
    words = [f"{what} removed: {name}" for name in before if name not in after]
    words += [f"{what} added: {name} ({worded(where)})" for name, where in after.items() if name not in before]
    words += [f"{what} changed: {name} (now {worded(where)})" for name, where in after.items() if name in before and before[name] != where]
    kept = [[name for name in one if name in other] for one, other in ((before, after), (after, before))]
    return [*words, f"{what}s in another order"] if kept[0] != kept[1] else words


def _worded(part: JsonObject, unit: Grain, catalogue: FieldCatalogue | None) -> str:
    if catalogue is None:
        return canonical_bytes(part).decode()
    return phrase(read_node(part, Reading(catalogue, unit), where="definition"), catalogue)
