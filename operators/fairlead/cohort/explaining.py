"""Why a record is a member, or is not: every step of a definition and every part of it, judged for one record."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from fairlead.cohort.compile import IN_SCOPE, INCLUDE, Resolve, compile_node, no_cohorts, scope_of
from fairlead.cohort.nodes import AllOf, AnyOf, AtLeastOf, Definition, Node, NotOf
from fairlead.cohort.sentence import phrase
from fairlead.cohort.texts import MAX_WORDS, checked_text
from fairlead.errors import NotFound
from fairlead.extract import FieldCatalogue
from fairlead.index import And, Criterion, Index, MembersOf, Not
from fairlead.records import JsonObject

WORDS: Final = {True: "yes", False: "no", None: "not known"}


@dataclass(frozen=True, slots=True)
class Judged:
    """One criterion: whether it holds for the record (None: not known), and how its parts stand."""

    words: str
    holds: bool | None
    parts: tuple[Judged, ...] = ()

    def as_json(self) -> JsonObject:
        """Return a document with the parts within."""
        return {"criterion": self.words, "holds": self.holds} | ({"parts": [part.as_json() for part in self.parts]} if self.parts else {})

    def lines(self, depth: int = 0) -> Iterator[str]:
        """Yield a line for itself and for each part, deeper ones further to the right."""
        yield f"{WORDS[self.holds]:<9} {'  ' * depth}{self.words}"
        for part in self.parts:
            yield from part.lines(depth + 1)


def explain(
    definition: Definition, record_id: str, *, index: Index, catalogue: FieldCatalogue, cohorts: Resolve = no_cohorts
) -> tuple[Judged, ...]:
    """Return the verdict of every step in its order; the record is a member when all of them hold.

    Raises
    ------
    NotFound : the index does not hold the record.
    """
    judge = _Judge(record_id, index, catalogue, cohorts)
    found = [judge.criterion(IN_SCOPE, scope_of(definition)), judge.rule(INCLUDE, definition.include)]
    found += [judge.rule(rule.name, rule.where) for rule in definition.rules]
    return (*found, *(judge.rule(f"not “{rule.name}”", NotOf(rule.where)) for rule in definition.exclude))


class _Judge:
    """Asks the index about one record."""

    def __init__(self, record_id: str, index: Index, catalogue: FieldCatalogue, cohorts: Resolve) -> None:
        record_id = checked_text(record_id, "id", maximum=MAX_WORDS)
        self._it, self._index, self._catalogue, self._cohorts = MembersOf(frozenset({record_id})), index, catalogue, cohorts
        if not index.count(self._it).series:
            raise NotFound(
                "There is no such record in the index.", remedy="Give a series UID, or an id as `fairlead cohort members` writes it."
            )

    def criterion(self, words: str, criterion: Criterion) -> Judged:
        """Judge one criterion without parts."""
        if self._index.count(And((self._it, criterion))).series:
            return Judged(words, holds=True)
        denied = self._index.count(And((self._it, Not(criterion)))).series
        return Judged(words, holds=False if denied else None)

    def rule(self, name: str, node: Node) -> Judged:
        """Judge a rule under its name, with its parts below it."""
        whole = self.node(node)
        parts = whole.parts if isinstance(node, AllOf) else (whole,)
        return Judged(name, whole.holds, parts)

    def node(self, node: Node) -> Judged:
        """Judge a node and, where it is a group of criteria about the same record, each of them."""
        judged = self.criterion(phrase(node, self._catalogue), compile_node(node, self._cohorts))
        within = node.of if isinstance(node, NotOf) else node
        if not isinstance(within, AllOf | AnyOf | AtLeastOf) or len(within.of) == 1:
            return judged
        return Judged(judged.words, judged.holds, tuple(self.node(part) for part in within.of))
