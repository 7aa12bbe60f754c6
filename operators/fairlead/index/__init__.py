"""Searchable records: the index port, its embedded engine, the criteria it answers, and the way from the ledger into it."""

from __future__ import annotations

from fairlead.index.criteria import (
    All,
    And,
    AtLeast,
    Criterion,
    Exists,
    Has,
    MembersOf,
    Missing,
    Not,
    OneOf,
    Or,
    Range,
    Term,
    Text,
    fields_of,
)
from fairlead.index.opening import open_index
from fairlead.index.port import Facets, FacetValue, Index, IndexStatus, Members, PutReport

__all__ = [
    "All",
    "And",
    "AtLeast",
    "Criterion",
    "Exists",
    "FacetValue",
    "Facets",
    "Has",
    "Index",
    "IndexStatus",
    "Members",
    "MembersOf",
    "Missing",
    "Not",
    "OneOf",
    "Or",
    "PutReport",
    "Range",
    "Term",
    "Text",
    "fields_of",
    "open_index",
]
