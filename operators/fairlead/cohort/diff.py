"""What differs between two frozen versions, in words and member by member, each with its cause."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from fairlead.cohort.compile import Resolve, compile_definition, no_cohorts
from fairlead.cohort.normal import canonical_bytes
from fairlead.cohort.parse import parse_definition
from fairlead.cohort.sentence import phrase
from fairlead.cohort.tree import Reading, read_node
from fairlead.errors import UnsupportedInput
from fairlead.extract import FieldCatalogue
from fairlead.index import Index
from fairlead.records import CohortVersion, Grain, JsonObject

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


@dataclass(frozen=True, slots=True)
class CohortDiff:
    """All differences. ``exact`` is false when the index has moved on since the second version was frozen."""

    members: tuple[MemberChange, ...]
    definition_changes: tuple[str, ...]
    exact: bool

    def count(self, change: Change) -> int:
        """Return how many members changed in this way."""
        return sum(member.change == change for member in self.members)

    def causes(self) -> dict[str, int]:
        """Return how many changes each cause explains."""
        return {cause: sum(member.cause == cause for member in self.members) for cause in CAUSES}

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


def diff_versions(
    a: CohortVersion,
    b: CohortVersion,
    *,
    index: Index | None = None,
    catalogue: FieldCatalogue | None = None,
    cohorts: Resolve = no_cohorts,
) -> CohortDiff:
    """Return what changed from ``a`` to ``b``.

    When only one of definition and data changed, that is the cause. When both did, the older definition is asked again
    on the data of now: a member that it would have gained or lost too is owed to the data, any other to the definition.

    Raises
    ------
    UnsupportedInput : both changed and there is no index to ask.
    """
    before, after = dict(zip(a.members, a.revisions, strict=True)), dict(zip(b.members, b.revisions, strict=True))
    blame = _Blame(a, b, index, catalogue, cohorts)
    changes = [MemberChange(one, "added", blame.cause(one, joined=True)) for one in after if one not in before]
    changes += [MemberChange(one, "removed", blame.cause(one, joined=False)) for one in before if one not in after]
    changes += [MemberChange(one, "revised", "data") for one in after if one in before and before[one] != after[one]]
    return CohortDiff(tuple(sorted(changes, key=lambda member: member.id)), definition_changes(a, b, catalogue), exact=blame.exact)


class _Blame:
    """Finds causes; asks the index at most once."""

    def __init__(self, a: CohortVersion, b: CohortVersion, index: Index | None, catalogue: FieldCatalogue | None, cohorts: Resolve) -> None:
        self._a, self._index, self._catalogue, self._cohorts = a, index, catalogue, cohorts
        self._same_definition = a.definition_sha256 == b.definition_sha256
        self._same_data = a.index_generation == b.index_generation
        self._older_now: frozenset[str] | None = None
        both = not self._same_definition and not self._same_data
        self.exact = not both or (index is not None and index.generation() == b.index_generation)

    def cause(self, record_id: str, *, joined: bool) -> Cause:
        """Return why a record joined or left."""
        if self._same_definition:
            return "mapping" if self._same_data else "data"
        if self._same_data:
            return "definition"
        return "data" if (record_id in self._older()) == joined else "definition"

    def _older(self) -> frozenset[str]:
        if self._older_now is None:
            if self._index is None or self._catalogue is None:
                raise UnsupportedInput(
                    "Definition and data both changed; causes need the index.", remedy="Give the index and the catalogue."
                )
            definition = parse_definition(submitted(self._a.definition), self._catalogue)
            self._older_now = frozenset(self._index.members(compile_definition(definition, self._cohorts)).ids)
        return self._older_now


def submitted(definition: JsonObject) -> JsonObject:
    """Return a frozen definition as it may be submitted again: without the numbers that freezing gave."""
    return {key: value for key, value in definition.items() if key not in {"version", "parent"}}


def definition_changes(a: CohortVersion, b: CohortVersion, catalogue: FieldCatalogue | None = None) -> tuple[str, ...]:
    """Return the differences of two definitions in words; JSON stands in where there is no catalogue."""
    words: list[str] = []
    if a.unit is not b.unit:
        words.append(f"counts {b.unit.value}, was {a.unit.value}")
    for name, unit in (("centers", "centre"), ("projects", "project")):
        old, new = (version.definition.get("scope", {}).get(name, []) for version in (a, b))
        words += [f"scope {unit} added: {one}" for one in new if one not in old] + [
            f"scope {unit} removed: {one}" for one in old if one not in new
        ]
    old_parts, new_parts = _conjuncts(a.definition["include"]), _conjuncts(b.definition["include"])
    words += [f"condition removed: {_worded(part, a.unit, catalogue)}" for part in _only(old_parts, new_parts)]
    words += [f"condition added: {_worded(part, b.unit, catalogue)}" for part in _only(new_parts, old_parts)]
    for key, what in (("rules", "rule"), ("exclude", "exclusion")):
        words += _rule_changes(a.definition.get(key, []), b.definition.get(key, []), what, lambda where: _worded(where, b.unit, catalogue))
    if a.title != b.title:
        words.append(f"title was {a.title!r}")
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
