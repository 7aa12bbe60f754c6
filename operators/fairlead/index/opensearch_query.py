"""Compile a criterion to OpenSearch filters: for every node, who surely matches and who possibly does (Kleene's two bounds).

A group quantifier needs numbers per patient or study, so compiling one asks the server for them (:class:`Tally`) and goes
on with a bitmap of codes.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import singledispatchmethod
from itertools import batched
from typing import Any, Final

from pyroaring import BitMap

from fairlead.errors import UnknownField, UnsupportedInput
from fairlead.extract import FieldCatalogue, FieldDeclaration
from fairlead.index.criteria import (
    FRAME,
    All,
    And,
    AtLeast,
    Criterion,
    Exists,
    Group,
    Has,
    Latest,
    MembersOf,
    Missing,
    Not,
    OneOf,
    Or,
    Range,
    Tail,
    Term,
    Text,
)
from fairlead.index.opensearch_mapping import BETWEEN_VALUES, fitting, path_of
from fairlead.index.rows import SOURCE_FIELD
from fairlead.index.tail import checked_path
from fairlead.records import Scalar

MAX_TERMS: Final = 50_000

type Query = dict[str, Any]
type Days = Callable[[Query, str], Mapping[str, BitMap]]
"""Gives, for a filter and a date field, the codes of the patients whose last day among the matching is each day."""

type Tally = Callable[[Query, Has], Mapping[int, int]]
"""Gives, for a filter and a quantifier, the number of studies, series or images per code of a group."""

CODES: Final[Mapping[Group, str]] = {"patient": "patient.code", "study": "study.code", "frameOfReference": "frame.code"}
"""Where the code of each kind of group lies in a document; who states no frame of reference has none of that kind."""


EVERYTHING: Final[Query] = {"match_all": {}}
NOTHING: Final[Query] = {"match_none": {}}


@dataclass(frozen=True, slots=True)
class Filters:
    """``sure`` is who is true, ``possible`` adds who is unknown."""

    sure: Query
    possible: Query


def both(query: Query) -> Filters:
    """Return filters without unknowns."""
    return Filters(query, query)


def every(queries: list[Query]) -> Query:
    """Return who is in all."""
    return {"bool": {"filter": queries}} if queries else EVERYTHING


def some(queries: list[Query], count: int = 1) -> Query:
    """Return who is in at least ``count``."""
    return {"bool": {"should": queries, "minimum_should_match": count}} if len(queries) >= count else NOTHING


def none_of(query: Query) -> Query:
    """Return everybody else."""
    return {"bool": {"must_not": [query]}}


def stated(field: str) -> Query:
    """Return who states the field."""
    return {"term": {"stated": field}}


def coded(field: str, codes: BitMap) -> Query:
    """Return who has one of the codes; a Roaring bitmap has no limit of 65,536 terms."""
    return {"terms": {field: [base64.b64encode(codes.serialize()).decode()], "value_type": "bitmap"}} if codes else NOTHING


class Compiler:
    """Compiles criteria over one catalogue."""

    def __init__(self, catalogue: FieldCatalogue, tally: Tally, days: Days) -> None:
        self._catalogue, self._tally, self._days = catalogue, tally, days

    @singledispatchmethod
    def filters(self, node: Criterion) -> Filters:
        """Return the two filters of one node; raise UnsupportedInput for a node kind without a rule."""
        raise UnsupportedInput(f"The OpenSearch index has no rule for {type(node).__name__}.")

    @filters.register
    def _(self, node: All) -> Filters:
        return both(EVERYTHING)

    @filters.register
    def _(self, node: Term) -> Filters:
        return self._compared(self._equal(node.field, (node.value,)), node.field, or_missing=node.or_missing)

    @filters.register
    def _(self, node: OneOf) -> Filters:
        return self._compared(self._equal(node.field, node.values), node.field, or_missing=node.or_missing)

    @filters.register
    def _(self, node: Range) -> Filters:
        bounds = {"gte": node.gte, "gt": node.gt, "lte": node.lte, "lt": node.lt}
        asked = {name: bound for name, bound in bounds.items() if bound is not None}
        declared = self._declared(node.field)
        within = declared is not None and len(fitting(asked.values(), declared)) == len(asked)
        found = ({"range": {path_of(node.field): asked}} if asked else stated(node.field)) if within else NOTHING
        return self._compared(found, node.field, or_missing=node.or_missing)

    @filters.register
    def _(self, node: Text) -> Filters:
        declared = self._declared(node.field, text=True)
        each = [{"match": {"query": word.casefold(), "analyzer": "keyword"}} for word in dict.fromkeys(node.words)]
        near = {"all_of": {"max_gaps": BETWEEN_VALUES - 1, "intervals": each}}
        found = {"intervals": {f"words.{node.field}": near}} if each else stated(node.field)
        return self._compared(found if declared else NOTHING, node.field, or_missing=node.or_missing)

    @filters.register
    def _(self, node: Exists) -> Filters:
        return both(stated(node.field))

    @filters.register
    def _(self, node: Missing) -> Filters:
        return both(none_of(stated(node.field)))

    @filters.register
    def _(self, node: MembersOf) -> Filters:
        named = [("id", node.ids), ("patient.key", node.patients)]
        return both(some([{"terms": {path: list(part)}} for path, names in named for part in batched(sorted(names), MAX_TERMS)]))

    @filters.register
    def _(self, node: Tail) -> Filters:
        path = f"other.{checked_path(node.path)}"
        found = {"term": {path: node.value}} if node.value else NOTHING
        return Filters(found, some([found, none_of({"exists": {"field": path}})]))

    @filters.register
    def _(self, node: And) -> Filters:
        parts = [self.filters(part) for part in node.of]
        return Filters(every([part.sure for part in parts]), every([part.possible for part in parts]))

    @filters.register
    def _(self, node: Or) -> Filters:
        parts = [self.filters(part) for part in node.of]
        return Filters(some([part.sure for part in parts]), some([part.possible for part in parts]))

    @filters.register
    def _(self, node: Not) -> Filters:
        inner = self.filters(node.of)
        return Filters(none_of(inner.possible), none_of(inner.sure))

    @filters.register
    def _(self, node: AtLeast) -> Filters:
        parts = [self.filters(part) for part in node.of]
        return Filters(some([part.sure for part in parts], node.count), some([part.possible for part in parts], node.count))

    @filters.register
    def _(self, node: Has) -> Filters:
        inner = self.filters(node.where)
        framed = node.same == "frameOfReference"
        if framed and self._declared(FRAME) is None:
            return Filters(NOTHING, EVERYTHING)
        fewest = self._tally(inner.sure, node)
        most = fewest if inner.possible == inner.sure else self._tally(inner.possible, node)
        groups = {code: (fewest.get(code, 0), most.get(code, 0)) for code in {*fewest, *most}}
        ceiling = float("inf") if node.maximum is None else node.maximum
        empty = node.minimum <= 0 <= ceiling
        field = CODES[node.same]
        sure = _chosen(field, {code: low >= node.minimum and high <= ceiling for code, (low, high) in groups.items()}, empty)
        possible = _chosen(field, {code: high >= node.minimum and low <= ceiling for code, (low, high) in groups.items()}, empty)
        if not framed:
            return Filters(sure, possible)
        return Filters(every([sure, stated(FRAME)]), some([possible, none_of(stated(FRAME))]))

    @filters.register
    def _(self, node: Latest) -> Filters:
        last = self._days(self.filters(node.where).sure, path_of(node.by)) if self._declared(node.by) is not None else {}
        each = [every([{"term": {path_of(node.by): day}}, coded("patient.code", codes)]) for day, codes in last.items()]
        found = some(each)
        return Filters(found, some([found, none_of(stated(node.by))]))

    def _declared(self, field: str, *, text: bool = False) -> FieldDeclaration | None:
        """Return the declaration, None for a field that nobody states."""
        try:
            declared = self._catalogue.get(field)
        except UnknownField:
            return None
        if (declared.type == "text") is text:
            return declared
        raise UnsupportedInput(
            f"OpenSearch compares {field} by {'words' if declared.type == 'text' else 'value'} only.",
            remedy="Use `match` for texts, and the other operators for everything else.",
        )

    def _equal(self, field: str, values: tuple[Scalar, ...]) -> Query:
        if field == SOURCE_FIELD:
            return {"terms": {path_of(field): list(values)}}
        declared = self._declared(field)
        asked = [] if declared is None else fitting(values, declared)
        return some([{"terms": {path_of(field): list(part)}} for part in batched(asked, MAX_TERMS)])

    @staticmethod
    def _compared(found: Query, field: str, *, or_missing: bool) -> Filters:
        either = some([found, none_of(stated(field))])
        return both(either) if or_missing else Filters(found, either)


def _chosen(field: str, groups: Mapping[int, bool], empty: bool) -> Query:
    """Return who belongs to a chosen group; groups that are not listed are ``empty``."""
    if empty:
        return none_of(coded(field, BitMap(code for code, chosen in groups.items() if not chosen)))
    return coded(field, BitMap(code for code, chosen in groups.items() if chosen))
