"""Searchable records: the index port, its embedded engine, the criteria it answers, and the way from the ledger into it."""

from __future__ import annotations

from fairlead.index.criteria import (
    FRAME,
    All,
    And,
    AtLeast,
    Criterion,
    Exists,
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
    fields_of,
)
from fairlead.index.draining import DrainReport, drain, drain_all, rebuild
from fairlead.index.idc import load_idc
from fairlead.index.ingesting import IngestReport, WitnessLedger, ingest
from fairlead.index.opening import open_index
from fairlead.index.opensearch_shown import opensearch_body
from fairlead.index.port import Facets, FacetValue, Index, IndexStatus, Members, PutReport, Values
from fairlead.index.rows import label_of

__all__ = [
    "FRAME",
    "All",
    "And",
    "AtLeast",
    "Criterion",
    "DrainReport",
    "Exists",
    "FacetValue",
    "Facets",
    "Has",
    "Index",
    "IndexStatus",
    "IngestReport",
    "Latest",
    "Members",
    "MembersOf",
    "Missing",
    "Not",
    "OneOf",
    "Or",
    "PutReport",
    "Range",
    "Tail",
    "Term",
    "Text",
    "Values",
    "WitnessLedger",
    "drain",
    "drain_all",
    "fields_of",
    "ingest",
    "label_of",
    "load_idc",
    "open_index",
    "opensearch_body",
    "rebuild",
]
